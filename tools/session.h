/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dump opened for use: source, format, architecture, kernel facts, address translation. What
 * every command begins with.
 */
#ifndef SESSION_H
#define SESSION_H

#include <getopt.h>
#include <stdio.h>

#include "assume.h"
#include "dump.h"
#include "format.h"
#include "kernel.h"
#include "log.h"
#include "progress.h"
#include "xlat.h"

struct session {
	struct dump *dump;
	struct kernel kernel;
	struct xlat xlat;
	/* its vmlinux, or NULL; the kernel's once it is among its providers */
	struct fact_provider *vmlinux;
	const char *vmlinux_path; /* that the user named */
	bool vmlinux_doubtful; /* another kernel's: what the dump itself tells goes before */
	bool vmlinux_added, deep, completed, short_of_memory;
	bool searched; /* memory was looked through for VMCOREINFO */
	char *assumed; /* facts that the user gave, which KERNEL points into; or NULL */
	struct err
		no_xlat; /* why kernel addresses cannot be translated, when xlat.paging is NULL */
};

/* How inputs are opened. Begins as zeros. */
struct input_opts {
	unsigned int source_flags; /* for source_open() */
	struct spool_opts spool;
	struct assume assume;
	struct progress *progress; /* of the search for VMCOREINFO; NULL: nobody looks */
	const char *vmlinux;	/* a file; NULL: the usual places, when types are asked for */
	bool force_vmlinux;	/* another kernel's will do */
	const char *vmcoreinfo; /* a file, "scan", "none"; NULL: the note, else memory */
};

/* getopt values of the options that every command which reads dumps takes. */
enum { INPUT_OPT_FIRST = 0x1000, INPUT_OPT_ARCH = INPUT_OPT_FIRST, INPUT_OPT_PAGE_SIZE,
       INPUT_OPT_ASSUME, INPUT_OPT_VMCOREINFO, INPUT_OPT_VMLINUX,
       INPUT_OPT_SPOOL_DIR, INPUT_OPT_SPOOL_LIMIT, INPUT_OPT_LAST };

#define NR_INPUT_OPTIONS (INPUT_OPT_LAST - INPUT_OPT_FIRST)

/* Put their rows, and one that ends the table, behind the NR rows of LONGS. */
void input_options_add(struct option *longs, size_t nr);
/* Their lines of --help; what an option is for begins in column COLUMN. */
void input_options_help(FILE *f, int column);
/* Take one of them. ERR_USAGE. */
int input_option(struct input_opts *o, int id, const char *arg, struct err *e);

/* "scan", "none", or a file that begins as VMCOREINFO does: nothing else is meant by it. */
bool session_is_vmcoreinfo(const char *arg);

/*
 * The sources of NR operands, with what they were wrapped in taken off: files, "-" for standard
 * input, FILE@ADDR for raw memory that begins at physical address ADDR. Undo with close_sources().
 */
int open_sources(char *const *names, unsigned int nr, const struct input_opts *o, struct log *log,
		 struct source **ret, struct err *e);
void close_sources(struct source **sources, unsigned int nr);

/* The format of S in all tables of this link, or NULL. */
const struct format *recognise(struct source *s);

/*
 * Open what NR operands name as one dump. What is not known about the kernel is no error:
 * xlat.paging stays NULL and no_xlat says why. Undo with session_close(), not needed after a
 * failure.
 */
int session_open(struct session *s, char *const *names, unsigned int nr,
		 const struct input_opts *o, struct log *log, struct err *e);
/* The same with sources that are open; they stay the caller's after a failure. */
int session_use(struct session *s, struct source **sources, unsigned int nr,
		const struct input_opts *o, struct log *log, struct err *e);
void session_close(struct session *s);

/*
 * Between the two: bind what is open to its architecture, and find out about the kernel. Where the
 * dump has no VMCOREINFO note, the one that lies in memory becomes its note, and is announced.
 */
int session_bind(struct session *s, const struct input_opts *o, struct log *log, struct err *e);

/* Does the dump, or the user, tell which architecture it is of? If not, no_xlat says so. */
bool session_knows_arch(const struct session *s);

/*
 * From now on facts come out of the kernel's memory, too: symbols by kallsyms, types by BTF. They are
 * looked for when the first one is asked for.
 */
void session_deepen(struct session *s);

/*
 * VMCOREINFO may lack facts that a dump LEVEL (0: the kernel log alone) cannot be had without: just
 * these are learned out of the kernel's memory, or its vmlinux, with one line about it. A
 * VMCOREINFO that lacks none is all that is used. What was read for it is given back at once.
 */
void session_complete(struct session *s, int level);

/*
 * E names a fact that is not known after session_deepen(): add why nobody knows it, and what would help.
 * Returns -1.
 */
int session_explain(struct session *s, struct err *e);

/*
 * session_vmlinux.c, for session_kernel.c: open the vmlinux that the user names, ERR_MISMATCH when it
 * is of another kernel; the same once more, when memory can be read; look for one in the usual places;
 * say what would help where none is.
 */
int session_name_vmlinux(struct session *s, const struct input_opts *o, struct err *e);
int session_recheck_vmlinux(struct session *s, const struct input_opts *o, struct err *e);
void session_find_vmlinux(struct session *s);

/* Where distributions put it; the release stands between the two. */
struct vmlinux_place {
	const char *before, *behind;
};
extern const struct vmlinux_place vmlinux_places[];
extern const size_t nr_vmlinux_places;

/*
 * Is PATH the vmlinux of the dump's kernel, by build-id, else release and banner? Then, or with FORCE, it
 * is the session's from now on. ERR_MISMATCH.
 */
int session_take_vmlinux(struct session *s, const char *path, bool force, struct err *e);
/* The package with the kernel's debug files, or modules. False: nobody knows. */
bool session_package(struct session *s, bool debug, char *buf, size_t size);
void session_vmlinux_help(struct session *s, char *buf, size_t size);

/* Is PATH one of the files that are read here? Then it must not be written. */
bool session_reads(const struct session *s, const char *path);

/*
 * The six names of struct new_utsname: sysname, nodename, release, version, machine, domainname.
 * What the dump's own header has; else read from the kernel's memory; else what VMCOREINFO and the
 * architecture say.
 */
void session_utsname(struct session *s, char ret[UTS_FIELDS][UTS_LEN]);

#endif
