/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bounded cursor: the only place where bytes of a dump become numbers.
 *
 * A read past the end returns zeros and sets `overrun`; the caller checks once, after a group of
 * reads, with bytes_check(). Nothing is ever read outside [data, data + size).
 */
#ifndef BYTES_H
#define BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "err.h"

enum byte_order { ORDER_LE, ORDER_BE };

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ORDER_HOST ORDER_BE
#else
#define ORDER_HOST ORDER_LE
#endif

/* Unaligned loads and stores of a given byte order; P must have room for the size in the name. */
static inline uint16_t load_u16(const void *p, enum byte_order order)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return order == ORDER_HOST ? v : __builtin_bswap16(v);
}

static inline uint32_t load_u32(const void *p, enum byte_order order)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return order == ORDER_HOST ? v : __builtin_bswap32(v);
}

static inline uint64_t load_u64(const void *p, enum byte_order order)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return order == ORDER_HOST ? v : __builtin_bswap64(v);
}

/* A number of SIZE bytes, 1, 2, 4 or 8, not sign extended. Any other size gives 0. */
static inline uint64_t load_uint(const void *p, unsigned int size, enum byte_order order)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return load_u16(p, order);
	case 4:
		return load_u32(p, order);
	case 8:
		return load_u64(p, order);
	default:
		return 0;
	}
}

/* A number of SIZE bytes: 1, 2, 4, 8, or one of these more than 8. Bits from 64 on go to *high. */
static inline uint64_t load_wide(const void *p, unsigned int size, enum byte_order order,
				 uint64_t *high)
{
	const uint8_t *b = p;

	*high = 0;
	if (size <= 8)
		return load_uint(b, size, order);
	*high = load_uint(order == ORDER_LE ? b + 8 : b, size - 8, order);
	return load_u64(order == ORDER_LE ? b : b + size - 8, order);
}

struct bytes {
	const uint8_t *data;
	size_t size, pos;
	enum byte_order order;
	bool overrun;	   /* a read went past the end */
	const char *what;  /* names the piece in errors: "ELF header" */
	uint64_t file_off; /* where data[0] lies in its file */
};

/* Start a cursor at the beginning of SIZE bytes at DATA, which stay the caller's. */
static inline struct bytes bytes_init(const void *data, size_t size, enum byte_order order,
				      const char *what, uint64_t file_off)
{
	return (struct bytes){
		.data = data, .size = size, .order = order, .what = what, .file_off = file_off
	};
}

static inline size_t bytes_left(const struct bytes *b)
{
	return b->size - b->pos;
}

/* The next LEN bytes, or NULL (and overrun) if there are fewer. */
const void *bytes_get(struct bytes *b, size_t len);
/* Skip; stepping past the end is an overrun. */
void bytes_skip(struct bytes *b, size_t len);
/* Skip to the next multiple of ALIGN, a power of two, or to the end. */
void bytes_align(struct bytes *b, size_t align);
/* Go to offset POS from the beginning; past the end is an overrun. */
void bytes_seek(struct bytes *b, size_t pos);
uint8_t bytes_u8(struct bytes *b);
uint16_t bytes_u16(struct bytes *b);
uint32_t bytes_u32(struct bytes *b);
uint64_t bytes_u64(struct bytes *b);
/* A number of SIZE bytes: 1, 2, 4 or 8. */
uint64_t bytes_uint(struct bytes *b, unsigned int size);
/* 0 when no read went past the end, else ERR_CORRUPT naming the piece, its place and its size. */
int bytes_check(const struct bytes *b, struct err *e);

/*
 * The encoder: the same for output, into a caller's buffer of fixed size; writing past its end is a
 * program error.
 */
struct bytes_out {
	uint8_t *data;
	size_t size, pos;
	enum byte_order order;
};

void out_bytes(struct bytes_out *o, const void *p, size_t len);
void out_zero(struct bytes_out *o, size_t len);
/* The lowest SIZE bytes (1, 2, 4, 8) of V in the encoder's order. */
void out_uint(struct bytes_out *o, uint64_t v, unsigned int size);
/* The same for up to 16 bytes, of which HIGH is what is above 64 bits. */
void out_wide(struct bytes_out *o, uint64_t v, uint64_t high, unsigned int size);

#endif
