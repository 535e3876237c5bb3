/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"

const char *name_shown(const char *text, char *buf, size_t size)
{
	size_t at = 0;

	for (; *text && at + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f && c != '\\')
			buf[at++] = (char)c;
		else
			at += (size_t)snprintf(buf + at, size - at, "\\x%02x", c);
	}
	buf[at] = '\0';
	return buf;
}

static int refuse(const char *path, const char *why, struct err *e)
{
	char shown[300];

	return err_set(e, ERR_CORRUPT, "member '%s': %s", name_shown(path, shown, sizeof(shown)),
		       why);
}

static bool is_dots(const char *part, size_t len)
{
	return (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.');
}

int name_check(const char *path, struct err *e)
{
	const char *part = path;
	size_t len;

	if (*path == '/')
		return refuse(path, "its name is absolute", e);
	if (strnlen(path, NAMES_MAX_PATH + 1) > NAMES_MAX_PATH)
		return refuse(path, "its name is too long", e);
	for (;; part += len + 1) {
		len = strcspn(part, "/");
		if (!len)
			return refuse(path, "its name has an empty part", e);
		if (is_dots(part, len))
			return refuse(path, "its name has '.' or '..' in it", e);
		if (len > 255)
			return refuse(path, "its name is too long", e);
		if (!part[len])
			return 0;
	}
}

int link_check(const char *path, const char *target, unsigned int keep, struct err *e)
{
	const char *c, *part = target;
	unsigned int depth = 0;
	bool down = false;
	size_t len;

	for (c = path; *c; c++)
		depth += *c == '/';
	if (!*target || *target == '/' || strnlen(target, NAMES_MAX_PATH + 1) > NAMES_MAX_PATH)
		return refuse(path, "the link's target is not relative", e);
	for (;; part += len + 1) {
		len = strcspn(part, "/");
		if (len == 2 && is_dots(part, len)) {
			if (down || depth <= keep)
				return refuse(path, "the link leaves the archive's folder", e);
			depth--;
		} else if (!len || (len == 1 && is_dots(part, len))) {
			return refuse(path, "the link's target has an empty part", e);
		} else {
			down = true;
		}
		if (!part[len])
			return 0;
	}
}

/* ---- what was there ---- */

enum name_kind { NAME_FOLDER, NAME_FILE, NAME_LINK };

struct name {
	struct name *next; /* in its bucket */
	enum name_kind kind;
	char text[];
};

struct names {
	struct name **buckets;
	size_t nr_buckets, count, members;
};

#define FIRST_BUCKETS 256u

int names_new(struct names **ret, struct err *e)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n)
		n->buckets = calloc(FIRST_BUCKETS, sizeof(*n->buckets));
	if (!n || !n->buckets) {
		free(n);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	n->nr_buckets = FIRST_BUCKETS;
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->nr_buckets; i++) {
		struct name *at = n->buckets[i], *next;

		for (; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	free(n->buckets);
	free(n);
}

/* FNV-1a, of the letters as if they were small. */
static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (len--)
		h = (h ^ (uint64_t)tolower((unsigned char)*text++)) * 0x100000001b3u;
	return h;
}

static void grow(struct names *n)
{
	size_t i, nr = n->nr_buckets * 2;
	struct name **b = calloc(nr, sizeof(*b));

	if (!b)
		return; /* slower, not wrong */
	for (i = 0; i < n->nr_buckets; i++) {
		struct name *at = n->buckets[i], *next;

		for (; at; at = next) {
			struct name **to = b + hash_of(at->text, strlen(at->text)) % nr;

			next = at->next;
			at->next = *to;
			*to = at;
		}
	}
	free(n->buckets);
	n->buckets = b;
	n->nr_buckets = nr;
}

/*
 * Put in LEN bytes of PATH as KIND, unless they are in; what stands against it is said. Modules of
 * one kernel do differ in the case of letters alone (xt_MARK.ko, xt_mark.ko): that is a trick only
 * where one is a link, through which the other would be written on a file system that makes no
 * difference.
 */
static int put(struct names *n, const char *path, size_t len, enum name_kind kind, struct err *e)
{
	struct name **bucket = n->buckets + hash_of(path, len) % n->nr_buckets, *at;

	for (at = *bucket; at; at = at->next) {
		if (strlen(at->text) != len || strncasecmp(at->text, path, len))
			continue;
		if (!strncmp(at->text, path, len)) {
			if (kind == NAME_FOLDER && at->kind == NAME_FOLDER)
				return 0;
			return refuse(path,
				      kind == NAME_FOLDER || at->kind == NAME_FOLDER
					      ? "it lies below another member"
					      : "it is there twice",
				      e);
		}
		if (kind == NAME_LINK || at->kind == NAME_LINK)
			return refuse(path, "its name differs from a link's by its case alone", e);
	}
	at = malloc(sizeof(*at) + len + 1);
	if (!at)
		return err_set(e, ERR_NOMEM, "out of memory");
	memcpy(at->text, path, len);
	at->text[len] = '\0';
	at->kind = kind;
	at->next = *bucket;
	*bucket = at;
	if (++n->count > n->nr_buckets)
		grow(n);
	return 0;
}

int names_add(struct names *n, const char *path, bool link, struct err *e)
{
	const char *slash;

	if (n->members >= NAMES_MAX_MEMBERS || n->count >= 4 * (size_t)NAMES_MAX_MEMBERS)
		return err_set(e, ERR_CORRUPT, "more than %u members", NAMES_MAX_MEMBERS);
	n->members++;
	for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		if (put(n, path, (size_t)(slash - path), NAME_FOLDER, e))
			return -1;
	return put(n, path, strlen(path), link ? NAME_LINK : NAME_FILE, e);
}
