/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>

#include "cleanup.h"
#include "printk_priv.h"

int printk_window_init(struct printk_job *j, struct printk_window *w, uint64_t base, uint64_t size,
		       size_t room)
{
	*w = (struct printk_window){
		.base = base, .size = size, .room = room, .buf = malloc(room)
	};
	return w->buf ? 0 : err_set(j->e, ERR_NOMEM, "no memory for a window of %zu bytes", room);
}

void printk_window_fini(struct printk_window *w)
{
	free(w->buf);
	w->buf = NULL;
}

/*
 * Fill the window, chunk by chunk: with what was asked for, and as much as it holds when the
 * reading is sequential.
 */
static bool window_fill(struct printk_job *j, struct printk_window *w, uint64_t off, size_t len)
{
	bool sequential = off - w->off <= w->len;
	uint64_t begin = off - MIN((w->base + off) % CHUNK, off);
	uint64_t want = MIN(sequential ? w->room : off + len - begin, w->size - begin);

	w->off = begin;
	w->len = 0;
	while (w->len < want) {
		uint64_t vaddr = w->base + begin + w->len;
		uint64_t rest = MIN(w->size - begin, w->room) - w->len;
		size_t n = (size_t)MIN(CHUNK - vaddr % CHUNK, rest);

		if (xlat_read(j->x, j->r, vaddr, w->buf + w->len, n, &j->why)) {
			w->bad = begin + w->len;
			w->bad_len = n;
			break;
		}
		w->len += n;
	}
	return off + len <= begin + w->len;
}

const uint8_t *printk_window_get(struct printk_job *j, struct printk_window *w, uint64_t off,
				 size_t len)
{
	if (off > w->size || len > w->size - off || len > w->room - (CHUNK - 1)) {
		err_set(&j->why, ERR_CORRUPT,
			"%zu bytes at offset 0x%" PRIx64 " of an array of 0x%" PRIx64, len, off,
			w->size);
		return NULL;
	}
	if (off < w->bad + w->bad_len && off + len > w->bad) {
		err_set(&j->why, ERR_UNREADABLE, "virtual address 0x%" PRIx64 " cannot be read",
			w->base + w->bad);
		return NULL;
	}
	if ((off < w->off || off + len > w->off + w->len) && !window_fill(j, w, off, len))
		return NULL;
	return w->buf + (off - w->off);
}
