/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libarchive makes the archive and compresses it, one write callback takes its bytes. A filter that
 * it was built without would start a program instead (archive_write_filter(3)); it says so by
 * ARCHIVE_WARN, and is refused.
 */
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cleanup.h"
#include "names.h"
#include "pack_dir.h"
#include "pack_out.h"

#define MAX_THREADS 256u /* liblzma refuses many more, as if that were its own fault */

struct pack {
	struct pack_opts o;
	char *folder;
	struct archive *a; /* NULL: a plain folder */
	struct archive_entry *entry;
	struct pack_out *out;
	struct pack_dir *dir;
	struct names *names;
	struct sha256_ctx sha;
	char *member; /* that is written now */
	uint64_t left;
	uint64_t bytes; /* of members */
	struct err err; /* of the output, from inside libarchive */
	bool failed;
};

/* What a format is: name, ends of file names, libarchive's compressor and its level when none is
 * asked for. */
static const struct format_row {
	const char *name, *ends[3];
	int (*filter)(struct archive *a);
	const char *module; /* that the options are for */
	int level;
	unsigned int min_threads;
} rows[] = {
	/*
	 * With one worker zstd makes the bytes that it makes with many, without it others; xz from
	 * two on. xz -1: of a dump it is the half that counts; higher levels take three times as
	 * long for a tenth.
	 */
	[PACK_TAR_ZST] = { "tar.zst",
			   { ".tar.zst", ".tzst" },
			   archive_write_add_filter_zstd,
			   "zstd",
			   3,
			   1 },
	[PACK_TAR_XZ] = { "tar.xz",
			  { ".tar.xz", ".txz" },
			  archive_write_add_filter_xz,
			  "xz",
			  1,
			  2 },
	[PACK_TAR_GZ] = { "tar.gz",
			  { ".tar.gz", ".tgz" },
			  archive_write_add_filter_gzip,
			  "gzip",
			  6,
			  0 },
	[PACK_TAR_BZ2] = { "tar.bz2",
			   { ".tar.bz2", ".tbz2" },
			   archive_write_add_filter_bzip2,
			   "bzip2",
			   9,
			   0 },
	[PACK_TAR] = { "tar", { ".tar" }, archive_write_add_filter_none, NULL, 0, 0 },
	[PACK_ZIP] = { "zip", { ".zip" }, archive_write_add_filter_none, NULL, 0, 0 },
	[PACK_DIR] = { "dir", { NULL }, NULL, NULL, 0, 0 },
};

int pack_format_of(const char *name)
{
	size_t i, k, len = strlen(name);

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!strcmp(name, rows[i].name))
			return (int)i;
		for (k = 0; rows[i].ends[k]; k++)
			if (len > strlen(rows[i].ends[k]) &&
			    !strcmp(name + len - strlen(rows[i].ends[k]), rows[i].ends[k]))
				return (int)i;
	}
	return -1;
}

const char *pack_format_name(enum pack_format f)
{
	return rows[f].name;
}

static la_ssize_t on_write(struct archive *a, void *priv, const void *data, size_t len)
{
	struct pack *p = priv;

	if (!p->failed && !pack_out_write(p->out, data, len, &p->err))
		return (la_ssize_t)len;
	p->failed = true;
	archive_set_error(a, EIO, "%s", p->err.text);
	return -1;
}

/* libarchive has refused: our own words when it was the output. */
static int complain(struct pack *p, struct err *e)
{
	const char *text = archive_error_string(p->a);

	p->failed = true;
	if (p->err.code != ERR_NONE)
		*e = p->err;
	else
		err_set(e, archive_errno(p->a) == ENOMEM ? ERR_NOMEM : ERR_UNSUPPORTED,
			"libarchive: %s", text ? text : "failed");
	return p->member ? err_add(e, "%s", p->member) : -1;
}

static int set_number(struct pack *p, const char *module, const char *option, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return archive_write_set_filter_option(p->a, module, option, text);
}

static int set_filter(struct pack *p, struct err *e)
{
	const struct format_row *row = &rows[p->o.format];
	unsigned int threads = MIN(p->o.threads ? p->o.threads : budget_cpus(), MAX_THREADS);
	unsigned int level = (unsigned int)(p->o.level ? p->o.level : row->level);

	if (row->filter(p->a) != ARCHIVE_OK)
		return err_set(e, ERR_UNSUPPORTED, "this libarchive cannot write %s", row->name);
	if (!row->module)
		return 0;
	if (set_number(p, row->module, "compression-level", level) != ARCHIVE_OK)
		return err_set(e, ERR_USAGE, "%s has no level %u", row->name, level);
	/* Best effort: an older libarchive compresses on one thread. */
	if (row->min_threads)
		set_number(p, row->module, "threads", MAX(threads, row->min_threads));
	if (p->o.format == PACK_TAR_GZ) /* the time of its making would be in it */
		archive_write_set_filter_option(p->a, "gzip", "timestamp", NULL);
	archive_clear_error(p->a);
	return 0;
}

static int start_archive(struct pack *p, struct err *e)
{
	int rc;

	p->a = archive_write_new();
	p->entry = archive_entry_new();
	if (!p->a || !p->entry)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = p->o.format == PACK_ZIP ? archive_write_set_format_zip(p->a)
				     : archive_write_set_format_pax_restricted(p->a);
	if (rc != ARCHIVE_OK)
		return complain(p, e);
	if (p->o.format == PACK_ZIP && p->o.level) {
		char level[16];

		snprintf(level, sizeof(level), "%d", p->o.level);
		if (archive_write_set_format_option(p->a, "zip", "compression-level", level) !=
		    ARCHIVE_OK)
			return err_set(e, ERR_USAGE, "zip has no level %d", p->o.level);
	}
	if (set_filter(p, e))
		return -1;
	archive_write_set_bytes_per_block(p->a, 0); /* as they come, without a copy */
	return archive_write_open(p->a, p, NULL, on_write, NULL) == ARCHIVE_OK ? 0 : complain(p, e);
}

int pack_open(const char *path, int fd, const struct pack_opts *o, struct pack **ret, struct err *e)
{
	struct pack *p = calloc(1, sizeof(*p));
	int failed;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->o = *o;
	if (o->folder && o->format != PACK_DIR)
		p->folder = strdup(o->folder);
	if (o->folder && (name_check(o->folder, e) || strchr(o->folder, '/')))
		failed = err_set(e, ERR_USAGE, "'%s' cannot be an archive's folder", o->folder);
	else if (o->folder && o->format != PACK_DIR && !p->folder)
		failed = err_set(e, ERR_NOMEM, "out of memory");
	else if (names_new(&p->names, e))
		failed = -1;
	else if (o->format == PACK_DIR && (!path || o->volume))
		failed = err_set(e, ERR_USAGE, "a folder needs a name, and has no volumes");
	else if (o->format == PACK_DIR)
		failed = pack_dir_open(path, o->mtime, &p->dir, e);
	else
		failed = pack_out_open(path, fd, o->volume, o->force, &p->out, e) ||
			 start_archive(p, e);
	if (failed) {
		pack_discard(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* PATH becomes the member that is written, with the archive's folder before it. */
static int name_member(struct pack *p, const char *path, bool link, struct err *e)
{
	free(p->member);
	p->member = NULL;
	if (name_check(path, e) || names_add(p->names, path, link, e))
		return -1;
	if (p->folder ? asprintf(&p->member, "%s/%s", p->folder, path) < 0
		      : !(p->member = strdup(path))) {
		p->member = NULL;
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static int write_header(struct pack *p, unsigned int type, unsigned int mode, uint64_t size,
			const char *target, struct err *e)
{
	struct archive_entry *h = archive_entry_clear(p->entry);
	int rc;

	archive_entry_set_pathname(h, p->member);
	archive_entry_set_filetype(h, type);
	archive_entry_set_perm(h, (__LA_MODE_T)mode);
	archive_entry_set_size(h, (la_int64_t)size);
	if (target)
		archive_entry_set_symlink(h, target);
	/* A zip's time is of no time zone: it is that of the machine. */
	if (p->o.format != PACK_ZIP)
		archive_entry_set_mtime(h, (time_t)p->o.mtime, 0);
	rc = archive_write_header(p->a, h);
	/* It warns of names that it cannot say in another character set. They are written as they
	 * are. */
	return rc == ARCHIVE_OK || (rc == ARCHIVE_WARN && p->err.code == ERR_NONE) ? 0
										   : complain(p, e);
}

int pack_begin(struct pack *p, const char *path, uint64_t size, unsigned int mode, struct err *e)
{
	unsigned int bits = mode & 0100 ? 0755 : 0644;

	if (name_member(p, path, false, e))
		return -1;
	if (size > INT64_MAX)
		return err_set(e, ERR_UNSUPPORTED, "%s: is too large", path);
	sha256_init(&p->sha);
	p->left = size;
	if (p->dir)
		return pack_dir_begin(p->dir, path, bits, e) ? err_add(e, "%s", path) : 0;
	return write_header(p, AE_IFREG, bits, size, NULL, e);
}

int pack_data(struct pack *p, const void *data, size_t len, struct err *e)
{
	if (len > p->left)
		return err_set(e, ERR_CORRUPT, "%s: is longer than it was when it was begun",
			       p->member);
	sha256_update(&p->sha, len, data);
	p->left -= len;
	p->bytes += len;
	if (p->dir)
		return pack_dir_data(p->dir, data, len, e) ? err_add(e, "%s", p->member) : 0;
	while (len) {
		la_ssize_t n = archive_write_data(p->a, data, len);

		if (n <= 0)
			return complain(p, e);
		data = (const char *)data + n;
		len -= (size_t)n;
	}
	return 0;
}

int pack_end(struct pack *p, uint8_t ret[SHA256_BYTES], struct err *e)
{
	if (p->left)
		return err_set(e, ERR_CORRUPT, "%s: breaks off %" PRIu64 " bytes before its end",
			       p->member, p->left);
	sha256_end(&p->sha, ret);
	if (p->dir)
		return pack_dir_end(p->dir, e) ? err_add(e, "%s", p->member) : 0;
	return archive_write_finish_entry(p->a) == ARCHIVE_OK ? 0 : complain(p, e);
}

int pack_link(struct pack *p, const char *path, const char *target, struct err *e)
{
	if (link_check(path, target, 0, e) || name_member(p, path, true, e))
		return -1;
	if (p->dir)
		return pack_dir_link(p->dir, path, target, e) ? err_add(e, "%s", path) : 0;
	return write_header(p, AE_IFLNK, 0777, 0, target, e);
}

uint64_t pack_written(const struct pack *p)
{
	return p->out ? pack_out_written(p->out) : p->bytes;
}

static void pack_free(struct pack *p)
{
	if (p->a) {
		p->failed = true; /* it would go on writing */
		archive_write_free(p->a);
	}
	archive_entry_free(p->entry);
	names_free(p->names);
	free(p->folder);
	free(p->member);
	free(p);
}

int pack_commit(struct pack *p, uint64_t *ret, struct err *e)
{
	int rc;

	free(p->member);
	p->member = NULL;
	if (p->failed || (p->a && archive_write_close(p->a) != ARCHIVE_OK)) {
		rc = p->a ? complain(p, e) : err_set(e, ERR_IO, "the archive is not whole");
		pack_discard(p);
		return rc;
	}
	if (ret)
		*ret = pack_written(p);
	rc = p->dir ? pack_dir_commit(p->dir, e) : pack_out_commit(p->out, e);
	pack_free(p);
	return rc;
}

void pack_discard(struct pack *p)
{
	if (!p)
		return;
	p->failed = true;
	if (p->err.code == ERR_NONE)
		err_set(&p->err, ERR_IO, "thrown away");
	if (p->out)
		pack_out_discard(p->out);
	if (p->dir)
		pack_dir_discard(p->dir);
	pack_free(p);
}
