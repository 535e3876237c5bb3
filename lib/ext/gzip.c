/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gzip, by zlib: libarchive does not look at the checksums, and loses the last 64 KiB before a
 * break.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cleanup.h"
#include "unpack.h"

#define OUT_SIZE ((size_t)256 << 10)

/* Does another member follow? */
static int next_member(struct unpack *u, bool *ret, struct err *e)
{
	size_t have;
	const uint8_t *in = unpack_want(u, 2, &have, e);

	*ret = in && have >= 2 && in[0] == 0x1f && in[1] == 0x8b;
	return in ? 0 : -1;
}

/* Decode until a member ends (1), or as far as the input at hand reaches (0). */
static int gunzip_some(struct unpack *u, z_stream *z, uint8_t *out, struct err *e)
{
	size_t have;
	const uint8_t *in = unpack_want(u, 1, &have, e);
	int rc;

	if (!in)
		return -1;
	if (!have)
		return unpack_ended(u, e);
	z->next_in = (z_const Bytef *)in;
	z->avail_in = (uInt)MIN(have, (size_t)UINT_MAX);
	z->next_out = out;
	z->avail_out = (uInt)OUT_SIZE;
	rc = inflate(z, Z_NO_FLUSH);
	unpack_take(u, (size_t)(z->next_in - in));
	if (unpack_put(u, out, OUT_SIZE - z->avail_out, e))
		return -1;
	if (rc == Z_OK || rc == Z_STREAM_END)
		return rc == Z_STREAM_END;
	return err_set(e, rc == Z_MEM_ERROR ? ERR_NOMEM : ERR_CORRUPT, "%s at offset 0x%" PRIx64,
		       z->msg ? z->msg : zError(rc), u->in);
}

static int gunzip_all(struct unpack *u, z_stream *z, uint8_t *out, struct err *e)
{
	bool more = true;

	while (more) {
		int rc = gunzip_some(u, z, out, e);

		if (rc < 0 || (rc > 0 && next_member(u, &more, e)))
			return -1;
		if (rc > 0)
			inflateReset(z);
	}
	return 0;
}

static int gunzip(struct unpack *u, struct err *e)
{
	_cleanup_free_ uint8_t *out = malloc(OUT_SIZE);
	z_stream z = { .next_in = NULL };
	int rc;

	/* 16: a gzip header, nothing else */
	if (!out || inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = gunzip_all(u, &z, out, e);
	inflateEnd(&z);
	return rc;
}

static int gzip_open(struct source *under, const struct spool_opts *opts, struct source **ret,
		     struct err *e)
{
	return unpack_run(under, "gzip", opts, gunzip, ret, e);
}

const struct opener gzip_opener = { PACKED_GZIP, .open = gzip_open };
