/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/note.c: what is appended reads back; what is cut or lies ends the list. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "note.h"
#include "tap.h"

struct sample {
	const char *owner;
	uint32_t type;
	const char *desc;
	size_t len;
};

static const struct sample samples[] = {
	{ "CORE", 1, "0123456789abcdef", 16 },
	{ "VMCOREINFO", 0, "PAGESIZE=4096\n", 14 },
	{ "", 7, "x", 1 },
	{ "ABC", 0x80000000, "", 0 }, /* name and NUL fill four bytes */
	{ "LINUX", 0x700, "\0\0\0\0\0", 5 },
};

static bool same(const struct note *n, const struct sample *s)
{
	return note_owner_is(n, s->owner) && n->owner_len == strlen(s->owner) &&
	       n->type == s->type && n->desc_len == s->len && !memcmp(n->desc, s->desc, s->len);
}

static uint8_t *append_all(enum byte_order order, size_t *len)
{
	uint8_t *buf = NULL;
	size_t i;

	*len = 0;
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		if (!note_append(&buf, len, order, samples[i].owner, samples[i].type,
				 samples[i].desc, samples[i].len))
			abort();
	return buf;
}

static void test_round_trip(enum byte_order order)
{
	size_t len, i;
	_cleanup_free_ uint8_t *buf = append_all(order, &len);
	struct bytes b = bytes_init(buf, len, order, "notes", 0);
	struct note n;

	for (i = 0; i < ARRAY_SIZE(samples); i++)
		ok(note_next(&b, &n) && same(&n, &samples[i]) && n.desc == buf + n.desc_off &&
			   n.desc_off % 4 == 0,
		   "note %zu reads back", i);
	ok(!note_next(&b, &n) && !b.overrun && b.pos == len, "and that is all");
}

/* Cut anywhere: whole notes before the cut are told, the list ends with an overrun unless the cut
 * is between two, or leaves less than a header. */
static void test_cut(enum byte_order order)
{
	size_t len, cut, bad = 0;
	_cleanup_free_ uint8_t *buf = append_all(order, &len);
	size_t ends[ARRAY_SIZE(samples)], whole[ARRAY_SIZE(samples)], i;
	struct bytes b = bytes_init(buf, len, order, "notes", 0);
	struct note n;

	for (i = 0; note_next(&b, &n); i++) {
		ends[i] = b.pos;
		whole[i] = n.desc_off + n.desc_len; /* padding may be missing */
	}
	for (cut = 0; cut < len; cut++) {
		_cleanup_free_ uint8_t *piece = malloc(cut + 1);
		size_t told = 0, want = 0, rest;

		memcpy(piece, buf, cut);
		b = bytes_init(piece, cut, order, "notes", 0);
		while (note_next(&b, &n))
			bad += !same(&n, &samples[told++]);
		while (want < ARRAY_SIZE(samples) && whole[want] <= cut)
			want++;
		rest = cut - MIN(cut, want ? ends[want - 1] : 0);
		bad += told != want || b.overrun != (rest >= 12);
	}
	is_u64(bad, 0, "cut off at every length");
}

static void test_lies(void)
{
	uint8_t raw[64] = { 0 };
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = ORDER_LE };
	struct bytes b = bytes_init(raw, 32, ORDER_LE, "notes", 0);
	struct note n;

	ok(!note_next(&b, &n) && !b.overrun, "zeros are padding");
	out_uint(&o, 4, 4);
	out_uint(&o, 0xffffffff, 4);
	b = bytes_init(raw, 32, ORDER_LE, "notes", 0);
	ok(!note_next(&b, &n) && b.overrun, "a description of 4 GiB");
	o.pos = 0;
	out_uint(&o, 0xffffffff, 4);
	out_uint(&o, 4, 4);
	b = bytes_init(raw, 32, ORDER_LE, "notes", 0);
	ok(!note_next(&b, &n) && b.overrun, "a name of 4 GiB");
	o.pos = 0;
	out_uint(&o, 0xfffffffd, 4);
	out_uint(&o, 0xfffffffd, 4);
	b = bytes_init(raw, 32, ORDER_LE, "notes", 0);
	ok(!note_next(&b, &n) && b.overrun, "sizes that wrap around when they are aligned");
}

static void test_owner(void)
{
	uint8_t raw[32] = { 5, 0,   0,	 0,   4,   0,	0, 0, 1, 0,  0,
			    0, 'C', 'O', 'R', 'E', 'S', 0, 0, 0, 'd' };
	struct bytes b = bytes_init(raw, 24, ORDER_LE, "notes", 0);
	struct note n;

	ok(note_next(&b, &n) && n.owner_len == 5, "a name without NUL");
	ok(note_owner_is(&n, "CORES") && !note_owner_is(&n, "CORE") && !note_owner_is(&n, "CORESX"),
	   "is compared as a whole");
	raw[13] = 0;
	b = bytes_init(raw, 24, ORDER_LE, "notes", 0);
	ok(note_next(&b, &n) && n.owner_len == 1 && note_owner_is(&n, "C"), "a name ends at a NUL");
	raw[0] = 0;
	b = bytes_init(raw, 24, ORDER_LE, "notes", 0);
	ok(note_next(&b, &n) && n.owner_len == 0 && note_owner_is(&n, "") &&
		   !memcmp(n.desc, "C\0RE", 4),
	   "no name at all");
}

/* Segments that are filled up with zeros, one after another. */
static void test_padding(void)
{
	unsigned int bad = 0;
	size_t zeros;

	for (zeros = 0; zeros < 5000; zeros += zeros ? 4 : 12) {
		uint8_t *buf = NULL;
		size_t len = 0;
		struct bytes b;
		struct note n;

		note_append(&buf, &len, ORDER_LE, "CORE", 1, "0123", 4);
		buf = realloc(buf, len + zeros);
		memset(buf + len, 0, zeros);
		len += zeros;
		note_append(&buf, &len, ORDER_LE, "VMCOREINFO", 0, "PAGESIZE=4096\n", 14);
		b = bytes_init(buf, len, ORDER_LE, "notes", 0);
		bad += !note_next(&b, &n) || !note_owner_is(&n, "CORE") || !note_next(&b, &n) ||
		       !note_owner_is(&n, "VMCOREINFO") || n.desc_len != 14 || note_next(&b, &n) ||
		       b.overrun;
		free(buf);
	}
	is_u64(bad, 0, "a note behind padding is found");
}

/* The caller says where a note begins, aligned or not. */
static void test_append_behind(void)
{
	size_t len = 13;
	uint8_t *buf = malloc(len);
	struct bytes b;
	struct note n;

	memset(buf, 0xee, len);
	ok(note_append(&buf, &len, ORDER_BE, "DUMPTOOL", TOOL_NOTE_TYPE, "K=V\n", 4) && len == 41,
	   "behind 13 bytes of something");
	ok(buf[12] == 0xee, "which stay");
	b = bytes_init(buf + 13, len - 13, ORDER_BE, "notes", 0);
	ok(note_next(&b, &n) && note_owner_is(&n, TOOL_NOTE_OWNER) && n.type == TOOL_NOTE_TYPE,
	   "and the note is there");
	free(buf);
}

int main(void)
{
	test_round_trip(ORDER_LE);
	test_round_trip(ORDER_BE);
	test_cut(ORDER_LE);
	test_cut(ORDER_BE);
	test_lies();
	test_owner();
	test_padding();
	test_append_behind();
	return done_testing();
}
