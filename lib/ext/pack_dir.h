/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An archive that is a plain folder. For pack.c. */
#ifndef PACK_DIR_H
#define PACK_DIR_H

#include "pack.h"

struct pack_dir;

int pack_dir_open(const char *path, int64_t mtime, struct pack_dir **ret, struct err *e);
int pack_dir_begin(struct pack_dir *d, const char *path, unsigned int mode, struct err *e);
int pack_dir_data(struct pack_dir *d, const void *data, size_t len, struct err *e);
int pack_dir_end(struct pack_dir *d, struct err *e);
int pack_dir_link(struct pack_dir *d, const char *path, const char *target, struct err *e);
/* Frees D, also after a failure. */
int pack_dir_commit(struct pack_dir *d, struct err *e);
void pack_dir_discard(struct pack_dir *d);

#endif
