/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source: bytes in. It declares how long it is and how it may be read, and hands out windows of
 * itself.
 *
 * A window is a piece of the source in memory: mapped where that saves something (/proc/vmcore,
 * devices, what is looked at as a whole), read into a buffer elsewhere. The caller gets one, looks
 * at it, and puts it back; windows are few and of bounded size, because a 32-bit host has no room
 * for more and because mapping /proc/vmcore builds page tables at once.
 *
 * Bytes that the system cannot deliver (EIO, hardware poison, a file that shrinks while it is
 * mapped) read as zeros inside a window and are counted. Who must not take such zeros for data
 * compares source_my_faults() before and after, and asks source_read() page by page when it moved.
 * A SIGBUS is dealt with here and nowhere else.
 *
 * Sources stack: a flattened stream (lib/flat.h) is a source over another one, what was compressed
 * as a whole (lib/ext) or came through a pipe (lib/spool.h) is a file of ours that has taken its
 * place. An opener recognises such a wrapping and takes it off; formats never know of it.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct log;
struct source;

/* Flags for source_open(). */
enum {
	SOURCE_NO_MMAP = 1, /* read(), never map (makedumpfile's --non-mmap) */
	SOURCE_MMAP = 2,    /* map the windows of a regular file too: for tests */
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
 * The same for a descriptor that is open already, which the source then owns; on failure it stays
 * the caller's.
 */
int source_fd(int fd, const char *name, unsigned int flags, struct source **ret, struct err *e);

/*
 * A source over LEN bytes of memory at DATA, which must outlive it. For tests and fuzzers. NULL
 * when out of memory.
 */
struct source *source_memory(const char *name, const void *data, size_t len);

/* How a source over another one gets at its bytes. */
struct source_ops {
	/*
	 * Like pread(): copy up to LEN bytes from offset OFF into BUF, from any thread; fewer where
	 * the source ends, or at bytes that cannot be had, with *os set to an errno value for the
	 * latter.
	 */
	size_t (*read)(void *priv, uint64_t off, void *buf, size_t len, int *os);
	/* Free PRIV; the source beneath is closed by its owner. */
	void (*close)(void *priv);
};

/*
 * A source of SIZE bytes over UNDER, which it then owns, with its name. KIND is what was taken off,
 * for messages: "flattened". On failure (ERR_NOMEM) UNDER and PRIV stay the caller's.
 */
int source_over(struct source *under, const char *kind, const struct source_ops *ops, void *priv,
		uint64_t size, struct source **ret, struct err *e);

/*
 * S, a file of its own, takes the place of UNDER, which is kept beneath it for its name and
 * identity only. KIND as above: "xz", "pipe". UNDER may be NULL.
 */
void source_replace(struct source *s, struct source *under, const char *kind);

/* Close and free, with all that is beneath it; NULL is allowed. All windows must have been put. */
void source_close(struct source *s);

/* What was taken off to get at this source, and what it lies over; NULL for a plain file. */
const char *source_kind(const struct source *s);
struct source *source_under(const struct source *s);

/* How the name of a file ends that is not whole, and cannot say so itself: see SINK_RENAME. */
#define UNFINISHED ".incomplete"

/*
 * This source knows that it is cut off: a stream without its end, a compressed file that breaks
 * off, a file whose name is UNFINISHED. What it has is good as far as it goes.
 */
void source_set_cut(struct source *s);
bool source_is_cut(const struct source *s);

/* Memory image without a header: where its first byte lies in physical memory (FILE@ADDR). */
void source_set_base(struct source *s, uint64_t addr);
bool source_base(const struct source *s, uint64_t *ret);

/*
 * Offset of the next byte at or after OFF that may be something else than a hole of a file;
 * UINT64_MAX when nothing but a hole follows. OFF where holes cannot be found.
 */
uint64_t source_next_data(struct source *s, uint64_t off);

/* The descriptor of a plain file, or -1. For libraries that want one; it stays the source's. */
int source_get_fd(const struct source *s);

/* ---- openers ---- */

/* Where and how much may be put on disk when a source has to be spooled. */
struct spool_opts {
	const char *dir;		 /* NULL: $TMPDIR, or /var/tmp */
	uint64_t limit;			 /* bytes; 0: half of what is free there */
	struct log *log;		 /* is told what is spooled, and the limit */
	const volatile int *interrupted; /* may be NULL */
};

/* One kind of wrapping: a file and a line in tools/link_*.c. */
struct opener {
	const char *name;  /* "xz", "flattened" */
	const char *magic; /* at offset 0 */
	size_t magic_len;
	/* More than the magic: true when it is this opener's. NULL: the magic decides. */
	bool (*probe)(struct source *s);
	/*
	 * Make *ret of UNDER, which it then owns. What is cut off is source_set_cut(). ERR_CORRUPT
	 * when nothing of it can be used, ERR_NOSPACE when a limit is reached (and the message
	 * names the option that lifts it), ERR_NOMEM; UNDER then stays the caller's.
	 */
	int (*open)(struct source *under, const struct spool_opts *opts, struct source **ret,
		    struct err *e);
	/* Instead of open, where it can only be recognised: the library that it takes. */
	const char *missing;
};

/* What this link can take off, NULL terminated; defined in tools/link_*.c. */
extern const struct opener *const opener_table[];

/*
 * Take off what *S is wrapped in, layer by layer, at most 8. On failure *S is what was left; it
 * stays the caller's.
 */
int source_unwrap(struct source **s, const struct opener *const *openers,
		  const struct spool_opts *opts, struct err *e);

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
 * Has the file become shorter since it was opened? Then what is mapped of the page in which it ends
 * now reads as zeros behind that end, and no fault tells. Files that are mapped only; others read
 * exactly.
 */
bool source_shrank(struct source *s);

/*
 * Between source_guard(true) and source_guard(false) a page of any mapping that is lost under the
 * calling thread's hands becomes zeros and is counted, not only one of our windows: for calls into
 * a library that maps files itself. What it mapped must be thrown away when the count moved.
 */
void source_guard(bool on);

/*
 * Copy LEN bytes from offset OFF into BUF, by read(), not through a window. ERR_UNREADABLE names
 * the first byte that cannot be had (end of the source, or an error of the system).
 */
int source_read(struct source *s, uint64_t off, void *buf, size_t len, struct err *e);

/*
 * The same for who can do with less: returns how many bytes from OFF on could be had, and sets *os
 * to 0 or to the errno value that says why there are not more. For sources over others.
 */
size_t source_read_some(struct source *s, uint64_t off, void *buf, size_t len, int *os);

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

/* A window that is read is no longer than this. */
#define SOURCE_WINDOW_MAX ((size_t)128 << 10)

/*
 * Get a window that holds offset OFF. ret->data begins at or before OFF; it is at least WANT bytes
 * beyond OFF long (SOURCE_SLACK at most are promised) unless the source ends there. How much is
 * read at once is the caller's choice: little for who jumps, up to SOURCE_WINDOW_MAX for who reads
 * straight on; what is mapped is longer. ERR_UNREADABLE when OFF lies past the end, ERR_NOMEM.
 */
int source_get(struct source *s, uint64_t off, size_t want, struct window *ret, struct err *e);

/*
 * LEN bytes from OFF on as one window of just that length, however long: for the few structures
 * that are looked at as a whole. Mapped where that is possible; otherwise it takes LEN bytes of
 * memory.
 */
int source_get_exact(struct source *s, uint64_t off, size_t len, struct window *ret, struct err *e);

/*
 * Is what source_get_exact() returns mapped, as far as is known by now, and what source_get() does?
 * If not they take memory.
 */
bool source_maps(const struct source *s);
bool source_maps_windows(const struct source *s);

/* Give a window back; one without data is allowed. Its data must not be touched any more. */
void source_put(struct window *w);

#endif
