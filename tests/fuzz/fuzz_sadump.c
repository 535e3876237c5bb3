/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile SADUMP file, or two disks of a set. Input: 4 bytes, little-endian, the length of the first
 * file, or 0: there is one only. The files follow.
 */
#include "bytes.h"
#include "cleanup.h"
#include "formats.h"
#include "fuzz.h"
#include "source.h"

static const struct format *const only_sadump[] = { &sadump_format, NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *s[2];
	size_t first;

	if (size < 4)
		return 0;
	first = (size_t)MIN((uint64_t)load_u32(data, ORDER_LE), (uint64_t)size - 4);
	data += 4;
	size -= 4;
	if (!first) {
		fuzz_dump(data, size, only_sadump, NULL);
		return 0;
	}
	s[0] = source_memory("first", data, first);
	s[1] = source_memory("second", data + first, size - first);
	must(s[0] && s[1]);
	fuzz_set(s, 2, only_sadump, NULL);
	return 0;
}
