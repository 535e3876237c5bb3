/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slots.h"

#include <inttypes.h>

#include "cleanup.h"

#define PIECES 64 /* per call of the sink */

/* Where in the pieces of a batch the writer is. */
struct slicer {
	const struct iovec *iov;
	size_t used; /* of the first one */
};

int zeros_put(struct sink *s, uint64_t off, uint64_t len, struct err *e)
{
	static const uint8_t zeros[4096];
	struct iovec iov[PIECES];

	while (len) {
		uint64_t total = 0;
		int n = 0;

		for (; n < PIECES && total < len; n++) {
			iov[n] = (struct iovec){ .iov_base = (void *)zeros,
						 .iov_len = MIN(len - total, sizeof(zeros)) };
			total += iov[n].iov_len;
		}
		if (sink_writev(s, off, iov, n, e))
			return -1;
		off += total;
		len -= total;
	}
	return 0;
}

/* The next LEN bytes of the batch, to offset OFF. */
static int slice_put(struct sink *s, uint64_t off, struct slicer *in, uint64_t len, struct err *e)
{
	struct iovec iov[PIECES];

	while (len) {
		uint64_t total = 0;
		int n = 0;

		for (; n < PIECES && total < len; n++) {
			size_t size = MIN(len - total, in->iov->iov_len - in->used);

			iov[n] =
				(struct iovec){ .iov_base = (uint8_t *)in->iov->iov_base + in->used,
						.iov_len = size };
			total += size;
			in->used += size;
			if (in->used == in->iov->iov_len) {
				in->iov++;
				in->used = 0;
			}
		}
		if (sink_writev(s, off, iov, n, e))
			return -1;
		off += total;
		len -= total;
	}
	return 0;
}

/* NR pages of one state, from slot FIRST on. */
static int run_put(struct part *p, struct slicer *in, enum page_state state, uint64_t off,
		   uint64_t len, struct err *e)
{
	bool stream = !sink_can_patch(p->sink);

	if (state == PAGE_DATA)
		return slice_put(p->sink, off, in, len, e);
	if (sink_has_holes(p->sink) || (state == PAGE_UNREADABLE && stream))
		return 0;
	return zeros_put(p->sink, off, len, e);
}

/*
 * The batch comes again when something of it was lost, to the same slots. In a stream a byte must
 * not be written twice: there it is looked at before it goes out.
 */
static int look_before(const struct part *p, const struct batch *b, uint64_t before, struct err *e)
{
	int i;

	if (sink_can_patch(p->sink))
		return 0;
	for (i = 0; i < b->nr_iov; i++)
		touch_pages(b->iov[i].iov_base, b->iov[i].iov_len);
	return batch_check(p, b, before, e);
}

int slots_put(struct part *p, const struct batch *b, uint64_t base, slot_fn slot, struct err *e)
{
	struct slicer in = { .iov = b->iov };
	uint64_t page = p->plan->page_size, before = source_my_faults();
	size_t i, end;

	if (look_before(p, b, before, e))
		return -1;
	for (i = 0; i < b->nr_pages; i = end) {
		for (end = i + 1; end < b->nr_pages && b->pages[end].state == b->pages[i].state &&
				  slot(b, end) == slot(b, i) + (end - i);)
			end++;
		if (run_put(p, &in, b->pages[i].state, base + slot(b, i) * page, (end - i) * page,
			    e))
			return -1;
	}
	return batch_check(p, b, before, e);
}
