/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variables of the kernel that no table of symbols has, found by what they look like: for kernels
 * without CONFIG_KALLSYMS_ALL, as Debian's for all but x86-64 are.
 */
#ifndef KMEM_FIND_H
#define KMEM_FIND_H

#include "kmem.h"

/*
 * SYMBOL(modules) and SYMBOL(runqueues); each is looked for when it is asked for, by facts about
 * types. Last in order. As kallsyms_provider().
 */
struct fact_provider *kmem_find_provider(struct dump *d, const struct xlat *x,
					 const struct kernel *k);

#endif
