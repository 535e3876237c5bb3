/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of exported symbols without anybody to tell where they are: in the kernel image, an
 * entry refers to the name "init_task". An entry is, in this order,
 *
 *   value, name [, namespace (5.4, commit 8651ec01daed)]
 *
 * as pointers, or (4.19, commit 7290d5809571, CONFIG_HAVE_ARCH_PREL32_RELOCATIONS) as signed
 * 32-bit distances from the place where each stands. The names lie behind the tables
 * (include/asm-generic/vmlinux.lds.h). Which of the four forms it is, the neighbours decide.
 */
#include "ksymtab.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

/* The names are at most that far from an entry: 65536 entries of 24 bytes, and as many CRCs. */
#define MAX_DISTANCE ((uint64_t)2 << 20)
#define MAX_EXPORTS 65536u
#define MAX_NAME 512 /* KSYM_NAME_LEN */
#define MAX_TRIES 64 /* of places that hold the anchor's name */
#define PIECE 4096
#define WITNESSES 16	     /* neighbours that make a table */
#define MAX_READS (1u << 20) /* of entries, whatever an image looks like */

struct export
{
	uint64_t value, name; /* addresses */
	uint32_t hash;
};

struct form {
	bool relative;
	uint8_t parts;
};

static const struct form forms[] = { { true, 3 }, { true, 2 }, { false, 3 }, { false, 2 } };

struct provider {
	struct kmem_provider head;
	struct export *table;
	size_t nr;
	/* while it is looked for */
	unsigned int tries, reads;
	const struct form *form;
};

static uint32_t word_of(const struct provider *p)
{
	return p->head.mem.reader->dump->id.word == 4 ? 4 : 8;
}

static uint64_t part_size(const struct provider *p, const struct form *f)
{
	return f->relative ? 4 : word_of(p);
}

static uint64_t cut(const struct provider *p, uint64_t v)
{
	return word_of(p) == 4 ? (uint32_t)v : v;
}

/* What the part at RAW, which stands at VADDR, refers to. */
static uint64_t referred(const struct provider *p, const struct form *f, const uint8_t *raw,
			 uint64_t vaddr)
{
	enum byte_order order = p->head.mem.reader->dump->id.order;

	if (f->relative)
		return cut(p, vaddr + (uint64_t)(int64_t)(int32_t)load_u32(raw, order));
	return load_uint(raw, word_of(p), order);
}

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

/* Names of the languages of a kernel. */
static bool is_name(const char *s)
{
	return *s &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$") ==
		       strlen(s);
}

/* The entry at VADDR; false when it is none. */
static bool read_entry(struct provider *p, const struct form *f, uint64_t vaddr, struct export *ret)
{
	uint64_t size = part_size(p, f);
	struct err ignored = ERR_INIT;
	char name[MAX_NAME];
	uint8_t raw[16];

	if (p->reads++ >= MAX_READS || kmem_read(&p->head.mem, vaddr, raw, 2 * size, &ignored))
		return false;
	ret->value = referred(p, f, raw, vaddr);
	ret->name = referred(p, f, raw + size, vaddr + size);
	if (ret->name - vaddr + MAX_DISTANCE > 2 * MAX_DISTANCE ||
	    kmem_string(&p->head.mem, ret->name, name, sizeof(name), &ignored) || !is_name(name))
		return false;
	ret->hash = hash_name(name);
	return true;
}

/* ---- finding them ---- */

/*
 * The neighbour of the entry at AT. Tables follow each other, each aligned to a word: there may be
 * a gap of one part.
 */
static bool step(struct provider *p, const struct form *f, bool up, uint64_t *at,
		 struct export *ret)
{
	uint64_t stride = f->parts * part_size(p, f), gap;

	for (gap = 0; gap <= 4; gap += 4) {
		uint64_t next = up ? *at + stride + gap : *at - stride - gap;

		if (read_entry(p, f, next, ret)) {
			*at = next;
			return true;
		}
	}
	return false;
}

/* Is a table around the entry at VADDR? */
static bool has_neighbours(struct provider *p, const struct form *f, uint64_t vaddr)
{
	unsigned int n = 0, side;
	struct export x;

	for (side = 0; side < 2; side++) {
		uint64_t at = vaddr;
		unsigned int i;

		for (i = 0; i < WITNESSES && step(p, f, side, &at, &x); i++)
			n++;
	}
	return n >= WITNESSES;
}

/* The entry whose name is at NAME among LEN bytes at RAW, which are those at VADDR. */
static bool find_entry_in(struct provider *p, const uint8_t *raw, uint64_t vaddr, size_t len,
			  uint64_t name, uint64_t *ret)
{
	struct export x;
	size_t off, i;

	for (off = 0; off + word_of(p) <= len; off += 4)
		for (i = 0; i < ARRAY_SIZE(forms); i++) {
			const struct form *f = &forms[i];
			uint64_t at = vaddr + off - part_size(p, f);

			if (referred(p, f, raw + off, vaddr + off) == name &&
			    read_entry(p, f, at, &x) && has_neighbours(p, f, at)) {
				p->form = f;
				*ret = at;
				return true;
			}
		}
	return false;
}

/* The name may be that of an exported symbol: nearest first, which entry refers to it? */
static bool find_entry(struct provider *p, uint64_t name, uint64_t *ret)
{
	struct err ignored = ERR_INIT;
	uint8_t raw[PIECE];
	uint64_t d;

	for (d = 0; d < MAX_DISTANCE; d += PIECE) {
		uint64_t at = (name & -(uint64_t)PIECE) - d;

		if (!kmem_read(&p->head.mem, at, raw, sizeof(raw), &ignored) &&
		    find_entry_in(p, raw, at, sizeof(raw), name, ret))
			return true;
	}
	return false;
}

static int add(struct provider *p, const struct export *x, size_t *room)
{
	if (p->nr == *room) {
		size_t more = *room ? 2 * *room : 4096;
		struct export *t =
			more <= MAX_EXPORTS ? realloc(p->table, more * sizeof(*t)) : NULL;

		if (!t)
			return -1;
		p->table = t;
		*room = more;
	}
	p->table[p->nr++] = *x;
	return 0;
}

static void load(struct provider *p, uint64_t anchor)
{
	struct export x;
	size_t room = 0;
	unsigned int side;

	if (!read_entry(p, p->form, anchor, &x) || add(p, &x, &room))
		return;
	for (side = 0; side < 2; side++) {
		uint64_t at = anchor;

		while (step(p, p->form, side, &at, &x))
			if (add(p, &x, &room))
				return;
	}
}

static bool is_anchor(const struct kmem *m, uint64_t vaddr, void *priv)
{
	struct provider *p = priv;
	uint64_t entry;

	(void)m;
	if (p->tries++ >= MAX_TRIES || !find_entry(p, vaddr, &entry))
		return false;
	load(p, entry);
	return true;
}

static bool provide(struct provider *p)
{
	static const char *const anchors[] = { "init_task", "jiffies" };
	uint64_t at;
	size_t i;

	if (p->head.tried)
		return p->nr;
	p->head.tried = true; /* first: to look for them asks for facts */
	for (i = 0; !p->nr && i < ARRAY_SIZE(anchors); i++) {
		p->tries = 0;
		(void)kmem_search(&p->head.mem, anchors[i], strlen(anchors[i]) + 1, 1, is_anchor, p,
				  &at);
	}
	return p->nr;
}

/* ---- the provider ---- */

static bool provider_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			  uint64_t *ret)
{
	struct provider *p = (struct provider *)base;
	struct err ignored = ERR_INIT;
	uint32_t hash = hash_name(name);
	char text[MAX_NAME];
	size_t i;

	if (kind != FACT_SYMBOL || !provide(p))
		return false;
	for (i = 0; i < p->nr; i++)
		if (p->table[i].hash == hash &&
		    !kmem_string(&p->head.mem, p->table[i].name, text, sizeof(text), &ignored) &&
		    !strcmp(text, name)) {
			*ret = p->table[i].value;
			return true;
		}
	return false;
}

static void provider_close(struct fact_provider *base)
{
	struct provider *p = (struct provider *)base;

	free(p->table);
	kmem_provider_free(base);
}

struct fact_provider *ksymtab_provider(struct dump *d, const struct xlat *x, const struct kernel *k)
{
	return kmem_provider_new(sizeof(struct provider), "exported symbols", provider_fact, provider_close, d, x, k);
}
