/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "extents.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Bytes [start, end) of memory, at offset `off` of a source where they are in it. */
struct extent {
	uint64_t start, end, off;
	unsigned int source;
};

/* What a list of extents says about its bytes. */
enum layer { LAYER_DATA, LAYER_MISSING, LAYER_EXCLUDED, NR_LAYERS };

static const enum page_state layer_state[NR_LAYERS] = { PAGE_DATA, PAGE_UNREADABLE, PAGE_EXCLUDED };

struct list {
	struct extent *e;
	size_t nr, room;
};

/*
 * A run of pages; `extent` is the piece that holds all of it, or NO_EXTENT for one page that must
 * be put together.
 */
struct piece {
	uint64_t pfn, nr;
	uint64_t run_end; /* of the run of neighbours in the same state that it belongs to */
	uint32_t extent;
	uint8_t state;
};

#define NO_EXTENT UINT32_MAX

struct extents {
	struct list layer[NR_LAYERS];
	struct piece *pieces;
	size_t nr_pieces, room;
};

static const struct map_ops extents_ops;

static int list_add(struct list *l, const struct extent *x, struct err *e)
{
	struct extent *last = l->nr ? &l->e[l->nr - 1] : NULL;

	if (x->start == x->end)
		return 0;
	/* Neighbours in memory and in the file are one. */
	if (last && last->end == x->start && last->source == x->source &&
	    last->off + (last->end - last->start) == x->off) {
		last->end = x->end;
		return 0;
	}
	if (l->nr == DUMP_MAX_SEGMENTS)
		return err_set(e, ERR_NOMEM, "more than %zu pieces of memory", l->nr);
	if (l->nr == l->room) {
		size_t want = l->room ? l->room * 2 : 16;
		struct extent *more = realloc(l->e, want * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu pieces of the memory map",
				       want);
		l->e = more;
		l->room = want;
	}
	l->e[l->nr++] = *x;
	return 0;
}

static struct source *source_of(const struct dump *d, unsigned int index)
{
	return index ? d->sources[index] : d->source;
}

int extents_add(struct dump *d, uint64_t paddr, uint64_t filesz, uint64_t memsz, uint64_t off,
		struct err *e)
{
	return extents_add_from(d, 0, paddr, filesz, memsz, off, e);
}

int extents_add_from(struct dump *d, unsigned int source, uint64_t paddr, uint64_t filesz,
		     uint64_t memsz, uint64_t off, struct err *e)
{
	struct extents *x = d->map_data;
	uint64_t size = source_size(source_of(d, source)), inside;
	struct extent in = { .start = paddr, .off = off, .source = source };

	if (!x) {
		x = d->map_data = calloc(1, sizeof(*x));
		if (!x)
			return err_set(e, ERR_NOMEM, "out of memory");
		d->map = &extents_ops;
	}
	if (memsz < filesz)
		memsz = filesz;
	if (paddr > UINT64_MAX - SOURCE_SLACK || memsz > UINT64_MAX - SOURCE_SLACK - paddr ||
	    filesz > UINT64_MAX - off)
		return err_set(e, ERR_CORRUPT,
			       "memory 0x%" PRIx64 "+0x%" PRIx64 " at offset 0x%" PRIx64
			       " wraps around",
			       paddr, memsz, off);
	inside = off < size ? MIN(filesz, size - off) : 0;
	if (__builtin_add_overflow(d->damage.missing_bytes, filesz - inside,
				   &d->damage.missing_bytes))
		d->damage.missing_bytes = UINT64_MAX;
	in.end = paddr + inside;
	if (list_add(&x->layer[LAYER_DATA], &in, e))
		return -1;
	in = (struct extent){ .start = paddr + inside, .end = paddr + filesz };
	if (list_add(&x->layer[LAYER_MISSING], &in, e))
		return -1;
	in = (struct extent){ .start = paddr + filesz, .end = paddr + memsz };
	return list_add(&x->layer[LAYER_EXCLUDED], &in, e);
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/*
	 * The longer first, so that the shorter disappears; then the file's order, for the same
	 * result on any host.
	 */
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Sort, and cut what an earlier extent holds already. */
static void list_normalise(struct list *l)
{
	uint64_t covered = 0;
	size_t i, n = 0;

	if (!l->nr)
		return;
	qsort(l->e, l->nr, sizeof(*l->e), compare_extents);
	for (i = 0; i < l->nr; i++) {
		struct extent x = l->e[i];

		if (x.end <= covered)
			continue;
		if (x.start < covered) {
			x.off += covered - x.start;
			x.start = covered;
		}
		covered = x.end;
		l->e[n++] = x;
	}
	l->nr = n;
}

static int piece_add(struct extents *x, uint64_t pfn, uint64_t nr, uint32_t extent,
		     enum page_state state, struct err *e)
{
	struct piece *last = x->nr_pieces ? &x->pieces[x->nr_pieces - 1] : NULL;

	if (!nr)
		return 0;
	if (last && last->state == state && state != PAGE_DATA && last->pfn + last->nr == pfn) {
		last->nr += nr;
		return 0;
	}
	if (x->nr_pieces == x->room) {
		size_t want = x->room ? x->room * 2 : 32;
		struct piece *more = realloc(x->pieces, want * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu runs of pages", want);
		x->pieces = more;
		x->room = want;
	}
	x->pieces[x->nr_pieces++] =
		(struct piece){ .pfn = pfn, .nr = nr, .extent = extent, .state = (uint8_t)state };
	return 0;
}

/* Take the bytes of MINUS out of L; both are normalised. */
static int list_subtract(struct list *l, const struct list *minus, struct err *e)
{
	struct list rest = { .nr = 0 };
	size_t i, m = 0;

	for (i = 0; i < l->nr; i++) {
		struct extent x = l->e[i];
		size_t j;

		while (m < minus->nr && minus->e[m].end <= x.start)
			m++;
		for (j = m; j < minus->nr && minus->e[j].start < x.end; j++) {
			const struct extent *cut = &minus->e[j];
			struct extent left = x;

			left.end = cut->start;
			if (cut->start > x.start && list_add(&rest, &left, e))
				goto fail;
			x.off += MIN(cut->end, x.end) - x.start;
			x.start = MIN(cut->end, x.end);
		}
		if (list_add(&rest, &x, e))
			goto fail;
	}
	free(l->e);
	*l = rest;
	return 0;
fail:
	free(rest.e);
	return -1;
}

/* A page at the edge of extents, until it is clear what all of them say about it. */
struct edge {
	bool open;
	uint64_t pfn;
	enum page_state state;
};

/* A missing byte makes the page unreadable; a byte of data makes it data; else it was excluded. */
static int strength(enum page_state s)
{
	return s == PAGE_UNREADABLE ? 2 : s == PAGE_DATA ? 1 : 0;
}

static int edge_close(struct extents *x, struct edge *edge, struct err *e)
{
	if (!edge->open)
		return 0;
	edge->open = false;
	return piece_add(x, edge->pfn, 1, NO_EXTENT, edge->state, e);
}

/* PFN is partly in an extent of STATE. */
static int edge_add(struct extents *x, struct edge *edge, uint64_t pfn, enum page_state state,
		    struct err *e)
{
	if (edge->open && edge->pfn != pfn && edge_close(x, edge, e))
		return -1;
	if (!edge->open || strength(state) > strength(edge->state))
		*edge = (struct edge){ .open = true, .pfn = pfn, .state = state };
	return 0;
}

/*
 * The next extent, number INDEX of its layer, ascending over all layers: whole pages are a piece,
 * edges are collected.
 */
static int add_extent(struct extents *x, struct edge *edge, enum layer layer, uint32_t index,
		      unsigned int shift, struct err *e)
{
	const struct extent *in = &x->layer[layer].e[index];
	enum page_state state = layer_state[layer];
	uint64_t mask = (1ULL << shift) - 1;
	uint64_t first = in->start >> shift, whole = (in->start + mask) >> shift,
		 whole_end = in->end >> shift;

	if (first < whole && edge_add(x, edge, first, state, e))
		return -1;
	if (whole < whole_end &&
	    (edge_close(x, edge, e) || piece_add(x, whole, whole_end - whole, index, state, e)))
		return -1;
	if ((in->end & mask) && whole_end >= whole && edge_add(x, edge, whole_end, state, e))
		return -1;
	return 0;
}

/* Neighbours of the same state are one run, whatever extents they are in. */
static void join_runs(struct extents *x)
{
	size_t i;

	for (i = x->nr_pieces; i--;) {
		struct piece *p = &x->pieces[i];

		p->run_end = p->pfn + p->nr;
		if (i + 1 < x->nr_pieces && p[1].state == p->state && p[1].pfn == p->run_end)
			p->run_end = p[1].run_end;
	}
}

static int extents_set_page_size(struct dump *d, struct err *e)
{
	struct extents *x = d->map_data;
	struct edge edge = { .open = false };
	size_t at[NR_LAYERS] = { 0 }, i;
	enum layer layer;

	x->nr_pieces = 0;
	for (layer = 0; layer < NR_LAYERS; layer++)
		list_normalise(&x->layer[layer]);
	if (list_subtract(&x->layer[LAYER_MISSING], &x->layer[LAYER_DATA], e) ||
	    list_subtract(&x->layer[LAYER_EXCLUDED], &x->layer[LAYER_DATA], e) ||
	    list_subtract(&x->layer[LAYER_EXCLUDED], &x->layer[LAYER_MISSING], e))
		return -1;
	for (;;) {
		enum layer next = NR_LAYERS;

		for (layer = 0; layer < NR_LAYERS; layer++)
			if (at[layer] < x->layer[layer].nr &&
			    (next == NR_LAYERS ||
			     x->layer[layer].e[at[layer]].start < x->layer[next].e[at[next]].start))
				next = layer;
		if (next == NR_LAYERS)
			break;
		if (add_extent(x, &edge, next, (uint32_t)at[next]++, dump_page_shift(d), e))
			return -1;
	}
	if (edge_close(x, &edge, e))
		return -1;
	join_runs(x);
	for (i = 0; i < x->nr_pieces; i++)
		if (x->pieces[i].state == PAGE_UNREADABLE)
			d->damage.unreadable_pages += x->pieces[i].nr;
	return 0;
}

/* Index of the first piece that ends after PFN. */
static size_t find_piece(const struct extents *x, uint64_t pfn)
{
	size_t lo = 0, hi = x->nr_pieces;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->pieces[mid].pfn + x->pieces[mid].nr <= pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool extents_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct extents *x = d->map_data;
	size_t i;

	(void)space; /* what kdump calls physical is all an ELF core knows */
	i = find_piece(x, pfn);
	if (i == x->nr_pieces)
		return false;
	ret->pfn = MAX(pfn, x->pieces[i].pfn);
	ret->nr = x->pieces[i].run_end - ret->pfn;
	ret->state = x->pieces[i].state;
	return true;
}

/* First extent of the data layer that ends after ADDR. */
static size_t find_extent(const struct list *l, uint64_t addr)
{
	size_t lo = 0, hi = l->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->e[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Put one page together from the extents that touch it; bytes that none has are zero. */
static int assemble(struct reader *r, const struct list *l, uint64_t addr, size_t size,
		    struct err *e)
{
	size_t i;

	if (!r->bounce)
		r->bounce = malloc(SOURCE_SLACK);
	if (!r->bounce)
		return err_set(e, ERR_NOMEM, "out of memory");
	memset(r->bounce, 0, size);
	for (i = find_extent(l, addr); i < l->nr && l->e[i].start < addr + size; i++) {
		const struct extent *x = &l->e[i];
		uint64_t from = MAX(addr, x->start), to = MIN(addr + size, x->end);
		const uint8_t *p = reader_bytes(r, source_of(r->dump, x->source),
						x->off + (from - x->start), (size_t)(to - from),
						NULL, e);

		if (!p)
			return -1;
		memcpy(r->bounce + (from - addr), p, (size_t)(to - from));
	}
	return 0;
}

static int extents_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
			struct view *ret, struct err *e)
{
	const struct extents *x = r->dump->map_data;
	unsigned int shift = dump_page_shift(r->dump);
	size_t i = find_piece(x, pfn), avail, size = (size_t)1 << shift;
	const struct piece *p = &x->pieces[i];
	const struct extent *in;

	(void)space;
	if (i == x->nr_pieces || p->pfn > pfn || p->state != PAGE_DATA)
		return err_set(e, ERR_UNREADABLE, "page 0x%" PRIx64 " is not in the dump", pfn);
	if (p->extent == NO_EXTENT) {
		*ret = (struct view){ .nr = 1 };
		if (assemble(r, &x->layer[LAYER_DATA], pfn << shift, size, e))
			return -1;
		ret->data = r->bounce;
		return 0;
	}
	in = &x->layer[LAYER_DATA].e[p->extent];
	ret->data = reader_bytes(r, source_of(r->dump, in->source),
				 in->off + ((pfn << shift) - in->start), size, &avail, e);
	if (!ret->data)
		return -1;
	ret->nr = MIN(MIN(nr, p->pfn + p->nr - pfn), (uint64_t)(avail >> shift));
	return 0;
}

static int extents_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
			     struct err *e)
{
	const struct extents *x = r->dump->map_data;
	const struct list *l = &x->layer[LAYER_DATA];
	uint64_t addr = pfn << dump_page_shift(r->dump), size = r->dump->id.page_size;
	size_t i;

	(void)space;
	memset(buf, 0, size);
	for (i = find_extent(l, addr); i < l->nr && l->e[i].start < addr + size; i++) {
		uint64_t from = MAX(addr, l->e[i].start), to = MIN(addr + size, l->e[i].end);

		if (source_read(source_of(r->dump, l->e[i].source),
				l->e[i].off + (from - l->e[i].start),
				(uint8_t *)buf + (from - addr), (size_t)(to - from), e))
			return -1;
	}
	return 0;
}

static void extents_free(struct dump *d)
{
	struct extents *x = d->map_data;
	enum layer layer;

	for (layer = 0; layer < NR_LAYERS; layer++)
		free(x->layer[layer].e);
	free(x->pieces);
	free(x);
}

static const struct map_ops extents_ops = {
	.next_run = extents_next_run,
	.view = extents_view,
	.read_page = extents_read_page,
	.set_page_size = extents_set_page_size,
	.free = extents_free,
};
