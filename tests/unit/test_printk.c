/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/printk.c against kernels in miniature: small models of the three log buffers, which store,
 * wrap and forget records by the rules of the kernel, in both byte orders and word sizes, and which
 * know what must come out.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "printk.h"
#include "tap.h"

#define PAGE 4096u
#define NR_PAGES 256u
#define VBASE 0x40000000u	     /* virtual address of physical 0 */
#define ROOT ((NR_PAGES - 1) * PAGE) /* the page table */

static uint64_t random_state;

static uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

/* ---- a machine ---- */

static const struct paging test_paging = {
	.name = "test",
	.va_bits = 64,
	.entry_size = 8,
	.nr_levels = 1,
	.level = { { .shift = 30, .bits = 2, .leaf = true } },
	.present = 1,
	.target = 0xfffff000,
};

struct machine {
	uint8_t mem[NR_PAGES * PAGE];
	bool hole[NR_PAGES];
	unsigned int word;
	enum byte_order order;
	char info[8192]; /* VMCOREINFO */
	struct dump dump;
	unsigned int warnings;
	struct log log;
};

/* A record, or a line of the oldest generation, as it should come out. */
struct expect {
	char *text;
	bool gone;
};

static struct machine m;
static struct expect expects[4096];
static unsigned int nr_expects;

static bool test_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	*ret = (struct run){ .pfn = pfn, .nr = 1, .state = PAGE_DATA };
	if (pfn < NR_PAGES && m.hole[pfn])
		ret->state = PAGE_EXCLUDED;
	return pfn < NR_PAGES;
}

static int test_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	(void)r;
	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = m.mem + pfn * PAGE, .nr = 1 };
	return 0;
}

static int test_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
			  struct err *e)
{
	(void)r;
	(void)space;
	(void)e;
	memcpy(buf, m.mem + pfn * PAGE, PAGE);
	return 0;
}

static const struct map_ops test_map = { .next_run = test_next_run,
					 .view = test_view,
					 .read_page = test_read_page };

static void count_warning(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)text;
	m.warnings += level == LOG_WARN;
}

static void put(uint64_t vaddr, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = m.mem + (vaddr - VBASE), .size = size, .order = m.order };

	out_uint(&o, v, size);
}

static void put_word(uint64_t vaddr, uint64_t v)
{
	put(vaddr, v, m.word);
}

static void fact(const char *key, uint64_t v)
{
	size_t len = strlen(m.info);

	snprintf(m.info + len, sizeof(m.info) - len,
		 strncmp(key, "SYMBOL", 6) ? "%s=%" PRIu64 "\n" : "%s=%" PRIx64 "\n", key, v);
}

/* Take the line of a fact out of VMCOREINFO; KEY is all before the "=". */
static void forget(const char *key)
{
	char *line = strstr(m.info, key), *end = line ? strchr(line, '\n') : NULL;

	if (end)
		memmove(line, end + 1, strlen(end + 1) + 1);
}

static void machine_reset(unsigned int word, enum byte_order order)
{
	while (nr_expects)
		free(expects[--nr_expects].text);
	memset(&m, 0, sizeof(m));
	m.word = word;
	m.order = order;
	m.log.emit = count_warning;
	m.dump = (struct dump){ .map = &test_map, .log = &m.log };
	m.dump.id = (struct ident){ .order = order, .word = (uint8_t)word, .page_size = PAGE };
	put(VBASE + ROOT + 8, 1, 8);
	fact("PAGESIZE", PAGE);
	fact("SIZE(list_head)", 2 * word);
}

static void expect(const char *text)
{
	expects[nr_expects++] = (struct expect){ .text = strdup(text) };
}

/* The output for a record: prefix, indented further lines. CALLER 0: not told. */
static void expect_record(uint64_t ts, uint32_t caller, const char *text)
{
	char buf[1024], id[16] = "";
	int n = snprintf(buf, sizeof(buf), "[%5lld.%06ld] ", (long long)(ts / 1000000000),
			 (long)(ts % 1000000000 / 1000));
	int indent;

	snprintf(id, sizeof(id), "%c%u", caller >> 31 ? 'C' : 'T', caller & 0x7fffffff);
	if (caller)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, "[%8s] ", id);
	for (indent = n; *text; text++)
		if (*text == '\n')
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, "\n%*s", indent, "");
		else
			n += snprintf(buf + n, sizeof(buf) - (size_t)n,
				      (*text & 0x80) || *text == 1 ? "\\x%02x" : "%c",
				      (uint8_t)*text);
	expect(buf);
}

/* ---- reading, and comparing with what is expected ---- */

struct output {
	char *buf;
	size_t len, room, longest, lines;
	size_t stop_after; /* 0: never */
	int rc;
	struct printk_stats stats;
	struct err e;
};

static int take_line(void *priv, const char *line, size_t len, struct err *e)
{
	struct output *o = priv;

	while (o->room - o->len < len + 2) {
		o->room = 2 * o->room + 4096;
		o->buf = realloc(o->buf, o->room);
	}
	memcpy(o->buf + o->len, line, len);
	o->len += len;
	o->buf[o->len++] = '\n';
	o->buf[o->len] = '\0';
	o->longest = MAX(o->longest, len);
	if (++o->lines != o->stop_after)
		return 0;
	err_set(e, ERR_NOSPACE, "full");
	return 7;
}

static void output_fini(struct output *o)
{
	free(o->buf);
}

#define _cleanup_output_ __attribute__((cleanup(output_fini)))

static void read_log(struct output *o, const struct printk_opts *opts)
{
	struct xlat x = { .paging = &test_paging, .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct reader r;

	kernel_add(&k, vmcoreinfo_provider(m.info, strlen(m.info)));
	reader_init(&r, &m.dump);
	o->rc = printk_read(&k, &x, &r, opts, take_line, o, &o->stats, &o->e);
	reader_fini(&r);
	kernel_fini(&k);
}

/* What must come out, from record FIRST on. */
static char *expected(unsigned int first)
{
	size_t len = 0;
	unsigned int i;
	char *buf;

	for (i = first; i < nr_expects; i++)
		len += strlen(expects[i].text) + 1;
	buf = malloc(len + 1);
	buf[0] = '\0';
	len = 0;
	for (i = first; i < nr_expects; i++)
		if (!expects[i].gone)
			len += (size_t)sprintf(buf + len, "%s\n", expects[i].text);
	return buf;
}

static void check_from(unsigned int first, const struct printk_opts *opts, const char *what)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	_cleanup_free_ char *want = expected(first);

	read_log(&o, opts);
	if (!ok(o.rc == 0 && !o.stats.lost && !strcmp(o.buf ? o.buf : "", want), "%u-bit %s: %s",
		8 * m.word, m.order == ORDER_BE ? "BE" : "LE", what))
		printf("# rc %d, %s, lost %" PRIu64 "\n# got %.300s\n# want %.300s\n", o.rc,
		       o.e.text, o.stats.lost, o.buf, want);
}

static void check(const char *what)
{
	check_from(0, NULL, what);
}

static const struct printk_opts since_clear = { .since_clear = true };

/* ---- "ringbuffer" ---- */

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
	return m.word == 8 ? UINT64_MAX : UINT32_MAX;
}

static void ring_facts(void)
{
	unsigned int w = m.word;

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
	machine_reset(word, order);
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
	return ring.descs + id % COUNT * 3 * m.word;
}

static void ring_state(uint64_t id, uint64_t state)
{
	put_word(ring_desc(id), id | state << (8 * m.word - 2));
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
	uint64_t size = ALIGN_UP(len + m.word, (uint64_t)m.word), last;

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
	memcpy(m.mem + (at - VBASE) + m.word, text, len);
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
	put_word(ring_desc(id) + m.word, begin);
	put_word(ring_desc(id) + 2 * m.word, next);
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
	put_word(ring.rb + 3 * m.word, id);
	put_word(ring.rb + 4 * m.word,
		 (id - (full ? COUNT - 1 : ring_slots())) & (word_mask() >> 2));
	ring.next_id = (id + 1) & (word_mask() >> 2);
}

static const char *random_text(char *buf, unsigned int max)
{
	unsigned int i, len = 1 + random_u32() % max;

	for (i = 0; i < len; i++)
		buf[i] = (char)('a' + random_u32() % 26);
	buf[len] = '\0';
	return buf;
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
	is_u64(m.warnings, 0, "no warnings so far");
	forget("SYMBOL(clear_seq)");
	check_from(0, &since_clear, "since clear, place not known: all");
	is_u64(m.warnings, 1, "and a warning");
}

static void check_lost(uint64_t lost, uint64_t unfinished, const char *what)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	_cleanup_free_ char *want = expected(0);

	read_log(&o, NULL);
	if (!ok(!o.rc && o.stats.lost == lost && o.stats.unfinished == unfinished &&
			!strcmp(o.buf ? o.buf : "", want),
		"%u-bit %s: %s", 8 * m.word, m.order == ORDER_BE ? "BE" : "LE", what))
		printf("# rc %d, %s, lost %" PRIu64 " unfinished %" PRIu64
		       "\n# got %.300s\n# want %.300s\n",
		       o.rc, o.e.text, o.stats.lost, o.stats.unfinished, o.buf, want);
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
	m.hole[0xa] = true; /* of infos: those that touch physical 0xa000 to 0xafff */
	for (i = lost = 0; i < 60; i++) {
		uint64_t info = ring.infos - VBASE + i * 88;

		expects[i].gone = info < 0xb000 && info + 88 > 0xa000;
		lost += expects[i].gone;
	}
	check_lost(lost, 0, "a page of infos is missing");
	is_u64(m.warnings, 1, "one warning tells");
	m.hole[0xa] = false;
	m.hole[0x10] = true; /* text: its first 8 bytes are the id of the first record */
	for (i = 0; i < 60; i++)
		expects[i].gone = !i;
	check_lost(1, 0, "a page of text is missing");
	m.hole[4] = true;
	for (i = lost = 0; i < 60; i++) {
		expects[i].gone = 0xf08 + i * 3 * word < PAGE; /* and so is the first, once more */
		lost += expects[i].gone;
	}
	check_lost(lost, 0, "a page of descriptors is missing");
}

static void check_error(enum err_code code, const char *needle, const char *what)
{
	_cleanup_output_ struct output o = { .rc = 0 };

	read_log(&o, NULL);
	if (!ok(o.rc == -1 && o.e.code == code && strstr(o.e.text, needle), "%s", what))
		printf("# rc %d, code %d, %s; want %s\n", o.rc, o.e.code, o.e.text, needle);
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
	m.hole[2] = true;
	check_error(ERR_UNREADABLE, "excluded", "the ring's head is not in the dump");
	m.hole[2] = false;
	forget("SIZE(prb_desc)");
	fact("SIZE(prb_desc)", 3 * word - 1);
	check_error(ERR_CORRUPT, "struct prb_desc", "a member outside its structure");
	forget("SIZE(prb_desc)");
	fact("SIZE(prb_desc)", 3 * word);
	m.hole[4] = m.hole[5] = true;
	check_error(ERR_UNREADABLE, "nothing of it is left", "all descriptors are lost");
	m.hole[4] = m.hole[5] = false;
	put_word(ring.rb + 4 * word, ring.next_id + 12345);
	check_lost(COUNT - 10 + 1, 0, "absurd tail: the descriptors that nobody wrote are lost");
}

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
	machine_reset(word, order);
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
	     !load_u16(m.mem + (recs.buf - VBASE) + recs.first + 8, m.order)))
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
		memset(m.mem + (recs.buf - VBASE) + recs.next, 0,
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
	memcpy(m.mem + (at - VBASE) + recs.header, text, text_len);
	memset(m.mem + (at - VBASE) + recs.header + text_len, 'D', len - recs.header - text_len);
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
	is_u64(m.warnings, 0, "no warnings so far");
	forget("SYMBOL(clear_idx)");
	check_from(0, &since_clear, "records since clear, place not known: all");
	is_u64(m.warnings, 1, "and a warning");
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
	memset(m.mem + (recs.buf - VBASE) + record_at(99), 0xff, recs.lens[99]);
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
	m.hole[0x22] = true; /* offsets 0x1ff0 to 0x2fef of the buffer */
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
	is_u64(m.warnings, 1, "one warning tells");
}

/* ---- "text" ---- */

struct flat {
	uint64_t log_buf, log_buf_len, log_end, logged_chars, buf;
	uint32_t size, end;
};

static struct flat flat;

static void flat_init(unsigned int word, enum byte_order order, uint32_t size)
{
	machine_reset(word, order);
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
		m.mem[flat.buf - VBASE + flat.end++ % flat.size] = (uint8_t)*text;
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
	m.hole[0x21] = true; /* offsets 0xedd to 0x1edc of the buffer: lines 237 to 493, those two
				in part */
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

static int note_longest(void *priv, const char *line, size_t len, struct err *e)
{
	return take_line(priv, line, len, e);
}

static void test_long_lines(void)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	struct xlat x = { .paging = &test_paging, .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct reader r;

	flat_init(8, ORDER_LE, 0x80000);
	memset(m.mem + (flat.buf - VBASE), 1, flat.size);
	put(flat.log_end, 0x12345678, 4);
	kernel_add(&k, vmcoreinfo_provider(m.info, strlen(m.info)));
	reader_init(&r, &m.dump);
	is_u64((uint64_t)printk_read(&k, &x, &r, NULL, note_longest, &o, NULL, &o.e), 0,
	       "no newline in 512 KiB");
	ok(o.longest <= 262204 && o.len == 4 * 0x80000 + o.lines, "is told in parts");
	reader_fini(&r);
	kernel_fini(&k);
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
	put_word(ring_desc(3) + m.word, ring.slot[3].lpos);
	put_word(ring_desc(3) + 2 * m.word, ring.slot[3].next);
	ring_state(ring.next_id, 1);
	put(ring.infos + 3 * 88 + 16, 65535, 2);
	put_word(ring.rb + 3 * m.word, ring.next_id);
	read_log(&o, NULL);
	is_u64(o.stats.records, 4, "a record of 65535 bytes");
	is_u64(o.longest, 4 * 65535 + 26, "all of it, escaped, in one line");
}

/* ---- all generations ---- */

static void build(unsigned int generation, unsigned int word, enum byte_order order)
{
	unsigned int i;

	switch (generation) {
	case 0:
		ring_init(word, order, SIZE_BITS);
		ring_fill(200, 100);
		break;
	case 1:
		records_init(word, order, 8192, true);
		records_fill(300, 100);
		break;
	default:
		flat_init(word, order, 8192);
		for (i = 0; i < 2000; i++)
			flat_add("<6>words\n");
		put(flat.logged_chars, 90, 4);
	}
}

static void test_choice(void)
{
	static const char *const names[] = { "ringbuffer", "records", "text" };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		_cleanup_output_ struct output o = { .rc = 0 };

		build(i, 8, ORDER_LE);
		read_log(&o, NULL);
		ok(o.rc == 0 && !strcmp(o.stats.generation, names[i]), "generation %s", names[i]);
	}
	machine_reset(8, ORDER_LE);
	check_error(ERR_MISSING, "none of SYMBOL(prb)", "no fact about a log");
	m.dump.id.word = 0;
	forget("SIZE(list_head)");
	check_error(ERR_MISSING, "word size", "nothing known about the machine");
}

/*
 * Without each fact in turn: a clear error that names it, unless it is one that can be done
 * without.
 */
static void test_missing(unsigned int generation)
{
	char all[sizeof(m.info)], key[128];
	const char *line, *end;

	build(generation, 8, ORDER_LE);
	memcpy(all, m.info, sizeof(all));
	for (line = strchr(all, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		_cleanup_output_ struct output o = { .rc = 0 };
		bool optional;

		memcpy(m.info, all, sizeof(all));
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

static void test_stop(unsigned int generation)
{
	_cleanup_output_ struct output o = { .stop_after = 5 };

	build(generation, 4, ORDER_BE);
	read_log(&o, NULL);
	is_u64((uint64_t)o.rc, 7, "the caller's verdict comes back");
	is_u64(o.lines, 5, "and no line after it");
	ok(!strcmp(o.e.text, "full"), "with the caller's words");
}

struct kept {
	bool page[NR_PAGES];
	unsigned int nr;
};

static int keep_region(void *priv, uint64_t vaddr, uint64_t len, struct err *e)
{
	struct kept *kept = priv;
	uint64_t pfn;

	(void)e;
	if (vaddr < VBASE || vaddr - VBASE + len > sizeof(m.mem))
		return 9;
	for (pfn = (vaddr - VBASE) / PAGE; pfn <= (vaddr - VBASE + len - 1) / PAGE; pfn++)
		kept->page[pfn] = true;
	kept->nr++;
	return 0;
}

static int tell_regions(struct kept *kept, struct err *e)
{
	struct xlat x = { .paging = &test_paging, .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct reader r;
	int rc;

	kernel_add(&k, vmcoreinfo_provider(m.info, strlen(m.info)));
	reader_init(&r, &m.dump);
	rc = printk_regions(&k, &x, &r, keep_region, kept, e);
	reader_fini(&r);
	kernel_fini(&k);
	return rc;
}

/* A dump that holds the regions and nothing else has the same log. */
static void test_regions(unsigned int generation, unsigned int word, enum byte_order order)
{
	_cleanup_output_ struct output before = { .rc = 0 }, after = { .rc = 0 };
	struct kept kept = { .nr = 0 };
	struct err e = ERR_INIT;
	unsigned int i;

	build(generation, word, order);
	read_log(&before, &since_clear);
	is_u64((uint64_t)tell_regions(&kept, &e), 0, "regions are told");
	for (i = 0; i < NR_PAGES - 1; i++)
		m.hole[i] = !kept.page[i];
	read_log(&after, &since_clear);
	ok(!after.rc && !after.stats.lost && before.len && before.len == after.len &&
		   !memcmp(before.buf, after.buf, after.len),
	   "%u regions are enough", kept.nr);
	m.info[0] = '\0';
	ok(tell_regions(&kept, &e) == -1 && e.code == ERR_MISSING, "no facts, no regions");
}

static void damage(uint8_t *p, size_t len, unsigned int per_mille)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (random_u32() % 1000 < per_mille)
			p[i] = (uint8_t)random_u32();
}

/*
 * Whatever is in memory: it ends, it does not crash (the sanitizers watch), and what comes out is
 * printable.
 */
static bool survives(unsigned int generation, unsigned int seed)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	struct printk_opts opts = { .since_clear = seed & 4 };
	struct kept kept = { .nr = 0 };
	struct err e = ERR_INIT;
	size_t i;

	build(generation, seed & 1 ? 4 : 8, seed & 2 ? ORDER_BE : ORDER_LE);
	random_state = seed;
	damage(m.mem + PAGE, sizeof(m.mem) - 2 * PAGE, seed % 3 ? 10 : 1);
	if (seed % 5 == 0)
		damage((uint8_t *)m.info, strlen(m.info), 10);
	m.hole[2 + random_u32() % (NR_PAGES - 3)] = seed & 8;
	read_log(&o, &opts);
	tell_regions(&kept, &e);
	for (i = 0; i < o.len; i++)
		if ((o.buf[i] & 0x80) || (o.buf[i] < ' ' && !memchr("\t\n\v\f\r", o.buf[i], 5)))
			return false;
	return o.len <= 64 * sizeof(m.mem);
}

static void test_damage(unsigned int generation)
{
	unsigned int seed, bad = 0;

	for (seed = 1; seed <= 200; seed++)
		bad += !survives(generation, seed);
	is_u64(bad, 0, "200 kinds of damage");
}

int main(void)
{
	unsigned int i, generation;

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
		test_records(word, order, true);
		test_records(word, order, false);
		test_records_clear(word, order);
		test_records_damage(word, order);
		test_records_hole(word, order);
		test_flat(word, order);
		test_long_record(word, order);
		for (generation = 0; generation < 3; generation++)
			test_regions(generation, word, order);
	}
	test_flat_long();
	test_long_lines();
	test_choice();
	for (generation = 0; generation < 3; generation++) {
		test_missing(generation);
		test_stop(generation);
		test_damage(generation);
	}
	machine_reset(8, ORDER_LE); /* frees what was expected */
	return done_testing();
}
