/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "zero.h"

#define BLOCK ((size_t)4096)	      /* the smallest hole */
/* So many bytes of zeros count as one against the limit: a machine is mostly empty. */
#define ZEROS_PER_BYTE 256u
#define CHUNK ((size_t)256 << 10) /* of what a pipe gives */

struct spool {
	char *name;
	const char *kind;
	const struct spool_opts *opts;
	int fd;
	const char *dir;
	uint64_t limit, used, holes, size; /* used: what is not holes */
	uint8_t *buf;		    /* CHUNK bytes gathered, so that blocks are whole */
	size_t fill;
};

/* A file without a name in DIR. */
static int open_unnamed(const char *dir)
{
	char path[4096];
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	/* A file system that has no such files. */
	if (snprintf(path, sizeof(path), "%s/dumptool.XXXXXX", dir) >= (int)sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static uint64_t default_limit(int fd)
{
	struct statvfs v;

	return fstatvfs(fd, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize / 2;
}

static void say_begin(const struct spool *s)
{
	log_info(s->opts->log,
		 "%s: is unpacked (%s) into %s, up to %" PRIu64
		 " MiB (--spool-dir, --spool-limit)",
		 s->name, s->kind, s->dir, s->limit >> 20);
}

int spool_begin(const char *name, const char *kind, const struct spool_opts *opts,
		struct spool **ret, struct err *e)
{
	struct spool *s = calloc(1, sizeof(*s));
	const char *tmp = getenv("TMPDIR");

	if (!s)
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	s->fd = -1;
	s->name = strdup(name);
	s->buf = malloc(CHUNK);
	s->kind = kind;
	s->opts = opts;
	s->dir = opts->dir ? opts->dir : tmp && *tmp ? tmp : "/var/tmp";
	if (!s->name || !s->buf) {
		spool_abort(s);
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	}
	s->fd = open_unnamed(s->dir);
	if (s->fd < 0) {
		err_sys(e, errno, "%s: no file can be made there to unpack %s (use --spool-dir)",
			s->dir, name);
		spool_abort(s);
		return -1;
	}
	s->limit = opts->limit ? opts->limit : default_limit(s->fd);
	say_begin(s);
	*ret = s;
	return 0;
}

static int too_large(struct spool *s, struct err *e)
{
	return err_set(e, ERR_NOSPACE,
		       "%s: is larger than %" PRIu64
		       " bytes when unpacked (%s); --spool-limit SIZE and --spool-dir DIR give more room",
		       s->name, s->limit, s->kind);
}

/* LEN bytes that hold something. */
static int put_data(struct spool *s, const uint8_t *data, size_t len, struct err *e)
{
	if (len > s->limit - s->used)
		return too_large(s, e);
	s->used += len;
	while (len) {
		ssize_t n = pwrite(s->fd, data, len, (off_t)s->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(e, errno, "%s: while %s is unpacked (--spool-dir DIR)", s->dir,
				s->name);
			return -1;
		}
		data += n;
		len -= (size_t)n;
		s->size += (uint64_t)n;
	}
	return 0;
}

/* What is gathered: runs of blocks with data are written, others become holes. */
static int put_blocks(struct spool *s, struct err *e)
{
	size_t at = 0;

	while (at < s->fill) {
		bool zero = s->fill - at >= BLOCK && is_zero(s->buf + at, BLOCK);
		size_t end = at;

		do
			end = MIN(end + BLOCK, s->fill);
		while (end < s->fill &&
		       zero == (s->fill - end >= BLOCK && is_zero(s->buf + end, BLOCK)));
		if (zero) {
			s->size += end - at;
			s->holes += end - at;
		} else if (put_data(s, s->buf + at, end - at, e))
			return -1;
		at = end;
	}
	s->fill = 0;
	/* Zeros take no room, but time: a stream of nothing else has an end all the same. */
	if (s->holes / ZEROS_PER_BYTE > s->limit - s->used)
		return too_large(s, e);
	return 0;
}

int spool_write(struct spool *s, const void *data, size_t len, struct err *e)
{
	const uint8_t *from = data;

	if (s->opts->interrupted && __atomic_load_n(s->opts->interrupted, __ATOMIC_RELAXED))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	while (len) {
		size_t n = MIN(len, CHUNK - s->fill);

		memcpy(s->buf + s->fill, from, n);
		s->fill += n;
		from += n;
		len -= n;
		if (s->fill == CHUNK && put_blocks(s, e))
			return -1;
	}
	return 0;
}

int spool_end(struct spool *s, struct source *under, bool cut, struct source **ret, struct err *e)
{
	int failed = put_blocks(s, e);

	if (!failed && ftruncate(s->fd, (off_t)s->size) < 0)
		failed = err_sys(e, errno, "%s", s->dir);
	if (!failed)
		failed = source_fd(s->fd, s->name, 0, ret, e);
	if (!failed) {
		s->fd = -1; /* the source's */
		source_replace(*ret, under, s->kind);
		if (cut)
			source_set_cut(*ret);
	}
	spool_abort(s);
	return failed;
}

void spool_abort(struct spool *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->name);
	free(s->buf);
	free(s);
}

/* The next bytes of a pipe; 0 at its end. */
static ssize_t read_pipe(int fd, uint8_t *buf, size_t len)
{
	for (;;) {
		ssize_t n = read(fd, buf, len);

		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n;
		if (errno == EAGAIN)
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		else
			return -2; /* a signal: whoever asked us to stop shall be heard */
	}
}

int spool_fd(int fd, const char *name, const struct spool_opts *opts, struct source **ret,
	     struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);
	struct spool *s;
	ssize_t n = 0;
	int failed;

	if (!buf)
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	if (spool_begin(name, "pipe", opts, &s, e))
		return -1;
	do {
		n = read_pipe(fd, buf, CHUNK);
		failed = n == -1   ? err_sys(e, errno, "%s", name)
			 : n == -2 ? spool_write(s, buf, 0, e)
				   : spool_write(s, buf, (size_t)n, e);
	} while (!failed && n);
	if (!failed)
		return spool_end(s, NULL, false, ret, e);
	spool_abort(s);
	return -1;
}
