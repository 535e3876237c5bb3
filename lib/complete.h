/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts that classification and the kernel log cannot do without, and VMCOREINFO does not tell, out
 * of deeper sources: just these. To ask for every fact of every era would mislead: which of them a
 * kernel exports tells what its struct pages mean.
 */
#ifndef COMPLETE_H
#define COMPLETE_H

#include "dump.h"
#include "kernel.h"

/* Addresses first: what they are of decides what else is needed. */
enum complete_pass { COMPLETE_SYMBOLS, COMPLETE_TYPES };

/* Knows nothing at first. NULL when out of memory. */
struct fact_provider *completion_provider(void);

/*
 * Does K, P among its providers, lack a fact of that PASS that LEVEL (dump level bits; 0: the log
 * alone) needs?
 */
bool completion_lacks(const struct kernel *k, const struct dump *d, int level,
		      enum complete_pass pass);

/* Ask DEEP for all that are lacking, for P to know. Returns how many it learned. */
unsigned int completion_ask(struct fact_provider *p, const struct kernel *k, const struct dump *d,
			    int level, enum complete_pass pass, const struct kernel *deep);

/* "OFFSET(page.flags) by BTF, ...": what P knows, cut to fit; "" for nothing. */
void completion_text(const struct fact_provider *p, char *buf, size_t size);

#endif
