/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of CPUs out of notes and out of memory, as the arch's tables lay them out. */
#ifndef CPUS_H
#define CPUS_H

#include "dump.h"
#include "err.h"

/* All that the notes of D, whose arch is known, hold; numbers in ORDER. */
void cpus_from_notes(struct dump *d, enum byte_order order);

/*
 * What the CPUs of D, whose arch and page map are known, stored at d->saved, where it has none yet.
 * What cannot be read is told and counted as damage. ERR_NOMEM.
 */
int cpus_from_memory(struct dump *d, struct err *e);

void cpus_free(struct dump *d);

#endif
