/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dumptool tovelf: an ELF core by virtual addresses, which gdb opens. Each page is stored once, however
 * often it is mapped.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "cleanup.h"
#include "formats.h"
#include "job.h"
#include "kmem.h"
#include "main.h"
#include "memmap.h"
#include "threads.h"
#include "vmap.h"

struct tovelf {
	struct job job; /* first: select() gets it */
	bool no_direct, no_vmemmap;
	struct vmap vmap;
	bool no_tasks;
	struct reader reader; /* of mem */
	struct kmem mem;
	struct threads threads;
	uint64_t pieces; /* of the address space, before they are cut to what the dump has */
};

/* ---- the address space ---- */

/* Windows may begin before the table does. */
static uint64_t kernel_start(const struct xlat *x)
{
	uint64_t start = x->paging ? xlat_kernel_start(x) : UINT64_MAX;

	return x->nr_windows ? MIN(start, x->windows[0].vaddr) : start;
}

/* The addresses of struct pages, where they have an area of their own. */
static void find_vmemmap(struct tovelf *t)
{
	struct session *s = &t->job.session;
	struct memmap map = { .model = NULL };
	struct err why = ERR_INIT;
	struct reader r;
	size_t i;

	reader_init(&r, s->dump);
	if (memmap_init(&map, &s->kernel, &s->xlat, &r, &t->job.keep, &why))
		log_warn(&t->job.talk.log, "--no-vmemmap: where it is is not known: %s", why.text);
	for (i = 0; i < map.nr_ranges; i++) {
		const struct memmap_range *m = &map.ranges[i];
		uint64_t end = m->vaddr + (m->nr * map.struct_size - 1);

		t->vmap.drop_start = i ? MIN(t->vmap.drop_start, m->vaddr) : m->vaddr;
		t->vmap.drop_end = MAX(t->vmap.drop_end, end);
	}
	/* In the other models they lie in the linear map, among everything else. */
	if (map.model && !strstr(map.model, "VMEMMAP"))
		t->vmap.drop_start = t->vmap.drop_end = 0;
	memmap_fini(&map);
	reader_fini(&r);
}

static int set_space(struct tovelf *t, struct err *e)
{
	struct session *s = &t->job.session;

	t->vmap = (struct vmap){ .dump = s->dump,
				 .xlat = &s->xlat,
				 .memory = &t->job.keep,
				 .start = kernel_start(&s->xlat),
				 .end = UINT64_MAX,
				 .no_direct = t->no_direct };
	if (s->dump->id.word == 4)
		t->vmap.end = UINT32_MAX;
	if (t->no_direct)
		kmem_image(&t->mem, &t->vmap.image_start, &t->vmap.image_end);
	if (t->no_vmemmap)
		find_vmemmap(t);
	return vmap_prepare(&t->vmap, e);
}

struct marker {
	struct tovelf *t;
	struct pfnset *mapped;
};

static int mark_piece(void *priv, const struct mapping *m, struct err *e)
{
	struct marker *k = priv;
	unsigned int shift = dump_page_shift(k->t->job.session.dump);
	uint64_t pfn = m->paddr >> shift, end = (m->paddr + (m->len - 1)) >> shift;

	(void)e;
	k->t->pieces++;
	pfnset_set(k->mapped, pfn, end - pfn + 1);
	return 0;
}

static void tell_walk(const struct tovelf *t)
{
	const struct xlat_walk_stats *s = &t->vmap.stats;
	struct log *log = (struct log *)&t->job.talk.log;

	if (s->unreadable)
		log_warn(log, "%" PRIu64 " entries of page tables are not in the dump: what they map "
			      "is missing", s->unreadable);
	if (s->cut)
		log_warn(log, "the page tables have no end, or go in circles: %" PRIu64
			      " pieces of address space are told, the rest is missing", t->pieces);
	if (s->repeats || t->vmap.aliases)
		log_info(log, "%" PRIu64 " page tables and %" PRIu64 " pieces of memory that are mapped "
			      "again and again are left out after the first %u and %u times",
			 s->repeats, t->vmap.aliases, XLAT_REPEATS, VMAP_ALIASES);
}

/* Only what is mapped is kept. */
static int select_mapped(struct job *job, struct err *e)
{
	struct tovelf *t = (struct tovelf *)job;
	struct pfnset filtered = { .nr_ranges = 0 };
	struct marker mark = { .t = t, .mapped = job->opts.keep_all ? &job->keep : &filtered };
	int ret = -1;

	if (set_space(t, e) || (!job->opts.keep_all && pfnset_init(&filtered, job->session.dump, e)))
		goto out;
	pfnset_clear(mark.mapped, 0, UINT64_MAX);
	ret = vmap_each(&t->vmap, mark_piece, &mark, e);
	if (!ret && !job->opts.keep_all)
		pfnset_intersect(&job->keep, &filtered);
	tell_walk(t);
out:
	pfnset_fini(&filtered);
	return ret;
}

/* ---- the command ---- */

static int check_session(struct tovelf *t, struct err *e)
{
	const struct session *s = &t->job.session;

	if (!xlat_works(&s->xlat))
		return err_set(e, s->no_xlat.code, "%s: there is no address space to be written: %s",
			       t->job.opts.inputs[0], s->no_xlat.text);
	if (s->no_xlat.code != ERR_NONE)
		log_warn(&t->job.talk.log, "%s: only what needs no page table is mapped: %s",
			 t->job.opts.inputs[0], s->no_xlat.text);
	return 0;
}

/* A thread for each task, or at least for each CPU. */
static int find_threads(struct tovelf *t, struct err *e)
{
	struct session *s = &t->job.session;
	struct err why = ERR_INIT;
	struct task_stats stats = { .told = 0 };

	reader_init(&t->reader, s->dump);
	t->mem = (struct kmem){ .kernel = &s->kernel, .xlat = &s->xlat, .reader = &t->reader };
	if (threads_init(&t->threads, s->dump, e))
		return -1;
	t->threads.kernel_start = kernel_start(&s->xlat);
	if (t->no_tasks)
		return threads_finish(&t->threads, e);
	session_deepen(s);
	if (threads_add_tasks(&t->threads, &t->mem, &stats, &why)) {
		if (why.code != ERR_MISSING)
			return *e = why, -1;
		session_explain(s, &why);
		log_warn(&t->job.talk.log, "the only threads are the %zu CPUs: %s", t->threads.nr,
			 why.text);
	} else if (!t->threads.places.layout) {
		log_warn(&t->job.talk.log, "where tasks that do not run have their registers is not "
					   "known: they have none");
	}
	if (stats.broken)
		s->dump->damage.bad_structures++;
	return threads_finish(&t->threads, e);
}

static int tovelf(struct tovelf *t, struct err *e)
{
	struct job *job = &t->job;
	const struct job_opts *o = &job->opts;
	int status;

	job->opts.in.progress = talk_progress(&job->talk);
	if (session_open(&job->session, o->inputs, o->nr_inputs, &o->in, &job->talk.log, e))
		return STATUS_FAILED;
	if (check_session(t, e) || find_threads(t, e))
		return STATUS_FAILED;
	job->select = select_mapped;
	job->vmap = &t->vmap;
	job->threads = &t->threads.stream;
	status = job_write(job, e);
	if (status == STATUS_INCOMPLETE)
		job_add_incomplete(job, e);
	else if (status != STATUS_FAILED)
		job_summary(job);
	return status;
}

enum { OPT_NO_DIRECT = 256, OPT_NO_VMEMMAP, OPT_NO_TASKS, OPT_THREADS, OPT_PROGRESS };

static const struct option longs[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ "no-direct-map", no_argument, NULL, OPT_NO_DIRECT },
	{ "no-vmemmap", no_argument, NULL, OPT_NO_VMEMMAP },
	{ "no-tasks", no_argument, NULL, OPT_NO_TASKS },
	{ "procthreads", no_argument, NULL, 'p' },
	{ "level", required_argument, NULL, 'd' },
	{ "num-threads", required_argument, NULL, OPT_THREADS },
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "debug", no_argument, NULL, 'D' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
};

static void print_help(FILE *f)
{
	fputs("Usage: dumptool tovelf [OPTION...] INPUT... OUTPUT\n"
	      "Write the kernel's address space as an ELF core that gdb opens.\n\n"
	      "Output:\n"
	      "  -o, --output FILE       write to FILE (or name it last)\n"
	      "  -f, --force             overwrite what exists\n"
	      "Address space:\n"
	      "      --no-direct-map     without the linear map of all memory\n"
	      "      --no-vmemmap        without the area of struct pages\n"
	      "  -d, --level N           drop: 1 zero 2 cache 4 private 8 user 16 free\n"
	      "Threads:\n"
	      "  -p, --procthreads       one for each task (as by default)\n"
	      "      --no-tasks          one for each CPU\n"
	      "Input:\n"
	      "  -i, --input FILE        the dump (or name it first)\n",
	      f);
	input_options_help(f, 26);
	fputs("Work and messages:\n"
	      "      --num-threads N     work with N threads instead of one for each CPU\n"
	      "      --progress HOW      auto, tty, plain, json or none\n"
	      "  -D, --debug             tell what is found and decided\n"
	      "  -q, --quiet             errors only\n"
	      "  -h, --help              this text\n\n"
	      "Manual: dumptool-tovelf(1)\n",
	      f);
}

/* A whole number in [MIN, MAX]. */
static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret,
			struct err *e)
{
	char *end;

	*ret = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || *ret < min || *ret > max)
		return err_set(e, ERR_USAGE, "'%s' is not a number from %lu to %lu", text, min, max);
	return 0;
}

static int take_option(struct tovelf *t, int id, char *arg, struct err *e)
{
	struct job_opts *o = &t->job.opts;
	unsigned long n = 0;

	switch (id) {
	case 'o':
		o->outputs[0] = arg;
		o->nr_outputs = 1;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case OPT_NO_DIRECT:
		t->no_direct = true;
		return 0;
	case OPT_NO_VMEMMAP:
		t->no_vmemmap = true;
		return 0;
	case OPT_NO_TASKS:
		t->no_tasks = true;
		return 0;
	case 'p':
		t->no_tasks = false;
		return 0;
	case 'd':
		if (parse_number(arg, 0, LEVEL_MAX, &n, e))
			return -1;
		o->levels[0] = (int)n;
		o->keep_all = !n;
		return 0;
	case OPT_THREADS:
		if (parse_number(arg, 1, 65536, &n, e))
			return -1;
		o->threads = (unsigned int)n;
		return 0;
	case OPT_PROGRESS:
		return progress_mode_parse(arg, &o->progress)
			       ? 0
			       : err_set(e, ERR_USAGE,
					 "'%s': progress is auto, tty, plain, json or none", arg);
	case 'D':
		o->message_level |= TALK_DEBUG;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return input_option(&o->in, id, arg, e);
	}
}

/* The operands behind -i's: all but the last are inputs where the output was not named. */
static int take_operands(struct tovelf *t, char **inputs, unsigned int nr, int argc, char **argv,
			 struct err *e)
{
	struct job_opts *o = &t->job.opts;
	int i;

	if (!o->nr_outputs && argc > (nr ? 0 : 1))
		o->outputs[o->nr_outputs++] = argv[--argc];
	for (i = 0; i < argc; i++)
		inputs[nr++] = argv[i];
	if (!nr)
		return err_set(e, ERR_USAGE, "an input is needed: INPUT OUTPUT");
	if (!o->nr_outputs)
		return err_set(e, ERR_USAGE, "an output is needed: name it last");
	o->inputs = inputs;
	o->nr_inputs = nr;
	return 0;
}

static int wrong_usage(struct err *e)
{
	struct err what = *e;

	return usage_error(e, "tovelf", "%s", what.text);
}

/* Returns an exit status where that is all, or -1 to go on. */
static int parse_options(struct tovelf *t, int argc, char **argv, char **inputs, struct err *e)
{
	struct option all[ARRAY_SIZE(longs) + NR_INPUT_OPTIONS + 1];
	unsigned int nr_inputs = 0;
	int id;

	memcpy(all, longs, sizeof(longs));
	input_options_add(all, ARRAY_SIZE(longs));
	while ((id = getopt_long(argc, argv, "i:o:fpd:Dqh", all, NULL)) != -1) {
		if (id == 'h')
			return print_help(stdout), STATUS_OK;
		if (id == '?')
			return usage_error(e, "tovelf", "wrong option");
		if (id == 'i')
			inputs[nr_inputs++] = optarg;
		else if (take_option(t, id, optarg, e))
			return wrong_usage(e);
	}
	if (take_operands(t, inputs, nr_inputs, argc - optind, argv + optind, e))
		return wrong_usage(e);
	return -1;
}

static int tovelf_run(int argc, char **argv, struct err *e)
{
	_cleanup_free_ char **inputs = calloc((size_t)argc + 1, sizeof(*inputs));
	static struct tovelf t; /* large, and there is only one */
	int status;

	if (!inputs)
		return err_set(e, ERR_NOMEM, "out of memory"), STATUS_FAILED;
	t = (struct tovelf){ .job = { .command = "tovelf" } };
	t.job.opts = (struct job_opts){ .message_level = TALK_DEFAULT,
					.nr_levels = 1,
					.format = &elf_format,
					.keep_all = true };
	status = parse_options(&t, argc, argv, inputs, e);
	if (status >= 0)
		return status;
	talk_init(&t.job.talk, "dumptool tovelf", false);
	t.job.talk.level = t.job.opts.quiet ? TALK_ERROR : t.job.opts.message_level;
	t.job.talk.mode = t.job.opts.progress;
	status = tovelf(&t, e);
	reader_fini(&t.reader);
	threads_fini(&t.threads);
	job_fini(&t.job);
	return status;
}

const struct command tovelf_command = {
	.name = "tovelf",
	.summary = "write the kernel's address space as an ELF core for gdb",
	.run = tovelf_run,
};
