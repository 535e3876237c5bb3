/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bundle read to its end, and compared with its manifest; for unbundle.c. */
#ifndef BUNDLE_CHECK_H
#define BUNDLE_CHECK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext/manifest.h"
#include "talk.h"

/* A member that is there. */
struct found {
	char *path, *link; /* LINK: it is one; or NULL */
	uint64_t size;
	uint8_t sha256[SHA256_BYTES];
	uint8_t id[ELFFILE_MAX_ID];
	size_t id_len;
	bool is_elf;   /* its build-id was looked for */
	bool no_space; /* there was no room to look for it */
};

struct bundle_check {
	/* for bundle_read() */
	const char *archive; /* NULL: standard input */
	uint64_t limit;	     /* bytes that its members may have; 0: sensibly many */
	bool names_only;     /* read no content but the manifest's */
	const char *target;  /* the folder it is unpacked in; NULL: in none */
	bool force;	     /* what was unpacked there before is replaced */
	struct talk *talk;

	/* what came of it */
	struct found *found;
	size_t nr_found, found_space;
	struct manifest manifest;
	bool has_manifest, incomplete, is_folder;
	bool locked;		/* by Landlock */
	struct err why;		/* of INCOMPLETE */
	char **problems;	/* what is not as the manifest says, for people */
	size_t nr_problems;	/* all of them */
	size_t kept_problems;	/* that have a text */
	uint64_t bytes;		/* of members */
	char top[NAME_MAX + 1]; /* the bundle's folder in TARGET; "" */

	/* private */
	int target_fd, top_fd, spool_fd;
	uint8_t *text; /* of the manifest */
	size_t text_len;
};

/*
 * Read it, unpack it to TOP.incomplete in TARGET, compare. -1: it cannot be read, or was made to do
 * harm; else 0, and nr_problems and incomplete say how it is. Undo with bundle_check_fini(), also
 * after a failure.
 */
int bundle_read(struct bundle_check *c, struct err *e);
/* It is good: TOP.incomplete becomes TOP. */
int bundle_keep(struct bundle_check *c, struct err *e);
void bundle_check_fini(struct bundle_check *c);

/* bundle_tell.c: a member as a manifest has it, into an array. */
struct json;
void json_put_member(struct json *j, const struct manifest_member *m);

#endif
