/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pfnset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "budget.h"
#include "cleanup.h"

static int add_range(struct pfnset *s, size_t *room, uint64_t pfn, uint64_t nr, struct err *e)
{
	struct pfn_range *last = s->nr_ranges ? &s->ranges[s->nr_ranges - 1] : NULL;

	if (last && last->pfn + last->nr == pfn) {
		last->nr += nr;
		s->nr_bits += nr;
		return 0;
	}
	if (s->nr_ranges == *room) {
		size_t want = *room ? *room * 2 : 16;
		struct pfn_range *more = realloc(s->ranges, want * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu ranges of pages", want);
		s->ranges = more;
		*room = want;
	}
	s->ranges[s->nr_ranges++] = (struct pfn_range){ .pfn = pfn, .nr = nr, .base = s->nr_bits };
	s->nr_bits += nr;
	return 0;
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

	*s = (struct pfnset){ .nr_ranges = 0 };
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		if ((run.state == PAGE_DATA || run.state == PAGE_ZERO) &&
		    add_range(s, &room, run.pfn, run.nr, e))
			return -1;
	if (s->nr_bits / 8 > MIN(budget_available(), (uint64_t)SIZE_MAX / 2))
		return err_set(e, ERR_NOMEM, "a bitmap for %" PRIu64 " pages does not fit",
			       s->nr_bits);
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

void pfnset_fill(struct pfnset *s)
{
	memset(s->bits, 0xff, words(s) * 8);
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

bool pfnset_covers(const struct pfnset *s, uint64_t pfn)
{
	size_t i = pfnset_range_at(s, pfn);

	return i < s->nr_ranges && s->ranges[i].pfn <= pfn;
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

static uint64_t op_range(const struct pfnset *s, uint64_t pfn, uint64_t end, enum bit_op op)
{
	uint64_t n = 0;
	size_t i;

	for (i = pfnset_range_at(s, pfn); i < s->nr_ranges && s->ranges[i].pfn < end; i++) {
		const struct pfn_range *r = &s->ranges[i];
		uint64_t from = MAX(pfn, r->pfn), to = MIN(end, r->pfn + r->nr);

		n += op_bits(s, r->base + (from - r->pfn), r->base + (to - r->pfn), op);
	}
	return n;
}

static uint64_t range_end(uint64_t pfn, uint64_t nr)
{
	return nr > UINT64_MAX - pfn ? UINT64_MAX : pfn + nr;
}

uint64_t pfnset_clear(struct pfnset *s, uint64_t pfn, uint64_t nr)
{
	return op_range(s, pfn, range_end(pfn, nr), BITS_CLEAR);
}

uint64_t pfnset_set(struct pfnset *s, uint64_t pfn, uint64_t nr)
{
	return op_range(s, pfn, range_end(pfn, nr), BITS_SET);
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
