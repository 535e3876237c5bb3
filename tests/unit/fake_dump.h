/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dump that is made up, page by page, and a plan to write it: for tests of writers that store
 * pages as they are.
 */
#ifndef FAKE_DUMP_H
#define FAKE_DUMP_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "format.h"
#include "tap.h"

#define MAX_PAGE 65536u

struct fake {
	struct dump dump;
	struct pfnset keep;
	struct plan plan;
	struct part part;
	struct log log;
	struct err e;
	char said[1024]; /* the last warning */
	unsigned int warnings;
	uint64_t nr_pages;
	uint8_t *state;	  /* enum page_state of each page */
	bool *lost;	  /* kept pages that turn out to be unreadable */
	uint64_t stop_at; /* put() no page from here on */
};

static uint64_t fake_random_state = 5;

static inline uint32_t fake_random(uint32_t n)
{
	fake_random_state = fake_random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(fake_random_state >> 33) % n;
}

/* What page PFN holds. */
static inline void fake_fill(const struct fake *f, uint64_t pfn, uint8_t *page)
{
	uint32_t i, size = f->plan.page_size;

	memset(page, 0, size);
	if (f->state[pfn] != PAGE_DATA)
		return;
	for (i = 0; i < size; i++)
		page[i] = (uint8_t)(pfn * 7 + i * 13 + (i >> 8));
}

static bool fake_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct fake *f = d->map_data;
	uint64_t end;

	(void)space;
	while (pfn < f->nr_pages && f->state[pfn] == PAGE_ABSENT)
		pfn++;
	if (pfn >= f->nr_pages)
		return false;
	for (end = pfn; end < f->nr_pages && f->state[end] == f->state[pfn];)
		end++;
	*ret = (struct run){ .pfn = pfn, .nr = end - pfn, .state = f->state[pfn] };
	return true;
}

static const struct map_ops fake_map = { .next_run = fake_next_run };

static void fake_hear(struct log *log, enum log_level level, const char *text)
{
	struct fake *f = (struct fake *)((char *)log - offsetof(struct fake, log));

	if (level != LOG_WARN)
		return;
	f->warnings++;
	snprintf(f->said, sizeof(f->said), "%s", text);
}

/* A machine of NR pages of SIZE bytes; its memory is told with fake_ram(). */
static inline struct fake *fake_new(uint64_t nr, uint32_t size)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->nr_pages = nr;
	f->state = calloc(nr, 1);
	f->lost = calloc(nr, sizeof(*f->lost));
	f->stop_at = UINT64_MAX;
	f->log.emit = fake_hear;
	f->dump.map = &fake_map;
	f->dump.map_data = f;
	f->dump.log = &f->log;
	f->dump.id = (struct ident){
		.e_machine = 62, .order = ORDER_LE, .word = 8, .page_size = size, .align64 = 8
	};
	f->dump.source = source_memory("made up", "", 0);
	f->plan = (struct plan){ .dump = &f->dump, .keep = &f->keep, .page_size = size };
	f->plan.nr_parts = 1;
	f->part.plan = &f->plan;
	return f;
}

/* Pages [FIRST, END) exist; every Nth of them holds zeros. */
static inline void fake_ram(struct fake *f, uint64_t first, uint64_t end, unsigned int zero_each)
{
	for (; first < end; first++)
		f->state[first] = first % zero_each ? PAGE_DATA : PAGE_ZERO;
}

/* The memory is complete: all of it is kept at first. */
static inline void fake_ready(struct fake *f)
{
	if (pfnset_init(&f->keep, &f->dump, &f->e))
		abort();
	f->plan.max_pfn = dump_max_pfn(&f->dump);
	f->part.end_pfn = f->plan.max_pfn;
}

static inline void fake_free(struct fake *f)
{
	pfnset_fini(&f->keep);
	source_close(f->dump.source);
	free(f->state);
	free(f->lost);
	free(f);
}

#define BATCH_PAGES 37u

/* Pieces of BUF, LEN bytes in all. */
static inline int fake_slice(uint8_t *buf, size_t len, struct iovec *iov, int room)
{
	int n = 0;

	for (; len; n++) {
		size_t piece = 1 + fake_random(3 * 4096);

		if (piece > len || n + 1 == room)
			piece = len;
		iov[n] = (struct iovec){ .iov_base = buf, .iov_len = piece };
		buf += piece;
		len -= piece;
	}
	return n;
}

static inline int fake_put_batch(struct fake *f, const struct format *format, uint64_t pfn,
				 uint64_t *ret)
{
	static uint8_t buf[BATCH_PAGES * MAX_PAGE];
	struct page_out pages[BATCH_PAGES];
	struct iovec iov[64];
	struct batch b = { .pages = pages, .iov = iov };
	uint64_t want = 1 + fake_random(BATCH_PAGES), nr;

	for (; b.nr_pages < want &&
	       pfnset_next(&f->keep, pfn, f->stop_at, want - b.nr_pages, &pfn, &nr);)
		for (; nr; nr--, pfn++) {
			struct page_out *out = &pages[b.nr_pages++];
			enum page_state state = f->lost[pfn] ? PAGE_UNREADABLE : f->state[pfn];

			*out = (struct page_out){ .pfn = pfn, .state = state };
			if (state != PAGE_DATA)
				continue;
			out->data = buf + b.bytes;
			out->size = f->plan.page_size;
			fake_fill(f, pfn, buf + b.bytes);
			b.bytes += out->size;
		}
	b.nr_iov = fake_slice(buf, b.bytes, iov, ARRAY_SIZE(iov));
	*ret = pfn;
	return b.nr_pages ? format->put(&f->part, &b, &f->e) : 0;
}

/* Begin, and put all that is kept, as the pipeline does. */
static inline int fake_put_all(struct fake *f, const struct format *format)
{
	uint64_t pfn = 0, nr;

	f->part.nr_pages = pfnset_count(&f->keep, 0, UINT64_MAX);
	if (format->begin(&f->part, &f->e))
		return -1;
	while (pfnset_next(&f->keep, pfn, f->stop_at, 1, &pfn, &nr))
		if (fake_put_batch(f, format, pfn, &pfn))
			return -1;
	return 0;
}

/* All of it. */
static inline int fake_write(struct fake *f, const struct format *format)
{
	if (fake_put_all(f, format) || format->commit(&f->part, &f->e)) {
		format->abandon(&f->part);
		return -1;
	}
	format->finish(&f->part);
	return 0;
}

/* All of a file; *len tells how much. */
static inline uint8_t *fake_slurp(const char *name, size_t *len)
{
	struct stat st;
	FILE *in = fopen(name, "rb");
	uint8_t *buf;

	if (!in || fstat(fileno(in), &st))
		abort();
	buf = malloc((size_t)st.st_size + 1);
	*len = buf ? fread(buf, 1, (size_t)st.st_size, in) : 0;
	fclose(in);
	return buf;
}

/*
 * Put a flattened stream together in OUT; *twice counts bytes that come again, which nobody may
 * write, SEEN has the bytes that came. False without an end.
 */
static inline bool fake_rearrange(const uint8_t *in, size_t len, uint8_t *out, uint8_t *seen,
				  size_t room, size_t *twice)
{
	struct bytes b = bytes_init(in, len, ORDER_BE, "stream", 0);

	*twice = 0;
	bytes_seek(&b, 4096);
	for (;;) {
		uint64_t off = bytes_u64(&b), size = bytes_u64(&b), i;
		const void *data;

		if (off == UINT64_MAX && size == UINT64_MAX)
			return bytes_left(&b) == 0;
		data = size <= room ? bytes_get(&b, size) : NULL;
		if (!data || b.overrun || off > room - size)
			return false;
		memcpy(out + off, data, size);
		for (i = 0; i < size; i++)
			*twice += seen[off + i]++;
	}
}

#endif
