/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The modules of a hostile kernel, by the list's symbol or by what it looks like, with their symbols,
 * notes and memory. Each is told once.
 */
#include "kmem_find.h"
#include "module.h"
#include "small_kernel.h"

#define MAX_ASKED 512u

struct seen {
	struct small s;
	uint8_t *told;
};

static int take(void *priv, const struct module *m, struct err *e)
{
	struct seen *seen = priv;
	struct symbol symbol;
	uint64_t i;

	(void)e;
	must(m->name[0] && strlen(m->name) < sizeof(m->name));
	must(m->nr_parts <= MODULE_PARTS && m->build_id_len <= sizeof(m->build_id));
	must(!small_seen(&seen->s, seen->told, m->addr));
	for (i = 0; i < MAX_ASKED && module_symbol(&seen->s.mem, m, i, &symbol); i++)
		touch(symbol.name, strlen(symbol.name) + 1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct module_stats stats;
	struct err e = ERR_INIT;
	struct seen seen;

	if (!small_open(&seen.s, data, size))
		return 0;
	kernel_add(&seen.s.kernel, kmem_find_provider(&seen.s.dump, &seen.s.xlat, &seen.s.kernel));
	seen.told = calloc(seen.s.nr, SMALL_PAGE);
	if (seen.told && !module_each(&seen.s.mem, take, &seen, &stats, &e))
		must(!stats.broken == (stats.why.code == ERR_NONE));
	else if (seen.told)
		must(e.text[0]);
	free(seen.told);
	small_close(&seen.s);
	return 0;
}
