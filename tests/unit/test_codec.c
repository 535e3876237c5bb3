/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codecs: what they write their own libraries can read, it fits where it was told to go, and
 * does not depend on the pages before. */
#include <lzo/lzo1x.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cleanup.h"
#include "codec.h"
#include "config.h"
#include "tap.h"

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif

const struct codec *const codec_table[] = {
	&codec_zlib,   &codec_lzo,
#ifdef HAVE_SNAPPY
	&codec_snappy,
#endif
	&codec_zstd,   NULL,
};

/* ---- the way back ---- */

static bool unpack_zlib(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
#ifdef HAVE_LIBDEFLATE
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	bool good = libdeflate_zlib_decompress(d, in, len, out, size, NULL) == LIBDEFLATE_SUCCESS;

	libdeflate_free_decompressor(d);
	return good;
#else
	uLongf got = size;

	return uncompress(out, &got, in, len) == Z_OK && got == size;
#endif
}

static bool unpack(enum codec_id id, const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	lzo_uint lzo_size = size;

	switch (id) {
	case CODEC_ZLIB:
		return unpack_zlib(in, len, out, size);
	case CODEC_LZO:
		return lzo1x_decompress_safe(in, len, out, &lzo_size, NULL) == LZO_E_OK &&
		       lzo_size == size;
#ifdef HAVE_SNAPPY
	case CODEC_SNAPPY:
		return snappy_uncompress((const char *)in, len, (char *)out, &size) == SNAPPY_OK;
#endif
	case CODEC_ZSTD:
		return ZSTD_getFrameContentSize(in, len) == size &&
		       ZSTD_decompress(out, size, in, len) == size;
	default:
		return false;
	}
}

/* ---- pages ---- */

enum fill { ZEROS, ONE_BYTE, TEXT, POINTERS, HALF_RANDOM, RANDOM, NR_FILLS };

static const char *const fill_name[] = { "zeros",    "all but zeros", "text",
					 "pointers", "half random",   "random" };

static uint64_t random_state;

static uint8_t random_byte(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint8_t)(random_state >> 56);
}

static void fill_page(uint8_t *page, size_t size, enum fill fill)
{
	static const char words[] = "page allocation failure: order:3, mode:0x40cc0 ";
	size_t i;

	random_state = size + fill;
	memset(page, 0, size);
	page[size / 2] = fill == ONE_BYTE;
	for (i = 0; i < size && fill > ONE_BYTE; i++) {
		if (fill == TEXT)
			page[i] = (uint8_t)words[(i + i / 1000) % (sizeof(words) - 1)];
		else if (fill == POINTERS)
			page[i] = i % 8 > 4 ? 0xff : i % 8 > 1 ? 0x88 : random_byte();
		else if (fill == RANDOM || i < size / 2)
			page[i] = random_byte();
	}
}

/* ---- */

struct
try {
	const struct codec *codec;
	int level;
	size_t size, room;
	uint8_t *page, *out, *back; /* of exactly the size they may have */
};

static void try_init(struct try *t, const struct codec *codec, int level, size_t size)
{
	*t = (struct try){ .codec = codec, .level = level, .size = size };
	t->room = MAX(codec->bound(size), size);
	t->page = malloc(size);
	t->back = malloc(size);
	t->out = malloc(t->room);
}

static void try_fini(struct try *t)
{
	free(t->page);
	free(t->back);
	free(t->out);
}

/* Whatever comes out that is smaller than a page must be that page. */
static bool one_page(struct try *t, void *state, enum fill fill)
{
	size_t n;

	fill_page(t->page, t->size, fill);
	memset(t->back, 0xa5, t->size);
	n = t->codec->compress(state, t->page, t->size, t->out, t->room);
	if (n > t->room)
		return false;
	if (fill == RANDOM)
		return n == 0 || n >= t->size;
	return n && n < t->size && unpack(t->codec->id, t->out, n, t->back, t->size) &&
	       !memcmp(t->back, t->page, t->size);
}

static void test_round_trip(const struct codec *c, int level, size_t size)
{
	void *state = c->open(level, size);
	enum fill fill, order[] = { RANDOM, ZEROS, TEXT, HALF_RANDOM, ONE_BYTE, POINTERS };
	struct try t;
	size_t i;

	try_init(&t, c, level, size);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		fill = order[i];
		ok(state && one_page(&t, state, fill), "%s %d, %zuK, %s", c->name, level,
		   size >> 10, fill_name[fill]);
	}
	try_fini(&t);
	c->close(state);
}

/* A page comes out the same, whatever the state has seen before: outputs do not depend on threads.
 */
static void test_history(const struct codec *c, int level, size_t size)
{
	enum fill before, fill;
	unsigned int bad = 0;

	for (fill = 0; fill < NR_FILLS; fill++)
		for (before = 0; before < NR_FILLS; before++) {
			void *fresh = c->open(level, size), *used = c->open(level, size);
			struct try a, b;
			size_t n;

			try_init(&a, c, level, size);
			try_init(&b, c, level, size);
			fill_page(b.page, size, before);
			c->compress(used, b.page, size, b.out, b.room);
			fill_page(a.page, size, fill);
			n = c->compress(fresh, a.page, size, a.out, a.room);
			bad += c->compress(used, a.page, size, b.out, b.room) != n ||
			       memcmp(a.out, b.out, n);
			try_fini(&a);
			try_fini(&b);
			c->close(fresh);
			c->close(used);
		}
	is_u64(bad, 0, c->name);
}

/* Too little room is "does not fit", not a smaller page or a write behind the end. */
static void test_little_room(const struct codec *c)
{
	void *state = c->open(c->default_level, 4096);
	unsigned int bad = 0;
	struct try t;
	size_t n;

	if (c->bound(4096) > 4096) {
		c->close(state);
		return; /* needs its bound to be called at all */
	}
	try_init(&t, c, c->default_level, 4096);
	fill_page(t.page, 4096, HALF_RANDOM);
	for (n = 1; n < 2000; n += 37) {
		_cleanup_free_ uint8_t *small = malloc(n);

		bad += c->compress(state, t.page, 4096, small, n) != 0;
	}
	ok(!bad && one_page(&t, state, TEXT), "%s: too little room, then enough", c->name);
	try_fini(&t);
	c->close(state);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_MEASURE 0
#else
#define CAN_MEASURE 1
#endif

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* memory() is what the budget is made of: it may not be less than what is taken, but for what a
 * release of the library adds. */
static void test_memory(const struct codec *c, int level, size_t size)
{
	size_t before = in_use(), taken;
	struct try t;
	void *state;

	try_init(&t, c, level, size);
	before = in_use();
	state = c->open(level, size);
	one_page(&t, state, TEXT);
	one_page(&t, state, HALF_RANDOM);
	taken = in_use() - before;
	if (CAN_MEASURE)
		ok(taken <= c->memory(level, size) + c->memory(level, size) / 16 + 4096,
		   "%s %d, %zuK: takes %zu bytes and says %zu", c->name, level, size >> 10, taken,
		   c->memory(level, size));
	c->close(state);
	try_fini(&t);
}

static void test_codec(const struct codec *c)
{
	static const size_t sizes[] = { 4096, 16384, 65536 };
	int level;
	size_t i;

	ok(codec_by_id(c->id) == c && codec_by_name(c->name) == c &&
		   !strcmp(codec_id_name(c->id), c->name),
	   "%s (%s) is found by its id and its name", c->name, c->library);
	ok(c->min_level <= c->default_level && c->default_level <= c->max_level,
	   "%s: a default level among those there are", c->name);
	for (level = c->min_level; level <= c->max_level; level++)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			test_round_trip(c, level, sizes[i]);
			test_memory(c, level, sizes[i]);
		}
	test_history(c, c->default_level, 4096);
	test_history(c, c->max_level, 65536);
	test_little_room(c);
}

int main(void)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++)
		test_codec(*c);
	ok(!codec_by_id(CODEC_RAW) && !codec_by_id((enum codec_id)8) && !codec_by_name("none"),
	   "no compression is no codec");
	ok(!strcmp(codec_id_name(CODEC_RAW), "none") &&
		   !strcmp(codec_id_name(CODEC_SNAPPY), "snappy") && !codec_id_name(8) &&
		   !codec_id_name(3),
	   "ids have names, carried or not");
	return done_testing();
}
