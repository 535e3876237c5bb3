/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xlat.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static uint64_t level_size(const struct paging_level *l)
{
	return 1ULL << l->shift;
}

static uint64_t index_at(const struct paging_level *l, uint64_t vaddr)
{
	return (vaddr >> l->shift) & ((1ULL << l->bits) - 1);
}

/* What the bits of VADDR above va_bits are. */
static uint64_t upper_bits(const struct paging *p, uint64_t vaddr)
{
	return p->va_bits < 64 ? vaddr >> p->va_bits << p->va_bits : 0;
}

/* Is VADDR an address of this table? */
static bool canonical(const struct paging *p, uint64_t vaddr)
{
	unsigned int unused = 64u - p->va_bits;

	if (p->sign_extended)
		return (uint64_t)((int64_t)(vaddr << unused) >> unused) == vaddr;
	return upper_bits(p, vaddr) == p->va_base || (p->va_top && vaddr >= p->va_top);
}

/* The first address of the table at or after VADDR; false when there is none. */
static bool next_canonical(const struct paging *p, uint64_t *vaddr)
{
	if (canonical(p, *vaddr))
		return true;
	if (p->sign_extended)
		*vaddr = ~0ULL << (p->va_bits - 1);
	else if (*vaddr < p->va_base)
		*vaddr = p->va_base;
	else if (p->va_top)
		*vaddr = p->va_top;
	else
		return false;
	return true;
}

uint64_t xlat_kernel_start(const struct xlat *x)
{
	if (!x->paging)
		return x->nr_windows ? x->windows[0].vaddr : 0;
	return x->paging->sign_extended ? ~0ULL << (x->paging->va_bits - 1) : x->paging->va_base;
}

/* ---- entries ---- */

const struct entry_form *xlat_entry_form(const struct paging_level *l, uint64_t entry)
{
	const struct entry_form *f = l->forms;

	while ((entry & f->mask) != f->value)
		f++;
	return f;
}

uint64_t xlat_entry_target(const struct xlat *x, const struct entry_form *f, uint64_t entry)
{
	uint64_t addr = 0;
	unsigned int i;

	for (i = 0; i < ENTRY_MAX_PARTS && f->addr[i].mask; i++) {
		uint64_t part = entry & f->addr[i].mask;
		int shift = f->addr[i].shift;

		addr |= shift < 0 ? part >> -shift : part << shift;
	}
	return addr & ~x->clear_mask;
}

/* What a leaf ENTRY of form F maps for VADDR. */
static struct mapping leaf_mapping(const struct xlat *x, unsigned int level,
				   const struct entry_form *f, uint64_t vaddr, uint64_t entry)
{
	unsigned int shift = f->leaf_shift ? f->leaf_shift : x->paging->level[level].shift;
	uint64_t mask = (1ULL << shift) - 1;

	return (struct mapping){ .vaddr = vaddr & ~mask,
				 .paddr = xlat_entry_target(x, f, entry) & ~mask,
				 .len = mask + 1 };
}

static uint64_t entry_place(const struct paging *p, unsigned int level, uint64_t table,
			    uint64_t vaddr)
{
	return table + index_at(&p->level[level], vaddr) * p->entry_size;
}

static int read_entry(const struct paging *p, struct reader *r, uint64_t at, uint64_t *ret,
		      struct err *e)
{
	uint8_t raw[8];

	if (reader_read(r, SPACE_PHYS, at, raw, p->entry_size, e))
		return -1;
	*ret = load_uint(raw, p->entry_size, p->big_endian ? ORDER_BE : r->dump->id.order);
	return 0;
}

/* ---- windows ---- */

void xlat_fini(struct xlat *x)
{
	free(x->windows);
	*x = (struct xlat){ .paging = NULL };
}

/* The first window that ends after VADDR, or their number. */
static size_t find_window(const struct xlat *x, uint64_t vaddr)
{
	size_t lo = 0, hi = x->nr_windows;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->windows[mid].vaddr + (x->windows[mid].len - 1) < vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int xlat_add_window(struct xlat *x, uint64_t vaddr, uint64_t paddr, uint64_t len, struct err *e)
{
	size_t at = find_window(x, vaddr);
	struct mapping *more;

	if (!len || len - 1 > UINT64_MAX - vaddr ||
	    (at < x->nr_windows && x->windows[at].vaddr <= vaddr + (len - 1)))
		return 0;
	more = realloc(x->windows, (x->nr_windows + 1) * sizeof(*more));
	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory");
	x->windows = more;
	memmove(&more[at + 1], &more[at], (x->nr_windows - at) * sizeof(*more));
	more[at] = (struct mapping){ .vaddr = vaddr, .paddr = paddr, .len = len };
	x->nr_windows++;
	return 0;
}

/* More than a few PT_LOADs are those of a dump of page tables, and say no more than the tables. */
#define MAX_SEGMENTS 1024

int xlat_add_segments(struct xlat *x, const struct dump *d, uint64_t start, uint64_t end,
		      struct err *e)
{
	size_t i;

	for (i = 0; i < MIN(d->nr_segments, (size_t)MAX_SEGMENTS); i++) {
		const struct segment *s = &d->segments[i];

		/* Who does not know it (QEMU) writes the physical address there. */
		if (s->paddr != UINT64_MAX && s->vaddr != s->paddr && s->vaddr >= start &&
		    s->vaddr < end && s->memsz <= end - s->vaddr &&
		    xlat_add_window(x, s->vaddr, s->paddr, s->memsz, e))
			return -1;
	}
	return 0;
}

/* ---- one address ---- */

static int check_address(const struct paging *p, uint64_t vaddr, struct err *e)
{
	if (!p)
		return err_set(e, ERR_MISSING,
			       "no page table is known, address 0x%" PRIx64 " cannot be translated",
			       vaddr);
	if (!canonical(p, vaddr))
		return err_set(e, ERR_MISSING, "0x%" PRIx64 " is not an address of %s", vaddr,
			       p->name);
	return 0;
}

int xlat_trace(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
	       struct xlat_step *steps, unsigned int *nr, struct err *e)
{
	const struct paging *p = x->paging;
	uint64_t table = x->root;
	size_t w = find_window(x, vaddr);
	unsigned int i;

	*nr = 0;
	if (w < x->nr_windows && x->windows[w].vaddr <= vaddr) {
		*ret = x->windows[w];
		return 0;
	}
	if (check_address(p, vaddr, e))
		return -1;
	for (i = 0; i < p->nr_levels; i++) {
		uint64_t entry, at = entry_place(p, i, table, vaddr);
		const struct entry_form *f;

		if (read_entry(p, r, at, &entry, e))
			return err_add(e, "page table of 0x%" PRIx64 ", level %u", vaddr, i);
		steps[(*nr)++] = (struct xlat_step){ .level = i, .at = at, .entry = entry };
		f = xlat_entry_form(&p->level[i], entry);
		if (f->kind == ENTRY_NONE)
			return err_set(e, ERR_MISSING, "0x%" PRIx64 " is not mapped (level %u)",
				       vaddr, i);
		if (f->kind == ENTRY_LEAF) {
			*ret = leaf_mapping(x, i, f, vaddr, entry);
			return 0;
		}
		table = xlat_entry_target(x, f, entry);
	}
	return err_set(e, ERR_CORRUPT, "page table of 0x%" PRIx64 " has no last level", vaddr);
}

int xlat_lookup(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
		struct err *e)
{
	struct xlat_step steps[PAGING_MAX_LEVELS];
	unsigned int nr;

	return xlat_trace(x, r, vaddr, ret, steps, &nr, e);
}

static bool is_at(const struct xlat *x, struct reader *r, uint64_t vaddr, uint64_t paddr)
{
	struct err ignored = ERR_INIT;
	struct mapping m;

	return !xlat_lookup(x, r, vaddr, &m, &ignored) && m.paddr + (vaddr - m.vaddr) == paddr;
}

bool xlat_maps(const struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t paddr)
{
	struct reader r;
	bool ok;

	reader_init(&r, (struct dump *)d);
	ok = is_at(x, &r, vaddr, paddr);
	reader_fini(&r);
	return ok;
}

/* Where the table lies that the entry of STEP leads to. */
static uint64_t next_table(const struct xlat *x, const struct xlat_step *step)
{
	const struct entry_form *f = xlat_entry_form(&x->paging->level[step->level], step->entry);

	return xlat_entry_target(x, f, step->entry);
}

bool xlat_lost(const struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t *table)
{
	struct xlat_step steps[PAGING_MAX_LEVELS];
	struct err e = ERR_INIT;
	struct mapping m;
	unsigned int nr;
	struct reader r;
	bool lost;

	reader_init(&r, (struct dump *)d);
	lost = xlat_trace(x, &r, vaddr, &m, steps, &nr, &e) && e.code == ERR_UNREADABLE;
	reader_fini(&r);
	if (lost)
		*table = nr ? next_table(x, &steps[nr - 1]) : x->root;
	return lost;
}

bool xlat_segment(const struct dump *d, uint64_t vaddr, uint64_t *ret)
{
	size_t i;

	for (i = 0; i < d->nr_segments; i++) {
		const struct segment *s = &d->segments[i];

		if (vaddr < s->vaddr || vaddr - s->vaddr >= s->memsz || s->paddr == UINT64_MAX)
			continue;
		*ret = s->paddr + (vaddr - s->vaddr);
		return true;
	}
	return false;
}

/* ---- all of them ---- */

/* Where a walk stands: the table of each level on the way down. */
struct walk {
	const struct xlat *x;
	struct reader *r;
	const struct xlat_visitor *v;
	uint64_t table[PAGING_MAX_LEVELS];
	uint64_t steps, max_steps;
	/*
	 * The last table of each level that had nothing to tell. MIPS and LoongArch have no empty
	 * entries: what is not mapped is a table of such entries, one for all of the kernel.
	 */
	uint64_t dull[PAGING_MAX_LEVELS];
	uint64_t told; /* mappings */
	struct {
		bool whole;    /* entered at its first entry */
		uint64_t told; /* then */
		unsigned int repeats; /* how often in a row it was the same table */
	} entered[PAGING_MAX_LEVELS];
	struct xlat_walk_stats stats;
};

#define NO_TABLE UINT64_MAX

/* Is this the table of LEVEL that was entered last, and for the how-manieth time? */
static bool entered_enough(struct walk *w, unsigned int level, uint64_t table)
{
	unsigned int *repeats = &w->entered[level].repeats;

	*repeats = table == w->table[level] ? *repeats + 1 : 0;
	if (*repeats < XLAT_REPEATS)
		return false;
	w->stats.repeats++;
	return true;
}

/* Go to TABLE, of LEVEL, at VADDR. */
static void enter_table(struct walk *w, unsigned int level, uint64_t table, uint64_t vaddr)
{
	const struct paging_level *above = &w->x->paging->level[level - 1];

	w->table[level] = table;
	w->entered[level].whole = !(vaddr & (level_size(above) - 1));
	w->entered[level].told = w->told;
}

/* All of the table of LEVEL was looked at. */
static void leave_table(struct walk *w, unsigned int level)
{
	if (w->entered[level].whole && w->entered[level].told == w->told)
		w->dull[level] = w->table[level];
}

/*
 * Go down from *LEVEL at VADDR as far as entries lead. *LEVEL becomes that at which the way ends: a
 * leaf was told to the visitor, or nothing is mapped there. Returns where to go on, 0 past the top.
 */
static uint64_t walk_down(struct walk *w, unsigned int *level, uint64_t vaddr, int *stop)
{
	const struct paging *p = w->x->paging;
	struct err ignored = ERR_INIT;

	for (;; ++*level) {
		const struct paging_level *l = &p->level[*level];
		uint64_t entry, table, next = (vaddr & ~(level_size(l) - 1)) + level_size(l);
		const struct entry_form *f;

		w->steps++;
		if (read_entry(p, w->r, entry_place(p, *level, w->table[*level], vaddr), &entry,
			       &ignored)) {
			w->stats.unreadable++;
			return next;
		}
		f = xlat_entry_form(l, entry);
		if (f->kind == ENTRY_LEAF) {
			struct mapping m = leaf_mapping(w->x, *level, f, vaddr, entry);

			w->told += w->v->mapping != NULL;
			*stop = w->v->mapping ? w->v->mapping(w->v->priv, &m) : 0;
			return m.vaddr + m.len;
		}
		table = xlat_entry_target(w->x, f, entry);
		if (f->kind == ENTRY_NONE || *level + 1u == p->nr_levels ||
		    table == w->dull[*level + 1] || entered_enough(w, *level + 1, table))
			return next;
		if (w->v->table)
			*stop = w->v->table(w->v->priv, table, *level + 1);
		enter_table(w, *level + 1, table, vaddr);
		/* Nobody wants what the last tables map: do not read them. */
		if (!w->v->mapping && *level + 2u == p->nr_levels) {
			leave_table(w, *level + 1);
			return next;
		}
		if (*stop)
			return next;
	}
}

/* What the table maps in [START, END]. */
static int walk_table(struct walk *w, uint64_t start, uint64_t end)
{
	const struct paging *p = w->x->paging;
	uint64_t vaddr = start;
	unsigned int level = 0;
	int stop = 0;

	while (!stop && w->steps < w->max_steps && next_canonical(p, &vaddr) && vaddr <= end) {
		uint64_t next;

		if (upper_bits(p, vaddr) != upper_bits(p, start)) {
			level = 0;
			start = vaddr;
		}
		next = walk_down(w, &level, vaddr, &stop);
		if (next <= vaddr)
			break; /* the top of the address space */
		/* Back up past the tables that end here. */
		while (level && (vaddr ^ next) >> p->level[level - 1].shift)
			leave_table(w, level--);
		vaddr = next;
	}
	w->stats.cut |= !stop && w->steps >= w->max_steps;
	return stop;
}

/* The part of window M in [START, END]. */
static int walk_window(struct walk *w, const struct mapping *m, uint64_t start, uint64_t end)
{
	uint64_t from = MAX(start, m->vaddr), to = MIN(end, m->vaddr + (m->len - 1));
	struct mapping part = { .vaddr = from,
				.paddr = m->paddr + (from - m->vaddr),
				.len = to - from + 1 };

	return w->v->mapping ? w->v->mapping(w->v->priv, &part) : 0;
}

/* The table and the windows in between. */
static int walk_all(struct walk *w, uint64_t start, uint64_t end)
{
	const struct xlat *x = w->x;
	size_t i;
	int stop = 0;

	for (i = find_window(x, start); !stop && i < x->nr_windows && x->windows[i].vaddr <= end;
	     i++) {
		const struct mapping *m = &x->windows[i];

		if (x->paging && start < m->vaddr)
			stop = walk_table(w, start, m->vaddr - 1);
		if (!stop)
			stop = walk_window(w, m, start, end);
		if (m->vaddr + (m->len - 1) >= end)
			return stop;
		start = m->vaddr + m->len;
	}
	return !stop && x->paging ? walk_table(w, start, end) : stop;
}

static void add_stats(struct xlat_walk_stats *to, const struct xlat_walk_stats *s)
{
	to->cut |= s->cut;
	to->unreadable += s->unreadable;
	to->repeats += s->repeats;
}

int xlat_walk(const struct xlat *x, struct reader *r, uint64_t start, uint64_t end,
	      uint64_t max_steps, const struct xlat_visitor *v)
{
	struct walk w = { .x = x, .r = r, .v = v, .max_steps = max_steps };
	unsigned int i;
	int stop = 0;

	for (i = 0; i < PAGING_MAX_LEVELS; i++)
		w.table[i] = w.dull[i] = NO_TABLE;
	w.table[0] = x->root;
	if (v->table && x->paging)
		stop = v->table(v->priv, x->root, 0);
	if (!stop)
		stop = walk_all(&w, start, end);
	if (v->stats)
		add_stats(v->stats, &w.stats);
	return stop;
}

/* ---- contents ---- */

int xlat_read(const struct xlat *x, struct reader *r, uint64_t vaddr, void *buf, size_t len,
	      struct err *e)
{
	uint8_t *out = buf;

	while (len) {
		struct mapping m;
		uint64_t into, n;

		if (xlat_lookup(x, r, vaddr, &m, e))
			return -1;
		into = vaddr - m.vaddr;
		n = MIN((uint64_t)len, m.len - into);
		if (reader_read(r, SPACE_PHYS, m.paddr + into, out, (size_t)n, e))
			return err_add(e, "virtual address 0x%" PRIx64, vaddr);
		out += n;
		vaddr += n;
		len -= (size_t)n;
	}
	return 0;
}

int xlat_read_uint(const struct xlat *x, struct reader *r, uint64_t vaddr, unsigned int size,
		   uint64_t *ret, struct err *e)
{
	uint8_t raw[8] = { 0 };

	if (xlat_read(x, r, vaddr, raw, MIN(size, 8u), e))
		return -1;
	*ret = load_uint(raw, size, r->dump->id.order);
	return 0;
}
