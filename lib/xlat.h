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

/* One level of a page table: its index is `bits` wide and begins at bit `shift` of the address. */
struct paging_level {
	uint8_t shift, bits;
	bool leaf; /* an entry here may map memory itself (huge page); always true on the last level
		    */
};

/* A page table layout as data. */
struct paging {
	const char *name;
	uint8_t va_bits;    /* addresses are sign extended from this width */
	uint8_t entry_size; /* bytes */
	uint8_t nr_levels;
	struct paging_level level[PAGING_MAX_LEVELS]; /* top first */
	uint64_t present; /* an entry with none of these bits maps nothing */
	uint64_t leaf;	  /* these bits in an entry above the last level: it maps memory */
	uint64_t target;  /* the physical address of the target in an entry; low bits of a huge page
			     are masked too */
};

/* How kernel addresses of one dump translate; filled by arch->setup(). */
struct xlat {
	const struct paging *paging; /* NULL: nothing can be translated */
	uint64_t root;		     /* physical address of the top table */
	uint64_t clear_mask;	     /* bits of an entry that are not address: memory encryption */
	uint64_t phys_base;	     /* what kdump headers and crash call phys_base */
};

/* A piece of address space that is physically contiguous: one entry of the page table. */
struct mapping {
	uint64_t vaddr, paddr, len;
};

/*
 * The mapping that holds VADDR. ERR_MISSING: no translation set up, or not mapped; ERR_UNREADABLE:
 * a table is.
 */
int xlat_lookup(const struct xlat *x, struct reader *r, uint64_t vaddr, struct mapping *ret,
		struct err *e);

/*
 * Walk what is mapped in [START, END], ascending, tables before what they map. Either function may
 * be NULL; a return other than 0 ends the walk and is returned. TABLE gets the physical address and
 * level of each table that is read (level 0 is the root). Tables that cannot be read are skipped.
 * At most MAX_STEPS entries are looked at; then, or at the end, or when START is no address of the
 * machine, returns 0.
 */
struct xlat_visitor {
	int (*table)(void *priv, uint64_t paddr, unsigned int level);
	int (*mapping)(void *priv, const struct mapping *m);
	void *priv;
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
