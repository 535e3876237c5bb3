/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw memory of up to four files, anywhere. Input: how many files, and how often a page of 4 KiB is
 * doubled; for each file its address (8 bytes, little-endian) and length (2 bytes); then all of them.
 */
#include "bytes.h"
#include "cleanup.h"
#include "formats.h"
#include "fuzz.h"
#include "source.h"

#define MAX_FILES 4u

static const struct format *const only_raw[] = { &raw_format, NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = bytes_init(data, size, ORDER_LE, "input", 0);
	unsigned int how = bytes_u8(&b), nr = how % MAX_FILES + 1, i;
	struct bind_force force = { .page_size = 4096u << how / MAX_FILES % 5 };
	uint64_t base[MAX_FILES];
	size_t len[MAX_FILES];
	struct source *s[MAX_FILES];

	for (i = 0; i < nr; i++) {
		base[i] = bytes_u64(&b);
		len[i] = bytes_u16(&b);
	}
	if (b.overrun)
		return 0;
	for (i = 0; i < nr; i++) {
		len[i] = MIN(len[i], bytes_left(&b));
		s[i] = source_memory("file", bytes_get(&b, len[i]), len[i]);
		must(s[i]);
		source_set_base(s[i], base[i]);
	}
	fuzz_set(s, nr, only_raw, &force);
	return 0;
}
