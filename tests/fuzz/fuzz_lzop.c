/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An lzop file: one byte, a method; four, the flags of the header, which is made of them so that
 * its checksum is right; then blocks and what else follows. It is unpacked, or there is a reason.
 */
#include <lzo/lzo1x.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "unpacked.h"

#define HEAD 5u
#define MAX_HEADER 64u

static size_t make_header(uint8_t *to, const uint8_t *data)
{
	struct bytes_out o = { .data = to, .size = MAX_HEADER, .order = ORDER_BE };
	uint32_t flags = load_u32(data + 1, ORDER_BE);
	size_t magic = lzop_opener.magic_len;

	out_bytes(&o, lzop_opener.magic, magic);
	out_uint(&o, 0x1040, 2);
	out_uint(&o, 0x20a0, 2);
	out_uint(&o, 0x0940, 2);
	out_uint(&o, data[0], 1);
	out_uint(&o, 5, 1);
	out_uint(&o, flags, 4);
	if (flags & 0x800)
		out_uint(&o, 1, 4);
	out_zero(&o, 12);
	out_uint(&o, 3, 1);
	out_bytes(&o, "elf", 3);
	out_uint(&o,
		 flags & 0x1000 ? lzo_crc32(0, to + magic, o.pos - magic)
				: lzo_adler32(1, to + magic, o.pos - magic),
		 4);
	return o.pos;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *file = NULL;
	size_t len;

	if (size < HEAD)
		return 0;
	file = malloc(MAX_HEADER + size);
	must(file);
	len = make_header(file, data);
	memcpy(file + len, data + HEAD, size - HEAD);
	unpacked_try(&lzop_opener, file, len + size - HEAD);
	return 0;
}
