/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LoongArch, 64 bit: the page table layouts of its Kconfig, and the windows in which the kernel
 * itself lies.
 *
 * Sources: arch/loongarch/include/asm/addrspace.h, loongarch.h (CSR_DMW0_BASE), pgtable.h,
 * pgtable-bits.h; LoongArch Reference Manual 1, 5.2.1 (direct mapping windows), 5.4 (TLB entries).
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_LOONGARCH 258

/* ---- tables ---- */

#define ENTRY_VALID 1ULL
#define ENTRY_HUGE 0x40ULL /* above the last level; in it, this bit is G */
#define ENTRY_PRESENT 0x80ULL
/* Bits 12 (_PAGE_PFN_SHIFT) to 47; of a table the address as the kernel writes it, in a window. */
#define ENTRY_ADDR                               \
	{                                        \
		{                                \
			0x0000fffffffff000ULL, 0 \
		}                                \
	}

static const struct entry_form last[] = {
	{ ENTRY_PRESENT, ENTRY_PRESENT, ENTRY_LEAF, ENTRY_ADDR, 0 },
	{ ENTRY_VALID, ENTRY_VALID, ENTRY_LEAF, ENTRY_ADDR, 0 },
	ENTRY_REST,
};

static const struct entry_form upper[] = {
	{ ~0ULL, 0, ENTRY_NONE, { { 0, 0 } }, 0 },
	{ ENTRY_HUGE | ENTRY_PRESENT, ENTRY_HUGE | ENTRY_PRESENT, ENTRY_LEAF, ENTRY_ADDR, 0 },
	{ ENTRY_HUGE | ENTRY_VALID, ENTRY_HUGE | ENTRY_VALID, ENTRY_LEAF, ENTRY_ADDR, 0 },
	{ 0xfff, 0, ENTRY_TABLE, ENTRY_ADDR, 0 },
	ENTRY_REST,
};

/* clang-format off */
#define TWO(page, bits) \
	2, { { (page) + (bits), bits, upper }, { page, bits, last } }
#define THREE(page, bits) \
	3, { { (page) + 2 * (bits), bits, upper }, { (page) + (bits), bits, upper }, \
	     { page, bits, last } }
#define FOUR(page, bits) \
	4, { { (page) + 3 * (bits), bits, upper }, { (page) + 2 * (bits), bits, upper }, \
	     { (page) + (bits), bits, upper }, { page, bits, last } }
/* clang-format on */

/*
 * The kernel's part of the address space begins at vm_map_base, -(1 << vabits), where vabits is of
 * the CPU: 47, or 39 of the smaller ones (LA264). A table of fewer bits covers as much from there
 * on.
 */
#define BASE_47 (~0ULL << 47)
#define BASE_39 (~0ULL << 39)
#define LAYOUT(id, name_, va_bits_, base, levels, ...)         \
	static const struct paging id = { .name = name_,       \
					  .va_bits = va_bits_, \
					  .va_base = base,     \
					  .entry_size = 8,     \
					  .nr_levels = levels, \
					  __VA_ARGS__ }

LAYOUT(p4k_3, "LoongArch, 3 levels of 4 KiB", 39, BASE_47, THREE(12, 9));
LAYOUT(p4k_3_39, "LoongArch, 3 levels of 4 KiB, VA 40", 39, BASE_39, THREE(12, 9));
LAYOUT(p4k_4, "LoongArch, 4 levels of 4 KiB", 48, ~0ULL << 48, FOUR(12, 9));
LAYOUT(p16k_2, "LoongArch, 2 levels of 16 KiB", 36, BASE_47, TWO(14, 11));
LAYOUT(p16k_2_39, "LoongArch, 2 levels of 16 KiB, VA 40", 36, BASE_39, TWO(14, 11));
LAYOUT(p16k_3, "LoongArch, 3 levels of 16 KiB", 47, BASE_47, THREE(14, 11),
       .verified = { [ORDER_LE] = "Debian 7.2" });
LAYOUT(p64k_2, "LoongArch, 2 levels of 64 KiB", 42, BASE_47, TWO(16, 13));
LAYOUT(p64k_2_39, "LoongArch, 2 levels of 64 KiB, VA 40", 42, ~0ULL << 42, TWO(16, 13));
LAYOUT(p64k_3, "LoongArch, 3 levels of 64 KiB", 55, ~0ULL << 55, THREE(16, 13));

static const struct paging *const layouts[] = {
	&p4k_3, &p4k_3_39, &p4k_4, &p16k_2, &p16k_2_39, &p16k_3, &p64k_2, &p64k_2_39, &p64k_3, NULL,
};

/* ---- notes ---- */

/*
 * struct elf_prstatus: pr_reg, a user_pt_regs (arch/loongarch/include/uapi/asm/ptrace.h), is at
 * 112. What follows badv is set by the kernel alone.
 */
#define R(n)                             \
	{                                \
		"r" #n, 112 + 8 * (n), 8 \
	}

static const struct reg_place prstatus_regs[] = {
	ROWS_32(R),
	{ "orig_a0", 368, 8 },
	{ "pc", 376, 8 },
	{ "badv", 384, 8 },
};

/* Our own note: what says how addresses translate. */
static const struct reg_place control_regs[] = {
	{ "crmd", 0, 8 },  { "pgdl", 8, 8 },  { "pgdh", 16, 8 },
	{ "pwcl", 24, 8 }, { "pwch", 32, 8 }, { "dmw0", 40, 8 },
	{ "dmw1", 48, 8 }, { "dmw2", 56, 8 }, { "dmw3", 64, 8 },
};

/* struct user_fp_state (arch/loongarch/include/uapi/asm/ptrace.h). */
#define NT_PRFPREG 2
/* clang-format off */
#define F(n) { "f" #n, 8 * (n), 8 }
#define FCC(n) { "fcc" #n, 256 + (n), 1 }

static const struct reg_place fp_regs[] = { ROWS_32(F), ROWS_8(FCC), { "fcsr", 264, 4 } };

/*
 * gdb/features/loongarch/base64.xml, fpu.xml; ELF for the LoongArch Architecture, DWARF register
 * numbers.
 */
#define N_R(n) { "r" #n, n, n }
#define N_F(n) { "f" #n, 35 + (n), 32 + (n) }
#define N_FCC(n) { "fcc" #n, 67 + (n), -1 }

static const struct reg_number numbers[] = {
	ROWS_32(N_R), { "orig_a0", 32, -1 }, { "pc", 33, -1 }, { "badv", 34, -1 }, ROWS_32(N_F),
	ROWS_8(N_FCC), { "fcsr", 75, -1 },
};
/* clang-format on */

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 480, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 72, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "CORE", NT_PRFPREG, 268, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	{ .owner = NULL },
};

/* struct thread_struct (arch/loongarch/include/asm/processor.h). */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "pc", "task_struct.thread.reg01", 0 },
	{ "r1", "task_struct.thread.reg01", 0 },
	{ "r3", "task_struct.thread.reg03", 0 },
	{ "r22", "task_struct.thread.reg22", 0 },
	{ "r23", "task_struct.thread.reg23", 0 },
	{ "r24", "task_struct.thread.reg24", 0 },
	{ "r25", "task_struct.thread.reg25", 0 },
	{ "r26", "task_struct.thread.reg26", 0 },
	{ "r27", "task_struct.thread.reg27", 0 },
	{ "r28", "task_struct.thread.reg28", 0 },
	{ "r29", "task_struct.thread.reg29", 0 },
	{ "r30", "task_struct.thread.reg30", 0 },
	{ "r31", "task_struct.thread.reg31", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_NONE, .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* User mode: struct pt_regs. */
/* clang-format off */
#define USER_R(n) { "r" #n, "pt_regs.regs", n }

static const struct task_reg user_regs[] = {
	ROWS_32(USER_R),
	{ "orig_a0", "pt_regs.orig_a0", 0 },
	{ "pc", "pt_regs.csr_era", 0 },
	{ "badv", "pt_regs.csr_badvaddr", 0 },
};
/* clang-format on */

/* __KSTK_TOS() (arch/loongarch/include/asm/processor.h); PLV_USER in CSR_PRMD_PPLV (loongarch.h). */
#define USER(padding)                                                             \
	{                                                                         \
		FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs), .gap = (padding), \
		.sign = { "pt_regs.csr_prmd", NULL, 0, 3, 3 }                     \
	}

/* 32 bytes are left free, or none, by version. */
static const struct task_layout user[] = {
	USER(0),
	USER(32),
	{ .nr_regs = 0 },
};

/* ---- setup ---- */

/* Windows of the kernel: uncached, cached, write-combining (since v6.12). */
#define WINDOW_FIRST 0x8000000000000000ULL
#define WINDOW_STEP (1ULL << 60)
#define WINDOW_BITS 48 /* DMW_PABITS */
#define WINDOW_MASK ((1ULL << WINDOW_BITS) - 1)
#define NR_WINDOWS 3u

static int add_windows(struct xlat *x, struct err *e)
{
	unsigned int i;

	for (i = 0; i < NR_WINDOWS; i++)
		if (xlat_add_window(x, WINDOW_FIRST + i * WINDOW_STEP, 0, 1ULL << WINDOW_BITS, e))
			return -1;
	return 0;
}

static bool in_window(uint64_t vaddr)
{
	uint64_t off = vaddr - WINDOW_FIRST;

	return off / WINDOW_STEP < NR_WINDOWS && off % WINDOW_STEP <= WINDOW_MASK;
}

/*
 * The first entry that leads to a table, in one of a page. No entry of the last level looks so: it
 * is 0, or has flags. False: none, or cannot be read.
 */
static bool next_table(const struct dump *d, struct reader *r, uint64_t table, uint64_t *ret,
		       bool *unreadable)
{
	uint64_t page_size = d->id.page_size, off;
	struct err ignored = ERR_INIT;
	uint8_t raw[8];

	for (off = 0; off < page_size; off += sizeof(raw)) {
		uint64_t entry;

		*unreadable = reader_read(r, SPACE_PHYS, table + off, raw, sizeof(raw), &ignored);
		if (*unreadable)
			return false;
		entry = load_u64(raw, d->id.order);
		if (!entry || entry % page_size || (!in_window(entry) && entry > WINDOW_MASK))
			continue;
		*ret = entry & WINDOW_MASK;
		return true;
	}
	return false;
}

/*
 * How many levels the table at ROOT has. What is not mapped leads down all of them, too, to a last
 * one of zeros (invalid_pte_table). 0: not to be found out.
 */
static unsigned int count_levels(const struct dump *d, uint64_t root)
{
	bool unreadable = false;
	unsigned int n = 1;
	struct reader r;

	reader_init(&r, (struct dump *)d);
	while (n <= PAGING_MAX_LEVELS && next_table(d, &r, root, &root, &unreadable))
		n++;
	reader_fini(&r);
	return unreadable ? 0 : n;
}

/*
 * An address that the table translates: VMALLOC_START is told since v6.9; before, a list of what is
 * mapped there.
 */
static bool mapped_address(const struct dump *d, const struct kernel *k, const struct xlat *x,
			   uint64_t *ret)
{
	struct err ignored = ERR_INIT;
	uint64_t list, start, node, next;
	struct reader r;
	bool ok;

	if (kernel_fact(k, FACT_NUMBER, "VMALLOC_START", ret))
		return true;
	if (!kernel_fact(k, FACT_SYMBOL, "vmap_area_list", &list) ||
	    !kernel_fact(k, FACT_OFFSET, "vmap_area.va_start", &start) ||
	    !kernel_fact(k, FACT_OFFSET, "vmap_area.list", &node))
		return false;
	reader_init(&r, (struct dump *)d);
	ok = !xlat_read_uint(x, &r, list, 8, &next, &ignored) && next != list &&
	     !xlat_read_uint(x, &r, next - node + start, 8, ret, &ignored);
	reader_fini(&r);
	return ok;
}

static const struct paging *choose_layout(const struct dump *d, const struct kernel *k,
					  const struct xlat *x)
{
	unsigned int levels = count_levels(d, x->root), shift = dump_page_shift(d);
	const struct paging *const *p;
	uint64_t mapped;

	/* All addresses are in the uppermost part, where a table covers that of any CPU. */
	if (!mapped_address(d, k, x, &mapped))
		mapped = ~0ULL;
	for (p = layouts; *p; p++)
		if ((*p)->nr_levels == levels && (*p)->level[levels - 1].shift == shift &&
		    mapped >> (*p)->va_bits << (*p)->va_bits == (*p)->va_base)
			return *p;
	return NULL;
}

static int loongarch64_setup(const struct dump *d, const struct kernel *k, struct xlat *x,
			     struct err *e)
{
	uint64_t root;

	if (add_windows(x, e))
		return -1;
	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &root) || !in_window(root))
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	x->root = root & WINDOW_MASK;
	x->paging = choose_layout(d, k, x);
	if (!x->paging)
		return err_set(e, ERR_MISSING,
			       "the layout of the page table at 0x%" PRIx64 " is not known: "
			       "%u levels of pages of %" PRIu32 " bytes, and NUMBER(VMALLOC_START)",
			       x->root, count_levels(d, x->root), d->id.page_size);
	return 0;
}

/* From the text to the kernel's page table, which is in .bss; as the image is aligned. */
static bool loongarch64_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
				    uint64_t *end)
{
	uint64_t mask = (1ULL << 21) - 1;

	(void)x;
	if (!kernel_fact(k, FACT_SYMBOL, "_stext", start) ||
	    !kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", end))
		return false;
	*start &= ~mask;
	*end = (*end | mask) + 1;
	return *start < *end && *end - *start <= 1ULL << 30;
}

const struct arch loongarch64_arch = {
	.name = "loongarch64",
	.also = "loongarch loong64",
	.title = "LoongArch (64 bit)",
	.e_machine = EM_LOONGARCH,
	.order = ORDER_LE,
	.word = 8,
	.page_shift = 14,
	.align64 = 8,
	.paging = layouts,
	.notes = notes,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "r3",
	.pc = "pc",
	.tasks = tasks,
	.user = user,
	.gdb_prstatus = 472, /* PRSTATUS_SIZE, without pr_fpvalid (binutils: bfd/elfnn-loongarch.c) */
	.section_size_bits = 29, /* arch/loongarch/include/asm/sparsemem.h */
	.max_physmem_bits = 48,
	.stack_shift = 14, /* THREAD_SIZE (thread_info.h); with pages of 64 KiB that */
	.setup = loongarch64_setup,
	.image_range = loongarch64_image_range,
};
