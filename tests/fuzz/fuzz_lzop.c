/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An lzop file: one byte, a method; four, the flags of the header, which is made of them so that
 * its checksum is right; then blocks and what else follows. It is unpacked, or there is a reason.
 */
#include <lzo/lzo1x.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ext/unpack.h"
#include "fuzz.h"
#include "log.h"

#define HEAD 5u
#define MAX_HEADER 64u
#define MAX_OUT ((uint64_t)1 << 20)

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

static unsigned int warnings;

static void count(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	must(text[0]);
	warnings += level == LOG_WARN;
}

static void check(struct source *s)
{
	uint64_t size = source_size(s), off;
	uint8_t buf[4096];
	int os;

	must(size && (warnings || !source_is_cut(s)));
	for (off = 0; off < size; off += sizeof(buf))
		must(source_read_some(s, off, buf, sizeof(buf), &os) ==
		     MIN((uint64_t)sizeof(buf), size - off));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log log = { .emit = count };
	struct spool_opts opts = { .limit = MAX_OUT, .log = &log };
	struct source *under, *s;
	struct err e = ERR_INIT;
	uint8_t *file;
	size_t len;

	if (size < HEAD)
		return 0;
	opts.dir = access("/dev/shm", W_OK) ? NULL : "/dev/shm";
	file = malloc(MAX_HEADER + size);
	must(file);
	len = make_header(file, data);
	memcpy(file + len, data + HEAD, size - HEAD);
	under = source_memory("input", file, len + size - HEAD);
	must(under);
	warnings = 0;
	if (!lzop_opener.open(under, &opts, &s, &e)) {
		check(s);
		source_close(s);
	} else {
		must(e.text[0] && (e.code == ERR_CORRUPT || e.code == ERR_UNSUPPORTED ||
				   e.code == ERR_NOSPACE || e.code == ERR_NOMEM));
		source_close(under);
	}
	free(file);
	return 0;
}
