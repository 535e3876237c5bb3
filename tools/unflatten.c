/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter -R: the file that a flattened stream on standard input stands for. */
#include <stdio.h>
#include <sys/stat.h>
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

/* Is standard input what the output is called while it grows? */
static bool reads_unfinished(const char *path)
{
	char name[4096];
	struct stat in, out;

	return snprintf(name, sizeof(name), "%s%s", path, UNFINISHED) < (int)sizeof(name) &&
	       !fstat(STDIN_FILENO, &in) && !stat(name, &out) && in.st_dev == out.st_dev &&
	       in.st_ino == out.st_ino;
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

	if (reads_unfinished(o->outputs[0]))
		return err_set(e, ERR_EXISTS, "%s%s: is the input", o->outputs[0], UNFINISHED),
		       STATUS_FAILED;
	if (sink_file(o->outputs[0], SINK_RENAME | (o->force ? SINK_FORCE : 0), &job->sinks[0], e))
		return err_add(e, "cannot write the dump file"), STATUS_FAILED;
	job->nr_parts = 1;
	sink_set_limit(job->sinks[0], o->limit);
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
