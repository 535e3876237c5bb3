/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that is compressed as a whole: one byte, which kind; then the file, whose magic is put
 * right. lzop has a target of its own, fuzz_lzop.c.
 */
#include <string.h>

#include "cleanup.h"
#include "unpacked.h"

static const struct opener *const kinds[] = {
	&zstd_opener,
#ifdef HAVE_GUNZIP
	&gzip_opener,
#endif
#ifdef HAVE_LIBARCHIVE
	&bzip2_opener, &lz4_opener,
#endif
#ifdef HAVE_LIBLZMA
	&xz_opener,
#endif
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *file = NULL;
	const struct opener *opener;

	if (size < 1)
		return 0;
	opener = kinds[data[0] % ARRAY_SIZE(kinds)];
	size--;
	if (size < opener->magic_len)
		return 0;
	file = malloc(size);
	must(file);
	memcpy(file, data + 1, size);
	memcpy(file, opener->magic, opener->magic_len);
	unpacked_try(opener, file, size);
	return 0;
}
