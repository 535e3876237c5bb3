/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenRISC 1000, 32 bit, big-endian: pages of 8 KiB, a linear map that never moves, and the table
 * that the kernel's own TLB miss handlers walk: the MMU knows none.
 *
 * Sources: arch/openrisc/include/asm/{pgtable,pgalloc,page,fixmap,thread_info,elf}.h,
 * arch/openrisc/kernel/head.S (dtlb_miss_handler), arch/openrisc/mm/init.c (map_ram),
 * arch/openrisc/kernel/vmlinux.lds.S.
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_OPENRISC 92

/* The linear map: all memory, from physical address 0. The image is linked to its beginning. */
#define PAGE_OFFSET 0xc0000000ULL
/*
 * It may reach up to the fixmap, whose size differs between kernels, but which lies in the last
 * table of all of them: there the table tells.
 */
#define LINEAR_END 0xff000000ULL
/* The image has no end in VMCOREINFO: more than any has. */
#define IMAGE_SIZE (64ULL << 20)

#define ENTRY_PRESENT 1ULL
/*
 * Physical at both levels (pmd_populate(), asm/pgalloc.h). There are no large pages: the handlers
 * take whatever an entry of the first level says for a table.
 */
#define ENTRY_ADDR 0xffffe000ULL

static const struct entry_form top[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, { { ENTRY_ADDR, 0 } }, 0 },
	ENTRY_REST,
};

static const struct entry_form last[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_LEAF, { { ENTRY_ADDR, 0 } }, 0 },
	ENTRY_REST,
};

static const struct paging two_levels = {
	.name = "OpenRISC with 2 levels",
	.va_bits = 32,
	.entry_size = 4,
	.nr_levels = 2,
	.level = { { 24, 8, top }, { 13, 11, last } },
};

static const struct paging *const layouts[] = { &two_levels, NULL };

/*
 * struct user_regs_struct (uapi/asm/ptrace.h), 34 words, inside struct elf_prstatus: pr_reg is
 * at 72. Names as in gdb's feature org.gnu.gdb.or1k.group0: what the kernel calls pc is npc there.
 */
#define PR_REG 72
/* clang-format off */
#define R(name, index) { name, PR_REG + 4 * (index), 4 }

static const struct reg_place prstatus_regs[] = {
	R("r0", 0),   R("r1", 1),   R("r2", 2),   R("r3", 3),   R("r4", 4),   R("r5", 5),
	R("r6", 6),   R("r7", 7),   R("r8", 8),   R("r9", 9),   R("r10", 10), R("r11", 11),
	R("r12", 12), R("r13", 13), R("r14", 14), R("r15", 15), R("r16", 16), R("r17", 17),
	R("r18", 18), R("r19", 19), R("r20", 20), R("r21", 21), R("r22", 22), R("r23", 23),
	R("r24", 24), R("r25", 25), R("r26", 26), R("r27", 27), R("r28", 28), R("r29", 29),
	R("r30", 30), R("r31", 31), R("npc", 32), R("sr", 33),
};
/* clang-format on */

/* gdb/features/or1k-core.xml; DWARF: gcc/config/or1k/or1k.h. */
/* clang-format off */
#define N_R(n) { "r" #n, n, n }

static const struct reg_number numbers[] = { ROWS_32(N_R), { "npc", 33, -1 }, { "sr", 34, -1 } };
/* clang-format on */

/* No note of our own: no register says where a table is, or how it is to be read. */
static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 212, 24, REGS_OF(prstatus_regs), NOTE_MADE },
	{ .owner = NULL },
};

/*
 * Take the table at virtual address ROOT if it maps itself. Where that cannot be asked, as
 * the dump lacks the next table, the rest of it is of use still.
 */
static int use_table(const struct dump *d, struct xlat *x, uint64_t root, struct err *e)
{
	uint64_t paddr = root - PAGE_OFFSET, missing;

	if (root < PAGE_OFFSET || root >= LINEAR_END)
		return err_set(e, ERR_MISSING,
			       "SYMBOL(swapper_pg_dir) 0x%" PRIx64 " is not in the linear map",
			       root);
	x->root = paddr;
	x->paging = &two_levels;
	if (xlat_maps(x, d, root, paddr) ||
	    (dump_page_state(d, SPACE_PHYS, paddr >> dump_page_shift(d)) == PAGE_DATA &&
	     xlat_lost(x, d, root, &missing)))
		return 0;
	x->paging = NULL;
	return err_set(e, ERR_MISSING, "there is no kernel page table at 0x%" PRIx64, paddr);
}

static int openrisc_setup(const struct dump *d, const struct kernel *k, struct xlat *x,
			  struct err *e)
{
	uint64_t root;
	int failed;

	x->paging = NULL;
	x->phys_base = 0;
	failed = kernel_need(k, FACT_SYMBOL, "swapper_pg_dir", &root, e);
	if (!failed)
		failed = use_table(d, x, root, e);
	/* Comes last: else it, not the table, would answer what use_table() asks. */
	return xlat_add_window(x, PAGE_OFFSET, 0, LINEAR_END - PAGE_OFFSET, e) ? -1 : failed;
}

static bool openrisc_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
				 uint64_t *end)
{
	(void)x;
	(void)k;
	*start = PAGE_OFFSET;
	*end = PAGE_OFFSET + IMAGE_SIZE;
	return true;
}

const struct arch openrisc_arch = {
	.name = "openrisc",
	.title = "OpenRISC",
	.e_machine = EM_OPENRISC,
	.order = ORDER_BE,
	.word = 4,
	.page_shift = 13,
	.align64 = 4, /* BIGGEST_ALIGNMENT of gcc/config/or1k/or1k.h */
	.also = "or1k",
	.paging = layouts,
	.notes = notes,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "r1",
	.pc = "npc",
	/* No sparse memory model (arch/openrisc/Kconfig). */
	.stack_shift = 13, /* THREAD_SIZE_ORDER 0 */
	.setup = openrisc_setup,
	.image_range = openrisc_image_range,
};
