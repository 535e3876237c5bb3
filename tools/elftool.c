/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elftool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "format.h"

bool elftool_manner(const char *argv0)
{
	return !strncmp(argv0, ELFTOOL " ", strlen(ELFTOOL " "));
}

/* What kdump-elftool reads that is no fact of a structure, by what we call it. */
static const struct {
	const char *theirs, *ours; /* NULL: the dump itself says it */
	const char *before;	   /* their numbers */
} extra_names[] = { { "PAGESIZE", "page-size", "" },
		    { "ADDRESS(phys_pgd_ptr)", "page-table", "0x" },
		    { "ADDRESS(", NULL, "" },
		    { "OSRELEASE", NULL, "" },
		    { "BUILD-ID", NULL, "" } };

static int set_extra(struct input_opts *o, const char *key, const char *value, struct err *e)
{
	char number[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extra_names); i++) {
		if (strncmp(key, extra_names[i].theirs, strlen(extra_names[i].theirs)) != 0)
			continue;
		if (!extra_names[i].ours)
			return 0;
		snprintf(number, sizeof(number), "%s%s", extra_names[i].before, value);
		return assume_set(&o->assume, extra_names[i].ours, number, e);
	}
	return assume_set(&o->assume, key, value, e);
}

int elftool_extra(struct input_opts *o, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	char line[512], *value;
	int failed = 0;

	if (!f)
		return err_sys(e, errno, "%s", path);
	while (!failed && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		value = strchr(line, '=');
		if (!*line || *line == '#')
			continue;
		if (!value) {
			failed = err_set(e, ERR_USAGE, "%s: '%s' is no KEY=VALUE", path, line);
			break;
		}
		*value++ = '\0';
		failed = set_extra(o, line, value, e);
	}
	fclose(f);
	return failed;
}

/* Kinds of input by kdump-elftool's names (its --intype), and the formats that they may be. */
static const struct {
	const char *name, *formats[3];
} kinds[] = {
	{ "oldmem", { "elf", "raw" } },
	{ "pelf", { "elf" } },
	{ "qemu", { "elf", "kdump", "raw" } },
	{ "makedumpfile", { "kdump", "elf" } }, /* flattened or not: that is taken off before */
	{ "kdump", { "kdump" } },
};

int elftool_kind(const char *name, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return 0;
	return err_set(e, ERR_USAGE,
		       "'%s' is no kind of input: oldmem, pelf, qemu, makedumpfile, kdump", name);
}

int elftool_check(const struct session *s, const char *kind, struct err *e)
{
	const char *format = s->dump->format->name;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (k = 0; !strcmp(kinds[i].name, kind) && k < 3 && kinds[i].formats[k]; k++)
			if (!strcmp(kinds[i].formats[k], format))
				return 0;
	return err_set(e, ERR_USAGE, "%s: is not of kind %s: it is %s",
		       source_name(s->dump->source), kind, s->dump->format->title);
}
