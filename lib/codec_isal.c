/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdlib.h>

#include "codec_isal.h"

#include <isa-l/igzip_lib.h>

/* Blocks of this size on it is faster with, at about the same size. */
#define BLOCK_MIN (16u << 10)
#define LEVEL 2

struct isal {
	struct isal_zstream stream;
	uint8_t room[ISAL_DEF_LVL2_DEFAULT];
};

bool isal_serves(int level, size_t page_size)
{
	return level == 1 && page_size >= BLOCK_MIN;
}

size_t isal_memory(void)
{
	return sizeof(struct isal);
}

struct isal *isal_open(void)
{
	return calloc(1, sizeof(struct isal));
}

size_t isal_compress(struct isal *s, const void *in, size_t len, void *out, size_t room)
{
	struct isal_zstream *z = &s->stream;

	if (len > UINT32_MAX || room > UINT32_MAX)
		return 0;
	isal_deflate_stateless_init(z);
	z->level = LEVEL;
	z->level_buf = s->room;
	z->level_buf_size = sizeof(s->room);
	z->gzip_flag = IGZIP_ZLIB;
	z->end_of_stream = 1;
	z->next_in = (uint8_t *)in;
	z->avail_in = (uint32_t)len;
	z->next_out = out;
	z->avail_out = (uint32_t)room;
	return isal_deflate_stateless(z) == COMP_OK ? z->total_out : 0;
}

void isal_close(struct isal *s)
{
	free(s);
}
