/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64: 4 and 5 level page tables, KASLR, SME.
 *
 * Sources: arch/x86/include/asm/pgtable_64_types.h, page_64_types.h,
 * arch/x86/kernel/machine_kexec_64.c (arch_crash_save_vmcoreinfo), Intel SDM 3A 4.5.
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_X86_64 62
#define DIRECT_FIRST 0xff00000000000000ULL /* the lowest kernel address of 5 levels */
#define KERNEL_MAP 0xffffffff80000000ULL /* __START_KERNEL_map */
#define IMAGE_ALIGN (2ULL << 20)	 /* MIN_KERNEL_ALIGN, in both kinds of address */
#define KERNEL_IMAGE_SIZE (1ULL << 30)	 /* at most; NUMBER(KERNEL_IMAGE_SIZE) since v5.1 */

#define ENTRY_PRESENT 1ULL
#define ENTRY_PSE 0x80ULL
#define ENTRY_ADDR { { 0x000ffffffffff000ULL, 0 } } /* bits 12 to 51 */

static const struct entry_form last[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_LEAF, ENTRY_ADDR, 0 },
	ENTRY_REST,
};

/* Levels whose entries may map a huge page. */
static const struct entry_form middle[] = {
	{ ENTRY_PRESENT | ENTRY_PSE, ENTRY_PRESENT | ENTRY_PSE, ENTRY_LEAF, ENTRY_ADDR, 0 },
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, ENTRY_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form top[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_TABLE, ENTRY_ADDR, 0 },
	ENTRY_REST,
};

static const struct paging four_levels = {
	.name = "x86-64 with 4 levels",
	.verified = { [ORDER_LE] = "Debian 6.1" },
	.va_bits = 48,
	.sign_extended = true,
	.entry_size = 8,
	.nr_levels = 4,
	.level = { { 39, 9, top }, { 30, 9, middle }, { 21, 9, middle }, { 12, 9, last } },
};

static const struct paging five_levels = {
	.name = "x86-64 with 5 levels",
	.verified = { [ORDER_LE] = "Debian 7.2" },
	.va_bits = 57,
	.sign_extended = true,
	.entry_size = 8,
	.nr_levels = 5,
	.level = { { 48, 9, top },
		   { 39, 9, top },
		   { 30, 9, middle },
		   { 21, 9, middle },
		   { 12, 9, last } },
};

static const struct paging *const layouts[] = { &four_levels, &five_levels, NULL };

static const struct arch_fact facts[] = {
	{ "phys-base", "NUMBER(phys_base)", 2 << 20, 0, UINT64_MAX }, /* below 0: a wrap */
	{ "kaslr-offset", "KERNELOFFSET", 2 << 20, 0, 1 << 30 },
	{ NULL, NULL, 0, 0, 0 },
};

/*
 * struct user_regs_struct inside struct elf_prstatus (include/uapi/linux/elfcore.h): pr_reg is at
 * 112.
 */
#define PR_REG 112
/* clang-format off */
#define R(name, index) { name, PR_REG + 8 * (index), 8 }

static const struct reg_place prstatus_regs[] = {
	R("r15", 0),  R("r14", 1),  R("r13", 2),  R("r12", 3),  R("rbp", 4),  R("rbx", 5),
	R("r11", 6),  R("r10", 7),  R("r9", 8),   R("r8", 9),   R("rax", 10), R("rcx", 11),
	R("rdx", 12), R("rsi", 13), R("rdi", 14), R("rip", 16), R("cs", 17),  R("eflags", 18),
	R("rsp", 19), R("ss", 20),  R("fs_base", 21), R("gs_base", 22),
	R("ds", 23),  R("es", 24),  R("fs", 25),  R("gs", 26),
};
/* clang-format on */

/*
 * QEMU's own note (target/i386/arch_dump.c, struct QEMUCPUState version 1): control registers after
 * the segments.
 */
static const struct reg_place qemu_regs[] = {
	{ "cr0", 392, 8 },
	{ "cr2", 408, 8 },
	{ "cr3", 416, 8 },
	{ "cr4", 424, 8 },
	{ "k_gs_base", 432, 8 }, /* in newer ones: swapped with gs_base in user mode */
};

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "cr0", 0, 8 },  { "cr2", 8, 8 },  { "cr3", 16, 8 }, { "cr4", 24, 8 }, { "dr0", 32, 8 },
	{ "dr1", 40, 8 }, { "dr2", 48, 8 }, { "dr3", 56, 8 }, { "dr6", 64, 8 }, { "dr7", 72, 8 },
};

/* struct fxregs_state (arch/x86/include/asm/fpu/types.h). */
#define NT_PRFPREG 2
/* clang-format off */
#define ST(n) { "st" #n, 32 + 16 * (n), 10 }
#define XMM(n) { "xmm" #n, 160 + 16 * (n), 16 }

static const struct reg_place fp_regs[] = {
	ROWS_8(ST), { "fctrl", 0, 2 }, { "fstat", 2, 2 }, { "fop", 6, 2 },
	ROWS_16(XMM), { "mxcsr", 24, 4 },
};

/*
 * gdb/features/i386/64bit-core.xml, 64bit-sse.xml, 64bit-linux.xml, 64bit-segments.xml; System V
 * ABI, AMD64 Architecture Processor Supplement, "DWARF Register Number Mapping".
 */
#define N_R(n) { "r" #n, n, n }
#define N_ST(n) { "st" #n, 24 + (n), 33 + (n) }
#define N_XMM(n) { "xmm" #n, 40 + (n), 17 + (n) }

static const struct reg_number numbers[] = {
	{ "rax", 0, 0 }, { "rbx", 1, 3 }, { "rcx", 2, 2 }, { "rdx", 3, 1 }, { "rsi", 4, 4 },
	{ "rdi", 5, 5 }, { "rbp", 6, 6 }, { "rsp", 7, 7 }, N_R(8), N_R(9), N_R(10), N_R(11),
	N_R(12), N_R(13), N_R(14), N_R(15), { "rip", 16, 16 }, { "eflags", 17, 49 },
	{ "cs", 18, 51 }, { "ss", 19, 52 }, { "ds", 20, 53 }, { "es", 21, 50 }, { "fs", 22, 54 },
	{ "gs", 23, 55 }, ROWS_8(N_ST), { "fctrl", 32, 65 }, { "fstat", 33, 66 }, { "fop", 39, -1 },
	ROWS_16(N_XMM), { "mxcsr", 56, 64 }, { "fs_base", 58, 58 }, { "gs_base", 59, 59 },
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 336, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ "QEMU", 0, 432, -1, REGS_OF(qemu_regs), 0 },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 80, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "CORE", NT_PRFPREG, 512, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* struct inactive_task_frame (arch/x86/include/asm/switch_to.h), since 4.9; user mode: struct pt_regs. */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "rbp", "inactive_task_frame.bp", 0 },
	{ "rbx", "inactive_task_frame.bx", 0 },
	{ "r12", "inactive_task_frame.r12", 0 },
	{ "r13", "inactive_task_frame.r13", 0 },
	{ "r14", "inactive_task_frame.r14", 0 },
	{ "r15", "inactive_task_frame.r15", 0 },
	{ "rip", "inactive_task_frame.ret_addr", 0 },
};

static const struct task_reg user_regs[] = {
	{ "r15", "pt_regs.r15", 0 },
	{ "r14", "pt_regs.r14", 0 },
	{ "r13", "pt_regs.r13", 0 },
	{ "r12", "pt_regs.r12", 0 },
	{ "rbp", "pt_regs.bp", 0 },
	{ "rbx", "pt_regs.bx", 0 },
	{ "r11", "pt_regs.r11", 0 },
	{ "r10", "pt_regs.r10", 0 },
	{ "r9", "pt_regs.r9", 0 },
	{ "r8", "pt_regs.r8", 0 },
	{ "rax", "pt_regs.ax", 0 },
	{ "rcx", "pt_regs.cx", 0 },
	{ "rdx", "pt_regs.dx", 0 },
	{ "rsi", "pt_regs.si", 0 },
	{ "rdi", "pt_regs.di", 0 },
	{ "rip", "pt_regs.ip", 0 },
	{ "eflags", "pt_regs.flags", 0 },
	{ "rsp", "pt_regs.sp", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_POPPED, .frame = "inactive_task_frame",
	  .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* TOP_OF_KERNEL_STACK_PADDING: 16 with FRED, since 6.9 (arch/x86/include/asm/thread_info.h). */
#define USER(padding)                                                             \
	{                                                                         \
		FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs), .gap = (padding), \
		.sign = { "pt_regs.cs", "cs", 0, 3, 3 }                           \
	}

static const struct task_layout user[] = {
	USER(0),
	USER(16),
	{ .nr_regs = 0 },
};

/*
 * phys_base: VMCOREINFO says it since v4.10; else the PT_LOAD that maps the kernel image tells, or a
 * kdump header.
 */
static bool find_phys_base(const struct dump *d, const struct kernel *k, uint64_t *ret)
{
	size_t i;

	if (kernel_fact(k, FACT_NUMBER, "phys_base", ret))
		return true;
	for (i = 0; i < d->nr_segments; i++) {
		const struct segment *s = &d->segments[i];

		if (s->vaddr < KERNEL_MAP || s->paddr == UINT64_MAX)
			continue;
		*ret = s->paddr - (s->vaddr - KERNEL_MAP);
		return true;
	}
	/* What makedumpfile found; QEMU, which leaves the release empty, only knows it from VMCOREINFO. */
	if (!d->told.has_phys_base || !d->told.uts[2][0])
		return false;
	*ret = d->told.phys_base;
	return true;
}

/*
 * The top table, by its names since v2.6: init_level4_pgt became init_top_pgt in v4.13
 * (65ade2f872b4).
 */
static bool find_root(const struct kernel *k, uint64_t *ret)
{
	static const char *const names[] = { "init_top_pgt", "swapper_pg_dir", "init_level4_pgt" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (kernel_fact(k, FACT_SYMBOL, names[i], ret) && *ret >= KERNEL_MAP)
			return true;
	return false;
}

/* Is P what is known of the levels? VMCOREINFO says it since v4.17. */
static bool fits(const struct kernel *k, const struct xlat *x, const struct paging *p)
{
	uint64_t five;

	if (xlat_layout_forced(x))
		return xlat_allows(x, p);
	return !kernel_fact(k, FACT_NUMBER, "pgtable_l5_enabled", &five) ||
	       (five != 0) == (p == &five_levels);
}

/* The layout by which the table at x->root maps itself, at address SYMBOL. */
static bool choose_levels(const struct dump *d, const struct kernel *k, struct xlat *x,
			  uint64_t symbol)
{
	size_t i;

	for (i = 0; layouts[i]; i++) {
		x->paging = layouts[i];
		if (fits(k, x, layouts[i]) && xlat_maps(x, d, symbol, x->root))
			return true;
	}
	return false;
}

/*
 * All of memory is looked through for the table, in steps that the image is aligned to: first for one
 * at the address SYMBOL, then for one elsewhere in the image's part of the address space.
 */
static bool search(const struct dump *d, const struct kernel *k, struct xlat *x, uint64_t symbol)
{
	uint64_t vaddr = symbol;
	size_t i;

	for (i = 0; i < 2 * (ARRAY_SIZE(layouts) - 1); i++) {
		x->paging = layouts[i / 2];
		if (!fits(k, x, x->paging))
			continue;
		if (i % 2 == 0 ? !xlat_find_root(x, d, symbol, IMAGE_ALIGN)
			       : !xlat_find_moved(x, d, symbol, IMAGE_ALIGN, KERNEL_MAP,
						  KERNEL_MAP + KERNEL_IMAGE_SIZE - 1, &vaddr))
			continue;
		x->phys_base = x->root - (vaddr - KERNEL_MAP);
		x->symbol_shift = vaddr - symbol;
		return true;
	}
	return false;
}

/* ---- registers, where there is no VMCOREINFO ---- */

#define CR3_ADDR 0x000ffffffffff000ULL
#define CR4_LA57 (1ULL << 12)

static int see_first(void *priv, const struct mapping *m)
{
	*(struct mapping *)priv = *m;
	return 1;
}

/* The table of a CPU that is in the kernel: that of a process has all of the kernel, too. */
static bool use_registers(const struct dump *d, struct xlat *x, bool based)
{
	struct mapping image = { .len = 0 };
	struct xlat_visitor v = { .mapping = see_first, .priv = &image };
	uint64_t rip, cr3, cr4;
	struct reader r;
	unsigned int i;

	for (i = 0; i < d->nr_cpus && !image.len; i++) {
		if (!cpu_reg(&d->cpus[i], "rip", &rip) || !(rip >> 63) ||
		    !cpu_reg(&d->cpus[i], "cr3", &cr3) || !cpu_reg(&d->cpus[i], "cr4", &cr4))
			continue;
		x->root = cr3 & CR3_ADDR & ~x->clear_mask;
		x->paging = cr4 & CR4_LA57 ? &five_levels : &four_levels;
		reader_init(&r, (struct dump *)d);
		xlat_walk(x, &r, KERNEL_MAP, KERNEL_MAP + KERNEL_IMAGE_SIZE - 1, 1u << 16, &v);
		reader_fini(&r);
	}
	if (!image.len)
		x->paging = NULL;
	else if (!based)
		x->phys_base = image.paddr - (image.vaddr - KERNEL_MAP);
	return image.len != 0;
}

/* ---- setup ---- */

static uint64_t image_size(const struct kernel *k)
{
	uint64_t size = kernel_or(k, FACT_NUMBER, "KERNEL_IMAGE_SIZE", KERNEL_IMAGE_SIZE);

	return size && size <= KERNEL_IMAGE_SIZE ? size : KERNEL_IMAGE_SIZE;
}

/*
 * Is it that the table at x->root, or one of those behind it, which are part of the image, cannot be
 * had? Of memory that never was there, as the machine frames of a Xen guest, that is no excuse.
 */
static bool is_lost(const struct dump *d, const struct kernel *k, struct xlat *x, uint64_t symbol)
{
	uint64_t table;

	x->paging = fits(k, x, &four_levels) ? &four_levels : &five_levels;
	return xlat_lost(x, d, symbol, &table) &&
	       dump_page_state(d, SPACE_PHYS, table >> dump_page_shift(d)) != PAGE_ABSENT;
}

/*
 * The table is nowhere. Of a damaged dump the rest of it is of use still; else what is known without
 * one: the image, and what PT_LOADs say of the direct map.
 */
static int do_without(const struct dump *d, const struct kernel *k, struct xlat *x, uint64_t symbol,
		      bool based, struct err *e)
{
	uint64_t base = x->phys_base;

	x->root = symbol - KERNEL_MAP + base;
	if (based && is_lost(d, k, x, symbol))
		return 0;
	x->paging = NULL;
	if (based && xlat_add_window(x, KERNEL_MAP, base, image_size(k), e))
		return -1;
	if (xlat_add_segments(x, d, DIRECT_FIRST, KERNEL_MAP, e))
		return -1;
	if (based)
		return err_set(e, ERR_MISSING,
			       "there is no kernel page table at 0x%" PRIx64
			       ", where phys_base 0x%" PRIx64 " has it, nor anywhere else",
			       x->root, base);
	return err_set(e, ERR_MISSING,
		       "phys_base is not known: no NUMBER(phys_base), no PT_LOAD of the kernel image, "
		       "and no memory that looks like its page table");
}

static int x86_64_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	uint64_t symbol, base;
	bool based;

	x->clear_mask = kernel_or(k, FACT_NUMBER, "sme_mask", 0);
	based = find_phys_base(d, k, &x->phys_base);
	base = x->phys_base;
	if (!find_root(k, &symbol)) {
		if (use_registers(d, x, based))
			return 0;
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir), and no "
			       "CPU in the kernel that tells");
	}
	x->root = symbol - KERNEL_MAP + base;
	if (based && choose_levels(d, k, x, symbol))
		return 0;
	if (!(based && is_lost(d, k, x, symbol)) && search(d, k, x, symbol))
		return 0;
	x->phys_base = base;
	return do_without(d, k, x, symbol, based, e);
}

static bool x86_64_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
			       uint64_t *end)
{
	(void)x;
	*start = KERNEL_MAP;
	*end = KERNEL_MAP + image_size(k);
	return true;
}

const struct arch x86_64_arch = {
	.name = "x86_64",
	.also = "amd64 x86-64 x64 x86",
	.title = "x86-64",
	.e_machine = EM_X86_64,
	.order = ORDER_LE,
	.word = 8,
	.page_shift = 12,
	.paging = layouts,
	.facts = facts,
	.notes = notes,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "rsp",
	.pc = "rip",
	.tasks = tasks,
	.user = user,
	.section_size_bits = 27, /* arch/x86/include/asm/sparsemem.h */
	.max_physmem_bits = 46,	 /* 52 with 5 levels, which VMCOREINFO exports */
	.stack_shift = 14,	 /* THREAD_SIZE_ORDER 2; 3 with KASAN */
	.setup = x86_64_setup,
	.image_range = x86_64_image_range,
};
