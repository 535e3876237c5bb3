/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of the kernel: a file of this machine, else what the kernel has in its own
 * memory (CONFIG_IKCONFIG; kernel/configs.c): gzip between two marks, at kernel_config_data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bundle.h"
#include "cleanup.h"
#include "kallsyms.h"
#include "kmem.h"
#include "main.h"

#define MARK 8u
#define GZIP 3u			     /* magic, and the only method there is (RFC 1952, 2.3) */
#define MAX_PACKED ((size_t)4 << 20) /* between the marks: usually 30 to 100 KiB */
#define MAX_TEXT ((uint64_t)16 << 20)
#define MAX_SCANNED ((uint64_t)1 << 30) /* bytes of memory that are looked through */
#define MAX_TRIES 16u
#define MAX_PAGE 65536u
#define STEP 4096u

static const char first_mark[] = "IKCFG_ST\x1f\x8b\x08", last_mark[] = "IKCFG_ED";

/* Memory by virtual address, or as it lies in the machine. */
struct memory {
	struct kmem mem;
	const struct bundle *bundle;
	struct dump *dump;
	bool physical;
};

static int peek(const struct memory *m, uint64_t at, void *buf, size_t len)
{
	struct err ignored = ERR_INIT;

	return m->physical ? reader_read(m->mem.reader, SPACE_PHYS, at, buf, len, &ignored)
			   : kmem_read(&m->mem, at, buf, len, &ignored);
}

/* ---- what lies at an address ---- */

/* Length of what begins at AT and ends before the last mark, in BUF; 0: it has no end. */
static size_t read_packed(const struct memory *m, uint64_t at, uint8_t *buf)
{
	size_t len = 0, n;

	while (len < MAX_PACKED && !peek(m, at + len, buf + len, n = STEP - (at + len) % STEP)) {
		size_t from = len < MARK ? 0 : len - MARK;
		const uint8_t *end = memmem(buf + from, len + n - from, last_mark, MARK);

		if (end)
			return (size_t)(end - buf);
		len += n;
	}
	return 0;
}

/* BUF as a file without a name. */
static int file_of(const uint8_t *buf, size_t len)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, buf, len) != (ssize_t)len) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The text whose gzip begins at AT, as a file; -1: there is none. */
static int text_at(const struct memory *m, uint64_t at)
{
	_cleanup_free_ uint8_t *buf = malloc(MAX_PACKED + STEP);
	size_t len = buf ? read_packed(m, at, buf) : 0;
	int packed = len ? file_of(buf, len) : -1, fd = -1;
	struct err ignored = ERR_INIT;
	char first;

	if (packed >= 0) {
		if (bundle_unpacked(m->bundle, packed, "the configuration in memory", MAX_TEXT, &fd,
				    &ignored))
			fd = -1;
		close(packed);
	}
	/* Each begins with a comment. */
	if (fd >= 0 && (pread(fd, &first, 1, 0) != 1 || first != '#')) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- where it lies ---- */

/* The symbol is behind the mark; before 5.1 (commit 13610aa908dc) it was at the mark. */
static int text_at_symbol(const struct memory *m, uint64_t at)
{
	char mark[MARK];

	if (!peek(m, at, mark, MARK) && !memcmp(mark, first_mark, MARK))
		at += MARK;
	return text_at(m, at);
}

/* Does its table of symbols have data too (CONFIG_KALLSYMS_ALL)? Then what is not there is not. */
static bool knows_data(const struct kernel *k)
{
	struct err ignored = ERR_INIT;
	const struct kallsyms *ks = kernel_kallsyms(k, &ignored);
	uint64_t at;

	return ks && kallsyms_find(ks, "linux_banner", &at);
}

/* One page behind the end of the one before it, in BUF: marks may lie in both. */
static int text_in_page(const struct memory *m, uint64_t at, const uint8_t *buf, size_t len,
			unsigned int *tries)
{
	const size_t size = MARK + GZIP;
	const uint8_t *p = buf, *end = buf + len;
	int fd = -1;

	while (fd < 0 && *tries < MAX_TRIES &&
	       (p = memmem(p, (size_t)(end - p), first_mark, size))) {
		fd = text_at(m, at + (uint64_t)(p - buf) + MARK);
		p += size;
		++*tries;
	}
	return fd;
}

/* What is left to look through. */
struct search {
	const struct memory *memory;
	uint64_t left; /* pages */
	unsigned int tries;
};

/* Of a run of pages; the image of the kernel is in one piece. */
static int text_in_run(struct search *s, const struct run *run)
{
	const struct memory *m = s->memory;
	const size_t page = m->dump->id.page_size, keep = MARK + GZIP - 1;
	uint8_t buf[MARK + GZIP - 1 + MAX_PAGE];
	struct err ignored = ERR_INIT;
	uint64_t pfn = run->pfn;
	int fd = -1;

	memset(buf, 0, keep);
	for (; fd < 0 && s->left && pfn < run->pfn + run->nr && !interrupted; pfn++, s->left--) {
		if (reader_page(m->mem.reader, SPACE_PHYS, pfn, buf + keep, &ignored))
			memset(buf + keep, 0, page);
		fd = text_in_page(m, pfn * page - keep, buf, keep + page, &s->tries);
		memcpy(buf, buf + page, keep);
	}
	return fd;
}

static int text_in_memory(const struct memory *m, uint64_t pfn)
{
	const size_t page = m->dump->id.page_size;
	struct search s = { .memory = m };
	struct run run;
	int fd = -1;

	if (page && page <= MAX_PAGE)
		s.left = MAX_SCANNED / page;
	while (fd < 0 && s.left && s.tries < MAX_TRIES && !interrupted &&
	       dump_next_run(m->dump, SPACE_PHYS, pfn, &run)) {
		if (run.state == PAGE_DATA)
			fd = text_in_run(&s, &run);
		pfn = run.pfn + run.nr;
	}
	return fd;
}

/* A descriptor of the text; -1: the kernel has none, or it cannot be had. */
static int find_in_kernel(const struct bundle *b, struct session *s)
{
	struct memory m = { .bundle = b, .dump = s->dump };
	struct err ignored = ERR_INIT;
	struct mapping to;
	struct reader r;
	uint64_t at;
	int fd = -1;

	reader_init(&r, s->dump);
	m.mem = (struct kmem){ &s->kernel, &s->xlat, &r };
	if (kernel_fact(&s->kernel, FACT_SYMBOL, "kernel_config_data", &at)) {
		fd = text_at_symbol(&m, at);
	} else if (!knows_data(&s->kernel)) {
		m.physical = true;
		at = 0;
		if (kernel_fact(&s->kernel, FACT_SYMBOL, "_stext", &at) &&
		    !xlat_lookup(&s->xlat, &r, at, &to, &ignored))
			at = to.paddr;
		fd = text_in_memory(&m, at / MAX(s->dump->id.page_size, 1u));
	}
	reader_fini(&r);
	return fd;
}

/* ---- the member ---- */

/* A file of this machine that goes by the kernel's release alone. */
static int add_named(struct bundle *b, const char *path, bool *added, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct place f;
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_TEXT };

	*added = !places_open(b->places, path, &f, &ignored);
	if (!*added)
		return 0;
	m.path = bundle_path(path);
	bundle_take_place(&m, &f, MEMBER_BY_NAME);
	return bundle_add(b, &m, e);
}

static int add_from_kernel(struct bundle *b, struct session *s, const char *release, bool *added,
			   struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_TEXT, .status = MEMBER_MADE };
	off_t size;

	m.fd = find_in_kernel(b, s);
	*added = m.fd >= 0;
	if (!*added)
		return 0;
	size = lseek(m.fd, 0, SEEK_END);
	m.size = size > 0 ? (uint64_t)size : 0;
	m.path = bundle_text("boot/config-%s", release[0] ? release : "unknown");
	m.note = bundle_text("out of the kernel's memory (CONFIG_IKCONFIG)");
	return bundle_add(b, &m, e);
}

int bundle_config(struct bundle *b, struct session *s, const char *release, struct err *e)
{
	static const struct {
		const char *before, *behind;
	} names[] = { { "/boot/config-", "" },
		      { "/lib/modules/", "/config" },
		      { "/usr/lib/modules/", "/config" } };
	char path[256];
	bool added = false;
	size_t i;

	for (i = 0; release[0] && i < ARRAY_SIZE(names) && !added; i++) {
		snprintf(path, sizeof(path), "%s%s%s", names[i].before, release, names[i].behind);
		if (add_named(b, path, &added, e))
			return -1;
	}
	return added ? 0 : add_from_kernel(b, s, release, &added, e);
}
