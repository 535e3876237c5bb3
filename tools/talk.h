/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the user gets to see while a command works. Two manners: our own (stderr only, warnings and
 * a summary), and makedumpfile's, whose texts scripts and support articles know (docs: its
 * print_info.h).
 */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>
#include <stdio.h>

#include "log.h"
#include "progress.h"

/* makedumpfile's message levels, used in both manners. */
enum {
	TALK_PROGRESS = 1,
	TALK_COMMON = 2,
	TALK_ERROR = 4,
	TALK_DEBUG = 8,
	TALK_REPORT = 16,
	TALK_DEFAULT = 7,
	TALK_MAX = 31,
};

enum progress_mode { PROGRESS_AUTO, PROGRESS_TTY, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

struct talk {
	struct log log; /* first: lib's messages come through here */
	struct progress progress;
	const char *name; /* prefix of our own messages: "dumptool filter" */
	bool makedumpfile;
	bool data_on_stdout; /* then even makedumpfile talks on stderr */
	int level;
	enum progress_mode mode;
	bool line_open; /* a progress line waits for its end */
	unsigned int spin;
};

/* Set up with the defaults of either manner; options may change the members afterwards. */
void talk_init(struct talk *t, const char *name, bool makedumpfile);

/* For lib: NULL when nothing is to be shown. */
struct progress *talk_progress(struct talk *t);

/*
 * A message of the given kind, as it is, newlines included; nothing when the level does not ask for
 * it.
 */
void talk_say(struct talk *t, int kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Where messages of that kind go. */
FILE *talk_stream(const struct talk *t, int kind);

/* TEXT out of a dump: what does not print, as \xNN. */
void print_escaped(FILE *f, const char *text);

/* TEXT as one word for a shell: between quotes where it has to be. */
void print_word(FILE *f, const char *text);

#endif
