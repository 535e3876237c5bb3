/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of registers of every architecture: names that fit together, numbers that are there once.
 */
#include "archs.h"

#include <string.h>

#include "cleanup.h"
#include "tap.h"

/* How many rows of A have a number, or a name, of another one. */
static unsigned int count_twice(const struct arch *a)
{
	unsigned int i, k, twice = 0;

	for (i = 0; i < a->nr_numbers; i++)
		for (k = 0; k < i; k++) {
			const struct reg_number *x = &a->numbers[i], *y = &a->numbers[k];

			twice += !strcmp(x->name, y->name) || (x->gdb >= 0 && x->gdb == y->gdb) ||
				 (x->dwarf >= 0 && x->dwarf == y->dwarf);
		}
	return twice;
}

static void test_lookup(const struct arch *a)
{
	unsigned int i, lost = 0;

	for (i = 0; i < a->nr_numbers; i++) {
		const struct reg_number *n = &a->numbers[i];

		lost += arch_reg_by_name(a, n->name) != n;
		lost += n->dwarf >= 0 && arch_reg_by_dwarf(a, (unsigned int)n->dwarf) != n;
	}
	ok(!lost, "%s: %u registers are found", a->name, a->nr_numbers);
	ok(!count_twice(a), "%s: none is there twice", a->name);
	ok(!arch_reg_by_name(a, "") && !arch_reg_by_name(a, "nonsense"),
	   "%s: nothing has a wrong name", a->name);
	ok(!arch_reg_by_dwarf(a, 0x7000) && !arch_reg_by_dwarf(a, 0xffff) &&
		   !arch_reg_by_dwarf(a, 0xffffffff),
	   "%s: nothing has a wrong number", a->name);
}

static bool fits(const struct reg_place *r, size_t size)
{
	bool known = r->width == 1 || r->width == 2 || r->width == 4 || r->width == 8 ||
		     r->width == 10 || r->width == 16;

	return known && (size_t)r->off + r->width <= size;
}

/* What is read of notes and memory, and made of it, lies inside. */
static void test_places(const struct arch *a)
{
	const struct note_layout *l;
	const struct save_layout *s;
	unsigned int i, bad = 0, nr = 0;

	for (l = a->notes; l && l->owner; l++)
		for (i = 0; i < l->nr_regs; i++, nr++)
			bad += l->flags & NOTE_MADE && !fits(&l->regs[i], l->min_size);
	for (s = a->saved; s && s->regs; s++)
		for (i = 0; i < s->nr_regs; i++, nr++)
			bad += !fits(&s->regs[i], s->size) || s->size > SAVE_MAX_SIZE;
	ok(!bad, "%s: %u registers lie in their notes", a->name, nr);
	ok(nr <= 2 * CPU_MAX_REGS, "%s: a CPU has room for them", a->name);
}

/* The stack, and where it goes on: who unwinds needs their numbers. */
static void test_needed(const struct arch *a)
{
	const struct reg_number *sp = arch_reg_by_name(a, a->sp), *pc = arch_reg_by_name(a, a->pc);

	ok(sp && sp->dwarf >= 0 && sp->gdb >= 0, "%s: %s has numbers", a->name, a->sp);
	ok(pc && pc->gdb >= 0, "%s: %s has one", a->name, a->pc);
}

int main(void)
{
	const struct arch *const *a;

	for (a = archs; *a; a++) {
		test_lookup(*a);
		test_places(*a);
		if ((*a)->notes)
			test_needed(*a);
	}
	return done_testing();
}
