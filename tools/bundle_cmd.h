/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of the bundle command: bundle.c (the command line), bundle_make.c (the work), bundle_tell.c. */
#ifndef BUNDLE_CMD_H
#define BUNDLE_CMD_H

#include "bundle.h"
#include "job.h"
#include "pack.h"
#include "talk.h"

struct bundle_job {
	char *input;
	const char *output; /* NULL: named after the dump */
	char *own_output;   /* that name */
	int format;	    /* enum pack_format; -1: by the output's name */
	bool to_stdout, json, help, debuginfod;
	/* What an archive is called that nobody has named: DUMP.bundle, or as savedump does it. */
	enum { NAMED_BY_US, NAMED_AS_SAVEDUMP } naming;
	const char *encrypt_to;
	bool level_set, store_set, store_elf, with_velf;
	int level;
	struct input_opts in;
	struct places places;
	struct pack_opts pack;
	struct talk talk;
	struct bundle bundle;
	struct source *source;	    /* the dump's bytes, what it is wrapped in taken off */
	struct usercore *core;	    /* of a process; or NULL */
	struct job job;		    /* of a kernel dump: its session; what it is written by */
	struct pack *out;
	struct bundle_member *writing;	    /* the dump, while its pages go in */
	uint64_t done;		    /* bytes of members so far, for progress */
	double seconds;
	uint64_t archive_bytes;
};

/* bundle_names.c: where ARGV[0] is another program's name, *RET, that one's command line. ERR_USAGE. */
int bundle_names_parse(struct bundle_job *j, int argc, char **argv, bool *ret, struct err *e);

/* Make it. Returns an exit status. */
int bundle_make(struct bundle_job *j, struct err *e);
void bundle_job_fini(struct bundle_job *j);

/* bundle_tell.c: the manifest as text, malloc()ed, and what the user is told at the end. */
char *bundle_manifest(const struct bundle_job *j, size_t *len);
void bundle_summary(const struct bundle_job *j);
const char *member_kind_name(enum member_kind kind);
const char *member_status_name(enum member_status status);

/*
 * bundle_encrypt.c: a pipe into age or gpg, whose output goes to descriptor OUT; no shell. The end
 * waits for it: ERR_IO when it failed.
 */
struct encryption {
	int fd; /* to be written to */
	int pid;
	const char *program;
};
bool encrypts_with_age(const char *whom);
int encryption_begin(const char *whom, int out, struct encryption *ret, struct err *e);
int encryption_end(struct encryption *c, struct err *e);

#endif
