/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The members of a bundle, and what files bring with them. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bundle.h"
#include "cleanup.h"
#include "names.h"
#include "source.h"

#define MAX_MEMBERS (1u << 17)

static void member_fini(struct bundle_member *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m->path);
	free(m->origin);
	free(m->bytes);
	free(m->link);
	free(m->note);
}

/* As unbundle will: the path may come from a dump. */
static bool is_plain(const char *path)
{
	struct err ignored = ERR_INIT;

	return !name_check(path, &ignored);
}

/* Where the member PATH is in the table of paths, or would be; FNV-1a. */
static uint32_t *slot_of(const struct bundle *b, const char *path)
{
	const char *p;
	uint32_t h = 2166136261u;

	for (p = path; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (h &= b->nr_slots - 1; b->slots[h]; h = (h + 1) & (b->nr_slots - 1))
		if (!strcmp(b->members[b->slots[h] - 1].path, path))
			break;
	return &b->slots[h];
}

bool bundle_has(const struct bundle *b, const char *path)
{
	return b->nr_slots && *slot_of(b, path);
}

bool bundle_has_file(const struct bundle *b, const char *path)
{
	return bundle_has(b, path) && b->members[*slot_of(b, path) - 1].status != MEMBER_MISSING;
}

/* Room for one member more; half of the table stays empty. */
static int make_room(struct bundle *b, struct err *e)
{
	uint32_t nr = b->nr_slots ? 2 * b->nr_slots : 64;
	struct bundle_member *members;
	uint32_t *slots;
	size_t i;

	if (b->nr_members >= MAX_MEMBERS)
		return err_set(e, ERR_NOMEM, "%zu files are too many", b->nr_members + 1);
	if (2 * b->nr_members < b->nr_slots)
		return 0;
	members = realloc(b->members, nr / 2 * sizeof(*members));
	if (members)
		b->members = members;
	slots = members ? calloc(nr, sizeof(*slots)) : NULL;
	if (!slots)
		return err_set(e, ERR_NOMEM, "out of memory");
	free(b->slots);
	b->slots = slots;
	b->nr_slots = nr;
	for (i = 0; i < b->nr_members; i++)
		*slot_of(b, b->members[i].path) = (uint32_t)i + 1;
	return 0;
}

int bundle_add(struct bundle *b, struct bundle_member *m, struct err *e)
{
	if (!m->path) {
		member_fini(m);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (!is_plain(m->path)) {
		log_warn(b->log, "a file that would leave the bundle's folder is left out");
		member_fini(m);
		return 0;
	}
	if (bundle_has(b, m->path)) {
		member_fini(m);
		return 0;
	}
	if (make_room(b, e)) {
		member_fini(m);
		return -1;
	}
	*slot_of(b, m->path) = (uint32_t)b->nr_members + 1;
	b->members[b->nr_members++] = *m;
	return 0;
}

void bundle_fini(struct bundle *b)
{
	size_t i;

	for (i = 0; i < b->nr_members; i++)
		member_fini(&b->members[i]);
	free(b->members);
	free(b->slots);
	free(b->main_path);
	b->members = NULL;
	b->slots = NULL;
	b->nr_members = b->nr_slots = 0;
	b->main_path = NULL;
}

char *bundle_path(const char *path)
{
	path += strspn(path, "/");
	return is_plain(path) ? strdup(path) : NULL;
}

char *bundle_text(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : text;
}

void bundle_take_place(struct bundle_member *m, struct place *f, enum member_status status)
{
	m->fd = f->fd;
	f->fd = -1;
	m->size = f->size;
	m->status = status;
	m->origin = strdup(f->origin);
	m->id_len = f->elf.id_len;
	memcpy(m->id, f->elf.id, f->elf.id_len);
}

/* All of S, as a file without a name. */
static int copy_to_memory(struct source *s, int *ret, struct err *e)
{
	uint8_t buf[65536];
	uint64_t off, size = source_size(s);
	size_t n;

	*ret = memfd_create("unpacked", MFD_CLOEXEC);
	if (*ret < 0)
		return err_sys(e, errno, "memory");
	for (off = 0; off < size; off += n) {
		n = (size_t)MIN(size - off, (uint64_t)sizeof(buf));
		if (source_read(s, off, buf, n, e))
			break;
		if (write(*ret, buf, n) != (ssize_t)n) {
			err_set(e, ERR_NOMEM, "out of memory");
			break;
		}
	}
	if (off >= size)
		return 0;
	close(*ret);
	return -1;
}

int bundle_unpacked(const struct bundle *b, int fd, const char *name, uint64_t limit, int *ret,
		    struct err *e)
{
	struct spool_opts spool = { .dir = b->spool_dir, .limit = limit };
	struct source *s;
	int rc = -1;

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(e, errno, "%s", name);
	if (source_fd(fd, name, 0, &s, e)) {
		close(fd);
		return -1;
	}
	if (source_unwrap(&s, opener_table, &spool, e))
		rc = -1;
	else if (source_is_cut(s) || source_size(s) > limit)
		err_set(e, ERR_CORRUPT, "%s: breaks off, or is too large", name);
	else
		rc = copy_to_memory(s, ret, e);
	source_close(s);
	return rc;
}

/* Where gdb and drgn look for a debug file first, whatever it was called where it was found. */
static char *by_id(const uint8_t *id, size_t len)
{
	char hex[2 * ELFFILE_MAX_ID + 1];

	elffile_id_text(id, len, hex);
	return bundle_text("usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
}

static int add_missing(struct bundle *b, const struct place *f, const char *what, const uint8_t *id,
		       size_t len, struct err *e)
{
	struct bundle_member m = {
		.fd = -1, .kind = MEMBER_DEBUG, .status = MEMBER_MISSING, .id_len = len
	};
	char hex[2 * ELFFILE_MAX_ID + 1];

	memcpy(m.id, id, len);
	elffile_id_text(id, len, hex);
	m.path = len ? by_id(id, len) : bundle_text("usr/lib/debug/%s.debug", f->path + 1);
	m.note = len ? bundle_text("%s of %s: the package of its debug symbols has it, or: "
				   "debuginfod-find debuginfo %s",
				   what, f->path, hex)
		     : bundle_text("%s of %s: the package of its debug symbols has it", what,
				   f->path);
	return bundle_add(b, &m, e);
}

/*
 * A link from the place that is derived from the build-id to the file, both below usr/lib/debug: so
 * it is found whatever it is called.
 */
static int add_id_link(struct bundle *b, const char *path, const struct place *f, struct err *e)
{
	static const char below[] = "usr/lib/debug/";
	struct bundle_member m = { .fd = -1,
				   .kind = MEMBER_DEBUG,
				   .status = MEMBER_MADE,
				   .path = by_id(f->elf.id, f->elf.id_len) };

	if (!f->elf.id_len || !m.path || !strcmp(m.path, path) ||
	    strncmp(path, below, sizeof(below) - 1)) {
		free(m.path);
		return 0;
	}
	m.link = bundle_text("../../%s", path + sizeof(below) - 1);
	return bundle_add(b, &m, e);
}

static int add_debug(struct bundle *b, struct place *f, enum member_status status, struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_DEBUG };
	char path[sizeof(f->path)];

	/* Outside of the system's place for them it is put there, by its build-id. */
	m.path = strncmp(f->path, "/usr/lib/debug/", 15) && f->elf.id_len
			 ? by_id(f->elf.id, f->elf.id_len)
			 : bundle_path(f->path);
	snprintf(path, sizeof(path), "%s", m.path ? m.path : "");
	bundle_take_place(&m, f, status);
	return bundle_add(b, &m, e) || add_id_link(b, path, f, e) ? -1 : 0;
}

/* The dwz file of F. */
static int add_alt(struct bundle *b, const struct place *f, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct place alt;

	if (!f->elf.altlink[0])
		return 0;
	if (places_alt(b->places, f, &alt, &ignored))
		return add_missing(b, f, "the dwz file", f->elf.alt_id, f->elf.alt_id_len, e);
	return add_debug(b, &alt, MEMBER_VERIFIED, e);
}

int bundle_companions(struct bundle *b, const struct place *f, struct err *e)
{
	static struct place debug; /* large */
	struct err ignored = ERR_INIT;
	bool by_link;

	if (b->no_debug)
		return 0;
	if (f->elf.debug_info)
		return add_alt(b, f, e) || bundle_split(b, f, f, e) ? -1 : 0;
	if (places_debug(b->places, f, &by_link, &debug, &ignored))
		return bundle_split(b, f, f, e) || add_missing(b, f, "debug information", f->elf.id,
							       f->elf.id_len, e)
			       ? -1
			       : 0;
	/* A CRC over the whole file says as much as a build-id does. */
	if (bundle_split(b, f, &debug, e)) {
		place_close(&debug);
		return -1;
	}
	return add_debug(b, &debug, MEMBER_VERIFIED, e) || add_alt(b, &debug, e) ? -1 : 0;
}
