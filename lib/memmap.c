/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memmap.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arch.h"
#include "cleanup.h"

/*
 * Low bits of section_mem_map are flags (include/linux/mmzone.h, SECTION_MAP_LAST_BIT: 2 in
 * v2.6.16, 6 in v6.15); the address part is at least page aligned.
 */
#define SECTION_PRESENT 1ULL
#define SECTION_FLAGS 0xffULL

/* FLATMEM has no sections: pages that are looked at together. No buddy block crosses one. */
#define FLAT_CHUNK (1ULL << 15)

struct sparse {
	const struct kernel *k;
	const struct xlat *x;
	struct reader *r;
	uint64_t mem_section; /* the array of sections, or of pointers to arrays of them */
	uint64_t section_size, map_off;
	uint64_t per_root; /* sections per root, 0: no roots */
	uint64_t pages;	   /* per section */
	uint64_t nr_sections;
	unsigned int word;
	/* the root that was looked at last */
	uint64_t root_index, root;
	struct err why; /* the first section, or what leads to it, makes no sense */
};

static int add_range(struct memmap *m, uint64_t pfn, uint64_t nr, uint64_t vaddr, struct err *e)
{
	struct memmap_range *last = m->nr_ranges ? &m->ranges[m->nr_ranges - 1] : NULL;

	if (last && last->pfn + last->nr == pfn &&
	    last->vaddr + last->nr * m->struct_size == vaddr) {
		last->nr += nr;
		return 0;
	}
	if ((m->nr_ranges & (m->nr_ranges - 1)) == 0) {
		size_t room = m->nr_ranges ? m->nr_ranges * 2 : 1;
		struct memmap_range *more = realloc(m->ranges, room * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu ranges of struct pages",
				       room);
		m->ranges = more;
	}
	m->ranges[m->nr_ranges++] = (struct memmap_range){ .pfn = pfn, .nr = nr, .vaddr = vaddr };
	return 0;
}

/* The section_mem_map word of section NR; 0 for a hole. */
static int read_section(struct sparse *s, uint64_t nr, uint64_t *ret, struct err *e)
{
	uint64_t at = s->mem_section + nr * s->section_size;

	*ret = 0;
	if (s->per_root) {
		uint64_t index = nr / s->per_root;

		if (index != s->root_index) {
			if (xlat_read_uint(s->x, s->r, s->mem_section + index * s->word, s->word,
					   &s->root, e))
				return err_add(e, "mem_section root %" PRIu64, index);
			s->root_index = index;
		}
		if (!s->root)
			return 0;
		at = s->root + nr % s->per_root * s->section_size;
	}
	if (xlat_read_uint(s->x, s->r, at + s->map_off, s->word, ret, e))
		return err_add(e, "mem_section %" PRIu64, nr);
	return 0;
}

static void keep_first(struct sparse *s, const struct err *why)
{
	if (s->why.code == ERR_NONE)
		s->why = *why;
}

static void add_bad(struct memmap *m, struct sparse *s, const struct err *why)
{
	m->bad_sections++;
	keep_first(s, why);
}

static uint64_t first_held(const struct pfnset *pages, uint64_t pfn)
{
	uint64_t held, nr;

	return pfnset_next_covered(pages, pfn, &held, &nr) ? held : pfn;
}

/*
 * Add the sections that hold pages of PAGES; what cannot be read or makes no sense is counted and
 * left out.
 */
static int add_sections(struct memmap *m, struct sparse *s, const struct pfnset *pages,
			struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t next = 0;
	size_t i;

	for (i = 0; i < pages->nr_ranges; i++) {
		const struct pfn_range *r = &pages->ranges[i];
		uint64_t nr = MAX(next, r->pfn / s->pages),
			 end = (r->pfn + r->nr + s->pages - 1) / s->pages;

		for (; nr < end && nr < s->nr_sections; nr++) {
			uint64_t coded, vaddr, held;
			struct mapping mapped;

			if (read_section(s, nr, &coded, &why)) {
				add_bad(m, s, &why);
				continue;
			}
			if (!(coded & SECTION_PRESENT))
				continue;
			vaddr = (coded & ~SECTION_FLAGS) + nr * s->pages * m->struct_size;
			/*
			 * Not the first struct page: of a section that is partly a hole it may not
			 * exist.
			 */
			held = first_held(pages, MAX(r->pfn, nr * s->pages)) - nr * s->pages;
			if (xlat_lookup(s->x, s->r, vaddr + held * m->struct_size, &mapped, &why))
				add_bad(m, s, &why);
			else if (add_range(m, nr * s->pages, s->pages, vaddr, e))
				return -1;
		}
		next = MAX(next, nr);
	}
	return 0;
}

/*
 * SPARSEMEM_EXTREME: an array of roots. The static array, of 32-bit machines mostly, has one
 * element for each section. Where MAX_PHYSMEM_BITS is not told, the array says how many sections
 * there are.
 */
static void find_roots(struct sparse *s, uint64_t page_size, uint64_t section_bits)
{
	uint64_t length, told, per_root = page_size / s->section_size;

	s->per_root = per_root;
	if (!kernel_fact(s->k, FACT_LENGTH, "mem_section", &length) ||
	    length == (s->nr_sections + per_root - 1) / per_root)
		return;
	if (length != s->nr_sections && s->word == 8 && length <= (1ULL << 60) >> section_bits &&
	    !kernel_fact(s->k, FACT_NUMBER, "MAX_PHYSMEM_BITS", &told))
		s->nr_sections = length * per_root;
	else
		s->per_root = 0;
}

static int sparse_facts(struct sparse *s, struct err *e)
{
	const struct arch *arch = s->r->dump->arch;
	uint64_t section_bits = kernel_or(s->k, FACT_NUMBER, "SECTION_SIZE_BITS",
					  s->x->section_size_bits ? s->x->section_size_bits
								  : arch->section_size_bits);
	uint64_t phys_bits =
		kernel_or(s->k, FACT_NUMBER, "MAX_PHYSMEM_BITS",
			  s->x->max_physmem_bits ? s->x->max_physmem_bits : arch->max_physmem_bits);
	uint64_t page_size = s->r->dump->id.page_size;
	unsigned int shift = dump_page_shift(s->r->dump);

	if (kernel_need(s->k, FACT_SYMBOL, "mem_section", &s->mem_section, e) ||
	    kernel_need(s->k, FACT_SIZE, "mem_section", &s->section_size, e) ||
	    kernel_need(s->k, FACT_OFFSET, "mem_section.section_mem_map", &s->map_off, e))
		return -1;
	if (section_bits < shift + 8 || section_bits > 36 || phys_bits < section_bits ||
	    phys_bits > 60)
		return err_set(e, ERR_CORRUPT,
			       "SECTION_SIZE_BITS %" PRIu64 " and MAX_PHYSMEM_BITS %" PRIu64
			       " do not go together",
			       section_bits, phys_bits);
	if (s->section_size < s->word || s->section_size > page_size ||
	    s->map_off > s->section_size - s->word)
		return err_set(e, ERR_CORRUPT,
			       "SIZE(mem_section) %" PRIu64 " and its member at %" PRIu64
			       " do not go together",
			       s->section_size, s->map_off);
	s->pages = 1ULL << (section_bits - shift);
	s->nr_sections = 1ULL << (phys_bits - section_bits);
	find_roots(s, page_size, section_bits);
	return 0;
}

static int init_sparse(struct memmap *m, struct sparse *s, const struct pfnset *pages,
		       struct err *e)
{
	uint64_t most = 0;
	int tries;

	if (sparse_facts(s, e))
		return -1;
	m->model = s->per_root ? "SPARSEMEM_EXTREME" : "SPARSEMEM";
	m->section_pages = s->pages;
	/*
	 * SYMBOL(mem_section) is the array; from v4.15 until a0b1280368d1 it was the address of a
	 * pointer to it.
	 */
	for (tries = 0; tries < 2; tries++) {
		s->root_index = UINT64_MAX;
		m->bad_sections = 0;
		if (add_sections(m, s, pages, e))
			return -1;
		if (m->nr_ranges)
			return 0;
		most = MAX(most, m->bad_sections);
		if (xlat_read_uint(s->x, s->r, s->mem_section, s->word, &s->mem_section, e)) {
			keep_first(s, e);
			break;
		}
	}
	return err_set(e, ERR_MISSING,
		       "no section of the memory map makes sense (%" PRIu64
		       " were looked at in vain)%s%s",
		       most, s->why.code == ERR_NONE ? "" : ": ", s->why.text);
}

/* Without sections each node has one array of struct pages (struct pglist_data, mmzone.h). */
#define MAX_NODES 1024

struct node {
	uint64_t pfn, nr, vaddr; /* the first page, how many, where their struct pages are */
};

/* False when that is no node, or one without memory. */
static bool read_node(const struct sparse *s, uint64_t pgdat, struct node *n)
{
	struct err ignored = ERR_INIT;
	struct mapping m;
	uint64_t map, start, span;

	return kernel_fact(s->k, FACT_OFFSET, "pglist_data.node_mem_map", &map) &&
	       kernel_fact(s->k, FACT_OFFSET, "pglist_data.node_start_pfn", &start) &&
	       kernel_fact(s->k, FACT_OFFSET, "pglist_data.node_spanned_pages", &span) &&
	       !xlat_read_uint(s->x, s->r, pgdat + map, s->word, &n->vaddr, &ignored) &&
	       !xlat_read_uint(s->x, s->r, pgdat + start, s->word, &n->pfn, &ignored) &&
	       !xlat_read_uint(s->x, s->r, pgdat + span, s->word, &n->nr, &ignored) && n->nr &&
	       n->nr <= UINT64_MAX - n->pfn && !xlat_lookup(s->x, s->r, n->vaddr, &m, &ignored);
}

/* Put N among the NR nodes, which ascend. */
static void insert_node(struct node *nodes, size_t nr, const struct node *n)
{
	for (; nr && nodes[nr - 1].pfn > n->pfn; nr--)
		nodes[nr] = nodes[nr - 1];
	nodes[nr] = *n;
}

/* The nodes, ascending: one, or those of an array of pointers. Returns their number. */
static size_t read_nodes(const struct sparse *s, struct node *nodes)
{
	uint64_t array, pgdat, i,
		length = MIN(kernel_or(s->k, FACT_LENGTH, "node_data", 0), MAX_NODES);
	struct err ignored = ERR_INIT;
	struct node n;
	size_t nr = 0;

	if (kernel_fact(s->k, FACT_SYMBOL, "contig_page_data", &pgdat))
		return read_node(s, pgdat, nodes);
	if (!kernel_fact(s->k, FACT_SYMBOL, "node_data", &array))
		return 0;
	for (i = 0; i < length; i++)
		if (!xlat_read_uint(s->x, s->r, array + i * s->word, s->word, &pgdat, &ignored) &&
		    pgdat && read_node(s, pgdat, &n))
			insert_node(nodes, nr++, &n);
	return nr;
}

/*
 * One array for the pages of [START, END), that of page 0 would be at VADDR, but ranges only around
 * those of PAGES: work follows what there is, not the highest address. Whole chunks, since what is
 * not held still tells about what is: the struct page behind the last one makes that a compound
 * head or not.
 */
static int add_array(struct memmap *m, const struct pfnset *pages, uint64_t start, uint64_t end,
		     uint64_t vaddr, struct err *e)
{
	uint64_t next = start;
	size_t i;

	for (i = 0; i < pages->nr_ranges; i++) {
		const struct pfn_range *r = &pages->ranges[i];
		uint64_t from = MAX(next, r->pfn / FLAT_CHUNK * FLAT_CHUNK);

		next = (r->pfn + r->nr + FLAT_CHUNK - 1) / FLAT_CHUNK * FLAT_CHUNK;
		next = MAX(from, MIN(next, end));
		if (from < next &&
		    add_range(m, from, next - from, vaddr + from * m->struct_size, e))
			return -1;
	}
	return 0;
}

/* FLATMEM, and DISCONTIGMEM, which had an array for each node. */
static int init_flat(struct memmap *m, struct sparse *s, const struct pfnset *pages, struct err *e)
{
	_cleanup_free_ struct node *nodes = calloc(MAX_NODES, sizeof(*nodes));
	uint64_t symbol, vaddr, next = 0;
	size_t nr, i;

	if (!nodes)
		return err_set(e, ERR_NOMEM, "out of memory");
	m->model = kernel_fact(s->k, FACT_SYMBOL, "mem_map", &symbol) ? "FLATMEM" : "DISCONTIGMEM";
	m->section_pages = FLAT_CHUNK;
	nr = read_nodes(s, nodes);
	/* A node tells how far its array goes; behind it anything may lie. */
	for (i = 0; i < nr; i++) {
		const struct node *n = &nodes[i];

		if (add_array(m, pages, MAX(next, n->pfn), n->pfn + n->nr,
			      n->vaddr - n->pfn * m->struct_size, e))
			return -1;
		next = MAX(next, n->pfn + n->nr);
	}
	if (m->nr_ranges)
		return 0;
	if (kernel_need(s->k, FACT_SYMBOL, "mem_map", &symbol, e) ||
	    xlat_read_uint(s->x, s->r, symbol, s->word, &vaddr, e))
		return -1;
	return add_array(m, pages, s->x->flat_pfn, UINT64_MAX,
			 vaddr - s->x->flat_pfn * m->struct_size, e);
}

int memmap_init(struct memmap *m, const struct kernel *k, const struct xlat *x, struct reader *r,
		const struct pfnset *pages, struct err *e)
{
	struct sparse s = { .k = k, .x = x, .r = r, .word = r->dump->id.word, .why = ERR_INIT };
	uint64_t size, any;

	*m = (struct memmap){ .model = NULL };
	if (!xlat_works(x))
		return err_set(e, ERR_MISSING, "kernel addresses cannot be translated");
	if (!pages->nr_ranges)
		return err_set(e, ERR_MISSING, "the dump holds no pages");
	if (kernel_need(k, FACT_SIZE, "page", &size, e))
		return -1;
	if (size < 32 || size > 1024 || size % 4)
		return err_set(e, ERR_CORRUPT, "SIZE(page) is %" PRIu64 ", expected 32 to 1024",
			       size);
	m->struct_size = (uint32_t)size;
	if (kernel_fact(k, FACT_SYMBOL, "mem_section", &any) ||
	    (!kernel_fact(k, FACT_SYMBOL, "mem_map", &any) &&
	     !kernel_fact(k, FACT_OFFSET, "pglist_data.node_mem_map", &any)))
		return init_sparse(m, &s, pages, e);
	return init_flat(m, &s, pages, e);
}

void memmap_fini(struct memmap *m)
{
	free(m->ranges);
	*m = (struct memmap){ .model = NULL };
}

uint64_t memmap_vaddr(const struct memmap *m, uint64_t pfn)
{
	size_t lo = 0, hi = m->nr_ranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->ranges[mid].pfn + m->ranges[mid].nr <= pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == m->nr_ranges || m->ranges[lo].pfn > pfn)
		return 0;
	return m->ranges[lo].vaddr + (pfn - m->ranges[lo].pfn) * m->struct_size;
}
