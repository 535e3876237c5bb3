/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lib has to say when nothing failed: degradations, decisions, debugging. lib never prints;
 * the tool that owns the job hands in a struct log whose emit function decides where a line goes,
 * if anywhere.
 */
#ifndef LOG_H
#define LOG_H

enum log_level {
	LOG_WARN,  /* the user gets more, or less, than was asked */
	LOG_INFO,  /* worth a line in the normal output */
	LOG_DEBUG, /* decisions and facts, for who asks */
};

struct log {
	/* One line without a newline. May be called from several threads at a time. */
	void (*emit)(struct log *log, enum log_level level, const char *text);
};

/* LOG may be NULL: then nobody listens. */
void log_warn(struct log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(struct log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(struct log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
