/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that were compressed as a whole: bytes of one source in order, through a decoder, into a
 * spool. No decoder here starts another program, and none trusts a size that it is told.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include "packed.h"
#include "spool.h"

extern const struct opener gzip_opener, lzop_opener, bzip2_opener, xz_opener, zstd_opener,
	lz4_opener;

/* One job. A decoder sees its input through unpack_want() and unpack_take(), in order. */
struct unpack {
	struct source *under;
	const struct spool_opts *opts;
	struct spool *spool;
	uint64_t in;  /* the next byte that is to be taken: a place for messages */
	uint64_t out; /* bytes that came out so far */
	uint8_t *buf;
	size_t start, end; /* of the input at hand */
	int os;		   /* why there is no more: 0 for its end */
};

/* At most so much can be wanted at a time. */
#define UNPACK_WANT ((size_t)64 << 20)

/*
 * The input at hand, LEN bytes or more (up to a MiB is read ahead); fewer where it ends. NULL with
 * ERR_NOMEM or ERR_INTERRUPTED.
 */
const uint8_t *unpack_want(struct unpack *u, size_t len, size_t *have, struct err *e);
void unpack_take(struct unpack *u, size_t len);

/* Go on at offset OFF. */
void unpack_seek(struct unpack *u, uint64_t off);

/* What came out. Errors of spool_write(). */
int unpack_put(struct unpack *u, const void *data, size_t len, struct err *e);

/* The input ended too early: sets ERR_CORRUPT, with the place. */
int unpack_ended(const struct unpack *u, struct err *e);

/* What a decoder of streams is given, and takes from: it moves all four. */
struct unpack_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
};

/* A library that decodes piece by piece. */
struct unpack_codec {
	/*
	 * Go on with STATE. Returns 1 when what was begun (a member, a frame) is at its end, 0 to
	 * go on, -1 and E (without the place) when it cannot be decoded.
	 */
	int (*step)(void *state, struct unpack_io *io, struct err *e);
	/* Does another one begin with these four bytes? */
	bool (*follows)(const uint8_t *in);
};

/* Decode with C until nothing more follows. */
int unpack_stream(struct unpack *u, const struct unpack_codec *c, void *state, struct err *e);

/*
 * Let DECODE run over UNDER for an opener's open(). It returns 0 at the end of what it decodes,
 * with u->in behind it; -1 and ERR_CORRUPT keeps what came out until then as a source that is cut,
 * if anything did; any other error is one. Texts name neither the file nor the kind.
 */
int unpack_run(struct source *under, const char *kind, const struct spool_opts *opts,
	       int (*decode)(struct unpack *u, struct err *e), struct source **ret, struct err *e);

#endif
