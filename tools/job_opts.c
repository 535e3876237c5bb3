/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "job_opts.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "elftool.h"
#include "formats.h"
#include "main.h"
#include "parse.h"
#include "rules.h"

/* Who knows an option: enum manner, and this. */
enum {
	OURS = MANNER_FILTER,
	THEIRS = MANNER_MAKEDUMPFILE, /* makedumpfile's spelling; `dumptool filter` knows it too */
	CONVERT = MANNER_CONVERT,
	TOPELF = MANNER_TOPELF,
	TOVELF = MANNER_TOVELF,
	ELFTOOL_TOPELF = MANNER_ELFTOOL,
	ELFTOOL_TOVELF = MANNER_ELFTOOL_TOVELF,
	KDUMP_ELFTOOL = ELFTOOL_TOPELF | ELFTOOL_TOVELF,
	REFUSED = 8, /* makedumpfile has it, a later part may bring it */
};

/* Options without a short form. */
enum {
	OPT_PARAMS = 256,
	OPT_CYCLIC,
	OPT_DRY_RUN,
	OPT_DMESG,
	OPT_EXPLAIN,
	OPT_JSON,
	OPT_MESSAGES,
	OPT_NON_MMAP,
	OPT_THREADS,
	OPT_PARTIAL,
	OPT_PROGRESS,
	OPT_STATS,
	OPT_SPLIT,
	OPT_WORK_DIR,
	OPT_COMPRESS,
	OPT_FORMAT,
	OPT_REASSEMBLE,
	OPT_REFUSED,
	OPT_FOR,
	OPT_CLASS,
	OPT_M32,
	OPT_M64,
	OPT_INPUT,
	OPT_VMCORE,
	OPT_KIND,
	OPT_EXTRA,
	OPT_NO_DIRECT,
	OPT_NO_VMEMMAP,
	OPT_TASKS,
	OPT_NO_TASKS,
	OPT_PID,
	OPT_PGD,
	OPT_VMLINUX,
	OPT_HEADING, /* no option, but a line of --help; INPUT_OPT_FIRST: one, with session.h's options */
};

/* A letter for what has another id. */
#define LETTER(letter, id) ((letter) << 16 | (id))

struct option_row {
	const char *name; /* long form, or NULL */
	int id;		  /* short letter, OPT_, or LETTER() of both */
	const char *arg;  /* NULL: takes none */
	int who;
	const char *help; /* NULL: not in --help */
};

/*
 * The table that parsing, --help, the manual's test and the completion's test go by, beside that of
 * session.h.
 */
static const struct option_row rows[] = {
	{ NULL, OPT_HEADING, NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF | KDUMP_ELFTOOL, "Output:" },
	{ "output", 'o', "FILE", OURS | CONVERT, "write to FILE (or name it last)" },
	{ "output", 'o', "FILE", TOPELF | TOVELF, "write to FILE, not to standard output" },
	{ "outfile", 'o', "FILE", KDUMP_ELFTOOL, "write to FILE, not to standard output" },
	{ "format", OPT_FORMAT, "NAME", OURS | CONVERT, "kdump, elf, raw, or flattened (kdump)" },
	{ NULL, 'E', NULL, OURS | THEIRS, "write an ELF core" },
	{ "for", OPT_FOR, "READER", CONVERT | TOPELF,
	  "an ELF core for crash, gdb, drgn or volatility" },
	{ "elfclass", LETTER('c', OPT_CLASS), "32|64", TOPELF | KDUMP_ELFTOOL, "class of the file; default: the input's" },
	{ "m32", LETTER('4', OPT_M32), NULL, TOPELF | KDUMP_ELFTOOL, "the same as -c 32" },
	{ "m64", LETTER('8', OPT_M64), NULL, TOPELF | KDUMP_ELFTOOL, "the same as -c 64" },
	{ "flattened", 'F', NULL, OURS | THEIRS | CONVERT,
	  "write a flattened stream, to stdout or -o FILE" },
	{ "split", OPT_SPLIT, NULL, OURS | THEIRS | CONVERT,
	  "write a split set, one piece into each output" },
	{ "force", 'f', NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF, "overwrite what exists, take any vmlinux" },
	{ "size-limit", 'L', "SIZE", OURS | THEIRS | TOPELF | TOVELF, "treat SIZE (16M, 2G) as a full disk" },
	{ NULL, OPT_HEADING, NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF | KDUMP_ELFTOOL, "Pages:" },
	{ "level", 'd', "N[,N...]", OURS | THEIRS,
	  "drop: 1 zero 2 cache 4 private 8 user 16 free" },
	{ "level", LETTER('l', 'd'), "LEVEL", TOPELF | ELFTOOL_TOPELF, "keep: kernel (default) cache user inuse all" },
	{ "level", LETTER('l', 'd'), "LEVEL", TOVELF, "keep: kernel cache user inuse all (default)" },
	{ NULL, 'd', "N", TOPELF | TOVELF, "drop: 1 zero 2 cache 4 private 8 user 16 free" },
	{ "no-direct-map", OPT_NO_DIRECT, NULL, TOVELF, "without the linear map of all memory" },
	{ "no-vmemmap", OPT_NO_VMEMMAP, NULL, TOVELF, "without the area of struct pages" },
	{ NULL, OPT_HEADING, NULL, TOVELF | ELFTOOL_TOVELF, "Threads, or another address space:" },
	{ "procthreads", LETTER('p', OPT_TASKS), NULL, TOVELF | ELFTOOL_TOVELF, "one thread for each task" },
	{ "no-tasks", OPT_NO_TASKS, NULL, TOVELF, "one thread for each CPU; the default is -p" },
	{ "pid", OPT_PID, "N", TOVELF, "the memory of process N instead, and its threads" },
	{ "pgd", LETTER('P', OPT_PGD), "ADDR", TOVELF, "the memory by the page table at physical ADDR" },
	{ "physpgd", LETTER('P', OPT_PGD), "ADDR", ELFTOOL_TOVELF, "the memory by the page table at physical ADDR" },
	{ "vmlinux", LETTER('m', OPT_VMLINUX), "FILE", ELFTOOL_TOVELF, "what gdb is told to read" },
	{ "explain", OPT_EXPLAIN, "PFN", OURS, "tell why that page is kept or left out" },
	{ "compress", OPT_COMPRESS, "CODEC[:N]", OURS | CONVERT,
	  "zlib, lzo, snappy, zstd or none, at level N" },
	{ NULL, 'c', NULL, OURS | THEIRS | CONVERT, "zlib" },
	{ NULL, 'l', NULL, OURS | THEIRS | CONVERT, "lzo" },
	{ NULL, 'p', NULL, OURS | THEIRS | CONVERT, "snappy" },
	{ NULL, 'z', NULL, OURS | THEIRS | CONVERT, "zstd" },
	{ NULL, OPT_HEADING, NULL, OURS | THEIRS, "Other jobs:" },
	{ NULL, 'R', NULL, OURS | THEIRS, "make a file of a flattened stream on stdin" },
	{ "reassemble", OPT_REASSEMBLE, NULL, OURS | THEIRS, "make one dump of a split set" },
	{ "dump-dmesg", OPT_DMESG, NULL, OURS | THEIRS, "write the kernel log, as text" },
	{ "partial-dmesg", OPT_PARTIAL, NULL, OURS | THEIRS,
	  "only the log since it was last cleared" },
	{ NULL, 'x', "VMLINUX", THEIRS, "the kernel with debugging information" },
	{ NULL, INPUT_OPT_FIRST, NULL, OURS | CONVERT | TOPELF | TOVELF, "Input:" },
	{ NULL, OPT_HEADING, NULL, KDUMP_ELFTOOL, "Input:" },
	{ "input", LETTER('i', OPT_INPUT), "FILE", TOPELF | TOVELF, "read FILE (or name it last); or /proc/vmcore" },
	{ "oldmem", LETTER('i', OPT_INPUT), "FILE", KDUMP_ELFTOOL, "read FILE" },
	{ "vmcore", LETTER('v', OPT_VMCORE), "FILE", KDUMP_ELFTOOL, "read FILE; the default is /proc/vmcore" },
	{ "intype", LETTER('I', OPT_KIND), "KIND", KDUMP_ELFTOOL, "it is: oldmem, pelf, qemu, makedumpfile, kdump" },
	{ "extravminfo", LETTER('e', OPT_EXTRA), "FILE", KDUMP_ELFTOOL, "facts that count before VMCOREINFO's" },
	{ NULL, OPT_HEADING, NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF | KDUMP_ELFTOOL, "Work and messages:" },
	{ "non-mmap", OPT_NON_MMAP, NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF,
	  "read the input, do not map it" },
	{ "num-threads", OPT_THREADS, "N", OURS | THEIRS | CONVERT | TOPELF | TOVELF,
	  "work with N threads instead of one for each CPU" },
	{ "dry-run", OPT_DRY_RUN, NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF, "do everything but write" },
	{ "check-params", OPT_PARAMS, NULL, OURS | THEIRS, "check the command line, do nothing" },
	{ "show-stats", OPT_STATS, NULL, OURS | THEIRS, "report what was found and left out" },
	{ "json", OPT_JSON, NULL, OURS | CONVERT | TOPELF | TOVELF,
	  "print the result as JSON on standard output" },
	{ "progress", OPT_PROGRESS, "HOW", OURS | CONVERT | TOPELF | TOVELF, "auto, tty, plain, json or none" },
	{ "message-level", OPT_MESSAGES, "N", OURS | THEIRS,
	  "1 progress 2 common 4 errors 8 debug 16 report" },
	{ "debug", 'D', NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF, "tell what is found and decided" },
	{ "debug", LETTER('d', 'D'), NULL, KDUMP_ELFTOOL, "tell what is found and decided" },
	{ "quiet", 'q', NULL, OURS | CONVERT | TOPELF | TOVELF, "errors only" },
	{ "help", 'h', NULL, OURS | THEIRS | CONVERT | TOPELF | TOVELF | KDUMP_ELFTOOL, "this text" },
	{ "version", 'v', NULL, OURS | THEIRS, "version and compression support" },
	{ "for", OPT_FOR, "READER", OURS, NULL }, /* there is no room for it */
	{ NULL, 'b', "N", OURS | THEIRS, NULL },
	{ "cyclic-buffer", OPT_CYCLIC, "N", OURS | THEIRS, NULL },
	{ "work-dir", OPT_WORK_DIR, "DIR", OURS | THEIRS, NULL },
	{ NULL, 'X', NULL, THEIRS | REFUSED, NULL },
	{ NULL, 'e', NULL, THEIRS | REFUSED, NULL },
	{ NULL, 'g', "FILE", THEIRS | REFUSED, NULL },
	{ NULL, 'i', "FILE", THEIRS | REFUSED, NULL },
	{ "xen-syms", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
	{ "xen-vmcoreinfo", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
	{ "xen_phys_start", OPT_REFUSED, "ADDR", THEIRS | REFUSED, NULL },
	{ "splitblock-size", OPT_REFUSED, "KB", THEIRS | REFUSED, NULL },
	{ "mem-usage", OPT_REFUSED, NULL, THEIRS | REFUSED, NULL },
	{ "vtop", OPT_REFUSED, "ADDR", THEIRS | REFUSED, NULL },
	{ "diskset", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
	{ "config", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
	{ "eppic", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
	{ "extension", OPT_REFUSED, "FILE", THEIRS | REFUSED, NULL },
};

#define NR_ROWS ARRAY_SIZE(rows)

/*
 * In makedumpfile's own spelling our additions do not exist; -d, -F, -f, -L, -D have no long form
 * there.
 */
static bool has_long_form(const struct option_row *row, enum manner manner)
{
	return row->name && row->who & manner &&
	       (manner != MANNER_MAKEDUMPFILE || row->id >= 256 || row->id == 'h');
}

/* Its letter on the command line, or 0. */
static char letter_of(const struct option_row *row)
{
	return row->id >> 16 ? (char)(row->id >> 16) : row->id < 256 ? (char)row->id : '\0';
}

static void build_getopt(enum manner manner, struct option *longs, char *shorts)
{
	size_t i, nr = 0;

	for (i = 0; i < NR_ROWS; i++) {
		if (!(rows[i].who & manner))
			continue;
		if (letter_of(&rows[i])) {
			*shorts++ = letter_of(&rows[i]);
			if (rows[i].arg)
				*shorts++ = ':';
		}
		if (has_long_form(&rows[i], manner))
			longs[nr++] = (struct option){ .name = rows[i].name,
						       .has_arg = rows[i].arg ? required_argument
									      : no_argument,
						       .val = letter_of(&rows[i]) ?
								      letter_of(&rows[i]) :
								      rows[i].id };
	}
	*shorts = '\0';
	longs[nr] = (struct option){ .name = NULL };
	if (manner & ~(MANNER_MAKEDUMPFILE | KDUMP_ELFTOOL))
		input_options_add(longs, nr);
}

/* Levels by what they keep, as kdump-elftool names them. */
#define LEVEL_KERNEL (LEVEL_USER | LEVEL_CACHE | LEVEL_CACHE_PRIVATE | LEVEL_FREE)

static bool level_by_name(const char *word, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t level;
	} names[] = {
		{ "all", 0 },
		{ "inuse", LEVEL_FREE },
		{ "user", LEVEL_FREE | LEVEL_CACHE | LEVEL_CACHE_PRIVATE },
		{ "cache", LEVEL_FREE | LEVEL_USER },
		{ "kernel", LEVEL_KERNEL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, word)) {
			*ret = names[i].level;
			return true;
		}
	return false;
}

/* -d: makedumpfile takes what atoi() makes of each number; ours must be numbers. */
static int parse_levels(struct job_opts *o, const char *text, bool makedumpfile, struct err *e)
{
	char copy[256], *save = NULL, *word;

	o->nr_levels = 0;
	o->keep_all = false;
	if (strlen(text) >= sizeof(copy))
		return err_set(e, ERR_USAGE, "more than %d levels", MAX_LEVELS);
	strcpy(copy, text);
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		uint64_t level;

		if (!parse_number(word, 10, INT32_MAX, &level) &&
		    (makedumpfile || !level_by_name(word, &level))) {
			if (!makedumpfile)
				return err_set(e, ERR_USAGE,
					       "level '%s' is not a number from 0 to 31", word);
			level = (uint64_t)(int64_t)atoi(word);
		}
		if (level > LEVEL_MAX)
			return makedumpfile
				       ? err_set(e, ERR_USAGE, "Dump_level(%d) is invalid.",
						 (int)level)
				       : err_set(e, ERR_USAGE,
						 "level %s is not a number from 0 to 31", word);
		if (o->nr_levels == MAX_LEVELS)
			return err_set(e, ERR_USAGE, "more than %d levels", MAX_LEVELS);
		o->levels[o->nr_levels++] = (int)level;
	}
	if (!o->nr_levels)
		return err_set(e, ERR_USAGE, "no level in '%s'", text);
	return 0;
}

static void choose_codec(struct job_opts *o, const char *name)
{
	o->pass = PASS_SAME;
	o->codec = codec_by_name(name);
	o->missing_codec = o->codec ? NULL : name;
	o->codec_level = o->codec ? o->codec->default_level : 0;
}

/* --compress CODEC[:LEVEL] */
static int parse_compress(struct job_opts *o, const char *text, struct err *e)
{
	static const char *const names[] = { "zlib", "lzo", "snappy", "zstd" };
	size_t len = strcspn(text, ":"), i;
	uint64_t level;

	o->codec = NULL;
	o->missing_codec = NULL;
	o->pass = PASS_SAME;
	if (!strcmp(text, "none"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && !strncmp(names[i], text, len))
			break;
	if (i == ARRAY_SIZE(names))
		return err_set(e, ERR_USAGE,
			       "'%s' is no compression: zlib, lzo, snappy, zstd, none", text);
	choose_codec(o, names[i]);
	if (!text[len] || !o->codec)
		return 0;
	if (!o->codec->max_level)
		return err_set(e, ERR_USAGE, "%s has no levels", names[i]);
	if (!parse_number(text + len + 1, 10, (uint64_t)o->codec->max_level, &level) ||
	    level < (uint64_t)o->codec->min_level)
		return err_set(e, ERR_USAGE, "%s has levels %d to %d, not '%s'", names[i],
			       o->codec->min_level, o->codec->max_level, text + len + 1);
	o->codec_level = (int)level;
	return 0;
}

/* Any format that can be written; and "flattened", which is kdump in a stream. */
static int parse_format(struct job_opts *o, const char *name, struct err *e)
{
	bool flat = !strcmp(name, "flattened");
	const struct format *f = flat ? &kdump_format : format_by_name(name);

	if (!f || !f->begin)
		return err_set(e, ERR_USAGE, "'%s' is no format that can be written", name);
	o->format = f;
	o->flat |= flat;
	o->format_flat = flat;
	return 0;
}

static int parse_messages(struct job_opts *o, const char *text, bool makedumpfile, struct err *e)
{
	uint64_t level;

	if (!parse_number(text, 10, INT32_MAX, &level)) {
		if (!makedumpfile)
			return err_set(e, ERR_USAGE,
				       "message level '%s' is not a number from 0 to 31", text);
		level = (uint64_t)(int64_t)atoi(text);
	}
	if (level > TALK_MAX)
		return makedumpfile
			       ? err_set(e, ERR_USAGE, "Message_level(%d) is invalid.", (int)level)
			       : err_set(e, ERR_USAGE,
					 "message level %s is not a number from 0 to 31", text);
	o->message_level = (int)level;
	return 0;
}

/* makedumpfile takes any text for a number. */
static int take_threads(struct job_opts *o, const char *text, bool makedumpfile, struct err *e)
{
	if (!makedumpfile)
		return parse_threads(text, &o->threads, e);
	o->threads = (unsigned int)MAX(atoi(text), 0);
	return 0;
}

/* The flags that say just "do so". */
static bool set_flag(struct job_opts *o, int id)
{
	const struct {
		int id;
		bool *flag;
	} flags[] = {
		{ 'F', &o->flat },
		{ 'f', &o->force },
		{ OPT_SPLIT, &o->split },
		{ 'R', &o->unflatten },
		{ OPT_REASSEMBLE, &o->reassemble },
		{ OPT_DMESG, &o->dump_dmesg },
		{ OPT_DRY_RUN, &o->dry_run },
		{ OPT_PARTIAL, &o->partial_dmesg },
		{ OPT_PARAMS, &o->check_params },
		{ OPT_JSON, &o->json },
		{ 'q', &o->quiet },
		{ 'h', &o->help },
		{ 'v', &o->version },
		{ OPT_NO_DIRECT, &o->no_direct },
		{ OPT_NO_VMEMMAP, &o->no_vmemmap },
		{ OPT_TASKS, &o->tasks },
		{ OPT_NO_TASKS, &o->no_tasks },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].id == id)
			return *flags[i].flag = true;
	return false;
}

/* makedumpfile's letters for formats. */
static bool set_format_letter(struct job_opts *o, int id)
{
	static const char *const codecs[] = {
		['c'] = "zlib", ['l'] = "lzo", ['p'] = "snappy", ['z'] = "zstd"
	};

	if (id == 'E')
		o->format = &elf_format;
	else if (id >= 0 && (size_t)id < ARRAY_SIZE(codecs) && codecs[id])
		choose_codec(o, codecs[id]);
	else
		return false;
	return true;
}

/* The row that getopt's answer VAL, of a letter or the long name, stands for. */
static const struct option_row *row_of(enum manner manner, int val, const char *long_name)
{
	size_t i;

	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].who & manner &&
		    (long_name ? rows[i].name && !strcmp(rows[i].name, long_name)
			       : (letter_of(&rows[i]) ? letter_of(&rows[i]) : rows[i].id) == val))
			return &rows[i];
	return NULL;
}

/* -i, which counts; kdump-elftool's -v, where there is no -i. */
static int take_input(struct job_opts *o, bool vmcore, const char *arg, struct err *e)
{
	if (vmcore && o->nr_inputs)
		return 0;
	if (o->nr_inputs && !o->only_vmcore)
		return err_set(e, ERR_USAGE, "one input at a time: name more of them last");
	o->input = arg;
	o->inputs = (char *const *)&o->input;
	o->nr_inputs = 1;
	o->only_vmcore = vmcore;
	return 0;
}

/* What the writers of ELF for others take: topelf, tovelf, kdump-elftool. Another is taken in silence. */
static int take_elf_option(struct job_opts *o, int id, const char *arg, struct err *e)
{
	switch (id) {
	case OPT_FOR:
		o->reader = job_reader(arg);
		return o->reader ? 0
				 : err_set(e, ERR_USAGE,
					   "'%s' is no reader: crash, gdb, drgn, volatility", arg);
	case OPT_CLASS:
		if (strcmp(arg, "32") && strcmp(arg, "64"))
			return err_set(e, ERR_USAGE, "class '%s' is neither 32 nor 64", arg);
		o->word = *arg == '3' ? 4 : 8;
		return 0;
	case OPT_M32:
	case OPT_M64:
		o->word = id == OPT_M32 ? 4 : 8;
		return 0;
	case OPT_INPUT:
	case OPT_VMCORE:
		return take_input(o, id == OPT_VMCORE, arg, e);
	case OPT_PID:
		if (!parse_number(arg, 10, INT32_MAX, &o->pid) || !o->pid)
			return err_set(e, ERR_USAGE, "'%s' is no process", arg);
		return 0;
	case OPT_PGD:
		if (!parse_number(arg, 16, UINT64_MAX, &o->pgd))
			return err_set(e, ERR_USAGE, "'%s' is no address", arg);
		o->pgd_set = true;
		return 0;
	case OPT_VMLINUX:
		o->vmlinux = arg;
		return 0;
	case OPT_KIND:
		o->kind = arg;
		return elftool_kind(arg, e);
	case OPT_EXTRA:
		return elftool_extra(&o->in, arg, e);
	default:
		return 0;
	}
}

static int take_option(struct job_opts *o, int id, const char *arg, bool makedumpfile,
		       struct err *e)
{
	switch (id) {
	case 'o':
		if (o->nr_outputs == MAX_OUTPUTS)
			return err_set(e, ERR_USAGE, "more than %d outputs", MAX_OUTPUTS);
		o->outputs[o->nr_outputs++] = arg;
		return 0;
	case 'd':
		return parse_levels(o, arg, makedumpfile, e);
	case OPT_FORMAT:
		return parse_format(o, arg, e);
	case OPT_COMPRESS:
		return parse_compress(o, arg, e);
	case 'L':
		return parse_size(arg, &o->limit)
			       ? 0
			       : err_set(e, ERR_USAGE, "'%s' is not a size", arg);
	case 'x':
		o->in.vmlinux = arg;
		return 0;
	case OPT_THREADS:
		return take_threads(o, arg, makedumpfile, e);
	case OPT_EXPLAIN:
		o->explain_set = true;
		if (parse_number(arg, PARSE_PREFIX, UINT64_MAX, &o->explain))
			return 0;
		return err_set(e, ERR_USAGE, "'%s' is not a page frame number", arg);
	case OPT_PROGRESS:
		return parse_progress(arg, &o->progress, e);
	case OPT_NON_MMAP:
		o->in.source_flags |= SOURCE_NO_MMAP;
		return 0;
	case OPT_MESSAGES:
		return parse_messages(o, arg, makedumpfile, e);
	default:
		if (id >= INPUT_OPT_FIRST)
			return input_option(&o->in, id, arg, e);
		/* The last may be one without effect: -b, --cyclic-buffer, --work-dir. */
		return set_flag(o, id) || set_format_letter(o, id) ? 0 : take_elf_option(o, id, arg, e);
	}
}

/*
 * How many of N operands are inputs: the first alone for makedumpfile and before the pieces of a
 * split set; none where the input is a stream; all where the outputs are named otherwise, and with
 * makedumpfile's -F; else all but the last.
 */
static int count_inputs(const struct job_opts *o, int n, enum manner manner)
{
	bool stdout_only = (o->flat && !o->format_flat && manner != MANNER_CONVERT) ||
			   o->explain_set;

	if (o->unflatten)
		return 0;
	if (o->reassemble)
		return o->nr_outputs ? n : n - 1;
	if (manner == MANNER_MAKEDUMPFILE || (o->split && !o->nr_outputs))
		return MIN(n, 1);
	return o->nr_outputs || stdout_only || ((o->dry_run || o->flat) && n == 1) ? n : n - 1;
}

/* topelf: what is left over are inputs. */
static int take_inputs(struct job_opts *o, int argc, char **argv, struct err *e)
{
	static const char vmcore[] = "/proc/vmcore";

	if (argc && o->nr_inputs)
		return err_set(e, ERR_USAGE, "'%s' is one file name too many", argv[0]);
	if (argc) {
		o->inputs = argv;
		o->nr_inputs = (unsigned int)argc;
	} else if (!o->nr_inputs) {
		take_input(o, false, vmcore, e);
	}
	if (o->nr_outputs > 1)
		return err_set(e, ERR_USAGE, "'%s': there is one output only", o->outputs[1]);
	o->plain = !o->nr_outputs;
	if (o->json && o->plain && !o->dry_run)
		return err_set(e, ERR_USAGE, "--json and the dump both want standard output");
	if (!o->plain && !strcmp(o->outputs[0], "-"))
		return err_set(e, ERR_USAGE,
			       "'-' is no file name: without -o it goes to standard output");
	return 0;
}

/* What is left over: INPUT and OUTPUT..., as each mode wants them. */
static int take_operands(struct job_opts *o, int argc, char **argv, enum manner manner,
			 struct err *e)
{
	bool theirs = manner == MANNER_MAKEDUMPFILE;
	int i, inputs = count_inputs(o, argc, manner), most = argc;

	if (theirs && !o->reassemble && !o->split)
		most = o->flat || o->unflatten ? 1 : 2;
	if (argc < 1 && !(o->unflatten && o->nr_outputs))
		return err_set(e, ERR_USAGE, "an input is needed%s",
			       theirs ? "" : ": INPUT OUTPUT");
	if (argc > most || argc - inputs > MAX_OUTPUTS - (int)o->nr_outputs)
		return err_set(e, ERR_USAGE, "'%s' is one file name too many",
			       argv[MIN(most, argc - 1)]);
	o->inputs = argv;
	o->nr_inputs = (unsigned int)inputs;
	for (i = inputs; i < argc; i++)
		o->outputs[o->nr_outputs++] = argv[i];
	if (!o->flat && !o->explain_set && (!o->nr_outputs || (!inputs && !o->unflatten)) &&
	    !(o->dry_run && !theirs))
		return err_set(e, ERR_USAGE,
			       "an output is needed: name it last, or use -F for standard output");
	if (o->nr_outputs > 1 && !o->split)
		return err_set(e, ERR_USAGE, "more than one output needs --split");
	if (o->split && o->nr_outputs < 2)
		return err_set(e, ERR_USAGE, "--split needs at least two outputs");
	return 0;
}

static int check_combination(const struct job_opts *o, struct err *e)
{
	if (o->reader && o->format != &elf_format)
		return err_set(e, ERR_USAGE, "--for is for ELF cores: -E or --format elf");
	if (o->flat && o->split)
		return err_set(e, ERR_USAGE, "-F and --split do not go together");
	if (o->split && !o->format->can_split)
		return err_set(e, ERR_USAGE, "--split is for kdump: there are no pieces of format %s",
			       o->format->name);
	if (o->unflatten + o->reassemble + o->explain_set + o->dump_dmesg > 1 ||
	    ((o->unflatten || o->reassemble) && (o->flat || o->split || o->dry_run)))
		return err_set(e, ERR_USAGE,
			       "-R, --reassemble, --explain, --dump-dmesg, -F, --split, --dry-run: "
			       "these do not go together");
	if (o->dump_dmesg && (o->split || o->dry_run))
		return err_set(e, ERR_USAGE,
			       "--dump-dmesg goes neither with --split nor with --dry-run");
	if (o->partial_dmesg && !o->dump_dmesg)
		return err_set(e, ERR_USAGE, "--partial-dmesg needs --dump-dmesg");
	if (o->json && o->flat && !o->nr_outputs)
		return err_set(e, ERR_USAGE, "--json and -F both want standard output");
	if (o->explain_set && (o->dump_dmesg || o->flat || o->split))
		return err_set(e, ERR_USAGE,
			       "--explain goes neither with --dump-dmesg nor -F nor --split");
	if (o->dump_dmesg && o->json)
		return err_set(e, ERR_USAGE, "--json has nothing to tell about --dump-dmesg");
	if (o->nr_outputs && !strcmp(o->outputs[0], "-"))
		return err_set(e, ERR_USAGE, "'-' is no file name: -F writes to standard output");
	if (o->missing_codec && o->check_params)
		return err_set(e, ERR_USAGE, "%s is not supported by this program (%s)",
			       o->missing_codec, "it would write lzo instead");
	return 0;
}

static void set_defaults(struct job_opts *o, enum manner manner)
{
	*o = (struct job_opts){ .message_level = TALK_DEFAULT,
				.nr_levels = 1,
				.format = &kdump_format,
				.pass = PASS_SAME };
	if (manner == MANNER_MAKEDUMPFILE)
		return;
	if (manner & MANNERS_ELF) {
		o->format = &elf_format;
		o->force = manner & KDUMP_ELFTOOL;
		o->keep_all = manner & (TOVELF | ELFTOOL_TOVELF);
		o->levels[0] = o->keep_all ? 0 : LEVEL_KERNEL;
		return;
	}
	choose_codec(o, "zlib");
	if (manner == MANNER_FILTER) {
		o->levels[0] = LEVEL_MAX;
	} else {
		o->keep_all = true;
		o->pass = PASS_ANY; /* unless a codec is asked for */
	}
}

/* --reassemble: nothing is decided anew, not even the codec. */
static void set_reassemble(struct job_opts *o)
{
	o->keep_all = true;
	o->pass = PASS_ANY;
	o->unchecked = true;
}

static int take_options(struct job_opts *o, int argc, char **argv, enum manner manner, struct err *e)
{
	bool makedumpfile = manner == MANNER_MAKEDUMPFILE;
	struct option longs[NR_ROWS + NR_INPUT_OPTIONS + 1];
	char shorts[2 * NR_ROWS + 1];
	int id, index = -1;

	build_getopt(manner, longs, shorts);
	optind = 0; /* glibc: start anew, for the test that calls this twice */
	while ((id = getopt_long(argc, argv, shorts, longs, &index)) != -1) {
		const char *long_name = index >= 0 ? longs[index].name : NULL;
		const struct option_row *row = row_of(manner, id, long_name);

		index = -1;
		if (!row && id < INPUT_OPT_FIRST) /* getopt has said which */
			return err_set(e, ERR_USAGE, "%s", makedumpfile ? "" : "wrong option");
		if (row && row->who & REFUSED)
			return err_set(e, ERR_USAGE, "%s%s is not supported by dumptool yet",
				       row->name ? "--" : "-",
				       row->name ? row->name : (char[]){ (char)row->id, '\0' });
		if (row)
			id = row->id & 0xffff;
		if (id == OPT_STATS)
			o->message_level |= TALK_REPORT;
		else if (id == 'D')
			o->message_level |= TALK_DEBUG;
		else if (take_option(o, id, optarg, makedumpfile, e))
			return -1;
	}
	return 0;
}

int job_opts_parse(struct job_opts *o, int argc, char **argv, enum manner manner, struct err *e)
{
	set_defaults(o, manner);
	if (take_options(o, argc, argv, manner, e))
		return -1;
	if (o->help || o->version)
		return 0;
	o->in.force_vmlinux = o->force;
	o->vmlinux = o->vmlinux ? o->vmlinux : o->in.vmlinux;
	if (manner & MANNERS_ELF)
		return take_inputs(o, argc - optind, argv + optind, e);
	if (take_operands(o, argc - optind, argv + optind, manner, e))
		return -1;
	if (o->reassemble)
		set_reassemble(o);
	/* makedumpfile refuses what makes no sense; ours has a default codec, and ignores it. */
	if (manner == MANNER_MAKEDUMPFILE && o->format == &elf_format && (o->codec || o->missing_codec))
		return err_set(e, ERR_USAGE, "-E writes pages as they are, not compressed");
	return check_combination(o, e);
}

static void print_row(FILE *f, const struct option_row *row, enum manner manner)
{
	char left[48] = "";
	bool has_long = has_long_form(row, manner);
	char letter = letter_of(row);

	if (row->id == OPT_HEADING || row->id == INPUT_OPT_FIRST) {
		fprintf(f, "%s\n", row->help);
		if (row->id == INPUT_OPT_FIRST)
			input_options_help(f, 30);
		return;
	}
	snprintf(left, sizeof(left), "%s%.1s%s%s%s%s%s", letter ? "-" : "    ",
		 (char[]){ letter, '\0' },
		 letter && has_long ? ", " : "", has_long ? "--" : "",
		 has_long ? row->name : "", row->arg ? " " : "", row->arg ? row->arg : "");
	fprintf(f, "  %-27s %s\n", left, row->help);
}

static const char usage_filter[] =
	"Usage: dumptool filter [OPTION...] INPUT... OUTPUT\n"
	"Write INPUT as a kdump-compressed dump without the pages nobody needs.\n"
	"Default: -d 31 --compress zlib, which every reader opens.\n\n";

static const char usage_makedumpfile[] =
	"Usage: makedumpfile [OPTION...] VMCORE DUMPFILE\n"
	"       makedumpfile -F [OPTION...] VMCORE >STREAM\n"
	"       makedumpfile -R DUMPFILE <STREAM\n"
	"       makedumpfile --split [OPTION...] VMCORE DUMPFILE1 DUMPFILE2...\n"
	"       makedumpfile --reassemble DUMPFILE1 DUMPFILE2... DUMPFILE\n"
	"       makedumpfile --dump-dmesg VMCORE LOGFILE\n"
	"dumptool under another name, see dumptool-filter(8).\n\n";

static const char usage_convert[] =
	"Usage: dumptool convert [OPTION...] INPUT... OUTPUT\n"
	"Write INPUT in another format, with all that it holds.\n"
	"Default: --format kdump, pages as they are stored, or else zlib.\n\n";

static const char usage_topelf[] =
	"Usage: dumptool topelf [OPTION...] [-o FILE] [INPUT...]\n"
	"       dumptool topelf [OPTION...] [INPUT...] >FILE, or | COMMAND\n"
	"Write an ELF core with physical addresses, without what a level leaves out.\n\n";

static const char usage_tovelf[] =
	"Usage: dumptool tovelf [OPTION...] [-o FILE] [INPUT...]\n"
	"       dumptool tovelf [OPTION...] [INPUT...] >FILE, or | COMMAND\n"
	"Write the kernel's address space as an ELF core that gdb opens.\n\n";

static const char usage_elftool_tovelf[] =
	"Usage: kdump-elftool tovelf [OPTION...]\n"
	"dumptool tovelf under another name, see dumptool-tovelf(1).\n\n";

static const char usage_elftool[] =
	"Usage: kdump-elftool topelf [OPTION...]\n"
	"dumptool topelf under another name, see dumptool-topelf(8).\n\n";

static const struct {
	enum manner manner;
	const char *usage, *manual;
} helps[] = {
	{ MANNER_FILTER, usage_filter, "dumptool-filter(8)" },
	{ MANNER_MAKEDUMPFILE, usage_makedumpfile, "makedumpfile(8)" },
	{ MANNER_CONVERT, usage_convert, "dumptool-convert(1)" },
	{ MANNER_TOPELF, usage_topelf, "dumptool-topelf(8)" },
	{ MANNER_ELFTOOL, usage_elftool, "dumptool-topelf(8)" },
	{ MANNER_TOVELF, usage_tovelf, "dumptool-tovelf(1)" },
	{ MANNER_ELFTOOL_TOVELF, usage_elftool_tovelf, "dumptool-tovelf(1)" },
};

void job_opts_help(FILE *f, enum manner manner)
{
	size_t i, which = 0;

	while (helps[which].manner != manner)
		which++;
	fputs(helps[which].usage, f);
	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].help && rows[i].who & manner)
			print_row(f, &rows[i], manner);
	fprintf(f, "Sizes take K, M, G, T, P, E. Manual: %s\n", helps[which].manual);
}
