/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A type out of DWARF as BTF of its own: who prints types knows one form. Types that it names are
 * there by name and size; those without a name, which are part of it, with their members.
 */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "dwarf_types_priv.h"

#define MAX_ITEMS 8192u /* types that one refers to */
#define MAX_ELEMENTS 65535u
#define MAX_BYTES ((size_t)8 << 20)
#define HEADER_LEN 24

struct buffer {
	uint8_t *data;
	size_t len, room;
};

struct item {
	Dwarf_Off off;
	uint32_t dim; /* of an array of several */
};

struct maker {
	struct dwarf_types *t;
	Dwarf_Off root;
	enum byte_order order;
	struct buffer types, strings;
	struct item items[MAX_ITEMS]; /* type number I + 1 is that of item I */
	uint32_t nr;
	bool failed; /* out of memory, or too large */
};

/* ---- bytes ---- */

static void put(struct maker *m, struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		size_t room = 2 * b->room + len + 4096;
		uint8_t *more = room <= MAX_BYTES ? realloc(b->data, room) : NULL;

		m->failed |= !more;
		if (!more)
			return;
		b->data = more;
		b->room = room;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void store(const struct maker *m, uint8_t *at, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = at, .size = size, .order = m->order };

	out_uint(&o, v, size);
}

static void put_word(struct maker *m, uint64_t v)
{
	uint8_t raw[4];

	store(m, raw, v, 4);
	put(m, &m->types, raw, 4);
}

/* The offset of a name; 0 for none. */
static uint32_t put_name(struct maker *m, const char *name)
{
	uint32_t at = (uint32_t)m->strings.len;

	if (!name || !*name)
		return 0;
	put(m, &m->strings, name, strlen(name) + 1);
	return at;
}

/* ---- types ---- */

/* Its number, which it gets now if it has none; 0 for void. */
static uint32_t number_of(struct maker *m, const Dwarf_Die *die, uint32_t dim)
{
	Dwarf_Off off = dwarf_dieoffset((Dwarf_Die *)die);
	uint32_t i;

	for (i = 0; i < m->nr; i++)
		if (m->items[i].off == off && m->items[i].dim == dim)
			return i + 1;
	m->failed |= m->nr == MAX_ITEMS;
	if (m->failed)
		return 0;
	m->items[m->nr++] = (struct item){ .off = off, .dim = dim };
	return m->nr;
}

static uint32_t target_of(struct maker *m, Dwarf_Die *die)
{
	Dwarf_Die type;

	return dwarf_die_type(die, &type) ? number_of(m, &type, 0) : 0;
}

/* struct btf_type; what its elements are comes later: patch_vlen(). */
static size_t put_head(struct maker *m, enum btf_kind kind, const char *name, uint64_t value)
{
	size_t at = m->types.len;

	put_word(m, put_name(m, name));
	put_word(m, (uint64_t)kind << 24);
	put_word(m, value);
	return at;
}

static void patch_vlen(struct maker *m, size_t head, enum btf_kind kind, uint32_t vlen, bool flag)
{
	if (!m->failed)
		store(m, m->types.data + head + 4,
		      (uint64_t)flag << 31 | (uint64_t)kind << 24 | vlen, 4);
}

/* Where a bit field begins, in bits from the beginning; false: it is none. */
static bool bit_field(const struct maker *m, Dwarf_Die *member, uint64_t off, uint64_t *bit_off,
		      uint64_t *bits)
{
	uint64_t size, from;
	Dwarf_Die type;

	if (!dwarf_die_number(member, DW_AT_bit_size, bits))
		return false;
	if (dwarf_die_number(member, DW_AT_data_bit_offset, bit_off))
		return true;
	/* Before DWARF 4: from the highest bit of what it is a part of. */
	if (!dwarf_die_number(member, DW_AT_bit_offset, &from) ||
	    (!dwarf_die_number(member, DW_AT_byte_size, &size) &&
	     !(dwarf_die_type(member, &type) && dwarf_die_size(&type, &size))))
		return false;
	*bit_off = 8 * off + (m->order == ORDER_BE ? from : 8 * size - from - *bits);
	return true;
}

static void put_members(struct maker *m, Dwarf_Die *die, size_t head, enum btf_kind kind)
{
	bool flag = dwarf_die_has_bits(die);
	uint32_t n = 0;
	Dwarf_Die one;

	if (dwarf_child(die, &one))
		return;
	do {
		uint64_t off = 0, bits = 0, bit_off;

		if (dwarf_tag(&one) != DW_TAG_member || !dwarf_die_offset(&one, &off))
			continue;
		bit_off = 8 * off;
		(void)bit_field(m, &one, off, &bit_off, &bits);
		put_word(m, put_name(m, dwarf_diename(&one)));
		put_word(m, target_of(m, &one));
		put_word(m, flag ? bits << 24 | (bit_off & 0xffffff) : bit_off);
		n++;
	} while (n < MAX_ELEMENTS && dwarf_die_next(&one));
	patch_vlen(m, head, kind, n, flag);
}

static void put_compound(struct maker *m, Dwarf_Die *die)
{
	enum btf_kind kind = dwarf_tag(die) == DW_TAG_union_type ? BTF_UNION : BTF_STRUCT;
	const char *name = dwarf_diename(die);
	uint64_t size = 0;
	size_t head;

	if (dwarf_hasattr(die, DW_AT_declaration)) {
		head = put_head(m, BTF_FWD, name, 0);
		patch_vlen(m, head, BTF_FWD, 0, kind == BTF_UNION);
		return;
	}
	(void)dwarf_die_size(die, &size);
	head = put_head(m, kind, name, size);
	if (!name || dwarf_dieoffset(die) == m->root)
		put_members(m, die, head, kind);
}

static void put_enum(struct maker *m, Dwarf_Die *die)
{
	uint64_t size = 4, v;
	enum btf_kind kind;
	uint32_t n = 0;
	Dwarf_Die one;
	size_t head;

	(void)dwarf_die_size(die, &size);
	kind = size > 4 ? BTF_ENUM64 : BTF_ENUM;
	head = put_head(m, kind, dwarf_diename(die), size);
	if (dwarf_dieoffset(die) != m->root || dwarf_child(die, &one))
		return;
	do {
		if (dwarf_tag(&one) != DW_TAG_enumerator || !dwarf_die_value(&one, &v))
			continue;
		put_word(m, put_name(m, dwarf_diename(&one)));
		put_word(m, v);
		if (kind == BTF_ENUM64)
			put_word(m, v >> 32);
		n++;
	} while (n < MAX_ELEMENTS && dwarf_die_next(&one));
	patch_vlen(m, head, kind, n, false);
}

/* One dimension; the next one is an array of its own. */
static void put_array(struct maker *m, Dwarf_Die *die, uint32_t dim)
{
	uint32_t nr = dwarf_die_dimensions(die);
	uint32_t of = dim + 1 < nr ? number_of(m, die, dim + 1) : target_of(m, die);
	uint64_t len = 0;

	(void)dwarf_die_length(die, dim, &len);
	put_head(m, BTF_ARRAY, NULL, 0);
	put_word(m, of);
	put_word(m, 0);
	put_word(m, MIN(len, (uint64_t)UINT32_MAX));
}

static void put_type(struct maker *m, Dwarf_Die *die, uint32_t dim)
{
	static const struct {
		int tag;
		enum btf_kind kind;
	} referring[] = {
		{ DW_TAG_typedef, BTF_TYPEDEF },	   { DW_TAG_const_type, BTF_CONST },
		{ DW_TAG_volatile_type, BTF_VOLATILE },	   { DW_TAG_restrict_type, BTF_RESTRICT },
		{ DW_TAG_atomic_type, BTF_CONST },	   { DW_TAG_pointer_type, BTF_PTR },
		{ DW_TAG_subroutine_type, BTF_FUNC_PROTO }
	};
	int tag = dwarf_tag(die);
	uint64_t size = 0;
	size_t i;

	switch (tag) {
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return put_compound(m, die);
	case DW_TAG_enumeration_type:
		return put_enum(m, die);
	case DW_TAG_array_type:
		return put_array(m, die, dim);
	case DW_TAG_base_type:
		(void)dwarf_die_size(die, &size);
		put_head(m, BTF_INT, dwarf_diename(die), size);
		return put_word(m, MIN(8 * size, (uint64_t)128));
	}
	for (i = 0; i < ARRAY_SIZE(referring); i++)
		if (referring[i].tag == tag) {
			put_head(m, referring[i].kind,
				 tag == DW_TAG_typedef ? dwarf_diename(die) : NULL,
				 target_of(m, die));
			return;
		}
	put_head(m, BTF_FWD, dwarf_diename(die), 0);
}

/* Header, types, strings. */
static uint8_t *join(struct maker *m, size_t *len)
{
	uint64_t words[] = { HEADER_LEN, 0, m->types.len, m->types.len, m->strings.len };
	uint8_t *blob;
	size_t i;

	*len = HEADER_LEN + m->types.len + m->strings.len;
	blob = m->failed ? NULL : malloc(*len);
	if (!blob)
		return NULL;
	store(m, blob, 0xeb9f, 2);
	store(m, blob + 2, 1, 1);
	store(m, blob + 3, 0, 1);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		store(m, blob + 4 + 4 * i, words[i], 4);
	memcpy(blob + HEADER_LEN, m->types.data, m->types.len);
	memcpy(blob + HEADER_LEN + m->types.len, m->strings.data, m->strings.len);
	return blob;
}

/* What a typedef stands for. */
static Dwarf_Off root_of(Dwarf_Die type)
{
	return dwarf_die_resolve(&type) ? dwarf_dieoffset(&type) : 0;
}

int dwarf_types_btf(struct dwarf_types *t, const char *name, enum byte_order order, uint8_t word,
		    struct btf **ret, struct err *e)
{
	struct maker *m = calloc(1, sizeof(*m));
	uint8_t *blob = NULL;
	int failed = -1;
	Dwarf_Die die;
	size_t len;
	uint32_t i;

	if (!m)
		return err_set(e, ERR_NOMEM, "DWARF: out of memory");
	m->t = t;
	m->order = order;
	if (!dwarf_types_find(t, name, &die)) {
		err_set(e, ERR_MISSING, "it has no type '%s'", name);
		goto out;
	}
	m->root = root_of(die);
	put(m, &m->strings, "", 1);
	number_of(m, &die, 0);
	for (i = 0; i < m->nr && !m->failed; i++)
		if (dwarf_types_die(t, m->items[i].off, &die))
			put_type(m, &die, m->items[i].dim);
		else
			put_head(m, BTF_FWD, NULL, 0);
	blob = join(m, &len);
	failed = blob ? btf_parse(blob, len, NULL, order, word, ret, e)
		      : err_set(e, ERR_CORRUPT, "type '%s' refers to too many others", name);
	if (failed)
		free(blob);
out:
	free(m->types.data);
	free(m->strings.data);
	free(m);
	return failed;
}
