/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts by the kernel's own BTF, which is found in the dump. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btf.h"
#include "budget.h"
#include "bytes.h"
#include "cleanup.h"

#define MAX_BTF ((uint64_t)64 << 20)
#define HEADER_LEN 24

struct provider {
	struct kmem_provider head;
	struct btf *types;
};

/* ---- finding it ---- */

/*
 * Could the header at VADDR be the kernel's? Types, then strings, whose first is empty: as pahole
 * writes it. Sets the length of all of it.
 */
static bool is_header(const struct kmem *m, uint64_t vaddr, void *priv)
{
	enum byte_order order = m->reader->dump->id.order;
	struct err ignored = ERR_INIT;
	uint64_t *len = priv, strings, size;
	uint8_t h[HEADER_LEN], first;

	if (kmem_read(m, vaddr, h, sizeof(h), &ignored))
		return false;
	strings = load_u32(h + 16, order);
	size = load_u32(h + 20, order);
	*len = HEADER_LEN + strings + size;
	return !load_u32(h + 8, order) && load_u32(h + 12, order) <= strings && size > 4096 &&
	       *len <= MAX_BTF &&
	       !kmem_read(m, vaddr + HEADER_LEN + strings, &first, 1, &ignored) && !first;
}

static bool search(const struct kmem *m, uint64_t *start, uint64_t *len)
{
	uint8_t head[8] = { 0 };
	struct bytes_out o = { .data = head,
			       .size = sizeof(head),
			       .order = m->reader->dump->id.order };

	out_uint(&o, 0xeb9f, 2); /* magic, version, flags, length of the header */
	out_uint(&o, 1, 1);
	out_uint(&o, 0, 1);
	out_uint(&o, HEADER_LEN, 4);
	return kmem_search(m, head, sizeof(head), 4, is_header, len, start);
}

static int locate(const struct kmem *m, uint64_t *start, uint64_t *len, struct err *e)
{
	uint64_t stop;

	if (kernel_fact(m->kernel, FACT_SYMBOL, "__start_BTF", start) &&
	    kernel_fact(m->kernel, FACT_SYMBOL, "__stop_BTF", &stop)) {
		*len = stop - *start;
		if (*len < HEADER_LEN || *len > MAX_BTF)
			return err_set(e, ERR_CORRUPT, "BTF: 0x%" PRIx64 " bytes of it", *len);
		return 0;
	}
	if (search(m, start, len))
		return 0;
	return err_set(e, ERR_MISSING,
		       "the kernel has no BTF in this dump (built without "
		       "CONFIG_DEBUG_INFO_BTF, or the pages are not there)");
}

static int load(struct provider *p, struct err *e)
{
	const struct dump *d = p->head.mem.reader->dump;
	uint64_t start, len;
	uint8_t *data;

	if (locate(&p->head.mem, &start, &len, e))
		return -1;
	/* With the index of its types: some 8 bytes for each 40. */
	if (len + len / 2 > budget_available())
		return err_set(e, ERR_NOMEM, "BTF: %" PRIu64 " MiB of memory would be needed",
			       ((len + len / 2) >> 20) + 1);
	data = malloc((size_t)len);
	if (!data)
		return err_set(e, ERR_NOMEM, "BTF: no memory for its %" PRIu64 " bytes", len);
	if (!kmem_read(&p->head.mem, start, data, (size_t)len, e) &&
	    !btf_parse(data, (size_t)len, NULL, d->id.order, d->id.word, &p->types, e))
		return 0;
	free(data);
	return err_add(e, "BTF at 0x%" PRIx64, start);
}

static const struct btf *provide(struct provider *p)
{
	uint32_t bad;

	if (p->head.tried)
		return p->types;
	p->head.tried = true; /* first: to look for it asks for facts */
	if (load(p, &p->head.why))
		return NULL;
	bad = btf_damaged(p->types);
	if (bad)
		kmem_provider_damaged(&p->head, "types", bad, btf_count(p->types));
	return p->types;
}

/* ---- facts ---- */

static uint32_t find_type(const struct btf *b, const char *name)
{
	static const enum btf_kind kinds[] = { BTF_STRUCT, BTF_UNION, BTF_TYPEDEF, BTF_ENUM,
					       BTF_INT };
	uint32_t id = 0;
	size_t i;

	for (i = 0; !id && i < ARRAY_SIZE(kinds); i++)
		id = btf_find(b, kinds[i], name);
	return id;
}

/* STRUCTURE.MEMBER, or .MEMBER.MEMBER; false for part of a byte. */
static bool find_member(const struct btf *b, const char *name, struct btf_member *ret)
{
	const char *dot = strchr(name, '.');
	char type[128];

	if (!dot || (size_t)(dot - name) >= sizeof(type))
		return false;
	memcpy(type, name, (size_t)(dot - name));
	type[dot - name] = '\0';
	return btf_path(b, find_type(b, type), dot + 1, ret) && !ret->bits && ret->bit_off % 8 == 0;
}

static bool find_enumerator(const struct btf *b, const char *name, uint64_t *ret)
{
	uint32_t id, i;
	const char *one;

	for (id = 1; id < btf_count(b); id++)
		for (i = 0; btf_value(b, id, i, &one, ret); i++)
			if (!strcmp(one, name))
				return true;
	return false;
}

/* Elements of an array: a member, or a variable that BTF knows. */
static bool find_length(const struct btf *b, const char *name, uint64_t *ret)
{
	uint32_t id = btf_find(b, BTF_VAR, name), len, type;
	struct btf_member m;

	if (find_member(b, name, &m))
		id = m.type;
	if (!btf_array(b, btf_resolve(b, id), &len, &type))
		return false;
	*ret = len;
	return true;
}

static bool provider_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			  uint64_t *ret)
{
	struct provider *p = (struct provider *)base;
	const struct btf *b = kind == FACT_SYMBOL ? NULL : provide(p);
	struct btf_member m;
	uint64_t enumerator;

	if (!b)
		return false;
	switch (kind) {
	case FACT_SIZE:
		return btf_size(b, find_type(b, name), ret);
	case FACT_OFFSET:
		if (!find_member(b, name, &m))
			return false;
		*ret = m.bit_off / 8;
		return true;
	case FACT_WIDTH:
		return find_member(b, name, &m) && btf_size(b, m.type, ret);
	case FACT_LENGTH:
		return find_length(b, name, ret);
	default:
		if (!find_enumerator(b, name, &enumerator))
			return false;
		*ret = enumerator;
		return true;
	}
}

static void provider_close(struct fact_provider *base)
{
	struct provider *p = (struct provider *)base;

	btf_free(p->types);
	kmem_provider_free(base);
}

struct fact_provider *btf_provider(struct dump *d, const struct xlat *x, const struct kernel *k)
{
	return kmem_provider_new(sizeof(struct provider), "BTF", provider_fact, provider_close, d,
				 x, k);
}

const struct btf *kernel_btf(const struct kernel *k, struct err *e)
{
	struct provider *p = kmem_provider_in(k, provider_fact);

	if (!p) {
		err_set(e, ERR_MISSING, "nobody looked for the kernel's BTF");
		return NULL;
	}
	if (!provide(p))
		*e = p->head.why;
	return p->types;
}
