/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile LiME image. It tells nothing of the machine: the first byte of the input stands for
 * what a user says.
 */
#include "formats.h"
#include "fuzz.h"

static const struct format *const only_lime[] = { &lime_format, NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bind_force force = { .page_size = 4096 };

	if (!size)
		return 0;
	force.page_size <<= data[0] % 5;
	force.arch = data[0] & 0x80 ? "x86_64" : NULL;
	fuzz_dump(data + 1, size - 1, only_lime, &force);
	return 0;
}
