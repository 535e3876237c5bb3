/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool unbundle: unpack a bundle safely, check it, start the debugger; and bundle --list,
 * --verify. */
#include "unbundle.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle_check.h"
#include "cleanup.h"
#include "json.h"
#include "main.h"
#include "parse.h"
#include "session.h"
#include "source.h"

enum { OPT_RUN = 256, OPT_LIMIT, OPT_JSON, OPT_PROGRESS };

static const struct option options[] = {
	{ "directory", required_argument, NULL, 'C' },
	{ "force", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ 0 },
};

static const char *const programs[] = { "crash", "drgn", "gdb", "lldb", "sdb" };

static void print_help(FILE *f)
{
	fputs("Usage: dumptool unbundle [OPTION...] ARCHIVE\n"
	      "       dumptool unbundle --run PROGRAM [OPTION...] ARCHIVE [ARG...]\n"
	      "Unpack an archive that dumptool bundle has made (tar, .zst, .xz, .gz, zip; its\n"
	      "volumes; -: standard input), and check every digest and build-id in it. Nothing\n"
	      "is written outside the folder. ARCHIVE may be a folder: then that is checked.\n\n"
	      "  -C, --directory DIR  unpack below DIR (default: the current folder)\n"
	      "  -f, --force          replace what was unpacked there before\n"
	      "      --run PROGRAM    when all is as it should be, start the bundle's script\n"
	      "                         for crash, drgn, gdb, lldb or sdb; ARG... go to it\n"
	      "      --limit SIZE     of all that is unpacked (default: 1000 times what the\n"
	      "                         archive has, at least 1G)\n"
	      "      --json           print what is in it, and what is wrong, as JSON\n"
	      "      --progress HOW   auto, tty, plain, json or none\n"
	      "  -h, --help           this text\n\n"
	      "Exit status: 0 all is as the manifest says (files that the bundle never had are\n"
	      "listed), 1 it is not, 3 the archive breaks off: what there is stays in\n"
	      "NAME.incomplete. Manual: dumptool-unbundle(1)\n",
	      f);
}

/* ---- what is in it ---- */

static void print_json(const struct bundle_check *c)
{
	struct json j;
	size_t i;

	json_begin(&j, stdout);
	json_document(&j, "bundle-check", 1);
	json_put_string(&j, "archive", c->archive ? c->archive : "-");
	json_bool(&j, "complete", !c->incomplete);
	json_bool(&j, "checked", !c->names_only);
	if (c->has_manifest) {
		json_put_object(&j, "dump");
		json_put_string(&j, "path", c->manifest.dump);
		json_put_string(&j, "type", c->manifest.dump_type);
		json_end(&j);
	}
	json_put_array(&j, "problems");
	for (i = 0; i < c->kept_problems; i++)
		json_put_string(&j, NULL, c->problems[i]);
	if (c->incomplete)
		json_put_string(&j, NULL, c->why.text);
	json_end(&j);
	json_put_array(&j, "members");
	for (i = 0; i < c->manifest.nr_members; i++)
		json_put_member(&j, &c->manifest.members[i]);
	json_end(&j);
	json_finish(&j);
}

/* A line for each member. */
static void print_list(const struct bundle_check *c)
{
	size_t i;

	for (i = 0; i < c->manifest.nr_members; i++) {
		const struct manifest_member *m = &c->manifest.members[i];

		printf("%-10s %-10s ", m->status, m->kind);
		if (m->missing || m->link)
			printf("%12s  ", "-");
		else
			printf("%12" PRIu64 "  ", m->size);
		print_escaped(stdout, m->path);
		if (m->link) {
			printf(" -> ");
			print_escaped(stdout, m->link);
		}
		putchar('\n');
	}
	/* Without a manifest, what there is. */
	for (i = 0; !c->has_manifest && i < c->nr_found; i++) {
		printf("%-10s %-10s %12s  ", "?", "?", "-");
		print_escaped(stdout, c->found[i].path);
		putchar('\n');
	}
}

static size_t count(const struct bundle_check *c, const char *status)
{
	size_t i, n = 0;

	for (i = 0; i < c->manifest.nr_members; i++)
		n += !strcmp(c->manifest.members[i].status, status) && !c->manifest.members[i].link;
	return n;
}

static void print_status(FILE *f, const struct bundle_check *c, const char *status,
			 const char *title)
{
	size_t i;

	if (count(c, status))
		fprintf(f, "%s:\n", title);
	for (i = 0; i < c->manifest.nr_members; i++) {
		const struct manifest_member *m = &c->manifest.members[i];

		if (strcmp(m->status, status) || m->link)
			continue;
		fputs("  ", f);
		print_escaped(f, m->path);
		if (m->note) {
			fputs(": ", f);
			print_escaped(f, m->note);
		}
		putc('\n', f);
	}
}

/* What there is, what is not and how to get it. */
static void print_summary(FILE *f, const struct bundle_check *c)
{
	if (!c->has_manifest)
		return;
	print_escaped(f, c->manifest.dump);
	fprintf(f,
		": %s; %zu files verified, %zu by name only, %zu mismatched, %zu missing, %zu made\n",
		strcmp(c->manifest.dump_type, "kernel") ? "core of a process" : "kernel dump",
		count(c, "verified"), count(c, "by-name"), count(c, "mismatched"),
		count(c, "missing"), count(c, "made"));
	print_status(f, c, "mismatched", "Not what was in use");
	print_status(f, c, "missing", "Missing");
}

/* ---- the verdict ---- */

static int verdict(const struct bundle_check *c, struct err *e)
{
	size_t i;

	for (i = 0; i < c->kept_problems; i++)
		fprintf(stderr, "%s: %s\n", c->talk->name, c->problems[i]);
	if (c->nr_problems) {
		err_set(e, ERR_CORRUPT, "%s: %zu members are not what the manifest says",
			c->archive ? c->archive : "standard input", c->nr_problems);
		return STATUS_FAILED;
	}
	if (c->incomplete) {
		*e = c->why;
		return STATUS_INCOMPLETE;
	}
	return STATUS_OK;
}

static const char *path_or_stdin(const char *archive)
{
	return strcmp(archive, "-") ? archive : NULL;
}

/* --list and --verify. */
static int look(const char *archive, bool names_only, bool json, struct err *e)
{
	struct talk talk;
	struct bundle_check c = { .archive = path_or_stdin(archive),
				  .names_only = names_only,
				  .talk = &talk };
	int status = STATUS_FAILED;

	talk_init(&talk, "dumptool bundle", false);
	talk.data_on_stdout = true;
	if (!bundle_read(&c, e)) {
		if (json)
			print_json(&c);
		else if (names_only)
			print_list(&c);
		status = verdict(&c, e);
		if (!json && !names_only && status == STATUS_OK)
			printf("%s: %zu members, %" PRIu64 " bytes: as the manifest says\n",
			       archive, c.nr_found, c.bytes);
		if (!json)
			print_summary(stdout, &c);
	}
	bundle_check_fini(&c);
	return status;
}

int unbundle_list(const char *archive, bool json, struct err *e)
{
	return look(archive, true, json, e);
}

int unbundle_verify(const char *archive, bool json, struct err *e)
{
	return look(archive, false, json, e);
}

/* ---- the command ---- */

struct unbundle_job {
	struct talk talk;
	struct bundle_check check;
	const char *run; /* the program, or NULL */
	char **args;	 /* for it, NULL at the end */
	int nr_args;
	bool json, help;
};

static bool known_program(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++)
		if (!strcmp(programs[i], name))
			return true;
	return false;
}

static int take_option(struct unbundle_job *j, int id, const char *arg, struct err *e)
{
	switch (id) {
	case 'C':
		j->check.target = arg;
		return 0;
	case 'f':
		j->check.force = true;
		return 0;
	case 'h':
		j->help = true;
		return 0;
	case OPT_JSON:
		j->json = true;
		return 0;
	case OPT_RUN:
		j->run = arg;
		return known_program(arg) ? 0
					  : err_set(e, ERR_USAGE, "--run: '%s' has no script", arg);
	case OPT_LIMIT:
		return parse_size(arg, &j->check.limit)
			       ? 0
			       : err_set(e, ERR_USAGE, "--limit: '%s' is no size", arg);
	case OPT_PROGRESS:
		return parse_progress(arg, &j->talk.mode, e);
	default:
		return err_set(e, ERR_USAGE, "wrong option");
	}
}

static int parse(struct unbundle_job *j, int argc, char **argv, struct err *e)
{
	int id;

	/* +: what follows the archive is the program's. */
	while ((id = getopt_long(argc, argv, "+C:fh", options, NULL)) != -1)
		if (take_option(j, id, optarg, e))
			return -1;
	if (j->help)
		return 0;
	if (optind == argc)
		return err_set(e, ERR_USAGE, "one archive is needed");
	j->check.archive = path_or_stdin(argv[optind++]);
	j->args = argv + optind;
	j->nr_args = argc - optind;
	if (j->nr_args && !j->run)
		return err_set(e, ERR_USAGE, "one archive is needed; options come before it");
	if (j->run && j->json)
		return err_set(e, ERR_USAGE, "--run and --json do not go together");
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return path && !stat(path, &st) && S_ISDIR(st.st_mode);
}

/*
 * Become the bundle's script: the only program that is ever started, when the user has said so, of
 * a bundle that was found to be good.
 */
static int run_script(struct unbundle_job *j, const char *folder, struct err *e)
{
	_cleanup_free_ char **argv = calloc((size_t)j->nr_args + 3, sizeof(*argv));
	_cleanup_free_ char *script = NULL;
	char name[32];

	snprintf(name, sizeof(name), "run-%s.sh", j->run);
	if (!manifest_find(&j->check.manifest, name))
		return err_set(e, ERR_MISSING, "this bundle has no %s", name);
	if (!argv || asprintf(&script, "%s/%s", folder, name) < 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	argv[0] = (char *)"sh";
	argv[1] = script;
	memcpy(argv + 2, j->args, (size_t)j->nr_args * sizeof(*argv));
	fflush(stdout);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execv("/bin/sh", argv);
	return err_sys(e, errno, "/bin/sh");
}

/* What was unpacked, checked: told, named, run. */
static int finish(struct unbundle_job *j, struct err *e)
{
	struct bundle_check *c = &j->check;
	_cleanup_free_ char *folder = NULL;
	int status = verdict(c, e);

	if (j->json)
		print_json(c);
	if (status == STATUS_OK && c->target && bundle_keep(c, e))
		return STATUS_FAILED;
	if ((c->target ? asprintf(&folder, "%s/%s%s", c->target, c->top,
				  status == STATUS_OK ? "" : UNFINISHED)
		       : asprintf(&folder, "%s", c->archive)) < 0) {
		folder = NULL;
		err_set(e, ERR_NOMEM, "out of memory");
		return STATUS_FAILED;
	}
	if (!j->json) {
		print_summary(stderr, c);
		if (c->nr_found)
			fprintf(stderr, "%s: %zu members, %" PRIu64 " bytes%s\n", folder,
				c->nr_found, c->bytes,
				status == STATUS_OK ? ", as the manifest says" : "");
	}
	if (status == STATUS_OK && j->run)
		return run_script(j, folder, e) ? STATUS_FAILED : STATUS_OK;
	return status;
}

static int unbundle_run(int argc, char **argv, struct err *e)
{
	struct unbundle_job j = { .run = NULL };
	struct err why = ERR_INIT;
	int status = STATUS_FAILED;

	talk_init(&j.talk, argv[0], false);
	if (parse(&j, argc, argv, &why))
		return usage_error(e, "unbundle", "%s", why.text);
	if (j.help) {
		print_help(stdout);
		return STATUS_OK;
	}
	j.check.talk = &j.talk;
	j.talk.data_on_stdout = j.json;
	if (!j.check.target && !is_folder(j.check.archive))
		j.check.target = ".";
	if (!bundle_read(&j.check, e))
		status = finish(&j, e);
	bundle_check_fini(&j.check);
	return status;
}

const struct command unbundle_command = {
	.name = "unbundle",
	.summary = "unpack a bundle safely, check it, start a debugger",
	.run = unbundle_run,
};
