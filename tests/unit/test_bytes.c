/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/bytes.c: the cursor never leaves its bytes, and says so once; the encoder writes what the
 * cursor reads. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "tap.h"

static const uint8_t data[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0xfa, 0xfb };

/* A cursor over exactly LEN bytes of the heap, so that the sanitizer sees one byte too much. */
static struct bytes cursor(uint8_t **buf, size_t len, enum byte_order order)
{
	*buf = malloc(len ? len : 1);
	memcpy(*buf, data, len);
	return bytes_init(*buf, len, order, "thing", 0x1000);
}

static void test_loads(void)
{
	is_u64(load_u16(data + 1, ORDER_LE), 0x0302, "u16 LE at an odd address");
	is_u64(load_u16(data + 1, ORDER_BE), 0x0203, "u16 BE");
	is_u64(load_u32(data + 1, ORDER_LE), 0x05040302, "u32 LE");
	is_u64(load_u32(data + 1, ORDER_BE), 0x02030405, "u32 BE");
	is_u64(load_u64(data + 1, ORDER_LE), 0x0908070605040302, "u64 LE");
	is_u64(load_u64(data + 1, ORDER_BE), 0x0203040506070809, "u64 BE");
	is_u64(load_uint(data + 9, 1, ORDER_BE), 0xfa, "one byte is not sign extended");
	is_u64(load_uint(data, 2, ORDER_BE), 0x0102, "size 2");
	is_u64(load_uint(data, 4, ORDER_BE), 0x01020304, "size 4");
	is_u64(load_uint(data, 8, ORDER_BE), 0x0102030405060708, "size 8");
	is_u64(load_uint(data, 3, ORDER_LE), 0, "a size that is none gives 0");
}

static void test_reads(enum byte_order order)
{
	bool le = order == ORDER_LE;
	uint8_t *buf;
	struct bytes b = cursor(&buf, sizeof(data), order);
	struct err e = ERR_INIT;

	is_u64(bytes_u8(&b), 1, "u8");
	is_u64(bytes_u16(&b), le ? 0x0302 : 0x0203, "then u16");
	is_u64(bytes_u32(&b), le ? 0x07060504 : 0x04050607, "then u32");
	is_u64(bytes_left(&b), 4, "4 bytes are left");
	bytes_seek(&b, 1);
	is_u64(bytes_u64(&b), le ? 0x0908070605040302 : 0x0203040506070809, "u64 after a seek");
	bytes_seek(&b, 9);
	is_u64(bytes_uint(&b, 2), le ? 0xfbfa : 0xfafb, "the last two");
	ok(bytes_left(&b) == 0 && !b.overrun && !bytes_check(&b, &e), "all of it is no overrun");
	free(buf);
}

static void test_get(void)
{
	uint8_t *buf;
	struct bytes b = cursor(&buf, 8, ORDER_LE);

	ok(bytes_get(&b, 3) == buf && b.pos == 3, "get points into the data");
	ok(bytes_get(&b, 0) == buf + 3 && b.pos == 3, "nothing can be had");
	ok(bytes_get(&b, 5) == buf + 3 && !b.overrun, "up to the end");
	ok(bytes_get(&b, 0) == buf + 8 && !b.overrun, "nothing at the end");
	ok(!bytes_get(&b, 1) && b.overrun, "one more is an overrun");
	free(buf);
}

/* Any read across the end gives zero, goes to the end and stays there. */
static void test_overrun(size_t have, unsigned int size)
{
	struct err e = ERR_INIT;
	uint8_t *buf;
	struct bytes b = cursor(&buf, have, ORDER_LE);

	ok(bytes_uint(&b, size) == 0 && b.overrun && b.pos == have,
	   "%u bytes of %zu: zero and overrun", size, have);
	ok(bytes_u8(&b) == 0 && b.pos == have, "and nothing comes after that");
	ok(bytes_check(&b, &e) == -1 && e.code == ERR_CORRUPT && strstr(e.text, "thing") &&
		   strstr(e.text, "0x1000"),
	   "check names the piece and its place: %s", e.text);
	free(buf);
}

static void test_moves(void)
{
	uint8_t *buf;
	struct bytes b = cursor(&buf, 10, ORDER_LE);

	bytes_align(&b, 4);
	is_u64(b.pos, 0, "aligned already");
	bytes_skip(&b, 1);
	bytes_align(&b, 4);
	is_u64(b.pos, 4, "align goes up");
	bytes_skip(&b, 5);
	bytes_align(&b, 4);
	ok(b.pos == 10 && !b.overrun, "padding that is cut off is no overrun");
	bytes_seek(&b, 10);
	ok(b.pos == 10 && !b.overrun, "seek to the end");
	bytes_seek(&b, 11);
	ok(b.pos == 10 && b.overrun, "seek past the end is an overrun");
	b = bytes_init(buf, 10, ORDER_LE, "thing", 0);
	bytes_skip(&b, 4);
	bytes_skip(&b, SIZE_MAX - 2);
	ok(b.pos == 10 && b.overrun, "a length that wraps around is an overrun");
	b = bytes_init(buf, 10, ORDER_LE, "thing", 0);
	bytes_seek(&b, SIZE_MAX);
	ok(b.pos == 10 && b.overrun, "so is a place that no buffer has");
	free(buf);
}

/* What the encoder writes the cursor reads, in either order and size. */
static void test_encoder(enum byte_order order)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	const uint64_t v = 0x8123456789abcdefULL;
	uint8_t raw[32];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = order };
	struct bytes b = bytes_init(raw, sizeof(raw), order, "thing", 0);
	size_t i;

	memset(raw, 0x55, sizeof(raw));
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		out_uint(&o, v, sizes[i]);
	out_bytes(&o, "abc", 3);
	out_zero(&o, 4);
	is_u64(o.pos, 22, "22 bytes were written");
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		is_u64(bytes_uint(&b, sizes[i]),
		       sizes[i] == 8 ? v : v & ((1ULL << 8 * sizes[i]) - 1),
		       "the lowest bytes of a number");
	ok(raw[1] == (order == ORDER_BE ? 0xcd : 0xef), "in the encoder's order");
	ok(!memcmp(raw + 15, "abc\0\0\0\0\x55", 8), "bytes, zeros, and nothing behind them");
}

/* Registers are wider than a number: x87's by 2 bytes, vectors by 8. */
static void test_wide(enum byte_order order)
{
	static const unsigned int sizes[] = { 2, 8, 10, 16 };
	const uint64_t v = 0x8123456789abcdefULL, high = 0xfedcba9876543210ULL;
	uint8_t raw[36];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = order };
	uint64_t got;
	size_t i, at = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		out_wide(&o, v, high, sizes[i]);
	is_u64(o.pos, 36, "36 bytes were written");
	for (i = 0; i < ARRAY_SIZE(sizes); at += sizes[i++]) {
		is_u64(load_wide(raw + at, sizes[i], order, &got), i ? v : v & 0xffff,
		       "64 bits of a wide number");
		is_u64(got, sizes[i] == 16 ? high : sizes[i] == 10 ? high & 0xffff : 0,
		       "what is above them");
	}
	ok(raw[20] == (order == ORDER_BE ? 0xfe : 0xef), "in the order that was asked for");
}

int main(void)
{
	test_loads();
	test_reads(ORDER_LE);
	test_reads(ORDER_BE);
	test_get();
	test_overrun(0, 1);
	test_overrun(1, 2);
	test_overrun(3, 4);
	test_overrun(7, 8);
	test_moves();
	test_encoder(ORDER_LE);
	test_encoder(ORDER_BE);
	test_wide(ORDER_LE);
	test_wide(ORDER_BE);
	return done_testing();
}
