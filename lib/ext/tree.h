/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a folder, as if they were members of an archive. For extract.c. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct tree;

int tree_open(const char *path, struct tree **ret, struct err *e);
void tree_close(struct tree *t);

/* The next file, or link with its target, else NULL: 1; 0 at the end; -1. Strings live until the
 * next call. */
int tree_next(struct tree *t, const char **path, const char **link, bool *executable,
	      struct err *e);
/* Its next bytes: 1, *LEN is 0 at the end; -1. */
int tree_read(struct tree *t, const void **data, size_t *len, struct err *e);

#endif
