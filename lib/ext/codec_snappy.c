/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw snappy of -p. The library needs the C++ runtime: full link only. */
#include <snappy-c.h>
#include <stdlib.h>

#include "codec.h"

static size_t snappy_memory(int level, size_t page_size)
{
	(void)level;
	return 64 << 10 | page_size; /* its hash table, made anew for each call */
}

static void *snappy_open(int level, size_t page_size)
{
	(void)level;
	(void)page_size;
	return calloc(1, 1); /* no state, but NULL would mean "out of memory" */
}

static size_t snappy_compress_page(void *state, const void *in, size_t len, void *out, size_t room)
{
	size_t size = room;

	(void)state;
	return snappy_compress(in, len, out, &size) == SNAPPY_OK ? size : 0;
}

static size_t snappy_bound(size_t len)
{
	return snappy_max_compressed_length(len);
}

static bool snappy_decompress(void *decoder, const void *in, size_t len, void *out, size_t out_len)
{
	size_t size;

	(void)decoder;
	/* The length stands in front; only the one that is expected may be written. */
	return snappy_uncompressed_length(in, len, &size) == SNAPPY_OK && size == out_len &&
	       snappy_uncompress(in, len, out, &size) == SNAPPY_OK;
}

const struct codec codec_snappy = {
	.id = CODEC_SNAPPY,
	.name = "snappy",
	.library = "libsnappy",
	.memory = snappy_memory,
	.open = snappy_open,
	.compress = snappy_compress_page,
	.bound = snappy_bound,
	.close = free,
	.decompress = snappy_decompress,
};
