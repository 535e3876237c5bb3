/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver of last resort, full link only: what foreign.c recognises, read through libkdumpfile
 * (0.5.1 and later; what newer ones have is asked for by name).
 *
 * The library has a map of the pages in the file for some formats only. LKCD's list of pages is
 * gone through here, once. For the others (S390DUMP, Xen dump-core) a page is there when it can be
 * read: blocks of pages are tried when they are first asked about, and remembered. Who looks at all
 * memory pays for a touch of each page of the file.
 *
 * The library takes sizes and counts from the file as they are. What comes from it is bounded here;
 * what it does to itself is beyond us.
 */
#include <libkdumpfile/kdumpfile.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "format.h"
#include "lastresort.h"
#include "note.h"

#define BLOCK_PAGES 1024u
#define MAX_PFN (1ULL << 32) /* LKCD's limit in the library; 16 TiB of 4 KiB pages */
#define MAX_MISSES \
	(1ULL << 24) /* pages in a row tried in vain: a hole of 64 GiB; four times that in all */
#define MAX_BLOB ((size_t)1 << 20)
#define MAX_CPUS 8192u
#define MAX_REG_NAMES 128u

/* How a page's state is stored: two bits. */
static const enum page_state states[] = { PAGE_ABSENT, PAGE_DATA, PAGE_EXCLUDED, PAGE_UNREADABLE };
enum { IS_ABSENT, IS_DATA, IS_EXCLUDED, IS_UNREADABLE };

/* What is known about BLOCK_PAGES pages: nothing yet, all the same, or two bits each. */
struct block {
	bool known;
	uint8_t all;
	uint8_t *bits; /* or NULL */
};

struct lastresort {
	struct dump *dump;
	pthread_mutex_t lock;	 /* a kdump_ctx_t is for one thread at a time */
	kdump_ctx_t *ctx;	 /* NULL: it could not be opened once more */
	kdump_addrspace_t phys;	 /* what SPACE_PHYS is there */
	bool two_spaces;	 /* a Xen guest that knows machine addresses */
	kdump_bmp_t *file, *ram; /* pages in the file, pages of memory; NULL: to be tried out */
	uint64_t page_size;
	uint64_t max_pfn;
	uint64_t nr_blocks;
	uint64_t misses; /* pages that were tried in vain */
	struct block *blocks;
	struct run last; /* the run that was found last: neighbours are asked for one by one */
	char reg_names[MAX_REG_NAMES][16];
	unsigned int nr_reg_names;
};

/* ---- the library ---- */

static int kd_error(struct lastresort *x, kdump_status status, struct err *e)
{
	const char *text = x->ctx ? kdump_get_err(x->ctx) : NULL;
	enum err_code code = status == KDUMP_ERR_NOTIMPL   ? ERR_UNSUPPORTED
			     : status == KDUMP_ERR_CORRUPT ? ERR_CORRUPT
							   : ERR_UNREADABLE;

	return err_set(e, code, "libkdumpfile: %s", text ? text : kdump_strerror(status));
}

static bool get_number(struct lastresort *x, const char *key, uint64_t *ret)
{
	kdump_num_t n;

	if (kdump_get_number_attr(x->ctx, key, &n) != KDUMP_OK)
		return false;
	*ret = n;
	return true;
}

/* A text of printable characters, or nothing. */
static bool get_text(struct lastresort *x, const char *key, char *ret, size_t size)
{
	const char *text;
	size_t i;

	if (kdump_get_string_attr(x->ctx, key, &text) != KDUMP_OK || strlen(text) >= size)
		return false;
	for (i = 0; text[i]; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	strcpy(ret, text);
	return true;
}

static kdump_bmp_t *get_bitmap(struct lastresort *x, const char *key)
{
	kdump_attr_t attr = { .type = KDUMP_BITMAP };
	kdump_addr_t first = 0;

	/* One without any page is that of a format that has none (Xen dump-core). */
	if (kdump_get_typed_attr(x->ctx, key, &attr) != KDUMP_OK ||
	    kdump_bmp_find_set(attr.val.bitmap, &first) != KDUMP_OK)
		return NULL;
	kdump_bmp_incref(attr.val.bitmap);
	return attr.val.bitmap;
}

/*
 * Mapped, the library knows where a file ends; read, it takes zeros for what lies beyond. But a
 * mapping that cannot be had fails for good, and address space may be short.
 */
static kdump_mmap_policy_t mmap_policy(const struct dump *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_sources; i++)
		if (!source_maps(d->sources[i]))
			return KDUMP_MMAP_NEVER;
	return sizeof(void *) > 4 ? KDUMP_MMAP_ALWAYS : KDUMP_MMAP_TRY;
}

static void kd_close(struct lastresort *x)
{
	if (x->file)
		kdump_bmp_decref(x->file);
	if (x->ram)
		kdump_bmp_decref(x->ram);
	if (x->ctx)
		kdump_free(x->ctx);
	x->file = x->ram = NULL;
	x->ctx = NULL;
}

static int kd_open(struct lastresort *x, struct err *e)
{
	struct dump *d = x->dump;
	_cleanup_free_ int *fds = calloc(d->nr_sources, sizeof(*fds));
	kdump_status status;
	unsigned int i;

	x->ctx = kdump_new();
	if (!fds || !x->ctx)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (i = 0; i < d->nr_sources; i++) {
		fds[i] = source_get_fd(d->sources[i]);
		if (fds[i] < 0)
			return err_set(
				e, ERR_UNSUPPORTED,
				"%s: is read through libkdumpfile, which needs a plain file; "
				"save it %s first",
				source_name(d->sources[i]),
				source_kind(d->sources[i]) ? "unpacked" : "as one");
	}
	kdump_set_number_attr(x->ctx, KDUMP_ATTR_FILE_MMAP_POLICY, mmap_policy(d));
	source_guard(true);
	status = kdump_open_fdset(x->ctx, d->nr_sources, fds);
	source_guard(false);
	if (status != KDUMP_OK) {
		kd_error(x, status, e);
		return err_add(e, "%s", source_name(d->source));
	}
	x->file = get_bitmap(x, KDUMP_ATTR_FILE_PAGEMAP);
	x->ram = x->file ? get_bitmap(x, KDUMP_ATTR_MEMORY_PAGEMAP) : NULL;
	return 0;
}

/*
 * LEN bytes at ADDR; *got tells how many there are. A page of the file that the system could not
 * deliver was taken for zeros: that is no data, and must not be met again in the library's caches.
 * E may be NULL: who only tries does not want to know why.
 */
static int kd_read(struct lastresort *x, enum space space, uint64_t addr, void *buf, size_t len,
		   size_t *got, struct err *e)
{
	kdump_addrspace_t as =
		space == SPACE_MACHINE && x->two_spaces ? KDUMP_MACHPHYSADDR : x->phys;
	uint64_t before = source_my_faults();
	struct err ignored = ERR_INIT;
	kdump_status status;

	*got = 0;
	if (!x->ctx) {
		if (e)
			err_set(e, ERR_UNREADABLE, "libkdumpfile cannot open it any more");
		return -1;
	}
	source_guard(true);
	*got = len;
	status = kdump_read(x->ctx, as, addr, buf, got);
	source_guard(false);
	if (source_my_faults() == before) {
		if (status != KDUMP_OK && e)
			kd_error(x, status, e);
		return (int)status;
	}
	*got = 0;
	kd_close(x);
	if (kd_open(x, &ignored))
		kd_close(x);
	if (e)
		err_set(e, ERR_UNREADABLE,
			"%s: the system cannot read what is at address 0x%" PRIx64,
			source_name(x->dump->source), addr);
	return KDUMP_ERR_SYSTEM;
}

/* ---- the map ---- */

/* What a read of one byte says about a page. */
static unsigned int try_page(struct lastresort *x, uint64_t pfn)
{
	uint8_t byte;
	size_t got;
	int status = kd_read(x, SPACE_PHYS, pfn * x->page_size, &byte, 1, &got, NULL);

	if (status == KDUMP_OK)
		return IS_DATA;
	x->misses++;
	return status == KDUMP_ERR_NODATA ? IS_ABSENT : IS_UNREADABLE;
}

static bool bit_is_set(const uint8_t *bits, unsigned int i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

/* The states of a block by the library's own maps. */
static void look_up_block(struct lastresort *x, uint64_t first, uint8_t *states_of)
{
	uint8_t file[BLOCK_PAGES / 8] = { 0 }, ram[BLOCK_PAGES / 8] = { 0 };
	uint64_t last = first + BLOCK_PAGES - 1;
	unsigned int i;

	kdump_bmp_get_bits(x->file, first, last, file);
	if (x->ram)
		kdump_bmp_get_bits(x->ram, first, last, ram);
	for (i = 0; i < BLOCK_PAGES; i++)
		states_of[i] = bit_is_set(file, i)  ? IS_DATA
			       : bit_is_set(ram, i) ? IS_EXCLUDED
						    : IS_ABSENT;
}

/* Block number N, filled in; NULL when out of memory. */
static const struct block *block_at(struct lastresort *x, uint64_t n)
{
	struct block *b = &x->blocks[n];
	uint64_t first = n * BLOCK_PAGES;
	uint8_t found[BLOCK_PAGES];
	unsigned int i, same = 0;

	if (b->known)
		return b;
	if (x->file)
		look_up_block(x, first, found);
	for (i = 0; i < BLOCK_PAGES; i++) {
		if (first + i >= x->max_pfn)
			found[i] = IS_ABSENT;
		else if (!x->file)
			found[i] = (uint8_t)try_page(x, first + i);
		same += found[i] == found[0];
		x->dump->damage.unreadable_pages += found[i] == IS_UNREADABLE;
	}
	b->all = found[0];
	if (same < BLOCK_PAGES) {
		b->bits = calloc(1, BLOCK_PAGES / 4);
		if (!b->bits)
			return NULL;
		for (i = 0; i < BLOCK_PAGES; i++)
			b->bits[i / 4] |= (uint8_t)(found[i] << (i % 4 * 2));
	}
	b->known = true;
	return b;
}

static unsigned int state_at(struct lastresort *x, uint64_t pfn)
{
	const struct block *b = pfn < x->max_pfn ? block_at(x, pfn / BLOCK_PAGES) : NULL;
	unsigned int i = (unsigned int)(pfn % BLOCK_PAGES);

	return !b ? IS_ABSENT : b->bits ? b->bits[i / 4] >> (i % 4 * 2) & 3 : b->all;
}

/* Who goes through all memory comes to an end, whatever the file says about how much there is. */
static void give_up(struct lastresort *x, uint64_t pfn)
{
	log_warn(x->dump->log,
		 "%s: pages that are there are too far apart; none is looked for from address "
		 "0x%" PRIx64 " on",
		 source_name(x->dump->source), pfn * x->page_size);
	x->dump->damage.bad_structures++;
	x->max_pfn = pfn;
}

/* The first page from PFN on whose state is (or is not) STATE. */
static uint64_t skip_pages(struct lastresort *x, uint64_t pfn, unsigned int state, bool is)
{
	uint64_t before = x->misses;

	while (pfn < x->max_pfn && (state_at(x, pfn) == state) != is) {
		if (x->misses - before > MAX_MISSES || x->misses > 4 * MAX_MISSES)
			give_up(x, pfn);
		const struct block *b = &x->blocks[pfn / BLOCK_PAGES];

		pfn = b->bits ? pfn + 1 : (pfn / BLOCK_PAGES + 1) * BLOCK_PAGES;
	}
	return MIN(pfn, x->max_pfn);
}

static bool find_run(struct lastresort *x, uint64_t pfn, struct run *ret)
{
	struct run *r = &x->last;
	unsigned int state;

	if (!r->nr || pfn < r->pfn || pfn - r->pfn >= r->nr) {
		pfn = skip_pages(x, pfn, IS_ABSENT, false);
		if (pfn >= x->max_pfn)
			return false;
		state = state_at(x, pfn);
		*r = (struct run){ .pfn = pfn,
				   .nr = skip_pages(x, pfn, state, false) - pfn,
				   .state = states[state] };
	}
	*ret = (struct run){ .pfn = pfn, .nr = r->pfn + r->nr - pfn, .state = r->state };
	return true;
}

/* A page of the machine's own space: nothing tells which of them there are. */
static enum page_state machine_state(struct lastresort *x, uint64_t pfn)
{
	uint8_t byte;
	size_t got;

	if (pfn >= UINT64_MAX / x->page_size ||
	    kd_read(x, SPACE_MACHINE, pfn * x->page_size, &byte, 1, &got, NULL) != KDUMP_OK)
		return PAGE_ABSENT;
	return PAGE_DATA;
}

static enum page_state lastresort_page_state(const struct dump *d, enum space space, uint64_t pfn)
{
	struct lastresort *x = d->format_data;
	enum page_state state;

	pthread_mutex_lock(&x->lock);
	state = space == SPACE_MACHINE && x->two_spaces ? machine_state(x, pfn)
							: states[state_at(x, pfn)];
	pthread_mutex_unlock(&x->lock);
	return state;
}

/* In a Xen guest's machine space only the page itself is looked at: there is no list to go through.
 */
static bool lastresort_next_run(const struct dump *d, enum space space, uint64_t pfn,
				struct run *ret)
{
	struct lastresort *x = d->format_data;
	bool found;

	pthread_mutex_lock(&x->lock);
	if (space == SPACE_MACHINE && x->two_spaces) {
		*ret = (struct run){ .pfn = pfn, .nr = 1, .state = machine_state(x, pfn) };
		found = ret->state != PAGE_ABSENT;
	} else {
		found = find_run(x, pfn, ret);
	}
	pthread_mutex_unlock(&x->lock);
	return found;
}

/* As many whole pages as can be had, at most NR; 0 with the reason. */
static uint64_t read_pages(struct dump *d, enum space space, uint64_t pfn, uint64_t nr, void *buf,
			   struct err *e)
{
	struct lastresort *x = d->format_data;
	size_t got = 0;

	if (pfn >= UINT64_MAX / x->page_size - nr) {
		err_set(e, ERR_UNREADABLE, "page 0x%" PRIx64 " is not in the dump", pfn);
		return 0;
	}
	pthread_mutex_lock(&x->lock);
	if (kd_read(x, space, pfn * x->page_size, buf, (size_t)(nr * x->page_size), &got, e) ==
		    KDUMP_ERR_SYSTEM &&
	    got < x->page_size && nr > 1)
		kd_read(x, space, pfn * x->page_size, buf, (size_t)x->page_size, &got, e);
	pthread_mutex_unlock(&x->lock);
	if (got < x->page_size)
		err_add(e, "page 0x%" PRIx64, pfn);
	return got / x->page_size;
}

static int lastresort_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
			   struct view *ret, struct err *e)
{
	if (!r->bounce)
		r->bounce = malloc(SOURCE_SLACK);
	if (!r->bounce)
		return err_set(e, ERR_NOMEM, "out of memory");
	nr = MIN(nr, SOURCE_SLACK / r->dump->id.page_size);
	*ret = (struct view){ .data = r->bounce };
	ret->nr = read_pages(r->dump, space, pfn, nr, r->bounce, e);
	return ret->nr ? 0 : -1;
}

static int lastresort_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
				struct err *e)
{
	return read_pages(r->dump, space, pfn, 1, buf, e) ? 0 : -1;
}

/* The library has one page size, and its maps count in it. */
static int lastresort_set_page_size(struct dump *d, struct err *e)
{
	struct lastresort *x = d->format_data;

	(void)e;
	if (d->id.page_size == x->page_size)
		return 0;
	log_warn(d->log, "%s: pages of %u bytes cannot be had here, libkdumpfile has %" PRIu64,
		 source_name(d->source), d->id.page_size, x->page_size);
	d->id.page_size = (uint32_t)x->page_size;
	return 0;
}

static const struct map_ops lastresort_ops = {
	.next_run = lastresort_next_run,
	.view = lastresort_view,
	.read_page = lastresort_read_page,
	.page_state = lastresort_page_state,
	.set_page_size = lastresort_set_page_size,
};

/* ---- facts ---- */

/* The library's names of architectures (kdumpfile.h), by ELF machine number. */
static const struct {
	const char *name, *uname;
	uint16_t e_machine;
	uint8_t align64;
} arch_names[] = {
	{ KDUMP_ARCH_AARCH64, "aarch64", 183, 8 }, { KDUMP_ARCH_ALPHA, "alpha", 0x9026, 8 },
	{ KDUMP_ARCH_ARM, "arm", 40, 8 },	   { KDUMP_ARCH_IA32, "i686", 3, 4 },
	{ KDUMP_ARCH_IA64, "ia64", 50, 8 },	   { KDUMP_ARCH_MIPS, "mips", 8, 8 },
	{ KDUMP_ARCH_PPC, "ppc", 20, 8 },	   { KDUMP_ARCH_PPC64, "ppc64", 21, 8 },
	{ KDUMP_ARCH_S390, "s390", 22, 8 },	   { KDUMP_ARCH_S390X, "s390x", 22, 8 },
	{ KDUMP_ARCH_X86_64, "x86_64", 62, 8 },	   { "riscv64", "riscv64", 243, 8 },
	{ "riscv32", "riscv32", 243, 8 },
};

static void read_ident(struct dump *d, struct lastresort *x)
{
	char name[16];
	uint64_t n;
	size_t i;

	if (get_number(x, KDUMP_ATTR_BYTE_ORDER, &n))
		d->id.order = n == KDUMP_BIG_ENDIAN ? ORDER_BE : ORDER_LE;
	if (get_number(x, KDUMP_ATTR_PTR_SIZE, &n) && (n == 4 || n == 8))
		d->id.word = (uint8_t)n;
	if (!get_text(x, KDUMP_ATTR_ARCH_NAME, name, sizeof(name)))
		return;
	for (i = 0; i < ARRAY_SIZE(arch_names); i++) {
		if (strcmp(name, arch_names[i].name))
			continue;
		d->id.e_machine = arch_names[i].e_machine;
		d->id.uname = arch_names[i].uname;
		d->id.align64 = arch_names[i].align64;
	}
}

static void read_told(struct dump *d, struct lastresort *x)
{
	static const char *const uts[UTS_FIELDS] = {
		"linux.uts.sysname", "linux.uts.nodename", "linux.uts.release",
		"linux.uts.version", "linux.uts.machine",  "linux.uts.domainname",
	};
	char format[40] = "dump";
	kdump_addr_t base;
	unsigned int i;

	for (i = 0; i < UTS_FIELDS; i++)
		d->told.has_uts |= get_text(x, uts[i], d->told.uts[i], UTS_LEN);
	if (kdump_get_address_attr(x->ctx, "linux.phys_base", &base) == KDUMP_OK) {
		d->told.has_phys_base = true;
		d->told.phys_base = base;
	}
	/* It takes a Xen dump-core for an ELF file, which it is, and describes it as one. */
	if (get_text(x, KDUMP_ATTR_FILE_FORMAT, format, sizeof(format)) &&
	    !strcmp(format, "xc_core_elf"))
		strcpy(format, "Xen dump-core file");
	else
		get_text(x, "file.description", format, sizeof(format));
	snprintf(d->told.title, sizeof(d->told.title), "%s, through libkdumpfile", format);
}

/* A note out of the blob KEY; a blob that is not there, or that no dump has so large, makes none.
 */
static int add_note(struct dump *d, struct lastresort *x, const char *key, const char *owner,
		    uint32_t type, struct err *e)
{
	kdump_attr_t attr = { .type = KDUMP_BLOB };
	bool done = true;
	size_t size;
	void *data;

	if (kdump_get_typed_attr(x->ctx, key, &attr) != KDUMP_OK)
		return 0;
	data = kdump_blob_pin(attr.val.blob);
	size = kdump_blob_size(attr.val.blob);
	if (data && size && size <= MAX_BLOB && size <= DUMP_MAX_NOTES - d->notes_len)
		done = note_append(&d->notes_copy, &d->notes_len, d->id.order, owner, type, data,
				   size);
	kdump_blob_unpin(attr.val.blob);
	return done ? 0 : err_set(e, ERR_NOMEM, "no memory for notes");
}

static int read_notes(struct dump *d, struct lastresort *x, uint64_t nr_cpus, struct err *e)
{
	char key[48];
	uint64_t i;

	for (i = 0; i < nr_cpus; i++) {
		snprintf(key, sizeof(key), "cpu.%" PRIu64 ".PRSTATUS", i);
		if (add_note(d, x, key, "CORE", NT_PRSTATUS_TYPE, e))
			return -1;
	}
	if (add_note(d, x, "linux.vmcoreinfo.raw", "VMCOREINFO", 0, e) ||
	    add_note(d, x, "xen.vmcoreinfo.raw", "VMCOREINFO_XEN", 0, e))
		return -1;
	d->notes = d->notes_copy;
	if (d->notes)
		dump_read_notes(d);
	return 0;
}

static int read_eraseinfo(struct dump *d, struct lastresort *x, struct err *e)
{
	kdump_attr_t attr = { .type = KDUMP_BLOB };
	size_t size;
	void *data;

	if (kdump_get_typed_attr(x->ctx, "file.eraseinfo.raw", &attr) != KDUMP_OK)
		return 0;
	data = kdump_blob_pin(attr.val.blob);
	size = kdump_blob_size(attr.val.blob);
	if (data && size && size <= MAX_BLOB && (d->eraseinfo_copy = malloc(size))) {
		memcpy(d->eraseinfo_copy, data, size);
		d->eraseinfo = d->eraseinfo_copy;
		d->eraseinfo_len = size;
	}
	kdump_blob_unpin(attr.val.blob);
	return data && size && size <= MAX_BLOB && !d->eraseinfo
		       ? err_set(e, ERR_NOMEM, "no memory for eraseinfo")
		       : 0;
}

/* The library's name of a register as gdb has it, kept for as long as the dump. */
static const char *reg_name(struct lastresort *x, const char *name)
{
	unsigned int i;

	if (!strcmp(name, "rflags"))
		name = "eflags";
	for (i = 0; i < x->nr_reg_names; i++)
		if (!strcmp(x->reg_names[i], name))
			return x->reg_names[i];
	if (i == MAX_REG_NAMES || strlen(name) >= sizeof(x->reg_names[i]))
		return NULL;
	x->nr_reg_names++;
	return strcpy(x->reg_names[i], name);
}

static void read_regs(struct lastresort *x, uint64_t cpu, struct cpu *ret)
{
	kdump_attr_iter_t it;
	unsigned int nr = 0;
	char dir[48];

	snprintf(dir, sizeof(dir), "cpu.%" PRIu64 ".reg", cpu);
	if (kdump_attr_iter_start(x->ctx, dir, &it) != KDUMP_OK)
		return;
	while (it.key && nr++ < CPU_MAX_REGS) {
		const char *name = reg_name(x, it.key);
		kdump_attr_t value;

		if (name && kdump_attr_ref_get(x->ctx, &it.pos, &value) == KDUMP_OK &&
		    value.type == KDUMP_NUMBER)
			cpu_add_reg(ret, &(struct reg){ .name = name,
							.width = 8,
							.value = value.val.number });
		if (kdump_attr_iter_next(x->ctx, &it) != KDUMP_OK)
			break;
	}
	kdump_attr_iter_end(x->ctx, &it);
}

/* Registers that stand in no ELF note: of a Xen guest's CPUs. */
static int read_cpus(struct dump *d, struct lastresort *x, uint64_t nr_cpus, struct err *e)
{
	uint64_t i;

	if (d->notes_len || !nr_cpus)
		return 0;
	d->cpus = calloc((size_t)nr_cpus, sizeof(*d->cpus));
	if (!d->cpus)
		return err_set(e, ERR_NOMEM, "no memory for %" PRIu64 " CPUs", nr_cpus);
	d->nr_cpus = (unsigned int)nr_cpus;
	for (i = 0; i < nr_cpus; i++)
		read_regs(x, i, &d->cpus[i]);
	return 0;
}

/* ---- LKCD: the list of its pages ---- */

/* A page of data into the map. ERR_CORRUPT: it is there already, or nowhere; ERR_NOMEM. */
static int set_page(void *priv, uint64_t pfn, struct err *e)
{
	struct lastresort *x = priv;
	struct block *b = pfn < MAX_PFN ? &x->blocks[pfn / BLOCK_PAGES] : NULL;
	unsigned int i = (unsigned int)(pfn % BLOCK_PAGES);

	if (!b)
		return err_set(e, ERR_CORRUPT, "no machine has a page 0x%" PRIx64, pfn);
	if (!b->bits)
		b->bits = calloc(1, BLOCK_PAGES / 4);
	if (!b->bits)
		return err_set(e, ERR_NOMEM, "no memory for a map of pages");
	if (b->bits[i / 4] >> (i % 4 * 2) & 3)
		return err_set(e, ERR_CORRUPT, "page 0x%" PRIx64 " is there twice", pfn);
	b->bits[i / 4] |= (uint8_t)(IS_DATA << (i % 4 * 2));
	x->max_pfn = MAX(x->max_pfn, pfn + 1);
	return 0;
}

/* All pages up to the end, or to where the list makes no sense: there the library stops as well. */
static int list_lkcd_pages(struct dump *d, struct lastresort *x, struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t n;

	if (lkcd_list(d->source, d->id.order, x->page_size, set_page, x, &why)) {
		if (why.code == ERR_NOMEM) {
			*e = why;
			return -1;
		}
		d->incomplete = true;
		log_warn(d->log, "%s: its list of pages breaks off: %s", source_name(d->source),
			 why.text);
	}
	for (n = 0; n * BLOCK_PAGES < x->max_pfn; n++)
		x->blocks[n].known = true; /* without bits: absent */
	return 0;
}

/* ---- open ---- */

static int read_geometry(struct dump *d, struct lastresort *x, struct err *e)
{
	uint64_t n = 0;

	if (!get_number(x, KDUMP_ATTR_PAGE_SIZE, &n) || n < 4096 || n > SOURCE_SLACK || n & (n - 1))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: libkdumpfile says pages of %" PRIu64 " bytes",
			       source_name(d->source), n);
	x->page_size = n;
	d->id.page_size = (uint32_t)n;
	x->two_spaces = get_number(x, KDUMP_ATTR_XEN_XLAT, &n) && n == KDUMP_XEN_NONAUTO;
	x->phys = x->two_spaces ? KDUMP_KPHYSADDR : KDUMP_MACHPHYSADDR;
	return 0;
}

/* How far memory goes, and room for what is known about it. */
static int read_map(struct dump *d, struct lastresort *x, struct err *e)
{
	bool is_lkcd = !strncmp(d->told.title, "Linux Kernel Crash Dump", 23);

	if (!is_lkcd && !get_number(x, "max_pfn", &x->max_pfn))
		return err_set(e, ERR_CORRUPT, "%s: libkdumpfile does not tell how far memory goes",
			       source_name(d->source));
	if (x->max_pfn > MAX_PFN) {
		d->damage.bad_structures++;
		log_warn(d->log, "%s: memory beyond page 0x%llx is left out",
			 source_name(d->source), MAX_PFN);
		x->max_pfn = MAX_PFN;
	}
	x->nr_blocks = (is_lkcd ? MAX_PFN : x->max_pfn) / BLOCK_PAGES + 1;
	x->blocks = calloc((size_t)x->nr_blocks, sizeof(*x->blocks));
	if (!x->blocks)
		return err_set(e, ERR_NOMEM, "no memory for a map of pages");
	d->map = &lastresort_ops;
	return is_lkcd ? list_lkcd_pages(d, x, e) : 0;
}

static int libkdumpfile_open(struct dump *d, struct err *e)
{
	struct lastresort *x = calloc(1, sizeof(*x));
	uint64_t nr_cpus = 0;

	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory");
	d->format_data = x;
	x->dump = d;
	pthread_mutex_init(&x->lock, NULL);
	if (lastresort_check(d->source, e) || kd_open(x, e) || read_geometry(d, x, e))
		return -1;
	read_ident(d, x);
	read_told(d, x);
	if (read_map(d, x, e))
		return -1;
	if (get_number(x, KDUMP_ATTR_NUM_CPUS, &nr_cpus))
		nr_cpus = MIN(nr_cpus, MAX_CPUS);
	return read_notes(d, x, nr_cpus, e) || read_eraseinfo(d, x, e) ||
			       read_cpus(d, x, nr_cpus, e) ||
			       s390dump_list_cpus(d->source, &d->saved, &d->nr_saved, e)
		       ? -1
		       : 0;
}

static void libkdumpfile_close(struct dump *d)
{
	struct lastresort *x = d->format_data;
	uint64_t i;

	if (!x)
		return;
	kd_close(x);
	for (i = 0; x->blocks && i < x->nr_blocks; i++)
		free(x->blocks[i].bits);
	free(x->blocks);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

/*
 * What the library is asked about at all. It tries formats one after the other, and takes its time
 * and what it finds; a file without one of these is none of its. */
static const struct magic known_magic[] = {
	{ 0, "\xed\x23\x8f\x61\x73\x01\x19\xa8", 8 }, /* LKCD */
	{ 0, "\xa8\x19\x01\x73\x61\x8f\x23\xed", 8 },
	{ 0, "\xa8\x19\x01\x73\x61\x8f\x23\xfd", 8 }, /* S390DUMP */
	{ 0, "\177ELF", 4 },			      /* Xen dump-core */
	{ 0, NULL, 0 },
};

static int libkdumpfile_probe(struct source *s)
{
	(void)s;
	return 1;
}

const struct format libkdumpfile_format = {
	.name = "libkdumpfile",
	.title = "dump that libkdumpfile reads",
	.is_set = true,
	.magic = known_magic,
	.probe = libkdumpfile_probe,
	.open = libkdumpfile_open,
	.close = libkdumpfile_close,
};
