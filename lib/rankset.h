/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of numbers that lies as a bitmap in a file: bit N % 8 of byte N / 8, or counted from the
 * highest bit of a byte. Members can be counted from the start (their rank), which is how a page
 * finds its descriptor.
 *
 * Memory is taken for what the bitmap has to say, not for its length: blocks of 4096 bits without
 * any are not remembered, a row of full ones is one entry. The bits of the others stay in the file,
 * mapped, or are copied where it cannot be. Once it is made, a set can be asked by several threads.
 */
#ifndef RANKSET_H
#define RANKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "source.h"

#define RANKSET_BLOCK 4096u /* bits */
#define RANKSET_BLOCK_BYTES (RANKSET_BLOCK / 8)

/* Blocks in a row that are all full, or are none of them. */
struct rankset_row {
	uint64_t block, nr;
	uint64_t rank;	     /* members before them */
	const uint8_t *bits; /* NULL: full */
	size_t ranks;	     /* index of the first block in ranks[], where there are bits */
};

struct rankset {
	uint64_t nr_bits; /* numbers below this can be members */
	bool high_first;  /* in a byte of what is added or shared */
	uint64_t total;
	struct rankset_row *rows;
	size_t nr_rows, room_rows;
	uint64_t *ranks; /* members before each block that is neither full nor empty */
	size_t nr_ranks, room_ranks;
	struct window map;
	uint8_t **slabs; /* copies of blocks */
	size_t nr_slabs, slab_fill;
};

/*
 * NR_BITS bits at offset OFF of SRC, which must outlive the set, as must its windows; holes of the
 * file are skipped. ERR_UNREADABLE names what cannot be had of it, ERR_UNSUPPORTED a bitmap so long
 * that looking through it would never end, ERR_NOMEM.
 */
int rankset_read(struct rankset *s, struct source *src, uint64_t off, uint64_t nr_bits,
		 struct err *e);
/* The same where the highest bit of a byte is the first one. */
int rankset_read_high_first(struct rankset *s, struct source *src, uint64_t off, uint64_t nr_bits,
			    struct err *e);
void rankset_fini(struct rankset *s);

/* Bits 64 * WORD and the 63 after it, the lowest first; 0 beyond the end. */
uint64_t rankset_word(const struct rankset *s, uint64_t word);

static inline bool rankset_test(const struct rankset *s, uint64_t n)
{
	return rankset_word(s, n / 64) >> n % 64 & 1;
}

/*
 * Are N and those behind it of one kind, as far as can be told without a look at bits? Then *member
 * is what they are, and *end is where that ends at the earliest; UINT64_MAX when nothing follows.
 */
bool rankset_alike(const struct rankset *s, uint64_t n, bool *member, uint64_t *end);

/*
 * Members below N. False when the bits are not any more what they were when the set was made: the
 * file was cut off meanwhile.
 */
bool rankset_rank(const struct rankset *s, uint64_t n, uint64_t *ret);

/*
 * Building a set by hand, blocks in ascending order: one with bits of its own (64 words, copied),
 * or what FROM has in [BLOCK, END), whose bits are shared. ERR_NOMEM.
 */
int rankset_add(struct rankset *s, uint64_t block, const uint64_t *words, struct err *e);
int rankset_share(struct rankset *s, const struct rankset *from, uint64_t block, uint64_t end,
		  struct err *e);

#endif
