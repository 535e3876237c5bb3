/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V, 64 bit: Sv39, Sv48, Sv57 with Svnapot and Svpbmt.
 *
 * Sources: RISC-V privileged architecture (Supervisor-Level ISA: Sv39, Sv48, Sv57, Svnapot,
 * Svpbmt), arch/riscv/include/asm/page.h, pgtable-64.h, arch/riscv/kernel/vmcore_info.c (facts
 * exported since v6.2 by 649d6b10f2a2; va_kernel_pa_offset v6.5).
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_RISCV 243

#define LINK_ADDR 0xffffffff80000000ULL /* KERNEL_LINK_ADDR since v5.13 (2bfc6cd81bd1) */
/* The kernel image begins where a large page does, in both kinds of address (arch/riscv/mm/init.c).
 */
#define IMAGE_ALIGN (2ULL << 20)
/* More than any kernel image; what is mapped behind one is not harmed by being looked at. */
#define IMAGE_MAX (256ULL << 20)

/* ---- page tables ---- */

#define PTE_V 1ULL
#define PTE_R 2ULL
#define PTE_W 4ULL
#define PTE_RWX 14ULL
#define PTE_N (1ULL << 63)
#define PTE_NAPOT_BITS (15ULL << 10) /* ppn[3:0] is 1000 for 64 KiB, the only size there is */
#define PTE_NAPOT_64K (8ULL << 10)
#define NAPOT_64K_SHIFT 16

/* clang-format off */
/* Bits 53:10 are the page frame; above are PBMT and N. */
#define PTE_ADDR { { 0x003ffffffffffc00ULL, 2 } }
#define PTE_INVALID { PTE_V, 0, ENTRY_NONE, { { 0, 0 } }, 0 }
/* Writable but not readable: reserved. */
#define PTE_RESERVED { PTE_R | PTE_W, PTE_W, ENTRY_NONE, { { 0, 0 } }, 0 }
/* clang-format on */

static const struct entry_form upper[] = {
	PTE_INVALID,
	{ PTE_RWX, 0, ENTRY_TABLE, PTE_ADDR, 0 },
	PTE_RESERVED,
	{ PTE_N, 0, ENTRY_LEAF, PTE_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form last[] = {
	PTE_INVALID,
	{ PTE_RWX, 0, ENTRY_NONE, { { 0, 0 } }, 0 },
	PTE_RESERVED,
	{ PTE_N, 0, ENTRY_LEAF, PTE_ADDR, 0 },
	{ PTE_N | PTE_NAPOT_BITS, PTE_N | PTE_NAPOT_64K, ENTRY_LEAF, PTE_ADDR, NAPOT_64K_SHIFT },
	ENTRY_REST,
};

static const struct paging sv39 = {
	.name = "riscv64 with Sv39",
	.verified = { [ORDER_LE] = "Debian 6.12" },
	.va_bits = 39,
	.sign_extended = true,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 30, 9, upper }, { 21, 9, upper }, { 12, 9, last } },
};

static const struct paging sv48 = {
	.name = "riscv64 with Sv48",
	.verified = { [ORDER_LE] = "Debian 6.12" },
	.va_bits = 48,
	.sign_extended = true,
	.entry_size = 8,
	.nr_levels = 4,
	.level = { { 39, 9, upper }, { 30, 9, upper }, { 21, 9, upper }, { 12, 9, last } },
};

static const struct paging sv57 = {
	.name = "riscv64 with Sv57",
	.verified = { [ORDER_LE] = "Debian 6.12" },
	.va_bits = 57,
	.sign_extended = true,
	.entry_size = 8,
	.nr_levels = 5,
	.level = { { 48, 9, upper },
		   { 39, 9, upper },
		   { 30, 9, upper },
		   { 21, 9, upper },
		   { 12, 9, last } },
};

/* Where VA_BITS is not known, the first that the dump confirms counts. */
static const struct paging *const layouts[] = { &sv39, &sv48, &sv57, NULL };

/* By satp.MODE from 8 on. */
#define SATP_MODE(satp) ((satp) >> 60)
#define SATP_SV39 8
#define SATP_PPN(satp) ((satp)&0xfffffffffffULL)

/* ---- registers ---- */

/* struct user_regs_struct inside struct elf_prstatus (include/uapi/linux/elfcore.h). */
#define PR_REG 112
/* clang-format off */
#define R(name, index) { name, PR_REG + 8 * (index), 8 }

static const struct reg_place prstatus_regs[] = {
	R("pc", 0),   R("ra", 1),   R("sp", 2),   R("gp", 3),   R("tp", 4),   R("t0", 5),
	R("t1", 6),   R("t2", 7),   R("fp", 8),   R("s1", 9),   R("a0", 10),  R("a1", 11),
	R("a2", 12),  R("a3", 13),  R("a4", 14),  R("a5", 15),  R("a6", 16),  R("a7", 17),
	R("s2", 18),  R("s3", 19),  R("s4", 20),  R("s5", 21),  R("s6", 22),  R("s7", 23),
	R("s8", 24),  R("s9", 25),  R("s10", 26), R("s11", 27), R("t3", 28),  R("t4", 29),
	R("t5", 30),  R("t6", 31),
};
/* clang-format on */

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "satp", 0, 8 },  { "sstatus", 8, 8 }, { "stvec", 16, 8 }, { "sscratch", 24, 8 },
	{ "sepc", 32, 8 }, { "scause", 40, 8 }, { "stval", 48, 8 }, { "priv", 56, 8 },
};

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 376, 32, prstatus_regs, ARRAY_SIZE(prstatus_regs), true },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 64, -1, control_regs, ARRAY_SIZE(control_regs), true },
	{ NULL, 0, 0, 0, NULL, 0, false },
};

/* ---- which table ---- */

/* Where swapper_pg_dir at SWAPPER is in physical memory; 0: not known. */
static uint64_t find_root(const struct dump *d, const struct kernel *k, uint64_t swapper)
{
	uint64_t link = kernel_or(k, FACT_NUMBER, "KERNEL_LINK_ADDR", LINK_ADDR), v, root = 0;

	if (swapper >= link && kernel_fact(k, FACT_NUMBER, "va_kernel_pa_offset", &v))
		return swapper - v;
	xlat_segment(d, swapper, &root);
	return root;
}

/*
 * Sets x->paging and x->root; false when the dump confirms none: then x->paging is the first that
 * fits.
 */
static bool choose(const struct dump *d, const struct kernel *k, uint64_t swapper, uint64_t root,
		   struct xlat *x)
{
	uint64_t bits = kernel_or(k, FACT_NUMBER, "VA_BITS", 0);
	const struct paging *first = NULL;
	size_t i;

	for (i = 0; layouts[i]; i++) {
		if (bits && layouts[i]->va_bits != bits)
			continue;
		x->paging = layouts[i];
		x->root = root;
		if (root ? xlat_maps(x, d, swapper, root)
			 : xlat_find_root(x, d, swapper, IMAGE_ALIGN))
			return true;
		if (!first)
			first = layouts[i];
	}
	x->paging = first;
	x->root = root;
	return false;
}

/*
 * What is known without the table, for one that cannot be had: the image, and the linear map up to
 * the modules before it. Memory begins at phys_ram_base there since v6.4 (3335068f8721); before,
 * where the kernel was loaded.
 */
static int add_windows(const struct kernel *k, uint64_t swapper, uint64_t root, struct xlat *x,
		       struct err *e)
{
	uint64_t stext = kernel_or(k, FACT_SYMBOL, "_stext", swapper) & ~(IMAGE_ALIGN - 1);
	uint64_t base, from, to = kernel_or(k, FACT_NUMBER, "MODULES_VADDR", LINK_ADDR), any;

	if (root && xlat_add_window(x, stext, stext - swapper + root,
				    MIN(IMAGE_MAX, UINT64_MAX - stext), e))
		return -1;
	if (!kernel_fact(k, FACT_NUMBER, "phys_ram_base", &base) ||
	    !kernel_fact(k, FACT_NUMBER, "PAGE_OFFSET", &from) ||
	    !kernel_fact(k, FACT_NUMBER, "va_kernel_pa_offset", &any) || from >= to)
		return 0;
	return xlat_add_window(x, from, base, to - from, e);
}

/* Where there is no VMCOREINFO: any address space has the kernel in it. */
static bool use_registers(const struct dump *d, struct xlat *x)
{
	uint64_t satp;
	unsigned int i;

	for (i = 0; i < d->nr_cpus; i++) {
		if (!cpu_reg(&d->cpus[i], "satp", &satp) || SATP_MODE(satp) < SATP_SV39 ||
		    SATP_MODE(satp) - SATP_SV39 >= ARRAY_SIZE(layouts) - 1)
			continue;
		x->paging = layouts[SATP_MODE(satp) - SATP_SV39];
		x->root = SATP_PPN(satp) << 12;
		return true;
	}
	return false;
}

static int riscv64_setup(const struct dump *d, const struct kernel *k, struct xlat *x,
			 struct err *e)
{
	uint64_t swapper, root;
	bool lost;

	x->phys_base = kernel_or(k, FACT_NUMBER, "phys_ram_base", 0);
	x->flat_pfn = x->phys_base >> dump_page_shift(d); /* ARCH_PFN_OFFSET */
	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &swapper)) {
		if (use_registers(d, x))
			return 0;
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	}
	root = find_root(d, k, swapper);
	if (choose(d, k, swapper, root, x))
		return 0;
	lost = root && x->paging && kernel_or(k, FACT_NUMBER, "VA_BITS", 0) &&
	       xlat_lost(x, d, swapper);
	if (add_windows(k, swapper, root, x, e))
		return -1;
	/*
	 * Of a damaged dump the rest of the table is of use still; or of one that lacks what
	 * /proc/iomem calls "Reserved", as kexec-tools has it: the first tables are there.
	 */
	if (lost)
		return 0;
	x->paging = NULL;
	if (root)
		return err_set(e, ERR_MISSING, "there is no kernel page table at 0x%" PRIx64, root);
	return err_set(
		e, ERR_MISSING,
		"the kernel page table was not found: no NUMBER(va_kernel_pa_offset), no PT_LOAD of the kernel image, and no memory that looks like it");
}

const struct arch riscv64_arch = {
	.name = "riscv64",
	.title = "RISC-V (64 bit)",
	.e_machine = EM_RISCV,
	.order = ORDER_LE,
	.word = 8,
	.page_shift = 12,
	.align64 = 8,
	.paging = layouts,
	.notes = notes,
	.sp = "sp",
	.pc = "pc",
	.section_size_bits = 27, /* arch/riscv/include/asm/sparsemem.h */
	.max_physmem_bits = 56,
	.stack_shift = 14, /* THREAD_SIZE_ORDER 2 */
	.setup = riscv64_setup,
	.image_align = IMAGE_ALIGN,
	.image_max = IMAGE_MAX,
};
