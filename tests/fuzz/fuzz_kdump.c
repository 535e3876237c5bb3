/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile kdump dump, or two parts of a split set, read to the end.
 *
 * Input: a byte whose lowest bits choose a page size (0: the dump's own, 1: 4 KiB, 2: 16 KiB, 3: 64
 * KiB), bit 2 an architecture with another one's PFN bias, bit 3 a set: then 4 bytes,
 * little-endian, are the length of the first part. The files follow.
 */
#include "archs.h"
#include "cleanup.h"
#include "formats.h"
#include "fuzz_dump.h"
#include "note.h"

static void check_facts(const struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	unsigned int i;
	struct note n;

	while (note_next(&b, &n))
		touch(n.desc, n.desc_len);
	touch(d->eraseinfo, d->eraseinfo_len);
	for (i = 0; i < UTS_FIELDS; i++)
		must(memchr(d->told.uts[i], 0, UTS_LEN));
	must(!d->id.uname || strlen(d->id.uname) < UTS_LEN);
	must(!d->vmcoreinfo ||
	     (d->vmcoreinfo >= (const char *)d->notes &&
	      d->vmcoreinfo + d->vmcoreinfo_len <= (const char *)d->notes + d->notes_len));
}

static void check_dump(struct dump *d, unsigned int how)
{
	static const uint32_t sizes[] = { 0, 4096, 16384, 65536 };
	struct bind_force force = { .page_size = sizes[how & 3],
				    .arch = how & 4 ? "armv7l" : NULL };
	struct err e = ERR_INIT;

	if (!dump_bind(d, archs, &force, &e)) {
		check_memory(d, true);
		check_facts(d);
	} else {
		must(e.code == ERR_NOMEM);
	}
}

/* The files of the input; how many there are. */
static unsigned int make_sources(const uint8_t *data, size_t size, bool set, struct source **s)
{
	size_t first = size;

	if (set && size >= 4) {
		first = MIN((size_t)load_u32(data, ORDER_LE), size - 4);
		data += 4;
		size -= 4;
	}
	s[0] = source_memory("first", data, first);
	s[1] = source_memory("second", data + first, size - first);
	must(s[0] && s[1]);
	return set ? 2 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log log = { .emit = check_text };
	struct err e = ERR_INIT;
	struct source *s[2];
	unsigned int nr;
	struct dump *d;

	if (!size)
		return 0;
	nr = make_sources(data + 1, size - 1, data[0] & 8, s);
	if (dump_open(s, nr, formats, &log, &d, &e)) {
		must(e.code != ERR_NONE && e.text[0]);
		source_close(s[0]);
		source_close(s[1]);
		return 0;
	}
	if (d->format == &kdump_format)
		check_dump(d, data[0]);
	if (nr == 1)
		source_close(s[1]);
	dump_close(d);
	return 0;
}
