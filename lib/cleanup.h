/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope attributes: a local that frees itself. */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <stdlib.h>

static inline void cleanup_free_fn(void *p)
{
	free(*(void **)p);
}

#define _cleanup_free_ __attribute__((cleanup(cleanup_free_fn)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Round up to a multiple of A, a power of two. */
#define ALIGN_UP(x, a) (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))

#endif
