/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols that the kernel exports to modules (include/linux/export-internal.h, struct
 * kernel_symbol of kernel/module/internal.h): a kernel without CONFIG_KALLSYMS_ALL has no variables
 * in its table of symbols, but init_task, __per_cpu_offset and others are exported.
 */
#ifndef KSYMTAB_H
#define KSYMTAB_H

#include "kmem.h"

/*
 * SYMBOL facts by the table of exported symbols, which is looked for in the kernel image when the
 * first is asked for. As kallsyms_provider().
 */
struct fact_provider *ksymtab_provider(struct dump *d, const struct xlat *x,
				       const struct kernel *k);

#endif
