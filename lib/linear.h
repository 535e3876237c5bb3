/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the kernel has memory as a whole: its direct map, and its own image. For who writes the
 * virtual addresses of an ELF core for a dump that came without them.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include "dump.h"
#include "err.h"
#include "kernel.h"
#include "xlat.h"

/*
 * The pieces of D's memory that its page tables X map in the direct map, which is the distance
 * between virtual and physical addresses that most of memory has, and in the kernel's image, which
 * is the distance of SYMBOL(_stext); by virtual address. filesz is memsz, off 0. None where nothing
 * can be translated. ERR_NOMEM.
 */
int linear_segments(struct dump *d, const struct kernel *k, const struct xlat *x,
		    struct segment **ret, size_t *nr, struct err *e);

#endif
