/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/guard.c: what is put back, and that lies about its size cost nothing. */
#include <stdlib.h>
#include <string.h>

#include "archs.h"
#include "classify.h"
#include "cleanup.h"
#include "guard.h"
#include "tap.h"

#define PAGE 4096u
#define NR_PAGES 64u
#define ROOT (1u * PAGE)
#define KERNEL 0xffffffff80000000ULL
#define LOG 0xffffc90000000000ULL
#define GIB (1ULL << 30)

/* ---- a machine ---- */

static uint8_t mem[NR_PAGES * PAGE];
static unsigned int reads;

static bool fake_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	*ret = (struct run){ .pfn = pfn, .nr = NR_PAGES - pfn, .state = PAGE_DATA };
	return pfn < NR_PAGES;
}

static int fake_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	(void)r;
	(void)space;
	(void)nr;
	(void)e;
	reads++;
	*ret = (struct view){ .data = mem + pfn * PAGE, .nr = 1 };
	return 0;
}

static const struct map_ops fake_map = { .next_run = fake_next_run, .view = fake_view };
static struct dump dump = { .map = &fake_map,
			    .arch = &x86_64_arch,
			    .id = { .page_size = PAGE, .order = ORDER_LE, .word = 8 } };

static void put_u64(uint64_t at, uint64_t v)
{
	struct bytes_out o = { .data = mem + at, .size = 8, .order = ORDER_LE };

	out_uint(&o, v, 8);
}

/* Tables in pages 1 to 6: all of memory at KERNEL; pages 32 and 33 at LOG, 34 a GiB behind. */
static void build(uint64_t log_buf, uint64_t log_len)
{
	memset(mem, 0, sizeof(mem));
	put_u64(ROOT + 511 * 8, 2 * PAGE | 0x63);
	put_u64(2 * PAGE + 510 * 8, 3 * PAGE | 0x63);
	put_u64(3 * PAGE, 0xe3);
	put_u64(ROOT + (LOG >> 39 & 511) * 8, 4 * PAGE | 0x63);
	put_u64(4 * PAGE, 5 * PAGE | 0x63);
	put_u64(5 * PAGE, 6 * PAGE | 0x63);
	put_u64(6 * PAGE, 32 * PAGE | 0x63);
	put_u64(6 * PAGE + 8, 33 * PAGE | 0x63);
	put_u64(4 * PAGE + 8, 7 * PAGE | 0x63);
	put_u64(7 * PAGE, 9 * PAGE | 0x63);
	put_u64(9 * PAGE, 34 * PAGE | 0x63);
	put_u64(8 * PAGE, log_buf);
	put_u64(8 * PAGE + 8, log_len);
	put_u64(8 * PAGE + 16, 100);
}

/* ---- the log buffer of an old kernel: an address and a length ---- */

static const char facts[] = "SIZE(list_head)=16\nSYMBOL(log_buf)=ffffffff80008000\n"
			    "SYMBOL(log_buf_len)=ffffffff80008008\n"
			    "SYMBOL(log_end)=ffffffff80008010\n";

/* Are pages 32 to 34, as the bits of WANT say, put back into an empty set? */
static void guarded(uint64_t log_buf, uint64_t log_len, unsigned int want, const char *what)
{
	struct xlat x = { .paging = x86_64_arch.paging[0], .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct classify c = { .dump = &dump, .kernel = &k, .xlat = &x };
	struct err e = ERR_INIT;
	unsigned int got = 0, i;
	struct pfnset keep;

	build(log_buf, log_len);
	if (pfnset_init(&keep, &dump, &e))
		abort();
	pfnset_clear(&keep, 0, NR_PAGES);
	kernel_add(&k, vmcoreinfo_provider(facts, strlen(facts)));
	c.keep = &keep;
	c.rules.struct_size = 64;
	reads = 0;
	guard_run(&c);
	for (i = 0; i < 3; i++)
		got |= (unsigned int)pfnset_test(&keep, 32 + i) << i;
	is_u64(got, want, what);
	/* The kernel's page tables, all of them, are some 4000 entries; a page of log is four. */
	if (!ok(reads < 8000, "%s: in bounded steps", what))
		printf("# %u reads\n", reads);
	ok(pfnset_test(&keep, 8), "%s: the variables", what);
	kernel_fini(&k);
	pfnset_fini(&keep);
}

/* ---- a table of 16 KiB: the upper one of Arm's short descriptors ---- */

static void test_large_table(void)
{
	struct xlat x = { .paging = arm_arch.paging[0], .root = 4 * PAGE };
	struct kernel k = { .nr_providers = 0 };
	struct classify c = { .dump = &dump, .kernel = &k, .xlat = &x };
	struct err e = ERR_INIT;
	struct pfnset keep;
	unsigned int i;

	memset(mem, 0, sizeof(mem));
	dump.arch = &arm_arch;
	dump.id.word = 4;
	if (pfnset_init(&keep, &dump, &e))
		abort();
	pfnset_clear(&keep, 0, NR_PAGES);
	c.keep = &keep;
	c.rules.struct_size = 32;
	guard_run(&c);
	for (i = 3; i < 9; i++)
		ok(pfnset_test(&keep, i) == (i >= 4 && i < 8), "page %u and a table of four", i);
	pfnset_fini(&keep);
}

int main(void)
{
	guarded(LOG, 4096, 1, "a log of one page");
	guarded(LOG + 4095, 2, 3, "one that begins at the end of a page");
	guarded(LOG + 1, 2 * PAGE, 3, "one that goes on where nothing is mapped");
	guarded(LOG + PAGE, GIB, 6, "one with a hole in it");
	guarded(LOG + 5 * GIB, 0x7fffffff, 0, "one that is not mapped");
	guarded(LOG & ~(1ULL << 63), PAGE, 0, "one at no address");
	guarded(UINT64_MAX - 100, 0x7fffffff, 0, "one that ends behind the end");
	test_large_table();
	return done_testing();
}
