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

/* struct __riscv_d_ext_state (arch/riscv/include/uapi/asm/ptrace.h). */
#define NT_PRFPREG 2
/* clang-format off */
#define F(name, index) { name, 8 * (index), 8 }

static const struct reg_place fp_regs[] = {
	F("ft0", 0), F("ft1", 1), F("ft2", 2), F("ft3", 3), F("ft4", 4), F("ft5", 5),
	F("ft6", 6), F("ft7", 7), F("fs0", 8), F("fs1", 9), F("fa0", 10), F("fa1", 11),
	F("fa2", 12), F("fa3", 13), F("fa4", 14), F("fa5", 15), F("fa6", 16), F("fa7", 17),
	F("fs2", 18), F("fs3", 19), F("fs4", 20), F("fs5", 21), F("fs6", 22), F("fs7", 23),
	F("fs8", 24), F("fs9", 25), F("fs10", 26), F("fs11", 27), F("ft8", 28), F("ft9", 29),
	F("ft10", 30), F("ft11", 31),
	{ "fcsr", 256, 4 },
};

/*
 * gdb/features/riscv/64bit-cpu.xml, 64bit-fpu.xml; RISC-V ELF psABI, "DWARF Register Numbers": CSRs
 * are at 4096 plus their own number.
 */
#define N_X(name, index) { name, index, index }
#define N_F(name, index) { name, 33 + (index), 32 + (index) }
#define N_CSR(name, csr) { name, -1, 4096 + (csr) }

static const struct reg_number numbers[] = {
	N_X("zero", 0), N_X("ra", 1), N_X("sp", 2), N_X("gp", 3), N_X("tp", 4), N_X("t0", 5),
	N_X("t1", 6), N_X("t2", 7), N_X("fp", 8), N_X("s1", 9), N_X("a0", 10), N_X("a1", 11),
	N_X("a2", 12), N_X("a3", 13), N_X("a4", 14), N_X("a5", 15), N_X("a6", 16), N_X("a7", 17),
	N_X("s2", 18), N_X("s3", 19), N_X("s4", 20), N_X("s5", 21), N_X("s6", 22), N_X("s7", 23),
	N_X("s8", 24), N_X("s9", 25), N_X("s10", 26), N_X("s11", 27), N_X("t3", 28), N_X("t4", 29),
	N_X("t5", 30), N_X("t6", 31),
	{ "pc", 32, -1 },
	N_F("ft0", 0), N_F("ft1", 1), N_F("ft2", 2), N_F("ft3", 3), N_F("ft4", 4), N_F("ft5", 5),
	N_F("ft6", 6), N_F("ft7", 7), N_F("fs0", 8), N_F("fs1", 9), N_F("fa0", 10), N_F("fa1", 11),
	N_F("fa2", 12), N_F("fa3", 13), N_F("fa4", 14), N_F("fa5", 15), N_F("fa6", 16), N_F("fa7", 17),
	N_F("fs2", 18), N_F("fs3", 19), N_F("fs4", 20), N_F("fs5", 21), N_F("fs6", 22), N_F("fs7", 23),
	N_F("fs8", 24), N_F("fs9", 25), N_F("fs10", 26), N_F("fs11", 27), N_F("ft8", 28), N_F("ft9", 29),
	N_F("ft10", 30), N_F("ft11", 31),
	{ "fcsr", 68, 4096 + 3 }, N_CSR("sstatus", 0x100), N_CSR("stvec", 0x105),
	N_CSR("sscratch", 0x140), N_CSR("sepc", 0x141), N_CSR("scause", 0x142),
	N_CSR("stval", 0x143), N_CSR("satp", 0x180),
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 376, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 64, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "CORE", NT_PRFPREG, 260, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* struct thread_struct (arch/riscv/include/asm/processor.h); user mode: struct pt_regs. */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "pc", "task_struct.thread.ra", 0 },
	{ "ra", "task_struct.thread.ra", 0 },
	{ "sp", "task_struct.thread.sp", 0 },
	{ "fp", "task_struct.thread.s", 0 },
	{ "s1", "task_struct.thread.s", 1 },
	{ "s2", "task_struct.thread.s", 2 },
	{ "s3", "task_struct.thread.s", 3 },
	{ "s4", "task_struct.thread.s", 4 },
	{ "s5", "task_struct.thread.s", 5 },
	{ "s6", "task_struct.thread.s", 6 },
	{ "s7", "task_struct.thread.s", 7 },
	{ "s8", "task_struct.thread.s", 8 },
	{ "s9", "task_struct.thread.s", 9 },
	{ "s10", "task_struct.thread.s", 10 },
	{ "s11", "task_struct.thread.s", 11 },
};

static const struct task_reg user_regs[] = {
	{ "pc", "pt_regs.epc", 0 },
	{ "ra", "pt_regs.ra", 0 },
	{ "sp", "pt_regs.sp", 0 },
	{ "gp", "pt_regs.gp", 0 },
	{ "tp", "pt_regs.tp", 0 },
	{ "t0", "pt_regs.t0", 0 },
	{ "t1", "pt_regs.t1", 0 },
	{ "t2", "pt_regs.t2", 0 },
	{ "fp", "pt_regs.s0", 0 },
	{ "s1", "pt_regs.s1", 0 },
	{ "a0", "pt_regs.a0", 0 },
	{ "a1", "pt_regs.a1", 0 },
	{ "a2", "pt_regs.a2", 0 },
	{ "a3", "pt_regs.a3", 0 },
	{ "a4", "pt_regs.a4", 0 },
	{ "a5", "pt_regs.a5", 0 },
	{ "a6", "pt_regs.a6", 0 },
	{ "a7", "pt_regs.a7", 0 },
	{ "s2", "pt_regs.s2", 0 },
	{ "s3", "pt_regs.s3", 0 },
	{ "s4", "pt_regs.s4", 0 },
	{ "s5", "pt_regs.s5", 0 },
	{ "s6", "pt_regs.s6", 0 },
	{ "s7", "pt_regs.s7", 0 },
	{ "s8", "pt_regs.s8", 0 },
	{ "s9", "pt_regs.s9", 0 },
	{ "s10", "pt_regs.s10", 0 },
	{ "s11", "pt_regs.s11", 0 },
	{ "t3", "pt_regs.t3", 0 },
	{ "t4", "pt_regs.t4", 0 },
	{ "t5", "pt_regs.t5", 0 },
	{ "t6", "pt_regs.t6", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_NONE, .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* SR_SPP (arch/riscv/include/asm/csr.h). */
static const struct task_layout user[] = {
	{ FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs),
	  .sign = { "pt_regs.status", "sstatus", 0, 0x100, 0 } },
	{ .nr_regs = 0 },
};

/* ---- which table ---- */

static const struct arch_fact facts[] = {
	{ "phys-base", "NUMBER(phys_ram_base)", 4096, 0, (1ULL << 56) - 1 },
	{ "kaslr-offset", "KERNELOFFSET", IMAGE_ALIGN, 0, 1ULL << 31 },
	{ "page-offset", "NUMBER(PAGE_OFFSET)", IMAGE_ALIGN, 1ULL << 63, UINT64_MAX },
	{ NULL, NULL, 0, 0, 0 },
};

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
		if (xlat_layout_forced(x) ? !xlat_allows(x, layouts[i])
					  : bits && layouts[i]->va_bits != bits)
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

/* Of a table that cannot be read: was there ever memory? */
static bool table_is_memory(const struct dump *d, uint64_t root)
{
	return dump_page_state(d, SPACE_PHYS, root >> dump_page_shift(d)) != PAGE_ABSENT;
}

/* KASLR put the image elsewhere than VMCOREINFO says, but behind KERNEL_LINK_ADDR (v6.6). */
static bool find_moved(const struct dump *d, uint64_t swapper, struct xlat *x)
{
	uint64_t vaddr;
	size_t i;

	for (i = 0; swapper >= LINK_ADDR && layouts[i]; i++) {
		x->paging = layouts[i];
		if (!xlat_allows(x, x->paging) ||
		    !xlat_find_moved(x, d, swapper, IMAGE_ALIGN, LINK_ADDR, UINT64_MAX, &vaddr))
			continue;
		x->symbol_shift = vaddr - swapper;
		return true;
	}
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
	const struct paging *paging;
	uint64_t swapper, root, missing;
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
	       xlat_lost(x, d, swapper, &missing);
	paging = x->paging;
	if (!(lost && table_is_memory(d, root)) &&
	    find_moved(d, swapper, x))
		return 0;
	x->paging = paging;
	x->root = root;
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
	.also = "riscv",
	.title = "RISC-V (64 bit)",
	.e_machine = EM_RISCV,
	.order = ORDER_LE,
	.word = 8,
	.page_shift = 12,
	.align64 = 8,
	.paging = layouts,
	.facts = facts,
	.notes = notes,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "sp",
	.pc = "pc",
	.tasks = tasks,
	.user = user,
	.section_size_bits = 27, /* arch/riscv/include/asm/sparsemem.h */
	.max_physmem_bits = 56,
	.stack_shift = 14, /* THREAD_SIZE_ORDER 2 */
	.setup = riscv64_setup,
	.image_align = IMAGE_ALIGN,
	.image_max = IMAGE_MAX,
};
