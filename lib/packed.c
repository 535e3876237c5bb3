/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packed.h"

#include <string.h>

#include "bytes.h"

/* LEN bytes at OFF; false where there are fewer. */
static bool peek(struct source *s, uint64_t off, void *buf, size_t len)
{
	struct err ignored = ERR_INIT;

	return !source_read(s, off, buf, len, &ignored);
}

/* The flags that RFC 1952 reserves are zero. */
bool packed_gzip(struct source *s)
{
	uint8_t flags;

	return peek(s, 3, &flags, 1) && !(flags & 0xe0);
}

/* A level, and the beginning of a block or, where there is none, of the end: pi or its root. */
bool packed_bzip2(struct source *s)
{
	uint8_t raw[7];

	return peek(s, 3, raw, sizeof(raw)) && raw[0] >= '1' && raw[0] <= '9' &&
	       (!memcmp(raw + 1, "\x31\x41\x59\x26\x53\x59", 6) ||
		!memcmp(raw + 1, "\x17\x72\x45\x38\x50\x90", 6));
}

#define MAX_SKIPPED 64u /* frames; pzstd writes one */

/* The magic of the first frame that is not to be skipped, and its place. */
static bool first_frame(struct source *s, uint32_t *magic, uint64_t *at)
{
	unsigned int i;
	uint8_t raw[8];

	*at = 0;
	for (i = 0; i < MAX_SKIPPED; i++) {
		if (!peek(s, *at, raw, 4))
			return false;
		*magic = load_u32(raw, ORDER_LE);
		if ((*magic & 0xfffffff0) != 0x184d2a50)
			return true;
		if (!peek(s, *at, raw, 8))
			return false;
		*at += 8 + (uint64_t)load_u32(raw + 4, ORDER_LE);
	}
	return false;
}

bool packed_zstd(struct source *s)
{
	uint32_t magic;
	uint64_t at;

	return first_frame(s, &magic, &at) && magic == 0xfd2fb528;
}

/* A frame of version 1, or a "legacy" one as the Linux kernel's build makes them. */
bool packed_lz4(struct source *s)
{
	uint32_t magic;
	uint8_t flags;
	uint64_t at;

	if (!first_frame(s, &magic, &at))
		return false;
	return magic == 0x184c2102 ||
	       (magic == 0x184d2204 && peek(s, at + 4, &flags, 1) && (flags & 0xc0) == 0x40);
}

/* No library: whatever it takes is in the full program. */
#define ONLY_FULL "the full program, dumptool"

const struct opener gzip_named = { PACKED_GZIP, .missing = "zlib" };
const struct opener bzip2_named = { PACKED_BZIP2, .missing = "libarchive" };
const struct opener xz_named = { PACKED_XZ, .missing = "liblzma" };
const struct opener zstd_named = { PACKED_ZSTD, .missing = ONLY_FULL };
const struct opener lz4_named = { PACKED_LZ4, .missing = "libarchive" };
const struct opener lzop_named = { PACKED_LZOP, .missing = ONLY_FULL };
