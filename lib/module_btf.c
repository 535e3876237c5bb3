/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types of modules. A module's own pointer to them is gone once it is loaded; the kernel has a
 * copy, in the list btf_modules of struct btf_module (5.11, commit 36e68442d1af; kernel/bpf/btf.c),
 * whose struct btf says where.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "btf.h"
#include "budget.h"
#include "cleanup.h"
#include "log.h"
#include "module.h"

#define MAX_MODULES 65536u
#define MAX_BTF ((uint64_t)16 << 20)

struct places {
	struct member list, btf, module, name, data, size;
};

#define NEED(field, text, bytes)                                                   \
	{                                                                          \
		.name = text, .width = bytes, .at = offsetof(struct places, field) \
	}

static const struct member_need needs[] = {
	NEED(list, "btf_module.list", 0),
	NEED(btf, "btf_module.btf", 0),
	NEED(module, "btf_module.module", 0),
	NEED(name, "module.name", 56),
	NEED(data, "btf.data", 0),
	NEED(size, "btf.data_size", 4),
};

/* The types of the struct btf_module at VADDR. */
static int parse(const struct kmem *m, const struct places *at, uint64_t vaddr,
		 const struct btf *base, char name[MODULE_NAME_MAX], struct btf **ret,
		 struct err *e)
{
	const struct dump *d = m->reader->dump;
	uint64_t module, types, data, size;
	uint8_t *raw;

	if (kmem_get(m, vaddr, &at->module, &module, e) ||
	    kmem_get(m, vaddr, &at->btf, &types, e) ||
	    kmem_string(m, module + at->name.off, name, MODULE_NAME_MAX, e) ||
	    kmem_get(m, types, &at->data, &data, e) || kmem_get(m, types, &at->size, &size, e))
		return -1;
	if (size > MAX_BTF || 2 * size > budget_available())
		return err_set(e, ERR_NOMEM, "BTF of %" PRIu64 " bytes", size);
	raw = malloc((size_t)size + 1);
	if (!raw)
		return err_set(e, ERR_NOMEM, "BTF of %" PRIu64 " bytes", size);
	if (!kmem_read(m, data, raw, (size_t)size, e) &&
	    !btf_parse(raw, (size_t)size, base, d->id.order, d->id.word, ret, e))
		return 0;
	free(raw);
	return -1;
}

int module_btf_each(const struct kmem *m, const struct btf *base, module_btf_fn fn, void *priv,
		    struct module_stats *stats, struct err *e)
{
	char name[MODULE_NAME_MAX];
	struct kmem_list list;
	struct places at;
	uint64_t head;

	*stats = (struct module_stats){ .told = 0 };
	if (kernel_need(m->kernel, FACT_SYMBOL, "btf_modules", &head, e) ||
	    kmem_members(m, needs, ARRAY_SIZE(needs), &at, e))
		return -1;
	kmem_list_init(&list, head, MAX_MODULES);
	while (kmem_list_next(m, &list)) {
		struct err why = ERR_INIT;
		struct btf *b;
		int stop;

		if (parse(m, &at, list.pos - at.list.off, base, name, &b, &why)) {
			if (!stats->broken++)
				stats->why = why;
			continue;
		}
		stats->told++;
		stop = fn(priv, name, b, e);
		btf_free(b);
		if (stop)
			return stop;
	}
	if (list.why.code != ERR_NONE && !stats->broken++)
		stats->why = list.why;
	return 0;
}
