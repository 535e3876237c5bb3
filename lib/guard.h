/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is never dropped, whatever the struct pages say: the kernel image (less what the kernel
 * itself freed of it), page tables, the stacks of running tasks, the log buffer, and what
 * VMCOREINFO's own symbols point at.
 */
#ifndef GUARD_H
#define GUARD_H

#include "classify.h"

/* Put such pages back into c->keep; counts them in c->guarded and completes c->explain. */
void guard_run(struct classify *c);

#endif
