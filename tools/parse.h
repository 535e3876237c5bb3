/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What options take: numbers, sizes. */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "talk.h"

/* parse_number(): hexadecimal behind 0x, else decimal. */
enum { PARSE_PREFIX = 0 };

/*
 * A whole number in [0, MAX], of the given BASE (16: with 0x or without); false for anything else,
 * a sign and blanks included.
 */
bool parse_number(const char *text, int base, uint64_t max, uint64_t *ret);

/*
 * The first word of the next line of F that has one, however long the line is, cut off where SIZE
 * bytes at RET do not hold it. LINE counts the lines that were read. False at the end of F.
 */
bool parse_line(FILE *f, char *ret, size_t size, uint64_t *line);

/* A number of bytes above 0: digits, and K, M, G, T, P or E for that power of 1024. */
bool parse_size(const char *text, uint64_t *ret);

/* A number of threads up to PARSE_MAX_THREADS; 0: one for each CPU. ERR_USAGE. */
enum { PARSE_MAX_THREADS = 65536 };
int parse_threads(const char *text, unsigned int *ret, struct err *e);

/* The argument of --progress. ERR_USAGE. */
int parse_progress(const char *text, enum progress_mode *ret, struct err *e);

#endif
