/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of filter, in both spellings. */
#ifndef FILTER_OPTS_H
#define FILTER_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "err.h"
#include "session.h"
#include "talk.h"

#define MAX_LEVELS 32
#define MAX_OUTPUTS 64

struct filter_opts {
	char *const *inputs;
	unsigned int nr_inputs;
	struct input_opts in;
	const char *outputs[MAX_OUTPUTS];
	unsigned int nr_outputs;
	int levels[MAX_LEVELS]; /* tried one after the other */
	unsigned int nr_levels;
	const struct codec *codec; /* NULL: pages as they are */
	const char *missing_codec; /* asked for, but this link has none such */
	int codec_level;
	unsigned int threads; /* 0: as many as there are CPUs */
	uint64_t limit;	      /* -L, bytes; 0: none */
	uint64_t explain;     /* PFN, when explain_set */
	bool explain_set;
	bool flat, split, force, dump_dmesg, partial_dmesg, dry_run, check_params, json,
		quiet;
	bool help, version;
	int message_level;
	enum progress_mode progress;
};

/*
 * Parse ARGV into O, as makedumpfile or as ourselves. ERR_USAGE. Where makedumpfile itself prints a
 * line about what is wrong, E has that line; else its text is empty.
 */
int filter_opts_parse(struct filter_opts *o, int argc, char **argv, bool makedumpfile,
		      struct err *e);

/* The text of --help: one screen. */
void filter_opts_help(FILE *f, bool makedumpfile);

#endif
