/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a page table is when nothing tells, and which one it is when the user does. */
#include <inttypes.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "xlat.h"

/* Places that are looked at for a top table: those of 8 TiB in steps of 2 MiB. */
#define MAX_CANDIDATES (4ULL << 20)

/* Places in memory that differ from VADDR by a multiple of ALIGN, in ascending order. */
struct places {
	const struct dump *d;
	uint64_t vaddr, align, tries;
	uint64_t at, end; /* the next one; where the run ends that it is in */
	uint64_t pfn;	  /* of the next run */
};

static bool next_place(struct places *p, uint64_t *ret)
{
	unsigned int shift = dump_page_shift(p->d);
	struct run run;

	while (p->at >= p->end) {
		if (p->tries++ >= MAX_CANDIDATES ||
		    !dump_next_run(p->d, SPACE_PHYS, p->pfn, &run) ||
		    run.pfn + run.nr > UINT64_MAX >> shift)
			return false;
		p->pfn = run.pfn + run.nr;
		p->end = p->pfn << shift;
		p->at = run.state == PAGE_DATA ? run.pfn << shift : p->end;
		p->at += MIN((p->vaddr - p->at) & (p->align - 1), p->end - p->at);
	}
	if (p->tries++ >= MAX_CANDIDATES)
		return false;
	*ret = p->at;
	p->at += MIN(p->align, p->end - p->at);
	return true;
}

bool xlat_find_root(struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t align)
{
	struct places p = { .d = d, .vaddr = vaddr, .align = align };
	uint64_t place;

	while (next_place(&p, &place)) {
		x->root = place;
		if (xlat_maps(x, d, vaddr, place))
			return true;
	}
	return false;
}

/* ---- tables that map themselves, wherever ---- */

/* Entries that are looked at for it: of the kernel's own table they are a few thousand. */
#define MAX_STEPS (1u << 18)
/* Of all places together: what is no table mostly ends with its first page. */
#define MAX_TABLES (1u << 17)
#define MAX_MAPPINGS (1u << 23)

struct self {
	const struct xlat *x;
	uint64_t want, mask; /* the address is WANT in the bits of MASK */
	uint64_t vaddr;
	unsigned int tables, mappings; /* that were seen, of all places */
};

static int see_table(void *priv, uint64_t paddr, unsigned int level)
{
	struct self *s = priv;

	(void)paddr;
	return level && ++s->tables > MAX_TABLES ? 2 : 0;
}

static int see_self(void *priv, const struct mapping *m)
{
	struct self *s = priv;

	if (++s->mappings > MAX_MAPPINGS)
		return 2;
	if (s->x->root < m->paddr || s->x->root - m->paddr >= m->len)
		return 0;
	s->vaddr = m->vaddr + (s->x->root - m->paddr);
	return !((s->vaddr ^ s->want) & s->mask);
}

/* Does the table at x->root map itself in [START, END], to an address that is WANT in MASK? */
static bool maps_itself(const struct xlat *x, struct reader *r, uint64_t start, uint64_t end,
			struct self *s)
{
	struct xlat_visitor v = { .table = see_table, .mapping = see_self, .priv = s };

	s->x = x;
	return xlat_walk(x, r, start, end, MAX_STEPS, &v) == 1;
}

/* Does the entry that maps VADDR map what it may? Taken for one of a higher level it hardly would.
 */
static bool leaf_is_aligned(const struct xlat *x, struct reader *r, uint64_t vaddr)
{
	struct xlat_step steps[PAGING_MAX_LEVELS], *last;
	struct err ignored = ERR_INIT;
	const struct entry_form *f;
	struct mapping m;
	unsigned int nr;

	if (xlat_trace(x, r, vaddr, &m, steps, &nr, &ignored) || !nr)
		return false;
	last = &steps[nr - 1];
	f = xlat_entry_form(&x->paging->level[last->level], last->entry);
	return f->leaf_shift || xlat_entry_target(x, f, last->entry) == m.paddr;
}

bool xlat_find_moved(struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t align,
		     uint64_t start, uint64_t end, uint64_t *ret)
{
	struct places p = { .d = d, .vaddr = vaddr, .align = align };
	struct self s = { .want = vaddr, .mask = align - 1 };
	bool found = false;
	struct reader r;
	uint64_t place;

	if (vaddr % d->id.page_size)
		return false;
	reader_init(&r, (struct dump *)d);
	while (!found && s.tables <= MAX_TABLES && s.mappings <= MAX_MAPPINGS &&
	       next_place(&p, &place)) {
		x->root = place;
		found = maps_itself(x, &r, start, end, &s) && leaf_is_aligned(x, &r, s.vaddr);
	}
	reader_fini(&r);
	*ret = s.vaddr;
	return found;
}

/* ---- the user's word ---- */

bool xlat_allows(const struct xlat *x, const struct paging *p)
{
	const struct xlat_forced *f = &x->forced;

	return (!f->layout || !strcmp(f->layout, p->name)) &&
	       (!f->va_bits || f->va_bits == p->va_bits) &&
	       (!f->levels || f->levels == p->nr_levels);
}

/* Does the table of X map itself anywhere, or at least something? */
static bool makes_sense(const struct xlat *x, const struct dump *d)
{
	struct self s = { .want = 0 };
	struct reader r;
	bool ok;

	reader_init(&r, (struct dump *)d);
	ok = maps_itself(x, &r, xlat_kernel_start(x), UINT64_MAX, &s);
	reader_fini(&r);
	return ok;
}

/* Is ENTRY of the top table one that leads to a table in memory? */
static bool leads_to_table(const struct xlat *x, const struct dump *d, uint64_t entry)
{
	const struct entry_form *f = xlat_entry_form(&x->paging->level[0], entry);
	uint64_t target = f->kind == ENTRY_TABLE ? xlat_entry_target(x, f, entry) : 0;

	return f->kind == ENTRY_TABLE &&
	       dump_page_state(d, SPACE_PHYS, target >> dump_page_shift(d)) != PAGE_ABSENT;
}

/*
 * Is all of the top table at x->root tables in memory, or one and the same nothing (0; 0x24 and the
 * like on S/390)? Of arbitrary data that is hardly so, while among its entries one may well map
 * anything.
 */
static bool looks_like_top(const struct xlat *x, struct reader *r)
{
	const struct paging *p = x->paging;
	enum byte_order order = p->big_endian ? ORDER_BE : r->dump->id.order;
	uint64_t size = (uint64_t)p->entry_size << p->level[0].bits, off, tables = 0;
	uint64_t nothing = UINT64_MAX;
	struct err ignored = ERR_INIT;
	uint8_t raw[4096];

	for (off = 0; off < size; off += sizeof(raw)) {
		size_t n = MIN(size - off, (uint64_t)sizeof(raw)), i;

		if (reader_read(r, SPACE_PHYS, x->root + off, raw, n, &ignored))
			return false;
		for (i = 0; i < n; i += p->entry_size) {
			uint64_t entry = load_uint(raw + i, p->entry_size, order);
			bool none = xlat_entry_form(&p->level[0], entry)->kind == ENTRY_NONE;

			nothing = none && nothing == UINT64_MAX ? entry : nothing;
			if (none ? entry != nothing : !leads_to_table(x, r->dump, entry))
				return false;
			tables += !none;
		}
	}
	return tables != 0;
}

/*
 * Of a table that nothing else vouches for: does it map the dump's memory in one
 * piece, as kernels do with all or much of it?
 */
struct coverage {
	const struct dump *d;
	uint64_t held, enough; /* bytes */
	uint64_t offset;       /* of the last mapping, physical from virtual */
};

static int see_memory(void *priv, const struct mapping *m)
{
	struct coverage *c = priv;
	unsigned int shift = dump_page_shift(c->d);

	/* Linearly: what arbitrary data maps goes to and fro. */
	if (m->paddr - m->vaddr == c->offset &&
	    dump_page_state(c->d, SPACE_PHYS, m->paddr >> shift) != PAGE_ABSENT &&
	    dump_page_state(c->d, SPACE_PHYS, (m->paddr + m->len - 1) >> shift) != PAGE_ABSENT)
		c->held += m->len;
	c->offset = m->paddr - m->vaddr;
	return c->held >= c->enough;
}

/* An eighth of it is enough (32 bit: most may be highmem), or so much. */
#define ENOUGH (64ULL << 20)

static bool maps_memory(const struct xlat *x, struct reader *r)
{
	uint64_t content = dump_count_content(r->dump) << dump_page_shift(r->dump);
	struct coverage c = { .d = r->dump, .enough = MIN(content / 8, ENOUGH) };
	struct xlat_visitor v = { .mapping = see_memory, .priv = &c };

	return xlat_walk(x, r, xlat_kernel_start(x), UINT64_MAX, MAX_STEPS, &v) == 1;
}

/* A table of X's layout anywhere in memory that translates the kernel's addresses, its own among
 * them. */
static bool scan_layout(struct xlat *x, const struct dump *d)
{
	struct places p = { .d = d, .align = d->id.page_size };
	struct self s = { .want = 0 };
	bool found = false;
	struct reader r;
	uint64_t place;

	reader_init(&r, (struct dump *)d);
	while (!found && s.tables <= MAX_TABLES && s.mappings <= MAX_MAPPINGS &&
	       next_place(&p, &place)) {
		x->root = place;
		found = looks_like_top(x, &r) &&
			maps_itself(x, &r, xlat_kernel_start(x), UINT64_MAX, &s) &&
			leaf_is_aligned(x, &r, s.vaddr) && maps_memory(x, &r);
	}
	reader_fini(&r);
	return found;
}

/* Only where one layout is left: tables of lower levels, and of others, may look alike. */
static bool scan_memory(struct xlat *x, const struct dump *d)
{
	const struct paging *const *p, *left = NULL;
	unsigned int nr = 0;

	for (p = d->arch->paging; *p; p++) {
		if (!xlat_allows(x, *p) ||
		    (*p)->level[(*p)->nr_levels - 1].shift != dump_page_shift(d))
			continue;
		left = *p;
		nr++;
	}
	x->paging = nr == 1 ? left : NULL;
	if (x->paging && scan_layout(x, d))
		return true;
	x->paging = NULL;
	x->root = 0;
	return false;
}

/* The layout of X among those that are left: of one alone nobody asks whether it is right. */
static const struct paging *choose_layout(const struct xlat *x, const struct dump *d)
{
	const struct paging *const *p, *left = NULL;
	struct xlat try = { .root = x->root, .clear_mask = x->clear_mask };
	unsigned int nr = 0;

	for (p = d->arch->paging; *p; p++) {
		if (!xlat_allows(x, *p) ||
		    (*p)->level[(*p)->nr_levels - 1].shift != dump_page_shift(d))
			continue;
		left = *p;
		nr++;
	}
	if (nr == 1)
		return x->paging && xlat_allows(x, x->paging) ? x->paging : left;
	for (p = d->arch->paging; nr && *p; p++) {
		try.paging = *p;
		if (xlat_allows(x, *p) &&
		    (*p)->level[(*p)->nr_levels - 1].shift == dump_page_shift(d) &&
		    makes_sense(&try, d))
			return *p;
	}
	return x->paging && xlat_allows(x, x->paging) ? x->paging : NULL;
}

int xlat_force(struct xlat *x, const struct dump *d, struct err *e)
{
	const struct paging *p;

	if (x->forced.has_root)
		x->root = x->forced.root;
	else if (x->paging && xlat_allows(x, x->paging))
		return 0;
	else if (x->forced.scan && scan_memory(x, d))
		return 0;
	else if (x->forced.scan)
		return err_set(e, ERR_MISSING, "no page table of that layout was found in memory");
	else if (!x->root)
		return err_set(e, ERR_MISSING, "where the kernel page table lies is not known");
	p = choose_layout(x, d);
	x->paging = p;
	if (p)
		return 0;
	return err_set(e, ERR_MISSING,
		       "of what layout the page table at 0x%" PRIx64 " is cannot be told", x->root);
}
