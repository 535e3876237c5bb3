/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "zones.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"

/* More of them than any kernel has: MAX_NUMNODES is 1024, MAX_NR_ZONES 6. */
#define MAX_NODES 1024
#define MAX_ZONES 8
#define MAX_TYPES 64
/* Heads of lists that are looked at: 64 nodes with all of their zones, orders and types, tenfold.
 */
#define MAX_LISTS (1u << 18)
#define MAX_STRUCT_PAGE 1024

/* ---- all zones ---- */

struct zones {
	const struct classify *c;
	struct reader r;
};

/* What to do with the zone at VADDR; false when it cannot be read. */
typedef bool zone_visit(struct zones *z, uint64_t vaddr, void *priv);

static bool read_word(struct zones *z, uint64_t vaddr, uint64_t *ret)
{
	struct err ignored = ERR_INIT;

	return !xlat_read_uint(z->c->xlat, &z->r, vaddr, z->c->dump->id.word, ret, &ignored);
}

static bool visit_node(struct zones *z, uint64_t pgdat, zone_visit *visit, void *priv)
{
	const struct kernel *k = z->c->kernel;
	struct err ignored = ERR_INIT;
	uint64_t zones, size, nr_off, nr, i;

	if (!kernel_fact(k, FACT_OFFSET, "pglist_data.node_zones", &zones) ||
	    !kernel_fact(k, FACT_OFFSET, "pglist_data.nr_zones", &nr_off) ||
	    !kernel_fact(k, FACT_SIZE, "zone", &size) ||
	    xlat_read_uint(z->c->xlat, &z->r, pgdat + nr_off, 4, &nr, &ignored) || nr > MAX_ZONES)
		return false;
	for (i = 0; i < nr; i++)
		if (!visit(z, pgdat + zones + i * size, priv))
			return false;
	return true;
}

/* All zones of all nodes. False when no node can be read to its end. */
static bool visit_zones(struct zones *z, zone_visit *visit, void *priv)
{
	const struct kernel *k = z->c->kernel;
	uint64_t nr = MIN(kernel_or(k, FACT_LENGTH, "node_data", 0), MAX_NODES), array, pgdat, i;
	bool any = false;

	if (kernel_fact(k, FACT_SYMBOL, "contig_page_data", &pgdat))
		return visit_node(z, pgdat, visit, priv);
	if (!kernel_fact(k, FACT_SYMBOL, "node_data", &array))
		return false;
	for (i = 0; i < nr; i++)
		if (read_word(z, array + i * z->c->dump->id.word, &pgdat) && pgdat)
			any = visit_node(z, pgdat, visit, priv) || any;
	return any;
}

/* ---- counters ---- */

/* vm_stat[NR_FREE_PAGES] */
static bool add_free(struct zones *z, uint64_t vaddr, void *priv)
{
	const struct kernel *k = z->c->kernel;
	uint64_t *sum = priv, stat, n, index = kernel_or(k, FACT_NUMBER, "NR_FREE_PAGES", 0);

	if (!kernel_fact(k, FACT_OFFSET, "zone.vm_stat", &stat) ||
	    !read_word(z, vaddr + stat + index * z->c->dump->id.word, &n))
		return false;
	*sum += n;
	return true;
}

uint64_t zones_free_pages(const struct classify *c)
{
	struct zones z = { .c = c };
	uint64_t sum = 0;
	bool any;

	reader_init(&z.r, c->dump);
	any = visit_zones(&z, add_free, &sum);
	reader_fini(&z.r);
	return any ? sum : UINT64_MAX;
}

/* ---- free lists ---- */

struct lists {
	struct classify *c;
	uint64_t area, area_size, nr_orders; /* zone.free_area */
	uint64_t list, list_size, nr_types;  /* free_area.free_list, by migrate type */
	uint64_t next, prev, lru; /* of struct list_head, and where it is in struct page */
	bool has_count;
	uint64_t count;		     /* the reference count in struct page */
	struct memmap_range *ranges; /* of the memory map, by address */
	uint64_t left;		     /* pages that can be on lists yet: blocks do not overlap */
	uint64_t nr, broken;
	char why[80]; /* the first of them is */
};

bool zones_have_lists(const struct kernel *k)
{
	static const struct {
		enum fact_kind kind;
		const char *name;
	} needed[] = {
		{ FACT_OFFSET, "pglist_data.node_zones" },
		{ FACT_OFFSET, "pglist_data.nr_zones" },
		{ FACT_SIZE, "zone" },
		{ FACT_OFFSET, "zone.free_area" },
		{ FACT_LENGTH, "zone.free_area" },
		{ FACT_SIZE, "free_area" },
		{ FACT_OFFSET, "free_area.free_list" },
		{ FACT_OFFSET, "list_head.next" },
		{ FACT_OFFSET, "list_head.prev" },
		{ FACT_OFFSET, "page.lru" },
	};
	uint64_t any;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if (!kernel_fact(k, needed[i].kind, needed[i].name, &any))
			return false;
	return kernel_fact(k, FACT_SYMBOL, "contig_page_data", &any) ||
	       kernel_fact(k, FACT_SYMBOL, "node_data", &any);
}

/* Is there room for a word at OFF of a structure of SIZE bytes? */
static bool fits(const struct lists *l, uint64_t off, uint64_t size)
{
	unsigned int word = l->c->dump->id.word;

	return size >= word && off <= size - word && off % word == 0;
}

static bool lists_facts(struct lists *l)
{
	const struct kernel *k = l->c->kernel;
	uint64_t size = l->c->rules.struct_size;

	l->area = kernel_or(k, FACT_OFFSET, "zone.free_area", 0);
	l->nr_orders = l->c->rules.max_free_order;
	l->area_size = kernel_or(k, FACT_SIZE, "free_area", 0);
	l->list = kernel_or(k, FACT_OFFSET, "free_area.free_list", 0);
	/* One list for each order before there were types (v2.6.24), told with VMCOREINFO itself.
	 */
	l->nr_types = kernel_or(k, FACT_LENGTH, "free_area.free_list", 1);
	l->list_size = 2ULL * l->c->dump->id.word;
	l->next = kernel_or(k, FACT_OFFSET, "list_head.next", 0);
	l->prev = kernel_or(k, FACT_OFFSET, "list_head.prev", 0);
	l->lru = kernel_or(k, FACT_OFFSET, "page.lru", 0);
	l->has_count = kernel_fact(k, FACT_OFFSET, "page._refcount", &l->count) ||
		       kernel_fact(k, FACT_OFFSET, "page._count", &l->count);
	return size <= MAX_STRUCT_PAGE && fits(l, l->next, l->list_size) &&
	       fits(l, l->prev, l->list_size) && l->next != l->prev && l->lru <= size &&
	       fits(l, l->lru + l->next, size) && fits(l, l->lru + l->prev, size) &&
	       (!l->has_count || (l->count <= size - 4 && l->count % 4 == 0)) &&
	       l->nr_types <= MAX_TYPES && l->list <= l->area_size &&
	       l->nr_types * l->list_size <= l->area_size - l->list;
}

static int by_vaddr(const void *a, const void *b)
{
	const struct memmap_range *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static int sort_ranges(struct lists *l, struct err *e)
{
	const struct memmap *m = &l->c->memmap;
	size_t i;

	l->ranges = calloc(m->nr_ranges, sizeof(*l->ranges));
	if (!l->ranges)
		return err_set(e, ERR_NOMEM, "no memory for %zu ranges of struct pages",
			       m->nr_ranges);
	for (i = 0; i < m->nr_ranges; i++) {
		l->ranges[i] = m->ranges[i];
		l->left += m->ranges[i].nr;
	}
	qsort(l->ranges, m->nr_ranges, sizeof(*l->ranges), by_vaddr);
	return 0;
}

/* The page whose struct page is at VADDR. */
static bool page_at(const struct lists *l, uint64_t vaddr, uint64_t *pfn)
{
	size_t lo = 0, hi = l->c->memmap.nr_ranges;
	const struct memmap_range *r;
	uint64_t index;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->ranges[mid].vaddr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	r = &l->ranges[lo - 1];
	index = (vaddr - r->vaddr) / l->c->memmap.struct_size;
	*pfn = r->pfn + index;
	return index < r->nr && (vaddr - r->vaddr) % l->c->memmap.struct_size == 0;
}

/* Count a list that is not whole, and remember why the first one is not. */
static bool broken(struct lists *l, unsigned int order, const char *what, uint64_t vaddr)
{
	if (!l->broken++)
		snprintf(l->why, sizeof(l->why), "of order %u: %s at 0x%" PRIx64, order, what,
			 vaddr);
	return false;
}

struct block {
	uint64_t pfn, next, prev;
	uint32_t count;
};

/* The block that the list element AT stands for. */
static bool read_block(struct lists *l, struct zones *z, uint64_t at, struct block *b)
{
	const struct dump *d = l->c->dump;
	struct err ignored = ERR_INIT;
	uint8_t page[MAX_STRUCT_PAGE];

	if (!page_at(l, at - l->lru, &b->pfn) ||
	    xlat_read(l->c->xlat, &z->r, at - l->lru, page, l->c->rules.struct_size, &ignored))
		return false;
	b->next = load_uint(page + l->lru + l->next, d->id.word, d->id.order);
	b->prev = load_uint(page + l->lru + l->prev, d->id.word, d->id.order);
	b->count = l->has_count ? load_u32(page + l->count, d->id.order) : 0;
	return true;
}

/*
 * Is the list whole? Each element must be a page without users that points back at the one before:
 * no loop can, but one through the head.
 */
static bool list_is_whole(struct lists *l, struct zones *z, uint64_t head, unsigned int order)
{
	uint64_t at, last, before = head;
	struct block b;

	if (!read_word(z, head + l->next, &at) || !read_word(z, head + l->prev, &last))
		return broken(l, order, "its head cannot be read", head);
	if (!at && !last) /* of a zone without memory */
		return true;
	for (; at != head; before = at, at = b.next) {
		if (l->c->interrupted && __atomic_load_n(l->c->interrupted, __ATOMIC_RELAXED))
			return false;
		if (!read_block(l, z, at, &b))
			return broken(l, order, "no struct page is", at);
		if (b.prev != before)
			return broken(l, order, "two elements do not fit together", at);
		if (b.count || b.pfn & ((1ULL << order) - 1))
			return broken(l, order, "that is no free block", at);
		if (l->left >> order == 0)
			return broken(l, order, "it does not end", at);
		l->left -= 1ULL << order;
	}
	return before == last || broken(l, order, "two elements do not fit together", head);
}

static void explain_block(struct classify *c, uint64_t pfn, const struct verdict *v)
{
	struct explanation *x = c->explain;

	if (!x || x->dropped || x->pfn < pfn || x->pfn - pfn >= v->nr)
		return;
	x->dropped = true;
	x->by_pfn = pfn;
	x->by = *v;
}

/* A list that is whole has an end. */
static void drop_list(struct lists *l, struct zones *z, uint64_t head, unsigned int order)
{
	const struct verdict v = { .kind = KIND_FREE,
				   .nr = 1ULL << order,
				   .why = "on a free list of the page allocator" };
	struct block b;
	uint64_t at;

	if (!read_word(z, head + l->next, &at) || !at)
		return;
	for (; at != head && read_block(l, z, at, &b); at = b.next) {
		explain_block(l->c, b.pfn, &v);
		l->c->dropped[KIND_FREE] += pfnset_clear(l->c->keep, b.pfn, v.nr);
	}
}

static bool drop_zone(struct zones *z, uint64_t vaddr, void *priv)
{
	struct lists *l = priv;
	unsigned int order, type;

	for (order = 0; order < l->nr_orders; order++)
		for (type = 0; type < l->nr_types && l->nr < MAX_LISTS; type++, l->nr++) {
			uint64_t head = vaddr + l->area + order * l->area_size + l->list +
					type * l->list_size;

			if (list_is_whole(l, z, head, order))
				drop_list(l, z, head, order);
		}
	return true;
}

static void tell(struct lists *l, bool any)
{
	struct classify *c = l->c;

	log_debug(c->log, "%" PRIu64 " free lists, %" PRIu64 " of them broken", l->nr, l->broken);
	if (any && !l->broken)
		return;
	c->degraded = true;
	if (!any)
		log_warn(c->log, "free pages are kept: the lists of them cannot be found");
	else
		log_warn(c->log,
			 "%" PRIu64 " of %" PRIu64
			 " free lists are broken, the first %s; the pages "
			 "on them are kept",
			 l->broken, l->nr, l->why);
}

int zones_drop_free(struct classify *c, struct err *e)
{
	struct zones z = { .c = c };
	struct lists l = { .c = c };
	bool any;

	if (!lists_facts(&l)) {
		tell(&l, false);
		return 0;
	}
	if (sort_ranges(&l, e))
		return -1;
	reader_init(&z.r, c->dump);
	any = visit_zones(&z, drop_zone, &l);
	reader_fini(&z.r);
	free(l.ranges);
	if (c->interrupted && __atomic_load_n(c->interrupted, __ATOMIC_RELAXED))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	tell(&l, any && l.nr);
	return 0;
}
