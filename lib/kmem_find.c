/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kmem_find.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

/* ---- modules: kernel/module/main.c, LIST_HEAD(modules) ---- */

#define MAX_CHECKS (4u << 20) /* of what looks like a pointer, whatever an image looks like */

struct module_hunt {
	const struct kmem *m;
	uint64_t start, end;			     /* of the image */
	struct member list, name, state, mkobj, mod; /* of struct module, struct module_kobject */
	bool one_end; /* of the list is enough */
	uint64_t found;
	uint32_t checks;
};

static bool points_to(const struct kmem *m, uint64_t at, uint64_t to)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	return !kmem_word(m, at, &v, &ignored) && v == to;
}

/* Printable, and ended where the rest of the array is zeros, as strscpy leaves a module's. */
static bool is_module_name(const char *s, size_t size)
{
	size_t n = strnlen(s, size), i;

	for (i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n && n < size;
}

/* Does the structure whose node is at NODE look like a loaded module? */
static bool is_module(const struct module_hunt *h, uint64_t node)
{
	uint64_t at = node - h->list.off, state;
	struct err ignored = ERR_INIT;
	char name[64];
	size_t size = MIN(sizeof(name), (size_t)h->name.size);

	if (kmem_read(h->m, at + h->name.off, name, size, &ignored) || !is_module_name(name, size))
		return false;
	if (h->state.size && (kmem_get(h->m, at, &h->state, &state, &ignored) || state > 3))
		return false;
	/* module.mkobj.mod is the module itself (mod_sysfs_init(), kernel/module/sysfs.c) */
	return !h->mkobj.size || points_to(h->m, at + h->mkobj.off, at);
}

/* Could a node of the list be at VADDR? */
static bool is_outside(const struct module_hunt *h, uint64_t low, uint64_t vaddr)
{
	return vaddr >= low && !(vaddr & 3) && vaddr - h->start >= h->end - h->start;
}

/*
 * A list head in the image whose nodes, the first and the last, lie outside, point back to it and
 * are modules: the lists of other things are of other structures.
 */
static int look_for_head(void *priv, uint64_t vaddr, const uint8_t *data, size_t len)
{
	struct module_hunt *h = priv;
	const struct dump *d = h->m->reader->dump;
	uint64_t low = xlat_kernel_start(h->m->xlat);
	unsigned int word = d->id.word == 4 ? 4 : 8;
	size_t off;

	for (off = 0; off + 2 * word <= len; off += word) {
		bool first, last;
		uint64_t next = load_uint(data + off, word, d->id.order);
		uint64_t prev = load_uint(data + off + word, word, d->id.order);

		first = is_outside(h, low, next);
		last = is_outside(h, low, prev);
		if (h->one_end ? !first && !last : !first || !last)
			continue;
		if (h->checks++ == MAX_CHECKS)
			return -1;
		first = first && points_to(h->m, next + word, vaddr + off) && is_module(h, next);
		last = last && points_to(h->m, prev, vaddr + off) && is_module(h, prev);
		if ((first && last) || (h->one_end && (first || last))) {
			h->found = vaddr + off;
			return 1;
		}
	}
	return 0;
}

static bool find_modules(const struct kmem *m, uint64_t *ret)
{
	struct module_hunt h = { .m = m };

	if (!kmem_member(m, "module.list", 0, &h.list) ||
	    !kmem_member(m, "module.name", 56, &h.name) || !kmem_image(m, &h.start, &h.end))
		return false;
	(void)kmem_member(m, "module.state", 4, &h.state);
	if (kmem_member(m, "module.mkobj", 0, &h.mkobj) &&
	    kmem_member(m, "module_kobject.mod", 0, &h.mod))
		h.mkobj.off += h.mod.off;
	else
		h.mkobj.size = 0;
	if (kmem_image_each(m, look_for_head, &h) == 1) {
		*ret = h.found;
		return true;
	}
	/* The other end may be damaged; what says of itself that it is a module is one. */
	h.one_end = true;
	h.checks = 0;
	if (!h.mkobj.size || kmem_image_each(m, look_for_head, &h) != 1)
		return false;
	*ret = h.found;
	return true;
}

/* ---- runqueues: kernel/sched/core.c, a per-CPU struct rq ---- */

/*
 * The first task of all, idle task of the CPU that booted, knows its run queue:
 * init_task.se.cfs_rq->rq, with CONFIG_FAIR_GROUP_SCHED.
 */
static bool find_runqueues(const struct kmem *m, uint64_t *ret)
{
	struct member cfs_rq, cfs_owner, idle, cpu;
	struct err ignored = ERR_INIT;
	uint64_t task, queue, rq, who, number = 0, zero;

	if (!kernel_fact(m->kernel, FACT_SYMBOL, "init_task", &task) ||
	    !kmem_member(m, "task_struct.se.cfs_rq", 0, &cfs_rq) ||
	    !kmem_member(m, "cfs_rq.rq", 0, &cfs_owner) || !kmem_member(m, "rq.idle", 0, &idle))
		return false;
	if (kmem_get(m, task, &cfs_rq, &queue, &ignored) ||
	    kmem_get(m, queue, &cfs_owner, &rq, &ignored) ||
	    kmem_get(m, rq, &idle, &who, &ignored) || who != task)
		return false;
	if (kmem_member(m, "rq.cpu", 4, &cpu) && kmem_get(m, rq, &cpu, &number, &ignored))
		return false;
	if (number > INT16_MAX || kmem_percpu_offset(m, (int)number, &zero, &ignored))
		return false;
	*ret = rq - zero;
	if (m->reader->dump->id.word == 4)
		*ret = (uint32_t)*ret;
	return true;
}

/* ---- the provider ---- */

static const struct {
	const char *name;
	bool (*find)(const struct kmem *m, uint64_t *ret);
} finders[] = { { "modules", find_modules }, { "runqueues", find_runqueues } };

struct provider {
	struct kmem_provider head;
	struct {
		bool tried, found;
		uint64_t value;
	} known[ARRAY_SIZE(finders)];
};

static bool provider_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			  uint64_t *ret)
{
	struct provider *p = (struct provider *)base;
	size_t i = 0;

	while (i < ARRAY_SIZE(finders) && strcmp(finders[i].name, name))
		i++;
	if (kind != FACT_SYMBOL || i == ARRAY_SIZE(finders))
		return false;
	if (!p->known[i].tried) {
		p->known[i].tried = true; /* first: to look for it asks for facts */
		p->known[i].found = finders[i].find(&p->head.mem, &p->known[i].value);
	}
	if (p->known[i].found)
		*ret = p->known[i].value;
	return p->known[i].found;
}

struct fact_provider *kmem_find_provider(struct dump *d, const struct xlat *x,
					 const struct kernel *k)
{
	return kmem_provider_new(sizeof(struct provider), "its place in memory", provider_fact,
				 NULL, d, x, k);
}
