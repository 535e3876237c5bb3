/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What debuggers want beside the objects of a process, each by a row of a table (bundle_extras.c).
 */
#ifndef BUNDLE_EXTRAS_H
#define BUNDLE_EXTRAS_H

#include "bundle.h"

/*
 * PATH without "//", "/./" and, by its text, "/../", as loaders call what they found beside a
 * program; malloc()ed. NULL where it is not absolute, or climbs above the root.
 */
char *extras_tidy(const char *path);

/* NAME, which may be NULL or anything, is another name of the file at PATH: a symbolic link, if it
 * can be one. */
int extras_link(struct bundle *b, enum member_kind kind, const char *name, const char *path,
		struct err *e);

/*
 * The file PATH, which nothing in the core confirms. Where it is not there MISSING is said, NULL:
 * nothing. *RET: it is.
 */
int extras_add(struct bundle *b, const char *path, const char *missing, bool *ret, struct err *e);

/* bundle_autoload.c: the scripts that gdb loads with the object P. */
int autoload_of(struct bundle *b, const struct place *p, struct err *e);

/* What goes with the object P: auto-load scripts, files of a language's run time. */
int extras_of(struct bundle *b, const struct place *p, struct err *e);

/* What goes with the process: the assemblies of .NET. */
int extras_of_all(struct bundle *b, const struct usercore *u, struct err *e);

#endif
