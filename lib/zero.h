/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does memory hold nothing but zeros? The test that every page of a dump goes through. */
#ifndef ZERO_H
#define ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * LEN is a multiple of 64. Stops at the first 64 bytes that are not zero; the compiler makes
 * vectors of the inside.
 */
static inline bool is_zero(const uint8_t *p, size_t len)
{
	size_t i, j;

	for (i = 0; i < len; i += 64) {
		uint64_t word[8], any = 0;

		memcpy(word, p + i, sizeof(word));
		for (j = 0; j < 8; j++)
			any |= word[j];
		if (any)
			return false;
	}
	return true;
}

#endif
