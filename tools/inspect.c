/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect: what a dump is, as far as the file goes. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch.h"
#include "cleanup.h"
#include "format.h"
#include "formats.h"
#include "json.h"
#include "main.h"
#include "printk.h"
#include "session.h"
#include "talk.h"
#include "zero.h"

struct inspect {
	struct session session;
	struct talk talk;
	char *const *files;
	unsigned int nr_files;
	struct input_opts in;
	bool json, quick;
	char release[65], version[65], machine[65], build_id[65];
	int64_t crash_time;
	char panic[256]; /* the line of the log that tells why */
	uint64_t pages[PAGE_UNREADABLE + 1];
	uint64_t zero; /* of the pages with data */
	bool zero_known;
	uint64_t lost; /* pages that turned out to be unreadable */
};

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

	if (!in->session.xlat.paging)
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

/*
 * Zero pages among NR that the system could not all deliver; the others are not present after all.
 */
static uint64_t count_exactly(struct inspect *in, struct reader *r, uint64_t pfn, uint64_t nr)
{
	size_t size = in->session.dump->id.page_size;
	_cleanup_free_ uint8_t *page = malloc(size);
	uint64_t zero = 0;

	for (; page && nr; nr--, pfn++) {
		struct err ignored = ERR_INIT;

		if (!reader_page(r, SPACE_PHYS, pfn, page, &ignored)) {
			zero += is_zero(page, size);
			continue;
		}
		in->pages[PAGE_DATA]--;
		in->pages[PAGE_UNREADABLE]++;
		in->lost++;
	}
	return zero;
}

/* How many pages hold only zeros: the one thing that needs all of the file. */
static int count_zero(struct inspect *in, struct err *e)
{
	struct dump *d = in->session.dump;
	struct progress *progress = talk_progress(&in->talk);
	uint64_t pfn = 0, done = 0;
	struct reader r;
	struct run run;

	progress_start(progress, "Looking for zero pages", in->pages[PAGE_DATA]);
	reader_init(&r, d);
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run) && !interrupted; pfn = run.pfn + run.nr) {
		struct err ignored = ERR_INIT;
		uint64_t i, zero, before;
		struct view v;
		int failed;

		if (run.state != PAGE_DATA)
			continue;
		before = source_my_faults();
		failed = reader_view(&r, SPACE_PHYS, run.pfn, run.nr, &v, &ignored);
		if (failed)
			v.nr = 1;
		for (i = zero = 0; !failed && i < v.nr; i++)
			zero += is_zero(v.data + i * d->id.page_size, d->id.page_size);
		if (failed || source_my_faults() != before)
			zero = count_exactly(in, &r, run.pfn, v.nr);
		in->zero += zero;
		run.nr = v.nr;
		progress_at(progress, done += v.nr);
	}
	reader_fini(&r);
	progress_end(progress);
	in->zero_known = true;
	return interrupted ? err_set(e, ERR_INTERRUPTED, "interrupted") : 0;
}

/* ---- telling ---- */

static const char *order_name(const struct dump *d)
{
	return d->id.order == ORDER_LE ? "little-endian" : "big-endian";
}

static bool is_complete(const struct inspect *in)
{
	const struct dump *d = in->session.dump;

	return !d->incomplete && !d->damage.missing_bytes && !d->damage.bad_structures &&
	       !d->damage.unreadable_pages && !in->lost;
}

static void print_complete(const struct inspect *in)
{
	const struct dump *d = in->session.dump;

	printf("complete:      %s\n", is_complete(in) ? "yes" : "NO");
	if (d->incomplete)
		printf("               it says so itself: its writer did not finish\n");
	if (d->damage.missing_bytes)
		printf("               it is cut off, %" PRIu64 " bytes (%" PRIu64
		       " pages) are missing\n",
		       d->damage.missing_bytes, d->damage.unreadable_pages);
	if (in->lost)
		printf("               %" PRIu64 " pages cannot be read\n", in->lost);
	if (d->damage.bad_structures)
		printf("               %" PRIu64 " of its headers or notes make no sense\n",
		       d->damage.bad_structures);
}

static void print_kernel(const struct inspect *in)
{
	const struct dump *d = in->session.dump;
	char when[64] = "";
	time_t t = (time_t)in->crash_time;
	struct tm tm;

	if (!d->vmcoreinfo)
		printf("kernel:        unknown, there is no VMCOREINFO note\n");
	else
		printf("kernel:        %s%s%s\n", in->release[0] ? in->release : "unknown",
		       in->version[0] ? " " : "", in->version);
	if (in->build_id[0])
		printf("build-id:      %s\n", in->build_id);
	if (in->crash_time && gmtime_r(&t, &tm) &&
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm))
		printf("crash time:    %s\n", when);
	if (in->panic[0])
		printf("panic:         %s\n", in->panic);
	if (!in->session.xlat.paging)
		printf("translation:   none: %s\n", in->session.no_xlat.text);
	else
		printf("translation:   %s, root 0x%" PRIx64 ", phys_base 0x%" PRIx64 "\n",
		       in->session.xlat.paging->name, in->session.xlat.root,
		       in->session.xlat.phys_base);
}

static void print_cpus(const struct dump *d)
{
	unsigned int i;

	printf("CPUs:          %u\n", d->nr_cpus);
	for (i = 0; i < d->nr_cpus; i++) {
		uint64_t pc = 0, sp = 0;

		cpu_reg(&d->cpus[i], d->arch->pc, &pc);
		cpu_reg(&d->cpus[i], d->arch->sp, &sp);
		printf("  %-4u         pid %d, %s 0x%" PRIx64 ", %s 0x%" PRIx64 "\n", i,
		       d->cpus[i].pid, d->arch->pc, pc, d->arch->sp, sp);
	}
}

#define MAX_SHOWN_RANGES 64

static const char *const state_name[] = { "absent", "present", "zero", "excluded", "unreadable" };

static void print_memory(const struct dump *d)
{
	unsigned int shift = dump_page_shift(d), shown = 0;
	uint64_t pfn = 0, more = 0;
	struct run run;

	printf("memory:\n");
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		if (shown++ >= MAX_SHOWN_RANGES) {
			more++;
			continue;
		}
		printf("  0x%012" PRIx64 "-0x%012" PRIx64 "  %" PRIu64 " pages %s\n",
		       run.pfn << shift, ((run.pfn + run.nr) << shift) - 1, run.nr,
		       state_name[run.state]);
	}
	if (more)
		printf("  and %" PRIu64 " more ranges (--json has all)\n", more);
}

static void print_text(const struct inspect *in)
{
	const struct dump *d = in->session.dump;

	printf("file:          %s\n", in->files[0]);
	printf("format:        %s\n", d->format->title);
	printf("architecture:  %s, %s, %u-bit, page size %u\n",
	       d->arch ? d->arch->title : "unknown", order_name(d), 8u * d->id.word,
	       d->id.page_size);
	print_complete(in);
	printf("dump level:    not told by this format\n");
	printf("codec:         none\n");
	print_kernel(in);
	if (d->arch && d->arch->notes)
		print_cpus(d);
	print_memory(d);
	printf("pages:         %" PRIu64 " present", in->pages[PAGE_DATA]);
	if (in->zero_known)
		printf(" (%" PRIu64 " of them zero)", in->zero);
	printf(", %" PRIu64 " excluded, %" PRIu64 " unreadable\n", in->pages[PAGE_EXCLUDED],
	       in->pages[PAGE_UNREADABLE]);
}

static void json_cpus(struct json *j, const struct dump *d)
{
	unsigned int i, k;

	json_array(j, "cpus");
	for (i = 0; i < d->nr_cpus; i++) {
		json_object(j, NULL);
		json_int(j, "pid", d->cpus[i].pid);
		json_object(j, "registers");
		for (k = 0; k < d->cpus[i].nr_regs; k++)
			json_hex(j, d->cpus[i].regs[k].name, d->cpus[i].regs[k].value);
		json_end(j);
		json_end(j);
	}
	json_end(j);
}

static void json_memory(struct json *j, const struct dump *d)
{
	unsigned int shift = dump_page_shift(d);
	uint64_t pfn = 0;
	struct run run;

	json_array(j, "memory");
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		json_object(j, NULL);
		json_hex(j, "start", run.pfn << shift);
		json_uint(j, "pages", run.nr);
		json_string(j, "state", state_name[run.state]);
		json_end(j);
	}
	json_end(j);
}

static void json_kernel(struct json *j, const struct inspect *in)
{
	const struct xlat *x = &in->session.xlat;

	json_object(j, "kernel");
	json_string(j, "release", in->release);
	json_string(j, "version", in->version);
	json_string(j, "machine", in->machine);
	json_string(j, "build_id", in->build_id);
	json_int(j, "crash_time", in->crash_time);
	json_string(j, "panic", in->panic);
	if (x->paging) {
		json_string(j, "translation", x->paging->name);
		json_hex(j, "page_table", x->root);
		json_hex(j, "phys_base", x->phys_base);
	}
	json_end(j);
}

static void print_json(const struct inspect *in)
{
	const struct dump *d = in->session.dump;
	struct json j;

	json_begin(&j, stdout);
	json_document(&j, "inspect", 1);
	json_string(&j, "file", in->files[0]);
	json_string(&j, "format", d->format->name);
	json_string(&j, "architecture", d->arch ? d->arch->name : "unknown");
	json_int(&j, "e_machine", d->id.e_machine);
	json_string(&j, "byte_order", order_name(d));
	json_uint(&j, "word_bits", 8u * d->id.word);
	json_uint(&j, "page_size", d->id.page_size);
	json_bool(&j, "complete", is_complete(in));
	json_bool(&j, "marked_incomplete", d->incomplete);
	json_uint(&j, "missing_bytes", d->damage.missing_bytes);
	json_uint(&j, "bad_structures", d->damage.bad_structures);
	json_kernel(&j, in);
	json_cpus(&j, d);
	json_memory(&j, d);
	json_object(&j, "pages");
	json_uint(&j, "present", in->pages[PAGE_DATA]);
	if (in->zero_known)
		json_uint(&j, "zero", in->zero);
	json_uint(&j, "excluded", in->pages[PAGE_EXCLUDED]);
	json_uint(&j, "unreadable", in->pages[PAGE_UNREADABLE]);
	json_end(&j);
	if (d->vmcoreinfo)
		json_string_n(&j, "vmcoreinfo", d->vmcoreinfo, d->vmcoreinfo_len);
	json_finish(&j);
}

/* The text of the note, control characters escaped. */
static int print_vmcoreinfo(const struct dump *d, struct err *e)
{
	size_t i;

	if (!d->vmcoreinfo)
		return err_set(e, ERR_MISSING, "%s: has no VMCOREINFO note",
			       source_name(d->source));
	for (i = 0; i < d->vmcoreinfo_len; i++) {
		unsigned char c = (unsigned char)d->vmcoreinfo[i];

		if (c == '\n' || (c >= ' ' && c < 0x7f))
			putchar(c);
		else if (c)
			printf("\\x%02x", c);
	}
	return 0;
}

/* A format that is known by name only: say that much. -1 when it can be read, or is not known. */
static int name_format(struct inspect *in, bool vmcoreinfo, struct err *e)
{
	const struct format *f;
	struct source *s;
	struct json j;

	if (open_sources(in->files, 1, &in->in, &in->talk.log, &s, e))
		return STATUS_FAILED;
	f = recognise(s);
	source_close(s);
	if (!f || f->open)
		return -1;
	if (vmcoreinfo) {
		/* nothing of what was asked for */
	} else if (in->json) {
		json_begin(&j, stdout);
		json_document(&j, "inspect", 1);
		json_string(&j, "file", in->files[0]);
		json_string(&j, "format", f->name);
		json_bool(&j, "readable", false);
		json_finish(&j);
	} else {
		printf("file:          %s\nformat:        %s\n", in->files[0], f->title);
	}
	err_set(e, ERR_UNSUPPORTED, "%s: is a %s: recognised, but cannot be looked into yet",
		in->files[0], f->title);
	return STATUS_FAILED;
}

static const char help[] =
	"Usage: dumptool inspect [OPTION...] FILE\n"
	"Tell what a dump is and what is in it, as far as the file goes.\n\n"
	"      --vmcoreinfo   print the VMCOREINFO note instead\n"
	"      --json         print everything as JSON\n"
	"      --quick        headers and kernel only, do not look for zero pages\n"
	"      --progress HOW auto, tty, plain, json or none\n"
	"  -h, --help         this text\n\n"
	"Exit status: 0 complete, 4 cut off or damaged. Manual: dumptool-inspect(1)\n";

static int inspect(struct inspect *in, bool vmcoreinfo, struct err *e)
{
	struct dump *d;
	int status = name_format(in, vmcoreinfo, e);

	if (status >= 0)
		return status;
	if (session_open(&in->session, in->files, in->nr_files, &in->in, &in->talk.log, e))
		return STATUS_FAILED;
	d = in->session.dump;
	status = STATUS_OK;
	if (vmcoreinfo) {
		if (print_vmcoreinfo(d, e))
			status = STATUS_FAILED;
	} else {
		find_kernel(in);
		count_states(in);
		if (!in->quick && count_zero(in, e))
			status = STATUS_FAILED;
		else if (in->json)
			print_json(in);
		else
			print_text(in);
	}
	if (!status && !is_complete(in))
		status = STATUS_DAMAGED;
	session_close(&in->session);
	return status;
}

static int inspect_run(int argc, char **argv, struct err *e)
{
	static const struct option longs[] = {
		{ "vmcoreinfo", no_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "quick", no_argument, NULL, 'q' },
		{ "progress", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct inspect in = { .files = NULL };
	bool vmcoreinfo = false;
	int id;

	talk_init(&in.talk, "dumptool inspect", false);
	while ((id = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (id) {
		case 'v':
			vmcoreinfo = true;
			break;
		case 'j':
			in.json = true;
			break;
		case 'q':
			in.quick = true;
			break;
		case 'p':
			if (!progress_mode_parse(optarg, &in.talk.mode))
				return usage_error(
					e, "inspect",
					"'%s': progress is auto, tty, plain, json or none", optarg);
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage_error(e, "inspect", "wrong option");
		}
	}
	if (argc - optind < 1)
		return usage_error(e, "inspect", "a file is needed");
	if (vmcoreinfo && in.json)
		return usage_error(e, "inspect", "--vmcoreinfo prints text; --json has it too");
	in.files = argv + optind;
	in.nr_files = (unsigned int)(argc - optind);
	return inspect(&in, vmcoreinfo, e);
}

const struct command inspect_command = {
	.name = "inspect",
	.summary = "tell what a dump is and what is in it",
	.run = inspect_run,
};
