/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter job, between the files of the filter command. */
#ifndef FILTER_H
#define FILTER_H

#include "classify.h"
#include "filter_opts.h"
#include "format.h"
#include "pipeline.h"
#include "session.h"
#include "talk.h"

struct filter_job {
	struct filter_opts opts;
	struct talk talk;
	struct session session;
	struct sink *sinks[MAX_OUTPUTS];
	struct part parts[MAX_OUTPUTS];
	unsigned int nr_parts;
	struct pfnset keep;
	struct classify classify;
	struct explanation explanation;
	struct plan plan;
	struct pipeline pipeline;
	uint8_t *tool_note;
	double classify_seconds, copy_seconds;
	bool started; /* output has bytes: a failure leaves an incomplete dump */
};

/* filter_plan.c: fill job->plan and the parts, after classification. */
int filter_plan(struct filter_job *job, struct err *e);
void filter_plan_fini(struct filter_job *job);

/* filter_report.c: what --show-stats, --json and --explain print, and the closing summary. */
void filter_step(struct filter_job *job, const char *title, double seconds);
void filter_report(struct filter_job *job);
void filter_report_json(const struct filter_job *job, int status);
void filter_explain(const struct filter_job *job);
void filter_summary(struct filter_job *job);

#endif
