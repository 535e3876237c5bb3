/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that shrinks while it is open: what is gone becomes zeros and is told (lib/source.c),
 * never passes for data (lib/dump.c), and does not stop a write (lib/sink.c). */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "extents.h"
#include "sigbus.h"
#include "sink.h"
#include "source.h"
#include "tap.h"

#define SIZE 300001u

static char dir[] = "/tmp/test_shrink.XXXXXX";
static char path[64], out[64];
static uint8_t pattern[SIZE];

static struct source *open_source(unsigned int flags)
{
	struct err e = ERR_INIT;
	struct source *s;

	if (source_open(path, flags, &s, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return s;
}

/* The file as it was at first. */
static void restore(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, pattern, SIZE) != (ssize_t)SIZE || close(fd))
		abort();
}

static void shrink(size_t len)
{
	if (truncate(path, (off_t)len))
		abort();
}

static void test_shrink(unsigned int flags)
{
	struct source *s;
	struct err e = ERR_INIT;
	uint64_t before = source_my_faults(), after;
	uint8_t buf[16];
	struct window w;

	restore();
	s = open_source(flags);
	if (flags == SOURCE_NO_MMAP)
		shrink(8192);
	if (source_get(s, 0, SOURCE_WINDOW_MAX, &w, &e))
		abort();
	shrink(8192);
	ok(!memcmp(w.data, pattern, 8192), "what is left is there");
	ok(w.data[8192] == 0 && w.data[20000] == 0 && w.data[100000] == 0, "what is gone is zeros");
	after = source_my_faults();
	ok(after >= before + 3, "and counted");
	ok(w.data[8200] == 0 && source_my_faults() == after, "each page once");
	ok(source_read(s, 8190, buf, 16, &e) == -1 && e.code == ERR_UNREADABLE, "read() says: %s",
	   e.text);
	source_put(&w);
	source_close(s);
}

static void make_dump(struct dump *d, unsigned int flags)
{
	struct err e = ERR_INIT;

	*d = (struct dump){ .id = { .page_size = 4096 }, .source = open_source(flags) };
	if (extents_add(d, 0, 64 * 4096, 64 * 4096, 0, &e) || d->map->set_page_size(d, &e))
		abort();
}

/* Zeros in place of a lost page are not data for anyone who asks properly, now or later. */
static void test_reader(unsigned int flags)
{
	uint64_t before = source_my_faults();
	struct err e = ERR_INIT;
	uint8_t page[4096];
	struct reader r;
	struct dump d;
	struct view v;

	restore();
	make_dump(&d, flags);
	reader_init(&r, &d);
	ok(!reader_view(&r, SPACE_PHYS, 0, 1, &v, &e) && !memcmp(v.data, pattern, 4096), "a page");
	shrink(4 * 4096);
	if (flags == SOURCE_NO_MMAP)
		reader_fini(&r); /* has it in memory */
	ok(!reader_view(&r, SPACE_PHYS, 40, 1, &v, &e) && v.data[0] == 0 &&
		   source_my_faults() > before,
	   "a lost page looks like zeros, and is told");
	ok(reader_page(&r, SPACE_PHYS, 40, page, &e) == -1 && e.code == ERR_UNREADABLE,
	   "asked exactly it is not there: %s", e.text);
	ok(!reader_page(&r, SPACE_PHYS, 3, page, &e) && !memcmp(page, pattern + 3 * 4096, 4096),
	   "one that is left is");
	ok(reader_read(&r, SPACE_PHYS, 50 * 4096 + 5, page, 10, &e) == -1 &&
		   e.code == ERR_UNREADABLE,
	   "nor can its bytes be read: %s", e.text);
	restore();
	ok(!reader_read(&r, SPACE_PHYS, 40 * 4096, page, 4096, &e) &&
		   !memcmp(page, pattern + 40 * 4096, 4096),
	   "once it is back, the zeros are forgotten");
	reader_fini(&r);
	d.map->free(&d);
	source_close(d.source);
}

/* The last bytes go, inside of a page: mapped, zeros are in their place without any fault. */
static void test_last_page(unsigned int flags)
{
	uint64_t before = source_my_faults();
	struct dump d = { .id = { .page_size = 4096 }, .nr_sources = 1 };
	struct err e = ERR_INIT;
	uint8_t page[4096];
	struct reader r;
	struct view v;

	restore();
	shrink(64 * 4096);
	d.source = open_source(flags);
	d.sources = &d.source;
	if (extents_add(&d, 0, 64 * 4096, 64 * 4096, 0, &e) || d.map->set_page_size(&d, &e))
		abort();
	reader_init(&r, &d);
	ok(!dump_view_lost(&d, before), "nothing is lost yet");
	shrink(63 * 4096 + 100);
	ok(!reader_view(&r, SPACE_PHYS, 63, 1, &v, &e) && v.data[100] == 0 &&
		   dump_view_lost(&d, before),
	   "what is gone of the last page looks like zeros, and is told");
	ok(reader_page(&r, SPACE_PHYS, 63, page, &e) == -1 && e.code == ERR_UNREADABLE,
	   "asked exactly it is not there: %s", e.text);
	reader_fini(&r);
	d.map->free(&d);
	source_close(d.source);
}

/* A fault in a mapping that is not a source's kills, as it would without us, also beside one that
 * is. */
static void test_foreign(void)
{
	int status;
	pid_t pid;

	restore();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDONLY);
		volatile uint8_t *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
		struct source *s = open_source(SOURCE_MMAP);
		struct err e = ERR_INIT;
		struct window w; /* below the other: mappings grow downwards */

		shrink(4096);
		_exit(source_get(s, 0, SOURCE_SLACK, &w, &e) || w.data[8192] || p[100000]);
	}
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
	   "a fault that is not ours is not hidden");
}

/* But between source_guard() calls, for libraries, it is dealt with as one of ours. */
static void test_guard(void)
{
	uint64_t before = source_my_faults();
	volatile uint8_t *p;
	int fd;

	restore();
	source_close(open_source(SOURCE_MMAP)); /* for the handler */
	fd = open(path, O_RDONLY);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		abort();
	shrink(4096);
	source_guard(true);
	ok(p[0] == pattern[0] && p[100000] == 0 && source_my_faults() == before + 1,
	   "a library's mapping, guarded: zeros, and counted");
	source_guard(false);
	munmap((void *)p, SIZE);
	close(fd);
}

/* ---- threads ---- */

static struct source *shared;
static pthread_barrier_t barrier;

struct job {
	unsigned int bad;
	uint64_t faults;
	bool touch_lost;
};

static void *read_windows(void *arg)
{
	struct job *j = arg;
	struct err e = ERR_INIT;
	unsigned int i;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < 200; i++) {
		uint64_t off = j->touch_lost ? 20000 + i * 100 : i * 80;
		struct window w;

		if (source_get(shared, off, SOURCE_SLACK, &w, &e))
			abort();
		j->bad += w.data[off - w.off] != (j->touch_lost ? 0 : pattern[off]);
		source_put(&w);
	}
	j->faults = source_my_faults();
	return NULL;
}

static void test_threads(void)
{
	struct job jobs[4] = {
		{ .touch_lost = true }, { .bad = 0 }, { .bad = 0 }, { .touch_lost = true }
	};
	unsigned int i, bad = 0;
	pthread_t threads[4];

	restore();
	shared = open_source(SOURCE_MMAP);
	shrink(4 * 4096);
	pthread_barrier_init(&barrier, NULL, 4);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_windows, &jobs[i]);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		bad += jobs[i].bad + (jobs[i].faults != (jobs[i].touch_lost ? 200 : 0));
	}
	is_u64(bad, 0, "four threads, two of them fault: each counts its own");
	pthread_barrier_destroy(&barrier);
	source_close(shared);
}

/* ---- writing what vanishes ---- */

static void test_write(size_t len, const char *what)
{
	_cleanup_free_ uint8_t *got = calloc(1, len);
	uint64_t before = source_my_faults();
	struct err e = ERR_INIT;
	struct source *in;
	struct iovec iov;
	struct window w;
	struct sink *s;
	int fd;

	restore();
	in = open_source(SOURCE_MMAP);
	if (source_get(in, 0, SOURCE_SLACK, &w, &e) || sink_file(out, 0, &s, &e))
		abort();
	shrink(8192);
	iov = (struct iovec){ .iov_base = (void *)w.data, .iov_len = len };
	ok(!sink_writev(s, 0, &iov, 1, &e) && !sink_commit(s, len, &e), "%s, is written", what);
	ok(source_my_faults() > before, "and told");
	fd = open(out, O_RDONLY);
	ok(read(fd, got, len) == (ssize_t)len && !memcmp(got, pattern, 8192) && got[8192] == 0 &&
		   got[len - 1] == 0,
	   "as zeros");
	close(fd);
	source_put(&w);
	source_close(in);
	sink_close(s);
	unlink(out);
}

int main(void)
{
	size_t i;

	if (!sigbus_works()) {
		printf("1..0 # SKIP a lost page cannot be replaced here\n");
		return 0;
	}
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/in", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	for (i = 0; i < SIZE; i++)
		pattern[i] = (uint8_t)(1 + (i * 7 + i / 255) % 255);
	test_shrink(SOURCE_MMAP);
	test_shrink(SOURCE_NO_MMAP);
	test_reader(SOURCE_MMAP);
	test_reader(SOURCE_NO_MMAP);
	test_last_page(SOURCE_MMAP);
	test_last_page(SOURCE_NO_MMAP);
	test_foreign();
	test_guard();
	test_threads();
	test_write(64 << 10, "what goes through the buffer");
	test_write(SIZE, "what does not");
	unlink(path);
	rmdir(dir);
	return done_testing();
}
