/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "stored.h"
#include "thread.h"
#include "zero.h"

#define UNIT_COMPRESSED \
	((size_t)256 << 10)	     /* bytes of pages in a unit that is compressed into a buffer */
#define UNIT_RAW ((size_t)512 << 10) /* in one that is written out of the mapped input */
#define UNIT_RUNS 128

enum unit_state { UNIT_FREE, UNIT_TAKEN, UNIT_DONE };

/* Some pages on their way: taken, filled by one thread, written by whoever has the turn. */
struct unit {
	enum unit_state state;
	struct reader reader; /* its windows hold what iov points at until the unit is written */
	struct {
		uint64_t pfn, nr;
	} runs[UNIT_RUNS];
	unsigned int nr_runs;
	struct page_out *pages;
	size_t nr_pages;
	struct iovec *iov; /* pieces of buf, or of the mapped input */
	int nr_iov;
	uint8_t *buf;
	size_t fill; /* of buf */
	size_t bytes;
	bool exact; /* all of it is in buf, by read() */
	uint64_t zero, passed, unreadable, first_unreadable;
};

/* What one thread keeps from unit to unit. */
struct worker {
	struct reader reader;
	void *codec_state;
	uint64_t zero_place; /* where the input stores a zero page, as far as this thread met one */
};

#define NO_PLACE UINT64_MAX

/* One part on its way through. */
struct line {
	struct pipeline *p;
	struct part *part;
	size_t page_size, unit_pages, buf_size;
	bool in_place; /* pages are written from where the input is mapped */
	bool stored;   /* the input stores pages one by one */
	bool pass;     /* and they may be taken as they are */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct unit *units;
	unsigned int nr_units;
	uint64_t taken, written; /* units so far */
	uint64_t cursor;	 /* next PFN to take */
	bool drained, writing, failed;
	struct err err;
	pthread_mutex_t *totals; /* guards *p and the progress */
};

/* IN_PLACE: pages are written from where the input is mapped, and take no buffer. */
static size_t unit_pages(bool in_place, size_t page_size)
{
	return MAX((in_place ? UNIT_RAW : UNIT_COMPRESSED) / page_size, (size_t)1);
}

static unsigned int nr_units(unsigned int threads)
{
	return threads > 1 ? 2 * threads : 1;
}

size_t pipeline_memory(const struct codec *codec, int level, unsigned int threads, size_t page_size)
{
	size_t pages = unit_pages(!codec, page_size);
	size_t unit =
		pages * (sizeof(struct page_out) + sizeof(struct iovec)) + sizeof(struct unit);

	if (codec)
		unit += pages * page_size + codec->bound(page_size);
	return nr_units(threads) * unit +
	       (codec ? threads * (codec->memory(level, page_size) + EXPANDED_BYTES) : 0);
}

/* ---- filling a unit ---- */

static void add_iov(struct unit *u, const void *data, size_t len)
{
	struct iovec *last = u->nr_iov ? &u->iov[u->nr_iov - 1] : NULL;

	u->bytes += len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += len;
	else
		u->iov[u->nr_iov++] = (struct iovec){ .iov_base = (void *)data, .iov_len = len };
}

/* Put SIZE bytes into the unit's buffer, as they are to be stored. */
static void add_bytes(struct unit *u, struct page_out *out, uint32_t codec, const void *data,
		      size_t size)
{
	uint8_t *to = u->buf + u->fill;

	if (data != to)
		memcpy(to, data, size);
	out->codec = codec;
	out->size = (uint32_t)size;
	out->data = to;
	u->fill += size;
	add_iov(u, to, size);
}

/* Store DATA in the unit's buffer: compressed when that makes it smaller. */
static void add_buffered(const struct line *l, const struct worker *w, struct unit *u,
			 struct page_out *out, const uint8_t *data)
{
	uint8_t *to = u->buf + u->fill;
	size_t size = 0;

	if (w->codec_state)
		size = l->p->codec->compress(w->codec_state, data, l->page_size, to,
					     MAX(l->p->codec->bound(l->page_size), l->page_size));
	if (size && size < l->page_size)
		add_bytes(u, out, l->p->codec->id, to, size);
	else
		add_bytes(u, out, CODEC_RAW, data, l->page_size);
}

static struct page_out *new_page(struct unit *u, uint64_t pfn, enum page_state state)
{
	struct page_out *out = &u->pages[u->nr_pages++];

	*out = (struct page_out){ .pfn = pfn, .state = state, .codec = CODEC_RAW };
	u->zero += state == PAGE_ZERO;
	return out;
}

static void add_page(const struct line *l, const struct worker *w, struct unit *u, uint64_t pfn,
		     const uint8_t *data, bool in_place)
{
	struct page_out *out;

	if (is_zero(data, l->page_size)) {
		new_page(u, pfn, PAGE_ZERO);
		return;
	}
	out = new_page(u, pfn, PAGE_DATA);
	if (!in_place) {
		add_buffered(l, w, u, out, data);
		return;
	}
	touch_pages(data, l->page_size);
	out->size = (uint32_t)l->page_size;
	out->data = data;
	add_iov(u, data, l->page_size);
}

/*
 * Raw units have a buffer only once a page needs one: at the edge of a segment, or near one that
 * cannot be read.
 */
static bool need_buffer(const struct line *l, struct unit *u)
{
	if (!u->buf)
		u->buf = malloc(l->buf_size);
	return u->buf;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for page buffers");
}

/* What is written in place stays in windows of the unit's own reader until it is. */
static struct reader *reader_of(const struct line *l, struct worker *w, struct unit *u)
{
	return l->in_place ? &u->reader : &w->reader;
}

/* Pages of a unit in which something could not be delivered: one at a time, exactly. */
static int add_exactly(const struct line *l, struct worker *w, struct unit *u, uint64_t pfn,
		       uint64_t nr, struct err *e)
{
	_cleanup_free_ uint8_t *page = malloc(l->page_size);

	if (!page || !need_buffer(l, u))
		return no_memory(e);
	for (; nr; nr--, pfn++) {
		struct err why = ERR_INIT;

		if (!reader_page(reader_of(l, w, u), SPACE_PHYS, pfn, page, &why)) {
			add_page(l, w, u, pfn, page, false);
			continue;
		}
		if (why.code == ERR_NOMEM)
			return no_memory(e);
		new_page(u, pfn, PAGE_UNREADABLE);
		if (!u->unreadable++)
			u->first_unreadable = pfn;
	}
	return 0;
}

/* May a page that is stored so be taken over as it is? */
static bool may_pass(const struct line *l, const struct stored *s)
{
	enum codec_id wanted = l->p->codec ? l->p->codec->id : CODEC_RAW;

	if (s->size > l->page_size || (s->codec == CODEC_RAW && s->size != l->page_size))
		return false;
	if (l->p->pass == PASS_ANY || s->codec == wanted)
		return true;
	/* Stored raw beside others in that codec: it was tried, and did not get smaller. */
	return s->codec == CODEC_RAW && l->part->plan->dump->told.codecs & wanted;
}

/*
 * Take over a page as it is stored, after a look whether it expands, and to what. Returns false when
 * it has to go the long way.
 */
static bool add_stored(const struct line *l, struct worker *w, struct unit *u, uint64_t pfn)
{
	struct err why = ERR_INIT;
	const uint8_t *data;
	struct stored s;

	if (reader_stored(&w->reader, SPACE_PHYS, pfn, &s, &why))
		return false;
	if (s.place == w->zero_place) {
		new_page(u, pfn, PAGE_ZERO);
		return true;
	}
	if (!may_pass(l, &s))
		return false;
	if (!l->p->unchecked || s.codec == CODEC_RAW) {
		data = stored_expand(&w->reader, &s, l->page_size, &why);
		if (!data)
			return false;
		if (is_zero(data, l->page_size)) {
			w->zero_place = s.place;
			new_page(u, pfn, PAGE_ZERO);
			return true;
		}
	}
	add_bytes(u, new_page(u, pfn, PAGE_DATA), s.codec, s.data, s.size);
	u->passed++;
	return true;
}

/* Up to NR pages from PFN on; *ret is how many. */
static int add_view(const struct line *l, struct worker *w, struct unit *u, uint64_t pfn,
		    uint64_t nr, uint64_t *ret, struct err *e)
{
	struct err why = ERR_INIT;
	struct view v;
	bool in_place;
	uint64_t i;

	*ret = 1;
	if (l->pass && need_buffer(l, u) && add_stored(l, w, u, pfn))
		return 0;
	if (reader_view(reader_of(l, w, u), SPACE_PHYS, pfn, nr, &v, &why))
		return why.code == ERR_NOMEM ? no_memory(e) : add_exactly(l, w, u, pfn, 1, e);
	if (l->pass)
		v.nr = 1; /* the next one may be passed again */
	/* What is stored as it is stays where it is, as long as its window can. */
	in_place = l->in_place && reader_hold(&u->reader, v.data);
	if (!in_place && !need_buffer(l, u))
		return no_memory(e);
	for (i = 0; i < v.nr; i++)
		add_page(l, w, u, pfn + i, v.data + i * l->page_size, in_place);
	*ret = v.nr;
	return 0;
}

/* NR pages that are all in one state of the map. */
static int add_run(const struct line *l, struct worker *w, struct unit *u, const struct run *run,
		   bool exactly, struct err *e)
{
	uint64_t pfn = run->pfn, end = run->pfn + run->nr, n = 0;

	if (run->state == PAGE_DATA && exactly)
		return add_exactly(l, w, u, pfn, run->nr, e);
	for (; pfn < end; pfn += n) {
		n = 1;
		if (run->state == PAGE_ZERO)
			new_page(u, pfn, PAGE_ZERO);
		else if (add_view(l, w, u, pfn, end - pfn, &n, e))
			return -1;
	}
	return 0;
}

/*
 * All pages of the unit; EXACTLY: by read(), for units in which something could not be delivered.
 */
static int add_runs(const struct line *l, struct worker *w, struct unit *u, bool exactly,
		    struct err *e)
{
	const struct dump *d = l->part->plan->dump;
	unsigned int i;

	for (i = 0; i < u->nr_runs; i++) {
		uint64_t pfn = u->runs[i].pfn, end = pfn + u->runs[i].nr;
		struct run run;

		for (; pfn < end; pfn += run.nr) {
			if (!dump_next_run(d, SPACE_PHYS, pfn, &run) || run.pfn != pfn)
				return err_set(e, ERR_CORRUPT,
					       "page 0x%" PRIx64 " is gone from the map", pfn);
			run.nr = MIN(run.nr, end - pfn);
			if (add_run(l, w, u, &run, exactly, e))
				return -1;
		}
	}
	return 0;
}

static void empty_unit(struct unit *u)
{
	u->nr_pages = u->fill = u->bytes = 0;
	u->nr_iov = 0;
	u->zero = u->passed = u->unreadable = 0;
	reader_release(&u->reader);
}

static int fill_unit(const struct line *l, struct worker *w, struct unit *u, struct err *e)
{
	uint64_t before = source_my_faults();

	u->exact = false;
	if (add_runs(l, w, u, false, e))
		return -1;
	if (!dump_view_lost(l->part->plan->dump, before))
		return 0;
	u->exact = true;
	/*
	 * Windows that were got by now may hold zeros for good, and another thread may be the next
	 * to use them.
	 */
	empty_unit(u);
	reader_fini(&u->reader);
	w->zero_place = NO_PLACE;
	if (add_runs(l, w, u, true, e))
		return -1;
	reader_fini(&u->reader);
	return 0;
}

/* ---- order ---- */

/* Give U the next kept pages. False when there are none left. Called with the lock held. */
static bool take_pages(struct line *l, struct unit *u)
{
	uint64_t left = l->unit_pages;

	u->nr_runs = 0;
	empty_unit(u);
	while (left && u->nr_runs < UNIT_RUNS &&
	       pfnset_next(l->part->plan->keep, l->cursor, l->part->end_pfn, left,
			   &u->runs[u->nr_runs].pfn, &u->runs[u->nr_runs].nr)) {
		l->cursor = u->runs[u->nr_runs].pfn + u->runs[u->nr_runs].nr;
		left -= u->runs[u->nr_runs].nr;
		u->nr_runs++;
	}
	return u->nr_runs != 0;
}

static void count_unit(struct line *l, const struct unit *u)
{
	struct pipeline *p = l->p;

	pthread_mutex_lock(l->totals);
	p->pages += u->nr_pages;
	p->zero_pages += u->zero;
	p->bytes += u->bytes;
	p->passed += u->passed;
	if (u->unreadable && !p->unreadable_pages)
		p->first_unreadable = u->first_unreadable;
	p->unreadable_pages += u->unreadable;
	progress_at(p->progress, p->pages);
	pthread_mutex_unlock(l->totals);
}

int batch_check(const struct part *p, const struct batch *b, uint64_t before, struct err *e)
{
	const struct dump *d = p->plan->dump;

	if (!(b->in_place ? dump_view_lost(d, before) : source_my_faults() != before))
		return 0;
	return err_set(e, ERR_UNREADABLE,
		       "%s: pages from 0x%" PRIx64 " on were lost while they were written",
		       source_name(d->source), b->pages[0].pfn);
}

static int put_unit(struct line *l, const struct unit *u, bool in_place, struct err *e)
{
	struct batch b = { .pages = u->pages,
			   .nr_pages = u->nr_pages,
			   .iov = u->iov,
			   .nr_iov = u->nr_iov,
			   .bytes = u->bytes,
			   .in_place = in_place };

	return l->p->format->put(l->part, &b, e);
}

static int write_unit(struct line *l, struct unit *u, struct err *e)
{
	struct worker raw = { .zero_place = NO_PLACE };

	if (put_unit(l, u, l->in_place && !u->exact, e)) {
		if (e->code != ERR_UNREADABLE || !l->in_place)
			return -1;
		/*
		 * Pages that are written out of the mapped input were whole when they were looked
		 * at and are not now: once more, page by page. (Others are in a buffer.)
		 */
		empty_unit(u);
		reader_fini(&u->reader);
		if (add_runs(l, &raw, u, true, e) || put_unit(l, u, false, e))
			return -1;
		reader_fini(&u->reader);
	}
	count_unit(l, u);
	return 0;
}

static void fail(struct line *l, const struct err *e)
{
	if (!l->failed)
		l->err = *e;
	l->failed = true;
	pthread_cond_broadcast(&l->moved);
}

/* Write what is done and next in line, unless somebody is at it. Called with the lock held. */
static void write_in_order(struct line *l)
{
	while (!l->writing && !l->failed && l->written < l->taken) {
		struct unit *u = &l->units[l->written % l->nr_units];
		struct err e = ERR_INIT;
		int failed;

		if (u->state != UNIT_DONE)
			return;
		l->writing = true;
		pthread_mutex_unlock(&l->lock);
		failed = write_unit(l, u, &e);
		pthread_mutex_lock(&l->lock);
		l->writing = false;
		if (failed) {
			fail(l, &e);
			return;
		}
		u->state = UNIT_FREE;
		l->written++;
		pthread_cond_broadcast(&l->moved);
	}
}

static bool stopped(struct line *l)
{
	struct err e = ERR_INIT;

	if (!l->failed && l->p->interrupted &&
	    __atomic_load_n(l->p->interrupted, __ATOMIC_RELAXED)) {
		err_set(&e, ERR_INTERRUPTED, "interrupted");
		fail(l, &e);
	}
	return l->failed;
}

/* One unit after another until there are no more. Called with the lock held. */
static void work(struct line *l, struct worker *w)
{
	while (!stopped(l) && !l->drained) {
		struct unit *u = &l->units[l->taken % l->nr_units];
		struct err e = ERR_INIT;
		int failed;

		if (u->state != UNIT_FREE) {
			pthread_cond_wait(&l->moved, &l->lock);
			continue;
		}
		if (!take_pages(l, u)) {
			l->drained = true;
			pthread_cond_broadcast(&l->moved);
			break;
		}
		u->state = UNIT_TAKEN;
		l->taken++;
		pthread_mutex_unlock(&l->lock);
		failed = fill_unit(l, w, u, &e);
		pthread_mutex_lock(&l->lock);
		u->state = UNIT_DONE;
		if (failed)
			fail(l, &e);
		write_in_order(l);
	}
}

static void *run_worker(void *arg)
{
	struct line *l = arg;
	const struct codec *codec = l->p->codec;
	struct worker w = { .codec_state = codec ? codec->open(l->p->codec_level, l->page_size)
						 : NULL,
			    .zero_place = NO_PLACE };

	/*
	 * A helper without memory for its codec leaves the work to the others; the first thread has
	 * to have it.
	 */
	if (codec && !w.codec_state)
		return NULL;
	reader_init(&w.reader, (struct dump *)l->part->plan->dump);
	w.reader.nr_windows = l->stored ? 2 : 1;
	pthread_mutex_lock(&l->lock);
	work(l, &w);
	pthread_mutex_unlock(&l->lock);
	reader_fini(&w.reader);
	if (codec)
		codec->close(w.codec_state);
	return l;
}

/* ---- parts ---- */

static void line_fini(struct line *l)
{
	unsigned int i;

	for (i = 0; l->units && i < l->nr_units; i++) {
		reader_fini(&l->units[i].reader);
		free(l->units[i].pages);
		free(l->units[i].iov);
		free(l->units[i].buf);
	}
	free(l->units);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->moved);
}

static int line_init(struct line *l, unsigned int threads, struct err *e)
{
	const struct dump *d = l->part->plan->dump;
	unsigned int i;

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->moved, NULL);
	l->page_size = l->part->plan->page_size;
	l->stored = d->map && d->map->stored;
	l->pass = l->stored && l->p->pass != PASS_NEVER;
	l->in_place = !l->p->codec && !l->stored && source_maps_windows(d->source);
	l->unit_pages = unit_pages(l->in_place, l->page_size);
	/* A codec may overrun what it keeps, on the last page too. */
	l->buf_size =
		l->unit_pages * l->page_size + (l->p->codec ? l->p->codec->bound(l->page_size) : 0);
	l->cursor = l->part->start_pfn;
	l->nr_units = nr_units(threads);
	l->units = calloc(l->nr_units, sizeof(*l->units));
	for (i = 0; l->units && i < l->nr_units; i++) {
		struct unit *u = &l->units[i];

		reader_init(&u->reader, (struct dump *)l->part->plan->dump);
		u->reader.nr_windows = 2;
		u->pages = calloc(l->unit_pages, sizeof(*u->pages));
		u->iov = calloc(l->unit_pages, sizeof(*u->iov));
		if (!u->pages || !u->iov || (!l->in_place && !need_buffer(l, u)))
			return no_memory(e);
	}
	return l->units ? 0 : no_memory(e);
}

/* One part with so many threads, this one included. The result is in l->failed and l->err. */
static void run_line(struct line *l, unsigned int threads)
{
	pthread_t *helper = calloc(threads, sizeof(*helper));
	struct err e = ERR_INIT;
	unsigned int nr = 0;

	if (!helper || line_init(l, threads, &e)) {
		no_memory(&e);
		l->err = e;
		l->failed = true;
	} else {
		while (nr + 1 < threads && thread_start(&helper[nr], run_worker, l))
			nr++;
		if (!run_worker(l) && !l->failed) {
			pthread_mutex_lock(&l->lock);
			no_memory(&e);
			fail(l, &e);
			pthread_mutex_unlock(&l->lock);
		}
		while (nr)
			pthread_join(helper[--nr], NULL);
	}
	line_fini(l);
	free(helper);
}

/* The parts of a job: each thread takes the next one that nobody has. */
struct parts {
	struct line *lines;
	unsigned int nr, next, threads_each;
	pthread_mutex_t lock;
};

static void *run_parts(void *arg)
{
	struct parts *p = arg;

	for (;;) {
		unsigned int i;

		pthread_mutex_lock(&p->lock);
		i = p->next++;
		pthread_mutex_unlock(&p->lock);
		if (i >= p->nr)
			return NULL;
		run_line(&p->lines[i], p->threads_each);
	}
}

int pipeline_run(struct pipeline *p, struct part *parts, unsigned int nr_parts, struct err *e)
{
	_cleanup_free_ struct line *lines = calloc(nr_parts, sizeof(*lines));
	_cleanup_free_ pthread_t *helper = calloc(nr_parts, sizeof(*helper));
	pthread_mutex_t totals = PTHREAD_MUTEX_INITIALIZER;
	struct parts all = { .lines = lines,
			     .nr = nr_parts,
			     .threads_each = MAX(p->threads / nr_parts, 1u),
			     .lock = PTHREAD_MUTEX_INITIALIZER };
	unsigned int i, nr = 0;

	if (!lines || !helper)
		return no_memory(e);
	for (i = 0; i < nr_parts; i++)
		lines[i] = (struct line){ .p = p, .part = &parts[i], .totals = &totals };
	/* The last thread is this one. */
	while (nr + 1 < MIN(nr_parts, p->threads) && thread_start(&helper[nr], run_parts, &all))
		nr++;
	run_parts(&all);
	while (nr)
		pthread_join(helper[--nr], NULL);
	for (i = 0; i < nr_parts; i++)
		if (lines[i].failed) {
			*e = lines[i].err;
			return -1;
		}
	return 0;
}
