/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter -R: the file that a flattened stream on standard input stands for. */
#include <unistd.h>

#include "flat.h"
#include "job.h"
#include "main.h"

/*
 * A stream that broke off may have brought a header that says nothing of it: set the mark of the
 * format that came out, as far as that has one.
 */
static void mark_incomplete(struct job *job, const char *path)
{
	struct err ignored = ERR_INIT;
	const struct format *f;
	uint8_t mark[4];
	struct source *s;
	uint64_t off;

	if (sink_flush(job->sinks[0], &ignored) || source_open(path, 0, &s, &ignored))
		return;
	f = recognise(s);
	if (f && f->mark && f->mark(s, &off, mark) &&
	    !sink_write(job->sinks[0], off, mark, sizeof(mark), &ignored))
		sink_flush(job->sinks[0], &ignored);
	source_close(s);
}

int job_unflatten(struct job *job, struct err *e)
{
	const struct job_opts *o = &job->opts;
	struct flat_result r = { .records = 0 };
	struct sink *sink;

	if (sink_file(o->outputs[0], o->force ? SINK_FORCE : 0, &job->sinks[0], e))
		return err_add(e, "cannot write the dump file"), STATUS_FAILED;
	job->nr_parts = 1;
	sink = job->sinks[0];
	if (flat_rearrange(STDIN_FILENO, "standard input", sink, &interrupted, &r, e)) {
		if (!sink_end(sink)) {
			job_close_outputs(job, false);
			return STATUS_FAILED;
		}
	} else if (r.complete) {
		return sink_commit(sink, r.end, e) ? STATUS_INCOMPLETE : STATUS_OK;
	}
	mark_incomplete(job, o->outputs[0]);
	return STATUS_INCOMPLETE;
}
