/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exclusion rules: what kind of page a struct page describes. Built once from facts, then
 * applied to each struct page; the encodings of all kernels since 2.6 are told apart by which facts
 * are exported, never by version.
 */
#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "kernel.h"
#include "log.h"

/* Dump level bits (makedumpfile -d). */
enum {
	LEVEL_ZERO = 1,
	LEVEL_CACHE = 2,	 /* page cache without private data */
	LEVEL_CACHE_PRIVATE = 4, /* all page cache */
	LEVEL_USER = 8,		 /* anonymous and hugetlb pages */
	LEVEL_FREE = 16,
	LEVEL_MAX = 31,
};

enum page_kind {
	KIND_KEPT,
	KIND_CACHE,
	KIND_CACHE_PRIVATE,
	KIND_USER,
	KIND_FREE,
	KIND_HWPOISON,
	KIND_OFFLINE,
	NR_KINDS,
};

/* "free pages" and the like, for messages. */
const char *kind_name(enum page_kind kind);

/* A number that may not be known. */
struct maybe {
	bool known;
	uint64_t value;
};

/* How _mapcount tells a page type (include/linux/page-flags.h). */
enum type_encoding {
	TYPE_NONE,  /* no types known */
	TYPE_EQUAL, /* the whole word (-2, -128; v4.18 to v6.10: all ones with one bit cleared) */
	TYPE_BIT,   /* v6.11: top bit set and one of the bits below it cleared */
	TYPE_TOP_BYTE, /* v6.12 on: the top byte, the rest belongs to the owner */
};

/* Where a compound page's order is. */
enum order_place {
	ORDER_NOWHERE,
	ORDER_IN_NEXT,	     /* a field of the second struct page */
	ORDER_IN_NEXT_FLAGS, /* v6.6 on: the low byte of its flags */
};

/* How a hugetlb page is recognised. */
enum hugetlb_mark {
	HUGETLB_UNKNOWN,
	HUGETLB_DTOR, /* a field of the second struct page equals a number, or the address of a
			 function */
	HUGETLB_FLAG, /* v6.6 to v6.8: a flag of the second struct page */
	HUGETLB_TYPE, /* v6.9 on: a page type */
};

struct rules {
	int level; /* what is dropped: the asked level less what cannot be trusted */
	bool scan; /* does any rule need struct pages? */
	enum byte_order order;
	uint8_t word;
	uint32_t struct_size;
	/* offsets in struct page */
	uint32_t flags, mapping;
	struct maybe mapcount, private_off, compound_head;
	bool head_by_mask; /* compound_head of a tail may be a mask instead (v7.1) */
	/* masks of flags; 0 where not known */
	uint64_t lru, private_flag, swapcache, swapbacked, slab_flag, hwpoison, head;
	bool swapcache_alone; /* PG_swapcache needs no PG_swapbacked beside it */
	uint64_t buddy_flag;  /* PG_buddy, v2.6.17 to v2.6.37; what is on free lists has it */
	bool by_lists;	      /* struct pages do not tell what is free, the lists do: see zones.h */
	enum type_encoding encoding;
	struct maybe buddy, offline, slab_type, unaccepted;
	enum order_place order_place;
	uint32_t order_off;
	uint8_t order_width;
	enum hugetlb_mark hugetlb;
	uint32_t hugetlb_off;
	uint8_t hugetlb_width;
	uint64_t hugetlb_value; /* a number, a mask of flags, or a type */
	uint64_t max_free_order;
	uint64_t max_order; /* a compound page larger than this cannot be */
	unsigned int page_shift;
};

/*
 * Build the rules for LEVEL. What a missing or implausible fact makes untrustworthy is taken out of
 * rules->level and told to LOG: those pages are kept.
 */
void rules_init(struct rules *rules, const struct dump *d, const struct kernel *k, int level,
		struct log *log);

/* What was decided for one struct page. */
struct verdict {
	enum page_kind kind;
	uint64_t nr;	 /* pages that the verdict is for, from this one on: a power of two */
	const char *why; /* the rule, in words */
	bool is_head;	 /* of a compound page, by its flag */
	bool is_lone;	 /* but the next page is no tail of it: its order is not believed */
};

/*
 * Judge PFN by its struct page, of rules->struct_size bytes, which the kernel knows at VADDR; NEXT
 * is the struct page of PFN + 1, or NULL when there is none.
 */
struct verdict rules_judge(const struct rules *rules, uint64_t pfn, uint64_t vaddr,
			   const uint8_t *page, const uint8_t *next);

/* Fields of a struct page, for who explains a verdict. */
struct page_fields {
	uint64_t flags, mapping, private_value, compound_head;
	uint32_t mapcount;
	unsigned int order; /* of a compound head, where it can be believed */
	bool is_head, is_tail, is_hugetlb;
};
void rules_fields(const struct rules *rules, uint64_t pfn, uint64_t vaddr, const uint8_t *page,
		  const uint8_t *next, struct page_fields *ret);

#endif
