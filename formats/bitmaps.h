/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of formats that tell by two bitmaps what memory is: the memory that exists, and the pages
 * of it that are in the file. What costs memory is what the bitmaps say, not how often that
 * changes.
 *
 * A unit is what a bit stands for. Pages of the dump and units are mostly the same; where they are
 * not, a page is a piece of a unit, or is put together from several.
 */
#ifndef FORMATS_BITMAPS_H
#define FORMATS_BITMAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "rankset.h"

struct bitmaps {
	struct rankset exist, kept;
	struct rankset bad; /* kept, but the page is not there */
	uint64_t nr_units;
	uint64_t bias; /* added to a unit of the bitmaps: where they begin, in memory */
	unsigned int unit_shift, page_shift;
	uint64_t counted; /* pages that were added to the dump's damage */
};

void bitmaps_fini(struct bitmaps *m);

/* State of a unit of the bitmaps, and of NR units of memory taken together. */
enum page_state bitmaps_unit_state(const struct bitmaps *m, uint64_t unit);
enum page_state bitmaps_joined_state(const struct bitmaps *m, uint64_t unit, uint64_t nr);

/* The first run of units of memory at or after UNIT, see struct map_ops. */
bool bitmaps_next_units(const struct bitmaps *m, uint64_t unit, struct run *ret);

/* See struct map_ops. */
bool bitmaps_next_run(const struct bitmaps *m, uint64_t pfn, struct run *ret);
enum page_state bitmaps_page_state(const struct bitmaps *m, uint64_t pfn);

/* The pages of D have their size now: count those that are bad. bias is set by then. */
void bitmaps_count_bad(struct dump *d, struct bitmaps *m);

/* ---- which units are bad: marked in ascending order, when kept and nr_units are set ---- */

#define BITMAPS_WORDS (RANKSET_BLOCK / 64)

/* The block that is being marked; whole rows go past it. */
struct marks {
	struct bitmaps *map;
	uint64_t block;
	uint64_t words[BITMAPS_WORDS];
	bool any;
	uint64_t total; /* units marked so far */
};

struct marks marks_begin(struct bitmaps *map);
int marks_end(struct marks *m, struct err *e);

/* Kept units of one word, those of [FROM, TO). */
uint64_t marks_kept(const struct marks *m, uint64_t word, uint64_t from, uint64_t to);

/* Those of WORD that are set in BITS; all kept units in [FROM, TO). */
int marks_word(struct marks *m, uint64_t word, uint64_t bits, struct err *e);
int marks_range(struct marks *m, uint64_t from, uint64_t to, struct err *e);

#endif
