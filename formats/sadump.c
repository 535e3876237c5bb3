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
 * Sources: crash sadump.h, sadump.c; makedumpfile sadump_info.c; libkdumpfile sadump.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "cleanup.h"
#include "extents.h"
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
#define MAX_RUNS (1u << 22) /* of pages left out: what a map may cost */
#define CHUNK 4096u	    /* bytes of bitmaps that are looked at in one go */

struct disk {
	unsigned int source; /* index in d->sources */
	uint64_t off, len;   /* where pages lie, and how many bytes of them */
};

struct sadump {
	struct disk *disks; /* in the order of the set */
	unsigned int nr_disks, disk;
	uint64_t pos; /* in the data of that disk: where the next page is */
	uint32_t block;
	uint64_t max_pfn;
	unsigned int nr_excluded;
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
			cpu->regs[cpu->nr_regs++] = (struct reg){
				.name = name,
				.width = width,
				.value = load_uint(state + state_regs[i].off, width, ORDER_LE),
			};
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

/* ---- memory ---- */

static bool next_disk(struct sadump *x)
{
	if (x->disk + 1 >= x->nr_disks)
		return false;
	x->disk++;
	x->pos = 0;
	return true;
}

/* Pages that are here, the next ones in the file, which may go on on the next disk. */
static int add_data(struct dump *d, struct sadump *x, uint64_t pfn, uint64_t nr, struct err *e)
{
	uint64_t addr = pfn * x->block, left = nr * x->block;

	while (left) {
		const struct disk *disk = &x->disks[x->disk];
		uint64_t room =
			x->disk + 1 < x->nr_disks ? disk->len - MIN(disk->len, x->pos) : UINT64_MAX;
		uint64_t n = MIN(left, room);

		if (n && extents_add_from(d, disk->source, addr, n, n, disk->off + x->pos, e))
			return -1;
		addr += n;
		left -= n;
		x->pos += n;
		if (left && !next_disk(x))
			break;
	}
	return 0;
}

static int add_run(struct dump *d, struct sadump *x, uint64_t pfn, uint64_t nr, bool ram,
		   bool dumped, struct err *e)
{
	if (dumped)
		return add_data(d, x, pfn, nr, e);
	if (!ram || !nr || x->nr_excluded >= MAX_RUNS)
		return 0;
	if (++x->nr_excluded == MAX_RUNS) {
		d->damage.bad_structures++;
		log_warn(d->log, "%s: too many pages that were left out; no more are told",
			 source_name(d->source));
	}
	return extents_add(d, pfn * x->block, 0, nr * x->block, 0, e);
}

static bool bit_is_set(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] & 0x80 >> i % 8;
}

/* Both bitmaps, side by side; memory is what either of them has. */
static int read_memory(struct dump *d, struct sadump *x, struct source *s, uint64_t ram_off,
		       uint64_t dumped_off, struct err *e)
{
	uint8_t ram[CHUNK], dumped[CHUNK];
	uint64_t pfn = 0, start = 0, i;
	bool in_ram = false, in_dump = false;

	for (; pfn < x->max_pfn; pfn += CHUNK * 8) {
		uint64_t nr = MIN(x->max_pfn - pfn, (uint64_t)CHUNK * 8);

		memset(ram, 0, sizeof(ram));
		if (!read_at(s, dumped_off + pfn / 8, dumped, (size_t)(nr + 7) / 8)) {
			d->damage.bad_structures++;
			log_warn(d->log,
				 "%s: the bitmap of pages cannot be read from page 0x%" PRIx64
				 " on",
				 source_name(s), pfn);
			break;
		}
		read_at(s, ram_off + pfn / 8, ram, (size_t)(nr + 7) / 8);
		for (i = 0; i < nr; i++) {
			bool is_dumped = bit_is_set(dumped, i), is_ram = bit_is_set(ram, i);

			if (i % 8 == 0 && dumped[i / 8] == (in_dump ? 0xff : 0) &&
			    (in_dump || ram[i / 8] == (in_ram ? 0xff : 0))) {
				i += 7;
				continue;
			}
			if (is_dumped == in_dump && (is_dumped || is_ram == in_ram))
				continue;
			if (add_run(d, x, start, pfn + i - start, in_ram, in_dump, e))
				return -1;
			start = pfn + i;
			in_dump = is_dumped;
			in_ram = is_ram;
		}
	}
	return add_run(d, x, start, MIN(pfn, x->max_pfn) - start, in_ram, in_dump, e);
}

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
	if (!d->map)
		return err_set(e, ERR_CORRUPT, "%s: no page in its bitmaps", source_name(s));
	if (d->damage.missing_bytes)
		log_warn(d->log, "%s: is cut off: %" PRIu64 " bytes of pages are missing",
			 source_name(d->source), d->damage.missing_bytes);
	return 0;
}

static int sadump_open(struct dump *d, struct err *e)
{
	struct sadump x = { .disks = NULL };
	int ret = sadump_read(d, &x, e);

	free(x.disks);
	return ret;
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
};
