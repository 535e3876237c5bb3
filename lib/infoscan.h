/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMCOREINFO in memory, for dumps without the note: the kernel keeps the text in a page of its own
 * and, from the crash on, as a note in another (kernel/vmcore_info.c: vmcoreinfo_data,
 * vmcoreinfo_note; each begins at a page).
 */
#ifndef INFOSCAN_H
#define INFOSCAN_H

#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "progress.h"

/* Candidates that are kept: those with the lowest addresses. Each is tried, which may take seconds. */
#define INFOSCAN_MAX 16

struct infoscan_found {
	uint64_t paddr; /* of the text */
	size_t len;
	char *text; /* not terminated */
};

struct infoscan {
	unsigned int threads;
	const volatile int *interrupted; /* may be NULL */
	struct progress *progress;	 /* may be NULL; counts pages */
	/* the result, by ascending addresses */
	struct infoscan_found found[INFOSCAN_MAX];
	unsigned int nr;
};

/*
 * Look through all pages of D, which is bound; texts of an earlier kernel, copies in files and torn
 * ones come too. ERR_INTERRUPTED, ERR_NOMEM. Undo with infoscan_fini(), after a failure too.
 */
int infoscan_run(struct infoscan *s, struct dump *d, struct err *e);
void infoscan_fini(struct infoscan *s);

#endif
