/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zstd, by libzstd, which is there anyway for pages. */
#include <zstd.h>
#include <zstd_errors.h>

#include "bytes.h"
#include "unpack.h"

static int zstd_step(void *state, struct unpack_io *io, struct err *e)
{
	ZSTD_inBuffer in = { .src = io->in, .size = io->in_len };
	ZSTD_outBuffer out = { .dst = io->out, .size = io->out_len };
	size_t rc = ZSTD_decompressStream(state, &out, &in);

	io->in += in.pos;
	io->in_len -= in.pos;
	io->out += out.pos;
	io->out_len -= out.pos;
	if (!ZSTD_isError(rc))
		return rc == 0;
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(e, ERR_UNSUPPORTED,
			       "a frame needs a window of more than 128 MiB (zstd -d "
			       "--long=31 unpacks it)");
	case ZSTD_error_memory_allocation:
		return err_set(e, ERR_NOMEM, "out of memory");
	default:
		return err_set(e, ERR_CORRUPT, "%s", ZSTD_getErrorName(rc));
	}
}

/* A frame, or one to be skipped. */
static bool zstd_follows(const uint8_t *in)
{
	uint32_t magic = load_u32(in, ORDER_LE);

	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static int zstd_decode(struct unpack *u, struct err *e)
{
	static const struct unpack_codec codec = { .step = zstd_step, .follows = zstd_follows };
	ZSTD_DStream *z = ZSTD_createDStream();
	int rc;

	if (!z)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = unpack_stream(u, &codec, z, e);
	ZSTD_freeDStream(z);
	return rc;
}

static int zstd_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		     struct err *e)
{
	return unpack_run(under, "zstd", opts, zstd_decode, ret, e);
}

const struct opener zstd_opener = { PACKED_ZSTD, .open = zstd_open };
