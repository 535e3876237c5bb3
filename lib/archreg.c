/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "arch.h"

const struct reg_number *arch_reg_by_name(const struct arch *a, const char *name)
{
	unsigned int i;

	for (i = 0; i < a->nr_numbers; i++)
		if (!strcmp(a->numbers[i].name, name))
			return &a->numbers[i];
	return NULL;
}

const struct reg_number *arch_reg_by_dwarf(const struct arch *a, unsigned int dwarf)
{
	unsigned int i;

	for (i = 0; i < a->nr_numbers && dwarf <= INT16_MAX; i++)
		if (a->numbers[i].dwarf == (int)dwarf)
			return &a->numbers[i];
	return NULL;
}
