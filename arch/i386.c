/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 32-bit x86: two levels with pages of 4 MiB (PSE, PSE-36), three with PAE.
 *
 * Sources: arch/x86/include/asm/pgtable-2level_types.h, pgtable-3level_types.h, page_32_types.h,
 * arch/x86/kernel/machine_kexec_32.c (arch_crash_save_vmcoreinfo), Intel SDM 3A 4.3 and 4.4.
 */
#include <stddef.h>
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_386 3
#define TOP (1ULL << 32) /* of the address space */

/*
 * The linear map begins at PAGE_OFFSET (arch/x86/Kconfig, VMSPLIT_*: 0xc0000000, 0xb0000000,
 * 0x80000000, 0x78000000, 0x40000000), with physical address 0. All are multiples of this.
 */
#define SPLIT_STEP 0x08000000ULL
#define SPLIT_LOWEST 0x40000000ULL

#define ENTRY_PRESENT 1ULL
#define ENTRY_PSE 0x80ULL

/* 32-bit entries: the address is bits 12 to 31. */
#define PLAIN_ADDR                       \
	{                                \
		{                        \
			0xfffff000ULL, 0 \
		}                        \
	}
/* A page of 4 MiB: bits 22 to 31, and bits 13 to 20 are bits 32 to 39 (PSE-36, SDM table 4-4). */
#define PSE_ADDR                          \
	{                                 \
		{ 0xffc00000ULL, 0 },     \
		{                         \
			0x001fe000ULL, 19 \
		}                         \
	}
/* 64-bit entries: bits 12 to 51; bit 63 is NX. */
#define PAE_ADDR                                 \
	{                                        \
		{                                \
			0x000ffffffffff000ULL, 0 \
		}                                \
	}

static const struct entry_form plain_directory[] = {
	{ ENTRY_PRESENT | ENTRY_PSE, ENTRY_PRESENT | ENTRY_PSE, ENTRY_LEAF, PSE_ADDR, 0 },
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, PLAIN_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form plain_last[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_LEAF, PLAIN_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form pae_top[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, PAE_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form pae_directory[] = {
	{ ENTRY_PRESENT | ENTRY_PSE, ENTRY_PRESENT | ENTRY_PSE, ENTRY_LEAF, PAE_ADDR, 0 },
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, PAE_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form pae_last[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_LEAF, PAE_ADDR, 0 },
	ENTRY_REST,
};

static const struct paging plain = {
	.name = "x86 (32 bit) with 2 levels",
	.verified = { [ORDER_LE] = "Debian 6.1" },
	.va_bits = 32,
	.entry_size = 4,
	.nr_levels = 2,
	.level = { { 22, 10, plain_directory }, { 12, 10, plain_last } },
};

static const struct paging pae = {
	.name = "x86 (32 bit) with PAE",
	.verified = { [ORDER_LE] = "Debian 6.1" },
	.va_bits = 32,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 30, 2, pae_top }, { 21, 9, pae_directory }, { 12, 9, pae_last } },
};

static const struct paging *const layouts[] = { &pae, &plain, NULL };

/*
 * struct user_regs_struct inside struct elf_prstatus (arch/x86/include/asm/user_32.h): pr_reg is at
 * 72.
 */
#define PR_REG 72
/* clang-format off */
#define R(name, index) { name, PR_REG + 4 * (index), 4 }

static const struct reg_place prstatus_regs[] = {
	R("ebx", 0),  R("ecx", 1),  R("edx", 2),     R("esi", 3),  R("edi", 4), R("ebp", 5),
	R("eax", 6),  R("ds", 7),   R("es", 8),      R("fs", 9),   R("gs", 10), R("eip", 12),
	R("cs", 13),  R("eflags", 14), R("esp", 15), R("ss", 16),
};
/* clang-format on */

/*
 * QEMU's own note, the same for both widths (target/i386/arch_dump.c, struct QEMUCPUState version
 * 1): bases of the segments, then control registers.
 */
static const struct reg_place qemu_regs[] = {
	{ "fs_base", 240, 4 }, { "gs_base", 264, 4 }, { "cr0", 392, 4 },
	{ "cr2", 408, 4 },     { "cr3", 416, 4 },     { "cr4", 424, 4 },
};

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "cr0", 0, 4 },      { "cr2", 4, 4 },	    { "cr3", 8, 4 },  { "cr4", 12, 4 },
	{ "fs_base", 16, 4 }, { "gs_base", 20, 4 }, { "dr0", 24, 4 }, { "dr1", 28, 4 },
	{ "dr2", 32, 4 },     { "dr3", 36, 4 },	    { "dr6", 40, 4 }, { "dr7", 44, 4 },
};

/* struct fxregs_state (arch/x86/include/asm/fpu/types.h). */
#define NT_PRXFPREG 0x46e62b7f
/* clang-format off */
#define ST(n) { "st" #n, 32 + 16 * (n), 10 }
#define XMM(n) { "xmm" #n, 160 + 16 * (n), 16 }

static const struct reg_place fp_regs[] = {
	ROWS_8(ST), { "fctrl", 0, 2 }, { "fstat", 2, 2 }, { "fop", 6, 2 },
	ROWS_8(XMM), { "mxcsr", 24, 4 },
};

/*
 * gdb/features/i386/32bit-core.xml, 32bit-sse.xml; System V ABI, Intel386 Architecture Processor
 * Supplement, "DWARF Register Number Mapping".
 */
#define N_ST(n) { "st" #n, 16 + (n), 11 + (n) }
#define N_XMM(n) { "xmm" #n, 32 + (n), 21 + (n) }

static const struct reg_number numbers[] = {
	{ "eax", 0, 0 }, { "ecx", 1, 1 }, { "edx", 2, 2 }, { "ebx", 3, 3 }, { "esp", 4, 4 },
	{ "ebp", 5, 5 }, { "esi", 6, 6 }, { "edi", 7, 7 }, { "eip", 8, 8 }, { "eflags", 9, 9 },
	{ "cs", 10, 41 }, { "ss", 11, 42 }, { "ds", 12, 43 }, { "es", 13, 40 }, { "fs", 14, 44 },
	{ "gs", 15, 45 }, ROWS_8(N_ST), { "fctrl", 24, 37 }, { "fstat", 25, 38 }, { "fop", 31, -1 },
	ROWS_8(N_XMM), { "mxcsr", 40, 39 },
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 144, 24, REGS_OF(prstatus_regs), NOTE_MADE },
	{ "QEMU", 0, 432, -1, REGS_OF(qemu_regs), 0 },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 48, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "LINUX", NT_PRXFPREG, 512, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* What the user may say: no VMCOREINFO of i386 has PAGE_OFFSET. */
static const struct arch_fact facts[] = {
	{ "page-offset", "NUMBER(PAGE_OFFSET)", SPLIT_STEP, SPLIT_LOWEST, TOP - SPLIT_STEP },
	{ "kaslr-offset", "KERNELOFFSET", 1 << 20, 0, TOP - 1 },
	{ NULL, NULL, 0, 0, 0 },
};

/* struct inactive_task_frame (arch/x86/include/asm/switch_to.h), since 4.9. */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "edi", "inactive_task_frame.di", 0 },
	{ "esi", "inactive_task_frame.si", 0 },
	{ "ebx", "inactive_task_frame.bx", 0 },
	{ "ebp", "inactive_task_frame.bp", 0 },
	{ "eip", "inactive_task_frame.ret_addr", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_POPPED, .frame = "inactive_task_frame",
	  .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* User mode: struct pt_regs. */
/* clang-format off */
static const struct task_reg user_regs[] = {
	{ "ebx", "pt_regs.bx", 0 },
	{ "ecx", "pt_regs.cx", 0 },
	{ "edx", "pt_regs.dx", 0 },
	{ "esi", "pt_regs.si", 0 },
	{ "edi", "pt_regs.di", 0 },
	{ "ebp", "pt_regs.bp", 0 },
	{ "eax", "pt_regs.ax", 0 },
	{ "ds", "pt_regs.ds", 0 },
	{ "es", "pt_regs.es", 0 },
	{ "fs", "pt_regs.fs", 0 },
	{ "gs", "pt_regs.gs", 0 },
	{ "eip", "pt_regs.ip", 0 },
	{ "cs", "pt_regs.cs", 0 },
	{ "eflags", "pt_regs.flags", 0 },
	{ "esp", "pt_regs.sp", 0 },
	{ "ss", "pt_regs.ss", 0 },
};
/* clang-format on */

/*
 * TOP_OF_KERNEL_STACK_PADDING (arch/x86/include/asm/thread_info.h): with virtual 8086 mode, and without.
 */
#define USER(padding)                                                                     \
	{                                                                                 \
		FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs), .gap = (padding),         \
		.sign = { "pt_regs.cs", "cs", 0, 3, 3 }                                   \
	}

static const struct task_layout user[] = {
	USER(16),
	USER(8),
	{ .nr_regs = 0 },
};

/* Does a table of X's layout map itself, and the kernel's text, where OFFSET says? */
static bool fits(struct xlat *x, const struct dump *d, const struct kernel *k, uint64_t root,
		 uint64_t offset)
{
	uint64_t stext = kernel_or(k, FACT_SYMBOL, "_stext", root);

	x->root = root - offset;
	return xlat_maps(x, d, root, root - offset) && xlat_maps(x, d, stext, stext - offset);
}

/* Find PAGE_OFFSET and the layout: which of them make the table map what they say? */
static bool find_table(struct xlat *x, const struct dump *d, const struct kernel *k, uint64_t root)
{
	char says_pae[8];
	uint64_t offset;
	unsigned int i;

	/* Without that line PAE comes second: a kernel may be older than it. */
	kernel_text(k, "CONFIG_X86_PAE", says_pae, sizeof(says_pae));
	for (i = 0; i < 2; i++) {
		x->paging = (says_pae[0] == 'y') == (i == 0) ? &pae : &plain;
		if (!xlat_allows(x, x->paging))
			continue;
		if (kernel_fact(k, FACT_NUMBER, "PAGE_OFFSET", &offset)) {
			if (fits(x, d, k, root, offset))
				return true;
			continue;
		}
		/* The lowest part of memory is where the kernel mostly is: from the top. */
		for (offset = root & -SPLIT_STEP; offset >= SPLIT_LOWEST; offset -= SPLIT_STEP)
			if (fits(x, d, k, root, offset))
				return true;
	}
	x->paging = NULL;
	x->root = 0;
	return false;
}

/*
 * arch/x86/include/asm/sparsemem.h: sections of 2^26 bytes in 2^32, with PAE of 2^29 in 2^36; of
 * 2^30 before v2.6.26, when the static array had 64 of them.
 */
static void set_sections(struct xlat *x, const struct kernel *k)
{
	bool is_pae = x->paging == &pae;
	bool large = kernel_or(k, FACT_LENGTH, "mem_section", 0) == 64;

	x->max_physmem_bits = is_pae ? 36 : 32;
	x->section_size_bits = !is_pae ? 26 : large ? 30 : 29;
}

static int i386_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	uint64_t root;

	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &root) || root < SPLIT_LOWEST ||
	    root >= TOP) {
		err_set(e, ERR_MISSING,
			"the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	} else if (find_table(x, d, k, root)) {
		set_sections(x, k);
		return 0;
	} else {
		err_set(e, ERR_MISSING,
			"no page table at SYMBOL(swapper_pg_dir), wherever the linear map may begin");
	}
	xlat_add_segments(x, d, SPLIT_LOWEST, TOP, e);
	return -1;
}

const struct arch i386_arch = {
	.name = "i686",
	.title = "x86 (32 bit)",
	.e_machine = EM_386,
	.order = ORDER_LE,
	.word = 4,
	.page_shift = 12,
	.align64 = 4,
	.also = "i?86 x86 ia32",
	.paging = layouts,
	.facts = facts,
	.notes = notes,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "esp",
	.pc = "eip",
	.tasks = tasks,
	.user = user,
	.section_size_bits = 29,
	.max_physmem_bits = 36,
	.stack_shift = 13, /* THREAD_SIZE_ORDER 1 */
	.setup = i386_setup,
	.image_align = 2ULL << 20,
	.image_max = 128ULL << 20, /* more than any has */
};
