/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/usercore*.c: a process of a program, a library and a loader, in each word size and byte
 * order; its memory across segments; what is left of it when it is cut anywhere, or any byte is
 * another one.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "note.h"
#include "tap.h"
#include "usercore.h"

#define ROOM 16384u
#define PAGE 1024u /* of what is in the file: enough for an object */
#define FIRST 0x10000000u

/* The pages of memory, in order; the last two are one behind the other. */
enum { APP, LIB, LD, HEAP, NAMES, NR_PAGES };

struct made {
	uint8_t data[ROOM];
	size_t len;
	unsigned int word;
	enum byte_order order;
};

static uint64_t address(unsigned int page)
{
	return page == NAMES ? address(HEAP) + PAGE : FIRST + page * 0x100000u;
}

static void put_words(struct bytes_out *o, const struct made *m, unsigned int nr, const uint64_t *v)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		out_uint(o, v[i], m->word);
}

#define WORDS(o, m, ...) \
	put_words(o, m, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

static void put_ehdr(struct bytes_out *o, const struct made *m, unsigned int type,
		     unsigned int phnum)
{
	const uint8_t ident[16] = {
		127, 'E', 'L', 'F', m->word == 8 ? 2 : 1, m->order == ORDER_BE ? 2 : 1, 1
	};
	unsigned int size = m->word == 8 ? 64 : 52;

	out_bytes(o, ident, 16);
	out_uint(o, type, 2);
	out_uint(o, m->order == ORDER_BE ? 21 : 62, 2);
	out_uint(o, 1, 4);
	WORDS(o, m, 0, size, 0);
	out_uint(o, 0, 4);
	out_uint(o, size, 2);
	out_uint(o, m->word == 8 ? 56 : 32, 2);
	out_uint(o, phnum, 2);
	out_zero(o, 6);
}

static void put_phdr(struct bytes_out *o, const struct made *m, unsigned int type, uint64_t off,
		     uint64_t vaddr, uint64_t size)
{
	out_uint(o, type, 4);
	if (m->word == 8)
		out_uint(o, 5, 4);
	WORDS(o, m, off, vaddr, 0, size, size);
	if (m->word == 4)
		out_uint(o, 5, 4);
	WORDS(o, m, 0);
}

/* An object of one page: its id is 20 bytes of ID. */
static void put_object(struct made *m, size_t at, uint8_t id, uint64_t debug)
{
	struct bytes_out o = { .data = m->data + at, .size = PAGE, .order = m->order };
	uint8_t bytes[20];

	memset(bytes, id, sizeof(bytes));
	put_ehdr(&o, m, 3, 4);
	put_phdr(&o, m, 6, m->word == 8 ? 64 : 52, m->word == 8 ? 64 : 52, 0);
	put_phdr(&o, m, 1, 0, 0, PAGE);
	put_phdr(&o, m, 2, 0x280, 0x280, 4 * m->word);
	put_phdr(&o, m, 4, 0x200, 0x200, 36);
	o.pos = 0x200;
	out_uint(&o, 4, 4);
	out_uint(&o, 20, 4);
	out_uint(&o, 3, 4);
	out_bytes(&o, "GNU", 4);
	out_bytes(&o, bytes, 20);
	o.pos = 0x280;
	WORDS(&o, m, 21, debug, 0, 0);
}

static void put_note(struct made *m, struct bytes_out *o, unsigned int type,
		     const struct bytes_out *desc)
{
	(void)m;
	out_uint(o, 5, 4);
	out_uint(o, desc->pos, 4);
	out_uint(o, type, 4);
	out_bytes(o, "CORE\0\0\0", 8);
	out_bytes(o, desc->data, ALIGN_UP(desc->pos, 4));
}

static void put_notes(struct made *m, struct bytes_out *o)
{
	static const char names[] = "/bin/app\0/lib/libx.so.1.2\0/lib/ld.so (deleted)";
	uint8_t buf[256] = { 0 };
	struct bytes_out d = { .data = buf, .size = sizeof(buf), .order = m->order };
	unsigned int i, ehsize = m->word == 8 ? 64 : 52;

	WORDS(&d, m, 3, address(APP) + ehsize, 4, ehsize - 8, 5, 4, 7, address(LD), 31,
	      address(NAMES) + 64, 0, 0);
	put_note(m, o, 6, &d);
	d.pos = 0;
	WORDS(&d, m, 3, 4096);
	for (i = APP; i <= LD; i++)
		WORDS(&d, m, address(i), address(i) + PAGE, 0);
	out_bytes(&d, names, sizeof(names));
	out_zero(&d, 3);
	d.pos -= 3;
	put_note(m, o, 0x46494c45, &d);
}

/* r_debug, then entries of 8 words each; the second one's name crosses into the next segment. */
static void put_heap(struct made *m, size_t at)
{
	struct bytes_out o = { .data = m->data + at, .size = 2 * PAGE, .order = m->order };
	uint64_t link = address(HEAP) + 128, step = 8 * m->word;

	out_uint(&o, 1, 4);
	out_zero(&o, m->word - 4);
	WORDS(&o, m, link, 0, 0, address(LD));
	o.pos = 128;
	WORDS(&o, m, address(APP), address(NAMES) + 32, address(APP) + 0x280, link + step, 0, 0, 0,
	      0);
	WORDS(&o, m, address(LIB), address(NAMES) - 5, address(LIB) + 0x280, link + 2 * step, link,
	      0, 0, 0);
	WORDS(&o, m, address(LD), address(NAMES) + 96, address(LD) + 0x280, 0, link + step, 0, 0,
	      0);
	o.pos = PAGE - 5;
	out_bytes(&o, "/lib/libx.so.1", 15);
	o.pos = PAGE + 64;
	out_bytes(&o, "./app", 6);
	o.pos = PAGE + 96;
	out_bytes(&o, "/lib/ld.so", 11);
}

static void make(struct made *m, unsigned int word, enum byte_order order)
{
	struct bytes_out o = { .data = m->data, .size = ROOM, .order = order };
	unsigned int i, phsize = word == 8 ? 56 : 32, notes = (word == 8 ? 64 : 52) + 6 * phsize;
	size_t at = 1024;

	*m = (struct made){ .word = word, .order = order };
	put_ehdr(&o, m, 4, 1 + NR_PAGES);
	put_phdr(&o, m, 4, notes, 0, at - notes);
	for (i = 0; i < NR_PAGES; i++)
		put_phdr(&o, m, 1, at + i * PAGE, address(i), PAGE);
	put_notes(m, &o);
	put_object(m, at, 0xaa, address(HEAP));
	put_object(m, at + PAGE, 0xbb, 0);
	put_object(m, at + 2 * PAGE, 0xcc, 0);
	put_heap(m, at + 3 * PAGE);
	m->len = at + NR_PAGES * PAGE;
}

static bool is_file(const struct usercore_file *f, const char *path, uint8_t id, unsigned int page)
{
	return !strcmp(f->path, path) && f->elf && f->linked && f->id_len == 20 && f->id[0] == id &&
	       f->id[19] == id && f->start == address(page) && f->end == f->start + PAGE &&
	       f->bias == f->start && f->map_start == f->start;
}

static void test_all(struct usercore *u)
{
	uint8_t buf[8];

	ok(u->nr_files == 3 && !u->truncated && !u->no_files && !u->no_list && !u->list_cut,
	   "three files, nothing lacks");
	if (u->nr_files != 3)
		return;
	ok(u->execfn && !strcmp(u->execfn, "./app"), "what it was started as");
	ok(is_file(&u->files[0], "/bin/app", 0xaa, APP) && u->files[0].main &&
		   !u->files[0].link_name,
	   "the program");
	ok(is_file(&u->files[1], "/lib/libx.so.1.2", 0xbb, LIB) && u->files[1].link_name &&
		   !strcmp(u->files[1].link_name, "/lib/libx.so.1"),
	   "the library, with the loader's name, which crosses segments");
	ok(is_file(&u->files[2], "/lib/ld.so", 0xcc, LD) && u->files[2].loader &&
		   u->files[2].deleted && !u->files[2].link_name,
	   "the loader, which was deleted");
	ok(usercore_read_some(u, address(NAMES) + PAGE - 3, buf, 8) == 3, "memory has an end");
	ok(!usercore_read(u, address(NAMES) + PAGE - 3, buf, 8) &&
		   usercore_read(u, address(NAMES) - 4, buf, 8) && !memcmp(buf, "lib/libx", 8),
	   "and none between two segments that touch");
	ok(!usercore_read(u, UINT64_MAX - 3, buf, 8), "nothing wraps");
}

static struct usercore *open_core(const uint8_t *data, size_t len, struct source **s)
{
	struct err e = ERR_INIT;
	struct usercore *u;

	*s = source_memory("made up", data, len);
	return usercore_open(*s, NULL, &u, &e) ? NULL : u;
}

static void test_whole(const struct made *m)
{
	struct source *s;
	struct usercore *u = open_core(m->data, m->len, &s);

	ok(usercore_probe(s), "%u bytes, order %d: is the core of a process", m->word, m->order);
	if (ok(u != NULL, "opens"))
		test_all(u);
	usercore_close(u);
	source_close(s);
}

/* Cut, it is told to be so; what is told of files is what there was. */
static void test_cut(const struct made *m)
{
	size_t len, bad = 0;

	for (len = 0; len < m->len; len += len < 1024 ? 1 : 37) {
		_cleanup_free_ uint8_t *piece = malloc(len + 1);
		struct source *s;
		struct usercore *u;
		size_t i;

		memcpy(piece, m->data, len);
		u = open_core(piece, len, &s);
		bad += u && !u->truncated;
		for (i = 0; u && i < u->nr_files; i++)
			bad += u->files[i].id_len && u->files[i].id[0] != 0xaa + 0x11 * i;
		usercore_close(u);
		source_close(s);
	}
	is_u64(bad, 0, "cut anywhere: is told so, and nothing is made up");
}

/* No single byte makes it hang, or read what is not there: the sanitizers look on. */
static void test_flips(const struct made *m)
{
	_cleanup_free_ uint8_t *copy = malloc(m->len);
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	size_t i, opened = 0;

	for (i = 0; i < m->len * ARRAY_SIZE(flips); i++) {
		struct source *s;
		struct usercore *u;

		memcpy(copy, m->data, m->len);
		copy[i / ARRAY_SIZE(flips)] ^= flips[i % ARRAY_SIZE(flips)];
		u = open_core(copy, m->len, &s);
		opened += u != NULL;
		usercore_close(u);
		source_close(s);
	}
	ok(opened > 3 * 1024, "any byte is another one: %zu of %zu open", opened, i);
}

/* A kernel's notes, and no notes: is no process. */
static void test_others(void)
{
	static struct made m;
	uint8_t *notes;
	struct source *s;

	make(&m, 8, ORDER_LE);
	notes = memmem(m.data, 1024, "CORE", 5);
	memcpy(notes, "QEMU", 4);
	s = source_memory("made up", m.data, m.len);
	ok(!usercore_probe(s), "a note of QEMU's: a kernel dump");
	source_close(s);
	m.data[16] = 2;
	s = source_memory("made up", m.data, m.len);
	ok(!usercore_probe(s), "a program is no core");
	source_close(s);
}

int main(void)
{
	static struct made m;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		make(&m, i & 1 ? 8 : 4, i & 2 ? ORDER_BE : ORDER_LE);
		test_whole(&m);
		test_cut(&m);
		test_flips(&m);
	}
	test_others();
	return done_testing();
}
