/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline: runs of kept pages are read, tested for zeros and compressed by several threads,
 * and handed to the writer in order. The only loop over pages in the program; the output does not
 * depend on the number of threads.
 *
 * There is no writer thread: whoever finishes the unit of work that is next in the file writes it,
 * and all that are done behind it. A thread that finds no free unit blocks. With one thread nothing
 * is created and nothing waits.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include "codec.h"
#include "err.h"
#include "format.h"
#include "progress.h"

/* Which pages may stay as the input has them stored, instead of being expanded and compressed. */
enum pass {
	PASS_NEVER,
	PASS_SAME, /* those in the codec that is asked for */
	PASS_ANY,  /* all */
};

struct pipeline {
	/* in */
	const struct format *format;
	const struct codec *codec; /* NULL: store pages as they are */
	int codec_level;
	enum pass pass;
	bool unchecked; /* what is passed is not expanded to see whether that works */
	unsigned int threads; /* over all parts */
	struct progress *progress;	 /* may be NULL */
	const volatile int *interrupted; /* may be NULL */
	/* out, over all parts */
	uint64_t pages, zero_pages, unreadable_pages, bytes;
	uint64_t passed; /* pages that were taken over as they were stored */
	uint64_t first_unreadable; /* PFN, when unreadable_pages is not 0 */
};

/* Bytes that a pipeline of so many threads takes for pages of PAGE_SIZE bytes. */
size_t pipeline_memory(const struct codec *codec, int level, unsigned int threads,
		       size_t page_size);

/*
 * Write all kept pages of the parts: begin() was called for each, commit() is the caller's. As many
 * parts as there are threads are written at the same time, each in order. ERR_INTERRUPTED, ERR_NOMEM, or what the
 * format's put() says.
 */
int pipeline_run(struct pipeline *p, struct part *parts, unsigned int nr_parts, struct err *e);

#endif
