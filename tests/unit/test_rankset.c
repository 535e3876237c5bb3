/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/rankset.c against a model that has every bit in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "rankset.h"
#include "sigbus.h"
#include "tap.h"

#define BLOCKS 40u
#define BITS (BLOCKS * RANKSET_BLOCK)
#define OFF 8192u /* of the bitmap in its file */

static uint8_t image[OFF + BITS / 8 + 64];
static uint64_t nr_bits;
static bool high_first;

static bool model_test(uint64_t n)
{
	return n < nr_bits && image[OFF + n / 8] >> (high_first ? 7 - n % 8 : n % 8) & 1;
}

static int read_set(struct rankset *s, struct source *src, struct err *e)
{
	return high_first ? rankset_read_high_first(s, src, OFF, nr_bits, e)
			  : rankset_read(s, src, OFF, nr_bits, e);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Blocks that are empty, full, full but for a bit, empty but for a bit, or noise; garbage behind.
 */
static void fill(uint32_t seed)
{
	size_t i, k;

	memset(image, 0xa5, sizeof(image));
	for (i = 0; i < BLOCKS; i++) {
		uint8_t *block = image + OFF + i * RANKSET_BLOCK_BYTES;
		uint32_t kind = next_random(&seed) % 5, at = next_random(&seed) % RANKSET_BLOCK;

		memset(block, kind == 1 || kind == 2 ? 0xff : 0, RANKSET_BLOCK_BYTES);
		if (kind == 2 || kind == 3)
			block[at / 8] ^= (uint8_t)(1 << at % 8);
		for (k = 0; kind == 4 && k < RANKSET_BLOCK_BYTES; k++)
			block[k] = (uint8_t)next_random(&seed);
	}
}

/* Members at all bits, and their ranks: at the borders of blocks all, else each seventh. */
static bool members_agree(const struct rankset *s)
{
	uint64_t n, rank = 0, got = 0;

	for (n = 0; n < BITS + 200; n++) {
		bool ask = n % 7 == 0 || (n + 130) % RANKSET_BLOCK < 260;

		if (rankset_test(s, n) != model_test(n) ||
		    (ask && (!rankset_rank(s, n, &got) || got != rank))) {
			printf("# bit %" PRIu64 ", rank %" PRIu64 ", want %" PRIu64 "\n", n, got,
			       rank);
			return false;
		}
		rank += model_test(n);
	}
	return s->total == rank;
}

/* What is said to be alike is, and a whole block that is alike is said to be. */
static bool alike_agrees(const struct rankset *s)
{
	uint64_t n, end, until = 0; /* as far as was said so far */
	bool member, said = false;

	for (n = 0; n < BITS; n++) {
		if (n % 97 == 0 && rankset_alike(s, n, &member, &end)) {
			if (end <= n || (n < until && member != said))
				return false;
			until = MAX(until, end);
			said = member;
		}
		if (n < until && model_test(n) != said)
			return false;
	}
	return true;
}

/* The image in a file, its empty stretches as holes. */
static struct source *make_file(size_t len)
{
	char name[] = "/tmp/test_rankset.XXXXXX";
	int fd = mkstemp(name);
	struct err e = ERR_INIT;
	struct source *s;
	size_t at;

	unlink(name);
	if (fd < 0 || ftruncate(fd, (off_t)len))
		return NULL;
	for (at = 0; at < len; at += 4096) {
		size_t n = MIN(len - at, (size_t)4096), i;

		for (i = 0; i < n && !image[at + i]; i++)
			;
		if (i < n && pwrite(fd, image + at, n, (off_t)at) != (ssize_t)n)
			return NULL;
	}
	return source_fd(fd, "a file", 0, &s, &e) ? NULL : s;
}

static void test_source(struct source *src, const char *how, uint32_t seed)
{
	struct err e = ERR_INIT;
	struct rankset s;

	if (!ok(src && !read_set(&s, src, &e), "%s, seed %u, %" PRIu64 " bits%s", how, seed,
		nr_bits, high_first ? ", the highest of a byte first" : ""))
		return;
	ok(members_agree(&s), "members and ranks");
	ok(alike_agrees(&s), "what is alike");
	rankset_fini(&s);
	source_close(src);
}

static void test_random(void)
{
	static const uint64_t lengths[] = {
		BITS, BITS - 1, BITS - RANKSET_BLOCK, BITS - 4000, 5, 0
	};
	uint32_t seed;

	for (seed = 1; seed <= 2 * ARRAY_SIZE(lengths); seed++) {
		nr_bits = lengths[(seed - 1) % ARRAY_SIZE(lengths)];
		high_first = seed > ARRAY_SIZE(lengths);
		fill(seed);
		test_source(source_memory("memory", image, sizeof(image)), "memory", seed);
		test_source(make_file(OFF + BITS / 8), "a file", seed);
	}
	high_first = false;
}

/* A set made of pieces of another, with a block of its own in between. */
static void test_build(bool reversed)
{
	uint64_t words[RANKSET_BLOCK / 64] = { 0 };
	struct source *src = source_memory("memory", image, sizeof(image));
	struct rankset from, s = { .nr_bits = BITS };
	struct err e = ERR_INIT;
	uint64_t n, wrong = 0;

	high_first = reversed;
	nr_bits = BITS;
	fill(7);
	words[3] = 0x8000000000000001;
	ok(!read_set(&from, src, &e) && !rankset_share(&s, &from, 2, 9, &e) &&
		   !rankset_add(&s, 9, words, &e) && !rankset_share(&s, &from, 20, 30, &e),
	   "a set out of pieces");
	for (n = 0; n < BITS; n++) {
		uint64_t block = n / RANKSET_BLOCK;
		bool want = (block >= 2 && block < 9) || (block >= 20 && block < 30)
				    ? model_test(n)
				    : block == 9 && (n % RANKSET_BLOCK == 192 ||
						     n % RANKSET_BLOCK == 255);

		wrong += rankset_test(&s, n) != want;
	}
	is_u64(wrong, 0, "its members");
	high_first = false;
	rankset_fini(&s);
	rankset_fini(&from);
	source_close(src);
}

static void test_errors(void)
{
	struct source *src = source_memory("memory", image, sizeof(image));
	struct err e = ERR_INIT;
	struct rankset s;

	ok(rankset_read(&s, src, OFF, BITS + 1024, &e) && e.code == ERR_UNREADABLE,
	   "a bitmap that ends behind the file");
	ok(rankset_read(&s, src, UINT64_MAX - 5, 100, &e) && e.code == ERR_UNREADABLE,
	   "a bitmap that begins behind it");
	ok(rankset_read(&s, src, 0, UINT64_MAX, &e) && e.code == ERR_UNREADABLE,
	   "a bitmap of all that there can be");
	source_close(src);
}

/* A bitmap of 512 GiB with two bits: what is not there takes neither time nor memory. */
static void test_sparse(void)
{
	char name[] = "/tmp/test_rankset.XXXXXX";
	uint64_t bits = (uint64_t)1 << 42, at = bits / 8 - 777, rank = 0;
	int fd = mkstemp(name);
	struct err e = ERR_INIT;
	struct source *src;
	struct rankset s;

	unlink(name);
	if (ftruncate(fd, (off_t)(bits / 8)) || pwrite(fd, "\1", 1, 5) != 1 ||
	    pwrite(fd, "\200", 1, (off_t)at) != 1 || lseek(fd, 8192, SEEK_DATA) < 8192 * 2) {
		ok(true, "a sparse bitmap # SKIP the file system here has no holes of that size");
		close(fd);
		return;
	}
	ok(!source_fd(fd, "a sparse file", 0, &src, &e) && !rankset_read(&s, src, 0, bits, &e),
	   "a sparse bitmap of 2^42 bits");
	is_u64(s.total, 2, "its members");
	is_u64(s.nr_rows, 2, "what is kept of it");
	ok(rankset_test(&s, 40) && rankset_test(&s, at * 8 + 7) && !rankset_test(&s, at * 8),
	   "where they are");
	ok(rankset_rank(&s, at * 8 + 7, &rank) && rank == 1, "rank of the last");
	rankset_fini(&s);
	source_close(src);
}

/* The file shrinks while it is mapped: no member gets another one's rank. */
static void test_shrunk(void)
{
	struct source *src;
	struct err e = ERR_INIT;
	struct rankset s;
	uint64_t n, rank, wrong = 0, lost = 0;

	nr_bits = BITS;
	fill(11);
	memset(image + OFF, 0x5a, BITS / 8);
	src = make_file(OFF + BITS / 8);
	if (!src || rankset_read(&s, src, OFF, BITS, &e)) {
		ok(false, "a file");
		return;
	}
	ok(!ftruncate(source_get_fd(src), OFF + BITS / 16), "the file shrinks");
	for (n = 0; n < BITS; n += 64) {
		if (!rankset_rank(&s, n, &rank))
			lost++;
		else
			wrong += rank != n / 2;
	}
	is_u64(wrong, 0, "no rank is wrong");
	ok(lost > 0, "those that are lost are told");
	rankset_fini(&s);
	source_close(src);
}

int main(void)
{
	test_random();
	test_build(false);
	test_build(true);
	test_errors();
	test_sparse();
	if (sigbus_works())
		test_shrunk();
	else
		ok(true, "a file that shrinks # SKIP SIGBUS is the sanitizer's");
	return done_testing();
}
