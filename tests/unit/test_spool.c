/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/spool.c: what goes in comes out, wherever it is read; holes take no room; the limit holds. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "spool.h"
#include "tap.h"

#define SIZE ((size_t)9 << 20)

static char dir[] = "/tmp/test_spool.XXXXXX";
static uint8_t *pattern;

static char said[512];

static void hear(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)level;
	snprintf(said, sizeof(said), "%s", text);
}

static struct log ear = { .emit = hear };

/* Runs of bytes and of zeros, of lengths that are no multiples of anything. */
static void make_pattern(void)
{
	uint64_t state = 3;
	size_t i = 0;

	pattern = calloc(1, SIZE);
	if (!pattern)
		abort();
	while (i < SIZE) {
		size_t end;

		state = state * 6364136223846793005u + 1442695040888963407u;
		end = MIN(SIZE, i + (state >> 33) % 300000);
		if (state >> 62)
			memset(pattern + i, 1 + (int)(state >> 40) % 255, end - i);
		i = end + 1;
	}
}

static struct spool *begin(const struct spool_opts *opts)
{
	struct err e = ERR_INIT;
	struct spool *s;

	if (spool_begin("input", "pipe", opts, &s, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return s;
}

static bool is_pattern(struct source *s, size_t len)
{
	_cleanup_free_ uint8_t *buf = malloc(len);
	struct err e = ERR_INIT;

	return buf && source_size(s) == len && !source_read(s, 0, buf, len, &e) &&
	       !memcmp(buf, pattern, len);
}

/* In pieces of PIECE bytes. */
static bool round_trip(const struct spool_opts *opts, size_t piece, size_t len)
{
	struct spool *s = begin(opts);
	struct err e = ERR_INIT;
	struct source *f;
	size_t at;
	bool good;

	for (at = 0; at < len; at += piece)
		if (spool_write(s, pattern + at, MIN(piece, len - at), &e))
			return false;
	if (spool_end(s, NULL, false, &f, &e))
		return false;
	good = is_pattern(f, len) && !source_is_cut(f) && !strcmp(source_name(f), "input") &&
	       !strcmp(source_kind(f), "pipe") && !source_under(f);
	source_close(f);
	return good;
}

static void test_round_trip(void)
{
	static const size_t pieces[] = { 1000, 4096, 65537, 1 << 18, 3 << 20, SIZE };
	static const size_t ends[] = { 0, 1, 4095, 4096, 4097, 262143, 262144, 300000 };
	struct spool_opts opts = { .dir = dir, .log = &ear };
	unsigned int bad = 0, i;

	for (i = 0; i < ARRAY_SIZE(pieces); i++)
		bad += !round_trip(&opts, pieces[i], SIZE);
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		bad += !round_trip(&opts, 777, ends[i]);
	is_u64(bad, 0, "what goes in comes out");
	ok(strstr(said, "input") && strstr(said, dir) && strstr(said, "--spool-limit"),
	   "it is told where: %s", said);
	is_u64((uint64_t)rmdir(dir), 0, "and leaves nothing there");
	if (mkdir(dir, 0700))
		abort();
}

static void test_holes(void)
{
	struct spool_opts opts = { .dir = dir, .limit = 1 << 20 };
	_cleanup_free_ uint8_t *zeros = calloc(1, 1 << 20);
	struct spool *s = begin(&opts);
	struct err e = ERR_INIT;
	struct source *f;
	struct stat st;
	unsigned int i;

	for (i = 0; i < 200; i++)
		if (spool_write(s, zeros, 1 << 20, &e))
			break;
	is_u64(i, 200, "zeros do not count");
	ok(!spool_write(s, "end", 3, &e) && !spool_end(s, NULL, true, &f, &e) && source_is_cut(f),
	   "an end, cut off");
	is_u64(source_size(f), (200u << 20) + 3, "they are there");
	ok(!fstat(source_get_fd(f), &st) && st.st_blocks < 2048, "and take no room");
	ok(!source_read(f, (200 << 20) - 5, zeros, 8, &e) && !memcmp(zeros, "\0\0\0\0\0end", 8),
	   "read over the border");
	source_close(f);
}

static void test_limit(void)
{
	struct spool_opts opts = { .dir = dir, .limit = 1000000 };
	_cleanup_free_ uint8_t *data = malloc(1000001);
	struct err e = ERR_INIT;
	struct spool *s = begin(&opts);
	struct source *f;

	memset(data, 7, 1000001);
	ok(!spool_write(s, data, 1000000, &e) && !spool_end(s, NULL, false, &f, &e) &&
		   source_size(f) == 1000000,
	   "up to the limit");
	source_close(f);
	s = begin(&opts);
	ok((spool_write(s, data, 1000001, &e) || spool_end(s, NULL, false, &f, &e)) &&
		   e.code == ERR_NOSPACE && strstr(e.text, "--spool-limit"),
	   "not beyond: %s", e.text);
}

/* A disk that is full, as the system says it. */
static void test_full(void)
{
	struct rlimit old, small = { .rlim_cur = 1 << 20 };
	struct spool_opts opts = { .dir = dir };
	struct spool *s = begin(&opts);
	struct err e = ERR_INIT;

	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	memset(pattern, 5, 3 << 20);
	ok(spool_write(s, pattern, 3 << 20, &e) == -1 && e.code == ERR_NOSPACE &&
		   strstr(e.text, "--spool-dir"),
	   "no room: %s", e.text);
	setrlimit(RLIMIT_FSIZE, &old);
	spool_abort(s);
	spool_abort(NULL);
}

static void test_nowhere(void)
{
	struct spool_opts opts = { .dir = "/proc/self" };
	volatile int stop = 1;
	struct err e = ERR_INIT;
	struct spool *s;

	ok(spool_begin("input", "xz", &opts, &s, &e) == -1 && strstr(e.text, "--spool-dir") &&
		   strstr(e.text, "/proc/self"),
	   "a place where no file can be made: %s", e.text);
	opts = (struct spool_opts){ .dir = "/nowhere/at/all" };
	ok(spool_begin("input", "xz", &opts, &s, &e) == -1 && e.code == ERR_IO,
	   "a place that does not exist: %s", e.text);
	opts = (struct spool_opts){ .dir = dir, .interrupted = &stop };
	s = begin(&opts);
	ok(spool_write(s, "x", 1, &e) == -1 && e.code == ERR_INTERRUPTED, "interrupted");
	spool_abort(s);
}

static int pipe_fd[2];

static void *feed(void *arg)
{
	size_t at = 0;

	(void)arg;
	while (at < SIZE) {
		ssize_t n = write(pipe_fd[1], pattern + at, MIN((size_t)10007, SIZE - at));

		if (n < 0)
			break;
		at += (size_t)n;
	}
	close(pipe_fd[1]);
	return NULL;
}

static void test_pipe(int flags)
{
	struct spool_opts opts = { .dir = dir };
	struct err e = ERR_INIT;
	pthread_t thread;
	struct source *f;

	if (pipe(pipe_fd) || fcntl(pipe_fd[0], F_SETFL, flags))
		abort();
	pthread_create(&thread, NULL, feed, NULL);
	ok(!spool_fd(pipe_fd[0], "input", &opts, &f, &e) && is_pattern(f, SIZE),
	   flags ? "a pipe that does not block" : "a pipe");
	pthread_join(thread, NULL);
	close(pipe_fd[0]);
	source_close(f);
}

int main(void)
{
	if (!mkdtemp(dir))
		abort();
	make_pattern();
	test_round_trip();
	test_pipe(0);
	test_pipe(O_NONBLOCK);
	test_holes();
	test_limit();
	test_full();
	test_nowhere();
	ok(!rmdir(dir), "nothing is left behind");
	free(pattern);
	return done_testing();
}
