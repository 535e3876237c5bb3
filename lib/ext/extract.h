/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that nobody vouches for, or a folder, member by member: tar, compressed or not, and
 * zip, by libarchive, which starts no program for it. What a member may be called and may be is
 * decided here: regular files and relative symbolic links below one folder, each once. Whoever
 * takes the bytes does not have to ask again.
 */
#ifndef EXTRACT_H
#define EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct extract;

struct extract_member {
	const char *path; /* below the archive's folder; valid until the next member */
	const char *link; /* it is a symbolic link to this; else NULL */
	bool executable;
};

/*
 * PATH: a file, volumes (volumes.h), a folder, or NULL: standard input. LIMIT: bytes that its
 * members may have together; 0: a thousand times what the archive has, and 1 GiB whatever it has.
 *
 * Errors, here and below: ERR_UNREADABLE: it breaks off, what was read is good; ERR_CORRUPT:
 * damaged, or made to do harm; ERR_UNSUPPORTED: no archive.
 */
int extract_open(const char *path, uint64_t limit, struct extract **ret, struct err *e);
/* The same from descriptor FD, which it takes. */
int extract_fd(int fd, const char *name, uint64_t limit, struct extract **ret, struct err *e);
void extract_close(struct extract *x);

/* The next member: 1, and *RET; 0 at the end, which was checked to be one; -1. */
int extract_next(struct extract *x, struct extract_member *ret, struct err *e);

/*
 * The next bytes of a file: *LEN of them, at *OFF from its beginning (what lies between is zeros,
 * up to *OFF of the last piece, of no bytes, which is its size). 1; 0 behind that; -1.
 */
int extract_read(struct extract *x, const void **data, size_t *len, uint64_t *off, struct err *e);

/* How far it is, in bytes of the archive, and, unless that is NULL, of how many; 0: nobody knows.
 */
uint64_t extract_progress(const struct extract *x, uint64_t *total);

/* What all members lie below, "" for a folder, NULL before the first. */
const char *extract_folder(const struct extract *x);
/* Its name says that nobody has finished it. */
bool extract_unfinished(const struct extract *x);
bool extract_is_folder(const struct extract *x);

#endif
