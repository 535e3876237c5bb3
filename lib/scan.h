/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk over struct pages behind lib/classify.h: one pass, in parallel. */
#ifndef SCAN_H
#define SCAN_H

#include "classify.h"

/*
 * Judge every page that c->keep covers and clear what is dropped; c->rules and c->memmap are set.
 * Fills dropped, unjudged and the explanation. ERR_NOMEM, ERR_INTERRUPTED.
 */
int scan_run(struct classify *c, struct err *e);

/*
 * The verdict that dropped PFN, found again: its own, or that of the first page of a block around
 * it. The page it was about is *RET_PFN. KIND_KEPT when there is none, which only a dump that
 * contradicts itself can bring about.
 */
struct verdict scan_dropped_by(const struct classify *c, struct reader *r, uint64_t pfn,
			       uint64_t *ret_pfn);

/* Copy the struct page of PFN into BUF. ERR_MISSING when there is none. */
int scan_struct_page(const struct classify *c, struct reader *r, uint64_t pfn, void *buf,
		     struct err *e);

#endif
