/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The zlib format (RFC 1950) of -c. Any conforming encoder will do; libdeflate's is more than twice
 * as fast as zlib's own at the same size, and needs no stream.
 */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "codec_isal.h"
#include "config.h"

#ifdef HAVE_LIBDEFLATE

#include <libdeflate.h>

static size_t base_memory(int level, size_t page_size)
{
	(void)page_size;
	/* libdeflate_alloc_compressor(): hash tables; measured with 1.14 */
	return level <= 1 ? 200 << 10 : level < 10 ? 1 << 20 : 10 << 20;
}

static void *base_open(int level, size_t page_size)
{
	(void)page_size;
	return libdeflate_alloc_compressor(level);
}

static size_t base_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	return libdeflate_zlib_compress(state, in, len, out, room);
}

static void base_close(void *state)
{
	libdeflate_free_compressor(state);
}

static void *zlib_decoder_open(void)
{
	return libdeflate_alloc_decompressor();
}

static bool zlib_decompress(void *decoder, const void *in, size_t len, void *out, size_t out_len)
{
	/* Without a place for the length, less than all of OUT is an error. */
	return libdeflate_zlib_decompress(decoder, in, len, out, out_len, NULL) ==
	       LIBDEFLATE_SUCCESS;
}

static void zlib_decoder_close(void *decoder)
{
	libdeflate_free_decompressor(decoder);
}

#define LIBRARY "libdeflate " LIBDEFLATE_VERSION_STRING
#define MAX_LEVEL 12

#else

#include <zlib.h>

static size_t base_memory(int level, size_t page_size)
{
	(void)level;
	(void)page_size;
	return 272 << 10; /* deflateInit2(): (1 << (windowBits + 2)) + (1 << (memLevel + 9)), and a
			     little */
}

static void *base_open(int level, size_t page_size)
{
	z_stream *z = calloc(1, sizeof(*z));

	(void)page_size;
	if (z && deflateInit(z, level) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static size_t base_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	z_stream *z = state;

	if (deflateReset(z) != Z_OK)
		return 0;
	z->next_in = (void *)in;
	z->avail_in = (uInt)len;
	z->next_out = out;
	z->avail_out = (uInt)room;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? z->total_out : 0;
}

static void base_close(void *state)
{
	deflateEnd(state);
	free(state);
}

static void *zlib_decoder_open(void)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (z && inflateInit(z) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static bool zlib_decompress(void *decoder, const void *in, size_t len, void *out, size_t out_len)
{
	z_stream *z = decoder;

	if (inflateReset(z) != Z_OK)
		return false;
	z->next_in = (void *)in;
	z->avail_in = (uInt)len;
	z->next_out = out;
	z->avail_out = (uInt)out_len;
	return inflate(z, Z_FINISH) == Z_STREAM_END && z->total_out == out_len;
}

static void zlib_decoder_close(void *decoder)
{
	inflateEnd(decoder);
	free(decoder);
}

#define LIBRARY "zlib " ZLIB_VERSION
#define MAX_LEVEL 9

#endif

/* The one of the two that serves the level and the size of pages. */
struct encoder {
	struct isal *isal;
	void *base;
};

static size_t zlib_memory(int level, size_t page_size)
{
	return sizeof(struct encoder) +
	       (isal_serves(level, page_size) ? isal_memory() : base_memory(level, page_size));
}

static void zlib_close(void *state)
{
	struct encoder *s = state;

	if (s->isal)
		isal_close(s->isal);
	if (s->base)
		base_close(s->base);
	free(s);
}

static void *zlib_open(int level, size_t page_size)
{
	struct encoder *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (isal_serves(level, page_size))
		s->isal = isal_open();
	else
		s->base = base_open(level, page_size);
	if (!s->isal && !s->base) {
		free(s);
		return NULL;
	}
	return s;
}

static size_t zlib_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	const struct encoder *s = state;

	return s->isal ? isal_compress(s->isal, in, len, out, room)
		       : base_compress(s->base, in, len, out, room);
}

static size_t zlib_bound(size_t len)
{
	return len; /* writes no more than it is given room for */
}

const struct codec codec_zlib = {
	.id = CODEC_ZLIB,
	.name = "zlib",
	.library = LIBRARY ISAL_NAME,
	.min_level = 1,
	.max_level = MAX_LEVEL,
	.default_level = 1,
	.memory = zlib_memory,
	.open = zlib_open,
	.compress = zlib_compress,
	.bound = zlib_bound,
	.close = zlib_close,
	.decoder_open = zlib_decoder_open,
	.decoder_close = zlib_decoder_close,
	.decompress = zlib_decompress,
};
