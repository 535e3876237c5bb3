/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a long job is. lib counts and asks a clock; what becomes of it (a line on a terminal,
 * whole lines on a console, JSON) is the tool's concern.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>

struct progress {
	/* Called at most every `interval` seconds, and at the end, from whichever thread works. */
	void (*show)(struct progress *p);
	double interval;
	/* for show() */
	const char *title;
	const char *unit; /* what done and total count: "pages", unless told otherwise */
	uint64_t done, total;
	double elapsed;	  /* seconds since progress_start() */
	double remaining; /* seconds, by what was done so far; negative while unknown */
	int finished;
	/* private */
	double started, shown;
};

/* Begin a step of TOTAL units. P may be NULL here and below. */
void progress_start(struct progress *p, const char *title, uint64_t total);
/* DONE units are done; call from one thread at a time. */
void progress_at(struct progress *p, uint64_t done);
/* The step is over. */
void progress_end(struct progress *p);

/* Monotonic seconds. */
double progress_clock(void);

#endif
