/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MAIN_H
#define MAIN_H

#include <stdbool.h>

#include "err.h"

#define PROGRAM "dumptool"

/* Exit status. Under the name makedumpfile only 0, 1 and 2: 3 becomes 1, 4 becomes 0. */
enum status {
	STATUS_OK = 0, /* complete, also when more was kept than was asked for */
	STATUS_FAILED = 1,
	STATUS_MISMATCH = 2,   /* kernel and vmlinux differ */
	STATUS_INCOMPLETE = 3, /* output written but incomplete */
	STATUS_DAMAGED = 4,    /* output complete, but the input was damaged */
	STATUS_DIFFERENT = 5,  /* compared and different */
	STATUS_USAGE = 64,
};

/* One sub-command: a file, and a line in tools/link_*.c. */
struct command {
	const char *name;
	const char *aliases[2]; /* the program may be called by these names instead; NULL: none */
	bool elftool;	     /* kdump-elftool has it too */
	const char *summary; /* one line for `dumptool help` */
	/*
	 * ARGV[0] is the name it was called by: the command's, or its alias. Returns an exit
	 * status; on failure E says why and is printed by main(), unless its code is ERR_NONE.
	 */
	int (*run)(int argc, char **argv, struct err *e);
};

/* The commands of this link, NULL terminated. */
extern const struct command *const commands[];

/* Formats that this link has beyond the table of ../formats: drivers of last resort. */
struct format;
extern const struct format *const link_formats[];

extern const struct command filter_command, convert_command, dmesg_command, inspect_command,
	topelf_command, tovelf_command, makedyn_command, addrandoff_command, dumpmem_command,
	virttophys_command, bundle_command, unbundle_command;

/*
 * What to do about a wrong command line: prints nothing, sets E to "...; try 'dumptool NAME
 * --help'". Returns 64.
 */
int usage_error(struct err *e, const char *command, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --version: of the program and of the compression libraries. */
void print_version(void);

/* --formats: list_formats.c */
void print_formats(void);
/* The same, and the page tables of all architectures. */
void print_support(bool json);

/* Set by SIGINT, SIGTERM and SIGHUP: finish what is at hand, leave a marked file. */
extern volatile int interrupted;

#endif
