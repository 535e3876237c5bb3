/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * S/390, 64 bit: region and segment tables of all depths, kernels whose virtual addresses are
 * physical ones (before v6.10) and those that have an address space of their own (since).
 *
 * Sources: arch/s390/include/asm/pgtable.h, lowcore.h, os_info.h, arch/s390/boot/startup.c and
 * vmem.c, arch/s390/kernel/vmcore_info.c; z/Architecture Principles of Operation, chapter 3,
 * "Dynamic Address Translation".
 */
#include <inttypes.h>
#include <stddef.h>

#include "archs.h"
#include "cleanup.h"
#include "note.h"

#define EM_S390 22

/* ---- tables ---- */

#define ENTRY_INVALID 0x20ULL
#define ENTRY_TYPE 0x0cULL
#define ENTRY_TYPE_SHIFT 2
#define ENTRY_LARGE 0x400ULL  /* the format control */
#define ENTRY_MUST_0 0x800ULL /* of a page: else a translation specification exception */
#define PAGE_INVALID 0x400ULL
#define TABLE_ENTRIES 2048u

#define BITS_FROM(n)                    \
	{                               \
		{                       \
			~0ULL << (n), 0 \
		}                       \
	}

static const struct entry_form region_first[] = {
	{ ENTRY_INVALID | ENTRY_TYPE, 0x0c, ENTRY_TABLE, BITS_FROM(12), 0 },
	ENTRY_REST,
};

static const struct entry_form region_second[] = {
	{ ENTRY_INVALID | ENTRY_TYPE, 0x08, ENTRY_TABLE, BITS_FROM(12), 0 },
	ENTRY_REST,
};

static const struct entry_form region_third[] = {
	{ ENTRY_INVALID | ENTRY_TYPE | ENTRY_LARGE, 0x04 | ENTRY_LARGE, ENTRY_LEAF, BITS_FROM(31),
	  0 },
	{ ENTRY_INVALID | ENTRY_TYPE, 0x04, ENTRY_TABLE, BITS_FROM(12), 0 },
	ENTRY_REST,
};

static const struct entry_form segment[] = {
	/* Where a table was: no page table is at absolute zero, although it could be. */
	{ ~0ULL, 0, ENTRY_NONE, { { 0, 0 } }, 0 },
	{ ENTRY_INVALID | ENTRY_TYPE | ENTRY_LARGE, ENTRY_LARGE, ENTRY_LEAF, BITS_FROM(20), 0 },
	{ ENTRY_INVALID | ENTRY_TYPE, 0, ENTRY_TABLE, BITS_FROM(11), 0 },
	ENTRY_REST,
};

static const struct entry_form page[] = {
	{ PAGE_INVALID | ENTRY_MUST_0, 0, ENTRY_LEAF, BITS_FROM(12), 0 },
	ENTRY_REST,
};

#define SEGMENT_AND_PAGE     \
	{ 20, 11, segment }, \
	{                    \
		12, 8, page  \
	}

static const struct paging by_segment = {
	.name = "S/390 with a segment table",
	.va_bits = 31,
	.entry_size = 8,
	.nr_levels = 2,
	.level = { SEGMENT_AND_PAGE },
};

static const struct paging by_region_third = {
	.name = "S/390 with a region third table",
	.verified = { [ORDER_BE] = "Debian 6.1, 6.12" },
	.va_bits = 42,
	.entry_size = 8,
	.nr_levels = 3,
	.level = { { 31, 11, region_third }, SEGMENT_AND_PAGE },
};

static const struct paging by_region_second = {
	.name = "S/390 with a region second table",
	.verified = { [ORDER_BE] = "Debian 6.12" },
	.va_bits = 53,
	.entry_size = 8,
	.nr_levels = 4,
	.level = { { 42, 11, region_second }, { 31, 11, region_third }, SEGMENT_AND_PAGE },
};

static const struct paging by_region_first = {
	.name = "S/390 with a region first table",
	.va_bits = 64,
	.entry_size = 8,
	.nr_levels = 5,
	.level = { { 53, 11, region_first },
		   { 42, 11, region_second },
		   { 31, 11, region_third },
		   SEGMENT_AND_PAGE },
};

/* By the type bits of an entry. */
static const struct paging *const layouts[] = {
	&by_segment, &by_region_third, &by_region_second, &by_region_first, NULL,
};

/* ---- notes ---- */

/* Of QEMU (target/s390x/arch_dump.c) and of the kernel (arch/s390/kernel/crash_dump.c). */
#define NT_FPREGSET 2
#define NT_S390_TIMER 0x301
#define NT_S390_TODCMP 0x302
#define NT_S390_TODPREG 0x303
#define NT_S390_CTRS 0x304
#define NT_S390_PREFIX 0x305
#define NT_S390_VXRS_LOW 0x309
#define NT_S390_VXRS_HIGH 0x30a
#define NT_S390_GS_CB 0x30b

/* struct elf_prstatus: pr_reg, a s390_regs (arch/s390/include/uapi/asm/ptrace.h), is at 112. */
#define PSW 112
#define GPR(n)                                \
	{                                     \
		"r" #n, PSW + 16 + 8 * (n), 8 \
	}
#define ACR(n)                                   \
	{                                        \
		"acr" #n, PSW + 144 + 4 * (n), 4 \
	}
#define CR(n)                       \
	{                           \
		"cr" #n, 8 * (n), 8 \
	}
#define FPR(n)                         \
	{                              \
		"f" #n, 8 + 8 * (n), 8 \
	}
static const struct reg_place prstatus_regs[] = {
	{ "pswm", PSW, 8 }, { "pswa", PSW + 8, 8 },	 ROWS_16(GPR),
	ROWS_16(ACR),	    { "orig_r2", PSW + 208, 8 },
};
static const struct reg_place fp_regs[] = { { "fpc", 0, 4 }, ROWS_16(FPR) };
static const struct reg_place control_regs[] = { ROWS_16(CR) };
static const struct reg_place prefix_reg[] = { { "prefix", 0, 4 } };
static const struct reg_place timer_reg[] = { { "timer", 0, 8 } };
static const struct reg_place todcmp_reg[] = { { "todcmp", 0, 8 } };
/* The kernel's note is 8 bytes long, with the register in the first 4. */
static const struct reg_place todpreg_reg[] = { { "todpreg", 0, 4 } };

/* clang-format off */
/* Vectors: v0 to v15 are f0 to f15 and these. */
#define V_LOW(n) { "v" #n "l", 8 * (n), 8 }
#define V_HIGH(n) { "v" #n, 16 * ((n) - 16), 16 }
#define ROWS_FROM_16(R) \
	R(16), R(17), R(18), R(19), R(20), R(21), R(22), R(23), R(24), R(25), R(26), R(27), \
	R(28), R(29), R(30), R(31)

static const struct reg_place vector_low[] = { ROWS_16(V_LOW) };
static const struct reg_place vector_high[] = { ROWS_FROM_16(V_HIGH) };
/* Guarded storage: struct gs_cb (arch/s390/include/uapi/asm/guarded_storage.h). */
static const struct reg_place guarded_storage[] = {
	{ "gsd", 8, 8 }, { "gssm", 16, 8 }, { "gsepla", 24, 8 },
};

/* The owner is LINUX in QEMU's notes and those of newer kernels. */
#define NOTES_OF(owner, flags) \
	{ owner, NT_S390_PREFIX, 4, -1, prefix_reg, 1, flags }, \
	{ owner, NT_S390_CTRS, 128, -1, REGS_OF(control_regs), flags }, \
	{ owner, NT_S390_TIMER, 8, -1, timer_reg, 1, flags }, \
	{ owner, NT_S390_TODCMP, 8, -1, todcmp_reg, 1, flags }, \
	{ owner, NT_S390_TODPREG, 4, -1, todpreg_reg, 1, flags }

static const struct note_layout notes[] = {
	{ "CORE", NT_PRSTATUS_TYPE, 336, 32, REGS_OF(prstatus_regs), NOTE_MADE },
	{ "CORE", NT_FPREGSET, 136, -1, REGS_OF(fp_regs), NOTE_MADE | NOTE_EXTRA },
	NOTES_OF("LINUX", NOTE_MADE),
	NOTES_OF("CORE", 0),
	{ "LINUX", NT_S390_VXRS_LOW, 128, -1, REGS_OF(vector_low), NOTE_MADE | NOTE_EXTRA },
	{ "LINUX", NT_S390_VXRS_HIGH, 256, -1, REGS_OF(vector_high), NOTE_MADE | NOTE_EXTRA },
	{ "LINUX", NT_S390_GS_CB, 32, -1, REGS_OF(guarded_storage), NOTE_EXTRA },
	{ .owner = NULL },
};

/*
 * What a CPU stores in its prefix area when it is told to (SIGP store status): struct lowcore,
 * fpregs_save_area and what follows; vectors are where mcesad points (arch/s390/include/asm/
 * lowcore.h, nmi.h MCESA_ORIGIN_MASK).
 */
#define SAVE_AREA 0x1200u
#define SAVE_SIZE 0x200u
#define MCESAD 0x11b0u
#define MCESA_ORIGIN (~0x3ffULL)
#define VECTORS_SIZE 512u
#define SAVED(at) ((at) - SAVE_AREA)
#define SAVED_FPR(n) { "f" #n, 8 * (n), 8 }
#define SAVED_GPR(n) { "r" #n, SAVED(0x1280) + 8 * (n), 8 }
#define SAVED_ACR(n) { "acr" #n, SAVED(0x1340) + 4 * (n), 4 }
#define SAVED_CR(n) { "cr" #n, SAVED(0x1380) + 8 * (n), 8 }
#define SAVED_V_LOW(n) { "v" #n "l", 16 * (n) + 8, 8 }
#define SAVED_V(n) { "v" #n, 16 * (n), 16 }

static const struct reg_place saved_regs[] = {
	{ "pswm", SAVED(0x1300), 8 }, { "pswa", SAVED(0x1308), 8 },
	ROWS_16(SAVED_GPR), ROWS_16(SAVED_ACR),
	{ "prefix", SAVED(0x1318), 4 },
	ROWS_16(SAVED_CR),
	{ "timer", SAVED(0x1328), 8 }, { "todcmp", SAVED(0x1330), 8 }, { "todpreg", SAVED(0x1324), 4 },
};
static const struct reg_place saved_fp[] = { { "fpc", SAVED(0x131c), 4 }, ROWS_16(SAVED_FPR) };
static const struct reg_place saved_vectors[] = { ROWS_16(SAVED_V_LOW), ROWS_FROM_16(SAVED_V) };

static const struct save_layout saved[] = {
	{ REGS_OF(saved_regs), SAVE_AREA, SAVE_SIZE, 0, 0, false },
	{ REGS_OF(saved_fp), SAVE_AREA, SAVE_SIZE, 0, 0, true },
	{ REGS_OF(saved_vectors), 0, VECTORS_SIZE, MCESAD, MCESA_ORIGIN, true },
	{ .regs = NULL },
};

/*
 * gdb/features/s390x-gs-linux64.xml, where what is missing here are last_break, system_call and the
 * registers of transactions; DWARF: ELF Application Binary Interface, s390x Supplement, 1.6, "DWARF
 * Register Number Mapping". A floating point register and its vector have one number.
 */
#define N_GPR(n) { "r" #n, 2 + (n), (n) }
#define N_ACR(n) { "acr" #n, 18 + (n), 48 + (n) }
#define N_CR(n) { "cr" #n, -1, 32 + (n) }
#define N_V_LOW(n) { "v" #n "l", 74 + (n), -1 }
#define N_F(n, dwarf) { "f" #n, 35 + (n), dwarf }
#define N_V(n, dwarf) { "v" #n, 74 + (n), dwarf }

static const struct reg_number numbers[] = {
	{ "pswm", 0, 64 }, { "pswa", 1, 65 }, ROWS_16(N_GPR), ROWS_16(N_ACR), { "fpc", 34, -1 },
	N_F(0, 16), N_F(2, 17), N_F(4, 18), N_F(6, 19), N_F(1, 20), N_F(3, 21), N_F(5, 22),
	N_F(7, 23), N_F(8, 24), N_F(10, 25), N_F(12, 26), N_F(14, 27), N_F(9, 28), N_F(11, 29),
	N_F(13, 30), N_F(15, 31),
	{ "orig_r2", 51, -1 }, ROWS_16(N_CR), ROWS_16(N_V_LOW),
	N_V(16, 68), N_V(18, 69), N_V(20, 70), N_V(22, 71), N_V(17, 72), N_V(19, 73), N_V(21, 74),
	N_V(23, 75), N_V(24, 76), N_V(26, 77), N_V(28, 78), N_V(30, 79), N_V(25, 80), N_V(27, 81),
	N_V(29, 82), N_V(31, 83),
	{ "gsd", 106, -1 }, { "gssm", 107, -1 }, { "gsepla", 108, -1 },
};
/* clang-format on */

/*
 * __switch_to (arch/s390/kernel/entry.S) leaves %r6 to %r15 in the stack frame that it was called with;
 * the return address is %r14.
 */
/* clang-format off */
static const struct task_reg switch_regs[] = {
	{ "r6", "stack_frame.gprs", 0 },
	{ "r7", "stack_frame.gprs", 1 },
	{ "r8", "stack_frame.gprs", 2 },
	{ "r9", "stack_frame.gprs", 3 },
	{ "r10", "stack_frame.gprs", 4 },
	{ "r11", "stack_frame.gprs", 5 },
	{ "r12", "stack_frame.gprs", 6 },
	{ "r13", "stack_frame.gprs", 7 },
	{ "r14", "stack_frame.gprs", 8 },
	{ "r15", "stack_frame.gprs", 9 },
	{ "pswa", "stack_frame.gprs", 8 },
};
/* clang-format on */

static const struct task_layout tasks[] = {
	{ .place = FRAME_AT_SP, .frame = "stack_frame",
	  .regs = switch_regs, .nr_regs = ARRAY_SIZE(switch_regs) },
	{ .nr_regs = 0 },
};

/* User mode: struct pt_regs, and what a switch saves of access registers. */
/* clang-format off */
#define USER_GPR(n) { "r" #n, "pt_regs.gprs", n }
#define USER_ACR(n) { "acr" #n, "task_struct.thread.acrs", n }

static const struct task_reg user_regs[] = {
	{ "pswm", "pt_regs.psw.mask", 0 },
	{ "pswa", "pt_regs.psw.addr", 0 },
	ROWS_16(USER_GPR), ROWS_16(USER_ACR),
	{ "orig_r2", "pt_regs.orig_gpr2", 0 },
};
/* clang-format on */

/* PSW_MASK_PSTATE (arch/s390/include/uapi/asm/ptrace.h). */
static const struct task_layout user[] = {
	{ FRAME_STACK_TOP, "pt_regs", REGS_OF(user_regs),
	  .sign = { "pt_regs.psw.mask", "pswm", 0, 1ULL << 48, 1ULL << 48 } },
	{ .nr_regs = 0 },
};

/* ---- where the kernel lies ---- */

static const struct arch_fact facts[] = {
	{ "phys-base", "KERNELOFFPHYS", 4096, 0, 1ULL << 53 },
	{ "kaslr-offset", "KERNELOFFSET", 4096, 0, UINT64_MAX },
	{ "page-offset", "IDENTITYBASE", 1ULL << 31, 0, UINT64_MAX },
	{ NULL, NULL, 0, 0, 0 },
};

#define LOWCORE_SIZE 0x2000ULL
#define LOWCORE_OS_INFO 0xe18ULL
#define OS_INFO_MAGIC 0x4f53494e464f535aULL
#define OS_INFO_ENTRIES 32u    /* offset of the first: address or value, size, checksum */
#define OS_INFO_ENTRY_SIZE 20u /* packed */
/* Indices of entries; values since v6.10, zero before. */
#define OS_INFO_IDENTITY_BASE 4u
#define OS_INFO_KASLR_OFFSET 5u
#define OS_INFO_KASLR_OFF_PHYS 6u
#define OS_INFO_AMODE31_START 8u
#define OS_INFO_AMODE31_END 9u
#define OS_INFO_USED 10u

/* The kernel image is at the top of the address space (setup_kernel_memory_layout()): at most this.
 */
#define IMAGE_MAX (1ULL << 29)

/*
 * The address space: `separate` is that of a kernel whose image and identity mapping lie where they
 * like; else virtual addresses of both are physical ones.
 */
struct space_layout {
	bool separate;
	uint64_t identity, image, image_phys, amode31, amode31_end;
	uint64_t memory_end; /* physical */
};

static uint64_t os_info_value(const uint8_t *info, unsigned int index)
{
	return load_u64(info + OS_INFO_ENTRIES + index * OS_INFO_ENTRY_SIZE, ORDER_BE);
}

/* From the page that absolute zero points at: it is there before the kernel has a VMCOREINFO. */
static bool layout_from_os_info(const struct dump *d, struct space_layout *l)
{
	uint8_t info[OS_INFO_ENTRIES + OS_INFO_USED * OS_INFO_ENTRY_SIZE], pointer[8];
	struct err ignored = ERR_INIT;
	struct reader r;
	bool ok;

	reader_init(&r, (struct dump *)d);
	ok = !reader_read(&r, SPACE_PHYS, LOWCORE_OS_INFO, pointer, sizeof(pointer), &ignored) &&
	     !reader_read(&r, SPACE_PHYS, load_u64(pointer, ORDER_BE), info, sizeof(info),
			  &ignored) &&
	     load_u64(info, ORDER_BE) == OS_INFO_MAGIC;
	reader_fini(&r);
	if (!ok || !os_info_value(info, OS_INFO_KASLR_OFFSET))
		return false;
	l->identity = os_info_value(info, OS_INFO_IDENTITY_BASE);
	l->image = os_info_value(info, OS_INFO_KASLR_OFFSET);
	l->image_phys = os_info_value(info, OS_INFO_KASLR_OFF_PHYS);
	l->amode31 = os_info_value(info, OS_INFO_AMODE31_START);
	l->amode31_end = os_info_value(info, OS_INFO_AMODE31_END);
	return true;
}

static void find_layout(const struct dump *d, const struct kernel *k, struct space_layout *l)
{
	uint64_t end = dump_max_pfn(d);
	unsigned int shift = dump_page_shift(d);

	*l = (struct space_layout){ .memory_end = end << shift };
	if (end > UINT64_MAX >> shift)
		l->memory_end = UINT64_MAX;
	/* IDENTITYBASE and KERNELOFFPHYS since v6.10; KERNELOFFSET is older. */
	if (kernel_text_hex(k, "KERNELOFFPHYS", &l->image_phys) &&
	    kernel_text_hex(k, "KERNELOFFSET", &l->image) &&
	    kernel_text_hex(k, "IDENTITYBASE", &l->identity)) {
		kernel_text_hex(k, "SAMODE31", &l->amode31);
		kernel_text_hex(k, "EAMODE31", &l->amode31_end);
		l->separate = true;
	} else {
		l->separate = layout_from_os_info(d, l);
	}
}

/* Physical address of a symbol of the kernel image. */
static uint64_t image_paddr(const struct space_layout *l, uint64_t symbol)
{
	return l->separate ? symbol - l->image + l->image_phys : symbol;
}

/* What is known of the address space without its table. */
static int add_windows(const struct space_layout *l, struct xlat *x, struct err *e)
{
	if (!l->separate)
		return xlat_add_window(x, 0, 0, l->memory_end, e);
	if (xlat_add_window(x, 0, 0, LOWCORE_SIZE, e) ||
	    xlat_add_window(x, l->image, l->image_phys, IMAGE_MAX, e) ||
	    xlat_add_window(x, l->identity, 0, l->memory_end, e))
		return -1;
	return l->amode31 >= l->amode31_end
		       ? 0
		       : xlat_add_window(x, l->amode31, l->amode31, l->amode31_end - l->amode31, e);
}

/* ---- the table ---- */

/*
 * All entries of a table tell its type, those that are not valid, too (crst_table_init()). NULL: no
 * table is there.
 */
static const struct paging *layout_at(const struct dump *d, uint64_t root)
{
	const struct paging *found = NULL;
	struct err ignored = ERR_INIT;
	struct reader r;
	uint8_t raw[8];
	unsigned int i;

	reader_init(&r, (struct dump *)d);
	for (i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t entry;

		if (reader_read(&r, SPACE_PHYS, root + i * sizeof(raw), raw, sizeof(raw), &ignored))
			break;
		entry = load_u64(raw, d->id.order);
		if (!entry || (found && entry & ENTRY_INVALID))
			continue;
		found = layouts[(entry & ENTRY_TYPE) >> ENTRY_TYPE_SHIFT];
		if (!(entry & ENTRY_INVALID))
			break;
	}
	reader_fini(&r);
	return found;
}

/* Is the kernel's table at ROOT? Then it maps itself, of which SYMBOL is the address. */
static bool try_root(const struct dump *d, struct xlat *x, uint64_t root, uint64_t symbol)
{
	x->root = root;
	x->paging = layout_at(d, root);
	return x->paging && xlat_maps(x, d, symbol, root);
}

/* All CPUs have the same kernel space: a lie that is told by so many is one. */
#define MAX_TRIES 64u

/*
 * The address space control element of kernel space is in control register 13 (home) of each CPU,
 * in 1 (primary) while it is in the kernel.
 */
static bool try_cpus(const struct dump *d, struct xlat *x, uint64_t symbol)
{
	static const char *const names[] = { "cr13", "cr1" };
	uint64_t asce, last = x->root;
	unsigned int i, n, tries = 0;

	for (n = 0; n < ARRAY_SIZE(names); n++)
		for (i = 0; i < d->nr_cpus && tries < MAX_TRIES; i++) {
			if (!cpu_reg(&d->cpus[i], names[n], &asce) || (asce & ~0xfffULL) == last)
				continue;
			last = asce & ~0xfffULL;
			tries++;
			if (try_root(d, x, last, symbol))
				return true;
		}
	return false;
}

/* Tables of processes have as many levels as these need. */
static const struct paging *s390x_user_paging(const struct dump *d, uint64_t root)
{
	return layout_at(d, root);
}

static int s390x_setup(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e)
{
	struct space_layout l;
	uint64_t symbol, root;

	find_layout(d, k, &l);
	if (!kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", &symbol)) {
		if (l.separate && add_windows(&l, x, e))
			return -1;
		return err_set(e, ERR_MISSING,
			       "the kernel page table is not known: no SYMBOL(swapper_pg_dir)");
	}
	root = image_paddr(&l, symbol);
	if (try_root(d, x, root, symbol) || try_cpus(d, x, symbol))
		return 0;
	/* No table maps itself; what the facts say is still so. */
	try_root(d, x, root, symbol);
	if (root < l.memory_end && add_windows(&l, x, e))
		return -1;
	if (x->paging)
		return 0;
	return err_set(e, ERR_MISSING,
		       "there is no page table at 0x%" PRIx64
		       ", where SYMBOL(swapper_pg_dir) 0x%" PRIx64 " should be",
		       root, symbol);
}

/* From the text to the kernel's page table, which is in .bss; whole segments. */
static bool s390x_image_range(const struct xlat *x, const struct kernel *k, uint64_t *start,
			      uint64_t *end)
{
	uint64_t segment_mask = (1ULL << 20) - 1;

	(void)x;
	if (!kernel_fact(k, FACT_SYMBOL, "_stext", start) ||
	    !kernel_fact(k, FACT_SYMBOL, "swapper_pg_dir", end))
		return false;
	*start &= ~segment_mask;
	*end = (*end | segment_mask) + 1;
	return *start < *end && *end - *start <= IMAGE_MAX;
}

const struct arch s390x_arch = {
	.name = "s390x",
	.also = "s390",
	.title = "S/390 (64 bit)",
	.e_machine = EM_S390,
	.order = ORDER_BE,
	.word = 8,
	.page_shift = 12,
	.align64 = 8,
	.paging = layouts,
	.facts = facts,
	.notes = notes,
	.saved = saved,
	.numbers = numbers,
	.nr_numbers = ARRAY_SIZE(numbers),
	.sp = "r15",
	.pc = "pswa",
	.tasks = tasks,
	.user = user,
	.user_paging = s390x_user_paging,
	.section_size_bits = 28, /* arch/s390/include/asm/sparsemem.h */
	.max_physmem_bits = 46,
	.stack_shift = 14, /* THREAD_SIZE_ORDER 2 (arch/s390/include/asm/thread_info.h) */
	.setup = s390x_setup,
	.image_range = s390x_image_range,
};
