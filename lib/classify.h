/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decide which pages a dump of a given level keeps: walk the memory map section by section, in
 * parallel, and take the pages whose struct page says so out of the set. Then make sure that the
 * decision is plausible and that nothing a debugger cannot do without was dropped.
 */
#ifndef CLASSIFY_H
#define CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "kernel.h"
#include "memmap.h"
#include "pfnset.h"
#include "rules.h"
#include "xlat.h"

/* Why one page was kept or dropped; for --explain. */
struct explanation {
	uint64_t pfn; /* asked for, set by the caller */
	bool has_struct_page;
	uint64_t struct_vaddr; /* of its own struct page */
	struct page_fields fields;
	struct verdict own; /* what its own struct page says */
	bool dropped;
	uint64_t
		by_pfn; /* the page whose verdict dropped it: itself or the head of a larger page */
	struct verdict by;
	const char *guarded; /* it would have been dropped, but it is this: "a page table" */
};

struct classify {
	/* in */
	struct dump *dump;
	const struct kernel *kernel;
	const struct xlat *xlat;
	int level;
	unsigned int threads;
	struct log *log;
	const volatile int *interrupted; /* stop early when not 0; may be NULL */
	void (*progress)(void *priv, uint64_t done, uint64_t total); /* pages judged; may be NULL */
	void *progress_priv;
	struct explanation *explain; /* may be NULL */
	/* in and out: all pages at first */
	struct pfnset *keep;
	/* out */
	struct rules rules;
	struct memmap memmap;
	uint64_t dropped[NR_KINDS]; /* pages that are left out, by kind */
	uint64_t guarded;   /* pages put back because they must not be dropped; not in dropped */
	uint64_t heads, lone_heads; /* compound pages; those without a tail, judged alone */
	uint64_t unjudged;  /* pages whose struct page could not be read: kept */
	uint64_t zone_free; /* free pages by the zone counters; UINT64_MAX where unknown */
	bool degraded;	    /* more is kept than was asked for; the log has said why */
};

/*
 * Run it. Whatever is wrong with the memory map, the result is a set that can be dumped: at worst
 * all pages, with a warning. The only errors are ERR_NOMEM and ERR_INTERRUPTED. Undo with
 * classify_fini(), after a failure too.
 */
int classify_run(struct classify *c, struct err *e);
void classify_fini(struct classify *c);

#endif
