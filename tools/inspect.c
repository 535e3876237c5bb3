/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect: what a dump is, as far as the file goes. */
#include "inspect.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cleanup.h"
#include "format.h"
#include "json.h"
#include "main.h"
#include "parse.h"
#include "printk.h"
#include "walk.h"

/* ---- gathering ---- */

/* Beginnings of what a kernel prints when it dies, the last word first. */
static const char *const dying[] = {
	"Kernel panic - not syncing",
	"Oops",
	"BUG:",
	"kernel BUG at",
	"Unable to handle kernel",
	"general protection fault",
	"sysrq: Trigger a crash",
	"SysRq : Trigger a crash",
};

struct panic_search {
	struct inspect *in;
	size_t rank; /* of the line that was kept */
};

static int look_for_panic(void *priv, const char *line, size_t len, struct err *e)
{
	struct panic_search *s = priv;
	const char *text = line, *end;
	size_t i;

	(void)e;
	/* Past "[time] " and "[caller] ". */
	while (len && *text == '[' && (end = memchr(text, ']', (size_t)(line + len - text))) &&
	       line + len - end > 1)
		text = end + 2;
	for (i = 0; i < MIN(s->rank + 1, ARRAY_SIZE(dying)); i++) {
		size_t n = strlen(dying[i]), left = (size_t)(line + len - text);

		if (left < n || !memmem(text, left, dying[i], n))
			continue;
		if (i == s->rank && s->in->panic[0])
			continue; /* the first of its kind */
		snprintf(s->in->panic, sizeof(s->in->panic), "%.*s", (int)MIN(left, (size_t)255),
			 text);
		s->rank = i;
	}
	return 0;
}

static void find_panic(struct inspect *in)
{
	struct panic_search search = { .in = in, .rank = ARRAY_SIZE(dying) };
	struct printk_opts opts = { .no_caller = true };
	struct err ignored = ERR_INIT;
	struct reader r;

	if (!xlat_works(&in->session.xlat))
		return;
	reader_init(&r, in->session.dump);
	printk_read(&in->session.kernel, &in->session.xlat, &r, &opts, look_for_panic, &search,
		    NULL, &ignored);
	reader_fini(&r);
}

static void find_kernel(struct inspect *in)
{
	char uts[6][65], text[24], *c;

	session_utsname(&in->session, uts);
	memcpy(in->release, uts[2], sizeof(in->release));
	memcpy(in->version, uts[3], sizeof(in->version));
	memcpy(in->machine, uts[4], sizeof(in->machine));
	kernel_text(&in->session.kernel, "BUILD-ID", in->build_id, sizeof(in->build_id));
	for (c = in->build_id; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?'; /* for a terminal */
	if (kernel_text(&in->session.kernel, "CRASHTIME", text, sizeof(text)))
		in->crash_time = strtoll(text, NULL, 10);
	find_panic(in);
}

static void count_states(struct inspect *in)
{
	struct run run;
	uint64_t pfn = 0;

	for (; dump_next_run(in->session.dump, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		in->pages[run.state] += run.nr;
}

/* ---- all pages ---- */

static void *census_begin(void *priv, unsigned int number)
{
	(void)priv;
	(void)number;
	return calloc(1, sizeof(struct census));
}

/* Keep the lowest PFNs, whichever thread met them. */
static void tell_bad(struct census *c, const struct bad_page *bad)
{
	unsigned int at = c->nr_told;

	while (at && c->bad[at - 1].pfn > bad->pfn)
		at--;
	if (at == MAX_BAD)
		return;
	c->nr_told = MIN(c->nr_told + 1, (unsigned int)MAX_BAD);
	memmove(&c->bad[at + 1], &c->bad[at], (c->nr_told - at - 1) * sizeof(*bad));
	c->bad[at] = *bad;
}

static int census_page(void *state, const struct walk_page *p, struct err *e)
{
	struct census *c = state;
	struct bad_page bad = { .pfn = p->pfn };

	(void)e;
	if (p->why) {
		c->nr_bad++;
		snprintf(bad.why, sizeof(bad.why), "%.*s", (int)sizeof(bad.why) - 1, p->why->text);
		tell_bad(c, &bad);
		return 0;
	}
	c->zero += p->zero;
	c->codec[p->codec ? __builtin_ctz(p->codec) + 1 : 0]++;
	return 0;
}

static void census_end(void *priv, void *state)
{
	struct inspect *in = priv;
	struct census *c = state, *all = &in->census;
	unsigned int i;

	all->zero += c->zero;
	all->nr_bad += c->nr_bad;
	for (i = 0; i < ARRAY_SIZE(c->codec); i++)
		all->codec[i] += c->codec[i];
	for (i = 0; i < c->nr_told; i++)
		tell_bad(all, &c->bad[i]);
	free(c);
}

/* Read all pages: the one thing that needs all of the file. */
static int take_census(struct inspect *in, struct err *e)
{
	struct dump *d = in->session.dump;
	struct progress *progress = talk_progress(&in->talk);
	struct walk w = { .dump = d,
			  .threads =
				  budget_threads(in->threads, budget_available(), 4 << 20, 2 << 20),
			  .interrupted = &interrupted,
			  .progress = progress,
			  .priv = in,
			  .begin = census_begin,
			  .page = census_page,
			  .end = census_end };

	progress_start(progress, in->verify ? "Verifying pages" : "Looking for zero pages",
		       in->pages[PAGE_DATA] + in->pages[PAGE_ZERO]);
	if (walk_run(&w, e))
		return -1;
	progress_end(progress);
	in->counted = true;
	/* What could not be had is not present after all. */
	in->pages[PAGE_DATA] -= in->census.nr_bad;
	in->pages[PAGE_UNREADABLE] += in->census.nr_bad;
	return 0;
}

bool inspect_is_complete(const struct inspect *in)
{
	const struct dump *d = in->session.dump;

	return !d->incomplete && !d->damage.missing_bytes && !d->damage.bad_structures &&
	       !d->damage.unreadable_pages && !in->census.nr_bad &&
	       !kernel_damage(&in->session.kernel);
}

void inspect_print_complete(const struct inspect *in, struct json *j, const struct err *why)
{
	const char *damage = kernel_damage(&in->session.kernel);
	bool whole = why->code == ERR_NONE && inspect_is_complete(in);
	const char *reason = why->code != ERR_NONE ? why->text
			     : damage		   ? damage
						   : "the dump is cut off or damaged";

	if (!j && !whole) {
		printf("incomplete: ");
		print_escaped(stdout, reason);
		putchar('\n');
	}
	if (!j)
		return;
	json_bool(j, "complete", whole);
	if (!whole)
		json_put_string(j, "reason", reason);
}

/* ---- the command ---- */

/* A format that is known by name only: say that much. */
static int name_format(struct inspect *in, struct source *s, struct err *e)
{
	const struct format *f = recognise(s);
	char format[256];
	struct json j;

	inspect_format_text(s, f->title, format, sizeof(format));
	if (in->question) {
		/* nothing of what was asked for */
	} else if (in->json) {
		json_begin(&j, stdout);
		json_document(&j, "inspect", 1);
		json_put_string(&j, "file", in->files[0]);
		json_put_string(&j, "format", f->name);
		inspect_json_wrapping(&j, s);
		json_bool(&j, "readable", false);
		json_finish(&j);
	} else {
		printf("file:          %s\nformat:        %s\n", in->files[0], format);
	}
	return err_set(e, ERR_UNSUPPORTED, "%s: is a %s: recognised, but cannot be looked into yet",
		       in->files[0], f->title);
}

static int open_session(struct inspect *in, struct err *e)
{
	_cleanup_free_ struct source **sources = calloc(in->nr_files, sizeof(*sources));
	const struct format *f;

	if (!sources)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (open_sources(in->files, in->nr_files, &in->in, &in->talk.log, sources, e))
		return -1;
	f = recognise(sources[0]);
	if (f && !f->open) {
		name_format(in, sources[0], e);
	} else if (!session_use(&in->session, sources, in->nr_files, &in->in, &in->talk.log, e)) {
		return 0;
	}
	close_sources(sources, in->nr_files);
	return -1;
}

static void print_help(FILE *f)
{
	fputs("Usage: dumptool inspect [OPTION...] FILE...\n"
	      "       dumptool inspect --compare [OPTION...] FILE FILE2\n"
	      "       dumptool inspect --compare [OPTION...] FILE... --with FILE2 [--with ...]\n"
	      "Tell what a dump is and what is in it, as far as the file goes.\n\n"
	      "      --vmcoreinfo        print the VMCOREINFO note instead; but see below\n"
	      "      --vtop ADDR         where a kernel address lies; -: those on stdin\n"
	      "  -v, --verbose           with the page table entries on the way\n"
	      "      --regs              registers of each CPU; with -v also of floating\n"
	      "                            point and vectors, and what gdb and DWARF call them\n"
	      "      --tasks             processes and threads\n"
	      "      --modules           loaded modules\n"
	      "      --sym NAME|ADDR     address of a symbol, or what is at an address; -: of\n"
	      "                            those on stdin\n"
	      "      --type NAME         layout of a structure, union or enum\n"
	      "      --support           formats, page tables, what they were verified with\n"
	      "      --verify            read and expand every page, list what is damaged\n"
	      "      --compare           page by page, note by note: what differs\n"
	      "      --with FILE2        a file of the second dump, where there are several\n"
	      "      --json              print everything as JSON\n"
	      "      --quick             headers and kernel only, do not read the pages\n"
	      "      --num-threads N     work with N threads instead of one for each CPU\n",
	      f);
	input_options_help(f, 26);
	fputs("      --progress HOW      auto, tty, plain, json or none\n"
	      "  -h, --help              this text\n\n"
	      "Exit status: 0 complete, 4 cut off or damaged; with --verify 3 for a dump that\n"
	      "is not complete, 4 for damaged pages; with --compare 5 for a difference.\n"
	      "Manual: dumptool-inspect(1)\n",
	      f);
}

static int inspect_status(const struct inspect *in)
{
	if (inspect_is_complete(in))
		return STATUS_OK;
	return in->verify && (in->session.dump->incomplete ||
			      in->session.dump->damage.missing_bytes ||
			      in->session.dump->damage.unreadable_pages)
		       ? STATUS_INCOMPLETE
		       : STATUS_DAMAGED;
}

int inspect_overview(struct inspect *in, struct err *e)
{
	find_kernel(in);
	count_states(in);
	if (!in->quick && take_census(in, e))
		return -1;
	if (in->json)
		inspect_print_json(in);
	else
		inspect_print_text(in);
	return 0;
}

static int inspect(struct inspect *in, struct err *e)
{
	int status = STATUS_OK;

	if (open_session(in, e))
		return STATUS_FAILED;
	if (in->question) {
		if (in->question(in, e))
			status = STATUS_FAILED;
	} else if (inspect_overview(in, e)) {
		status = STATUS_FAILED;
	}
	if (!status)
		status = inspect_status(in);
	session_close(&in->session);
	return status;
}

enum { OPT_COMPARE = 256, OPT_WITH, OPT_SUPPORT, OPT_VMCOREINFO, OPT_VTOP, OPT_REGS, OPT_TASKS,
       OPT_MODULES, OPT_SYM, OPT_TYPE };

#define NR_OPTIONS 17

static const struct {
	int id;
	int (*question)(struct inspect *in, struct err *e);
} questions[] = {
	{ OPT_VMCOREINFO, inspect_vmcoreinfo }, { OPT_VTOP, inspect_vtop },
	{ OPT_REGS, inspect_regs },		{ OPT_TASKS, inspect_tasks },
	{ OPT_MODULES, inspect_modules },	{ OPT_SYM, inspect_symbols },
	{ OPT_TYPE, inspect_types },
};

/* Is ID a question? ABOUT is what it is about, or NULL. */
static bool take_question(struct inspect *in, int id, const char *about)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(questions); i++) {
		if (questions[i].id != id)
			continue;
		in->twice |= in->question && in->question != questions[i].question;
		in->question = questions[i].question;
		if (about)
			in->about[in->nr_about++] = (char *)about;
		return true;
	}
	return false;
}

/* Is ID an option that says just "do so"? */
static bool take_flag(struct inspect *in, int id)
{
	bool *const flag = id == OPT_SUPPORT ? &in->support
			   : id == OPT_COMPARE ? &in->compare
			   : id == 'v'	       ? &in->verbose
			   : id == 'j'	       ? &in->json
			   : id == 'q'	       ? &in->quick
			   : id == 'V'	       ? &in->verify
					       : NULL;

	if (flag)
		*flag = true;
	return flag != NULL;
}

static int take_option(struct inspect *in, int id, const char *arg, struct err *e)
{
	if (id == OPT_VMCOREINFO && arg) {
		in->in.vmcoreinfo = arg;
		return 0;
	}
	if (take_question(in, id, arg) || take_flag(in, id))
		return 0;
	switch (id) {
	case OPT_WITH:
		in->second[in->nr_second++] = (char *)arg;
		return 0;
	case 't':
		return parse_threads(arg, &in->threads, e);
	case 'p':
		return parse_progress(arg, &in->talk.mode, e);
	default:
		return input_option(&in->in, id, arg, e);
	}
}

/* Without --with there are two files, of a dump each. Also whether the options go together. */
static int take_files(struct inspect *in, int nr, char **files, struct err *e)
{
	in->files = files;
	in->nr_files = (unsigned int)nr;
	if (in->nr_second && !in->compare)
		return err_set(e, ERR_USAGE, "--with goes together with --compare");
	if (in->compare && !in->nr_second && nr != 2)
		return err_set(e, ERR_USAGE, "--compare wants two files, or FILE... --with FILE2");
	if (nr < 1)
		return err_set(e, ERR_USAGE, "a file is needed");
	if (in->compare && !in->nr_second) {
		in->nr_files = in->nr_second = 1;
		in->second[0] = files[1];
	}
	if (in->question == inspect_vmcoreinfo && in->json)
		return err_set(e, ERR_USAGE, "--vmcoreinfo prints text; --json has it too");
	if (in->twice || (in->question != NULL) + in->compare + in->verify + in->quick > 1)
		return err_set(e, ERR_USAGE,
			       "--vmcoreinfo, --vtop, --regs, --tasks, --modules, --sym, --type, "
			       "--compare, --verify, --quick: one of them at a time");
	return 0;
}

static int wrong_usage(struct err *e)
{
	struct err what = *e;

	return usage_error(e, "inspect", "%s", what.text);
}

/* All options into IN. Returns an exit status where that is all, or -1 to go on. */
static int parse_options(struct inspect *in, int argc, char **argv, struct err *e)
{
	struct option longs[NR_OPTIONS + NR_INPUT_OPTIONS + 1] = {
		{ "vmcoreinfo", optional_argument, NULL, OPT_VMCOREINFO },
		{ "vtop", required_argument, NULL, OPT_VTOP },
		{ "verbose", no_argument, NULL, 'v' },
		{ "regs", no_argument, NULL, OPT_REGS },
		{ "tasks", no_argument, NULL, OPT_TASKS },
		{ "modules", no_argument, NULL, OPT_MODULES },
		{ "sym", required_argument, NULL, OPT_SYM },
		{ "type", required_argument, NULL, OPT_TYPE },
		{ "support", no_argument, NULL, OPT_SUPPORT },
		{ "json", no_argument, NULL, 'j' },
		{ "quick", no_argument, NULL, 'q' },
		{ "verify", no_argument, NULL, 'V' },
		{ "compare", no_argument, NULL, OPT_COMPARE },
		{ "with", required_argument, NULL, OPT_WITH },
		{ "num-threads", required_argument, NULL, 't' },
		{ "progress", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
	};
	int id;

	input_options_add(longs, NR_OPTIONS);
	while ((id = getopt_long(argc, argv, "hv", longs, NULL)) != -1) {
		if (id == 'h')
			return print_help(stdout), STATUS_OK;
		if (id == '?')
			return usage_error(e, "inspect", "wrong option");
		/* It has the meaning of the other commands where what follows can be nothing else. */
		if (id == OPT_VMCOREINFO && !optarg && optind < argc &&
		    session_is_vmcoreinfo(argv[optind]))
			optarg = argv[optind++];
		if (take_option(in, id, optarg, e))
			return wrong_usage(e);
	}
	return -1;
}

static int inspect_run(int argc, char **argv, struct err *e)
{
	_cleanup_free_ char **second = calloc((size_t)argc + 1, sizeof(*second));
	_cleanup_free_ char **about = calloc((size_t)argc + 1, sizeof(*about));
	static struct inspect in; /* large, and there is only one */
	int status;

	if (!second || !about)
		return err_set(e, ERR_NOMEM, "out of memory"), STATUS_FAILED;
	in = (struct inspect){ .second = second, .about = about };
	talk_init(&in.talk, "dumptool inspect", false);
	status = parse_options(&in, argc, argv, e);
	if (status >= 0)
		return status;
	if (in.support)
		return print_support(in.json), STATUS_OK;
	if (take_files(&in, argc - optind, argv + optind, e))
		return wrong_usage(e);
	in.in.progress = talk_progress(&in.talk);
	return in.compare ? inspect_compare(&in, e) : inspect(&in, e);
}

const struct command inspect_command = {
	.name = "inspect",
	.summary = "tell what a dump is and what is in it; verify; compare",
	.run = inspect_run,
};
