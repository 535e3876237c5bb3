/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"

#include <assert.h>
#include <inttypes.h>

const void *bytes_get(struct bytes *b, size_t len)
{
	const void *p = b->data + b->pos;

	if (len > bytes_left(b)) {
		b->overrun = true;
		b->pos = b->size;
		return NULL;
	}
	b->pos += len;
	return p;
}

void bytes_skip(struct bytes *b, size_t len)
{
	bytes_get(b, len);
}

void bytes_align(struct bytes *b, size_t align)
{
	size_t pad = -b->pos & (align - 1);

	b->pos += pad < bytes_left(b) ? pad : bytes_left(b);
}

void bytes_seek(struct bytes *b, size_t pos)
{
	b->pos = 0;
	bytes_get(b, pos);
}

uint64_t bytes_uint(struct bytes *b, unsigned int size)
{
	const void *p = bytes_get(b, size);

	return p ? load_uint(p, size, b->order) : 0;
}

uint8_t bytes_u8(struct bytes *b)
{
	return (uint8_t)bytes_uint(b, 1);
}

uint16_t bytes_u16(struct bytes *b)
{
	return (uint16_t)bytes_uint(b, 2);
}

uint32_t bytes_u32(struct bytes *b)
{
	return (uint32_t)bytes_uint(b, 4);
}

uint64_t bytes_u64(struct bytes *b)
{
	return bytes_uint(b, 8);
}

int bytes_check(const struct bytes *b, struct err *e)
{
	if (!b->overrun)
		return 0;
	return err_set(e, ERR_CORRUPT,
		       "%s at offset 0x%" PRIx64 ": ends after %zu bytes, more are needed", b->what,
		       b->file_off, b->size);
}

void out_bytes(struct bytes_out *o, const void *p, size_t len)
{
	assert(len <= o->size - o->pos);
	memcpy(o->data + o->pos, p, len);
	o->pos += len;
}

void out_zero(struct bytes_out *o, size_t len)
{
	assert(len <= o->size - o->pos);
	memset(o->data + o->pos, 0, len);
	o->pos += len;
}

void out_uint(struct bytes_out *o, uint64_t v, unsigned int size)
{
	uint8_t raw[8];
	unsigned int i;

	for (i = 0; i < size; i++)
		raw[o->order == ORDER_LE ? i : size - 1 - i] = (uint8_t)(v >> (8 * i));
	out_bytes(o, raw, size);
}

void out_wide(struct bytes_out *o, uint64_t v, uint64_t high, unsigned int size)
{
	if (size > 8 && o->order == ORDER_BE)
		out_uint(o, high, size - 8);
	out_uint(o, v, size > 8 ? 8 : size);
	if (size > 8 && o->order == ORDER_LE)
		out_uint(o, high, size - 8);
}
