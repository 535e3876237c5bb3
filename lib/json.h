/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A streaming JSON writer: no tree, no allocation. Every document begins with {"tool", "version",
 * "schema"}; schemas grow by additions only.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 16

struct json {
	FILE *f;
	unsigned int depth;
	bool first[JSON_MAX_DEPTH];
	char close[JSON_MAX_DEPTH];
};

/* Begin the outermost object; end it, with a newline. */
void json_begin(struct json *j, FILE *f);
void json_finish(struct json *j);

/* "tool": "dumptool", "version", "kind": KIND, "schema": SCHEMA */
void json_document(struct json *j, const char *kind, int schema);

/* KEY is NULL inside an array. Strings may hold any bytes; what is not valid text is escaped. */
void json_put_object(struct json *j, const char *key);
void json_put_array(struct json *j, const char *key);
void json_end(struct json *j);
void json_put_string(struct json *j, const char *key, const char *value);
void json_string_n(struct json *j, const char *key, const char *value, size_t len);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
/* As a string "0x...": JSON numbers lose bits beyond 53. */
void json_hex(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_double(struct json *j, const char *key, double value);

#endif
