/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tasks of a hostile kernel, as threads of every architecture, and those of a process. No list
 * tells a node twice, wherever it leads, and no task that is not in memory is told.
 */
#include "format.h"
#include "kmem_find.h"
#include "small_kernel.h"
#include "threads.h"

/* Where registers are saved, each member somewhere, so that an input need not name them all. */
static bool frame_fact(const struct fact_provider *p, enum fact_kind kind, const char *name,
		       uint64_t *ret)
{
	static const char *const known[] = { "task_struct.thread", "thread_info.cpu_context",
					     "inactive_task_frame", "pt_regs", "stack_frame",
					     "switch_stack", "thread_union" };
	uint64_t sum = 0;
	size_t i = 0;

	(void)p;
	while (i < ARRAY_SIZE(known) && strncmp(name, known[i], strlen(known[i])) != 0)
		i++;
	if (i == ARRAY_SIZE(known) || !strncmp(name, "task_struct.thread_", 19) ||
	    (kind != FACT_OFFSET && kind != FACT_SIZE))
		return false;
	while (*name)
		sum = sum * 31 + (uint8_t)*name++;
	*ret = sum % 32 * 8;
	return true;
}

static void frame_close(struct fact_provider *p)
{
	(void)p;
}

static struct fact_provider frames = { .name = "frames",
				       .fact = frame_fact,
				       .close = frame_close };

static void check_list(const struct small *s)
{
	uint8_t *seen = calloc(s->nr, SMALL_PAGE);
	struct kmem_list l;
	uint64_t task, off;

	if (seen && kernel_fact(&s->kernel, FACT_SYMBOL, "init_task", &task) &&
	    kernel_fact(&s->kernel, FACT_OFFSET, "task_struct.tasks", &off)) {
		kmem_list_init(&l, task + off, 1u << 20);
		while (kmem_list_next(&s->mem, &l)) {
			must(l.pos != task + off);
			must(!small_seen(s, seen, l.pos));
		}
		must(l.steps < s->nr * SMALL_PAGE);
	}
	free(seen);
}

static int put(void *priv, const void *buf, size_t len, struct err *e)
{
	(void)e;
	touch(buf, len);
	*(uint64_t *)priv += len;
	return 0;
}

static void write_threads(struct threads *t)
{
	struct err e = ERR_INIT;
	uint64_t len = 0;
	size_t i;

	if (threads_finish(t, &e))
		return;
	for (i = 0; i < t->nr; i++)
		must(t->list[i].name[0] != '\n' && strlen(t->list[i].name) <= TASK_NAME_MAX);
	must(!t->stream.write(&t->stream, put, &len, &e) && len == t->stream.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct task_stats stats = { .told = 0 };
	struct err e = ERR_INIT;
	struct threads t;
	struct small s;

	if (!small_open(&s, data, size))
		return 0;
	check_list(&s);
	kernel_add(&s.kernel, &frames);
	kernel_add(&s.kernel, kmem_find_provider(&s.dump, &s.xlat, &s.kernel));
	if (!threads_init(&t, &s.dump, &e) && !threads_add_tasks(&t, &s.mem, &stats, &e)) {
		must(stats.told == t.nr && stats.told <= s.nr);
		must(!stats.broken == (stats.why.code == ERR_NONE));
		if (size % 2 && t.nr)
			(void)!threads_take_process(&t, t.list[t.nr / 2].tgid, &e);
		write_threads(&t);
	}
	threads_fini(&t);
	small_close(&s);
	return 0;
}
