/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space of a kernel as an ELF core, for commands that have its dump open already. */
#ifndef TOVELF_H
#define TOVELF_H

#include "job.h"

/*
 * Write what tovelf writes of the session of JOB, to what JOB's open_output() opens; its options name
 * the input, what is kept, and how many threads. The session stays open, and is JOB's. Returns an exit status.
 */
int tovelf_write(struct job *job, struct err *e);

#endif
