/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symbols that a module exports: tables of struct kernel_symbol (include/linux/export-internal.h),
 * which hold addresses, or (4.19, commit 7290d5809571) signed 32-bit distances from where they
 * stand.
 */
#include <string.h>

#include "cleanup.h"
#include "module.h"

#define MAX_EXPORTS 65536u /* of one module */

struct layout {
	struct member value, name;
	bool relative;
	uint64_t size;
};

static bool find_layout(const struct kmem *m, struct layout *ret)
{
	ret->relative = kmem_member(m, "kernel_symbol.value_offset", 4, &ret->value);
	if (!(ret->relative ? kmem_member(m, "kernel_symbol.name_offset", 4, &ret->name)
			    : kmem_member(m, "kernel_symbol.value", 0, &ret->value) &&
				      kmem_member(m, "kernel_symbol.name", 0, &ret->name)))
		return false;
	return kernel_fact(m->kernel, FACT_SIZE, "kernel_symbol", &ret->size) && ret->size;
}

/* What the member of the entry at AT refers to; 0. */
static uint64_t referred(const struct kmem *m, const struct layout *l, uint64_t at,
			 const struct member *member)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	if (kmem_get(m, at, member, &v, &ignored))
		return 0;
	if (l->relative)
		v = at + member->off + (uint64_t)(int64_t)(int32_t)v;
	return m->reader->dump->id.word == 4 ? (uint32_t)v : v;
}

bool module_is_exported(const struct kmem *m, const struct module *mod, const struct symbol *s)
{
	uint64_t i, nr = MIN(mod->nr_exports, (uint64_t)MAX_EXPORTS);
	char name[SYMBOL_NAME_MAX];
	struct err ignored = ERR_INIT;
	struct layout l;

	if (!mod->exports || !find_layout(m, &l))
		return false;
	for (i = 0; i < nr; i++) {
		uint64_t at = mod->exports + i * l.size;

		if (referred(m, &l, at, &l.value) == s->addr &&
		    !kmem_string(m, referred(m, &l, at, &l.name), name, sizeof(name), &ignored) &&
		    !strcmp(name, s->name))
			return true;
	}
	return false;
}
