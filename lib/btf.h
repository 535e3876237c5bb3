/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF Type Format: the kernel's own description of its types (Documentation/bpf/btf.rst,
 * include/uapi/linux/btf.h), found in the dump. Kernels from 5.2 on carry it when built with
 * CONFIG_DEBUG_INFO_BTF, modules from 5.11 on (split: their type numbers and strings go on behind
 * the kernel's).
 */
#ifndef BTF_H
#define BTF_H

#include "kmem.h"

struct btf;

enum btf_kind {
	BTF_INT = 1,
	BTF_PTR,
	BTF_ARRAY,
	BTF_STRUCT,
	BTF_UNION,
	BTF_ENUM,
	BTF_FWD,
	BTF_TYPEDEF,
	BTF_VOLATILE,
	BTF_CONST,
	BTF_RESTRICT,
	BTF_FUNC,
	BTF_FUNC_PROTO,
	BTF_VAR,
	BTF_DATASEC,
	BTF_FLOAT,
	BTF_DECL_TAG,
	BTF_TYPE_TAG,
	BTF_ENUM64,
	BTF_NR_KINDS
};

/*
 * Parse LEN bytes at DATA, which it then owns (free()); BASE (may be NULL) must outlive it. WORD is
 * the size of a pointer. ERR_CORRUPT: where types begin and end cannot be told; ERR_NOMEM;
 * DATA stays the caller's then.
 */
int btf_parse(void *data, size_t len, const struct btf *base, enum byte_order order, uint8_t word,
	      struct btf **ret, struct err *e);
void btf_free(struct btf *b);

/* Type number of the first type of that KIND and name, 0 when there is none. */
uint32_t btf_find(const struct btf *b, enum btf_kind kind, const char *name);
/* How many types there are, those of the base included; their numbers are below it. */
uint32_t btf_count(const struct btf *b);
/*
 * Types, those of the base not included, whose names, members or references are none: each is an
 * answer all the same, "" or 0 for what is not there.
 */
uint32_t btf_damaged(const struct btf *b);
enum btf_kind btf_kind(const struct btf *b, uint32_t id);
const char *btf_name(const struct btf *b, uint32_t id); /* "" for none */

struct btf_member {
	const char *name;
	uint32_t type;
	uint32_t bit_off;
	uint32_t bits; /* of a bit field; 0: all of the type */
};
/* Members of a struct or union; elements of an enum by btf_value(). False behind the last. */
bool btf_member(const struct btf *b, uint32_t id, uint32_t i, struct btf_member *ret);
bool btf_value(const struct btf *b, uint32_t id, uint32_t i, const char **name, uint64_t *ret);

/* Through typedefs, const and the like; 0 for void. */
uint32_t btf_resolve(const struct btf *b, uint32_t id);
/* Size in bytes; false for what has none. */
bool btf_size(const struct btf *b, uint32_t id, uint64_t *ret);
/* Of an array: elements, and their type. */
bool btf_array(const struct btf *b, uint32_t id, uint32_t *len, uint32_t *type);
/* What a pointer, typedef, const and the like refers to. */
uint32_t btf_target(const struct btf *b, uint32_t id);

/*
 * A member of a member, "thread.sp", also inside unnamed structures and unions: its offset in bits
 * from the beginning.
 */
bool btf_path(const struct btf *b, uint32_t id, const char *path, struct btf_member *ret);

/*
 * OFFSET, SIZE, LENGTH, WIDTH and NUMBER (enumerators) facts by the BTF of the kernel: between
 * SYMBOL(__start_BTF) and SYMBOL(__stop_BTF), or where its magic lies in the kernel's read-only
 * data. Loaded when the first is asked for. As kallsyms_provider().
 */
struct fact_provider *btf_provider(struct dump *d, const struct xlat *x, const struct kernel *k);

/* The types of such a provider in K; why not, in E. NULL then. */
const struct btf *kernel_btf(const struct kernel *k, struct err *e);

#endif
