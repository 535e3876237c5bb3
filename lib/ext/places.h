/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where files lie on a machine, or below a folder that stands for another one's root (--root). A
 * file is opened once and looked at through that descriptor alone, so that it cannot be exchanged
 * between the look and the copy. Symbolic links are followed inside the root (openat2(),
 * RESOLVE_IN_ROOT). Only regular files are opened, and nothing waits for a FIFO's other end.
 */
#ifndef PLACES_H
#define PLACES_H

#include <stdint.h>

#include "dwo.h"
#include "elffile.h"
#include "err.h"
#include "fetch.h"

#define PLACES_MAX_ROOTS 8

struct places {
	const char *roots[PLACES_MAX_ROOTS]; /* --root, in order; none: "/" */
	unsigned int nr_roots;
	const char *debug[PLACES_MAX_ROOTS]; /* --debug-path, looked at first */
	unsigned int nr_debug;
	fetch_fn fetch; /* --debuginfod: asked when nothing else has it; NULL: not */
	int pid; /* /proc/PID/root, map_files while it lives; 0: none */
};

/* A file that was found. */
struct place {
	int fd;
	/* As it is called below its root; --debug-path stands for /usr/lib/debug. */
	char path[4096];
	char origin[4096]; /* as it is called here */
	uint64_t size;
	struct elffile elf; /* where it is ELF: elf.type is not 0 */
};

/* The file PATH in the first root that has it. ERR_MISSING: in none; ERR_UNSUPPORTED: no regular file. */
int places_open(const struct places *p, const char *path, struct place *ret, struct err *e);

/*
 * The file with build-id ID, SUFFIX "" (the object) or ".debug": --debug-path and its .build-id, then
 * /usr/lib/debug/.build-id, /usr/lib/.build-id, the cache of debuginfod's clients. Its build-id was
 * compared. ERR_MISSING.
 */
int places_by_id(const struct places *p, const uint8_t *id, size_t len, const char *suffix,
		 struct place *ret, struct err *e);

/*
 * The debug file of F, which was found at PATH: by build-id, then by .gnu_debuglink (same folder,
 * .debug/, each debug folder + path), CRC compared. ERR_MISSING; *BY_LINK: by name and CRC.
 */
int places_debug(const struct places *p, const struct place *f, bool *by_link, struct place *ret,
		 struct err *e);

/* The dwz file that F refers to. */
int places_alt(const struct places *p, const struct place *f, struct place *ret, struct err *e);

/*
 * The .dwo file that D means, a skeleton unit of F: at MADE, where it was written (NULL: that is not
 * told), below the debug folders, beside F; its unit was compared. ERR_MISSING.
 */
int places_dwo(const struct places *p, const struct place *f, const struct dwo *d, const char *made,
	       struct place *ret, struct err *e);

/*
 * The file that the living process has mapped from START to END, be its name gone; named as /proc has
 * it. ERR_MISSING; who asks needs rights over the process.
 */
int places_mapped(const struct places *p, uint64_t start, uint64_t end, struct place *ret,
		  struct err *e);

/* The file PATH below the --debug-path number I. As places_open(). */
int places_open_debug(const struct places *p, unsigned int i, const char *path, struct place *ret,
		      struct err *e);

/* A file that the user named, wherever it is. */
int place_named(const char *path, struct place *ret, struct err *e);

void place_close(struct place *f);

#endif
