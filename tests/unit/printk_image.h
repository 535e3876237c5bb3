/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels in miniature, with a log in them: a memory of 1 MiB, its VMCOREINFO, what must come out
 * of lib/printk.c, and the checks that all generations of the log share. The checks are inline
 * since tap.h counts for one file.
 */
#ifndef PRINTK_IMAGE_H
#define PRINTK_IMAGE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "printk.h"
#include "tap.h"

#define PAGE 4096u
#define NR_PAGES 256u
#define VBASE 0x40000000u	     /* virtual address of physical 0 */
#define ROOT ((NR_PAGES - 1) * PAGE) /* the page table */

struct image {
	uint8_t mem[NR_PAGES * PAGE];
	bool hole[NR_PAGES];
	unsigned int word;
	enum byte_order order;
	char info[8192]; /* VMCOREINFO */
	struct dump dump;
	struct log log;
	unsigned int warnings;	/* told to the log */
	unsigned int looked_up; /* runs of pages that were asked for */
};

/* A record, or a line of the oldest generation, as it should come out. */
struct expect {
	char *text;
	bool gone;
};

extern struct image image;
extern struct expect expects[4096];
extern unsigned int nr_expects;
extern const struct printk_opts since_clear;

/* ---- building: printk_image.c ---- */

/* Begin an empty image of that WORD size (bytes) and byte order, and forget what was expected. */
void image_reset(unsigned int word, enum byte_order order);

/* Store a number of SIZE bytes, or of the word size, at VADDR. */
void put(uint64_t vaddr, uint64_t v, unsigned int size);
void put_word(uint64_t vaddr, uint64_t v);

/* Add a line to VMCOREINFO. */
void fact(const char *key, uint64_t v);

/* Take the line of a fact out of VMCOREINFO; KEY is all before the "=". */
void forget(const char *key);

/* One more line is expected. */
void expect(const char *text);

/* The output for a record: prefix, indented further lines. CALLER 0: not told. */
void expect_record(uint64_t ts, uint32_t caller, const char *text);

/* Numbers that are the same in each run, and small letters, 1 to MAX of them. */
uint32_t random_u32(void);
const char *random_text(char *buf, unsigned int max);

/* ---- reading ---- */

struct output {
	char *buf;
	size_t len, room, longest, lines;
	size_t stop_after; /* 0: never */
	int rc;
	struct printk_stats stats;
	struct err e;
};

void output_fini(struct output *o);

#define _cleanup_output_ __attribute__((cleanup(output_fini)))

/* Read the log; OPTS may be NULL. */
void read_log(struct output *o, const struct printk_opts *opts);

/* Does the log read as expected, from record FIRST on? Else print how it differs. */
bool log_matches(unsigned int first, const struct printk_opts *opts, uint64_t lost,
		 uint64_t unfinished);

/* Pages that printk_regions() tells, and how many regions they were. */
struct kept {
	bool page[NR_PAGES];
	unsigned int nr;
};

int read_regions(struct kept *kept, struct err *e);

/* A function that makes an image with a log in it, one that was cleared at some time. */
typedef void (*build_fn)(unsigned int word, enum byte_order order);

/*
 * Whatever is in memory: it ends, it does not crash (the sanitizers watch), and what comes out is
 * printable.
 */
bool survives(build_fn build, unsigned int seed);

/* ---- checks ---- */

static inline void check_matches(unsigned int first, const struct printk_opts *opts, uint64_t lost,
				 uint64_t unfinished, const char *what)
{
	ok(log_matches(first, opts, lost, unfinished), "%u-bit %s: %s", 8 * image.word,
	   image.order == ORDER_BE ? "BE" : "LE", what);
}

static inline void check_from(unsigned int first, const struct printk_opts *opts, const char *what)
{
	check_matches(first, opts, 0, 0, what);
}

static inline void check(const char *what)
{
	check_matches(0, NULL, 0, 0, what);
}

static inline void check_lost(uint64_t lost, uint64_t unfinished, const char *what)
{
	check_matches(0, NULL, lost, unfinished, what);
}

static inline void check_error(enum err_code code, const char *needle, const char *what)
{
	_cleanup_output_ struct output o = { .rc = 0 };

	read_log(&o, NULL);
	if (!ok(o.rc == -1 && o.e.code == code && strstr(o.e.text, needle), "%s", what))
		printf("# rc %d, code %d, %s; want %s\n", o.rc, o.e.code, o.e.text, needle);
}

static inline void test_choice(build_fn build, const char *generation)
{
	_cleanup_output_ struct output o = { .rc = 0 };

	build(8, ORDER_LE);
	read_log(&o, NULL);
	ok(o.rc == 0 && !strcmp(o.stats.generation, generation), "generation %s", generation);
}

/*
 * Without each fact in turn: a clear error that names it, unless it is one that can be done
 * without.
 */
static inline void test_missing(build_fn build)
{
	char all[sizeof(image.info)], key[128];
	const char *line, *end;

	build(8, ORDER_LE);
	memcpy(all, image.info, sizeof(all));
	for (line = strchr(all, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		_cleanup_output_ struct output o = { .rc = 0 };
		bool optional;

		memcpy(image.info, all, sizeof(all));
		end = strchr(line, '=');
		snprintf(key, sizeof(key), "%.*s", (int)(end - line), line);
		forget(key);
		optional = strstr(key, "clear") || strstr(key, "caller") || strstr(key, ".seq") ||
			   strstr(key, "counter") || strstr(key, "list_head") ||
			   strstr(key, "logged_chars");
		read_log(&o, NULL);
		ok(optional ? !o.rc
			    : o.rc == -1 && o.e.code == ERR_MISSING && strstr(o.e.text, key),
		   "without %s: %s", key, o.e.text);
	}
}

static inline void test_stop(build_fn build)
{
	_cleanup_output_ struct output o = { .stop_after = 5 };

	build(4, ORDER_BE);
	read_log(&o, NULL);
	is_u64((uint64_t)o.rc, 7, "the caller's verdict comes back");
	is_u64(o.lines, 5, "and no line after it");
	ok(!strcmp(o.e.text, "full"), "with the caller's words");
}

/* A dump that holds the regions and nothing else has the same log. */
static inline void test_regions(build_fn build, unsigned int word, enum byte_order order)
{
	_cleanup_output_ struct output before = { .rc = 0 }, after = { .rc = 0 };
	struct kept kept = { .nr = 0 };
	struct err e = ERR_INIT;
	unsigned int i;

	build(word, order);
	read_log(&before, &since_clear);
	is_u64((uint64_t)read_regions(&kept, &e), 0, "regions are told");
	for (i = 0; i < NR_PAGES - 1; i++)
		image.hole[i] = !kept.page[i];
	read_log(&after, &since_clear);
	ok(!after.rc && !after.stats.lost && before.len && before.len == after.len &&
		   !memcmp(before.buf, after.buf, after.len),
	   "%u regions are enough", kept.nr);
	image.info[0] = '\0';
	ok(read_regions(&kept, &e) == -1 && e.code == ERR_MISSING, "no facts, no regions");
}

static inline void test_damage(build_fn build)
{
	unsigned int seed, bad = 0;

	for (seed = 1; seed <= 200; seed++)
		bad += !survives(build, seed);
	is_u64(bad, 0, "200 kinds of damage");
}

#endif
