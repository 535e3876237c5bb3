/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "ringbuffer": kernel/printk/printk_ringbuffer.[ch] since Linux 5.10. */
#include <inttypes.h>

#include "cleanup.h"
#include "printk_priv.h"

#define DESC_MAX_BITS 26u /* LOG_MAX_BITS, and one descriptor for 32 bytes (PRB_AVGBITS) */
#define STRUCT_WINDOW 16384u

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
	struct printk_window desc, info, text;
};

static const struct printk_need prb_needs[] = {
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
static int prb_check(struct printk_job *j, const struct prb *p)
{
	const char *ring = "printk_ringbuffer", *desc = "prb_desc", *info = "printk_info";
	const struct printk_member members[] = {
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

	return printk_need_inside(j, members, ARRAY_SIZE(members));
}

/*
 * Where everything is, offsets added up: those in the two rings count from struct
 * printk_ringbuffer.
 */
static int prb_facts(struct printk_job *j, struct prb *p)
{
	uint64_t counter = kernel_or(j->k, FACT_OFFSET, "atomic_long_t.counter", 0);

	if (printk_need_facts(j, prb_needs, ARRAY_SIZE(prb_needs), p))
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
static int prb_open(struct printk_job *j, struct prb *p)
{
	uint64_t count_bits, size_bits, descs, infos, text;

	if (prb_facts(j, p) || printk_read_word(j, p->prb, &p->rb) ||
	    printk_read_u32(j, p->rb + p->count_bits, &count_bits) ||
	    printk_read_word(j, p->rb + p->descs, &descs) ||
	    printk_read_word(j, p->rb + p->infos, &infos) ||
	    printk_read_word(j, p->rb + p->head_id, &p->head) ||
	    printk_read_word(j, p->rb + p->tail_id, &p->tail) ||
	    printk_read_u32(j, p->rb + p->size_bits, &size_bits) ||
	    printk_read_word(j, p->rb + p->data, &text))
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
	if (printk_window_init(j, &p->desc, descs, p->count * p->desc_size, STRUCT_WINDOW) ||
	    printk_window_init(j, &p->info, infos, p->count * p->info_size, STRUCT_WINDOW) ||
	    printk_window_init(j, &p->text, text, 1ULL << size_bits, TEXT_WINDOW))
		return -1;
	return 0;
}

static void prb_close(struct prb *p)
{
	printk_window_fini(&p->desc);
	printk_window_fini(&p->info);
	printk_window_fini(&p->text);
}

/*
 * The sequence number of the first record after the last "dmesg -c". A plain number in Linux 5.10
 * and 5.11, then a struct latched_seq: a 32-bit counter whose lowest bit tells which of two copies
 * is valid.
 */
static int prb_find_clear(struct printk_job *j, struct prb *p)
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
static bool prb_block(const struct printk_job *j, const struct prb *p, uint64_t begin,
		      uint64_t next, uint64_t *start, uint64_t *len)
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
static const uint8_t *prb_text(struct printk_job *j, struct prb *p, uint64_t id, uint64_t begin,
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
	block = printk_window_get(j, &p->text, start, j->word + *len);
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

/*
 * Is the record cleared, or without text? An empty line, and a record whose text found no room, are
 * not shown by makedumpfile either.
 */
static bool prb_is_passed_over(struct printk_job *j, const struct prb *p, uint64_t seq,
			       uint64_t begin, uint64_t next)
{
	bool cleared = seq < p->clear_seq;

	if (!cleared && !(begin & next & 1))
		return false;
	if (!cleared && begin == LPOS_FAILED)
		j->stats.unfinished++;
	j->passed_over++;
	return true;
}

/* Tell record ID, which is committed. */
static int prb_committed(struct printk_job *j, struct prb *p, uint64_t id, const uint8_t *desc)
{
	uint64_t begin = load_uint(desc + p->begin, j->word, j->order);
	uint64_t next = load_uint(desc + p->next, j->word, j->order);
	uint64_t seq, slot = id & (p->count - 1);
	const uint8_t *info =
		printk_window_get(j, &p->info, slot * p->info_size, (size_t)p->info_size);
	const uint8_t *text;
	uint32_t caller;
	size_t len;

	if (!info) {
		printk_lose(j, 1);
		return 0;
	}
	/* The first record ever has id -count and sequence number 0. */
	seq = p->has_seq ? load_u64(info + p->seq, j->order) : (id + p->count) & p->id_mask;
	if (prb_is_passed_over(j, p, seq, begin, next))
		return 0;
	len = load_u16(info + p->text_len, j->order);
	caller = p->has_caller ? load_u32(info + p->caller_id, j->order) : 0;
	text = prb_text(j, p, id, begin, next, &len);
	if (!text) {
		printk_lose(j, 1);
		return 0;
	}
	return printk_record(j, load_u64(info + p->ts_nsec, j->order),
			     p->has_caller ? &caller : NULL, text, len);
}

/* Tell the record ID, given what is in its place in the ring of descriptors. */
static int prb_record(struct printk_job *j, struct prb *p, uint64_t id, const uint8_t *desc)
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
		printk_lose(j, 1);
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

/* Tell the records from tail to head. */
static int prb_walk(struct printk_job *j, struct prb *p)
{
	uint64_t i, nr = ((p->head - p->tail) & p->id_mask) + 1, bad = 0;
	int rc = 0;

	if (nr > p->count) {
		err_set(&j->why, ERR_CORRUPT, "%" PRIu64 " records in a ring of %" PRIu64, nr,
			p->count);
		printk_lose(j, 1);
		nr = p->count;
		p->tail = (p->head - (nr - 1)) & p->id_mask;
	}
	for (i = 0; i < nr && !rc; i++) {
		uint64_t id = (p->tail + i) & p->id_mask;
		uint64_t off = (id & (p->count - 1)) * p->desc_size;
		const uint8_t *desc = printk_window_get(j, &p->desc, off, (size_t)p->desc_size);

		if (!desc) {
			uint64_t n = MIN(prb_bad_descs(p, off), nr - i);

			/* A ring that is not there at all is not walked to its end. */
			bad += n * p->desc_size;
			if (bad > DARK_MAX)
				n = nr - i;
			printk_lose(j, n);
			i += n - 1;
			continue;
		}
		bad = 0;
		rc = prb_record(j, p, id, desc);
	}
	return rc;
}

int printk_ring_read(struct printk_job *j)
{
	struct prb p = { .prb = 0 };
	int rc = prb_open(j, &p);

	if (!rc && j->since_clear && prb_find_clear(j, &p))
		printk_warn_clear(j);
	if (!rc)
		rc = prb_walk(j, &p);
	prb_close(&p);
	return rc;
}

int printk_ring_regions(struct printk_job *j)
{
	struct prb p = { .prb = 0 };
	int rc = prb_open(j, &p);

	if (!rc) {
		uint64_t latch = MIN(kernel_or(j->k, FACT_SIZE, "latched_seq", 8), STRUCT_MAX);
		uint64_t clear_seq = 0;
		bool has_clear = kernel_fact(j->k, FACT_SYMBOL, "clear_seq", &clear_seq);
		const struct printk_region regions[] = {
			{ p.prb, j->word },	      { clear_seq, has_clear ? latch : 0 },
			{ p.rb, p.ring_size },	      { p.desc.base, p.desc.size },
			{ p.info.base, p.info.size }, { p.text.base, p.text.size },
		};

		rc = printk_tell_regions(j, regions, ARRAY_SIZE(regions));
	}
	prb_close(&p);
	return rc;
}
