/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of filter and topelf, in both spellings of each, and of convert. */
#ifndef JOB_OPTS_H
#define JOB_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "format.h"
#include "pipeline.h"
#include "err.h"
#include "session.h"
#include "talk.h"

#define MAX_LEVELS 32
#define MAX_OUTPUTS 64

struct job_opts {
	char *const *inputs;
	unsigned int nr_inputs;
	struct input_opts in;
	const char *input; /* what inputs is, where an option named it */
	bool only_vmcore;  /* it was kdump-elftool's -v, which -i replaces */
	const char *kind; /* of the input, as kdump-elftool names it, or NULL */
	const char *outputs[MAX_OUTPUTS];
	unsigned int nr_outputs;
	const struct format *format; /* of the output */
	const struct reader_rules *reader; /* --for, or NULL */
	uint8_t word;		     /* class of an ELF file, or 0 */
	bool keep_all;	       /* no classification: all that the input holds */
	enum pass pass;	       /* pages that need not be compressed anew */
	bool unchecked;
	int levels[MAX_LEVELS]; /* tried one after the other */
	unsigned int nr_levels;
	const struct codec *codec; /* NULL: pages as they are */
	const char *missing_codec; /* asked for, but this link has none such */
	int codec_level;
	unsigned int threads; /* 0: as many as there are CPUs */
	uint64_t limit;	      /* -L, bytes; 0: none */
	uint64_t explain;     /* PFN, when explain_set */
	bool explain_set;
	bool format_flat; /* --format flattened: the output is named as of any format */
	bool plain; /* a stream of the file itself, to standard output */
	bool flat, split, force, dump_dmesg, partial_dmesg, dry_run, unflatten, reassemble, check_params, json,
		quiet;
	/* tovelf */
	bool no_direct, no_vmemmap, tasks, no_tasks, pgd_set;
	uint64_t pid, pgd;
	const char *vmlinux; /* for what it prints */
	bool help, version;
	int message_level;
	enum progress_mode progress;
};

/* Who is asked. */
enum manner {
	MANNER_FILTER = 1,
	MANNER_MAKEDUMPFILE = 2,
	MANNER_CONVERT = 4,
	MANNER_TOPELF = 16,
	MANNER_ELFTOOL = 32, /* kdump-elftool topelf */
	MANNER_TOVELF = 64,
	MANNER_ELFTOOL_TOVELF = 128,
	/* Those that write ELF, to standard output unless told otherwise. */
	MANNERS_ELF = MANNER_TOPELF | MANNER_ELFTOOL | MANNER_TOVELF | MANNER_ELFTOOL_TOVELF,
};

/*
 * Parse ARGV into O. ERR_USAGE. Where makedumpfile itself prints a line about what is wrong, E has
 * that line; else its text is empty.
 */
int job_opts_parse(struct job_opts *o, int argc, char **argv, enum manner manner, struct err *e);

/* job_shape.c: by the name that --for gives; NULL: there is none. */
const struct reader_rules *job_reader(const char *name);

/* The text of --help: one screen. */
void job_opts_help(FILE *f, enum manner manner);

#endif
