/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What options take: see parse.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "parse.h"

bool parse_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	if (base == PARSE_PREFIX)
		base = text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10;
	if (base == 16 ? !isxdigit((unsigned char)*text) : !isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return !*end && !errno && *ret <= max;
}

bool parse_line(FILE *f, char *ret, size_t size, uint64_t *line)
{
	size_t len = 0;
	bool ended; /* is the word */
	int c = '\n';

	while (c != EOF && !len) {
		(*line)++;
		for (ended = false; (c = getc(f)) != EOF && c != '\n';) {
			bool blank = isspace(c);

			ended |= blank && len;
			if (!blank && !ended && len < size - 1)
				ret[len++] = (char)c;
		}
	}
	ret[len] = '\0';
	return len;
}

bool parse_size(const char *text, uint64_t *ret)
{
	static const char suffix[] = "KMGTPE";
	const char *unit;
	char *end;
	int shift;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return false;
	unit = *end && *end != ' ' ? strchr(suffix, *end & ~0x20) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	shift = unit ? 10 * (int)(unit - suffix + 1) : 0;
	if (shift && *ret >> (64 - shift))
		return false;
	*ret <<= shift;
	return *ret != 0;
}

int parse_threads(const char *text, unsigned int *ret, struct err *e)
{
	uint64_t n;

	if (!parse_number(text, 10, PARSE_MAX_THREADS, &n))
		return err_set(e, ERR_USAGE, "'%s' is not a number of threads", text);
	*ret = (unsigned int)n;
	return 0;
}

int parse_progress(const char *text, enum progress_mode *ret, struct err *e)
{
	static const char *const names[] = { "auto", "tty", "plain", "json", "none" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i])) {
			*ret = (enum progress_mode)i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "'%s': progress is auto, tty, plain, json or none", text);
}
