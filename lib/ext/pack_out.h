/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where an archive's bytes go: a file, a descriptor, volumes. For pack.c. */
#ifndef PACK_OUT_H
#define PACK_OUT_H

#include "pack.h"

struct pack_out;

int pack_out_open(const char *path, int fd, uint64_t volume, bool force, struct pack_out **ret,
		  struct err *e);
int pack_out_write(struct pack_out *o, const void *data, size_t len, struct err *e);
uint64_t pack_out_written(const struct pack_out *o);
/* Make it durable, give it its name. Frees O, also after a failure; then nothing has its name. */
int pack_out_commit(struct pack_out *o, struct err *e);
void pack_out_discard(struct pack_out *o);

#endif
