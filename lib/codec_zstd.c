/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One zstd frame with its content size for each page (-z), from a context that is kept. */
#include <zstd.h>

#include "codec.h"

static size_t zstd_memory(int level, size_t page_size)
{
	(void)page_size; /* what is said holds for 64 KiB, and so for less */
	/*
	 * ZSTD_estimateCCtxSize() is not in the stable interface; for input of a page, measured
	 * with 1.5.4
	 */
	if (level <= 1)
		return 320 << 10;
	if (level <= 3)
		return 704 << 10;
	return level <= 10 ? 1 << 20 : level <= 15 ? 2 << 20 : 4 << 20;
}

static void *zstd_open(int level, size_t page_size)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();

	(void)page_size;
	if (z && ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level))) {
		ZSTD_freeCCtx(z);
		return NULL;
	}
	return z;
}

static size_t zstd_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	size_t size = ZSTD_compress2(state, out, room, in, len);

	return ZSTD_isError(size) ? 0 : size;
}

static size_t zstd_bound(size_t len)
{
	return len;
}

static void zstd_close(void *state)
{
	ZSTD_freeCCtx(state);
}

static void *zstd_decoder_open(void)
{
	return ZSTD_createDCtx();
}

static bool zstd_decompress(void *decoder, const void *in, size_t len, void *out, size_t out_len)
{
	return ZSTD_decompressDCtx(decoder, out, out_len, in, len) == out_len;
}

static void zstd_decoder_close(void *decoder)
{
	ZSTD_freeDCtx(decoder);
}

const struct codec codec_zstd = {
	.id = CODEC_ZSTD,
	.name = "zstd",
	.library = "zstd " ZSTD_VERSION_STRING,
	.min_level = 1,
	.max_level = 19,
	.default_level = 1,
	.memory = zstd_memory,
	.open = zstd_open,
	.compress = zstd_compress,
	.bound = zstd_bound,
	.close = zstd_close,
	.decoder_open = zstd_decoder_open,
	.decoder_close = zstd_decoder_close,
	.decompress = zstd_decompress,
};
