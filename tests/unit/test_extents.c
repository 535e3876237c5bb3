/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/extents.c against a model that knows each byte of memory by itself. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "extents.h"
#include "tap.h"

#define FILE_SIZE 300000u

struct piece {
	uint64_t paddr, filesz, memsz, off;
};

static uint8_t file[FILE_SIZE];
static size_t file_len; /* how much of it there is: the rest was cut off */

/* ---- the model: what is said about each byte ---- */

enum { ABSENT, EXCLUDED, DATA, MISSING }; /* a page is what the strongest of its bytes is */

#define MEMORY (1u << 20)

struct byte {
	uint8_t what, value;
};

static struct byte model[MEMORY];

static bool reads_first(const struct piece *a, const struct piece *b)
{
	uint64_t a_len = a->off < file_len ? MIN(a->filesz, file_len - a->off) : 0,
		 b_len = b->off < file_len ? MIN(b->filesz, file_len - b->off) : 0;

	if (a->paddr != b->paddr)
		return a->paddr < b->paddr;
	return a_len != b_len ? a_len > b_len : a->off <= b->off;
}

static void model_piece(const struct piece *p, size_t nr, const struct piece *all)
{
	uint64_t i;
	size_t k;

	for (i = 0; i < MAX(p->memsz, p->filesz); i++) {
		struct byte *b = &model[p->paddr + i];
		bool first = true;

		if (i >= p->filesz || p->off + i >= file_len) {
			uint8_t what = i < p->filesz ? MISSING : EXCLUDED;

			/* What another piece has is there. */
			if (b->what != DATA && (b->what == ABSENT || what == MISSING))
				b->what = what;
			continue;
		}
		for (k = 0; k < nr && first; k++) {
			const struct piece *q = &all[k];
			uint64_t at = p->paddr + i - q->paddr;

			first = q == p || p->paddr + i < q->paddr || at >= q->filesz ||
				q->off + at >= file_len || reads_first(p, q);
		}
		b->what = DATA;
		if (first)
			b->value = file[p->off + i];
	}
}

static void model_build(const struct piece *all, size_t nr)
{
	size_t i;

	memset(model, 0, sizeof(model));
	for (i = 0; i < nr; i++)
		model_piece(&all[i], nr, all);
}

static enum page_state model_state(uint64_t pfn, uint32_t page_size)
{
	static const enum page_state states[] = { PAGE_ABSENT, PAGE_EXCLUDED, PAGE_DATA,
						  PAGE_UNREADABLE };
	uint8_t most = ABSENT;
	uint32_t i;

	for (i = 0; i < page_size; i++)
		most = MAX(most, model[pfn * page_size + i].what);
	return states[most];
}

static bool model_same(uint64_t pfn, uint32_t page_size, const uint8_t *page)
{
	uint32_t i;

	for (i = 0; i < page_size; i++) {
		const struct byte *b = &model[pfn * page_size + i];

		if (page[i] != (b->what == DATA ? b->value : 0))
			return false;
	}
	return true;
}

/* ---- a dump of such pieces ---- */

static void dump_make(struct dump *d, const struct piece *all, size_t nr, uint32_t page_size)
{
	struct err e = ERR_INIT;
	size_t i;

	*d = (struct dump){ .id = { .page_size = page_size } };
	d->source = source_memory("file", file, file_len);
	for (i = 0; i < nr; i++)
		if (extents_add(d, all[i].paddr, all[i].filesz, all[i].memsz, all[i].off, &e))
			abort();
	if (d->map->set_page_size(d, &e))
		abort();
}

static void dump_free(struct dump *d)
{
	d->map->free(d);
	source_close(d->source);
}

/* All pages of a view, and each by the exact way. Returns how many are wrong. */
static unsigned int compare_pages(struct reader *r, struct reader *exact, const struct run *run,
				  uint32_t page_size)
{
	static uint8_t page[65536];
	struct err e = ERR_INIT;
	uint64_t pfn = run->pfn, end = run->pfn + run->nr, i;
	unsigned int bad = 0;
	struct view v;

	for (; pfn < end; pfn += v.nr) {
		if (reader_view(r, SPACE_PHYS, pfn, end - pfn, &v, &e) || !v.nr || v.nr > end - pfn)
			return bad + 1;
		for (i = 0; i < v.nr; i++) {
			bad += !model_same(pfn + i, page_size, v.data + i * page_size);
			bad += reader_page(exact, SPACE_PHYS, pfn + i, page, &e) ||
			       !model_same(pfn + i, page_size, page);
			if (bad)
				return bad;
		}
	}
	return bad;
}

/* The whole map against the model. */
static unsigned int compare(struct dump *d, uint32_t page_size)
{
	uint64_t pfn = 0, nr = MEMORY / page_size, unreadable = 0;
	struct run run = { .pfn = 0, .nr = 0, .state = PAGE_ABSENT }, before;
	unsigned int bad = 0;
	struct reader r, exact;

	reader_init(&r, d);
	reader_init(&exact, d);
	while (pfn < nr && !bad) {
		enum page_state state = model_state(pfn, page_size);
		bool found;

		before = run;
		found = dump_next_run(d, SPACE_PHYS, pfn, &run);
		while (pfn < nr && (found ? pfn < run.pfn : true)) /* what is in no run is absent */
			bad += model_state(pfn++, page_size) != PAGE_ABSENT;
		if (!found)
			break;
		bad += before.nr && before.pfn + before.nr == run.pfn && before.state == run.state;
		for (; pfn < run.pfn + run.nr; pfn++) {
			state = model_state(pfn, page_size);
			bad += state != run.state;
			unreadable += state == PAGE_UNREADABLE;
		}
		if (run.state == PAGE_DATA && !bad)
			bad += compare_pages(&r, &exact, &run, page_size);
	}
	bad += d->damage.unreadable_pages != unreadable;
	reader_fini(&r);
	reader_fini(&exact);
	return bad;
}

static bool matches(const struct piece *all, size_t nr, uint32_t page_size)
{
	unsigned int bad;
	struct dump d;

	model_build(all, nr);
	dump_make(&d, all, nr, page_size);
	bad = compare(&d, page_size);
	dump_free(&d);
	return !bad;
}

/* ---- cases ---- */

static const struct {
	const char *what;
	struct piece p[4];
} cases[] = {
	{ "whole pages", { { 0x10000, 0x20000, 0x20000, 0x10000 } } },
	{ "at an unaligned offset of the file", { { 0x10000, 0x20000, 0x20000, 0x123 } } },
	{ "fractional at both ends", { { 0x10010, 0x20020, 0x20020, 7 } } },
	{ "inside one page", { { 0x10010, 0x20, 0x20, 7 } } },
	{ "one byte", { { 0x1ffff, 1, 1, 0 } } },
	{ "the first byte of a page", { { 0x20000, 1, 1, 0 } } },
	{ "ends where a page does", { { 0x1fff0, 0x10, 0x10, 0 } } },
	{ "two pieces in one page",
	  { { 0x10000, 0x100, 0x100, 0 }, { 0x10200, 0x100, 0x100, 500 } } },
	{ "two that meet in a page",
	  { { 0x10000, 0x10800, 0x10800, 0 }, { 0x20800, 0x10000, 0x10000, 9 } } },
	{ "neighbours in memory and file",
	  { { 0x10000, 0x800, 0x800, 0 }, { 0x10800, 0x10800, 0x10800, 0x800 } } },
	{ "not in order", { { 0x40000, 0x10000, 0x10000, 0 }, { 0x10000, 0x10000, 0x10000, 5 } } },
	{ "one inside the other",
	  { { 0x10000, 0x30000, 0x30000, 0 }, { 0x18000, 0x8000, 0x8000, 77 } } },
	{ "the other way round",
	  { { 0x18000, 0x8000, 0x8000, 77 }, { 0x10000, 0x30000, 0x30000, 0 } } },
	{ "overlap by half",
	  { { 0x10000, 0x20000, 0x20000, 0 }, { 0x20000, 0x20000, 0x20000, 3 } } },
	{ "overlap, and off as if it did not",
	  { { 0x10000, 0x20000, 0x20000, 0 }, { 0x20000, 0x20000, 0x20000, 0x20000 } } },
	{ "the same twice",
	  { { 0x10000, 0x10000, 0x10000, 9 }, { 0x10000, 0x10000, 0x10000, 9 } } },
	{ "the same place, other lengths",
	  { { 0x10000, 0x100, 0x100, 9 }, { 0x10000, 0x11000, 0x11000, 99 } } },
	{ "excluded from a page's end on", { { 0x10000, 0x10000, 0x30000, 0 } } },
	{ "excluded from the middle of a page on", { { 0x10000, 0x10080, 0x30000, 0 } } },
	{ "nothing but excluded", { { 0x10000, 0, 0x30010, 0 } } },
	{ "excluded here, data there",
	  { { 0x10000, 0, 0x30000, 0 }, { 0x20010, 0x8000, 0x8000, 1 } } },
	{ "more in the file than in memory", { { 0x10000, 0x20000, 0x8000, 1 } } },
	{ "cut off at a page", { { 0x10000, 0x40000, 0x40000, FILE_SIZE - 0x20000 } } },
	{ "cut off in the middle of a page",
	  { { 0x10000, 0x40000, 0x40000, FILE_SIZE - 0x20800 } } },
	{ "cut off, and excluded behind", { { 0x10000, 0x20000, 0x48000, FILE_SIZE - 0x10001 } } },
	{ "all of it behind the end", { { 0x10000, 0x20000, 0x20000, FILE_SIZE } } },
	{ "far behind the end", { { 0x10000, 0x20000, 0x20000, 1ULL << 62 } } },
	{ "missing here, data there",
	  { { 0x10000, 0x20000, 0x20000, FILE_SIZE }, { 0x18000, 0x4000, 0x4000, 5 } } },
	{ "missing and excluded in one page",
	  { { 0x10000, 0x10, 0x10, FILE_SIZE }, { 0x10010, 0, 0x100, 0 } } },
	{ "missing and data in one page",
	  { { 0x10000, 0x10, 0x10, FILE_SIZE }, { 0x10010, 0x100, 0x100, 0 } } },
	{ "nothing at all", { { 0x10000, 0, 0, 0 } } },
};

static void test_cases(uint32_t page_size)
{
	size_t i, nr;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (nr = 1; nr < 4 && (cases[i].p[nr].filesz || cases[i].p[nr].memsz);)
			nr++;
		ok(matches(cases[i].p, nr, page_size), "%uK: %s", page_size >> 10, cases[i].what);
	}
}

static uint64_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* A size or address that likes page boundaries and their neighbours. */
static uint32_t random_place(uint32_t max)
{
	uint32_t v = random_below(max);

	switch (random_below(4)) {
	case 0:
		return v & ~0xfffu;
	case 1:
		return (v & ~0xfffu) + random_below(3);
	case 2:
		return (v | 0xfffu) - random_below(3);
	default:
		return v;
	}
}

static void test_random(uint32_t page_size, unsigned int rounds)
{
	struct piece p[12] = { { 0, 0, 0, 0 } };
	unsigned int i, bad = 0;

	for (i = 0; i < rounds; i++) {
		size_t nr = 1 + random_below(ARRAY_SIZE(p)), k;

		file_len = random_below(2) ? FILE_SIZE : random_below(FILE_SIZE);
		for (k = 0; k < nr; k++) {
			p[k].paddr = random_place(MEMORY / 2);
			p[k].filesz = random_below(4)
					      ? random_place(random_below(2) ? 0x40000 : 0x3000)
					      : 0;
			p[k].memsz = p[k].filesz + (random_below(3) ? 0 : random_place(0x30000));
			p[k].off = random_place(FILE_SIZE);
		}
		bad += !matches(p, nr, page_size);
	}
	file_len = FILE_SIZE;
	is_u64(bad, 0, page_size == 4096 ? "random pieces, pages of 4K" : "random pieces, 64K");
}

static void test_refused(void)
{
	static const struct piece wrong[] = {
		{ 1ULL << 63, 0, 1ULL << 63, 0 },	 { 1, 0, UINT64_MAX, 0 },
		{ UINT64_MAX - 100, 0, 200, 0 },	 { UINT64_MAX - 100, 0, 50, 0 },
		{ 0, UINT64_MAX - 0x20000, 0, 0x20001 }, { UINT64_MAX, 1, 1, 0 },
	};
	struct dump d = { .id = { .page_size = 4096 } };
	struct err e = ERR_INIT;
	struct run run;
	size_t i;

	d.source = source_memory("file", file, file_len);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		ok(extents_add(&d, wrong[i].paddr, wrong[i].filesz, wrong[i].memsz, wrong[i].off,
			       &e) == -1 &&
			   e.code == ERR_CORRUPT,
		   "refused: 0x%" PRIx64 "+0x%" PRIx64, wrong[i].paddr,
		   MAX(wrong[i].memsz, wrong[i].filesz));
	ok(!d.map->set_page_size(&d, &e) && !dump_next_run(&d, SPACE_PHYS, 0, &run) &&
		   !d.damage.missing_bytes,
	   "and nothing is left of them");
	dump_free(&d);
}

static void test_high(void)
{
	static const struct piece p[] = { { (1ULL << 56) - 4096, 4096, 4096, 16 },
					  { 0, 0x1000, 1ULL << 55, 0 } };
	struct dump d;
	struct run run;

	dump_make(&d, p, 2, 4096);
	ok(dump_max_pfn(&d) == 1ULL << 44, "the highest page there may be");
	ok(dump_next_run(&d, SPACE_PHYS, 1ULL << 43, &run) && run.pfn == (1ULL << 44) - 1 &&
		   run.nr == 1 && run.state == PAGE_DATA,
	   "is found across the hole");
	ok(dump_next_run(&d, SPACE_PHYS, 1, &run) && run.state == PAGE_EXCLUDED &&
		   run.nr == (1ULL << 43) - 1,
	   "a run is as long as it is said to be");
	dump_free(&d);
}

static void test_missing_bytes(void)
{
	static const struct piece p[] = { { 0, 0x3000, 0x3000, FILE_SIZE - 0x1800 },
					  { 0x8000, 0x1000, 0x2000, FILE_SIZE } };
	struct dump d;

	dump_make(&d, p, 2, 4096);
	is_u64(d.damage.missing_bytes, 0x1800 + 0x1000, "bytes that the file lacks");
	is_u64(d.damage.unreadable_pages, 3, "and pages");
	dump_free(&d);
}

int main(void)
{
	size_t i;

	for (i = 0; i < FILE_SIZE; i++)
		file[i] = (uint8_t)(1 + random_below(255));
	file_len = FILE_SIZE;
	test_cases(4096);
	test_cases(65536);
	test_random(4096, 150);
	test_random(65536, 150);
	test_refused();
	test_high();
	test_missing_bytes();
	return done_testing();
}
