/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 32-bit Arm in either byte order: short descriptors, and long ones (LPAE).
 *
 * Sources: Arm Architecture Reference Manual ARMv7-A B3.5 and B3.6 (descriptors),
 * arch/arm/include/asm/pgtable-2level.h, pgtable-3level.h, memory.h, arch/arm/kernel/head.S
 * (swapper_pg_dir, which has all of the 4 GiB), machine_kexec.c (arch_crash_save_vmcoreinfo).
 */
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_ARM 40
#define TOP (1ULL << 32) /* of the address space */

/* The lowest PAGE_OFFSET (arch/arm/Kconfig, VMSPLIT_1G). */
#define SPLIT_LOWEST 0x40000000ULL
/*
 * swapper_pg_dir lies before the kernel text, which is less than this above PAGE_OFFSET
 * (arch/arm/Makefile, textofs: at most 0x308000).
 */
#define SPLIT_ALIGN 0x400000ULL
/*
 * PHYS_OFFSET is a multiple of this, since sections map the memory behind it; of 2 MiB where it is
 * found at boot (9443076e4330, v5.11), of 16 MiB before that.
 */
#define PHYS_ALIGN 0x100000ULL
/* Places to look at, in 64 GiB of memory: more than any such machine has. */
#define MAX_PLACES (1u << 16)

/*
 * Short descriptors, as the CPU sees them: the 4096 entries of Linux's 2048 pairs, each leading to
 * its own half of the hardware's table behind the one that Linux keeps for itself.
 */
static const struct entry_form short_top[] = {
	/* Supersection: 16 MiB in 16 entries; bits 20 to 23 are bits 32 to 35, 5 to 8 are 36 to 39.
	 */
	{ 0x40002,
	  0x40002,
	  ENTRY_LEAF,
	  { { 0xff000000, 0 }, { 0xf00000, 12 }, { 0x1e0, 31 } },
	  24 },
	{ 0x2, 0x2, ENTRY_LEAF, { { 0xfff00000, 0 } }, 0 }, /* bit 0 is PXN */
	{ 0x3, 0x1, ENTRY_TABLE, { { 0xfffffc00, 0 } }, 0 },
	ENTRY_REST,
};

static const struct entry_form short_last[] = {
	{ 0x3, 0x1, ENTRY_LEAF, { { 0xffff0000, 0 } }, 16 }, /* 64 KiB in 16 entries */
	{ 0x2, 0x2, ENTRY_LEAF, { { 0xfffff000, 0 } }, 0 },  /* bit 0 is XN */
	ENTRY_REST,
};

/* Long descriptors: bits 12 to 39 are the address. */
#define LONG_ADDR                          \
	{                                  \
		{                          \
			0xfffffff000ULL, 0 \
		}                          \
	}

static const struct entry_form long_upper[] = {
	{ 0x3, 0x1, ENTRY_LEAF, LONG_ADDR, 0 },
	{ 0x3, 0x3, ENTRY_TABLE, LONG_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form long_last[] = {
	{ 0x3, 0x3, ENTRY_LEAF, LONG_ADDR, 0 },
	ENTRY_REST,
};

static const struct paging short_descriptors = {
	.name = "Arm (32 bit) with short descriptors",
	.verified = { [ORDER_LE] = "Debian 6.1" },
	.va_bits = 32,
	.entry_size = 4,
	.nr_levels = 2,
	.level = { { 20, 12, short_top }, { 12, 8, short_last } },
};

static const struct paging long_descriptors = {
	.name = "Arm (32 bit) with LPAE",
	.verified = { [ORDER_LE] = "Debian 6.1" },
	.va_bits = 32,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 30, 2, long_upper }, { 21, 9, long_upper }, { 12, 9, long_last } },
};

static const struct paging *const layouts[] = { &short_descriptors, &long_descriptors, NULL };

/*
 * struct pt_regs inside struct elf_prstatus (arch/arm/include/uapi/asm/ptrace.h): pr_reg is at 72.
 */
#define PR_REG 72
/* clang-format off */
#define R(name, index) { name, PR_REG + 4 * (index), 4 }

static const struct reg_place prstatus_regs[] = {
	R("r0", 0),   R("r1", 1),   R("r2", 2),   R("r3", 3),   R("r4", 4),   R("r5", 5),
	R("r6", 6),   R("r7", 7),   R("r8", 8),   R("r9", 9),   R("r10", 10), R("r11", 11),
	R("r12", 12), R("sp", 13),  R("lr", 14),  R("pc", 15),  R("cpsr", 16),
};
/* clang-format on */

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "ttbr0", 0, 8 },  { "ttbr1", 8, 8 }, { "ttbcr", 16, 4 },
	{ "sctlr", 20, 4 }, { "dacr", 24, 4 }, { "contextidr", 28, 4 },
};

/* struct user_vfp (arch/arm/include/asm/user.h). */
#define NT_ARM_VFP 0x400
/* clang-format off */
#define D(n) { "d" #n, 8 * (n), 8 }

static const struct reg_place vfp_regs[] = { ROWS_32(D), { "fpscr", 256, 4 } };

/* gdb/features/arm/arm-core.xml, arm-vfpv3.xml; DWARF for the Arm Architecture (AADWARF32). */
#define N_R(n) { "r" #n, n, n }
#define N_D(n) { "d" #n, 26 + (n), 256 + (n) }

static const struct reg_number numbers[] = {
	ROWS_8(N_R), N_R(8), N_R(9), N_R(10), N_R(11), N_R(12), { "sp", 13, 13 }, { "lr", 14, 14 },
	{ "pc", 15, 15 }, { "cpsr", 25, -1 }, ROWS_32(N_D), { "fpscr", 58, -1 },
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 148, 24, REGS_OF(prstatus_regs), NOTE_MADE },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 32, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "LINUX", NT_ARM_VFP, 260, -1, REGS_OF(vfp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* What the user may say: no VMCOREINFO of Arm has PHYS_OFFSET. */
static const struct arch_fact facts[] = {
	{ "phys-base", "NUMBER(PHYS_OFFSET)", PHYS_ALIGN, 0, (1ULL << 40) - PHYS_ALIGN },
	{ NULL, NULL, 0, 0, 0 },
};

/*
 * struct cpu_context_save (arch/arm/include/asm/thread_info.h): in the task since 5.16, on its stack
 * before.
 */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "r4", "task_struct.thread_info.cpu_context.r4", 0 },
	{ "r5", "task_struct.thread_info.cpu_context.r5", 0 },
	{ "r6", "task_struct.thread_info.cpu_context.r6", 0 },
	{ "r7", "task_struct.thread_info.cpu_context.r7", 0 },
	{ "r8", "task_struct.thread_info.cpu_context.r8", 0 },
	{ "r9", "task_struct.thread_info.cpu_context.r9", 0 },
	{ "r10", "task_struct.thread_info.cpu_context.sl", 0 },
	{ "r11", "task_struct.thread_info.cpu_context.fp", 0 },
	{ "sp", "task_struct.thread_info.cpu_context.sp", 0 },
	{ "pc", "task_struct.thread_info.cpu_context.pc", 0 },
};

static const struct task_reg stack_regs[] = {
	{ "r4", "thread_info.cpu_context.r4", 0 },
	{ "r5", "thread_info.cpu_context.r5", 0 },
	{ "r6", "thread_info.cpu_context.r6", 0 },
	{ "r7", "thread_info.cpu_context.r7", 0 },
	{ "r8", "thread_info.cpu_context.r8", 0 },
	{ "r9", "thread_info.cpu_context.r9", 0 },
	{ "r10", "thread_info.cpu_context.sl", 0 },
	{ "r11", "thread_info.cpu_context.fp", 0 },
	{ "sp", "thread_info.cpu_context.sp", 0 },
	{ "pc", "thread_info.cpu_context.pc", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_NONE, .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .place = FRAME_AT_STACK, .frame = "thread_info",
	  .regs = stack_regs, .nr_regs = ARRAY_SIZE(stack_regs) },
	{ .nr_regs = 0 },
};

/* User mode: struct pt_regs. */
/* clang-format off */
static const struct task_reg user_regs[] = {
	{ "r0", "pt_regs.uregs", 0 },
	{ "r1", "pt_regs.uregs", 1 },
	{ "r2", "pt_regs.uregs", 2 },
	{ "r3", "pt_regs.uregs", 3 },
	{ "r4", "pt_regs.uregs", 4 },
	{ "r5", "pt_regs.uregs", 5 },
	{ "r6", "pt_regs.uregs", 6 },
	{ "r7", "pt_regs.uregs", 7 },
	{ "r8", "pt_regs.uregs", 8 },
	{ "r9", "pt_regs.uregs", 9 },
	{ "r10", "pt_regs.uregs", 10 },
	{ "r11", "pt_regs.uregs", 11 },
	{ "r12", "pt_regs.uregs", 12 },
	{ "sp", "pt_regs.uregs", 13 },
	{ "lr", "pt_regs.uregs", 14 },
	{ "pc", "pt_regs.uregs", 15 },
	{ "cpsr", "pt_regs.uregs", 16 },
};
/* clang-format on */

/* THREAD_START_SP is 8 below the end (arch/arm/include/asm/thread_info.h); the mode is USR_MODE. */
static const struct task_layout user[] = {
	{ FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs), .gap = 8,
	  .sign = { "pt_regs.uregs", "cpsr", 16, 0x1f, 0x10 } },
	{ .nr_regs = 0 },
};

/*
 * Does a table of X's layout at PLACE map itself there, and the kernel's data in line with it? Text
 * that is executed from flash (XIP) is not.
 */
static bool fits(struct xlat *x, const struct dump *d, uint64_t root, uint64_t data, uint64_t place)
{
	x->root = place;
	return xlat_maps(x, d, root, place) && xlat_maps(x, d, data, data - root + place);
}

/* Where PHYS_OFFSET may be, in the run of memory R: the first place that fits. */
static bool search_run(struct xlat *x, const struct dump *d, const struct run *r, uint64_t root,
		       uint64_t data, unsigned int *places)
{
	unsigned int shift = dump_page_shift(d);
	uint64_t start = r->pfn << shift, end = (r->pfn + r->nr) << shift,
		 place = (start & -PHYS_ALIGN) + (root & (PHYS_ALIGN - 1));

	for (; place < end && *places < MAX_PLACES; place += PHYS_ALIGN, ++*places)
		if (place >= start && fits(x, d, root, data, place))
			return true;
	return false;
}

/*
 * Where the table is: nothing exported tells PHYS_OFFSET, and that memory begins there is the rule,
 * but not a law. All of memory is searched for the table that maps itself.
 */
static bool find_table(struct xlat *x, const struct dump *d, uint64_t root, uint64_t data)
{
	unsigned int places = 0;
	struct run r = { .pfn = 0 };

	for (; dump_next_run(d, SPACE_PHYS, r.pfn, &r) && places < MAX_PLACES; r.pfn += r.nr) {
		places++;
		if (r.pfn + r.nr > 1ULL << (40 - dump_page_shift(d)))
			break;
		if (r.state == PAGE_DATA && search_run(x, d, &r, root, data, &places))
			return true;
	}
	return false;
}

static bool find_layout(struct xlat *x, const struct dump *d, const struct kernel *k, uint64_t root)
{
	uint64_t data = kernel_or(k, FACT_SYMBOL, "init_uts_ns", root);
	char says_lpae[8];
	unsigned int i;
	uint64_t base;

	/* Without that line LPAE comes second: a kernel may be older than it. */
	kernel_text(k, "CONFIG_ARM_LPAE", says_lpae, sizeof(says_lpae));
	for (i = 0; i < 2; i++) {
		x->paging =
			(says_lpae[0] == 'y') == (i == 0) ? &long_descriptors : &short_descriptors;
		if (!xlat_allows(x, x->paging))
			continue;
		if (kernel_fact(k, FACT_NUMBER, "PHYS_OFFSET", &base)
			    ? fits(x, d, root, data, root % SPLIT_ALIGN + base)
			    : find_table(x, d, root, data))
			return true;
	}
	x->paging = NULL;
	x->root = 0;
	return false;
}

static int arm_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	uint64_t root;

	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &root) || root < SPLIT_LOWEST ||
	    root >= TOP) {
		err_set(e, ERR_MISSING,
			"the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	} else if (find_layout(x, d, k, root)) {
		x->phys_base = x->root - root % SPLIT_ALIGN;
		x->flat_pfn = x->phys_base >> dump_page_shift(d);
		return 0;
	} else {
		err_set(e, ERR_MISSING,
			"no page table of SYMBOL(swapper_pg_dir) is anywhere in memory");
	}
	xlat_add_segments(x, d, SPLIT_LOWEST, TOP, e);
	return -1;
}

/* The image is a part of the linear map, and no fact tells its end: more than any has. */
static bool arm_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
			    uint64_t *end)
{
	(void)x;
	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", start) || *start >= TOP)
		return false;
	*start &= -SPLIT_ALIGN;
	*end = MIN(*start + (128ULL << 20), TOP);
	return true;
}

/* What both byte orders have: page tables and notes are in that of the data (SCTLR.EE). */
#define ARM(id, name_, title_, order_, also_)                                   \
	const struct arch id = {                                                \
		.name = name_,                                                  \
		.title = title_,                                                \
		.e_machine = EM_ARM,                                            \
		.order = order_,                                                \
		.word = 4,                                                      \
		.page_shift = 12,                                               \
		.align64 = 8,                                                   \
		.pfn_from_phys_base = true,                                     \
		.also = also_,                                                  \
		.paging = layouts,                                              \
		.facts = facts,                                                 \
		.notes = notes,                                                 \
		.numbers = numbers,                                             \
		.nr_numbers = ARRAY_SIZE(numbers),                              \
		.sp = "sp",                                                     \
		.pc = "pc",                                                     \
		.tasks = tasks,                    \
		.user = user,                      \
		.section_size_bits = 28, /* arch/arm/include/asm/sparsemem.h */ \
		.max_physmem_bits = 36,                                         \
		.stack_shift = 13, /* THREAD_SIZE_ORDER 1 */                    \
		.setup = arm_setup,                                             \
		.image_range = arm_image_range,                                 \
	}

ARM(arm_arch, "armv7l", "Arm (32 bit)", ORDER_LE, "arm armel armhf armv*l armv7 arm32");
ARM(armeb_arch, "armv7b", "Arm (32 bit, big-endian)", ORDER_BE, "arm armeb armv*b");
