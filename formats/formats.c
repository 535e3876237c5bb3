/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats.h"

#include <string.h>

const struct format *const formats[] = {
	&elf_format,
	&kdump_format,
	&lime_format,
	&raw_format,
	&lkcd_format,
	&s390dump_format,
	&sadump_format,
	&xencore_format,
	NULL,
};

const struct format *format_by_name(const char *name)
{
	const struct format *const *f;

	for (f = formats; *f; f++)
		if (!strcmp((*f)->name, name))
			return *f;
	return NULL;
}
