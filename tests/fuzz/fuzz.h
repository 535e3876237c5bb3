/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct bind_force;
struct format;
struct source;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The same of NR sources, of which the first names the format; they are closed.
 */
void fuzz_set(struct source **sources, unsigned int nr, const struct format *const *formats,
	      const struct bind_force *force);

/*
 * The input as a dump in one of FORMATS, opened, bound, and read to the end (whole_dump.c). FORCE
 * may be NULL.
 */
void fuzz_dump(const uint8_t *data, size_t size, const struct format *const *formats,
	       const struct bind_force *force);

/* An assertion that no NDEBUG takes out, and that a fuzzer takes for a crash. */
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))

static inline void must_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
	abort();
}

/* Look at every byte: the sanitizer tells when one is not there. */
static inline void touch(const void *p, size_t len)
{
	const volatile uint8_t *byte = p;

	while (len--)
		(void)*byte++;
}

#endif
