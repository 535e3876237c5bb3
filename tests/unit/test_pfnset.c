/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/pfnset.c against an array of booleans, over a memory with holes. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "pfnset.h"
#include "tap.h"

/* ---- a dump that is nothing but a list of runs ---- */

#define NR_PFNS 20000u /* that the model looks at */

static struct run runs[NR_PFNS];
static size_t nr_runs;

static bool fake_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	size_t lo = 0, hi = nr_runs;

	(void)d;
	(void)space;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (runs[mid].pfn + runs[mid].nr <= pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == nr_runs)
		return false;
	*ret = runs[lo];
	if (ret->pfn < pfn) {
		ret->nr -= pfn - ret->pfn;
		ret->pfn = pfn;
	}
	return true;
}

static const struct map_ops fake_map = { .next_run = fake_next_run };
static struct dump dump = { .map = &fake_map, .id = { .page_size = 4096 } };

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* ---- the model ---- */

struct model {
	bool covered[NR_PFNS], in[NR_PFNS];
};

/* Memory up to page END, of so many runs at the most. */
static void random_runs(struct model *m, uint32_t end, size_t most)
{
	static const enum page_state states[] = { PAGE_DATA, PAGE_DATA, PAGE_ZERO, PAGE_EXCLUDED,
						  PAGE_UNREADABLE };
	bool scattered = most > 64;
	uint32_t pfn = random_below(100);

	nr_runs = 0;
	memset(m, 0, sizeof(*m));
	while (nr_runs < most) {
		enum page_state state = states[random_below(ARRAY_SIZE(states))];
		uint32_t nr = 1 + random_below(scattered || random_below(2) ? 5 : 150), i;

		if (pfn + nr > end)
			break;
		runs[nr_runs++] = (struct run){ .pfn = pfn, .nr = nr, .state = state };
		for (i = 0; i < nr; i++)
			m->covered[pfn + i] = m->in[pfn + i] =
				state == PAGE_DATA || state == PAGE_ZERO;
		pfn += nr;
		if (random_below(2))
			pfn += random_below(scattered ? 4 : 80);
		if (scattered && !random_below(200))
			pfn += PFNSET_GAP - 4 + random_below(8);
	}
}

static uint64_t model_count(const struct model *m, uint32_t start, uint32_t end)
{
	uint64_t n = 0;

	for (; start < MIN(end, NR_PFNS); start++)
		n += m->in[start];
	return n;
}

/* Set or clear; returns what changed. */
static uint64_t model_change(struct model *m, uint32_t pfn, uint32_t nr, bool to)
{
	uint64_t n = 0;

	for (; nr && pfn < NR_PFNS; nr--, pfn++) {
		n += m->covered[pfn] && m->in[pfn] != to;
		m->in[pfn] = m->covered[pfn] && to;
	}
	return n;
}

static bool model_next(const struct model *m, uint32_t pfn, uint32_t end, uint32_t max,
		       uint64_t *ret_pfn, uint64_t *ret_nr)
{
	for (end = MIN(end, NR_PFNS); pfn < end; pfn++) {
		uint32_t nr = 0;

		while (pfn + nr < end && m->in[pfn + nr] && nr < max)
			nr++;
		*ret_pfn = pfn;
		*ret_nr = nr;
		if (nr)
			return true;
	}
	return false;
}

/* ---- */

static unsigned int compare(const struct pfnset *s, const struct model *m)
{
	unsigned int bad = 0, i;

	for (i = 0; i < NR_PFNS; i++)
		bad += pfnset_covers(s, i) != m->covered[i] || pfnset_test(s, i) != m->in[i];
	return bad;
}

static unsigned int compare_next(const struct pfnset *s, const struct model *m)
{
	uint32_t pfn = random_below(NR_PFNS), end = random_below(2 * NR_PFNS),
		 max = random_below(3) ? UINT32_MAX : 1 + random_below(40);
	uint64_t got_pfn = 0, got_nr = 0, want_pfn, want_nr;
	bool want = model_next(m, pfn, end, max, &want_pfn, &want_nr);

	/* A run may be told in pieces where ranges of memory touch; it never skips a page. */
	if (pfnset_next(s, pfn, end, max, &got_pfn, &got_nr) != want)
		return 1;
	return want && (got_pfn != want_pfn || got_nr != want_nr);
}

/* The universe, run by run, and from any page on. */
static unsigned int compare_covered(const struct pfnset *s, const struct model *m)
{
	uint32_t pfn = random_below(NR_PFNS), i;
	uint64_t at, nr;
	unsigned int bad = 0;

	while (pfn < NR_PFNS) {
		bool any = pfnset_next_covered(s, pfn, &at, &nr);

		for (i = pfn; i < (any ? at : NR_PFNS); i++)
			bad += m->covered[i];
		if (!any)
			break;
		for (; i < at + nr && i < NR_PFNS; i++)
			bad += !m->covered[i];
		bad += at < pfn || !nr || at + nr > NR_PFNS;
		pfn = (uint32_t)(at + nr);
	}
	return bad;
}

static unsigned int random_steps(struct pfnset *s, struct model *m, uint32_t below)
{
	unsigned int bad = 0, step;

	for (step = 0; step < 60; step++) {
		uint32_t pfn = random_below(below + 10), nr = random_below(200);
		bool to = random_below(3) == 0;

		bad += (to ? pfnset_set(s, pfn, nr) : pfnset_clear(s, pfn, nr)) !=
		       model_change(m, pfn, nr, to);
		bad += pfnset_count(s, pfn, pfn + nr) != model_count(m, pfn, pfn + nr);
		bad += compare_next(s, m);
	}
	return bad + compare(s, m) + compare_covered(s, m);
}

/* One random memory up to page END, and random changes; *ret: does the dump know better? */
static unsigned int check_random(uint32_t end, size_t most, bool *ret)
{
	static struct model m;
	struct err e = ERR_INIT;
	unsigned int bad = 0;
	struct pfnset s;

	random_runs(&m, end, most);
	if (pfnset_init(&s, &dump, &e))
		abort();
	*ret = s.nr_ranges > s.nr_exact;
	bad += pfnset_count(&s, 0, UINT64_MAX) != model_count(&m, 0, NR_PFNS) || compare(&s, &m);
	bad += s.nr_bits > end || (!*ret && s.nr_bits != model_count(&m, 0, NR_PFNS));
	bad += random_steps(&s, &m, end);
	pfnset_fill(&s);
	memcpy(m.in, m.covered, sizeof(m.in));
	bad += compare(&s, &m);
	bad += pfnset_set(&s, 0, UINT64_MAX) != 0;
	pfnset_fill(&s);
	bad += compare(&s, &m);
	pfnset_fini(&s);
	return bad;
}

static void test_random(void)
{
	unsigned int i, bad = 0, nr_asked = 0;
	bool asked;

	for (i = 0; i < 300; i++)
		bad += check_random(1024, 64, &asked);
	is_u64(bad, 0, "300 random memories, 60 random changes each: as the model");
	for (i = bad = 0; i < 40; i++) {
		bad += check_random(NR_PFNS, NR_PFNS, &asked);
		nr_asked += asked;
	}
	is_u64(bad, 0, "40 of thousands of runs: likewise");
	is_u64(nr_asked, 40, "and the dump is asked about the latter of them");
}

/* What a dump may do to the memory that a set takes. */
static void test_scattered(void)
{
	static const unsigned int steps[] = { 2, 3, 100, PFNSET_GAP, PFNSET_GAP + 1, 300 };
	struct err e = ERR_INIT;
	struct pfnset s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t nr = NR_PFNS, pages = nr * steps[i];
		const size_t exact = PFNSET_EXACT * sizeof(struct pfn_range);

		for (nr_runs = 0; nr_runs < nr; nr_runs++)
			runs[nr_runs] = (struct run){ .pfn = (uint64_t)nr_runs * steps[i],
						      .nr = 1,
						      .state = PAGE_DATA };
		if (pfnset_init(&s, &dump, &e))
			abort();
		ok(pfnset_memory(&s) <= pages / 8 + exact,
		   "every %uth page: %zu bytes, within a bit for each of %u pages", steps[i],
		   pfnset_memory(&s), (unsigned int)pages);
		is_u64(pfnset_count(&s, 0, UINT64_MAX), nr, "and holds just those");
		pfnset_fini(&s);
	}
}

static void test_high(void)
{
	const uint64_t high = 1ULL << 44;
	struct err e = ERR_INIT;
	struct pfnset s;
	uint64_t pfn, nr;

	nr_runs = 0;
	runs[nr_runs++] = (struct run){ .pfn = 5, .nr = 63, .state = PAGE_DATA };
	runs[nr_runs++] = (struct run){ .pfn = high, .nr = 130, .state = PAGE_ZERO };
	ok(!pfnset_init(&s, &dump, &e) && s.nr_bits == 193, "pages far apart");
	ok(pfnset_memory(&s) < 256, "cost nothing for the hole");
	is_u64(pfnset_clear(&s, 10, UINT64_MAX), 58 + 130, "clear to the end of all numbers");
	is_u64(pfnset_set(&s, high + 129, UINT64_MAX - 5), 1, "set, likewise");
	ok(pfnset_next(&s, 10, UINT64_MAX, UINT64_MAX, &pfn, &nr) && pfn == high + 129 && nr == 1,
	   "found across the hole");
	ok(!pfnset_next(&s, 10, high + 129, UINT64_MAX, &pfn, &nr), "END is not included");
	is_u64(pfnset_count(&s, 0, UINT64_MAX), 6, "six are left");
	is_u64(pfnset_count(&s, 20, 10), 0, "an empty range");
	pfnset_fini(&s);
}

static void test_empty(void)
{
	struct err e = ERR_INIT;
	struct pfnset s;
	uint64_t pfn, nr;

	nr_runs = 0;
	ok(!pfnset_init(&s, &dump, &e), "a dump without pages");
	ok(!pfnset_covers(&s, 0) && !pfnset_test(&s, 0) && !pfnset_clear(&s, 0, 10) &&
		   !pfnset_count(&s, 0, UINT64_MAX) &&
		   !pfnset_next(&s, 0, UINT64_MAX, UINT64_MAX, &pfn, &nr),
	   "holds nothing");
	pfnset_fini(&s);
}

/* Two threads clear pages of the same words: nothing is lost, each page is counted once. */
static struct pfnset shared;

static void *clear_some(void *arg)
{
	uint64_t *cleared = arg, i, first = *cleared;

	*cleared = 0;
	for (i = first; i < 60000; i += 2)
		*cleared += pfnset_clear(&shared, i, 3);
	return NULL;
}

static void test_threads(void)
{
	uint64_t cleared[2] = { 0, 1 };
	struct err e = ERR_INIT;
	pthread_t thread;

	nr_runs = 0;
	runs[nr_runs++] = (struct run){ .pfn = 0, .nr = 60100, .state = PAGE_DATA };
	if (pfnset_init(&shared, &dump, &e) ||
	    pthread_create(&thread, NULL, clear_some, &cleared[1]))
		abort();
	clear_some(&cleared[0]);
	pthread_join(thread, NULL);
	is_u64(cleared[0] + cleared[1], 60002, "two threads: each page is cleared once");
	is_u64(pfnset_count(&shared, 0, UINT64_MAX), 98, "and none is forgotten");
	pfnset_fini(&shared);
}

int main(void)
{
	test_random();
	test_scattered();
	test_high();
	test_empty();
	test_threads();
	return done_testing();
}
