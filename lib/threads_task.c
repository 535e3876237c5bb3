/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads of the kernel's tasks: who they are, and what registers they have. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "threads.h"

/* ---- registers ---- */

static bool is_of_task(const char *member)
{
	return !strncmp(member, "task_struct.", 12);
}

/* Are all members of layout L known? */
static bool resolve(const struct kmem *m, const struct task_layout *l, struct task_places *ret)
{
	unsigned int i;

	*ret = (struct task_places){ .layout = l };
	if (l->frame && (!kernel_fact(m->kernel, FACT_SIZE, l->frame, &ret->frame_size) ||
			 ret->frame_size > 65536))
		return false;
	for (i = 0; i < l->nr_regs; i++)
		if (!kmem_member(m, l->regs[i].member, 0, &ret->members[i]))
			return false;
	return (!l->pointer || kmem_member(m, l->pointer, 0, &ret->pointer)) &&
	       (!l->sign.member || kmem_member(m, l->sign.member, 0, &ret->sign));
}

/* Where the frame of TH is, and what its stack pointer was (0: one of the registers says). */
static bool find_frame(const struct threads *t, const struct thread *th, uint64_t *frame,
		       uint64_t *sp)
{
	const struct task_places *p = &t->places;
	struct err ignored = ERR_INIT;

	*sp = 0;
	*frame = th->sp;
	switch (p->layout->place) {
	case FRAME_NONE:
		return true;
	case FRAME_AT_SP:
		return th->sp;
	case FRAME_POPPED:
		*sp = th->sp + p->frame_size;
		return th->sp;
	case FRAME_BACK_CHAIN:
		if (!th->sp || kmem_word(&t->mem, th->sp, sp, &ignored) || *sp <= th->sp ||
		    *sp - th->sp > p->stack_size || *sp - th->sp < p->frame_size)
			return false;
		*frame = *sp - p->frame_size;
		return true;
	case FRAME_AT_STACK:
		*frame = th->stack;
		return th->stack;
	case FRAME_STACK_TOP:
		*frame = th->stack + p->stack_size - p->frame_size - p->layout->gap;
		return th->stack;
	case FRAME_AT_POINTER:
		return !kmem_get(&t->mem, th->task, &p->pointer, frame, &ignored) && *frame;
	}
	return false;
}

/* Element INDEX, of WIDTH bytes, of MEMBER at AT; or all of MEMBER, where that is less. */
static int read_element(const struct threads *t, uint64_t at, const struct member *member,
			unsigned int index, unsigned int width, uint64_t *ret)
{
	struct err ignored = ERR_INIT;

	if (!index && member->size < width)
		width = member->size;
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return -1;
	return kmem_uint(&t->mem, at + member->off + (uint64_t)index * width, width, ret, &ignored);
}

/* Is some thread's frame one of user mode? */
static bool any_has_sign(const struct threads *t)
{
	const struct task_sign *sign = &t->places.layout->sign;
	uint64_t frame, sp, value;
	size_t i;

	for (i = 0; i < t->nr; i++)
		if (find_frame(t, &t->list[i], &frame, &sp) &&
		    !read_element(t, frame, &t->places.sign, sign->index,
				  t->dump->id.word, &value) &&
		    (value & sign->mask) == sign->value)
			return true;
	return false;
}


/* The first of LAYOUTS that this kernel has; where it is to be of user mode, that some thread has. */
static void find_places(struct threads *t, const struct task_layout *layouts)
{
	const struct kmem *m = &t->mem;
	struct task_places *p = &t->places;
	uint64_t size;

	if (!kernel_fact(m->kernel, FACT_SIZE, "thread_union", &size) || size > 1 << 20)
		size = 1ULL << m->reader->dump->arch->stack_shift;
	for (; layouts && layouts->nr_regs; layouts++) {
		if (layouts->nr_regs > TASK_MAX_REGS || !resolve(m, layouts, p))
			continue;
		p->stack_size = size;
		if (!layouts->sign.member || any_has_sign(t))
			return;
	}
	*p = (struct task_places){ .stack_size = size };
}

/* Where the note has register NAME, or NULL. */
static const struct reg_place *place_of(const struct note_layout *l, const char *name)
{
	unsigned int i;

	for (i = 0; i < l->nr_regs; i++)
		if (!strcmp(l->regs[i].name, name))
			return &l->regs[i];
	return NULL;
}

static void put_reg(const struct note_layout *l, const struct reg_place *reg, uint64_t value,
		    enum byte_order order, uint8_t *buf)
{
	struct bytes_out o = { .data = buf, .size = l->min_size, .order = order, .pos = reg->off };

	out_uint(&o, value, reg->width);
}

void threads_fill(const struct threads *t, const struct thread *th, const struct note_layout *l,
		  uint8_t *buf)
{
	const struct task_layout *layout = t->places.layout;
	const struct dump *d = t->dump;
	const struct reg_place *reg;
	uint64_t frame, sp, value;
	unsigned int i;

	if (!layout || !th->task || th->reg_cpu >= 0 || th->no_stack || (th->running && !t->user) ||
	    !find_frame(t, th, &frame, &sp))
		return;
	for (i = 0; i < layout->nr_regs; i++) {
		const struct task_reg *r = &layout->regs[i];
		uint64_t at = is_of_task(r->member) ? th->task : frame;

		reg = place_of(l, r->reg);
		if (reg && !read_element(t, at, &t->places.members[i], r->index, reg->width, &value))
			put_reg(l, reg, value, d->id.order, buf);
	}
	reg = place_of(l, d->arch->sp);
	if (sp && reg)
		put_reg(l, reg, sp, d->id.order, buf);
}

/* ---- tasks ---- */

struct gathering {
	struct threads *t;
	size_t nr_cpus; /* of the list's beginning */
};

static int add_task(void *priv, const struct task *task, struct err *e)
{
	struct gathering *g = priv;
	struct thread th = { .pid = task->pid,
			     .tgid = task->tgid,
			     .cpu = task->cpu,
			     .state = task->state,
			     .running = task->running,
			     .no_stack = task->no_stack,
			     .task = task->addr,
			     .stack = task->stack,
			     .sp = task->sp,
			     .mm = task->mm,
			     .pgd = task->pgd,
			     .reg_cpu = -1 };
	size_t i;

	memcpy(th.name, task->name, sizeof(th.name));
	th.name[sizeof(th.name) - 1] = '\0';
	for (i = 0; th.name[i]; i++)
		if (th.name[i] < ' ' || th.name[i] > '~')
			th.name[i] = '?';
	return threads_add(g->t, &th, e);
}

enum match { MATCH_STACK, MATCH_PID, MATCH_CPU, NR_MATCHES };

/* Is what CPU ran the task TH? */
static bool matches(const struct threads *t, const struct thread *cpu, const struct thread *th,
		    enum match how)
{
	const struct dump *d = t->dump;
	uint64_t sp;

	switch (how) {
	case MATCH_STACK:
		return th->stack && cpu->reg_cpu >= 0 &&
		       cpu_reg(&d->cpus[cpu->reg_cpu], d->arch->sp, &sp) && sp > th->stack &&
		       sp - th->stack <= t->places.stack_size;
	case MATCH_PID: /* which QEMU makes up: those of idle tasks come to nothing */
		return th->pid > 0 && cpu->pid == th->pid && cpu->cpu == th->cpu;
	default:
		return cpu->cpu == th->cpu;
	}
}

/* Give each CPU's registers to the task that ran there, by the surest sign first. */
static void match_cpus(struct gathering *g)
{
	struct threads *t = g->t;
	unsigned int how;
	size_t c, i;

	for (how = 0; how < NR_MATCHES; how++)
		for (i = g->nr_cpus; i < t->nr; i++) {
			struct thread *th = &t->list[i];

			for (c = 0; th->running && !th->matched && c < g->nr_cpus; c++) {
				struct thread *cpu = &t->list[c];

				if (cpu->matched || !matches(t, cpu, th, how))
					continue;
				th->note_off = cpu->note_off;
				th->note_len = cpu->note_len;
				th->reg_cpu = cpu->reg_cpu;
				th->matched = cpu->matched = true;
			}
		}
}

/* Those CPUs whose task was found go. */
static void drop_matched(struct gathering *g)
{
	struct threads *t = g->t;
	size_t i, n = 0;

	for (i = 0; i < t->nr; i++)
		if (i >= g->nr_cpus || !t->list[i].matched)
			t->list[n++] = t->list[i];
	t->nr = n;
}

/* The CPU that panicked (kernel/panic.c), or that went into kexec; -1 not known. */
static int32_t dying_cpu(const struct kmem *m)
{
	static const char *const names[] = { "panic_cpu", "crashing_cpu" };
	struct err ignored = ERR_INIT;
	uint64_t at, cpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (kernel_fact(m->kernel, FACT_SYMBOL, names[i], &at) &&
		    !kmem_uint(m, at, 4, &cpu, &ignored) && cpu <= INT32_MAX)
			return (int32_t)cpu;
	return -1;
}

/* First the CPU that died, then others that run, then in the order of the list. */
static int compare_threads(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_threads(struct threads *t)
{
	int32_t dying = dying_cpu(&t->mem);
	size_t i;

	for (i = 0; i < t->nr; i++) {
		struct thread *th = &t->list[i];

		th->order = (uint32_t)i;
		th->rank = !th->running ? INT64_MAX : dying >= 0 && th->cpu == dying ? -2 : th->cpu;
	}
	if (t->nr)
		qsort(t->list, t->nr, sizeof(*t->list), compare_threads);
}

int threads_add_tasks(struct threads *t, const struct kmem *m, struct task_stats *stats,
		      struct err *e)
{
	struct gathering g = { .t = t, .nr_cpus = t->nr };

	if (!t->dump->arch)
		return err_set(e, ERR_MISSING, "the architecture is not known");
	t->mem = *m;
	if (task_each(m, add_task, &g, stats, e)) {
		t->nr = g.nr_cpus;
		return -1;
	}
	find_places(t, t->dump->arch->tasks);
	match_cpus(&g);
	drop_matched(&g);
	sort_threads(t);
	return 0;
}

/* ---- one process ---- */

/* Was CPU in user mode? Then its registers are the right ones. */
static bool in_user_mode(const struct threads *t, const struct thread *th)
{
	const struct dump *d = t->dump;
	const struct task_layout *l = d->arch->user;
	const struct cpu *cpu = th->reg_cpu >= 0 ? &d->cpus[th->reg_cpu] : NULL;
	uint64_t value;

	if (!cpu)
		return false;
	if (t->kernel_start)
		return cpu_reg(cpu, d->arch->pc, &value) && value < t->kernel_start;
	return l && l->sign.reg && cpu_reg(cpu, l->sign.reg, &value) &&
	       (value & l->sign.mask) == l->sign.value;
}

int threads_take_process(struct threads *t, int32_t tgid, struct err *e)
{
	size_t i, n = 0;

	for (i = 0; i < t->nr; i++) {
		struct thread th = t->list[i];

		if (!th.task || th.tgid != tgid || !th.mm)
			continue;
		if (!in_user_mode(t, &th)) {
			th.note_len = 0;
			th.reg_cpu = -1;
		}
		t->list[n++] = th;
	}
	if (!n)
		return err_set(e, ERR_MISSING, "there is no process %d", tgid);
	t->nr = n;
	t->user = true;
	find_places(t, t->dump->arch->user);
	return 0;
}
