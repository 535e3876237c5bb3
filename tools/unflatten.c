/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter -R: the file that a flattened stream on standard input stands for. */
#include <unistd.h>

#include "flat.h"
#include "job.h"
#include "main.h"

/*
 * A stream that broke off may have brought a header that says nothing of it: set the mark of the
 * format that came out, if that has one.
 */
static bool mark_incomplete(struct sink *sink)
{
	const char *path = sink_unfinished_name(sink);
	struct err ignored = ERR_INIT;
	const struct format *f;
	bool marked = false;
	uint8_t mark[4];
	struct source *s;
	uint64_t off;

	sink_flush(sink, &ignored); /* what a full disk refused is gone */
	if (source_open(path ? path : sink_name(sink), 0, &s, &ignored))
		return false;
	f = recognise(s);
	if (f && f->mark && f->mark(s, &off, mark))
		marked = !sink_write(sink, off, mark, sizeof(mark), &ignored) &&
			 !sink_flush(sink, &ignored);
	source_close(s);
	return marked;
}

/*
 * Until its end nothing is known of a stream, not even whether what comes out has a mark: the file
 * has its name when it is whole, or says itself that it is not.
 */
int job_unflatten(struct job *job, struct err *e)
{
	const struct job_opts *o = &job->opts;
	struct flat_result r = { .records = 0 };
	struct err ignored = ERR_INIT;
	struct sink *sink;

	if (sink_file(o->outputs[0], SINK_RENAME | (o->force ? SINK_FORCE : 0), &job->sinks[0], e))
		return err_add(e, "cannot write the dump file"), STATUS_FAILED;
	job->nr_parts = 1;
	sink = job->sinks[0];
	if (!flat_rearrange(STDIN_FILENO, "standard input", sink, &interrupted, &r, e) &&
	    r.complete)
		return sink_commit(sink, r.end, e) ? STATUS_INCOMPLETE : STATUS_OK;
	if (!sink_end(sink)) {
		job_close_outputs(job, false);
		return STATUS_FAILED;
	}
	if (mark_incomplete(sink))
		sink_commit(sink, sink_end(sink), &ignored);
	return STATUS_INCOMPLETE;
}
