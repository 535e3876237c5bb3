/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gzip, by zlib: libarchive does not look at the checksums, and loses the last 64 KiB before a
 * break.
 */
#include <limits.h>
#include <zlib.h>

#include "cleanup.h"
#include "unpack.h"

static int gzip_step(void *state, struct unpack_io *io, struct err *e)
{
	z_stream *z = state;
	int rc;

	z->next_in = (z_const Bytef *)io->in;
	z->avail_in = (uInt)MIN(io->in_len, (size_t)UINT_MAX);
	z->next_out = io->out;
	z->avail_out = (uInt)MIN(io->out_len, (size_t)UINT_MAX);
	rc = inflate(z, Z_NO_FLUSH);
	io->in_len -= (size_t)(z->next_in - io->in);
	io->in = z->next_in;
	io->out_len -= (size_t)(z->next_out - io->out);
	io->out = z->next_out;
	switch (rc) {
	case Z_OK:
	case Z_BUF_ERROR: /* no more without more input */
		return 0;
	case Z_STREAM_END:
		inflateReset(z);
		return 1;
	default:
		return err_set(e, rc == Z_MEM_ERROR ? ERR_NOMEM : ERR_CORRUPT, "%s",
			       z->msg ? z->msg : zError(rc));
	}
}

static bool gzip_follows(const uint8_t *in)
{
	return in[0] == 0x1f && in[1] == 0x8b;
}

static int gzip_decode(struct unpack *u, struct err *e)
{
	static const struct unpack_codec codec = { .step = gzip_step, .follows = gzip_follows };
	z_stream z = { .next_in = NULL };
	int rc;

	/* 16: a gzip header, nothing else */
	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = unpack_stream(u, &codec, &z, e);
	inflateEnd(&z);
	return rc;
}

static int gzip_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		     struct err *e)
{
	return unpack_run(under, "gzip", opts, gzip_decode, ret, e);
}

const struct opener gzip_opener = { PACKED_GZIP, .open = gzip_open };
