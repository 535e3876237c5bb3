/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver of last resort has to know about files before, and instead of, libkdumpfile: what
 * the library does not survive, and the list of pages of an LKCD dump. It makes one, but does not
 * show it, and takes the end of the file for the end of the pages.
 *
 * Neither does it show the registers of an S390DUMP, nor where they are.
 *
 * Sources: LKCD <linux/dump.h>, dump_header and dump_page; lkcdutils; gabi; libkdumpfile lkcd.c,
 * elfdump.c; s390-tools include/dump/s390_dump.h, zdump/dfi_s390.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "lastresort.h"

#define MAGIC 0xa8190173618f23edULL
#define VERSION_OFF 8u
#define MCLX_BITS 0xc0000000u /* flags in the version: of Mission Critical Linux */
#define BUFFER_OFF 734u	      /* since version 9: where pages begin */
#define DATA_OFF 65536u
#define PAGE_HEADER 16u
#define PAGE_END 4u

/* Byte order of the dump's header: false when S is no LKCD dump. */
static bool read_order(struct source *s, enum byte_order *ret)
{
	struct err ignored = ERR_INIT;
	uint8_t magic[8];

	if (source_read(s, 0, magic, sizeof(magic), &ignored))
		return false;
	*ret = magic[0] == 0xa8 ? ORDER_BE : ORDER_LE;
	return load_u64(magic, *ret) == MAGIC;
}

/* After the error about a version that it does not know the library frees twice (lkcd_cleanup()).
 */
static int check_lkcd(struct source *s, enum byte_order order, struct err *e)
{
	uint8_t raw[4];
	uint32_t version;

	if (source_read(s, VERSION_OFF, raw, sizeof(raw), e))
		return -1;
	version = load_u32(raw, order) & ~MCLX_BITS;
	if (!version || version == 4 || version > 10)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: LKCD version %" PRIu32
			       "; libkdumpfile reads 1 to 3 and 5 to 10",
			       source_name(s), version);
	return 0;
}

#define EHDR_SIZE 64
#define SHDR_SIZE 64
#define EM_386 3
#define EM_X86_64 62

/*
 * Of an ELF file (64 bit: a Xen dump-core) the library looks at section headers of whatever size
 * the file says, at section names of whatever length, and calls what it has for CPUs of x86 only.
 */
static int check_elf(struct source *s, const uint8_t *h, struct err *e)
{
	enum byte_order order = h[5] == 2 ? ORDER_BE : ORDER_LE;
	uint64_t at = load_u64(h + 40, order) + (uint64_t)load_u16(h + 62, order) * SHDR_SIZE;
	uint16_t machine = load_u16(h + 18, order);
	uint8_t raw[SHDR_SIZE], last;
	uint64_t off, size;

	if (machine != EM_386 && machine != EM_X86_64)
		return err_set(e, ERR_UNSUPPORTED, "%s: a Xen guest of ELF machine %u, not x86",
			       source_name(s), machine);
	if (load_u16(h + 58, order) != SHDR_SIZE)
		return err_set(e, ERR_CORRUPT, "%s: e_shentsize is %u, expected %d", source_name(s),
			       load_u16(h + 58, order), SHDR_SIZE);
	if (source_read(s, at, raw, sizeof(raw), e))
		return err_add(e, "header of the string table");
	off = load_u64(raw + 24, order);
	size = load_u64(raw + 32, order);
	if (!size || off > UINT64_MAX - size || source_read(s, off + size - 1, &last, 1, e) || last)
		return err_set(e, ERR_CORRUPT,
			       "%s: the string table, %" PRIu64 " bytes at offset 0x%" PRIx64
			       ", is cut off or has no end",
			       source_name(s), size, off);
	return 0;
}

int lastresort_check(struct source *s, struct err *e)
{
	enum byte_order order;
	uint8_t h[EHDR_SIZE];

	if (read_order(s, &order))
		return check_lkcd(s, order, e);
	if (source_read(s, 0, h, sizeof(h), e))
		return -1;
	return memcmp(h, "\177ELF\2", 5) ? 0 : check_elf(s, h, e);
}

static uint64_t data_start(struct source *s, enum byte_order order)
{
	struct err ignored = ERR_INIT;
	uint8_t version[4], buffer[8];

	if (source_read(s, VERSION_OFF, version, sizeof(version), &ignored) ||
	    (load_u32(version, order) & 0xff) < 9 ||
	    source_read(s, BUFFER_OFF, buffer, sizeof(buffer), &ignored))
		return DATA_OFF;
	return load_u64(buffer, order);
}

int lkcd_list(struct source *s, enum byte_order order, uint64_t page_size,
	      int (*found)(void *priv, uint64_t pfn, struct err *e), void *priv, struct err *e)
{
	uint64_t off = data_start(s, order);

	for (;;) {
		uint8_t raw[PAGE_HEADER];
		uint32_t size;

		if (off >= UINT64_MAX / 2 || source_read(s, off, raw, sizeof(raw), e))
			return err_set(e, ERR_UNREADABLE,
				       "the file ends at offset 0x%" PRIx64
				       ", where a page or the end mark should be",
				       off);
		if (load_u32(raw + 12, order) & PAGE_END)
			return 0;
		size = load_u32(raw + 8, order);
		if (!size || size > 2 * SOURCE_SLACK)
			return err_set(e, ERR_CORRUPT,
				       "a page of %" PRIu32 " bytes at offset 0x%" PRIx64, size,
				       off);
		if (off + sizeof(raw) + size > source_size(s))
			return err_set(e, ERR_UNREADABLE,
				       "the file ends in the page at offset 0x%" PRIx64, off);
		if (found(priv, load_u64(raw, order) / page_size, e))
			return err_add(e, "offset 0x%" PRIx64, off);
		off += sizeof(raw) + size;
	}
}

/* ---- S390DUMP ---- */

#define S390_MAGIC 0xa8190173618f23fdULL
#define S390_HEADER 4096u
#define S390_CPU_COUNT 0x5du /* 2 bytes; of those in the vector */
#define S390_LOWCORES 0x800u /* absolute addresses of the CPUs' prefix areas, 4 bytes each */
#define S390_MAX_CPUS 512u

int s390dump_list_cpus(struct source *s, uint64_t **ret, unsigned int *nr, struct err *e)
{
	struct err ignored = ERR_INIT;
	uint8_t raw[S390_HEADER];
	unsigned int i, count;

	*ret = NULL;
	*nr = 0;
	if (source_read(s, 0, raw, sizeof(raw), &ignored) || load_u64(raw, ORDER_BE) != S390_MAGIC)
		return 0;
	count = load_u16(raw + S390_CPU_COUNT, ORDER_BE);
	count = count < S390_MAX_CPUS ? count : S390_MAX_CPUS;
	*ret = calloc(count + 1, sizeof(**ret));
	if (!*ret)
		return err_set(e, ERR_NOMEM, "no memory for %u CPUs", count);
	for (i = 0; i < count; i++) {
		uint32_t lowcore = load_u32(raw + S390_LOWCORES + 4 * i, ORDER_BE);

		if (lowcore)
			(*ret)[(*nr)++] = lowcore;
	}
	return 0;
}
