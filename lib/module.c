/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "module.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "log.h"

#define MAX_MODULES 65536u
#define MAX_SYMBOLS (1u << 20) /* of one module */
#define MAX_PART_BYTES ((uint64_t)1 << 32)

struct places {
	struct member list, name, state, srcversion, taints, build_id, kallsyms, btf, btf_size;
	struct member symtab, nr_symtab, strtab, typetab;
	struct member syms, nr_syms;
	struct member mem, mem_base, mem_size;
	struct member core, init, layout_base, layout_size;
	struct member old_core, old_core_size, old_init, old_init_size;
	struct member kset_list, kobj_entry, kobj_kset, own_kobj, kobj_mod;
};

#define NEED(field, text, bytes, may_lack)                          \
	{                                                           \
		.name = text, .width = bytes, .optional = may_lack, \
		.at = offsetof(struct places, field)                \
	}

static const struct member_need needs[] = {
	NEED(list, "module.list", 0, false),
	NEED(name, "module.name", 56, false),
	NEED(state, "module.state", 4, true),
	NEED(srcversion, "module.srcversion", 0, true),
	NEED(taints, "module.taints", 0, true),
	NEED(build_id, "module.build_id", 20, true), /* 5.14, CONFIG_STACKTRACE_BUILD_ID */
	NEED(btf, "module.btf_data", 0, true),	     /* 5.11 */
	NEED(btf_size, "module.btf_data_size", 4, true),
	NEED(kallsyms, "module.kallsyms", 0, true), /* 4.5 */
	NEED(symtab, "mod_kallsyms.symtab", 0, true),
	NEED(nr_symtab, "mod_kallsyms.num_symtab", 4, true),
	NEED(strtab, "mod_kallsyms.strtab", 0, true),
	NEED(typetab, "mod_kallsyms.typetab", 0, true),
	NEED(syms, "module.syms", 0, true),
	NEED(nr_syms, "module.num_syms", 4, true),
	NEED(mem, "module.mem", 0, true), /* 6.4 */
	NEED(mem_base, "module_memory.base", 0, true),
	NEED(mem_size, "module_memory.size", 4, true),
	NEED(core, "module.core_layout", 0, true), /* 4.5 to 6.3 */
	NEED(init, "module.init_layout", 0, true),
	NEED(layout_base, "module_layout.base", 0, true),
	NEED(layout_size, "module_layout.size", 4, true),
	NEED(old_core, "module.module_core", 0, true),
	NEED(old_core_size, "module.core_size", 4, true),
	NEED(old_init, "module.module_init", 0, true),
	NEED(old_init_size, "module.init_size", 4, true),
	NEED(kset_list, "kset.list", 0, true),
	NEED(kobj_entry, "module_kobject.kobj.entry", 0, true),
	NEED(kobj_kset, "module_kobject.kobj.kset", 0, true),
	NEED(own_kobj, "module.mkobj", 0, true),
	NEED(kobj_mod, "module_kobject.mod", 0, true),
};

static uint64_t value(const struct kmem *m, uint64_t at, const struct member *member)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	return member->size && !kmem_get(m, at, member, &v, &ignored) ? v : 0;
}

static void add_part(struct module *mod, uint64_t addr, uint64_t size)
{
	if (!addr || !size || size > MAX_PART_BYTES || mod->nr_parts == MODULE_PARTS)
		return;
	mod->part[mod->nr_parts].addr = addr;
	mod->part[mod->nr_parts++].size = size;
	mod->size += size;
}

/* Its memory, in the three generations of struct module. */
static void read_parts(const struct kmem *m, const struct places *at, struct module *mod)
{
	uint64_t size, nr = MODULE_PARTS, i;

	if (at->mem.size && at->mem_base.size) {
		(void)kernel_fact(m->kernel, FACT_LENGTH, "module.mem", &nr);
		if (!kernel_fact(m->kernel, FACT_SIZE, "module_memory", &size))
			return;
		for (i = 0; i < MIN(nr, (uint64_t)MODULE_PARTS); i++)
			add_part(mod, value(m, mod->addr + at->mem.off + i * size, &at->mem_base),
				 value(m, mod->addr + at->mem.off + i * size, &at->mem_size));
	} else if (at->core.size) {
		add_part(mod, value(m, mod->addr + at->core.off, &at->layout_base),
			 value(m, mod->addr + at->core.off, &at->layout_size));
		add_part(mod, value(m, mod->addr + at->init.off, &at->layout_base),
			 value(m, mod->addr + at->init.off, &at->layout_size));
	} else {
		add_part(mod, value(m, mod->addr, &at->old_core),
			 value(m, mod->addr, &at->old_core_size));
		add_part(mod, value(m, mod->addr, &at->old_init),
			 value(m, mod->addr, &at->old_init_size));
	}
}

static void read_symbols(const struct kmem *m, const struct places *at, struct module *mod)
{
	uint64_t table = value(m, mod->addr, &at->kallsyms);

	mod->exports = value(m, mod->addr, &at->syms);
	mod->nr_exports = value(m, mod->addr, &at->nr_syms);
	if (!table)
		return;
	mod->symtab = value(m, table, &at->symtab);
	mod->nr_symbols = MIN(value(m, table, &at->nr_symtab), (uint64_t)MAX_SYMBOLS);
	mod->strtab = value(m, table, &at->strtab);
	mod->typetab = value(m, table, &at->typetab);
}

static void read_build_id(const struct kmem *m, const struct places *at, struct module *mod)
{
	struct err ignored = ERR_INIT;
	unsigned int i, any = 0;

	if (at->build_id.size != sizeof(mod->build_id) ||
	    kmem_read(m, mod->addr + at->build_id.off, mod->build_id, sizeof(mod->build_id),
		      &ignored))
		return;
	for (i = 0; i < sizeof(mod->build_id); i++)
		any |= mod->build_id[i];
	mod->build_id_len = any ? sizeof(mod->build_id) : 0;
}

static char state_letter(uint64_t state)
{
	return state < 4 ? "LCGU"[state] : '?'; /* enum module_state */
}

/* A name of a module is made of these (kernel/module: it is a file's). */
static bool sane_name(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
			       "+") == strlen(s);
}

static int read_module(const struct kmem *m, const struct places *at, struct module *mod,
		       struct err *e)
{
	struct err ignored = ERR_INIT;
	uint64_t version;

	if (kmem_string(m, mod->addr + at->name.off, mod->name,
			MIN(sizeof(mod->name), (size_t)at->name.size + 1), e))
		return -1;
	if (!sane_name(mod->name))
		return err_set(e, ERR_CORRUPT, "no module is at 0x%" PRIx64, mod->addr);
	mod->state = at->state.size ? state_letter(value(m, mod->addr, &at->state)) : '?';
	mod->taints = value(m, mod->addr, &at->taints);
	mod->btf = value(m, mod->addr, &at->btf);
	mod->btf_size = value(m, mod->addr, &at->btf_size);
	version = value(m, mod->addr, &at->srcversion);
	if (version &&
	    (kmem_string(m, version, mod->srcversion, sizeof(mod->srcversion), &ignored) ||
	     !sane_name(mod->srcversion)))
		mod->srcversion[0] = '\0';
	read_parts(m, at, mod);
	read_build_id(m, at, mod);
	if (!mod->build_id_len)
		module_find_build_id(m, mod);
	read_symbols(m, at, mod);
	return 0;
}

static void broken(const struct kmem *m, struct module_stats *stats, const struct err *why)
{
	if (stats->broken++)
		return;
	stats->why = *why;
	log_warn(m->reader->dump->log, "modules: the list is damaged: %s", why->text);
}

struct walk {
	const struct kmem *m;
	struct places at;
	module_fn fn;
	void *priv;
	struct module_stats *stats;
	uint64_t *seen; /* addresses of those that the list told */
	size_t nr_seen, room;
};

static int tell(struct walk *w, uint64_t addr, struct err *e)
{
	struct module mod = { .addr = addr };
	struct err why = ERR_INIT;

	if (read_module(w->m, &w->at, &mod, &why)) {
		broken(w->m, w->stats, &why);
		return 0;
	}
	w->stats->told++;
	return w->fn(w->priv, &mod, e) ? -1 : 0;
}

static int remember(struct walk *w, uint64_t addr, struct err *e)
{
	if (w->nr_seen == w->room) {
		size_t more = w->room ? 2 * w->room : 64;
		uint64_t *a = realloc(w->seen, more * sizeof(*a));

		if (!a)
			return err_set(e, ERR_NOMEM, "out of memory");
		w->seen = a;
		w->room = more;
	}
	w->seen[w->nr_seen++] = addr;
	return 0;
}

static bool is_seen(const struct walk *w, uint64_t addr)
{
	size_t i;

	for (i = 0; i < w->nr_seen; i++)
		if (w->seen[i] == addr)
			return true;
	return false;
}

static int tell_listed(struct walk *w, uint64_t head, struct err *e)
{
	struct kmem_list list;

	kmem_list_init(&list, head, MAX_MODULES);
	while (kmem_list_next(w->m, &list)) {
		uint64_t addr = list.pos - w->at.list.off;

		if (remember(w, addr, e) || tell(w, addr, e))
			return -1;
	}
	if (list.why.code != ERR_NONE)
		broken(w->m, w->stats, &list.why);
	return 0;
}

/* sysfs' set of modules (kernel/params.c): by its symbol, or by a module that is in it; 0. */
static uint64_t find_kset(const struct walk *w)
{
	struct err ignored = ERR_INIT;
	uint64_t kset = 0;
	size_t i;

	if (kernel_fact(w->m->kernel, FACT_SYMBOL, "module_kset", &kset) &&
	    !kmem_word(w->m, kset, &kset, &ignored))
		return kset;
	for (kset = 0, i = 0; !kset && i < w->nr_seen; i++)
		kset = value(w->m, w->seen[i] + w->at.own_kobj.off, &w->at.kobj_kset);
	return kset;
}

/* Those between two broken links: by sysfs, where the kernel's own parts have no module. */
static int tell_missed(struct walk *w, struct err *e)
{
	struct kmem_list list;
	uint64_t kset;

	if (!w->at.kset_list.size || !w->at.kobj_entry.size || !w->at.own_kobj.size ||
	    !w->at.kobj_mod.size)
		return 0;
	kset = find_kset(w);
	if (!kset)
		return 0;
	kmem_list_init(&list, kset + w->at.kset_list.off, MAX_MODULES);
	while (kmem_list_next(w->m, &list)) {
		uint64_t kobj = list.pos - w->at.kobj_entry.off, addr;

		addr = value(w->m, kobj, &w->at.kobj_mod);
		if (addr && addr + w->at.own_kobj.off == kobj && !is_seen(w, addr) &&
		    tell(w, addr, e))
			return -1;
	}
	return 0;
}

int module_each(const struct kmem *m, module_fn fn, void *priv, struct module_stats *stats,
		struct err *e)
{
	struct walk w = { .m = m, .fn = fn, .priv = priv, .stats = stats };
	uint64_t head;
	int ret;

	*stats = (struct module_stats){ .told = 0 };
	if (kernel_need(m->kernel, FACT_SYMBOL, "modules", &head, e) ||
	    kmem_members(m, needs, ARRAY_SIZE(needs), &w.at, e))
		return -1;
	ret = tell_listed(&w, head, e);
	if (!ret && stats->broken)
		ret = tell_missed(&w, e);
	free(w.seen);
	return ret;
}

/* ---- symbols: an ELF symbol table, whose values were relocated when the module was loaded ---- */

bool module_symbol(const struct kmem *m, const struct module *mod, uint64_t i, struct symbol *ret)
{
	const struct dump *d = m->reader->dump;
	unsigned int size = d->id.word == 4 ? 16 : 24; /* Elf32_Sym, Elf64_Sym */
	struct err ignored = ERR_INIT;
	uint64_t type = '?';
	uint8_t raw[24];

	*ret = (struct symbol){ .type = '?' };
	if (i >= mod->nr_symbols || !mod->symtab)
		return false;
	if (kmem_read(m, mod->symtab + i * size, raw, size, &ignored))
		return false; /* nor, then, is there the next of what may be a million */
	if (kmem_string(m, mod->strtab + load_u32(raw, d->id.order), ret->name, sizeof(ret->name),
			&ignored)) {
		ret->name[0] = '\0';
		return true;
	}
	ret->addr =
		d->id.word == 4 ? load_u32(raw + 4, d->id.order) : load_u64(raw + 8, d->id.order);
	if (mod->typetab) /* since 5.2 (commit 1c7651f43777); before, in st_info and st_size */
		(void)kmem_uint(m, mod->typetab + i, 1, &type, &ignored);
	ret->type = (char)type;
	return true;
}
