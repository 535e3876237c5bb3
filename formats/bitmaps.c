/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bitmaps.h"

#include "cleanup.h"

void bitmaps_fini(struct bitmaps *m)
{
	rankset_fini(&m->bad); /* shares bits with kept */
	rankset_fini(&m->kept);
	rankset_fini(&m->exist);
}

/* ---- units ---- */

/* 64 units that are in STATE, a bit each. */
static uint64_t state_word(const struct bitmaps *m, uint64_t word, enum page_state state)
{
	uint64_t kept = rankset_word(&m->kept, word);

	switch (state) {
	case PAGE_DATA:
		return kept & ~rankset_word(&m->bad, word);
	case PAGE_UNREADABLE:
		return kept & rankset_word(&m->bad, word);
	case PAGE_EXCLUDED:
		return rankset_word(&m->exist, word) & ~kept;
	default:
		return ~(kept | rankset_word(&m->exist, word));
	}
}

static enum page_state state_of(bool exists, bool kept, bool bad)
{
	if (kept)
		return bad ? PAGE_UNREADABLE : PAGE_DATA;
	return exists ? PAGE_EXCLUDED : PAGE_ABSENT;
}

enum page_state bitmaps_unit_state(const struct bitmaps *m, uint64_t unit)
{
	return state_of(rankset_test(&m->exist, unit), rankset_test(&m->kept, unit),
			rankset_test(&m->bad, unit));
}

/* Are units from UNIT on, up to *end, all in the state *ret, as far as that needs no look at bits?
 */
static bool units_alike(const struct bitmaps *m, uint64_t unit, enum page_state *ret, uint64_t *end)
{
	bool kept, other;
	uint64_t other_end;

	if (!rankset_alike(&m->kept, unit, &kept, end) ||
	    !rankset_alike(kept ? &m->bad : &m->exist, unit, &other, &other_end))
		return false;
	*end = MIN(*end, other_end);
	*ret = state_of(other, kept, other);
	return true;
}

/*
 * The first unit at or after UNIT that is not in STATE. A row of whole blocks is one step, and a
 * block that is neither whole nor empty ends a run, or its neighbour does: few steps, however long
 * the run.
 */
static uint64_t run_end(const struct bitmaps *m, uint64_t unit, enum page_state state)
{
	while (unit < m->nr_units) {
		uint64_t block_end = (unit / RANKSET_BLOCK + 1) * RANKSET_BLOCK, end;
		enum page_state here;

		if (units_alike(m, unit, &here, &end)) {
			if (here != state)
				return unit;
			unit = end;
			continue;
		}
		while (unit < block_end) {
			uint64_t other = ~state_word(m, unit / 64, state) >> unit % 64;

			if (other)
				return unit + (unsigned int)__builtin_ctzll(other);
			unit = (unit / 64 + 1) * 64;
		}
	}
	return m->nr_units;
}

bool bitmaps_next_units(const struct bitmaps *m, uint64_t unit, struct run *ret)
{
	uint64_t from = unit > m->bias ? unit - m->bias : 0, end;

	if (from >= m->nr_units)
		return false;
	if (bitmaps_unit_state(m, from) == PAGE_ABSENT)
		from = run_end(m, from, PAGE_ABSENT);
	if (from >= m->nr_units)
		return false;
	ret->state = bitmaps_unit_state(m, from);
	end = run_end(m, from, ret->state);
	ret->pfn = from + m->bias;
	ret->nr = MIN(end, m->nr_units) - from;
	return true;
}

/* ---- pages ---- */

/* A page that is put together is data if all of it is that exists: what was left out is not zero.
 */
enum page_state bitmaps_joined_state(const struct bitmaps *m, uint64_t unit, uint64_t nr)
{
	enum page_state all = PAGE_ABSENT;

	for (; nr; nr--, unit++) {
		enum page_state s = unit < m->bias || unit - m->bias >= m->nr_units
					    ? PAGE_ABSENT
					    : bitmaps_unit_state(m, unit - m->bias);

		all = MAX(all, s); /* the enumeration ascends in that order */
	}
	return all;
}

static bool next_joined(const struct bitmaps *m, uint64_t pfn, struct run *ret)
{
	unsigned int shift = m->page_shift - m->unit_shift;
	uint64_t per_page = (uint64_t)1 << shift;
	struct run units;

	if (!bitmaps_next_units(m, pfn << shift, &units))
		return false;
	ret->pfn = units.pfn >> shift;
	if (units.pfn % per_page == 0 && units.nr >= per_page) {
		ret->nr = units.nr >> shift;
		ret->state = units.state;
	} else {
		ret->nr = 1;
		ret->state = bitmaps_joined_state(m, ret->pfn << shift, per_page);
	}
	return true;
}

static bool next_cut(const struct bitmaps *m, uint64_t pfn, struct run *ret)
{
	unsigned int shift = m->unit_shift - m->page_shift;
	uint64_t end;

	if (!bitmaps_next_units(m, pfn >> shift, ret))
		return false;
	end = (ret->pfn + ret->nr) << shift;
	ret->pfn = MAX(ret->pfn << shift, pfn);
	ret->nr = end - ret->pfn;
	return true;
}

/* Beyond what a header can say, and small enough to be counted in other units. */
#define MAX_PFN ((uint64_t)1 << 58)

bool bitmaps_next_run(const struct bitmaps *m, uint64_t pfn, struct run *ret)
{
	if (pfn >= MAX_PFN)
		return false;
	return m->page_shift > m->unit_shift ? next_joined(m, pfn, ret) : next_cut(m, pfn, ret);
}

enum page_state bitmaps_page_state(const struct bitmaps *m, uint64_t pfn)
{
	unsigned int joined = m->page_shift > m->unit_shift ? m->page_shift - m->unit_shift : 0,
		     cut = m->unit_shift > m->page_shift ? m->unit_shift - m->page_shift : 0;

	return pfn >= MAX_PFN
		       ? PAGE_ABSENT
		       : bitmaps_joined_state(m, (pfn << joined) >> cut, (uint64_t)1 << joined);
}

static uint64_t count_bad(const struct bitmaps *m)
{
	uint64_t pfn = 0, nr = 0;
	struct run run;

	for (; bitmaps_next_run(m, pfn, &run); pfn = run.pfn + run.nr)
		nr += run.state == PAGE_UNREADABLE ? run.nr : 0;
	return nr;
}

void bitmaps_count_bad(struct dump *d, struct bitmaps *m)
{
	d->damage.unreadable_pages -= m->counted;
	m->counted = m->bad.total ? count_bad(m) : 0;
	d->damage.unreadable_pages += m->counted;
}

/* ---- marking ---- */

struct marks marks_begin(struct bitmaps *map)
{
	map->bad.nr_bits = map->kept.nr_bits;
	map->bad.high_first = map->kept.high_first;
	return (struct marks){ .map = map };
}

int marks_end(struct marks *m, struct err *e)
{
	if (m->any && rankset_add(&m->map->bad, m->block, m->words, e))
		return -1;
	memset(m->words, 0, sizeof(m->words));
	m->any = false;
	return 0;
}

int marks_word(struct marks *m, uint64_t word, uint64_t bits, struct err *e)
{
	if (!bits)
		return 0;
	if (m->any && m->block != word / BITMAPS_WORDS && marks_end(m, e))
		return -1;
	m->block = word / BITMAPS_WORDS;
	m->words[word % BITMAPS_WORDS] |= bits;
	m->any = true;
	m->total += (unsigned int)__builtin_popcountll(bits);
	return 0;
}

uint64_t marks_kept(const struct marks *m, uint64_t word, uint64_t from, uint64_t to)
{
	uint64_t bits = rankset_word(&m->map->kept, word), first = word * 64;

	if (from > first)
		bits = from - first < 64 ? bits & UINT64_MAX << (from - first) : 0;
	if (to < first + 64)
		bits = to > first ? bits & UINT64_MAX >> (first + 64 - to) : 0;
	return bits;
}

/* All kept units in [FROM, TO), inside one block. */
static int mark_in_block(struct marks *m, uint64_t from, uint64_t to, struct err *e)
{
	uint64_t word;

	for (word = from / 64; word * 64 < to; word++)
		if (marks_word(m, word, marks_kept(m, word, from, to), e))
			return -1;
	return 0;
}

int marks_range(struct marks *m, uint64_t from, uint64_t to, struct err *e)
{
	uint64_t first = from / RANKSET_BLOCK + (from % RANKSET_BLOCK != 0),
		 end = to / RANKSET_BLOCK, before;

	if (first >= end) {
		uint64_t middle = MIN(first * RANKSET_BLOCK, to);

		return from < to && (mark_in_block(m, from, middle, e) ||
				     mark_in_block(m, middle, to, e))
			       ? -1
			       : 0;
	}
	if (mark_in_block(m, from, first * RANKSET_BLOCK, e) || marks_end(m, e))
		return -1;
	before = m->map->bad.total;
	if (rankset_share(&m->map->bad, &m->map->kept, first, end, e))
		return -1;
	m->total += m->map->bad.total - before;
	return mark_in_block(m, end * RANKSET_BLOCK, to, e);
}
