/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "talk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Common, debug and report messages of makedumpfile go to stdout unless the dump does; ours all go
 * to stderr.
 */
FILE *talk_stream(const struct talk *t, int kind)
{
	if (!t->makedumpfile || t->data_on_stdout || (kind & (TALK_PROGRESS | TALK_ERROR)))
		return stderr;
	return stdout;
}

static void end_line(struct talk *t)
{
	if (t->line_open)
		fputc('\n', stderr);
	t->line_open = false;
}

void talk_say(struct talk *t, int kind, const char *fmt, ...)
{
	FILE *f = talk_stream(t, kind);
	va_list ap;

	if (!(t->level & kind))
		return;
	end_line(t);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fflush(f); /* order with what goes to the other stream */
}

static void emit(struct log *log, enum log_level level, const char *text)
{
	struct talk *t = (struct talk *)log;
	int kind = level == LOG_DEBUG ? TALK_DEBUG : TALK_COMMON;

	if (t->makedumpfile)
		talk_say(t, kind, "%s%s\n", level == LOG_WARN ? "WARNING: " : "", text);
	else
		talk_say(t, kind, "%s: %s%s\n", t->name, level == LOG_WARN ? "warning: " : "",
			 text);
}

/* "12s", "3m07s", "2h05m"; as makedumpfile where it is called so. */
static const char *duration(double seconds, char *buf, size_t size)
{
	long s = seconds < 0 ? 0 : seconds > 1e8 ? 100000000 : (long)seconds;

	if (s < 60)
		snprintf(buf, size, "%lds", s);
	else if (s < 3600)
		snprintf(buf, size, "%ldm%lds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%ldh%ldm", s / 3600, s % 3600 / 60);
	else if (s < 100 * 86400)
		snprintf(buf, size, "%ldd%ldh", s / 86400, s % 86400 / 3600);
	else
		snprintf(buf, size, ">100day");
	return buf;
}

static double percent(const struct progress *p)
{
	return p->total ? 100.0 * (double)p->done / (double)p->total : 100;
}

static void show_makedumpfile(struct talk *t, const struct progress *p)
{
	char left[24] = "", eta[40] = "";

	if (!p->finished && p->done)
		snprintf(eta, sizeof(eta), "eta: %s", duration(p->remaining, left, sizeof(left)));
	fprintf(stderr, "\r%-50s: [%5.1f %%] %c  %16s", p->title, percent(p),
		"/|\\-"[t->spin++ % 4], eta);
	t->line_open = true;
	if (p->finished && getenv("TERM") && !strcmp(getenv("TERM"), "dumb"))
		end_line(t);
}

static void show_tty(struct talk *t, const struct progress *p)
{
	char left[24];

	fprintf(stderr, "\r%s: %5.1f %%, %s left   ", p->title, percent(p),
		p->remaining < 0 ? "?" : duration(p->remaining, left, sizeof(left)));
	t->line_open = true;
	if (p->finished) {
		fprintf(stderr, "\r\033[K");
		t->line_open = false;
	}
}

static void show_plain(const struct talk *t, const struct progress *p)
{
	char left[24];

	if (p->finished && p->elapsed < t->progress.interval)
		return; /* it was over before it could get boring */
	fprintf(stderr, "%s: %s: %.1f %%, %" PRIu64 " of %" PRIu64 " %s, %s left\n", t->name,
		p->title, percent(p), p->done, p->total, p->unit,
		p->remaining < 0 ? "?" : duration(p->remaining, left, sizeof(left)));
}

static void show_json(const struct progress *p)
{
	fprintf(stderr,
		"{\"step\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64
		",\"elapsed\":%.3f,\"remaining\":%.3f,\"finished\":%s}\n",
		p->title, p->done, p->total, p->elapsed, p->remaining,
		p->finished ? "true" : "false");
}

static void show(struct progress *p)
{
	struct talk *t = (struct talk *)((char *)p - offsetof(struct talk, progress));

	if (t->makedumpfile)
		show_makedumpfile(t, p);
	else if (t->mode == PROGRESS_TTY)
		show_tty(t, p);
	else if (t->mode == PROGRESS_JSON)
		show_json(p);
	else
		show_plain(t, p);
	fflush(stderr);
}

volatile int interrupted; /* by the signals that main.c catches */

void talk_init(struct talk *t, const char *name, bool makedumpfile)
{
	*t = (struct talk){ .log = { .emit = emit }, .name = name, .makedumpfile = makedumpfile };
	t->level = TALK_DEFAULT;
	t->progress.show = show;
}

/* A line that rewrites itself needs a terminal; a serial console is one by name only. */
static enum progress_mode choose_mode(void)
{
	const char *term = getenv("TERM"),
		   *tty = isatty(STDERR_FILENO) ? ttyname(STDERR_FILENO) : NULL;

	if (!tty || !term || !strcmp(term, "dumb") || !strcmp(tty, "/dev/console") ||
	    !strncmp(tty, "/dev/ttyS", 9) || !strncmp(tty, "/dev/hvc", 8))
		return PROGRESS_PLAIN;
	return PROGRESS_TTY;
}

struct progress *talk_progress(struct talk *t)
{
	if (!(t->level & TALK_PROGRESS) || t->mode == PROGRESS_NONE)
		return NULL;
	if (t->mode == PROGRESS_AUTO)
		t->mode = choose_mode();
	t->progress.interval = t->makedumpfile		   ? 1
			       : t->mode == PROGRESS_PLAIN ? 10
			       : t->mode == PROGRESS_TTY   ? 0.2
							   : 1;
	return &t->progress;
}

void print_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c < 0x7f)
			putc(c, f);
		else
			fprintf(f, "\\x%02x", c);
	}
}

void print_word(FILE *f, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./+=:,@%";
	const char *c;

	if (*text && strspn(text, plain) == strlen(text)) {
		fputs(text, f);
		return;
	}
	putc('\'', f);
	for (c = text; *c; c++)
		if (*c == '\'')
			fputs("'\\''", f);
		else
			putc(*c, f);
	putc('\'', f);
}
