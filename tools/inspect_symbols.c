/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --sym: names and addresses of the kernel and of its modules. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "inspect.h"
#include "json.h"
#include "kallsyms.h"
#include "module.h"
#include "talk.h"

/* Symbols of modules that one question is worth: many times those of any kernel. */
#define MAX_LOOKED (4u << 20)

struct lookup {
	struct inspect *in;
	const struct kallsyms *table;
	struct reader reader;
	struct kmem mem;
	struct json json;
	/* the question at hand */
	const char *name;
	uint64_t addr;
	bool by_address;
	uint64_t found;
	uint64_t looked; /* at symbols of modules */
	/* what is nearest below the address in modules */
	struct symbol near;
	char near_module[MODULE_NAME_MAX];
};

static void answer(struct lookup *l, const struct symbol *s, const char *module)
{
	uint64_t off = l->by_address ? l->addr - s->addr : 0;
	int width = 2 * l->in->session.dump->id.word;

	l->found++;
	if (l->in->json) {
		char type[2] = { s->type };

		json_object(&l->json, NULL);
		json_string(&l->json, "name", s->name);
		json_hex(&l->json, "address", s->addr);
		json_string(&l->json, "type", type);
		if (l->by_address)
			json_hex(&l->json, "offset", off);
		if (module)
			json_string(&l->json, "module", module);
		json_end(&l->json);
		return;
	}
	printf("%0*" PRIx64 " %c ", width, s->addr, s->type);
	print_escaped(stdout, s->name);
	if (off)
		printf("+0x%" PRIx64, off);
	if (module)
		printf(" [%s]", module);
	putchar('\n');
}

/* ---- by name ---- */

static int names_in_module(void *priv, const struct module *m, struct err *e)
{
	struct lookup *l = priv;
	struct symbol s;
	uint64_t i;

	(void)e;
	for (i = 0; l->looked++ < MAX_LOOKED && module_symbol(&l->mem, m, i, &s); i++)
		if (s.addr && !strcmp(s.name, l->name))
			answer(l, &s, m->name);
	return 0;
}

static void find_name(struct lookup *l)
{
	struct module_stats stats;
	struct err ignored = ERR_INIT;
	struct symbol s;
	uint64_t addr;
	uint32_t i;

	l->by_address = false;
	for (i = 0; l->table && kallsyms_get(l->table, i, &s); i++)
		if (!strcmp(s.name, l->name))
			answer(l, &s, NULL);
	if (!l->found && kernel_fact(l->mem.kernel, FACT_SYMBOL, l->name, &addr)) {
		s = (struct symbol){ .addr = addr, .type = '?' };
		snprintf(s.name, sizeof(s.name), "%s", l->name);
		answer(l, &s, NULL);
	}
	(void)!module_each(&l->mem, names_in_module, l, &stats, &ignored);
}

/* ---- by address ---- */

static int address_in_module(void *priv, const struct module *m, struct err *e)
{
	struct lookup *l = priv;
	unsigned int p;
	struct symbol s;
	uint64_t i;

	(void)e;
	for (p = 0; p < m->nr_parts; p++)
		if (l->addr - m->part[p].addr < m->part[p].size)
			break;
	if (p == m->nr_parts)
		return 0;
	for (i = 0; l->looked++ < MAX_LOOKED && module_symbol(&l->mem, m, i, &s); i++)
		if (s.addr <= l->addr && s.addr >= m->part[p].addr && s.name[0] &&
		    s.addr > l->near.addr)
			l->near = s;
	snprintf(l->near_module, sizeof(l->near_module), "%s", m->name);
	return 0;
}

static void find_address(struct lookup *l)
{
	struct module_stats stats;
	struct err ignored = ERR_INIT;
	uint64_t start, end;
	struct symbol s;

	l->by_address = true;
	l->near = (struct symbol){ .addr = 0 };
	if (l->table && kmem_image(&l->mem, &start, &end) && l->addr >= start && l->addr < end &&
	    kallsyms_at(l->table, l->addr, &s) && s.addr >= start) {
		answer(l, &s, NULL);
		return;
	}
	(void)!module_each(&l->mem, address_in_module, l, &stats, &ignored);
	if (l->near.addr)
		answer(l, &l->near, l->near_module);
}

/* ---- the question ---- */

/* 0x..., or hexadecimal digits that are no symbol. */
static bool is_address(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 16);
	return *text && !*end && !errno && strspn(text, "0123456789abcdefABCDEFxX") == strlen(text);
}

static int lookup_all(struct lookup *l, struct err *e)
{
	unsigned int i, missing = 0;
	const char *first = NULL;

	for (i = 0; i < l->in->nr_about; i++) {
		l->name = l->in->about[i];
		l->found = l->looked = 0;
		find_name(l);
		if (!l->found && is_address(l->name, &l->addr))
			find_address(l);
		if (!l->found && !missing++)
			first = l->name;
		if (l->looked < MAX_LOOKED)
			continue;
		l->in->session.dump->damage.bad_structures++;
		log_warn(&l->in->talk.log,
			 "modules: more than %u symbols; not all were looked at for '%s'",
			 MAX_LOOKED, l->name);
	}
	return missing ? err_set(e, ERR_MISSING, "no symbol is '%s'%s", first,
				 missing > 1 ? ", nor are others" : "")
		       : 0;
}

int inspect_symbols(struct inspect *in, struct err *e)
{
	struct lookup l = { .in = in };
	struct err why = ERR_INIT;
	int failed;

	session_deepen(&in->session);
	reader_init(&l.reader, in->session.dump);
	l.mem = (struct kmem){ .kernel = &in->session.kernel,
			       .xlat = &in->session.xlat,
			       .reader = &l.reader };
	l.table = kernel_kallsyms(&in->session.kernel, &why);
	if (in->json) {
		json_begin(&l.json, stdout);
		json_document(&l.json, "symbols", 1);
		json_array(&l.json, "symbols");
	}
	failed = lookup_all(&l, e);
	reader_fini(&l.reader);
	if (failed && !l.table)
		err_add(e, "%s", why.text);
	if (in->json) {
		json_end(&l.json);
		inspect_print_complete(in, &l.json, e);
		json_finish(&l.json);
	} else if (!failed) {
		inspect_print_complete(in, NULL, e);
	}
	return failed;
}
