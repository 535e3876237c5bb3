/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: one caller-owned object of fixed size, so that an error path never allocates.
 *
 * A fallible function takes a struct err last, returns 0 or -1, and fills it where the trouble is
 * found: what, which file, where, what was expected. Callers on the way up may prepend their
 * context with err_add(). The text is printed once, in tools/main.c.
 */
#ifndef ERR_H
#define ERR_H

#include <stdarg.h>

/* What the caller can do about it; the cause is in the text. */
enum err_code {
	ERR_NONE,
	ERR_USAGE,	 /* the command line is wrong */
	ERR_IO,		 /* the system refused to read or write */
	ERR_NOSPACE,	 /* the output cannot grow: full disk, quota, file size limit, -L */
	ERR_PIPE,	 /* the reader of our output went away */
	ERR_NOMEM,	 /* memory, or the budget, is used up */
	ERR_CORRUPT,	 /* the input contradicts itself */
	ERR_UNREADABLE,	 /* these bytes of the input cannot be had; others can */
	ERR_UNSUPPORTED, /* well formed, but this program or this link cannot do it */
	ERR_MISSING,	 /* a fact about the kernel is not known */
	ERR_MISMATCH,	 /* kernel and vmlinux are not the same */
	ERR_INTERRUPTED, /* a signal asked us to stop */
	ERR_EXISTS,	 /* the output exists and must not be overwritten */
};

struct err {
	enum err_code code;
	int os; /* errno, or 0 */
	char text[512];
};

#define ERR_INIT                 \
	{                        \
		.code = ERR_NONE \
	}

/*
 * Set code and text; an earlier content is replaced. Always returns -1, so that callers can `return
 * err_set(...)`.
 */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Set from the errno value OS: the text gets ": strerror" appended and the code follows from OS
 * (ENOSPC, EDQUOT and EFBIG become ERR_NOSPACE, EPIPE ERR_PIPE, ENOMEM ERR_NOMEM, EEXIST
 * ERR_EXISTS, else ERR_IO). Returns -1.
 */
int err_sys(struct err *e, int os, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Prepend "text: " to what is already there. Returns -1. */
int err_add(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
