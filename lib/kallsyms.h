/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own table of symbols (scripts/kallsyms.c writes it, kernel/kallsyms.c reads it):
 * names compressed by tokens, and addresses in one of three conventions:
 *
 *   kallsyms_addresses  whole addresses; before 4.6, and without CONFIG_KALLSYMS_BASE_RELATIVE
 *
 *   kallsyms_offsets  32 bits, from kallsyms_relative_base on (4.6, commit 2213e9a66bb8)
 *
 *   the same, with CONFIG_KALLSYMS_ABSOLUTE_PERCPU: positive ones are addresses, negative ones
 * count from the base on (x86-64 up to 6.14)
 *
 * VMCOREINFO tells where the tables are since 6.0 (commit 5fd8fea935a1); before, they are looked
 * for in the kernel's read-only data. Which convention it is, the symbols that are known otherwise
 * decide.
 */
#ifndef KALLSYMS_H
#define KALLSYMS_H

#include "kmem.h"

#define SYMBOL_NAME_MAX 512 /* KSYM_NAME_LEN */

struct symbol {
	uint64_t addr;
	char type; /* as nm(1): 't' local, 'T' global text */
	char name[SYMBOL_NAME_MAX];
};

struct kallsyms;

/*
 * Read all of it: 8 to 12 bytes a symbol and its compressed name. ERR_MISSING: not found;
 * ERR_CORRUPT, ERR_UNREADABLE, ERR_NOMEM.
 */
int kallsyms_open(const struct kmem *m, struct kallsyms **ret, struct err *e);
void kallsyms_close(struct kallsyms *ks);

/* The first symbol of that name. */
bool kallsyms_find(const struct kallsyms *ks, const char *name, uint64_t *ret);
/* The first of that name from number *I on, whose number *I becomes. */
bool kallsyms_find_next(const struct kallsyms *ks, const char *name, uint32_t *i,
			struct symbol *ret);

/* The last symbol at or below ADDR, that is not of a per-CPU or absolute kind. */
bool kallsyms_at(const struct kallsyms *ks, uint64_t addr, struct symbol *ret);

/* Symbols in the order of the table: the one number I, false behind the last. */
bool kallsyms_get(const struct kallsyms *ks, uint32_t i, struct symbol *ret);
uint32_t kallsyms_count(const struct kallsyms *ks);

/* Those whose names are none, whose kinds no kernel has, or that are not in their order. */
uint32_t kallsyms_damaged(const struct kallsyms *ks);

/*
 * SYMBOL facts by this table, loaded when the first is asked for. DUMP, X and K outlive it; it is
 * added to K. NULL when out of memory.
 */
struct fact_provider *kallsyms_provider(struct dump *d, const struct xlat *x,
					const struct kernel *k);

/* The table of such a provider in K, loaded now if it was not; why not, in E. NULL then. */
const struct kallsyms *kernel_kallsyms(const struct kernel *k, struct err *e);

#endif
