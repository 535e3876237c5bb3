/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A codec and a format for tests of lib/pipeline.c. */
#ifndef FAKE_WRITER_H
#define FAKE_WRITER_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline.h"

/* ---- a codec of our own, which takes its time ---- */

static atomic_uint opened, may_open;

static size_t slow_memory(int level, size_t page_size)
{
	(void)level;
	return page_size;
}

static void *slow_open(int level, size_t page_size)
{
	(void)level;
	(void)page_size;
	return atomic_fetch_add(&opened, 1) < atomic_load(&may_open) ? calloc(1, 4) : NULL;
}

/* The page up to the last byte that is not zero. Some pages take long, so that threads overtake. */
static size_t slow_compress(void *state, const void *in, size_t len, void *out, size_t room)
{
	const uint8_t *p = in;

	(void)state;
	if (p[0] % 16 == 1)
		usleep(p[1] * 4u);
	while (len && !p[len - 1])
		len--;
	if (len > room)
		return 0;
	memcpy(out, in, len);
	return len;
}

static size_t slow_bound(size_t len)
{
	return len + 100;
}

static const struct codec slow_codec = { .id = CODEC_LZO,
					 .name = "slow",
					 .memory = slow_memory,
					 .open = slow_open,
					 .compress = slow_compress,
					 .bound = slow_bound,
					 .close = free };

/* ---- a format that writes down ---- */

struct record {
	bool (*right)(const struct page_out *p); /* what the test says about a page */
	uint8_t *buf;
	size_t len, room;
	uint64_t next_pfn, pages, zero, unreadable;
	unsigned int bad, puts, fail_at, interrupt_at;
	atomic_int inside;
};

static volatile int interrupted;

static void note_down(struct record *r, const void *p, size_t len)
{
	if (r->room - r->len < len) {
		r->room = 2 * (r->room + len);
		r->buf = realloc(r->buf, r->room);
	}
	memcpy(r->buf + r->len, p, len);
	r->len += len;
}

static int record_put(struct part *part, const struct batch *b, struct err *e)
{
	struct record *r = part->priv;
	size_t i, bytes = 0;
	int k;

	r->bad += atomic_fetch_add(&r->inside, 1) != 0; /* one thread at a time */
	if (++r->puts == r->fail_at) {
		atomic_fetch_sub(&r->inside, 1);
		return err_set(e, ERR_NOSPACE, "full at %u", r->puts);
	}
	if (r->puts == r->interrupt_at)
		__atomic_store_n(&interrupted, 1, __ATOMIC_RELAXED);
	for (i = 0; i < b->nr_pages; i++) {
		const struct page_out *p = &b->pages[i];

		r->bad += p->pfn < r->next_pfn || p->pfn < part->start_pfn ||
			  p->pfn >= part->end_pfn || !r->right(p);
		r->next_pfn = p->pfn + 1;
		r->pages++;
		r->zero += p->state == PAGE_ZERO;
		r->unreadable += p->state == PAGE_UNREADABLE;
		bytes += p->state == PAGE_DATA ? p->size : 0;
		note_down(r, &p->pfn, sizeof(p->pfn));
		note_down(r, &p->state, sizeof(p->state));
		note_down(r, &p->codec, sizeof(p->codec));
	}
	r->bad += bytes != b->bytes;
	for (k = 0; k < b->nr_iov; k++) {
		note_down(r, b->iov[k].iov_base, b->iov[k].iov_len);
		bytes -= b->iov[k].iov_len;
	}
	r->bad += bytes != 0;
	atomic_fetch_sub(&r->inside, 1);
	return 0;
}

static const struct format record_format = { .name = "record", .put = record_put };

#endif
