/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

#define HEADER_LEN 24
#define MAGIC 0xeb9f
#define MAX_TYPES (1u << 22)
#define BUCKETS 16384u
#define MAX_MEMBERS 65536u /* of one structure, those in unnamed ones included */
#define MAX_DEPTH 32 /* of typedefs, of members inside members */

struct btf {
	const struct btf *base;
	uint8_t *data;
	const uint8_t *types;
	const char *strings;
	size_t types_len, strings_len;
	uint32_t *places; /* offset in types of each type of our own */
	uint32_t *chain;  /* and the next one whose name has the same hash */
	uint32_t bucket[BUCKETS];
	uint32_t first; /* number of the first one of these; before are the base's */
	uint32_t nr;	/* one past the last */
	uint32_t first_string;
	enum byte_order order;
	uint8_t word;
};

void btf_free(struct btf *b)
{
	if (!b)
		return;
	free(b->data);
	free(b->places);
	free(b->chain);
	free(b);
}

/* ---- parsing ---- */

/* Bytes that follow the 12 of a type: for each of its VLEN elements, and fixed ones. */
static const struct {
	uint8_t each, fixed;
} tail[BTF_NR_KINDS] = {
	[BTF_INT] = { 0, 4 },	  [BTF_ARRAY] = { 0, 12 },   [BTF_STRUCT] = { 12, 0 },
	[BTF_UNION] = { 12, 0 },  [BTF_ENUM] = { 8, 0 },     [BTF_FUNC_PROTO] = { 8, 0 },
	[BTF_VAR] = { 0, 4 },	  [BTF_DATASEC] = { 12, 0 }, [BTF_DECL_TAG] = { 0, 4 },
	[BTF_ENUM64] = { 12, 0 },
};

/* struct btf_type: name_off, info (vlen 0-15, kind 24-28, flag 31), size or type. */
struct type {
	const uint8_t *at; /* of what follows */
	uint32_t name, vlen, value;
	enum btf_kind kind;
	bool flag;
};

static bool type_at(const struct btf *b, uint32_t id, struct type *ret)
{
	const uint8_t *p;
	uint32_t info;

	while (id < b->first && b->base)
		b = b->base;
	if (!id || id < b->first || id >= b->nr) {
		*ret = (struct type){ .vlen = 0 };
		return false;
	}
	p = b->types + b->places[id - b->first];
	info = load_u32(p + 4, b->order);
	*ret = (struct type){ .at = p + 12,
			      .name = load_u32(p, b->order),
			      .vlen = info & 0xffff,
			      .kind = info >> 24 & 0x1f,
			      .flag = info >> 31,
			      .value = load_u32(p + 8, b->order) };
	return true;
}

static int index_types(struct btf *b, struct err *e)
{
	size_t pos = 0, room = 0;

	while (pos + 12 <= b->types_len) {
		uint32_t info = load_u32(b->types + pos + 4, b->order);
		unsigned int kind = info >> 24 & 0x1f;

		if (!kind || kind >= BTF_NR_KINDS || b->nr >= MAX_TYPES)
			return err_set(e, ERR_CORRUPT, "BTF: type %" PRIu32 " is of kind %u", b->nr,
				       kind);
		if (b->nr - b->first == room) {
			uint32_t *more = realloc(b->places, (room + 65536) * sizeof(*more));

			if (!more)
				return err_set(e, ERR_NOMEM, "BTF: out of memory");
			b->places = more;
			room += 65536;
		}
		b->places[b->nr++ - b->first] = (uint32_t)pos;
		pos += 12 + tail[kind].fixed + (size_t)(info & 0xffff) * tail[kind].each;
	}
	if (pos != b->types_len)
		return err_set(e, ERR_CORRUPT, "BTF: the last type ends %zu bytes beyond the types",
			       pos - b->types_len);
	return 0;
}

static const char *string_at(const struct btf *b, uint32_t off)
{
	while (off < b->first_string)
		b = b->base;
	off -= b->first_string;
	return off < b->strings_len ? b->strings + off : "";
}

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h % BUCKETS;
}

/* From the last to the first, so that the first of a name is met first. */
static int index_names(struct btf *b, struct err *e)
{
	uint32_t id;

	b->chain = calloc(b->nr - b->first + 1, sizeof(*b->chain));
	if (!b->chain)
		return err_set(e, ERR_NOMEM, "BTF: out of memory");
	for (id = b->nr; id > b->first; id--) {
		const uint8_t *p = b->types + b->places[id - 1 - b->first];
		uint32_t *head = &b->bucket[hash_name(string_at(b, load_u32(p, b->order)))];

		b->chain[id - 1 - b->first] = *head;
		*head = id - 1;
	}
	return 0;
}

/* The two sections that the header tells: offsets from its own end. */
static int find_sections(struct btf *b, size_t len, struct err *e)
{
	const uint8_t *h = b->data;
	uint32_t head, types_off, types_len, strings_off, strings_len;
	size_t rest;

	if (len < HEADER_LEN || load_u16(h, b->order) != MAGIC || h[2] != 1)
		return err_set(e, ERR_CORRUPT, "BTF: no header of version 1");
	head = load_u32(h + 4, b->order);
	types_off = load_u32(h + 8, b->order);
	types_len = load_u32(h + 12, b->order);
	strings_off = load_u32(h + 16, b->order);
	strings_len = load_u32(h + 20, b->order);
	if (head < HEADER_LEN || head > len)
		return err_set(e, ERR_CORRUPT, "BTF: a header of %" PRIu32 " bytes", head);
	rest = len - head;
	if (types_off > rest || types_len > rest - types_off || strings_off > rest ||
	    strings_len > rest - strings_off || !strings_len)
		return err_set(e, ERR_CORRUPT, "BTF: its sections are larger than its %zu bytes",
			       len);
	b->types = h + head + types_off;
	b->types_len = types_len;
	b->strings = (const char *)h + head + strings_off;
	b->strings_len = strings_len;
	if (b->strings[strings_len - 1])
		return err_set(e, ERR_CORRUPT, "BTF: its strings do not end");
	return 0;
}

int btf_parse(void *data, size_t len, const struct btf *base, enum byte_order order, uint8_t word,
	      struct btf **ret, struct err *e)
{
	struct btf *b = calloc(1, sizeof(*b));

	if (!b)
		return err_set(e, ERR_NOMEM, "BTF: out of memory");
	*b = (struct btf){ .base = base, .data = data, .order = order, .word = word };
	b->first = b->nr = base ? base->nr : 1;
	b->first_string = base ? base->first_string + (uint32_t)base->strings_len : 0;
	if (!find_sections(b, len, e) && !index_types(b, e) && !index_names(b, e)) {
		*ret = b;
		return 0;
	}
	b->data = NULL;
	btf_free(b);
	return -1;
}

/* ---- what is damaged ---- */

/* A name: characters that compilers write ("long unsigned int"), or none. */
static bool is_text(const struct btf *b, uint32_t off)
{
	const char *s = string_at(b, off);

	if (off && off - b->first_string >= b->strings_len && off >= b->first_string)
		return false;
	while (*s >= ' ' && *s <= '~')
		s++;
	return !*s;
}

/* The words of each element that are a name and a type (0: none of it is). */
static const struct {
	uint8_t name, type;
} parts[BTF_NR_KINDS] = {
	[BTF_STRUCT] = { 1, 2 },     [BTF_UNION] = { 1, 2 },   [BTF_ENUM] = { 1, 0 },
	[BTF_FUNC_PROTO] = { 1, 2 }, [BTF_DATASEC] = { 0, 1 }, [BTF_ENUM64] = { 1, 0 },
};

static bool is_whole(const struct btf *b, uint32_t id, const struct type *t)
{
	uint32_t i, step = tail[t->kind].each;
	const uint8_t *p = t->at;

	if (!is_text(b, t->name) || btf_target(b, id) >= b->nr)
		return false;
	if (t->kind == BTF_ARRAY && load_u32(p, b->order) >= b->nr)
		return false;
	for (i = 0; i < t->vlen && step; i++, p += step) {
		unsigned int name = parts[t->kind].name, type = parts[t->kind].type;

		if ((name && !is_text(b, load_u32(p + 4 * (name - 1), b->order))) ||
		    (type && load_u32(p + 4 * (type - 1), b->order) >= b->nr))
			return false;
		/* offset of a member in bits; with the flag, the width of a bit field on top */
		if ((t->kind == BTF_STRUCT || t->kind == BTF_UNION) &&
		    (load_u32(p + 8, b->order) & (t->flag ? 0xffffff : UINT32_MAX)) >
			    8 * (uint64_t)t->value)
			return false;
	}
	return true;
}

uint32_t btf_damaged(const struct btf *b)
{
	uint32_t id, n = 0;
	struct type t;

	for (id = b->first; id < b->nr; id++)
		n += type_at(b, id, &t) && !is_whole(b, id, &t);
	return n;
}

/* ---- questions ---- */

uint32_t btf_count(const struct btf *b)
{
	return b->nr;
}

enum btf_kind btf_kind(const struct btf *b, uint32_t id)
{
	struct type t;

	type_at(b, id, &t);
	return t.kind;
}

const char *btf_name(const struct btf *b, uint32_t id)
{
	struct type t;

	return type_at(b, id, &t) ? string_at(b, t.name) : "";
}

uint32_t btf_find(const struct btf *b, enum btf_kind kind, const char *name)
{
	uint32_t hash = hash_name(name);

	for (; b; b = b->base) {
		uint32_t id;

		for (id = b->bucket[hash]; id; id = b->chain[id - b->first])
			if (btf_kind(b, id) == kind && !strcmp(btf_name(b, id), name))
				return id;
	}
	return 0;
}

bool btf_member(const struct btf *b, uint32_t id, uint32_t i, struct btf_member *ret)
{
	struct type t;
	uint32_t off;

	if (!type_at(b, id, &t) || (t.kind != BTF_STRUCT && t.kind != BTF_UNION) || i >= t.vlen)
		return false;
	t.at += 12 * (size_t)i;
	off = load_u32(t.at + 8, b->order);
	/* With the flag, the upper 8 bits are the width of a bit field. */
	*ret = (struct btf_member){ .name = string_at(b, load_u32(t.at, b->order)),
				    .type = load_u32(t.at + 4, b->order),
				    .bit_off = t.flag ? off & 0xffffff : off,
				    .bits = t.flag ? off >> 24 : 0 };
	return true;
}

bool btf_value(const struct btf *b, uint32_t id, uint32_t i, const char **name, uint64_t *ret)
{
	struct type t;

	if (!type_at(b, id, &t) || (t.kind != BTF_ENUM && t.kind != BTF_ENUM64) || i >= t.vlen)
		return false;
	t.at += (size_t)i * tail[t.kind].each;
	*name = string_at(b, load_u32(t.at, b->order));
	*ret = load_u32(t.at + 4, b->order);
	if (t.kind == BTF_ENUM64)
		*ret |= (uint64_t)load_u32(t.at + 8, b->order) << 32;
	else if (t.flag || (int32_t)*ret < 0) /* signed; before 6.0 the flag did not exist */
		*ret = (uint64_t)(int64_t)(int32_t)*ret;
	return true;
}

bool btf_array(const struct btf *b, uint32_t id, uint32_t *len, uint32_t *type)
{
	struct type t;

	if (!type_at(b, id, &t) || t.kind != BTF_ARRAY)
		return false;
	*type = load_u32(t.at, b->order);
	*len = load_u32(t.at + 8, b->order);
	return true;
}

uint32_t btf_target(const struct btf *b, uint32_t id)
{
	struct type t;

	type_at(b, id, &t);
	switch (t.kind) {
	case BTF_PTR:
	case BTF_TYPEDEF:
	case BTF_VOLATILE:
	case BTF_CONST:
	case BTF_RESTRICT:
	case BTF_TYPE_TAG:
	case BTF_VAR:
	case BTF_FUNC:
	case BTF_FUNC_PROTO:
	case BTF_DECL_TAG:
		return t.value;
	default:
		return 0;
	}
}

uint32_t btf_resolve(const struct btf *b, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < MAX_DEPTH; i++) {
		enum btf_kind kind = btf_kind(b, id);

		if (kind != BTF_TYPEDEF && kind != BTF_VOLATILE && kind != BTF_CONST &&
		    kind != BTF_RESTRICT && kind != BTF_TYPE_TAG && kind != BTF_VAR)
			return id;
		id = btf_target(b, id);
	}
	return 0;
}

bool btf_size(const struct btf *b, uint32_t id, uint64_t *ret)
{
	uint64_t n = 1;
	unsigned int i;

	for (i = 0; i < MAX_DEPTH; i++) {
		uint32_t len, of;
		struct type t;

		id = btf_resolve(b, id);
		if (!type_at(b, id, &t))
			return false;
		switch (t.kind) {
		case BTF_ARRAY:
			btf_array(b, id, &len, &of);
			id = of;
			if (__builtin_mul_overflow(n, (uint64_t)len, &n))
				return false;
			continue;
		case BTF_PTR:
			t.value = b->word;
			break;
		case BTF_INT:
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_ENUM:
		case BTF_ENUM64:
		case BTF_FLOAT:
			break;
		default:
			return false;
		}
		return !__builtin_mul_overflow(n, (uint64_t)t.value, ret);
	}
	return false;
}

/* A struct or union on the way down, and the member that is looked at next. */
struct level {
	uint32_t id, next, bit_off;
};

static bool is_compound(const struct btf *b, uint32_t id)
{
	return btf_kind(b, id) == BTF_STRUCT || btf_kind(b, id) == BTF_UNION;
}

/* A member of that name, LEN characters, also in unnamed members. */
static bool find_member(const struct btf *b, uint32_t id, const char *name, size_t len,
			struct btf_member *ret)
{
	struct level stack[MAX_DEPTH] = { { .id = id } };
	unsigned int depth = 1;
	size_t steps = 0;

	while (depth && steps++ < MAX_MEMBERS) {
		struct level *l = &stack[depth - 1];
		struct btf_member m;

		if (!btf_member(b, l->id, l->next++, &m)) {
			depth--;
			continue;
		}
		m.bit_off += l->bit_off;
		if (strlen(m.name) == len && len && !memcmp(m.name, name, len)) {
			*ret = m;
			return true;
		}
		m.type = btf_resolve(b, m.type);
		if (!m.name[0] && is_compound(b, m.type) && depth < MAX_DEPTH)
			stack[depth++] = (struct level){ .id = m.type, .bit_off = m.bit_off };
	}
	return false;
}

bool btf_path(const struct btf *b, uint32_t id, const char *path, struct btf_member *ret)
{
	uint32_t bit_off = 0;

	for (;;) {
		size_t len = strcspn(path, ".");

		if (!find_member(b, btf_resolve(b, id), path, len, ret))
			return false;
		bit_off += ret->bit_off;
		if (!path[len])
			break;
		path += len + 1;
		id = ret->type;
	}
	ret->bit_off = bit_off;
	return true;
}
