/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/xlat.c with the page table layouts of arch/x86_64.c: tables built in memory, and tables that
 * no kernel would build. */
#include <stdlib.h>
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "tap.h"
#include "xlat.h"

#define PAGE 4096u
#define NR_PAGES 128u
#define ROOT (1u * PAGE)
#define KERNEL 0xffffffff80000000ULL
#define DIRECT 0xffff888000000000ULL
#define PRESENT 0x63ULL
#define PSE 0x80ULL
#define GIB (1ULL << 30)
#define MIB2 (2ULL << 20)

/* ---- memory ---- */

static uint8_t mem[NR_PAGES * PAGE];
static bool hole[NR_PAGES];
static unsigned int next_table, reads;

static bool fake_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	reads++;
	*ret = (struct run){ .pfn = pfn, .nr = 1, .state = PAGE_DATA };
	if (pfn < NR_PAGES && hole[pfn])
		ret->state = PAGE_EXCLUDED;
	return pfn < NR_PAGES;
}

static int fake_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	(void)r;
	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = mem + pfn * PAGE, .nr = 1 };
	return 0;
}

static const struct map_ops fake_map = { .next_run = fake_next_run, .view = fake_view };
static struct dump dump = { .map = &fake_map, .id = { .page_size = PAGE, .order = ORDER_LE } };

/* ---- page tables ---- */

static struct xlat x;
static struct reader r;

static void start(unsigned int levels)
{
	memset(mem, 0, sizeof(mem));
	memset(hole, 0, sizeof(hole));
	next_table = ROOT / PAGE + 1;
	x = (struct xlat){ .paging = x86_64_arch.paging[levels - 4], .root = ROOT };
	if (x.paging->nr_levels != levels)
		abort();
	reader_init(&r, &dump);
}

static uint64_t get_entry(uint64_t table, uint64_t index)
{
	return load_u64(mem + table + index * 8, ORDER_LE);
}

static void set_entry(uint64_t table, uint64_t index, uint64_t v)
{
	struct bytes_out o = { .data = mem + table + index * 8, .size = 8, .order = ORDER_LE };

	out_uint(&o, v, 8);
}

/* Map SIZE bytes, 4K, 2M or 1G, at VADDR, making tables as needed. */
static void map_page(uint64_t vaddr, uint64_t paddr, uint64_t size, uint64_t flags)
{
	unsigned int shift = x.paging->nr_levels == 5 ? 48 : 39;
	uint64_t table = ROOT, index;

	for (; index = (vaddr >> shift) & 511, (1ULL << shift) != size; shift -= 9) {
		if (!get_entry(table, index)) {
			set_entry(table, index, next_table++ * PAGE | PRESENT);
			if (next_table == NR_PAGES)
				abort();
		}
		table = get_entry(table, index) & ~0xfffULL;
	}
	set_entry(table, index, paddr | flags | PRESENT | (size > PAGE ? PSE : 0));
}

/* ---- lookups ---- */

static void is_mapped(uint64_t vaddr, uint64_t start_at, uint64_t paddr, uint64_t len,
		      const char *what)
{
	struct mapping m = { 0, 0, 0 };
	struct err e = ERR_INIT;
	int rc = xlat_lookup(&x, &r, vaddr, &m, &e);

	if (!ok(!rc && m.vaddr == start_at && m.paddr == paddr && m.len == len, "%u levels: %s",
		x.paging->nr_levels, what))
		printf("# rc %d %s, 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 "\n", rc, e.text,
		       m.vaddr, m.paddr, m.len);
}

static void is_refused(uint64_t vaddr, enum err_code code, const char *what)
{
	struct err e = ERR_INIT;
	struct mapping m;

	ok(xlat_lookup(&x, &r, vaddr, &m, &e) == -1 && e.code == code, "%s: %s", what, e.text);
}

static void test_lookup(unsigned int levels)
{
	uint64_t low = 0x00007f1234567000ULL;

	start(levels);
	map_page(KERNEL, 0x40000000, MIB2, 0);
	map_page(KERNEL + MIB2, 0x123456000, PAGE, 0);
	map_page(DIRECT, 0x80000000, GIB, 0);
	map_page(low, 0xabc000, PAGE, 0x8000000000000000ULL | PSE); /* NX; bit 7 is PAT here */
	map_page(DIRECT + GIB, 0x7000000 | 0x1000, MIB2, 0x7ff0000000000000ULL); /* PAT, ignored */
	is_mapped(KERNEL + 0x1ff123, KERNEL, 0x40000000, MIB2, "2 MiB");
	is_mapped(KERNEL + MIB2 + 0xfff, KERNEL + MIB2, 0x123456000, PAGE, "4 KiB");
	is_mapped(DIRECT + 0x3fffffff, DIRECT, 0x80000000, GIB, "1 GiB");
	is_mapped(low + 5, low, 0xabc000, PAGE, "low half, no-execute, PAT");
	is_mapped(DIRECT + GIB + 5, DIRECT + GIB, 0x7000000, MIB2, "bits that are no address");
	is_refused(KERNEL + MIB2 + PAGE, ERR_MISSING, "not mapped, last level");
	is_refused(0xffffc90000000000ULL, ERR_MISSING, "not mapped, above");
	is_refused(low | 1ULL << 63, ERR_MISSING, "not canonical");
	is_refused(levels == 4 ? 0x0000800000000000ULL : 0x0100000000000000ULL, ERR_MISSING,
		   "one past the lower half");
	hole[ROOT / PAGE + 1] = true;
	is_refused(KERNEL, ERR_UNREADABLE, "a table that was excluded");
	x.root = (uint64_t)NR_PAGES * PAGE;
	is_refused(KERNEL, ERR_UNREADABLE, "a root that is no memory");
	x.paging = NULL;
	is_refused(KERNEL, ERR_MISSING, "no page table known");
	reader_fini(&r);
}

/* The PSE bit in the top tables maps nothing: there it is reserved. */
static void test_pse_above(void)
{
	start(4);
	map_page(KERNEL, 0x5000, PAGE, 0);
	set_entry(ROOT, 511, get_entry(ROOT, 511) | PSE);
	is_mapped(KERNEL, KERNEL, 0x5000, PAGE, "PSE in the top table is not a leaf");
	reader_fini(&r);
}

static void test_encryption(void)
{
	const uint64_t bit = 1ULL << 47;

	start(4);
	map_page(KERNEL, 0x5000 | bit, PAGE, 0);
	map_page(KERNEL + MIB2, 0x600000 | bit, MIB2, 0);
	set_entry(ROOT, 511, get_entry(ROOT, 511) | bit);
	is_refused(KERNEL, ERR_UNREADABLE, "the encryption bit is an address bit");
	x.clear_mask = bit;
	is_mapped(KERNEL, KERNEL, 0x5000, PAGE, "unless the mask says so");
	is_mapped(KERNEL + MIB2, KERNEL + MIB2, 0x600000, MIB2, "in a huge page, too");
	reader_fini(&r);
}

/* ---- reading ---- */

static void test_read(void)
{
	uint8_t buf[2 * PAGE + 100];
	struct err e = ERR_INIT;
	uint64_t v = 1;

	start(4);
	map_page(KERNEL, 100 * PAGE, PAGE, 0);
	map_page(KERNEL + PAGE, 90 * PAGE, PAGE, 0);
	map_page(KERNEL + 3 * PAGE, 110 * PAGE, PAGE, 0);
	map_page(0xfffffffffffff000ULL, 91 * PAGE, PAGE, 0);
	memset(mem + 100 * PAGE, 'a', PAGE);
	memset(mem + 90 * PAGE, 'b', PAGE);
	memset(mem + 101 * PAGE, 'X', PAGE);
	ok(!xlat_read(&x, &r, KERNEL + PAGE - 10, buf, 20, &e) &&
		   !memcmp(buf, "aaaaaaaaaabbbbbbbbbb", 20),
	   "across two pages that do not follow each other in memory");
	ok(xlat_read(&x, &r, KERNEL + PAGE, buf, PAGE + 1, &e) == -1 && e.code == ERR_MISSING,
	   "into a page that is not mapped: %s", e.text);
	hole[110] = true;
	ok(xlat_read(&x, &r, KERNEL + 3 * PAGE, buf, 1, &e) == -1 && e.code == ERR_UNREADABLE &&
		   strstr(e.text, "ffffffff80003000"),
	   "of a page that was excluded: %s", e.text);
	ok(!xlat_read(&x, &r, UINT64_MAX, buf, 1, &e), "the last byte there is");
	ok(xlat_read(&x, &r, UINT64_MAX, buf, 2, &e) == -1, "and none behind it");
	ok(!xlat_read(&x, &r, 0, buf, 0, &e), "nothing can be read anywhere");
	memcpy(mem + 91 * PAGE, "\x01\x02\x03\x04\x05\x06\x07\x88", 8);
	ok(!xlat_read_uint(&x, &r, 0xfffffffffffff000ULL, 8, &v, &e) && v == 0x8807060504030201,
	   "a number");
	ok(!xlat_read_uint(&x, &r, 0xfffffffffffff000ULL, 2, &v, &e) && v == 0x0201, "a short one");
	reader_fini(&r);
}

/* ---- walks ---- */

#define MAX_SEEN 4096

struct seen {
	struct mapping m[MAX_SEEN];
	unsigned int nr, tables[8], stop_after;
};

static int see_mapping(void *priv, const struct mapping *m)
{
	struct seen *s = priv;

	if (s->nr < MAX_SEEN)
		s->m[s->nr] = *m;
	return ++s->nr == s->stop_after ? 42 : 0;
}

static int see_table(void *priv, uint64_t paddr, unsigned int level)
{
	struct seen *s = priv;

	(void)paddr;
	s->tables[level]++;
	return 0;
}

static int walk(struct seen *s, uint64_t from, uint64_t to, uint64_t max, bool mappings)
{
	struct xlat_visitor v = { .table = see_table,
				  .mapping = mappings ? see_mapping : NULL,
				  .priv = s };

	reads = 0;
	return xlat_walk(&x, &r, from, to, max, &v);
}

static void test_walk(unsigned int levels)
{
	static const uint64_t at[] = {
		DIRECT,	       DIRECT + GIB,	    DIRECT + GIB + MIB2, KERNEL,
		KERNEL + PAGE, KERNEL + 511 * PAGE, UINT64_MAX - 0xfff
	};
	static const uint64_t size[] = { GIB, MIB2, PAGE, PAGE, PAGE, PAGE, PAGE };
	struct seen s = { .nr = 0 };
	unsigned int i, bad = 0, nr = ARRAY_SIZE(at);
	uint64_t half = levels == 4 ? ~0ULL << 47 : ~0ULL << 56;

	start(levels);
	map_page(0x400000, 0x1000000, PAGE, 0);
	for (i = 0; i < nr; i++)
		map_page(at[i], (i + 2) * GIB, size[i], 0);
	ok(!walk(&s, half, UINT64_MAX, UINT64_MAX, true), "walk with %u levels", levels);
	is_u64(s.nr, nr, "finds all of the upper half");
	for (i = 0; i < MIN(nr, s.nr); i++)
		bad += s.m[i].vaddr != at[i] || s.m[i].len != size[i] ||
		       s.m[i].paddr != (i + 2) * GIB;
	is_u64(bad, 0, "in ascending order");
	ok(s.tables[0] == 1 && s.tables[levels - 1] == 3 && s.tables[levels - 2] == 3 &&
		   s.tables[levels - 3] == 2,
	   "each table is told once");
	s = (struct seen){ .nr = 0 };
	walk(&s, DIRECT + 5, KERNEL + PAGE, UINT64_MAX, true);
	ok(s.nr == 5 && s.m[0].vaddr == DIRECT && s.m[4].vaddr == KERNEL + PAGE,
	   "a range: what holds its first and its last byte");
	s = (struct seen){ .stop_after = 3 };
	ok(walk(&s, half, UINT64_MAX, UINT64_MAX, true) == 42 && s.nr == 3,
	   "stopped by the visitor");
	s = (struct seen){ .nr = 0 };
	walk(&s, half, UINT64_MAX, UINT64_MAX, false);
	is_u64(s.tables[levels - 1], 3, "tables alone: the last ones are told");
	bad = reads;
	s = (struct seen){ .nr = 0 };
	walk(&s, half, UINT64_MAX, UINT64_MAX, true);
	ok(reads >= bad + 3 * 512, "but not read");
	reader_fini(&r);
}

/* From one half to the other; and what would be found where no address can be. */
static void test_halves(unsigned int levels)
{
	uint64_t low_end = 1ULL << (levels == 4 ? 47 : 56);
	struct seen s = { .nr = 0 };

	start(levels);
	map_page(low_end - PAGE, 5 * GIB, PAGE, 0);
	map_page(-low_end, 6 * GIB, PAGE, 0);
	ok(!walk(&s, 0, UINT64_MAX, 100000, true) && s.nr == 2 && s.m[0].vaddr == low_end - PAGE &&
		   s.m[1].vaddr == -low_end,
	   "%u levels: both halves, each once", levels);
	s = (struct seen){ .nr = 0 };
	ok(!walk(&s, low_end, UINT64_MAX, 100000, true) && s.nr == 1 && s.m[0].vaddr == -low_end,
	   "from an address that cannot be on to the first that can");
	s = (struct seen){ .nr = 0 };
	ok(!walk(&s, low_end, -low_end - 1, 100000, true) && !s.nr && !reads,
	   "nothing where no address can be");
	reader_fini(&r);
}

/* Tables that point at themselves and each other: it ends when it was said to. */
static void test_self(unsigned int levels)
{
	struct seen s = { .nr = 0 };
	uint64_t i;

	start(levels);
	for (i = 256; i < 512; i++)
		set_entry(ROOT, i, ROOT | PRESENT);
	set_entry(ROOT, 300, 0);
	is_mapped(UINT64_MAX, UINT64_MAX - 0xfff, ROOT, PAGE, "the root maps itself");
	ok(!walk(&s, ~0ULL << (x.paging->va_bits - 1), UINT64_MAX, 50000, true), "a self map");
	ok(reads <= 50000 + 10 && s.nr > 1000, "looks at no more entries than it may: %u", reads);
	s = (struct seen){ .nr = 0 };
	ok(!walk(&s, 0, UINT64_MAX, 0, true) && reads == 0 && s.tables[0] == 1, "not even one");
	reader_fini(&r);
}

/*
 * All that is not mapped is a table of tables of nothing, the same everywhere, as in MIPS and
 * LoongArch. They are looked at a few times, not a million.
 */
static void test_shared_nothing(unsigned int levels)
{
	struct seen s = { .nr = 0 };
	uint64_t empty = ROOT, half, i, n;

	start(levels);
	half = ~0ULL << (x.paging->va_bits - 1);
	map_page(KERNEL, 5 * GIB, PAGE, 0);
	for (n = 1; n < levels; n++) {
		uint64_t table = empty;

		empty = next_table++ * PAGE;
		for (i = 0; i < 512; i++)
			if (!get_entry(table, i))
				set_entry(table, i, empty | PRESENT);
	}
	walk(&s, half, UINT64_MAX, 40000, true);
	ok(s.nr == 1 && s.m[0].vaddr == KERNEL && reads < 40000,
	   "%u levels: a page behind shared tables of nothing, %u entries read", levels, reads);
	s = (struct seen){ .nr = 0 };
	walk(&s, half, UINT64_MAX, 40000, false);
	ok(s.tables[levels - 1] >= 2 && s.tables[levels - 1] < 600 && reads < 40000,
	   "tables alone: %u last ones told, %u entries read", s.tables[levels - 1], reads);
	s = (struct seen){ .nr = 0 };
	walk(&s, KERNEL - 5 * PAGE, KERNEL + 5 * PAGE, 40000, true);
	ok(s.nr == 1 && s.m[0].vaddr == KERNEL, "from the middle of one of them on");
	reader_fini(&r);
}

static void test_garbage(unsigned int levels)
{
	uint64_t random_state = 3, found = 0, refused = 0;
	struct seen s = { .nr = 0 };
	struct err e = ERR_INIT;
	struct mapping m;
	unsigned int i;

	start(levels);
	for (i = 0; i < sizeof(mem); i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		mem[i] = (uint8_t)(random_state >> 56);
		if (i % 8 >= 2) /* keep targets inside memory */
			mem[i] &= i % 8 == 2 ? 7 : 0;
	}
	for (i = 0; i < 20000; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		if (xlat_lookup(&x, &r, random_state | ~0ULL << (x.paging->va_bits - 1), &m, &e))
			refused++;
		else
			found += m.len >= PAGE && !(m.vaddr & (m.len - 1)) &&
				 !(m.paddr & (m.len - 1));
	}
	ok(found + refused == 20000 && found > 1000, "garbage: %" PRIu64 " mappings, all aligned",
	   found);
	ok(!walk(&s, 0, UINT64_MAX, 100000, true) && reads <= 100010, "and a bounded walk");
	reader_fini(&r);
}

int main(void)
{
	unsigned int levels;

	for (levels = 4; levels <= 5; levels++) {
		test_lookup(levels);
		test_walk(levels);
		test_halves(levels);
		test_self(levels);
		test_shared_nothing(levels);
		test_garbage(levels);
	}
	test_pse_above();
	test_encryption();
	test_read();
	return done_testing();
}
