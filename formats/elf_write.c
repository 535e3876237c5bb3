/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF cores with physical addresses, the writer.
 *
 * Layout: ELF header; program headers, PT_NOTE first; section header 0 where there are too many of
 * them; notes; pages, in the order of their frame numbers. A page has one place in the file,
 * whatever segments it is in: those of /proc/vmcore overlap, and share the bytes here as well.
 *
 * What is in a segment is what the file has. A page that was left out lies in none, to the page: a
 * p_filesz that is smaller than p_memsz is read as zeros by crash (netdump.c: zero_fill) and drgn,
 * and Volatility skips such a segment, so that none of them could tell left out from zero; a page
 * in no segment cannot be read by any of them. A page of zeros is inside its segment, as a hole of
 * a sparse file. So p_filesz is p_memsz everywhere, and the price is a program header for each run
 * of pages.
 *
 * The segments of the source come back in the order of its table, cut into the runs that are kept:
 * gdb and drgn look for virtual addresses, which only they have. Each piece's p_vaddr follows from
 * its place in the segment, unless the source said that it knows none: all 0 (QEMU without paging),
 * or ~0. Pages that no segment had follow at the end, at virtual address 0.
 *
 * For crash (netdump.c): the only PT_NOTE is program header 0, everything else a PT_LOAD; p_align
 * 0, or it takes the file for netdump's; headers and notes lie before all memory. A file of one
 * PT_LOAD it reads without looking where that ends, so there are two of them. More headers than
 * e_phnum can count it knows in class 64 only.
 *
 * Where the plan has an address space (lib/vmap.h) its pieces take the place of segments, in a file of
 * the machine's word: gdb looks for virtual addresses only. Nothing of it is kept: each time that the
 * headers are needed page tables are walked, and the rank of a page among the kept ones is its place.
 *
 * The mark of makedumpfile -E, e_flags bit 0, says that the file is incomplete until all of it is
 * durable. In a stream it is never set: a stream that breaks off has no end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "elf.h"
#include "note.h"
#include "slots.h"

/* Program headers that can be added when pages turn out to be unreadable and segments break up. */
#define SPARE_HEADERS 256
#define MAX_LOST 4096 /* runs of unreadable pages that are remembered */
#define TABLE_CHUNK ((size_t)64 << 10)

struct pfns {
	uint64_t pfn, nr;
};

/* A segment of the source in the order of addresses. */
struct place {
	uint64_t paddr;
	size_t index;
};

struct writer {
	const struct plan *plan;
	unsigned int word, shift;
	const struct segment *segments; /* of the source */
	size_t nr_segments;
	uint64_t *rank; /* kept pages before each of them */
	struct place *by_addr;
	struct pfnset_ranks ranks; /* where there is an address space instead */
	bool no_vaddr; /* the source knows no virtual addresses */
	uint64_t nr_pages;
	uint64_t max_run;		     /* pages of a PT_LOAD, at most */
	uint64_t limit;			     /* no page from here on is in a segment */
	uint64_t nr_headers, room;	     /* in the table; PT_NOTE included */
	uint64_t notes_off, notes_len, data; /* offset of slot 0 */
	uint64_t done, next;		     /* slots that are written; PFN behind them */
	uint8_t *eraseinfo;		     /* the note */
	size_t eraseinfo_len;
	struct pfns *lost; /* unreadable: in no segment, but in a slot */
	size_t nr_lost, lost_used;
	uint64_t lost_left; /* pages that could not be remembered */
	bool begun;
};

/* One PT_LOAD. */
struct load {
	uint64_t vaddr, paddr, off, size;
	uint32_t flags;
};

typedef int (*load_fn)(void *priv, const struct load *l, struct err *e);

static uint64_t first_pfn(const struct writer *w, const struct segment *s)
{
	return s->paddr >> w->shift;
}

static uint64_t segment_size(const struct segment *s)
{
	return MAX(s->memsz, s->filesz);
}

/* One past the last page that the segment touches. */
static uint64_t end_pfn(const struct writer *w, const struct segment *s)
{
	uint64_t size = segment_size(s);

	return size ? ((s->paddr + (size - 1)) >> w->shift) + 1 : first_pfn(w, s);
}

/* ---- runs of pages that are in the file ---- */

/* On its way through the kept pages; rank is the number of those before pfn. */
struct cursor {
	uint64_t pfn, rank;
};

static void cursor_to(const struct writer *w, struct cursor *c, uint64_t pfn)
{
	if (pfn > c->pfn)
		c->rank += pfnset_count(w->plan->keep, c->pfn, pfn);
	c->pfn = MAX(c->pfn, pfn);
}

/* The first run of lost pages that ends after PFN, or NULL. */
static const struct pfns *lost_at(const struct writer *w, uint64_t pfn)
{
	size_t lo = 0, hi = w->lost_used;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->lost[mid].pfn + w->lost[mid].nr <= pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < w->lost_used ? &w->lost[lo] : NULL;
}

/* The next run of kept pages before END that is not lost; *slot is that of its first page. */
static bool next_run(const struct writer *w, struct cursor *c, uint64_t end, struct pfns *ret,
		     uint64_t *slot)
{
	const struct pfns *lost;

	end = MIN(end, w->limit);
	while (pfnset_next(w->plan->keep, c->pfn, end, w->max_run, &ret->pfn, &ret->nr)) {
		lost = lost_at(w, ret->pfn);
		*slot = c->rank;
		if (lost && lost->pfn <= ret->pfn)
			ret->nr = MIN(ret->nr, lost->pfn + lost->nr - ret->pfn);
		else if (lost)
			ret->nr = MIN(ret->nr, lost->pfn - ret->pfn);
		c->pfn = ret->pfn + ret->nr;
		c->rank += ret->nr;
		if (!lost || lost->pfn > ret->pfn)
			return true;
	}
	return false;
}

/* ---- the PT_LOADs ---- */

static uint64_t vaddr_of(const struct writer *w, const struct segment *s, uint64_t paddr)
{
	uint64_t none = w->plan->dump->id.elf_class == 4 ? UINT32_MAX : UINT64_MAX;

	if (s->vaddr == none || s->vaddr == UINT64_MAX)
		return UINT64_MAX;
	return w->no_vaddr ? 0 : s->vaddr + (paddr - s->paddr);
}

/*
 * What of segment S is in the file; RANK pages are kept before it. It may begin and end inside a page.
 */
static int segment_loads(const struct writer *w, const struct segment *s, uint64_t rank, load_fn fn,
			 void *priv, struct err *e)
{
	struct cursor c = { .pfn = first_pfn(w, s), .rank = rank };
	struct pfns run;
	uint64_t slot;

	while (next_run(w, &c, end_pfn(w, s), &run, &slot)) {
		uint64_t page = run.pfn << w->shift, start = MAX(page, s->paddr),
			 end = MIN((run.pfn + run.nr) << w->shift, s->paddr + segment_size(s));
		struct load l = { .vaddr = vaddr_of(w, s, start),
				  .paddr = start,
				  .off = w->data + (slot << w->shift) + (start - page),
				  .size = end - start,
				  .flags = s->flags };

		if (fn(priv, &l, e))
			return -1;
	}
	return 0;
}

/* The virtual address of pages that no segment has. */
static uint64_t bare_vaddr(const struct writer *w, uint64_t paddr, uint64_t size)
{
	uint64_t below = w->plan->shape ? w->plan->shape->bare_below : 0;

	if (!below)
		return 0;
	return paddr < below && size <= below - paddr ? paddr : UINT64_MAX;
}

/* Kept pages up to END that no segment of the source touches. */
static int bare_loads(const struct writer *w, struct cursor *c, uint64_t end, load_fn fn,
		      void *priv, struct err *e)
{
	struct pfns run;
	uint64_t slot;

	while (next_run(w, c, end, &run, &slot)) {
		struct load l = { .vaddr = bare_vaddr(w, run.pfn << w->shift, run.nr << w->shift),
				  .paddr = run.pfn << w->shift,
				  .off = w->data + (slot << w->shift),
				  .size = run.nr << w->shift,
				  .flags = 7 };

		if (fn(priv, &l, e))
			return -1;
	}
	return 0;
}

struct piece_loads {
	const struct writer *w;
	load_fn fn;
	void *priv;
};

/* A piece of the plan's address space. */
static int map_loads(void *priv, const struct mapping *m, struct err *e)
{
	const struct piece_loads *p = priv;
	struct segment s = { .vaddr = m->vaddr, .paddr = m->paddr, .memsz = m->len, .flags = 7 };

	return segment_loads(p->w, &s,
			     pfnset_rank(p->w->plan->keep, &p->w->ranks, first_pfn(p->w, &s)), p->fn,
			     p->priv, e);
}

/* All PT_LOADs, in the order of the table. */
static int each_load(const struct writer *w, load_fn fn, void *priv, struct err *e)
{
	struct piece_loads pieces = { .w = w, .fn = fn, .priv = priv };
	const struct shape *shape = w->plan->shape;
	struct load start = { .paddr = shape ? shape->start : 0, .off = w->data, .flags = 7 };
	struct cursor c = { .pfn = 0 };
	size_t i;

	if (w->plan->vmap)
		return vmap_each(w->plan->vmap, map_loads, &pieces, e);
	if (shape && shape->tells_start && fn(priv, &start, e))
		return -1;
	for (i = 0; i < w->nr_segments; i++)
		if (segment_loads(w, &w->segments[i], w->rank[i], fn, priv, e))
			return -1;
	for (i = 0; i < w->nr_segments; i++) {
		const struct segment *s = &w->segments[w->by_addr[i].index];

		if (bare_loads(w, &c, first_pfn(w, s), fn, priv, e))
			return -1;
		cursor_to(w, &c, end_pfn(w, s));
	}
	return bare_loads(w, &c, UINT64_MAX, fn, priv, e);
}

struct count {
	uint64_t nr, end; /* one past the highest address */
	bool wide; /* virtual addresses are of 64 bits */
};

/* As many as any reader takes. */
static int count_load(void *priv, const struct load *l, struct err *e)
{
	struct count *c = priv;

	c->nr++;
	c->end = MAX(c->end, l->paddr + l->size);
	if (c->wide && l->size && l->vaddr != UINT64_MAX)
		c->end = MAX(c->end, l->vaddr + (l->size - 1));
	if (c->nr < DUMP_MAX_SEGMENTS)
		return 0;
	return err_set(
		e, ERR_UNSUPPORTED,
		"the pages that are kept lie in more than %zu pieces, each a program header of "
		"an ELF file; a kdump-compressed dump has room for them",
		DUMP_MAX_SEGMENTS);
}

/* Count them; a single one becomes two, see above. */
static int count_loads(struct writer *w, struct count *c, struct err *e)
{
	*c = (struct count){ .wide = w->plan->dump->id.word == 8 };
	w->max_run = UINT64_MAX;
	if (each_load(w, count_load, c, e))
		return -1;
	if (c->nr == 1 && w->nr_pages > 1 && !w->plan->vmap) {
		*c = (struct count){ .wide = w->plan->dump->id.word == 8 };
		w->max_run = (w->nr_pages + 1) / 2;
		if (each_load(w, count_load, c, e))
			return -1;
	}
	w->nr_headers = 1 + c->nr;
	return 0;
}

/* ---- the source's segments ---- */

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->paddr != y->paddr)
		return x->paddr < y->paddr ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* QEMU without paging tells 0 for all. A machine whose memory begins at 0 may mean it, for that. */
static bool all_zero(const struct segment *s, size_t nr)
{
	bool elsewhere = false;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (s[i].vaddr)
			return false;
		elsewhere |= s[i].paddr != 0;
	}
	return elsewhere;
}

/* Sort them, and count the pages before each, once and for all. */
static int take_segments(struct writer *w, struct err *e)
{
	const struct shape *shape = w->plan->shape;
	const struct dump *d = w->plan->dump;
	struct cursor c = { .pfn = 0 };
	size_t i, nr = w->plan->vmap ? 0 : shape ? shape->nr_segments : d->nr_segments;

	if (w->plan->vmap && pfnset_ranks_init(&w->ranks, w->plan->keep, e))
		return -1;
	w->segments = shape ? shape->segments : d->segments;
	w->rank = calloc(nr ? nr : 1, sizeof(*w->rank));
	w->by_addr = calloc(nr ? nr : 1, sizeof(*w->by_addr));
	if (!w->rank || !w->by_addr)
		return err_set(e, ERR_NOMEM, "no memory for %zu segments", nr);
	for (i = 0; i < nr; i++)
		w->by_addr[i] = (struct place){ .paddr = w->segments[i].paddr, .index = i };
	qsort(w->by_addr, nr, sizeof(*w->by_addr), compare_places);
	for (i = 0; i < nr; i++) {
		size_t index = w->by_addr[i].index;

		cursor_to(w, &c, first_pfn(w, &w->segments[index]));
		w->rank[index] = c.rank;
	}
	w->no_vaddr = !w->plan->vmap && all_zero(w->segments, nr);
	w->nr_segments = nr;
	return 0;
}

/* ---- the headers ---- */

/* Some headers of the table on their way into the file. */
struct table {
	const struct writer *w;
	struct sink *sink;
	uint64_t off;
	struct bytes_out o;
};

static int table_flush(struct table *t, struct err *e)
{
	size_t len = t->o.pos;

	t->o.pos = 0;
	t->off += len;
	return sink_write(t->sink, t->off - len, t->o.data, len, e);
}

static int put_phdr(struct table *t, uint32_t type, const struct load *l, struct err *e)
{
	unsigned int word = t->w->word;

	if (t->o.size - t->o.pos < PHDR_MAX && table_flush(t, e))
		return -1;
	out_uint(&t->o, type, 4);
	if (word == 8)
		out_uint(&t->o, l->flags, 4);
	out_uint(&t->o, l->off, word);
	out_uint(&t->o, l->vaddr, word);
	/* ~0: it has none, as far as this file can tell (32 bits, PAE). */
	out_uint(&t->o, word == 4 && l->paddr > UINT32_MAX ? UINT32_MAX : l->paddr, word);
	out_uint(&t->o, l->size, word);
	out_uint(&t->o, l->size, word);
	if (word == 4)
		out_uint(&t->o, l->flags, 4);
	out_uint(&t->o, 0, word); /* p_align */
	return 0;
}

static int put_load(void *priv, const struct load *l, struct err *e)
{
	return put_phdr(priv, PT_LOAD, l, e);
}

static bool many_headers(uint64_t nr)
{
	return nr >= PN_XNUM;
}

static void encode_ehdr(const struct writer *w, uint32_t flags, struct bytes_out *o)
{
	const struct ident *id = &w->plan->dump->id;
	unsigned int word = w->word, phdr = elf_phdr_size(word), ehdr = elf_ehdr_size(word);
	bool many = many_headers(w->nr_headers);

	out_bytes(o, "\177ELF", 4);
	out_uint(o, word == 8 ? 2 : 1, 1);
	out_uint(o, id->order == ORDER_BE ? 2 : 1, 1);
	out_uint(o, 1, 1); /* EV_CURRENT */
	out_zero(o, 9);
	out_uint(o, ET_CORE, 2);
	out_uint(o, id->e_machine, 2);
	out_uint(o, 1, 4);
	out_uint(o, 0, word);	 /* e_entry */
	out_uint(o, ehdr, word); /* e_phoff: crash and makedumpfile want it right here */
	out_uint(o, many ? ehdr + w->room * phdr : 0, word);
	out_uint(o, flags, 4);
	out_uint(o, ehdr, 2);
	out_uint(o, phdr, 2);
	out_uint(o, many ? PN_XNUM : w->nr_headers, 2);
	out_uint(o, many ? elf_shdr_size(word) : 0, 2);
	out_uint(o, many, 2);
	out_uint(o, 0, 2); /* e_shstrndx */
}

/* Section header 0 for the number of program headers (gabi, PN_XNUM), where it is needed. */
static void encode_shdr(const struct writer *w, struct bytes_out *o)
{
	unsigned int word = w->word, before = word == 8 ? 44 : 28;

	if (!many_headers(w->room))
		return;
	out_zero(o, before);
	out_uint(o, many_headers(w->nr_headers) ? w->nr_headers : 0, 4);
	out_zero(o, elf_shdr_size(word) - before - 4);
}

/* ELF header, program headers, section header: everything before the notes. */
static int write_headers(const struct writer *w, struct sink *sink, uint32_t flags, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(TABLE_CHUNK);
	struct table t = {
		.w = w,
		.sink = sink,
		.o = { .data = buf, .size = TABLE_CHUNK, .order = w->plan->dump->id.order }
	};
	struct load notes = { .off = w->notes_off, .size = w->notes_len };
	uint64_t spare = (w->room - w->nr_headers) * elf_phdr_size(w->word);

	if (!buf)
		return err_set(e, ERR_NOMEM, "no memory for headers");
	encode_ehdr(w, flags, &t.o);
	if (put_phdr(&t, PT_NOTE, &notes, e) || each_load(w, put_load, &t, e) || table_flush(&t, e))
		return -1;
	if (zeros_put(sink, t.off, spare, e))
		return -1;
	t.off += spare;
	encode_shdr(w, &t.o);
	return table_flush(&t, e);
}

static int write_flags(const struct writer *w, struct sink *sink, uint32_t flags, struct err *e)
{
	uint8_t raw[4];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = w->plan->dump->id.order };

	out_uint(&o, flags, 4);
	return sink_write(sink, w->word == 8 ? 48 : 36, raw, sizeof(raw), e);
}

/* ---- the notes ---- */

/* All but that of what was erased. */
static uint64_t other_notes_len(const struct plan *plan)
{
	return (plan->threads ? plan->threads->len : 0) + plan->notes_len + plan->tool_note_len;
}

static uint64_t eraseinfo_off(const struct plan *plan)
{
	return ALIGN_UP(other_notes_len(plan), 4);
}

static bool has_eraseinfo(const struct plan *plan)
{
	struct bytes b = bytes_init(plan->notes, plan->notes_len, plan->dump->id.order, "notes", 0);
	struct note n;

	while (note_next(&b, &n))
		if (note_owner_is(&n, "ERASEINFO"))
			return true;
	return false;
}

/* What was erased, as a note like makedumpfile's; it may be among the source's own. */
static int make_eraseinfo(struct writer *w, struct err *e)
{
	const struct plan *plan = w->plan;

	w->notes_len = other_notes_len(plan);
	if (!plan->eraseinfo || has_eraseinfo(plan))
		return 0;
	if (!note_append(&w->eraseinfo, &w->eraseinfo_len, plan->dump->id.order, "ERASEINFO", 0,
			 plan->eraseinfo, plan->eraseinfo_len))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	w->notes_len = eraseinfo_off(plan) + w->eraseinfo_len;
	return 0;
}

/* Where notes that come piece by piece have got to. */
struct note_place {
	struct sink *sink;
	uint64_t at, end;
};

static int put_note_bytes(void *priv, const void *data, size_t len, struct err *e)
{
	struct note_place *p = priv;

	if (len > p->end - p->at)
		return err_set(e, ERR_CORRUPT, "there are more notes than were counted");
	p->at += len;
	return sink_write(p->sink, p->at - len, data, len, e);
}

/* Notes that are made now; there may be fewer of them than were counted. */
static int write_threads(const struct note_stream *threads, struct sink *sink, uint64_t *at,
			 struct err *e)
{
	struct note_place p = { .sink = sink, .at = *at, .end = *at + threads->len };

	if (threads->write(threads, put_note_bytes, &p, e))
		return -1;
	*at = p.end;
	return zeros_put(sink, p.at, p.end - p.at, e);
}

/* All notes, and zeros up to the first page: crash reads everything before it. */
static int write_notes(const struct writer *w, struct sink *sink, struct err *e)
{
	const struct plan *plan = w->plan;
	uint64_t at = w->notes_off, end = w->notes_off + w->notes_len;

	if (plan->threads && write_threads(plan->threads, sink, &at, e))
		return -1;
	if (sink_write(sink, at, plan->notes, plan->notes_len, e))
		return -1;
	at += plan->notes_len;
	if (sink_write(sink, at, plan->tool_note, plan->tool_note_len, e))
		return -1;
	at += plan->tool_note_len;
	if (w->eraseinfo_len) {
		uint64_t erased = w->notes_off + eraseinfo_off(plan);

		if (zeros_put(sink, at, erased - at, e) ||
		    sink_write(sink, erased, w->eraseinfo, w->eraseinfo_len, e))
			return -1;
	}
	return zeros_put(sink, end, w->data - end, e);
}

/* ---- the writer ---- */

/* Where everything is, in a file of class WORD; returns where it ends. */
static uint64_t lay_out(struct writer *w, unsigned int word)
{
	uint64_t after = elf_ehdr_size(word) + w->room * elf_phdr_size(word);

	w->word = word;
	if (many_headers(w->room))
		after += elf_shdr_size(word);
	w->notes_off = ALIGN_UP(after, 4);
	w->data = ALIGN_UP(w->notes_off + w->notes_len, (uint64_t)w->plan->page_size);
	return w->data + (w->nr_pages << w->shift);
}

/* The source's class, or the kernel's word, as far as the numbers fit. */
static void choose_class(struct writer *w, uint64_t end)
{
	const struct ident *id = &w->plan->dump->id;
	const struct shape *shape = w->plan->shape;
	unsigned int word = id->elf_class ? id->elf_class : id->word;

	/* Where virtual addresses count it is the machine's, and physical ones need not fit. */
	if (w->plan->vmap && id->word == 4 && lay_out(w, 4) <= UINT32_MAX)
		return;
	if (w->plan->vmap)
		word = 8;
	else if (shape && shape->word)
		word = shape->word;
	if (word != 4 || many_headers(w->room) || end > (uint64_t)1 << 32 ||
	    lay_out(w, 4) > UINT32_MAX)
		lay_out(w, 8);
	if (shape && shape->word && shape->word != w->word)
		log_warn(w->plan->dump->log,
			 "its addresses and sizes do not fit an ELF file of 32 bits: one of 64 is written");
}

static int make_plan(struct part *p, struct writer *w, struct err *e)
{
	struct count c;

	w->nr_pages = pfnset_count(w->plan->keep, 0, UINT64_MAX);
	if (w->nr_pages > (uint64_t)INT64_MAX / 2 >> w->shift)
		return err_set(e, ERR_UNSUPPORTED, "%s: no file is that long", sink_name(p->sink));
	if (take_segments(w, e) || make_eraseinfo(w, e))
		return -1;
	if (count_loads(w, &c, e)) {
		if (!w->nr_segments || e->code != ERR_UNSUPPORTED)
			return -1;
		log_warn(
			w->plan->dump->log,
			"%s: the %zu segments of the source, cut into what is kept, are more than any "
			"reader takes; all memory is at virtual address 0",
			sink_name(p->sink), w->nr_segments);
		w->nr_segments = 0;
		if (count_loads(w, &c, e))
			return -1;
	}
	w->room = w->nr_headers + (sink_can_patch(p->sink) ? SPARE_HEADERS : 0);
	choose_class(w, c.end);
	return 0;
}

int elf_begin_part(struct part *p, struct err *e)
{
	struct writer *w = calloc(1, sizeof(*w));
	uint32_t mark = sink_can_patch(p->sink) || p->plan->incomplete ? EF_INCOMPLETE : 0;

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->priv = w;
	w->plan = p->plan;
	w->shift = (unsigned int)__builtin_ctz(p->plan->page_size);
	w->limit = UINT64_MAX;
	w->lost = calloc(MAX_LOST, sizeof(*w->lost));
	if (!w->lost)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (make_plan(p, w, e))
		return -1;
	w->begun = true;
	if (sink_expect(p->sink, w->data + (w->nr_pages << w->shift), e) ||
	    write_headers(w, p->sink, mark, e) || write_notes(w, p->sink, e))
		return -1;
	return sink_flush(p->sink, e);
}

/* A page that cannot be read will be in no segment. */
static void remember_lost(struct writer *w, uint64_t pfn)
{
	struct pfns *last = w->nr_lost ? &w->lost[w->nr_lost - 1] : NULL;

	if (last && last->pfn + last->nr == pfn)
		last->nr++;
	else if (w->nr_lost < MAX_LOST)
		w->lost[w->nr_lost++] = (struct pfns){ .pfn = pfn, .nr = 1 };
	else
		w->lost_left++;
}

/* Pages come without gaps, in the order of their slots. */
static uint64_t slot_of(const struct batch *b, size_t i)
{
	(void)b;
	return i;
}

int elf_put(struct part *p, const struct batch *b, struct err *e)
{
	struct writer *w = p->priv;
	size_t i;

	if (slots_put(p, b, w->data + (w->done << w->shift), slot_of, e))
		return -1;
	w->done += b->nr_pages;
	w->next = b->pages[b->nr_pages - 1].pfn + 1;
	for (i = 0; i < b->nr_pages; i++)
		if (b->pages[i].state == PAGE_UNREADABLE)
			remember_lost(w, b->pages[i].pfn);
	return 0;
}

/*
 * Take lost pages out of the segments, the first NR runs of them. False where that makes more
 * headers than there is room for.
 */
static bool leave_out(struct writer *w, size_t nr)
{
	struct err ignored = ERR_INIT;
	struct count c;

	w->lost_used = nr;
	return !count_loads(w, &c, &ignored) && w->nr_headers <= w->room;
}

/* As many runs of lost pages as there is room for; *ret is the number of pages that are left. */
static void leave_out_lost(struct writer *w, uint64_t *ret)
{
	size_t lo = 0, hi = w->nr_lost, i;

	if (leave_out(w, hi))
		lo = hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo + 1) / 2;

		if (leave_out(w, mid))
			lo = mid;
		else
			hi = mid - 1;
	}
	leave_out(w, lo);
	*ret = w->lost_left;
	for (i = lo; i < w->nr_lost; i++)
		*ret += w->lost[i].nr;
}

/*
 * Headers without the pages that were lost. The incomplete mark, which they carry, may be cleared
 * only when *WHOLE.
 */
static int write_losses(struct part *p, struct writer *w, bool *whole, struct err *e)
{
	uint64_t left;

	*whole = true;
	if ((!w->nr_lost && w->limit == UINT64_MAX) || !sink_can_patch(p->sink))
		return 0;
	leave_out_lost(w, &left);
	*whole = !left;
	if (left)
		log_warn(w->plan->dump->log,
			 "%s: %" PRIu64
			 " pages that cannot be read are zeros: there is no room for "
			 "program headers around them; it stays marked as incomplete",
			 sink_name(p->sink), left);
	return write_headers(w, p->sink, EF_INCOMPLETE, e);
}

int elf_commit(struct part *p, struct err *e)
{
	struct writer *w = p->priv;
	bool whole;

	if (write_losses(p, w, &whole, e))
		return -1;
	/* The mark must not be cleared while data is still on its way. */
	if (sink_can_patch(p->sink) &&
	    (sink_sync(p->sink, e) ||
	     (whole && !p->plan->incomplete && write_flags(w, p->sink, 0, e))))
		return -1;
	return sink_commit(p->sink, w->data + (w->nr_pages << w->shift), e);
}

void elf_finish(struct part *p)
{
	struct writer *w = p->priv;

	if (w) {
		free(w->rank);
		free(w->by_addr);
		pfnset_ranks_fini(&w->ranks);
		free(w->eraseinfo);
		free(w->lost);
	}
	free(w);
	p->priv = NULL;
}

/* A file is shorter than its segments, and marked. */
void elf_abandon(struct part *p)
{
	struct writer *w = p->priv;
	struct err ignored = ERR_INIT;
	bool whole;

	if (w && w->begun && sink_can_patch(p->sink)) {
		sink_flush(p->sink, &ignored);
		/* A device goes on, with what it held before. */
		if (!sink_has_holes(p->sink))
			w->limit = w->next;
		write_losses(p, w, &whole, &ignored);
		/* It may be cleared already, when the last sync failed. */
		write_flags(w, p->sink, EF_INCOMPLETE, &ignored);
		sink_flush(p->sink, &ignored);
	}
	elf_finish(p);
}
