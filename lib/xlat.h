/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation: one walker for every radix page table, driven by a table of the
 * architecture.
 */
#ifndef XLAT_H
#define XLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"

#define PAGING_MAX_LEVELS 6
#define ENTRY_MAX_PARTS 3

/* Bits of an entry that are bits of a physical address, moved up by SHIFT (down when negative). */
struct addr_part {
	uint64_t mask;
	int8_t shift;
};

enum entry_kind {
	ENTRY_NONE, /* maps nothing */
	ENTRY_TABLE, /* the next level's table */
	ENTRY_LEAF, /* memory */
};

/*
 * One form of entries: those whose bits `mask` are `value`. The address is put together from its
 * parts, of which one without mask ends the list.
 */
struct entry_form {
	uint64_t mask, value;
	enum entry_kind kind;
	struct addr_part addr[ENTRY_MAX_PARTS];
	/*
	 * log2 of the bytes that a leaf maps, where several neighbours map one thing together
	 * (riscv Svnapot, Arm large pages); 0: what the level says.
	 */
	uint8_t leaf_shift;
};

/* Ends a list of forms: what fits none before maps nothing. */
#define ENTRY_REST { 0, 0, ENTRY_NONE, { { 0, 0 } }, 0 }

/* One level of a page table: its index is `bits` wide and begins at bit `shift` of the address. */
struct paging_level {
	uint8_t shift, bits;
	const struct entry_form *forms; /* the first that fits counts; ENTRY_REST ends them */
};

/* A page table layout as data. */
struct paging {
	const char *name;
	/*
	 * A kernel that others wrote, and whose translation was checked, by its byte order: a table of
	 * the other one is as good as untested. NULL: "untested".
	 */
	const char *verified[2];
	/*
	 * Addresses: bits from va_bits on are those of va_base; or all the same as the highest one
	 * below, when sign_extended.
	 */
	uint8_t va_bits;
	bool sign_extended;
	uint64_t va_base;
	/* Addresses from here to the last one are the table's, too, above va_base; 0: none. */
	uint64_t va_top;
	uint8_t entry_size; /* bytes: 4 or 8 */
	bool big_endian;    /* entries are, whatever the machine is (ppc64 radix) */
	uint8_t nr_levels;
	struct paging_level level[PAGING_MAX_LEVELS]; /* top first */
};

/* A piece of address space that is physically contiguous: one entry of the page table. */
struct mapping {
	uint64_t vaddr, paddr, len;
};

/* What the user knows of the page table; zero or NULL: nothing. */
struct xlat_forced {
	const char *layout;	 /* struct paging.name */
	unsigned int va_bits, levels; /* of it */
	bool has_root, scan; /* scan: xlat_force() looks for one where setup() found none */
	uint64_t root;	     /* physical address */
};

/* How kernel addresses of one dump translate; filled by arch->setup(). Undo with xlat_fini(). */
struct xlat {
	/*
	 * There before setup(), which tries no layout that xlat_allows() forbids. The root is no
	 * concern of most: xlat_force() is called afterwards.
	 */
	struct xlat_forced forced;
	const struct paging *paging; /* NULL: no page table is known */
	uint64_t root;		     /* physical address of the top table */
	uint64_t clear_mask;	     /* bits of an entry that are not address: memory encryption */
	uint64_t phys_base;	     /* what kdump headers and crash call phys_base */
	/* The page frame that FLATMEM's mem_map begins with (ARCH_PFN_OFFSET). */
	uint64_t flat_pfn;
	/*
	 * The kernel was found so far above where the symbols of VMCOREINFO say: it is of another boot.
	 * Setup() sets it; whoever owns the facts moves them.
	 */
	uint64_t symbol_shift;
	/* Of the sparse memory model, where the layout decides; 0: those of struct arch. */
	uint8_t section_size_bits, max_physmem_bits;
	/* What needs no table, ascending, no two overlap: they come before the table. */
	struct mapping *windows;
	size_t nr_windows;
};

void xlat_fini(struct xlat *x);

/* The form of ENTRY of level L; what it leads to, as the parts of the form say. */
const struct entry_form *xlat_entry_form(const struct paging_level *l, uint64_t entry);
uint64_t xlat_entry_target(const struct xlat *x, const struct entry_form *f, uint64_t entry);

/* Is anything known? */
static inline bool xlat_works(const struct xlat *x)
{
	return x->paging || x->nr_windows;
}

/*
 * [VADDR, VADDR + LEN) is PADDR and on. What overlaps one that is there is left out. ERR_NOMEM.
 */
int xlat_add_window(struct xlat *x, uint64_t vaddr, uint64_t paddr, uint64_t len, struct err *e);

/*
 * A window for each PT_LOAD whose virtual addresses lie in [START, END): how the kernel maps memory
 * by the word of who wrote the file. ERR_NOMEM.
 */
int xlat_add_segments(struct xlat *x, const struct dump *d, uint64_t start, uint64_t end,
		      struct err *e);

/*
 * Does X say that VADDR is at PADDR? For setup(), to tell candidates apart: before it adds windows,
 * which answer first.
 */
bool xlat_maps(const struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t paddr);

/*
 * Is it that nobody can say, because a table on the way to VADDR cannot be read? Then *TABLE is its
 * physical address.
 */
bool xlat_lost(const struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t *table);

/* Where the PT_LOAD that holds VADDR has it in physical memory: what an ELF source says itself. */
bool xlat_segment(const struct dump *d, uint64_t vaddr, uint64_t *ret);

/*
 * The top table lies at VADDR, but where is that? Where its own entries say so: look at all memory that
 * differs from VADDR by a multiple of ALIGN (a power of two), by x->paging. Sets x->root when found.
 */
bool xlat_find_root(struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t align);

/*
 * The same where the virtual address is not known either, as of a kernel that KASLR put elsewhere than
 * VADDR says: it differs by a multiple of ALIGN, and lies in [START, END]. *RET is what it is.
 */
bool xlat_find_moved(struct xlat *x, const struct dump *d, uint64_t vaddr, uint64_t align,
		     uint64_t start, uint64_t end, uint64_t *ret);

/* Is layout P one that the user's word leaves? */
bool xlat_allows(const struct xlat *x, const struct paging *p);

/* Does the user's word say anything of the layout? Then what the dump says of it does not count. */
static inline bool xlat_layout_forced(const struct xlat *x)
{
	return x->forced.layout || x->forced.va_bits || x->forced.levels;
}

/*
 * After setup(), which succeeded or not: X becomes what the user said. Where that leaves several
 * layouts, the one that setup() chose, else one that the table makes sense by. ERR_MISSING: none does,
 * or there is no root.
 */
int xlat_force(struct xlat *x, const struct dump *d, struct err *e);

/*
 * The mapping that holds VADDR. ERR_MISSING: no translation set up, or not mapped; ERR_UNREADABLE:
 * a table is.
 */
int xlat_lookup(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
		struct err *e);

/* An entry that was read on the way. */
struct xlat_step {
	unsigned int level;
	uint64_t at, entry; /* physical address; its value */
};

/* The same, with what was read: *NR of STEPS (PAGING_MAX_LEVELS), on failure too. */
int xlat_trace(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
	       struct xlat_step *steps, unsigned int *nr, struct err *e);

/* The lowest address that the kernel's own table translates; without one, that a window does. */
uint64_t xlat_kernel_start(const struct xlat *x);

/*
 * Walk what is mapped in [START, END], ascending, tables before what they map. Either function may
 * be NULL; a return other than 0 ends the walk and is returned. TABLE gets the physical address and
 * level of each table that is read (level 0 is the root); of one that maps nothing and stands in
 * many places, not all of them. Of a table that stands in entries one after another only the first
 * XLAT_REPEATS are entered: what shadows memory that nobody has (KASAN) maps one page a billion times
 * so. Tables that cannot be read are skipped.
 * Windows come in their place, cut to [START, END]. At most MAX_STEPS entries are looked at; then, or
 * at the end, returns 0.
 */
#define XLAT_REPEATS 64

/* What a walk left out. */
struct xlat_walk_stats {
	bool cut;	     /* MAX_STEPS were not enough */
	uint64_t unreadable; /* entries */
	uint64_t repeats;    /* tables that were not entered again */
};

struct xlat_visitor {
	int (*table)(void *priv, uint64_t paddr, unsigned int level);
	int (*mapping)(void *priv, const struct mapping *m);
	void *priv;
	struct xlat_walk_stats *stats; /* added to; may be NULL */
};
int xlat_walk(const struct xlat *x, struct reader *r, uint64_t start, uint64_t end,
	      uint64_t max_steps, const struct xlat_visitor *v);

/*
 * Copy LEN bytes of kernel memory at virtual address VADDR. Errors of xlat_lookup() and
 * reader_read().
 */
int xlat_read(const struct xlat *x, struct reader *r, uint64_t vaddr, void *buf, size_t len,
	      struct err *e);

/* A number of SIZE bytes (1, 2, 4, 8) in the dump's byte order. */
int xlat_read_uint(const struct xlat *x, struct reader *r, uint64_t vaddr, unsigned int size,
		   uint64_t *ret, struct err *e);

#endif
