/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rankset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "zero.h"

#define WORDS (RANKSET_BLOCK / 64)
#define SLAB ((size_t)64 << 10)
#define CHUNK ((size_t)64 << 10) /* looked at between two questions where the next hole is */
/* A 32-bit host has no room for more. */
#define MAX_MAP (sizeof(void *) > 4 ? (uint64_t)1 << 42 : (uint64_t)64 << 20)
/* Where holes cannot be found all of it has to be read. */
#define MAX_READ ((uint64_t)1 << 30)

/* Without a machine instruction that every host has, and faster than libgcc's. */
static unsigned int count_bits(uint64_t w)
{
	w -= w >> 1 & 0x5555555555555555;
	w = (w & 0x3333333333333333) + (w >> 2 & 0x3333333333333333);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (unsigned int)(w * 0x0101010101010101 >> 56);
}

/* The bits of each byte in the opposite order. */
static uint64_t flip_bytes(uint64_t w)
{
	w = (w >> 1 & 0x5555555555555555) | (w & 0x5555555555555555) << 1;
	w = (w >> 2 & 0x3333333333333333) | (w & 0x3333333333333333) << 2;
	return (w >> 4 & 0x0f0f0f0f0f0f0f0f) | (w & 0x0f0f0f0f0f0f0f0f) << 4;
}

static uint64_t word_at(const struct rankset *s, const uint8_t *bits, size_t word)
{
	uint64_t w = load_u64(bits + 8 * word, ORDER_LE);

	return s->high_first ? flip_bytes(w) : w;
}

/* Members among the first N bits of a block. */
static unsigned int count_below(const struct rankset *s, const uint8_t *bits, unsigned int n)
{
	unsigned int i, count = 0;

	for (i = 0; i < n / 64; i++)
		count += count_bits(load_u64(bits + 8 * i, ORDER_LE));
	if (n % 64)
		count += count_bits(word_at(s, bits, i) << (64 - n % 64));
	return count;
}

/* As is_zero() does it. */
static bool is_full(const uint8_t *bits)
{
	size_t i, j;

	for (i = 0; i < RANKSET_BLOCK_BYTES; i += 64) {
		uint64_t word[8], all = UINT64_MAX;

		memcpy(word, bits + i, sizeof(word));
		for (j = 0; j < 8; j++)
			all &= word[j];
		if (all != UINT64_MAX)
			return false;
	}
	return true;
}

/* ---- building ---- */

/* Room for one more entry of SIZE bytes behind NR. */
static int grow(void **array, size_t *room, size_t nr, size_t size, struct err *e)
{
	size_t want = *room ? *room * 2 : 64;
	void *more;

	if (nr < *room)
		return 0;
	more = want > SIZE_MAX / 2 / size ? NULL : realloc(*array, want * size);
	if (!more)
		return err_set(e, ERR_NOMEM, "no memory for %zu pieces of a bitmap", want);
	*array = more;
	*room = want;
	return 0;
}

/* The end of the last row, if blocks from BLOCK on with these bits belong to it; else a new one. */
static struct rankset_row *row_for(struct rankset *s, uint64_t block, const uint8_t *bits,
				   struct err *e)
{
	struct rankset_row *last = s->nr_rows ? &s->rows[s->nr_rows - 1] : NULL;

	if (last && last->block + last->nr == block && !last->bits == !bits &&
	    (!bits || last->bits + last->nr * RANKSET_BLOCK_BYTES == bits))
		return last;
	if (grow((void **)&s->rows, &s->room_rows, s->nr_rows, sizeof(*s->rows), e))
		return NULL;
	last = &s->rows[s->nr_rows++];
	*last = (struct rankset_row){
		.block = block, .rank = s->total, .bits = bits, .ranks = s->nr_ranks
	};
	return last;
}

static int append_full(struct rankset *s, uint64_t block, uint64_t nr, struct err *e)
{
	struct rankset_row *row = row_for(s, block, NULL, e);

	if (!row)
		return -1;
	row->nr += nr;
	s->total += nr * RANKSET_BLOCK;
	return 0;
}

/* A block whose bits stay where they are. */
static int append_bits(struct rankset *s, uint64_t block, const uint8_t *bits, unsigned int members,
		       struct err *e)
{
	struct rankset_row *row = row_for(s, block, bits, e);

	if (!row || grow((void **)&s->ranks, &s->room_ranks, s->nr_ranks, sizeof(*s->ranks), e))
		return -1;
	s->ranks[s->nr_ranks++] = s->total;
	row->nr++;
	s->total += members;
	return 0;
}

static const uint8_t *copy_block(struct rankset *s, const uint8_t *bits, struct err *e)
{
	uint8_t *to;

	if (!s->nr_slabs || s->slab_fill == SLAB) {
		uint8_t **more = realloc(s->slabs, (s->nr_slabs + 1) * sizeof(*more));

		if (more)
			s->slabs = more;
		if (!more || !(more[s->nr_slabs] = malloc(SLAB))) {
			err_set(e, ERR_NOMEM, "no memory for a bitmap");
			return NULL;
		}
		s->nr_slabs++;
		s->slab_fill = 0;
	}
	to = s->slabs[s->nr_slabs - 1] + s->slab_fill;
	memcpy(to, bits, RANKSET_BLOCK_BYTES);
	s->slab_fill += RANKSET_BLOCK_BYTES;
	return to;
}

/* A block as it is found; STABLE: its bits stay at that address. */
static int append(struct rankset *s, uint64_t block, const uint8_t *bits, bool stable,
		  struct err *e)
{
	if (is_zero(bits, RANKSET_BLOCK_BYTES))
		return 0;
	if (is_full(bits))
		return append_full(s, block, 1, e);
	if (!stable)
		bits = copy_block(s, bits, e);
	return bits ? append_bits(s, block, bits, count_below(s, bits, RANKSET_BLOCK), e) : -1;
}

int rankset_add(struct rankset *s, uint64_t block, const uint64_t *words, struct err *e)
{
	uint8_t bits[RANKSET_BLOCK_BYTES];
	struct bytes_out o = { .data = bits, .size = sizeof(bits), .order = ORDER_LE };
	size_t i;

	for (i = 0; i < WORDS; i++)
		out_uint(&o, s->high_first ? flip_bytes(words[i]) : words[i], 8);
	return append(s, block, bits, false, e);
}

/* The last block of a bitmap may end early, and what lies behind its end is no member. */
static int append_last(struct rankset *s, uint64_t block, const uint8_t *data, size_t len,
		       struct err *e)
{
	uint8_t bits[RANKSET_BLOCK_BYTES] = { 0 };
	unsigned int nr = (unsigned int)(s->nr_bits % RANKSET_BLOCK);

	memcpy(bits, data, MIN(len, sizeof(bits)));
	if (nr % 8)
		bits[nr / 8] &= (uint8_t)(s->high_first ? 0xff00 >> nr % 8 : (1 << nr % 8) - 1);
	return append(s, block, bits, false, e);
}

/* LEN bytes of the bitmap from byte AT on, which is the first of a block. */
static int append_bytes(struct rankset *s, uint64_t at, const uint8_t *data, size_t len,
			bool stable, struct err *e)
{
	uint64_t block = at / RANKSET_BLOCK_BYTES;
	size_t i;

	for (i = 0; i < len; i += RANKSET_BLOCK_BYTES, block++)
		if (block == s->nr_bits / RANKSET_BLOCK
			    ? append_last(s, block, data + i, len - i, e)
			    : append(s, block, data + i, stable, e))
			return -1;
	return 0;
}

static int read_bitmap(struct rankset *s, struct source *src, uint64_t off, uint64_t len,
		       struct err *e)
{
	_cleanup_free_ uint8_t *buf = s->map.data ? NULL : malloc(CHUNK);
	uint64_t at;
	size_t n;

	if (!s->map.data && !buf)
		return err_set(e, ERR_NOMEM, "no memory for a bitmap");
	for (at = 0; at < len; at += n) {
		uint64_t data = source_next_data(src, off + at) - off;

		if (data >= len)
			break;
		at = data - data % RANKSET_BLOCK_BYTES;
		n = (size_t)MIN(len - at, CHUNK);
		if (buf && source_read(src, off + at, buf, n, e))
			return -1;
		if (append_bytes(s, at, buf ? buf : s->map.data + at, n, !buf, e))
			return -1;
	}
	return 0;
}

static int read_set(struct rankset *s, struct source *src, uint64_t off, struct err *e)
{
	uint64_t nr_bits = s->nr_bits;
	uint64_t len = nr_bits / 8 + (nr_bits % 8 != 0), size = source_size(src),
		 before = source_my_faults();
	struct err ignored = ERR_INIT;

	if (off > size || len > size - off)
		return err_set(e, ERR_UNREADABLE,
			       "%s: ends at offset 0x%" PRIx64 ", a bitmap of 0x%" PRIx64
			       " bytes should lie at 0x%" PRIx64,
			       source_name(src), size, len, off);
	if (source_get_fd(src) < 0 && len > MAX_READ)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: a bitmap of 0x%" PRIx64
			       " bytes is too long to be looked through; in a plain file it is not",
			       source_name(src), len);
	/* Without a mapping it is read. */
	if (len && len <= MAX_MAP && source_maps(src))
		(void)!source_get_exact(src, off, (size_t)len, &s->map, &ignored);
	if (read_bitmap(s, src, off, len, e)) {
		rankset_fini(s);
		return -1;
	}
	if (source_my_faults() == before)
		return 0;
	rankset_fini(s);
	return err_set(e, ERR_UNREADABLE, "%s: the bitmap at offset 0x%" PRIx64 " cannot be read",
		       source_name(src), off);
}

int rankset_read(struct rankset *s, struct source *src, uint64_t off, uint64_t nr_bits,
		 struct err *e)
{
	*s = (struct rankset){ .nr_bits = nr_bits };
	return read_set(s, src, off, e);
}

int rankset_read_high_first(struct rankset *s, struct source *src, uint64_t off, uint64_t nr_bits,
			    struct err *e)
{
	*s = (struct rankset){ .nr_bits = nr_bits, .high_first = true };
	return read_set(s, src, off, e);
}

void rankset_fini(struct rankset *s)
{
	while (s->nr_slabs)
		free(s->slabs[--s->nr_slabs]);
	free(s->slabs);
	free(s->rows);
	free(s->ranks);
	source_put(&s->map);
	*s = (struct rankset){ .nr_bits = 0 };
}

/* ---- asking ---- */

/* The last row that begins at or before BLOCK, or the first one; NULL when there are none. */
static const struct rankset_row *row_near(const struct rankset *s, uint64_t block)
{
	size_t lo = 0, hi = s->nr_rows;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->rows[mid].block <= block)
			lo = mid;
		else
			hi = mid;
	}
	return s->nr_rows ? &s->rows[lo] : NULL;
}

static bool row_has(const struct rankset_row *row, uint64_t block)
{
	return row && block >= row->block && block - row->block < row->nr;
}

/* The row behind ROW, or NULL. */
static const struct rankset_row *row_next(const struct rankset *s, const struct rankset_row *row)
{
	return row + 1 < s->rows + s->nr_rows ? row + 1 : NULL;
}

static const uint8_t *block_bits(const struct rankset_row *row, uint64_t block)
{
	return row->bits + (block - row->block) * RANKSET_BLOCK_BYTES;
}

uint64_t rankset_word(const struct rankset *s, uint64_t word)
{
	uint64_t block = word / WORDS;
	const struct rankset_row *row = row_near(s, block);

	if (!row_has(row, block))
		return 0;
	return row->bits ? word_at(s, block_bits(row, block), word % WORDS) : UINT64_MAX;
}

bool rankset_alike(const struct rankset *s, uint64_t n, bool *member, uint64_t *end)
{
	uint64_t block = n / RANKSET_BLOCK;
	const struct rankset_row *row = row_near(s, block);

	*member = row_has(row, block);
	if (*member) {
		*end = (row->block + row->nr) * RANKSET_BLOCK;
		return !row->bits;
	}
	if (row && row->block <= block)
		row = row_next(s, row);
	*end = row ? row->block * RANKSET_BLOCK : UINT64_MAX;
	return true;
}

/* Members before block number I of a row with bits, I up to nr. */
static uint64_t rank_in_row(const struct rankset *s, const struct rankset_row *row, uint64_t i)
{
	const struct rankset_row *next = row_next(s, row);

	if (i < row->nr)
		return s->ranks[row->ranks + i];
	return next ? next->rank : s->total;
}

bool rankset_rank(const struct rankset *s, uint64_t n, uint64_t *ret)
{
	uint64_t block = n / RANKSET_BLOCK, i;
	const struct rankset_row *row = row_near(s, block);
	const uint8_t *bits;

	if (!row || row->block > block) {
		*ret = 0;
		return true;
	}
	i = MIN(block - row->block, row->nr);
	if (!row->bits) {
		*ret = row->rank +
		       (i < row->nr ? n - row->block * RANKSET_BLOCK : row->nr * RANKSET_BLOCK);
		return true;
	}
	*ret = rank_in_row(s, row, i);
	if (i == row->nr)
		return true;
	bits = block_bits(row, block);
	if (count_below(s, bits, RANKSET_BLOCK) != rank_in_row(s, row, i + 1) - *ret)
		return false;
	*ret += count_below(s, bits, n % RANKSET_BLOCK);
	return true;
}

/* ---- sharing ---- */

static int share_row(struct rankset *s, const struct rankset *from, const struct rankset_row *row,
		     uint64_t block, uint64_t end, struct err *e)
{
	if (!row->bits)
		return append_full(s, block, end - block, e);
	for (; block < end; block++) {
		uint64_t i = block - row->block;

		if (append_bits(s, block, block_bits(row, block),
				(unsigned int)(rank_in_row(from, row, i + 1) -
					       rank_in_row(from, row, i)),
				e))
			return -1;
	}
	return 0;
}

int rankset_share(struct rankset *s, const struct rankset *from, uint64_t block, uint64_t end,
		  struct err *e)
{
	const struct rankset_row *row = row_near(from, block);

	s->nr_bits = from->nr_bits;
	s->high_first = from->high_first;
	for (; row && row->block < end; row = row_next(from, row)) {
		uint64_t first = MAX(block, row->block), last = MIN(end, row->block + row->nr);

		if (first < last && share_row(s, from, row, first, last, e))
			return -1;
	}
	return 0;
}
