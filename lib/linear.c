/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "linear.h"

#include <stdlib.h>

#include "cleanup.h"

#define MAX_STEPS (64ULL << 20) /* entries of page tables that are looked at */
#define MAX_PIECES ((size_t)64 << 10)
#define NR_CANDIDATES 64

/* A distance, vaddr - paddr, and pages that have it, less those of rivals (Misra and Gries). */
struct candidate {
	uint64_t distance, pages;
};

struct linear {
	const struct dump *d;
	uint64_t end; /* of physical memory */
	struct candidate candidates[NR_CANDIDATES];
	uint64_t most;	/* pages that the direct map has */
	uint64_t image; /* its distance */
	bool has_image;
	struct segment *segments;
	size_t nr, room;
	struct err *e;
};

/* The part of M that is memory; false when none is. */
static bool cut(const struct linear *l, const struct mapping *m, struct mapping *ret)
{
	*ret = *m;
	if (m->paddr >= l->end)
		return false;
	ret->len = MIN(m->len, l->end - m->paddr);
	return ret->len != 0;
}

/* Pages of M that are memory: the registers of a device may be as many. */
static uint64_t count_memory(const struct dump *d, const struct mapping *m)
{
	unsigned int shift = dump_page_shift(d);
	uint64_t pfn = m->paddr >> shift, end = pfn + MAX(m->len >> shift, (uint64_t)1), n = 0;
	struct run run;

	for (; pfn < end && dump_next_run(d, SPACE_PHYS, pfn, &run) && run.pfn < end;
	     pfn = run.pfn + run.nr)
		n += MIN(end, run.pfn + run.nr) - run.pfn;
	return n;
}

/*
 * More than an equal share of all pages, and a distance stays a candidate, however many others
 * there are: the direct map maps all of memory, the rest of a kernel's address space some of it.
 */
static int weigh(void *priv, const struct mapping *mapping)
{
	struct linear *l = priv;
	struct candidate *c, *least = l->candidates;
	struct mapping m;
	uint64_t pages, take;

	if (!cut(l, mapping, &m))
		return 0;
	pages = count_memory(l->d, &m);
	for (c = l->candidates; c < l->candidates + NR_CANDIDATES; c++) {
		if (c->pages && c->distance == m.vaddr - m.paddr) {
			c->pages += pages;
			return 0;
		}
		if (c->pages < least->pages)
			least = c;
	}
	take = MIN(least->pages, pages);
	for (c = l->candidates; take && c < l->candidates + NR_CANDIDATES; c++)
		c->pages -= take;
	if (pages > take)
		*least = (struct candidate){ m.vaddr - m.paddr, pages - take };
	return 0;
}

/*
 * Where windows map memory, there are several that have all of it: cached or not (MIPS, LoongArch).
 */
static bool is_wanted(const struct linear *l, uint64_t distance)
{
	const struct candidate *c;

	for (c = l->candidates; c < l->candidates + NR_CANDIDATES; c++)
		if (c->distance == distance && c->pages && c->pages == l->most)
			return true;
	return l->has_image && distance == l->image;
}

static int collect(void *priv, const struct mapping *mapping)
{
	struct linear *l = priv;
	struct segment *last = l->nr ? &l->segments[l->nr - 1] : NULL;
	struct mapping m;

	if (!cut(l, mapping, &m))
		return 0;
	if (!is_wanted(l, m.vaddr - m.paddr))
		return 0;
	if (last && last->vaddr + last->memsz == m.vaddr && last->paddr + last->memsz == m.paddr) {
		last->memsz = last->filesz = last->memsz + m.len;
		return 0;
	}
	if (l->nr == MAX_PIECES)
		return 1;
	if (l->nr == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct segment *more = realloc(l->segments, room * sizeof(*more));

		if (!more)
			return err_set(l->e, ERR_NOMEM, "no memory for segments");
		l->segments = more;
		l->room = room;
	}
	l->segments[l->nr++] = (struct segment){
		.vaddr = m.vaddr, .paddr = m.paddr, .filesz = m.len, .memsz = m.len, .flags = 7
	};
	return 0;
}

static uint64_t heaviest(const struct linear *l)
{
	const struct candidate *c;
	uint64_t most = 0;

	for (c = l->candidates; c < l->candidates + NR_CANDIDATES; c++)
		most = MAX(most, c->pages);
	return most;
}

/* Windows are the kernel's, wherever they are; below its tables' addresses they are a user's. */
static uint64_t kernel_start(const struct xlat *x)
{
	uint64_t start = x->paging ? xlat_kernel_start(x) : UINT64_MAX;

	return x->nr_windows ? MIN(start, x->windows[0].vaddr) : start;
}

int linear_segments(struct dump *d, const struct kernel *k, const struct xlat *x,
		    struct segment **ret, size_t *nr, struct err *e)
{
	struct linear l = { .d = d, .end = dump_max_pfn(d) << dump_page_shift(d), .e = e };
	struct xlat_visitor v = { .mapping = weigh, .priv = &l };
	uint64_t stext, start = kernel_start(x);
	struct err ignored = ERR_INIT;
	struct mapping m;
	struct reader r;
	int failed;

	*ret = NULL;
	*nr = 0;
	if (!xlat_works(x))
		return 0;
	reader_init(&r, d);
	xlat_walk(x, &r, start, UINT64_MAX, MAX_STEPS, &v);
	l.most = heaviest(&l);
	l.has_image = kernel_fact(k, FACT_SYMBOL, "_stext", &stext) &&
		      !xlat_lookup(x, &r, stext, &m, &ignored);
	if (l.has_image)
		l.image = m.vaddr - m.paddr;
	v.mapping = collect;
	failed = xlat_walk(x, &r, start, UINT64_MAX, MAX_STEPS, &v) < 0;
	reader_fini(&r);
	if (failed) {
		free(l.segments);
		return -1;
	}
	*ret = l.segments;
	*nr = l.nr;
	return 0;
}
