/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink: bytes out. Writers say which bytes belong at which offset of the finished file; the sink
 * decides what that means: a file is written in place, a flattened stream gets a record, a dry run
 * counts.
 *
 * Small writes that follow each other are gathered; what is written in one piece of SINK_BUFFER or
 * more goes out as it is, without a copy. Only one thread uses a sink at a time.
 */
#ifndef SINK_H
#define SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "err.h"

#define SINK_BUFFER ((size_t)1 << 20)

struct sink;

/* Flags for sink_file(). */
enum {
	SINK_FORCE = 1, /* overwrite what exists; otherwise ERR_EXISTS */
	/*
	 * Nothing in the file can say that it is incomplete: it grows as NAME.incomplete, always a
	 * new file, and sink_commit() gives it its name. A device is written as it is.
	 */
	SINK_RENAME = 2,
};

/*
 * A new file, mode 0600 whatever the umask, or with SINK_FORCE an existing file, which is cut to
 * nothing, or block device. The caller has made sure that it is not the input (source_is_path()). A
 * sink that is closed without sink_commit() leaves what was written; sink_discard() removes it.
 */
int sink_file(const char *path, unsigned int flags, struct sink **ret, struct err *e);

/*
 * A flattened stream (makedumpfile -F) into descriptor FD, which stays the caller's; NAME is for
 * messages. Layout: makedumpfile's IMPLEMENTATION; a 4096-byte header, then records of {offset,
 * size} big-endian and data, then an end record. A byte must be written once only: crash keeps the
 * first value of a byte, makedumpfile -R the last.
 */
int sink_flat(int fd, const char *name, struct sink **ret, struct err *e);

/* The same into a file, as for sink_file(). Without its end record it is incomplete. */
int sink_flat_file(const char *path, unsigned int flags, struct sink **ret, struct err *e);

/*
 * The bytes of the file themselves into descriptor FD, one after another: for a format that goes
 * back nowhere. What is never written goes out as zeros. It stays the caller's; NAME is for messages.
 */
int sink_stream(int fd, const char *name, struct sink **ret, struct err *e);

/* Who takes the bytes of a file himself, one after another: an archive that it is a member of. */
struct sink_taker {
	/* How long the file will be, before its first byte; see sink_expect(). NULL: nobody asks. */
	int (*expect)(void *priv, uint64_t size, struct err *e);
	int (*take)(void *priv, const void *data, size_t len, struct err *e);
	void *priv;
};

/* A stream into T, which outlives the sink; NAME is for messages. */
int sink_take(const struct sink_taker *t, const char *name, struct sink **ret, struct err *e);

/*
 * A writer that knows it says, before its first byte, how long the file will be: sink_commit() gets
 * the same size.
 */
int sink_expect(struct sink *s, uint64_t size, struct err *e);

/* Counts bytes, writes nothing. */
int sink_null(const char *name, struct sink **ret, struct err *e);

/*
 * False where a byte once written stays: then a writer leaves out what it learns late, and writes
 * it at the end.
 */
bool sink_can_patch(const struct sink *s);

/*
 * Do bytes that are never written read as zeros? Not on a device, nor in a stream for all readers.
 */
bool sink_has_holes(const struct sink *s);

/* Do both write into the same file? */
bool sink_is_same(const struct sink *a, const struct sink *b);

const char *sink_name(const struct sink *s);

/* What the file is called by now, where that is not its name yet (SINK_RENAME); else NULL. */
const char *sink_unfinished_name(const struct sink *s);

/*
 * Refuse with ERR_NOSPACE, as a full disk would, to write at or beyond LIMIT bytes (makedumpfile
 * -L). 0: no limit.
 */
void sink_set_limit(struct sink *s, uint64_t limit);

/* Bytes handed to the system so far, without holes and framing. */
uint64_t sink_written(const struct sink *s);

/* Seconds spent in making the output durable (fsync), after sink_commit(). */
double sink_sync_seconds(const struct sink *s);

/* Write LEN bytes at offset OFF. Errors: ERR_NOSPACE, ERR_PIPE, ERR_IO. */
int sink_write(struct sink *s, uint64_t off, const void *buf, size_t len, struct err *e);

/*
 * Write the pieces of IOV, one after another, from offset OFF. Pieces of a mapped source are
 * allowed: should they vanish during the call, zeros are written and source_my_faults() tells.
 */
int sink_writev(struct sink *s, uint64_t off, const struct iovec *iov, int nr_iov, struct err *e);

/*
 * Make sure that [off, off + len) reads as zeros until it is written, and that it can be written
 * even when the disk fills up in between. The second is best effort: where the file system cannot
 * promise it, nothing happens; ERR_NOSPACE when it says that there is no room already.
 */
int sink_reserve(struct sink *s, uint64_t off, uint64_t len, struct err *e);

/* Hand gathered bytes to the system. */
int sink_flush(struct sink *s, struct err *e);

/* Flush, and make what was written so far durable: a barrier before a mark is cleared. */
int sink_sync(struct sink *s, struct err *e);

/*
 * One past the highest byte that the system has taken: what a failed write left behind ends here.
 */
uint64_t sink_end(const struct sink *s);

/*
 * The output is whole: flush, set the length of a file to SIZE, write the end record of a stream,
 * make it durable. After success the output may be called complete.
 */
int sink_commit(struct sink *s, uint64_t size, struct err *e);

/* It stays named as incomplete (SINK_RENAME), although all is written: what it holds is not whole. */
void sink_keep_unfinished(struct sink *s);

/*
 * Begin the output anew, as an empty file; for a retry. ERR_UNSUPPORTED where bytes are out
 * already.
 */
int sink_restart(struct sink *s, struct err *e);

/*
 * Throw the output away: cut a file to nothing and remove it if this sink created it. For a failed
 * start.
 */
void sink_discard(struct sink *s);

/* Close and free, without flushing; NULL is allowed. */
void sink_close(struct sink *s);

#endif
