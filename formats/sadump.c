/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SADUMP: Fujitsu's stand-alone dump of x86 machines, written by firmware to a partition, to a set
 * of disks, or copied from there to media files. libkdumpfile knows it, but up to 0.5.6 reads the
 * first page of a run of neighbours for every page of it (sadump_read_page()).
 *
 * A partition, in blocks, mostly of the page size: its header; for the first disk of a set the
 * header of the set; dump header; CPU states; bitmap of memory; bitmap of pages that are here;
 * these pages. Other disks of a set have their header and go on with the pages. A media file has a
 * block of its own first. Everything is little-endian; bitmaps count from the highest bit of a
 * byte.
 *
 * Pages are found by counting bits. Where bitmaps can be mapped (lib/rankset.h) a map takes at most
 * a tenth of what they take in the file, holes not counted; elsewhere that and a copy of them.
 *
 * Sources: crash sadump.h, sadump.c; makedumpfile sadump_info.c; libkdumpfile sadump.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bitmaps.h"
#include "bytes.h"
#include "cleanup.h"
#include "formats.h"

#define SIGNATURE "sadump\0"
#define MEDIA_BLOCK 4096u /* what comes before the header of a partition in a media file */

/* The header of a partition, or disk. */
#define PART_SIZE 168u
#define PART_SET_ID 104u /* identity of the disk set, and behind it of the disk; 16 bytes each */
#define PART_TIME 136u
#define PART_NUMBER 152u /* of the disk in its set, from 1; 0: there is no set */
#define PART_USED 160u

/* The header of the dump. */
#define HEAD_SIZE 120u
#define HEAD_VERSION 8u
#define HEAD_BLOCK 40u
#define HEAD_SUB 48u
#define HEAD_BITMAP 52u
#define HEAD_DUMPABLE 56u
#define HEAD_MAX 60u
#define HEAD_CPUS 80u
#define HEAD_MAX_64 88u

#define MAX_PFN ((uint64_t)1 << 34) /* 46 bits of address: the largest machine that has this */
#define MAX_CPUS 8192u
#define CHUNK 4096u /* bytes of bitmaps that are looked at in one go */

struct disk {
	unsigned int source; /* index in d->sources */
	uint64_t off, len;   /* where pages lie, and how many bytes of them */
	uint64_t start;	     /* of these, among the bytes of all pages */
};

struct sadump {
	struct bitmaps map;
	struct disk *disks; /* in the order of the set */
	unsigned int nr_disks;
	uint32_t block;
	uint64_t max_pfn;
};

/* ---- headers ---- */

static bool read_at(struct source *s, uint64_t off, void *buf, size_t len)
{
	struct err ignored = ERR_INIT;

	return !source_read(s, off, buf, len, &ignored);
}

/* The header of a partition; *ret is where it begins. */
static bool read_part(struct source *s, uint8_t raw[PART_SIZE], uint64_t *ret)
{
	for (*ret = 0; *ret <= MEDIA_BLOCK; *ret += MEDIA_BLOCK)
		if (read_at(s, *ret, raw, PART_SIZE) && !memcmp(raw, SIGNATURE, 8))
			return true;
	return false;
}

/*
 * The block size that puts the dump's header where one is; *ret is where. IN_SET: behind the header
 * of a set, which begins with its size in blocks.
 */
static uint32_t find_head(struct source *s, uint64_t part, bool in_set, uint8_t raw[HEAD_SIZE],
			  uint64_t *ret)
{
	uint32_t block;
	uint8_t blocks[4];

	for (block = 4096; block <= SOURCE_SLACK; block *= 2) {
		*ret = part + block;
		if (in_set && read_at(s, *ret, blocks, 4))
			*ret += (uint64_t)load_u32(blocks, ORDER_LE) * block;
		if (read_at(s, *ret, raw, HEAD_SIZE) && !memcmp(raw, SIGNATURE, 8) &&
		    load_u32(raw + HEAD_BLOCK, ORDER_LE) == block)
			return block;
	}
	return 0;
}

static int64_t read_time(const uint8_t *raw)
{
	struct tm tm = { .tm_year = load_u16(raw, ORDER_LE) - 1900,
			 .tm_mon = raw[2] - 1,
			 .tm_mday = raw[3],
			 .tm_hour = raw[4],
			 .tm_min = raw[5],
			 .tm_sec = raw[6] };
	int16_t zone = (int16_t)load_u16(raw + 12, ORDER_LE);

	/* UEFI, EFI_TIME: minutes that local time is behind UTC, or 2047. */
	return (int64_t)timegm(&tm) + (zone >= -1440 && zone <= 1440 ? zone * 60 : 0);
}

/* ---- CPUs: what the processor saves when it enters SMM ---- */

#define STATE_SIZE 1024u
#define EFER_OFF 992u
#define EFER_LMA (1u << 10)
#define APIC_SIZE 16u /* for each CPU, before the states */

static const struct {
	const char *name;
	uint16_t off;
	uint8_t width;
} state_regs[] = {
	{ "rax", 860, 8 },  { "rbx", 884, 8 },	   { "rcx", 868, 8 }, { "rdx", 876, 8 },
	{ "rsi", 908, 8 },  { "rdi", 916, 8 },	   { "rbp", 900, 8 }, { "rsp", 892, 8 },
	{ "r8", 852, 8 },   { "r9", 844, 8 },	   { "r10", 836, 8 }, { "r11", 828, 8 },
	{ "r12", 820, 8 },  { "r13", 812, 8 },	   { "r14", 804, 8 }, { "r15", 796, 8 },
	{ "rip", 984, 8 },  { "eflags", 1000, 8 }, { "cs", 940, 4 },  { "ss", 944, 4 },
	{ "ds", 948, 4 },   { "es", 936, 4 },	   { "fs", 952, 4 },  { "gs", 956, 4 },
	{ "cr0", 1016, 8 }, { "cr3", 1008, 8 },	   { "cr4", 576, 4 },
};

/* In protected mode the same places hold the lower halves. */
static const char *const names_32[] = { "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp" };

static void read_regs(struct cpu *cpu, const uint8_t *state, bool wide)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(state_regs); i++) {
		const char *name = state_regs[i].name;
		uint8_t width = wide ? state_regs[i].width : 4;

		if (!wide && i < ARRAY_SIZE(names_32))
			name = names_32[i];
		else if (!wide && name[0] == 'r')
			name = strcmp(name, "rip") ? NULL : "eip";
		if (name)
			cpu_add_reg(cpu, &(struct reg){
						 .name = name,
						 .width = width,
						 .value = load_uint(state + state_regs[i].off,
								    width, ORDER_LE),
					 });
	}
}

/* States of NR CPUs at OFF: the size of all of them, then what tells their APICs, then each. */
static int read_cpus(struct dump *d, struct source *s, uint64_t off, uint32_t nr, struct err *e)
{
	uint8_t raw[STATE_SIZE];
	uint32_t size, i;
	bool wide = false;

	d->id.e_machine = 62;
	d->id.word = 8;
	if (!nr || nr > MAX_CPUS || !read_at(s, off, raw, 4) ||
	    (size = load_u32(raw, ORDER_LE) / nr) < STATE_SIZE) {
		d->damage.bad_structures++;
		log_warn(d->log, "%s: the states of %u CPUs at offset 0x%" PRIx64 " make no sense",
			 source_name(s), nr, off);
		return 0;
	}
	off += 4 + (uint64_t)nr * APIC_SIZE;
	for (i = 0; i < nr && !wide; i++)
		wide = read_at(s, off + (uint64_t)i * size, raw, STATE_SIZE) &&
		       load_u64(raw + EFER_OFF, ORDER_LE) & EFER_LMA;
	if (!wide) {
		d->id.e_machine = 3;
		d->id.word = 4;
	}
	d->cpus = calloc(nr, sizeof(*d->cpus));
	if (!d->cpus)
		return err_set(e, ERR_NOMEM, "no memory for %u CPUs", nr);
	d->nr_cpus = nr;
	for (i = 0; i < nr; i++)
		if (read_at(s, off + (uint64_t)i * size, raw, STATE_SIZE))
			read_regs(&d->cpus[i], raw, wide);
	return 0;
}

/* ---- disks ---- */

/* File number INDEX into its place in the set. */
static int add_disk(struct dump *d, struct sadump *x, unsigned int index, const uint8_t *first,
		    struct err *e)
{
	struct source *s = d->sources[index];
	uint8_t raw[PART_SIZE];
	uint64_t part, used;
	uint32_t number;

	if (!read_part(s, raw, &part))
		return err_set(e, ERR_CORRUPT, "%s: no SADUMP header at offset 0 or 0x%x",
			       source_name(s), MEDIA_BLOCK);
	number = load_u32(raw + PART_NUMBER, ORDER_LE);
	used = load_u64(raw + PART_USED, ORDER_LE);
	if (memcmp(raw + PART_SET_ID, first + PART_SET_ID, 16) ||
	    memcmp(raw + PART_TIME, first + PART_TIME, 16))
		return err_set(e, ERR_CORRUPT, "%s: belongs to another dump than '%s'",
			       source_name(s), source_name(d->sources[0]));
	if (!number || number > d->nr_sources || x->disks[number - 1].len)
		return err_set(
			e, ERR_USAGE,
			"%s: is disk %u of a set; %u different ones were named, and all from "
			"the first one on are needed",
			source_name(s), number, d->nr_sources);
	x->disks[number - 1] = (struct disk){ .source = index, .len = MAX(used, (uint64_t)1) };
	return 0;
}

/* Which file is which disk. FIRST: the header of the first file. */
static int find_disks(struct dump *d, struct sadump *x, const uint8_t *first, struct err *e)
{
	unsigned int i;

	x->nr_disks = d->nr_sources;
	x->disks = calloc(x->nr_disks, sizeof(*x->disks));
	if (!x->disks)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (!load_u32(first + PART_NUMBER, ORDER_LE) && d->nr_sources == 1)
		return 0;
	for (i = 0; i < d->nr_sources; i++)
		if (add_disk(d, x, i, first, e))
			return -1;
	return 0;
}

/* Disks of the set, by its header; as many must have been named. */
static int count_disks(const struct dump *d, struct source *s, uint64_t part, uint32_t block,
		       struct err *e)
{
	uint8_t raw[8];
	uint32_t nr;

	if (!read_at(s, part + block, raw, sizeof(raw)))
		return err_set(e, ERR_CORRUPT, "%s: ends in the header of its disk set",
			       source_name(s));
	nr = load_u32(raw + 4, ORDER_LE);
	if (nr != d->nr_sources)
		return err_set(e, ERR_USAGE, "%s: is of a set of %u disks, %u were named",
			       source_name(s), nr, d->nr_sources);
	return 0;
}

/* ---- bitmaps ---- */

/* Bits of the bitmap at OFF, of NR, before the first one that cannot be read. */
static uint64_t readable_bits(struct source *s, uint64_t off, uint64_t nr)
{
	uint64_t size = source_size(s), bytes = (nr + 7) / 8, at;
	uint8_t buf[CHUNK];

	bytes = off < size ? MIN(bytes, size - off) : 0;
	for (at = 0; at < bytes; at += CHUNK) {
		uint64_t data = source_next_data(s, off + at) - off;

		if (data >= bytes)
			break;
		at = MAX(at, data - data % CHUNK);
		if (!read_at(s, off + at, buf, (size_t)MIN(bytes - at, (uint64_t)CHUNK)))
			return at * 8;
	}
	return MIN(nr, bytes * 8);
}

static int read_bitmap(struct dump *d, const struct sadump *x, struct source *s, uint64_t off,
		       struct rankset *ret, struct err *e)
{
	uint64_t nr;

	if (!rankset_read_high_first(ret, s, off, x->max_pfn, e))
		return 0;
	if (e->code != ERR_UNREADABLE)
		return -1;
	*e = (struct err)ERR_INIT;
	nr = readable_bits(s, off, x->max_pfn);
	d->damage.bad_structures++;
	log_warn(d->log,
		 "%s: the bitmap at offset 0x%" PRIx64 " cannot be read from page 0x%" PRIx64 " on",
		 source_name(s), off, nr);
	return rankset_read_high_first(ret, s, off, nr, e);
}

/* The first unit that so many kept ones lie before. */
static uint64_t unit_behind(const struct rankset *kept, uint64_t nr)
{
	uint64_t lo = 0, hi = kept->nr_bits, rank;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (rankset_rank(kept, mid, &rank) && rank < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Pages that should be on the disk and are not: bytes [FROM, TO) of all. */
static int miss_bytes(struct dump *d, const struct sadump *x, struct marks *m, uint64_t from,
		      uint64_t to, struct err *e)
{
	uint64_t total = x->map.kept.total, first = from / x->block,
		 end = to / x->block + (to % x->block != 0);

	if (from >= to)
		return 0;
	d->damage.missing_bytes += to - from;
	return marks_range(m, unit_behind(&x->map.kept, first),
			   end < total ? unit_behind(&x->map.kept, end) : x->map.nr_units, e);
}

/* What each disk holds, one behind the other, and what is missing of that. */
static int lay_out_pages(struct dump *d, struct sadump *x, struct err *e)
{
	struct marks m = marks_begin(&x->map);
	uint64_t start = 0, total = x->map.kept.total * x->block;
	unsigned int i;

	for (i = 0; i < x->nr_disks; i++) {
		struct disk *disk = &x->disks[i];
		uint64_t size = source_size(d->sources[disk->source]), have;

		disk->start = start;
		disk->len = i + 1 < x->nr_disks ? MIN(disk->len, total - start) : total - start;
		have = disk->off < size ? MIN(disk->len, size - disk->off) : 0;
		start += disk->len;
		if (miss_bytes(d, x, &m, disk->start + have, start, e))
			return -1;
	}
	return marks_end(&m, e);
}

/* Memory is what either bitmap has. */
static int read_memory(struct dump *d, struct sadump *x, struct source *s, uint64_t ram_off,
		       uint64_t dumped_off, struct err *e)
{
	x->map.unit_shift = x->map.page_shift = (unsigned int)__builtin_ctz(x->block);
	if (read_bitmap(d, x, s, ram_off, &x->map.exist, e) ||
	    read_bitmap(d, x, s, dumped_off, &x->map.kept, e))
		return -1;
	x->map.nr_units = x->map.kept.nr_bits;
	return lay_out_pages(d, x, e);
}

/* ---- pages ---- */

/* Where in the bytes of all pages a unit of memory lies. */
static int find_unit(const struct dump *d, uint64_t unit, uint64_t *ret, struct err *e)
{
	const struct sadump *x = d->map_data;
	uint64_t rank;

	if (unit >= x->map.nr_units || bitmaps_unit_state(&x->map, unit) != PAGE_DATA ||
	    !rankset_rank(&x->map.kept, unit, &rank))
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(d->source), unit);
	*ret = rank * x->block;
	return 0;
}

/* The disk that holds byte POS, and how many from there on; NULL when the file has changed. */
static const struct disk *disk_at(const struct sadump *x, uint64_t pos, uint64_t *left)
{
	unsigned int lo = 0, hi = x->nr_disks;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (x->disks[mid].start + x->disks[mid].len <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == x->nr_disks)
		return NULL;
	*left = x->disks[lo].start + x->disks[lo].len - pos;
	return &x->disks[lo];
}

/* LEN bytes from byte POS of all pages on, which may go on on the next disk. EXACTLY: by read(). */
static int copy_bytes(struct reader *r, uint64_t pos, uint8_t *buf, size_t len, bool exactly,
		      struct err *e)
{
	struct dump *d = r->dump;

	while (len) {
		uint64_t left;
		const struct disk *disk = disk_at(d->map_data, pos, &left);
		size_t n = disk ? (size_t)MIN(left, (uint64_t)len) : 0;
		const uint8_t *data = NULL;

		if (!disk)
			return err_set(e, ERR_UNREADABLE, "%s: changes while it is read",
				       source_name(d->source));
		if (exactly ? source_read(d->sources[disk->source], disk->off + (pos - disk->start),
					  buf, n, e)
			    : !(data = reader_bytes(r, d->sources[disk->source],
						    disk->off + (pos - disk->start), n, NULL, e)))
			return -1;
		if (data)
			memcpy(buf, data, n);
		buf += n;
		pos += n;
		len -= n;
	}
	return 0;
}

/* Put one page together; units of it that are no memory are zero. */
static int join_page(struct reader *r, uint64_t pfn, uint8_t *buf, bool exactly, struct err *e)
{
	const struct sadump *x = r->dump->map_data;
	size_t page = (size_t)1 << x->map.page_shift, len = MIN(page, (size_t)x->block), at;

	for (at = 0; at < page; at += len) {
		uint64_t addr = (pfn << x->map.page_shift) + at, pos, unit = addr / x->block;

		if (bitmaps_joined_state(&x->map, unit, 1) == PAGE_ABSENT)
			memset(buf + at, 0, len);
		else if (find_unit(r->dump, unit, &pos, e) ||
			 copy_bytes(r, pos + addr % x->block, buf + at, len, exactly, e))
			return -1;
	}
	return 0;
}

/* Pages from PFN on that lie in one piece: ret->nr at the most. 1; or 0: not even one does; or -1.
 */
static int view_in_place(struct reader *r, uint64_t pfn, struct view *ret, struct err *e)
{
	struct dump *d = r->dump;
	const struct sadump *x = d->map_data;
	unsigned int shift = x->map.page_shift;
	uint64_t pos, left, addr = pfn << shift;
	const struct disk *disk;
	size_t avail;

	if (x->block >> shift == 0)
		return 0;
	if (find_unit(d, addr / x->block, &pos, e))
		return -1;
	pos += addr % x->block;
	disk = disk_at(x, pos, &left);
	if (!disk || left >> shift == 0)
		return 0;
	ret->data = reader_bytes(r, d->sources[disk->source], disk->off + (pos - disk->start),
				 (size_t)1 << shift, &avail, e);
	ret->nr = MIN(ret->nr, MIN(left, (uint64_t)avail) >> shift);
	return ret->data ? 1 : -1;
}

static int sadump_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		       struct view *ret, struct err *e)
{
	const struct sadump *x = r->dump->map_data;
	struct run run;
	int in_place;

	(void)space;
	if (!bitmaps_next_run(&x->map, pfn, &run) || run.pfn != pfn || run.state != PAGE_DATA)
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(r->dump->source), pfn);
	ret->nr = MIN(nr, run.nr);
	in_place = view_in_place(r, pfn, ret, e);
	if (in_place)
		return in_place < 0 ? -1 : 0;
	if (!r->bounce)
		r->bounce = malloc(SOURCE_SLACK);
	if (!r->bounce)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret = (struct view){ .data = r->bounce, .nr = 1 };
	return join_page(r, pfn, r->bounce, false, e);
}

static int sadump_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
			    struct err *e)
{
	const struct sadump *x = r->dump->map_data;

	(void)space;
	if (bitmaps_page_state(&x->map, pfn) != PAGE_DATA)
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(r->dump->source), pfn);
	return join_page(r, pfn, buf, true, e);
}

static bool sadump_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct sadump *x = d->map_data;

	(void)space;
	return bitmaps_next_run(&x->map, pfn, ret);
}

static enum page_state sadump_page_state(const struct dump *d, enum space space, uint64_t pfn)
{
	const struct sadump *x = d->map_data;

	(void)space;
	return bitmaps_page_state(&x->map, pfn);
}

static int sadump_set_page_size(struct dump *d, struct err *e)
{
	struct sadump *x = d->map_data;

	(void)e;
	x->map.page_shift = dump_page_shift(d);
	bitmaps_count_bad(d, &x->map);
	return 0;
}

static const struct map_ops sadump_map_ops = {
	.next_run = sadump_next_run,
	.view = sadump_view,
	.read_page = sadump_read_page,
	.page_state = sadump_page_state,
	.set_page_size = sadump_set_page_size,
};

/* ---- open ---- */

/* All that follows the header of the dump, which is at OFF of the first disk. */
static int read_dump(struct dump *d, struct sadump *x, const uint8_t *head, uint64_t off,
		     struct err *e)
{
	struct source *s = d->sources[x->disks[0].source];
	uint64_t sub = off + x->block;
	uint64_t ram = sub + (uint64_t)load_u32(head + HEAD_SUB, ORDER_LE) * x->block;
	uint64_t ram_len = (uint64_t)load_u32(head + HEAD_BITMAP, ORDER_LE) * x->block;
	uint64_t dumped_len = (uint64_t)load_u32(head + HEAD_DUMPABLE, ORDER_LE) * x->block;
	unsigned int i;

	x->max_pfn = load_u32(head + HEAD_VERSION, ORDER_LE) < 1
			     ? load_u32(head + HEAD_MAX, ORDER_LE)
			     : load_u64(head + HEAD_MAX_64, ORDER_LE);
	x->max_pfn = MIN(x->max_pfn, MIN(ram_len, dumped_len) * 8);
	if (x->max_pfn > MAX_PFN) {
		d->damage.bad_structures++;
		log_warn(d->log,
			 "%s: says that memory ends at page 0x%" PRIx64 "; no machine has so much",
			 source_name(s), x->max_pfn);
		x->max_pfn = MAX_PFN;
	}
	x->disks[0].off = ram + ram_len + dumped_len;
	x->disks[0].len -= MIN(x->disks[0].len, x->disks[0].off);
	for (i = 1; i < x->nr_disks; i++) {
		x->disks[i].off = x->block;
		x->disks[i].len -= MIN(x->disks[i].len, (uint64_t)x->block);
	}
	d->id.order = ORDER_LE;
	d->id.page_size = x->block;
	return read_cpus(d, s, sub, load_u32(head + HEAD_CPUS, ORDER_LE), e) ||
			       read_memory(d, x, s, ram, ram + ram_len, e)
		       ? -1
		       : 0;
}

static int sadump_read(struct dump *d, struct sadump *x, struct err *e)
{
	uint8_t part[PART_SIZE], head[HEAD_SIZE];
	uint64_t part_off, off;
	struct source *s;
	bool in_set;

	if (!read_part(d->source, part, &part_off))
		return err_set(e, ERR_CORRUPT, "%s: no SADUMP header", source_name(d->source));
	if (find_disks(d, x, part, e))
		return -1;
	s = d->sources[x->disks[0].source];
	in_set = load_u32(part + PART_NUMBER, ORDER_LE) && !part_off;
	x->block = find_head(s, part_off, in_set, head, &off);
	if (!x->block)
		return err_set(e, ERR_CORRUPT, "%s: no header of a dump behind that of its %s",
			       source_name(s), in_set ? "disk set" : "partition");
	if (in_set && count_disks(d, s, part_off, x->block, e))
		return -1;
	d->told.has_time = true;
	d->told.time = read_time(part + PART_TIME);
	if (read_dump(d, x, head, off, e))
		return -1;
	if (!x->map.kept.total && !x->map.exist.total)
		return err_set(e, ERR_CORRUPT, "%s: no page in its bitmaps", source_name(s));
	if (d->damage.missing_bytes)
		log_warn(d->log, "%s: is cut off: %" PRIu64 " bytes of pages are missing",
			 source_name(d->source), d->damage.missing_bytes);
	return 0;
}

static int sadump_open(struct dump *d, struct err *e)
{
	struct sadump *x = d->format_data = calloc(1, sizeof(*x));

	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (sadump_read(d, x, e))
		return -1;
	d->map_data = x;
	d->map = &sadump_map_ops;
	return 0;
}

static void sadump_close(struct dump *d)
{
	struct sadump *x = d->format_data;

	if (!x)
		return;
	bitmaps_fini(&x->map);
	free(x->disks);
	free(x);
}

static const struct magic sadump_magic[] = {
	{ 0, SIGNATURE, 8 },
	{ MEDIA_BLOCK, SIGNATURE, 8 },
	{ 0, NULL, 0 },
};

const struct format sadump_format = {
	.name = "sadump",
	.title = "SADUMP",
	.is_set = true,
	.magic = sadump_magic,
	.open = sadump_open,
	.close = sadump_close,
};
