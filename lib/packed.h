/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How files begin that were compressed as a whole. Taking the compression off is lib/ext's, and the
 * full program's; a program without that still says what it was given.
 */
#ifndef PACKED_H
#define PACKED_H

#include "source.h"

bool packed_gzip(struct source *s);
bool packed_bzip2(struct source *s);
bool packed_zstd(struct source *s);
bool packed_lz4(struct source *s);

/*
 * The members of a struct opener that recognise. Sources: RFC 1952; the documents of bzip2, xz and
 * lz4 about their formats; RFC 8878; lzop.
 */
#define PACKED_GZIP .name = "gzip", .magic = "\x1f\x8b\x08", .magic_len = 3, .probe = packed_gzip
#define PACKED_BZIP2 .name = "bzip2", .magic = "BZh", .magic_len = 3, .probe = packed_bzip2
#define PACKED_XZ        \
	.name = "xz",    \
	.magic = "\xfd"  \
		 "7zXZ", \
	.magic_len = 6
/* These two may begin with frames that any decoder skips, so that the probe looks for the magic. */
#define PACKED_ZSTD .name = "zstd", .magic = "", .magic_len = 0, .probe = packed_zstd
#define PACKED_LZ4 .name = "lz4", .magic = "", .magic_len = 0, .probe = packed_lz4
#define PACKED_LZOP .name = "lzop", .magic = "\x89LZO\0\r\n\x1a\n", .magic_len = 9

/* For a link that cannot take them off: they tell what is missing. */
extern const struct opener gzip_named, bzip2_named, xz_named, zstd_named, lz4_named, lzop_named;

#endif
