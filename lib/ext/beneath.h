/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files below one folder and nowhere else, whatever their names and what lies in it say. */
#ifndef BENEATH_H
#define BENEATH_H

#include <stdbool.h>

/*
 * Open PATH, relative, below the folder DIR: no symbolic link is followed, no mount of /proc's
 * kind. By openat2(), or part by part where the system has none. -1 and errno.
 */
int beneath_open(int dir, const char *path, int flags, unsigned int mode);

/*
 * PATH as it would be found by who has ROOT for its root: links are followed, never out of it. A
 * descriptor of O_PATH. By openat2(), or part by part (Linux before 5.6). -1 and errno.
 */
int beneath_find(int root, const char *path);

/* The folders that PATH needs, 0700. -1 and errno. */
int beneath_folders(int dir, const char *path);

/* A symbolic link. -1 and errno. */
int beneath_link(int dir, const char *path, const char *target);

/* Remove PATH (a file, a link, a folder with all that is in it). -1 and errno. */
int beneath_remove(int dir, const char *path);

/*
 * From now on this thread creates, writes and removes only below DIR, and nothing at all when that
 * is -1: Landlock, as far as the system has it. False where it has not.
 */
bool beneath_lock(int dir);

#endif
