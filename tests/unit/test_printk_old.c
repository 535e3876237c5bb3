/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/printk_old.c against small models of the two older log buffers, which store, wrap and forget
 * records by the rules of the kernel, in both byte orders and word sizes, and which know what must
 * come out.
 */
#include "printk_image.h"

/* ---- "records" ---- */

struct records {
	uint64_t log_buf, log_buf_len, first_idx, next_idx, clear_idx, clear_seq, first_seq, buf;
	uint32_t size, first, next, align, header;
	bool caller;
	unsigned int oldest; /* of expects, still stored */
	uint32_t lens[4096]; /* of the records of expects */
};

static struct records recs;

static void records_facts(const char *name)
{
	static const char *const members[] = { "ts_nsec", "len", "text_len", "caller_id" };
	static const unsigned int offsets[] = { 0, 8, 10, 16 };
	char key[64];
	unsigned int i;

	fact("SYMBOL(log_buf)", recs.log_buf);
	fact("SYMBOL(log_buf_len)", recs.log_buf_len);
	fact("SYMBOL(log_first_idx)", recs.first_idx);
	fact("SYMBOL(log_next_idx)", recs.next_idx);
	fact("SYMBOL(clear_idx)", recs.clear_idx);
	snprintf(key, sizeof(key), "SIZE(%s)", name);
	fact(key, recs.header);
	for (i = 0; i < (recs.caller ? 4 : 3); i++) {
		snprintf(key, sizeof(key), "OFFSET(%s.%s)", name, members[i]);
		fact(key, offsets[i]);
	}
}

static void records_init(unsigned int word, enum byte_order order, uint32_t size, bool caller)
{
	image_reset(word, order);
	recs = (struct records){ .log_buf = VBASE + 0x1000,
				 .log_buf_len = VBASE + 0x1010,
				 .first_idx = VBASE + 0x1014,
				 .next_idx = VBASE + 0x1018,
				 .clear_idx = VBASE + 0x101c,
				 .clear_seq = VBASE + 0x1020,
				 .first_seq = VBASE + 0x1028,
				 .buf = VBASE + 0x20010,
				 .align = word == 4 ? 4 : 8,
				 .size = size,
				 .caller = caller,
				 .header = caller ? 24 : 16 };
	put_word(recs.log_buf, recs.buf);
	put(recs.log_buf_len, size, 4);
	records_facts(caller ? "printk_log" : "log");
}

/* logbuf_has_space(): when there is nothing behind or in front, an empty header must still fit. */
static bool records_fit(uint32_t len)
{
	uint32_t room;

	if (recs.next > recs.first || recs.oldest == nr_expects)
		room = MAX(recs.size - recs.next, recs.first);
	else
		room = recs.first - recs.next;
	return room >= len + recs.header;
}

static void records_drop(void)
{
	expects[recs.oldest].gone = true;
	recs.first += recs.lens[recs.oldest++];
	/* The zero header at the end of a lap. */
	if (recs.first > recs.next &&
	    (recs.first + recs.header > recs.size ||
	     !load_u16(image.mem + (recs.buf - VBASE) + recs.first + 8, image.order)))
		recs.first = 0;
}

static void records_add(uint64_t ts, uint32_t caller, const char *text)
{
	uint32_t text_len = (uint32_t)strlen(text), dict = random_u32() % 20;
	uint32_t len = ALIGN_UP(recs.header + text_len + dict, recs.align);
	uint64_t at;

	while (recs.oldest < nr_expects && !records_fit(len))
		records_drop();
	if (recs.next + len + recs.header > recs.size) {
		memset(image.mem + (recs.buf - VBASE) + recs.next, 0,
		       MIN(recs.header, recs.size - recs.next));
		recs.next = 0;
	}
	at = recs.buf + recs.next;
	put(at, ts, 8);
	put(at + 8, len, 2);
	put(at + 10, text_len, 2);
	put(at + 12, dict, 2);
	if (recs.caller)
		put(at + 16, caller, 4);
	memcpy(image.mem + (at - VBASE) + recs.header, text, text_len);
	memset(image.mem + (at - VBASE) + recs.header + text_len, 'D',
	       len - recs.header - text_len);
	recs.next += len;
	recs.lens[nr_expects] = len;
	expect_record(ts, recs.caller ? caller : 0, text);
	put(recs.first_idx, recs.first, 4);
	put(recs.next_idx, recs.next, 4);
}

static void records_fill(unsigned int nr, unsigned int max_len)
{
	char text[256];
	unsigned int i;

	for (i = 0; i < nr; i++)
		records_add(2000000003ULL * i, 1 + random_u32() % 100, random_text(text, max_len));
}

static void test_records(unsigned int word, enum byte_order order, bool caller)
{
	records_init(word, order, 8192, caller);
	records_add(0, 1, "Linux version");
	records_add(1999999999, 0x80000003, "two\nlines");
	records_add(3, 7, "");
	records_add(123456789012345678ULL, 4194304, "odd \x01\x80\xff \t");
	check("records");
	records_fill(1000, 200);
	check("records, wrapped");
	records_fill(1001, 20);
	check("records, wrapped, short ones");
}

static void test_records_clear(unsigned int word, enum byte_order order)
{
	unsigned int cleared;

	records_init(word, order, 8192, true);
	records_fill(20, 50);
	put(recs.clear_idx, 0, 4);
	check_from(0, &since_clear, "records since clear: never cleared");
	put(recs.clear_idx, recs.next, 4);
	check_from(20, &since_clear, "records since clear: nothing followed");
	records_fill(5, 50);
	check_from(20, &since_clear, "records since clear");
	put(recs.clear_idx, 0, 4);
	records_fill(400, 50);
	check_from(0, &since_clear, "records since clear: never cleared, but wrapped");
	put(recs.clear_idx, recs.next, 4);
	cleared = nr_expects;
	records_fill(60, 50);
	check_from(cleared, &since_clear, "records since clear, in a wrapped log");
	records_fill(400, 50);
	put(recs.clear_idx, recs.first + 4, 4);
	check_from(0, &since_clear, "records since clear: overwritten since");
	put(recs.clear_idx, recs.next, 4);
	put(recs.clear_seq, 5, 8);
	put(recs.first_seq, 6, 8);
	fact("SYMBOL(clear_seq)", recs.clear_seq);
	fact("SYMBOL(log_first_seq)", recs.first_seq);
	check_from(0, &since_clear, "records since clear: overwritten, by sequence numbers");
	is_u64(image.warnings, 0, "no warnings so far");
	forget("SYMBOL(clear_idx)");
	check_from(0, &since_clear, "records since clear, place not known: all");
	is_u64(image.warnings, 1, "and a warning");
}

/* Offset in the buffer of record I, from the start of a log that has not wrapped. */
static uint32_t record_at(unsigned int nr)
{
	uint32_t at = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		at += recs.lens[i];
	return at;
}

static void test_records_damage(unsigned int word, enum byte_order order)
{
	records_init(word, order, 65536, true);
	records_fill(100, 200);
	put(recs.buf + record_at(10) + 8, 3, 2);
	expects[10].gone = true;
	check_lost(1, 0, "record with an absurd length");
	put(recs.buf + record_at(20) + 8, 0, 2);
	expects[20].gone = true;
	check_lost(2, 0, "end mark in the middle, where there is no end");
	put(recs.buf + record_at(30) + 10, 0xffff, 2);
	expects[30].gone = true;
	check_lost(3, 0, "more text than record");
	memset(image.mem + (recs.buf - VBASE) + record_at(99), 0xff, recs.lens[99]);
	expects[99].gone = true;
	check_lost(4, 0, "the newest record is garbage");
	put(recs.first_idx, 0x7ffffff0, 4);
	check_error(ERR_CORRUPT, "2147483632", "absurd log_first_idx");
	put(recs.first_idx, 0, 4);
	put(recs.log_buf_len, 0, 4);
	check_error(ERR_CORRUPT, "log_buf_len", "absurd log_buf_len");
}

static void test_records_hole(unsigned int word, enum byte_order order)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	unsigned int i, touched = 0;

	records_init(word, order, 65536, true);
	records_fill(200, 200);
	image.hole[0x22] = true; /* offsets 0x1ff0 to 0x2fef of the buffer */
	for (i = 0; i < 200; i++) {
		uint32_t at = record_at(i);

		expects[i].gone = at < 0x2ff0 && at + recs.lens[i] > 0x1ff0;
		touched += expects[i].gone;
	}
	read_log(&o, NULL);
	ok(o.rc == 0 && o.stats.lost >= 1 && o.stats.records >= 200 - touched,
	   "a page of records is missing");
	/*
	 * The first record in the hole may have all its text in front of it; the one behind begins
	 * in the hole.
	 */
	ok(strstr(o.buf, expects[199].text) && strstr(o.buf, expects[0].text),
	   "but neither the first nor the last");
	is_u64(image.warnings, 1, "one warning tells");
}

/* ---- "text" ---- */

struct flat {
	uint64_t log_buf, log_buf_len, log_end, logged_chars, buf;
	uint32_t size, end;
};

static struct flat flat;

static void flat_init(unsigned int word, enum byte_order order, uint32_t size)
{
	image_reset(word, order);
	flat = (struct flat){ .log_buf = VBASE + 0x1000,
			      .log_buf_len = VBASE + 0x1010,
			      .log_end = VBASE + 0x1018,
			      .logged_chars = VBASE + 0x1020,
			      .buf = VBASE + 0x20123,
			      .size = size };
	fact("SYMBOL(log_buf)", flat.log_buf);
	fact("SYMBOL(log_buf_len)", flat.log_buf_len);
	fact("SYMBOL(log_end)", flat.log_end);
	fact("SYMBOL(logged_chars)", flat.logged_chars);
	put_word(flat.log_buf, flat.buf);
	put(flat.log_buf_len, size, 4);
}

static void flat_add(const char *text)
{
	for (; *text; text++)
		image.mem[flat.buf - VBASE + flat.end++ % flat.size] = (uint8_t)*text;
	put(flat.log_end, flat.end, 4);
}

static void test_flat(unsigned int word, enum byte_order order)
{
	unsigned int i;
	char line[64];

	flat_init(word, order, 8192);
	flat_add("<5>Linux version\n\n<4>[    1.000000] odd \x01\xff\nno newline");
	expect("<5>Linux version");
	expect("");
	expect("<4>[    1.000000] odd \\x01\\xff");
	expect("no newline");
	check("text");
	put(flat.logged_chars, 10, 4);
	check_from(3, &since_clear, "text since clear");
	flat_init(word, order, 8192);
	for (i = 0; i < 700; i++) { /* lines of 16 characters: the buffer holds 512 of them */
		snprintf(line, sizeof(line), "<6>line %07u\n", i);
		flat_add(line);
		line[15] = '\0';
		expect(line);
		expects[i].gone = i < 700 - 512;
	}
	check("text, wrapped");
	put(flat.logged_chars, 160, 4);
	check_from(690, &since_clear, "text since clear, wrapped");
	/* Offsets 0xedd to 0x1edc of the buffer: lines 237 to 493, those two in part. */
	image.hole[0x21] = true;
	for (i = 238; i < 493; i++)
		expects[i].gone = true;
	expects[237].text[0xedd % 16] = '\0';
	memmove(expects[493].text, expects[493].text + 0x1edd % 16, 16 - 0x1edd % 16);
	check_lost(1, 0, "text, a page is missing");
}

/* Linux up to 2.6.24: log_end is a long. */
static void test_flat_long(void)
{
	flat_init(8, ORDER_BE, 4096);
	flat_add("old and big\n");
	put(flat.log_end, 0, 4);
	put(flat.log_end + 4, 12, 4);
	expect("old and big");
	check("text, log_end is an unsigned long");
}

static void test_long_lines(void)
{
	_cleanup_output_ struct output o = { .rc = 0 };

	flat_init(8, ORDER_LE, 0x80000);
	memset(image.mem + (flat.buf - VBASE), 1, flat.size);
	put(flat.log_end, 0x12345678, 4);
	read_log(&o, NULL);
	is_u64((uint64_t)o.rc, 0, "no newline in 512 KiB");
	ok(o.longest <= 262204 && o.len == 4 * 0x80000 + o.lines, "is told in parts");
}

/*
 * A buffer of 2 GiB, of which the dump has the first page, and one more that says nothing (the page
 * table): all others are counted, but not looked for one by one.
 */
static void test_flat_dark(unsigned int word, enum byte_order order)
{
	const uint32_t size = 0x80000000, first = 0xedd, pages = size / PAGE + 1, skip = 0x10000777;
	_cleanup_output_ struct output o = { .rc = 0 }, wrapped = { .rc = 0 };

	flat_init(word, order, size);
	memset(image.mem + (flat.buf - VBASE), '\n', first);
	memset(image.hole + 0x21, true, NR_PAGES - 1 - 0x21);
	put(flat.log_end, size, 4);
	read_log(&o, NULL);
	is_u64(o.stats.records, first + 1, "text, most of it absent: the rest is told");
	is_u64(o.stats.lost, pages - 2, "each page that is absent is counted");
	ok(image.looked_up < 4 * (64 << 20) / PAGE, "few of them were looked for");
	put(flat.log_end, size + skip, 4); /* begins in a page, and ends in it */
	read_log(&wrapped, NULL);
	ok(wrapped.rc == -1 && wrapped.e.code == ERR_UNREADABLE, "text that begins in nothing");
	is_u64(wrapped.stats.lost, pages + 1, "each page is counted, also when the text wraps");
}

static void build_records(unsigned int word, enum byte_order order)
{
	records_init(word, order, 8192, true);
	records_fill(300, 100);
}

static void build_flat(unsigned int word, enum byte_order order)
{
	unsigned int i;

	flat_init(word, order, 8192);
	for (i = 0; i < 2000; i++)
		flat_add("<6>words\n");
	put(flat.logged_chars, 90, 4);
}

/* No fact about a log, and then none about the machine. */
static void test_nothing(void)
{
	image_reset(8, ORDER_LE);
	check_error(ERR_MISSING, "none of SYMBOL(prb)", "no fact about a log");
	image.dump.id.word = 0;
	forget("SIZE(list_head)");
	check_error(ERR_MISSING, "word size", "nothing known about the machine");
}

int main(void)
{
	static const struct {
		build_fn build;
		const char *name;
	} generations[] = { { build_records, "records" }, { build_flat, "text" } };
	unsigned int i, g;

	for (i = 0; i < 4; i++) {
		unsigned int word = i & 1 ? 4 : 8;
		enum byte_order order = i & 2 ? ORDER_BE : ORDER_LE;

		test_records(word, order, true);
		test_records(word, order, false);
		test_records_clear(word, order);
		test_records_damage(word, order);
		test_records_hole(word, order);
		test_flat(word, order);
		test_flat_dark(word, order);
		for (g = 0; g < ARRAY_SIZE(generations); g++)
			test_regions(generations[g].build, word, order);
	}
	test_flat_long();
	test_long_lines();
	test_nothing();
	for (g = 0; g < ARRAY_SIZE(generations); g++) {
		test_choice(generations[g].build, generations[g].name);
		test_missing(generations[g].build);
		test_stop(generations[g].build);
		test_damage(generations[g].build);
	}
	image_reset(8, ORDER_LE); /* frees what was expected */
	return done_testing();
}
