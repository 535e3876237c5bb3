/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that are written as they are, each to a place in the file that is known before the first
 * one is: what the writers of ELF cores and of raw images share.
 */
#ifndef FORMATS_SLOTS_H
#define FORMATS_SLOTS_H

#include "format.h"

/* The place of page number I of the batch, in pages. */
typedef uint64_t (*slot_fn)(const struct batch *b, size_t i);

/*
 * Write B, uncompressed pages, to their slots behind offset BASE. Zero pages stay holes where the
 * sink has holes, else zeros are written. For pages that cannot be read nothing is written, but
 * zeros over what a device held there. What put() may return.
 */
int slots_put(struct part *p, const struct batch *b, uint64_t base, slot_fn slot, struct err *e);

/* Write LEN zeros at OFF. */
int zeros_put(struct sink *s, uint64_t off, uint64_t len, struct err *e);

#endif
