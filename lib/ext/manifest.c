/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "names.h"

#define MAX_DEPTH 8u
#define MAX_VALUES 2000000u /* of JSON: each takes some fifty bytes of memory */

/*
 * Depth and number of values before anything is built of them: jansson has a limit of the first
 * alone, for which a helper thread's stack is too small.
 */
static int check_shape(const char *text, size_t len, struct err *e)
{
	unsigned int depth = 0, values = 0;
	bool quoted = false;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		if (!quoted && (c == ',' || c == ':'))
			values++;
		if (depth > MAX_DEPTH)
			return err_set(e, ERR_CORRUPT, "manifest: nested too deeply");
		if (values > MAX_VALUES)
			return err_set(e, ERR_CORRUPT, "manifest: too many values");
	}
	return 0;
}

/* ---- values ---- */

/* WHO is the member, for messages; NULL: the manifest itself. */
static int bad(const char *who, const char *key, const char *what, struct err *e)
{
	char shown[300];

	if (!who)
		return err_set(e, ERR_CORRUPT, "manifest: \"%s\" %s", key, what);
	return err_set(e, ERR_CORRUPT, "manifest: member '%s': \"%s\" %s",
		       name_shown(who, shown, sizeof(shown)), key, what);
}

/* Text as bytes: each is one of Latin-1 there (lib/json.c). False where it is none. */
static bool bytes_of(const char *text, char *ret)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80) {
			*ret++ = (char)c;
		} else if (c == 0xc2 || c == 0xc3) { /* U+0080 to U+00FF */
			*ret++ = (char)((c & 3) << 6 | (*++text & 0x3f));
		} else {
			return false;
		}
	}
	*ret = '\0';
	return true;
}

/* The text of KEY, malloc()ed; *RET NULL where there is none, which is right unless NEEDED. */
static int get_text(const json_t *o, const char *who, const char *key, bool needed, char **ret,
		    struct err *e)
{
	const json_t *value = json_object_get(o, key);
	const char *text = json_string_value(value);

	if (!value)
		return needed ? bad(who, key, "is missing", e) : 0;
	if (!text)
		return bad(who, key, "is no text", e);
	*ret = malloc(strlen(text) + 1);
	if (!*ret)
		return err_set(e, ERR_NOMEM, "out of memory");
	return bytes_of(text, *ret) ? 0 : bad(who, key, "has letters that no name has", e);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of KEY, hexadecimal, up to MAX of them. */
static int get_hex(const json_t *o, const char *who, const char *key, uint8_t *ret, size_t max,
		   size_t *len, struct err *e)
{
	const json_t *value = json_object_get(o, key);
	const char *text = json_string_value(value);
	size_t i, n = text ? strlen(text) : 0;

	*len = 0;
	if (!value)
		return 0;
	if (!n || n % 2 || n / 2 > max)
		return bad(who, key, "is no such number", e);
	for (i = 0; i < n; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);

		if (high < 0 || low < 0)
			return bad(who, key, "is not hexadecimal", e);
		ret[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = n / 2;
	return 0;
}

static int get_size(const json_t *o, const char *who, uint64_t *ret, struct err *e)
{
	const json_t *value = json_object_get(o, "size");

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return bad(who, "size", "is no size", e);
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

static bool is_one_of(const char *text, const char *const *list, size_t nr)
{
	while (nr--)
		if (!strcmp(text, list[nr]))
			return true;
	return false;
}

static const char *const kinds[] = { "dump",	  "executable", "library", "loader",
				     "vdso",	  "vmlinux",	"module",  "debug",
				     "auxiliary", "text",	"script" };
static const char *const statuses[] = { "verified", "by-name", "mismatched", "missing", "made" };

/* ---- members ---- */

static int parse_content(const json_t *o, struct manifest_member *m, struct err *e)
{
	size_t len;

	if (m->link)
		return link_check(m->path, m->link, 0, e) ? err_add(e, "manifest") : 0;
	if (m->missing)
		return 0;
	if (get_size(o, m->path, &m->size, e) ||
	    get_hex(o, m->path, "sha256", m->sha256, sizeof(m->sha256), &len, e))
		return -1;
	return len == sizeof(m->sha256) ? 0 : bad(m->path, "sha256", "is missing", e);
}

static int parse_member(const json_t *o, struct manifest_member *m, struct err *e)
{
	if (!json_is_object(o))
		return bad(NULL, "members", "has something that is no member", e);
	if (get_text(o, NULL, "path", true, &m->path, e))
		return -1;
	if (name_check(m->path, e))
		return err_add(e, "manifest");
	if (get_text(o, m->path, "kind", true, &m->kind, e) ||
	    get_text(o, m->path, "status", true, &m->status, e) ||
	    get_text(o, m->path, "origin", false, &m->origin, e) ||
	    get_text(o, m->path, "note", false, &m->note, e) ||
	    get_text(o, m->path, "link", false, &m->link, e) ||
	    get_hex(o, m->path, "build_id", m->id, sizeof(m->id), &m->id_len, e))
		return -1;
	if (!is_one_of(m->kind, kinds, ARRAY_SIZE(kinds)))
		return bad(m->path, "kind", "is unknown", e);
	if (!is_one_of(m->status, statuses, ARRAY_SIZE(statuses)))
		return bad(m->path, "status", "is unknown", e);
	m->missing = !strcmp(m->status, "missing");
	return parse_content(o, m, e);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct manifest_member *)a)->path,
		      ((const struct manifest_member *)b)->path);
}

static int parse_members(const json_t *list, struct manifest *m, struct err *e)
{
	size_t i, nr = json_array_size(list);

	if (!json_is_array(list))
		return bad(NULL, "members", "is no list", e);
	if (nr > NAMES_MAX_MEMBERS)
		return err_set(e, ERR_CORRUPT, "manifest: more than %u members", NAMES_MAX_MEMBERS);
	m->members = calloc(nr ? nr : 1, sizeof(*m->members));
	if (!m->members)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (i = 0; i < nr; i++) {
		m->nr_members = i + 1;
		if (parse_member(json_array_get(list, i), &m->members[i], e))
			return -1;
	}
	qsort(m->members, nr, sizeof(*m->members), by_path);
	for (i = 1; i < nr; i++)
		if (!by_path(&m->members[i - 1], &m->members[i]))
			return bad(m->members[i].path, "path", "is there twice", e);
	return 0;
}

static int parse_head(const json_t *root, struct manifest *m, struct err *e)
{
	const json_t *schema = json_object_get(root, "schema"),
		     *dump = json_object_get(root, "dump");
	const char *kind = json_string_value(json_object_get(root, "kind"));

	if (!kind || strcmp(kind, "bundle") || !json_is_integer(schema))
		return err_set(e, ERR_CORRUPT, "manifest: is not a bundle's");
	if (json_integer_value(schema) != 1)
		return err_set(e, ERR_UNSUPPORTED,
			       "manifest: of schema %" JSON_INTEGER_FORMAT
			       ", which a later version reads",
			       json_integer_value(schema));
	if (!json_is_object(dump))
		return bad(NULL, "dump", "is missing", e);
	if (get_text(root, NULL, "version", false, &m->version, e) ||
	    get_text(root, NULL, "program", false, &m->program, e) ||
	    get_text(dump, NULL, "path", true, &m->dump, e) ||
	    get_text(dump, NULL, "type", true, &m->dump_type, e))
		return -1;
	if (name_check(m->dump, e))
		return err_add(e, "manifest");
	return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
{
	json_error_t why;
	json_t *root;
	int failed;

	*ret = (struct manifest){ NULL };
	if (len > MANIFEST_MAX_SIZE)
		return err_set(e, ERR_CORRUPT, "manifest: too large");
	if (check_shape(text, len, e))
		return -1;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return err_set(e, ERR_CORRUPT, "manifest: line %d: %s", why.line, why.text);
	failed =
		parse_head(root, ret, e) || parse_members(json_object_get(root, "members"), ret, e);
	json_decref(root);
	if (!failed && !manifest_find(ret, ret->dump))
		failed = bad(ret->dump, "dump", "is not among the members", e);
	return failed ? -1 : 0;
}

void manifest_fini(struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->nr_members; i++) {
		struct manifest_member *x = &m->members[i];

		free(x->path);
		free(x->kind);
		free(x->status);
		free(x->origin);
		free(x->note);
		free(x->link);
	}
	free(m->members);
	free(m->version);
	free(m->dump);
	free(m->dump_type);
	free(m->program);
	*m = (struct manifest){ NULL };
}

const struct manifest_member *manifest_find(const struct manifest *m, const char *path)
{
	struct manifest_member key = { .path = (char *)path };

	if (!m->nr_members)
		return NULL;
	return bsearch(&key, m->members, m->nr_members, sizeof(key), by_path);
}
