/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/printk_ring.c against a small model of the ring buffer of Linux 5.10 and later, which stores,
 * wraps and forgets records by the rules of the kernel, in both byte orders and word sizes, and
 * which knows what must come out.
 */
#include "printk_image.h"

#define COUNT_BITS 6u
#define COUNT (1u << COUNT_BITS)
#define SIZE_BITS 12u

struct ring {
	uint64_t prb, rb, clear_seq, descs, infos, data;
	uint64_t next_id, head_lpos, tail_lpos, size;
	unsigned int size_bits, first_expect;
	bool fit; /* a block may end exactly at the end of the ring: Linux 6.19 */
	struct {
		uint64_t lpos, next;
		unsigned int expect;
	} slot[COUNT];
};

static struct ring ring;

static uint64_t word_mask(void)
{
	return image.word == 8 ? UINT64_MAX : UINT32_MAX;
}

static void ring_facts(void)
{
	unsigned int w = image.word;

	fact("SYMBOL(prb)", ring.prb);
	fact("SYMBOL(clear_seq)", ring.clear_seq);
	fact("SIZE(printk_ringbuffer)", 11 * w);
	fact("OFFSET(printk_ringbuffer.desc_ring)", 0);
	fact("OFFSET(printk_ringbuffer.text_data_ring)", 6 * w);
	fact("OFFSET(prb_desc_ring.count_bits)", 0);
	fact("OFFSET(prb_desc_ring.descs)", w);
	fact("OFFSET(prb_desc_ring.infos)", 2 * w);
	fact("OFFSET(prb_desc_ring.head_id)", 3 * w);
	fact("OFFSET(prb_desc_ring.tail_id)", 4 * w);
	fact("SIZE(prb_desc)", 3 * w);
	fact("OFFSET(prb_desc.state_var)", 0);
	fact("OFFSET(prb_desc.text_blk_lpos)", w);
	fact("OFFSET(prb_data_blk_lpos.begin)", 0);
	fact("OFFSET(prb_data_blk_lpos.next)", w);
	fact("SIZE(printk_info)", 88);
	fact("OFFSET(printk_info.seq)", 0);
	fact("OFFSET(printk_info.ts_nsec)", 8);
	fact("OFFSET(printk_info.text_len)", 16);
	fact("OFFSET(printk_info.caller_id)", 20);
	fact("OFFSET(prb_data_ring.size_bits)", 0);
	fact("OFFSET(prb_data_ring.data)", w);
	fact("OFFSET(atomic_long_t.counter)", 0);
}

static void ring_init(unsigned int word, enum byte_order order, unsigned int size_bits)
{
	image_reset(word, order);
	ring = (struct ring){ .prb = VBASE + 0x1010,
			      .rb = VBASE + 0x2ff0,
			      .clear_seq = VBASE + 0x1800 };
	ring.descs = VBASE + 0x4f08;
	ring.infos = VBASE + 0x8ff8;
	ring.data = VBASE + 0x10ff8;
	ring.size_bits = size_bits;
	ring.size = 1ULL << size_bits;
	ring.next_id = -(uint64_t)COUNT & (word_mask() >> 2);
	ring.head_lpos = ring.tail_lpos = -ring.size & word_mask();
	ring_facts();
	put_word(ring.prb, ring.rb);
	put(ring.rb, COUNT_BITS, 4);
	put_word(ring.rb + word, ring.descs);
	put_word(ring.rb + 2 * word, ring.infos);
	put(ring.rb + 6 * word, size_bits, 4);
	put_word(ring.rb + 7 * word, ring.data);
}

static uint64_t ring_desc(uint64_t id)
{
	return ring.descs + id % COUNT * 3 * image.word;
}

static void ring_state(uint64_t id, uint64_t state)
{
	put_word(ring_desc(id), id | state << (8 * image.word - 2));
}

static uint64_t ring_slots(void)
{
	return MIN((ring.next_id + COUNT) & (word_mask() >> 2), COUNT);
}

/* Make room up to NEXT: the oldest records lose their text, their descriptors become reusable. */
static void ring_push_tail(uint64_t next)
{
	uint64_t back;

	for (back = ring_slots(); back; back--) {
		uint64_t id = (ring.next_id - back) & (word_mask() >> 2), slot = id % COUNT;

		if (((next - ring.slot[slot].lpos) & word_mask()) <= ring.size ||
		    ring.slot[slot].lpos & 1)
			continue;
		ring_state(id, 3);
		expects[ring.slot[slot].expect].gone = true;
	}
}

/* Reserve a block for LEN bytes of text, as data_alloc() does. Returns where it is in the ring. */
static uint64_t ring_alloc(size_t len, uint64_t *begin, uint64_t *next)
{
	uint64_t size = ALIGN_UP(len + image.word, (uint64_t)image.word), last;

	*begin = ring.head_lpos;
	*next = (*begin + size) & word_mask();
	last = ring.fit ? (*next - 1) & word_mask() : *next;
	if (*begin >> ring.size_bits != last >> ring.size_bits)
		*next = ((last & ~(ring.size - 1)) + size) & word_mask();
	ring_push_tail(*next);
	ring.head_lpos = *next;
	return *begin >> ring.size_bits == ((*next - 1) & word_mask()) >> ring.size_bits
		       ? *begin & (ring.size - 1)
		       : 0;
}

static void ring_put_block(uint64_t id, const char *text, size_t len, uint64_t *begin,
			   uint64_t *next)
{
	uint64_t at = ring.data + ring_alloc(len, begin, next);

	put_word(at, id);
	memcpy(image.mem + (at - VBASE) + image.word, text, len);
}

/* Store a record. An empty TEXT takes no room: positions 3 (NO_LPOS, EMPTY_LINE_LPOS). */
static void ring_add(uint64_t ts, uint32_t caller, const char *text)
{
	uint64_t id = ring.next_id, begin = 3, next = 3, slot = id % COUNT,
		 info = ring.infos + slot * 88;
	uint64_t full = ring_slots() == COUNT;

	if (full)
		expects[ring.slot[slot].expect].gone = true;
	if (*text)
		ring_put_block(id, text, strlen(text), &begin, &next);
	put_word(ring_desc(id) + image.word, begin);
	put_word(ring_desc(id) + 2 * image.word, next);
	ring_state(id, 2);
	put(info, (id + COUNT) & (word_mask() >> 2), 8);
	put(info + 8, ts, 8);
	put(info + 16, strlen(text), 2);
	put(info + 20, caller, 4);
	ring.slot[slot].lpos = begin;
	ring.slot[slot].next = next;
	ring.slot[slot].expect = nr_expects;
	expect_record(ts, caller, text);
	expects[nr_expects - 1].gone = !*text;
	put_word(ring.rb + 3 * image.word, id);
	put_word(ring.rb + 4 * image.word,
		 (id - (full ? COUNT - 1 : ring_slots())) & (word_mask() >> 2));
	ring.next_id = (id + 1) & (word_mask() >> 2);
}

static void ring_fill(unsigned int nr, unsigned int max_len)
{
	char text[256];
	unsigned int i;

	for (i = 0; i < nr; i++)
		ring_add(1000000007ULL * i, 1 + random_u32() % 100, random_text(text, max_len));
}

static void test_ring(unsigned int word, enum byte_order order)
{
	ring_init(word, order, SIZE_BITS);
	ring_add(0, 1, "Linux version");
	ring_add(1999999999, 0x80000003, "two\nlines");
	ring_add(123456789012345678ULL, 4194304, "odd \x01\x80\xff \t");
	ring_add(5, 1, "");
	ring_add(6, 1, "ends with a newline\n");
	check("ring buffer");
	ring_fill(40, 20);
	check("ring buffer, not yet full");
	ring_fill(500, 40);
	check("ring buffer, more records than descriptors");
	ring_fill(500, 250);
	check("ring buffer, more text than the ring holds");
	forget("OFFSET(printk_info.seq)");
	check("ring buffer, sequence numbers from the ids");
}

/*
 * Blocks of 64 bytes fill the ring without a rest: the one rule leaves the last of them empty, the
 * other does not.
 */
static void test_ring_fit(unsigned int word, enum byte_order order, bool fit)
{
	char text[64] = "";
	unsigned int i;

	ring_init(word, order, 10);
	ring.fit = fit;
	memset(text, 'x', 64 - word);
	for (i = 0; i < 40; i++) {
		ring_add(i, 1, text);
		if (i == 15 || i == 16)
			check(fit ? "block ends where the ring ends"
				  : "block does not end where the ring ends");
	}
	check("exact blocks, twice around");
}

static void test_ring_clear(unsigned int word, enum byte_order order)
{
	ring_init(word, order, SIZE_BITS);
	ring_fill(30, 20);
	put(ring.clear_seq, 25, 8);
	check_from(25, &since_clear, "since clear, plain number");
	fact("SIZE(latched_seq)", 24);
	fact("OFFSET(latched_seq.val)", 8);
	put(ring.clear_seq, 0xabcdef01, 4);
	put(ring.clear_seq + 8, 3, 8);
	put(ring.clear_seq + 16, 28, 8);
	check_from(28, &since_clear, "since clear, latched, odd");
	put(ring.clear_seq, 2, 4);
	check_from(3, &since_clear, "since clear, latched, even");
	put(ring.clear_seq + 8, 30, 8);
	check_from(30, &since_clear, "since clear, nothing followed");
	ring_fill(200, 20);
	check_from(30, &since_clear, "since clear, overwritten since");
	put(ring.clear_seq + 8, 170, 8);
	check_from(170, &since_clear, "since clear, in a ring that wrapped");
	is_u64(image.warnings, 0, "no warnings so far");
	forget("SYMBOL(clear_seq)");
	check_from(0, &since_clear, "since clear, place not known: all");
	is_u64(image.warnings, 1, "and a warning");
}

static void test_ring_damage(unsigned int word, enum byte_order order)
{
	_cleanup_output_ struct output o = { .rc = 0 };

	ring_init(word, order, SIZE_BITS);
	ring_fill(10, 20);
	put(ring.data, 0x1234, 4);
	put(ring.data + 4, 0x1234, 4);
	expects[0].gone = true;
	check_lost(1, 0, "text of another record");
	ring_state(-(uint64_t)COUNT & (word_mask() >> 2), 0);
	check_lost(0, 1, "a record still being written");
	put_word(ring_desc(ring.next_id - 7), 5);
	expects[3].gone = true;
	check_lost(1, 1, "descriptor of another record");
	put_word(ring_desc(ring.next_id - 1), 5);
	expects[9].gone = true;
	check_lost(1, 2, "the newest descriptor is not taken yet");
	put_word(ring_desc(ring.next_id - 2) + word, 1);
	put_word(ring_desc(ring.next_id - 2) + 2 * word, 1);
	expects[8].gone = true;
	check_lost(1, 3, "a record that found no room");
	put_word(ring_desc(ring.next_id - 3) + 2 * word, 0x7fffff00);
	expects[7].gone = true;
	check_lost(2, 3, "absurd text position");
	put(ring.infos + 4 * 88 + 16, 0xffff, 2);
	read_log(&o, NULL);
	is_u64(o.stats.lost, 2, "a text length beyond the block is no loss");
	ok(o.longest < 26 + 20 + 4 * word, "but is cut to the block and its padding");
}

/* Chunks that the dump does not have: what lies in them is lost, the rest comes out. */
static void test_ring_holes(unsigned int word, enum byte_order order)
{
	unsigned int lost, i;

	ring_init(word, order, SIZE_BITS);
	ring_fill(60, 20);
	image.hole[0xa] = true; /* of infos: those that touch physical 0xa000 to 0xafff */
	for (i = lost = 0; i < 60; i++) {
		uint64_t info = ring.infos - VBASE + i * 88;

		expects[i].gone = info < 0xb000 && info + 88 > 0xa000;
		lost += expects[i].gone;
	}
	check_lost(lost, 0, "a page of infos is missing");
	is_u64(image.warnings, 1, "one warning tells");
	image.hole[0xa] = false;
	image.hole[0x10] = true; /* text: its first 8 bytes are the id of the first record */
	for (i = 0; i < 60; i++)
		expects[i].gone = !i;
	check_lost(1, 0, "a page of text is missing");
	image.hole[4] = true;
	for (i = lost = 0; i < 60; i++) {
		expects[i].gone = 0xf08 + i * 3 * word < PAGE; /* and so is the first, once more */
		lost += expects[i].gone;
	}
	check_lost(lost, 0, "a page of descriptors is missing");
}

static void test_ring_errors(unsigned int word, enum byte_order order)
{
	ring_init(word, order, SIZE_BITS);
	ring_fill(10, 20);
	put(ring.rb, 40, 4);
	check_error(ERR_CORRUPT, "2^40 records", "absurd count_bits");
	put(ring.rb, COUNT_BITS, 4);
	put(ring.rb + 6 * word, 63, 4);
	check_error(ERR_CORRUPT, "2^63 bytes", "absurd size_bits");
	put(ring.rb + 6 * word, SIZE_BITS, 4);
	put_word(ring.prb, 0x10);
	check_error(ERR_MISSING, "not mapped", "prb points nowhere");
	put_word(ring.prb, ring.rb);
	image.hole[2] = true;
	check_error(ERR_UNREADABLE, "excluded", "the ring's head is not in the dump");
	image.hole[2] = false;
	forget("SIZE(prb_desc)");
	fact("SIZE(prb_desc)", 3 * word - 1);
	check_error(ERR_CORRUPT, "struct prb_desc", "a member outside its structure");
	forget("SIZE(prb_desc)");
	fact("SIZE(prb_desc)", 3 * word);
	image.hole[4] = image.hole[5] = true;
	check_error(ERR_UNREADABLE, "nothing of it is left", "all descriptors are lost");
	image.hole[4] = image.hole[5] = false;
	put_word(ring.rb + 4 * word, ring.next_id + 12345);
	check_lost(COUNT - 10 + 1, 0, "absurd tail: the descriptors that nobody wrote are lost");
}

/* The longest record there can be: 65535 bytes that must all be escaped. */
static void test_long_record(unsigned int word, enum byte_order order)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	_cleanup_free_ char *text = malloc(65536);

	ring_init(word, order, 18);
	ring_fill(3, 20);
	memset(text, 1, 65535);
	text[65535] = '\0';
	ring_put_block(ring.next_id, text, 65535, &ring.slot[3].lpos, &ring.slot[3].next);
	put_word(ring_desc(3) + image.word, ring.slot[3].lpos);
	put_word(ring_desc(3) + 2 * image.word, ring.slot[3].next);
	ring_state(ring.next_id, 1);
	put(ring.infos + 3 * 88 + 16, 65535, 2);
	put_word(ring.rb + 3 * image.word, ring.next_id);
	read_log(&o, NULL);
	is_u64(o.stats.records, 4, "a record of 65535 bytes");
	is_u64(o.longest, 4 * 65535 + 26, "all of it, escaped, in one line");
}

static void build_ring(unsigned int word, enum byte_order order)
{
	ring_init(word, order, SIZE_BITS);
	ring_fill(200, 100);
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		unsigned int word = i & 1 ? 4 : 8;
		enum byte_order order = i & 2 ? ORDER_BE : ORDER_LE;

		test_ring(word, order);
		test_ring_fit(word, order, false);
		test_ring_fit(word, order, true);
		test_ring_clear(word, order);
		test_ring_damage(word, order);
		test_ring_holes(word, order);
		test_ring_errors(word, order);
		test_long_record(word, order);
		test_regions(build_ring, word, order);
	}
	test_choice(build_ring, "ringbuffer");
	test_missing(build_ring);
	test_stop(build_ring);
	test_damage(build_ring);
	image_reset(8, ORDER_LE); /* frees what was expected */
	return done_testing();
}
