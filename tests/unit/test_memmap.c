/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/memmap.c: work follows what a dump holds, whatever its addresses say. */
#include <stdlib.h>
#include <string.h>

#include "archs.h"
#include "classify.h"
#include "cleanup.h"
#include "memmap.h"
#include "tap.h"

#define PAGE 4096u
#define NR_PAGES 64u
#define ROOT (1u * PAGE)
#define KERNEL 0xffffffff80000000ULL
#define MEM_MAP 0xffff888000000000ULL
#define FAR (1ULL << 44) /* a page frame: 64 PiB */
#define CHUNK (1ULL << 15)

/* ---- a machine: some pages, and one far away ---- */

static uint8_t mem[NR_PAGES * PAGE];
static bool has_far;
static unsigned int reads;

static bool fake_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	*ret = (struct run){ .pfn = pfn, .nr = NR_PAGES - pfn, .state = PAGE_DATA };
	if (pfn >= NR_PAGES)
		*ret = (struct run){ .pfn = FAR, .nr = 1, .state = PAGE_DATA };
	return pfn < NR_PAGES || (has_far && pfn <= FAR);
}

static int fake_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	(void)r;
	(void)space;
	(void)nr;
	(void)e;
	reads++;
	*ret = (struct view){ .data = mem + (pfn == FAR ? 0 : pfn * PAGE), .nr = 1 };
	return 0;
}

static const struct map_ops fake_map = { .next_run = fake_next_run, .view = fake_view };
static struct dump dump = { .map = &fake_map,
			    .arch = &x86_64_arch,
			    .id = { .page_size = PAGE, .order = ORDER_LE, .word = 8 } };
static struct xlat x;
static struct kernel k;
static struct pfnset keep;

static void put(uint64_t at, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = mem + at, .size = size, .order = ORDER_LE };

	out_uint(&o, v, size);
}

static void put_u64(uint64_t at, uint64_t v)
{
	put(at, v, 8);
}

/* The kernel's 2 MiB at KERNEL are the memory; MEM_MAP is mapped, to table pages 2 and 3. */
static void start(const char *info, bool far)
{
	struct err e = ERR_INIT;

	memset(mem, 0, sizeof(mem));
	has_far = far;
	put_u64(ROOT + 511 * 8, 2 * PAGE | 0x63);
	put_u64(2 * PAGE + 510 * 8, 3 * PAGE | 0x63);
	put_u64(3 * PAGE, 0xe3);
	put_u64(8 * PAGE, MEM_MAP); /* mem_map */
	x = (struct xlat){ .paging = x86_64_arch.paging[0], .root = ROOT };
	k = (struct kernel){ .nr_providers = 0 };
	kernel_add(&k, vmcoreinfo_provider(info, strlen(info)));
	if (pfnset_init(&keep, &dump, &e))
		abort();
	reads = 0;
}

static void stop(void)
{
	xlat_fini(&x);
	pfnset_fini(&keep);
	kernel_fini(&k);
	dump.arch = &x86_64_arch;
	dump.id.word = 8;
}

/* ---- FLATMEM ---- */

#define FLATMEM "SYMBOL(mem_map)=ffffffff80008000\nSIZE(page)=64\n"
#define STRUCT_PAGE                                                                          \
	"OFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page._mapcount)=48\n"         \
	"OFFSET(page.private)=40\nOFFSET(page.compound_head)=8\nLENGTH(zone.free_area)=11\n" \
	"NUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_head_mask)=65536\n"              \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n"

static void test_flat(void)
{
	struct memmap m;
	struct err e = ERR_INIT;
	struct reader r;

	start(FLATMEM, true);
	reader_init(&r, &dump);
	ok(!memmap_init(&m, &k, &x, &r, &keep, &e), "FLATMEM: found %s", e.text);
	is_u64(m.nr_ranges, 2, "FLATMEM: a range around each part of memory");
	is_u64(m.ranges[0].nr + m.ranges[1].nr, 2 * CHUNK, "and no more than what is around them");
	is_u64(memmap_vaddr(&m, 5), MEM_MAP + 5 * 64, "a low struct page");
	is_u64(memmap_vaddr(&m, FAR), MEM_MAP + FAR * 64, "a far one");
	is_u64(memmap_vaddr(&m, FAR + 1), MEM_MAP + (FAR + 1) * 64, "the one behind it");
	is_u64(memmap_vaddr(&m, FAR / 2), 0, "none for what is in between");
	memmap_fini(&m);
	reader_fini(&r);
	stop();
}

static void count_steps(void *priv, uint64_t done, uint64_t total)
{
	(void)total;
	++*(unsigned int *)priv;
	if (!ok(done <= 4 * CHUNK, "steps through what there is alone"))
		exit(done_testing()); /* it would go on for hours */
}

static void test_flat_scan(void)
{
	unsigned int steps = 0;
	struct err e = ERR_INIT;
	struct classify c = { .dump = &dump,
			      .kernel = &k,
			      .xlat = &x,
			      .level = LEVEL_MAX,
			      .threads = 1,
			      .keep = &keep,
			      .progress = count_steps,
			      .progress_priv = &steps };

	start(FLATMEM STRUCT_PAGE, true);
	ok(!classify_run(&c, &e), "FLATMEM with one far page is classified");
	is_u64(steps, 2, "in two steps");
	is_u64(pfnset_count(&keep, 0, UINT64_MAX), NR_PAGES + 1, "its struct pages are not there");
	classify_fini(&c);
	stop();
}

/* ---- SPARSEMEM ---- */

#define SPARSE                                                                        \
	"SYMBOL(mem_section)=ffffffff80009000\nSIZE(page)=64\nSIZE(mem_section)=16\n" \
	"OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n"

/*
 * An array of pointers to sections, or of sections, with 256 of them in a page; struct arch says
 * 46 bits, which would be 2048 pages of them. Section 0 holds the memory.
 */
static void check_sections(const char *info, bool roots, const char *model)
{
	struct memmap m;
	struct err e = ERR_INIT;
	struct reader r;

	start(info, false);
	put_u64(9 * PAGE, roots ? KERNEL + 10 * PAGE : (KERNEL + 20 * PAGE) | 3);
	put_u64(10 * PAGE, (KERNEL + 20 * PAGE) | 3);
	reader_init(&r, &dump);
	ok(!memmap_init(&m, &k, &x, &r, &keep, &e), "sections are found %s", e.text);
	ok(m.model && !strcmp(m.model, model), "it is %s", model);
	is_u64(memmap_vaddr(&m, 5), KERNEL + 20 * PAGE + 5 * 64, "a struct page");
	memmap_fini(&m);
	reader_fini(&r);
	stop();
}

static void test_sparse(void)
{
	check_sections(SPARSE, true, "SPARSEMEM_EXTREME");
	check_sections(SPARSE "LENGTH(mem_section)=2048\n", true, "SPARSEMEM_EXTREME");
	check_sections(SPARSE "LENGTH(mem_section)=128\n", true, "SPARSEMEM_EXTREME");
	check_sections(SPARSE "LENGTH(mem_section)=524288\n", false, "SPARSEMEM");
	check_sections(SPARSE "LENGTH(mem_section)=131072\nNUMBER(MAX_PHYSMEM_BITS)=44\n", false,
		       "SPARSEMEM");
	check_sections(SPARSE "LENGTH(mem_section)=512\nNUMBER(MAX_PHYSMEM_BITS)=44\n", true,
		       "SPARSEMEM_EXTREME");
}

/* ROOT is what leads to the sections, SECTION the first of them: no struct page is there, and WHY
 * tells it. */
static void check_lost(uint64_t root, uint64_t section, const char *why)
{
	struct memmap m;
	struct err e = ERR_INIT;
	struct reader r;

	start(SPARSE, false);
	put_u64(9 * PAGE, root);
	put_u64(10 * PAGE, section);
	reader_init(&r, &dump);
	ok(memmap_init(&m, &k, &x, &r, &keep, &e) && strstr(e.text, why), "no section: %s", e.text);
	memmap_fini(&m);
	reader_fini(&r);
	stop();
}

static void test_lost(void)
{
	check_lost(KERNEL + 10 * PAGE, (MEM_MAP + 20 * PAGE) | 3,
		   "makes sense (1 were looked at in vain): 0xffff888000014000 ");
	check_lost(MEM_MAP, 0,
		   "makes sense (1 were looked at in vain): mem_section 0: 0xffff888000000000 ");
}

/* ---- nodes, of a machine with 32-bit words ---- */

#define LOW 0xc0000000ULL /* the linear map */
#define NODE                                                                                 \
	"SIZE(page)=32\nOFFSET(pglist_data.node_mem_map)=0\nOFFSET(pglist_data.node_start_pfn)=4\n" \
	"OFFSET(pglist_data.node_spanned_pages)=8\n"
#define ONE_NODE "SYMBOL(contig_page_data)=c000a000\nSYMBOL(mem_map)=c0008000\n" NODE
#define NODES "SYMBOL(node_data)=c0009000\nLENGTH(node_data)=3\n" NODE

static void put_node(uint64_t at, uint32_t map, uint32_t start, uint32_t span)
{
	put(at, map, 4);
	put(at + 4, start, 4);
	put(at + 8, span, 4);
}

/* Two nodes, the second one of pages 40 to 59, first in the array. */
static void start_32(const char *info)
{
	struct err e = ERR_INIT;

	start(info, true);
	x.paging = NULL;
	dump.arch = &i386_arch;
	dump.id.word = 4;
	if (xlat_add_window(&x, LOW, 0, NR_PAGES * PAGE, &e))
		abort();
	put(8 * PAGE, LOW + 32 * PAGE, 4); /* mem_map */
	put(9 * PAGE, LOW + 11 * PAGE, 4);
	put(9 * PAGE + 4, 0, 4);
	put(9 * PAGE + 8, LOW + 10 * PAGE, 4);
	put_node(10 * PAGE, LOW + 32 * PAGE, 0, 40);
	put_node(11 * PAGE, LOW + 48 * PAGE, 40, 20);
}

static void is_map(const char *info, const char *model, uint64_t page_39, uint64_t page_40,
		   uint64_t page_60)
{
	struct memmap m;
	struct err e = ERR_INIT;
	struct reader r;

	reader_init(&r, &dump);
	ok(!memmap_init(&m, &k, &x, &r, &keep, &e), "%s: found %s", info, e.text);
	ok(m.model && !strcmp(m.model, model), "%s: is %s", info, model);
	ok(memmap_vaddr(&m, 39) == page_39, "%s: the last page of the first node", info);
	ok(memmap_vaddr(&m, 40) == page_40, "%s: the page behind it", info);
	ok(memmap_vaddr(&m, 60) == page_60, "%s: the page behind the second node", info);
	ok(memmap_vaddr(&m, 63) == (page_60 ? page_60 + 3 * 32 : 0), "%s: the last page", info);
	memmap_fini(&m);
	reader_fini(&r);
}

static void test_nodes(void)
{
	uint64_t first = LOW + 32 * PAGE, second = LOW + 48 * PAGE;

	start_32(ONE_NODE);
	is_map("FLATMEM, a node", "FLATMEM", first + 39 * 32, 0, 0);
	put_node(10 * PAGE, (uint32_t)first + 16 * 32, 16, 44);
	is_map("FLATMEM, a node that begins later", "FLATMEM", first + 39 * 32, first + 40 * 32, 0);
	put_node(10 * PAGE, 0x10000000, 0, 40);
	is_map("FLATMEM, no node's array", "FLATMEM", first + 39 * 32, first + 40 * 32,
	       first + 60 * 32);
	stop();
	start_32(NODES);
	is_map("nodes", "DISCONTIGMEM", first + 39 * 32, second, 0);
	put_node(11 * PAGE, (uint32_t)second - 10 * 32, 30, 30);
	is_map("nodes that overlap", "DISCONTIGMEM", first + 39 * 32, second, 0);
	stop();
}

int main(void)
{
	test_nodes();
	test_flat();
	test_sparse();
	test_lost();
	test_flat_scan();
	return done_testing();
}
