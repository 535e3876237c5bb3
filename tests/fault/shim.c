/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library to preload (LD_PRELOAD): the system fails as the environment says.
 *
 *   SHIM_WRITE_CALL=N	  the Nth write of an output, and all after it, fail
 *   SHIM_WRITE_BYTES=N	  so do writes beyond N bytes; the one that crosses is cut short
 *   SHIM_WRITE_ERRNO=E	  with this error (ENOSPC)
 *   SHIM_FSYNC_CALL=N	  the Nth fsync, and all after it, fail with EIO
 *   SHIM_KILL_CALL=N	  SIGKILL in the middle of the Nth write
 *   SHIM_SHORT=N	  no write takes more than N bytes, and each second one is interrupted first
 *   SHIM_FAULT	  each second write fails with EFAULT first, as when mapped input is dropped
 *   SHIM_SLEEP=USEC	  each write takes that long
 *   SHIM_READ=FROM-TO	  reading these bytes of a file fails with EIO, as a bad sector does
 *   SHIM_NO_MMAP=E	  no file can be mapped: error E
 *   SHIM_NO_BLOCKS	  no file has blocks on a disk, so that the windows of inputs are mapped
 *   SHIM_MALLOC_CALL=N	  the Nth allocation fails, or with SHIM_MALLOC_ALL all from it on
 *   SHIM_COUNT=FILE	  at the end: numbers of writes, of bytes written, of fsyncs, of allocations
 *
 * Outputs are what is written with pwritev, pwrite or writev; what goes to standard error is not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
	long write_call, write_bytes, write_errno, fsync_call, kill_call, cut, sleep, malloc_call;
	long long read_from, read_to;
	int no_mmap, no_blocks, malloc_all, fault, ready;
	const char *count;
} want;

static atomic_long writes, bytes, fsyncs, allocations;

static long number(const char *name, long missing)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 0) : missing;
}

__attribute__((constructor)) static void start(void)
{
	const char *range = getenv("SHIM_READ");

	want.write_call = number("SHIM_WRITE_CALL", 0);
	want.write_bytes = number("SHIM_WRITE_BYTES", -1);
	want.write_errno = number("SHIM_WRITE_ERRNO", ENOSPC);
	want.fsync_call = number("SHIM_FSYNC_CALL", 0);
	want.kill_call = number("SHIM_KILL_CALL", 0);
	want.cut = number("SHIM_SHORT", 0);
	want.sleep = number("SHIM_SLEEP", 0);
	want.no_mmap = (int)number("SHIM_NO_MMAP", 0);
	want.no_blocks = getenv("SHIM_NO_BLOCKS") != NULL;
	want.fault = getenv("SHIM_FAULT") != NULL;
	want.malloc_all = getenv("SHIM_MALLOC_ALL") != NULL;
	want.count = getenv("SHIM_COUNT");
	if (range)
		sscanf(range, "%lli-%lli", &want.read_from, &want.read_to);
	want.ready = 1;
	want.malloc_call = number("SHIM_MALLOC_CALL", 0);
}

__attribute__((destructor)) static void stop(void)
{
	FILE *f;

	want.malloc_call = 0;
	f = want.count ? fopen(want.count, "w") : NULL;
	if (!f)
		return;
	fprintf(f, "%ld %ld %ld %ld\n", writes, bytes, fsyncs, allocations);
	fclose(f);
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* ---- writing ---- */

static ssize_t hand_on(int fd, const struct iovec *iov, int nr, off64_t off)
{
	static ssize_t (*at)(int, const struct iovec *, int, off64_t);
	static ssize_t (*on)(int, const struct iovec *, int);

	if (!at) {
		on = next("writev");
		at = next("pwritev64");
	}
	return off < 0 ? on(fd, iov, nr) : at(fd, iov, nr, off);
}

/* At most MOST bytes of the pieces. */
static ssize_t hand_on_some(int fd, const struct iovec *iov, int nr, off64_t off, size_t most)
{
	struct iovec some[64];
	int n = 0;

	for (; n < nr && n < 64 && most; n++) {
		some[n] = iov[n];
		if (some[n].iov_len > most)
			some[n].iov_len = most;
		most -= some[n].iov_len;
	}
	return n ? hand_on(fd, some, n, off) : 0;
}

static size_t total(const struct iovec *iov, int nr)
{
	size_t n = 0;

	while (nr--)
		n += iov[nr].iov_len;
	return n;
}

static ssize_t refuse(void)
{
	errno = (int)want.write_errno;
	return -1;
}

/* OFF is negative where the descriptor's own place counts. */
static ssize_t shim_write(int fd, const struct iovec *iov, int nr, off64_t off)
{
	size_t all = total(iov, nr), most = all;
	long call = ++writes;
	ssize_t n;

	if (want.sleep)
		usleep((useconds_t)want.sleep);
	if (call == want.kill_call) {
		hand_on_some(fd, iov, nr, off, all / 2);
		kill(getpid(), SIGKILL);
	}
	if (want.write_call && call >= want.write_call)
		return refuse();
	if (want.write_bytes >= 0) {
		if (bytes >= want.write_bytes)
			return refuse();
		if ((long)most > want.write_bytes - bytes)
			most = (size_t)(want.write_bytes - bytes);
	}
	if (want.fault && call % 2) {
		errno = EFAULT;
		return -1;
	}
	if (want.cut) {
		if (call % 2) {
			errno = EINTR;
			return -1;
		}
		if (most > (size_t)want.cut)
			most = (size_t)want.cut;
	}
	n = most < all ? hand_on_some(fd, iov, nr, off, most) : hand_on(fd, iov, nr, off);
	if (n > 0)
		bytes += n;
	return n;
}

ssize_t pwritev64(int fd, const struct iovec *iov, int nr, off64_t off)
{
	return shim_write(fd, iov, nr, off);
}

ssize_t pwritev(int fd, const struct iovec *iov, int nr, off_t off)
{
	return shim_write(fd, iov, nr, off);
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	return fd == STDERR_FILENO ? hand_on(fd, iov, nr, -1) : shim_write(fd, iov, nr, -1);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return shim_write(fd, &iov, 1, off);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return pwrite64(fd, buf, len, off);
}

int fsync(int fd)
{
	int (*real)(int) = next("fsync");

	if (++fsyncs < want.fsync_call || !want.fsync_call)
		return real(fd);
	errno = EIO;
	return -1;
}

/* ---- reading ---- */

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	static ssize_t (*real)(int, void *, size_t, off64_t);

	if (!real)
		real = next("pread64");
	if (want.read_to && off < want.read_to && off + (off64_t)len > want.read_from) {
		if (off >= want.read_from) {
			errno = EIO;
			return -1;
		}
		len = (size_t)(want.read_from - off);
	}
	return real(fd, buf, len, off);
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	return pread64(fd, buf, len, off);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	static void *(*real)(void *, size_t, int, int, int, off64_t);

	if (want.no_mmap && fd >= 0 && !(prot & PROT_EXEC)) {
		errno = want.no_mmap;
		return MAP_FAILED;
	}
	if (!real)
		real = next("mmap64");
	return real(addr, len, prot, flags, fd, off);
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return mmap64(addr, len, prot, flags, fd, off);
}

/* A file without blocks on a disk, as those of /proc are: the program maps its windows. */
static int without_blocks(int status, blkcnt_t *blocks)
{
	if (!status && want.no_blocks)
		*blocks = 0;
	return status;
}

int fstat64(int fd, struct stat64 *st)
{
	static int (*real)(int, struct stat64 *);

	if (!real)
		real = next("fstat64");
	return without_blocks(real(fd, st), &st->st_blocks);
}

int fstat(int fd, struct stat *st)
{
	static int (*real)(int, struct stat *);

	if (!real)
		real = next("fstat");
	return without_blocks(real(fd, st), &st->st_blocks);
}

/* ---- memory; not under a sanitizer, which has an allocator of its own ---- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(SHIM_WITHOUT_MALLOC)

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static int denied(void)
{
	long call = want.ready ? ++allocations : 0;

	if (!want.malloc_call || call < want.malloc_call ||
	    (call > want.malloc_call && !want.malloc_all))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return denied() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return denied() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	return denied() ? NULL : __libc_realloc(p, size);
}

#endif
