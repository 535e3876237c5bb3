/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of a process: its memory by virtual address, and which files it had mapped. Of any
 * architecture, word size and byte order; cut short, lying, or both.
 *
 * usercore.c is headers, notes and memory; usercore_files.c the files, and what their first pages
 * in memory say; usercore_links.c the list of the dynamic loader, which confirms them.
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
#define USERCORE_MAX_GO 128
#define USERCORE_VDSO "[vdso]"

/* A file that was mapped, or an object that lies in memory without one (the vDSO). */
struct usercore_file {
	char *path; /* as the kernel wrote it, without " (deleted)"; USERCORE_VDSO; may be anything
		     */
	bool deleted;		     /* the name was gone when the process died */
	uint64_t start, end;	     /* of all its mappings */
	uint64_t map_start, map_end; /* the mapping of its lowest offset; 0: none is known */
	bool main, loader, vdso;
	bool elf;	 /* HEAD is in the core and begins as ELF */
	uint64_t head;	 /* where its first byte lies, if ELF; else 0 */
	size_t head_len; /* ELF header with program headers: as many bytes from there on */
	bool linked;	 /* the dynamic loader's list has it */
	char *link_name; /* what that list calls it, where that is another name; or NULL */
	uint64_t bias;	 /* what is added to its addresses, where LINKED or MAIN */
	uint8_t id[USERCORE_MAX_ID]; /* build-id out of the core */
	size_t id_len;		     /* 0: the core does not tell */
	char go_id[USERCORE_MAX_GO]; /* Go's own, which programs have that Go has linked; or "" */
	size_t number;		     /* private: while they are sorted */
};

struct usercore_segment;
struct usercore_map;

struct usercore {
	struct source *source; /* the caller's */
	uint16_t machine;      /* e_machine */
	uint8_t word;	       /* 4 or 8 */
	enum byte_order order;
	int32_t pid;		 /* in its own namespace; 0: unknown */
	char comm[17], args[81]; /* NT_PRPSINFO */
	char *execfn;		 /* AT_EXECFN's text, or NULL */
	uint8_t *auxv; /* NT_AUXV as it lies there, or NULL: no two processes have the same */
	size_t auxv_len;
	struct usercore_file *files; /* by start address; main first */
	size_t nr_files;
	bool truncated; /* segments go beyond the file's end */
	bool no_files;	/* it has no NT_FILE note: FILES are from the loader's list */
	bool no_list;	/* the loader's list is not there: a static program, or not in the core */
	bool by_loader; /* started as `ld.so PROGRAM`: for the kernel, and for gdb, that one is the program */
	bool list_cut;	/* the loader's list breaks off, loops, or points nowhere */
	/* private to usercore*.c */
	struct usercore_segment *segments; /* what has bytes, by address */
	size_t nr_segments;
	struct usercore_map *maps; /* of files, by address */
	size_t nr_maps, room;
	struct log *log;
	uint64_t budget; /* steps that opening may still take */
};

/* Does S begin as the core of a process: ET_CORE, without what kernel dumps have? */
bool usercore_probe(struct source *s);

/*
 * Read what is known. What makes no sense is left out and told to LOG; ERR_CORRUPT only where no
 * program header can be used, ERR_NOMEM. Undo with usercore_close(); S stays the caller's.
 */
int usercore_open(struct source *s, struct log *log, struct usercore **ret, struct err *e);
void usercore_close(struct usercore *u);

/*
 * Where the core has not the first page of the program (NO_LIST: coredump_filter(7), QEMU's user
 * mode), its file has: HEAD are its first LEN bytes. The loader's list is looked for once more;
 * files may come out in another order.
 */
int usercore_use_program(struct usercore *u, const void *head, size_t len, struct err *e);

/* Read memory of the process at ADDR. False where the core does not hold all of it. */
bool usercore_read(const struct usercore *u, uint64_t addr, void *buf, size_t len);

/* The same for who can do with less: how many bytes from ADDR on the core holds, at most LEN. */
size_t usercore_read_some(const struct usercore *u, uint64_t addr, void *buf, size_t len);

#endif
