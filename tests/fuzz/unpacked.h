/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every opener of compressed files must do with one: unpack it, or say why not. */
#ifndef UNPACKED_H
#define UNPACKED_H

#include <unistd.h>

#include "ext/unpack.h"
#include "fuzz.h"
#include "log.h"

#define MAX_OUT ((uint64_t)1 << 20)

static unsigned int warnings;

static void unpacked_warning(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	must(text[0]);
	warnings += level == LOG_WARN;
}

static void unpacked_check(struct source *s)
{
	uint64_t size = source_size(s), off;
	uint8_t buf[4096];
	int os;

	must(size && (warnings || !source_is_cut(s)));
	for (off = 0; off < size; off += sizeof(buf))
		must(source_read_some(s, off, buf, sizeof(buf), &os) ==
		     MIN((uint64_t)sizeof(buf), size - off));
}

/* FILE stays the caller's. */
static void unpacked_try(const struct opener *opener, uint8_t *file, size_t len)
{
	struct log log = { .emit = unpacked_warning };
	struct spool_opts opts = { .limit = MAX_OUT, .log = &log };
	struct source *under = source_memory("input", file, len), *s;
	struct err e = ERR_INIT;

	opts.dir = access("/dev/shm", W_OK) ? NULL : "/dev/shm";
	must(under);
	warnings = 0;
	if (!opener->open(under, &opts, &s, &e)) {
		unpacked_check(s);
		source_close(s);
		return;
	}
	must(e.text[0] && (e.code == ERR_CORRUPT || e.code == ERR_UNSUPPORTED ||
			   e.code == ERR_NOSPACE || e.code == ERR_NOMEM));
	source_close(under);
}

#endif
