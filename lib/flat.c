/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "log.h"

#define RECORD_HEAD 16u
#define MAX_RECORDS ((size_t)1 << 26) /* an index of 1.5 GiB; QEMU writes one for 16 KiB or so */

/* ---- what both ways of reading share ---- */

enum record_kind { RECORD_DATA, RECORD_END, RECORD_BAD };

struct record {
	uint64_t off, size;
};

static enum record_kind parse_record(const uint8_t *raw, struct record *ret)
{
	ret->off = load_u64(raw, ORDER_BE);
	ret->size = load_u64(raw + 8, ORDER_BE);
	if (ret->off == UINT64_MAX && ret->size == UINT64_MAX)
		return RECORD_END;
	return ret->off > INT64_MAX || ret->size > INT64_MAX - ret->off ? RECORD_BAD : RECORD_DATA;
}

/* The first 32 bytes of a stream: magic, type, version. */
#define HEAD_NUMBERS 32u

static int check_header(const char *name, const uint8_t *raw, struct err *e)
{
	uint64_t type = load_u64(raw + 16, ORDER_BE), version = load_u64(raw + 24, ORDER_BE);

	if (memcmp(raw, FLAT_MAGIC, FLAT_MAGIC_LEN))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: is no flattened stream: it does not begin with 'makedumpfile'",
			       name);
	if (type != FLAT_TYPE || version != FLAT_VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: flattened stream of type %" PRIu64 ", version %" PRIu64
			       "; expected type %d, version %d",
			       name, type, version, FLAT_TYPE, FLAT_VERSION);
	return 0;
}

/* What ends a stream before its end: always ERR_CORRUPT. */

static int no_end(const char *name, uint64_t at, size_t have, struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		       "%s: the flattened stream has no end record: at offset 0x%" PRIx64
		       " a record of at least %u bytes is expected, %zu are there",
		       name, at, RECORD_HEAD, have);
}

static int no_sense(const char *name, uint64_t at, const struct record *r, struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		       "%s: the flattened stream breaks off: the record at offset 0x%" PRIx64
		       " is for offset %" PRId64 ", %" PRId64
		       " bytes; expected numbers that are not negative and end below 2^63",
		       name, at, (int64_t)r->off, (int64_t)r->size);
}

static int no_payload(const char *name, uint64_t at, const struct record *r, uint64_t have,
		      struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		       "%s: the flattened stream breaks off: the record at offset 0x%" PRIx64
		       " announces %" PRIu64 " bytes, %" PRIu64 " are there",
		       name, at, r->size, have);
}

/* ---- the index ---- */

/*
 * LEN bytes at OFF of the file that the stream stands for lie at AT of the stream. While records
 * are gathered AT also tells which of two came later.
 */
struct piece {
	uint64_t off, len, at;
};

static uint64_t piece_end(const struct piece *p)
{
	return p->off + p->len;
}

struct index {
	struct piece *pieces;
	size_t nr, room;
	uint64_t end; /* one past the highest byte */
	bool tidy;    /* pieces are ascending and none overlaps another */
};

static int index_add(struct index *x, const struct piece *p, const char *name, struct err *e)
{
	if (x->nr == MAX_RECORDS)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: the flattened stream has more than %zu records; put it "
			       "together with makedumpfile -R first",
			       name, MAX_RECORDS);
	if (x->nr == x->room) {
		size_t room = x->room ? x->room * 2 : 256;
		struct piece *more = reallocarray(x->pieces, room, sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "%s: no memory for %zu records", name, room);
		x->pieces = more;
		x->room = room;
	}
	x->tidy &= p->off >= x->end;
	x->end = MAX(x->end, piece_end(p));
	x->pieces[x->nr++] = *p;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Pieces that begin before the place of the sweep, the latest of them on top. */
struct heap {
	const struct piece *pieces;
	uint32_t *slots;
	size_t nr;
};

static bool heap_below(const struct heap *h, size_t i, size_t k)
{
	return h->pieces[h->slots[i]].at < h->pieces[h->slots[k]].at;
}

static void heap_swap(struct heap *h, size_t i, size_t k)
{
	uint32_t slot = h->slots[i];

	h->slots[i] = h->slots[k];
	h->slots[k] = slot;
}

static void heap_push(struct heap *h, uint32_t piece)
{
	size_t i = h->nr++;

	h->slots[i] = piece;
	for (; i && heap_below(h, (i - 1) / 2, i); i = (i - 1) / 2)
		heap_swap(h, i, (i - 1) / 2);
}

static void heap_pop(struct heap *h)
{
	size_t i = 0;

	h->slots[0] = h->slots[--h->nr];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < h->nr && heap_below(h, child, child + 1))
			child++;
		if (child >= h->nr || !heap_below(h, i, child))
			return;
		heap_swap(h, i, child);
		i = child;
	}
}

/* Bytes [FROM, TO) are those of P: one more piece, or a longer last one. */
static void add_part(struct index *x, const struct piece *p, uint64_t from, uint64_t to)
{
	struct piece *last = x->nr ? &x->pieces[x->nr - 1] : NULL;
	uint64_t at = p->at + (from - p->off);

	if (last && piece_end(last) == from && last->at + last->len == at)
		last->len += to - from;
	else
		x->pieces[x->nr++] = (struct piece){ .off = from, .len = to - from, .at = at };
}

/*
 * Sorted pieces that overlap become pieces that do not, the later one winning. Each step takes a
 * piece up or one away, so there are at most twice as many.
 */
static void sweep(const struct index *x, struct heap *h, struct index *out)
{
	uint64_t pos = 0;
	size_t i = 0;

	while (i < x->nr || h->nr) {
		const struct piece *top;
		uint64_t to;

		if (!h->nr)
			pos = x->pieces[i].off;
		for (; i < x->nr && x->pieces[i].off == pos; i++)
			heap_push(h, (uint32_t)i);
		top = &x->pieces[h->slots[0]];
		to = piece_end(top);
		if (i < x->nr)
			to = MIN(to, x->pieces[i].off);
		add_part(out, top, pos, to);
		pos = to;
		while (h->nr && piece_end(&x->pieces[h->slots[0]]) <= pos)
			heap_pop(h);
	}
}

static int index_untangle(struct index *x, const char *name, struct err *e)
{
	struct heap h = { .pieces = x->pieces };
	struct index out = { .end = x->end };

	h.slots = calloc(x->nr, sizeof(*h.slots));
	out.pieces = calloc(x->nr, 2 * sizeof(*out.pieces));
	if (!h.slots || !out.pieces) {
		free(h.slots);
		free(out.pieces);
		return err_set(e, ERR_NOMEM, "%s: no memory for %zu records", name, x->nr);
	}
	sweep(x, &h, &out);
	free(h.slots);
	free(x->pieces);
	*x = out;
	return 0;
}

/* All records are in: make pieces that are ascending and do not overlap. */
static int index_finish(struct index *x, const char *name, struct err *e)
{
	struct piece *fit;
	size_t i;

	if (!x->tidy)
		qsort(x->pieces, x->nr, sizeof(*x->pieces), by_offset);
	for (i = 1; !x->tidy && i < x->nr; i++)
		if (piece_end(&x->pieces[i - 1]) > x->pieces[i].off) {
			if (index_untangle(x, name, e))
				return -1;
			break;
		}
	fit = reallocarray(x->pieces, x->nr, sizeof(*fit));
	if (fit)
		x->pieces = fit;
	return 0;
}

/* ---- scanning for records ---- */

/*
 * Heads of records are read in chunks: larger ones as long as many heads are found in them, so that
 * tiny records do not cost a call each, nor large ones the reading of all their bytes.
 */
#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)256 << 10)

#define MAX_EMPTY (1u << 20)

struct scan {
	const volatile int *interrupted; /* may be NULL */
	unsigned int empty;		 /* records so far */
	struct source *under;
	uint64_t at; /* of the next head */
	uint8_t *buf;
	uint64_t buf_off;
	size_t buf_len, chunk, found; /* found: heads in this chunk */
	int os;			      /* why the chunk is shorter than it should be */
};

/* Bytes of the next head that can be had, at *RET. */
static size_t scan_head(struct scan *s, const uint8_t **ret)
{
	if (s->at < s->buf_off || s->at - s->buf_off + RECORD_HEAD > s->buf_len) {
		if (s->found * CHUNK_MIN >= s->chunk)
			s->chunk = MIN(s->chunk * 2, CHUNK_MAX);
		else
			s->chunk = MAX(s->chunk / 2, CHUNK_MIN);
		s->found = 0;
		s->buf_off = s->at;
		s->buf_len = source_read_some(s->under, s->at, s->buf, s->chunk, &s->os);
	}
	s->found++;
	*ret = s->buf + (s->at - s->buf_off);
	return (size_t)MIN(s->buf_len - (s->at - s->buf_off), (uint64_t)RECORD_HEAD);
}

/* Where the next head is missing: at the end, or at bytes that cannot be read. */
static int scan_no_head(const struct scan *s, size_t have, struct err *e)
{
	const char *name = source_name(s->under);

	if (!s->os)
		return no_end(name, s->at, have, e);
	err_sys(e, s->os,
		"%s: the flattened stream breaks off: the record at offset 0x%" PRIx64
		" cannot be read",
		name, s->at);
	e->code = ERR_CORRUPT;
	return -1;
}

/* Take the next record. 1: that was the end; -1 with ERR_CORRUPT: what follows cannot be used. */
static int scan_record(struct scan *s, struct index *x, struct err *e)
{
	const char *name = source_name(s->under);
	uint64_t left, size = source_size(s->under);
	const uint8_t *raw;
	size_t have = scan_head(s, &raw);
	struct piece p;
	struct record r;

	if (have < RECORD_HEAD)
		return scan_no_head(s, have, e);
	switch (parse_record(raw, &r)) {
	case RECORD_END:
		return 1;
	case RECORD_BAD:
		return no_sense(name, s->at, &r, e);
	case RECORD_DATA:
		break;
	}
	p = (struct piece){ .off = r.off, .len = r.size, .at = s->at + RECORD_HEAD };
	left = size > p.at ? size - p.at : 0;
	p.len = MIN(r.size, left);
	/* A hole of a sparse file reads as records of nothing, without end. */
	if (!r.size && ++s->empty > MAX_EMPTY)
		return err_set(e, ERR_CORRUPT,
			       "%s: more than %u records of the flattened stream are empty, up to "
			       "offset 0x%" PRIx64,
			       name, MAX_EMPTY, s->at);
	if (s->interrupted && __atomic_load_n(s->interrupted, __ATOMIC_RELAXED))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (p.len && index_add(x, &p, name, e))
		return -1;
	if (r.size > left)
		return no_payload(name, s->at, &r, left, e);
	s->at = p.at + r.size;
	return 0;
}

/* Index all of UNDER. *cut: there was no end to it, E says why. */
static int scan_all(struct source *under, const volatile int *interrupted, struct index *x,
		    bool *cut, struct err *e)
{
	struct scan s = { .under = under,
			  .interrupted = interrupted,
			  .at = FLAT_HEADER_SIZE,
			  .chunk = CHUNK_MIN };
	int rc;

	*cut = false;
	s.buf = malloc(CHUNK_MAX);
	if (!s.buf)
		return err_set(e, ERR_NOMEM, "%s: out of memory", source_name(under));
	do
		rc = scan_record(&s, x, e);
	while (!rc);
	free(s.buf);
	if (rc > 0)
		return 0;
	*cut = e->code == ERR_CORRUPT;
	return *cut ? 0 : -1;
}

/* ---- the source ---- */

struct flat {
	struct source *under;
	struct index index;
};

/* The first piece that ends behind OFF. */
static size_t find_piece(const struct index *x, uint64_t off)
{
	size_t low = 0, high = x->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (piece_end(&x->pieces[middle]) > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static size_t flat_read(void *priv, uint64_t off, void *buf, size_t len, int *os)
{
	const struct flat *f = priv;
	const struct index *x = &f->index;
	uint8_t *to = buf;
	size_t done = 0, i;

	*os = 0;
	for (i = find_piece(x, off); done < len && i < x->nr; i++) {
		const struct piece *p = &x->pieces[i];
		size_t want, got;
		uint64_t in;

		if (p->off > off + done)
			break;
		in = off + done - p->off;
		want = (size_t)MIN(p->len - in, (uint64_t)(len - done));
		got = source_read_some(f->under, p->at + in, to + done, want, os);
		done += got;
		if (got < want)
			break;
	}
	/* Between records, or in one that the stream beneath has lost. */
	if (done < len && off + done < x->end && !*os)
		*os = ENODATA;
	return done;
}

static void flat_close(void *priv)
{
	struct flat *f = priv;

	free(f->index.pieces);
	free(f);
}

static const struct source_ops flat_ops = { .read = flat_read, .close = flat_close };

static int flat_build(struct source *under, const volatile int *interrupted, struct flat *f, bool *cut,
		      struct err *e)
{
	uint8_t raw[HEAD_NUMBERS];

	f->under = under;
	f->index.tidy = true;
	if (source_size(under) < FLAT_HEADER_SIZE || source_read(under, 0, raw, sizeof(raw), e))
		return err_set(e, ERR_CORRUPT,
			       "%s: the flattened stream ends inside its header of %u bytes",
			       source_name(under), FLAT_HEADER_SIZE);
	if (check_header(source_name(under), raw, e) || scan_all(under, interrupted, &f->index, cut, e))
		return -1;
	if (f->index.nr)
		return index_finish(&f->index, source_name(under), e);
	return *cut ? -1
		    : err_set(e, ERR_CORRUPT, "%s: the flattened stream holds nothing",
			      source_name(under));
}

static int flat_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		     struct err *e)
{
	struct flat *f = calloc(1, sizeof(*f));
	struct err why = ERR_INIT;
	bool cut = false;

	if (!f)
		return err_set(e, ERR_NOMEM, "%s: out of memory", source_name(under));
	if (flat_build(under, opts ? opts->interrupted : NULL, f, &cut, &why) ||
	    source_over(under, "flattened", &flat_ops, f, f->index.end, ret, &why)) {
		flat_close(f);
		*e = why;
		return -1;
	}
	if (cut) {
		log_warn(opts->log, "%s", why.text);
		source_set_cut(*ret);
	}
	return 0;
}

const struct opener flat_opener = {
	.name = "flattened",
	.magic = FLAT_MAGIC,
	.magic_len = FLAT_MAGIC_LEN,
	.open = flat_open,
};

/* ---- putting it together ---- */

#define STREAM_BUFFER ((size_t)2 << 20)
#define STREAM_PIECE (SINK_BUFFER / 4) /* what a sink takes without a copy */

struct stream {
	int fd;
	const char *name;
	const volatile int *interrupted;
	uint8_t *buf;
	size_t start, end; /* of what is in the buffer */
	uint64_t off;	   /* in the stream, of what is at start */
};

static size_t stream_have(const struct stream *s)
{
	return s->end - s->start;
}

static void stream_take(struct stream *s, size_t len)
{
	s->start += len;
	s->off += len;
	if (s->start == s->end)
		s->start = s->end = 0;
}

/* Wait until a descriptor that does not block has something. */
static ssize_t stream_read(struct stream *s)
{
	ssize_t n;

	do {
		n = read(s->fd, s->buf + s->end, STREAM_BUFFER - s->end);
		if (n < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, -1);
			errno = EINTR;
		}
	} while (n < 0 && errno == EINTR &&
		 !(s->interrupted && __atomic_load_n(s->interrupted, __ATOMIC_RELAXED)));
	return n;
}

/*
 * Have LEN bytes in the buffer, at most STREAM_PIECE; fewer where the stream ends. Nothing is
 * waited for beyond them: they may be the last ones of a pipe that stays open.
 */
static int stream_want(struct stream *s, size_t len, struct err *e)
{
	if (s->start + len > STREAM_BUFFER) {
		memmove(s->buf, s->buf + s->start, stream_have(s));
		s->end -= s->start;
		s->start = 0;
	}
	while (stream_have(s) < len) {
		ssize_t n;

		if (s->interrupted && __atomic_load_n(s->interrupted, __ATOMIC_RELAXED))
			return err_set(e, ERR_INTERRUPTED, "interrupted");
		n = stream_read(s);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(e, errno, "%s: offset 0x%" PRIx64, s->name,
				s->off + stream_have(s));
			e->code = ERR_CORRUPT;
			return -1;
		}
		if (!n)
			break;
		s->end += (size_t)n;
	}
	return 0;
}

/* The header of the stream. What is none is found out without waiting for all of it. */
static int stream_begin(struct stream *s, struct err *e)
{
	if (stream_want(s, HEAD_NUMBERS, e))
		return -1;
	if (stream_have(s) >= HEAD_NUMBERS && check_header(s->name, s->buf + s->start, e))
		return -1;
	if (stream_want(s, FLAT_HEADER_SIZE, e))
		return -1;
	if (stream_have(s) < FLAT_HEADER_SIZE)
		return err_set(e, ERR_CORRUPT,
			       "%s: ends after %zu bytes, expected the %u bytes of the header of a "
			       "flattened stream",
			       s->name, stream_have(s), FLAT_HEADER_SIZE);
	stream_take(s, FLAT_HEADER_SIZE);
	return 0;
}

/* How a step of the way through the stream ended. */
enum step {
	STEP_MORE,
	STEP_END,
	STEP_BROKEN, /* nothing more of the stream can be used; E says why */
	STEP_FAILED, /* the sink, or the user, does not want any more */
};

static enum step broken(const struct err *e)
{
	return e->code == ERR_CORRUPT ? STEP_BROKEN : STEP_FAILED;
}

static enum step put_payload(struct stream *s, const struct record *r, struct sink *out,
			     struct flat_result *ret, struct err *e)
{
	uint64_t at = s->off - RECORD_HEAD, done = 0;

	while (done < r->size) {
		uint64_t left = r->size - done;
		int failed = stream_want(s, (size_t)MIN(left, (uint64_t)STREAM_PIECE), e);
		size_t n = (size_t)MIN(left, (uint64_t)stream_have(s));

		if (failed && e->code == ERR_INTERRUPTED)
			return STEP_FAILED;
		if (!failed && !n)
			failed = no_payload(s->name, at, r, done, e);
		if (n) {
			struct err why = ERR_INIT;

			if (sink_write(out, r->off + done, s->buf + s->start, n, &why)) {
				*e = why;
				return STEP_FAILED;
			}
			ret->end = MAX(ret->end, r->off + done + n);
			ret->bytes += n;
		}
		stream_take(s, n);
		done += n;
		if (failed)
			return STEP_BROKEN;
	}
	return STEP_MORE;
}

/* A device holds other things where a record leaves a gap behind what came before. */
static int fill_gap(struct sink *out, uint64_t from, uint64_t to, struct err *e)
{
	static const uint8_t zeros[64 << 10];

	while (from < to) {
		size_t n = (size_t)MIN(to - from, (uint64_t)sizeof(zeros));

		if (sink_write(out, from, zeros, n, e))
			return -1;
		from += n;
	}
	return 0;
}

static enum step put_record(struct stream *s, struct sink *out, struct flat_result *ret,
			    struct err *e)
{
	struct record r;

	if (stream_want(s, RECORD_HEAD, e))
		return broken(e);
	if (stream_have(s) < RECORD_HEAD) {
		no_end(s->name, s->off, stream_have(s), e);
		return STEP_BROKEN;
	}
	switch (parse_record(s->buf + s->start, &r)) {
	case RECORD_END:
		return STEP_END;
	case RECORD_BAD:
		no_sense(s->name, s->off, &r, e);
		return STEP_BROKEN;
	case RECORD_DATA:
		break;
	}
	stream_take(s, RECORD_HEAD);
	ret->records++;
	if (!sink_has_holes(out) && r.size && fill_gap(out, ret->end, r.off, e))
		return STEP_FAILED;
	return put_payload(s, &r, out, ret, e);
}

int flat_rearrange(int fd, const char *name, struct sink *out, const volatile int *interrupted,
		   struct flat_result *ret, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(STREAM_BUFFER);
	struct stream s = { .fd = fd, .name = name, .interrupted = interrupted, .buf = buf };
	struct err why = ERR_INIT;
	enum step step = STEP_MORE;

	*ret = (struct flat_result){ .complete = false };
	if (!buf)
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	fcntl(fd, F_SETPIPE_SZ, 1 << 20); /* best effort; a file is no pipe */
	if (stream_begin(&s, e))
		return -1;
	while (step == STEP_MORE)
		step = put_record(&s, out, ret, &why);
	if (step == STEP_FAILED) {
		*e = why;
		if (why.code == ERR_INTERRUPTED)
			sink_flush(out, &why);
		return -1;
	}
	if (sink_flush(out, e))
		return -1;
	ret->complete = step == STEP_END;
	if (!ret->complete)
		*e = why;
	return 0;
}
