/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "note.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* A header of nothing but zeros. A note without a name, or without a description, has a type. */
static bool is_padding(const struct bytes *b)
{
	return bytes_left(b) >= 12 && !load_u64(b->data + b->pos, ORDER_HOST) &&
	       !load_u32(b->data + b->pos + 8, ORDER_HOST);
}

bool note_next(struct bytes *b, struct note *ret)
{
	uint32_t namesz, descsz;

	/* Padding is no note: what a segment is filled up with, up to the next one. */
	if (is_padding(b))
		while (bytes_left(b) >= 4 && !load_u32(b->data + b->pos, ORDER_HOST))
			bytes_skip(b, 4);
	if (bytes_left(b) < 12)
		return false;
	namesz = bytes_u32(b);
	descsz = bytes_u32(b);
	ret->type = bytes_u32(b);
	ret->owner = bytes_get(b, namesz);
	bytes_align(b, 4);
	ret->desc_off = b->pos;
	ret->desc = bytes_get(b, descsz);
	bytes_align(b, 4);
	if (b->overrun)
		return false;
	ret->owner_len = strnlen(ret->owner, namesz);
	ret->desc_len = descsz;
	return true;
}

bool note_owner_is(const struct note *n, const char *owner)
{
	return n->owner_len == strlen(owner) && !memcmp(n->owner, owner, n->owner_len);
}

bool note_append(uint8_t **buf, size_t *len, enum byte_order order, const char *owner,
		 uint32_t type, const void *desc, size_t desc_len)
{
	size_t namesz = strlen(owner) + 1;
	size_t total = 12 + ALIGN_UP(namesz, 4) + ALIGN_UP(desc_len, 4);
	struct bytes_out o = { .size = *len + total, .pos = *len, .order = order };

	o.data = realloc(*buf, *len + total);
	if (!o.data)
		return false;
	*buf = o.data;
	out_uint(&o, namesz, 4);
	out_uint(&o, desc_len, 4);
	out_uint(&o, type, 4);
	out_bytes(&o, owner, namesz);
	out_zero(&o, ALIGN_UP(namesz, 4) - namesz);
	out_bytes(&o, desc, desc_len);
	out_zero(&o, o.size - o.pos);
	*len = o.size;
	return true;
}
