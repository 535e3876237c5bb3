/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "progress.h"

#include <time.h>

double progress_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void progress_start(struct progress *p, const char *title, uint64_t total)
{
	if (!p)
		return;
	p->title = title;
	p->unit = "pages";
	p->total = total;
	p->done = 0;
	p->finished = 0;
	p->started = progress_clock();
	p->shown = p->started;
}

static void show(struct progress *p, double now)
{
	p->shown = now;
	p->elapsed = now - p->started;
	p->remaining = p->done ? p->elapsed * (double)(p->total - p->done) / (double)p->done : -1;
	p->show(p);
}

void progress_at(struct progress *p, uint64_t done)
{
	double now;

	if (!p)
		return;
	p->done = done < p->total ? done : p->total;
	now = progress_clock();
	if (now - p->shown >= p->interval)
		show(p, now);
}

void progress_end(struct progress *p)
{
	if (!p)
		return;
	p->done = p->total;
	p->finished = 1;
	show(p, progress_clock());
}
