/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kdump-compressed dumps: the layout as data, for both directions, and the table entry. */
#include "kdump.h"

#include "formats.h"

const struct kdump_abi kdump_abis[KDUMP_NR_ABIS] = {
	[ABI_64] = { 8, 8, 464, 104 },
	[ABI_32_PACKED] = { 4, 4, 452, 80 },
	[ABI_32_ALIGNED] = { 4, 8, 452, 96 },
};

/*
 * By ABI: 64 bit; 32 bit with 64-bit members aligned to 4 (i386, and whatever QEMU writes for a
 * 32-bit guest) or to 8 (Arm, PowerPC, MIPS).
 */
const struct kdump_field_info kdump_fields[KD_NR_FIELDS] = {
	[KD_VERSION] = { "header_version", 4, 0, { 8, 8, 8 } },
	[KD_TIME] = { "timestamp", 0, 0, { 408, 404, 404 } },
	[KD_STATUS] = { "status", 4, 0, { 424, 412, 412 } },
	[KD_BLOCK_SIZE] = { "block_size", 4, 0, { 428, 416, 416 } },
	[KD_SUB_BLOCKS] = { "sub_hdr_size", 4, 0, { 432, 420, 420 } },
	[KD_BITMAP_BLOCKS] = { "bitmap_blocks", 4, 0, { 436, 424, 424 } },
	[KD_MAX_MAPNR] = { "max_mapnr", 4, 0, { 440, 428, 428 } },
	[KD_NR_CPUS] = { "nr_cpus", 4, 0, { 460, 448, 448 } },
	[KD_PHYS_BASE] = { "phys_base", 0, 0, { 0, 0, 0 } },
	[KD_DUMP_LEVEL] = { "dump_level", 4, 1, { 8, 4, 4 } },
	[KD_SPLIT] = { "split", 4, 2, { 12, 8, 8 } },
	[KD_START_PFN] = { "start_pfn", 0, 2, { 16, 12, 12 } },
	[KD_END_PFN] = { "end_pfn", 0, 2, { 24, 16, 16 } },
	[KD_VMCOREINFO_OFF] = { "offset_vmcoreinfo", 8, 3, { 32, 20, 24 } },
	[KD_VMCOREINFO_SIZE] = { "size_vmcoreinfo", 0, 3, { 40, 28, 32 } },
	[KD_NOTES_OFF] = { "offset_note", 8, 4, { 48, 32, 40 } },
	[KD_NOTES_SIZE] = { "size_note", 0, 4, { 56, 40, 48 } },
	[KD_ERASEINFO_OFF] = { "offset_eraseinfo", 8, 5, { 64, 44, 56 } },
	[KD_ERASEINFO_SIZE] = { "size_eraseinfo", 0, 5, { 72, 52, 64 } },
	[KD_START_PFN_64] = { "start_pfn_64", 8, 6, { 80, 56, 72 } },
	[KD_END_PFN_64] = { "end_pfn_64", 8, 6, { 88, 64, 80 } },
	[KD_MAX_MAPNR_64] = { "max_mapnr_64", 8, 6, { 96, 72, 88 } },
};

static unsigned int width_of(enum kdump_abi_id abi, enum kdump_field f)
{
	return kdump_fields[f].width ? kdump_fields[f].width : kdump_abis[abi].word;
}

uint64_t kdump_field_max(enum kdump_abi_id abi, enum kdump_field f)
{
	return UINT64_MAX >> (64 - 8 * width_of(abi, f));
}

void kdump_get_fields(struct kdump_head *h, enum kdump_field from, enum kdump_field to,
		      const uint8_t *raw)
{
	enum kdump_field f;

	for (f = from; f < to; f++)
		h->f[f] = f >= KD_SUB_HEADER && h->f[KD_VERSION] < kdump_fields[f].since
				  ? 0
				  : load_uint(raw + kdump_fields[f].off[h->abi],
					      width_of(h->abi, f), h->order);
}

void kdump_put_fields(const struct kdump_head *h, enum kdump_field from, enum kdump_field to,
		      uint8_t *raw)
{
	enum kdump_field f;

	for (f = from; f < to; f++) {
		struct bytes_out o = { .data = raw,
				       .size = KDUMP_HEADER_MAX,
				       .pos = kdump_fields[f].off[h->abi],
				       .order = h->order };

		out_uint(&o, h->f[f], width_of(h->abi, f));
	}
}

static const struct magic kdump_magic[] = {
	{ 0, KDUMP_SIGNATURE, 8 },
	{ 0, DISKDUMP_SIGNATURE, 8 },
	{ 0, NULL, 0 },
};

const struct format kdump_format = {
	.name = "kdump",
	.title = "kdump-compressed dump",
	.is_set = true,
	.magic = kdump_magic,
	.probe = kdump_probe,
	.open = kdump_open,
	.mark = kdump_mark,
	.close = kdump_close,
	.codecs = CODEC_ALL,
	.can_split = true,
	.begin = kdump_begin,
	.put = kdump_put,
	.commit = kdump_commit,
	.abandon = kdump_abandon,
	.finish = kdump_finish,
};
