/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest of a bundle (dumptool-bundle(5)), which nobody vouches for, read by jansson. */
#ifndef MANIFEST_H
#define MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"
#include "err.h"
#include "sha256.h"

#define MANIFEST_MAX_SIZE ((size_t)16 << 20)

struct manifest_member {
	char *path; /* checked: name_check() */
	char *kind, *status;
	char *origin, *note, *link; /* or NULL */
	bool missing;		    /* it is not in the archive */
	uint64_t size;
	uint8_t sha256[SHA256_BYTES];
	uint8_t id[ELFFILE_MAX_ID];
	size_t id_len; /* 0: none */
};

struct manifest {
	char *version;
	char *dump, *dump_type;		 /* its path; "kernel" or "core" */
	char *program;			 /* or NULL */
	struct manifest_member *members; /* sorted by path */
	size_t nr_members;
};

/*
 * Parse LEN bytes of TEXT. ERR_CORRUPT, which names the member: what is missing, of another type,
 * twice, not below the bundle; ERR_UNSUPPORTED: a later schema that does not only add. Undo with
 * manifest_fini(), also after a failure.
 */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e);
void manifest_fini(struct manifest *m);

/* The member at PATH, or NULL. */
const struct manifest_member *manifest_find(const struct manifest *m, const char *path);

#endif
