/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types by DWARF: an index of what stands at the top of each unit, and members. */
#ifndef DWARF_TYPES_H
#define DWARF_TYPES_H

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "btf.h"
#include "err.h"
#include "kernel.h"

struct dwarf_types;

/* One pass over all units of D, which outlives it. ERR_CORRUPT, ERR_NOMEM. */
int dwarf_types_open(Dwarf *d, struct dwarf_types **ret, struct err *e);
void dwarf_types_close(struct dwarf_types *t);

/*
 * The type NAME and what it refers to, as BTF in which it has number 1. ERR_MISSING; ERR_CORRUPT,
 * ERR_NOMEM.
 */
int dwarf_types_btf(struct dwarf_types *t, const char *name, enum byte_order order, uint8_t word,
		    struct btf **ret, struct err *e);

/* OFFSET, WIDTH, SIZE, LENGTH and NUMBER facts. */
bool dwarf_types_fact(struct dwarf_types *t, enum fact_kind kind, const char *name, uint64_t *ret);

#endif
