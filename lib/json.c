/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "config.h"

static void text(struct json *j, const char *s, size_t len)
{
	size_t i;

	putc('"', j->f);
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			fprintf(j->f, "\\%c", c);
		else if (c < ' ' ||
			 c >= 0x7f) /* bytes of a dump are not known to be UTF-8: as Latin-1 */
			fprintf(j->f, "\\u%04x", c);
		else
			putc(c, j->f);
	}
	putc('"', j->f);
}

/* Comma, line, key. */
static void lead(struct json *j, const char *key)
{
	unsigned int level = j->depth - 1;

	fprintf(j->f, "%s\n%*s", j->first[level] ? "" : ",", (int)(2 * j->depth), "");
	j->first[level] = false;
	if (key) {
		text(j, key, strlen(key));
		fputs(": ", j->f);
	}
}

static void open_level(struct json *j, char open, char close)
{
	assert(j->depth < JSON_MAX_DEPTH);
	putc(open, j->f);
	j->first[j->depth] = true;
	j->close[j->depth] = close;
	j->depth++;
}

void json_begin(struct json *j, FILE *f)
{
	*j = (struct json){ .f = f };
	open_level(j, '{', '}');
}

void json_end(struct json *j)
{
	j->depth--;
	if (!j->first[j->depth])
		fprintf(j->f, "\n%*s", (int)(2 * j->depth), "");
	putc(j->close[j->depth], j->f);
}

void json_finish(struct json *j)
{
	json_end(j);
	putc('\n', j->f);
}

void json_document(struct json *j, const char *kind, int schema)
{
	json_put_string(j, "tool", "dumptool");
	json_put_string(j, "version", PACKAGE_VERSION);
	json_put_string(j, "kind", kind);
	json_int(j, "schema", schema);
}

void json_put_object(struct json *j, const char *key)
{
	lead(j, key);
	open_level(j, '{', '}');
}

void json_put_array(struct json *j, const char *key)
{
	lead(j, key);
	open_level(j, '[', ']');
}

void json_string_n(struct json *j, const char *key, const char *value, size_t len)
{
	lead(j, key);
	text(j, value, len);
}

void json_put_string(struct json *j, const char *key, const char *value)
{
	json_string_n(j, key, value, strlen(value));
}

void json_int(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	fprintf(j->f, "%" PRId64, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->f, "%" PRIu64, value);
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->f, "\"0x%" PRIx64 "\"", value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->f);
}

void json_double(struct json *j, const char *key, double value)
{
	lead(j, key);
	fprintf(j->f, "%.6f", value);
}
