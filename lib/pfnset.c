/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pfnset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "budget.h"
#include "cleanup.h"

static bool in_universe(enum page_state state)
{
	return state == PAGE_DATA || state == PAGE_ZERO;
}

static int grow(struct pfnset *s, size_t *room, struct err *e)
{
	size_t want = *room + *room / 4 + 16; /* by little: the last step is not used up */
	struct pfn_range *more = realloc(s->ranges, want * sizeof(*more));

	if (!more)
		return err_set(e, ERR_NOMEM, "no memory for %zu ranges of pages", want);
	s->ranges = more;
	*room = want;
	return 0;
}

static int add_range(struct pfnset *s, size_t *room, uint64_t pfn, uint64_t nr, struct err *e)
{
	struct pfn_range *last = s->nr_ranges ? &s->ranges[s->nr_ranges - 1] : NULL;
	uint64_t gap = last ? pfn - (last->pfn + last->nr) : 0;

	if (last && gap < (s->nr_ranges > PFNSET_EXACT ? PFNSET_GAP : 1)) {
		last->nr += gap + nr;
		s->nr_bits += gap + nr;
		return 0;
	}
	if (s->nr_ranges == *room && grow(s, room, e))
		return -1;
	s->ranges[s->nr_ranges++] = (struct pfn_range){ .pfn = pfn, .nr = nr, .base = s->nr_bits };
	s->nr_exact = MIN(s->nr_ranges, (size_t)PFNSET_EXACT);
	s->nr_bits += nr;
	return 0;
}

static void shrink(struct pfnset *s)
{
	struct pfn_range *less =
		s->nr_ranges ? realloc(s->ranges, s->nr_ranges * sizeof(*less)) : NULL;

	if (less)
		s->ranges = less;
}

static size_t words(const struct pfnset *s)
{
	return (size_t)((s->nr_bits + 63) / 64);
}

int pfnset_init(struct pfnset *s, const struct dump *d, struct err *e)
{
	struct run run;
	uint64_t pfn = 0;
	size_t room = 0;

	*s = (struct pfnset){ .dump = d, .changed = true };
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		if (in_universe(run.state) && add_range(s, &room, run.pfn, run.nr, e))
			return -1;
	if (s->nr_bits / 8 > MIN(budget_available(), (uint64_t)SIZE_MAX / 2))
		return err_set(e, ERR_NOMEM, "a bitmap for %" PRIu64 " pages does not fit",
			       s->nr_bits);
	shrink(s);
	s->bits = mmap(NULL, words(s) * 8 + 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (s->bits == MAP_FAILED) {
		s->bits = NULL;
		return err_set(e, ERR_NOMEM, "no memory for a bitmap of %" PRIu64 " pages",
			       s->nr_bits);
	}
	pfnset_fill(s);
	return 0;
}

void pfnset_fini(struct pfnset *s)
{
	if (s->bits)
		munmap(s->bits, words(s) * 8 + 8);
	free(s->ranges);
	*s = (struct pfnset){ .nr_ranges = 0 };
}

size_t pfnset_memory(const struct pfnset *s)
{
	return words(s) * 8 + s->nr_ranges * sizeof(*s->ranges);
}

size_t pfnset_range_at(const struct pfnset *s, uint64_t pfn)
{
	size_t lo = 0, hi = s->nr_ranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].pfn + s->ranges[mid].nr <= pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The same inside of range number I, which the dump is asked about. */
static bool next_asked(const struct pfnset *s, size_t i, uint64_t pfn, uint64_t *ret_pfn,
		       uint64_t *ret_nr)
{
	const struct pfn_range *r = &s->ranges[i];
	uint64_t end = r->pfn + r->nr;
	struct run run = { .pfn = MAX(pfn, r->pfn) };

	for (; dump_next_run(s->dump, SPACE_PHYS, run.pfn + run.nr, &run) && run.pfn < end;)
		if (in_universe(run.state)) {
			*ret_pfn = run.pfn;
			*ret_nr = MIN(end - run.pfn, run.nr);
			return true;
		}
	return false;
}

bool pfnset_next_covered(const struct pfnset *s, uint64_t pfn, uint64_t *ret_pfn, uint64_t *ret_nr)
{
	size_t i = pfnset_range_at(s, pfn);

	for (; i >= s->nr_exact && i < s->nr_ranges; i++)
		if (next_asked(s, i, pfn, ret_pfn, ret_nr))
			return true;
	if (i >= s->nr_ranges)
		return false;
	*ret_pfn = MAX(pfn, s->ranges[i].pfn);
	*ret_nr = s->ranges[i].pfn + s->ranges[i].nr - *ret_pfn;
	return true;
}

bool pfnset_covers(const struct pfnset *s, uint64_t pfn)
{
	size_t i = pfnset_range_at(s, pfn);

	if (i == s->nr_ranges || s->ranges[i].pfn > pfn)
		return false;
	return i < s->nr_exact || in_universe(dump_page_state(s->dump, SPACE_PHYS, pfn));
}

static uint64_t load_word(const struct pfnset *s, uint64_t w)
{
	return __atomic_load_n(&s->bits[w], __ATOMIC_RELAXED);
}

bool pfnset_test(const struct pfnset *s, uint64_t pfn)
{
	size_t i = pfnset_range_at(s, pfn);
	uint64_t bit;

	if (i == s->nr_ranges || s->ranges[i].pfn > pfn)
		return false;
	bit = s->ranges[i].base + (pfn - s->ranges[i].pfn);
	return load_word(s, bit / 64) >> (bit % 64) & 1;
}

enum bit_op { BITS_CLEAR, BITS_SET, BITS_COUNT };

/* Apply OP to bits [FIRST, LAST); returns how many changed, or were set. */
static uint64_t op_bits(const struct pfnset *s, uint64_t first, uint64_t last, enum bit_op op)
{
	uint64_t n = 0;

	while (first < last) {
		uint64_t w = first / 64, end = MIN(last, (w + 1) * 64);
		uint64_t mask = (end - first == 64 ? ~0ULL
						   : ((1ULL << (end - first)) - 1) << (first % 64)),
			 old;

		if (op == BITS_CLEAR)
			old = __atomic_fetch_and(&s->bits[w], ~mask, __ATOMIC_RELAXED) & mask;
		else if (op == BITS_SET)
			old = ~__atomic_fetch_or(&s->bits[w], mask, __ATOMIC_RELAXED) & mask;
		else
			old = load_word(s, w) & mask;
		n += (uint64_t)__builtin_popcountll(old);
		first = end;
	}
	return n;
}

/* OP to the bits of range R in [PFN, END), where they meet. */
static uint64_t op_part(const struct pfnset *s, const struct pfn_range *r, uint64_t pfn,
			uint64_t end, enum bit_op op)
{
	uint64_t from = MAX(pfn, r->pfn), to = MIN(end, r->pfn + r->nr);

	return from < to ? op_bits(s, r->base + (from - r->pfn), r->base + (to - r->pfn), op) : 0;
}

static uint64_t op_range(const struct pfnset *s, uint64_t pfn, uint64_t end, enum bit_op op)
{
	uint64_t n = 0;
	size_t i;

	for (i = pfnset_range_at(s, pfn); i < s->nr_ranges && s->ranges[i].pfn < end; i++)
		n += op_part(s, &s->ranges[i], pfn, end, op);
	return n;
}

static uint64_t range_end(uint64_t pfn, uint64_t nr)
{
	return nr > UINT64_MAX - pfn ? UINT64_MAX : pfn + nr;
}

/* Several threads come here: no more writing than is needed. */
static void mark_changed(struct pfnset *s)
{
	if (!__atomic_load_n(&s->changed, __ATOMIC_RELAXED))
		__atomic_store_n(&s->changed, true, __ATOMIC_RELAXED);
}

uint64_t pfnset_clear(struct pfnset *s, uint64_t pfn, uint64_t nr)
{
	mark_changed(s);
	return op_range(s, pfn, range_end(pfn, nr), BITS_CLEAR);
}

uint64_t pfnset_set(struct pfnset *s, uint64_t pfn, uint64_t nr)
{
	uint64_t end = range_end(pfn, nr), n = 0, at, len;
	size_t i;

	for (i = pfnset_range_at(s, pfn); i < s->nr_ranges && s->ranges[i].pfn < end; i++) {
		const struct pfn_range *r = &s->ranges[i];

		if (i < s->nr_exact) {
			n += op_part(s, r, pfn, end, BITS_SET);
			continue;
		}
		for (at = pfn; next_asked(s, i, at, &at, &len) && at < end; at += len)
			n += op_part(s, r, at, MIN(end, at + len), BITS_SET);
	}
	return n;
}

void pfnset_fill(struct pfnset *s)
{
	uint64_t exact = s->nr_exact < s->nr_ranges ? s->ranges[s->nr_exact].base : s->nr_bits, at;

	if (!s->changed)
		return;
	memset(s->bits, 0xff, words(s) * 8);
	if (exact < s->nr_bits) {
		op_bits(s, exact, s->nr_bits, BITS_CLEAR);
		at = s->ranges[s->nr_exact].pfn;
		pfnset_set(s, at, UINT64_MAX - at);
	}
	s->changed = false;
}

void pfnset_intersect(struct pfnset *s, const struct pfnset *other)
{
	size_t i;

	mark_changed(s);
	for (i = 0; i < words(s); i++)
		s->bits[i] &= other->bits[i];
}

int pfnset_ranks_init(struct pfnset_ranks *r, const struct pfnset *s, struct err *e)
{
	uint64_t nr = s->nr_bits / PFNSET_RANK_BITS + 1, i, n = 0;

	r->before = calloc((size_t)nr, sizeof(*r->before));
	if (!r->before)
		return err_set(e, ERR_NOMEM, "no memory to count pages by");
	for (i = 0; i < nr; i++) {
		r->before[i] = n;
		n += op_bits(s, i * PFNSET_RANK_BITS,
			     MIN((i + 1) * PFNSET_RANK_BITS, s->nr_bits), BITS_COUNT);
	}
	return 0;
}

void pfnset_ranks_fini(struct pfnset_ranks *r)
{
	free(r->before);
	r->before = NULL;
}

uint64_t pfnset_rank(const struct pfnset *s, const struct pfnset_ranks *r, uint64_t pfn)
{
	size_t i = pfnset_range_at(s, pfn);
	uint64_t bit = s->nr_bits;

	if (i < s->nr_ranges)
		bit = s->ranges[i].base + (MAX(pfn, s->ranges[i].pfn) - s->ranges[i].pfn);
	return r->before[bit / PFNSET_RANK_BITS] +
	       op_bits(s, bit - bit % PFNSET_RANK_BITS, bit, BITS_COUNT);
}

uint64_t pfnset_count(const struct pfnset *s, uint64_t start, uint64_t end)
{
	return op_range(s, start, end, BITS_COUNT);
}

/* First bit at or after BIT whose value is WANT, or LAST. */
static uint64_t find_bit(const struct pfnset *s, uint64_t bit, uint64_t last, bool want)
{
	while (bit < last) {
		uint64_t word = load_word(s, bit / 64);

		word = (want ? word : ~word) >> (bit % 64);
		if (word)
			return MIN(last, bit + (uint64_t)__builtin_ctzll(word));
		bit = (bit / 64 + 1) * 64;
	}
	return last;
}

bool pfnset_next(const struct pfnset *s, uint64_t pfn, uint64_t end, uint64_t max,
		 uint64_t *ret_pfn, uint64_t *ret_nr)
{
	size_t i;

	for (i = pfnset_range_at(s, pfn); i < s->nr_ranges && s->ranges[i].pfn < end; i++) {
		const struct pfn_range *r = &s->ranges[i];
		uint64_t last = r->base + (MIN(end, r->pfn + r->nr) - r->pfn);
		uint64_t first = find_bit(s, r->base + (MAX(pfn, r->pfn) - r->pfn), last, true);

		if (first == last)
			continue;
		*ret_pfn = r->pfn + (first - r->base);
		*ret_nr = find_bit(s, first, first + MIN(max, last - first), false) - first;
		return true;
	}
	return false;
}
