/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw LZO1X of -l, by lzo2. */
#include <lzo/lzo1x.h>
#include <stdlib.h>

#include "codec.h"

static size_t lzo_memory(int level, size_t page_size)
{
	(void)level;
	(void)page_size;
	return LZO1X_1_MEM_COMPRESS;
}

static void *lzo_open(int level, size_t page_size)
{
	(void)level;
	(void)page_size;
	return lzo_init() == LZO_E_OK ? malloc(LZO1X_1_MEM_COMPRESS) : NULL;
}

static size_t lzo_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	lzo_uint size = room;

	return lzo1x_1_compress(in, len, out, &size, state) == LZO_E_OK ? size : 0;
}

/* lzo1x_1_compress() does not look at the room it has: lzo.FAQ gives the worst case. */
static size_t lzo_bound(size_t len)
{
	return len + len / 16 + 64 + 3;
}

static bool lzo_decompress(void *decoder, const void *in, size_t len, void *out, size_t out_len)
{
	lzo_uint size = out_len;

	(void)decoder;
	return lzo1x_decompress_safe(in, len, out, &size, NULL) == LZO_E_OK && size == out_len;
}

const struct codec codec_lzo = {
	.id = CODEC_LZO,
	.name = "lzo",
	.library = "lzo " LZO_VERSION_STRING,
	.memory = lzo_memory,
	.open = lzo_open,
	.compress = lzo_compress,
	.bound = lzo_bound,
	.close = free,
	.decompress = lzo_decompress,
};
