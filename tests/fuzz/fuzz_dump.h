/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dump of any format, read to the end: what the map promises, and that the two ways to read a
 * page agree. For targets that open one.
 */
#ifndef FUZZ_DUMP_H
#define FUZZ_DUMP_H

#include <string.h>

#include "dump.h"
#include "fuzz.h"
#include "pfnset.h"

struct walk {
	struct dump *d;
	struct reader view, page;
	uint8_t *buf;
	uint64_t data_pages;
	unsigned int pages_left, runs_left; /* to look at, of one input */
	bool may_fail; /* a page of data may turn out to be unreadable when it is read */
};

static void check_not_readable(struct walk *w, uint64_t pfn)
{
	struct err e = ERR_INIT;
	uint8_t byte;

	if (pfn >> (64 - dump_page_shift(w->d)))
		return;
	must(reader_read(&w->view, SPACE_PHYS, pfn << dump_page_shift(w->d), &byte, 1, &e));
	must(e.code == ERR_UNREADABLE && e.text[0]);
}

/* Neither way gives a page; both say why. */
static void check_damaged(struct walk *w, uint64_t pfn, const struct err *why)
{
	struct err e = ERR_INIT;

	must(w->may_fail && why->text[0]);
	must(why->code == ERR_CORRUPT || why->code == ERR_UNREADABLE ||
	     why->code == ERR_UNSUPPORTED);
	must(reader_page(&w->page, SPACE_PHYS, pfn, w->buf, &e));
	must(e.code == why->code && e.text[0]);
}

/* A page of data that the source holds can be read, in place and exactly, with the same result. */
static void check_page(struct walk *w, uint64_t pfn, uint64_t nr)
{
	size_t size = w->d->id.page_size;
	struct err e = ERR_INIT;
	struct view v;

	if (!w->pages_left)
		return;
	w->pages_left--;
	must(dump_page_state(w->d, SPACE_PHYS, pfn) == PAGE_DATA);
	if (reader_view(&w->view, SPACE_PHYS, pfn, nr, &v, &e)) {
		check_damaged(w, pfn, &e);
		return;
	}
	must(v.nr >= 1 && v.nr <= nr);
	must(!reader_page(&w->page, SPACE_PHYS, pfn, w->buf, &e));
	must(!memcmp(v.data, w->buf, size));
	touch(v.data + (v.nr - 1) * size, size);
	must(!reader_read(&w->page, SPACE_PHYS, (pfn << dump_page_shift(w->d)) + size - 1, w->buf,
			  1, &e));
}

static void check_run(struct walk *w, const struct run *run)
{
	uint64_t middle = run->pfn + run->nr / 2, last = run->pfn + run->nr - 1;
	struct run part;

	must(dump_next_run(w->d, SPACE_PHYS, middle, &part));
	must(part.pfn == middle && part.state == run->state && part.pfn + part.nr == last + 1);
	must(dump_page_state(w->d, SPACE_PHYS, last) == run->state);
	if (run->state == PAGE_DATA) {
		check_page(w, run->pfn, run->nr);
		check_page(w, middle, last + 1 - middle);
		check_page(w, last, 1);
		w->data_pages += run->nr;
	} else {
		must(run->state == PAGE_EXCLUDED || run->state == PAGE_UNREADABLE);
		check_not_readable(w, run->pfn);
		check_not_readable(w, last);
	}
}

static void check_set(struct walk *w)
{
	struct err e = ERR_INIT;
	struct pfnset set;

	must(!pfnset_init(&set, w->d, &e));
	must(pfnset_count(&set, 0, UINT64_MAX) == w->data_pages);
	pfnset_fini(&set);
}

static void check_map(struct walk *w)
{
	uint64_t pfn = 0;
	struct run run;

	for (; dump_next_run(w->d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		if (!w->runs_left--)
			return;
		must(run.pfn >= pfn && run.nr && run.pfn + run.nr > run.pfn);
		if (run.pfn > pfn)
			check_not_readable(w, run.pfn - 1);
		check_run(w, &run);
	}
	must(dump_max_pfn(w->d) == pfn);
	check_not_readable(w, pfn);
	check_set(w);
}

/* All of D's memory; MAY_FAIL: pages may turn out to be damaged only when they are read. */
static void check_memory(struct dump *d, bool may_fail)
{
	struct walk w = { .d = d, .pages_left = 64, .runs_left = 500, .may_fail = may_fail };

	w.buf = malloc(d->id.page_size);
	must(w.buf);
	reader_init(&w.view, d);
	reader_init(&w.page, d);
	check_map(&w);
	reader_fini(&w.view);
	reader_fini(&w.page);
	free(w.buf);
}

static void check_text(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)level;
	must(text[0] && !strchr(text, '\n'));
}

#endif
