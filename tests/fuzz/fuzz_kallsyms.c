/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's table of symbols, where VMCOREINFO says or where it is found, in whatever convention;
 * and the table of exported ones. What is in it is found again, by name and by address.
 */
#include "kallsyms.h"
#include "kmem_find.h"
#include "ksymtab.h"
#include "small_kernel.h"

#define MAX_ASKED 48u

static void ask(const struct kallsyms *ks)
{
	uint32_t i, k, nr = kallsyms_count(ks);
	struct symbol s, other;
	uint64_t addr;

	must(kallsyms_damaged(ks) <= nr);
	must(!kallsyms_get(ks, nr, &s));
	for (i = 0; i < nr && i < MAX_ASKED; i++) {
		must(kallsyms_get(ks, i, &s));
		touch(s.name, strlen(s.name) + 1);
		must(strlen(s.name) < SYMBOL_NAME_MAX);
		if (s.name[0]) {
			k = 0;
			must(kallsyms_find(ks, s.name, &addr));
			must(kallsyms_find_next(ks, s.name, &k, &other) && k <= i);
			must(!strcmp(other.name, s.name) && other.addr == addr);
		}
		if (kallsyms_at(ks, s.addr, &other))
			must(other.addr <= s.addr);
		else
			must(kallsyms_damaged(ks));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct kallsyms *ks;
	struct small s;
	uint64_t addr;

	if (!small_open(&s, data, size))
		return 0;
	if (!kallsyms_open(&s.mem, &ks, &e)) {
		ask(ks);
		kallsyms_close(ks);
	} else {
		must(e.text[0]);
	}
	kernel_add(&s.kernel, ksymtab_provider(&s.dump, &s.xlat, &s.kernel));
	(void)kernel_fact(&s.kernel, FACT_SYMBOL, "init_task", &addr);
	(void)kernel_fact(&s.kernel, FACT_SYMBOL, "symbol_30", &addr);
	small_close(&s);
	return 0;
}
