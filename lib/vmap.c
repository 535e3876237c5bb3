/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmap.h"

#include <stdlib.h>

#include "cleanup.h"

/*
 * All of memory may be mapped page by page, and there may be as much again in areas that are mapped
 * sparsely. A walk that looks at many more entries than there are pages is one in circles.
 */
#define STEPS_PER_PAGE 8
#define MORE_STEPS ((uint64_t)1 << 22)
#define MAX_STEPS ((uint64_t)1 << 34)

/* Pieces that were told last, by where their hash says. */
#define SEEN 4096u

/* How a walk ends early. */
enum { FAILED = -1, FULL = 1 };

struct seen {
	uint64_t paddr, len;
	unsigned int times;
};

struct pieces {
	struct vmap *v;
	vmap_fn fn;
	void *priv;
	struct err *e;
	struct mapping run;  /* being put together; len 0: none */
	uint64_t start, end; /* addresses, the last one included */
	uint64_t left;	     /* pieces that may be told */
	struct seen *seen;
};

static bool seen_enough(struct pieces *p, const struct mapping *m)
{
	struct seen *s = &p->seen[(m->paddr >> 12) * 0x9e3779b97f4a7c15ULL >> 52];

	if (s->paddr != m->paddr || s->len != m->len)
		*s = (struct seen){ .paddr = m->paddr, .len = m->len };
	if (s->times++ < VMAP_ALIASES)
		return false;
	p->v->aliases++;
	return true;
}

/* The part of M in [START, END], both included, when there is one. */
static int tell_part(struct pieces *p, const struct mapping *m, uint64_t start, uint64_t end)
{
	uint64_t from = MAX(m->vaddr, start), to = MIN(m->vaddr + (m->len - 1), end);
	struct mapping part = { .vaddr = from, .paddr = m->paddr + (from - m->vaddr) };

	if (from > to)
		return 0;
	part.len = to - from + 1;
	if (seen_enough(p, &part))
		return 0;
	if (!p->left) {
		p->v->stats.cut = true;
		return FULL;
	}
	p->left--;
	p->v->pieces++;
	return p->fn(p->priv, &part, p->e) ? FAILED : 0;
}

/* M without the addresses that are dropped. */
static int tell_kept(struct pieces *p, const struct mapping *m, uint64_t start, uint64_t end)
{
	const struct vmap *v = p->v;
	int ret = 0;

	if (!v->drop_start && !v->drop_end)
		return tell_part(p, m, start, end);
	if (v->drop_start > start)
		ret = tell_part(p, m, start, MIN(v->drop_start - 1, end));
	if (!ret && v->drop_end < end)
		ret = tell_part(p, m, MAX(v->drop_end + 1, start), end);
	return ret;
}

static int tell_run(struct pieces *p)
{
	const struct vmap *v = p->v;
	const struct mapping *m = &p->run;

	if (!m->len)
		return 0;
	if (!v->no_direct || !v->has_direct || m->vaddr - m->paddr != v->direct)
		return tell_kept(p, m, 0, UINT64_MAX);
	return v->image_end > v->image_start ? tell_kept(p, m, v->image_start, v->image_end - 1)
					     : 0;
}

/* M goes on where the last one ended, or begins anew. */
static int add_run(struct pieces *p, const struct mapping *m)
{
	struct mapping *run = &p->run;
	int ret;

	if (run->len && m->vaddr - run->vaddr == run->len && m->paddr - run->paddr == run->len &&
	    m->vaddr > run->vaddr && m->paddr > run->paddr) {
		run->len += m->len;
		return 0;
	}
	ret = tell_run(p);
	*run = *m;
	return ret;
}

static int add_mapping(void *priv, const struct mapping *m)
{
	struct pieces *p = priv;
	uint64_t from = MAX(m->vaddr, p->start), to = MIN(m->vaddr + (m->len - 1), p->end);
	struct mapping part = { .vaddr = from,
				.paddr = m->paddr + (from - m->vaddr),
				.len = to - from + 1 };
	uint64_t room = -part.paddr;

	/* A window may be a sum modulo 2^64 (arm64, memstart_addr): what wraps around is not one
	 * piece. */
	if (room && room < part.len) {
		struct mapping high = { .vaddr = part.vaddr, .paddr = part.paddr, .len = room };
		int ret = add_run(p, &high);

		if (ret)
			return ret;
		part = (struct mapping){ .vaddr = part.vaddr + room, .len = part.len - room };
	}
	return add_run(p, &part);
}

static uint64_t max_steps(const struct vmap *v)
{
	return MIN(v->memory->nr_bits * STEPS_PER_PAGE + MORE_STEPS, MAX_STEPS);
}

/* What is mapped in [START, END], in its share of steps and pieces. */
static int walk_range(struct pieces *p, struct reader *r, uint64_t start, uint64_t end)
{
	struct vmap *v = p->v;
	struct xlat_visitor visitor = { .mapping = add_mapping, .priv = p, .stats = &v->stats };
	int ret;

	p->start = start;
	p->end = end;
	p->left = VMAP_PIECES + v->memory->nr_bits;
	ret = xlat_walk(v->xlat, r, start, end, max_steps(v), &visitor);
	if (!ret)
		ret = tell_run(p);
	p->run.len = 0;
	return ret == FAILED ? -1 : 0;
}

int vmap_each(struct vmap *v, vmap_fn fn, void *priv, struct err *e)
{
	struct pieces p = { .v = v, .fn = fn, .priv = priv, .e = e };
	uint64_t image = v->image_start;
	struct reader r;
	int ret = 0;

	v->stats = (struct xlat_walk_stats){ .repeats = 0 };
	v->aliases = v->pieces = 0;
	p.seen = calloc(SEEN, sizeof(*p.seen));
	if (!p.seen)
		return err_set(e, ERR_NOMEM, "out of memory");
	reader_init(&r, v->dump);
	if (image > v->start && image <= v->end)
		ret = walk_range(&p, &r, v->start, image - 1);
	else
		image = v->start;
	if (!ret)
		ret = walk_range(&p, &r, image, v->end);
	reader_fini(&r);
	free(p.seen);
	return ret;
}

/* ---- the linear map ---- */

/*
 * It maps more memory than all others by one and the same difference of addresses. Candidates, of
 * which the weakest gives way.
 */
#define CANDIDATES 64

struct census {
	const struct vmap *v;
	struct {
		uint64_t diff, pages;
	} candidates[CANDIDATES];
};

static uint64_t pages_of(const struct vmap *v, const struct mapping *m)
{
	unsigned int shift = dump_page_shift(v->dump);

	return pfnset_count(v->memory, m->paddr >> shift, ((m->paddr + (m->len - 1)) >> shift) + 1);
}

static int count_piece(void *priv, const struct mapping *m, struct err *e)
{
	struct census *c = priv;
	uint64_t diff = m->vaddr - m->paddr, pages = pages_of(c->v, m);
	size_t i, at = 0;

	(void)e;
	for (i = 0; i < CANDIDATES; i++) {
		if (c->candidates[i].pages && c->candidates[i].diff == diff)
			break;
		if (c->candidates[i].pages < c->candidates[at].pages)
			at = i;
	}
	if (i < CANDIDATES) {
		c->candidates[i].pages += pages;
	} else if (c->candidates[at].pages < pages) {
		c->candidates[at].diff = diff;
		c->candidates[at].pages = pages;
	}
	return 0;
}

int vmap_find_direct(struct vmap *v, struct err *e)
{
	struct census c = { .v = v };
	size_t i, best = 0;

	v->has_direct = false;
	if (vmap_each(v, count_piece, &c, e))
		return -1;
	for (i = 1; i < CANDIDATES; i++)
		if (c.candidates[i].pages > c.candidates[best].pages)
			best = i;
	if (!c.candidates[best].pages)
		return err_set(e, ERR_MISSING, "no memory is mapped");
	v->has_direct = true;
	v->direct = c.candidates[best].diff;
	return 0;
}
