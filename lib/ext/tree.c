/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "names.h"

#define PIECE ((size_t)256 << 10)

struct tree {
	FTS *fts;
	char *path; /* of the folder */
	size_t len;
	int dir, fd;
	char link[NAMES_MAX_PATH + 1];
	uint8_t buf[PIECE];
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int tree_open(const char *path, struct tree **ret, struct err *e)
{
	struct tree *t = calloc(1, sizeof(*t));
	char *paths[2] = { NULL, NULL };

	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->fd = -1;
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->path = strdup(path);
	t->len = strlen(path);
	while (t->path && t->len > 1 && t->path[t->len - 1] == '/')
		t->path[--t->len] = '\0';
	paths[0] = t->path;
	if (t->dir >= 0 && t->path)
		t->fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	if (t->fts) {
		*ret = t;
		return 0;
	}
	err_sys(e, errno, "%s", path);
	tree_close(t);
	return -1;
}

void tree_close(struct tree *t)
{
	if (!t)
		return;
	if (t->fts)
		fts_close(t->fts);
	if (t->fd >= 0)
		close(t->fd);
	if (t->dir >= 0)
		close(t->dir);
	free(t->path);
	free(t);
}

static int open_file(struct tree *t, const char *path, bool *executable, struct err *e)
{
	struct stat st;

	if (t->fd >= 0)
		close(t->fd);
	t->fd = beneath_open(t->dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (t->fd < 0 || fstat(t->fd, &st))
		return err_sys(e, errno, "member '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CORRUPT, "member '%s': is no regular file", path);
	*executable = st.st_mode & 0100;
	return 1;
}

static int read_link(struct tree *t, const FTSENT *f, const char *path, struct err *e)
{
	ssize_t n = readlink(f->fts_accpath, t->link, sizeof(t->link) - 1);

	if (n < 0)
		return err_sys(e, errno, "member '%s'", path);
	t->link[n] = '\0';
	return 1;
}

int tree_next(struct tree *t, const char **path, const char **link, bool *executable, struct err *e)
{
	FTSENT *f;

	for (errno = 0; (f = fts_read(t->fts)); errno = 0) {
		if (f->fts_info == FTS_D || f->fts_info == FTS_DP)
			continue;
		*path = f->fts_path + t->len + 1;
		*link = NULL;
		switch (f->fts_info) {
		case FTS_F:
			return open_file(t, *path, executable, e);
		case FTS_SL:
		case FTS_SLNONE:
			*link = t->link;
			return read_link(t, f, *path, e);
		case FTS_DEFAULT:
			return err_set(e, ERR_CORRUPT, "member '%s': is no regular file", *path);
		default:
			return err_sys(e, f->fts_errno, "member '%s'", *path);
		}
	}
	return errno ? err_sys(e, errno, "%s", t->path) : 0;
}

int tree_read(struct tree *t, const void **data, size_t *len, struct err *e)
{
	ssize_t n;

	do
		n = read(t->fd, t->buf, sizeof(t->buf));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "%s", t->path);
	*data = t->buf;
	*len = (size_t)n;
	return 1;
}
