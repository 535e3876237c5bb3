/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of an archive's members: which are allowed, and which were there before. What is made is
 * held to the same rules as what is read.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define NAMES_MAX_PATH 4095
#define NAMES_MAX_MEMBERS 1000000u

/*
 * Is PATH one of a member: relative, no empty, "." or ".." component, not longer than the system's?
 * ERR_CORRUPT, which names it.
 */
int name_check(const char *path, struct err *e);

/*
 * May a symbolic link at PATH point to TARGET? Relative, ".." at its beginning alone (behind
 * another link it would climb from somewhere else), and not above PATH's first KEEP components.
 * ERR_CORRUPT.
 */
int link_check(const char *path, const char *target, unsigned int keep, struct err *e);

/* TEXT with what does not print as \xNN, for messages: into BUF of SIZE bytes, which is returned.
 */
const char *name_shown(const char *text, char *buf, size_t size);

/* Names that were there. */
struct names;

int names_new(struct names **ret, struct err *e);
void names_free(struct names *n);

/*
 * One member more: of a new name, no member a folder of another one's; a link's name not one that
 * differs in upper and lower case alone. ERR_CORRUPT, ERR_NOMEM.
 */
int names_add(struct names *n, const char *path, bool link, struct err *e);

#endif
