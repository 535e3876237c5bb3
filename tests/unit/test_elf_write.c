/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * formats/elf_write.c: what stands in the file, against a model that goes page by page; what the
 * reader makes of it; and what is left when something fails.
 */
#include <fcntl.h>
#include <unistd.h>

#include "elf_model.h"
#include "sigbus.h"

/* ---- machines ---- */

/* As /proc/vmcore has it: the kernel's text first, over memory that follows once more. */
static struct segment vmcore_segments[] = {
	{ .vaddr = 0xffffffff81000000, .paddr = 0x100000, .memsz = 0x83000, .flags = 7 },
	{ .vaddr = 0xffff888000001000, .paddr = 0x1000, .memsz = 0x9ec00, .flags = 6 },
	{ .vaddr = 0xffff888000100000, .paddr = 0x100000, .memsz = 0x200000, .flags = 7 },
	{ .vaddr = 0xffff888000400123, .paddr = 0x400123, .memsz = 0x700000, .flags = 5 },
};

static const uint8_t some_notes[] = { 5,   0,	0,   0,	  4, 0, 0, 0, 1,   0,	0,   0,
				      'C', 'O', 'R', 'E', 0, 0, 0, 0, 'n', 'o', 't', 'e' };

static void set_segments(struct fake *f, struct segment *s, size_t nr)
{
	f->dump.segments = s;
	f->dump.nr_segments = nr;
}

/* 16 MiB of memory with holes, as VMCORE_SEGMENTS tells; pages are left out here and there. */
static struct fake *vmcore_new(uint32_t page_size)
{
	struct fake *f = fake_new((16 << 20) / page_size, page_size);
	uint64_t i, per = page_size / 4096;

	fake_ram(f, 0, 0xa0 / per, 5);
	fake_ram(f, 0x100 / per, 0x300 / per, 7);
	fake_ram(f, 0x400 / per, ALIGN_UP(0xb01, per) / per, 3);
	fake_ram(f, 0xc00 / per, 0xc40 / per, 1000); /* in no segment */
	fake_ready(f);
	f->plan.notes = some_notes;
	f->plan.notes_len = sizeof(some_notes);
	set_segments(f, vmcore_segments, ARRAY_SIZE(vmcore_segments));
	for (i = 0; i < f->nr_pages; i += 1 + fake_random(40))
		pfnset_clear(&f->keep, i, 1 + fake_random(10));
	return f;
}

/* Begin anew in PATH, and write all of it. */
static int write_file(struct fake *f)
{
	int rc;

	if (sink_file(path, SINK_FORCE, &f->part.sink, &f->e))
		abort();
	rc = fake_write(f, &elf_format);
	sink_close(f->part.sink);
	return rc;
}

static bool written_right(struct fake *f, uint32_t flags)
{
	struct core c;
	bool good;

	if (write_file(f)) {
		printf("# %s\n", f->e.text);
		return false;
	}
	c = core_read();
	good = core_right(&c, f) && c.flags == flags;
	core_free(&c);
	return good;
}

/*
 * A page that a segment covers in part is read back with zeros in the rest; the made-up one has
 * bytes there, so it is left out of what is compared.
 */
static void forget_edges(struct fake *f)
{
	uint64_t size = f->plan.page_size, ends[8], i, n = 0;

	for (i = 0; i < f->dump.nr_segments; i++) {
		ends[n++] = f->dump.segments[i].paddr;
		ends[n++] = f->dump.segments[i].paddr + f->dump.segments[i].memsz;
	}
	for (i = 0; i < n; i++)
		if (ends[i] % size && ends[i] / size < f->nr_pages) {
			pfnset_clear(&f->keep, ends[i] / size, 1);
			f->state[ends[i] / size] = PAGE_ABSENT;
		}
}

static void test_vmcore(uint32_t page_size)
{
	struct fake *f = vmcore_new(page_size);
	struct stat st;

	ok(written_right(f, 0), "%uK: segments, data and notes", page_size >> 10);
	ok(!stat(path, &st) && (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size * 9 / 10,
	   "zero pages are holes");
	forget_edges(f);
	ok(written_right(f, 0) && reads_back(f, PAGE_ABSENT), "read back, page by page");
	fake_free(f);
}

/* A 32-bit big-endian machine. */
static void test_be32(void)
{
	static struct segment s[] = {
		{ .vaddr = 0xc0000000, .paddr = 0, .memsz = 0x300000, .flags = 7 },
		{ .vaddr = 0xffffffff, .paddr = 0x800000, .memsz = 0x300000, .flags = 7 },
	};
	struct fake *f = fake_new(4096, 4096);
	struct core c;

	fake_ram(f, 0, 0x300, 4);
	fake_ram(f, 0x800, 0xb00, 4);
	fake_ready(f);
	set_segments(f, s, 1);
	f->dump.id =
		(struct ident){ .e_machine = 20, .order = ORDER_BE, .word = 4, .page_size = 4096 };
	pfnset_clear(&f->keep, 0x10, 3);
	ok(written_right(f, 0) && reads_back(f, PAGE_ABSENT), "32 bits, big-endian");
	c = core_read();
	ok(c.word == 4, "in class 32");
	core_free(&c);
	f->dump.id.elf_class = 8;
	ok(written_right(f, 0), "what came in class 64");
	c = core_read();
	ok(c.word == 8, "goes in class 64");
	core_free(&c);
	f->dump.id.elf_class = 4;
	set_segments(f, s, 2);
	write_file(f);
	c = core_read();
	ok(c.word == 4 && c.nr == 4 && c.p[3].vaddr == UINT32_MAX, "no address is no address");
	core_free(&c);
	fake_free(f);
}

/* Memory above 4 GiB does not fit into class 32. */
static void test_large32(void)
{
	struct fake *f = fake_new((1 << 20) + 10, 4096);
	struct core c;

	fake_ram(f, (1 << 20) - 10, 1 << 20, 4);
	f->dump.id.word = 4;
	fake_ready(f);
	ok(written_right(f, 0), "32 bits, the last page below 4 GiB");
	c = core_read();
	ok(c.word == 4, "class 32");
	core_free(&c);
	pfnset_fini(&f->keep);
	fake_ram(f, 1 << 20, (1 << 20) + 10, 4);
	fake_ready(f);
	ok(written_right(f, 0), "and beyond");
	c = core_read();
	ok(c.word == 8, "class 64");
	core_free(&c);
	fake_free(f);
}

static void test_vaddr(void)
{
	struct segment s[] = {
		{ .vaddr = 0, .paddr = 0, .memsz = 0x100000, .flags = 0 },
		{ .vaddr = 0, .paddr = 0x200000, .memsz = 0x100000, .flags = 0 },
	};
	struct fake *f = fake_new(0x300, 4096);
	struct core c;

	fake_ram(f, 0, 0x100, 4);
	fake_ram(f, 0x200, 0x300, 4);
	fake_ready(f);
	set_segments(f, s, 2);
	pfnset_clear(&f->keep, 0x210, 1);
	write_file(f);
	c = core_read();
	ok(c.nr == 4 && !c.p[1].vaddr && !c.p[2].vaddr && !c.p[3].vaddr &&
		   c.p[3].paddr == 0x211000 && !c.p[3].flags,
	   "QEMU without paging: virtual addresses stay 0");
	core_free(&c);
	s[1].vaddr = UINT64_MAX;
	write_file(f);
	c = core_read();
	ok(c.nr == 4 && c.p[2].vaddr == UINT64_MAX && c.p[3].vaddr == UINT64_MAX,
	   "and ~0 stays ~0");
	core_free(&c);
	s[1].vaddr = 0x200000;
	ok(written_right(f, 0), "an identity map is one");
	set_segments(f, s, 1);
	pfnset_clear(&f->keep, 0x200, 0x100);
	pfnset_clear(&f->keep, 0x20, 1);
	write_file(f);
	c = core_read();
	ok(c.nr == 3 && c.p[2].vaddr == 0x21000,
	   "so is that of a machine whose memory begins at 0");
	core_free(&c);
	fake_free(f);
}

static void test_bare(void)
{
	struct fake *f = fake_new(2000, 4096);
	struct core c;

	fake_ram(f, 100, 1101, 9);
	fake_ready(f);
	ok(written_right(f, 0) && reads_back(f, PAGE_ABSENT), "no segments and no notes");
	c = core_read();
	ok(c.nr == 3, "one run of pages is two PT_LOADs");
	core_free(&c);
	pfnset_clear(&f->keep, 0, 1100);
	ok(written_right(f, 0), "but one page is one");
	pfnset_clear(&f->keep, 0, 2000);
	ok(written_right(f, 0), "nothing at all");
	fake_free(f);
}

/* More headers than e_phnum can count: only class 64 has readers for that. */
static void test_many(uint64_t runs, enum byte_order order, unsigned int word)
{
	struct fake *f = fake_new(2 * runs, 512);
	bool many = runs + 1 >= 0xffff;
	struct core c;
	uint64_t i;

	for (i = 0; i < runs; i++)
		fake_ram(f, 2 * i, 2 * i + 1, i % 100 ? 1 : 1000000);
	f->dump.id.order = order;
	f->dump.id.word = (uint8_t)word;
	fake_ready(f);
	ok(written_right(f, 0) && reads_back(f, PAGE_ABSENT), "%" PRIu64 " runs of pages", runs);
	c = core_read();
	ok(c.nr == runs + 1 && (c.phnum == 0xffff) == many && (c.shoff != 0) == many && c.word == 8,
	   "and as many headers");
	core_free(&c);
	fake_free(f);
}

static void test_erased(void)
{
	static const uint8_t text[] = "erase jiffies 8\n";
	struct fake *f = vmcore_new(4096);
	_cleanup_free_ uint8_t *again = NULL;
	struct bytes b;
	struct note n;
	struct core c;
	size_t len = 0;

	f->plan.tool_note = (const uint8_t *)"\x9\0\0\0\3\0\0\0PMUDDUMPTOOL\0\0\0\0abc\0";
	f->plan.tool_note_len = 28;
	f->plan.eraseinfo = text;
	f->plan.eraseinfo_len = sizeof(text) - 1;
	ok(written_right(f, 0), "what was erased is a note");
	c = core_read();
	b = bytes_init(c.raw + c.p[0].off, c.p[0].filesz, c.order, "notes", 0);
	ok(note_next(&b, &n) && note_owner_is(&n, "CORE") && note_next(&b, &n) && toolnote_is(&n) &&
		   note_next(&b, &n) && note_owner_is(&n, "ERASEINFO") && n.type == 0 &&
		   n.desc_len == sizeof(text) - 1 && !memcmp(n.desc, text, n.desc_len) &&
		   !note_next(&b, &n) && !b.overrun,
	   "behind the others");
	core_free(&c);
	if (!note_append(&again, &len, ORDER_LE, "ERASEINFO", 0, text, sizeof(text)))
		abort();
	f->plan.notes = again;
	f->plan.notes_len = len;
	ok(written_right(f, 0), "a source that is ELF has it already");
	c = core_read();
	ok(c.p[0].filesz == len + 28, "and it comes once");
	core_free(&c);
	fake_free(f);
}

/* Our own note tells what was left out, and the segments of the source. */
static void test_noted(void)
{
	struct toolnote how = { .version = "1", .command = "test", .codec = "none", .level = 31 };
	struct fake *f = vmcore_new(4096), *again;
	static const struct format source = { .name = "elf" };
	_cleanup_free_ uint8_t *note = NULL;
	size_t len, note_len = 0, whole = f->dump.nr_segments;
	struct dump *d;
	char *text;

	forget_edges(f);
	/* What no segment has nobody tells. */
	f->state[0] = PAGE_ABSENT;
	memset(f->state + 0xc00, PAGE_ABSENT, 0x40);
	pfnset_clear(&f->keep, 0, 1);
	pfnset_clear(&f->keep, 0xc00, 0x40);
	f->dump.format = &source;
	text = toolnote_text(&f->dump, &how, &len);
	if (!text ||
	    !note_append(&note, &note_len, ORDER_LE, TOOL_NOTE_OWNER, TOOL_NOTE_TYPE, text, len))
		abort();
	free(text);
	f->plan.tool_note = note;
	f->plan.tool_note_len = note_len;
	f->state[0x9f] = f->state[0x400] = f->state[0xb00] = PAGE_EXCLUDED;
	ok(written_right(f, 0) && reads_back(f, PAGE_EXCLUDED), "left out is not absent");
	d = reopen(4096, NULL);
	ok(d->segments_noted && d->nr_segments == whole &&
		   d->segments[3].vaddr == vmcore_segments[3].vaddr &&
		   d->segments[1].memsz == 0x9ec00,
	   "the segments of the source are known again");
	again = vmcore_new(4096);
	set_segments(again, d->segments, d->nr_segments);
	ok(written_right(again, 0), "and written again");
	dump_close(d);
	fake_free(f);
	fake_free(again);
}

/* ---- pages that cannot be read ---- */

static void test_lost(void)
{
	struct fake *f = vmcore_new(4096);
	uint64_t pfn;

	forget_edges(f);
	for (pfn = 0; pfn < f->nr_pages; pfn++)
		f->lost[pfn] = pfn % 97 == 1 || pfn / 16 == 0x70 || pfn == 0xb00;
	ok(written_right(f, 0) && !f->warnings, "pages that cannot be read are in no segment");
	ok(reads_back(f, PAGE_ABSENT), "and nobody reads zeros");
	memset(f->lost, true, f->nr_pages);
	ok(written_right(f, 0), "also when all are lost");
	fake_free(f);
}

/* More damage than there is room for. */
static void test_lost_many(unsigned int step, uint64_t nr)
{
	struct fake *f = fake_new(nr, 512);
	uint64_t pfn, whole = 0, zeros = 0, lost = 0;
	struct dump *d;
	struct core c;

	fake_ram(f, 0, nr, 1000000);
	fake_ready(f);
	for (pfn = 1; pfn < nr; pfn += step)
		f->lost[pfn] = true;
	ok(!write_file(f) && f->warnings == 1, "much damage: %s", f->said);
	c = core_read();
	ok(c.flags == 1 && c.nr > 250 && c.nr <= 259, "stays marked, with what there is room for");
	core_free(&c);
	d = reopen(512, NULL);
	for (pfn = 0; pfn < nr; pfn++) {
		bool there = dump_page_state(d, SPACE_PHYS, pfn) == PAGE_DATA;

		whole += there && !f->lost[pfn];
		zeros += there && f->lost[pfn];
		lost += f->lost[pfn];
	}
	ok(d->incomplete && whole == nr - lost && zeros < lost && zeros >= lost - 260,
	   "nothing good is lost with it");
	dump_close(d);
	fake_free(f);
}

/* ---- failures ---- */

static void test_abandon(void)
{
	struct fake *f = vmcore_new(4096);
	struct dump *d;
	struct core c;
	uint64_t pfn, bad = 0;

	f->lost[0x10] = true;
	pfnset_set(&f->keep, 0x10, 1);
	f->stop_at = 0x200;
	if (sink_file(path, SINK_FORCE, &f->part.sink, &f->e))
		abort();
	ok(!fake_put_all(f, &elf_format), "some of it is written");
	elf_format.abandon(&f->part);
	ok(!f->part.priv, "and left");
	sink_close(f->part.sink);
	c = core_read();
	ok(c.flags == 1, "it says so");
	core_free(&c);
	d = reopen(4096, NULL);
	for (pfn = 0; pfn < f->nr_pages; pfn++) {
		enum page_state is = dump_page_state(d, SPACE_PHYS, pfn);

		if (pfn == 0x10)
			bad += is != PAGE_ABSENT;
		else if (pfn >= 0x200 && is_kept(f, pfn))
			bad += is != PAGE_UNREADABLE;
		else if (is_kept(f, pfn) && f->state[pfn] == PAGE_DATA)
			bad += is != PAGE_DATA;
	}
	ok(d->incomplete && d->damage.missing_bytes && !bad,
	   "what was not written is missing, the rest is there");
	dump_close(d);
	f->part.priv = NULL;
	elf_format.abandon(&f->part);
	fake_free(f);
}

/* A full disk, wherever it is full. */
static void test_full(void)
{
	struct fake *f = vmcore_new(4096);
	uint64_t limit, bad = 0;
	struct core c;

	for (limit = 100; limit < 10 << 20; limit = limit * 7 + 4096) {
		if (sink_file(path, SINK_FORCE, &f->part.sink, &f->e))
			abort();
		sink_set_limit(f->part.sink, limit);
		bad += !fake_write(f, &elf_format) || f->e.code != ERR_NOSPACE;
		sink_close(f->part.sink);
		c = core_read();
		bad += c.len >= 64 && c.flags != 1;
		core_free(&c);
	}
	is_u64(bad, 0, "a full disk leaves the mark");
	fake_free(f);
}

/* The input shrinks while it is written: the batch is refused, and comes again. */
static void test_fault(void)
{
	char input[] = "/tmp/test_elf_input.XXXXXX";
	int fd = mkstemp(input);
	struct fake *f = fake_new(64, 4096);
	struct page_out pages[64];
	static uint8_t copy[64 * 4096];
	struct iovec iov;
	struct batch b = {
		.pages = pages, .nr_pages = 64, .iov = &iov, .nr_iov = 1, .bytes = sizeof(copy)
	};
	struct window w;
	struct source *s;
	uint64_t i;

	fake_ram(f, 0, 64, 1000);
	f->state[0] = PAGE_DATA;
	fake_ready(f);
	for (i = 0; i < 64; i++) {
		fake_fill(f, i, copy + i * 4096);
		pages[i] = (struct page_out){ .pfn = i, .state = PAGE_DATA, .size = 4096 };
	}
	if (write(fd, copy, sizeof(copy)) != sizeof(copy) ||
	    source_fd(fd, input, SOURCE_MMAP, &s, &f->e) ||
	    source_get(s, 0, SOURCE_SLACK, &w, &f->e) || ftruncate(fd, 32 * 4096) ||
	    sink_file(path, SINK_FORCE, &f->part.sink, &f->e) || elf_format.begin(&f->part, &f->e))
		abort();
	iov = (struct iovec){ .iov_base = (void *)w.data, .iov_len = sizeof(copy) };
	ok(elf_format.put(&f->part, &b, &f->e) == -1 && f->e.code == ERR_UNREADABLE,
	   "pages that vanish: %s", f->e.text);
	iov = (struct iovec){ .iov_base = copy, .iov_len = 32 * 4096 };
	b.bytes = iov.iov_len;
	for (i = 32; i < 64; i++) {
		pages[i].state = PAGE_UNREADABLE;
		f->lost[i] = true;
	}
	ok(!elf_format.put(&f->part, &b, &f->e) && !elf_format.commit(&f->part, &f->e),
	   "the batch comes again, without them");
	elf_format.finish(&f->part);
	sink_close(f->part.sink);
	ok(reads_back(f, PAGE_ABSENT), "and they are in no segment");
	source_put(&w);
	source_close(s);
	unlink(input);
	fake_free(f);
}

/* ---- streams ---- */

#define ROOM ((size_t)24 << 20)

static void test_stream(bool damaged)
{
	_cleanup_free_ uint8_t *out = calloc(1, ROOM), *seen = calloc(1, ROOM), *raw = NULL;
	struct fake *f = vmcore_new(4096);
	int fd = open(path, O_RDWR | O_TRUNC), rc;
	uint64_t i, gaps = 0, nr_lost = 0;
	size_t len, twice;
	struct core c;

	for (i = 0x480; i < 0x490 && damaged; i++) {
		f->lost[i] = true;
		nr_lost += pfnset_test(&f->keep, i);
	}
	rc = sink_flat(fd, "stream", &f->part.sink, &f->e) || fake_write(f, &elf_format);
	sink_close(f->part.sink);
	close(fd);
	raw = fake_slurp(path, &len);
	ok(!rc && fake_rearrange(raw, len, out, seen, ROOM, &twice) && !twice,
	   "a stream, no byte of it twice");
	for (len = ROOM; len && !seen[len - 1];)
		len--;
	for (i = 0; i < len; i++)
		gaps += !seen[i];
	is_u64(gaps, nr_lost * 4096, "its only gaps are pages that cannot be read");
	memset(f->lost, false, f->nr_pages);
	c = core_parse(out, len);
	out = NULL;
	if (!damaged)
		ok(core_right(&c, f) && c.flags == 0, "put together it is the file");
	core_free(&c);
	fake_free(f);
}

/* ---- numbers that nobody should believe ---- */

static void test_hostile(void)
{
	size_t nr = 16384, i;
	struct segment *s = calloc(nr, sizeof(*s));
	struct fake *f = fake_new(2100, 4096);
	struct core c;

	for (i = 0; i < nr; i++)
		s[i] = (struct segment){ .paddr = i, .memsz = UINT64_MAX / 2, .vaddr = i };
	fake_ram(f, 0, 2100, 1000);
	fake_ready(f);
	for (i = 0; i < 2100; i += 2)
		pfnset_clear(&f->keep, i, 1);
	set_segments(f, s, nr);
	ok(!write_file(f) && f->warnings == 1, "segments without end: %s", f->said);
	c = core_read();
	is_u64(c.nr, 1051, "memory is there all the same");
	core_free(&c);
	s[0] = (struct segment){ .paddr = UINT64_MAX - 100, .memsz = 100 };
	s[1] = (struct segment){ .paddr = UINT64_MAX, .memsz = 0 };
	s[2] = (struct segment){ .paddr = 0x10800, .filesz = 0x1000, .memsz = 0 };
	set_segments(f, s, 3);
	ok(!write_file(f), "segments at the end of the world");
	fake_free(f);
	free(s);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		abort();
	close(fd);
	test_vmcore(4096);
	test_vmcore(65536);
	test_be32();
	test_large32();
	test_vaddr();
	test_bare();
	test_many(65533, ORDER_LE, 8);
	test_many(65534, ORDER_LE, 8);
	test_many(70000, ORDER_BE, 4);
	test_erased();
	test_noted();
	test_lost();
	test_lost_many(7, 4000);
	test_lost_many(2, 40000);
	test_abandon();
	test_full();
	if (sigbus_works())
		test_fault();
	else
		ok(true, "the input shrinks # SKIP a lost page cannot be replaced here");
	test_stream(false);
	test_stream(true);
	test_hostile();
	unlink(path);
	return done_testing();
}
