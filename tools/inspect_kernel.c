/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --vtop, --regs: where an address lies; what CPUs had in their registers. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "inspect.h"
#include "json.h"
#include "main.h"

/* ---- addresses ---- */

static const char *const state_text[] = {
	[PAGE_ABSENT] = "not in the dump",
	[PAGE_DATA] = "present",
	[PAGE_ZERO] = "zero",
	[PAGE_EXCLUDED] = "excluded",
	[PAGE_UNREADABLE] = "unreadable",
};

struct vtop {
	struct inspect *in;
	struct reader r;
	struct json *json; /* or NULL */
	uint64_t asked, failed;
	/* of the address at hand */
	uint64_t vaddr, paddr;
	enum page_state state;
	struct mapping m;
	struct xlat_step steps[PAGING_MAX_LEVELS];
	unsigned int nr_steps;
};

static void print_address(const struct vtop *v, const struct err *why)
{
	const struct paging *p = v->in->session.xlat.paging;
	unsigned int i;

	if (why)
		printf("0x%" PRIx64 " is not translated: %s\n", v->vaddr, why->text);
	else
		printf("0x%" PRIx64 " is 0x%" PRIx64 ", %s; 0x%" PRIx64 " bytes from 0x%" PRIx64
		       "\n",
		       v->vaddr, v->paddr, state_text[v->state], v->m.len, v->m.vaddr);
	if (!v->in->verbose)
		return;
	if (!why && !v->nr_steps)
		printf("  by a window that needs no table\n");
	for (i = 0; i < v->nr_steps; i++)
		printf("  level %u, bits %u to %u: at 0x%" PRIx64 " is 0x%0*" PRIx64 "\n",
		       v->steps[i].level, p->level[i].shift,
		       p->level[i].shift + p->level[i].bits - 1, v->steps[i].at,
		       2 * p->entry_size, v->steps[i].entry);
}

static void json_address(const struct vtop *v, const struct err *why)
{
	struct json *j = v->json;
	unsigned int i;

	json_object(j, NULL);
	json_hex(j, "vaddr", v->vaddr);
	if (why) {
		json_string(j, "error", why->text);
	} else {
		json_hex(j, "paddr", v->paddr);
		json_string(j, "state", state_text[v->state]);
		json_hex(j, "mapping", v->m.vaddr);
		json_hex(j, "bytes", v->m.len);
	}
	json_array(j, "steps");
	for (i = 0; i < v->nr_steps; i++) {
		json_object(j, NULL);
		json_uint(j, "level", v->steps[i].level);
		json_hex(j, "at", v->steps[i].at);
		json_hex(j, "entry", v->steps[i].entry);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

static void translate(struct vtop *v, uint64_t vaddr)
{
	struct session *s = &v->in->session;
	struct err why = ERR_INIT;
	int failed;

	v->vaddr = vaddr;
	failed = xlat_trace(&s->xlat, &v->r, vaddr, &v->m, v->steps, &v->nr_steps, &why);
	if (failed && !xlat_works(&s->xlat) && s->no_xlat.code != ERR_NONE)
		why = s->no_xlat;
	if (!failed) {
		v->paddr = v->m.paddr + (vaddr - v->m.vaddr);
		v->state = dump_page_state(s->dump, SPACE_PHYS,
					   v->paddr >> dump_page_shift(s->dump));
	}
	v->asked++;
	v->failed += failed != 0;
	if (v->json)
		json_address(v, failed ? &why : NULL);
	else
		print_address(v, failed ? &why : NULL);
}

/* A hexadecimal number, with 0x or without. */
static bool parse_address(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 16);
	while (isspace((unsigned char)*end))
		end++;
	return isxdigit((unsigned char)*text) && !*end && !errno;
}

/* Addresses from standard input, a line each. */
static int translate_lines(struct vtop *v, struct err *e)
{
	char line[64];
	uint64_t vaddr;

	while (fgets(line, sizeof(line), stdin)) {
		if (!parse_address(line, &vaddr))
			return err_set(e, ERR_USAGE, "'%.*s' is not an address",
				       (int)strcspn(line, "\n"), line);
		translate(v, vaddr);
	}
	return 0;
}

static int translate_all(struct vtop *v, struct err *e)
{
	unsigned int i;
	uint64_t vaddr;

	for (i = 0; i < v->in->nr_about; i++) {
		const char *text = v->in->about[i];

		if (!strcmp(text, "-")) {
			if (translate_lines(v, e))
				return -1;
		} else if (!parse_address(text, &vaddr)) {
			return err_set(e, ERR_USAGE, "'%s' is not an address", text);
		} else {
			translate(v, vaddr);
		}
	}
	return 0;
}

int inspect_vtop(struct inspect *in, struct err *e)
{
	struct vtop v = { .in = in };
	struct json j;
	int failed;

	if (in->json) {
		v.json = &j;
		json_begin(&j, stdout);
		json_document(&j, "vtop", 1);
		json_array(&j, "addresses");
	}
	reader_init(&v.r, in->session.dump);
	failed = translate_all(&v, e);
	reader_fini(&v.r);
	if (in->json) {
		json_end(&j);
		json_finish(&j);
	}
	if (!failed && v.failed)
		failed = err_set(e, ERR_MISSING,
				 "%" PRIu64 " of %" PRIu64 " addresses are not translated", v.failed,
				 v.asked);
	return failed;
}

/* ---- registers ---- */

int inspect_regs(struct inspect *in, struct err *e)
{
	const struct dump *d = in->session.dump;
	unsigned int i, k;
	struct json j;

	if (!d->nr_cpus)
		return err_set(e, ERR_MISSING, "%s: has no registers that could be read",
			       in->files[0]);
	if (in->json) {
		json_begin(&j, stdout);
		json_document(&j, "regs", 1);
		inspect_json_cpus(&j, d);
		json_finish(&j);
		return 0;
	}
	for (i = 0; i < d->nr_cpus; i++) {
		printf("CPU %u, pid %d\n", i, d->cpus[i].pid);
		for (k = 0; k < d->cpus[i].nr_regs; k++)
			printf("%10s 0x%0*" PRIx64 "%s", d->cpus[i].regs[k].name,
			       2 * d->cpus[i].regs[k].width, d->cpus[i].regs[k].value,
			       k % 3 == 2 || k + 1 == d->cpus[i].nr_regs ? "\n" : "");
	}
	return 0;
}
