/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "cleanup.h"

#define PATH_SIZE sizeof(((struct place *)NULL)->path)
#define SYSTEM_DEBUG "/usr/lib/debug"

/* ---- one file ---- */

static void self_name(int fd, char ret[64])
{
	snprintf(ret, 64, "/proc/self/fd/%d", fd);
}

/* What was found is looked at before it is opened: to open a device or a FIFO does something. */
static int reopen(int found, const char *name, struct place *f, struct err *e)
{
	char self[64];
	struct stat st;

	if (fstat(found, &st))
		return err_sys(e, errno, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_UNSUPPORTED, "%s: is no regular file", name);
	self_name(found, self);
	f->fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (f->fd < 0)
		return err_sys(e, errno, "%s", name);
	f->size = (uint64_t)st.st_size;
	return 0;
}

/* What it is called once all links were followed, here and below ROOT; else as it was asked for. */
static void name_place(struct place *f, const char *root, const char *path)
{
	char self[64], base[PATH_SIZE], real[PATH_SIZE];
	size_t len;
	ssize_t n;

	snprintf(f->path, PATH_SIZE, "%s", path);
	snprintf(f->origin, PATH_SIZE, "%s%s", strcmp(root, "/") ? root : "", path);
	self_name(f->fd, self);
	n = readlink(self, real, sizeof(real) - 1);
	if (n <= 0 || !realpath(root, base))
		return;
	real[n] = '\0';
	len = strcmp(base, "/") ? strlen(base) : 0;
	/* In another mount namespace, or deleted: such a name is none. */
	if (strncmp(real, base, len) || real[len] != '/' || access(real, F_OK))
		return;
	snprintf(f->path, PATH_SIZE, "%s", real + len);
	snprintf(f->origin, PATH_SIZE, "%s", real);
}

/* ERR_MISSING when it is not there. */
static int open_below(const char *root, const char *path, struct place *ret, struct err *e)
{
	char name[PATH_SIZE];
	struct err ignored = ERR_INIT;
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), found, rc;

	snprintf(name, sizeof(name), "%s%s", strcmp(root, "/") ? root : "", path);
	found = dir >= 0 ? beneath_find(dir, path) : -1;
	if (found < 0) {
		rc = errno;
		if (dir >= 0)
			close(dir);
		return rc == ENOENT || rc == ENOTDIR || rc == ELOOP
			       ? err_set(e, ERR_MISSING, "%s: is not there", name)
			       : err_sys(e, rc, "%s", name);
	}
	*ret = (struct place){ .fd = -1 };
	rc = reopen(found, name, ret, e);
	close(found);
	close(dir);
	if (rc)
		return -1;
	name_place(ret, root, path);
	if (elffile_read(ret->fd, name, &ret->elf, &ignored))
		ret->elf = (struct elffile){ 0 };
	return 0;
}

int place_named(const char *path, struct place *ret, struct err *e)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	ret->fd = -1;
	if (!real)
		return err_sys(e, errno, "%s", path);
	return open_below("/", real, ret, e);
}

int places_mapped(const struct places *p, uint64_t start, uint64_t end, struct place *ret,
		  struct err *e)
{
	struct err ignored = ERR_INIT;
	char name[96];
	int found, rc;

	*ret = (struct place){ .fd = -1 };
	if (!p->pid || !end)
		return err_set(e, ERR_MISSING, "no living process is known");
	snprintf(name, sizeof(name), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, p->pid, start, end);
	found = open(name, O_PATH | O_CLOEXEC);
	if (found < 0)
		return err_sys(e, errno, "%s", name);
	rc = reopen(found, name, ret, e);
	close(found);
	if (rc)
		return -1;
	strcpy(ret->path, name);
	strcpy(ret->origin, name);
	if (elffile_read(ret->fd, name, &ret->elf, &ignored))
		ret->elf = (struct elffile){ 0 };
	return 0;
}

void place_close(struct place *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Is that a name that climbs? It may come from a dump. */
static bool is_plain(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && len < PATH_SIZE / 2 && !strstr(path, "/../") &&
	       (len < 3 || strcmp(path + len - 3, "/.."));
}

static int open_any(const struct places *p, const char *path, struct place *ret, struct err *e)
{
	struct err first = ERR_INIT;
	char root[64];
	unsigned int i;

	ret->fd = -1;
	if (p->pid) {
		snprintf(root, sizeof(root), "/proc/%d/root", p->pid);
		if (!open_below(root, path, ret, e))
			return 0;
	}
	if (!p->nr_roots)
		return open_below("/", path, ret, e);
	for (i = 0; i < p->nr_roots; i++) {
		if (!open_below(p->roots[i], path, ret, e))
			return 0;
		/* What a root refuses says more than that another one has it not. */
		if (first.code == ERR_NONE || first.code == ERR_MISSING)
			first = *e;
	}
	*e = first;
	return -1;
}

int places_open(const struct places *p, const char *path, struct place *ret, struct err *e)
{
	ret->fd = -1;
	if (!is_plain(path))
		return err_set(e, ERR_MISSING, "%s: is no plain absolute path", path);
	return open_any(p, path, ret, e);
}

/* What was found below a --debug-path is called as if that were the system's. */
static void name_debug(struct place *f)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, PATH_SIZE, SYSTEM_DEBUG "%s", f->path) < PATH_SIZE)
		strcpy(f->path, path);
}

int places_open_debug(const struct places *p, unsigned int i, const char *path, struct place *ret,
		      struct err *e)
{
	ret->fd = -1;
	if (!is_plain(path))
		return err_set(e, ERR_MISSING, "%s: is no plain absolute path", path);
	if (open_below(p->debug[i], path, ret, e))
		return -1;
	name_debug(ret);
	return 0;
}

/* ---- by build-id ---- */

static bool has_id(const struct place *f, const uint8_t *id, size_t len)
{
	return f->elf.type && f->elf.id_len == len && !memcmp(f->elf.id, id, len);
}

/* The file of that build-id called PATH; below ROOT, NULL: in the roots. */
static bool try_id(const struct places *p, const char *root, const char *path, const uint8_t *id,
		   size_t len, struct place *ret)
{
	struct err ignored = ERR_INIT;

	if (root ? open_below(root, path, ret, &ignored) : open_any(p, path, ret, &ignored))
		return false;
	if (has_id(ret, id, len))
		return true;
	place_close(ret);
	return false;
}

/* What clients of debuginfod have fetched (debuginfod_find_debuginfo(3)). */
static bool try_cache(const struct places *p, const char *hex, const char *what, const uint8_t *id,
		      size_t len, struct place *ret)
{
	const char *named = getenv("DEBUGINFOD_CACHE_PATH"), *xdg = getenv("XDG_CACHE_HOME"),
		   *home = getenv("HOME");
	char dir[PATH_SIZE / 2], path[PATH_SIZE / 2];

	if (named)
		snprintf(dir, sizeof(dir), "%s", named);
	else if (xdg)
		snprintf(dir, sizeof(dir), "%s/debuginfod_client", xdg);
	else
		snprintf(dir, sizeof(dir), "%s/.cache/debuginfod_client", home ? home : "");
	snprintf(path, sizeof(path), "/%s/%s", hex, what);
	return try_id(p, dir, path, id, len, ret);
}

/* From a server. What it sends is compared like any other. */
static bool try_fetch(const struct places *p, bool debug, const uint8_t *id, size_t len,
		      struct place *ret)
{
	struct err ignored = ERR_INIT;
	struct stat st;

	*ret = (struct place){ .fd = -1 };
	if (!p->fetch ||
	    p->fetch(id, len, debug, ret->origin, sizeof(ret->origin), &ret->fd, &ignored))
		return false;
	snprintf(ret->path, sizeof(ret->path), "%s", ret->origin);
	if (!fstat(ret->fd, &st) && S_ISREG(st.st_mode) &&
	    !elffile_read(ret->fd, ret->origin, &ret->elf, &ignored) && has_id(ret, id, len)) {
		ret->size = (uint64_t)st.st_size;
		return true;
	}
	place_close(ret);
	return false;
}

int places_by_id(const struct places *p, const uint8_t *id, size_t len, const char *suffix,
		 struct place *ret, struct err *e)
{
	static const char *const system_folders[] = { SYSTEM_DEBUG "/.build-id",
						      "/usr/lib/.build-id" };
	char hex[2 * ELFFILE_MAX_ID + 1], path[PATH_SIZE / 2];
	unsigned int i;

	ret->fd = -1;
	elffile_id_text(id, len, hex);
	if (len < 2 || len > ELFFILE_MAX_ID)
		return err_set(e, ERR_MISSING, "no build-id is known");
	for (i = 0; i < p->nr_debug; i++) {
		snprintf(path, sizeof(path), "/.build-id/%.2s/%s%s", hex, hex + 2, suffix);
		if (try_id(p, p->debug[i], path, id, len, ret) ||
		    try_id(p, p->debug[i], path + strlen("/.build-id"), id, len, ret)) {
			name_debug(ret);
			return 0;
		}
	}
	for (i = 0; i < sizeof(system_folders) / sizeof(system_folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%.2s/%s%s", system_folders[i], hex, hex + 2,
			 suffix);
		if (try_id(p, NULL, path, id, len, ret))
			return 0;
	}
	if (try_cache(p, hex, *suffix ? "debuginfo" : "executable", id, len, ret) ||
	    try_fetch(p, *suffix, id, len, ret))
		return 0;
	return err_set(e, ERR_MISSING, "no file with build-id %s%s%s", hex, *suffix ? ", " : "",
		       *suffix ? "debug information" : "");
}

/* ---- by .gnu_debuglink ---- */

/* Is that the debug file that LINK means? By its CRC. */
static bool fits_link(const struct place *link, struct place *f)
{
	struct err ignored = ERR_INIT;
	uint32_t crc;

	return f->elf.type && !elffile_crc(f->fd, f->origin, &crc, &ignored) &&
	       crc == link->elf.debuglink_crc;
}

static bool try_link(const struct places *p, const char *root, const char *path,
		     const struct place *link, struct place *ret)
{
	struct err ignored = ERR_INIT;

	if (root ? open_below(root, path, ret, &ignored) : open_any(p, path, ret, &ignored))
		return false;
	if (fits_link(link, ret))
		return true;
	place_close(ret);
	return false;
}

/* gdb's order: the same folder, .debug, each folder of debug files (gdb manual, "Separate Debug
 * Files"). */
static bool find_link(const struct places *p, const struct place *f, struct place *ret)
{
	const char *slash = strrchr(f->path, '/'), *name = f->elf.debuglink;
	int len = slash ? (int)(slash - f->path) : 0;
	char path[PATH_SIZE];
	unsigned int i;

	snprintf(path, sizeof(path), "%.*s/%s", len, f->path, name);
	if (strcmp(path, f->path) && try_link(p, NULL, path, f, ret))
		return true;
	snprintf(path, sizeof(path), "%.*s/.debug/%s", len, f->path, name);
	if (try_link(p, NULL, path, f, ret))
		return true;
	snprintf(path, sizeof(path), "%.*s/%s", len, f->path, name);
	for (i = 0; i < p->nr_debug; i++) {
		char bare[sizeof(f->elf.debuglink) + 1];

		snprintf(bare, sizeof(bare), "/%s", name);
		if (try_link(p, p->debug[i], path, f, ret) ||
		    try_link(p, p->debug[i], bare, f, ret)) {
			name_debug(ret);
			return true;
		}
	}
	snprintf(path, sizeof(path), SYSTEM_DEBUG "%.*s/%s", len, f->path, name);
	return try_link(p, NULL, path, f, ret);
}

int places_debug(const struct places *p, const struct place *f, bool *by_link, struct place *ret,
		 struct err *e)
{
	*by_link = false;
	if (f->elf.id_len && !places_by_id(p, f->elf.id, f->elf.id_len, ".debug", ret, e))
		return 0;
	*by_link = true;
	if (f->elf.debuglink[0] && find_link(p, f, ret))
		return 0;
	ret->fd = -1;
	return err_set(e, ERR_MISSING, "%s: its debug information is not on this machine", f->path);
}

int places_alt(const struct places *p, const struct place *f, struct place *ret, struct err *e)
{
	const char *slash = strrchr(f->path, '/'), *name = f->elf.altlink;
	char path[PATH_SIZE];

	ret->fd = -1;
	if (!name[0])
		return err_set(e, ERR_MISSING, "%s: refers to no other file", f->path);
	snprintf(path, sizeof(path), "%.*s/%s", slash ? (int)(slash - f->path) : 0, f->path, name);
	if (name[0] == '/' ? try_id(p, NULL, name, f->elf.alt_id, f->elf.alt_id_len, ret)
			   : try_id(p, NULL, path, f->elf.alt_id, f->elf.alt_id_len, ret))
		return 0;
	return places_by_id(p, f->elf.alt_id, f->elf.alt_id_len, ".debug", ret, e);
}

/* ---- split DWARF ---- */

static bool try_dwo(const struct places *p, const char *root, const char *path, uint64_t id,
		    struct place *ret)
{
	struct err ignored = ERR_INIT;

	if (!is_plain(path) ||
	    (root ? open_below(root, path, ret, &ignored) : open_any(p, path, ret, &ignored)))
		return false;
	if (ret->elf.type && dwo_has(ret->fd, id))
		return true;
	place_close(ret);
	return false;
}

int places_dwo(const struct places *p, const struct place *f, const struct dwo *d, const char *made,
	       struct place *ret, struct err *e)
{
	const char *slash = strrchr(f->path, '/'), *base = strrchr(d->name, '/');
	int len = slash ? (int)(slash - f->path) : 0;
	char name[PATH_SIZE], last[PATH_SIZE];
	unsigned int i;

	if (made && try_dwo(p, NULL, made, d->id, ret))
		return 0;
	snprintf(name, sizeof(name), "/%s", d->name);
	snprintf(last, sizeof(last), "/%s", base ? base + 1 : d->name);
	for (i = 0; i < p->nr_debug; i++)
		if ((made && try_dwo(p, p->debug[i], made, d->id, ret)) ||
		    try_dwo(p, p->debug[i], name, d->id, ret) ||
		    try_dwo(p, p->debug[i], last, d->id, ret))
			return 0;
	snprintf(name, sizeof(name), "%.*s/%s", len, f->path, d->name);
	snprintf(last, sizeof(last), "%.*s/%s", len, f->path, base ? base + 1 : d->name);
	if (try_dwo(p, NULL, name, d->id, ret) || try_dwo(p, NULL, last, d->id, ret))
		return 0;
	ret->fd = -1;
	return err_set(e, ERR_MISSING, "%s: is not on this machine", made ? made : d->name);
}
