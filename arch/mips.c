/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MIPS, 32 and 64 bit, either byte order: the segments that need no table, and the table that the
 * kernel's own refill handler walks (arch/mips/mm/tlbex.c).
 *
 * Sources: arch/mips/include/asm/{pgtable-32,pgtable-64,pgtable-bits,addrspace}.h,
 * uapi/asm/reg.h, MIPS64 Architecture for Programmers III, 4.3.
 *
 * How far the frame's number is shifted in an entry, _PFN_SHIFT, depends on the configuration of
 * the kernel (RIXI, huge pages, PTE_SPECIAL, soft dirty) and stands in no VMCOREINFO: entries
 * themselves tell it.
 */
#include <inttypes.h>
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_MIPS 8

#define KSEG0 0x80000000ULL
#define KSEG1 0xa0000000ULL
#define KSEG2 0xc0000000ULL
#define KSEG_SIZE 0x20000000ULL
#define COMPAT 0xffffffff00000000ULL /* 64 bit: the same segments, sign extended */
#define XKPHYS 0x8000000000000000ULL
#define XKPHYS_BITS 59 /* one for each of eight cache attributes */
#define XKSEG 0xc000000000000000ULL

/* ---- entries ---- */

/* Addresses of tables are kernel addresses, in one of the segments above. */
#define KSEG_FORM(mask, value)                                        \
	{                                                             \
		mask, value, ENTRY_TABLE, { { 0x1ffff000ULL, 0 } }, 0 \
	}
#define XKPHYS_FORM                                                                             \
	{                                                                                       \
		0xc000000000000001ULL, XKPHYS, ENTRY_TABLE, { { 0x07fffffffffff000ULL, 0 } }, 0 \
	}

static const struct entry_form pointer_32[] = { KSEG_FORM(0xc0000001ULL, KSEG0), ENTRY_REST };
static const struct entry_form pointer_64[] = {
	KSEG_FORM(COMPAT | 0xc0000001ULL, COMPAT | KSEG0),
	XKPHYS_FORM,
	ENTRY_REST,
};

/* Bit 0 is _PAGE_PRESENT; the number of a 4 KiB frame begins at bit PFN. */
#define LEAF_FORM(mask, pfn)                                               \
	{                                                                  \
		mask, 1, ENTRY_LEAF, { { ~0ULL << (pfn), 12 - (pfn) } }, 0 \
	}

/*
 * Where a frame's number may begin, _CACHE_SHIFT + 3: from 11, no bits but those that all have,
 * to 16, all of them: H, SPECIAL, SOFT_DIRTY, XI and RI, one to spare.
 */
#define FIRST_PFN 11
#define NR_PFN 6

/* A pointer never has bit 0; what has is a huge page (_PAGE_HUGE). */
#define FORMS(pfn)                                                                       \
	static const struct entry_form last_##pfn[] = { LEAF_FORM(1, pfn), ENTRY_REST }; \
	static const struct entry_form middle_##pfn[] = {                                \
		LEAF_FORM(0xc000000000000001ULL, pfn),                                   \
		KSEG_FORM(COMPAT | 0xc0000001ULL, COMPAT | KSEG0),                       \
		XKPHYS_FORM,                                                             \
		ENTRY_REST,                                                              \
	}

FORMS(11);
FORMS(12);
FORMS(13);
FORMS(14);
FORMS(15);
FORMS(16);

/* ---- tables ---- */

#define LEVELS_32(page, pfn)                            \
	.va_bits = 32, .entry_size = 4, .nr_levels = 2, \
	.level = { { 2 * (page)-2, 34 - 2 * (page), pointer_32 }, { page, (page)-2, last_##pfn } }

#define LEVELS_64(bits, nr, ...)                                                      \
	.va_bits = bits, .va_base = XKSEG, .va_top = COMPAT | KSEG2, .entry_size = 8, \
	.nr_levels = nr, .level = { __VA_ARGS__ }

#define MIDDLE(shift, bits, pfn)          \
	{                                 \
		shift, bits, middle_##pfn \
	}
#define LAST(shift, bits, pfn)          \
	{                               \
		shift, bits, last_##pfn \
	}

#define THREE_LEVELS(page, top, pfn)                                          \
	LEVELS_64(3 * (page)-6 + (top), 3, { 3 * (page)-6, top, pointer_64 }, \
		  MIDDLE(2 * (page)-3, (page)-3, pfn), LAST(page, (page)-3, pfn))

enum shape {
	PAGES_4K_32,
	PAGES_16K_32,
	PAGES_64K_32,
	PAGES_4K,
	PAGES_4K_48,
	PAGES_8K,
	PAGES_16K,
	PAGES_16K_48,
	PAGES_32K,
	PAGES_64K,
	PAGES_64K_48,
	NR_SHAPES
};

/* clang-format off */
/* 64 bit: pgtable-64.h; _48: CONFIG_MIPS_VA_BITS_48 (1e321fa917fb, 3377e227af44). */
#define SHAPES(pfn) {									\
	[PAGES_4K_32] = { .name = "mips, 4K pages", .verified = { [ORDER_LE] = "Debian 6.1" }, LEVELS_32(12, pfn) },		\
	[PAGES_16K_32] = { .name = "mips, 16K pages", LEVELS_32(14, pfn) },		\
	[PAGES_64K_32] = { .name = "mips, 64K pages", LEVELS_32(16, pfn) },		\
	[PAGES_4K] = { .name = "mips64, 4K pages", .verified = { [ORDER_LE] = "Debian 6.1" }, THREE_LEVELS(12, 10, pfn) },		\
	[PAGES_4K_48] = { .name = "mips64, 4K pages, 48 bits",				\
		LEVELS_64(48, 4, { 39, 9, pointer_64 }, { 30, 9, pointer_64 },		\
			  MIDDLE(21, 9, pfn), LAST(12, 9, pfn)) },			\
	[PAGES_8K] = { .name = "mips64, 8K pages", THREE_LEVELS(13, 10, pfn) },		\
	[PAGES_16K] = { .name = "mips64, 16K pages", THREE_LEVELS(14, 11, pfn) },	\
	[PAGES_16K_48] = { .name = "mips64, 16K pages, 48 bits", THREE_LEVELS(14, 12, pfn) }, \
	[PAGES_32K] = { .name = "mips64, 32K pages", THREE_LEVELS(15, 12, pfn) },	\
	[PAGES_64K] = { .name = "mips64, 64K pages",					\
		LEVELS_64(42, 2, MIDDLE(29, 13, pfn), LAST(16, 13, pfn)) },		\
	[PAGES_64K_48] = { .name = "mips64, 64K pages, 48 bits", THREE_LEVELS(16, 13, pfn) }, \
}

static const struct paging paging[NR_PFN][NR_SHAPES] = {
	SHAPES(11), SHAPES(12), SHAPES(13), SHAPES(14), SHAPES(15), SHAPES(16),
};

/* What there is, whatever the entries are like. */
static const struct paging *const layouts_32[] = {
	&paging[0][PAGES_4K_32], &paging[0][PAGES_16K_32], &paging[0][PAGES_64K_32], NULL,
};

static const struct paging *const layouts_64[] = {
	&paging[0][PAGES_4K],	&paging[0][PAGES_4K_48],  &paging[0][PAGES_8K],
	&paging[0][PAGES_16K],	&paging[0][PAGES_16K_48], &paging[0][PAGES_32K],
	&paging[0][PAGES_64K],	&paging[0][PAGES_64K_48], NULL,
};

/* ---- registers ---- */

/*
 * struct elf_prstatus, pr_reg of 45 words: the general registers follow six unused words in 32 bit
 * only (uapi/asm/reg.h). Names as in gdb's feature org.gnu.gdb.mips.cpu.
 */
#define R(name, index) { name, PR_REG + WORD * (index), WORD }
#define GENERAL(n) \
	R("r0", (n) + 0), R("r1", (n) + 1), R("r2", (n) + 2), R("r3", (n) + 3),		\
	R("r4", (n) + 4), R("r5", (n) + 5), R("r6", (n) + 6), R("r7", (n) + 7),		\
	R("r8", (n) + 8), R("r9", (n) + 9), R("r10", (n) + 10), R("r11", (n) + 11),	\
	R("r12", (n) + 12), R("r13", (n) + 13), R("r14", (n) + 14), R("r15", (n) + 15),	\
	R("r16", (n) + 16), R("r17", (n) + 17), R("r18", (n) + 18), R("r19", (n) + 19),	\
	R("r20", (n) + 20), R("r21", (n) + 21), R("r22", (n) + 22), R("r23", (n) + 23),	\
	R("r24", (n) + 24), R("r25", (n) + 25), R("r26", (n) + 26), R("r27", (n) + 27),	\
	R("r28", (n) + 28), R("r29", (n) + 29), R("r30", (n) + 30), R("r31", (n) + 31),	\
	R("lo", (n) + 32), R("hi", (n) + 33), R("pc", (n) + 34), R("badvaddr", (n) + 35), \
	R("status", (n) + 36), R("cause", (n) + 37)

#define PR_REG 72
#define WORD 4
static const struct reg_place prstatus_32[] = { GENERAL(6) };
#undef PR_REG
#undef WORD
#define PR_REG 112
#define WORD 8
static const struct reg_place prstatus_64[] = { GENERAL(0) };

/* Our own note: what tells the address space, and how tables and entries are to be read. */
static const struct reg_place control_regs[] = {
	{ "entryhi", 0, 8 },  { "context", 8, 8 }, { "xcontext", 16, 8 }, { "pwbase", 24, 8 },
	{ "pagegrain", 32, 4 }, { "config", 36, 4 }, { "config3", 40, 4 },  { "pagemask", 44, 4 },
};
/* clang-format on */

/*
 * gdb/features/mips64-cpu.xml, mips64-cp0.xml; DWARF: what gcc has for all ABIs of MIPS
 * (gcc/config/mips/mips.cc, mips_dwarf_regno).
 */
/* clang-format off */
#define N_R(n) { "r" #n, n, n }

static const struct reg_number numbers[] = {
	ROWS_32(N_R), { "status", 32, -1 }, { "lo", 33, 65 }, { "hi", 34, 64 },
	{ "badvaddr", 35, -1 }, { "cause", 36, -1 }, { "pc", 37, -1 },
};
/* clang-format on */

#define OWN_NOTE                                                                          \
	{                                                                                 \
		TOOL_NOTE_OWNER, TOOL_NOTE_REGS, 48, -1, REGS_OF(control_regs), NOTE_MADE \
	}

static const struct note_layout notes_32[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 256, 24, REGS_OF(prstatus_32), NOTE_MADE },
	OWN_NOTE,
	{ .owner = NULL },
};

static const struct note_layout notes_64[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 480, 32, REGS_OF(prstatus_64), NOTE_MADE },
	OWN_NOTE,
	{ .owner = NULL },
};

/* struct thread_struct (arch/mips/include/asm/processor.h). */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "r16", "task_struct.thread.reg16", 0 },
	{ "r17", "task_struct.thread.reg17", 0 },
	{ "r18", "task_struct.thread.reg18", 0 },
	{ "r19", "task_struct.thread.reg19", 0 },
	{ "r20", "task_struct.thread.reg20", 0 },
	{ "r21", "task_struct.thread.reg21", 0 },
	{ "r22", "task_struct.thread.reg22", 0 },
	{ "r23", "task_struct.thread.reg23", 0 },
	{ "r29", "task_struct.thread.reg29", 0 },
	{ "r30", "task_struct.thread.reg30", 0 },
	{ "r31", "task_struct.thread.reg31", 0 },
	{ "pc", "task_struct.thread.reg31", 0 },
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
	{ "lo", "pt_regs.lo", 0 },
	{ "hi", "pt_regs.hi", 0 },
	{ "pc", "pt_regs.cp0_epc", 0 },
	{ "badvaddr", "pt_regs.cp0_badvaddr", 0 },
	{ "status", "pt_regs.cp0_status", 0 },
	{ "cause", "pt_regs.cp0_cause", 0 },
};
/* clang-format on */

/* task_pt_regs() (arch/mips/include/asm/processor.h); KU_USER (mipsregs.h). */
static const struct task_layout user[] = {
	{ FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs), .gap = 32,
	  .sign = { "pt_regs.cp0_status", "status", 0, 0x18, 0x10 } },
	{ .nr_regs = 0 },
};

/* ---- how entries are to be read ---- */

#define MAX_ENTRIES 256
#define MAX_STEPS (1u << 18)

/* Entries of the last level that are present. */
struct entries {
	struct xlat try;
	struct reader *r;
	uint64_t entry[MAX_ENTRIES];
	unsigned int nr, room;
};

static int see_entry(void *priv, const struct mapping *m)
{
	struct entries *s = priv;
	struct xlat_step steps[PAGING_MAX_LEVELS];
	struct err ignored = ERR_INIT;
	struct mapping again;
	unsigned int nr;

	if (m->len >> s->try.paging->level[s->try.paging->nr_levels - 1].shift == 1 &&
	    !xlat_trace(&s->try, s->r, m->vaddr, &again, steps, &nr, &ignored))
		s->entry[s->nr++] = steps[nr - 1].entry;
	return s->nr == s->room;
}

/* Half of them from where modules are, half from where vmalloc() begins: mostly memory, not
 * devices. */
static void find_entries(struct entries *s, const struct paging *p)
{
	struct xlat_visitor v = { .mapping = see_entry, .priv = s };
	uint64_t base = p->va_top ? p->va_base : KSEG2;

	s->try.paging = p;
	s->nr = 0;
	s->room = MAX_ENTRIES / 2;
	if (p->va_top)
		xlat_walk(&s->try, s->r, p->va_top, UINT64_MAX, MAX_STEPS, &v);
	s->room = MAX_ENTRIES;
	xlat_walk(&s->try, s->r, base, p->va_top ? p->va_top - 1 : UINT32_MAX, MAX_STEPS, &v);
}

/*
 * Do these entries have their frame's number from bit PFN on? Then its lowest bit is as often set
 * as not, and of the cache attribute, three bits below, most entries have the same. With a PFN that
 * is too small the lowest bit is one of the attribute or a flag, and nearly constant; so the
 * smallest that fits is right.
 */
static bool fits_entries(const struct entries *s, const struct dump *d, unsigned int pfn)
{
	unsigned int attribute[8] = { 0 }, odd = 0, nr = 0, most = 0, i;

	for (i = 0; i < s->nr; i++) {
		uint64_t frame = s->entry[i] >> pfn >> (dump_page_shift(d) - 12);

		if (dump_page_state(d, SPACE_PHYS, frame) == PAGE_ABSENT)
			continue;
		nr++;
		odd += frame & 1;
		attribute[s->entry[i] >> (pfn - 3) & 7]++;
	}
	for (i = 0; i < 8; i++)
		most = MAX(most, attribute[i]);
	return nr >= 8 && 4 * odd >= nr && 4 * (nr - odd) >= nr && 4 * most > 3 * nr;
}

static int choose_paging(const struct dump *d, struct xlat *x, struct reader *r, struct err *e)
{
	struct entries s = { .try = { .root = x->root }, .r = r };
	unsigned int shape, pfn;

	for (shape = 0; shape < NR_SHAPES; shape++) {
		const struct paging *p = &paging[0][shape];

		if (p->level[p->nr_levels - 1].shift != dump_page_shift(d) ||
		    p->entry_size != d->id.word || !xlat_allows(x, p))
			continue;
		find_entries(&s, p);
		for (pfn = 0; pfn < NR_PFN; pfn++) {
			if (!fits_entries(&s, d, FIRST_PFN + pfn))
				continue;
			x->paging = &paging[pfn][shape];
			return 0;
		}
	}
	return err_set(
		e, ERR_MISSING,
		"the layout of page table entries (_PFN_SHIFT) is not known: too little is mapped "
		"at SYMBOL(swapper_pg_dir) to tell");
}

/* ---- setup ---- */

static int add_segments(struct xlat *x, uint64_t high, struct err *e)
{
	uint64_t i;

	for (i = 0; high && i < 8; i++)
		if (xlat_add_window(x, XKPHYS | i << XKPHYS_BITS, 0, 1ULL << XKPHYS_BITS, e))
			return -1;
	return xlat_add_window(x, high | KSEG0, 0, KSEG_SIZE, e) ||
			       xlat_add_window(x, high | KSEG1, 0, KSEG_SIZE, e)
		       ? -1
		       : 0;
}

static int mips_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	struct mapping m;
	struct reader r;
	uint64_t root;
	int failed;

	if (add_segments(x, d->id.word == 8 ? COMPAT : 0, e) ||
	    kernel_need(k, FACT_SYMBOL, "swapper_pg_dir", &root, e))
		return -1;
	reader_init(&r, (struct dump *)d);
	failed = xlat_lookup(x, &r, root, &m, e);
	if (failed) {
		err_add(e, "SYMBOL(swapper_pg_dir)");
	} else {
		x->root = x->forced.has_root ? x->forced.root : m.paddr + (root - m.vaddr);
		failed = choose_paging(d, x, &r, e);
	}
	reader_fini(&r);
	return failed;
}

/* It has no end in VMCOREINFO: what else is reserved behind it must not be lost, either. */
#define IMAGE_SIZE (64ULL << 20)

/*
 * The kernel's own names, "mips" and "mips64", say nothing of the byte order; those that GNU gives
 * do.
 */
#define MIPS_ARCH(id, name_, title_, order_, bits, also_, stack)                            \
	const struct arch id = {                                                            \
		.name = name_,                                                              \
		.title = title_,                                                            \
		.e_machine = EM_MIPS,                                                       \
		.order = order_,                                                            \
		.word = (bits) / 8,                                                         \
		.page_shift = 12,                                                           \
		.align64 = 8,                                                               \
		.also = also_,                                                              \
		.paging = layouts_##bits,                                                   \
		.notes = notes_##bits,                                                      \
		.numbers = numbers,                                                         \
		.nr_numbers = ARRAY_SIZE(numbers),                                          \
		.sp = "r29",                                                                \
		.pc = "pc",                                                                 \
		.tasks = tasks,                    \
		.user = user,                      \
		.section_size_bits = 28, /* arch/mips/include/asm/sparsemem.h */            \
		.max_physmem_bits = 48,                                                     \
		.stack_shift = stack, /* THREAD_SIZE_ORDER (asm/thread_info.h), 4K pages */ \
		.setup = mips_setup,                                                        \
		.image_align = 64ULL << 10,                                                 \
		.image_max = IMAGE_SIZE,                                                    \
	}

MIPS_ARCH(mipsel_arch, "mips", "MIPS (32 bit)", ORDER_LE, 32, "mipsel mipsle", 13);
MIPS_ARCH(mipseb_arch, "mips", "MIPS (32 bit)", ORDER_BE, 32, "mipseb", 13);
MIPS_ARCH(mips64el_arch, "mips64", "MIPS (64 bit)", ORDER_LE, 64, "mips64el mips64le mips", 14);
MIPS_ARCH(mips64eb_arch, "mips64", "MIPS (64 bit)", ORDER_BE, 64, "mips64eb mips", 14);
