/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dirwalk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 128u /* each has a descriptor open */

struct folder {
	int fd;
	struct dirent **entries;
	int nr, at;
	size_t len; /* of its own path, with the slash behind it */
};

struct dirwalk {
	bool deep;
	unsigned int depth;
	struct folder folders[MAX_DEPTH];
	char path[PATH_MAX];
};

static int is_entry(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The folder NAME in AT becomes the innermost; LEN bytes of the path are its own. */
static int enter(struct dirwalk *w, int at, const char *name, int flags, size_t len)
{
	struct folder *f = &w->folders[w->depth];

	if (w->depth == MAX_DEPTH) {
		errno = ELOOP;
		return -1;
	}
	f->fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (f->fd < 0)
		return -1;
	f->nr = scandirat(f->fd, ".", &f->entries, is_entry, by_name);
	if (f->nr < 0) {
		int os = errno;

		close(f->fd);
		errno = os;
		return -1;
	}
	f->at = 0;
	f->len = len;
	w->depth++;
	return 0;
}

static void leave(struct dirwalk *w)
{
	struct folder *f = &w->folders[--w->depth];
	int i;

	for (i = 0; i < f->nr; i++)
		free(f->entries[i]);
	free(f->entries);
	close(f->fd);
}

int dirwalk_open(const char *path, bool deep, struct dirwalk **ret, struct err *e)
{
	struct dirwalk *w = calloc(1, sizeof(*w));

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	w->deep = deep;
	if (enter(w, AT_FDCWD, path, 0, 0)) {
		free(w);
		return err_sys(e, errno, "%s", path);
	}
	*ret = w;
	return 0;
}

void dirwalk_close(struct dirwalk *w)
{
	while (w && w->depth)
		leave(w);
	free(w);
}

static unsigned char type_of(const struct folder *f, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN || fstatat(f->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return d->d_type;
	return (unsigned char)IFTODT(st.st_mode);
}

int dirwalk_next(struct dirwalk *w, struct dirwalk_entry *ret, struct err *e)
{
	while (w->depth) {
		struct folder *f = &w->folders[w->depth - 1];
		const struct dirent *d = f->at < f->nr ? f->entries[f->at++] : NULL;
		unsigned char type = d ? type_of(f, d) : DT_UNKNOWN;
		size_t len = f->len;

		if (!d) {
			leave(w);
			continue;
		}
		if (len + strlen(d->d_name) + 2 > sizeof(w->path))
			return err_sys(e, ENAMETOOLONG, "%.*s%s", (int)len, w->path, d->d_name);
		strcpy(w->path + len, d->d_name);
		*ret = (struct dirwalk_entry){ w->path, w->path + len, type == DT_REG,
					       type == DT_LNK };
		if (type != DT_DIR)
			return 1;
		if (!w->deep)
			continue;
		len += strlen(d->d_name);
		if (enter(w, f->fd, d->d_name, O_NOFOLLOW, len + 1))
			return err_sys(e, errno, "%s", w->path);
		strcpy(w->path + len, "/");
	}
	return 0;
}
