/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that are stored compressed, one by one: for maps of formats such as kdump. A reader keeps
 * the last few it has expanded, because struct pages and page tables are met again and again.
 */
#ifndef STORED_H
#define STORED_H

#include "dump.h"

/* Bytes of expanded pages that a reader keeps. */
#define EXPANDED_BYTES ((size_t)128 << 10)

/*
 * S, of SIZE bytes (a power of two, at most SOURCE_SLACK) when expanded, in the reader's cache, or in
 * place where it is stored as it is. Valid until the next call. NULL with ERR_CORRUPT,
 * ERR_UNSUPPORTED (a codec this link has not) or ERR_NOMEM.
 */
const uint8_t *stored_expand(struct reader *r, const struct stored *s, size_t size, struct err *e);

/* For dump.c: give back what a reader keeps. */
void stored_fini(struct reader *r);

#endif
