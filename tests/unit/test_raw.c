/* SPDX-License-Identifier: GPL-2.0-or-later */
/* formats/raw.c: images without a header, written, and put together out of several files. */
#include <fcntl.h>
#include <unistd.h>

#include "arch.h"
#include "bytes.h"
#include "fake_dump.h"
#include "formats.h"

#define PAGE 4096u

static char dir[] = "/tmp/test_raw.XXXXXX";
static char path[64], growing[80];

/* ---- writing ---- */

/* 4 MiB from 2 MiB on, and a piece behind a hole; the last page is not kept. */
static struct fake *machine_new(void)
{
	struct fake *f = fake_new(0x900, PAGE);
	uint64_t i;

	fake_ram(f, 0x200, 0x600, 3);
	fake_ram(f, 0x800, 0x820, 3);
	fake_ready(f);
	for (i = 0x200; i < 0x820; i += 1 + fake_random(30))
		pfnset_clear(&f->keep, i, 1 + fake_random(5));
	pfnset_clear(&f->keep, 0x81f, 1);
	return f;
}

/* Every page is at its address, zeros where there is none. */
static unsigned int compare(const struct fake *f, const uint8_t *raw, size_t len)
{
	static uint8_t want[PAGE];
	uint64_t pfn;

	if (len != f->plan.max_pfn * PAGE)
		return 1;
	for (pfn = 0; pfn < f->plan.max_pfn; pfn++) {
		memset(want, 0, PAGE);
		if (pfnset_test(&f->keep, pfn) && !f->lost[pfn])
			fake_fill(f, pfn, want);
		if (memcmp(raw + pfn * PAGE, want, PAGE))
			return 1;
	}
	return 0;
}

static void test_write(void)
{
	struct fake *f = machine_new();
	_cleanup_free_ uint8_t *raw = NULL;
	struct stat st;
	size_t len;

	f->lost[0x300] = true;
	pfnset_set(&f->keep, 0x300, 1);
	if (sink_file(path, SINK_RENAME, &f->part.sink, &f->e))
		abort();
	ok(!fake_put_all(f, &raw_format) && !access(growing, F_OK) && access(path, F_OK),
	   "grows under another name");
	ok(!raw_format.commit(&f->part, &f->e) && access(growing, F_OK) && !stat(path, &st),
	   "and has its own when it is whole");
	raw_format.finish(&f->part);
	sink_close(f->part.sink);
	raw = fake_slurp(path, &len);
	ok(!compare(f, raw, len), "each page at its address");
	ok((uint64_t)st.st_blocks * 512 <= 0x420 * PAGE * 3 / 4, "the rest is holes");
	ok(f->warnings == 1, "what it cannot tell is told: %s", f->said);
	unlink(path);
	fake_free(f);
}

static void test_whole(void)
{
	struct fake *f = fake_new(100, PAGE);

	fake_ram(f, 0, 100, 3);
	fake_ready(f);
	if (sink_file(path, 0, &f->part.sink, &f->e))
		abort();
	ok(!fake_write(f, &raw_format) && !f->warnings, "all of a memory: nothing to tell");
	sink_close(f->part.sink);
	unlink(path);
	f->plan.max_pfn = UINT64_MAX / PAGE;
	if (sink_null("nowhere", &f->part.sink, &f->e))
		abort();
	ok(fake_write(f, &raw_format) == -1 && f->e.code == ERR_UNSUPPORTED,
	   "memory beyond any file: %s", f->e.text);
	sink_close(f->part.sink);
	fake_free(f);
}

static void test_abandon(void)
{
	struct fake *f = machine_new();

	f->stop_at = 0x400;
	if (sink_file(path, SINK_RENAME, &f->part.sink, &f->e) || fake_put_all(f, &raw_format))
		abort();
	raw_format.abandon(&f->part);
	sink_close(f->part.sink);
	ok(!access(growing, F_OK) && access(path, F_OK) && !f->part.priv,
	   "what is not whole keeps the other name");
	unlink(growing);
	fake_free(f);
}

#define ROOM ((size_t)16 << 20)

static void test_stream(void)
{
	_cleanup_free_ uint8_t *out = calloc(1, ROOM), *seen = calloc(1, ROOM), *raw = NULL;
	struct fake *f = machine_new();
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), rc;
	uint64_t pfn, bad = 0;
	size_t len, twice;

	rc = sink_flat(fd, "stream", &f->part.sink, &f->e) || fake_write(f, &raw_format);
	sink_close(f->part.sink);
	close(fd);
	raw = fake_slurp(path, &len);
	ok(!rc && fake_rearrange(raw, len, out, seen, ROOM, &twice) && !twice,
	   "a stream, no byte of it twice");
	for (len = ROOM; len && !seen[len - 1];)
		len--;
	ok(!compare(f, out, len), "put together it is the image");
	for (pfn = 0; pfn < f->plan.max_pfn; pfn++)
		bad += seen[pfn * PAGE] != (pfnset_test(&f->keep, pfn) || pfn == 0x81f);
	is_u64(bad, 0, "what is not in it is not sent");
	unlink(path);
	fake_free(f);
}

/* ---- reading ---- */

static uint8_t memory[4][40000];

struct file {
	size_t len;
	uint64_t base;
};

/* The dump of some files; their bytes are those of memory[]. */
static int open_files(const struct file *files, unsigned int nr, struct log *log, struct dump **ret,
		      struct err *e)
{
	static const struct arch *const no_archs[] = { NULL };
	struct source *s[4] = { NULL };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		s[i] = source_memory("file", memory[i], files[i].len);
		if (files[i].base != UINT64_MAX)
			source_set_base(s[i], files[i].base);
	}
	if (dump_open(s, nr, formats, log, ret, e)) {
		for (i = 0; i < nr; i++)
			source_close(s[i]);
		return -1;
	}
	return dump_bind(*ret, no_archs, NULL, e);
}

static int byte_at(const struct file *files, unsigned int nr, uint64_t addr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (addr >= files[i].base && addr - files[i].base < files[i].len)
			return memory[i][addr - files[i].base];
	return -1;
}

/* Is the page one in which a file is cut off? It begins with a page, then, and nothing goes on. */
static bool is_cut(const struct file *files, unsigned int nr, uint64_t pfn)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		uint64_t end = files[i].base + files[i].len;

		if (files[i].len && files[i].base % PAGE == 0 && end % PAGE && end / PAGE == pfn &&
		    byte_at(files, nr, end) < 0)
			return true;
	}
	return false;
}

/* Every byte is that of the file that was named first. */
static bool reads_right(const struct file *files, unsigned int nr, unsigned int *warnings)
{
	static uint8_t page[PAGE], view[PAGE];
	struct fake hears = { .log = { .emit = fake_hear } };
	struct err e = ERR_INIT;
	unsigned int bad = 0;
	bool cut = false;
	struct reader r;
	struct dump *d;
	uint64_t pfn, i;

	if (open_files(files, nr, &hears.log, &d, &e))
		return false;
	reader_init(&r, d);
	for (pfn = 0; pfn < 0x60; pfn++) {
		bool any = false;

		if (is_cut(files, nr, pfn)) {
			bad += dump_page_state(d, SPACE_PHYS, pfn) != PAGE_UNREADABLE;
			cut = true;
			continue;
		}
		if (dump_page_state(d, SPACE_PHYS, pfn) == PAGE_DATA)
			bad += reader_page(&r, SPACE_PHYS, pfn, page, &e) ||
			       reader_read(&r, SPACE_PHYS, pfn * PAGE, view, PAGE, &e) ||
			       memcmp(page, view, PAGE);
		else
			memset(page, 0, PAGE);
		for (i = 0; i < PAGE; i++) {
			int want = byte_at(files, nr, pfn * PAGE + i);

			any |= want >= 0;
			bad += page[i] != MAX(want, 0);
		}
		bad += any != (dump_page_state(d, SPACE_PHYS, pfn) == PAGE_DATA);
	}
	*warnings = hears.warnings;
	bad += d->format != &raw_format || d->id.word != 8 || d->id.order != ORDER_LE ||
	       (d->damage.missing_bytes != 0) != cut;
	reader_fini(&r);
	dump_close(d);
	return !bad;
}

static const struct {
	const char *what;
	unsigned int nr, warnings;
	struct file files[4];
} cases[] = {
	{ "one file", 1, 0, { { 32768, 0 } } },
	{ "one somewhere, at no page's beginning", 1, 0, { { 40000, 0x2345 } } },
	{ "two with a hole between", 2, 0, { { 8192, 0x10000 }, { 16384, 0x1000 } } },
	{ "two side by side in one page", 2, 0, { { 5000, 0x1000 }, { 5000, 0x1000 + 5000 } } },
	{ "one that is cut off inside of a page", 1, 1, { { 30000, 0x3000 } } },
	{ "the second over the first", 2, 2, { { 20000, 0x4000 }, { 20000, 0x2000 } } },
	{ "the first over the second", 2, 2, { { 20000, 0x2000 }, { 20000, 0x4000 } } },
	{ "one inside the other", 2, 2, { { 40000, 0 }, { 3000, 0x1100 } } },
	{ "one around the other", 2, 2, { { 3000, 0x1100 }, { 40000, 0 } } },
	{ "the same place", 3, 2, { { 100, 0x5010 }, { 8192, 0x5000 }, { 8192, 0x5000 } } },
	{ "all over", 4, 3, { { 9000, 0x3100 }, { 9000, 0x8000 }, { 40000, 0 }, { 40000, 10 } } },
	{ "an empty one beside", 2, 0, { { 4096, 0 }, { 0, 0x800 } } },
};

static void test_read(void)
{
	unsigned int warnings;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ok(reads_right(cases[i].files, cases[i].nr, &warnings), "%s", cases[i].what);
		is_u64(warnings, cases[i].warnings, "the log knows who lost");
	}
}

static void test_random(void)
{
	struct file files[4] = { { 0, 0 } };
	unsigned int i, k, warnings, bad = 0;

	for (i = 0; i < 300; i++) {
		unsigned int nr = 1 + fake_random(4);

		for (k = 0; k < nr; k++)
			files[k] = (struct file){ .len = 1 + fake_random(40000),
						  .base = fake_random(0x50000) };
		bad += !reads_right(files, nr, &warnings);
	}
	is_u64(bad, 0, "files anywhere");
}

static void test_refused(void)
{
	static const struct file nowhere[] = { { 4096, 0 }, { 4096, UINT64_MAX } },
				 high[] = { { 4096, 1ULL << 56 } };
	struct err e = ERR_INIT;
	struct dump *d;

	ok(open_files(nowhere, 2, NULL, &d, &e) == -1 && e.code == ERR_USAGE,
	   "a file without an address: %s", e.text);
	ok(open_files(nowhere + 1, 1, NULL, &d, &e) == -1 && e.code == ERR_UNSUPPORTED,
	   "is no raw image alone: %s", e.text);
	ok(open_files(high, 1, NULL, &d, &e) == -1 && e.code == ERR_USAGE, "no such machine: %s",
	   e.text);
}

/* What looks like another format is memory when it is said to be. */
static void test_looks_like(void)
{
	static const struct file at = { 4096, 0x1000 };
	struct err e = ERR_INIT;
	struct dump *d;

	memcpy(memory[0], "\177ELF\2\1\1", 7);
	ok(!open_files(&at, 1, NULL, &d, &e) && d->format == &raw_format,
	   "an ELF file in memory is memory");
	dump_close(d);
}

int main(void)
{
	unsigned int i, k;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/out", dir);
	snprintf(growing, sizeof(growing), "%s.incomplete", path);
	for (k = 0; k < 4; k++)
		for (i = 0; i < sizeof(memory[k]); i++)
			memory[k][i] = (uint8_t)(1 + fake_random(255));
	test_write();
	test_whole();
	test_abandon();
	test_stream();
	test_read();
	test_random();
	test_refused();
	test_looks_like();
	rmdir(dir);
	return done_testing();
}
