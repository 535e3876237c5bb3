/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loaded modules, as a note: what a debugger has to know to find their symbols. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "module.h"
#include "threads.h"

static int print_module(void *priv, const struct module *m, struct err *e)
{
	FILE *f = priv;
	const char *c;
	unsigned int i;

	(void)e;
	fprintf(f, "MODULE=%" PRIx64 " %" PRIx64 " %" PRIx64 " ", m->addr,
		m->nr_parts ? m->part[0].addr : 0, m->size);
	for (i = 0; i < m->build_id_len; i++)
		fprintf(f, "%02x", m->build_id[i]);
	fputs(i ? " " : "- ", f);
	for (c = m->name; *c; c++)
		fputc(*c > ' ' && *c <= '~' ? *c : '?', f);
	fputc('\n', f);
	return 0;
}

int threads_add_modules(struct threads *t, const struct kmem *m, uint64_t *broken, struct err *e)
{
	struct module_stats stats = { .told = 0 };
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int failed;

	*broken = 0;
	if (!f)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	failed = module_each(m, print_module, f, &stats, e);
	*broken = stats.broken;
	if (fclose(f))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	if (failed || !len)
		return failed;
	return note_append((uint8_t **)&t->names, &t->names_len, t->dump->id.order, TOOL_NOTE_OWNER,
			   TOOL_NOTE_MODULES, text, len)
		       ? 0
		       : err_set(e, ERR_NOMEM, "no memory for notes");
}
