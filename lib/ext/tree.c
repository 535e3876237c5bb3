/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "dirwalk.h"
#include "names.h"

#define PIECE ((size_t)256 << 10)

struct tree {
	struct dirwalk *walk;
	char *path; /* of the folder */
	int dir, fd;
	char link[NAMES_MAX_PATH + 1];
	uint8_t buf[PIECE];
};

int tree_open(const char *path, struct tree **ret, struct err *e)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->fd = -1;
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->path = strdup(path);
	if (t->dir < 0 || !t->path)
		err_sys(e, errno, "%s", path);
	else if (!dirwalk_open(path, true, &t->walk, e))
		return *ret = t, 0;
	tree_close(t);
	return -1;
}

void tree_close(struct tree *t)
{
	if (!t)
		return;
	dirwalk_close(t->walk);
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

static int read_link(struct tree *t, const char *path, struct err *e)
{
	ssize_t n = readlinkat(t->dir, path, t->link, sizeof(t->link) - 1);

	if (n < 0)
		return err_sys(e, errno, "member '%s'", path);
	t->link[n] = '\0';
	return 1;
}

int tree_next(struct tree *t, const char **path, const char **link, bool *executable, struct err *e)
{
	struct dirwalk_entry f;
	int rc = dirwalk_next(t->walk, &f, e);

	if (rc <= 0)
		return rc;
	*path = f.path;
	*link = f.is_link ? t->link : NULL;
	if (f.is_link)
		return read_link(t, f.path, e);
	if (!f.is_file)
		return err_set(e, ERR_CORRUPT, "member '%s': is no regular file", f.path);
	return open_file(t, f.path, executable, e);
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
