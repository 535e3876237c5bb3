/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xz, by liblzma: libarchive puts no limit below 1 GiB to the dictionary that a file asks for.
 *
 * A file is streams, one after the other, with zeros in fours between and behind them (xz file format
 * 1.2.1, "Stream Padding").
 */
#include <inttypes.h>
#include <lzma.h>

#include "bytes.h"
#include "unpack.h"

#define XZ_MAGIC 0x587a37fdu /* the first four bytes of six */
/* A dictionary of 128 MiB (xz -9 asks for 64) and what else the decoder needs. */
#define MEMORY_LIMIT ((uint64_t)129 << 20)

struct xz {
	lzma_stream z;
	bool inside; /* a stream */
};

static int complain(lzma_stream *z, lzma_ret rc, struct err *e)
{
	switch (rc) {
	case LZMA_MEM_ERROR:
		return err_set(e, ERR_NOMEM, "out of memory");
	case LZMA_MEMLIMIT_ERROR:
		return err_set(e, ERR_UNSUPPORTED,
			       "its dictionary needs %" PRIu64 " MiB of memory, more than 128 "
			       "(xz -d unpacks it)",
			       lzma_memusage(z) >> 20);
	case LZMA_OPTIONS_ERROR:
		return err_set(e, ERR_UNSUPPORTED, "options that liblzma does not know");
	case LZMA_FORMAT_ERROR:
		return err_set(e, ERR_CORRUPT, "no beginning of a stream");
	default:
		return err_set(e, ERR_CORRUPT, "what cannot be decoded, or a wrong checksum");
	}
}

/* Padding: all that is at hand of it. */
static int skip_zeros(struct unpack_io *io)
{
	while (io->in_len >= 4 && !load_u32(io->in, ORDER_LE)) {
		io->in += 4;
		io->in_len -= 4;
	}
	return 1;
}

static int xz_step(void *state, struct unpack_io *io, struct err *e)
{
	struct xz *x = state;
	lzma_ret rc = LZMA_OK;

	if (!x->inside && io->in_len >= 4 && !load_u32(io->in, ORDER_LE))
		return skip_zeros(io);
	if (!x->inside)
		rc = lzma_stream_decoder(&x->z, MEMORY_LIMIT, LZMA_TELL_UNSUPPORTED_CHECK);
	x->inside = true;
	x->z.next_in = io->in;
	x->z.avail_in = io->in_len;
	x->z.next_out = io->out;
	x->z.avail_out = io->out_len;
	if (rc == LZMA_OK)
		rc = lzma_code(&x->z, LZMA_RUN);
	io->in = x->z.next_in;
	io->in_len = x->z.avail_in;
	io->out = x->z.next_out;
	io->out_len = x->z.avail_out;
	if (rc == LZMA_STREAM_END)
		x->inside = false;
	if (rc == LZMA_OK || rc == LZMA_BUF_ERROR || rc == LZMA_UNSUPPORTED_CHECK)
		return 0;
	return rc == LZMA_STREAM_END ? 1 : complain(&x->z, rc, e);
}

/* A stream, or padding. */
static bool xz_follows(const uint8_t *in)
{
	uint32_t four = load_u32(in, ORDER_LE);

	return four == XZ_MAGIC || !four;
}

static int xz_decode(struct unpack *u, struct err *e)
{
	static const struct unpack_codec codec = { .step = xz_step, .follows = xz_follows };
	struct xz x = { .z = LZMA_STREAM_INIT };
	int rc = unpack_stream(u, &codec, &x, e);

	lzma_end(&x.z);
	return rc;
}

static int xz_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		   struct err *e)
{
	return unpack_run(under, "xz", opts, xz_decode, ret, e);
}

const struct opener xz_opener = { PACKED_XZ, .open = xz_open };
