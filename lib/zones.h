/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes and zones of the page allocator: what it counts, and the lists of its free blocks. */
#ifndef ZONES_H
#define ZONES_H

#include <stdbool.h>
#include <stdint.h>

#include "classify.h"

/* Free pages by the kernel's own counters; UINT64_MAX when they cannot be had. */
uint64_t zones_free_pages(const struct classify *c);

/* Is known what it takes to find the free blocks on their lists? */
bool zones_have_lists(const struct kernel *k);

/*
 * Clear what is on the free lists, for kernels whose struct pages do not tell what is free. A list
 * that is not whole counts as empty: its pages stay, and c->log is told. ERR_NOMEM,
 * ERR_INTERRUPTED.
 */
int zones_drop_free(struct classify *c, struct err *e);

#endif
