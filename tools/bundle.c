/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool bundle: a dump and all that is needed to look into it, as one archive that is verified.
 */
#include "bundle.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle_cmd.h"
#include "cleanup.h"
#include "main.h"
#include "parse.h"
#include "unbundle.h"

enum {
	OPT_ROOT = 256,
	OPT_DEBUG_PATH,
	OPT_DEBUGINFOD,
	OPT_NO_DEBUG,
	OPT_LEVEL,
	OPT_WITH_VELF,
	OPT_PROGRAM,
	OPT_STORE_AS,
	OPT_PID,
	OPT_VOLUME,
	OPT_FORMAT,
	OPT_ENCRYPT,
	OPT_LIST,
	OPT_VERIFY,
	OPT_JSON,
	OPT_PROGRESS,
	OPT_THREADS,
};

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "debug-path", required_argument, NULL, OPT_DEBUG_PATH },
	{ "no-debug", no_argument, NULL, OPT_NO_DEBUG },
	{ "debuginfod", no_argument, NULL, OPT_DEBUGINFOD },
	{ "level", required_argument, NULL, OPT_LEVEL },
	{ "store-as", required_argument, NULL, OPT_STORE_AS },
	{ "with-velf", no_argument, NULL, OPT_WITH_VELF },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "program", required_argument, NULL, OPT_PROGRAM },
	{ "volume-size", required_argument, NULL, OPT_VOLUME },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "encrypt-to", required_argument, NULL, OPT_ENCRYPT },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "num-threads", required_argument, NULL, OPT_THREADS },
};

static void print_help(FILE *f)
{
	fputs("Usage: dumptool bundle [OPTION...] DUMP [-o ARCHIVE]\n"
	      "       dumptool bundle --list|--verify [--json] ARCHIVE\n"
	      "Put a kernel dump, or the core of a process (-: from standard input), into one\n"
	      "archive with the kernel or program, modules, libraries and debug information.\n\n"
	      "  -o, --output ARCHIVE    NAME.tar.zst, .tar.xz, .tar.gz, .tar, .zip, or -: to\n"
	      "                            standard output (default: DUMP.bundle.tar.zst)\n"
	      "      --format FORMAT     tar.zst, tar.xz, tar.gz, tar, zip, dir\n"
	      "      --level N           leave pages out of a kernel dump, as filter -d N\n"
	      "      --store-as KIND     asis, elf (raw pages, which an archive packs better;\n"
	      "                            default with --level)\n"
	      "      --with-velf         with what tovelf makes of it, for run-gdb.sh\n"
	      "      --root DIR          look for files below DIR, as on the machine that died\n"
	      "      --debug-path DIR    look for debug files below DIR first\n"
	      "      --no-debug          no debug files\n"
	      "      --debuginfod        ask $DEBUGINFOD_URLS for what is not here\n"
	      "      --program FILE      what left the core, where that does not tell\n"
	      "      --pid PID           the process still lives: its root, deleted files\n"
	      "      --volume-size SIZE  split into ARCHIVE.001, ARCHIVE.002 ...\n"
	      "      --encrypt-to WHOM   through age (age1..., ssh-...) or gpg (anything else)\n"
	      "  -f, --force             overwrite, take any vmlinux\n"
	      "      --list              say what is in a bundle\n"
	      "      --verify            check every digest in it\n"
	      "      --json              print what was done, or is in it, as JSON\n"
	      "      --num-threads N     pack with N threads\n"
	      "      --progress HOW      auto, tty, plain, json or none\n",
	      f);
	input_options_help(f, 26);
	fputs("  -h, --help              this text\n\n"
	      "Exit status: 0 complete, 2 a file of another kernel or program, 3 the dump is\n"
	      "cut off, 4 damaged. Missing files are listed. Manual: dumptool-bundle(1)\n",
	      f);
}

static bool add_dir(const char **list, unsigned int *nr, const char *dir)
{
	struct stat st;

	if (*nr == PLACES_MAX_ROOTS || stat(dir, &st) || !S_ISDIR(st.st_mode))
		return false;
	list[(*nr)++] = dir;
	return true;
}

static bool take_level(struct bundle_job *j, const char *arg)
{
	uint64_t n;

	if (!parse_number(arg, 10, LEVEL_MAX, &n))
		return false;
	j->level = (int)n;
	return j->level_set = true;
}

static bool take_pid(struct bundle_job *j, const char *arg)
{
	uint64_t n;

	if (!parse_number(arg, 10, INT32_MAX, &n) || !n)
		return false;
	j->places.pid = (int)n;
	return true;
}

static int wrong(struct err *e, const char *option, const char *arg)
{
	return err_set(e, ERR_USAGE, "%s: '%s' makes no sense", option, arg);
}

static int take_option(struct bundle_job *j, int id, const char *arg, struct err *e)
{
	switch (id) {
	case OPT_ROOT:
		return add_dir(j->places.roots, &j->places.nr_roots, arg) ? 0
									  : wrong(e, "--root", arg);
	case OPT_DEBUG_PATH:
		return add_dir(j->places.debug, &j->places.nr_debug, arg)
			       ? 0
			       : wrong(e, "--debug-path", arg);
	case OPT_FORMAT:
		j->format = pack_format_of(arg);
		return j->format >= 0 ? 0 : wrong(e, "--format", arg);
	case OPT_STORE_AS:
		j->store_set = true;
		j->store_elf = !strcmp(arg, "elf");
		return j->store_elf || !strcmp(arg, "asis") ? 0 : wrong(e, "--store-as", arg);
	case OPT_PROGRESS:
		return parse_progress(arg, &j->talk.mode, e);
	case OPT_LEVEL:
		return take_level(j, arg) ? 0 : wrong(e, "--level", arg);
	case OPT_PID:
		return take_pid(j, arg) ? 0 : wrong(e, "--pid", arg);
	case OPT_THREADS:
		return parse_threads(arg, &j->pack.threads, e);
	case OPT_VOLUME:
		return parse_size(arg, &j->pack.volume) ? 0 : wrong(e, "--volume-size", arg);
	default:
		return input_option(&j->in, id, arg, e);
	}
}

static bool take_flag(struct bundle_job *j, int id, const char *arg)
{
	switch (id) {
	case 'o':
		j->output = arg;
		break;
	case 'f':
		j->pack.force = j->bundle.force = j->in.force_vmlinux = true;
		break;
	case OPT_NO_DEBUG:
		j->bundle.no_debug = true;
		break;
	case OPT_DEBUGINFOD:
		j->debuginfod = true;
		break;
	case OPT_PROGRAM:
		j->bundle.program = arg;
		break;
	case OPT_WITH_VELF:
		j->with_velf = true;
		break;
	case OPT_ENCRYPT:
		j->encrypt_to = arg;
		break;
	case OPT_JSON:
		j->json = true;
		break;
	case 'h':
		j->help = true;
		break;
	default:
		return false;
	}
	return true;
}

static int check(struct bundle_job *j, struct err *e)
{
	if (j->debuginfod && !fetch_by_id)
		return err_set(e, ERR_USAGE, "--debuginfod: this program was built without it");
	j->places.fetch = j->debuginfod ? fetch_by_id : NULL;
	if (j->store_set && !j->store_elf && j->level_set)
		return err_set(e, ERR_USAGE, "--level leaves pages out, --store-as asis nothing");
	j->store_elf = j->store_elf || j->level_set;
	j->to_stdout = j->output && !strcmp(j->output, "-");
	if (j->to_stdout && (j->json || j->pack.volume))
		return err_set(e, ERR_USAGE, "standard output takes the archive, and nothing else");
	if (j->to_stdout && isatty(STDOUT_FILENO))
		return err_set(e, ERR_USAGE, "an archive is not for a terminal");
	if (j->encrypt_to && j->pack.volume)
		return err_set(e, ERR_USAGE, "--encrypt-to and --volume-size do not go together");
	return 0;
}

/* Our own command line. READ: what is asked about a bundle, or 0. */
static int parse(struct bundle_job *j, int argc, char **argv, int *read, struct err *e)
{
	struct option longs[ARRAY_SIZE(options) + NR_INPUT_OPTIONS + 1];
	int id;

	memset(longs, 0, sizeof(longs));
	memcpy(longs, options, sizeof(options));
	input_options_add(longs, ARRAY_SIZE(options));
	while ((id = getopt_long(argc, argv, "o:fh", longs, NULL)) != -1) {
		if (id == '?')
			return err_set(e, ERR_USAGE, "wrong option");
		if (id == OPT_LIST || id == OPT_VERIFY)
			*read = id;
		else if (!take_flag(j, id, optarg) && take_option(j, id, optarg, e))
			return -1;
	}
	if (j->help)
		return print_help(stdout), 0;
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE,
			       *read ? "one archive is needed" : "one dump is needed");
	j->input = argv[optind];
	return *read ? 0 : check(j, e);
}

static int bundle_run(int argc, char **argv, struct err *e)
{
	static struct bundle_job j; /* large, and there is only one */
	struct err why = ERR_INIT;
	int read = 0, status;
	bool theirs;

	j = (struct bundle_job){ .format = -1 };
	talk_init(&j.talk, argv[0], false);
	if (bundle_names_parse(&j, argc, argv, &theirs, &why) ||
	    (!theirs && parse(&j, argc, argv, &read, &why)))
		return usage_error(e, "bundle", "%s", why.text);
	if (j.help)
		return STATUS_OK;
	if (read)
		return read == OPT_LIST ? unbundle_list(j.input, j.json, e)
					: unbundle_verify(j.input, j.json, e);
	status = bundle_make(&j, e);
	bundle_job_fini(&j);
	return status;
}

const struct command bundle_command = {
	.name = "bundle",
	.aliases = { "savedump", "gather-libs" },
	.summary = "one archive of a dump and all that is needed to look into it",
	.run = bundle_run,
};
