/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF file as it lies on the disk, for the commands that change a few bytes of one. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "sink.h"
#include "source.h"

#define ET_EXEC 2
#define ET_DYN 3
#define E_TYPE_OFF 16 /* of e_type, in either class */

struct elf_file {
	struct source *source;
	unsigned int word; /* 4 or 8: of its class */
	enum byte_order order;
	uint16_t type, machine, phentsize, shentsize;
	uint64_t entry, phoff, shoff, phnum, shnum;
};

/* Open PATH and read its ELF header. Undo with elf_file_close(). */
int elf_file_open(const char *path, struct elf_file *ret, struct err *e);
void elf_file_close(struct elf_file *f);

struct elf_phdr {
	uint32_t type;
	uint64_t offset, filesz;
};
int elf_file_phdr(const struct elf_file *f, uint64_t i, struct elf_phdr *ret, struct err *e);

/* Where in the file a member of program header I lies: both are f->word bytes wide. */
uint64_t elf_file_offset_at(const struct elf_file *f, uint64_t i);
uint64_t elf_file_filesz_at(const struct elf_file *f, uint64_t i);

/* The value of NAME in the symbol table. ERR_MISSING. */
int elf_file_symbol(const struct elf_file *f, const char *name, uint64_t *ret, struct err *e);

/* The build-id in hexadecimal; false when there is none. */
bool elf_file_build_id(const struct elf_file *f, char ret[65]);

/* Copy all of it, with GAP bytes of zeros at offset AT; what is zeros stays a hole. */
int elf_file_copy(const struct elf_file *f, uint64_t at, uint64_t gap, struct sink *out,
		  struct err *e);

#endif
