/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "source.h"

#define MAX_VOLUMES 999u
#define PIECE ((size_t)256 << 10)

struct volumes {
	char *name;
	int *fds;
	uint64_t *ends; /* offset of the end of each, where they are files */
	unsigned int nr, current;
	bool files, unfinished, ended;
	uint64_t at, highest;
	uint8_t *buf;
	size_t peeked; /* bytes in BUF that were looked at, and not read yet */
};

static int volumes_new(const char *name, struct volumes **ret, struct err *e)
{
	struct volumes *v = calloc(1, sizeof(*v));

	if (v) {
		v->name = strdup(name);
		v->buf = malloc(PIECE);
		v->fds = malloc(MAX_VOLUMES * sizeof(*v->fds));
		v->ends = calloc(MAX_VOLUMES, sizeof(*v->ends));
		v->files = true;
	}
	if (v && v->name && v->buf && v->fds && v->ends) {
		*ret = v;
		return 0;
	}
	volumes_close(v);
	return err_set(e, ERR_NOMEM, "out of memory");
}

void volumes_close(struct volumes *v)
{
	unsigned int i;

	if (!v)
		return;
	for (i = 0; v->fds && i < v->nr; i++)
		close(v->fds[i]);
	free(v->name);
	free(v->fds);
	free(v->ends);
	free(v->buf);
	free(v);
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static int add_fd(struct volumes *v, int fd, const char *name, struct err *e)
{
	uint64_t before = v->nr ? v->ends[v->nr - 1] : 0;
	struct stat st;

	if (fstat(fd, &st)) {
		err_sys(e, errno, "%s", name);
		close(fd);
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, ERR_UNSUPPORTED, "%s: is a folder", name);
	}
	if (!S_ISREG(st.st_mode))
		v->files = false;
	v->ends[v->nr] = before + (uint64_t)st.st_size;
	v->fds[v->nr++] = fd;
	return 0;
}

static int open_one(struct volumes *v, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	return add_fd(v, fd, path, e);
}

/* Volumes BASE.001 ... as far as there are any without a gap. */
static int open_all(struct volumes *v, const char *base, struct err *e)
{
	unsigned int nr, missing = 0;

	for (nr = 1; nr <= MAX_VOLUMES; nr++) {
		_cleanup_free_ char *name = NULL;

		if (asprintf(&name, "%s.%03u", base, nr) < 0)
			return err_set(e, ERR_NOMEM, "out of memory");
		if (access(name, F_OK)) {
			missing = missing ? missing : nr;
		} else if (missing) {
			return err_set(e, ERR_UNREADABLE, "%s.%03u: this volume is missing", base,
				       missing);
		} else if (open_one(v, name, e)) {
			return -1;
		}
	}
	return 0;
}

/* Is PATH the name of a volume, or of what is only there as volumes? *BASE: without number; to be
 * freed. */
static bool is_volume(const char *path, char **base)
{
	static const char digits[] = "0123456789";
	size_t len = strlen(path);
	_cleanup_free_ char *first = NULL;

	if (len > 4 && path[len - 4] == '.' && strspn(path + len - 3, digits) == 3) {
		*base = strndup(path, len - 4);
		return *base;
	}
	if (!access(path, F_OK) || asprintf(&first, "%s.001", path) < 0 || access(first, F_OK))
		return false;
	*base = strdup(path);
	return *base;
}

int volumes_open(const char *path, struct volumes **ret, struct err *e)
{
	_cleanup_free_ char *base = NULL;
	struct volumes *v;
	int failed;

	if (volumes_new(path ? path : "standard input", &v, e))
		return -1;
	if (!path) {
		int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

		failed = fd < 0 ? err_sys(e, errno, "standard input") : add_fd(v, fd, v->name, e);
		v->files = false; /* it may stand anywhere in the file */
	} else if (is_volume(path, &base)) {
		failed = open_all(v, base, e);
		if (!failed && !v->nr)
			failed = err_set(e, ERR_UNREADABLE, "%s.001: this volume is missing", base);
	} else {
		failed = open_one(v, path, e);
		v->unfinished = ends_in(path, UNFINISHED);
	}
	if (failed) {
		volumes_close(v);
		return -1;
	}
	*ret = v;
	return 0;
}

int volumes_of_fd(int fd, const char *name, struct volumes **ret, struct err *e)
{
	struct volumes *v;

	if (volumes_new(name, &v, e)) {
		close(fd);
		return -1;
	}
	if (add_fd(v, fd, name, e)) {
		volumes_close(v);
		return -1;
	}
	*ret = v;
	return 0;
}

const char *volumes_name(const struct volumes *v)
{
	return v->name;
}

bool volumes_unfinished(const struct volumes *v)
{
	return v->unfinished;
}

/* Bytes into BUF behind HAVE: as many as one call gives, from the next volume where one is at its
 * end. */
static int fill(struct volumes *v, size_t have, size_t *got, struct err *e)
{
	*got = 0;
	while (v->current < v->nr) {
		ssize_t n = read(v->fds[v->current], v->buf + have, PIECE - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "%s", v->name);
		*got = (size_t)n;
		if (n)
			return 0;
		v->current++;
	}
	return 0;
}

int volumes_peek(struct volumes *v, void *ret, size_t len, size_t *got, struct err *e)
{
	size_t n = 1;

	while (n && v->peeked < len) {
		if (fill(v, v->peeked, &n, e))
			return -1;
		v->peeked += n;
	}
	*got = MIN(len, v->peeked);
	memcpy(ret, v->buf, *got);
	return 0;
}

int volumes_read(struct volumes *v, const void **ret, size_t *len, struct err *e)
{
	*ret = v->buf;
	*len = v->peeked;
	v->peeked = 0;
	if (!*len && fill(v, 0, len, e))
		return -1;
	v->ended = !*len;
	v->at += *len;
	v->highest = MAX(v->highest, v->at);
	return 0;
}

int64_t volumes_size(const struct volumes *v)
{
	return v->files && v->nr ? (int64_t)v->ends[v->nr - 1] : -1;
}

bool volumes_seek(struct volumes *v, uint64_t off)
{
	unsigned int i = 0, k;

	if (volumes_size(v) < 0 || off > (uint64_t)volumes_size(v))
		return false;
	while (i + 1 < v->nr && off >= v->ends[i])
		i++;
	if (lseek(v->fds[i], (off_t)(off - (i ? v->ends[i - 1] : 0)), SEEK_SET) < 0)
		return false;
	for (k = i + 1; k < v->nr; k++)
		if (lseek(v->fds[k], 0, SEEK_SET) < 0)
			return false;
	v->current = i;
	v->at = off;
	v->peeked = 0;
	v->ended = false;
	return true;
}

uint64_t volumes_at(const struct volumes *v)
{
	return v->highest;
}

bool volumes_ended(const struct volumes *v)
{
	return v->ended;
}
