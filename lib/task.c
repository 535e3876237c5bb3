/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "task.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "log.h"

#define MAX_PID (4u << 20) /* PID_MAX_LIMIT, include/linux/threads.h: no kernel has more tasks */

#define MAX_VAIN 65536u /* numbers that lead to no task: a damaged table may have no others */

struct places {
	struct member tasks, pid, tgid, comm, stack, signal, thread_node, thread_head, thread_group;
	struct member state, old_state, exit_state, mm, pgd, on_cpu;
	struct member cpu, info_cpu,
		stack_cpu; /* in the task, in its thread_info there, on its stack */
	struct member curr, idle;
	struct member ns_idr, pid_tasks, pid_links, old_links;
};

#define NEED(field, text, bytes, may_lack)                          \
	{                                                           \
		.name = text, .width = bytes, .optional = may_lack, \
		.at = offsetof(struct places, field)                \
	}

/* What is missing in one era has another name in the next; the rest of a row is said where it is
 * used. */
static const struct member_need needs[] = {
	NEED(tasks, "task_struct.tasks", 0, false),
	NEED(pid, "task_struct.pid", 4, false),
	NEED(tgid, "task_struct.tgid", 4, true),
	NEED(comm, "task_struct.comm", TASK_NAME_MAX, true),
	NEED(stack, "task_struct.stack", 0, true),
	NEED(signal, "task_struct.signal", 0, true),
	NEED(thread_node, "task_struct.thread_node", 0, true), /* 3.14 */
	NEED(thread_head, "signal_struct.thread_head", 0, true),
	NEED(thread_group, "task_struct.thread_group", 0, true), /* up to 6.6 */
	NEED(state, "task_struct.__state", 4, true),		 /* 5.14 */
	NEED(old_state, "task_struct.state", 0, true),
	NEED(exit_state, "task_struct.exit_state", 4, true),
	NEED(mm, "task_struct.mm", 0, true),
	NEED(pgd, "mm_struct.pgd", 0, true),
	NEED(on_cpu, "task_struct.on_cpu", 4, true),
	NEED(info_cpu, "task_struct.thread_info.cpu", 4, true), /* 5.16, commit bcf9033e5449 */
	NEED(cpu, "task_struct.cpu", 4, true),
	NEED(stack_cpu, "thread_info.cpu", 4, true),
	NEED(curr, "rq.curr", 0, true),
	NEED(idle, "rq.idle", 0, true),
	NEED(ns_idr, "pid_namespace.idr", 0, true), /* 4.15 */
	NEED(pid_tasks, "pid.tasks", 0, true),
	NEED(pid_links, "task_struct.pid_links", 0, true), /* 4.19 */
	NEED(old_links, "task_struct.pids", 0, true),
};

/*
 * Where a task that does not run has its stack pointer: the first that is known. In thread_struct
 * of arch/ARCH/include/asm/processor.h, on 32-bit Arm in thread_info.
 */
static const char *const saved_sp[] = {
	"task_struct.thread.cpu_context.sp",	  /* arm64 */
	"task_struct.thread_info.cpu_context.sp", /* arm, 5.16 and later */
	"task_struct.thread.sp",		  /* x86, riscv */
	"task_struct.thread.ksp",		  /* ppc, s390 */
	"task_struct.thread.reg03",		  /* loongarch */
	"task_struct.thread.reg29",		  /* mips */
};

struct walk {
	const struct kmem *m;
	struct places at;
	struct member sp, stack_sp;
	task_fn fn;
	void *priv;
	struct task_stats *stats;
	uint64_t looked, most; /* at tasks: each has a stack of a page at least */
	bool full;	       /* there were more */
	uint64_t *seen;	       /* addresses of those that were told */
	size_t nr_seen, room;
	bool forgot; /* some of them */
	bool sorted; /* and no more are remembered */
};

static void broken(struct walk *w, const struct err *why)
{
	if (w->stats->broken++)
		return;
	w->stats->why = *why;
	log_warn(w->m->reader->dump->log, "tasks: the list is damaged: %s", why->text);
}

/* A member as a number, or MISSING when it is not known or cannot be read. */
static uint64_t value(const struct walk *w, uint64_t at, const struct member *member,
		      uint64_t missing)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	return member->size && !kmem_get(w->m, at, member, &v, &ignored) ? v : missing;
}

/* Letters of fs/proc/array.c, bits of include/linux/sched.h since 4.14 (commit 8ef9925b02c2). */
static char state_letter(uint64_t state, uint64_t exit_state)
{
	static const struct {
		uint64_t bit;
		char letter;
	} letters[] = { { 0x20, 'Z' }, { 0x10, 'X' }, { 0x40, 'P' }, { 0x8, 't' },
			{ 0x4, 'T' },  { 0x2, 'D' },  { 0x1, 'S' } };
	size_t i;

	if ((state & 0x402) == 0x402) /* TASK_NOLOAD: waits, and is no load */
		return 'I';
	for (i = 0; i < ARRAY_SIZE(letters); i++)
		if ((state | exit_state) & letters[i].bit)
			return letters[i].letter;
	return 'R';
}

static void read_cpu(const struct walk *w, struct task *t)
{
	uint64_t cpu = UINT64_MAX;

	if (w->at.info_cpu.size)
		cpu = value(w, t->addr, &w->at.info_cpu, cpu);
	else if (w->at.cpu.size)
		cpu = value(w, t->addr, &w->at.cpu, cpu);
	else if (t->stack)
		cpu = value(w, t->stack, &w->at.stack_cpu, cpu);
	t->cpu = cpu <= INT32_MAX ? (int32_t)cpu : -1;
}

static void read_rest(const struct walk *w, struct task *t)
{
	uint64_t exit_state = value(w, t->addr, &w->at.exit_state, 0);

	t->stack = value(w, t->addr, &w->at.stack, UINT64_MAX);
	t->no_stack = !t->stack; /* 4.9, commit 68f24b08ee89: before its task_struct goes */
	if (t->stack == UINT64_MAX)
		t->stack = 0;
	t->mm = value(w, t->addr, &w->at.mm, 0);
	t->pgd = t->mm ? value(w, t->mm, &w->at.pgd, 0) : 0;
	t->raw_state =
		value(w, t->addr, w->at.state.size ? &w->at.state : &w->at.old_state, UINT64_MAX);
	t->state = t->raw_state == UINT64_MAX ? '?' : state_letter(t->raw_state, exit_state);
	read_cpu(w, t);
	if (!t->running)
		t->running = value(w, t->addr, &w->at.on_cpu, 0) == 1;
	if (t->running || t->no_stack)
		return;
	if (w->sp.size)
		t->sp = value(w, t->addr, &w->sp, 0);
	else if (t->stack)
		t->sp = value(w, t->stack, &w->stack_sp, 0);
}

/* Is a task at T->addr? Of the process TGID; -1: of any. */
static int read_task(const struct walk *w, struct task *t, int32_t tgid, struct err *why)
{
	uint64_t pid;

	if (kmem_get(w->m, t->addr, &w->at.pid, &pid, why))
		return -1;
	if (pid > MAX_PID)
		return err_set(why, ERR_CORRUPT,
			       "no task is at 0x%" PRIx64 ": its pid is %" PRIu64, t->addr, pid);
	t->pid = (int32_t)pid;
	t->tgid = (int32_t)value(w, t->addr, &w->at.tgid, pid);
	if (tgid >= 0 && w->at.tgid.size && t->tgid != tgid)
		return err_set(why, ERR_CORRUPT,
			       "0x%" PRIx64 " is no thread of process %d, but of %d", t->addr, tgid,
			       t->tgid);
	if (w->at.comm.size)
		(void)!kmem_string(w->m, t->addr + w->at.comm.off, t->name, sizeof(t->name), why);
	read_rest(w, t);
	return 0;
}

static void remember(struct walk *w, uint64_t addr)
{
	if (w->nr_seen == w->room) {
		size_t more = w->room ? 2 * w->room : 256;
		uint64_t *a = realloc(w->seen, more * sizeof(*a));

		w->forgot |= !a;
		if (!a)
			return;
		w->seen = a;
		w->room = more;
	}
	w->seen[w->nr_seen++] = addr;
}

/* Tell the task at T->addr. 1 when it is none, or there were too many. */
static int tell(struct walk *w, struct task *t, int32_t tgid, struct err *e)
{
	struct err why = ERR_INIT;

	w->full = w->looked++ == w->most;
	if (w->full) /* each list ends, and yet all of them may lead through one another */
		err_set(&why, ERR_CORRUPT, "more tasks than there are pages, %" PRIu64, w->most);
	if (w->full || read_task(w, t, tgid, &why)) {
		broken(w, &why);
		return 1;
	}
	w->stats->told++;
	if (!w->sorted)
		remember(w, t->addr);
	return w->fn(w->priv, t, e) ? -1 : 0;
}

/* Is it what its CPU runs, by the run queue? */
static bool is_current(const struct walk *w, uint64_t rq, uint64_t task)
{
	return value(w, rq, &w->at.curr, 0) == task;
}

/* The idle tasks, which are in no list. Without their run queues the first one's: init_task. */
static int tell_idle(struct walk *w, uint64_t init_task, struct err *e)
{
	struct task first = { .addr = init_task, .is_idle = true };
	struct err why = ERR_INIT;
	bool any = false;
	int cpu = -1;

	while (w->at.idle.size && kmem_next_cpu(w->m, &cpu)) {
		struct task t = { .is_idle = true };
		uint64_t rq;

		if (kmem_percpu(w->m, "runqueues", cpu, &rq, &why))
			break;
		t.addr = value(w, rq, &w->at.idle, 0);
		if (!t.addr)
			continue;
		t.running = is_current(w, rq, t.addr);
		if (tell(w, &t, -1, e) < 0)
			return -1;
		any = true;
	}
	return any || tell(w, &first, -1, e) >= 0 ? 0 : -1;
}

/* Where the list of the threads of LEADER is, by the distance of its nodes; false: there is none. */
static bool threads_of(const struct walk *w, const struct task *leader, uint64_t *head,
		       uint64_t *off)
{
	if (w->at.thread_node.size && w->at.thread_head.size) {
		*off = w->at.thread_node.off;
		*head = value(w, leader->addr, &w->at.signal, 0);
		*head += *head ? w->at.thread_head.off : 0;
		return *head; /* none: it is being reaped */
	}
	*off = w->at.thread_group.off;
	*head = leader->addr + *off;
	return w->at.thread_group.size;
}

/* The other threads of the process of LEADER. */
static int tell_threads(struct walk *w, const struct task *leader, struct err *e)
{
	struct kmem_list list;
	uint64_t head, off;

	if (!threads_of(w, leader, &head, &off))
		return 0;
	kmem_list_init(&list, head, MAX_PID);
	while (!w->full && kmem_list_next(w->m, &list)) {
		struct task t = { .addr = list.pos - off };

		if (t.addr != leader->addr && tell(w, &t, leader->tgid, e) < 0)
			return -1;
	}
	if (list.why.code != ERR_NONE)
		broken(w, &list.why);
	return 0;
}

static int tell_processes(struct walk *w, uint64_t init_task, struct err *e)
{
	struct kmem_list list;

	kmem_list_init(&list, init_task + w->at.tasks.off, MAX_PID);
	while (!w->full && kmem_list_next(w->m, &list)) {
		struct task t = { .addr = list.pos - w->at.tasks.off };
		int skip = tell(w, &t, -1, e);

		if (skip < 0 || (!skip && tell_threads(w, &t, e)))
			return -1;
	}
	if (list.why.code != ERR_NONE)
		broken(w, &list.why);
	return 0;
}

/* ---- where lists are broken: by the table of numbers ---- */

static int compare_addr(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The task that has number PID, by its struct pid at AT, and was not told yet; 0. */
static uint64_t missed_task(const struct walk *w, uint64_t at, uint64_t pid)
{
	const struct member *links = w->at.pid_links.size ? &w->at.pid_links : &w->at.old_links;
	struct err ignored = ERR_INIT;
	uint64_t link, addr;

	if (kmem_word(w->m, at + w->at.pid_tasks.off, &link, &ignored) || !link)
		return 0; /* nobody's: a session or a group has it yet */
	addr = link - links->off;
	if (w->m->reader->dump->id.word == 4)
		addr = (uint32_t)addr;
	return value(w, addr, &w->at.pid, UINT64_MAX) == pid &&
			       !bsearch(&addr, w->seen, w->nr_seen, sizeof(addr), compare_addr)
		       ? addr
		       : 0;
}

/*
 * Those between two broken links, and threads of who cannot be read: by init_pid_ns, which knows every
 * task by its number (4.15, commit 95846ecf9dac). Each number leads to the one task that has it.
 */
static int tell_missed(struct walk *w, struct err *e)
{
	struct kmem_idr table;
	uint64_t ns, vain = 0;

	if (w->full || w->forgot || !w->at.ns_idr.size || !w->at.pid_tasks.size ||
	    !(w->at.pid_links.size || w->at.old_links.size) ||
	    !kernel_fact(w->m->kernel, FACT_SYMBOL, "init_pid_ns", &ns) ||
	    !kmem_idr_init(w->m, ns + w->at.ns_idr.off, MAX_PID, &table))
		return 0;
	if (w->nr_seen)
		qsort(w->seen, w->nr_seen, sizeof(*w->seen), compare_addr);
	w->sorted = true; /* from here on each number has a task of its own */
	while (!w->full && vain < MAX_VAIN + w->nr_seen && kmem_idr_next(w->m, &table)) {
		struct task t = { .addr = missed_task(w, table.entry, table.index) };

		vain += !t.addr;
		if (t.addr && tell(w, &t, -1, e) < 0)
			return -1;
	}
	return 0;
}

static int tell_all(struct walk *w, uint64_t init_task, struct err *e)
{
	if (tell_idle(w, init_task, e) || tell_processes(w, init_task, e))
		return -1;
	return w->stats->broken ? tell_missed(w, e) : 0;
}

int task_each(const struct kmem *m, task_fn fn, void *priv, struct task_stats *stats, struct err *e)
{
	struct walk w = { .m = m,
			  .fn = fn,
			  .priv = priv,
			  .stats = stats,
			  .most = MIN((uint64_t)MAX_PID, dump_max_pfn(m->reader->dump)) };
	uint64_t init_task;
	size_t i;
	int ret;

	*stats = (struct task_stats){ .told = 0 };
	if (kernel_need(m->kernel, FACT_SYMBOL, "init_task", &init_task, e) ||
	    kmem_members(m, needs, ARRAY_SIZE(needs), &w.at, e))
		return -1;
	for (i = 0; !w.sp.size && i < ARRAY_SIZE(saved_sp); i++)
		(void)kmem_member(m, saved_sp[i], 0, &w.sp);
	if (!w.sp.size)
		(void)kmem_member(m, "thread_info.cpu_context.sp", 0, &w.stack_sp);
	ret = tell_all(&w, init_task, e);
	free(w.seen);
	return ret;
}
