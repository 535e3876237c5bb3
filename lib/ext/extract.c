/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two readers of libarchive one behind the other: the first takes the compression off (chosen by
 * us, by the first bytes, so that nothing is tried and no program is started), the second reads the
 * archive. So the first can be read to its end when the second has seen the last member: what
 * breaks off there is told, too.
 */
#include "extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "names.h"
#include "tree.h"
#include "volumes.h"

#define LEAST_LIMIT ((uint64_t)1 << 30)
#define MAX_RATIO 1000u
#define TAR_END 1024u /* bytes of zeros */
#define ZIP_END 22u   /* bytes of the record, without a comment */

struct extract {
	struct volumes *v;
	struct tree *tree;   /* instead of an archive */
	struct archive *raw; /* without its compression; NULL: it has none */
	struct archive *a;
	bool zip;
	struct names *names;
	char *top, *path;
	uint64_t limit;
	uint64_t fed;	/* bytes of archive, decompressed */
	uint64_t total; /* of members */
	uint64_t at;	/* in the member */
	bool is_file, ended;
	uint8_t tail[TAR_END]; /* the last bytes of the archive */
	struct err err;	       /* that is not libarchive's */
};

/* ---- bytes ---- */

static int check_limit(const struct extract *x, uint64_t bytes, struct err *e)
{
	uint64_t packed = x->v ? volumes_at(x->v) : UINT64_MAX / MAX_RATIO;
	uint64_t limit = x->limit ? x->limit : MAX(LEAST_LIMIT, MAX_RATIO * packed);

	if (bytes <= limit)
		return 0;
	return err_set(e, ERR_CORRUPT, "unpacks to more than %" PRIu64 " bytes%s", limit,
		       x->limit ? "" : ", suspiciously much for its size");
}

/* libarchive's reader A has failed: its words, or ours. */
static int complain(struct extract *x, struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	if (x->err.code != ERR_NONE) {
		*e = x->err;
		return -1;
	}
	if (archive_errno(a) == ENOMEM)
		return err_set(e, ERR_NOMEM, "out of memory");
	/* Damage may look so, too, where it makes a length longer; there is no end in either case.
	 */
	if (volumes_ended(x->v))
		return err_set(e, ERR_UNREADABLE, "breaks off after %" PRIu64 " bytes",
			       volumes_at(x->v));
	return err_set(e, ERR_CORRUPT, "damaged before offset 0x%" PRIx64 ": %s", volumes_at(x->v),
		       text ? text : "no reason given");
}

static void keep_tail(struct extract *x, const uint8_t *data, size_t len)
{
	if (!len)
		return;
	if (len >= TAR_END) {
		memcpy(x->tail, data + len - TAR_END, TAR_END);
		return;
	}
	memmove(x->tail, x->tail + len, TAR_END - len);
	memcpy(x->tail + TAR_END - len, data, len);
}

static la_ssize_t packed_read(struct archive *a, void *priv, const void **ret)
{
	struct extract *x = priv;
	size_t len;

	if (volumes_read(x->v, ret, &len, &x->err)) {
		archive_set_error(a, EIO, "%s", x->err.text);
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t)len;
}

/* The next bytes of archive: 0 at the end. */
static int next_piece(struct extract *x, const void **ret, size_t *len, struct err *e)
{
	la_int64_t off;
	int rc = ARCHIVE_OK;

	*len = 0;
	if (!x->raw && volumes_read(x->v, ret, len, e))
		return -1;
	while (x->raw && !*len && rc == ARCHIVE_OK)
		rc = archive_read_data_block(x->raw, ret, len, &off);
	if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF)
		return complain(x, x->raw, e);
	if (rc == ARCHIVE_EOF)
		*len = 0;
	x->fed += *len;
	keep_tail(x, *ret, *len);
	return check_limit(x, x->fed, e);
}

static la_ssize_t plain_read(struct archive *a, void *priv, const void **ret)
{
	struct extract *x = priv;
	size_t len;

	if (next_piece(x, ret, &len, &x->err)) {
		archive_set_error(a, EIO, "%s", x->err.text);
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t)len;
}

static la_int64_t zip_seek(struct archive *a, void *priv, la_int64_t off, int whence)
{
	struct extract *x = priv;
	la_int64_t size = volumes_size(x->v);

	(void)a;
	if (whence == SEEK_END)
		off += size;
	else if (whence != SEEK_SET)
		return ARCHIVE_FATAL;
	return off >= 0 && volumes_seek(x->v, (uint64_t)off) ? off : ARCHIVE_FATAL;
}

/* ---- what it is ---- */

static const struct kind {
	const char *magic;
	size_t len, at;
	int filter; /* of libarchive; -1: none */
	const char *refused;
} kinds[] = {
	{ "\x28\xb5\x2f\xfd", 4, 0, ARCHIVE_FILTER_ZSTD, NULL },
	{ "\xfd"
	  "7zXZ",
	  6, 0, ARCHIVE_FILTER_XZ, NULL },
	{ "\x1f\x8b", 2, 0, ARCHIVE_FILTER_GZIP, NULL },
	{ "BZh", 3, 0, ARCHIVE_FILTER_BZIP2, NULL },
	{ "PK\3\4", 4, 0, -1, NULL },
	{ "ustar", 5, 257, -1, NULL },
	{ "age-encryption.org/", 19, 0, -1, "is encrypted: age -d FILE | dumptool unbundle -" },
	{ "-----BEGIN AGE", 14, 0, -1, "is encrypted: age -d FILE | dumptool unbundle -" },
	{ "-----BEGIN PGP", 14, 0, -1, "is encrypted: gpg -d FILE | dumptool unbundle -" },
	{ "\x85\x01", 2, 0, -1, "is no archive, or encrypted: gpg -d FILE | dumptool unbundle -" },
	{ "\x85\x02", 2, 0, -1, "is no archive, or encrypted: gpg -d FILE | dumptool unbundle -" },
	{ "\x84", 1, 0, -1, "is no archive, or encrypted: gpg -d FILE | dumptool unbundle -" },
};

static const struct kind *detect(struct extract *x, struct err *e)
{
	uint8_t head[512] = { 0 };
	size_t i, got;

	if (volumes_peek(x->v, head, sizeof(head), &got, e))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];

		if (k->at + k->len > got || memcmp(head + k->at, k->magic, k->len))
			continue;
		if (!k->refused)
			return k;
		err_set(e, ERR_UNSUPPORTED, "%s", k->refused);
		return NULL;
	}
	err_set(e, got ? ERR_UNSUPPORTED : ERR_UNREADABLE,
		got ? "is no archive that can be read: tar (.zst, .xz, .gz, .bz2) or zip"
		    : "is empty");
	return NULL;
}

static int start_raw(struct extract *x, int filter, struct err *e)
{
	struct archive_entry *entry;

	x->raw = archive_read_new();
	if (!x->raw)
		return err_set(e, ERR_NOMEM, "out of memory");
	/* ARCHIVE_WARN: by a program that would be started. */
	if (archive_read_support_format_raw(x->raw) != ARCHIVE_OK ||
	    archive_read_append_filter(x->raw, filter) != ARCHIVE_OK)
		return err_set(e, ERR_UNSUPPORTED, "this libarchive cannot unpack it");
	if (archive_read_open(x->raw, x, NULL, packed_read, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(x->raw, &entry) != ARCHIVE_OK)
		return complain(x, x->raw, e);
	return 0;
}

static int set_format(struct extract *x)
{
	if (!x->zip)
		return archive_read_support_format_tar(x->a);
	if (volumes_size(x->v) < 0)
		return archive_read_support_format_zip_streamable(x->a);
	archive_read_set_seek_callback(x->a, zip_seek);
	return archive_read_support_format_zip_seekable(x->a);
}

static int start(struct extract *x, struct err *e)
{
	const struct kind *kind = detect(x, e);

	if (!kind)
		return -1;
	x->zip = kind->magic[0] == 'P';
	if (kind->filter >= 0 && start_raw(x, kind->filter, e))
		return -1;
	x->a = archive_read_new();
	if (!x->a)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (set_format(x) != ARCHIVE_OK)
		return err_set(e, ERR_UNSUPPORTED, "this libarchive cannot read it");
	archive_read_append_filter(x->a, ARCHIVE_FILTER_NONE);
	archive_read_set_callback_data(x->a, x);
	archive_read_set_read_callback(x->a, plain_read);
	if (archive_read_open1(x->a) == ARCHIVE_OK)
		return 0;
	if (x->err.code != ERR_NONE)
		return complain(x, x->a, e);
	return err_set(e, x->zip ? ERR_UNREADABLE : ERR_UNSUPPORTED, "%s",
		       x->zip ? "breaks off: the list of its members is missing"
			      : "is no archive that can be read: what is packed in it is no tar");
}

static int extract_start(struct extract *x, uint64_t limit, struct extract **ret, struct err *e)
{
	x->limit = limit;
	if (names_new(&x->names, e) || (x->v && start(x, e))) {
		err_add(e, "%s", x->v ? volumes_name(x->v) : "archive");
		extract_close(x);
		return -1;
	}
	*ret = x;
	return 0;
}

int extract_open(const char *path, uint64_t limit, struct extract **ret, struct err *e)
{
	struct extract *x = calloc(1, sizeof(*x));
	struct stat st;
	int failed;

	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (path && !stat(path, &st) && S_ISDIR(st.st_mode)) {
		failed = tree_open(path, &x->tree, e);
		x->top = strdup("");
	} else {
		failed = volumes_open(path, &x->v, e);
	}
	if (!failed)
		return extract_start(x, limit, ret, e);
	extract_close(x);
	return -1;
}

int extract_fd(int fd, const char *name, uint64_t limit, struct extract **ret, struct err *e)
{
	struct extract *x = calloc(1, sizeof(*x));

	if (!x) {
		close(fd);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (!volumes_of_fd(fd, name, &x->v, e))
		return extract_start(x, limit, ret, e);
	extract_close(x);
	return -1;
}

void extract_close(struct extract *x)
{
	if (!x)
		return;
	archive_read_free(x->a);
	archive_read_free(x->raw);
	volumes_close(x->v);
	tree_close(x->tree);
	names_free(x->names);
	free(x->top);
	free(x->path);
	free(x);
}

/* ---- members ---- */

/* PATH less the folder that all lie below, which the first one names; "": it is the folder. */
static int strip_top(struct extract *x, const char *path, const char **ret, struct err *e)
{
	size_t len = strcspn(path, "/");
	char shown[300];

	if (!x->top && !(x->top = strndup(path, len)))
		return err_set(e, ERR_NOMEM, "out of memory");
	if (strlen(x->top) != len || strncmp(path, x->top, len))
		return err_set(e, ERR_CORRUPT, "member '%s': is not below the folder of the others",
			       name_shown(path, shown, sizeof(shown)));
	*ret = path + len + (path[len] == '/');
	return 0;
}

static int bad_type(const char *path, const char *what, struct err *e)
{
	char shown[300];

	return err_set(e, ERR_CORRUPT, "member '%s': is %s", name_shown(path, shown, sizeof(shown)),
		       what);
}

static int check_type(struct archive_entry *h, const char *path, struct err *e)
{
	if (archive_entry_hardlink(h))
		return bad_type(path, "a hard link", e);
	switch (archive_entry_filetype(h)) {
	case AE_IFREG:
	case AE_IFDIR:
	case AE_IFLNK:
		return 0;
	case AE_IFCHR:
	case AE_IFBLK:
		return bad_type(path, "a device", e);
	case AE_IFIFO:
		return bad_type(path, "a FIFO", e);
	case AE_IFSOCK:
		return bad_type(path, "a socket", e);
	default:
		return bad_type(path, "no file", e);
	}
}

/* What every member goes through, wherever it comes from. */
static int check_member(struct extract *x, const char *path, const char *link, struct err *e)
{
	if (name_check(path, e) || (link && link_check(path, link, 0, e)))
		return -1;
	return names_add(x->names, path, link, e);
}

/* A member's header: 1; 0 when it is a folder, of which nothing is needed. */
static int take_header(struct extract *x, struct archive_entry *h, struct extract_member *ret,
		       struct err *e)
{
	const char *name = archive_entry_pathname(h), *path;
	bool folder = archive_entry_filetype(h) == AE_IFDIR;
	size_t len;

	if (!name)
		name = archive_entry_pathname_utf8(h);
	if (!name || !*name)
		return err_set(e, ERR_CORRUPT, "a member without a name");
	free(x->path);
	x->path = strdup(name);
	if (!x->path)
		return err_set(e, ERR_NOMEM, "out of memory");
	len = strlen(x->path);
	if (folder && len > 1 && x->path[len - 1] == '/')
		x->path[len - 1] = '\0';
	if (name_check(x->path, e) || check_type(h, x->path, e) || strip_top(x, x->path, &path, e))
		return -1;
	if (folder)
		return 0;
	if (!*path)
		return bad_type(x->path, "not below a folder", e);
	ret->path = path;
	ret->link = archive_entry_filetype(h) == AE_IFLNK ? archive_entry_symlink(h) : NULL;
	if (archive_entry_filetype(h) == AE_IFLNK && !ret->link)
		ret->link = archive_entry_symlink_utf8(h);
	if (archive_entry_filetype(h) == AE_IFLNK && !ret->link)
		return bad_type(path, "a link to nothing", e);
	ret->executable = archive_entry_perm(h) & 0100;
	return check_member(x, path, ret->link, e) ? -1 : 1;
}

/* No member is left: the archive must have its end, and what it is packed in. */
static int check_end(struct extract *x, struct err *e)
{
	static const uint8_t zeros[TAR_END];
	const void *data;
	size_t len = 1;
	bool whole;

	if (x->zip && volumes_size(x->v) >= 0)
		return 0; /* its list of members stands there, and was read from there */
	while (len)
		if (next_piece(x, &data, &len, e))
			return -1;
	whole = x->zip ? !memcmp(x->tail + TAR_END - ZIP_END, "PK\5\6", 4)
		       : !memcmp(x->tail, zeros, TAR_END);
	return whole ? 0
		     : err_set(e, ERR_UNREADABLE, "breaks off after %" PRIu64 " bytes",
			       volumes_at(x->v));
}

static int tree_member(struct extract *x, struct extract_member *ret, struct err *e)
{
	int rc = tree_next(x->tree, &ret->path, &ret->link, &ret->executable, e);

	return rc > 0 && check_member(x, ret->path, ret->link, e) ? -1 : rc;
}

static int next_member(struct extract *x, struct extract_member *ret, struct err *e)
{
	struct archive_entry *h;
	unsigned int folders = 0;
	int rc, got = 0;

	if (x->tree)
		return tree_member(x, ret, e);
	while (!got) {
		rc = archive_read_next_header(x->a, &h);
		if (rc == ARCHIVE_EOF)
			return check_end(x, e);
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return complain(x, x->a, e);
		if (folders++ > NAMES_MAX_MEMBERS)
			return err_set(e, ERR_CORRUPT, "more than %u members", NAMES_MAX_MEMBERS);
		got = take_header(x, h, ret, e);
	}
	return got;
}

int extract_next(struct extract *x, struct extract_member *ret, struct err *e)
{
	int rc = next_member(x, ret, e);

	x->at = 0;
	x->ended = false;
	x->is_file = rc > 0 && !ret->link;
	return rc < 0 ? err_add(e, "%s", x->v ? volumes_name(x->v) : "folder") : rc;
}

static int next_block(struct extract *x, const void **data, size_t *len, uint64_t *off,
		      struct err *e)
{
	la_int64_t at = 0;
	int rc;

	if (x->tree) {
		*off = x->at;
		return tree_read(x->tree, data, len, e) < 0 ? -1 : 0;
	}
	rc = archive_read_data_block(x->a, data, len, &at);
	if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF && rc != ARCHIVE_WARN)
		return complain(x, x->a, e);
	*off = (uint64_t)at;
	if (rc == ARCHIVE_EOF) {
		*len = 0;
		*off = MAX(x->at, *off);
	}
	if (at < 0 || *off < x->at || *off > (uint64_t)INT64_MAX - *len)
		return err_set(e, ERR_CORRUPT, "pieces that overlap");
	x->ended = rc == ARCHIVE_EOF;
	return 0;
}

int extract_read(struct extract *x, const void **data, size_t *len, uint64_t *off, struct err *e)
{
	if (!x->is_file || x->ended)
		return 0;
	if (next_block(x, data, len, off, e))
		return err_add(e, "%s", x->v ? volumes_name(x->v) : "folder");
	if (x->tree)
		x->ended = !*len;
	x->total += *off + *len - x->at;
	x->at = *off + *len;
	return check_limit(x, x->total, e) ? err_add(e, "%s", x->v ? volumes_name(x->v) : "folder")
					   : 1;
}

uint64_t extract_progress(const struct extract *x, uint64_t *total)
{
	int64_t size = x->v ? volumes_size(x->v) : -1;

	if (total)
		*total = size > 0 ? (uint64_t)size : 0;
	return x->v ? volumes_at(x->v) : x->total;
}

const char *extract_folder(const struct extract *x)
{
	return x->top;
}

bool extract_unfinished(const struct extract *x)
{
	return x->v && volumes_unfinished(x->v);
}

bool extract_is_folder(const struct extract *x)
{
	return x->tree;
}
