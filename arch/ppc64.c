/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PowerPC, 64 bit, server processors (Book3S), either byte order: the radix page table, and the
 * software page table of kernels that run on the hash table of the processor.
 *
 * Sources: arch/powerpc/include/asm/book3s/64/{pgtable,radix,radix-4k,radix-64k,hash,hash-4k,
 * hash-64k}.h, page.h (__pa), pgalloc.h (struct vmemmap_backing), arch/powerpc/kexec/vmcore_info.c;
 * before v4.5 pgtable-ppc64*.h, pte-hash64*.h; Power ISA 3.0B, Book III 5.7.10.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_PPC64 21
#define LINEAR 0xc000000000000000ULL	  /* PAGE_OFFSET: all of memory, from physical 0 on */
#define VMALLOC_OLD 0xd000000000000000ULL /* H_VMALLOC_START before v5.2 (0034d395f89d) */

/* ---- entries since v4.7: always big-endian, tables by physical address ---- */

#define VALID (1ULL << 63) /* _PAGE_PRESENT; also of what points to a table */
#define LEAF (1ULL << 62)  /* _PAGE_PTE */
#define TABLE_ADDR                               \
	{                                        \
		{                                \
			0x0fffffffffffff00ULL, 0 \
		}                                \
	} /* less PMD_MASKED_BITS */
#define LEAF_ADDR                                \
	{                                        \
		{                                \
			0x001ffffffffff000ULL, 0 \
		}                                \
	} /* PTE_RPN_MASK: 53 bits, _PAGE_PA_MAX */

#define LEAF_FORM                                                    \
	{                                                            \
		VALID | LEAF, VALID | LEAF, ENTRY_LEAF, LEAF_ADDR, 0 \
	}
/* The low byte of what points to a table of a radix tree has the size of that table. */
#define TABLE_FORM(size)                                                        \
	{                                                                       \
		VALID | LEAF | 0xff, VALID | (size), ENTRY_TABLE, TABLE_ADDR, 0 \
	}

static const struct entry_form last[] = { LEAF_FORM, ENTRY_REST };
/* None larger than the 16 GiB of a third-level entry: what looks like one is a kernel pointer. */
static const struct entry_form radix_top[] = { TABLE_FORM(9), ENTRY_REST };
static const struct entry_form hash_top[] = { TABLE_FORM(0), ENTRY_REST };
static const struct entry_form radix_middle[] = { LEAF_FORM, TABLE_FORM(9), ENTRY_REST };
static const struct entry_form radix_before_5[] = { LEAF_FORM, TABLE_FORM(5), ENTRY_REST };
static const struct entry_form hash_middle[] = { LEAF_FORM, TABLE_FORM(0), ENTRY_REST };

static const struct paging radix_64k = {
	.name = "ppc64 radix, 64K pages",
	.verified = { [ORDER_LE] = "Debian 6.1", [ORDER_BE] = "Debian's source 6.1" },
	.va_bits = 52,
	.va_base = LINEAR,
	.entry_size = 8,
	.big_endian = true,
	.nr_levels = 4,
	.level = { { 39, 13, radix_top },
		   { 30, 9, radix_middle },
		   { 21, 9, radix_before_5 },
		   { 16, 5, last } },
};

static const struct paging radix_4k = {
	.name = "ppc64 radix, 4K pages",
	.verified = { [ORDER_LE] = "Debian 6.12", [ORDER_BE] = "Debian's source 6.1" },
	.va_bits = 52,
	.va_base = LINEAR,
	.entry_size = 8,
	.big_endian = true,
	.nr_levels = 4,
	.level = { { 39, 13, radix_top },
		   { 30, 9, radix_middle },
		   { 21, 9, radix_middle },
		   { 12, 9, last } },
};

/* Widths of the indices, the last level first. */
#define HASH_LAYOUT(id, title, base, page, pte, pmd, pud, pgd, ...)           \
	static const struct paging id = {                                     \
		.name = title,                                                \
		.va_bits = (page) + (pte) + (pmd) + (pud) + (pgd),            \
		.va_base = base,                                              \
		.entry_size = 8,                                              \
		.big_endian = true,                                           \
		.nr_levels = 4,                                               \
		.level = { { (page) + (pte) + (pmd) + (pud), pgd, hash_top }, \
			   { (page) + (pte) + (pmd), pud, hash_middle },      \
			   { (page) + (pte), pmd, hash_middle },              \
			   { page, pte, last } },                             \
		__VA_ARGS__                                                   \
	}

/* v5.2 moved all into the region of the linear map (0034d395f89d). */
HASH_LAYOUT(hash_64k, "ppc64 hash, 64K pages", LINEAR, 16, 8, 10, 10, 8,
	    .verified = { [ORDER_LE] = "Debian 6.1", [ORDER_BE] = "Debian's source 6.1" });
HASH_LAYOUT(hash_4k, "ppc64 hash, 4K pages", LINEAR, 12, 9, 7, 9, 9,
	    .verified = { [ORDER_LE] = "Debian 6.12", [ORDER_BE] = "Debian's source 6.1" });
/* v4.17 has four petabytes (c2b4d8b7417a), v4.12 512 TiB (f6eedbba7a26), v4.7 64 TiB. */
HASH_LAYOUT(hash_64k_v4_17, "ppc64 hash of v4.17, 64K pages", VMALLOC_OLD, 16, 8, 10, 10, 8);
HASH_LAYOUT(hash_64k_v4_12, "ppc64 hash of v4.12, 64K pages", VMALLOC_OLD, 16, 8, 10, 7, 8);
HASH_LAYOUT(hash_64k_v4_7, "ppc64 hash of v4.7, 64K pages", VMALLOC_OLD, 16, 8, 5, 5, 12);
HASH_LAYOUT(hash_4k_v4_7, "ppc64 hash of v4.7, 4K pages", VMALLOC_OLD, 12, 9, 7, 9, 9);

/* ---- entries before v4.6: the kernel's own byte order, tables by virtual address ---- */

/* A kernel pointer; the low bits, PMD_MASKED_BITS, tell what the table is. */
#define POINTER                                  \
	{                                        \
		{                                \
			0x0ffffffffffff000ULL, 0 \
		}                                \
	}
#define POINTER_1K                               \
	{                                        \
		{                                \
			0x0ffffffffffffc00ULL, 0 \
		}                                \
	} /* the smallest table with 4K pages has 1 KiB */
#define POINTER_FORM(addr)                                          \
	{                                                           \
		0xf000000000000003ULL, LINEAR, ENTRY_TABLE, addr, 0 \
	}
/*
 * Bit 0 is _PAGE_PRESENT and bit 1 _PAGE_USER, in v4.5 _PAGE_PTE and _PAGE_PRESENT; the frame's
 * number is above PTE_RPN_SHIFT.
 */
#define OLD_LEAF(mask, value, rpn_shift, page_shift)                                               \
	{                                                                                          \
		mask, value, ENTRY_LEAF, { { ~0ULL << (rpn_shift), (page_shift) - (rpn_shift) } }, \
			0                                                                          \
	}

static const struct entry_form old_64k_middle[] = { POINTER_FORM(POINTER), ENTRY_REST };
static const struct entry_form old_64k_last[] = { OLD_LEAF(1, 1, 30, 16), ENTRY_REST };
static const struct entry_form old_4k_middle[] = { POINTER_FORM(POINTER_1K), ENTRY_REST };
static const struct entry_form old_4k_last[] = { OLD_LEAF(3, 1, 17, 12), ENTRY_REST };
static const struct entry_form v4_5_4k_last[] = { OLD_LEAF(3, 3, 18, 12), ENTRY_REST };

/* v3.10: smaller page tables (419df06eea5b); three levels. */
static const struct paging old_64k_v3_10 = {
	.name = "ppc64 hash of v3.10, 64K pages",
	.va_bits = 46,
	.va_base = VMALLOC_OLD,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 34, 12, old_64k_middle },
		   { 24, 10, old_64k_middle },
		   { 16, 8, old_64k_last } },
};

static const struct paging old_64k = {
	.name = "ppc64 hash of v2.6, 64K pages",
	.va_bits = 44,
	.va_base = VMALLOC_OLD,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 40, 4, old_64k_middle },
		   { 28, 12, old_64k_middle },
		   { 16, 12, old_64k_last } },
};

#define OLD_4K_LAYOUT(id, title, pud, last_forms)            \
	static const struct paging id = {                    \
		.name = title,                               \
		.va_bits = 12 + 9 + 7 + (pud) + 9,           \
		.va_base = VMALLOC_OLD,                      \
		.entry_size = 8,                             \
		.nr_levels = 4,                              \
		.level = { { 28 + (pud), 9, old_4k_middle }, \
			   { 28, pud, old_4k_middle },       \
			   { 21, 7, old_4k_middle },         \
			   { 12, 9, last_forms } },          \
	}

OLD_4K_LAYOUT(old_4k_v4_5, "ppc64 hash of v4.5, 4K pages", 9, v4_5_4k_last);
OLD_4K_LAYOUT(old_4k_v3_7, "ppc64 hash of v3.7, 4K pages", 9, old_4k_last); /* 78f1dbde9fd0 */
OLD_4K_LAYOUT(old_4k, "ppc64 hash of v2.6, 4K pages", 7, old_4k_last);

/* Radix first, then the newest: the first of those that fit equally well is taken. */
static const struct paging *const layouts[] = {
	&radix_64k,	 &radix_4k,	 &hash_64k,	&hash_4k,	&hash_64k_v4_17,
	&hash_64k_v4_12, &hash_64k_v4_7, &hash_4k_v4_7, &old_64k_v3_10, &old_64k,
	&old_4k_v4_5,	 &old_4k_v3_7,	 &old_4k,	NULL,
};
#define FIRST_HASH 2
#define NR_LAYOUTS (ARRAY_SIZE(layouts) - 1)

/* ---- registers ---- */

/* struct pt_regs (uapi/asm/ptrace.h) inside struct elf_prstatus: 48 words at 112. */
#define PR_REG 112
/* clang-format off */
#define R(name, index) { name, PR_REG + 8 * (index), 8 }

static const struct reg_place prstatus_regs[] = {
	R("r0", 0),   R("r1", 1),   R("r2", 2),   R("r3", 3),   R("r4", 4),   R("r5", 5),
	R("r6", 6),   R("r7", 7),   R("r8", 8),   R("r9", 9),   R("r10", 10), R("r11", 11),
	R("r12", 12), R("r13", 13), R("r14", 14), R("r15", 15), R("r16", 16), R("r17", 17),
	R("r18", 18), R("r19", 19), R("r20", 20), R("r21", 21), R("r22", 22), R("r23", 23),
	R("r24", 24), R("r25", 25), R("r26", 26), R("r27", 27), R("r28", 28), R("r29", 29),
	R("r30", 30), R("r31", 31), R("pc", 32),  R("msr", 33), R("orig_r3", 34),
	R("ctr", 35), R("lr", 36),  R("xer", 37), R("cr", 38),  R("trap", 40),
	R("dar", 41), R("dsisr", 42),
};

/* Our own note: where translation begins, hash table or tables of the radix tree. */
static const struct reg_place control_regs[] = {
	{ "sdr1", 0, 8 }, { "ptcr", 8, 8 }, { "lpcr", 16, 8 }, { "lpidr", 24, 8 }, { "pidr", 32, 8 },
};
/* clang-format on */

/*
 * Regsets of arch/powerpc/kernel/ptrace/ptrace-view.c: fpr_get(), vr_get(), vsr_get(). What VSX
 * adds to f0 to f31 is their other half.
 */
#define NT_PRFPREG 2
#define NT_PPC_VMX 0x100
#define NT_PPC_VSX 0x102
/* clang-format off */
#define F(n) { "f" #n, 8 * (n), 8 }
#define VR(n) { "vr" #n, 16 * (n), 16 }
#define VS_H(n) { "vs" #n "h", 8 * (n), 8 }

static const struct reg_place fp_regs[] = { ROWS_32(F), { "fpscr", 256, 8 } };
/* vscr is one word of its 16 bytes, always the lowest one. */
static const struct reg_place vmx_regs[] = {
	ROWS_32(VR), { "vscr", 512, 16 }, { "vrsave", 528, 4 },
};
static const struct reg_place vsx_regs[] = { ROWS_32(VS_H) };

/*
 * gdb/features/rs6000/power64-core.xml, power-fpu.xml, power64-linux.xml, power-altivec.xml,
 * power-vsx.xml; 64-Bit ELF V2 ABI Specification, "DWARF Definition": as in .eh_frame. (gcc has
 * other numbers in .debug_info: 64 and from 100 on.)
 */
#define N_R(n) { "r" #n, n, n }
#define N_F(n) { "f" #n, 32 + (n), 32 + (n) }
#define N_VR(n) { "vr" #n, 73 + (n), 77 + (n) }
#define N_VS_H(n) { "vs" #n "h", 107 + (n), -1 }

static const struct reg_number numbers[] = {
	ROWS_32(N_R), ROWS_32(N_F), { "pc", 64, -1 }, { "msr", 65, -1 }, { "cr", 66, -1 },
	{ "lr", 67, 65 }, { "ctr", 68, 66 }, { "xer", 69, 76 }, { "fpscr", 70, -1 },
	{ "orig_r3", 71, -1 }, { "trap", 72, -1 }, ROWS_32(N_VR), { "vscr", 105, 110 },
	{ "vrsave", 106, 109 }, ROWS_32(N_VS_H),
};

/* The owner is CORE in QEMU's notes. */
#define NOTES_OF(owner) \
	{ owner, NT_PPC_VMX, 532, -1, REGS_OF(vmx_regs), NOTE_EXTRA }, \
	{ owner, NT_PPC_VSX, 256, -1, REGS_OF(vsx_regs), NOTE_EXTRA }

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 504, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 40, -1, REGS_OF(control_regs), NOTE_MADE },
	{ "CORE", NT_PRFPREG, 264, -1, REGS_OF(fp_regs), NOTE_EXTRA },
	NOTES_OF("CORE"),
	NOTES_OF("LINUX"),
	{ .owner = NULL },
};
/* clang-format on */

/* _switch (arch/powerpc/kernel/switch.S) makes a frame that ends with a struct pt_regs. */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "r14", "pt_regs.gpr", 14 },
	{ "r15", "pt_regs.gpr", 15 },
	{ "r16", "pt_regs.gpr", 16 },
	{ "r17", "pt_regs.gpr", 17 },
	{ "r18", "pt_regs.gpr", 18 },
	{ "r19", "pt_regs.gpr", 19 },
	{ "r20", "pt_regs.gpr", 20 },
	{ "r21", "pt_regs.gpr", 21 },
	{ "r22", "pt_regs.gpr", 22 },
	{ "r23", "pt_regs.gpr", 23 },
	{ "r24", "pt_regs.gpr", 24 },
	{ "r25", "pt_regs.gpr", 25 },
	{ "r26", "pt_regs.gpr", 26 },
	{ "r27", "pt_regs.gpr", 27 },
	{ "r28", "pt_regs.gpr", 28 },
	{ "r29", "pt_regs.gpr", 29 },
	{ "r30", "pt_regs.gpr", 30 },
	{ "r31", "pt_regs.gpr", 31 },
	{ "pc", "pt_regs.nip", 0 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_BACK_CHAIN, .frame = "pt_regs",
	  .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* User mode: struct pt_regs. */
/* clang-format off */
#define USER_GPR(n) { "r" #n, "pt_regs.gpr", n }

static const struct task_reg user_regs[] = {
	ROWS_32(USER_GPR),
	{ "pc", "pt_regs.nip", 0 },
	{ "msr", "pt_regs.msr", 0 },
	{ "orig_r3", "pt_regs.orig_gpr3", 0 },
	{ "ctr", "pt_regs.ctr", 0 },
	{ "lr", "pt_regs.link", 0 },
	{ "xer", "pt_regs.xer", 0 },
	{ "cr", "pt_regs.ccr", 0 },
	{ "trap", "pt_regs.trap", 0 },
};
/* clang-format on */

/* MSR_PR (arch/powerpc/include/asm/reg.h). */
static const struct task_layout user[] = {
	{ FRAME_AT_POINTER, "pt_regs", REGS_OF(user_regs), .pointer = "task_struct.thread.regs",
	  .sign = { "pt_regs.msr", "msr", 0, 0x4000, 0x4000 } },
	{ .nr_regs = 0 },
};

/* ---- the memory map of hash kernels: chunks in a list ---- */

#define MAX_CHUNKS (1u << 20)

/* struct vmemmap_backing and what gives all chunks their size. */
struct vmemmap_facts {
	uint64_t head, size; /* virtual address of the first; log2 of bytes */
	uint64_t next, phys, virt;
};

/* False: this kernel has no list, or none that makes sense. */
static bool find_vmemmap(const struct kernel *k, const struct xlat *x, struct reader *r,
			 struct vmemmap_facts *f)
{
	uint64_t list, index_at, defs, def_size, shift_off, index;
	struct err ignored = ERR_INIT;

	return kernel_fact(k, FACT_SYMBOL, "vmemmap_list", &list) &&
	       kernel_fact(k, FACT_SYMBOL, "mmu_vmemmap_psize", &index_at) &&
	       kernel_fact(k, FACT_SYMBOL, "mmu_psize_defs", &defs) &&
	       kernel_fact(k, FACT_SIZE, "mmu_psize_def", &def_size) &&
	       kernel_fact(k, FACT_OFFSET, "mmu_psize_def.shift", &shift_off) &&
	       kernel_fact(k, FACT_OFFSET, "vmemmap_backing.list", &f->next) &&
	       kernel_fact(k, FACT_OFFSET, "vmemmap_backing.phys", &f->phys) &&
	       kernel_fact(k, FACT_OFFSET, "vmemmap_backing.virt_addr", &f->virt) &&
	       !xlat_read_uint(x, r, list, 8, &f->head, &ignored) &&
	       !xlat_read_uint(x, r, index_at, 4, &index, &ignored) && index < 32 &&
	       !xlat_read_uint(x, r, defs + index * def_size + shift_off, 4, &f->size, &ignored) &&
	       f->size >= 12 && f->size <= 34;
}

static int compare_chunks(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/*
 * Chunks of the list into *RET. It ends at a null pointer; at one that was there already (Brent),
 * at what cannot be read and after MAX_CHUNKS it is damaged, and what came before is all there is.
 */
static size_t read_chunks(const struct vmemmap_facts *f, const struct xlat *x, struct reader *r,
			  struct mapping **ret)
{
	uint64_t at = f->head, seen = 0;
	struct err ignored = ERR_INIT;
	struct mapping *chunks = NULL;
	size_t nr = 0;

	while (at && at != seen && nr < MAX_CHUNKS) {
		struct mapping m = { .len = 1ULL << f->size };

		if ((nr & (nr - 1)) == 0) {
			struct mapping *more = realloc(chunks, (nr ? 2 * nr : 1) * sizeof(*chunks));

			if (!more)
				break;
			chunks = more;
			seen = at;
		}
		if (xlat_read_uint(x, r, at + f->phys, 8, &m.paddr, &ignored) ||
		    xlat_read_uint(x, r, at + f->virt, 8, &m.vaddr, &ignored) ||
		    xlat_read_uint(x, r, at + f->next, 8, &at, &ignored))
			break;
		chunks[nr++] = m;
	}
	*ret = chunks;
	return nr;
}

/* Windows of the memory map: chunks that follow each other are one. */
static int add_vmemmap(struct xlat *x, const struct kernel *k, struct reader *r, struct err *e)
{
	_cleanup_free_ struct mapping *chunks = NULL;
	struct vmemmap_facts f;
	size_t nr, i, j;

	if (!find_vmemmap(k, x, r, &f))
		return 0;
	nr = read_chunks(&f, x, r, &chunks);
	if (nr)
		qsort(chunks, nr, sizeof(*chunks), compare_chunks);
	for (i = 0; i < nr; i = j) {
		uint64_t len = chunks[i].len;

		for (j = i + 1; j < nr && chunks[j].vaddr - chunks[i].vaddr == len &&
				chunks[j].paddr - chunks[i].paddr == len;
		     j++)
			len += chunks[j].len;
		if (xlat_add_window(x, chunks[i].vaddr, chunks[i].paddr, len, e))
			return -1;
	}
	return 0;
}

/* ---- which page table it is ---- */

#define MAX_AREAS 4096u /* of vmalloc that are looked at */

static bool fits_page(const struct paging *p, const struct dump *d)
{
	return p->level[p->nr_levels - 1].shift == dump_page_shift(d);
}

/* A radix tree maps itself where the linear map says. */
static const struct paging *find_radix(const struct dump *d, const struct xlat *x)
{
	struct xlat try = { .root = x->root };
	size_t i;

	for (i = 0; i < FIRST_HASH; i++) {
		try.paging = layouts[i];
		if (fits_page(layouts[i], d) && xlat_maps(&try, d, LINEAR + x->root, x->root))
			return layouts[i];
	}
	return NULL;
}

/* One vote for each layout that maps VADDR. */
static void vote(const struct dump *d, struct xlat *x, struct reader *r, uint64_t vaddr,
		 unsigned int *votes)
{
	struct err ignored = ERR_INIT;
	struct mapping m;
	size_t i;

	for (i = FIRST_HASH; i < NR_LAYOUTS; i++) {
		x->paging = layouts[i];
		votes[i] += fits_page(layouts[i], d) && !xlat_lookup(x, r, vaddr, &m, &ignored);
	}
	x->paging = NULL;
}

/*
 * Votes of all that vmalloc() and ioremap() gave out, as its list says. False: it is not known. (It
 * was a list of vm_struct before v3.10, of which the first tells.)
 */
static bool ask_areas(const struct dump *d, const struct kernel *k, struct xlat *x,
		      struct reader *r, unsigned int *votes)
{
	uint64_t head, at, list_off, start_off, vaddr;
	struct err ignored = ERR_INIT;
	unsigned int i;

	if (kernel_fact(k, FACT_SYMBOL, "vmap_area_list", &head) &&
	    kernel_fact(k, FACT_OFFSET, "vmap_area.list", &list_off) &&
	    kernel_fact(k, FACT_OFFSET, "vmap_area.va_start", &start_off)) {
		at = head;
		for (i = 0; i < MAX_AREAS; i++) {
			if (xlat_read_uint(x, r, at, 8, &at, &ignored) || at == head ||
			    xlat_read_uint(x, r, at - list_off + start_off, 8, &vaddr, &ignored))
				break;
			vote(d, x, r, vaddr, votes);
		}
		return true;
	}
	if (!kernel_fact(k, FACT_SYMBOL, "vmlist", &head) ||
	    !kernel_fact(k, FACT_OFFSET, "vm_struct.addr", &start_off))
		return false;
	if (!xlat_read_uint(x, r, head, 8, &at, &ignored) &&
	    !xlat_read_uint(x, r, at + start_off, 8, &vaddr, &ignored))
		vote(d, x, r, vaddr, votes);
	return true;
}

static int see_first(void *priv, const struct mapping *m)
{
	*(uint64_t *)priv = m->vaddr;
	return 1;
}

/*
 * Since v6.9 there is no list, but NUMBER(VMALLOC_START) (55c49fee57af): the first thing that is
 * mapped from there on votes. It tells nothing about the layouts before v5.2, which differ further
 * up only; but those lie elsewhere.
 */
static bool ask_first(const struct dump *d, const struct kernel *k, struct xlat *x,
		      struct reader *r, unsigned int *votes)
{
	uint64_t start, vaddr;
	struct xlat_visitor v = { .mapping = see_first, .priv = &vaddr };
	size_t i;

	if (!kernel_fact(k, FACT_NUMBER, "VMALLOC_START", &start) || start < LINEAR ||
	    start >= VMALLOC_OLD)
		return false;
	for (i = FIRST_HASH; i < NR_LAYOUTS; i++) {
		struct xlat try = { .paging = layouts[i], .root = x->root };

		if (fits_page(layouts[i], d) && layouts[i]->va_base == LINEAR &&
		    xlat_walk(&try, r, start, VMALLOC_OLD - 1, MAX_AREAS, &v) == 1)
			vote(d, x, r, vaddr, votes);
	}
	return true;
}

static int choose_hash(const struct dump *d, const struct kernel *k, struct xlat *x,
		       struct reader *r, struct err *e)
{
	unsigned int votes[NR_LAYOUTS] = { 0 };
	size_t i, best = FIRST_HASH;

	if (!ask_areas(d, k, x, r, votes) && !ask_first(d, k, x, r, votes))
		return err_set(
			e, ERR_MISSING,
			"the layout of the page table is not known: it is no radix tree, and there is "
			"neither SYMBOL(vmap_area_list) nor NUMBER(VMALLOC_START)");
	for (i = FIRST_HASH; i < NR_LAYOUTS; i++)
		if (votes[i] > votes[best])
			best = i;
	if (!votes[best])
		return err_set(e, ERR_MISSING,
			       "no known layout of the page table maps what vmalloc() gave out");
	x->paging = layouts[best];
	return 0;
}

static int choose_paging(const struct dump *d, const struct kernel *k, struct xlat *x,
			 struct reader *r, struct err *e)
{
	uint64_t root, radix;
	bool known = kernel_fact(k, FACT_NUMBER, "RADIX_MMU", &radix); /* v6.7, 36e826b568e4 */

	if (kernel_need(k, FACT_SYMBOL, "swapper_pg_dir", &root, e))
		return -1;
	if (root < LINEAR || root >= VMALLOC_OLD)
		return err_set(e, ERR_CORRUPT,
			       "SYMBOL(swapper_pg_dir) 0x%" PRIx64 " is not in the linear map",
			       root);
	x->root = root - LINEAR;
	if (!known || radix)
		x->paging = find_radix(d, x);
	if (x->paging)
		return 0;
	if (known && radix)
		return err_set(e, ERR_MISSING,
			       "the kernel's radix tree is not at SYMBOL(swapper_pg_dir)");
	/* The list of a radix kernel says what its tree says, too (v4.7 to v6.5). */
	if (add_vmemmap(x, k, r, e))
		return -1;
	return choose_hash(d, k, x, r, e);
}

/*
 * MAX_PHYSMEM_BITS of the kernels before v5.10, which do not export it: the one that makes
 * mem_section as long as it is, one pointer for each page of sections (SPARSEMEM_EXTREME); 0: none
 * does.
 */
static uint8_t guess_physmem_bits(const struct dump *d, const struct kernel *k)
{
	static const uint8_t bits[] = { 44, 46, 47,
					51 }; /* sparsemem.h, pgtable.h: v2.6 to v4.20 */
	uint64_t length, size, any;
	size_t i;

	if (kernel_fact(k, FACT_NUMBER, "MAX_PHYSMEM_BITS", &any) ||
	    !kernel_fact(k, FACT_LENGTH, "mem_section", &length) ||
	    !kernel_fact(k, FACT_SIZE, "mem_section", &size) || !size || size > d->id.page_size)
		return 0;
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		uint64_t per_root = d->id.page_size / size;

		if (length == ((1ULL << (bits[i] - 24)) + per_root - 1) / per_root)
			return bits[i];
	}
	return 0;
}

static int ppc64_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	/* Up to where something else begins: H_KERN_VIRT_START with 4K and 64K pages. */
	unsigned int bits = dump_page_shift(d) == 12 ? 44 : 51;
	struct reader r;
	int failed;

	x->paging = NULL;
	x->phys_base = 0;
	x->max_physmem_bits = guess_physmem_bits(d, k);
	if (xlat_add_window(x, LINEAR, 0, 1ULL << bits, e))
		return -1;
	reader_init(&r, (struct dump *)d);
	failed = choose_paging(d, k, x, &r, e);
	reader_fini(&r);
	return failed;
}

/*
 * Variables that are, or begin with, a pointer to memory of the linear map: read in the right byte
 * order, they do point there. A null pointer tells nothing.
 */
static bool ppc64_is_little(const struct dump *d, const struct kernel *k)
{
	static const char *const pointers[] = { "vmap_area_list", "node_data", "vmemmap_list",
						"mem_section", "mem_map" };
	unsigned int little = 0, big = 0;
	struct err ignored = ERR_INIT;
	struct reader r;
	uint8_t raw[8];
	uint64_t at;
	size_t i;

	reader_init(&r, (struct dump *)d);
	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		if (!kernel_fact(k, FACT_SYMBOL, pointers[i], &at) || at < LINEAR ||
		    at >= VMALLOC_OLD ||
		    reader_read(&r, SPACE_PHYS, at - LINEAR, raw, sizeof(raw), &ignored))
			continue;
		little += load_u64(raw, ORDER_LE) >> 60 == LINEAR >> 60;
		big += load_u64(raw, ORDER_BE) >> 60 == LINEAR >> 60;
	}
	reader_fini(&r);
	return little && !big;
}

/* It has no end in VMCOREINFO: what else is reserved behind it must not be lost, either. */
#define IMAGE_SIZE (128ULL << 20)

#define PPC64_ARCH(id, name_, title_, order_, also_)                                     \
	const struct arch id = {                                                         \
		.name = name_,                                                           \
		.title = title_,                                                         \
		.e_machine = EM_PPC64,                                                   \
		.order = order_,                                                         \
		.word = 8,                                                               \
		.page_shift = 16,                                                        \
		.align64 = 8,                                                            \
		.also = also_,                                                           \
		.paging = layouts,                                                       \
		.notes = notes,                                                          \
		.numbers = numbers,                                                      \
		.nr_numbers = ARRAY_SIZE(numbers),                                       \
		.sp = "r1",                                                              \
		.pc = "pc",                                                              \
		.tasks = tasks,                    \
		.user = user,                      \
		.le_reg = "msr",                                                         \
		.le_bit = 1, /* MSR_LE */                                                \
		.is_little = ppc64_is_little,                                            \
		.section_size_bits = 24, /* arch/powerpc/include/asm/sparsemem.h */      \
		.max_physmem_bits = 46,	 /* v3.7 (048ee0993ec8); exported since v5.10 */ \
		.stack_shift = 14,	 /* CONFIG_THREAD_SHIFT */                       \
		.setup = ppc64_setup,                                                    \
		.image_align = 64ULL << 10,                                              \
		.image_max = IMAGE_SIZE,                                                 \
	}

PPC64_ARCH(ppc64_arch, "ppc64", "PowerPC (64 bit)", ORDER_BE, "powerpc64");
PPC64_ARCH(ppc64le_arch, "ppc64le", "PowerPC (64 bit, little-endian)", ORDER_LE,
	   "ppc64el ppc64 powerpc64le");
