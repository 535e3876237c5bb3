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
int extras_link(struct bundle *b, const char *name, const char *path, struct err *e);

/* What goes with the object P, which F is: auto-load scripts, .dwp, files of a language's run time.
 */
int extras_of(struct bundle *b, const struct usercore_file *f, const struct place *p,
	      struct err *e);

/* What goes with the process: the assemblies of .NET. */
int extras_of_all(struct bundle *b, const struct usercore *u, struct err *e);

#endif
