/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kdump-compressed dumps (diskdump family): what reader and writer share. Private to formats.
 *
 * In blocks, mostly of the page size: header; sub header and notes; bitmap of memory that exists;
 * bitmap of pages in the file; a descriptor of 24 bytes for each of these; page data. Everything in
 * the byte order and the C layout of the machine that was dumped. A part of a split set has all of
 * that, but descriptors for its own range of pages only.
 *
 * Sources: makedumpfile IMPLEMENTATION, diskdump_mod.h; crash diskdump.h, diskdump.c; libkdumpfile
 * diskdump.c; QEMU include/sysemu/dump.h.
 */
#ifndef KDUMP_H
#define KDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitmaps.h"
#include "bytes.h"
#include "format.h"

#define KDUMP_VERSION 6 /* that is written, and the highest known */

/* Status word, beside the codecs; of diskdump, beside "zlib" (makedumpfile diskdump_mod.h). */
#define KDUMP_INCOMPLETE 8
#define DISKDUMP_INCOMPLETE 1
#define DISKDUMP_ZLIB 8

#define KDUMP_DESC_SIZE 24
#define KDUMP_SIGNATURE "KDUMP   "
#define DISKDUMP_SIGNATURE "DISKDUMP" /* before there were sub headers */
#define KDUMP_UTS_OFF 12

/* The C layouts: word, and alignment of 64-bit members where a word is 32 bits. */
enum kdump_abi_id { ABI_64, ABI_32_PACKED, ABI_32_ALIGNED, KDUMP_NR_ABIS };

struct kdump_abi {
	uint8_t word, align64;
	uint16_t header_size; /* up to the last field; a table of tasks may follow */
	uint16_t sub_size;
};

extern const struct kdump_abi kdump_abis[KDUMP_NR_ABIS];

#define KDUMP_HEADER_MAX 464
#define KDUMP_SUB_MAX 104

/* Numbers of the header, then of the sub header. */
enum kdump_field {
	KD_VERSION,
	KD_TIME,
	KD_STATUS,
	KD_BLOCK_SIZE,
	KD_SUB_BLOCKS,
	KD_BITMAP_BLOCKS,
	KD_MAX_MAPNR,
	KD_NR_CPUS,
	KD_SUB_HEADER, /* the first of these: */
	KD_PHYS_BASE = KD_SUB_HEADER,
	KD_DUMP_LEVEL,
	KD_SPLIT,
	KD_START_PFN,
	KD_END_PFN,
	KD_VMCOREINFO_OFF,
	KD_VMCOREINFO_SIZE,
	KD_NOTES_OFF,
	KD_NOTES_SIZE,
	KD_ERASEINFO_OFF,
	KD_ERASEINFO_SIZE,
	KD_START_PFN_64,
	KD_END_PFN_64,
	KD_MAX_MAPNR_64,
	KD_NR_FIELDS
};

struct kdump_field_info {
	const char *name;
	uint8_t width;		     /* bytes; 0: a word */
	uint8_t since;		     /* header version */
	uint16_t off[KDUMP_NR_ABIS]; /* in the header, or in the sub header */
};

extern const struct kdump_field_info kdump_fields[KD_NR_FIELDS];

/* The headers as numbers. */
struct kdump_head {
	enum kdump_abi_id abi;
	enum byte_order order;
	uint64_t f[KD_NR_FIELDS];
};

/*
 * Numbers [FROM, TO) out of RAW (a header or a sub header of that ABI), or into it. Those that
 * version VERSION does not have yet become 0.
 */
void kdump_get_fields(struct kdump_head *h, enum kdump_field from, enum kdump_field to,
		      const uint8_t *raw);
void kdump_put_fields(const struct kdump_head *h, enum kdump_field from, enum kdump_field to,
		      uint8_t *raw);

/* The largest number that fits into a field of that ABI. */
uint64_t kdump_field_max(enum kdump_abi_id abi, enum kdump_field f);

/*
 * ---- reading ----
 *
 * A unit is what a bit of the bitmaps stands for: block_size bytes, counted from where the bitmaps
 * begin. Mostly that is a page of the dump; QEMU has units of 64 KiB whatever the pages are.
 */

/* A file: the whole dump, or a part of a split set. */
struct kdump_part {
	struct source *source;
	uint64_t size;	     /* of the source */
	uint64_t start, end; /* units that it has descriptors of */
	uint64_t rank;	     /* kept units before them */
	uint64_t nr;	     /* descriptors */
	uint64_t table;	     /* where they lie */
};

struct kdump_desc {
	uint64_t off;
	uint32_t size, flags;
};

struct kdump {
	struct kdump_head head; /* of the part that the bitmaps are read from */
	struct bitmaps map;
	bool one_bitmap;	  /* for both: exist is empty */
	struct kdump_part *parts; /* ascending */
	unsigned int nr_parts;
	char machine[UTS_LEN];
};

/* One of the files, while they are opened. */
struct kdump_file {
	struct source *source;
	struct kdump_head head;
	uint8_t raw[KDUMP_HEADER_MAX];
	uint64_t start, end; /* of its range, in units */
	bool has_bitmaps;    /* is it long enough for them */
};

static inline bool kdump_has_sub_header(const uint8_t *raw)
{
	return !memcmp(raw, KDUMP_SIGNATURE, 8);
}

/* The bit of the status word by which the file with that header says that it is incomplete. */
static inline uint32_t kdump_incomplete(const uint8_t *raw)
{
	return kdump_has_sub_header(raw) ? KDUMP_INCOMPLETE : DISKDUMP_INCOMPLETE;
}

static inline bool kdump_is_split(const struct kdump_head *h)
{
	return h->f[KD_SPLIT] != 0;
}

extern const struct map_ops kdump_map_ops;

/* Where the page data of a part may begin. */
static inline uint64_t kdump_data_start(const struct kdump_part *p)
{
	return p->table + p->nr * KDUMP_DESC_SIZE;
}

/* A descriptor that no writer filled in. */
static inline bool kdump_desc_empty(const struct kdump_desc *desc)
{
	return !desc->off || !desc->size;
}

static inline struct kdump_desc kdump_parse_desc(const uint8_t *raw, enum byte_order order)
{
	return (struct kdump_desc){ .off = load_u64(raw, order),
				    .size = load_u32(raw + 8, order),
				    .flags = load_u32(raw + 12, order) };
}

/* Could a page lie there? Not: is the file long enough. */
static inline bool kdump_desc_sane(const struct kdump *k, const struct kdump_part *p,
				   const struct kdump_desc *desc)
{
	return desc->off >= kdump_data_start(p) && desc->off < (uint64_t)1 << 53 &&
	       desc->size <= (uint32_t)1 << k->map.unit_shift &&
	       !(desc->flags & ~(uint32_t)CODEC_ALL) && !(desc->flags & (desc->flags - 1));
}

static inline bool kdump_desc_inside(const struct kdump_part *p, const struct kdump_desc *desc)
{
	return desc->off <= p->size && desc->size <= p->size - desc->off;
}

/*
 * Find the pages that are not there: those of missing parts, and those of parts that are not whole.
 * kdump_scan.c
 */
int kdump_scan(struct dump *d, struct kdump *k, struct err *e);

/*
 * Fill D with what the headers of FILES tell, those of USED first of all: kdump_facts.c. A field
 * that makes no sense is damage, and told to the log.
 */
void kdump_tell(struct dump *d, struct kdump *k, const struct kdump_file *files,
		const struct kdump_file *used);
int kdump_read_notes(struct dump *d, const struct kdump_file *files, const struct kdump_file *used,
		     struct err *e);
void kdump_suspect(struct dump *d, const char *what, uint64_t found, uint64_t expected);

/* See struct format. kdump_read.c */
int kdump_probe(struct source *s);
int kdump_open(struct dump *d, struct err *e);
bool kdump_mark(struct source *s, uint64_t *off, uint8_t ret[4]);
void kdump_close(struct dump *d);

/* Writing: kdump_write.c. See struct format. */
int kdump_begin(struct part *p, struct err *e);
int kdump_put(struct part *p, const struct batch *b, struct err *e);
int kdump_commit(struct part *p, struct err *e);
void kdump_abandon(struct part *p);
void kdump_finish(struct part *p);

#endif
