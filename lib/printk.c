/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "log.h"

/*
 * Bounds of the kernel itself: LOG_BUF_LEN_MAX is 2 GiB, with one descriptor for 32 bytes
 * (PRB_AVGBITS).
 */
#define LOG_MAX_BITS 31u
#define DESC_MAX_BITS 26u
#define STRUCT_MAX 4096u    /* no structure of the log is larger */
#define TEXT_MAX UINT16_MAX /* text of a record: its length is a 16-bit number */
#define CHUNK 4096u	    /* memory is read by these; the smallest page there is */
#define TEXT_WINDOW 73728u  /* a whole text, beginning anywhere in a chunk */
#define STRUCT_WINDOW 16384u
#define LINE_LIMIT (4u * TEXT_MAX + 64u) /* all of a text escaped, and its prefix */
#define RESYNC_STEPS (1u << 24)

struct line {
	char *buf;
	size_t len, room, indent;
};

struct job {
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
	struct line line;
	struct printk_stats stats;
	bool stopped;	      /* by the caller's function, which filled j->e */
	uint64_t passed_over; /* sound records that are not to be shown */
	struct err why;	      /* what was wrong last */
	struct err first;     /* what was wrong with the first lost record */
};

/* N records are lost, for the reason in j->why. */
static void lose(struct job *j, uint64_t n)
{
	if (!j->stats.lost)
		j->first = j->why;
	j->stats.lost += n;
}

/*
 * It cannot be told, for the reason in j->why, where the log was cleared: rather too much than too
 * little.
 */
static void no_clear(struct job *j)
{
	log_warn(j->r->dump->log,
		 "kernel log: it is not known when it was cleared, all of it is told: %s",
		 j->why.text);
}

static int read_u32(struct job *j, uint64_t vaddr, uint64_t *ret)
{
	return xlat_read_uint(j->x, j->r, vaddr, 4, ret, j->e);
}

static int read_word(struct job *j, uint64_t vaddr, uint64_t *ret)
{
	return xlat_read_uint(j->x, j->r, vaddr, j->word, ret, j->e);
}

/* A fact that must be known and is where to look, or how far. */
struct need {
	enum fact_kind kind;
	const char *name;
	size_t at; /* of the uint64_t in a structure that takes it */
};

static int need_facts(struct job *j, const struct need *needs, size_t nr, void *ret)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t v;

		if (kernel_need(j->k, needs[i].kind, needs[i].name, &v, j->e))
			return -1;
		memcpy((char *)ret + needs[i].at, &v, sizeof(v));
	}
	return 0;
}

/* A number of LEN bytes at OFF of structure NAME, which has SIZE bytes. */
struct member {
	const char *name;
	uint64_t off, len, size;
};

static int need_inside(struct job *j, const struct member *m, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (m[i].size > STRUCT_MAX || m[i].off > m[i].size ||
		    m[i].len > m[i].size - m[i].off)
			return err_set(j->e, ERR_CORRUPT,
				       "a member at offset %" PRIu64 " of struct %s of %" PRIu64
				       " bytes",
				       m[i].off, m[i].name, m[i].size);
	return 0;
}

/* ---- a sliding window on an array in kernel memory ---- */

struct piece {
	uint64_t base, size; /* of the array: virtual address, bytes */
	uint64_t off;	     /* in the array, of what buf holds */
	size_t len, room;
	uint64_t bad, bad_len; /* a chunk of the array known to be unreadable */
	uint8_t *buf;
};

static int piece_init(struct job *j, struct piece *p, uint64_t base, uint64_t size, size_t room)
{
	*p = (struct piece){ .base = base, .size = size, .room = room, .buf = malloc(room) };
	return p->buf ? 0 : err_set(j->e, ERR_NOMEM, "no memory for a window of %zu bytes", room);
}

static void piece_fini(struct piece *p)
{
	free(p->buf);
	p->buf = NULL;
}

/*
 * Fill the window, chunk by chunk: with what was asked for, and as much as it holds when the
 * reading is sequential.
 */
static bool piece_fill(struct job *j, struct piece *p, uint64_t off, size_t len)
{
	bool sequential = off - p->off <= p->len;
	uint64_t begin = off - MIN((p->base + off) % CHUNK, off);
	uint64_t want = MIN(sequential ? p->room : off + len - begin, p->size - begin);

	p->off = begin;
	p->len = 0;
	while (p->len < want) {
		uint64_t vaddr = p->base + begin + p->len;
		uint64_t rest = MIN(p->size - begin, p->room) - p->len;
		size_t n = (size_t)MIN(CHUNK - vaddr % CHUNK, rest);

		if (xlat_read(j->x, j->r, vaddr, p->buf + p->len, n, &j->why)) {
			p->bad = begin + p->len;
			p->bad_len = n;
			break;
		}
		p->len += n;
	}
	return off + len <= begin + p->len;
}

/*
 * LEN bytes at OFF of the array, valid until the next call; NULL, and the reason in j->why, when
 * they cannot be had.
 */
static const uint8_t *piece_get(struct job *j, struct piece *p, uint64_t off, size_t len)
{
	if (off > p->size || len > p->size - off || len > p->room - (CHUNK - 1)) {
		err_set(&j->why, ERR_CORRUPT,
			"%zu bytes at offset 0x%" PRIx64 " of an array of 0x%" PRIx64, len, off,
			p->size);
		return NULL;
	}
	if (off < p->bad + p->bad_len && off + len > p->bad) {
		err_set(&j->why, ERR_UNREADABLE, "virtual address 0x%" PRIx64 " cannot be read",
			p->base + p->bad);
		return NULL;
	}
	if ((off < p->off || off + len > p->off + p->len) && !piece_fill(j, p, off, len))
		return NULL;
	return p->buf + (off - p->off);
}

/* ---- lines ---- */

static int line_emit(struct job *j)
{
	size_t len = j->line.len;
	int rc = j->fn(j->priv, len ? j->line.buf : "", len, j->e);

	j->line.len = 0;
	j->stopped = rc != 0;
	return rc;
}

/* Room for N more bytes. A line that grows beyond all text of a record is told in parts. */
static int line_room(struct job *j, size_t n)
{
	struct line *l = &j->line;
	size_t room = MIN(MAX(2 * l->room, 1024u), LINE_LIMIT);
	char *more;

	if (l->room - l->len >= n)
		return 0;
	if (l->room == LINE_LIMIT)
		return line_emit(j);
	more = realloc(l->buf, room);
	if (!more)
		return err_set(j->e, ERR_NOMEM, "no memory for a line of %zu bytes", room);
	l->buf = more;
	l->room = room;
	return 0;
}

/*
 * As isprint() and isspace() in the C locale, which is what makedumpfile and vmcore-dmesg let
 * through.
 */
static bool passes(uint8_t c)
{
	return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r');
}

static int line_char(struct job *j, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	struct line *l = &j->line;
	int rc = line_room(j, 4);

	if (rc)
		return rc;
	if (passes(c)) {
		l->buf[l->len++] = (char)c;
		return 0;
	}
	l->buf[l->len++] = '\\';
	l->buf[l->len++] = 'x';
	l->buf[l->len++] = hex[c >> 4];
	l->buf[l->len++] = hex[c & 15];
	return 0;
}

/*
 * Text with newlines in it: each but the last line is told, the next one indented to the text of
 * the first.
 */
static int line_text(struct job *j, const uint8_t *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		int rc = text[i] == '\n' ? line_emit(j) : line_char(j, text[i]);

		if (rc)
			return rc;
		if (text[i] == '\n' && j->line.indent) {
			rc = line_room(j, j->line.indent);
			if (rc)
				return rc;
			memset(j->line.buf, ' ', j->line.indent);
			j->line.len = j->line.indent;
		}
	}
	return 0;
}

/* A record: CALLER is NULL where it is not known who printed. */
static int tell_record(struct job *j, uint64_t ts_nsec, const uint32_t *caller, const uint8_t *text,
		       size_t len)
{
	const uint32_t is_cpu = 0x80000000u; /* printk_caller_id(), Linux 5.1 */
	char prefix[64], id[16];
	int n, rc;

	n = snprintf(prefix, sizeof(prefix), "[%5" PRIu64 ".%06" PRIu64 "] ", ts_nsec / 1000000000,
		     ts_nsec % 1000000000 / 1000);
	if (caller && !j->no_caller) {
		snprintf(id, sizeof(id), "%c%" PRIu32, *caller & is_cpu ? 'C' : 'T',
			 *caller & ~is_cpu);
		n += snprintf(prefix + n, sizeof(prefix) - (size_t)n, "[%8s] ", id);
	}
	rc = line_room(j, (size_t)n);
	if (rc)
		return rc;
	memcpy(j->line.buf, prefix, (size_t)n);
	j->line.len = j->line.indent = (size_t)n;
	rc = line_text(j, text, len);
	if (rc)
		return rc;
	j->stats.records++;
	return line_emit(j);
}

/* ---- "ringbuffer": kernel/printk/printk_ringbuffer.[ch] since Linux 5.10 ---- */

enum desc_state { DESC_RESERVED, DESC_COMMITTED, DESC_FINALIZED, DESC_REUSABLE };

#define LPOS_FAILED 1u /* begin and next of a record without text: there was no room for it */

struct prb {
	/* facts */
	uint64_t prb, ring_size, desc_ring, text_ring;
	uint64_t count_bits, descs, infos, head_id, tail_id; /* struct prb_desc_ring */
	uint64_t size_bits, data;			     /* struct prb_data_ring */
	uint64_t desc_size, state_var, text_blk, begin, next;
	uint64_t info_size, ts_nsec, text_len, caller_id, seq;
	bool has_caller, has_seq;
	/* values */
	uint64_t rb; /* where the struct printk_ringbuffer is */
	uint64_t count, head, tail, id_mask;
	uint64_t clear_seq;
	uint64_t text_left; /* bytes of blocks that may still come: sound ones do not overlap */
	unsigned int text_bits;
	struct piece desc, info, text;
};

static const struct need prb_needs[] = {
	{ FACT_SYMBOL, "prb", offsetof(struct prb, prb) },
	{ FACT_SIZE, "printk_ringbuffer", offsetof(struct prb, ring_size) },
	{ FACT_OFFSET, "printk_ringbuffer.desc_ring", offsetof(struct prb, desc_ring) },
	{ FACT_OFFSET, "printk_ringbuffer.text_data_ring", offsetof(struct prb, text_ring) },
	{ FACT_OFFSET, "prb_desc_ring.count_bits", offsetof(struct prb, count_bits) },
	{ FACT_OFFSET, "prb_desc_ring.descs", offsetof(struct prb, descs) },
	{ FACT_OFFSET, "prb_desc_ring.infos", offsetof(struct prb, infos) },
	{ FACT_OFFSET, "prb_desc_ring.head_id", offsetof(struct prb, head_id) },
	{ FACT_OFFSET, "prb_desc_ring.tail_id", offsetof(struct prb, tail_id) },
	{ FACT_OFFSET, "prb_data_ring.size_bits", offsetof(struct prb, size_bits) },
	{ FACT_OFFSET, "prb_data_ring.data", offsetof(struct prb, data) },
	{ FACT_SIZE, "prb_desc", offsetof(struct prb, desc_size) },
	{ FACT_OFFSET, "prb_desc.state_var", offsetof(struct prb, state_var) },
	{ FACT_OFFSET, "prb_desc.text_blk_lpos", offsetof(struct prb, text_blk) },
	{ FACT_OFFSET, "prb_data_blk_lpos.begin", offsetof(struct prb, begin) },
	{ FACT_OFFSET, "prb_data_blk_lpos.next", offsetof(struct prb, next) },
	{ FACT_SIZE, "printk_info", offsetof(struct prb, info_size) },
	{ FACT_OFFSET, "printk_info.ts_nsec", offsetof(struct prb, ts_nsec) },
	{ FACT_OFFSET, "printk_info.text_len", offsetof(struct prb, text_len) },
};

/* Do the numbers lie where they are said to lie, inside their structures? */
static int prb_check(struct job *j, const struct prb *p)
{
	const char *ring = "printk_ringbuffer", *desc = "prb_desc", *info = "printk_info";
	const struct member members[] = {
		{ ring, p->count_bits, 4, p->ring_size },
		{ ring, p->descs, j->word, p->ring_size },
		{ ring, p->infos, j->word, p->ring_size },
		{ ring, p->head_id, j->word, p->ring_size },
		{ ring, p->tail_id, j->word, p->ring_size },
		{ ring, p->size_bits, 4, p->ring_size },
		{ ring, p->data, j->word, p->ring_size },
		{ desc, p->state_var, j->word, p->desc_size },
		{ desc, p->begin, j->word, p->desc_size },
		{ desc, p->next, j->word, p->desc_size },
		{ info, p->ts_nsec, 8, p->info_size },
		{ info, p->text_len, 2, p->info_size },
		{ info, p->has_caller ? p->caller_id : 0, 4, p->info_size },
		{ info, p->has_seq ? p->seq : 0, 8, p->info_size },
	};

	return need_inside(j, members, ARRAY_SIZE(members));
}

/*
 * Where everything is, offsets added up: those in the two rings count from struct
 * printk_ringbuffer.
 */
static int prb_facts(struct job *j, struct prb *p)
{
	uint64_t counter = kernel_or(j->k, FACT_OFFSET, "atomic_long_t.counter", 0);

	if (need_facts(j, prb_needs, ARRAY_SIZE(prb_needs), p))
		return -1;
	p->count_bits += p->desc_ring;
	p->descs += p->desc_ring;
	p->infos += p->desc_ring;
	p->head_id += p->desc_ring + counter;
	p->tail_id += p->desc_ring + counter;
	p->size_bits += p->text_ring;
	p->data += p->text_ring;
	p->state_var += counter;
	p->begin += p->text_blk;
	p->next += p->text_blk;
	p->has_caller = kernel_fact(j->k, FACT_OFFSET, "printk_info.caller_id", &p->caller_id);
	p->has_seq = kernel_fact(j->k, FACT_OFFSET, "printk_info.seq", &p->seq);
	return prb_check(j, p);
}

/* Read the head of the ring buffer: sizes and places of the three rings. */
static int prb_open(struct job *j, struct prb *p)
{
	uint64_t count_bits, size_bits, descs, infos, text;

	if (prb_facts(j, p) || read_word(j, p->prb, &p->rb) ||
	    read_u32(j, p->rb + p->count_bits, &count_bits) ||
	    read_word(j, p->rb + p->descs, &descs) || read_word(j, p->rb + p->infos, &infos) ||
	    read_word(j, p->rb + p->head_id, &p->head) ||
	    read_word(j, p->rb + p->tail_id, &p->tail) ||
	    read_u32(j, p->rb + p->size_bits, &size_bits) || read_word(j, p->rb + p->data, &text))
		return -1;
	if (!count_bits || count_bits > DESC_MAX_BITS || size_bits < 3 || size_bits > LOG_MAX_BITS)
		return err_set(j->e, ERR_CORRUPT,
			       "ring buffer at 0x%" PRIx64 ": 2^%" PRIu64 " records in 2^%" PRIu64
			       " bytes",
			       p->rb, count_bits, size_bits);
	p->count = 1ULL << count_bits;
	p->id_mask = UINT64_MAX >> (64 - 8 * j->word + 2);
	p->head &= p->id_mask;
	p->tail &= p->id_mask;
	p->text_bits = (unsigned int)size_bits;
	p->text_left = 2ULL << size_bits;
	if (piece_init(j, &p->desc, descs, p->count * p->desc_size, STRUCT_WINDOW) ||
	    piece_init(j, &p->info, infos, p->count * p->info_size, STRUCT_WINDOW) ||
	    piece_init(j, &p->text, text, 1ULL << size_bits, TEXT_WINDOW))
		return -1;
	return 0;
}

static void prb_close(struct prb *p)
{
	piece_fini(&p->desc);
	piece_fini(&p->info);
	piece_fini(&p->text);
}

/*
 * The sequence number of the first record after the last "dmesg -c". A plain number in Linux 5.10
 * and 5.11, then a struct latched_seq: a 32-bit counter whose lowest bit tells which of two copies
 * is valid.
 */
static int prb_find_clear(struct job *j, struct prb *p)
{
	uint64_t at, val, latch;

	if (kernel_need(j->k, FACT_SYMBOL, "clear_seq", &at, &j->why))
		return -1;
	if (kernel_fact(j->k, FACT_OFFSET, "latched_seq.val", &val)) {
		if (xlat_read_uint(j->x, j->r, at, 4, &latch, &j->why))
			return -1;
		at += val + 8 * (latch & 1);
	}
	return xlat_read_uint(j->x, j->r, at, 8, &p->clear_seq, &j->why);
}

/*
 * Where the data block of a record lies in the text ring. Positions grow for ever; a block that
 * would reach past the end of the ring begins at its start instead. One that ends exactly at the
 * end does so until Linux 6.18, and stays where it is afterwards (67e1b0052f6b "don't needlessly
 * wrap data blocks around"): `next - 1` tells both.
 */
static bool prb_block(const struct job *j, const struct prb *p, uint64_t begin, uint64_t next,
		      uint64_t *start, uint64_t *len)
{
	uint64_t size = p->text.size, mask = size - 1, word_mask = UINT64_MAX >> (64 - 8 * j->word);
	uint64_t last = (next - 1) & word_mask;

	*start = begin & mask;
	if (begin >> p->text_bits != last >> p->text_bits) {
		if (((begin + size) & word_mask) >> p->text_bits != last >> p->text_bits)
			return false;
		*start = 0;
	}
	*len = (last & mask) - *start + 1;
	return (last & mask) >= *start && *len >= j->word;
}

/*
 * The text of record ID, whose length is given and becomes what there is of it. NULL: lost, j->why
 * tells the reason.
 */
static const uint8_t *prb_text(struct job *j, struct prb *p, uint64_t id, uint64_t begin,
			       uint64_t next, size_t *len)
{
	uint64_t start, size, owner;
	const uint8_t *block;

	if (!prb_block(j, p, begin, next, &start, &size) || size > p->text_left) {
		err_set(&j->why, ERR_CORRUPT,
			"record 0x%" PRIx64 ": text from 0x%" PRIx64 " to 0x%" PRIx64, id, begin,
			next);
		return NULL;
	}
	p->text_left -= size;
	*len = (size_t)MIN((uint64_t)*len, size - j->word);
	block = piece_get(j, &p->text, start, j->word + *len);
	if (!block)
		return NULL;
	owner = load_uint(block, j->word, j->order);
	if (owner != id) {
		err_set(&j->why, ERR_CORRUPT,
			"record 0x%" PRIx64 ": its text belongs to record 0x%" PRIx64, id, owner);
		return NULL;
	}
	return block + j->word;
}

/* Tell record ID, which is committed. */
static int prb_committed(struct job *j, struct prb *p, uint64_t id, const uint8_t *desc)
{
	uint64_t begin = load_uint(desc + p->begin, j->word, j->order);
	uint64_t next = load_uint(desc + p->next, j->word, j->order);
	uint64_t seq, slot = id & (p->count - 1);
	const uint8_t *info = piece_get(j, &p->info, slot * p->info_size, (size_t)p->info_size);
	const uint8_t *text;
	uint32_t caller;
	size_t len;

	if (!info) {
		lose(j, 1);
		return 0;
	}
	/* The first record ever has id -count and sequence number 0. */
	seq = p->has_seq ? load_u64(info + p->seq, j->order) : (id + p->count) & p->id_mask;
	if (seq < p->clear_seq || (begin & next & 1)) {
		/*
		 * An empty line, and a record whose text found no room, are not shown by
		 * makedumpfile either.
		 */
		if (seq >= p->clear_seq && begin == LPOS_FAILED)
			j->stats.unfinished++;
		j->passed_over++;
		return 0;
	}
	len = load_u16(info + p->text_len, j->order);
	caller = p->has_caller ? load_u32(info + p->caller_id, j->order) : 0;
	text = prb_text(j, p, id, begin, next, &len);
	if (!text) {
		lose(j, 1);
		return 0;
	}
	return tell_record(j, load_u64(info + p->ts_nsec, j->order), p->has_caller ? &caller : NULL,
			   text, len);
}

static int prb_record(struct job *j, struct prb *p, uint64_t id, const uint8_t *desc)
{
	uint64_t state_var = load_uint(desc + p->state_var, j->word, j->order);

	if ((state_var & p->id_mask) != id) {
		/*
		 * The head moves before its descriptor is taken: at the moment of the crash it may
		 * be the old one.
		 */
		if (id == p->head) {
			j->stats.unfinished++;
			return 0;
		}
		err_set(&j->why, ERR_CORRUPT,
			"the descriptor of record 0x%" PRIx64 " is that of 0x%" PRIx64, id,
			state_var & p->id_mask);
		lose(j, 1);
		return 0;
	}
	switch ((enum desc_state)(state_var >> (8 * j->word - 2))) {
	case DESC_COMMITTED:
	case DESC_FINALIZED:
		return prb_committed(j, p, id, desc);
	case DESC_RESERVED:
		j->stats.unfinished++;
		return 0;
	case DESC_REUSABLE:
		break; /* its text had to give way to newer ones */
	}
	j->passed_over++;
	return 0;
}

/* The descriptor at OFF cannot be read: so many from there on lie in the same bad chunk. */
static uint64_t prb_bad_descs(const struct prb *p, uint64_t off)
{
	uint64_t end = p->desc.bad + p->desc.bad_len;

	return end > off ? (end - off + p->desc_size - 1) / p->desc_size : 1;
}

static int prb_walk(struct job *j, struct prb *p)
{
	uint64_t i, nr = ((p->head - p->tail) & p->id_mask) + 1;
	int rc = 0;

	if (nr > p->count) {
		err_set(&j->why, ERR_CORRUPT, "%" PRIu64 " records in a ring of %" PRIu64, nr,
			p->count);
		lose(j, 1);
		nr = p->count;
		p->tail = (p->head - (nr - 1)) & p->id_mask;
	}
	for (i = 0; i < nr && !rc; i++) {
		uint64_t id = (p->tail + i) & p->id_mask;
		uint64_t off = (id & (p->count - 1)) * p->desc_size;
		const uint8_t *desc = piece_get(j, &p->desc, off, (size_t)p->desc_size);

		if (!desc) {
			uint64_t n = MIN(prb_bad_descs(p, off), nr - i);

			lose(j, n);
			i += n - 1;
			continue;
		}
		rc = prb_record(j, p, id, desc);
	}
	return rc;
}

static int prb_read(struct job *j)
{
	struct prb p = { .prb = 0 };
	int rc = prb_open(j, &p);

	if (!rc && j->since_clear && prb_find_clear(j, &p))
		no_clear(j);
	if (!rc)
		rc = prb_walk(j, &p);
	prb_close(&p);
	return rc;
}

/* A part of the log, for printk_regions(). */
struct region {
	uint64_t vaddr, len;
};

static int tell_regions(struct job *j, const struct region *regions, size_t nr)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++)
		if (regions[i].len)
			rc = j->region_fn(j->priv, regions[i].vaddr, regions[i].len, j->e);
	j->stopped = rc != 0;
	return rc;
}

static int prb_regions(struct job *j)
{
	struct prb p = { .prb = 0 };
	int rc = prb_open(j, &p);

	if (!rc) {
		uint64_t latch = MIN(kernel_or(j->k, FACT_SIZE, "latched_seq", 8), STRUCT_MAX);
		uint64_t clear_seq = 0;
		bool has_clear = kernel_fact(j->k, FACT_SYMBOL, "clear_seq", &clear_seq);
		const struct region regions[] = {
			{ p.prb, j->word },	      { clear_seq, has_clear ? latch : 0 },
			{ p.rb, p.ring_size },	      { p.desc.base, p.desc.size },
			{ p.info.base, p.info.size }, { p.text.base, p.text.size },
		};

		rc = tell_regions(j, regions, ARRAY_SIZE(regions));
	}
	prb_close(&p);
	return rc;
}

/* ---- "records": kernel/printk[/printk].c, Linux 3.5 (7ff9554bb578) to 5.9 ---- */

#define RECORD_ALIGN 4u /* LOG_ALIGN: 4, or the alignment of 64-bit numbers */

struct reclog {
	/* facts */
	uint64_t log_buf, log_buf_len, log_first_idx, log_next_idx;
	uint64_t header, ts_nsec, len, text_len, caller_id; /* struct printk_log */
	bool has_caller;
	/* values */
	uint64_t first, next;
	uint64_t steps; /* left for finding the next record behind damage */
	struct piece buf;
};

static const struct need reclog_needs[] = {
	{ FACT_SYMBOL, "log_buf", offsetof(struct reclog, log_buf) },
	{ FACT_SYMBOL, "log_buf_len", offsetof(struct reclog, log_buf_len) },
	{ FACT_SYMBOL, "log_first_idx", offsetof(struct reclog, log_first_idx) },
	{ FACT_SYMBOL, "log_next_idx", offsetof(struct reclog, log_next_idx) },
};

static const struct need printk_log_needs[] = {
	{ FACT_SIZE, "printk_log", offsetof(struct reclog, header) },
	{ FACT_OFFSET, "printk_log.ts_nsec", offsetof(struct reclog, ts_nsec) },
	{ FACT_OFFSET, "printk_log.len", offsetof(struct reclog, len) },
	{ FACT_OFFSET, "printk_log.text_len", offsetof(struct reclog, text_len) },
};

/* The name before Linux 3.11. */
static const struct need old_log_needs[] = {
	{ FACT_SIZE, "log", offsetof(struct reclog, header) },
	{ FACT_OFFSET, "log.ts_nsec", offsetof(struct reclog, ts_nsec) },
	{ FACT_OFFSET, "log.len", offsetof(struct reclog, len) },
	{ FACT_OFFSET, "log.text_len", offsetof(struct reclog, text_len) },
};

static int reclog_check(struct job *j, const struct reclog *l, const char *name)
{
	const struct member members[] = {
		{ name, l->ts_nsec, 8, l->header },
		{ name, l->len, 2, l->header },
		{ name, l->text_len, 2, l->header },
		{ name, l->has_caller ? l->caller_id : 0, 4, l->header },
	};

	return need_inside(j, members, ARRAY_SIZE(members));
}

static int reclog_facts(struct job *j, struct reclog *l)
{
	bool old = !kernel_origin(j->k, FACT_SIZE, "printk_log") &&
		   kernel_origin(j->k, FACT_SIZE, "log");

	if (need_facts(j, reclog_needs, ARRAY_SIZE(reclog_needs), l) ||
	    need_facts(j, old ? old_log_needs : printk_log_needs, ARRAY_SIZE(old_log_needs), l))
		return -1;
	l->has_caller = kernel_fact(j->k, FACT_OFFSET, "printk_log.caller_id", &l->caller_id);
	return reclog_check(j, l, old ? "log" : "printk_log");
}

static int log_buf_open(struct job *j, uint64_t log_buf, uint64_t log_buf_len, struct piece *ret)
{
	uint64_t base, size;

	if (read_word(j, log_buf, &base) || read_u32(j, log_buf_len, &size))
		return -1;
	if (!size || size > 1ULL << LOG_MAX_BITS)
		return err_set(j->e, ERR_CORRUPT, "log_buf_len is %" PRIu64, size);
	return piece_init(j, ret, base, size, TEXT_WINDOW);
}

static int reclog_open(struct job *j, struct reclog *l)
{
	if (reclog_facts(j, l) || read_u32(j, l->log_first_idx, &l->first) ||
	    read_u32(j, l->log_next_idx, &l->next) ||
	    log_buf_open(j, l->log_buf, l->log_buf_len, &l->buf))
		return -1;
	if (l->first > l->buf.size || l->next > l->buf.size)
		return err_set(j->e, ERR_CORRUPT,
			       "records from %" PRIu64 " to %" PRIu64 " of a buffer of %" PRIu64
			       " bytes",
			       l->first, l->next, l->buf.size);
	l->steps = RESYNC_STEPS;
	return 0;
}

/*
 * Where a walk stands. Records are stored upwards; the newest ones may lie at the start of the
 * buffer again.
 */
struct cursor {
	uint64_t at;
	bool last_lap; /* nothing but log_next_idx ends it now */
};

struct record {
	uint64_t at, len; /* len 0: no record, the next one is at the start of the buffer */
	size_t text_len;
};

static struct cursor reclog_begin(const struct reclog *l)
{
	return (struct cursor){ .at = l->first, .last_lap = l->first <= l->next };
}

static uint64_t lap_end(const struct reclog *l, const struct cursor *c)
{
	return c->last_lap ? l->next : l->buf.size;
}

/*
 * Is there a plausible record, or the mark that the rest of the lap is empty? Else the reason is in
 * j->why.
 */
static bool reclog_header(struct job *j, struct reclog *l, const struct cursor *c,
			  struct record *ret)
{
	const uint8_t *h = piece_get(j, &l->buf, c->at, (size_t)l->header);
	uint64_t room = lap_end(l, c) - c->at;

	if (!h)
		return false;
	*ret = (struct record){ .at = c->at, .len = load_u16(h + l->len, j->order) };
	ret->text_len = load_u16(h + l->text_len, j->order);
	if (!ret->len && !c->last_lap)
		return true;
	if (ret->len >= l->header && ret->len <= room && ret->len % RECORD_ALIGN == 0 &&
	    ret->text_len <= ret->len - l->header)
		return true;
	err_set(&j->why, ERR_CORRUPT,
		"record at offset %" PRIu64 " of the log: %" PRIu64 " bytes, %zu of them text",
		c->at, ret->len, ret->text_len);
	return false;
}

/* Do some records in a row begin here? */
static bool reclog_in_step(struct job *j, struct reclog *l, struct cursor c)
{
	struct record rec;
	unsigned int i;

	for (i = 0; i < 4 && c.at != lap_end(l, &c) && l->steps; i++) {
		l->steps--;
		if (!reclog_header(j, l, &c, &rec))
			return false;
		if (!rec.len)
			return i > 0; /* zeros alone say nothing */
		c.at += rec.len;
	}
	return i > 0;
}

/* Damage at the cursor: go to the next record that makes sense, or else to the end of the lap. */
static void reclog_resync(struct job *j, struct reclog *l, struct cursor *c)
{
	uint64_t end = lap_end(l, c);

	c->at -= c->at % RECORD_ALIGN;
	while (l->steps && c->at < end) {
		const struct piece *b = &l->buf;

		c->at += RECORD_ALIGN;
		if (c->at >= b->bad && c->at < b->bad + b->bad_len)
			c->at = ALIGN_UP(b->bad + b->bad_len, RECORD_ALIGN);
		if (c->at + l->header <= end && reclog_in_step(j, l, *c))
			return;
	}
	c->at = end;
}

/*
 * The next record; false at the end. Each step moves the cursor forward, and there are two laps at
 * most.
 */
static bool reclog_next(struct job *j, struct reclog *l, struct cursor *c, struct record *ret)
{
	for (;;) {
		if (c->at >= lap_end(l, c)) {
			if (c->last_lap)
				return false;
			*c = (struct cursor){ .last_lap = true };
		} else if (!reclog_header(j, l, c, ret)) {
			lose(j, 1);
			reclog_resync(j, l, c);
		} else if (!ret->len) {
			*c = (struct cursor){ .last_lap = true };
		} else {
			c->at += ret->len;
			return true;
		}
	}
}

static int reclog_tell(struct job *j, struct reclog *l, const struct record *rec)
{
	const uint8_t *h = piece_get(j, &l->buf, rec->at, (size_t)l->header + rec->text_len);
	uint32_t caller;

	if (!h) {
		lose(j, 1);
		return 0;
	}
	caller = l->has_caller ? load_u32(h + l->caller_id, j->order) : 0;
	return tell_record(j, load_u64(h + l->ts_nsec, j->order), l->has_caller ? &caller : NULL,
			   h + l->header, rec->text_len);
}

/*
 * Has the place where the log was last cleared been overwritten since? Only the sequence numbers
 * tell for sure.
 */
static bool reclog_clear_is_old(struct job *j, uint64_t clear_idx)
{
	uint64_t at, clear_seq, first_seq;

	if (!clear_idx)
		return true; /* never: log_next_idx is 0 before the very first record only */
	return kernel_fact(j->k, FACT_SYMBOL, "clear_seq", &at) &&
	       !xlat_read_uint(j->x, j->r, at, 8, &clear_seq, &j->why) &&
	       kernel_fact(j->k, FACT_SYMBOL, "log_first_seq", &at) &&
	       !xlat_read_uint(j->x, j->r, at, 8, &first_seq, &j->why) && clear_seq <= first_seq;
}

/*
 * Set the cursor to the first record after the last clearing; it stays where it is when everything
 * is newer.
 */
static int reclog_find_clear(struct job *j, struct reclog *l, struct cursor *c)
{
	uint64_t at, clear_idx, lost = j->stats.lost;
	struct cursor probe = *c;
	struct record rec;

	if (kernel_need(j->k, FACT_SYMBOL, "clear_idx", &at, &j->why) ||
	    xlat_read_uint(j->x, j->r, at, 4, &clear_idx, &j->why))
		return -1;
	if (reclog_clear_is_old(j, clear_idx))
		return 0;
	while (probe.at != clear_idx && reclog_next(j, l, &probe, &rec))
		j->passed_over++;
	j->stats.lost = lost; /* the walk that tells the records counts them */
	if (probe.at == clear_idx)
		*c = probe;
	return 0;
}

static int reclog_read(struct job *j)
{
	struct reclog l = { .header = 0 };
	int rc = reclog_open(j, &l);
	struct cursor c = reclog_begin(&l);
	struct record rec;

	if (!rc && j->since_clear && reclog_find_clear(j, &l, &c))
		no_clear(j);
	while (!rc && reclog_next(j, &l, &c, &rec))
		rc = reclog_tell(j, &l, &rec);
	piece_fini(&l.buf);
	return rc;
}

/* The buffer of either older generation, and the variables that it is found through. */
static int log_buf_regions(struct job *j, const struct piece *buf)
{
	static const char *const names[] = { "log_buf",	      "log_buf_len", "log_first_idx",
					     "log_next_idx",  "clear_idx",   "clear_seq",
					     "log_first_seq", "log_end",     "logged_chars" };
	struct region regions[1 + ARRAY_SIZE(names)] = { { buf->base, buf->size } };
	size_t i, nr = 1;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (kernel_fact(j->k, FACT_SYMBOL, names[i], &regions[nr].vaddr))
			regions[nr++].len = 8; /* none is longer */
	return tell_regions(j, regions, nr);
}

static int reclog_regions(struct job *j)
{
	struct reclog l = { .header = 0 };
	int rc = reclog_open(j, &l);

	if (!rc)
		rc = log_buf_regions(j, &l.buf);
	piece_fini(&l.buf);
	return rc;
}

/* ---- "text": kernel/printk.c before Linux 3.5 ---- */

struct flatlog {
	uint64_t log_buf, log_buf_len, log_end; /* facts */
	uint64_t end;				/* characters ever logged */
	struct piece buf;
};

static const struct need flatlog_needs[] = {
	{ FACT_SYMBOL, "log_buf", offsetof(struct flatlog, log_buf) },
	{ FACT_SYMBOL, "log_buf_len", offsetof(struct flatlog, log_buf_len) },
	{ FACT_SYMBOL, "log_end", offsetof(struct flatlog, log_end) },
};

static int flatlog_open(struct job *j, struct flatlog *l)
{
	if (need_facts(j, flatlog_needs, ARRAY_SIZE(flatlog_needs), l) ||
	    read_u32(j, l->log_end, &l->end))
		return -1;
	/*
	 * An unsigned long until Linux 2.6.24, an unsigned int afterwards. Four bytes do for both,
	 * but for the long of a big-endian machine, of which they are the upper half; and a kernel
	 * that crashes has logged something.
	 */
	if (!l->end && j->order == ORDER_BE && read_word(j, l->log_end, &l->end))
		return -1;
	return log_buf_open(j, l->log_buf, l->log_buf_len, &l->buf);
}

/* How many of the NR characters in the buffer were logged since the last clearing. */
static int flatlog_find_clear(struct job *j, uint64_t *nr)
{
	uint64_t at, chars;

	if (kernel_need(j->k, FACT_SYMBOL, "logged_chars", &at, &j->why) ||
	    xlat_read_uint(j->x, j->r, at, 4, &chars, &j->why))
		return -1;
	*nr = MIN(*nr, chars);
	return 0;
}

static int flatlog_end_line(struct job *j)
{
	j->stats.records++;
	return line_emit(j);
}

static int flatlog_text(struct job *j, const uint8_t *text, size_t len)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < len && !rc; i++)
		rc = text[i] == '\n' ? flatlog_end_line(j) : line_char(j, text[i]);
	return rc;
}

static int flatlog_tell(struct job *j, struct flatlog *l, uint64_t nr)
{
	uint64_t size = l->buf.size, from = l->end - nr;
	int rc = 0;

	while (nr && !rc) {
		uint64_t off = from % size;
		size_t n = (size_t)MIN(MIN(nr, CHUNK - (l->buf.base + off) % CHUNK), size - off);
		const uint8_t *text = piece_get(j, &l->buf, off, n);

		if (text)
			rc = flatlog_text(j, text, n);
		else
			lose(j, 1);
		if (!text && j->line.len)
			rc = flatlog_end_line(j);
		from += n;
		nr -= n;
	}
	return rc || !j->line.len ? rc : flatlog_end_line(j);
}

static int flatlog_read(struct job *j)
{
	struct flatlog l = { .end = 0 };
	int rc = flatlog_open(j, &l);
	uint64_t nr = MIN(l.end, l.buf.size);

	if (!rc && j->since_clear && flatlog_find_clear(j, &nr))
		no_clear(j);
	if (!rc)
		rc = flatlog_tell(j, &l, nr);
	piece_fini(&l.buf);
	return rc;
}

static int flatlog_regions(struct job *j)
{
	struct flatlog l = { .end = 0 };
	int rc = flatlog_open(j, &l);

	if (!rc)
		rc = log_buf_regions(j, &l.buf);
	piece_fini(&l.buf);
	return rc;
}

/* ---- which one ---- */

static const struct generation {
	const char *name;
	const char *symbol; /* only this generation has it */
	int (*read)(struct job *j);
	int (*regions)(struct job *j);
} generations[] = {
	{ "ringbuffer", "prb", prb_read, prb_regions },
	{ "records", "log_first_idx", reclog_read, reclog_regions },
	{ "text", "log_end", flatlog_read, flatlog_regions },
};

static const struct generation *find_generation(struct job *j)
{
	const struct ident *id = &j->r->dump->id;
	size_t i;

	/*
	 * Two pointers. An architecture that is not in our table has no other word than that of the
	 * ELF class.
	 */
	j->word = (unsigned int)kernel_or(j->k, FACT_SIZE, "list_head", 2u * id->word) / 2;
	j->order = id->order;
	if (j->word != 4 && j->word != 8) {
		err_set(j->e, ERR_MISSING, "the word size of the machine is not known");
		return NULL;
	}
	for (i = 0; i < ARRAY_SIZE(generations); i++)
		if (kernel_origin(j->k, FACT_SYMBOL, generations[i].symbol))
			return &generations[i];
	err_set(j->e, ERR_MISSING,
		"none of SYMBOL(prb), SYMBOL(log_first_idx), SYMBOL(log_end) is known");
	return NULL;
}

/* What is lost is told to the log; when it is everything, that is an error. */
static int judge_damage(struct job *j)
{
	const struct printk_stats *s = &j->stats;

	if (!s->lost)
		return 0;
	if (!s->records && !j->passed_over)
		return err_set(j->e, j->first.code, "nothing of it is left: %s", j->first.text);
	log_warn(j->r->dump->log, "kernel log: %" PRIu64 " %s lost, the first because: %s", s->lost,
		 strcmp(s->generation, "text") ? "records are" : "pages are", j->first.text);
	return 0;
}

int printk_read(const struct kernel *k, const struct xlat *x, struct reader *r,
		const struct printk_opts *opts, printk_line_fn fn, void *priv,
		struct printk_stats *stats, struct err *e)
{
	struct job j = { .k = k, .x = x, .r = r, .e = e, .fn = fn, .priv = priv };
	const struct generation *g;
	int rc = -1;

	if (opts) {
		j.since_clear = opts->since_clear;
		j.no_caller = opts->no_caller;
	}
	g = find_generation(&j);
	if (g) {
		j.stats.generation = g->name;
		rc = g->read(&j);
		if (!rc)
			rc = judge_damage(&j);
	}
	free(j.line.buf);
	if (stats)
		*stats = j.stats;
	return rc && !j.stopped ? err_add(e, "kernel log") : rc;
}

int printk_regions(const struct kernel *k, const struct xlat *x, struct reader *r,
		   printk_region_fn fn, void *priv, struct err *e)
{
	struct job j = { .k = k, .x = x, .r = r, .e = e, .region_fn = fn, .priv = priv };
	const struct generation *g = find_generation(&j);
	int rc = g ? g->regions(&j) : -1;

	return rc && !j.stopped ? err_add(e, "kernel log") : rc;
}
