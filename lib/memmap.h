/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map: where the kernel keeps the struct page of each page frame. Memory models by
 * presence of facts: SPARSEMEM (static and EXTREME, with or without vmemmap: mm/sparse.c), FLATMEM
 * and DISCONTIGMEM.
 */
#ifndef MEMMAP_H
#define MEMMAP_H

#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "kernel.h"
#include "pfnset.h"
#include "xlat.h"

/* Page frames whose struct pages lie one after another in virtual memory. */
struct memmap_range {
	uint64_t pfn, nr;
	uint64_t vaddr; /* of the struct page of pfn */
};

struct memmap {
	const char *model;	/* "SPARSEMEM_EXTREME" */
	uint32_t struct_size;	/* bytes of a struct page */
	uint64_t section_pages; /* nothing that belongs together crosses a multiple of this, but
				   gigantic pages */
	struct memmap_range *ranges; /* ascending */
	size_t nr_ranges;
	uint64_t bad_sections; /* present, but with an address that cannot be one */
};

/*
 * Find the memory map for the pages that PAGES covers. ERR_MISSING, ERR_UNREADABLE, ERR_NOMEM. Undo
 * with memmap_fini(), after a failure too.
 */
int memmap_init(struct memmap *m, const struct kernel *k, const struct xlat *x, struct reader *r,
		const struct pfnset *pages, struct err *e);
void memmap_fini(struct memmap *m);

/* Address of the struct page of PFN; 0 when there is none. */
uint64_t memmap_vaddr(const struct memmap *m, uint64_t pfn);

#endif
