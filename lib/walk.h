/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All pages of a dump, read and expanded by several threads, in no particular order: for who counts,
 * verifies or compares.
 */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "progress.h"

/* A page of state PAGE_DATA or PAGE_ZERO. */
struct walk_page {
	uint64_t pfn;
	const uint8_t *data; /* its bytes; NULL where they are zeros by the map, or cannot be had */
	bool zero;	     /* holds zeros */
	uint32_t codec;	     /* that it is stored in */
	const struct err *why; /* it cannot be had: says what is wrong with it; else NULL */
};

struct walk {
	struct dump *dump;
	unsigned int threads;
	const volatile int *interrupted; /* may be NULL */
	struct progress *progress;	 /* may be NULL; counts pages */
	void *priv;
	/*
	 * State for one thread, NUMBER from 0 on, made before it begins; NULL when out of memory. The
	 * function itself may be NULL: then the state is priv.
	 */
	void *(*begin)(void *priv, unsigned int number);
	/* Called for every page, by several threads at a time, each with its state. -1 ends the walk. */
	int (*page)(void *state, const struct walk_page *p, struct err *e);
	/* Called for each state that begin() made, one after the other, by the thread of walk_run(). */
	void (*end)(void *priv, void *state);
};

/* ERR_INTERRUPTED, ERR_NOMEM, or what page() said. */
int walk_run(struct walk *w, struct err *e);

#endif
