/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dumptool tovelf: an ELF core by virtual addresses, which gdb opens. Each page is stored once,
 * however often it is mapped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "cleanup.h"
#include "elftool.h"
#include "formats.h"
#include "gdb_line.h"
#include "job.h"
#include "kmem.h"
#include "main.h"
#include "memmap.h"
#include "threads.h"
#include "tovelf.h"
#include "vmap.h"

struct tovelf {
	struct job job; /* first: select() gets it */
	struct vmap vmap;
	bool percpu_at_0; /* symbols of per-CPU variables count from there */
	bool user;	  /* of a process: by these */
	struct xlat user_xlat;
	struct paging user_paging;
	uint64_t user_end;
	struct reader reader; /* of mem */
	struct kmem mem;
	struct threads threads;
};

/* ---- the address space ---- */

/* Windows may begin before the table does. */
static uint64_t kernel_start(const struct xlat *x)
{
	uint64_t start = x->paging ? xlat_kernel_start(x) : UINT64_MAX;

	return x->nr_windows ? MIN(start, x->windows[0].vaddr) : start;
}

/* Are these struct pages in the linear map, among everything else? */
static bool in_direct_map(struct tovelf *t, uint64_t vaddr)
{
	struct err ignored = ERR_INIT;
	struct mapping m;

	return t->vmap.has_direct &&
	       !xlat_lookup(&t->job.session.xlat, &t->reader, vaddr, &m, &ignored) &&
	       m.vaddr - m.paddr == t->vmap.direct;
}

/* The addresses of struct pages, where they have an area of their own. */
static void find_vmemmap(struct tovelf *t)
{
	struct session *s = &t->job.session;
	struct vmap *v = &t->vmap;
	struct memmap map = { .model = NULL };
	struct err why = ERR_INIT;
	size_t i;

	if (memmap_init(&map, &s->kernel, &s->xlat, &t->reader, &t->job.keep, &why))
		log_warn(&t->job.talk.log, "--no-vmemmap: where it is is not known: %s", why.text);
	for (i = 0; i < map.nr_ranges; i++) {
		const struct memmap_range *m = &map.ranges[i];

		if (in_direct_map(t, m->vaddr))
			continue;
		v->drop_start = v->drop_end ? MIN(v->drop_start, m->vaddr) : m->vaddr;
		v->drop_end = MAX(v->drop_end, m->vaddr + (m->nr * map.struct_size - 1));
	}
	memmap_fini(&map);
}

static int set_space(struct tovelf *t, struct err *e)
{
	struct session *s = &t->job.session;

	if (t->user) {
		t->vmap = (struct vmap){ .dump = s->dump,
					 .xlat = &t->user_xlat,
					 .memory = &t->job.keep,
					 .end = t->user_end };
		return 0;
	}
	t->vmap = (struct vmap){ .dump = s->dump,
				 .xlat = &s->xlat,
				 .memory = &t->job.keep,
				 .start = kernel_start(&s->xlat),
				 .end = UINT64_MAX,
				 .no_direct = t->job.opts.no_direct };
	if (s->dump->id.word == 4)
		t->vmap.end = UINT32_MAX;
	kmem_image(&t->mem, &t->vmap.image_start, &t->vmap.image_end);
	if ((t->job.opts.no_direct || t->job.opts.no_vmemmap) && vmap_find_direct(&t->vmap, e))
		return -1;
	if (t->job.opts.no_vmemmap)
		find_vmemmap(t);
	return 0;
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
	pfnset_set(k->mapped, pfn, end - pfn + 1);
	return 0;
}

static void tell_walk(const struct tovelf *t)
{
	const struct xlat_walk_stats *s = &t->vmap.stats;
	struct log *log = (struct log *)&t->job.talk.log;

	if (s->unreadable)
		log_warn(log,
			 "%" PRIu64 " entries of page tables are not in the dump: what they map "
			 "is missing",
			 s->unreadable);
	if (s->cut)
		log_warn(log,
			 "the page tables have no end, or go in circles: %" PRIu64
			 " pieces of address space are told, the rest is missing",
			 t->vmap.pieces);
	if (s->repeats || t->vmap.aliases)
		log_info(log,
			 "%" PRIu64 " page tables and %" PRIu64 " pieces of memory that are mapped "
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

	if (set_space(t, e) ||
	    (!job->opts.keep_all && pfnset_init(&filtered, job->session.dump, e)))
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

/* What opens it. */
static void tell_gdb(struct tovelf *t)
{
	const struct job_opts *o = &t->job.opts;
	struct gdb_line line = { .core = o->nr_outputs ? o->outputs[0] : "FILE",
				 .vmlinux = o->vmlinux,
				 .percpu_at_0 = t->percpu_at_0,
				 .user = t->user };

	gdb_line_print(&t->job.talk, &t->job.session, &line);
}

static int check_session(struct tovelf *t, struct err *e)
{
	const struct session *s = &t->job.session;

	if (!xlat_works(&s->xlat))
		return err_set(e, s->no_xlat.code,
			       "%s: there is no address space to be written: %s",
			       t->job.opts.inputs[0], s->no_xlat.text);
	if (s->no_xlat.code != ERR_NONE)
		log_warn(&t->job.talk.log, "%s: only what needs no page table is mapped: %s",
			 t->job.opts.inputs[0], s->no_xlat.text);
	return 0;
}

/* ---- a process ---- */

/*
 * The table of a process has the layout of the kernel's. Where both share one, addresses of the
 * kernel begin where its image does, at least; where it has one of its own, its half begins at 0.
 */
static int set_user_space(struct tovelf *t, uint64_t root, struct err *e)
{
	const struct session *s = &t->job.session;
	const struct paging *p = s->xlat.paging;
	uint64_t stext = 0;

	if (p && s->dump->arch->user_paging)
		p = s->dump->arch->user_paging(s->dump, root);
	if (!p)
		return err_set(e, ERR_UNSUPPORTED, "how page tables are to be read is not known");
	t->user_paging = *p;
	t->user_xlat = (struct xlat){ .paging = &t->user_paging,
				      .root = root,
				      .clear_mask = s->xlat.clear_mask };
	t->user = true;
	if (s->dump->arch->user_paging) {
		t->user_end = p->va_bits < 64 ? (1ULL << p->va_bits) - 1 : UINT64_MAX;
	} else if (p->sign_extended) {
		t->user_end = (1ULL << (p->va_bits - 1)) - 1;
	} else if (p->va_base) {
		t->user_paging.va_base = t->user_paging.va_top = 0;
		t->user_end = p->va_bits < 64 ? (1ULL << p->va_bits) - 1 : p->va_base - 1;
		if (s->dump->id.word == 4)
			t->user_end = MIN(t->user_end, p->va_base - 1);
	} else if (s->dump->id.word == 4 &&
		   kernel_fact(&s->kernel, FACT_SYMBOL, "_stext", &stext) && stext >> 28) {
		t->user_end = (stext & 0xf0000000) - 1;
	} else {
		return err_set(e, ERR_UNSUPPORTED,
			       "page tables of processes are not read for %s yet",
			       s->dump->arch->title);
	}
	return 0;
}

/* Where the table of TH lies in physical memory. */
static bool pgd_of(struct tovelf *t, const struct thread *th, uint64_t *ret)
{
	struct err ignored = ERR_INIT;
	struct mapping m;

	if (!th->pgd || xlat_lookup(&t->job.session.xlat, &t->reader, th->pgd, &m, &ignored))
		return false;
	*ret = m.paddr + (th->pgd - m.vaddr);
	return true;
}

/* The process that --pid names, or whose table -P does. */
static const struct thread *find_process(struct tovelf *t, uint64_t *root)
{
	const struct job_opts *o = &t->job.opts;
	size_t i;

	for (i = 0; i < t->threads.nr; i++) {
		const struct thread *th = &t->threads.list[i];

		if (th->task && pgd_of(t, th, root) &&
		    (o->pid ? th->tgid == (int32_t)o->pid : *root == o->pgd))
			return th;
	}
	return NULL;
}

static int take_process(struct tovelf *t, struct err *e)
{
	const struct job_opts *o = &t->job.opts;
	uint64_t root = 0;
	const struct thread *th = find_process(t, &root);
	int32_t tgid = th ? th->tgid : 0;

	if (o->pid && !th)
		return err_set(e, ERR_MISSING,
			       "there is no process %" PRIu64 ", or its page table is not known",
			       o->pid);
	if (set_user_space(t, o->pgd_set ? o->pgd : root, e))
		return -1;
	if (th)
		return threads_take_process(&t->threads, tgid, e);
	log_warn(&t->job.talk.log, "which process that is is not known: there are no threads");
	t->threads.nr = 0;
	return 0;
}

/* ---- threads ---- */

/* The tasks, where they can be had. */
static int find_tasks(struct tovelf *t, struct err *e)
{
	struct session *s = &t->job.session;
	struct log *log = &t->job.talk.log;
	struct task_stats stats = { .told = 0 };
	struct err why = ERR_INIT;

	if (threads_add_tasks(&t->threads, &t->mem, &stats, &why)) {
		if (why.code != ERR_MISSING)
			return *e = why, -1;
		session_explain(s, &why);
		log_warn(log, "there is a thread for each CPU only (%zu): %s", t->threads.nr,
			 why.text);
	} else if (!t->threads.places.layout) {
		log_warn(log, "where tasks that do not run have their registers is not known: they "
			      "have none");
	}
	if (stats.broken || kernel_damage(&s->kernel))
		s->dump->damage.bad_structures++;
	return 0;
}

/* The modules, where they can be had: that they are not known was told for the tasks already. */
static int find_modules(struct tovelf *t, struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t broken = 0;

	if (threads_add_modules(&t->threads, &t->mem, &broken, &why)) {
		if (why.code != ERR_MISSING)
			return *e = why, -1;
		log_debug(&t->job.talk.log, "modules are not noted: %s", why.text);
	}
	if (broken)
		t->job.session.dump->damage.bad_structures++;
	return 0;
}

/* A thread for each task, or at least for each CPU. */
static int find_threads(struct tovelf *t, struct err *e)
{
	struct session *s = &t->job.session;
	unsigned int keep = s->kernel.nr_providers;
	uint64_t percpu = 1;

	reader_init(&t->reader, s->dump);
	t->mem = (struct kmem){ .kernel = &s->kernel, .xlat = &s->xlat, .reader = &t->reader };
	if (threads_init(&t->threads, s->dump, e) || threads_add_mask(&t->threads, &s->kernel, e))
		return -1;
	t->threads.kernel_start = kernel_start(&s->xlat);
	session_deepen(s);
	t->percpu_at_0 =
		kernel_fact(&s->kernel, FACT_SYMBOL, "__per_cpu_start", &percpu) && !percpu;
	if ((!t->job.opts.no_tasks && find_tasks(t, e)) || find_modules(t, e) ||
	    ((t->job.opts.pid || t->job.opts.pgd_set) && take_process(t, e)))
		return -1;
	/* All that was asked for is known by now, but what pages are is a question of
	 * classification. */
	if (t->job.opts.keep_all)
		kernel_forget(&s->kernel, keep);
	return threads_finish(&t->threads, e);
}

static int prepare(struct job *job, struct err *e)
{
	struct tovelf *t = (struct tovelf *)job;

	if (check_session(t, e) || find_threads(t, e))
		return -1;
	job->select = select_mapped;
	job->vmap = &t->vmap;
	job->threads = &t->threads.stream;
	return 0;
}

int tovelf_write(struct job *job, struct err *e)
{
	static struct tovelf t; /* large, and there is only one */
	int status = STATUS_FAILED;

	t = (struct tovelf){ .job = { .command = "tovelf",
				      .opts = job->opts,
				      .talk = job->talk,
				      .session = job->session,
				      .open_output = job->open_output,
				      .priv = job->priv } };
	t.job.opts.format = &elf_format;
	t.job.opts.plain = true;
	if (!prepare(&t.job, e))
		status = job_write(&t.job, e);
	reader_fini(&t.reader);
	threads_fini(&t.threads);
	job->session = t.job.session;
	t.job.session.dump = NULL;
	job_fini(&t.job);
	return status;
}

static int tovelf_run(int argc, char **argv, struct err *e)
{
	enum manner manner = elftool_manner(argv[0]) ? MANNER_ELFTOOL_TOVELF : MANNER_TOVELF;
	static struct tovelf t; /* large, and there is only one */
	struct job *job = &t.job;
	int status;

	t = (struct tovelf){ .job = { .command = "tovelf", .prepare = prepare } };
	if (job_opts_parse(&job->opts, argc, argv, manner, e)) {
		struct err what = *e;

		return usage_error(e, "tovelf", "%s", what.text);
	}
	if (job->opts.help)
		return job_opts_help(stdout, manner), STATUS_OK;
	if (job->opts.plain && !job->opts.dry_run && isatty(STDOUT_FILENO))
		return usage_error(e, "tovelf",
				   "an ELF core is not for a terminal: -o FILE, or a pipe");
	status = job_run(job, argv[0], e);
	if (status == STATUS_OK || status == STATUS_DAMAGED)
		tell_gdb(&t);
	reader_fini(&t.reader);
	threads_fini(&t.threads);
	job_fini(job);
	return status;
}

const struct command tovelf_command = {
	.name = "tovelf",
	.summary = "write the kernel's address space as an ELF core for gdb",
	.elftool = true,
	.run = tovelf_run,
};
