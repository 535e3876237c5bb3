/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reader (elf.c) and the writer (elf_write.c) of ELF cores both know of the layout (gabi).
 */
#ifndef FORMATS_ELF_H
#define FORMATS_ELF_H

#include "format.h"

#define EI_CLASS 4
#define EI_DATA 5
#define EHDR_MAX 64
#define PHDR_MAX 56
#define ET_CORE 4
#define PT_LOAD 1
#define PT_NOTE 4
#define PN_XNUM 0xffff
#define EF_INCOMPLETE 1 /* makedumpfile -E: DUMP_ELF_INCOMPLETE */

/* Sizes of the headers in a file of class WORD (4 or 8). */
static inline unsigned int elf_ehdr_size(unsigned int word)
{
	return word == 8 ? EHDR_MAX : 52;
}

static inline unsigned int elf_phdr_size(unsigned int word)
{
	return word == 8 ? PHDR_MAX : 32;
}

static inline unsigned int elf_shdr_size(unsigned int word)
{
	return word == 8 ? 64 : 40;
}

/* The writer's half of elf_format. */
int elf_begin_part(struct part *p, struct err *e);
int elf_put(struct part *p, const struct batch *b, struct err *e);
int elf_commit(struct part *p, struct err *e);
void elf_abandon(struct part *p);
void elf_finish(struct part *p);

#endif
