/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of gdb that opens what tovelf wrote. */
#ifndef GDB_LINE_H
#define GDB_LINE_H

#include <stdbool.h>

#include "session.h"
#include "talk.h"

struct gdb_line {
	const char *core;
	const char *vmlinux; /* NULL: not named */
	bool percpu_at_0;    /* symbols of per-CPU variables count from there */
	bool user;	     /* of a process */
};

/* Where the script for gdb is: that of a build tree comes before what is installed. False: nowhere. */
bool gdb_script_find(char *ret, size_t size);

void gdb_line_print(struct talk *t, const struct session *s, const struct gdb_line *line);

#endif
