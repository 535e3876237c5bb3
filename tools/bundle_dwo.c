/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split DWARF: the package file (.dwp) beside an object, or each .dwo file that its skeleton units
 * refer to. They go in as what they were called where they were made.
 *
 * gdb looks for a .dwo file at its recorded path, which is another machine's, then for the name
 * that DW_AT_dwo_name has below each folder of debug-file-directory (gdb/dwarf2/read.c,
 * open_dwo_file()): so it has that name below usr/lib/debug, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "bundle_extras.h"
#include "cleanup.h"

#define DEBUG_FOLDER "/usr/lib/debug/"

struct split {
	struct bundle *b;
	const struct place *f; /* the object */
	struct dwo *list;
	size_t nr;
	uint64_t *packed; /* units in the package file, sorted */
	size_t nr_packed;
};

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_packed(const struct split *s, const struct dwo *d)
{
	return s->packed && bsearch(&d->id, s->packed, s->nr_packed, sizeof(*s->packed), by_number);
}

static size_t count_packed(const struct split *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->nr; i++)
		n += is_packed(s, &s->list[i]);
	return n;
}

/* ---- the package file ---- */

/* It says whose units it has. Where the program names none there is nothing to compare. */
static enum member_status package_status(struct split *s, const struct place *dwp)
{
	size_t n;

	s->packed = dwp->elf.type ? dwp_units(dwp->fd, &s->nr_packed) : NULL;
	if (s->nr_packed)
		qsort(s->packed, s->nr_packed, sizeof(*s->packed), by_number);
	n = count_packed(s);
	if (!s->nr || !s->packed)
		return MEMBER_BY_NAME;
	return n ? MEMBER_VERIFIED : MEMBER_MISMATCHED;
}

static int add_package(struct split *s, const char *path, struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_DEBUG };
	char name[sizeof(s->f->path) + 8];
	struct err ignored = ERR_INIT;
	static struct place dwp; /* large */

	snprintf(name, sizeof(name), "%s.dwp", path);
	if (s->packed || places_open(s->b->places, name, &dwp, &ignored))
		return 0;
	m.path = bundle_path(name);
	bundle_take_place(&m, &dwp, MEMBER_BY_NAME);
	dwp.fd = m.fd;
	m.status = package_status(s, &dwp);
	return bundle_add(s->b, &m, e);
}

/* ---- single files ---- */

/* Where it was written, as far as it tells; malloc()ed, or NULL. */
static char *where_made(const struct dwo *d)
{
	_cleanup_free_ char *path =
		d->name[0] == '/' ? strdup(d->name) : bundle_text("%s/%s", d->dir, d->name);

	return path ? extras_tidy(path) : NULL;
}

/* What gdb looks for below usr/lib/debug; NULL where it looks at the recorded path alone. */
static char *where_sought(const struct dwo *d)
{
	_cleanup_free_ char *path = NULL;

	if (d->name[0] == '/')
		return NULL;
	path = bundle_text(DEBUG_FOLDER "%s%s%s", d->dir[0] == '/' ? "" : d->dir,
			   d->dir[0] == '/' || !d->dir[0] ? "" : "/", d->name);
	return path ? extras_tidy(path) : NULL;
}

static int add_missing(struct split *s, const char *path, struct err *e)
{
	struct bundle_member m = { .fd = -1, .kind = MEMBER_DEBUG, .status = MEMBER_MISSING };

	m.path = bundle_path(path);
	if (!m.path)
		return 0;
	m.note =
		bundle_text("split debug information of %s: where it was built (--debug-path finds "
			    "it elsewhere), or one file of them all, by dwp -e, beside it",
			    s->f->path);
	return bundle_add(s->b, &m, e);
}

/* Where another file has the name that gdb looks for, gdb takes that one, and finds nothing in it.
 */
static int add_found(struct split *s, struct place *p, const char *path, const char *sought,
		     struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_DEBUG };
	bool taken = sought && bundle_has(s->b, sought + 1);

	m.path = bundle_path(path);
	if (!m.path) {
		place_close(p);
		return 0;
	}
	if (taken || !sought)
		m.note = bundle_text("gdb finds it at %s alone, or in %s.dwp, which dwp -e makes",
				     path, s->f->path);
	bundle_take_place(&m, p, MEMBER_VERIFIED);
	if (bundle_add(s->b, &m, e))
		return -1;
	return taken ? 0 : extras_link(s->b, MEMBER_DEBUG, sought, path, e);
}

static int add_single(struct split *s, const struct dwo *d, struct err *e)
{
	_cleanup_free_ char *made = where_made(d), *sought = where_sought(d);
	const char *path = made ? made : sought;
	struct err ignored = ERR_INIT;
	static struct place p; /* large */

	if (!path || is_packed(s, d))
		return 0;
	if (places_dwo(s->b->places, s->f, d, made, &p, &ignored))
		return add_missing(s, path, e);
	return add_found(s, &p, path, sought, e);
}

int bundle_split(struct bundle *b, const struct place *f, const struct place *info, struct err *e)
{
	struct split s = { .b = b, .f = f };
	struct err ignored = ERR_INIT;
	size_t i;
	int rc;

	if (info->elf.split_dwarf && dwo_list(info->fd, info->origin, &s.list, &s.nr, &ignored))
		s.nr = 0;
	if (s.nr == DWO_MAX)
		log_warn(b->log, "%s: more than %u .dwo files; the rest is left out", f->origin,
			 DWO_MAX);
	rc = add_package(&s, f->path, e);
	if (!rc && strcmp(info->path, f->path))
		rc = add_package(&s, info->path, e);
	for (i = 0; !rc && i < s.nr; i++)
		rc = add_single(&s, &s.list[i], e);
	dwo_free(s.list, s.nr);
	free(s.packed);
	return rc;
}
