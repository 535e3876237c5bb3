/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/openat2.h (5.6) and linux/landlock.h (5.13), which a build host may lack. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define HOW_NO_MAGICLINKS 0x02u
#define HOW_NO_SYMLINKS 0x04u
#define HOW_BENEATH 0x08u
#define HOW_IN_ROOT 0x10u

struct how {
	uint64_t flags, mode, resolve;
};

/* The folder that holds PATH's last part, and that part; each step by O_NOFOLLOW. To be closed. */
static int walk_to(int dir, const char *path, const char **last)
{
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);

	while (at >= 0) {
		size_t len = strcspn(path, "/");
		char part[NAME_MAX + 1];
		int next;

		if (!path[len]) {
			*last = path;
			return at;
		}
		if (!len || len > NAME_MAX || !strncmp(path, "../", 3)) {
			close(at);
			errno = len > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(part, path, len);
		part[len] = '\0';
		next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
		path += len + 1;
	}
	return -1;
}

int beneath_open(int dir, const char *path, int flags, unsigned int mode)
{
	struct how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
			   .mode = flags & O_CREAT ? mode : 0,
			   .resolve = HOW_BENEATH | HOW_NO_SYMLINKS | HOW_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how)), at;
	const char *last;

	/* EPERM: a container's filter that does not know the call. */
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	at = walk_to(dir, path, &last);
	if (at < 0)
		return -1;
	if (!strcmp(last, "..")) {
		close(at);
		errno = EXDEV;
		return -1;
	}
	fd = openat(at, last, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	close(at);
	return fd;
}

#define MAX_LINKS 40u /* as the kernel's own (MAXSYMLINKS, include/linux/namei.h) */

/* A path, less its links. */
struct resolved {
	char done[PATH_MAX], left[PATH_MAX];
	size_t len; /* of DONE */
	unsigned int links;
};

/* DONE is a link, its last part begins behind BEFORE: what it says goes before what is LEFT. */
static int follow(struct resolved *r, int root, size_t before)
{
	size_t left = strlen(r->left);
	char target[PATH_MAX];
	ssize_t n = readlinkat(root, r->done, target, sizeof(target));

	if (n <= 0 || ++r->links > MAX_LINKS || (size_t)n + left + 2 > PATH_MAX) {
		errno = n <= 0 ? ENOENT : r->links > MAX_LINKS ? ELOOP : ENAMETOOLONG;
		return -1;
	}
	memmove(r->left + n + 1, r->left, left + 1);
	memcpy(r->left, target, (size_t)n);
	r->left[n] = '/';
	r->len = target[0] == '/' ? 0 : before;
	return 0;
}

/* The next part of what is left. */
static int resolve_part(struct resolved *r, int root)
{
	size_t skip = strspn(r->left, "/"), len = strcspn(r->left + skip, "/"), before = r->len;
	const char *part = r->left + skip;
	struct stat st;

	if (len == 2 && !strncmp(part, "..", 2)) {
		while (r->len && r->done[--r->len] != '/')
			;
	} else if (len && (len != 1 || *part != '.')) {
		if (before + len + 2 > PATH_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		r->len += (size_t)sprintf(r->done + before, "%s%.*s", before ? "/" : "", (int)len,
					  part);
	}
	memmove(r->left, part + len, strlen(part + len) + 1);
	r->done[r->len] = '\0';
	if (r->len <= before)
		return 0;
	if (fstatat(root, r->done, &st, AT_SYMLINK_NOFOLLOW))
		return -1;
	return S_ISLNK(st.st_mode) ? follow(r, root, before) : 0;
}

/* What has become a link meanwhile is not followed. */
static int find_by_part(int root, const char *path)
{
	struct resolved r = { .len = 0 };

	if (strlen(path) >= sizeof(r.left)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(r.left, path);
	while (*r.left)
		if (resolve_part(&r, root))
			return -1;
	r.done[r.len] = '\0';
	return beneath_open(root, r.len ? r.done : ".", O_PATH, 0);
}

int beneath_find(int root, const char *path)
{
	struct how how = { .flags = O_PATH | O_CLOEXEC,
			   .resolve = HOW_IN_ROOT | HOW_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 && (errno == ENOSYS || errno == EPERM) ? find_by_part(root, path) : fd;
}

int beneath_folders(int dir, const char *path)
{
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);

	for (; at >= 0; path += strcspn(path, "/") + 1) {
		size_t len = strcspn(path, "/");
		char part[NAME_MAX + 1];
		int next;

		if (!path[len])
			return close(at);
		if (!len || len > NAME_MAX || !strncmp(path, "../", 3)) {
			close(at);
			errno = EXDEV;
			return -1;
		}
		memcpy(part, path, len);
		part[len] = '\0';
		if (mkdirat(at, part, 0700) && errno != EEXIST) {
			int os = errno;

			close(at);
			errno = os;
			return -1;
		}
		next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	return -1;
}

int beneath_link(int dir, const char *path, const char *target)
{
	const char *last;
	int at = walk_to(dir, path, &last), rc;

	if (at < 0)
		return -1;
	rc = symlinkat(target, at, last);
	close(at);
	return rc;
}

#define MAX_DEPTH 128 /* of folders that are removed; each has a descriptor open */

/* Remove what is in the folder of STACK[*DEPTH - 1] up to a folder that is not empty; that goes
 * onto it. */
static int remove_some(DIR **stack, char (*names)[NAME_MAX + 1], unsigned int *depth)
{
	DIR *d = stack[*depth - 1];
	struct dirent *entry;

	while ((entry = readdir(d))) {
		int fd;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(d), entry->d_name, 0) ||
		    (errno == EISDIR && !unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR)))
			continue;
		fd = openat(dirfd(d), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || *depth >= MAX_DEPTH)
			return -1;
		strcpy(names[*depth], entry->d_name);
		stack[*depth] = fdopendir(fd);
		if (!stack[*depth]) {
			close(fd);
			return -1;
		}
		++*depth;
		return 0;
	}
	closedir(d);
	--*depth;
	if (*depth && unlinkat(dirfd(stack[*depth - 1]), names[*depth], AT_REMOVEDIR))
		return -1;
	return 0;
}

int beneath_remove(int dir, const char *path)
{
	char(*names)[NAME_MAX + 1];
	DIR *stack[MAX_DEPTH];
	unsigned int depth = 1;
	int fd, rc = 0;

	if (!unlinkat(dir, path, 0) || errno == ENOENT)
		return 0;
	fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	names = fd < 0 ? NULL : calloc(MAX_DEPTH, sizeof(*names));
	stack[0] = names ? fdopendir(fd) : NULL;
	if (!stack[0]) {
		free(names);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (!rc && depth)
		rc = remove_some(stack, names, &depth);
	while (depth)
		closedir(stack[--depth]);
	free(names);
	return rc ? -1 : unlinkat(dir, path, AT_REMOVEDIR);
}

/* ---- Landlock ---- */

#if defined(SYS_landlock_create_ruleset) && __has_include(<linux/landlock.h>)
#include <linux/landlock.h>

/* Of the first version, all but to execute and to read; to truncate came with the third. */
#define WRITES 0x1ff2u
#define TRUNCATE 0x4000u
#define NODES                                                          \
	(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

bool beneath_lock(int dir)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* which version? */);
	uint64_t handled = WRITES | (abi >= 3 ? TRUNCATE : 0);
	struct landlock_ruleset_attr attr = { .handled_access_fs = handled };
	struct landlock_path_beneath_attr below = { .allowed_access = handled & ~(uint64_t)NODES,
						    .parent_fd = dir };
	int set;
	bool done;

	if (abi < 1)
		return false;
	set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (set < 0)
		return false;
	done = (dir < 0 ||
		!syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &below, 0)) &&
	       !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_landlock_restrict_self, set, 0);
	close(set);
	return done;
}
#else
bool beneath_lock(int dir)
{
	(void)dir;
	return false;
}
#endif
