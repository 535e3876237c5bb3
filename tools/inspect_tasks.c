/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --tasks, --modules: what ran when the kernel died, and what it had loaded. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "inspect.h"
#include "json.h"
#include "module.h"
#include "talk.h"
#include "task.h"

struct table {
	struct inspect *in;
	struct json json;
	struct reader reader;
	struct kmem mem;
};

static void table_begin(struct table *t, struct inspect *in, const char *kind)
{
	*t = (struct table){ .in = in };
	session_deepen(&in->session);
	reader_init(&t->reader, in->session.dump);
	t->mem = (struct kmem){ .kernel = &in->session.kernel,
				.xlat = &in->session.xlat,
				.reader = &t->reader };
	if (!in->json)
		return;
	json_begin(&t->json, stdout);
	json_document(&t->json, kind, 1);
	json_put_array(&t->json, kind);
}

/* FAILED: there is no answer, E says why. BROKEN: it is partial, WHY says why. */
static int table_end(struct table *t, int failed, uint64_t broken, const struct err *why,
		     struct err *e)
{
	struct inspect *in = t->in;

	reader_fini(&t->reader);
	if (failed && e->code == ERR_MISSING)
		session_explain(&in->session, e);
	if (in->json) {
		json_end(&t->json);
		json_uint(&t->json, "damaged", broken);
		inspect_print_complete(in, &t->json, failed ? e : why);
		json_finish(&t->json);
	} else if (!failed) {
		inspect_print_complete(in, NULL, why);
	}
	if (!failed && broken)
		in->session.dump->damage.bad_structures++;
	return failed;
}

/* ---- tasks ---- */

static void json_task(struct json *j, const struct task *t)
{
	char state[2] = { t->state };

	json_put_object(j, NULL);
	json_int(j, "pid", t->pid);
	json_int(j, "tgid", t->tgid);
	json_put_string(j, "name", t->name);
	json_put_string(j, "state", state);
	json_bool(j, "running", t->running);
	json_bool(j, "idle", t->is_idle);
	json_bool(j, "kernel", !t->mm);
	if (t->cpu >= 0)
		json_int(j, "cpu", t->cpu);
	json_hex(j, "task", t->addr);
	json_hex(j, "stack", t->stack);
	if (t->sp)
		json_hex(j, "stack_pointer", t->sp);
	json_end(j);
}

static int print_task(void *priv, const struct task *t, struct err *e)
{
	struct table *table = priv;
	int width = 2 * table->in->session.dump->id.word;
	char cpu[12] = "?", sp[17] = "-";

	(void)e;
	if (table->in->json) {
		json_task(&table->json, t);
		return 0;
	}
	if (t->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "%d", t->cpu);
	if (t->sp)
		snprintf(sp, sizeof(sp), width == 8 ? "%08" PRIx64 : "%016" PRIx64, t->sp);
	printf("%c %7d %7d %4s %c  %0*" PRIx64 "  %-*s  ", t->running ? '>' : ' ', t->pid, t->tgid,
	       cpu, t->state, width, t->addr, width, sp);
	print_escaped(stdout, t->name);
	putchar('\n');
	return 0;
}

int inspect_tasks(struct inspect *in, struct err *e)
{
	int width = 2 * in->session.dump->id.word;
	struct task_stats stats;
	struct table t;
	int failed;

	table_begin(&t, in, "tasks");
	if (!in->json)
		printf("      PID    TGID  CPU S  %-*s  %-*s  NAME\n", width, "TASK", width,
		       "STACK POINTER");
	failed = task_each(&t.mem, print_task, &t, &stats, e);
	return table_end(&t, failed, stats.broken, &stats.why, e);
}

/* ---- modules ---- */

/* Letters of taint_flags, kernel/panic.c, from bit 0. */
static const char taints[] = "PFSRMBUDAWCIOELKXTNJ";

static void taint_letters(uint64_t bits, char ret[sizeof(taints)])
{
	size_t i, n = 0;

	for (i = 0; i < sizeof(taints) - 1; i++)
		if (bits >> i & 1)
			ret[n++] = taints[i];
	ret[n] = '\0';
}

static void id_text(const struct module *m, char ret[2 * MODULE_BUILD_ID_MAX + 1])
{
	unsigned int i;

	ret[0] = '\0';
	for (i = 0; i < m->build_id_len; i++)
		snprintf(ret + 2 * i, 3, "%02x", m->build_id[i]);
}

static void json_module(struct json *j, const struct module *m, const char *id, const char *taint)
{
	static const char *const states[] = { "live", "coming", "going", "unformed" };
	const char *state = strchr("LCGU", m->state);
	unsigned int i;

	json_put_object(j, NULL);
	json_put_string(j, "name", m->name);
	json_uint(j, "size", m->size);
	json_hex(j, "module", m->addr);
	json_put_string(j, "state", state ? states[state - strchr("LCGU", 'L')] : "unknown");
	json_put_string(j, "taints", taint);
	if (id[0])
		json_put_string(j, "build_id", id);
	if (m->srcversion[0])
		json_put_string(j, "srcversion", m->srcversion);
	json_put_array(j, "memory");
	for (i = 0; i < m->nr_parts; i++) {
		json_put_object(j, NULL);
		json_hex(j, "address", m->part[i].addr);
		json_uint(j, "size", m->part[i].size);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

static int print_module(void *priv, const struct module *m, struct err *e)
{
	struct table *table = priv;
	char id[2 * MODULE_BUILD_ID_MAX + 1], taint[sizeof(taints)];

	(void)e;
	id_text(m, id);
	taint_letters(m->taints, taint);
	if (table->in->json)
		json_module(&table->json, m, id, taint);
	else
		printf("%0*" PRIx64 " %9" PRIu64 "  %-24s %-3s %-25s %s\n",
		       2 * table->in->session.dump->id.word, m->nr_parts ? m->part[0].addr : 0,
		       m->size, m->name, taint[0] ? taint : "-",
		       m->srcversion[0] ? m->srcversion : "-", id[0] ? id : "-");
	return 0;
}

int inspect_modules(struct inspect *in, struct err *e)
{
	struct module_stats stats;
	struct table t;
	int failed;

	table_begin(&t, in, "modules");
	if (!in->json)
		printf("%-*s      SIZE  %-24s %-3s %-25s BUILD-ID\n", 2 * in->session.dump->id.word,
		       "ADDRESS", "NAME", "T", "SRCVERSION");
	failed = module_each(&t.mem, print_module, &t, &stats, e);
	return table_end(&t, failed, stats.broken, &stats.why, e);
}
