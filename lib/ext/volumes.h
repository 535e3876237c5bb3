/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of an archive: of one file, of a stream, of volumes NAME.001, NAME.002 ... one after
 * another. */
#ifndef VOLUMES_H
#define VOLUMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct volumes;

/*
 * PATH: a file, or the name of volumes with or without their number; NULL: standard input.
 * ERR_UNREADABLE where one in the middle is missing.
 */
int volumes_open(const char *path, struct volumes **ret, struct err *e);

/*
 * Set that is already open: takes FD, reads it from where it is. For tests and for what is no path.
 */
int volumes_of_fd(int fd, const char *name, struct volumes **ret, struct err *e);

void volumes_close(struct volumes *v);

/* The name, for messages. */
const char *volumes_name(const struct volumes *v);
/* It says by its name that nobody has finished it. */
bool volumes_unfinished(const struct volumes *v);

/* The next piece: *RET, valid until the next call, of *LEN bytes; 0 at the end. */
int volumes_read(struct volumes *v, const void **ret, size_t *len, struct err *e);
/* The first bytes, before any is read: as many as there are, up to LEN. */
int volumes_peek(struct volumes *v, void *ret, size_t len, size_t *got, struct err *e);

/* Where all are files: their size together, and reading goes on at OFF. -1 where it is a stream. */
int64_t volumes_size(const struct volumes *v);
bool volumes_seek(struct volumes *v, uint64_t off);
/* Bytes read so far; with seeks, the highest. */
uint64_t volumes_at(const struct volumes *v);
bool volumes_ended(const struct volumes *v);

#endif
