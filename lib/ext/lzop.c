/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lzop files. libarchive would start lzop for them.
 *
 * Layout, as lzop 1.04 writes and documents it in conf.h and lzop.c; all numbers are big-endian. A
 * member: the magic, a header, blocks, four bytes of zeros; members may follow each other.
 *
 *   header  u16 version of lzop, u16 of the library, [u16 version needed], u8 method, [u8 level],
 *           u32 flags, [u32 filter, if flagged], u32 mode, u32 mtime, [u32 its upper half],
 *           u8 length and name, u32 checksum of all this; [u32 length, extra field, u32 checksum]
 *           The members in brackets without a condition exist since version 0.94.
 *   block   u32 size, u32 stored size, checksums of the bytes (adler32, crc32) as flags say, then,
 *           if the stored size is smaller, of what is stored; what is stored
 */
#include <inttypes.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "unpack.h"

#define MAGIC_LEN 9u
#define HEADER_MAX 512u /* of a header, extra field not counted: 9 + 25 + 255 + 4 */
#define VERSION_094 0x0940
#define MAX_BLOCK ((uint32_t)64 << 20) /* lzop refuses larger ones */
#define MAX_EXTRA ((uint32_t)64 << 10)

enum {
	ADLER32_D = 1,
	ADLER32_C = 2,
	HAS_EXTRA = 0x40,
	CRC32_D = 0x100,
	CRC32_C = 0x200,
	HAS_FILTER = 0x800,
	HEADER_CRC32 = 0x1000,
	/* Bits 14 to 19 mean nothing yet; above are the character set and the system. */
	RESERVED = 0xfc000,
};

/* All methods of LZO1X are decoded alike; 1, 1 with 15 bits, 999. */
#define METHOD_FIRST 1
#define METHOD_LAST 3

static uint32_t checksum(bool crc, const uint8_t *data, size_t len)
{
	return crc ? lzo_crc32(0, data, len) : lzo_adler32(1, data, len);
}

/* LEN bytes of input, or ERR_CORRUPT. */
static const uint8_t *want_all(struct unpack *u, size_t len, struct err *e)
{
	size_t have;
	const uint8_t *in = unpack_want(u, len, &have, e);

	if (in && have < len) {
		unpack_ended(u, e);
		return NULL;
	}
	return in;
}

struct member {
	uint8_t method;
	uint32_t flags;
};

/* Read the header at the cursor as far as its name. */
static void parse_header(struct bytes *b, struct member *m)
{
	uint16_t version = bytes_u16(b);
	bool old = version < VERSION_094;

	bytes_skip(b, old ? 2 : 4);
	m->method = bytes_u8(b);
	bytes_skip(b, old ? 0 : 1);
	m->flags = bytes_u32(b);
	if (m->flags & HAS_FILTER)
		bytes_skip(b, 4);
	bytes_skip(b, old ? 8 : 12);
	bytes_skip(b, bytes_u8(b));
}

static int check_member(const struct unpack *u, const struct member *m, struct err *e)
{
	if (m->method < METHOD_FIRST || m->method > METHOD_LAST)
		return err_set(e, ERR_UNSUPPORTED,
			       "method %u at offset 0x%" PRIx64 "; expected %d to %d", m->method,
			       u->in, METHOD_FIRST, METHOD_LAST);
	if (m->flags & (HAS_FILTER | RESERVED))
		return err_set(e, ERR_UNSUPPORTED,
			       "flags 0x%x at offset 0x%" PRIx64
			       ": filters and flags without a meaning cannot be read",
			       m->flags, u->in);
	return 0;
}

static int skip_extra(struct unpack *u, struct err *e)
{
	const uint8_t *in = want_all(u, 4, e);
	uint32_t len;

	if (!in)
		return -1;
	len = load_u32(in, ORDER_BE);
	if (len > MAX_EXTRA)
		return err_set(e, ERR_CORRUPT,
			       "extra field of %u bytes at offset 0x%" PRIx64
			       "; expected %u or less",
			       len, u->in, MAX_EXTRA);
	if (!want_all(u, 4 + (size_t)len + 4, e))
		return -1;
	unpack_take(u, 4 + (size_t)len + 4);
	return 0;
}

/* The magic was seen. */
static int read_header(struct unpack *u, struct member *m, struct err *e)
{
	size_t have, len;
	const uint8_t *in = unpack_want(u, HEADER_MAX, &have, e);
	struct bytes b;
	uint32_t sum;

	if (!in)
		return -1;
	b = bytes_init(in, MIN(have, (size_t)HEADER_MAX), ORDER_BE, "lzop header", u->in);
	bytes_skip(&b, MAGIC_LEN);
	parse_header(&b, m);
	len = b.pos;
	sum = bytes_u32(&b);
	if (b.overrun) {
		unpack_take(u, have);
		return unpack_ended(u, e);
	}
	if (sum != checksum(m->flags & HEADER_CRC32, in + MAGIC_LEN, len - MAGIC_LEN))
		return err_set(e, ERR_CORRUPT,
			       "the checksum of the header at offset 0x%" PRIx64 " is wrong",
			       u->in);
	if (check_member(u, m, e))
		return -1;
	unpack_take(u, b.pos);
	return m->flags & HAS_EXTRA ? skip_extra(u, e) : 0;
}

struct block {
	uint32_t size, stored;
	uint32_t adler_d, crc_d, adler_c, crc_c;
	size_t head; /* bytes before what is stored */
};

/* Size, and checksums as the flags say. */
static void parse_block(struct bytes *b, uint32_t flags, struct block *k)
{
	k->size = bytes_u32(b);
	k->stored = bytes_u32(b);
	if (flags & ADLER32_D)
		k->adler_d = bytes_u32(b);
	if (flags & CRC32_D)
		k->crc_d = bytes_u32(b);
	if (flags & ADLER32_C && k->stored < k->size)
		k->adler_c = bytes_u32(b);
	if (flags & CRC32_C && k->stored < k->size)
		k->crc_c = bytes_u32(b);
	k->head = b->pos;
}

static bool sums_good(bool has_adler, uint32_t adler, bool has_crc, uint32_t crc,
		      const uint8_t *data, size_t len)
{
	return (!has_adler || checksum(false, data, len) == adler) &&
	       (!has_crc || checksum(true, data, len) == crc);
}

static int bad_block(const struct unpack *u, const char *what, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the block at offset 0x%" PRIx64 " %s", u->in, what);
}

/* What is stored at IN, checked and decoded: the bytes of the block, or NULL. */
static const uint8_t *decode_block(struct unpack *u, uint32_t flags, const struct block *k,
				   const uint8_t *in, uint8_t **room, struct err *e)
{
	const uint8_t *out = in;
	lzo_uint len = k->size;

	if (k->stored < k->size) {
		uint8_t *more = realloc(*room, k->size);

		if (!more) {
			err_set(e, ERR_NOMEM, "no memory for a block of %u bytes", k->size);
			return NULL;
		}
		*room = more;
		out = more;
		if (!sums_good(flags & ADLER32_C, k->adler_c, flags & CRC32_C, k->crc_c, in,
			       k->stored) ||
		    lzo1x_decompress_safe(in, k->stored, more, &len, NULL) != LZO_E_OK ||
		    len != k->size) {
			bad_block(u, "cannot be decoded", e);
			return NULL;
		}
	}
	if (sums_good(flags & ADLER32_D, k->adler_d, flags & CRC32_D, k->crc_d, out, k->size))
		return out;
	bad_block(u, "has a wrong checksum", e);
	return NULL;
}

/* The next block: 1 at the end of the member. */
static int read_block(struct unpack *u, uint32_t flags, uint8_t **room, struct err *e)
{
	const uint8_t *in = want_all(u, 4, e), *out;
	struct block k = { .size = 0 };
	struct bytes b;
	size_t have;

	if (!in)
		return -1;
	if (!load_u32(in, ORDER_BE)) {
		unpack_take(u, 4);
		return 1;
	}
	in = unpack_want(u, 24, &have, e);
	if (!in)
		return -1;
	b = bytes_init(in, have, ORDER_BE, "lzop block", u->in);
	parse_block(&b, flags, &k);
	if (b.overrun)
		return unpack_ended(u, e);
	if (k.size > MAX_BLOCK || k.stored > k.size || !k.stored)
		return bad_block(u, "has impossible sizes", e);
	in = want_all(u, k.head + k.stored, e);
	if (!in)
		return -1;
	out = decode_block(u, flags, &k, in + k.head, room, e);
	if (!out || unpack_put(u, out, k.size, e))
		return -1;
	unpack_take(u, k.head + k.stored);
	return 0;
}

static int read_member(struct unpack *u, uint8_t **room, struct err *e)
{
	struct member m = { .flags = 0 };
	int rc = read_header(u, &m, e);

	while (!rc)
		rc = read_block(u, m.flags, room, e);
	return rc > 0 ? 0 : -1;
}

static int lzop_decode(struct unpack *u, struct err *e)
{
	_cleanup_free_ uint8_t *room = NULL;
	const uint8_t *in;
	size_t have;

	for (;;) {
		in = unpack_want(u, MAGIC_LEN, &have, e);
		if (!in)
			return -1;
		if (have < MAGIC_LEN || memcmp(in, lzop_opener.magic, MAGIC_LEN))
			return 0;
		if (read_member(u, &room, e))
			return -1;
	}
}

static int lzop_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		     struct err *e)
{
	return unpack_run(under, "lzop", opts, lzop_decode, ret, e);
}

const struct opener lzop_opener = { PACKED_LZOP, .open = lzop_open };
