/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bzip2 and lz4, by libarchive: one filter, chosen by us, over an archive that is one file
 * ("raw"). A filter that libarchive was built without would start a program instead
 * (archive_read_filter(3): "external"); it says so by ARCHIVE_WARN, and is not used then.
 */
#include <archive.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "unpack.h"

/* What libarchive's read callback needs. */
struct feed {
	struct unpack *u;
	size_t given; /* handed out by the last call */
	struct err e; /* ours, not the data's */
};

static la_ssize_t feed_read(struct archive *a, void *priv, const void **ret)
{
	struct feed *f = priv;
	size_t have;

	unpack_take(f->u, f->given);
	f->given = 0;
	*ret = unpack_want(f->u, 1, &have, &f->e);
	if (!*ret) {
		archive_set_error(a, -1, "%s", f->e.text);
		return ARCHIVE_FATAL;
	}
	if (!have && f->u->os) {
		unpack_ended(f->u, &f->e);
		archive_set_error(a, -1, "%s", f->e.text);
		return ARCHIVE_FATAL;
	}
	f->given = have;
	return (la_ssize_t)have;
}

/* libarchive's words for what is wrong, unless it is wrong on our side. */
static int complain(struct archive *a, const struct feed *f, struct err *e)
{
	const char *text = archive_error_string(a);

	if (f->e.code != ERR_NONE) {
		*e = f->e;
		return -1;
	}
	return err_set(e, archive_errno(a) == ENOMEM ? ERR_NOMEM : ERR_CORRUPT,
		       "%s before offset 0x%" PRIx64, text ? text : "breaks off",
		       f->u->in + f->given);
}

static int copy_all(struct archive *a, struct feed *f, struct err *e)
{
	struct archive_entry *entry;
	int rc = archive_read_next_header(a, &entry);

	while (rc == ARCHIVE_OK) {
		const void *data;
		la_int64_t off;
		size_t len;

		rc = archive_read_data_block(a, &data, &len, &off);
		if (rc == ARCHIVE_OK && unpack_put(f->u, data, len, e))
			return -1;
	}
	if (rc != ARCHIVE_EOF)
		return complain(a, f, e);
	unpack_seek(f->u, (uint64_t)archive_filter_bytes(a, -1)); /* where the filter has stopped */
	return 0;
}

static int decode(struct unpack *u, int filter, struct err *e)
{
	struct archive *a = archive_read_new();
	struct feed f = { .u = u, .e = ERR_INIT };
	int rc;

	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (archive_read_support_filter_by_code(a, filter) != ARCHIVE_OK)
		rc = err_set(e, ERR_UNSUPPORTED, "libarchive cannot unpack it by itself: %s",
			     archive_error_string(a));
	else if (archive_read_append_filter(a, filter) != ARCHIVE_OK ||
		 archive_read_support_format_empty(a) != ARCHIVE_OK ||
		 archive_read_support_format_raw(a) != ARCHIVE_OK ||
		 archive_read_open2(a, &f, NULL, feed_read, NULL, NULL) != ARCHIVE_OK ||
		 archive_error_string(a)) /* it takes what it cannot decode at all for empty */
		rc = complain(a, &f, e);
	else
		rc = copy_all(a, &f, e);
	archive_read_free(a);
	return rc;
}

#define FILTER(id, code, recognised)                                              \
	static int id##_decode(struct unpack *u, struct err *e)                   \
	{                                                                         \
		return decode(u, code, e);                                        \
	}                                                                         \
	static int id##_open(struct source *under, const struct spool_opts *opts, \
			     struct source **ret, struct err *e)                  \
	{                                                                         \
		return unpack_run(under, #id, opts, id##_decode, ret, e);         \
	}                                                                         \
	const struct opener id##_opener = { recognised, .open = id##_open }

FILTER(bzip2, ARCHIVE_FILTER_BZIP2, PACKED_BZIP2);
FILTER(lz4, ARCHIVE_FILTER_LZ4, PACKED_LZ4);
