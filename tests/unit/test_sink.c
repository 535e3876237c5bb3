/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sink.c: what is written is what a reader finds, in a file, and in a flattened stream put
 * together again; and what happens when the system says no. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "sink.h"
#include "tap.h"

static char dir[] = "/tmp/test_sink.XXXXXX";
static char path[64];
static uint8_t pattern[4 << 20];

/* All of a file, terminated; *len tells how much. */
static uint8_t *slurp(const char *name, size_t *len)
{
	FILE *f = fopen(name, "rb");
	uint8_t *buf = malloc(16 << 20);

	*len = f && buf ? fread(buf, 1, 16 << 20, f) : 0;
	if (f)
		fclose(f);
	return buf;
}

static struct sink *open_file(unsigned int flags)
{
	struct err e = ERR_INIT;
	struct sink *s;

	if (sink_file(path, flags, &s, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return s;
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -1 : st.st_size;
}

/* ---- files ---- */

static void test_open(void)
{
	struct err e = ERR_INIT;
	struct stat st;
	struct sink *s;
	mode_t old = umask(0777);

	s = open_file(0);
	ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "a new file is ours alone");
	umask(old);
	ok(sink_can_patch(s) && sink_has_holes(s) && !strcmp(sink_name(s), path), "it is a file");
	ok(!sink_write(s, 0, "old content", 11, &e) && !sink_commit(s, 11, &e), "written");
	sink_close(s);
	ok(sink_file(path, 0, &s, &e) == -1 && e.code == ERR_EXISTS,
	   "what exists is not touched: %s", e.text);
	is_u64((uint64_t)size_of(path), 11, "really");
	s = open_file(SINK_FORCE);
	is_u64((uint64_t)size_of(path), 0, "unless forced");
	sink_discard(s);
	sink_close(s);
	is_u64((uint64_t)size_of(path), 0, "what was not made by us is not removed");
	unlink(path);
	s = open_file(SINK_FORCE);
	ok(!sink_write(s, 0, "x", 1, &e) && !sink_flush(s, &e), "a new file, forced");
	sink_discard(s);
	sink_close(s);
	ok(size_of(path) == -1, "is removed when it is thrown away");
	ok(sink_file("/dev/null", SINK_FORCE, &s, &e) == -1 && e.code == ERR_UNSUPPORTED,
	   "a character device is refused: %s", e.text);
	if (mkfifo(path, 0600))
		abort();
	ok(sink_file(path, SINK_FORCE, &s, &e) == -1, "so is a FIFO, without waiting: %s", e.text);
	unlink(path);
}

static uint64_t random_state = 11;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Pieces of the pattern, LEN bytes from offset FROM on, in up to MAX pieces. */
static int split(struct iovec *iov, size_t from, size_t len, int max)
{
	int n = 0;

	while (len) {
		size_t piece = 1 + random_below(200000);

		if (piece > len || n + 1 == max)
			piece = len;
		iov[n++] = (struct iovec){ .iov_base = pattern + from, .iov_len = piece };
		from += piece;
		len -= piece;
	}
	return n;
}

/* Random writes, each byte by its place in the pattern; in ascending order when ONCE. */
static uint64_t random_writes(struct sink *s, bool once, uint8_t *model)
{
	struct err e = ERR_INIT;
	struct iovec iov[200];
	uint64_t at = 0, end = 0, len, from;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		len = random_below(random_below(8) ? 300 : random_below(4) ? 100000 : 1500000);
		if (!once && random_below(3) == 0)
			at = random_below(3 << 20);
		if (at + len > sizeof(pattern))
			at = once ? sizeof(pattern) : 0;
		len = MIN(len, sizeof(pattern) - at);
		from = random_below((uint32_t)(sizeof(pattern) - len) + 1);
		if (sink_writev(s, at, iov, split(iov, from, len, 200), &e))
			abort();
		memcpy(model + at, pattern + from, len);
		at += len;
		end = MAX(end, at);
		at += once && random_below(5) == 0 ? random_below(2000) : 0;
	}
	return end;
}

static void test_random_file(void)
{
	_cleanup_free_ uint8_t *model = calloc(1, sizeof(pattern));
	_cleanup_free_ uint8_t *got = NULL;
	struct err e = ERR_INIT;
	struct sink *s = open_file(0);
	uint64_t end = random_writes(s, false, model);
	size_t len;

	ok(!sink_commit(s, end + 1000, &e), "300 random writes");
	ok(sink_end(s) == end && sink_written(s) >= end, "the counters know them");
	sink_close(s);
	got = slurp(path, &len);
	ok(len == end + 1000 && !memcmp(got, model, end), "the file holds the last of each byte");
	unlink(path);
}

static void test_gather(void)
{
	_cleanup_free_ uint8_t *got = NULL;
	struct err e = ERR_INIT;
	struct sink *s = open_file(0);
	struct iovec iov[150];
	unsigned int i;
	size_t len;

	for (i = 0; i < 100; i++)
		sink_write(s, i, "x", 1, &e);
	ok(size_of(path) == 0 && sink_written(s) == 100 && sink_end(s) == 0, "small writes wait");
	sink_write(s, 50, "y", 1, &e);
	is_u64((uint64_t)size_of(path), 100, "until one does not follow");
	sink_write(s, 51, pattern, SINK_BUFFER, &e);
	is_u64((uint64_t)size_of(path), 51 + SINK_BUFFER, "a large one does not wait");
	for (i = 0; i < 150; i++)
		iov[i] = (struct iovec){ .iov_base = pattern + 5000 * i, .iov_len = 5000 };
	sink_writev(s, 7, iov, 150, &e);
	got = slurp(path, &len);
	ok(len > 750007 && !memcmp(got + 7, pattern, 750000), "nor do many pieces");
	ok(!sink_commit(s, 10, &e) && size_of(path) == 10, "commit sets the length");
	sink_close(s);
	unlink(path);
}

static void test_limit(void)
{
	struct err e = ERR_INIT;
	struct sink *s = open_file(0);

	sink_set_limit(s, 1000);
	ok(!sink_write(s, 0, pattern, 1000, &e) && !sink_flush(s, &e), "up to the limit");
	ok((sink_write(s, 1000, "x", 1, &e) || sink_flush(s, &e)) && e.code == ERR_NOSPACE,
	   "not beyond: %s", e.text);
	ok(sink_end(s) == 1000 && size_of(path) == 1000, "what was written stays");
	ok(sink_reserve(s, 999, 2, &e) == -1 && e.code == ERR_NOSPACE &&
		   !sink_reserve(s, 900, 100, &e),
	   "nor reserved");
	ok(!sink_restart(s, &e) && size_of(path) == 0 && sink_end(s) == 0 && sink_written(s) == 0,
	   "begun anew");
	ok(!sink_write(s, 0, "new", 3, &e) && !sink_commit(s, 3, &e) && size_of(path) == 3,
	   "it can be written again");
	sink_close(s);
	unlink(path);
}

/* A disk that is full, as the system says it. */
static void test_full(void)
{
	struct rlimit old, small = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	struct err e = ERR_INIT;
	struct sink *s = open_file(0);

	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	ok(sink_write(s, 10, pattern, sizeof(pattern), &e) == -1 && e.code == ERR_NOSPACE,
	   "no room: %s", e.text);
	is_u64(sink_end(s), 1 << 20, "what did fit is known");
	ok(sink_reserve(s, 1 << 20, 10, &e) == -1 && e.code == ERR_NOSPACE, "nothing to reserve");
	setrlimit(RLIMIT_FSIZE, &old);
	sink_close(s);
	unlink(path);
}

/* ---- files that get their name at the end ---- */

static char growing[80];

static struct sink *open_growing(unsigned int flags)
{
	return open_file(SINK_RENAME | flags);
}

static void test_rename(void)
{
	struct err e = ERR_INIT;
	struct stat st;
	struct sink *s = open_growing(0);

	ok(size_of(path) == -1 && size_of(growing) == 0 && !strcmp(sink_name(s), path),
	   "grows under another name, and is spoken of by its own");
	ok(sink_file(path, SINK_RENAME, &(struct sink *){ NULL }, &e) == -1 &&
		   e.code == ERR_EXISTS && strstr(e.text, ".incomplete"),
	   "once at a time: %s", e.text);
	ok(!sink_write(s, 0, "abc", 3, &e) && !sink_sync(s, &e) && size_of(path) == -1 &&
		   size_of(growing) == 3,
	   "also when it is synced");
	ok(!sink_restart(s, &e) && size_of(growing) == 0, "begun anew under the same name");
	ok(!sink_write(s, 0, "abcd", 4, &e) && !sink_commit(s, 6, &e) && size_of(path) == 6 &&
		   size_of(growing) == -1,
	   "has its name when it is whole");
	ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "and is ours alone");
	sink_close(s);
	s = open_growing(SINK_FORCE);
	sink_write(s, 0, "abc", 3, &e);
	sink_flush(s, &e);
	sink_close(s);
	ok(size_of(path) == 6 && size_of(growing) == 3,
	   "without commit the old file stays, and the stump says what it is");
	ok(sink_file(path, SINK_RENAME, &s, &e) == -1 && e.code == ERR_EXISTS,
	   "what exists is not touched: %s", e.text);
	s = open_growing(SINK_FORCE);
	ok(size_of(growing) == 0 && !sink_commit(s, 2, &e) && size_of(path) == 2 &&
		   size_of(growing) == -1,
	   "unless forced, nor is a stump in the way then");
	sink_close(s);
	s = open_growing(SINK_FORCE);
	sink_discard(s);
	sink_close(s);
	ok(size_of(path) == 2 && size_of(growing) == -1, "thrown away, only the stump goes");
	unlink(path);
}

/* Somebody takes the name while the file grows. */
static void test_rename_race(void)
{
	struct err e = ERR_INIT;
	struct sink *s = open_growing(0);
	FILE *f = fopen(path, "wb");

	if (!f || fputs("theirs", f) < 0 || fclose(f))
		abort();
	ok(sink_commit(s, 3, &e) == -1 && e.code == ERR_EXISTS && size_of(path) == 6 &&
		   size_of(growing) == 3,
	   "a name that was taken meanwhile stays theirs: %s", e.text);
	sink_close(s);
	unlink(path);
	unlink(growing);
}

static void test_rename_link(void)
{
	_cleanup_free_ char *target = NULL;
	struct err e = ERR_INIT;
	struct stat st;
	struct sink *s;

	if (asprintf(&target, "%s/target", dir) < 0 || symlink("target", path))
		abort();
	ok(sink_file(path, SINK_RENAME, &s, &e) == -1 && e.code == ERR_EXISTS,
	   "a link to nothing is there all the same");
	s = open_growing(SINK_FORCE);
	sink_discard(s);
	sink_close(s);
	unlink(path);
	if (symlink("target", path) || close(open(target, O_CREAT | O_RDWR, 0600)))
		abort();
	s = open_growing(SINK_FORCE);
	ok(!sink_commit(s, 5, &e) && !lstat(path, &st) && S_ISLNK(st.st_mode) &&
		   size_of(target) == 5,
	   "what a link leads to is replaced, not the link");
	sink_close(s);
	unlink(target);
	unlink(path);
	ok(sink_file("/dev/null", SINK_FORCE | SINK_RENAME, &s, &e) == -1 &&
		   e.code == ERR_UNSUPPORTED,
	   "a character device is refused: %s", e.text);
}

/* ---- streams ---- */

/* Put a flattened stream together; *records and *twice count records and bytes met again. */
static bool rearrange(const uint8_t *in, size_t len, uint8_t *out, size_t room,
		      unsigned int *records, size_t *twice)
{
	_cleanup_free_ uint8_t *seen = calloc(1, room);
	struct bytes b = bytes_init(in, len, ORDER_BE, "stream", 0);
	const char *magic = bytes_get(&b, 16);

	*records = 0;
	*twice = 0;
	if (!magic || memcmp(magic, "makedumpfile\0\0\0\0", 16) || bytes_u64(&b) != 1 ||
	    bytes_u64(&b) != 1)
		return false;
	bytes_seek(&b, 4096);
	for (;;) {
		uint64_t off = bytes_u64(&b), size = bytes_u64(&b), i;
		const void *data;

		if (off == UINT64_MAX && size == UINT64_MAX)
			return bytes_left(&b) == 0;
		data = size <= room ? bytes_get(&b, size) : NULL;
		if (!data || b.overrun || off > room - size)
			return false;
		memcpy(out + off, data, size);
		for (i = 0; i < size; i++)
			*twice += seen[off + i]++;
		++*records;
	}
}

static void test_flat(void)
{
	_cleanup_free_ uint8_t *model = calloc(1, sizeof(pattern)),
			       *out = calloc(1, sizeof(pattern));
	_cleanup_free_ uint8_t *raw = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct err e = ERR_INIT;
	unsigned int records = 0;
	size_t len, twice = 0;
	struct sink *s;

	ok(!sink_flat(fd, "STDOUT", &s, &e) && !sink_can_patch(s) && !sink_has_holes(s), "a stream");
	random_writes(s, true, model);
	ok(sink_restart(s, &e) == -1 && e.code == ERR_UNSUPPORTED, "cannot begin anew: %s", e.text);
	ok(!sink_commit(s, 0, &e), "300 random writes");
	sink_close(s);
	close(fd);
	raw = slurp(path, &len);
	ok(rearrange(raw, len, out, sizeof(pattern), &records, &twice), "records and an end");
	ok(!memcmp(out, model, sizeof(pattern)), "put together they are what was written");
	ok(twice == 0 && records < 300, "no byte twice, small writes in one record");
	unlink(path);
}

/* Records come in the order of the writes, whatever their places. */
static void test_flat_order(void)
{
	static const uint64_t at[] = { 5000, 0, 400000, 100 };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	_cleanup_free_ uint8_t *raw = NULL;
	struct err e = ERR_INIT;
	unsigned int i, bad = 0;
	struct bytes b;
	struct sink *s;
	size_t len;

	if (sink_flat(fd, "STDOUT", &s, &e))
		abort();
	for (i = 0; i < 4; i++)
		sink_write(s, at[i], pattern, i == 2 ? SINK_BUFFER : 7, &e);
	sink_flush(s, &e);
	sink_close(s); /* without commit: no end record */
	close(fd);
	raw = slurp(path, &len);
	b = bytes_init(raw, len, ORDER_BE, "stream", 0);
	bytes_seek(&b, 4096);
	for (i = 0; i < 4; i++) {
		bad += bytes_u64(&b) != at[i];
		bytes_skip(&b, (size_t)bytes_u64(&b));
	}
	ok(!bad && !b.overrun && bytes_left(&b) == 0, "records in the order of the writes, no end");
	unlink(path);
}

static int pipe_fd[2];

static void *drain_slowly(void *arg)
{
	uint8_t buf[30000];
	size_t *total = arg;
	ssize_t n;

	while ((n = read(pipe_fd[0], buf, sizeof(buf))) > 0) {
		*total += (size_t)n;
		usleep(200);
	}
	return NULL;
}

static void test_pipe(void)
{
	struct err e = ERR_INIT;
	pthread_t thread;
	size_t total = 0;
	struct sink *s;

	if (pipe2(pipe_fd, O_NONBLOCK))
		abort();
	fcntl(pipe_fd[0], F_SETFL, 0);
	pthread_create(&thread, NULL, drain_slowly, &total);
	ok(!sink_flat(pipe_fd[1], "pipe", &s, &e) &&
		   !sink_write(s, 0, pattern, sizeof(pattern), &e) && !sink_commit(s, 0, &e),
	   "a pipe that does not block and a slow reader");
	close(pipe_fd[1]);
	pthread_join(thread, NULL);
	is_u64(total, 4096 + 16 + sizeof(pattern) + 16, "all of it came through");
	sink_close(s);
	close(pipe_fd[0]);
	if (pipe(pipe_fd) || sink_flat(pipe_fd[1], "pipe", &s, &e))
		abort();
	close(pipe_fd[0]);
	ok(sink_write(s, 0, pattern, sizeof(pattern), &e) == -1 && e.code == ERR_PIPE,
	   "a reader that went away: %s", e.text);
	sink_close(s);
	close(pipe_fd[1]);
}

static void test_null(void)
{
	struct err e = ERR_INIT;
	struct sink *s;

	ok(!sink_null("nowhere", &s, &e) && sink_can_patch(s) && sink_has_holes(s), "a dry run");
	sink_set_limit(s, 3000000);
	ok(!sink_write(s, 100, pattern, 2000000, &e) && !sink_write(s, 5, "abc", 3, &e) &&
		   sink_written(s) == 2000003,
	   "counts");
	ok(sink_write(s, 2000000, pattern, 1000001, &e) == -1 && e.code == ERR_NOSPACE,
	   "and limits");
	ok(!sink_commit(s, 77, &e), "and is committed");
	sink_close(s);
}

/* The bytes themselves: what is passed over is zeros, and nothing is written twice. */
static void test_stream(void)
{
	struct err e = ERR_INIT;
	uint8_t *got, *wanted = calloc(1, 2 << 20);
	size_t len;
	struct sink *s;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ok(wanted && !sink_stream(fd, "STDOUT", &s, &e) && !sink_can_patch(s) && !sink_has_holes(s),
	   "a plain stream");
	memcpy(wanted + 100, pattern, 1000);
	memcpy(wanted + 300000, pattern, 1 << 20);
	ok(!sink_write(s, 100, pattern, 1000, &e) && !sink_write(s, 300000, pattern, 1 << 20, &e) &&
		   !sink_commit(s, 2 << 20, &e),
	   "stream: written with gaps");
	got = slurp(path, &len);
	ok(len == 2 << 20 && !memcmp(got, wanted, len), "stream: the gaps are zeros, to the end");
	ok(sink_write(s, 5, pattern, 1 << 20, &e) && e.code == ERR_UNSUPPORTED,
	   "stream: it cannot go back");
	ok(sink_restart(s, &e) && e.code == ERR_UNSUPPORTED, "stream: nor begin anew");
	sink_close(s);
	close(fd);
	unlink(path);
	free(got);
	free(wanted);
}

int main(void)
{
	size_t i;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/out", dir);
	snprintf(growing, sizeof(growing), "%s.incomplete", path);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(1 + random_below(255));
	test_open();
	test_random_file();
	test_gather();
	test_limit();
	test_full();
	test_rename();
	test_rename_race();
	test_rename_link();
	test_flat();
	test_flat_order();
	test_stream();
	test_pipe();
	test_null();
	rmdir(dir);
	return done_testing();
}
