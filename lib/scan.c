/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "thread.h"

#define MAX_STRUCT_PAGE 1024

/*
 * Work is handed out in chunks of whole sections: a buddy block never crosses one. A gigantic page
 * may; its tails in other chunks decide nothing themselves, and clearing is atomic, so the result
 * does not depend on who comes first.
 */
#define CHUNK_PAGES (1u << 15)

struct scan {
	struct classify *c;
	pthread_mutex_t lock;
	/* where the next chunk begins: range of the memory map, page in it */
	size_t range;
	uint64_t next;
	uint64_t done, total;
};

struct worker {
	struct scan *scan;
	struct reader data;   /* struct pages */
	struct reader tables; /* page tables */
	uint64_t dropped[NR_KINDS];
	uint64_t unjudged, heads, lone_heads;
};

/* Take the next chunk; false when there is none, or when the user wants to stop. */
static bool take_chunk(struct scan *s, uint64_t *pfn, uint64_t *nr)
{
	const struct memmap *m = &s->c->memmap;
	uint64_t step = MAX((uint64_t)CHUNK_PAGES, m->section_pages);
	bool got = false;

	pthread_mutex_lock(&s->lock);
	while (!got && s->range < m->nr_ranges &&
	       !(s->c->interrupted && __atomic_load_n(s->c->interrupted, __ATOMIC_RELAXED))) {
		const struct memmap_range *r = &m->ranges[s->range];
		uint64_t from = MAX(s->next, r->pfn),
			 end = MIN(r->pfn + r->nr, (from / step + 1) * step);

		if (from >= r->pfn + r->nr) {
			s->range++;
			continue;
		}
		*pfn = from;
		*nr = end - from;
		s->next = end;
		s->done += *nr;
		got = true;
	}
	if (got && s->c->progress)
		s->c->progress(s->c->progress_priv, s->done, s->total);
	pthread_mutex_unlock(&s->lock);
	return got;
}

static void explain_page(struct worker *w, uint64_t pfn, uint64_t vaddr, const uint8_t *page,
			 const uint8_t *next, const struct verdict *v)
{
	struct classify *c = w->scan->c;
	struct explanation *x = c->explain;

	if (x->pfn < pfn || x->pfn - pfn >= v->nr)
		return;
	pthread_mutex_lock(&w->scan->lock);
	if (x->pfn == pfn) {
		x->has_struct_page = true;
		x->struct_vaddr = vaddr;
		rules_fields(&c->rules, pfn, vaddr, page, next, &x->fields);
		x->own = *v;
	}
	if (v->kind != KIND_KEPT && !x->dropped) {
		x->dropped = true;
		x->by_pfn = pfn;
		x->by = *v;
	}
	pthread_mutex_unlock(&w->scan->lock);
}

/* Judge one page; returns how many pages the verdict covers. */
static uint64_t judge(struct worker *w, uint64_t pfn, uint64_t vaddr, const uint8_t *page,
		      const uint8_t *next)
{
	struct classify *c = w->scan->c;
	struct verdict v = rules_judge(&c->rules, pfn, vaddr, page, next);

	if (c->explain)
		explain_page(w, pfn, vaddr, page, next, &v);
	w->heads += v.is_head;
	w->lone_heads += v.is_lone;
	if (v.kind == KIND_KEPT)
		return 1;
	w->dropped[v.kind] += pfnset_clear(c->keep, pfn, v.nr);
	return v.nr;
}

int scan_struct_page(const struct classify *c, struct reader *r, uint64_t pfn, void *buf,
		     struct err *e)
{
	uint64_t vaddr = memmap_vaddr(&c->memmap, pfn);

	if (!vaddr)
		return err_set(e, ERR_MISSING, "page 0x%llx has no struct page",
			       (unsigned long long)pfn);
	return xlat_read(c->xlat, r, vaddr, buf, c->rules.struct_size, e);
}

struct verdict scan_dropped_by(const struct classify *c, struct reader *r, uint64_t pfn,
			       uint64_t *ret_pfn)
{
	uint64_t order, last = MAX(c->rules.max_order, c->rules.max_free_order), head = pfn + 1;

	for (order = 0; order <= last; order++) {
		uint8_t page[MAX_STRUCT_PAGE], next[MAX_STRUCT_PAGE];
		struct err ignored = ERR_INIT;
		struct verdict v;

		if (pfn >> order << order == head)
			continue;
		head = pfn >> order << order;
		if (!pfnset_covers(c->keep, head) || scan_struct_page(c, r, head, page, &ignored))
			continue;
		v = rules_judge(&c->rules, head, memmap_vaddr(&c->memmap, head), page,
				scan_struct_page(c, r, head + 1, next, &ignored) ? NULL : next);
		*ret_pfn = head;
		if (v.kind != KIND_KEPT && pfn - head < v.nr)
			return v;
	}
	return (struct verdict){ .kind = KIND_KEPT };
}

/* The slow way, for struct pages that do not lie in one piece. */
static uint64_t judge_alone(struct worker *w, uint64_t pfn)
{
	const struct classify *c = w->scan->c;
	uint8_t page[MAX_STRUCT_PAGE], next[MAX_STRUCT_PAGE];
	struct err ignored = ERR_INIT;

	if (scan_struct_page(c, &w->data, pfn, page, &ignored)) {
		w->unjudged += pfnset_covers(c->keep, pfn);
		return 1;
	}
	return judge(w, pfn, memmap_vaddr(&c->memmap, pfn), page,
		     scan_struct_page(c, &w->data, pfn + 1, next, &ignored) ? NULL : next);
}

/* NR struct pages in a row, VADDR is at P; returns the first page frame that was not judged. */
static uint64_t judge_row(struct worker *w, uint64_t pfn, uint64_t vaddr, const uint8_t *p,
			  uint64_t nr)
{
	const struct classify *c = w->scan->c;
	uint32_t size = c->rules.struct_size;
	uint64_t end = pfn + nr, held = pfn, held_end = pfn;

	while (pfn < end) {
		uint64_t step = 1;

		/* What the dump does not hold is not judged: its struct page may be anything. */
		if (pfn >= held_end) {
			if (!pfnset_next_covered(c->keep, pfn, &held, &nr))
				return end;
			held_end = held + nr;
		}
		if (held > pfn)
			step = MIN(end, held) - pfn;
		else if (pfn + 1 < end)
			step = judge(w, pfn, vaddr, p, p + size);
		else
			step = judge_alone(w, pfn);
		pfn += step;
		p += step * size;
		vaddr += step * size;
	}
	return pfn;
}

/* How many whole struct pages lie in place at VADDR; *ret is the first. 0: none, take it alone. */
static uint64_t struct_pages_at(struct worker *w, uint64_t vaddr, uint64_t want,
				const uint8_t **ret, bool *unreadable)
{
	const struct classify *c = w->scan->c;
	unsigned int shift = dump_page_shift(c->dump);
	struct err ignored = ERR_INIT;
	struct mapping m;
	struct run run;
	struct view v;
	uint64_t paddr, len, into;

	*unreadable = true;
	if (xlat_lookup(c->xlat, &w->tables, vaddr, &m, &ignored))
		return 0;
	paddr = m.paddr + (vaddr - m.vaddr);
	len = MIN(m.len - (vaddr - m.vaddr), want * c->rules.struct_size);
	into = paddr & ((1ULL << shift) - 1);
	if (!dump_next_run(c->dump, SPACE_PHYS, paddr >> shift, &run) ||
	    run.pfn != paddr >> shift || run.state != PAGE_DATA ||
	    reader_view(&w->data, SPACE_PHYS, paddr >> shift,
			(into + len + (1ULL << shift) - 1) >> shift, &v, &ignored))
		return 0;
	*unreadable = false;
	*ret = v.data + into;
	return MIN(len, (v.nr << shift) - into) / c->rules.struct_size;
}

/*
 * Count pages that cannot be judged, up to the end of the page of struct pages that is not there.
 */
static uint64_t skip_unreadable(struct worker *w, uint64_t pfn, uint64_t vaddr, uint64_t left)
{
	const struct classify *c = w->scan->c;
	uint64_t page = c->dump->id.page_size,
		 n = (page - vaddr % page + c->rules.struct_size - 1) / c->rules.struct_size;
	uint64_t i;

	n = MIN(n, left);
	for (i = 0; i < n; i++)
		w->unjudged += pfnset_covers(c->keep, pfn + i);
	return n;
}

/* First page at or after PFN that the dump holds, at most END. */
static uint64_t next_held(const struct pfnset *s, uint64_t pfn, uint64_t end)
{
	uint64_t held, nr;

	return pfnset_next_covered(s, pfn, &held, &nr) ? MIN(end, held) : end;
}

static void scan_chunk(struct worker *w, uint64_t pfn, uint64_t nr)
{
	const struct classify *c = w->scan->c;
	uint64_t end = pfn + nr;

	while ((pfn = next_held(c->keep, pfn, end)) < end) {
		uint64_t vaddr = memmap_vaddr(&c->memmap, pfn), rows;
		const uint8_t *p;
		bool unreadable;

		rows = struct_pages_at(w, vaddr, end - pfn, &p, &unreadable);
		if (rows)
			pfn = judge_row(w, pfn, vaddr, p, rows);
		else if (unreadable)
			pfn += skip_unreadable(w, pfn, vaddr, end - pfn);
		else
			pfn += judge_alone(w, pfn);
	}
}

static void *scan_worker(void *arg)
{
	struct scan *s = arg;
	struct worker w = { .scan = s };
	uint64_t pfn, nr;
	enum page_kind k;

	reader_init(&w.data, s->c->dump);
	reader_init(&w.tables, s->c->dump);
	while (take_chunk(s, &pfn, &nr))
		scan_chunk(&w, pfn, nr);
	reader_fini(&w.data);
	reader_fini(&w.tables);
	pthread_mutex_lock(&s->lock);
	for (k = 0; k < NR_KINDS; k++)
		s->c->dropped[k] += w.dropped[k];
	s->c->unjudged += w.unjudged;
	s->c->heads += w.heads;
	s->c->lone_heads += w.lone_heads;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int scan_run(struct classify *c, struct err *e)
{
	struct scan s = { .c = c };
	pthread_t threads[64];
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < c->memmap.nr_ranges; i++)
		s.total += c->memmap.ranges[i].nr;
	pthread_mutex_init(&s.lock, NULL);
	/* Fewer helpers than wished for are no error: this thread alone can do it. */
	while (nr + 1 < MIN(c->threads, (unsigned int)ARRAY_SIZE(threads)) &&
	       nr < s.total / CHUNK_PAGES && thread_start(&threads[nr], scan_worker, &s))
		nr++;
	scan_worker(&s);
	while (nr)
		pthread_join(threads[--nr], NULL);
	pthread_mutex_destroy(&s.lock);
	if (c->interrupted && __atomic_load_n(c->interrupted, __ATOMIC_RELAXED))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	return 0;
}
