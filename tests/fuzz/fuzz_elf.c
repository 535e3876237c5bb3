/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hostile ELF core; what looks like another format goes there. */
#include "formats.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_dump(data, size, formats, NULL);
	return 0;
}
