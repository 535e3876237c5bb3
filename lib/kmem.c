/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kmem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "log.h"

/* No structure of a kernel is larger; what says so lies. */
#define MAX_OFFSET (1u << 20)
#define MAX_CPUS 8192 /* NR_CPUS of any architecture */

static uint32_t word_of(const struct kmem *m)
{
	return m->reader->dump->id.word == 4 ? 4 : 8;
}

bool kmem_member(const struct kmem *m, const char *name, uint32_t width, struct member *ret)
{
	uint64_t off, size = width ? width : word_of(m);

	if (!kernel_fact(m->kernel, FACT_OFFSET, name, &off) || off > MAX_OFFSET)
		return false;
	(void)kernel_fact(m->kernel, FACT_WIDTH, name, &size);
	if (!size || size > MAX_OFFSET)
		return false;
	*ret = (struct member){ .off = off, .size = (uint32_t)size };
	return true;
}

int kmem_members(const struct kmem *m, const struct member_need *needs, size_t nr, void *ret,
		 struct err *e)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		struct member *to = (struct member *)((char *)ret + needs[i].at);

		*to = (struct member){ .size = 0 };
		if (!kmem_member(m, needs[i].name, needs[i].width, to) && !needs[i].optional)
			return err_set(e, ERR_MISSING, "OFFSET(%s) is not known", needs[i].name);
	}
	return 0;
}

int kmem_read(const struct kmem *m, uint64_t vaddr, void *buf, size_t len, struct err *e)
{
	return xlat_read(m->xlat, m->reader, vaddr, buf, len, e);
}

int kmem_uint(const struct kmem *m, uint64_t vaddr, unsigned int size, uint64_t *ret, struct err *e)
{
	return xlat_read_uint(m->xlat, m->reader, vaddr, size, ret, e);
}

int kmem_word(const struct kmem *m, uint64_t vaddr, uint64_t *ret, struct err *e)
{
	return kmem_uint(m, vaddr, word_of(m), ret, e);
}

int kmem_get(const struct kmem *m, uint64_t vaddr, const struct member *member, uint64_t *ret,
	     struct err *e)
{
	if (!member->size || member->size > 8 || member->size & (member->size - 1))
		return err_set(e, ERR_MISSING, "a member of %" PRIu32 " bytes is no number",
			       member->size);
	return kmem_uint(m, vaddr + member->off, member->size, ret, e);
}

/* Piece by piece: what follows the text may not be there. */
int kmem_string(const struct kmem *m, uint64_t vaddr, char *buf, size_t size, struct err *e)
{
	size_t done = 0;

	while (done < size - 1) {
		size_t n = MIN(size - 1 - done, 64 - (size_t)((vaddr + done) % 64));

		if (kmem_read(m, vaddr + done, buf + done, n, e))
			return -1;
		if (memchr(buf + done, '\0', n))
			return 0;
		done += n;
	}
	buf[done] = '\0';
	return 0;
}

/* ---- CPUs ---- */

/* Where the array of per-CPU offsets is, when the kernel has one. */
static bool percpu_offsets(const struct kmem *m, uint64_t *ret)
{
	return kernel_fact(m->kernel, FACT_SYMBOL, "__per_cpu_offset", ret);
}

/* Bit CPU of __cpu_possible_mask, which before 4.5 was cpu_possible_bits; true when not known. */
static bool is_possible(const struct kmem *m, int cpu)
{
	struct err ignored = ERR_INIT;
	uint32_t bits = 8 * word_of(m);
	uint64_t mask, word;

	if (!kernel_fact(m->kernel, FACT_SYMBOL, "__cpu_possible_mask", &mask) &&
	    !kernel_fact(m->kernel, FACT_SYMBOL, "cpu_possible_bits", &mask))
		return true;
	return !kmem_word(m, mask + (uint32_t)cpu / bits * (bits / 8), &word, &ignored) &&
	       word >> ((uint32_t)cpu % bits) & 1;
}

static int nr_cpus(const struct kmem *m)
{
	struct err ignored = ERR_INIT;
	uint64_t at, n = 1;

	if (!percpu_offsets(m, &at))
		return 1;
	if (kernel_fact(m->kernel, FACT_SYMBOL, "nr_cpu_ids", &at))
		(void)kmem_uint(m, at, 4, &n, &ignored);
	return (int)MIN(n, (uint64_t)MAX_CPUS);
}

bool kmem_next_cpu(const struct kmem *m, int *cpu)
{
	int nr = nr_cpus(m);

	while (++*cpu < nr)
		if (nr == 1 || is_possible(m, *cpu))
			return true;
	return false;
}

int kmem_percpu_offset(const struct kmem *m, int cpu, uint64_t *ret, struct err *e)
{
	uint64_t offsets;

	*ret = 0;
	if (percpu_offsets(m, &offsets) &&
	    kmem_word(m, offsets + (uint64_t)cpu * word_of(m), ret, e))
		return err_add(e, "per-CPU offset of CPU %d", cpu);
	return 0;
}

int kmem_percpu(const struct kmem *m, const char *name, int cpu, uint64_t *ret, struct err *e)
{
	uint64_t at, off;

	if (kernel_need(m->kernel, FACT_SYMBOL, name, &at, e) ||
	    kmem_percpu_offset(m, cpu, &off, e))
		return -1;
	*ret = at + off;
	if (word_of(m) == 4)
		*ret = (uint32_t)*ret;
	return 0;
}

/* ---- looking through the image ---- */

bool kmem_image(const struct kmem *m, uint64_t *start, uint64_t *end)
{
	const struct arch *arch = m->reader->dump->arch;

	if (!arch)
		return false;
	if (arch->image_range)
		return arch->image_range(m->xlat, m->kernel, start, end);
	if (!arch->image_max || !kernel_fact(m->kernel, FACT_SYMBOL, "_stext", start))
		return false;
	*start &= -arch->image_align;
	*end = *start + MIN(arch->image_max, UINT64_MAX - *start);
	return true;
}

#define PIECE 4096 /* no page is smaller */
#define IMAGE_STEPS (4u << 20)

struct image_walk {
	const struct kmem *m;
	kmem_piece_fn fn;
	void *priv;
	uint8_t buf[PIECE];
};

static int walk_mapping(void *priv, const struct mapping *map)
{
	struct image_walk *w = priv;
	struct err ignored = ERR_INIT;
	uint64_t off;
	int stop;

	for (off = 0; off < map->len; off += PIECE) {
		size_t n = (size_t)MIN(map->len - off, (uint64_t)PIECE);

		if (reader_read(w->m->reader, SPACE_PHYS, map->paddr + off, w->buf, n, &ignored))
			continue;
		stop = w->fn(w->priv, map->vaddr + off, w->buf, n);
		if (stop)
			return stop;
	}
	return 0;
}

int kmem_image_each(const struct kmem *m, kmem_piece_fn fn, void *priv)
{
	struct image_walk w = { .m = m, .fn = fn, .priv = priv };
	struct xlat_visitor v = { .mapping = walk_mapping, .priv = &w };
	uint64_t start, end;

	if (!kmem_image(m, &start, &end))
		return 0;
	return xlat_walk(m->xlat, m->reader, start, end - 1, IMAGE_STEPS, &v);
}

#define MAX_PATTERN 64
#define MAX_HITS 256 /* a kernel has a few; an image that is full of them lies */

struct search {
	const struct kmem *m;
	const void *pattern;
	size_t len;
	uint64_t align;
	kmem_verify_fn verify;
	void *priv;
	uint64_t found;
	unsigned int hits; /* places that were looked at closely */
	/* the end of what was looked at last, for what lies across */
	uint64_t tail_end;
	size_t tail;
	uint8_t buf[MAX_PATTERN + PIECE];
};

/* Look at N bytes in the buffer, which are those at VADDR. */
static int search_buffer(struct search *s, uint64_t vaddr, size_t n)
{
	const uint8_t *p = s->buf, *end = s->buf + n;

	while ((p = memmem(p, (size_t)(end - p), s->pattern, s->len))) {
		uint64_t at = vaddr + (uint64_t)(p - s->buf);

		p++;
		if (at & (s->align - 1))
			continue;
		if (s->verify(s->m, at, s->priv)) {
			s->found = at;
			return 1;
		}
		if (++s->hits == MAX_HITS)
			return -1;
	}
	return 0;
}

static int search_piece(void *priv, uint64_t vaddr, const uint8_t *data, size_t len)
{
	struct search *s = priv;
	size_t n;
	int stop;

	if (s->tail_end != vaddr)
		s->tail = 0;
	n = s->tail + len;
	memcpy(s->buf + s->tail, data, len);
	stop = search_buffer(s, vaddr - s->tail, n);
	if (stop)
		return stop;
	s->tail = MIN(n, s->len - 1);
	memmove(s->buf, s->buf + n - s->tail, s->tail);
	s->tail_end = vaddr + len;
	return 0;
}

bool kmem_search(const struct kmem *m, const void *pattern, size_t len, uint64_t align,
		 kmem_verify_fn verify, void *priv, uint64_t *ret)
{
	struct search s = { .m = m,
			    .pattern = pattern,
			    .len = len,
			    .align = align,
			    .verify = verify,
			    .priv = priv };

	if (!len || len > MAX_PATTERN || kmem_image_each(m, search_piece, &s) != 1)
		return false;
	*ret = s.found;
	return true;
}

/* ---- providers ---- */

void *kmem_provider_new(size_t size, const char *name, kmem_fact_fn fact,
			void (*close)(struct fact_provider *p), struct dump *d,
			const struct xlat *x, const struct kernel *k)
{
	struct kmem_provider *p = calloc(1, size);

	if (!p)
		return NULL;
	p->base = (struct fact_provider){ .name = name,
					  .fact = fact,
					  .close = close ? close : kmem_provider_free };
	reader_init(&p->reader, d);
	p->mem = (struct kmem){ .kernel = k, .xlat = x, .reader = &p->reader };
	return p;
}

void kmem_provider_free(struct fact_provider *base)
{
	struct kmem_provider *p = (struct kmem_provider *)base;

	reader_fini(&p->reader);
	free(p);
}

void kmem_provider_damaged(struct kmem_provider *p, const char *kinds, uint64_t nr, uint64_t all)
{
	err_set(&p->why, ERR_CORRUPT,
		"%s: %" PRIu64 " of %" PRIu64
		" %s are damaged: what is taken from them may be missing, or wrong",
		p->base.name, nr, all, kinds);
	p->base.damage = p->why.text;
	log_warn(p->reader.dump->log, "%s", p->why.text);
}

void *kmem_provider_in(const struct kernel *k, kmem_fact_fn fact)
{
	unsigned int i;

	for (i = 0; i < k->nr_providers; i++)
		if (k->providers[i]->fact == fact)
			return k->providers[i];
	return NULL;
}
