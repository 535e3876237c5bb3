/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers as notes, where a dump has them otherwise: in a SADUMP header, in a table of a Xen
 * dump-core, in memory (S390DUMP).
 */
#ifndef CPUNOTES_H
#define CPUNOTES_H

#include "dump.h"
#include "err.h"

/*
 * The notes that D, which is bound, lacks: for each CPU one of each kind that its arch marks as
 * `made`, when it has registers for it and no note of that kind. Appended to *buf, grown with
 * realloc(), behind its *len bytes. A CPU whose task is not known gets its number from 1 on for a
 * pid, as in QEMU's dumps (target/i386/arch_dump.c): gdb takes two threads of one id for one.
 * ERR_NOMEM.
 */
int cpunotes_append(const struct dump *d, uint8_t **buf, size_t *len, struct err *e);

#endif
