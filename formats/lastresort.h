/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drivers that a link may have beyond the table: in an archive of their own, for their libraries.
 */
#ifndef LASTRESORT_H
#define LASTRESORT_H

#include "format.h"

extern const struct format libkdumpfile_format;

/*
 * Is S a file that libkdumpfile survives, as far as is known? It trusts what it reads, also in its
 * newest version, 0.5.6. ERR_UNSUPPORTED, ERR_CORRUPT.
 */
int lastresort_check(struct source *s, struct err *e);

/*
 * Tell FOUND each page that an LKCD dump has, in the order of the file; what FOUND fails with ends
 * it. ERR_UNREADABLE, ERR_CORRUPT: the list breaks off there.
 */
int lkcd_list(struct source *s, enum byte_order order, uint64_t page_size,
	      int (*found)(void *priv, uint64_t pfn, struct err *e), void *priv, struct err *e);

/*
 * Where in memory the CPUs of an S390DUMP stored their registers: *RET, *NR of them, freed with
 * free(); none where S is another dump, or one that does not tell. ERR_NOMEM; a header that cannot
 * be read tells nothing.
 */
int s390dump_list_cpus(struct source *s, uint64_t **ret, unsigned int *nr, struct err *e);

#endif
