/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "walk.h"

#include <pthread.h>
#include <stdlib.h>

#include "cleanup.h"
#include "stored.h"
#include "thread.h"
#include "zero.h"

/* Pages that a thread takes at a time. */
#define CHUNK_PAGES 1024u

struct all {
	struct walk *w;
	pthread_mutex_t lock;
	uint64_t next; /* PFN */
	uint64_t done;
	bool drained, failed;
	struct err err;
};

struct worker {
	struct all *all;
	pthread_t thread;
	void *state;
	struct reader reader;
	uint64_t zero_place;
	uint8_t *page; /* for pages that must be read exactly */
};

#define NO_PLACE UINT64_MAX

/* The next pages with content, in one run. Called with the lock held. */
static bool next_pages(struct all *a, struct run *ret)
{
	while (dump_next_run(a->w->dump, SPACE_PHYS, a->next, ret)) {
		a->next = ret->pfn + ret->nr;
		if (ret->state != PAGE_DATA && ret->state != PAGE_ZERO)
			continue;
		ret->nr = MIN(ret->nr, CHUNK_PAGES);
		a->next = ret->pfn + ret->nr;
		return true;
	}
	return false;
}

static bool take_pages(struct all *a, uint64_t done, struct run *ret)
{
	bool got = false;

	pthread_mutex_lock(&a->lock);
	a->done += done;
	progress_at(a->w->progress, a->done);
	if (!a->failed && a->w->interrupted &&
	    __atomic_load_n(a->w->interrupted, __ATOMIC_RELAXED)) {
		err_set(&a->err, ERR_INTERRUPTED, "interrupted");
		a->failed = true;
	}
	if (!a->failed && !a->drained) {
		got = next_pages(a, ret);
		a->drained = !got;
	}
	pthread_mutex_unlock(&a->lock);
	return got;
}

static int tell(struct worker *w, const struct walk_page *p, struct err *e)
{
	return w->all->w->page(w->state, p, e);
}

/* A page near bytes that could not be delivered, or that does not expand: by read() alone. */
static int visit_exactly(struct worker *w, struct walk_page *p, struct err *e)
{
	size_t size = w->all->w->dump->id.page_size;
	struct err why = ERR_INIT;

	if (!w->page)
		w->page = malloc(size);
	if (!w->page)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->data = NULL;
	if (!reader_page(&w->reader, SPACE_PHYS, p->pfn, w->page, &why)) {
		p->data = w->page;
		p->zero = is_zero(w->page, size);
	} else if (why.code == ERR_NOMEM) {
		*e = why;
		return -1;
	} else {
		p->why = &why;
	}
	return tell(w, p, e);
}

/* Pages in place; *ret is how many. */
static int visit_view(struct worker *w, uint64_t pfn, uint64_t nr, uint64_t *ret, struct err *e)
{
	size_t size = w->all->w->dump->id.page_size;
	uint64_t before = source_my_faults(), i;
	struct walk_page p = { .pfn = pfn };
	struct err why = ERR_INIT;
	struct view v;
	bool lost;

	*ret = 1;
	if (reader_view(&w->reader, SPACE_PHYS, pfn, nr, &v, &why))
		return visit_exactly(w, &p, e);
	touch_pages(v.data, v.nr * size);
	lost = dump_view_lost(w->all->w->dump, before);
	*ret = v.nr;
	for (i = 0; i < v.nr; i++) {
		p = (struct walk_page){ .pfn = pfn + i, .data = v.data + i * size };
		if (!lost) {
			p.zero = is_zero(p.data, size);
			if (tell(w, &p, e))
				return -1;
		} else if (visit_exactly(w, &p, e)) {
			return -1;
		}
	}
	return 0;
}

/* A page that is stored by itself. Zero pages are mostly one page, met again and again. */
static int visit_stored(struct worker *w, struct walk_page *p, struct err *e)
{
	size_t size = w->all->w->dump->id.page_size;
	uint64_t before = source_my_faults(), one;
	struct err why = ERR_INIT;
	struct stored s;

	if (reader_stored(&w->reader, SPACE_PHYS, p->pfn, &s, &why))
		return why.code == ERR_UNSUPPORTED ? visit_view(w, p->pfn, 1, &one, e)
						   : visit_exactly(w, p, e);
	p->codec = s.codec;
	if (s.place == w->zero_place) {
		p->zero = true;
		return tell(w, p, e);
	}
	p->data = stored_expand(&w->reader, &s, size, &why);
	/* What is compressed does not expand when a part of it is gone. */
	if (!p->data || (s.codec == CODEC_RAW ? dump_view_lost(w->all->w->dump, before)
					      : source_my_faults() != before))
		return visit_exactly(w, p, e);
	p->zero = is_zero(p->data, size);
	if (p->zero)
		w->zero_place = s.place;
	return tell(w, p, e);
}

static int visit_run(struct worker *w, const struct run *run, struct err *e)
{
	const struct map_ops *map = w->all->w->dump->map;
	uint64_t pfn = run->pfn, end = run->pfn + run->nr, n;

	for (; pfn < end; pfn += n) {
		struct walk_page p = { .pfn = pfn, .zero = run->state == PAGE_ZERO };
		int failed;

		n = 1;
		if (run->state == PAGE_ZERO)
			failed = tell(w, &p, e);
		else if (map->stored)
			failed = visit_stored(w, &p, e);
		else
			failed = visit_view(w, pfn, end - pfn, &n, e);
		if (failed)
			return -1;
	}
	return 0;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct err e = ERR_INIT;
	struct run run = { .nr = 0 };

	while (take_pages(w->all, run.nr, &run)) {
		if (!visit_run(w, &run, &e))
			continue;
		pthread_mutex_lock(&w->all->lock);
		if (!w->all->failed)
			w->all->err = e;
		w->all->failed = true;
		pthread_mutex_unlock(&w->all->lock);
	}
	return NULL;
}

static bool worker_init(struct worker *w, struct all *a, unsigned int number)
{
	*w = (struct worker){ .all = a, .zero_place = NO_PLACE };
	w->state = a->w->begin ? a->w->begin(a->w->priv, number) : a->w->priv;
	if (a->w->begin && !w->state)
		return false;
	reader_init(&w->reader, a->w->dump);
	w->reader.nr_windows = 2;
	return true;
}

int walk_run(struct walk *w, struct err *e)
{
	struct all a = { .w = w, .lock = PTHREAD_MUTEX_INITIALIZER };
	unsigned int wanted = MAX(w->threads, 1u), made = 0, started = 0, i;
	_cleanup_free_ struct worker *workers = calloc(wanted, sizeof(*workers));

	if (!workers)
		return err_set(e, ERR_NOMEM, "out of memory");
	while (made < wanted && worker_init(&workers[made], &a, made))
		made++;
	if (!made)
		return err_set(e, ERR_NOMEM, "out of memory");
	/* The first worker is this thread. */
	for (i = 1; i < made; i++, started++)
		if (!thread_start(&workers[i].thread, run_worker, &workers[i]))
			break;
	run_worker(&workers[0]);
	for (i = 1; i <= started; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < made; i++) {
		reader_fini(&workers[i].reader);
		free(workers[i].page);
		if (w->begin && w->end)
			w->end(w->priv, workers[i].state);
	}
	if (!a.failed)
		return 0;
	*e = a.err;
	return -1;
}
