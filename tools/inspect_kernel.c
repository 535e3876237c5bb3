/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --vtop, --regs: where an address lies; what CPUs had in their registers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "inspect.h"
#include "json.h"
#include "main.h"
#include "parse.h"

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

	json_put_object(j, NULL);
	json_hex(j, "vaddr", v->vaddr);
	if (why) {
		json_put_string(j, "error", why->text);
	} else {
		json_hex(j, "paddr", v->paddr);
		json_put_string(j, "state", state_text[v->state]);
		json_hex(j, "mapping", v->m.vaddr);
		json_hex(j, "bytes", v->m.len);
	}
	json_put_array(j, "steps");
	for (i = 0; i < v->nr_steps; i++) {
		json_put_object(j, NULL);
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

/* Addresses from standard input, a line each, as /proc/kallsyms has them. */
static int translate_lines(struct vtop *v, struct err *e)
{
	uint64_t vaddr, line = 0;
	char word[64];

	while (parse_line(stdin, word, sizeof(word), &line)) {
		if (!parse_number(word, 16, UINT64_MAX, &vaddr))
			return err_set(e, ERR_USAGE,
				       "line %" PRIu64 " of standard input: '%s' is not an address",
				       line, word);
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
		} else if (!parse_number(text, 16, UINT64_MAX, &vaddr)) {
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
		json_put_array(&j, "addresses");
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

/* "0x" and all digits, into RET, room for 16 bytes of them. */
static const char *reg_text(const struct reg *r, char ret[2 + 32 + 1])
{
	int low = r->width > 8 ? 16 : 2 * r->width;

	if (r->width > 8)
		snprintf(ret, 35, "0x%0*" PRIx64 "%0*" PRIx64, 2 * r->width - 16, r->high, low,
			 r->value);
	else
		snprintf(ret, 35, "0x%0*" PRIx64, low, r->value);
	return ret;
}

/* One register to a line, and what others call it. */
static void print_all_regs(const struct arch *a, const struct cpu *cpu)
{
	unsigned int i;
	char text[35];

	for (i = 0; i < cpu->nr_regs; i++) {
		const struct reg_number *n = a ? arch_reg_by_name(a, cpu->regs[i].name) : NULL;
		char gdb[8] = "-", dwarf[8] = "-";

		if (n && n->gdb >= 0)
			snprintf(gdb, sizeof(gdb), "%d", n->gdb);
		if (n && n->dwarf >= 0)
			snprintf(dwarf, sizeof(dwarf), "%d", n->dwarf);
		printf("%10s %-34s  gdb %-4s  DWARF %s\n", cpu->regs[i].name,
		       reg_text(&cpu->regs[i], text), gdb, dwarf);
	}
}

/* Three to a line, without those of floating point and vectors. */
static void print_regs(const struct cpu *cpu)
{
	unsigned int i, nr = 0;
	char text[35];

	for (i = 0; i < cpu->nr_regs; i++)
		if (!cpu->regs[i].extra)
			printf("%s%10s %s", nr++ % 3 || nr == 1 ? "" : "\n", cpu->regs[i].name,
			       reg_text(&cpu->regs[i], text));
	if (nr)
		putchar('\n');
}

/* Each that a CPU has, by its name. */
static void json_numbers(struct json *j, const struct arch *a)
{
	unsigned int i;

	json_put_object(j, "numbers");
	for (i = 0; a && i < a->nr_numbers; i++) {
		json_put_object(j, a->numbers[i].name);
		json_int(j, "gdb", a->numbers[i].gdb);
		json_int(j, "dwarf", a->numbers[i].dwarf);
		json_end(j);
	}
	json_end(j);
}

int inspect_regs(struct inspect *in, struct err *e)
{
	const struct dump *d = in->session.dump;
	unsigned int i;
	struct json j;

	if (!d->nr_cpus)
		return err_set(e, ERR_MISSING, "%s: has no registers that could be read",
			       in->files[0]);
	if (in->json) {
		json_begin(&j, stdout);
		json_document(&j, "regs", 1);
		inspect_json_cpus(&j, d, true);
		json_numbers(&j, d->arch);
		json_finish(&j);
		return 0;
	}
	for (i = 0; i < d->nr_cpus; i++) {
		printf("CPU %u, pid %d\n", i, d->cpus[i].pid);
		if (in->verbose)
			print_all_regs(d->arch, &d->cpus[i]);
		else
			print_regs(&d->cpus[i]);
	}
	return 0;
}
