/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool dumpmem, virttophys: memory of a dump, and where it lies, by address. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "elftool.h"
#include "main.h"
#include "parse.h"
#include "sink.h"
#include "talk.h"

#define LINE 16

struct memory {
	const char *command; /* for messages */
	const char *input, *vmcore, *kind, *output;
	struct input_opts in;
	bool physical, force, has_root;
	uint64_t root;
	struct talk talk;
	struct session session;
	struct reader r;
};

/* ---- opening ---- */

static int open_memory(struct memory *m, struct err *e)
{
	struct session *s = &m->session;
	const char *name = m->input ? m->input : m->vmcore ? m->vmcore : "/proc/vmcore";

	m->in.progress = talk_progress(&m->talk);
	if (session_open(s, (char *const *)&name, 1, &m->in, &m->talk.log, e))
		return -1;
	if (m->kind && elftool_check(s, m->kind, e)) {
		session_close(s);
		return -1;
	}
	/* Another table than the kernel's: what is known without any does not go with it. */
	if (m->has_root) {
		s->xlat.root = m->root;
		s->xlat.nr_windows = 0;
	}
	reader_init(&m->r, s->dump);
	return 0;
}

static void close_memory(struct memory *m)
{
	reader_fini(&m->r);
	session_close(&m->session);
}

static int read_memory(struct memory *m, uint64_t at, void *buf, size_t len, struct err *e)
{
	const struct session *s = &m->session;

	if (m->physical)
		return reader_read(&m->r, SPACE_PHYS, at, buf, len, e);
	if (xlat_works(&s->xlat))
		return xlat_read(&s->xlat, &m->r, at, buf, len, e);
	*e = s->no_xlat;
	return -1;
}

/* ---- dumpmem ---- */

static void print_line(uint64_t at, const uint8_t *data, size_t len)
{
	size_t i;

	printf("%" PRIx64 ":", at);
	for (i = 0; i < LINE; i++)
		if (i < len)
			printf(" %2.2x", data[i]);
		else
			printf("   ");
	printf("  ");
	for (i = 0; i < len; i++)
		putchar(data[i] >= ' ' && data[i] <= '~' ? data[i] : '.');
	putchar('\n');
}

/* What cannot be had is said in its place, once for a page. Returns how many lines had nothing. */
static uint64_t print_memory(struct memory *m, uint64_t at, uint64_t size)
{
	uint64_t page = m->session.dump->id.page_size, done = 0, missing = 0;
	uint8_t data[LINE];

	while (done < size && !interrupted && !ferror(stdout)) {
		size_t len = (size_t)MIN(size - done, (uint64_t)LINE);
		struct err why = ERR_INIT;

		if (!read_memory(m, at + done, data, len, &why)) {
			print_line(at + done, data, len);
			done += len;
			continue;
		}
		printf("%" PRIx64 ": %s\n", at + done, why.text);
		missing++;
		done += ALIGN_UP(page - ((at + done) & (page - 1)), (uint64_t)LINE);
	}
	return missing;
}

/* As it is, into a file: all of it or nothing. */
static int write_memory(struct memory *m, uint64_t at, uint64_t size, struct err *e)
{
	uint8_t buf[4096];
	uint64_t done = 0;
	struct sink *s;
	int failed = 0;

	if (session_reads(&m->session, m->output))
		return err_set(e, ERR_EXISTS, "%s: is the input", m->output);
	if (sink_file(m->output, SINK_RENAME | (m->force ? SINK_FORCE : 0), &s, e))
		return -1;
	while (!failed && done < size) {
		size_t len = (size_t)MIN(size - done, sizeof(buf) - ((at + done) & 4095));

		failed = interrupted ? err_set(e, ERR_INTERRUPTED, "interrupted")
				     : read_memory(m, at + done, buf, len, e) ||
					       sink_write(s, done, buf, len, e);
		done += len;
	}
	if (failed || sink_commit(s, size, e)) {
		sink_discard(s);
		failed = -1;
	}
	sink_close(s);
	return failed;
}

static int dump(struct memory *m, uint64_t at, uint64_t size, struct err *e)
{
	uint64_t missing;

	if (m->output)
		return write_memory(m, at, size, e) ? STATUS_FAILED : STATUS_OK;
	missing = print_memory(m, at, size);
	if (missing)
		err_set(e, ERR_UNREADABLE, "%" PRIu64 " pieces of it cannot be had", missing);
	return missing ? STATUS_FAILED : STATUS_OK;
}

/* ---- virttophys ---- */

static int translate(struct memory *m, uint64_t vaddr, struct err *e)
{
	struct session *s = &m->session;
	struct mapping found;

	if (!xlat_works(&s->xlat)) {
		*e = s->no_xlat;
		return STATUS_FAILED;
	}
	if (xlat_lookup(&s->xlat, &m->r, vaddr, &found, e))
		return STATUS_FAILED;
	printf("%" PRIx64 "\n", found.paddr + (vaddr - found.vaddr));
	return STATUS_OK;
}

/* ---- the commands ---- */

static const char help_dumpmem[] =
	"Usage: dumptool dumpmem [OPTION...] [INPUT] ADDRESS SIZE\n"
	"       kdump-elftool dumpmem [OPTION...] ADDRESS SIZE\n"
	"Print memory of a dump in hexadecimal, as ADDRESS and SIZE are.\n\n"
	"  -i, --infile FILE       read FILE; the default is /proc/vmcore\n"
	"  -v, --vmcore FILE       the same, where there is no -i\n"
	"  -I, --intype KIND       it is: oldmem, pelf, qemu, makedumpfile, kdump\n"
	"  -p, --is_physical       ADDRESS is a physical one\n"
	"  -o, --outfile FILE      write the memory as it is to FILE\n"
	"  -f, --force             overwrite FILE\n"
	"  -e, --extravminfo FILE  facts that count before those of VMCOREINFO\n";

static const char help_virttophys[] =
	"Usage: dumptool virttophys [OPTION...] [INPUT] ADDRESS\n"
	"       kdump-elftool virttophys [OPTION...] ADDRESS\n"
	"Print the physical address of a virtual one; both in hexadecimal.\n\n"
	"  -i, --infile FILE       read FILE; the default is /proc/vmcore\n"
	"  -v, --vmcore FILE       the same, where there is no -i\n"
	"  -I, --intype KIND       it is: oldmem, pelf, qemu, makedumpfile, kdump\n"
	"  -P, --physpgd ADDR      by the page table at the physical address ADDR\n"
	"  -e, --extravminfo FILE  facts that count before those of VMCOREINFO\n"
	"  -d, --debug             tell what is found and decided\n";

#define COMMON_OPTIONS 5
#define COMMON                                                                                  \
	{ "infile", required_argument, NULL, 'i' }, { "vmcore", required_argument, NULL, 'v' }, \
		{ "intype", required_argument, NULL, 'I' },                                     \
		{ "extravminfo", required_argument, NULL, 'e' },                                \
	{                                                                                       \
		"help", no_argument, NULL, 'h'                                                  \
	}

static int take_option(struct memory *m, int id, const char *arg, struct err *e)
{
	const char **texts[] = { ['i'] = &m->input,
				 ['v'] = &m->vmcore,
				 ['I'] = &m->kind,
				 ['o'] = &m->output, };

	switch (id) {
	case 'p':
		m->physical = true;
		return 0;
	case 'f':
		m->force = true;
		return 0;
	case 'e':
		return elftool_extra(&m->in, arg, e);
	case 'd':
		m->talk.level |= TALK_DEBUG;
		return 0;
	case 'P':
		m->has_root = true;
		return parse_number(arg, 16, UINT64_MAX, &m->root)
			       ? 0
			       : err_set(e, ERR_USAGE, "'%s' is not an address", arg);
	case 'i':
	case 'v':
	case 'I':
	case 'o':
		*texts[id] = arg;
		return id == 'I' ? elftool_kind(arg, e) : 0;
	default:
		return input_option(&m->in, id, arg, e);
	}
}

/*
 * Options, and NR numbers behind an input that no option named. Returns an exit status where that
 * is all, or -1 to go on.
 */
static int parse(struct memory *m, int argc, char **argv, const char *shorts,
		 const struct option *longs, const char *help, int nr, uint64_t *ret, struct err *e)
{
	struct err why = ERR_INIT;
	int id, i;

	talk_init(&m->talk, argv[0], false);
	m->talk.data_on_stdout = true;
	while ((id = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (id == 'h') {
			fputs(help, stdout);
			if (!elftool_manner(argv[0]))
				input_options_help(stdout, 26);
			printf("  -h, --help              this text\n\nManual: dumptool-%s(1)\n",
			       m->command);
			return STATUS_OK;
		}
		if (id == '?')
			return usage_error(e, m->command, "wrong option");
		if (take_option(m, id, optarg, &why))
			return usage_error(e, m->command, "%s", why.text);
	}
	if (argc - optind == nr + 1 && !m->input)
		m->input = argv[optind++];
	if (argc - optind != nr)
		return usage_error(e, m->command,
				   nr > 1 ? "ADDRESS and SIZE are needed" : "an ADDRESS is needed");
	for (i = 0; i < nr; i++)
		if (!parse_number(argv[optind + i], 16, UINT64_MAX, &ret[i]))
			return usage_error(e, m->command, "'%s' is no hexadecimal number",
					   argv[optind + i]);
	return -1;
}

static int dumpmem_run(int argc, char **argv, struct err *e)
{
	struct option longs[COMMON_OPTIONS + 3 + NR_INPUT_OPTIONS + 1] = {
		COMMON,
		{ "outfile", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "is_physical", no_argument, NULL, 'p' },
	};
	struct memory m = { .command = "dumpmem" };
	uint64_t numbers[2];
	int status;

	if (!elftool_manner(argv[0]))
		input_options_add(longs, COMMON_OPTIONS + 3);
	status = parse(&m, argc, argv, "i:v:I:e:ho:fp", longs, help_dumpmem, 2, numbers, e);
	if (status >= 0)
		return status;
	if (numbers[1] > UINT64_MAX - numbers[0])
		return usage_error(e, m.command, "ADDRESS + SIZE is beyond the last address");
	if (open_memory(&m, e))
		return STATUS_FAILED;
	status = dump(&m, numbers[0], numbers[1], e);
	close_memory(&m);
	return status;
}

static int virttophys_run(int argc, char **argv, struct err *e)
{
	struct option longs[COMMON_OPTIONS + 2 + NR_INPUT_OPTIONS + 1] = {
		COMMON,
		{ "physpgd", required_argument, NULL, 'P' },
		{ "debug", no_argument, NULL, 'd' },
	};
	struct memory m = { .command = "virttophys" };
	uint64_t vaddr;
	int status;

	if (!elftool_manner(argv[0]))
		input_options_add(longs, COMMON_OPTIONS + 2);
	status = parse(&m, argc, argv, "i:v:I:e:hP:d", longs, help_virttophys, 1, &vaddr, e);
	if (status >= 0)
		return status;
	if (open_memory(&m, e))
		return STATUS_FAILED;
	status = translate(&m, vaddr, e);
	close_memory(&m);
	return status;
}

const struct command dumpmem_command = {
	.name = "dumpmem",
	.summary = "print memory of a dump in hexadecimal",
	.elftool = true,
	.run = dumpmem_run,
};

const struct command virttophys_command = {
	.name = "virttophys",
	.summary = "print the physical address of a virtual one",
	.elftool = true,
	.run = virttophys_run,
};
