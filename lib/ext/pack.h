/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that is written as it is made: members come one after another, nothing is staged. By
 * libarchive, or as a plain folder. Owner, mode, order and times are given by the caller alone, so
 * that the same members make the same bytes. Every member gets its SHA-256 on the way.
 */
#ifndef PACK_H
#define PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "sha256.h"
#include "sink.h"

enum pack_format {
	PACK_TAR_ZST,
	PACK_TAR_XZ,
	PACK_TAR_GZ,
	PACK_TAR_BZ2,
	PACK_TAR,
	PACK_ZIP,
	PACK_DIR
};

struct pack_opts {
	enum pack_format format;
	int level;	      /* of the compression; 0: the default */
	unsigned int threads; /* 0: as there are CPUs, where the compressor can */
	int64_t mtime;	      /* of all members, seconds since 1970; a zip's have none */
	const char
		*folder; /* all members are below this one, a single name; PACK_DIR: PATH is it */
	uint64_t volume; /* bytes of one volume NAME.001, NAME.002 ...; 0: one file */
	bool force;	 /* overwrite; never a folder */
};

struct pack;

/*
 * The format that a file name's end asks for (".tar.zst", ".tzst", ".tar.xz", ".tgz" ...), or that
 * is called NAME ("tar.zst", "dir"); -1: none.
 */
int pack_format_of(const char *name);
const char *pack_format_name(enum pack_format f);

/*
 * Begin an archive called PATH, which grows as PATH.incomplete until pack_commit(); NULL: into
 * descriptor FD, which stays the caller's. Undo with pack_commit() or pack_discard().
 */
int pack_open(const char *path, int fd, const struct pack_opts *o, struct pack **ret,
	      struct err *e);

/* A regular file of SIZE bytes, PATH relative and without "..", MODE 0644 or 0755. */
int pack_begin(struct pack *p, const char *path, uint64_t size, unsigned int mode, struct err *e);
int pack_data(struct pack *p, const void *data, size_t len, struct err *e);
/* It is whole: ERR_CORRUPT when fewer bytes came than were said. Its digest. */
int pack_end(struct pack *p, uint8_t ret[SHA256_BYTES], struct err *e);
/* A symbolic link to TARGET, relative, below the folder. */
int pack_link(struct pack *p, const char *path, const char *target, struct err *e);

/* Bytes of archive so far; what is being compressed is not among them. */
uint64_t pack_written(const struct pack *p);

/*
 * All is in: end the archive, make it durable, give it its name. Frees P, also after a failure.
 * *RET: its bytes, unless that is NULL.
 */
int pack_commit(struct pack *p, uint64_t *ret, struct err *e);
/* Throw it away. NULL is allowed. */
void pack_discard(struct pack *p);

#endif
