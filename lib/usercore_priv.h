/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of usercore share. */
#ifndef USERCORE_PRIV_H
#define USERCORE_PRIV_H

#include "note.h"
#include "usercore.h"

/* A path of the kernel's is no longer than a page, whatever its size. */
#define USERCORE_MAX_PATH 4096

enum {
	PT_LOAD_TYPE = 1,
	PT_DYNAMIC_TYPE = 2,
	PT_INTERP_TYPE = 3,
	PT_NOTE_TYPE = 4,
	PT_PHDR_TYPE = 6
};

struct usercore_segment {
	uint64_t vaddr, size, off;
};

/* One mapping of a file. */
struct usercore_map {
	uint64_t start, end, off;
	size_t file;
};

/* What the kernel told the program at its start (Linux include/uapi/linux/auxvec.h). 0: not told.
 */
struct usercore_auxv {
	uint64_t phdr, phent, phnum, base, execfn, vdso;
};

struct usercore_phdr {
	uint32_t type;
	uint64_t offset, vaddr, filesz, memsz;
};

/* Program headers that lie in memory. */
struct usercore_image {
	uint64_t at; /* the ELF header; 0: only program headers are known */
	uint64_t phdrs;
	uint8_t word; /* its own: a program maps what it likes */
	enum byte_order order;
	uint64_t shoff;
	uint16_t type, phentsize, phnum, shentsize, shnum;
	uint8_t raw[64 * 56]; /* the program headers */
	unsigned int nr;      /* that were read */
	uint64_t bias;
	const uint8_t *file; /* the beginning of its file, where that was given, or NULL */
	size_t file_len;
};

struct usercore_auxv usercore_auxv(const struct usercore *u);
/* While opening: usercore_read() as long as the budget lasts. */
bool usercore_look(struct usercore *u, uint64_t addr, void *buf, size_t len);
/* A text of at most USERCORE_MAX_PATH bytes, malloc()ed; NULL when there is none, or no memory. */
char *usercore_text(struct usercore *u, uint64_t addr);
/* ADDR as the core's word has it. */
uint64_t usercore_wrap(const struct usercore *u, uint64_t addr);

/* usercore_files.c */
int usercore_add_files(struct usercore *u, const struct note *n, struct err *e);
int usercore_add_file(struct usercore *u, const char *path, uint64_t addr, size_t *ret,
		      struct err *e);
/* The number of the file that is mapped at ADDR. */
bool usercore_file_at(const struct usercore *u, uint64_t addr, size_t *ret);
/* The ELF object whose header lies at AT. False when none is there in the core. */
bool usercore_image(struct usercore *u, uint64_t at, struct usercore_image *ret);
/* Program headers alone, as AT_PHDR has them. */
bool usercore_image_phdrs(struct usercore *u, const struct usercore_auxv *a,
			  struct usercore_image *ret);
bool usercore_image_phdr(const struct usercore_image *img, unsigned int i,
			 struct usercore_phdr *ret);
bool usercore_image_find(const struct usercore_image *img, uint32_t type,
			 struct usercore_phdr *ret);
/* Program headers that the file has, of an object whose own are at PHDRS in memory. */
bool usercore_image_file(struct usercore *u, const void *head, size_t len, uint64_t phdrs,
			 struct usercore_image *ret);
/* Head and build-id of F, whose first byte lies at AT. */
void usercore_head(struct usercore *u, struct usercore_file *f, uint64_t at);
int usercore_look_at_files(struct usercore *u, const struct usercore_auxv *a, struct err *e);
void usercore_sort_files(struct usercore *u);

/* usercore_links.c: main program, loader, list of the loader. */
int usercore_add_links(struct usercore *u, const struct usercore_auxv *a, struct err *e);

#endif
