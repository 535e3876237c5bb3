/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the kernel log's reader share; nobody else includes this.
 *
 *   printk.c         the public functions, which generation it is, telling lines
 *   printk_window.c  reading an array in kernel memory by blocks
 *   printk_ring.c    "ringbuffer"
 *   printk_old.c     "records" and "text"
 *
 * A generation is a pair of functions: one reads the log and tells its lines, one tells where it
 * lies. Both get a job with everything but line, stats and what follows filled in.
 */
#ifndef PRINTK_PRIV_H
#define PRINTK_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "kernel.h"
#include "printk.h"
#include "xlat.h"

#define LOG_MAX_BITS 31u    /* the bound of the kernel itself: LOG_BUF_LEN_MAX is 2 GiB */
#define STRUCT_MAX 4096u    /* no structure of the log is larger */
#define DARK_MAX (64u << 20) /* bytes in a row that cannot be read: nor can the rest */
#define TEXT_MAX UINT16_MAX /* text of a record: its length is a 16-bit number */
#define CHUNK 4096u	    /* memory is read by these; the smallest page there is */
#define TEXT_WINDOW 73728u  /* a whole text, beginning anywhere in a chunk */

/* The line being put together; all of them but the first of a record begin with INDENT spaces. */
struct printk_line {
	char *buf;
	size_t len, room, indent;
};

/* One call of printk_read() or printk_regions(). */
struct printk_job {
	const struct kernel *k;
	const struct xlat *x;
	struct reader *r;
	struct err *e;
	unsigned int word; /* bytes */
	enum byte_order order;
	bool since_clear, no_caller;
	printk_line_fn fn;
	printk_region_fn region_fn;
	void *priv;
	struct printk_line line;
	struct printk_stats stats;
	bool stopped;	      /* by the caller's function, which filled j->e */
	uint64_t passed_over; /* sound records that are not to be shown */
	struct err why;	      /* what was wrong last */
	struct err first;     /* what was wrong with the first lost record */
};

/* ---- damage ---- */

/* N records are lost, for the reason in j->why. */
void printk_lose(struct printk_job *j, uint64_t n);

/*
 * Warn that it cannot be told, for the reason in j->why, where the log was cleared: rather too much
 * than too little.
 */
void printk_warn_clear(struct printk_job *j);

/* ---- facts, and numbers in kernel memory: 0, or -1 and the reason in j->e ---- */

/* A number of four bytes at VADDR. */
int printk_read_u32(struct printk_job *j, uint64_t vaddr, uint64_t *ret);

/* A number of the machine's word size, a pointer or a long, at VADDR. */
int printk_read_word(struct printk_job *j, uint64_t vaddr, uint64_t *ret);

/* A fact that must be known and is where to look, or how far. */
struct printk_need {
	enum fact_kind kind;
	const char *name;
	size_t at; /* of the uint64_t in a structure that takes it */
};

/* Fill the structure at RET with NR facts. ERR_MISSING names the first that is not known. */
int printk_need_facts(struct printk_job *j, const struct printk_need *needs, size_t nr, void *ret);

/* A number of LEN bytes at OFF of structure NAME, which has SIZE bytes. */
struct printk_member {
	const char *name;
	uint64_t off, len, size;
};

/* ERR_CORRUPT when one of NR members does not lie in its structure, or that is absurdly large. */
int printk_need_inside(struct printk_job *j, const struct printk_member *m, size_t nr);

/* ---- telling: what the caller's function returns comes back, and ends the reading ---- */

/* Add a character to the line, escaped when it must be. -1 also when memory is used up. */
int printk_line_char(struct printk_job *j, uint8_t c);

/* Tell the line, and begin an empty one. */
int printk_line_end(struct printk_job *j);

/* Tell a record with its prefix, and count it. CALLER is NULL where it is not known who printed. */
int printk_record(struct printk_job *j, uint64_t ts_nsec, const uint32_t *caller,
		  const uint8_t *text, size_t len);

/* A part of the log, for printk_regions(). */
struct printk_region {
	uint64_t vaddr, len;
};

/* Tell those of NR regions that are not empty. */
int printk_tell_regions(struct printk_job *j, const struct printk_region *regions, size_t nr);

/* ---- a sliding window on an array in kernel memory: printk_window.c ---- */

struct printk_window {
	uint64_t base, size; /* of the array: virtual address, bytes */
	uint64_t off;	     /* in the array, of what buf holds */
	size_t len, room;
	uint64_t bad, bad_len; /* a chunk of the array known to be unreadable */
	uint8_t *buf;
};

/*
 * Begin with nothing read, of an array of SIZE bytes at BASE. ROOM is the memory to use: the
 * largest piece ever asked for, and a chunk. -1 and ERR_NOMEM in j->e when there is no memory.
 */
int printk_window_init(struct printk_job *j, struct printk_window *w, uint64_t base, uint64_t size,
		       size_t room);

/* Also of a window that was never begun, but zeroed. */
void printk_window_fini(struct printk_window *w);

/*
 * LEN bytes at OFF of the array, valid until the next call; NULL, and the reason in j->why, when
 * they cannot be had.
 */
const uint8_t *printk_window_get(struct printk_job *j, struct printk_window *w, uint64_t off,
				 size_t len);

/* ---- the generations ---- */

/* Tell all of the log; 0, or -1 and the reason in j->e, or what the caller's function returned. */
int printk_ring_read(struct printk_job *j);
int printk_records_read(struct printk_job *j);
int printk_text_read(struct printk_job *j);

/* Tell where the log and the variables that lead to it lie; returns the same. */
int printk_ring_regions(struct printk_job *j);
int printk_records_regions(struct printk_job *j);
int printk_text_regions(struct printk_job *j);

#endif
