/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF: one byte, byte order and size of a word and whether it is split over itself; then the blob.
 * What parses is asked all that can be asked of it.
 */
#include <stdlib.h>
#include <string.h>

#include "btf.h"
#include "fuzz.h"

#define MAX_ASKED 4096u /* types, members: not all of millions that a byte may claim */

static void ask_members(const struct btf *b, uint32_t id)
{
	struct btf_member m, found;
	const char *name;
	uint64_t value;
	uint32_t i;

	for (i = 0; i < MAX_ASKED && btf_member(b, id, i, &m); i++) {
		touch(m.name, strlen(m.name) + 1);
		if (i < 2)
			(void)btf_path(b, id, m.name, &found);
	}
	for (i = 0; i < MAX_ASKED && btf_value(b, id, i, &name, &value); i++)
		touch(name, strlen(name) + 1);
}

static void ask(const struct btf *b)
{
	uint32_t id, len, of;
	uint64_t size;

	for (id = 0; id < btf_count(b) + 2 && id < MAX_ASKED; id++) {
		const char *name = btf_name(b, id);
		enum btf_kind kind = btf_kind(b, id);
		uint32_t first = btf_find(b, kind, name);

		must(kind < BTF_NR_KINDS);
		if (id && id < btf_count(b))
			must(first && btf_kind(b, first) == kind &&
			     !strcmp(btf_name(b, first), name));
		(void)btf_size(b, id, &size);
		(void)btf_array(b, id, &len, &of);
		(void)btf_target(b, id);
		must(btf_resolve(b, id) == 0 || btf_kind(b, btf_resolve(b, id)) != BTF_TYPEDEF);
		if (btf_kind(b, id) == BTF_STRUCT || btf_kind(b, id) == BTF_UNION ||
		    kind == BTF_ENUM || kind == BTF_ENUM64)
			ask_members(b, id);
	}
}

static struct btf *parse(const uint8_t *data, size_t size, const struct btf *base, unsigned int how)
{
	enum byte_order order = how & 1 ? ORDER_BE : ORDER_LE;
	struct err e = ERR_INIT;
	void *copy = malloc(size + 1);
	struct btf *b;

	if (!copy)
		return NULL;
	memcpy(copy, data, size);
	if (!btf_parse(copy, size, base, order, how & 2 ? 4 : 8, &b, &e))
		return b;
	must(e.text[0]);
	free(copy);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct btf *b, *split;

	if (!size)
		return 0;
	b = parse(data + 1, size - 1, NULL, data[0]);
	if (!b)
		return 0;
	ask(b);
	split = data[0] & 4 ? parse(data + 1, size - 1, b, data[0]) : NULL;
	if (split)
		ask(split);
	btf_free(split);
	btf_free(b);
	return 0;
}
