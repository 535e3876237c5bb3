/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bundle between the files that make one: what is to go in (bundle_core.c, bundle_kernel.c), how it
 * is opened again (bundle_scripts.c), and the archive with its manifest (bundle.c). unbundle.c reads
 * what these write; dumptool-bundle(5) is the format.
 */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "log.h"
#include "places.h"
#include "session.h"
#include "usercore.h"

#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_SCHEMA 1
#define VELF_SUFFIX ".velf" /* behind the dump's name: what tovelf makes of it */
/* Our script for gdb, where there is one, and its parts beside it. */
#define GDB_SCRIPT_MEMBER "gdb/dumptool-gdb.py"
#define GDB_SCRIPT_PARTS "dumptool_gdb"

enum member_kind {
	MEMBER_DUMP,
	MEMBER_EXECUTABLE,
	MEMBER_LIBRARY,
	MEMBER_LOADER,
	MEMBER_VDSO,
	MEMBER_VMLINUX,
	MEMBER_MODULE,
	MEMBER_DEBUG,
	MEMBER_AUXILIARY, /* libthread_db, auto-load scripts, run-time files of a language */
	MEMBER_TEXT,	  /* dmesg, inspect, config, System.map */
	MEMBER_SCRIPT,
};

/* How sure it is that the file is the one that was in use. */
enum member_status {
	MEMBER_VERIFIED,   /* its build-id, or srcversion, is the one in the dump */
	MEMBER_BY_NAME,	   /* there is nothing to compare */
	MEMBER_MISMATCHED, /* there is, and it differs */
	MEMBER_MISSING,	   /* not found; it has no bytes */
	MEMBER_MADE,	   /* made from the dump, or by us */
};

struct bundle_member {
	char *path;   /* in the bundle; of a missing one, where it would be */
	char *origin; /* where it was read from; NULL: made */
	/* Of a kernel dump: its pages, or its address space, written as ELF; else FD or BYTES. */
	enum { FROM_FILE, FROM_PAGES, FROM_SPACE } from;
	int fd;	      /* open for reading, or -1 */
	void *bytes;  /* made: its content, malloc()ed */
	uint64_t size;
	unsigned int mode; /* 0644, or 0755 */
	enum member_kind kind;
	enum member_status status;
	uint8_t id[ELFFILE_MAX_ID]; /* of the file, or that was wanted */
	size_t id_len;
	char *link;   /* it is a symbolic link to this, relative to its own folder; or NULL */
	char *note;   /* for people: why it is missing, how to get it; or NULL */
	uint8_t digest[32]; /* SHA-256 of its content, once it is written */
};

struct bundle {
	struct log *log;
	const struct places *places;
	const char *spool_dir; /* or NULL */
	const char *vmlinux; /* that the user named, or NULL */
	const char *program; /* of a process: that the user named, or NULL */
	bool no_program;     /* leave it out */
	bool force;	     /* take it whatever kernel it is of */
	bool no_debug;	     /* no debug files */
	struct bundle_member *members;
	size_t nr_members;
	/* their paths as a hash table: the number of the member, 0 where there is none */
	uint32_t *slots, nr_slots;
	bool kernel;	 /* a kernel dump, not the core of a process */
	char name[256];	 /* of the dump in the bundle, and of the script's target */
	char release[65]; /* of the kernel */
	char *main_path; /* in the bundle: the program's, or the vmlinux's; or NULL */
	bool mismatch;	 /* a member that decides (vmlinux, program) differs */
};

/*
 * Add a member; strings and FD or BYTES become the bundle's, also after a failure. A path that is in
 * already is dropped, and one that leaves the folder, with a warning: names come out of dumps.
 */
int bundle_add(struct bundle *b, struct bundle_member *m, struct err *e);
bool bundle_has(const struct bundle *b, const char *path);
/* The same, and it is not one that is missing. */
bool bundle_has_file(const struct bundle *b, const char *path);
void bundle_fini(struct bundle *b);

/* A path on a machine as a path in a bundle: without the first slash; NULL where it climbs or is empty. */
char *bundle_path(const char *path);

/* A text, printf-like, malloc()ed; NULL: no memory. */
char *bundle_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* M's descriptor, size, origin and build-id are those of F, which gives its descriptor away. */
void bundle_take_place(struct bundle_member *m, struct place *f, enum member_status status);

/*
 * What FD holds once what it is compressed with is taken off, at most LIMIT bytes, as a file without a
 * name. ERR_CORRUPT, where it breaks off too; other errors are this machine's: no room, no memory. FD
 * stays the caller's.
 */
int bundle_unpacked(const struct bundle *b, int fd, const char *name, uint64_t limit, int *ret,
		    struct err *e);

/*
 * Add what belongs to F, which is in the bundle: its debug file, and the dwz files that both refer to.
 * One that is not found is a missing member. F's descriptor is not used.
 */
int bundle_companions(struct bundle *b, const struct place *f, struct err *e);

/* bundle_dwo.c: the split DWARF of F, whose debug information is in INFO. */
int bundle_split(struct bundle *b, const struct place *f, const struct place *info, struct err *e);

/* bundle_core.c: what belongs to the core U. */
int bundle_core(struct bundle *b, struct usercore *u, struct err *e);
/* bundle_kernel.c: what belongs to the kernel dump S; DUMP is its file. */
int bundle_kernel(struct bundle *b, struct session *s, struct err *e);
/* bundle_config.c: its configuration, from files of that RELEASE, or out of its own memory. */
int bundle_config(struct bundle *b, struct session *s, const char *release, struct err *e);
/* bundle_modules.c: the loaded modules, from files of that RELEASE. */
int bundle_modules(struct bundle *b, struct session *s, const char *release, struct err *e);
/* bundle_scripts.c: run-*.sh, after all else is in: of the session S, or the core U. */
int bundle_scripts(struct bundle *b, struct session *s, const struct usercore *u, struct err *e);

#endif
