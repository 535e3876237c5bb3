/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/flat.c against a naive model: records in any order, on top of each other, cut off anywhere;
 * read in place, and put together.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "flat.h"
#include "log.h"
#include "tap.h"

#define ROOM (1u << 20) /* of the file that a stream stands for */

static char dir[] = "/tmp/test_flat.XXXXXX";
static char path[64];

static uint64_t random_state = 5;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* ---- what listens ---- */

static unsigned int nr_warnings;
static char last_warning[512];

static void hear(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	nr_warnings += level == LOG_WARN;
	snprintf(last_warning, sizeof(last_warning), "%s", text);
}

static struct log ear = { .emit = hear };
static const struct spool_opts spool = { .log = &ear };

/* ---- streams, and what they stand for ---- */

struct stream {
	uint8_t *data;
	size_t len, room;
	uint8_t *file, *held; /* held: the byte is in a record */
	uint64_t end;	      /* of the file */
};

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static uint8_t *stream_more(struct stream *s, size_t len)
{
	while (s->len + len > s->room) {
		s->room = s->room ? s->room * 2 : 65536;
		s->data = need(realloc(s->data, s->room));
	}
	s->len += len;
	return s->data + s->len - len;
}

static void put_head(struct stream *s, uint64_t off, uint64_t size)
{
	struct bytes_out o = { .data = stream_more(s, 16), .size = 16, .order = ORDER_BE };

	out_uint(&o, off, 8);
	out_uint(&o, size, 8);
}

static void begin_typed(struct stream *s, uint64_t type, uint64_t version)
{
	struct bytes_out o = { .size = 32, .order = ORDER_BE };

	*s = (struct stream){ .len = 0 };
	o.data = memset(stream_more(s, FLAT_HEADER_SIZE), 0, FLAT_HEADER_SIZE);
	out_bytes(&o, FLAT_MAGIC, FLAT_MAGIC_LEN);
	out_uint(&o, type, 8);
	out_uint(&o, version, 8);
	s->file = need(calloc(1, ROOM));
	s->held = need(calloc(1, ROOM));
}

static void begin(struct stream *s)
{
	begin_typed(s, 1, 1);
}

static void put_record(struct stream *s, uint64_t off, size_t size)
{
	uint8_t *to;
	size_t i;

	put_head(s, off, size);
	to = stream_more(s, size);
	for (i = 0; i < size; i++)
		to[i] = (uint8_t)(1 + random_below(255));
	memcpy(s->file + off, to, size);
	memset(s->held + off, 1, size);
	if (size)
		s->end = MAX(s->end, off + size);
}

static void put_end(struct stream *s)
{
	put_head(s, UINT64_MAX, UINT64_MAX);
}

static void stream_free(struct stream *s)
{
	free(s->data);
	free(s->file);
	free(s->held);
}

/* NR records, of up to MAX bytes, in no order; some touch each other, most overlap. */
static void put_random(struct stream *s, unsigned int nr, uint32_t max, uint32_t room)
{
	uint64_t next = 0;

	while (nr--) {
		uint32_t size = random_below(10) ? random_below(max) + 1 : 0;
		uint64_t off = random_below(4) ? random_below(room - max) : next;

		if (off + size > room)
			off = 0;
		put_record(s, off, size);
		next = off + size;
	}
}

/* ---- the index ---- */

static struct source *open_flat(const void *data, size_t len, struct err *e)
{
	struct source *under = need(source_memory("stream", data, len)), *s;

	nr_warnings = 0;
	if (!flat_opener.open(under, &spool, &s, e))
		return s;
	source_close(under);
	return NULL;
}

/* Does a read of LEN bytes at OFF give what the model has, up to the first byte that is in no
 * record? */
static bool read_good(struct source *f, const struct stream *s, uint64_t off, size_t len)
{
	_cleanup_free_ uint8_t *buf = need(malloc(len + 1));
	struct err e = ERR_INIT;
	size_t got, want = 0;
	int os;

	while (want < len && off + want < s->end && s->held[off + want])
		want++;
	got = source_read_some(f, off, buf, len, &os);
	if (got != want || memcmp(buf, s->file + off, got))
		return false;
	if ((os != 0) != (want < len && off + want < s->end))
		return false;
	return source_read(f, off, buf, len, &e) == (want < len ? -1 : 0) &&
	       (want == len || e.code == ERR_UNREADABLE);
}

static unsigned int wrong_reads(struct source *f, const struct stream *s, unsigned int nr)
{
	unsigned int bad = source_size(f) != s->end;
	uint64_t at = 0;

	while (nr--) {
		uint64_t off = random_below((uint32_t)s->end + 10);

		bad += !read_good(f, s, off, random_below(random_below(2) ? 100 : 20000));
	}
	for (; at < s->end; at += 4096)
		bad += !read_good(f, s, at, 4096);
	return bad;
}

static void test_random(void)
{
	unsigned int i, bad = 0;

	for (i = 0; i < 60; i++) {
		struct err e = ERR_INIT;
		struct source *f;
		struct stream s;

		begin(&s);
		put_random(&s, 1 + random_below(i < 30 ? 30 : 900), i % 2 ? 3000 : 40,
			   i % 3 ? 60000 : ROOM);
		put_end(&s);
		f = s.end ? open_flat(s.data, s.len, &e) : NULL;
		if (f)
			bad += wrong_reads(f, &s, 200) + nr_warnings + source_is_cut(f);
		bad += !f && s.end;
		source_close(f);
		stream_free(&s);
	}
	is_u64(bad, 0, "records in no order, overlapping: the last one wins, gaps cannot be read");
}

static void test_order(void)
{
	struct err e = ERR_INIT;
	unsigned int bad = 0, i;
	struct source *f;
	struct stream s;

	begin(&s);
	for (i = 0; i < 1000; i++)
		put_record(&s, 1000 * i, 1000);
	put_end(&s);
	f = open_flat(s.data, s.len, &e);
	bad += !f || wrong_reads(f, &s, 1000);
	source_close(f);
	stream_free(&s);
	begin(&s);
	for (i = 1000; i--;)
		put_record(&s, 1000 * i, 1000);
	for (i = 0; i < 300; i++) /* large ones over small ones over a large one */
		put_record(&s, 100 * i, i % 3 ? 7 : 30000);
	put_end(&s);
	f = open_flat(s.data, s.len, &e);
	bad += !f || wrong_reads(f, &s, 1000);
	is_u64(bad, 0, "in order, and the last one first");
	ok(f && !strcmp(source_kind(f), "flattened") && source_under(f) &&
		   !strcmp(source_name(f), "stream"),
	   "it has the name of what it lies over");
	source_close(f);
	stream_free(&s);
}

/* What follows the end record is ignored. */
static void test_garbage(void)
{
	struct err e = ERR_INIT;
	struct source *f;
	struct stream s;

	begin(&s);
	put_random(&s, 50, 500, 20000);
	put_end(&s);
	memset(stream_more(&s, 70000), 0x5a, 70000);
	f = open_flat(s.data, s.len, &e);
	ok(f && !wrong_reads(f, &s, 100) && !source_is_cut(f) && !nr_warnings,
	   "garbage behind the end");
	source_close(f);
	stream_free(&s);
}

/* Is ERR what a stream that is no good gets? */
static bool refused(const void *data, size_t len, enum err_code code)
{
	struct err e = ERR_INIT;
	struct source *f = open_flat(data, len, &e);

	source_close(f);
	return !f && e.code == code && strstr(e.text, "stream");
}

static void test_header(void)
{
	static const uint64_t other[] = { 0, 2, 1ULL << 32, UINT64_MAX };
	unsigned int i, bad = 0;
	struct stream s;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		begin_typed(&s, other[i], 1);
		put_record(&s, 0, 100);
		bad += !refused(s.data, s.len, ERR_UNSUPPORTED);
		stream_free(&s);
		begin_typed(&s, 1, other[i]);
		bad += !refused(s.data, s.len, ERR_UNSUPPORTED);
		stream_free(&s);
	}
	is_u64(bad, 0, "another type or version");
	begin(&s);
	for (i = 0; i <= FLAT_HEADER_SIZE; i++)
		bad += !refused(s.data, i, ERR_CORRUPT);
	is_u64(bad, 0, "nothing but a header, or a part of one");
	put_end(&s);
	ok(refused(s.data, s.len, ERR_CORRUPT), "a stream of nothing");
	stream_free(&s);
}

/* A record that makes no sense, after some that do. */
static void test_nonsense(void)
{
	static const uint64_t numbers[][2] = {
		{ UINT64_MAX, 0 },	    { UINT64_MAX, 100 }, { 0, UINT64_MAX },
		{ 1ULL << 63, 0 },	    { 0, 1ULL << 63 },	 { INT64_MAX, 1 },
		{ 1ULL << 62, 1ULL << 62 }, { 4096, -4096ULL },
	};
	unsigned int i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct err e = ERR_INIT;
		struct source *f;
		struct stream s;

		begin(&s);
		put_record(&s, 3000, 1000);
		put_record(&s, 0, 2000);
		put_head(&s, numbers[i][0], numbers[i][1]);
		memset(stream_more(&s, 5000), 0, 5000);
		f = open_flat(s.data, s.len, &e);
		bad += !f || !source_is_cut(f) || wrong_reads(f, &s, 50) || nr_warnings != 1 ||
		       !strstr(last_warning, "0x1bd8") || !strstr(last_warning, "stream: ");
		source_close(f);
		stream_free(&s);
	}
	is_u64(bad, 0, "negative numbers and places beyond 2^63");
	printf("# %s\n", last_warning);
}

/* The model of what the first LEN bytes of a stream hold. */
static void cut_model(const struct stream *s, size_t len, struct stream *ret)
{
	size_t at = FLAT_HEADER_SIZE;

	begin(ret);
	while (at + 16 <= len) {
		uint64_t off = load_u64(s->data + at, ORDER_BE);
		size_t size = (size_t)load_u64(s->data + at + 8, ORDER_BE);
		size_t n = MIN(size, len - at - 16);

		if (off == UINT64_MAX)
			break;
		memcpy(ret->file + off, s->data + at + 16, n);
		memset(ret->held + off, 1, n);
		if (n)
			ret->end = MAX(ret->end, off + n);
		at += 16 + size;
	}
}

static void test_cut(void)
{
	unsigned int bad = 0, opened = 0;
	struct stream s;
	size_t len;

	begin(&s);
	put_random(&s, 12, 60, 500);
	put_end(&s);
	for (len = FLAT_HEADER_SIZE; len < s.len; len++) {
		struct err e = ERR_INIT;
		struct source *f = open_flat(s.data, len, &e);
		struct stream model;

		cut_model(&s, len, &model);
		opened += f != NULL;
		if (f)
			bad += wrong_reads(f, &model, 20) + !source_is_cut(f) + (nr_warnings != 1);
		else
			bad += model.end != 0 || e.code != ERR_CORRUPT;
		source_close(f);
		stream_free(&model);
	}
	is_u64(bad, 0, "cut off anywhere, what came before is used");
	ok(opened + 100 > s.len - FLAT_HEADER_SIZE, "%u of them could be", opened);
	stream_free(&s);
}

/* A stream in a stream in a stream, the outer ones in small records. */
static void wrap(const struct stream *s, struct stream *ret)
{
	size_t at = 0;

	begin(ret);
	while (at < s->len) {
		size_t n = MIN((size_t)random_below(5000) + 1, s->len - at);

		put_record(ret, at, n);
		memcpy(ret->data + ret->len - n, s->data + at, n);
		at += n;
	}
	put_end(ret);
}

static void test_nested(void)
{
	static const struct opener *const openers[] = { &flat_opener, NULL };
	struct stream inner, middle, outer;
	struct err e = ERR_INIT;
	struct source *f;

	begin(&inner);
	put_random(&inner, 200, 1000, 30000);
	put_end(&inner);
	wrap(&inner, &middle);
	wrap(&middle, &outer);
	f = need(source_memory("stream", outer.data, outer.len));
	ok(!source_unwrap(&f, openers, &spool, &e) && !wrong_reads(f, &inner, 300),
	   "streams in streams");
	source_close(f);
	f = need(source_memory("stream", outer.data, outer.len - 30));
	nr_warnings = 0;
	ok(!source_unwrap(&f, openers, &spool, &e) && source_is_cut(f) && nr_warnings,
	   "the outer one cut off cuts the inner one: %s", last_warning);
	source_close(f);
	stream_free(&inner);
	stream_free(&middle);
	stream_free(&outer);
}

#define MILLION 1000000u

/* A million records of one byte, the last one first: they are one file, and fast to be read. */
static void test_million(void)
{
	struct err e = ERR_INIT;
	struct source *f;
	struct stream s;
	unsigned int i;

	begin(&s);
	for (i = MILLION; i--;)
		put_record(&s, i, 1);
	for (i = 0; i < MILLION; i += 10)
		put_record(&s, i, 3);
	put_end(&s);
	alarm(300); /* it takes a second, unless it is quadratic */
	f = open_flat(s.data, s.len, &e);
	ok(f && !wrong_reads(f, &s, 1000), "a million records, %u on top of them", MILLION / 10);
	alarm(0);
	source_close(f);
	stream_free(&s);
}

struct reading {
	struct source *f;
	const struct stream *s;
	unsigned int bad;
};

static void *read_much(void *arg)
{
	struct reading *r = arg;
	uint8_t buf[5000];
	uint64_t off;
	int os;

	for (off = 0; off + sizeof(buf) < r->s->end; off += 1234) {
		size_t n = source_read_some(r->f, off, buf, sizeof(buf), &os);

		r->bad += memcmp(buf, r->s->file + off, n) != 0;
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[4];
	struct reading jobs[4];
	struct err e = ERR_INIT;
	struct source *f;
	struct stream s;
	unsigned int i, bad = 0;

	begin(&s);
	put_random(&s, 5000, 3000, ROOM);
	put_end(&s);
	f = need(open_flat(s.data, s.len, &e));
	for (i = 0; i < 4; i++) {
		jobs[i] = (struct reading){ .f = f, .s = &s };
		pthread_create(&threads[i], NULL, read_much, &jobs[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		bad += jobs[i].bad;
	}
	is_u64(bad, 0, "four threads at a time");
	source_close(f);
	stream_free(&s);
}

/* ---- putting together ---- */

struct feeding {
	int fd;
	const uint8_t *data;
	size_t len;
	bool stay_open;
};

/* Write in pieces of any size. */
static void *feed(void *arg)
{
	struct feeding *f = arg;
	size_t at = 0;

	while (at < f->len) {
		size_t piece = at % 3 ? 1 + at * 7919 % 5000 : 200000;
		size_t n = MIN(piece, f->len - at);
		ssize_t done = write(f->fd, f->data + at, n);

		if (done < 0)
			break;
		at += (size_t)done;
	}
	if (!f->stay_open)
		close(f->fd);
	return NULL;
}

/* Put a stream together out of a pipe; *good: it has become the model. */
static int rearrange(const void *data, size_t len, bool stay_open, const struct stream *model,
		     struct flat_result *r, bool *good, struct err *e)
{
	_cleanup_free_ uint8_t *got = need(calloc(1, ROOM));
	struct sink *out;
	struct feeding f = { .data = data, .len = len, .stay_open = stay_open };
	pthread_t thread;
	int fds[2], rc, fd;

	if (pipe(fds) || sink_file(path, SINK_FORCE, &out, e))
		abort();
	f.fd = fds[1];
	pthread_create(&thread, NULL, feed, &f);
	rc = flat_rearrange(fds[0], "pipe", out, NULL, r, e);
	close(fds[0]);
	pthread_join(thread, NULL);
	if (stay_open)
		close(fds[1]);
	sink_close(out);
	fd = open(path, O_RDONLY);
	*good = model && read(fd, got, ROOM) == (ssize_t)model->end &&
		!memcmp(got, model->file, model->end) && r->end == model->end;
	close(fd);
	return rc;
}

static void test_rearrange(void)
{
	unsigned int i, bad = 0;
	struct flat_result r;
	struct err e = ERR_INIT;
	struct stream s;
	bool good;

	for (i = 0; i < 20; i++) {
		begin(&s);
		put_random(&s, 1 + random_below(500), i % 2 ? 200000 : 700, ROOM);
		put_end(&s);
		bad += rearrange(s.data, s.len, true, &s, &r, &good, &e) || !good || !r.complete ||
		       !r.records;
		stream_free(&s);
	}
	is_u64(bad, 0, "out of a pipe that stays open: the same file, nothing is waited for");
	begin(&s);
	put_end(&s);
	ok(!rearrange(s.data, s.len, false, &s, &r, &good, &e) && r.complete && !r.records,
	   "a stream of nothing is a file of nothing");
	stream_free(&s);
}

static void test_rearrange_cut(void)
{
	unsigned int bad = 0;
	struct stream s;
	size_t len;

	begin(&s);
	put_random(&s, 12, 60, 500);
	put_end(&s);
	for (len = 0; len < s.len; len += len < FLAT_HEADER_SIZE ? 31 : 1) {
		bool begun = len >= FLAT_HEADER_SIZE, good;
		struct err e = ERR_INIT;
		struct flat_result r;
		struct stream model;

		cut_model(&s, len, &model);
		bad += rearrange(s.data, len, false, &model, &r, &good, &e) != (begun ? 0 : -1) ||
		       e.code != ERR_CORRUPT || !strstr(e.text, "pipe") || !good || r.complete;
		stream_free(&model);
	}
	is_u64(bad, 0, "a stream that is cut off: what came is there, and it is said");
	stream_free(&s);
}

static void test_rearrange_refused(void)
{
	struct err e = ERR_INIT;
	struct flat_result r;
	struct stream s;
	bool good;

	ok(rearrange("KDUMP   and more of it, some header", 33, true, NULL, &r, &good, &e) == -1 &&
		   e.code == ERR_UNSUPPORTED,
	   "what is no stream is told after its first bytes: %s", e.text);
	begin(&s);
	put_record(&s, 0, 100);
	put_head(&s, 77, -2ULL);
	ok(!rearrange(s.data, s.len, true, &s, &r, &good, &e) && e.code == ERR_CORRUPT && good &&
		   !r.complete && r.records == 1 && r.bytes == 100,
	   "nonsense ends it: %s", e.text);
	stream_free(&s);
}

/* What the sink says, and what the user wants. */
static void test_rearrange_failed(void)
{
	volatile int stop = 1;
	struct flat_result r;
	struct err e = ERR_INIT;
	struct sink *out;
	struct stream s;
	int fd;

	begin(&s);
	put_record(&s, 0, 100000);
	put_record(&s, 500000, 500000);
	put_end(&s);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (write(fd, s.data, s.len) != (ssize_t)s.len || sink_null("nowhere", &out, &e))
		abort();
	sink_set_limit(out, 900000);
	lseek(fd, 0, SEEK_SET);
	ok(flat_rearrange(fd, "file", out, NULL, &r, &e) == -1 && e.code == ERR_NOSPACE,
	   "the sink is full: %s", e.text);
	sink_set_limit(out, 0);
	lseek(fd, 0, SEEK_SET);
	ok(!flat_rearrange(fd, "file", out, NULL, &r, &e) && r.complete && r.bytes == 600000 &&
		   r.end == 1000000 && r.records == 2,
	   "out of a file");
	lseek(fd, 0, SEEK_SET);
	ok(flat_rearrange(fd, "file", out, &stop, &r, &e) == -1 && e.code == ERR_INTERRUPTED,
	   "the user does not want any more");
	sink_close(out);
	close(fd);
	stream_free(&s);
}

int main(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/out", dir);
	signal(SIGPIPE, SIG_IGN);
	test_random();
	test_order();
	test_garbage();
	test_header();
	test_nonsense();
	test_cut();
	test_nested();
	test_million();
	test_threads();
	test_rearrange();
	test_rearrange_cut();
	test_rearrange_refused();
	test_rearrange_failed();
	unlink(path);
	rmdir(dir);
	return done_testing();
}
