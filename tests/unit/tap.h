/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test Anything Protocol, as much as a unit test needs: checks that go on after a failure, and a
 * plan at the end.
 */
#ifndef TAP_H
#define TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static unsigned int tap_run, tap_failed;

static inline bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static inline bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", good ? "" : "not ", ++tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (good)
		return true;
	tap_failed++;
	printf("# at %s:%d\n", file, line);
	return false;
}

/* Both are the condition's value, so that a test can print more about a failure. */
#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)
#define is_u64(got, want, what) tap_is_u64((got), (want), __FILE__, __LINE__, (what))

static inline bool tap_is_u64(uint64_t got, uint64_t want, const char *file, int line,
			      const char *what)
{
	bool good = tap_ok(got == want, file, line, "%s", what);

	if (!good)
		printf("# got 0x%" PRIx64 ", want 0x%" PRIx64 "\n", got, want);
	return good;
}

/* The last line of main(): return done_testing(); */
static inline int done_testing(void)
{
	printf("1..%u\n", tap_run);
	if (tap_failed)
		printf("# %u of %u failed\n", tap_failed, tap_run);
	return tap_failed ? 1 : 0;
}

#endif
