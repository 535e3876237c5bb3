/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/source.c: windows reach as far as they promise, by any way of reading. Files that shrink are
 * in test_shrink.c. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "extents.h"
#include "source.h"
#include "tap.h"

#define SMALL 300001u
#define MAX_WINDOW (64ull << 20) /* "of bounded size" */
#define CELL (4ull << 20)	 /* the smallest grid; a larger one is made of these */
#define LARGE (9 * CELL + 12345)

static char dir[] = "/tmp/test_source.XXXXXX";
static char path[64];
static uint8_t pattern[SMALL];

static void write_at(uint64_t off, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || pwrite(fd, p, len, (off_t)off) != (ssize_t)len || close(fd))
		abort();
}

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

/* ---- windows ---- */

/* A window at OFF: holds OFF, reaches SOURCE_SLACK beyond it or to the end, and is the file. */
static bool window_good(struct source *s, uint64_t off, const uint8_t *content, uint64_t size)
{
	struct err e = ERR_INIT;
	struct window w;
	bool good;

	if (source_get(s, off, SOURCE_SLACK, &w, &e))
		return false;
	good = w.data && w.off <= off && w.off + w.len <= size &&
	       w.off + w.len >= MIN(off + SOURCE_SLACK, size) && w.len <= MAX_WINDOW &&
	       (!content || !memcmp(w.data, content + w.off, w.len));
	source_put(&w);
	return good && !w.data;
}

static void check_windows(struct source *s, const char *what)
{
	uint8_t buf[100];
	struct err e = ERR_INIT;
	struct window w;
	unsigned int bad = 0;
	uint64_t off;

	is_u64(source_size(s), SMALL, what);
	for (off = 0; off < SMALL; off += 511)
		bad += !window_good(s, off, pattern, SMALL);
	bad += !window_good(s, SMALL - 1, pattern, SMALL);
	is_u64(bad, 0, "every window holds what it should");
	ok(source_get(s, SMALL, SOURCE_SLACK, &w, &e) == -1 && e.code == ERR_UNREADABLE &&
		   source_get(s, UINT64_MAX, SOURCE_SLACK, &w, &e) == -1 &&
		   e.code == ERR_UNREADABLE,
	   "no window past the end: %s", e.text);
	ok(!source_read(s, 4567, buf, 100, &e) && !memcmp(buf, pattern + 4567, 100), "read");
	ok(!source_read(s, SMALL - 100, buf, 100, &e) && !memcmp(buf, pattern + SMALL - 100, 100),
	   "to the very end");
	ok(source_read(s, SMALL - 99, buf, 100, &e) == -1 && e.code == ERR_UNREADABLE &&
		   (strstr(e.text, "0x493e1") || strstr(e.text, "0x4937e")),
	   "not beyond: %s", e.text);
	ok(source_read(s, UINT64_MAX - 10, buf, 100, &e) == -1 && e.code == ERR_UNREADABLE,
	   "nor where no file is: %s", e.text);
	ok(!source_read(s, SMALL, buf, 0, &e), "nothing can always be read");
	source_close(s);
}

static void test_windows(void)
{
	write_at(0, pattern, SMALL);
	check_windows(open_source(SOURCE_MMAP), "a mapped file");
	check_windows(open_source(SOURCE_NO_MMAP), "a file that is read");
	check_windows(source_memory("memory", pattern, SMALL), "memory");
}

/* Around the borders of cells, where a window must reach into the next. */
static void test_cells(unsigned int flags)
{
	static const uint64_t marks[] = { 0,	    CELL - 4096,  CELL - 1, CELL, CELL + 70000,
					  4 * CELL, 8 * CELL - 1, LARGE - 1 };
	struct err e = ERR_INIT;
	unsigned int bad = 0;
	struct source *s;
	struct window w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(marks); i++)
		write_at(marks[i], &"01234567"[i], 1);
	s = open_source(flags);
	if (flags == SOURCE_NO_MMAP)
		ok(!source_maps(s), "it is not mapped when that is asked for");
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		bad += !window_good(s, marks[i], NULL, LARGE);
		if (source_get(s, marks[i], SOURCE_SLACK, &w, &e))
			abort();
		bad += w.data[marks[i] - w.off] != "01234567"[i];
		source_put(&w);
	}
	/* One page of any size that begins in a window ends in it. */
	for (i = 0; i < 8 * 48; i++)
		bad += !window_good(s, (i / 48 + 1) * CELL - 2 * 65536 + i % 48 * 4096, NULL,
				    LARGE);
	is_u64(bad, 0, flags == SOURCE_NO_MMAP ? "borders, read" : "borders, mapped");
	source_close(s);
}

/* A window of just the length that is asked for, wherever it begins. */
static void test_exact(struct source *s, const char *what)
{
	static const struct {
		uint64_t off;
		size_t len;
	} good[] = { { 0, 1 }, { 0, SMALL }, { 4095, 4098 }, { 12289, 200000 }, { SMALL - 1, 1 } },
	  wrong[] = { { SMALL, 1 },
		      { 0, SMALL + 1 },
		      { 1, SMALL },
		      { 5, SIZE_MAX - 2 },
		      { UINT64_MAX, 1 } };
	unsigned int bad = 0;
	struct err e = ERR_INIT;
	struct window w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		bad += source_get_exact(s, good[i].off, good[i].len, &w, &e) ||
		       w.off != good[i].off || w.len != good[i].len ||
		       memcmp(w.data, pattern + w.off, w.len);
		source_put(&w);
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		bad += !source_get_exact(s, wrong[i].off, wrong[i].len, &w, &e) ||
		       e.code != ERR_UNREADABLE;
	is_u64(bad, 0, what);
	source_close(s);
}

/* More windows than there are places for the signal handler: the rest is read. */
static void test_many(void)
{
	static struct window w[1100];
	struct err e = ERR_INIT;
	struct source *s = open_source(SOURCE_MMAP);
	unsigned int bad = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(w); i++)
		bad += source_get(s, 1000 * (i % 100), SOURCE_SLACK, &w[i], &e) ||
		       w[i].data[1000 * (i % 100) - w[i].off] != pattern[1000 * (i % 100)];
	is_u64(bad, 0, "1100 windows at a time");
	for (i = 0; i < ARRAY_SIZE(w); i++)
		source_put(&w[i]);
	source_put(&w[0]);
	ok(window_good(s, 0, pattern, SMALL), "and after that, one more");
	source_close(s);
}

/* ---- what can be opened ---- */

static void test_open(void)
{
	char other[80], sub[80];
	struct err e = ERR_INIT;
	struct source *s = open_source(SOURCE_MMAP);
	uint8_t buf[64];

	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(sub, sizeof(sub), "%s/none", dir);
	if (link(path, other))
		abort();
	ok(source_is_path(s, path) && source_is_path(s, other), "known by any of its names");
	ok(source_maps_windows(s), "it is mapped");
	ok(!source_is_path(s, "/dev/null") && !source_is_path(s, sub), "and no other");
	ok(!strcmp(source_name(s), path), "and it has one");
	source_close(s);
	unlink(other);
	ok(source_open(sub, 0, &s, &e) == -1 && e.code == ERR_IO && strstr(e.text, sub),
	   "no file: %s", e.text);
	ok(source_open(dir, 0, &s, &e) == -1 && e.code == ERR_UNSUPPORTED, "a directory: %s",
	   e.text);
	if (mkfifo(other, 0600))
		abort();
	ok(source_open(other, 0, &s, &e) == -1 && e.code == ERR_UNSUPPORTED,
	   "a FIFO, without waiting: %s", e.text);
	unlink(other);
	ok(!source_open("/dev/zero", 0, &s, &e) && source_size(s) == UINT64_MAX &&
		   !source_read(s, 1ULL << 40, buf, 64, &e) && buf[63] == 0,
	   "a device that does not tell its length");
	source_close(s);
}

static void make_dump(struct dump *d, unsigned int flags)
{
	struct err e = ERR_INIT;

	*d = (struct dump){ .id = { .page_size = 4096 }, .source = open_source(flags) };
	if (extents_add(d, 0, 64 * 4096, 64 * 4096, 0, &e) || d->map->set_page_size(d, &e))
		abort();
}

/* Views reach as far as their window and no further, page by page all of it is right. */
static void test_views(unsigned int flags)
{
	struct err e = ERR_INIT;
	unsigned int bad = 0;
	uint64_t pfn;
	struct reader r;
	struct dump d;
	struct view v;

	write_at(0, pattern, SMALL);
	make_dump(&d, flags);
	reader_init(&r, &d);
	for (pfn = 0; pfn < 64; pfn++)
		bad += reader_view(&r, SPACE_PHYS, pfn, 64 - pfn, &v, &e) || !v.nr ||
		       v.nr > 64 - pfn || memcmp(v.data, pattern + pfn * 4096, v.nr * 4096);
	is_u64(bad, 0,
	       flags == SOURCE_NO_MMAP ? "views of a file that is read" : "views of a mapped file");
	reader_fini(&r);
	d.map->free(&d);
	source_close(d.source);
}

int main(void)
{
	size_t i;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/file", dir);
	for (i = 0; i < SMALL; i++)
		pattern[i] = (uint8_t)(1 + (i * 7 + i / 255) % 255);
	test_windows();
	test_exact(open_source(SOURCE_MMAP), "exact windows of a mapped file");
	test_exact(open_source(SOURCE_NO_MMAP), "of one that is read");
	test_exact(source_memory("memory", pattern, SMALL), "of memory");
	test_many();
	test_open();
	test_views(SOURCE_MMAP);
	test_views(SOURCE_NO_MMAP);
	unlink(path);
	test_cells(SOURCE_MMAP);
	test_cells(SOURCE_NO_MMAP);
	unlink(path);
	rmdir(dir);
	return done_testing();
}
