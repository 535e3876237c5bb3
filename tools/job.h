/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job that writes a dump, between the commands that do so: filter, with classification, and
 * convert, which keeps all there is.
 */
#ifndef JOB_H
#define JOB_H

#include "classify.h"
#include "format.h"
#include "job_opts.h"
#include "pipeline.h"
#include "session.h"
#include "talk.h"

struct job {
	const char *command; /* for the tool note: "filter" */
	struct job_opts opts;
	struct talk talk;
	struct session session;
	struct sink *sinks[MAX_OUTPUTS];
	struct part parts[MAX_OUTPUTS];
	unsigned int nr_parts;
	struct pfnset keep;
	/* Once the session is open. NULL: nothing to do. */
	int (*prepare)(struct job *job, struct err *e);
	/* Instead of the files that the options name: the one output. NULL: those. */
	int (*open_output)(struct job *job, struct sink **ret, struct err *e);
	void *priv; /* for these */
	/* After classification: what else is not kept. NULL: all that is. */
	int (*select)(struct job *job, struct err *e);
	struct vmap *vmap;	     /* for the plan, see format.h; NULL: none */
	struct note_stream *threads; /* the same: instead of the source's notes of CPUs */
	struct classify classify;
	struct explanation explanation;
	struct plan plan;
	struct shape shape;	/* what plan.shape points to */
	struct segment *linear; /* what its segments are, where they were made */
	struct pipeline pipeline;
	uint8_t *notes;	    /* the source's without our own, where it has one */
	uint8_t *tool_note; /* our new one */
	double classify_seconds, copy_seconds;
	bool started; /* output has bytes: a failure leaves an incomplete dump */
};

/* Open the outputs that the options name, one for each part. Undo with job_close_outputs(). */
int job_open_outputs(struct job *job, struct err *e);
/* Close; without KEEP_FILES nothing was worth keeping. */
void job_close_outputs(struct job *job, bool keep_files);

/*
 * Write the dump that is open in job->session, with the options' first level, or the next ones when
 * the disk is full. Returns an exit status.
 */
int job_write(struct job *job, struct err *e);
/* Is it to leave out pages by kind, for which the kernel must be known? */
bool job_leaves_kinds(const struct job *job);

/* unflatten.c: -R. Returns an exit status. */
int job_unflatten(struct job *job, struct err *e);

/* Say before what happened that the dump is incomplete, and how it says so. */
void job_add_incomplete(const struct job *job, struct err *e);

/*
 * All of a job that is nothing but job_write(): open the inputs, write, say what came of it as TITLE.
 * Returns an exit status.
 */
int job_run(struct job *job, const char *title, struct err *e);

/* Give back all that a job holds. */
void job_fini(struct job *job);

/* Fill job->plan and the parts, after classification. */
int job_plan(struct job *job, struct err *e);
void job_plan_fini(struct job *job);

/* job_shape.c: set job->plan.shape for the reader and the class that the options name, if any. */
int job_make_shape(struct job *job, struct err *e);
void job_shape_fini(struct job *job);

/* Pages that the dump calls memory, in whatever state; bytes that all outputs took. */
uint64_t job_existing_pages(const struct job *job);
uint64_t job_bytes_written(const struct job *job);

/* filter_report.c: what --show-stats, --json and --explain print, and the closing summary. */
void job_step(struct job *job, const char *title, double seconds);
void filter_report(struct job *job);
void job_report_json(const struct job *job, int status);
void filter_explain(const struct job *job);
void job_summary(struct job *job);

#endif
