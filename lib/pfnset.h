/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of page frames over the memory that exists: one bit per page of it, nothing for holes,
 * however high the addresses are. Clearing and setting is atomic: several threads may do it at the
 * same time.
 *
 * A range costs 24 bytes. A dump that was filtered before, or means harm, has millions of them:
 * behind the first PFNSET_EXACT of them those that lie closer than PFNSET_GAP share one, and what
 * lies between them is bits that are never set. Which pages are in the universe is asked of the
 * dump there. So a set never takes more than a bit for each page from the first to the last, and 24
 * KiB.
 */
#ifndef PFNSET_H
#define PFNSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"

#define PFNSET_EXACT 1024u
#define PFNSET_GAP 256u

struct pfn_range {
	uint64_t pfn, nr;
	uint64_t base; /* index of the first page's bit */
};

struct pfnset {
	const struct dump *dump;
	/* Ascending, apart from each other; each begins and ends with a page of the universe. */
	struct pfn_range *ranges;
	size_t nr_ranges, nr_exact; /* the latter hold nothing else */
	uint64_t *bits;
	uint64_t nr_bits;
	bool changed; /* since it was filled */
};

/*
 * The universe is every page of D, which must outlive it, in state PAGE_DATA or PAGE_ZERO; all of
 * them are in the set. ERR_NOMEM.
 */
int pfnset_init(struct pfnset *s, const struct dump *d, struct err *e);
void pfnset_fini(struct pfnset *s);

/* Bytes of memory that the set takes. */
size_t pfnset_memory(const struct pfnset *s);

/* Index of the first range that ends after PFN; nr_ranges when there is none. */
size_t pfnset_range_at(const struct pfnset *s, uint64_t pfn);

/* Put all pages of the universe into the set. */
void pfnset_fill(struct pfnset *s);

/*
 * The first run of pages of the universe at or after PFN, maybe one of several that touch. False
 * when there is none.
 */
bool pfnset_next_covered(const struct pfnset *s, uint64_t pfn, uint64_t *ret_pfn, uint64_t *ret_nr);

/* Is PFN in the universe; is it in the set? */
bool pfnset_covers(const struct pfnset *s, uint64_t pfn);
bool pfnset_test(const struct pfnset *s, uint64_t pfn);

/*
 * Take NR pages from PFN on out, or put them in; what is outside the universe is skipped. Returns
 * how many changed.
 */
uint64_t pfnset_clear(struct pfnset *s, uint64_t pfn, uint64_t nr);
uint64_t pfnset_set(struct pfnset *s, uint64_t pfn, uint64_t nr);

/* Take out of S what is not in OTHER, of the same universe. */
void pfnset_intersect(struct pfnset *s, const struct pfnset *other);

/*
 * How many pages of the set lie before one, without counting them all: 1/64 of the set's memory. Good as
 * long as the set does not change. ERR_NOMEM.
 */
struct pfnset_ranks {
	uint64_t *before; /* each PFNSET_RANK_BITS bits */
};

#define PFNSET_RANK_BITS 4096u

int pfnset_ranks_init(struct pfnset_ranks *r, const struct pfnset *s, struct err *e);
void pfnset_ranks_fini(struct pfnset_ranks *r);
uint64_t pfnset_rank(const struct pfnset *s, const struct pfnset_ranks *r, uint64_t pfn);

/* Pages of the set in [START, END). */
uint64_t pfnset_count(const struct pfnset *s, uint64_t start, uint64_t end);

/*
 * The first run of pages in the set at or after PFN and before END, at most MAX long. False when
 * there is none.
 */
bool pfnset_next(const struct pfnset *s, uint64_t pfn, uint64_t end, uint64_t max,
		 uint64_t *ret_pfn, uint64_t *ret_nr);

#endif
