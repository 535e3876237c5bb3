/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include <inttypes.h>

#include "arch.h"
#include "cleanup.h"
#include "kmem.h"
#include "printk.h"
#include "scan.h"

/*
 * Entries of page tables that are looked at: enough for 8 TiB mapped in pages of 2 MiB, and seconds
 * when tables point at each other. What is not reached is kept if its struct page says so, as ever.
 */
#define MAX_STEPS (4ULL << 20)

struct guard {
	struct classify *c;
	struct reader r;     /* page tables */
	struct reader pages; /* struct pages */
	uint64_t reserved;   /* mask of PG_reserved, 0 when it could not be learned */
	const char *what;
	/* the block that a page was put back into last */
	uint64_t block, block_pages;
	enum page_kind kind;
};

/*
 * PFN was counted as left out and is not. Its kind is found out once more instead of being
 * remembered for all pages: hardly any page is put back.
 */
static void uncount(struct guard *g, uint64_t pfn)
{
	uint64_t *dropped = g->c->dropped;
	enum page_kind k;

	if (pfn - g->block >= g->block_pages) {
		struct verdict v = scan_dropped_by(g->c, &g->pages, pfn, &g->block);

		g->kind = v.kind;
		g->block_pages = v.kind == KIND_KEPT ? 0 : v.nr;
	}
	k = g->kind;
	if (k == KIND_KEPT && g->c->rules.by_lists) /* no struct page tells */
		k = KIND_FREE;
	/* Blocks that overlap: it was counted, as whatever came first. */
	if (!dropped[k])
		for (k = 0; k < NR_KINDS - 1 && !dropped[k]; k++)
			;
	dropped[k] -= dropped[k] != 0;
}

static void guard_pages(struct guard *g, uint64_t pfn, uint64_t nr)
{
	struct explanation *x = g->c->explain;
	uint64_t back, i;

	for (i = 0; i < nr; i++)
		if (pfnset_covers(g->c->keep, pfn + i) && !pfnset_test(g->c->keep, pfn + i))
			uncount(g, pfn + i);
	back = pfnset_set(g->c->keep, pfn, nr);

	g->c->guarded += back;
	if (back)
		log_debug(g->c->log,
			  "page 0x%" PRIx64 " and %" PRIu64
			  " more would have been dropped, but are %s",
			  pfn, nr - 1, g->what);
	if (x && x->dropped && x->pfn >= pfn && x->pfn - pfn < nr)
		x->guarded = g->what;
}

static void guard_phys(struct guard *g, uint64_t paddr, uint64_t len)
{
	unsigned int shift = dump_page_shift(g->c->dump);
	uint64_t pfn = paddr >> shift, end = ((paddr + len - 1) >> shift) + 1;

	guard_pages(g, pfn, end - pfn);
}

struct guard_range {
	struct guard *g;
	uint64_t start, end; /* virtual addresses, the last one included */
};

static int guard_range_mapping(void *priv, const struct mapping *m)
{
	const struct guard_range *range = priv;
	uint64_t from = MAX(m->vaddr, range->start), to = MIN(m->vaddr + (m->len - 1), range->end);

	if (from <= to)
		guard_phys(range->g, m->paddr + (from - m->vaddr), to - from + 1);
	return 0;
}

/*
 * Physical memory behind LEN bytes at VADDR. What is not mapped is passed over, since behind a
 * guard page of a stack there may be more of it; a whole table at a time, since LEN may be a lie.
 */
static void guard_virt(struct guard *g, uint64_t vaddr, uint64_t len)
{
	struct guard_range range = { g, vaddr, vaddr + MIN(len - 1, UINT64_MAX - vaddr) };
	struct xlat_visitor v = { .mapping = guard_range_mapping, .priv = &range };

	if (len)
		xlat_walk(g->c->xlat, &g->r, range.start, range.end, MAX_STEPS, &v);
}

static int guard_log_region(void *priv, uint64_t vaddr, uint64_t len, struct err *e)
{
	(void)e;
	guard_virt(priv, vaddr, len);
	return 0;
}

/*
 * PG_reserved is not exported, but the page of _stext has it and, being kernel text, no other flag
 * below the zone and node bits: the kernel itself shows which bit it is. Those bits begin at 20 on
 * i386 with PAE, SPARSEMEM and NUMA (7 for the section, 2 for the zone, 3 for the node); PG_reserved
 * never was above 14.
 */
static uint64_t learn_reserved(struct guard *g)
{
	const struct rules *rules = &g->c->rules;
	uint8_t page[1024];
	struct err ignored = ERR_INIT;
	struct page_fields f;
	struct mapping m;
	uint64_t stext, low;

	if (!kernel_fact(g->c->kernel, FACT_SYMBOL, "_stext", &stext) ||
	    xlat_lookup(g->c->xlat, &g->r, stext, &m, &ignored) ||
	    scan_struct_page(g->c, &g->pages,
			     (m.paddr + (stext - m.vaddr)) >> dump_page_shift(g->c->dump), page,
			     &ignored))
		return 0;
	rules_fields(rules, 0, 0, page, NULL, &f);
	low = f.flags & 0xfffff;
	return low && !(low & (low - 1)) ? low : 0;
}

/* A page of the kernel image that is still reserved was never freed. */
static int guard_image_mapping(void *priv, const struct mapping *m)
{
	struct guard *g = priv;
	unsigned int shift = dump_page_shift(g->c->dump);
	uint64_t pfn = m->paddr >> shift, end = (m->paddr + m->len - 1) >> shift;
	uint8_t page[1024];

	for (; pfn <= end; pfn++) {
		struct err ignored = ERR_INIT;
		struct page_fields f;

		if (!pfnset_covers(g->c->keep, pfn) || pfnset_test(g->c->keep, pfn) ||
		    scan_struct_page(g->c, &g->pages, pfn, page, &ignored))
			continue;
		rules_fields(&g->c->rules, 0, 0, page, NULL, &f);
		if (f.flags & g->reserved)
			guard_pages(g, pfn, 1);
	}
	return 0;
}

static void guard_image(struct guard *g)
{
	struct xlat_visitor v = { .mapping = guard_image_mapping, .priv = g };
	struct kmem m = { .kernel = g->c->kernel, .xlat = g->c->xlat, .reader = &g->r };
	uint64_t start, end;

	g->what = "the kernel image";
	g->reserved = learn_reserved(g);
	if (g->reserved && kmem_image(&m, &start, &end))
		xlat_walk(g->c->xlat, &g->r, start, end - 1, MAX_STEPS, &v);
}

static int guard_table(void *priv, uint64_t paddr, unsigned int level)
{
	const struct guard *g = priv;
	const struct paging *p = g->c->xlat->paging;

	guard_phys(priv, paddr, (uint64_t)p->entry_size << p->level[level].bits);
	return 0;
}

/* Where user addresses may have the lower half of the table, the upper one. */
static void guard_page_tables(struct guard *g)
{
	struct xlat_visitor v = { .table = guard_table, .priv = g };
	struct xlat tables = *g->c->xlat;

	g->what = "a page table of the kernel";
	tables.nr_windows = 0; /* what needs no table here may have one, for others to go by */
	if (tables.paging)
		xlat_walk(&tables, &g->r, xlat_kernel_start(&tables), UINT64_MAX, MAX_STEPS, &v);
}

/* The stack that each CPU was on, when it was one of the kernel. */
static void guard_stacks(struct guard *g)
{
	const struct dump *d = g->c->dump;
	uint64_t size = 1ULL << d->arch->stack_shift, sp;
	unsigned int i;

	g->what = "the stack of a running task";
	for (i = 0; i < d->nr_cpus; i++)
		if (cpu_reg(&d->cpus[i], d->arch->sp, &sp))
			guard_virt(g, (sp - 1) & ~(size - 1), size);
}

static void guard_symbols(struct guard *g)
{
	unsigned int word = g->c->dump->id.word;
	const struct {
		const char *name;
		uint64_t size;
	} symbols[] = {
		{ "init_uts_ns",
		  kernel_or(g->c->kernel, FACT_OFFSET, "uts_namespace.name", 0) + 6 * 65 },
		{ "node_data",
		  MIN(kernel_or(g->c->kernel, FACT_LENGTH, "node_data", 1), 1024) * word },
		{ "swapper_pg_dir", word },
		{ "init_top_pgt", word },
		{ "_stext", 1 },
		{ "mem_section", word },
		{ "prb", word },
		{ "log_buf", word },
	};
	uint64_t addr;
	size_t i;

	g->what = "what a symbol of VMCOREINFO points at";
	for (i = 0; i < ARRAY_SIZE(symbols); i++)
		if (kernel_fact(g->c->kernel, FACT_SYMBOL, symbols[i].name, &addr))
			guard_virt(g, addr, MIN(symbols[i].size, (uint64_t)65536));
}

void guard_run(struct classify *c)
{
	struct guard g = { .c = c };
	struct err ignored = ERR_INIT;

	if (!xlat_works(c->xlat))
		return;
	reader_init(&g.r, c->dump);
	reader_init(&g.pages, c->dump);
	guard_symbols(&g);
	guard_image(&g);
	guard_page_tables(&g);
	guard_stacks(&g);
	g.what = "the log buffer";
	printk_regions(c->kernel, c->xlat, &g.pages, guard_log_region, &g, &ignored);
	reader_fini(&g.r);
	reader_fini(&g.pages);
	if (c->guarded)
		log_warn(c->log,
			 "%" PRIu64
			 " pages that must not be lost were about to be dropped; they are kept",
			 c->guarded);
}
