/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bundle under the names of the programs it replaces: savedump (Delphix, one operand), gather-libs
 * (gather-libs.pl, options -e -c -o -n).
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "bundle_cmd.h"
#include "cleanup.h"

static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };

static int savedump(struct bundle_job *j, int argc, char **argv, struct err *e)
{
	int id;

	while ((id = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (id != 'h')
			return err_set(e, ERR_USAGE, "wrong option");
		j->help = true;
	}
	if (!j->help && argc - optind != 1)
		return err_set(e, ERR_USAGE, "one dump is needed");
	j->input = argv[optind];
	j->naming = NAMED_AS_SAVEDUMP;
	j->format = PACK_TAR_GZ;
	return 0;
}

static int gather_libs(struct bundle_job *j, int argc, char **argv, struct err *e)
{
	int id;

	while ((id = getopt_long(argc, argv, "e:c:o:nh", longs, NULL)) != -1) {
		switch (id) {
		case 'e':
			j->bundle.program = optarg;
			break;
		case 'c':
			j->input = optarg;
			break;
		case 'o':
			j->output = optarg;
			break;
		case 'n':
			j->bundle.no_program = true;
			break;
		case 'h':
			j->help = true;
			break;
		default:
			return err_set(e, ERR_USAGE, "wrong option");
		}
	}
	if (!j->help && (!j->bundle.program || !j->input || !j->output || optind != argc))
		return err_set(e, ERR_USAGE, "-e PROGRAM, -c CORE and -o ARCHIVE are needed");
	/* It wrote bzip2 whatever the file was called. */
	j->format = j->output ? pack_format_of(j->output) : -1;
	if (j->format < 0)
		j->format = PACK_TAR_BZ2;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct bundle_job *j, int argc, char **argv, struct err *e);
	const char *help;
} names[] = {
	{ "savedump", savedump,
	  "Usage: savedump DUMP\n"
	  "Archive a dump and what is needed to look into it, as .tar.gz in this folder.\n\n"
	  "  -h, --help  this text\n\n"
	  "dumptool bundle under another name. Manual: savedump(1)\n" },
	{ "gather-libs", gather_libs,
	  "Usage: gather-libs -e PROGRAM -c CORE -o ARCHIVE [-n]\n"
	  "Archive a core, its program and its libraries.\n\n"
	  "  -e PROGRAM  that left the core\n"
	  "  -c CORE     the core\n"
	  "  -o ARCHIVE  write to ARCHIVE\n"
	  "  -n          leave the program out\n"
	  "  -h, --help  this text\n\n"
	  "dumptool bundle under another name. Manual: gather-libs(1)\n" },
};

int bundle_names_parse(struct bundle_job *j, int argc, char **argv, bool *ret, struct err *e)
{
	size_t i;

	*ret = false;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i].name, argv[0]) != 0)
			continue;
		*ret = true;
		if (names[i].parse(j, argc, argv, e))
			return -1;
		if (j->help)
			fputs(names[i].help, stdout);
	}
	return 0;
}
