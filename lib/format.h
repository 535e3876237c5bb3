/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of a dump format. This file is the HOWTO: to add a format, write formats/NAME.c with
 * one `const struct format NAME_format`, add one line to formats/formats.c and one to
 * formats/Makefile.inc, and one test described as text under tests/data; formats/README has the list.
 * No other code needs to change. formats/elf.c is the example to follow.
 *
 * A format sees lib only: no architecture, no tool, no terminal. All bytes it looks at are hostile.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"
#include "dump.h"
#include "err.h"
#include "pfnset.h"
#include "sink.h"
#include "vmap.h"

/* Bytes at a fixed place that name a format. An array of these ends with len 0. */
struct magic {
	uint64_t off;
	const char *bytes;
	size_t len;
};

/* One page on its way to a writer. */
struct page_out {
	uint64_t pfn;
	enum page_state state; /* PAGE_DATA, PAGE_ZERO; PAGE_UNREADABLE: present, without bytes */
	uint32_t size;	       /* bytes stored: the page size where codec is CODEC_RAW */
	uint32_t codec;	       /* enum codec_id */
	const uint8_t *data;   /* PAGE_DATA only */
};

/*
 * Consecutive pages, ascending; their data in the pieces of iov, in the same order and without
 * gaps.
 */
struct batch {
	const struct page_out *pages;
	size_t nr_pages;
	const struct iovec *iov;
	int nr_iov;
	size_t bytes; /* total of iov */
	bool in_place; /* pieces are mapped input */
};

/* Takes the next bytes of notes. */
typedef int (*note_put_fn)(void *priv, const void *data, size_t len, struct err *e);

/* Notes that are made while they are written, for there may be too many to be held: threads. */
struct note_stream {
	uint64_t len; /* bytes, a multiple of 4 */
	int (*write)(const struct note_stream *n, note_put_fn put, void *priv, struct err *e);
	void *priv;
};

/*
 * What the program that a file is meant for wants of its segments, where that is not what the source
 * had. ELF only.
 */
struct shape {
	const struct segment *segments; /* whose virtual addresses, in which order */
	size_t nr_segments;
	/*
	 * Pages in none of them: their virtual address is the physical one where that ends below
	 * this, else all ones; 0: it is 0.
	 */
	uint64_t bare_below;
	uint8_t word; /* of the file's class: 4, 8, or 0 for the source's */
	bool tells_start; /* first of all a segment of no bytes at START */
	uint64_t start;
};

/*
 * What is to be written, decided before the first byte is. Filled by the tool, read by the format.
 */
struct plan {
	const struct dump *dump;
	const struct pfnset *keep; /* pages that the output holds */
	uint64_t max_pfn;	   /* one past the highest page that is told to exist */
	uint32_t page_size;
	int dump_level;
	bool incomplete; /* the input is: the mark stays set, however whole the output is */
	uint32_t codecs; /* CODEC ids that may occur, or-ed: the same in all parts */
	uint64_t phys_base;
	int64_t crash_time;   /* seconds since 1970, 0 when unknown: outputs do not depend on the
				 clock */
	char utsname[6][65];  /* sysname nodename release version machine domainname */
	const uint8_t *notes; /* the source's notes, byte for byte */
	size_t notes_len;
	const uint8_t *tool_note; /* those we add, to be stored right behind them */
	size_t tool_note_len;
	const uint8_t *eraseinfo; /* text, byte for byte; NULL: none */
	size_t eraseinfo_len;
	uint64_t vmcoreinfo_off; /* of the VMCOREINFO text in notes; its length is 0 when there is
				    none */
	uint64_t vmcoreinfo_len;
	/*
	 * ELF: what the program headers map, instead of the source's segments, in a file of the
	 * machine's own class for who looks for virtual addresses. NULL: those segments.
	 */
	struct vmap *vmap;
	const struct note_stream *threads; /* ELF: notes before all others; NULL: none */
	unsigned int nr_parts; /* 1, or the number of pieces of a split set */
	const struct shape *shape; /* NULL: as the source was */
};

/* One output of a plan. */
struct part {
	const struct plan *plan;
	struct sink *sink;
	uint64_t start_pfn, end_pfn; /* [start, end): what this part holds */
	uint64_t nr_pages;	     /* kept pages in that range */
	void *priv;		     /* the writer's own */
};

/*
 * For put(): was B written as it was looked at? BEFORE: source_my_faults() when put() began.
 * ERR_UNREADABLE when something of it was lost meanwhile.
 */
int batch_check(const struct part *p, const struct batch *b, uint64_t before, struct err *e);

struct format {
	const char *name;  /* "elf": what the user types and --json prints */
	const char *title; /* "ELF core": for sentences */
	/* A dump may be several files: open() gets them in d->sources, in the order they were named. */
	bool is_set;
	bool no_notes; /* there is no place for notes in it: a comparison does not miss them */
	/* It cannot tell memory that it was not given from zeros (raw; not LiME, which lists ranges). */
	bool holes_are_zero;

	/*
	 * Reading. open NULL: the format is recognised by name only; probe NULL: the magic decides.
	 */

	/* Cheap tests first; an array that ends with len 0. NULL: probe is always called. */
	const struct magic *magic;
	/*
	 * Called when a magic fits (or there is none). Returns the number of bits that were
	 * verified, 0 for "not mine": an 8-byte magic is 64; plausible header fields add theirs.
	 * The highest score wins. Must not fail because the file is short.
	 */
	int (*probe)(struct source *s);
	/*
	 * Fill d from d->source (or d->sources, when is_set): id, map and map_data (usually by
	 * lib/extents.h), and what the format has of told, notes, segments (of an ELF table only),
	 * incomplete; the rest stays zero. What makes no sense is left out, counted in d->damage and
	 * told to d->log; only a file of which nothing can be used (no byte of memory, not even a cut
	 * range) is an error: ERR_CORRUPT, with file, offset, expected, found; ERR_UNSUPPORTED for a
	 * version or kind that is not read; ERR_NOMEM. On error the caller closes d.
	 */
	int (*open)(struct dump *d, struct err *e);
	/*
	 * Once more after the architecture is known, for maps that need page reads. NULL: not
	 * needed.
	 */
	int (*complete)(struct dump *d, struct err *e);
	/*
	 * Where file S of this format says that it is incomplete: the offset, and what the four bytes
	 * there are when they say so. False when its header cannot be read. NULL: it has no such mark.
	 */
	bool (*mark)(struct source *s, uint64_t *off, uint8_t ret[4]);
	/* Free d->format_data. NULL: there is none. */
	void (*close)(struct dump *d);

	/*
	 * Writing. begin NULL: cannot be written. Only lib's pipeline loops over pages, never a
	 * format.
	 */

	/* CODEC ids that pages may be stored in, or-ed. */
	uint32_t codecs;
	bool can_split; /* into several parts */
	/*
	 * There is nothing in the file that could say that it is incomplete: it grows under the name
	 * NAME.incomplete and is renamed when it is whole.
	 */
	bool unmarked;
	/*
	 * Write headers to p->sink, marked incomplete where the format has a mark, and set p->priv.
	 * A sink that cannot patch (sink_can_patch()) gets all but what only commit knows.
	 */
	int (*begin)(struct part *p, struct err *e);
	/*
	 * The next pages, ascending, inside [start_pfn, end_pfn). Called by one thread at a time.
	 * What batch_check() says when all is written is the result: pieces of b->iov, which may be
	 * mapped input, may have been lost under the writer's hands. Nothing of the batch counts
	 * then, and it comes again out of memory.
	 */
	int (*put)(struct part *p, const struct batch *b, struct err *e);
	/*
	 * All pages were put: write what is left, clear the incomplete mark, call sink_commit().
	 * Only after success is the output complete.
	 */
	int (*commit)(struct part *p, struct err *e);
	/*
	 * Instead of commit, when something failed: make what is there usable (write descriptors of
	 * pages that are in), leave the incomplete mark. Best effort. Frees p->priv, as does
	 * finish.
	 */
	void (*abandon)(struct part *p);
	/* Free p->priv. Called after commit succeeded. */
	void (*finish)(struct part *p);
};

#endif
