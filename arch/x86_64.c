/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64: 4 and 5 level page tables, KASLR, SME.
 *
 * Sources: arch/x86/include/asm/pgtable_64_types.h, page_64_types.h,
 * arch/x86/kernel/machine_kexec_64.c (arch_crash_save_vmcoreinfo), Intel SDM 3A 4.5.
 */
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_X86_64 62
#define KERNEL_MAP 0xffffffff80000000ULL /* __START_KERNEL_map */
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
};

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "cr0", 0, 8 },  { "cr2", 8, 8 },  { "cr3", 16, 8 }, { "cr4", 24, 8 }, { "dr0", 32, 8 },
	{ "dr1", 40, 8 }, { "dr2", 48, 8 }, { "dr3", 56, 8 }, { "dr6", 64, 8 }, { "dr7", 72, 8 },
};

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 336, 32, prstatus_regs, ARRAY_SIZE(prstatus_regs), true },
	{ "QEMU", 0, 432, -1, qemu_regs, ARRAY_SIZE(qemu_regs), false },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 80, -1, control_regs, ARRAY_SIZE(control_regs), true },
	{ NULL, 0, 0, 0, NULL, 0, false },
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

/*
 * 4 or 5 levels: VMCOREINFO says it since v4.17; where it does not, the one that maps the kernel.
 */
static const struct paging *choose_levels(const struct dump *d, const struct kernel *k,
					  struct xlat *x, uint64_t probe)
{
	uint64_t five;

	if (kernel_fact(k, FACT_NUMBER, "pgtable_l5_enabled", &five))
		return five ? &five_levels : &four_levels;
	x->paging = &five_levels;
	/* Does it map the kernel to where phys_base says? */
	return xlat_maps(x, d, probe, probe - KERNEL_MAP + x->phys_base) ? &five_levels
									  : &four_levels;
}

static int x86_64_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	uint64_t root;

	x->paging = NULL;
	x->clear_mask = kernel_or(k, FACT_NUMBER, "sme_mask", 0);
	if (!find_phys_base(d, k, &x->phys_base)) {
		x->phys_base = 0;
		return err_set(
			e, ERR_MISSING,
			"phys_base is not known: no NUMBER(phys_base) and no PT_LOAD of the kernel image");
	}
	if (!find_root(k, &root))
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	x->root = root - KERNEL_MAP + x->phys_base;
	x->paging = choose_levels(d, k, x, root);
	return 0;
}

static bool x86_64_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
			       uint64_t *end)
{
	uint64_t size = kernel_or(k, FACT_NUMBER, "KERNEL_IMAGE_SIZE", KERNEL_IMAGE_SIZE);

	(void)x;
	*start = KERNEL_MAP;
	*end = KERNEL_MAP + (size && size <= KERNEL_IMAGE_SIZE ? size : KERNEL_IMAGE_SIZE);
	return true;
}

const struct arch x86_64_arch = {
	.name = "x86_64",
	.title = "x86-64",
	.e_machine = EM_X86_64,
	.order = ORDER_LE,
	.word = 8,
	.page_shift = 12,
	.paging = layouts,
	.notes = notes,
	.sp = "rsp",
	.pc = "rip",
	.section_size_bits = 27, /* arch/x86/include/asm/sparsemem.h */
	.max_physmem_bits = 46,	 /* 52 with 5 levels, which VMCOREINFO exports */
	.stack_shift = 14,	 /* THREAD_SIZE_ORDER 2; 3 with KASAN */
	.setup = x86_64_setup,
	.image_range = x86_64_image_range,
};
