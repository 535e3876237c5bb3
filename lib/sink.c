/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "flat.h"
#include "progress.h"
#include "source.h"

enum sink_kind { SINK_KIND_FILE, SINK_KIND_FLAT, SINK_KIND_STREAM, SINK_KIND_NULL };

struct sink {
	enum sink_kind kind;
	char *name;
	char *grows; /* what it is called until it is whole; NULL: by its name */
	bool keep_unfinished;
	int fd;
	const struct sink_taker *taker; /* of a stream without a descriptor; or NULL */
	bool force;	/* what has the name may be replaced */
	bool own_fd;	/* the descriptor is closed with the sink */
	bool created;	/* by us, so ours to remove */
	bool regular;	/* a regular file: has a length, takes reservations */
	bool failed;	/* a stream that broke off must not get an end record */
	uint64_t limit; /* 0: none */
	uint64_t written;
	uint64_t end; /* one past the highest byte written */
	double sync_seconds;
	uint8_t *buf; /* SINK_BUFFER bytes gathered for offset buf_off */
	size_t fill;
	uint64_t buf_off;
};

#define MAX_PIECES 64 /* per call of the system: below IOV_MAX, with room for a record's head */

static int sink_new(enum sink_kind kind, const char *name, int fd, struct sink **ret, struct err *e)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (s) {
		s->kind = kind;
		s->fd = fd;
		s->name = strdup(name);
		s->buf = kind == SINK_KIND_NULL ? NULL : malloc(SINK_BUFFER);
	}
	if (!s || !s->name || (!s->buf && kind != SINK_KIND_NULL)) {
		if (s)
			s->fd = -1; /* the caller's, or closed by the caller */
		sink_close(s);
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	}
	*ret = s;
	return 0;
}

/* Descriptor of a new file, or with SINK_FORCE of an existing one. */
static int open_file(const char *path, unsigned int flags, bool *created)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	struct stat st;

	*created = fd >= 0;
	if (fd >= 0 || errno != EEXIST || !(flags & SINK_FORCE))
		return fd;
	/* O_NONBLOCK: a FIFO without a reader fails instead of waiting for ever. */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	/* A device that is mounted says that it is busy when asked for alone. */
	if (fd >= 0 && !fstat(fd, &st) && S_ISBLK(st.st_mode)) {
		close(fd);
		fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	}
	return fd;
}

/* A file, or device, that is written under the name PATH. */
static int file_new(const char *path, unsigned int flags, struct sink **ret, struct err *e)
{
	struct stat st;
	bool created;
	int fd = open_file(path, flags, &created);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fstat(fd, &st) < 0) {
		err_sys(e, errno, "%s", path);
	} else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		err_set(e, ERR_UNSUPPORTED,
			"%s: not a file or block device; use -F to write a stream", path);
	} else if (!sink_new(SINK_KIND_FILE, path, fd, ret, e)) {
		(*ret)->own_fd = true;
		(*ret)->created = created;
		(*ret)->regular = S_ISREG(st.st_mode);
		(*ret)->force = flags & SINK_FORCE;
		if ((created ? fchmod(fd, 0600) : (*ret)->regular ? ftruncate(fd, 0) : 0) == 0)
			return 0;
		err_sys(e, errno, "%s", path);
		sink_close(*ret);
		return -1;
	}
	close(fd);
	return -1;
}

/* A new file that grows as PATH.incomplete; REAL is PATH without symbolic links. */
static int growing_new(const char *path, const char *real, unsigned int flags, struct sink **ret,
		       struct err *e)
{
	_cleanup_free_ char *grows = malloc(strlen(real) + sizeof(UNFINISHED));
	char *name = strdup(path);

	if (!grows || !name) {
		free(name);
		return err_set(e, ERR_NOMEM, "%s: out of memory", path);
	}
	stpcpy(stpcpy(grows, real), UNFINISHED);
	/* Never the old stump itself: somebody may be reading it. */
	if (flags & SINK_FORCE)
		unlink(grows);
	if (file_new(grows, 0, ret, e)) {
		free(name);
		return -1;
	}
	(*ret)->grows = (*ret)->name;
	(*ret)->name = name;
	(*ret)->force = flags & SINK_FORCE;
	return 0;
}

int sink_file(const char *path, unsigned int flags, struct sink **ret, struct err *e)
{
	struct stat st;
	bool exists = !lstat(path, &st);
	_cleanup_free_ char *real = exists ? realpath(path, NULL) : NULL;

	if (!(flags & SINK_RENAME) || (exists && !stat(path, &st) && !S_ISREG(st.st_mode)))
		return file_new(path, flags, ret, e);
	if (exists && !(flags & SINK_FORCE))
		return err_sys(e, EEXIST, "%s", path);
	return growing_new(path, real ? real : path, flags, ret, e);
}

/*
 * The system could not reach a piece of the mapped input: touched from here, what is gone becomes zeros,
 * and is counted.
 */
static void touch_all(const struct iovec *iov, int nr_iov)
{
	int i;

	for (i = 0; i < nr_iov; i++)
		touch_pages(iov[i].iov_base, iov[i].iov_len);
}

/* The same for who takes the bytes himself. */
static int hand_over(struct sink *s, const struct iovec *iov, int nr_iov, struct err *e)
{
	int i;

	touch_all(iov, nr_iov);
	for (i = 0; i < nr_iov; i++) {
		if (s->taker->take(s->taker->priv, iov[i].iov_base, iov[i].iov_len, e)) {
			s->failed = true;
			return -1;
		}
		s->end += iov[i].iov_len;
		s->written += iov[i].iov_len;
	}
	return 0;
}

#define MAX_TOUCHES 1000u /* in a row: pages may be dropped again before they are written */

/* Hand IOV to the descriptor, all of it, at offset OFF or, for a stream, where it is. */
static int write_all(struct sink *s, uint64_t off, struct iovec *iov, int nr_iov, struct err *e)
{
	unsigned int touches = 0;

	if (s->taker)
		return hand_over(s, iov, nr_iov, e);
	while (nr_iov) {
		ssize_t n = s->kind == SINK_KIND_FILE ? pwritev(s->fd, iov, nr_iov, (off_t)off)
						      : writev(s->fd, iov, nr_iov);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = s->fd, .events = POLLOUT };

			poll(&p, 1, -1);
			continue;
		}
		if (n < 0 && errno == EFAULT && touches++ < MAX_TOUCHES) {
			touch_all(iov, nr_iov);
			continue;
		}
		if (n < 0) {
			s->failed = true;
			return err_sys(e, errno, "%s", s->name);
		}
		off += (uint64_t)n;
		s->end = MAX(s->end, off);
		s->written += (uint64_t)n;
		for (; nr_iov && (size_t)n >= iov->iov_len; iov++, nr_iov--)
			n -= (ssize_t)iov->iov_len;
		if (nr_iov) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Zeros from where a stream is up to OFF, which is not behind that. */
static int stream_to(struct sink *s, uint64_t off, struct err *e)
{
	static const uint8_t zeros[65536];

	if (off < s->end) {
		s->failed = true;
		return err_set(e, ERR_UNSUPPORTED, "%s: a stream cannot go back", s->name);
	}
	while (s->end < off) {
		struct iovec iov = { .iov_base = (void *)zeros,
				     .iov_len = (size_t)MIN(off - s->end, sizeof(zeros)) };

		if (write_all(s, s->end, &iov, 1, e))
			return -1;
	}
	return 0;
}

static size_t iov_total(const struct iovec *iov, int nr_iov)
{
	size_t total = 0;
	int i;

	for (i = 0; i < nr_iov; i++)
		total += iov[i].iov_len;
	return total;
}

/*
 * Write pieces, at most MAX_PIECES of them, as they are: framed where the sink frames. IOV is used
 * up.
 */
static int emit(struct sink *s, uint64_t off, struct iovec *iov, int nr_iov, struct err *e)
{
	size_t total = iov_total(iov, nr_iov);
	struct iovec framed[MAX_PIECES + 1];
	uint8_t head[16];
	struct bytes_out o = { .data = head, .size = sizeof(head), .order = ORDER_BE };

	if (s->limit && off + total > s->limit) {
		s->failed = true;
		return err_set(e, ERR_NOSPACE, "%s: the size limit of %" PRIu64 " bytes is reached",
			       s->name, s->limit);
	}
	if (s->kind == SINK_KIND_NULL) {
		s->written += total;
		return 0;
	}
	if (s->kind == SINK_KIND_STREAM && stream_to(s, off, e))
		return -1;
	if (s->kind != SINK_KIND_FLAT)
		return write_all(s, off, iov, nr_iov, e);
	out_uint(&o, off, 8);
	out_uint(&o, total, 8);
	framed[0] = (struct iovec){ .iov_base = head, .iov_len = sizeof(head) };
	memcpy(framed + 1, iov, (size_t)nr_iov * sizeof(*iov));
	return write_all(s, off, framed, nr_iov + 1, e);
}

static int write_flat_header(struct sink *s, struct err *e)
{
	uint8_t head[FLAT_HEADER_SIZE] = FLAT_MAGIC;
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(head) };
	struct bytes_out o = {
		.data = head, .size = sizeof(head), .pos = FLAT_MAGIC_LEN, .order = ORDER_BE
	};

	out_uint(&o, FLAT_TYPE, 8);
	out_uint(&o, FLAT_VERSION, 8);
	return write_all(s, 0, &iov, 1, e);
}

int sink_flat(int fd, const char *name, struct sink **ret, struct err *e)
{
	struct sink *s;

	if (sink_new(SINK_KIND_FLAT, name, fd, &s, e))
		return -1;
	if (write_flat_header(s, e)) {
		sink_close(s);
		return -1;
	}
	*ret = s;
	return 0;
}

int sink_flat_file(const char *path, unsigned int flags, struct sink **ret, struct err *e)
{
	struct sink *s;

	if (sink_file(path, flags, &s, e))
		return -1;
	s->kind = SINK_KIND_FLAT;
	if (write_flat_header(s, e)) {
		sink_discard(s);
		sink_close(s);
		return -1;
	}
	*ret = s;
	return 0;
}

int sink_stream(int fd, const char *name, struct sink **ret, struct err *e)
{
	return sink_new(SINK_KIND_STREAM, name, fd, ret, e);
}

int sink_take(const struct sink_taker *t, const char *name, struct sink **ret, struct err *e)
{
	if (sink_new(SINK_KIND_STREAM, name, -1, ret, e))
		return -1;
	(*ret)->taker = t;
	return 0;
}

int sink_expect(struct sink *s, uint64_t size, struct err *e)
{
	return s->taker && s->taker->expect ? s->taker->expect(s->taker->priv, size, e) : 0;
}

int sink_null(const char *name, struct sink **ret, struct err *e)
{
	return sink_new(SINK_KIND_NULL, name, -1, ret, e);
}

bool sink_can_patch(const struct sink *s)
{
	return s->kind != SINK_KIND_FLAT && s->kind != SINK_KIND_STREAM;
}

bool sink_has_holes(const struct sink *s)
{
	return s->kind == SINK_KIND_NULL || (s->kind == SINK_KIND_FILE && s->regular);
}

bool sink_is_same(const struct sink *a, const struct sink *b)
{
	struct stat x, y;

	return a->own_fd && b->own_fd && !fstat(a->fd, &x) &&
	       !fstat(b->fd, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *sink_name(const struct sink *s)
{
	return s->name;
}

const char *sink_unfinished_name(const struct sink *s)
{
	return s->grows;
}

void sink_set_limit(struct sink *s, uint64_t limit)
{
	s->limit = limit;
}

uint64_t sink_written(const struct sink *s)
{
	return s->written + s->fill;
}

double sink_sync_seconds(const struct sink *s)
{
	return s->sync_seconds;
}

int sink_flush(struct sink *s, struct err *e)
{
	struct iovec iov = { .iov_base = s->buf, .iov_len = s->fill };

	if (!s->fill)
		return 0;
	s->fill = 0;
	return emit(s, s->buf_off, &iov, 1, e);
}

int sink_write(struct sink *s, uint64_t off, const void *buf, size_t len, struct err *e)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return sink_writev(s, off, &iov, 1, e);
}

/* Copy pieces behind what is gathered; the caller has made sure that they fit. */
static void gather(struct sink *s, const struct iovec *iov, int nr_iov)
{
	int i;

	for (i = 0; i < nr_iov; i++) {
		memcpy(s->buf + s->fill, iov[i].iov_base, iov[i].iov_len);
		s->fill += iov[i].iov_len;
	}
}

/* Large pieces: as they are, in groups; through the buffer where the system cannot reach them. */
static int write_through(struct sink *s, uint64_t off, const struct iovec *iov, int nr_iov,
			 struct err *e)
{
	while (nr_iov) {
		struct iovec part[MAX_PIECES];
		int n = MIN(nr_iov, MAX_PIECES);
		size_t total = iov_total(iov, n);

		memcpy(part, iov, (size_t)n * sizeof(*iov));
		if (emit(s, off, part, n, e))
			return -1;
		off += total;
		iov += n;
		nr_iov -= n;
	}
	return 0;
}

int sink_writev(struct sink *s, uint64_t off, const struct iovec *iov, int nr_iov, struct err *e)
{
	size_t total = iov_total(iov, nr_iov);

	if (!total)
		return 0;
	if (s->kind == SINK_KIND_NULL)
		return write_through(s, off, iov, nr_iov, e);
	if (s->fill && (off != s->buf_off + s->fill || total > SINK_BUFFER - s->fill) &&
	    sink_flush(s, e))
		return -1;
	if (total >= SINK_BUFFER / 4 && !s->fill) {
		/*
		 * A page of a mapped source that is gone by now becomes zeros (and is counted)
		 * here, where it cannot stop the write in the middle with EFAULT.
		 */
		touch_all(iov, nr_iov);
		return write_through(s, off, iov, nr_iov, e);
	}
	if (!s->fill)
		s->buf_off = off;
	gather(s, iov, nr_iov);
	return 0;
}

/* Zeros over a piece of a device, which still holds what was written there before. */
static int write_zeros(struct sink *s, uint64_t off, uint64_t len, struct err *e)
{
	_cleanup_free_ uint8_t *zeros = calloc(1, SINK_BUFFER);

	if (!zeros)
		return err_set(e, ERR_NOMEM, "out of memory");
	while (len) {
		size_t n = (size_t)MIN(len, (uint64_t)SINK_BUFFER);

		if (sink_write(s, off, zeros, n, e))
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

int sink_reserve(struct sink *s, uint64_t off, uint64_t len, struct err *e)
{
	if (s->kind == SINK_KIND_FILE && !s->regular)
		return write_zeros(s, off, len, e);
	if (s->kind != SINK_KIND_FILE || !len)
		return 0;
	if (s->limit && off + len > s->limit)
		return err_set(e, ERR_NOSPACE,
			       "%s: the size limit of %" PRIu64 " bytes is too small", s->name,
			       s->limit);
	if (!fallocate(s->fd, 0, (off_t)off, (off_t)len) ||
	    (errno != ENOSPC && errno != EDQUOT && errno != EFBIG))
		return 0;
	return err_sys(e, errno, "%s", s->name);
}

uint64_t sink_end(const struct sink *s)
{
	return s->end;
}

int sink_sync(struct sink *s, struct err *e)
{
	double start = progress_clock();

	if (sink_flush(s, e))
		return -1;
	/* EINVAL: a file system, or device, that has nothing to make durable. */
	if (s->own_fd && fsync(s->fd) < 0 && errno != EINVAL)
		return err_sys(e, errno, "%s", s->name);
	s->sync_seconds += progress_clock() - start;
	return 0;
}

/* The path under which the file lies in its directory now. */
static const char *path_of(const struct sink *s)
{
	return s->grows ? s->grows : s->name;
}

/* rename(), unless TO exists. */
static int rename_new(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	/* A file system, or a kernel, that cannot promise it. */
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (!access(to, F_OK)) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

/* The file is whole: call it by its name. */
static int take_name(struct sink *s, struct err *e)
{
	size_t len = strlen(s->grows) - strlen(UNFINISHED);
	_cleanup_free_ char *path = strndup(s->grows, len);

	if (!path)
		return err_set(e, ERR_NOMEM, "%s: out of memory", s->name);
	if (s->force ? rename(s->grows, path) : rename_new(s->grows, path))
		return err_sys(e, errno, "%s: the dump is whole, but still called %s", s->name,
			       s->grows);
	free(s->grows);
	s->grows = NULL;
	return 0;
}

/* Make a file durable: its content, then the directory that names it. */
static int sync_file(struct sink *s, struct err *e)
{
	_cleanup_free_ char *dir = strdup(path_of(s));
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (sink_sync(s, e) || (s->grows && !s->keep_unfinished && take_name(s, e)))
		return -1;
	if (slash)
		slash[slash == dir] = '\0';
	fd = dir && s->created ? open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fsync(fd); /* best effort: not every file system knows it for directories */
		close(fd);
	}
	return 0;
}

int sink_commit(struct sink *s, uint64_t size, struct err *e)
{
	uint8_t end[16];
	struct iovec iov = { .iov_base = end, .iov_len = sizeof(end) };

	if (sink_flush(s, e))
		return -1;
	memset(end, 0xff, sizeof(end));
	switch (s->kind) {
	case SINK_KIND_NULL:
		return 0;
	case SINK_KIND_STREAM:
		return stream_to(s, size, e);
	case SINK_KIND_FLAT:
		assert(!s->failed);
		if (write_all(s, 0, &iov, 1, e))
			return -1;
		return s->own_fd ? sync_file(s, e) : 0;
	case SINK_KIND_FILE:
		if (s->regular && ftruncate(s->fd, (off_t)size) < 0)
			return err_sys(e, errno, "%s", s->name);
		return sync_file(s, e);
	}
	return 0;
}

void sink_keep_unfinished(struct sink *s)
{
	s->keep_unfinished = true;
}

int sink_restart(struct sink *s, struct err *e)
{
	if (!sink_can_patch(s))
		return err_set(e, ERR_UNSUPPORTED, "%s: a stream cannot be begun anew", s->name);
	if (s->regular && ftruncate(s->fd, 0) < 0)
		return err_sys(e, errno, "%s", s->name);
	s->fill = 0;
	s->written = s->end = 0;
	return 0;
}

void sink_discard(struct sink *s)
{
	s->fill = 0;
	if (!s->own_fd)
		return;
	if (s->regular && ftruncate(s->fd, 0) < 0)
		return; /* nothing more can be done; the file still says that it is incomplete */
	if (s->created)
		unlink(path_of(s));
}

void sink_close(struct sink *s)
{
	if (!s)
		return;
	if (s->own_fd && s->fd >= 0)
		close(s->fd);
	free(s->buf);
	free(s->name);
	free(s->grows);
	free(s);
}
