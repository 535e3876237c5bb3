/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For test_elf_write.c: the file at PATH taken apart, a model of it that goes page by page, and what
 * the reader makes of it.
 */
#ifndef ELF_MODEL_H
#define ELF_MODEL_H

#include "arch.h"
#include "bytes.h"
#include "fake_dump.h"
#include "formats.h"
#include "note.h"
#include "toolnote.h"

static char path[] = "/tmp/test_elf_write.XXXXXX";

/* ---- a file, taken apart ---- */

struct phdr {
	uint32_t type, flags;
	uint64_t off, vaddr, paddr, filesz, memsz, align;
};

struct core {
	uint8_t *raw;
	size_t len;
	unsigned int word;
	enum byte_order order;
	uint16_t machine, phnum;
	uint32_t flags;
	uint64_t shoff, nr;
	struct phdr *p;
};

static void parse_phdrs(struct core *c, struct bytes *b, uint64_t phoff)
{
	uint64_t i;

	c->p = calloc(c->nr ? c->nr : 1, sizeof(*c->p));
	bytes_seek(b, phoff);
	for (i = 0; i < c->nr; i++) {
		struct phdr *p = &c->p[i];

		p->type = bytes_u32(b);
		p->flags = c->word == 8 ? bytes_u32(b) : 0;
		p->off = bytes_uint(b, c->word);
		p->vaddr = bytes_uint(b, c->word);
		p->paddr = bytes_uint(b, c->word);
		p->filesz = bytes_uint(b, c->word);
		p->memsz = bytes_uint(b, c->word);
		if (c->word == 4)
			p->flags = bytes_u32(b);
		p->align = bytes_uint(b, c->word);
	}
}

static struct core core_parse(uint8_t *raw, size_t len)
{
	struct core c = { .raw = raw, .len = len };
	uint64_t phoff, size;
	struct bytes b;

	c.word = raw[4] == 2 ? 8 : 4;
	c.order = raw[5] == 2 ? ORDER_BE : ORDER_LE;
	b = bytes_init(raw, len, c.order, "core", 0);
	bytes_seek(&b, 18);
	c.machine = bytes_u16(&b);
	bytes_skip(&b, 4 + c.word);
	phoff = bytes_uint(&b, c.word);
	c.shoff = bytes_uint(&b, c.word);
	c.flags = bytes_u32(&b);
	size = bytes_u16(&b); /* e_ehsize */
	bytes_skip(&b, 2);
	c.nr = c.phnum = bytes_u16(&b);
	if (phoff != size || size != (c.word == 8 ? 64 : 52) || memcmp(raw, "\177ELF", 4) ||
	    raw[6] != 1)
		c.nr = 0;
	if (c.phnum == 0xffff)
		c.nr = load_u32(raw + c.shoff + (c.word == 8 ? 44 : 28), c.order);
	parse_phdrs(&c, &b, phoff);
	if (b.overrun)
		c.nr = 0;
	return c;
}

static struct core core_read(void)
{
	size_t len;
	uint8_t *raw = fake_slurp(path, &len);

	return core_parse(raw, len);
}

static void core_free(struct core *c)
{
	free(c->raw);
	free(c->p);
}

/* ---- the model ---- */

struct model {
	const struct fake *f;
	struct phdr *p; /* the PT_LOADs that there should be */
	uint64_t nr;
	uint64_t *rank;
};

static bool is_kept(const struct fake *f, uint64_t pfn)
{
	return pfnset_test(&f->keep, pfn) && !f->lost[pfn];
}

/* Bytes [start, end), all of one page. */
static void model_bytes(struct model *m, const struct segment *s, uint64_t data, uint64_t start,
			uint64_t end, bool *open)
{
	uint64_t size = m->f->plan.page_size, pfn = start / size;
	struct phdr *p;

	if (*open) {
		m->p[m->nr - 1].filesz += end - start;
		return;
	}
	if ((m->nr & (m->nr - 1)) == 0)
		m->p = realloc(m->p, MAX(2 * m->nr, 1u) * sizeof(*m->p));
	p = &m->p[m->nr++];
	*open = true;
	*p = (struct phdr){ .type = 1,
			    .flags = s ? s->flags : 7,
			    .off = data + m->rank[pfn] * size + start % size,
			    .paddr = start,
			    .filesz = end - start };
	if (s)
		p->vaddr = s->vaddr + (start - s->paddr);
}

static void model_segment(struct model *m, const struct segment *s, uint64_t data, uint8_t *touched)
{
	uint64_t size = m->f->plan.page_size, at, next, end = s->paddr + s->memsz;
	bool open = false;

	for (at = s->paddr; at < end; at = next) {
		next = MIN((at / size + 1) * size, end);
		if (at / size >= m->f->nr_pages)
			break;
		touched[at / size] = 1;
		if (is_kept(m->f, at / size))
			model_bytes(m, s, data, at, next, &open);
		else
			open = false;
	}
}

static void model_build(struct model *m, const struct fake *f, uint64_t data)
{
	_cleanup_free_ uint8_t *touched = calloc(f->nr_pages, 1);
	uint64_t pfn, size = f->plan.page_size, half;
	bool open = false;
	size_t i;

	*m = (struct model){ .f = f, .rank = calloc(f->nr_pages + 1, sizeof(*m->rank)) };
	for (pfn = 0; pfn < f->nr_pages; pfn++)
		m->rank[pfn + 1] = m->rank[pfn] + pfnset_test(&f->keep, pfn);
	for (i = 0; i < f->dump.nr_segments; i++)
		model_segment(m, &f->dump.segments[i], data, touched);
	for (pfn = 0; pfn < f->nr_pages; pfn++)
		if (!touched[pfn] && is_kept(f, pfn))
			model_bytes(m, NULL, data, pfn * size, (pfn + 1) * size, &open);
		else
			open = false;
	if (m->nr != 1 || m->rank[f->nr_pages] < 2)
		return;
	half = (m->rank[f->nr_pages] + 1) / 2 * size;
	m->p = realloc(m->p, 2 * sizeof(*m->p));
	m->p[1] = m->p[0];
	m->p[0].filesz = half;
	m->p[1].filesz -= half;
	m->p[1].paddr += half;
	m->p[1].off += half;
	m->p[1].vaddr += m->p[1].vaddr ? half : 0;
	m->nr = 2;
}

static void model_free(struct model *m)
{
	free(m->p);
	free(m->rank);
}

/* ---- the file against the model ---- */

static unsigned int compare_loads(const struct core *c, const struct model *m)
{
	unsigned int bad = c->nr != m->nr + 1;
	uint64_t i, mask = c->word == 8 ? UINT64_MAX : UINT32_MAX;

	for (i = 0; i < m->nr && !bad; i++) {
		const struct phdr *got = &c->p[i + 1], *want = &m->p[i];

		bad = got->type != 1 || got->flags != want->flags || got->off != want->off ||
		      got->paddr != want->paddr || got->filesz != want->filesz ||
		      got->memsz != want->filesz || got->align ||
		      got->vaddr != (want->vaddr & mask);
		if (bad)
			printf("# PT_LOAD %" PRIu64 ": offset 0x%" PRIx64 ", 0x%" PRIx64
			       " at 0x%" PRIx64 "/0x%" PRIx64 "; expected 0x%" PRIx64 ", 0x%" PRIx64
			       " at 0x%" PRIx64 "/0x%" PRIx64 "\n",
			       i, got->off, got->filesz, got->vaddr, got->paddr, want->off,
			       want->filesz, want->vaddr, want->paddr);
	}
	return bad;
}

static unsigned int compare_data(const struct core *c, const struct model *m, uint64_t data)
{
	static uint8_t page[MAX_PAGE];
	uint64_t pfn, size = m->f->plan.page_size;
	unsigned int bad = c->len != data + m->rank[m->f->nr_pages] * size;

	for (pfn = 0; pfn < m->f->nr_pages && !bad; pfn++) {
		if (!is_kept(m->f, pfn))
			continue;
		fake_fill(m->f, pfn, page);
		bad = memcmp(c->raw + data + m->rank[pfn] * size, page, size) != 0;
	}
	return bad;
}

/* The only PT_NOTE is the first header; what is in it lies before all memory. */
static bool notes_right(const struct core *c, const struct fake *f)
{
	const struct plan *plan = &f->plan;
	const struct phdr *n = &c->p[0];
	const uint8_t *at = c->raw + n->off;

	return c->nr && n->type == 4 && n->off % 4 == 0 && n->filesz == n->memsz &&
	       n->off + n->filesz <= c->len && n->filesz >= plan->notes_len + plan->tool_note_len &&
	       (!plan->notes_len || !memcmp(at, plan->notes, plan->notes_len)) &&
	       (!plan->tool_note_len ||
		!memcmp(at + plan->notes_len, plan->tool_note, plan->tool_note_len));
}

static uint64_t data_of(const struct core *c, const struct fake *f)
{
	return ALIGN_UP(c->p[0].off + c->p[0].filesz, (uint64_t)f->plan.page_size);
}

static bool core_right(const struct core *c, const struct fake *f)
{
	uint64_t data;
	struct model m;
	unsigned int bad;

	if (!notes_right(c, f))
		return false;
	data = data_of(c, f);
	model_build(&m, f, data);
	bad = compare_loads(c, &m) || compare_data(c, &m, data);
	model_free(&m);
	return !bad && c->machine == f->dump.id.e_machine && c->order == f->dump.id.order;
}

/* ---- the reader ---- */

static const struct arch *const no_archs[] = { NULL };

static struct dump *reopen(uint32_t page_size, struct log *log)
{
	struct bind_force force = { .page_size = page_size };
	struct err e = ERR_INIT;
	struct source *s;
	struct dump *d;

	if (source_open(path, 0, &s, &e) || dump_open(&s, 1, formats, log, &d, &e) ||
	    dump_bind(d, no_archs, &force, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return d;
}

/* Is every page what it was, and none there that was left out? */
static bool reads_back(const struct fake *f, enum page_state left_out)
{
	static uint8_t want[MAX_PAGE], got[MAX_PAGE];
	struct dump *d = reopen(f->plan.page_size, NULL);
	unsigned int bad = d->incomplete || d->damage.missing_bytes || d->damage.bad_structures;
	struct reader r;
	uint64_t pfn;

	reader_init(&r, d);
	for (pfn = 0; pfn < f->nr_pages && !bad; pfn++) {
		enum page_state is = dump_page_state(d, SPACE_PHYS, pfn);

		if (!is_kept(f, pfn)) {
			bad = is != (f->state[pfn] == PAGE_ABSENT ? PAGE_ABSENT : left_out);
			continue;
		}
		fake_fill(f, pfn, want);
		bad = is != PAGE_DATA ||
		      reader_page(&r, SPACE_PHYS, pfn, got, &(struct err)ERR_INIT) ||
		      memcmp(got, want, f->plan.page_size) != 0;
	}
	reader_fini(&r);
	dump_close(d);
	return !bad;
}

#endif
