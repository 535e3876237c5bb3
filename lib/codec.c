/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "codec.h"

#include <string.h>

#include "cleanup.h"

static const struct {
	enum codec_id id;
	const char *name;
} names[] = {
	{ CODEC_RAW, "none" },	    { CODEC_ZLIB, "zlib" }, { CODEC_LZO, "lzo" },
	{ CODEC_SNAPPY, "snappy" }, { CODEC_ZSTD, "zstd" },
};

const struct codec *codec_by_id(enum codec_id id)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++)
		if ((*c)->id == id)
			return *c;
	return NULL;
}

const struct codec *codec_by_name(const char *name)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

const char *codec_id_name(uint32_t id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].id == id)
			return names[i].name;
	return NULL;
}
