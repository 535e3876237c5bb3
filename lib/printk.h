/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel log out of a dump, in all three generations of its buffer:
 *
 *   "ringbuffer"  SYMBOL(prb): rings of descriptors, of infos and of text; Linux 5.10 and later
 *
 *   "records"  SYMBOL(log_first_idx): struct printk_log (struct log) in one buffer; 3.5 to 5.9
 *
 *   "text"  SYMBOL(log_end): plain characters in one buffer; before
 *
 * Which one it is follows from the facts that are known, never from a version. Needs translation
 * and memory of the log itself, nothing else: no memory map, no struct page. Own memory: under
 * 512 KiB, whatever the size of the log.
 */
#ifndef PRINTK_H
#define PRINTK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "kernel.h"
#include "xlat.h"

struct printk_opts {
	bool since_clear; /* only what follows the last "dmesg -c" */
	bool no_caller;	  /* never who printed, as vmcore-dmesg and makedumpfile up to 1.7.4 */
};

/* In generation "text" records are lines, and what can be lost are pages. */
struct printk_stats {
	const char *generation; /* "ringbuffer", "records", "text"; NULL when no log was found */
	uint64_t records;	/* told to the caller */
	uint64_t lost;		/* damaged or unreadable */
	uint64_t unfinished;	/* the kernel itself has no text for these: no damage */
};

/*
 * One whole line of output, LEN bytes, neither newline nor NUL at its end; unprintable bytes are
 * escaped as \xNN. Anything but 0 ends the reading and is returned; then fill E.
 */
typedef int (*printk_line_fn)(void *priv, const char *line, size_t len, struct err *e);

/*
 * Tell the log, oldest line first, as makedumpfile --dump-dmesg prints it: "[%5lld.%06ld] ", then
 * "[%8s] " with the caller T<pid> or C<cpu> when OFFSET(printk_info.caller_id) is known, then the
 * text; further lines of a record are indented by as much. Generation "text" has no prefix but what
 * the kernel put there.
 *
 * Returns 0 when there was a log, also when parts of it are damaged: those are counted in STATS,
 * and the first of them told to the dump's log. OPTS and STATS may be NULL. ERR_MISSING names the
 * fact that is not known; ERR_UNREADABLE, ERR_CORRUPT: the head of the log, or every record, is
 * lost.
 */
int printk_read(const struct kernel *k, const struct xlat *x, struct reader *r,
		const struct printk_opts *opts, printk_line_fn fn, void *priv,
		struct printk_stats *stats, struct err *e);

/* Anything but 0 ends the enumeration and is returned; then fill E. */
typedef int (*printk_region_fn)(void *priv, uint64_t vaddr, uint64_t len, struct err *e);

/*
 * Tell the virtual addresses that the log occupies, everything that printk_read() looks at and the
 * records that it would not show: so that a filter keeps them. Errors of printk_read().
 */
int printk_regions(const struct kernel *k, const struct xlat *x, struct reader *r,
		   printk_region_fn fn, void *priv, struct err *e);

#endif
