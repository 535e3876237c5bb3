/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of a process: its memory by virtual address, and which files it had mapped. Of any
 * architecture, word size and byte order; cut short, lying, or both.
 *
 * Facts: Linux fs/binfmt_elf.c (fill_files_note(), fill_auxv_note()), include/uapi/linux/auxvec.h;
 * glibc elf/link.h (struct r_debug, struct link_map); gabi for DT_DEBUG.
 */
#ifndef USERCORE_H
#define USERCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "log.h"
#include "source.h"

#define USERCORE_MAX_ID 64

/* A file that was mapped, or an object that lies in memory without one (the vDSO). */
struct usercore_file {
	char *path;   /* as the kernel wrote it, without " (deleted)"; "[vdso]" */
	bool deleted; /* the name was gone when the process died */
	uint64_t start, end; /* of all its mappings */
	bool main, loader, vdso;
	bool elf;	/* its first page is in the core and begins as ELF */
	bool mapped_head; /* a mapping of file offset 0 exists */
	bool linked;	/* the dynamic loader's list has it */
	char *link_name; /* what that list calls it, where that is another name; or NULL */
	uint64_t bias;	/* what is added to its addresses, where LINKED or MAIN */
	uint8_t id[USERCORE_MAX_ID]; /* build-id out of the core */
	size_t id_len;	/* 0: the core does not tell */
};

struct usercore {
	struct source *source; /* the caller's */
	uint16_t machine;      /* e_machine */
	uint8_t word;	       /* 4 or 8 */
	enum byte_order order;
	int32_t pid;	       /* 0: unknown */
	char comm[17], args[81]; /* NT_PRPSINFO */
	char *execfn;	       /* AT_EXECFN's text, or NULL */
	struct usercore_file *files; /* by start address; main first */
	size_t nr_files;
	bool truncated;	       /* segments go beyond the file's end */
	bool no_files;	       /* it has no NT_FILE note */
	bool list_cut;	       /* the loader's list breaks off, loops, or points nowhere */
};

/* Does S begin as the core of a process: ET_CORE, without what kernel dumps have? */
bool usercore_probe(struct source *s);

/*
 * Read what is known. What makes no sense is left out and told to LOG; ERR_CORRUPT only where no
 * program header can be used. Undo with usercore_close(); S stays the caller's.
 */
int usercore_open(struct source *s, struct log *log, struct usercore **ret, struct err *e);
void usercore_close(struct usercore *u);

/* Read memory of the process at ADDR. False where the core does not hold all of it. */
bool usercore_read(const struct usercore *u, uint64_t addr, void *buf, size_t len);

#endif
