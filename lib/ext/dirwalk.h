/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that lies below a folder, sorted by name, links not followed. Not by fts(3): glibc's takes an
 * error in the midst of a folder for its end, which on a 32-bit host any large inode is.
 */
#ifndef DIRWALK_H
#define DIRWALK_H

#include <stdbool.h>

#include "err.h"

struct dirwalk;

struct dirwalk_entry {
	const char *path; /* below the folder; lives until the next call */
	const char *name; /* its last part */
	bool is_file, is_link;
};

/* DEEP: folders in it, too. Errors of the system: ERR_IO, ERR_NOMEM. */
int dirwalk_open(const char *path, bool deep, struct dirwalk **ret, struct err *e);
void dirwalk_close(struct dirwalk *w);

/*
 * The next one that is no folder: 1; 0 at the end; -1 for a folder that cannot be read: the next
 * call goes on behind it.
 */
int dirwalk_next(struct dirwalk *w, struct dirwalk_entry *ret, struct err *e);

#endif
