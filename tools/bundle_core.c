/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What belongs to the core of a process: the objects it had mapped, compared with the core by their
 * build-ids, and what debuggers want beside them (bundle_extras.c).
 *
 * A core names files, and may lie: what is opened are regular files by absolute paths that do not
 * climb, and only those that begin as ELF programs or shared objects go in.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "bundle_extras.h"
#include "cleanup.h"

#define MAX_OBJECTS 8192u /* of a browser: some hundred */
#define MAX_HEAD 4096u
#define MAX_PROGRAM 65536u /* headers and, where it may not be written, the dynamic section */

/* ---- is the process still there? ---- */

/* No two processes have the same: random numbers and addresses are in it. */
static bool has_auxv(int pid, const struct usercore *u)
{
	char name[64];
	uint8_t buf[4096];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/auxv", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	return n >= 64 && (size_t)n == u->auxv_len && !memcmp(buf, u->auxv, u->auxv_len);
}

/* The process that the core is of: the one the user named, or that of its number; 0 where it is
 * gone. */
static int living(const struct bundle *b, const struct usercore *u)
{
	int named = b->places->pid, pid = named ? named : u->pid;

	if (pid > 0 && u->auxv && has_auxv(pid, u))
		return pid;
	if (named)
		log_warn(b->log,
			 "process %d is gone, or another one than this core is of; it is not asked",
			 named);
	return 0;
}

/* ---- an object ---- */

struct object {
	const struct usercore_file *file;
	struct place place; /* fd is -1 where there is none */
	enum member_status status;
	struct err why; /* there is none */
};

/* ELF header and program headers of another build differ: sizes and addresses stand in them. */
static bool same_head(const struct usercore *u, const struct usercore_file *f,
		      const struct place *p)
{
	uint8_t core[MAX_HEAD], disk[MAX_HEAD];
	size_t len = MIN(f->head_len, sizeof(core));

	return usercore_read(u, f->head, core, len) && pread(p->fd, disk, len, 0) == (ssize_t)len &&
	       !memcmp(core, disk, len);
}

static enum member_status compare(const struct usercore *u, const struct usercore_file *f,
				  const struct place *p)
{
	if (f->id_len)
		return f->id_len == p->elf.id_len && !memcmp(f->id, p->elf.id, f->id_len)
			       ? MEMBER_VERIFIED
			       : MEMBER_MISMATCHED;
	if (f->go_id[0])
		return !strcmp(f->go_id, p->elf.go_id) ? MEMBER_VERIFIED : MEMBER_MISMATCHED;
	if (p->elf.machine != u->machine || (f->elf && !same_head(u, f, p)))
		return MEMBER_MISMATCHED;
	return MEMBER_BY_NAME;
}

/* P, if it is better than what O has; *P is used up. */
static void offer(const struct usercore *u, struct object *o, struct place *p)
{
	enum member_status status;

	if (p->elf.type != ET_EXEC && p->elf.type != ET_DYN) {
		if (o->place.fd < 0)
			err_set(&o->why, ERR_UNSUPPORTED, "%s: is no program or shared object",
				p->origin);
		place_close(p);
		return;
	}
	status = compare(u, o->file, p);
	if (o->place.fd >= 0 && status >= o->status) {
		place_close(p);
		return;
	}
	place_close(&o->place);
	o->place = *p;
	o->status = status;
}

/* What is found under another name goes in as what the process called it. */
static void rename_place(struct place *p, const char *path)
{
	snprintf(p->path, sizeof(p->path), "%s", path);
}

static bool found(const struct object *o)
{
	return o->place.fd >= 0 && o->status == MEMBER_VERIFIED;
}

/*
 * By the kernel's name, by the loader's, by what the living process has mapped, by build-id: the
 * first that is verified, or the best.
 */
static void find_object(const struct bundle *b, const struct usercore *u, struct object *o)
{
	const struct usercore_file *f = o->file;
	struct err ignored = ERR_INIT;
	struct place p;

	if (f->main && b->program) {
		if (!place_named(b->program, &p, &o->why))
			offer(u, o, &p);
		return;
	}
	if (!places_open(b->places, f->path, &p, &o->why))
		offer(u, o, &p);
	if (!found(o) && f->link_name && !places_open(b->places, f->link_name, &p, &ignored))
		offer(u, o, &p);
	if (!found(o) && !places_mapped(b->places, f->map_start, f->map_end, &p, &ignored)) {
		rename_place(&p, f->path);
		offer(u, o, &p);
	}
	if (!found(o) && f->id_len &&
	    !places_by_id(b->places, f->id, f->id_len, "", &p, &ignored)) {
		rename_place(&p, f->path);
		offer(u, o, &p);
	}
}

static enum member_kind kind_of(const struct usercore_file *f)
{
	return f->main ? MEMBER_EXECUTABLE : f->loader ? MEMBER_LOADER : MEMBER_LIBRARY;
}

static char *how_to_get(const struct object *o)
{
	const struct usercore_file *f = o->file;
	char hex[2 * ELFFILE_MAX_ID + 1];

	elffile_id_text(f->id, f->id_len, hex);
	if (!strncmp(f->path, "/memfd:", strlen("/memfd:")))
		return bundle_text(
			"a file in memory only (memfd_create(2)): there while the process "
			"lives, --pid");
	return bundle_text(
		"%s%s; take it from the machine that it ran on (--root), or its package%s%s",
		o->why.code ? o->why.text : "not found",
		f->deleted ? " (deleted or replaced while it was in use)" : "",
		f->id_len ? ", or: debuginfod-find executable " : "", hex);
}

/* PATH is anything: control characters do not reach a terminal. */
static void warn_of_name(const struct bundle *b, const char *path, bool main)
{
	char name[256];
	size_t i;

	snprintf(name, sizeof(name), "%s", path);
	for (i = 0; name[i]; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
	log_warn(b->log, "the core names '%s', which is no plain absolute path: left out%s", name,
		 main ? " (--program FILE says what it is)" : "");
}

/* One that is not there, and its debug file, which may be. */
static int add_missing(struct bundle *b, const struct object *o, struct err *e)
{
	const struct usercore_file *f = o->file;
	struct bundle_member m = {
		.fd = -1, .kind = kind_of(f), .status = MEMBER_MISSING, .id_len = f->id_len
	};

	m.path = bundle_path(f->path);
	memcpy(m.id, f->id, f->id_len);
	m.note = how_to_get(o);
	return bundle_add(b, &m, e);
}

static char *note_of(const struct object *o)
{
	char hex[2 * ELFFILE_MAX_ID + 1];

	if (o->status == MEMBER_MISMATCHED && o->file->id_len) {
		elffile_id_text(o->file->id, o->file->id_len, hex);
		return bundle_text("the core has build-id %s; debuginfod-find executable %s", hex,
				   hex);
	}
	if (o->status == MEMBER_MISMATCHED && o->file->go_id[0])
		return bundle_text("the core has another build-id of Go");
	if (o->status == MEMBER_MISMATCHED)
		return bundle_text("its ELF header is not the one in the core");
	if (o->place.elf.mini_debug)
		return bundle_text("has a small symbol table of its own (.gnu_debugdata)");
	return NULL;
}

/*
 * What the loader calls it. A relative name counts from a folder that nobody knows: gdb looks for
 * its last part where libraries are (solib-search-path), which is beside the file.
 */
static int link_loaders_name(struct bundle *b, const struct object *o, struct err *e)
{
	const struct usercore_file *f = o->file;
	const char *name = f->link_name, *last = name ? strrchr(name, '/') : NULL,
		   *slash = strrchr(o->place.path, '/');
	_cleanup_free_ char *beside = NULL;

	if (name && name[0] != '/' && last && last[1] && slash)
		beside = bundle_text("%.*s%s", (int)(slash - o->place.path), o->place.path, last);
	return extras_link(b, kind_of(f), beside ? beside : name, o->place.path, e);
}

/* The file itself, and the other names the process had for it. */
static int add_file(struct bundle *b, struct object *o, struct err *e)
{
	const struct usercore_file *f = o->file;
	struct bundle_member m = { .kind = kind_of(f), .mode = f->main || f->loader ? 0755 : 0644 };
	int fd = fcntl(o->place.fd, F_DUPFD_CLOEXEC, 3), old = o->place.fd;

	if (fd < 0)
		return err_sys(e, errno, "%s", o->place.origin);
	m.path = bundle_path(o->place.path);
	m.note = note_of(o);
	if (f->main && m.path) {
		free(b->main_path);
		b->main_path = strdup(m.path);
		b->mismatch |= o->status == MEMBER_MISMATCHED;
	}
	o->place.fd = fd;
	bundle_take_place(&m, &o->place, o->status);
	o->place.fd = old;
	return bundle_add(b, &m, e) || extras_link(b, kind_of(f), f->path, o->place.path, e) ||
			       link_loaders_name(b, o, e)
		       ? -1
		       : 0;
}

/* The debug file of what is not here, or another one, or never was a file; that it lacks is not
 * said. */
static int add_debug_by_id(struct bundle *b, const struct usercore_file *f, struct err *e)
{
	static struct place wanted; /* large */
	struct err ignored = ERR_INIT;

	if (b->no_debug || places_by_id(b->places, f->id, f->id_len, ".debug", &wanted, &ignored))
		return 0;
	place_close(&wanted);
	wanted = (struct place){ .fd = -1 };
	rename_place(&wanted, f->path);
	wanted.elf.id_len = f->id_len;
	memcpy(wanted.elf.id, f->id, f->id_len);
	return bundle_companions(b, &wanted, e);
}

static int add_debug(struct bundle *b, const struct object *o, struct err *e)
{
	return o->status == MEMBER_MISMATCHED ? add_debug_by_id(b, o->file, e)
					      : bundle_companions(b, &o->place, e);
}

static int add_found(struct bundle *b, struct object *o, struct err *e)
{
	char *path = bundle_path(o->place.path);
	bool twice = path && bundle_has(b, path);

	free(path);
	/* By another name: what belongs to it is in. */
	if (twice)
		return extras_link(b, kind_of(o->file), o->file->path, o->place.path, e);
	if (add_file(b, o, e) || add_debug(b, o, e))
		return -1;
	return extras_of(b, &o->place, e);
}

static int add_object(struct bundle *b, const struct usercore *u, const struct usercore_file *f,
		      struct err *e)
{
	static struct object o; /* large; one at a time */
	int rc;

	if (f->main && b->no_program)
		return 0;
	o = (struct object){ .file = f, .place.fd = -1, .status = MEMBER_MISSING };
	find_object(b, u, &o);
	if (o.place.fd < 0)
		return add_missing(b, &o, e) || add_debug_by_id(b, f, e) ? -1 : 0;
	rc = add_found(b, &o, e);
	place_close(&o.place);
	return rc;
}

/* What F is called in the bundle: what no file there can be called is none. */
static char *plain_name(const struct bundle *b, const struct usercore_file *f)
{
	char *name, *path;

	if (f->main && b->program)
		return realpath(b->program, NULL);
	/* The kernel's names are plain; the loader's are put together of what it was told. */
	name = f->map_end ? strdup(f->path) : extras_tidy(f->path);
	path = name && name[0] == '/' ? bundle_path(name) : NULL;
	if (!path) {
		free(name);
		return NULL;
	}
	free(path);
	return name;
}

static int add_plain_object(struct bundle *b, const struct usercore *u,
			    const struct usercore_file *f, struct err *e)
{
	struct usercore_file plain = *f;
	_cleanup_free_ char *name = plain_name(b, f);

	if (!name && f->main && b->program)
		return err_sys(e, errno, "%s", b->program);
	if (!name) {
		warn_of_name(b, f->path, f->main);
		return 0;
	}
	plain.path = name;
	return add_object(b, u, &plain, e);
}

/* ---- which of them ---- */

/*
 * Does F count? What begins as ELF, or the loader has loaded. The core need not have the first
 * pages of files (coredump_filter(7); before Linux 5.18 only of those that may be executed): then
 * the name has to do.
 */
static bool is_object(const struct usercore_file *f)
{
	const char *name = strrchr(f->path, '/'), *so;

	if (f->vdso)
		return false;
	if (f->elf || f->linked || f->main || f->loader)
		return true;
	so = name ? strstr(name, ".so") : NULL;
	return so && (!so[3] || so[3] == '.');
}

/* The object that lies in memory only. */
static int add_vdso(struct bundle *b, const struct usercore *u, const struct usercore_file *f,
		    struct err *e)
{
	struct bundle_member m = { .fd = -1,
				   .mode = 0644,
				   .kind = MEMBER_VDSO,
				   .status = MEMBER_MADE,
				   .size = f->end - f->start,
				   .id_len = f->id_len };

	if (!m.size)
		return 0;
	m.bytes = malloc(m.size);
	if (!m.bytes)
		return err_set(e, ERR_NOMEM, "no memory for the vDSO");
	m.size = usercore_read_some(u, f->start, m.bytes, m.size);
	memcpy(m.id, f->id, f->id_len);
	m.path = strdup("vdso.so");
	return bundle_add(b, &m, e) ? -1 : add_debug_by_id(b, f, e);
}

static int add_objects(struct bundle *b, const struct usercore *u, struct err *e)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < u->nr_files; i++) {
		const struct usercore_file *f = &u->files[i];

		if (f->vdso && add_vdso(b, u, f, e))
			return -1;
		if (!is_object(f))
			continue;
		if (nr++ == MAX_OBJECTS) {
			log_warn(b->log,
				 "the core names more than %u programs and libraries; the rest is "
				 "left out",
				 MAX_OBJECTS);
			return 0;
		}
		if (add_plain_object(b, u, f, e))
			return -1;
	}
	return 0;
}

static bool has_main(const struct usercore *u)
{
	return u->nr_files && u->files[0].main;
}

/* The core does not tell what the program is, but the user does. */
static int add_program(struct bundle *b, const struct usercore *u, struct err *e)
{
	struct usercore_file f = { .main = true };

	if (has_main(u) || !b->program)
		return 0;
	f.path = (char *)b->program;
	return add_plain_object(b, u, &f, e);
}

/* Where the core has not the program's first page, the file has it, and through it the libraries.
 */
static int ask_program(struct bundle *b, struct usercore *u, struct err *e)
{
	static struct object o;
	struct usercore_file f;
	_cleanup_free_ char *name = NULL;
	static uint8_t head[MAX_PROGRAM];
	ssize_t n;

	if (!u->no_list || !has_main(u))
		return 0;
	f = u->files[0];
	name = plain_name(b, &f);
	if (!name)
		return 0;
	f.path = name;
	o = (struct object){ .file = &f, .place.fd = -1, .status = MEMBER_MISSING };
	find_object(b, u, &o);
	n = o.place.fd >= 0 && o.status != MEMBER_MISMATCHED
		    ? pread(o.place.fd, head, sizeof(head), 0)
		    : 0;
	place_close(&o.place);
	return n > 0 ? usercore_use_program(u, head, (size_t)n, e) : 0;
}

int bundle_core(struct bundle *b, struct usercore *u, struct err *e)
{
	const struct places *given = b->places;
	struct places asked = *given;
	int rc;

	asked.pid = living(b, u);
	b->places = &asked;
	if (!has_main(u) && !b->program)
		log_warn(b->log, "the core does not tell what the program is");
	rc = ask_program(b, u, e) || add_program(b, u, e) || add_objects(b, u, e) ||
			     extras_of_all(b, u, e)
		     ? -1
		     : 0;
	b->places = given;
	return rc;
}
