/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spool: bytes that come once, in order, become a source that can be read anywhere. They go into a
 * file without a name, which is gone when we are; blocks of zeros take no room in it.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "source.h"

struct spool;

/*
 * Begin a spool for what NAME holds, of kind KIND ("xz", "pipe": names in messages, strings that
 * live on). Tells opts->log where it goes and how large it may grow. ERR_IO, ERR_NOMEM.
 */
int spool_begin(const char *name, const char *kind, const struct spool_opts *opts,
		struct spool **ret, struct err *e);

/*
 * The next LEN bytes. ERR_NOSPACE when the limit or the disk is reached: the text says which, and
 * that --spool-limit and --spool-dir change it. ERR_INTERRUPTED.
 */
int spool_write(struct spool *s, const void *data, size_t len, struct err *e);

/*
 * All is there: *ret is a source named NAME that lies over UNDER (may be NULL), which it then owns;
 * CUT: it broke off. The spool is gone, also after a failure.
 */
int spool_end(struct spool *s, struct source *under, bool cut, struct source **ret, struct err *e);

/* Give up; NULL is allowed. */
void spool_abort(struct spool *s);

/* All that descriptor FD, which stays the caller's, gives until its end: of kind "pipe". */
int spool_fd(int fd, const char *name, const struct spool_opts *opts, struct source **ret,
	     struct err *e);

#endif
