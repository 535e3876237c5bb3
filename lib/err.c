/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->os = 0;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

static enum err_code code_of_errno(int os)
{
	switch (os) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NOSPACE;
	case EPIPE:
		return ERR_PIPE;
	case ENOMEM:
		return ERR_NOMEM;
	case EEXIST:
		return ERR_EXISTS;
	default:
		return ERR_IO;
	}
}

int err_sys(struct err *e, int os, const char *fmt, ...)
{
	char reason[96] = "";
	va_list ap;
	size_t len;

	e->code = code_of_errno(os);
	e->os = os;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	/* GNU strerror_r: it returns the text, which may not be in the buffer. */
	snprintf(e->text + len, sizeof(e->text) - len, ": %s",
		 strerror_r(os, reason, sizeof(reason)));
	return -1;
}

int err_add(struct err *e, const char *fmt, ...)
{
	char front[sizeof(e->text)];
	va_list ap;
	size_t n, keep;

	va_start(ap, fmt);
	vsnprintf(front, sizeof(front) - 2, fmt, ap);
	va_end(ap);
	strcat(front, ": ");
	n = strlen(front);
	keep = strlen(e->text);
	if (n + keep >= sizeof(e->text))
		keep = sizeof(e->text) - 1 - n;
	memmove(e->text + n, e->text, keep);
	memcpy(e->text, front, n);
	e->text[n + keep] = '\0';
	return -1;
}
