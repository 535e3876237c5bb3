/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One output is one sink. Volumes are a sink each, one after another, which is made durable and
 * closed when it is full; they get their names when the last one is, the first volume last: as long
 * as it is not there, there is no archive.
 */
#include "pack_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "source.h"

#define MAX_VOLUMES 999u

struct pack_out {
	struct sink *sink; /* the one that grows */
	uint64_t at;	   /* bytes in it */
	uint64_t before;   /* in earlier volumes */
	char *path;	   /* of volumes, without their number; NULL: there are none */
	uint64_t volume;
	unsigned int nr; /* of the volume that grows, from 1 */
	bool force;
};

/* PATH.NNN, and SUFFIX; to be freed. */
static char *volume_name(const struct pack_out *o, unsigned int nr, const char *suffix)
{
	char *name;

	return asprintf(&name, "%s.%03u%s", o->path, nr, suffix) < 0 ? NULL : name;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory");
}

/* Begin the volume after O->nr. */
static int volume_begin(struct pack_out *o, struct err *e)
{
	_cleanup_free_ char *name = volume_name(o, o->nr + 1, "");
	_cleanup_free_ char *grows = volume_name(o, o->nr + 1, UNFINISHED);

	if (!name || !grows)
		return no_memory(e);
	if (o->nr == MAX_VOLUMES)
		return err_set(e, ERR_USAGE, "%s: more than %u volumes of %" PRIu64 " bytes",
			       o->path, MAX_VOLUMES, o->volume);
	if (!o->force && !access(name, F_OK))
		return err_sys(e, EEXIST, "%s", name);
	if (o->force)
		unlink(grows);
	if (sink_file(grows, 0, &o->sink, e))
		return -1;
	o->nr++;
	return 0;
}

static int volume_end(struct pack_out *o, struct err *e)
{
	if (sink_commit(o->sink, o->at, e))
		return -1;
	sink_close(o->sink);
	o->sink = NULL;
	o->before += o->at;
	o->at = 0;
	return 0;
}

int pack_out_open(const char *path, int fd, uint64_t volume, bool force, struct pack_out **ret,
		  struct err *e)
{
	struct pack_out *o = calloc(1, sizeof(*o));
	int failed;

	if (!o)
		return no_memory(e);
	o->volume = volume;
	o->force = force;
	if (volume && path && !(o->path = strdup(path)))
		failed = no_memory(e);
	else if (volume)
		failed = path ? volume_begin(o, e)
			      : err_set(e, ERR_USAGE, "a stream has no volumes");
	else if (path)
		failed = sink_file(path, SINK_RENAME | (force ? SINK_FORCE : 0u), &o->sink, e);
	else
		failed = sink_stream(fd, "standard output", &o->sink, e);
	if (failed) {
		pack_out_discard(o);
		return -1;
	}
	*ret = o;
	return 0;
}

int pack_out_write(struct pack_out *o, const void *data, size_t len, struct err *e)
{
	while (len) {
		size_t n = len;

		if (o->path && o->at == o->volume && (volume_end(o, e) || volume_begin(o, e)))
			return -1;
		if (o->path)
			n = (size_t)MIN((uint64_t)len, o->volume - o->at);
		if (sink_write(o->sink, o->at, data, n, e))
			return -1;
		o->at += n;
		data = (const char *)data + n;
		len -= n;
	}
	return 0;
}

uint64_t pack_out_written(const struct pack_out *o)
{
	return o->before + o->at;
}

static int volume_rename(struct pack_out *o, unsigned int nr, struct err *e)
{
	_cleanup_free_ char *from = volume_name(o, nr, UNFINISHED), *to = volume_name(o, nr, "");
	unsigned int flags = o->force ? 0 : RENAME_NOREPLACE;
	int rc;

	if (!from || !to)
		return no_memory(e);
	rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
	/* A file system, or a kernel, that cannot promise it; it was not there at the beginning. */
	if (rc && flags && (errno == EINVAL || errno == ENOSYS))
		rc = rename(from, to);
	return rc ? err_sys(e, errno, "%s", to) : 0;
}

/* Volumes of an earlier archive of the name, behind the last one of this, would be taken for more
 * of it. */
static void drop_stale(const struct pack_out *o)
{
	unsigned int nr;

	for (nr = o->nr + 1; o->force && nr <= MAX_VOLUMES; nr++) {
		_cleanup_free_ char *name = volume_name(o, nr, "");

		if (!name || unlink(name))
			return;
	}
}

static void sync_folder(const char *path)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (slash)
		slash[slash == dir] = '\0';
	fd = dir ? open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fsync(fd); /* best effort */
		close(fd);
	}
}

/* Undo what volume_rename() did from NR on: no archive that looks whole. */
static void volumes_back(const struct pack_out *o, unsigned int nr)
{
	for (; nr <= o->nr; nr++) {
		_cleanup_free_ char *name = volume_name(o, nr, "");

		if (name)
			unlink(name);
	}
}

static int volumes_commit(struct pack_out *o, struct err *e)
{
	unsigned int nr;

	if (volume_end(o, e))
		return -1;
	drop_stale(o);
	for (nr = o->nr; nr; nr--) {
		if (volume_rename(o, nr, e)) {
			volumes_back(o, nr + 1);
			return -1;
		}
	}
	sync_folder(o->path);
	return 0;
}

static void out_free(struct pack_out *o)
{
	sink_close(o->sink);
	free(o->path);
	free(o);
}

int pack_out_commit(struct pack_out *o, struct err *e)
{
	if (o->path ? volumes_commit(o, e) : sink_commit(o->sink, o->at, e)) {
		pack_out_discard(o);
		return -1;
	}
	out_free(o);
	return 0;
}

void pack_out_discard(struct pack_out *o)
{
	unsigned int nr;

	if (!o)
		return;
	if (o->sink)
		sink_discard(o->sink);
	for (nr = 1; o->path && nr <= o->nr; nr++) {
		_cleanup_free_ char *name = volume_name(o, nr, UNFINISHED);

		if (name)
			unlink(name);
	}
	out_free(o);
}
