/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source: bytes in. It declares how long it is and how it may be read, and hands out windows of
 * itself.
 *
 * A window is a piece of the source in memory: mapped where the system can map it, read into a
 * buffer elsewhere. The caller gets one, looks at it, and puts it back; windows are few and of
 * bounded size, because a 32-bit host has no room for more and because mapping /proc/vmcore builds
 * page tables at once.
 *
 * Bytes that the system cannot deliver (EIO, hardware poison, a file that shrinks while it is
 * mapped) read as zeros inside a window and are counted. Who must not take such zeros for data
 * compares source_my_faults() before and after, and asks source_read() page by page when it moved.
 * A SIGBUS is dealt with here and nowhere else.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct source;

/* Flags for source_open(). */
enum {
	SOURCE_NO_MMAP = 1, /* read(), never map (makedumpfile's --non-mmap) */
};

/*
 * A window begun anywhere inside its grid cell reaches at least this far past the cell's end, so
 * that one page of any page size that begins in the window also ends in it (unless the source ends
 * first).
 */
#define SOURCE_SLACK 65536u

/*
 * Open PATH for reading. Directories, sockets and pipes are refused with ERR_UNSUPPORTED:
 * everything here needs random access. The source is closed with source_close().
 */
int source_open(const char *path, unsigned int flags, struct source **ret, struct err *e);

/*
 * A source over LEN bytes of memory at DATA, which must outlive it. For tests and fuzzers. NULL
 * when out of memory.
 */
struct source *source_memory(const char *name, const void *data, size_t len);

/* Close and free; NULL is allowed. All windows must have been put. */
void source_close(struct source *s);

const char *source_name(const struct source *s);

/* Length in bytes when it was opened; UINT64_MAX for a device that does not tell. */
uint64_t source_size(const struct source *s);

/* Is PATH, under whatever name, the file that is read here? Then it must not be written. */
bool source_is_path(const struct source *s, const char *path);

/*
 * Host pages, or blocks, that the system could not deliver to the calling thread so far, whatever
 * the source. A window got before the count moved may hold zeros in their place for good: put it
 * back.
 */
uint64_t source_my_faults(void);

/*
 * Copy LEN bytes from offset OFF into BUF, by read(), not through a window. ERR_UNREADABLE names
 * the first byte that cannot be had (end of the source, or an error of the system).
 */
int source_read(struct source *s, uint64_t off, void *buf, size_t len, struct err *e);

/*
 * Touch every page of LEN bytes at DATA: what is lost of a mapping shows now, in the fault count.
 */
static inline void touch_pages(const void *data, size_t len)
{
	const volatile uint8_t *p = data;
	size_t off;

	for (off = 0; off < len; off += 4096)
		(void)p[off];
	if (len)
		(void)p[len - 1];
}

struct window {
	const uint8_t *data; /* the byte at offset `off`; NULL when there is no window */
	uint64_t off;
	size_t len;
	/* private to source.c */
	struct source *source;
	void *base;
	size_t base_len;
	int slot;
};

/*
 * Get the window that holds offset OFF. ret->data begins at or before OFF; it is at least
 * SOURCE_SLACK bytes beyond OFF long unless the source ends there. ERR_UNREADABLE when OFF lies
 * past the end, ERR_NOMEM.
 */
int source_get(struct source *s, uint64_t off, struct window *ret, struct err *e);

/*
 * LEN bytes from OFF on as one window of just that length, however long: for the few structures
 * that are looked at as a whole. Mapped where that is possible; otherwise it takes LEN bytes of
 * memory.
 */
int source_get_exact(struct source *s, uint64_t off, size_t len, struct window *ret, struct err *e);

/* Are windows mapped, as far as is known by now? If not they take memory. */
bool source_maps(const struct source *s);

/* Give a window back; one without data is allowed. Its data must not be touched any more. */
void source_put(struct window *w);

#endif
