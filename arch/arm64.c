/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm64: pages of 4, 16 and 64 KiB; kernel addresses of 36 to 52 bits; physical ones of 52 (LPA,
 * LPA2); KASLR; the address space as it is since v5.4 (linear map below) and as it was before.
 *
 * Sources: Arm ARM (DDI 0487) D8 "VMSAv8-64", arch/arm64/include/asm/memory.h, pgtable-hwdef.h,
 * sparsemem.h, arch/arm64/kernel/vmcore_info.c (facts exported since v4.12, TCR_EL1_T1SZ v5.9).
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_AARCH64 183

/* The kernel image keeps its place within 2 MiB: MIN_KIMG_ALIGN (asm/boot.h). */
#define IMAGE_ALIGN (2ULL << 20)
/* More than any kernel image; what is mapped behind one is not harmed by being looked at. */
#define IMAGE_MAX (256ULL << 20)

/* ---- page tables ---- */

/* Bits HIGH to LOW. */
#define BITS(high, low) ((~0ULL >> (63 - (high))) & (~0ULL << (low)))

#define DESC_TYPE 3ULL
#define DESC_BLOCK 1ULL
#define DESC_TABLE 3ULL /* a page at the last level */

/* clang-format off */
/*
 * Addresses in descriptors: bits 47 and down; with 64 KiB pages 51:48 in 15:12 (LPA; zero without
 * it); with DS (LPA2, 4 and 16 KiB) 49 and down, 51:50 in 9:8, which are shareability otherwise.
 */
#define ADDR_4K { { BITS(47, 12), 0 } }
#define ADDR_16K { { BITS(47, 14), 0 } }
#define ADDR_64K { { BITS(47, 16), 0 }, { BITS(15, 12), 36 } }
#define ADDR_4K_DS { { BITS(49, 12), 0 }, { BITS(9, 8), 42 } }
#define ADDR_16K_DS { { BITS(49, 14), 0 }, { BITS(9, 8), 42 } }

/* Levels that have tables only, also blocks, or pages. */
#define FORMS(id, ...) static const struct entry_form id[] = { __VA_ARGS__, ENTRY_REST }
#define TABLE(addr) { DESC_TYPE, DESC_TABLE, ENTRY_TABLE, addr, 0 }
#define BLOCK(addr) { DESC_TYPE, DESC_BLOCK, ENTRY_LEAF, addr, 0 }
#define PAGE(addr) { DESC_TYPE, DESC_TABLE, ENTRY_LEAF, addr, 0 }

FORMS(table_4k, TABLE(ADDR_4K));
FORMS(block_4k, TABLE(ADDR_4K), BLOCK(ADDR_4K));
FORMS(page_4k, PAGE(ADDR_4K));
FORMS(table_4k_ds, TABLE(ADDR_4K_DS));
FORMS(block_4k_ds, TABLE(ADDR_4K_DS), BLOCK(ADDR_4K_DS));
FORMS(page_4k_ds, PAGE(ADDR_4K_DS));
FORMS(table_16k, TABLE(ADDR_16K));
FORMS(block_16k, TABLE(ADDR_16K), BLOCK(ADDR_16K));
FORMS(page_16k, PAGE(ADDR_16K));
FORMS(table_16k_ds, TABLE(ADDR_16K_DS));
FORMS(block_16k_ds, TABLE(ADDR_16K_DS), BLOCK(ADDR_16K_DS));
FORMS(page_16k_ds, PAGE(ADDR_16K_DS));
FORMS(table_64k, TABLE(ADDR_64K)); /* blocks of 4 TiB, with FEAT_LPA, Linux has none of */
FORMS(block_64k, TABLE(ADDR_64K), BLOCK(ADDR_64K));
FORMS(page_64k, PAGE(ADDR_64K));

/* The kernel's half only (TTBR1): the bits above are ones. */
#define PAGING(id, title, le, be, bits, nr, ...)          \
	static const struct paging id = {                 \
		.name = "arm64 with " title,              \
		.verified = { [ORDER_LE] = le, [ORDER_BE] = be }, \
		.va_bits = bits,                          \
		.va_base = ~0ULL << (bits),               \
		.entry_size = 8,                          \
		.nr_levels = nr,                          \
		.level = { __VA_ARGS__ },                 \
	}

PAGING(p4k_39, "4 KiB pages, 39 bits", "Debian's source 6.1", NULL, 39, 3,
       { 30, 9, block_4k }, { 21, 9, block_4k }, { 12, 9, page_4k });
PAGING(p4k_48, "4 KiB pages, 48 bits", "Debian 6.1, 6.12", "Debian's source 6.1", 48, 4,
       { 39, 9, table_4k }, { 30, 9, block_4k }, { 21, 9, block_4k }, { 12, 9, page_4k });
PAGING(p4k_52, "4 KiB pages, 52 bits", "Debian 6.12, 7.2", NULL, 52, 5,
       { 48, 4, table_4k_ds }, { 39, 9, block_4k_ds }, { 30, 9, block_4k_ds },
       { 21, 9, block_4k_ds }, { 12, 9, page_4k_ds });
PAGING(p16k_36, "16 KiB pages, 36 bits", "Debian's source 6.1", NULL, 36, 2,
       { 25, 11, block_16k }, { 14, 11, page_16k });
PAGING(p16k_47, "16 KiB pages, 47 bits", "Debian 6.12, 7.2", NULL, 47, 3,
       { 36, 11, table_16k }, { 25, 11, block_16k }, { 14, 11, page_16k });
PAGING(p16k_48, "16 KiB pages, 48 bits", "Debian's source 6.1", NULL, 48, 4,
       { 47, 1, table_16k }, { 36, 11, table_16k }, { 25, 11, block_16k }, { 14, 11, page_16k });
PAGING(p16k_52, "16 KiB pages, 52 bits", "Debian 6.12, 7.2", NULL, 52, 4,
       { 47, 5, table_16k_ds }, { 36, 11, block_16k_ds }, { 25, 11, block_16k_ds },
       { 14, 11, page_16k_ds });
PAGING(p64k_42, "64 KiB pages, 42 bits", NULL, NULL, 42, 2,
       { 29, 13, block_64k }, { 16, 13, page_64k });
PAGING(p64k_48, "64 KiB pages, 48 bits", "Debian's source 6.1", NULL, 48, 3,
       { 42, 6, table_64k }, { 29, 13, block_64k }, { 16, 13, page_64k });
PAGING(p64k_52, "64 KiB pages, 52 bits", "Debian's source 6.1", NULL, 52, 3,
       { 42, 10, table_64k }, { 29, 13, block_64k }, { 16, 13, page_64k });
/*
 * A kernel that is built for 52 bits on a CPU that has 48 gives it the upper end of its top table
 * (TTBR1_BADDR_4852_OFFSET): 64 KiB pages since v5.0.
 */
PAGING(p64k_48_of_52, "64 KiB pages, 48 of 52 bits", "Debian's source 6.1", NULL, 48, 3,
       { 42, 10, table_64k }, { 29, 13, block_64k }, { 16, 13, page_64k });

/* Where several fit what is known, the first that the dump confirms counts. */
static const struct paging *const layouts[] = {
	&p4k_48, &p4k_39, &p4k_52, &p16k_47, &p16k_48, &p16k_52,
	&p16k_36, &p64k_48, &p64k_52, &p64k_42, &p64k_48_of_52, NULL,
};
/* clang-format on */

/* ---- registers ---- */

/* struct user_pt_regs inside struct elf_prstatus (include/uapi/linux/elfcore.h). */
#define PR_REG 112
/* clang-format off */
#define R(name, index) { name, PR_REG + 8 * (index), 8 }

static const struct reg_place prstatus_regs[] = {
	R("x0", 0),   R("x1", 1),   R("x2", 2),   R("x3", 3),   R("x4", 4),   R("x5", 5),
	R("x6", 6),   R("x7", 7),   R("x8", 8),   R("x9", 9),   R("x10", 10), R("x11", 11),
	R("x12", 12), R("x13", 13), R("x14", 14), R("x15", 15), R("x16", 16), R("x17", 17),
	R("x18", 18), R("x19", 19), R("x20", 20), R("x21", 21), R("x22", 22), R("x23", 23),
	R("x24", 24), R("x25", 25), R("x26", 26), R("x27", 27), R("x28", 28), R("x29", 29),
	R("x30", 30), R("sp", 31),  R("pc", 32),  R("cpsr", 33),
};
/* clang-format on */

/* Our own note. */
static const struct reg_place control_regs[] = {
	{ "ttbr0_el1", 0, 8 }, { "ttbr1_el1", 8, 8 }, { "tcr_el1", 16, 8 }, { "sctlr_el1", 24, 8 },
	{ "mair_el1", 32, 8 }, { "vbar_el1", 40, 8 }, { "sp_el0", 48, 8 },  { "tpidr_el1", 56, 8 },
};

/* struct user_fpsimd_state (arch/arm64/include/uapi/asm/ptrace.h). */
#define NT_PRFPREG 2
/* clang-format off */
#define V(n) { "v" #n, 16 * (n), 16 }

static const struct reg_place fp_regs[] = {
	ROWS_32(V), { "fpsr", 512, 4 }, { "fpcr", 516, 4 },
};

/*
 * gdb/features/aarch64-core.xml, aarch64-fpu.xml; DWARF for the Arm 64-bit Architecture
 * (AADWARF64), "DWARF register names".
 */
#define N_X(n) { "x" #n, n, n }
#define N_V(n) { "v" #n, 34 + (n), 64 + (n) }

static const struct reg_number numbers[] = {
	ROWS_16(N_X), N_X(16), N_X(17), N_X(18), N_X(19), N_X(20), N_X(21),
	N_X(22), N_X(23), N_X(24), N_X(25), N_X(26), N_X(27), N_X(28), N_X(29),
	N_X(30), { "sp", 31, 31 }, { "pc", 32, 32 }, { "cpsr", 33, -1 }, ROWS_32(N_V),
	{ "fpsr", 66, -1 }, { "fpcr", 67, -1 }, { "tpidr_el1", -1, 37 },
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 392, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 64, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "CORE", NT_PRFPREG, 520, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* struct cpu_context (arch/arm64/include/asm/processor.h); user mode: struct pt_regs. */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "x19", "task_struct.thread.cpu_context.x19", 0 },
	{ "x20", "task_struct.thread.cpu_context.x20", 0 },
	{ "x21", "task_struct.thread.cpu_context.x21", 0 },
	{ "x22", "task_struct.thread.cpu_context.x22", 0 },
	{ "x23", "task_struct.thread.cpu_context.x23", 0 },
	{ "x24", "task_struct.thread.cpu_context.x24", 0 },
	{ "x25", "task_struct.thread.cpu_context.x25", 0 },
	{ "x26", "task_struct.thread.cpu_context.x26", 0 },
	{ "x27", "task_struct.thread.cpu_context.x27", 0 },
	{ "x28", "task_struct.thread.cpu_context.x28", 0 },
	{ "x29", "task_struct.thread.cpu_context.fp", 0 },
	{ "sp", "task_struct.thread.cpu_context.sp", 0 },
	{ "pc", "task_struct.thread.cpu_context.pc", 0 },
};

static const struct task_reg user_regs[] = {
	{ "x0", "pt_regs.regs", 0 },
	{ "x1", "pt_regs.regs", 1 },
	{ "x2", "pt_regs.regs", 2 },
	{ "x3", "pt_regs.regs", 3 },
	{ "x4", "pt_regs.regs", 4 },
	{ "x5", "pt_regs.regs", 5 },
	{ "x6", "pt_regs.regs", 6 },
	{ "x7", "pt_regs.regs", 7 },
	{ "x8", "pt_regs.regs", 8 },
	{ "x9", "pt_regs.regs", 9 },
	{ "x10", "pt_regs.regs", 10 },
	{ "x11", "pt_regs.regs", 11 },
	{ "x12", "pt_regs.regs", 12 },
	{ "x13", "pt_regs.regs", 13 },
	{ "x14", "pt_regs.regs", 14 },
	{ "x15", "pt_regs.regs", 15 },
	{ "x16", "pt_regs.regs", 16 },
	{ "x17", "pt_regs.regs", 17 },
	{ "x18", "pt_regs.regs", 18 },
	{ "x19", "pt_regs.regs", 19 },
	{ "x20", "pt_regs.regs", 20 },
	{ "x21", "pt_regs.regs", 21 },
	{ "x22", "pt_regs.regs", 22 },
	{ "x23", "pt_regs.regs", 23 },
	{ "x24", "pt_regs.regs", 24 },
	{ "x25", "pt_regs.regs", 25 },
	{ "x26", "pt_regs.regs", 26 },
	{ "x27", "pt_regs.regs", 27 },
	{ "x28", "pt_regs.regs", 28 },
	{ "x29", "pt_regs.regs", 29 },
	{ "x30", "pt_regs.regs", 30 },
	{ "sp", "pt_regs.sp", 0 },
	{ "pc", "pt_regs.pc", 0 },
	{ "cpsr", "pt_regs.pstate", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_NONE, .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/*
 * Which bits of return addresses on stacks are a signature (include/uapi/linux/elf.h, NT_ARM_PAC_MASK;
 * HWCAP_PACA); VMCOREINFO says it since v5.7.
 */
static const struct mask_note pac_mask = { "LINUX", 0x406, "KERNELPACMASK", 2, 1ULL << 30 };

/* PSR_MODE_EL0t, without the bit of 32-bit programs (arch/arm64/include/uapi/asm/ptrace.h). */
static const struct task_layout user[] = {
	{ FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs),
	  .sign = { "pt_regs.pstate", "cpsr", 0, 0xf, 0 } },
	{ .nr_regs = 0 },
};

/* ---- which table ---- */

static const struct arch_fact told[] = {
	{ "phys-base", "NUMBER(PHYS_OFFSET)", 2 << 20, 0, UINT64_MAX },
	{ "kaslr-offset", "KERNELOFFSET", 64 << 10, 0, UINT64_MAX },
	{ NULL, NULL, 0, 0, 0 },
};

/* What is known of a kernel's addresses; 0: not known. */
struct facts {
	uint64_t swapper; /* SYMBOL(swapper_pg_dir) */
	uint64_t va_bits; /* what it was built for */
	uint64_t actual;  /* what it runs with */
	uint64_t root;	  /* physical address of swapper_pg_dir */
};

static void learn(const struct dump *d, const struct kernel *k, struct facts *f)
{
	uint64_t v;

	*f = (struct facts){ .va_bits = kernel_or(k, FACT_NUMBER, "VA_BITS", 0) };
	if (kernel_fact(k, FACT_NUMBER, "TCR_EL1_T1SZ", &v) && v < 64)
		f->actual = 64 - v;
	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &f->swapper))
		return;
	if (kernel_fact(k, FACT_NUMBER, "kimage_voffset", &v))
		f->root = f->swapper - v;
	else
		xlat_segment(d, f->swapper, &f->root);
}

static unsigned int granule(const struct paging *p)
{
	return p->level[p->nr_levels - 1].shift;
}

/*
 * Has a kernel of these facts tables like P? One that is built for more than 48 bits may run with
 * 48, with 16 KiB pages 47 (VA_BITS_MIN).
 */
static bool fits(const struct facts *f, const struct xlat *x, const struct paging *p,
		 unsigned int page_shift)
{
	if (granule(p) != page_shift || f->swapper < p->va_base)
		return false;
	if (xlat_layout_forced(x))
		return xlat_allows(x, p);
	if (f->actual)
		return p->va_bits == f->actual;
	return !f->va_bits || p->va_bits == f->va_bits ||
	       (f->va_bits > 48 && (p->va_bits == 48 || p->va_bits == 47));
}

/* Does the table map itself to where it is? Where that is not known, a place where it does is
 * looked for. */
static bool confirm(const struct dump *d, const struct facts *f, struct xlat *x)
{
	if (!f->root)
		return xlat_find_root(x, d, f->swapper, IMAGE_ALIGN);
	x->root = f->root;
	return xlat_maps(x, d, f->swapper, f->root);
}

/* Sets x->paging and x->root; false when none was confirmed: then x->paging is the first that fits.
 */
static bool choose(const struct dump *d, const struct facts *f, struct xlat *x)
{
	const struct paging *const *p, *first = NULL;

	for (p = d->arch->paging; *p; p++) {
		if (!fits(f, x, *p, dump_page_shift(d)))
			continue;
		x->paging = *p;
		if (confirm(d, f, x))
			return true;
		if (!first)
			first = *p;
	}
	x->paging = first;
	x->root = f->root;
	return false;
}

/* The lowest address of the upper half of what VA_BITS_MIN covers. */
static uint64_t upper_half(const struct xlat *x)
{
	return ~0ULL << (MIN((uint64_t)x->paging->va_bits, 48ULL) - 1);
}

/* Of a table that cannot be read: was there ever memory? */
static bool table_is_memory(const struct dump *d, uint64_t root)
{
	return dump_page_state(d, SPACE_PHYS, root >> dump_page_shift(d)) != PAGE_ABSENT;
}

/* KASLR put the image elsewhere than VMCOREINFO says: in the half that it is in, it maps itself. */
static bool find_moved(const struct dump *d, const struct facts *f, struct xlat *x)
{
	const struct paging *const *p;
	uint64_t vaddr;

	for (p = d->arch->paging; *p; p++) {
		bool upper;

		if (!fits(f, x, *p, dump_page_shift(d)))
			continue;
		x->paging = *p;
		upper = f->swapper >= upper_half(x);
		if (!xlat_find_moved(x, d, f->swapper, IMAGE_ALIGN,
				     upper ? upper_half(x) : (*p)->va_base,
				     upper ? UINT64_MAX : upper_half(x) - 1, &vaddr))
			continue;
		x->symbol_shift = vaddr - f->swapper;
		return true;
	}
	return false;
}

/*
 * The linear map, as of asm/memory.h __lm_to_phys: since v5.4 (14c127c957c1) it is the lower part
 * and the image is in the upper half of what VA_BITS_MIN covers; before, it was the upper half.
 */
static int add_linear(const struct facts *f, struct xlat *x, uint64_t phys_offset, struct err *e)
{
	uint64_t half = upper_half(x), start = x->paging->va_base;
	uint64_t built = f->va_bits >= MIN((uint64_t)x->paging->va_bits, 48ULL) && f->va_bits <= 52
				 ? f->va_bits
				 : x->paging->va_bits;

	if (f->swapper < half)
		return xlat_add_window(x, half, phys_offset, -half, e);
	return xlat_add_window(x, start, phys_offset + (start - (~0ULL << built)), half - start, e);
}

static int see_first(void *priv, const struct mapping *m)
{
	*(struct mapping *)priv = *m;
	return 1;
}

/*
 * PHYS_OFFSET is told since v4.12 (20a166243328); before, what the table maps in the linear map tells.
 * 0: nothing does.
 */
static uint64_t find_phys_offset(const struct dump *d, const struct facts *f, const struct xlat *x)
{
	uint64_t half = upper_half(x), start = f->swapper < half ? half : ~0ULL << f->va_bits;
	struct mapping m = { .len = 0 };
	struct xlat_visitor v = { .mapping = see_first, .priv = &m };
	struct reader r;

	if (f->swapper >= half && f->va_bits < x->paging->va_bits)
		return 0;
	reader_init(&r, (struct dump *)d);
	xlat_walk(x, &r, MAX(start, x->paging->va_base), f->swapper < half ? UINT64_MAX : half - 1,
		  1u << 16, &v);
	reader_fini(&r);
	return m.len ? m.paddr - (m.vaddr - start) : 0;
}

/* What is known without the table, for one that cannot be had. */
static int add_windows(const struct kernel *k, const struct facts *f, struct xlat *x, struct err *e)
{
	uint64_t stext = kernel_or(k, FACT_SYMBOL, "_stext", f->swapper) & ~(IMAGE_ALIGN - 1);
	uint64_t phys_offset;

	if (f->root && xlat_add_window(x, stext, stext - f->swapper + f->root, IMAGE_MAX, e))
		return -1;
	if (x->paging && kernel_fact(k, FACT_NUMBER, "PHYS_OFFSET", &phys_offset))
		return add_linear(f, x, phys_offset, e);
	return 0;
}

/* ---- registers, where there is no VMCOREINFO ---- */

#define TCR_T1SZ(tcr) ((tcr) >> 16 & 0x3f)
#define TCR_TG1(tcr) ((tcr) >> 30 & 3)
#define TCR_IPS(tcr) ((tcr) >> 32 & 7)
#define TCR_IPS_52 6
#define TCR_DS(tcr) ((tcr) >> 59 & 1)

static bool use_registers(const struct dump *d, struct xlat *x)
{
	static const uint8_t shift[] = { 0, 14, 12, 16 }; /* by TG1 */
	uint64_t tcr, ttbr, pc;
	const struct paging *const *p;
	unsigned int i;

	for (i = 0; i < d->nr_cpus; i++) {
		/* In user mode it may be the trampoline's table. */
		if (!cpu_reg(&d->cpus[i], "tcr_el1", &tcr) ||
		    !cpu_reg(&d->cpus[i], "ttbr1_el1", &ttbr) || !cpu_reg(&d->cpus[i], "pc", &pc) ||
		    !(pc >> 63))
			continue;
		for (p = d->arch->paging; *p; p++)
			if (granule(*p) == shift[TCR_TG1(tcr)] &&
			    (*p)->va_bits == 64 - TCR_T1SZ(tcr))
				break;
		x->paging = *p;
		x->root = TCR_IPS(tcr) == TCR_IPS_52 || TCR_DS(tcr)
				  ? (ttbr & BITS(47, 6)) | (ttbr & BITS(5, 2)) << 46
				  : ttbr & BITS(47, 1);
		return *p != NULL;
	}
	return false;
}

/*
 * SECTION_SIZE_BITS is told since v5.13, but is another since v5.12 (f0b13ee23241: 27, with pages
 * of 64 KiB 29). How many sections there are the array of their roots tells.
 */
static uint8_t section_bits(const struct dump *d, const struct kernel *k)
{
	uint64_t length, size, physmem;
	unsigned int bits;

	if (!kernel_fact(k, FACT_NUMBER, "MAX_PHYSMEM_BITS", &physmem) ||
	    !kernel_fact(k, FACT_LENGTH, "mem_section", &length) ||
	    !kernel_fact(k, FACT_SIZE, "mem_section", &size) || !size || physmem > 52)
		return 0;
	for (bits = 24; bits < 32; bits++)
		if (physmem > bits && 1ULL << (physmem - bits) == length * (d->id.page_size / size))
			return (uint8_t)bits;
	return 0;
}

/* Says what is missing, and leaves no table. */
static int not_found(const struct dump *d, const struct facts *f, struct xlat *x, struct err *e)
{
	if (!x->paging)
		return err_set(e, ERR_MISSING,
			       "no page table of arm64 with pages of %" PRIu32
			       " bytes fits VA_BITS %" PRIu64 ", TCR_EL1_T1SZ, swapper_pg_dir",
			       d->id.page_size, f->va_bits);
	x->paging = NULL;
	if (!f->root)
		return err_set(
			e, ERR_MISSING,
			"the kernel page table was not found: no NUMBER(kimage_voffset), no PT_LOAD of the kernel image, and no memory that looks like it");
	return err_set(e, ERR_MISSING, "there is no kernel page table at 0x%" PRIx64, f->root);
}

static int arm64_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	const struct paging *paging;
	struct facts f;
	bool lost, found;
	uint64_t any;

	learn(d, k, &f);
	x->phys_base = kernel_or(k, FACT_NUMBER, "PHYS_OFFSET", 0);
	x->section_size_bits = section_bits(d, k);
	if (!f.swapper) {
		if (use_registers(d, x))
			return 0;
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	}
	found = choose(d, &f, x);
	paging = x->paging;
	lost = !found && f.root && (f.actual || f.va_bits) && x->paging &&
	       xlat_lost(x, d, f.swapper, &any);
	if (!found && !(lost && table_is_memory(d, f.root)))
		found = find_moved(d, &f, x);
	if (found && !kernel_fact(k, FACT_NUMBER, "PHYS_OFFSET", &any))
		x->phys_base = find_phys_offset(d, &f, x);
	x->flat_pfn = x->phys_base >> dump_page_shift(d); /* ARCH_PFN_OFFSET */
	if (found)
		return 0;
	x->paging = paging;
	x->root = f.root;
	if (add_windows(k, &f, x, e))
		return -1;
	/* Of a damaged dump, the rest of the table is of use still. */
	if (x->paging && lost)
		return 0;
	return not_found(d, &f, x, e);
}

/* clang-format off */
#define ARM64(id, name_, title_, order_, also_)                                 \
	const struct arch id = {                                                \
		.name = name_,                                                  \
		.title = title_,                                                \
		.e_machine = EM_AARCH64,                                        \
		.order = order_,                                                \
		.word = 8,                                                      \
		.page_shift = 12,                                               \
		.align64 = 8,                                                   \
		.also = also_,                                                  \
		.paging = layouts,                                              \
		.facts = told,                                                  \
		.notes = notes,                                                 \
		.numbers = numbers,                                             \
		.nr_numbers = ARRAY_SIZE(numbers),                              \
		.sp = "sp",                                                     \
		.pc = "pc",                                                     \
		.tasks = tasks,                    \
		.user = user,                    \
		.mask_note = &pac_mask,             \
		.section_size_bits = 30, /* until v5.12 (f0b13ee23241) */       \
		.max_physmem_bits = 48, /* or 52 (PA_BITS), exported by v5.9 */ \
		.stack_shift = 14, /* MIN_THREAD_SHIFT */                       \
		.setup = arm64_setup,                                           \
		.image_align = IMAGE_ALIGN,                                     \
		.image_max = IMAGE_MAX,                                         \
	}
/* clang-format on */

ARM64(arm64_arch, "aarch64", "Arm (64 bit)", ORDER_LE, "arm64 armv8");
ARM64(arm64be_arch, "aarch64_be", "Arm (64 bit, big-endian)", ORDER_BE, "arm64 arm64_be arm64eb");
