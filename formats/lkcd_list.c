/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of pages of an LKCD dump, for the driver of last resort: libkdumpfile makes one, but
 * does not show it, and takes the end of the file for the end of the pages. Each has address, size
 * and flags before it; the last one says that it is.
 *
 * Sources: LKCD <linux/dump.h>, dump_header and dump_page; lkcdutils; libkdumpfile lkcd.c.
 */
#include <inttypes.h>

#include "bytes.h"
#include "lastresort.h"

#define VERSION_OFF 8u
#define BUFFER_OFF 734u /* since version 9: where pages begin */
#define DATA_OFF 65536u
#define PAGE_HEADER 16u
#define PAGE_END 4u

static uint64_t data_start(struct source *s, enum byte_order order)
{
	struct err ignored = ERR_INIT;
	uint8_t version[4], buffer[8];

	if (source_read(s, VERSION_OFF, version, sizeof(version), &ignored) ||
	    (load_u32(version, order) & 0xff) < 9 ||
	    source_read(s, BUFFER_OFF, buffer, sizeof(buffer), &ignored))
		return DATA_OFF;
	return load_u64(buffer, order);
}

int lkcd_list(struct source *s, enum byte_order order, uint64_t page_size,
	      int (*found)(void *priv, uint64_t pfn, struct err *e), void *priv, struct err *e)
{
	uint64_t off = data_start(s, order);

	for (;;) {
		uint8_t raw[PAGE_HEADER];
		uint32_t size;

		if (off >= UINT64_MAX / 2 || source_read(s, off, raw, sizeof(raw), e))
			return err_set(e, ERR_UNREADABLE,
				       "the file ends at offset 0x%" PRIx64
				       ", where a page or the end mark should be",
				       off);
		if (load_u32(raw + 12, order) & PAGE_END)
			return 0;
		size = load_u32(raw + 8, order);
		if (!size || size > 2 * SOURCE_SLACK)
			return err_set(e, ERR_CORRUPT,
				       "a page of %" PRIu32 " bytes at offset 0x%" PRIx64, size,
				       off);
		if (off + sizeof(raw) + size > source_size(s))
			return err_set(e, ERR_UNREADABLE,
				       "the file ends in the page at offset 0x%" PRIx64, off);
		if (found(priv, load_u64(raw, order) / page_size, e))
			return err_add(e, "offset 0x%" PRIx64, off);
		off += sizeof(raw) + size;
	}
}
