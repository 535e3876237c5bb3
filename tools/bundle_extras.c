/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What debuggers want beside the objects of a process: other names, files of a language's
 * run time; bundle_autoload.c has gdb's scripts.
 *
 * Facts: gdb's libthread-db-search-path; OpenJDK's sa (libsaproc.so, classes.jsa); .NET's DAC
 * (libmscordaccore.so).
 */
#include "bundle_extras.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define MAX_ASSEMBLIES 4096u

/* ---- other names ---- */

/* The target of a link at FROM to the file at TO, both in the bundle. */
static char *relative(const char *from, const char *to)
{
	size_t same = 0, i, ups = 0, len;
	char *text, *at;

	for (i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			same = i + 1;
	for (i = same; from[i]; i++)
		ups += from[i] == '/';
	len = strlen(to + same);
	text = malloc(3 * ups + len + 1);
	if (!text)
		return NULL;
	for (at = text; ups; ups--, at += 3)
		memcpy(at, "../", 3);
	memcpy(at, to + same, len + 1);
	return text;
}

char *extras_tidy(const char *path)
{
	char *text, *end;

	if (path[0] != '/')
		return NULL;
	text = malloc(strlen(path) + 1);
	for (end = text; text && *path;) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && !strncmp(path, "..", 2)) {
			if (end == text) {
				free(text);
				return NULL;
			}
			while (*--end != '/')
				;
		} else if (n && !(n == 1 && *path == '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n;
	}
	if (text)
		*end = '\0';
	return text;
}

/* Where a folder is, or a device, no link may be: other files lie below it. */
static bool is_taken(const struct bundle *b, const char *name)
{
	struct err why = ERR_INIT;
	struct place there;

	if (places_open(b->places, name, &there, &why))
		return why.code != ERR_MISSING;
	place_close(&there);
	return false;
}

int extras_link(struct bundle *b, enum member_kind kind, const char *name, const char *path,
		struct err *e)
{
	_cleanup_free_ char *to = bundle_path(path), *tidy = name ? extras_tidy(name) : NULL;
	struct bundle_member m = { .fd = -1, .mode = 0644, .kind = kind, .status = MEMBER_MADE };

	m.path = tidy ? bundle_path(tidy) : NULL;
	if (!m.path || !to || !strcmp(m.path, to) || is_taken(b, tidy)) {
		free(m.path);
		return 0;
	}
	m.link = relative(m.path, to);
	if (!m.link) {
		free(m.path);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	return bundle_add(b, &m, e);
}

/* ---- files by name ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), len = strlen(end);

	return n > len && !strcmp(text + n - len, end);
}

int extras_add(struct bundle *b, const char *path, const char *missing, bool *ret, struct err *e)
{
	static struct place p; /* large */
	struct err ignored = ERR_INIT;
	struct bundle_member m = { .fd = -1, .mode = 0644, .kind = MEMBER_AUXILIARY };
	char real[sizeof(p.path)];

	*ret = !places_open(b->places, path, &p, &ignored);
	if (!*ret && !missing)
		return 0;
	snprintf(real, sizeof(real), "%s", *ret ? p.path : path);
	m.path = bundle_path(real);
	if (!m.path) {
		place_close(&p);
		return 0;
	}
	if (*ret) {
		bundle_take_place(&m, &p, MEMBER_BY_NAME);
	} else {
		m.status = MEMBER_MISSING;
		m.note = strdup(missing);
	}
	if (bundle_add(b, &m, e))
		return -1;
	return *ret ? extras_link(b, MEMBER_AUXILIARY, path, real, e) : 0;
}

#define THREAD_DB "gdb needs it for a thread's variables; it is in the package of the C library"
#define SA "jhsdb reads the core with it: the package of this JDK, not only of its JRE"
#define DAC "dotnet-dump and sos read the core with it: dotnet-symbol fetches it by libcoreclr.so"
#define LIBSTDCXX "/usr/share/gcc/python/libstdcxx/"

/* What goes with an object whose name begins so; in its folder, or anywhere. */
static const struct companion {
	const char *of, *name, *missing;
} companions[] = {
	{ "libc.so.6", "libthread_db.so.1", THREAD_DB },
	{ "libc-2.", "libthread_db.so.1", THREAD_DB },
	{ "libpthread", "libthread_db.so.1", THREAD_DB },
	{ "libjvm.so", "../libsaproc.so", SA },
	{ "libjvm.so", "../jspawnhelper", NULL },
	{ "libjvm.so", "classes.jsa", NULL },
	{ "libjvm.so", "classes_nocoops.jsa", NULL },
	{ "libjvm.so", "../../release", NULL },
	{ "libcoreclr.so", "libmscordaccore.so", DAC },
	{ "libcoreclr.so", "libmscordbi.so", NULL },
	{ "libstdc++.so.6", LIBSTDCXX "__init__.py", NULL },
	{ "libstdc++.so.6", LIBSTDCXX "v6/__init__.py", NULL },
	{ "libstdc++.so.6", LIBSTDCXX "v6/printers.py", NULL },
	{ "libstdc++.so.6", LIBSTDCXX "v6/xmethods.py", NULL },
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* NAME as seen from the folder of PATH. False where that is above the root. */
static bool beside(const char *path, const char *name, char *ret, size_t size)
{
	size_t len = (size_t)(base_name(path) - path);

	if (*name == '/')
		len = 0;
	for (; !strncmp(name, "../", 3); name += 3) {
		if (len < 2)
			return false;
		for (len--; len && path[len - 1] != '/';)
			len--;
	}
	return (size_t)snprintf(ret, size, "%.*s%s", (int)len, path, name) < size;
}

static int add_companions(struct bundle *b, const char *name, const char *path, struct err *e)
{
	char found[4096];
	size_t i;
	bool there;

	for (i = 0; i < ARRAY_SIZE(companions); i++) {
		const struct companion *c = &companions[i];

		if (!strncmp(name, c->of, strlen(c->of)) &&
		    beside(path, c->name, found, sizeof(found)) &&
		    extras_add(b, found, c->missing, &there, e))
			return -1;
	}
	return 0;
}

/* ---- all ---- */

int extras_of(struct bundle *b, const struct place *p, struct err *e)
{
	return add_companions(b, base_name(p->path), p->path, e) || autoload_of(b, p, e) ? -1 : 0;
}

/* ---- .NET ---- */

/* PE files: the header, with a number that no other build has, is compared where the core has it.
 */
static int add_assembly(struct bundle *b, const struct usercore *u, const struct usercore_file *f,
			struct err *e)
{
	static struct place p;
	struct bundle_member m = {
		.fd = -1, .mode = 0644, .kind = MEMBER_LIBRARY, .status = MEMBER_MISSING
	};
	struct err why = ERR_INIT;
	uint8_t disk[512], core[sizeof(disk)];
	bool known = usercore_read(u, f->map_start, core, sizeof(core)) && !memcmp(core, "MZ", 2);

	m.path = bundle_path(f->path);
	if (!m.path)
		return 0;
	if (places_open(b->places, f->path, &p, &why)) {
		m.note = strdup(why.text);
		return bundle_add(b, &m, e);
	}
	if (pread(p.fd, disk, sizeof(disk), 0) != (ssize_t)sizeof(disk) || memcmp(disk, "MZ", 2)) {
		place_close(&p);
		free(m.path);
		return 0;
	}
	bundle_take_place(&m, &p,
			  known && memcmp(core, disk, sizeof(disk)) ? MEMBER_MISMATCHED
								    : MEMBER_BY_NAME);
	return bundle_add(b, &m, e);
}

int extras_of_all(struct bundle *b, const struct usercore *u, struct err *e)
{
	unsigned int nr = 0;
	bool dotnet = false;
	size_t i;

	for (i = 0; i < u->nr_files; i++)
		dotnet |= !strcmp(base_name(u->files[i].path), "libcoreclr.so");
	for (i = 0; dotnet && i < u->nr_files && nr < MAX_ASSEMBLIES; i++) {
		const char *path = u->files[i].path;

		if (path[0] != '/' || (!ends_with(path, ".dll") && !ends_with(path, ".exe")))
			continue;
		nr++;
		if (add_assembly(b, u, &u->files[i], e))
			return -1;
	}
	return 0;
}
