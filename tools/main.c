/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The multi-call front end: picks a command by sub-command or by the name it was called by. */
#include "main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "codec.h"
#include "config.h"
#include "elftool.h"

int usage_error(struct err *e, const char *command, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(e, ERR_USAGE, "%s; try '" PROGRAM " %s --help'", text, command);
	return STATUS_USAGE;
}

static void on_signal(int sig)
{
	interrupted = sig;
}

static void setup_signals(void)
{
	/* Once: a second signal ends a run that is stuck, in a pipe that nobody reads. */
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error like any other, told once */
	signal(SIGXFSZ, SIG_IGN);
}

/*
 * A descriptor that is closed must not become the dump: then messages would be written into it.
 * What is written to a standard output that is not there fails.
 */
static void open_standard_fds(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd)
			return; /* no /dev: nothing can be done about it */
}

void print_version(void)
{
	const struct codec *const *c;

	printf(PROGRAM " " PACKAGE_VERSION "\n\nCompression:");
	for (c = codec_table; *c; c++)
		printf("%s %s (%s)", c == codec_table ? "" : ",", (*c)->name, (*c)->library);
	printf("\nLicence GPL-2.0-or-later. There is NO WARRANTY.\n");
}

static void print_help(FILE *f)
{
	const struct command *const *c;
	size_t i;

	fprintf(f, "Usage: " PROGRAM
		   " COMMAND [ARG...]\n\nRead, filter and examine crash dumps.\n\nCommands:\n");
	for (c = commands; *c; c++)
		fprintf(f, "  %-10s %s\n", (*c)->name, (*c)->summary);
	fprintf(f, "  %-10s %s\n", "help",
		"this text, or that of a command: " PROGRAM " help COMMAND");
	fprintf(f,
		"\nOptions:\n"
		"  -h, --help     this text\n"
		"  -V, --version  version and compression libraries\n"
		"      --formats  formats that are read and written\n\n"
		"Other names:");
	for (c = commands; *c; c++)
		for (i = 0; i < ARRAY_SIZE((*c)->aliases) && (*c)->aliases[i]; i++)
			fprintf(f, "\n  %s = " PROGRAM " %s;", (*c)->aliases[i], (*c)->name);
	fprintf(f, "\n  " ELFTOOL " COMMAND, of the commands that it has\nManual: " PROGRAM "(1)\n");
}

static void print_elftool_help(FILE *f)
{
	const struct command *const *c;

	fprintf(f, "Usage: " ELFTOOL " COMMAND [OPTION...]\n" PROGRAM " under another name.\n\nCommands:\n");
	for (c = commands; *c; c++)
		if ((*c)->elftool)
			fprintf(f, "  %-10s %s\n", (*c)->name, (*c)->summary);
	fprintf(f, "\nOptions:\n  -h, --help     this text\n  -v, --version  version\n\n"
		   "Manual: " PROGRAM "-topelf(8)\n");
}

static const struct command *by_name(const char *name)
{
	const struct command *const *c;

	for (c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

static const struct command *by_alias(const char *name)
{
	const struct command *const *c;
	size_t i;

	for (c = commands; *c; c++)
		for (i = 0; i < ARRAY_SIZE((*c)->aliases) && (*c)->aliases[i]; i++)
			if (!strcmp((*c)->aliases[i], name))
				return *c;
	return NULL;
}

static int run(const struct command *c, char *shown, int argc, char **argv)
{
	struct err e = ERR_INIT;
	int status;

	argv[0] = shown; /* what getopt puts in front of its messages */
	status = c->run(argc, argv, &e);
	if (status == STATUS_FAILED && e.code == ERR_USAGE)
		status = STATUS_USAGE; /* what only the dump could tell to be wrong */
	if (status == STATUS_FAILED && e.code == ERR_MISMATCH)
		status = STATUS_MISMATCH;
	/* A damaged input was told of in warnings; what else is in E then was got over. */
	if (status != STATUS_OK && status != STATUS_DAMAGED && e.code != ERR_NONE)
		fprintf(stderr, "%s: %s\n", shown, e.text);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "%s: cannot write to standard output\n", shown);
		return status ? status : STATUS_FAILED;
	}
	return status;
}

/* What `dumptool help NAME` prints. */
static int run_help(const char *name)
{
	const struct command *c = by_name(name);
	char help[] = "--help", shown[64], *argv[] = { shown, help, NULL };

	snprintf(shown, sizeof(shown), PROGRAM " %s", name);
	if (c)
		return run(c, shown, 2, argv);
	fprintf(stderr, PROGRAM ": there is no command '%s'; try '" PROGRAM " help'\n", name);
	return STATUS_USAGE;
}

/* What the program tells about itself; false when WHAT asks for none of that. */
static bool tell(const char *what)
{
	if (!strcmp(what, "--version") || !strcmp(what, "-V"))
		print_version();
	else if (!strcmp(what, "--formats"))
		print_formats();
	else if (!strcmp(what, "help") || !strcmp(what, "--help") || !strcmp(what, "-h"))
		print_help(stdout);
	else
		return false;
	return true;
}

/* As kdump-elftool, which knows no status but 0 and 1. */
static int run_elftool(int argc, char **argv)
{
	const struct command *c = argc < 2 ? NULL : by_name(argv[1]);
	char shown[64];
	int status;

	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-v"))) {
		printf(ELFTOOL " version 1.5.2 (" PROGRAM " " PACKAGE_VERSION ")\n");
		return fflush(stdout) ? STATUS_FAILED : STATUS_OK;
	}
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_elftool_help(argc < 2 ? stderr : stdout);
		return argc < 2 || fflush(stdout) ? STATUS_FAILED : STATUS_OK;
	}
	if (!c || !c->elftool) {
		fprintf(stderr, ELFTOOL ": there is no command '%s'; try '" ELFTOOL " --help'\n",
			argv[1]);
		return STATUS_FAILED;
	}
	snprintf(shown, sizeof(shown), ELFTOOL " %s", c->name);
	status = run(c, shown, argc - 1, argv + 1);
	return status == STATUS_DAMAGED ? STATUS_OK : status ? STATUS_FAILED : STATUS_OK;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *me = slash ? slash + 1 : argc ? argv[0] : PROGRAM;
	const struct command *c = by_alias(me);
	char shown[64];

	open_standard_fds();
	setup_signals();
	if (c)
		return run(c, (char *)me, argc, argv);
	if (!strcmp(me, ELFTOOL))
		return run_elftool(argc, argv);
	if (argc < 2) {
		print_help(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2)
		return run_help(argv[2]);
	if (tell(argv[1]))
		return fflush(stdout) ? STATUS_FAILED : STATUS_OK;
	c = by_name(argv[1]);
	if (!c) {
		fprintf(stderr, PROGRAM ": there is no command '%s'; try '" PROGRAM " help'\n",
			argv[1]);
		return STATUS_USAGE;
	}
	snprintf(shown, sizeof(shown), PROGRAM " %s", c->name);
	return run(c, shown, argc - 1, argv + 1);
}
