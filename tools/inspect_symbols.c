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
#include "parse.h"
#include "talk.h"

#define MAX_MODULE_SYMBOLS (4u << 20) /* of all modules: many times those of any kernel */
#define MAX_NAME 600		      /* of standard input; a symbol's has SYMBOL_NAME_MAX */

struct entry {
	uint64_t addr;
	uint32_t hash, nr; /* of its name; its number in the module */
};

struct loaded {
	struct module m;
	struct entry *symbols;
	size_t nr;
};

struct lookup {
	struct inspect *in;
	const struct kallsyms *table;
	struct reader reader;
	struct kmem mem;
	struct json json;
	/* modules, once they are asked for */
	bool tried;
	struct loaded *modules;
	size_t nr_modules, nr_symbols;
	struct err why; /* not all of them could be looked at */
	/* the question at hand */
	const char *name;
	uint64_t addr;
	bool by_address;
	uint64_t found, missing;
	char first[80]; /* that is missing */
};

/* ---- symbols of modules ---- */

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static int load_symbols(struct lookup *l, struct loaded *to, struct err *e)
{
	struct entry *more;
	struct symbol s;
	size_t room = 0;
	uint64_t i;

	for (i = 0; module_symbol(&l->mem, &to->m, i, &s); i++) {
		if (l->nr_symbols == MAX_MODULE_SYMBOLS) {
			if (l->why.code == ERR_NONE)
				err_set(&l->why, ERR_CORRUPT, "modules: more than %u symbols",
					MAX_MODULE_SYMBOLS);
			return 0;
		}
		if (to->nr == room) {
			room = room ? 2 * room : 256;
			more = realloc(to->symbols, room * sizeof(*more));
			if (!more)
				return err_set(e, ERR_NOMEM, "out of memory");
			to->symbols = more;
		}
		if (!s.addr || !s.name[0])
			continue;
		to->symbols[to->nr++] = (struct entry){ s.addr, hash_name(s.name), (uint32_t)i };
		l->nr_symbols++;
	}
	return 0;
}

static int add_module(void *priv, const struct module *m, struct err *e)
{
	struct lookup *l = priv;
	struct loaded *more = realloc(l->modules, (l->nr_modules + 1) * sizeof(*more));

	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory");
	l->modules = more;
	more[l->nr_modules] = (struct loaded){ .m = *m };
	return load_symbols(l, &more[l->nr_modules++], e);
}

static void need_modules(struct lookup *l)
{
	struct err missing = ERR_INIT; /* a kernel without modules, or without types */
	struct module_stats stats;

	if (l->tried)
		return;
	l->tried = true;
	if (module_each(&l->mem, add_module, l, &stats, &missing) && missing.code != ERR_MISSING)
		l->why = missing;
	if (l->why.code == ERR_NONE)
		l->why = stats.why;
	if (l->why.code == ERR_NONE)
		return;
	l->in->session.dump->damage.bad_structures++;
	if (!stats.broken)
		log_warn(&l->in->talk.log, "%s: not all were looked at", l->why.text);
}

static void free_modules(struct lookup *l)
{
	size_t i;

	for (i = 0; i < l->nr_modules; i++)
		free(l->modules[i].symbols);
	free(l->modules);
}

/* ---- answers ---- */

static void answer(struct lookup *l, const struct symbol *s, const char *module)
{
	uint64_t off = l->by_address ? l->addr - s->addr : 0;
	int width = 2 * l->in->session.dump->id.word;

	l->found++;
	if (l->in->json) {
		char type[2] = { s->type };

		json_put_object(&l->json, NULL);
		json_put_string(&l->json, "asked", l->name);
		json_put_string(&l->json, "name", s->name);
		json_hex(&l->json, "address", s->addr);
		json_put_string(&l->json, "type", type);
		if (l->by_address)
			json_hex(&l->json, "offset", off);
		if (module)
			json_put_string(&l->json, "module", module);
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

/* S is one of the module's: the table has no capital letters. */
static void answer_module(struct lookup *l, struct symbol *s, const struct module *m)
{
	if (s->type >= 'a' && s->type <= 'z' && module_is_exported(&l->mem, m, s))
		s->type = (char)(s->type - 'a' + 'A');
	answer(l, s, m->name);
}

static void answer_none(struct lookup *l)
{
	if (!l->missing++)
		snprintf(l->first, sizeof(l->first), "%s", l->name);
	if (l->in->json) {
		json_put_object(&l->json, NULL);
		json_put_string(&l->json, "asked", l->name);
		json_put_string(&l->json, "error", "no such symbol");
		json_end(&l->json);
		return;
	}
	printf("%-*s ? ", 2 * l->in->session.dump->id.word, "-");
	print_escaped(stdout, l->name);
	putchar('\n');
}

static void find_name(struct lookup *l)
{
	uint32_t i, hash = hash_name(l->name);
	struct symbol s;
	uint64_t addr;
	size_t m, n;

	l->by_address = false;
	for (i = 0; l->table && kallsyms_find_next(l->table, l->name, &i, &s); i++)
		answer(l, &s, NULL);
	if (!l->found && kernel_fact(l->mem.kernel, FACT_SYMBOL, l->name, &addr)) {
		s = (struct symbol){ .addr = addr, .type = '?' };
		snprintf(s.name, sizeof(s.name), "%s", l->name);
		answer(l, &s, NULL);
	}
	need_modules(l);
	for (m = 0; m < l->nr_modules; m++)
		for (n = 0; n < l->modules[m].nr; n++)
			if (l->modules[m].symbols[n].hash == hash &&
			    module_symbol(&l->mem, &l->modules[m].m, l->modules[m].symbols[n].nr,
					  &s) &&
			    !strcmp(s.name, l->name))
				answer_module(l, &s, &l->modules[m].m);
}

/* The nearest symbol at or below the address, in the part of a module that it is in. */
static const struct entry *nearest(const struct loaded *m, uint64_t addr)
{
	const struct entry *near = NULL;
	unsigned int p;
	size_t n;

	for (p = 0; p < m->m.nr_parts; p++)
		if (addr - m->m.part[p].addr < m->m.part[p].size)
			break;
	for (n = 0; p < m->m.nr_parts && n < m->nr; n++) {
		const struct entry *s = &m->symbols[n];

		if (s->addr <= addr && s->addr >= m->m.part[p].addr &&
		    (!near || s->addr > near->addr))
			near = s;
	}
	return near;
}

static void find_address(struct lookup *l)
{
	uint64_t start, end;
	struct symbol s;
	size_t m;

	l->by_address = true;
	if (l->table && kmem_image(&l->mem, &start, &end) && l->addr >= start && l->addr < end &&
	    kallsyms_at(l->table, l->addr, &s) && s.addr >= start) {
		answer(l, &s, NULL);
		return;
	}
	need_modules(l);
	for (m = 0; m < l->nr_modules; m++) {
		const struct entry *near = nearest(&l->modules[m], l->addr);

		if (near && module_symbol(&l->mem, &l->modules[m].m, near->nr, &s))
			return answer_module(l, &s, &l->modules[m].m);
	}
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

static void look_up(struct lookup *l, const char *name)
{
	l->name = name;
	l->found = 0;
	find_name(l);
	if (!l->found && is_address(name, &l->addr))
		find_address(l);
	if (!l->found)
		answer_none(l);
}

/* Names and addresses from standard input, a line each. */
static void look_up_lines(struct lookup *l)
{
	char name[MAX_NAME];
	uint64_t line = 0;

	while (parse_line(stdin, name, sizeof(name), &line))
		look_up(l, name);
}

static int look_up_all(struct lookup *l, struct err *e)
{
	unsigned int i;

	for (i = 0; i < l->in->nr_about; i++)
		if (!strcmp(l->in->about[i], "-"))
			look_up_lines(l);
		else
			look_up(l, l->in->about[i]);
	return l->missing ? err_set(e, ERR_MISSING, "no symbol is '%s'%s", l->first,
				    l->missing > 1 ? ", nor are others" : "")
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
		json_put_array(&l.json, "symbols");
	}
	failed = look_up_all(&l, e);
	free_modules(&l);
	reader_fini(&l.reader);
	if (failed && !l.table)
		err_add(e, "%s", why.text);
	if (in->json) {
		json_end(&l.json);
		inspect_print_complete(in, &l.json, failed ? e : &l.why);
		json_finish(&l.json);
	} else if (!failed) {
		inspect_print_complete(in, NULL, &l.why);
	}
	return failed;
}
