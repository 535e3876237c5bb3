/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pack_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "cleanup.h"
#include "source.h"

struct pack_dir {
	char *path, *grows; /* its name, and until it is whole */
	int64_t mtime;
	int dir;
	int fd; /* of the member that is written */
	struct sink *sink;
	uint64_t at;
};

static void dir_free(struct pack_dir *d)
{
	sink_close(d->sink);
	if (d->fd >= 0)
		close(d->fd);
	if (d->dir >= 0)
		close(d->dir);
	free(d->path);
	free(d->grows);
	free(d);
}

static int folder_new(struct pack_dir *d, struct err *e)
{
	struct stat st;

	if (!lstat(d->path, &st))
		return err_set(e, ERR_EXISTS, "%s: exists; a folder is never overwritten", d->path);
	if (mkdir(d->grows, 0700))
		return err_sys(e, errno, "%s", d->grows);
	d->dir = open(d->grows, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->dir >= 0)
		return 0;
	err_sys(e, errno, "%s", d->grows);
	rmdir(d->grows);
	return -1;
}

int pack_dir_open(const char *path, int64_t mtime, struct pack_dir **ret, struct err *e)
{
	struct pack_dir *d = calloc(1, sizeof(*d));
	size_t len = strlen(path);

	if (!d)
		return err_set(e, ERR_NOMEM, "out of memory");
	d->dir = d->fd = -1;
	d->mtime = mtime;
	while (len > 1 && path[len - 1] == '/')
		len--;
	d->path = strndup(path, len);
	if (!d->path || asprintf(&d->grows, "%s" UNFINISHED, d->path) < 0) {
		d->grows = NULL;
		err_set(e, ERR_NOMEM, "out of memory");
	} else if (!folder_new(d, e)) {
		*ret = d;
		return 0;
	}
	dir_free(d);
	return -1;
}

int pack_dir_begin(struct pack_dir *d, const char *path, unsigned int mode, struct err *e)
{
	if (beneath_folders(d->dir, path))
		return err_sys(e, errno, "%s", d->grows);
	d->fd = beneath_open(d->dir, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (d->fd < 0 || fchmod(d->fd, mode & 0100 ? 0700 : 0600))
		return err_sys(e, errno, "%s", d->grows);
	d->at = 0;
	return sink_stream(d->fd, d->grows, &d->sink, e);
}

int pack_dir_data(struct pack_dir *d, const void *data, size_t len, struct err *e)
{
	uint64_t at = d->at;

	d->at += len;
	return sink_write(d->sink, at, data, len, e);
}

int pack_dir_end(struct pack_dir *d, struct err *e)
{
	struct timespec times[2] = { { .tv_sec = (time_t)d->mtime },
				     { .tv_sec = (time_t)d->mtime } };
	int fd = d->fd;

	if (sink_commit(d->sink, d->at, e))
		return -1;
	sink_close(d->sink);
	d->sink = NULL;
	futimens(fd, times); /* best effort: a file system may not know the year */
	d->fd = -1;
	return close(fd) ? err_sys(e, errno, "%s", d->grows) : 0;
}

int pack_dir_link(struct pack_dir *d, const char *path, const char *target, struct err *e)
{
	if (beneath_folders(d->dir, path) || beneath_link(d->dir, path, target))
		return err_sys(e, errno, "%s", d->grows);
	return 0;
}

int pack_dir_commit(struct pack_dir *d, struct err *e)
{
	int rc;

	if (syncfs(d->dir) && errno != ENOSYS) {
		err_sys(e, errno, "%s", d->grows);
		pack_dir_discard(d);
		return -1;
	}
	rc = renameat2(AT_FDCWD, d->grows, AT_FDCWD, d->path, RENAME_NOREPLACE);
	if (rc && (errno == EINVAL || errno == ENOSYS))
		rc = rename(d->grows,
			    d->path); /* that never replaces a folder with something in it */
	if (rc) {
		err_sys(e, errno, "%s", d->path);
		pack_dir_discard(d);
		return -1;
	}
	dir_free(d);
	return 0;
}

void pack_dir_discard(struct pack_dir *d)
{
	if (d->grows)
		beneath_remove(AT_FDCWD, d->grows);
	dir_free(d);
}
