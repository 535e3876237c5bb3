/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --assume KEY=VALUE: what the user knows better than the dump. One table has the keys; what an
 * architecture makes of an address its struct arch says.
 */
#ifndef ASSUME_H
#define ASSUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dump.h"
#include "kernel.h"
#include "xlat.h"

enum assume_key {
	ASSUME_ARCH,
	ASSUME_PAGE_SIZE,
	ASSUME_WORD,
	ASSUME_ORDER,
	ASSUME_LAYOUT,
	ASSUME_VA_BITS,
	ASSUME_LEVELS,
	ASSUME_ROOT,
	ASSUME_PHYS_BASE,
	ASSUME_KASLR,
	ASSUME_PAGE_OFFSET,
	NR_ASSUME_KEYS
};

/* Begins as zeros. */
struct assume {
	bool set[NR_ASSUME_KEYS];
	uint64_t value[NR_ASSUME_KEYS];
	char arch[32], layout[64]; /* values of the keys that have text */
	char lines[8192];	   /* of VMCOREINFO */
	size_t len;
	bool scan; /* ASSUME_ROOT: it is looked for */
};

/* Take KEY=VALUE[,KEY=VALUE...]; of a key that is there twice the last one counts. ERR_USAGE. */
int assume_parse(struct assume *a, const char *text, struct err *e);
/* One of them. ERR_USAGE. */
int assume_set(struct assume *a, const char *key, const char *value, struct err *e);

/* Names of all keys, as lines of --help. */
void assume_help(FILE *f);

/* For dump_bind(). Points into A. */
struct bind_force assume_force(const struct assume *a);
/* For arch->setup(). Points into A. */
struct xlat_forced assume_paging(const struct assume *a);

/* Does A say anything that concerns address translation? */
bool assume_kernel(const struct assume *a);

/* Can a dump of D's architecture, which is bound, be like this? ERR_USAGE. */
int assume_check(const struct assume *a, const struct dump *d, struct err *e);

/* What A says as lines of VMCOREINFO, of the architecture of D. Freed with free(); NULL: no memory.
 */
char *assume_text(const struct assume *a, const struct dump *d);

/* What the dump said before A was asked. */
struct assume_told {
	const struct arch *arch; /* or NULL */
	uint32_t page_size;	 /* or 0 */
	struct xlat xlat;	 /* what setup() makes of it alone */
	bool works;		 /* it succeeded */
};

/* A line to the log of D for each thing that the dump says otherwise; TEXT is that of
 * assume_text(). */
void assume_tell(const struct assume *a, const struct dump *d, const struct assume_told *told,
		 const char *text);

#endif
