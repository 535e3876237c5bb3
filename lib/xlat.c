/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xlat.h"

#include <inttypes.h>

#include "cleanup.h"

static uint64_t level_size(const struct paging_level *l)
{
	return 1ULL << l->shift;
}

static uint64_t index_at(const struct paging_level *l, uint64_t vaddr)
{
	return (vaddr >> l->shift) & ((1ULL << l->bits) - 1);
}

/* Is VADDR what the CPU accepts: all bits above va_bits equal to the highest one inside? */
static bool canonical(const struct paging *p, uint64_t vaddr)
{
	unsigned int unused = 64u - p->va_bits;

	return (uint64_t)((int64_t)(vaddr << unused) >> unused) == vaddr;
}

static bool is_leaf(const struct paging *p, unsigned int level, uint64_t entry)
{
	return level == p->nr_levels - 1u || (p->level[level].leaf && (entry & p->leaf) == p->leaf);
}

static uint64_t entry_target(const struct xlat *x, uint64_t entry)
{
	return entry & x->paging->target & ~x->clear_mask;
}

/* What a leaf ENTRY maps for VADDR. */
static struct mapping leaf_mapping(const struct xlat *x, unsigned int level, uint64_t vaddr,
				   uint64_t entry)
{
	uint64_t mask = level_size(&x->paging->level[level]) - 1;

	return (struct mapping){ .vaddr = vaddr & ~mask,
				 .paddr = entry_target(x, entry) & ~mask,
				 .len = mask + 1 };
}

int xlat_lookup(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
		struct err *e)
{
	const struct paging *p = x->paging;
	uint64_t table = x->root;
	unsigned int i;

	if (!p)
		return err_set(e, ERR_MISSING,
			       "no page table is known, address 0x%" PRIx64 " cannot be translated",
			       vaddr);
	if (!canonical(p, vaddr))
		return err_set(e, ERR_MISSING, "0x%" PRIx64 " is not an address of %s", vaddr,
			       p->name);
	for (i = 0; i < p->nr_levels; i++) {
		uint8_t raw[8];
		uint64_t entry, at = table + index_at(&p->level[i], vaddr) * p->entry_size;

		if (reader_read(r, SPACE_PHYS, at, raw, p->entry_size, e))
			return err_add(e, "page table of 0x%" PRIx64 ", level %u", vaddr, i);
		entry = load_uint(raw, p->entry_size, r->dump->id.order);
		if (!(entry & p->present))
			return err_set(e, ERR_MISSING, "0x%" PRIx64 " is not mapped (level %u)",
				       vaddr, i);
		if (is_leaf(p, i, entry)) {
			*ret = leaf_mapping(x, i, vaddr, entry);
			return 0;
		}
		table = entry_target(x, entry);
	}
	return err_set(e, ERR_CORRUPT, "page table of 0x%" PRIx64 " has no last level", vaddr);
}

/* Where a walk stands: the table of each level on the way down. */
struct walk {
	const struct xlat *x;
	struct reader *r;
	const struct xlat_visitor *v;
	uint64_t table[PAGING_MAX_LEVELS];
	uint64_t steps;
};

/* The entry for VADDR at LEVEL; false when its table cannot be read. */
static bool walk_entry(struct walk *w, unsigned int level, uint64_t vaddr, uint64_t *ret)
{
	const struct paging *p = w->x->paging;
	uint8_t raw[8];
	struct err ignored = ERR_INIT;

	if (reader_read(w->r, SPACE_PHYS,
			w->table[level] + index_at(&p->level[level], vaddr) * p->entry_size, raw,
			p->entry_size, &ignored))
		return false;
	*ret = load_uint(raw, p->entry_size, w->r->dump->id.order);
	return true;
}

/*
 * Go down from LEVEL at VADDR as far as entries are present. Returns the level at which the way
 * ends: a leaf was told to the visitor, or nothing is mapped there.
 */
static unsigned int walk_down(struct walk *w, unsigned int level, uint64_t vaddr, int *stop)
{
	const struct paging *p = w->x->paging;

	for (;; level++) {
		uint64_t entry;

		w->steps++;
		if (!walk_entry(w, level, vaddr, &entry) || !(entry & p->present))
			return level;
		if (is_leaf(p, level, entry)) {
			struct mapping m = leaf_mapping(w->x, level, vaddr, entry);

			*stop = w->v->mapping ? w->v->mapping(w->v->priv, &m) : 0;
			return level;
		}
		w->table[level + 1] = entry_target(w->x, entry);
		if (w->v->table)
			*stop = w->v->table(w->v->priv, w->table[level + 1], level + 1);
		/* Nobody wants what the last tables map: do not read them. */
		if (*stop || (!w->v->mapping && level + 2 == p->nr_levels))
			return level;
	}
}

int xlat_walk(const struct xlat *x, struct reader *r, uint64_t start, uint64_t end,
	      uint64_t max_steps, const struct xlat_visitor *v)
{
	struct walk w = { .x = x, .r = r, .v = v };
	const struct paging *p = x->paging;
	unsigned int level = 0;
	uint64_t vaddr = start;
	int stop = 0;

	/* A start that no CPU accepts would find the mappings of another address. */
	if (!p || !canonical(p, start))
		return 0;
	w.table[0] = x->root;
	if (v->table)
		stop = v->table(v->priv, x->root, 0);
	while (!stop && vaddr <= end && w.steps < max_steps) {
		uint64_t next;

		level = walk_down(&w, level, vaddr, &stop);
		next = (vaddr & ~(level_size(&p->level[level]) - 1)) + level_size(&p->level[level]);
		if (next <= vaddr)
			break; /* the top of the address space */
		/* Back up past the tables that end here. */
		while (level && index_at(&p->level[level], next) == 0)
			level--;
		vaddr = next;
		/* Past the lower half: on to the upper one, over what no address can be. */
		if (!canonical(p, vaddr)) {
			vaddr = ~0ULL << (p->va_bits - 1);
			level = 0;
		}
	}
	return stop;
}

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
