/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile note segment, read in both byte orders. What is found lies inside the segment; written
 * again with note_append() it reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "note.h"

/* Every byte that a note names is inside the segment, and the place of its description is told
 * right. */
static void check_inside(const struct note *n, const uint8_t *data, size_t size)
{
	const uint8_t *owner = (const uint8_t *)n->owner;

	must(owner >= data && n->owner_len <= size && owner + n->owner_len <= data + size);
	must(n->desc >= data && n->desc_len <= size && n->desc + n->desc_len <= data + size);
	must(n->desc == data + n->desc_off);
	must(n->desc_off % 4 == 0 || n->desc_off == size);
	must(!memchr(n->owner, 0, n->owner_len));
	touch(n->desc, n->desc_len);
}

static void append(const struct note *n, enum byte_order order, uint8_t **buf, size_t *len)
{
	char *owner = strndup(n->owner, n->owner_len);

	must(owner && note_append(buf, len, order, owner, n->type, n->desc, n->desc_len));
	must(note_owner_is(n, owner));
	free(owner);
}

static void check_same(struct bytes *again, const struct note *n)
{
	struct note m;

	must(note_next(again, &m));
	must(m.type == n->type && m.owner_len == n->owner_len && m.desc_len == n->desc_len);
	must(!memcmp(m.owner, n->owner, n->owner_len) && !memcmp(m.desc, n->desc, n->desc_len));
}

static void read_notes(const uint8_t *data, size_t size, enum byte_order order)
{
	struct bytes b = bytes_init(data, size, order, "notes", 0), again;
	uint8_t *copy = NULL;
	size_t copy_len = 0, before = 0;
	struct note n;

	while (note_next(&b, &n)) {
		must(b.pos >= before + 12 && b.pos <= size);
		before = b.pos;
		check_inside(&n, data, size);
		append(&n, order, &copy, &copy_len);
	}
	again = bytes_init(copy, copy_len, order, "notes", 0);
	b = bytes_init(data, size, order, "notes", 0);
	while (note_next(&b, &n))
		check_same(&again, &n);
	must(!note_next(&again, &n) && !again.overrun);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_notes(data, size, ORDER_LE);
	read_notes(data, size, ORDER_BE);
	return 0;
}
