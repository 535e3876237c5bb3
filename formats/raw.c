/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical memory without a header: crash's ramdump (FILE@ADDR, ramdump.c), QEMU's pmemsave,
 * Volatility's raw layer.
 *
 * Reading: several files may hold one memory, each from the address on that the user names. There
 * is nothing in them to recognise, so that address is what makes a file one of these. Everything
 * else (machine, notes) the user tells, or is found in the memory itself.
 *
 * Writing: the byte at physical address A is the byte at offset A of the file, whatever addresses
 * memory begins at, and the file ends where memory does. What the file does not hold, and zero
 * pages, are holes. Such a file cannot tell left out from zero, nor that it is incomplete: it gets
 * its name when it is whole.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "cleanup.h"
#include "extents.h"
#include "formats.h"
#include "slots.h"

#define MIN_PAGE 4096u
#define MAX_PHYS ((uint64_t)1 << 56) /* riscv64, the widest of all */

/* ---- reading ---- */

static int raw_probe(struct source *s)
{
	uint64_t base;

	return source_base(s, &base) ? INT_MAX : 0;
}

/* Memory [start, end) that a file has. */
struct piece {
	uint64_t start, end;
};

/*
 * How far the bytes from AT on belong to one file: *taken is set when it is one of the NR pieces
 * that were named before.
 */
static uint64_t same_until(const struct piece *before, unsigned int nr, uint64_t at, uint64_t end,
			   bool *taken)
{
	unsigned int i;

	*taken = false;
	for (i = 0; i < nr && !*taken; i++) {
		*taken = before[i].start <= at && at < before[i].end;
		if (*taken)
			end = MIN(end, before[i].end);
		else if (before[i].start > at)
			end = MIN(end, before[i].start);
	}
	return end;
}

/* File number INDEX, where none before it has the same memory. */
static int add_file(struct dump *d, const struct piece *pieces, unsigned int index, struct err *e)
{
	const struct piece *p = &pieces[index];
	uint64_t at = p->start, next, lost = 0;
	bool taken;

	for (; at < p->end; at = next) {
		next = same_until(pieces, index, at, p->end, &taken);
		if (taken)
			lost += next - at;
		else if (extents_add_from(d, index, at, next - at, next - at, at - p->start, e))
			return -1;
	}
	if (lost)
		log_warn(d->log,
			 "%s: %" PRIu64
			 " bytes of it are memory that a file named before it holds; "
			 "that one is read",
			 source_name(d->sources[index]), lost);
	return 0;
}

/*
 * No memory ends inside of a page: a file that begins with one and does not end with one was cut off,
 * unless another one goes on from there. What is missing of the page makes all of it unreadable.
 */
static int add_end(struct dump *d, const struct piece *pieces, unsigned int index, struct err *e)
{
	const struct piece *p = &pieces[index];
	uint64_t size = ALIGN_UP(p->end, (uint64_t)MIN_PAGE) - p->end;
	unsigned int i;

	if (!size || p->start == p->end || p->start % MIN_PAGE)
		return 0;
	for (i = 0; i < d->nr_sources; i++)
		if (pieces[i].start <= p->end && p->end < pieces[i].end)
			return 0;
	log_warn(d->log,
		 "%s: is cut off: it ends at physical address 0x%" PRIx64 ", inside of a page",
		 source_name(d->sources[index]), p->end);
	return extents_add_from(d, index, p->end, size, size, p->end - p->start, e);
}

static int raw_open(struct dump *d, struct err *e)
{
	_cleanup_free_ struct piece *pieces = calloc(d->nr_sources, sizeof(*pieces));
	unsigned int i;

	if (!pieces)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (i = 0; i < d->nr_sources; i++) {
		struct piece *p = &pieces[i];
		const char *name = source_name(d->sources[i]);

		if (!source_base(d->sources[i], &p->start))
			return err_set(
				e, ERR_USAGE,
				"%s: where it lies in memory is missing; raw memory is named "
				"FILE@ADDRESS",
				name);
		if (p->start >= MAX_PHYS)
			return err_set(e, ERR_USAGE,
				       "%s: no machine has memory at physical address 0x%" PRIx64,
				       name, p->start);
		p->end = p->start + MIN(source_size(d->sources[i]), MAX_PHYS - p->start);
		if (add_file(d, pieces, i, e))
			return -1;
	}
	for (i = 0; i < d->nr_sources; i++)
		if (add_end(d, pieces, i, e))
			return -1;
	/* Unless the user tells the architecture. */
	d->id.order = ORDER_LE;
	d->id.word = 8;
	return 0;
}

/* ---- writing ---- */

struct writer {
	uint64_t at;	     /* one past the last byte that was written or passed over */
	uint64_t unreadable; /* pages */
};

static int raw_begin(struct part *p, struct err *e)
{
	struct writer *w = calloc(1, sizeof(*w));

	p->priv = w;
	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (p->plan->max_pfn > (uint64_t)INT64_MAX / p->plan->page_size)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: memory ends at page 0x%" PRIx64 ", no file is that long",
			       sink_name(p->sink), p->plan->max_pfn);
	return 0;
}

static uint64_t slot_of(const struct batch *b, size_t i)
{
	return b->pages[i].pfn;
}

/*
 * What lies between pages is a hole. A device has none; in a stream they stay open, for whoever
 * makes a file of it.
 */
static int skip_to(struct part *p, struct writer *w, uint64_t off, struct err *e)
{
	if (off > w->at && !sink_has_holes(p->sink) && sink_can_patch(p->sink) &&
	    zeros_put(p->sink, w->at, off - w->at, e))
		return -1;
	w->at = MAX(w->at, off);
	return 0;
}

static int skip_between(struct part *p, struct writer *w, const struct batch *b, struct err *e)
{
	uint64_t page = p->plan->page_size;
	size_t i;

	for (i = 0; i < b->nr_pages; i++) {
		if (b->pages[i].state == PAGE_UNREADABLE)
			continue;
		if (skip_to(p, w, b->pages[i].pfn * page, e))
			return -1;
		w->at = (b->pages[i].pfn + 1) * page;
	}
	return 0;
}

static int raw_put(struct part *p, const struct batch *b, struct err *e)
{
	struct writer *w = p->priv;
	size_t i;

	if (slots_put(p, b, 0, slot_of, e) || skip_between(p, w, b, e))
		return -1;
	for (i = 0; i < b->nr_pages; i++)
		w->unreadable += b->pages[i].state == PAGE_UNREADABLE;
	return 0;
}

/* Pages of memory that the file has zeros for, because it does not hold them. */
static uint64_t count_missing(const struct plan *plan)
{
	uint64_t pfn = 0, n = 0;
	struct run run;

	for (; dump_next_run(plan->dump, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		n += run.nr;
	return n - pfnset_count(plan->keep, 0, UINT64_MAX);
}

static int raw_commit(struct part *p, struct err *e)
{
	const struct plan *plan = p->plan;
	struct writer *w = p->priv;
	uint64_t end = plan->max_pfn * plan->page_size,
		 missing = count_missing(plan) + w->unreadable;

	/* A stream has no length: its last byte says where the file ends. */
	if (!sink_can_patch(p->sink) && w->at < end &&
	    zeros_put(p->sink, end - plan->page_size, plan->page_size, e))
		return -1;
	if (skip_to(p, w, end, e))
		return -1;
	if (missing)
		log_warn(plan->dump->log,
			 "%s: %" PRIu64 " pages of memory that are not in it read as zeros: a raw "
			 "image cannot tell",
			 sink_name(p->sink), missing);
	if (plan->incomplete)
		sink_keep_unfinished(p->sink);
	return sink_commit(p->sink, end, e);
}

static void raw_finish(struct part *p)
{
	free(p->priv);
	p->priv = NULL;
}

static void raw_abandon(struct part *p)
{
	struct err ignored = ERR_INIT;

	sink_flush(p->sink, &ignored);
	raw_finish(p);
}

const struct format raw_format = {
	.name = "raw",
	.title = "raw memory image",
	.is_set = true,
	.no_notes = true,
	.holes_are_zero = true,
	.unmarked = true,
	.probe = raw_probe,
	.open = raw_open,
	.begin = raw_begin,
	.put = raw_put,
	.commit = raw_commit,
	.abandon = raw_abandon,
	.finish = raw_finish,
};
