/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "threads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"

#define MAX_THREADS ((size_t)8 << 20) /* twice as many as there are pids */

bool threads_note_is(const struct note *n)
{
	return note_owner_is(n, "CORE") || note_owner_is(n, "LINUX");
}

static bool is_prstatus(const struct note *n)
{
	return n->type == NT_PRSTATUS_TYPE && note_owner_is(n, "CORE");
}

/* How the architecture lays NT_PRSTATUS out, or NULL. */
static const struct note_layout *layout_of(const struct dump *d)
{
	const struct note_layout *l = d->arch ? d->arch->notes : NULL;

	for (; l && l->owner; l++)
		if (l->type == NT_PRSTATUS_TYPE && !strcmp(l->owner, "CORE"))
			return l;
	return NULL;
}

int threads_add(struct threads *t, const struct thread *new, struct err *e)
{
	if (t->nr == t->room) {
		size_t want = t->room ? t->room + t->room / 2 : 64;
		struct thread *more =
			want <= MAX_THREADS ? realloc(t->list, want * sizeof(*more)) : NULL;

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu threads", want);
		t->list = more;
		t->room = want;
	}
	t->list[t->nr++] = *new;
	return 0;
}

/* ---- CPUs ---- */

/* CPU number I of the dump, as a thread of its own. */
static struct thread thread_of_cpu(const struct dump *d, unsigned int i)
{
	return (struct thread){ .pid = i < d->nr_cpus ? d->cpus[i].pid : 0,
				.tgid = i < d->nr_cpus ? d->cpus[i].pid : 0,
				.cpu = (int32_t)i,
				.state = '?',
				.running = true,
				.reg_cpu = i < d->nr_cpus ? (int)i : -1 };
}

/* One thread for each NT_PRSTATUS, with what follows it up to the next. */
static int add_notes(struct threads *t, struct err *e)
{
	const struct dump *d = t->dump;
	const struct note_layout *l = layout_of(d);
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct thread cpu;
	size_t start = 0;
	bool open = false;
	struct note n;

	for (; note_next(&b, &n); start = b.pos) {
		if (is_prstatus(&n) && l && n.desc_len >= l->min_size) {
			cpu = thread_of_cpu(d, (unsigned int)t->nr);
			cpu.note_off = start;
			if (threads_add(t, &cpu, e))
				return -1;
			open = true;
		} else if (!threads_note_is(&n)) {
			open = false;
		}
		if (open)
			t->list[t->nr - 1].note_len = b.pos - t->list[t->nr - 1].note_off;
	}
	return 0;
}

int threads_init(struct threads *t, struct dump *d, struct err *e)
{
	unsigned int i;

	*t = (struct threads){ .dump = d };
	if (add_notes(t, e))
		return -1;
	/* A format may tell registers otherwise. */
	for (i = (unsigned int)t->nr; i < d->nr_cpus; i++) {
		struct thread cpu = thread_of_cpu(d, i);

		if (threads_add(t, &cpu, e))
			return -1;
	}
	return 0;
}

void threads_fini(struct threads *t)
{
	free(t->list);
	free(t->names);
	free(t->mask);
	*t = (struct threads){ .nr = 0 };
}

/* ---- ids ---- */

static int compare_ids(const void *a, const void *b)
{
	const struct thread *const *x = a, *const *y = b;

	if ((*x)->id != (*y)->id)
		return (*x)->id < (*y)->id ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* Threads of one id would be one to a debugger: later ones get a free one, above all others. */
static int make_unique(struct threads *t, struct err *e)
{
	_cleanup_free_ struct thread **sorted = calloc(t->nr + 1, sizeof(*sorted));
	int32_t next = THREAD_ID_CPU;
	size_t i;

	if (!sorted)
		return err_set(e, ERR_NOMEM, "no memory for %zu threads", t->nr);
	for (i = 0; i < t->nr; i++) {
		struct thread *th = &t->list[i];

		sorted[i] = th;
		th->id = th->pid > 0 && th->pid < THREAD_ID_CPU
				 ? th->pid
				 : THREAD_ID_CPU + MAX(th->cpu, 0) % THREAD_ID_CPU;
		next = MAX(next, th->id + 1);
	}
	qsort(sorted, t->nr, sizeof(struct thread *), compare_ids);
	for (i = t->nr; i-- > 1;)
		if (sorted[i]->id == sorted[i - 1]->id)
			sorted[i]->id = next++;
	return 0;
}

/* ---- the notes ---- */

/* Description of a note made here, into BUF. */
static void fill_prstatus(const struct threads *t, const struct thread *th,
			  const struct note_layout *l, uint8_t *buf)
{
	const struct dump *d = t->dump;
	struct bytes_out o = { .data = buf, .size = l->min_size, .order = d->id.order };
	uint64_t value;
	unsigned int i;

	memset(buf, 0, l->min_size);
	threads_fill(t, th, l, buf);
	if (l->pid_off >= 0) {
		o.pos = (size_t)l->pid_off;
		out_uint(&o, (uint32_t)th->id, 4);
	}
	for (i = 0; th->reg_cpu >= 0 && i < l->nr_regs; i++)
		if (cpu_reg(&d->cpus[th->reg_cpu], l->regs[i].name, &value)) {
			o.pos = l->regs[i].off;
			out_uint(&o, value, l->regs[i].width);
		}
}

/* Of the header and owner "CORE", padded. */
#define NOTE_HEAD 20u

static uint32_t status_size(const struct threads *t, uint32_t all)
{
	return t->dump->arch->gdb_prstatus ? t->dump->arch->gdb_prstatus : all;
}

static int put_status(const struct threads *t, const uint8_t *desc, uint32_t size, note_put_fn put,
		      void *priv, struct err *e)
{
	_cleanup_free_ uint8_t *note = NULL;
	size_t len = 0;

	if (!note_append(&note, &len, t->dump->id.order, "CORE", NT_PRSTATUS_TYPE, desc, size))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	return put(priv, note, len, e);
}

static int put_made(const struct threads *t, const struct thread *th, const struct note_layout *l,
		    note_put_fn put, void *priv, struct err *e)
{
	_cleanup_free_ uint8_t *desc = malloc(l->min_size);

	if (!desc)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	fill_prstatus(t, th, l, desc);
	return put_status(t, desc, status_size(t, l->min_size), put, priv, e);
}

/* The NT_PRSTATUS that the notes of TH begin with. Returns where the others do. */
static size_t first_note(const struct threads *t, const struct thread *th, struct note *n)
{
	const struct dump *d = t->dump;
	struct bytes b = bytes_init(d->notes + th->note_off, th->note_len, d->id.order, "notes", 0);

	return note_next(&b, n) ? b.pos : th->note_len;
}

/* The dump's own, with the new id. */
static int put_taken(const struct threads *t, const struct thread *th, const struct note_layout *l,
		     note_put_fn put, void *priv, struct err *e)
{
	_cleanup_free_ uint8_t *desc = NULL;
	static const uint8_t zeros[4];
	struct note n = { .desc_len = 0 };
	size_t rest = first_note(t, th, &n);
	struct bytes_out o = { .size = n.desc_len, .order = t->dump->id.order };

	desc = o.data = malloc(n.desc_len);
	if (!desc)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	memcpy(desc, n.desc, n.desc_len);
	if (l->pid_off >= 0) {
		o.pos = (size_t)l->pid_off;
		out_uint(&o, (uint32_t)th->id, 4);
	}
	if (put_status(t, desc, status_size(t, n.desc_len), put, priv, e) ||
	    put(priv, t->dump->notes + th->note_off + rest, th->note_len - rest, e))
		return -1;
	return put(priv, zeros, -th->note_len & 3, e);
}

static int put_threads(const struct note_stream *n, note_put_fn put, void *priv, struct err *e)
{
	const struct threads *t = n->priv;
	const struct note_layout *l = layout_of(t->dump);
	size_t i;

	for (i = 0; l && i < t->nr; i++) {
		const struct thread *th = &t->list[i];

		if ((th->note_len ? put_taken(t, th, l, put, priv, e)
				  : put_made(t, th, l, put, priv, e)) ||
		    put(priv, t->mask, t->mask_len, e))
			return -1;
	}
	return put(priv, t->names, t->names_len, e);
}

/* What is taken and made of TH. */
static uint64_t length_of(const struct threads *t, const struct thread *th,
			  const struct note_layout *l)
{
	uint64_t rest = 0;
	struct note n = { .desc_len = l->min_size };

	if (th->note_len)
		rest = ALIGN_UP((uint64_t)th->note_len - first_note(t, th, &n), 4);
	return NOTE_HEAD + ALIGN_UP((uint64_t)status_size(t, n.desc_len), 4) + rest;
}

static uint64_t notes_length(const struct threads *t)
{
	const struct note_layout *l = layout_of(t->dump);
	uint64_t len = 0;
	size_t i;

	for (i = 0; l && i < t->nr; i++)
		len += length_of(t, &t->list[i], l);
	return len + (l ? t->nr * t->mask_len : 0) + t->names_len;
}

#define NT_AUXV 6
#define AT_HWCAP 16

int threads_add_mask(struct threads *t, const struct kernel *k, struct err *e)
{
	const struct mask_note *m = t->dump->arch ? t->dump->arch->mask_note : NULL;
	unsigned int word = t->dump->id.word, i;
	enum byte_order order = t->dump->id.order;
	uint8_t raw[4 * 8];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = order };
	uint64_t mask = 0, auxv[] = { AT_HWCAP, 0, 0, 0 };

	if (!m || !kernel_fact(k, FACT_NUMBER, m->number, &mask) || !mask)
		return 0;
	for (i = 0; i < MIN(m->words, 4u); i++)
		out_uint(&o, mask, word);
	if (!note_append(&t->mask, &t->mask_len, order, m->owner, m->type, raw, o.pos))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	auxv[1] = m->hwcap;
	o.pos = 0;
	for (i = 0; i < ARRAY_SIZE(auxv); i++)
		out_uint(&o, auxv[i], word);
	return note_append((uint8_t **)&t->names, &t->names_len, order, "CORE", NT_AUXV, raw, o.pos)
		       ? 0
		       : err_set(e, ERR_NOMEM, "no memory for notes");
}

/* What they are, as a note. */
static int make_names(struct threads *t, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0, i;
	FILE *f = open_memstream(&text, &len);
	bool ok;

	if (!f)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	for (i = 0; i < t->nr; i++) {
		const struct thread *th = &t->list[i];

		fprintf(f,
			"TASK=%" PRId32 " %" PRId32 " %" PRId32 " %" PRId32 " %c%s %" PRIx64
			" %s\n",
			th->id, th->pid, th->tgid, th->cpu, th->state, th->running ? "+" : "",
			th->task, th->name);
	}
	ok = !fclose(f) && note_append((uint8_t **)&t->names, &t->names_len, t->dump->id.order,
				       TOOL_NOTE_OWNER, TOOL_NOTE_TASKS, text, len);
	return ok ? 0 : err_set(e, ERR_NOMEM, "no memory for notes");
}

int threads_finish(struct threads *t, struct err *e)
{
	const struct thread none = { .state = '?', .running = true, .reg_cpu = -1 };

	/* Without any thread gdb looks for registers of none, and gives up (MIPS). */
	if (!t->nr && threads_add(t, &none, e))
		return -1;
	if (make_unique(t, e) || make_names(t, e))
		return -1;
	t->stream = (struct note_stream){ .len = notes_length(t), .write = put_threads, .priv = t };
	return 0;
}
