/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formats without a driver here: recognised, so that a user reads what the file is, and left to the
 * driver of last resort (libkdumpfile.c) in a link that has it.
 *
 * Sources: LKCD dump_base.c and <linux/dump.h> (DUMP_MAGIC_NUMBER); s390-tools zipl/zdump
 * (DF_S390_MAGIC); Xen docs/misc/dump-core-format.txt.
 */
#include "formats.h"

#include "bytes.h"

/* ---- LKCD, S390DUMP: a magic says it all ---- */

static const struct magic lkcd_magic[] = {
	{ 0, "\xed\x23\x8f\x61\x73\x01\x19\xa8", 8 },
	{ 0, "\xa8\x19\x01\x73\x61\x8f\x23\xed", 8 },
	{ 0, NULL, 0 },
};

const struct format lkcd_format = {
	.name = "lkcd",
	.title = "LKCD dump",
	.magic = lkcd_magic,
};

static const struct magic s390dump_magic[] = {
	{ 0, "\xa8\x19\x01\x73\x61\x8f\x23\xfd", 8 },
	{ 0, NULL, 0 },
};

const struct format s390dump_format = {
	.name = "s390dump",
	.title = "S390 stand-alone dump",
	.magic = s390dump_magic,
};

/* ---- Xen dump-core: an ELF core whose memory lies in sections, not in segments ---- */

#define EHDR64_SIZE 64
#define SHDR64_SIZE 64
#define ET_CORE 4
#define MAX_SECTIONS 64 /* there are seven */

static const struct magic elf64_magic[] = {
	{ 0, "\177ELF\2", 5 },
	{ 0, NULL, 0 },
};

/* sh_name and sh_offset of section INDEX. */
static bool read_section(struct source *s, uint64_t table, unsigned int index,
			 enum byte_order order, uint32_t *name, uint64_t *off)
{
	uint64_t at = table + (uint64_t)index * SHDR64_SIZE;
	uint8_t raw[SHDR64_SIZE];
	struct err ignored = ERR_INIT;

	if (at < table || source_read(s, at, raw, sizeof(raw), &ignored))
		return false;
	*name = load_u32(raw, order);
	*off = load_u64(raw + 24, order);
	return true;
}

/*
 * Is there a section .xen_pages? libxenguest writes ELF64 for guests of either width, section
 * headers right behind the ELF header and no program headers.
 */
static int xencore_probe(struct source *s)
{
	uint8_t h[EHDR64_SIZE];
	char name[12];
	struct err ignored = ERR_INIT;
	enum byte_order order;
	uint64_t table, strings, off;
	uint32_t index;
	unsigned int nr, i;

	if (source_read(s, 0, h, sizeof(h), &ignored))
		return 0;
	order = h[5] == 2 ? ORDER_BE : ORDER_LE;
	table = load_u64(h + 40, order);
	nr = load_u16(h + 60, order);
	if (load_u16(h + 16, order) != ET_CORE || load_u16(h + 56, order) || nr > MAX_SECTIONS ||
	    !read_section(s, table, load_u16(h + 62, order), order, &index, &strings))
		return 0;
	for (i = 0; i < nr; i++)
		if (read_section(s, table, i, order, &index, &off) &&
		    strings <= UINT64_MAX - index &&
		    !source_read(s, strings + index, name, sizeof(name), &ignored) &&
		    !strncmp(name, ".xen_pages", sizeof(name)))
			return 40 + 16 + 16 + 80;
	/* They are the last thing in the file: one that is cut off has lost them. */
	return nr && strings >= source_size(s) ? 40 + 16 + 16 : 0;
}

const struct format xencore_format = {
	.name = "xencore",
	.title = "Xen dump-core file",
	.magic = elf64_magic,
	.probe = xencore_probe,
};
