/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known about the crashed kernel, and where each fact came from. Tools ask by fact, never
 * by version; which provider knows it (VMCOREINFO today; kallsyms, BTF and DWARF behind the same
 * vtable) is not their concern.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * The kinds of VMCOREINFO (kernel/vmcore_info.c): SYMBOL(x) is an address, the others are what they
 * say. WIDTH(structure.member), the bytes of a member, is ours: only types tell it.
 */
enum fact_kind { FACT_SYMBOL, FACT_SIZE, FACT_OFFSET, FACT_LENGTH, FACT_NUMBER, FACT_WIDTH };

struct btf;

struct fact_provider {
	const char *name; /* origin, for messages: "VMCOREINFO" */
	/*
	 * What is added to each SYMBOL of its image: the kernel ran elsewhere than this provider
	 * says. Other addresses, of what an earlier boot had allocated, it then does not know.
	 */
	uint64_t symbol_shift;
	/*
	 * What its facts come from is damaged, and some may be wrong: how, in words. NULL: nothing is
	 * known of that, as long as it was not asked.
	 */
	const char *damage;
	/* Is the fact known? A negative NUMBER is returned as its 64-bit two's complement. */
	bool (*fact)(const struct fact_provider *p, enum fact_kind kind, const char *name,
		     uint64_t *ret);
	/*
	 * A line KEY=VALUE without a kind, such as OSRELEASE; not terminated. NULL: this provider
	 * has none.
	 */
	bool (*text)(const struct fact_provider *p, const char *key, const char **ret,
		     size_t *ret_len);
	/*
	 * The type NAME ("page", "struct page", "pid_t"), with what it refers to, as BTF in which it has
	 * number 1; the caller frees it. ERR_MISSING. NULL: this provider has none by themselves.
	 */
	int (*type)(const struct fact_provider *p, const char *name, struct btf **ret,
		    struct err *e);
	void (*close)(struct fact_provider *p);
};

#define KERNEL_MAX_PROVIDERS 12

struct kernel {
	struct fact_provider *providers[KERNEL_MAX_PROVIDERS]; /* the first that knows wins */
	unsigned int nr_providers;
};

/* Add a provider, which the kernel then owns. */
void kernel_add(struct kernel *k, struct fact_provider *p);
void kernel_fini(struct kernel *k);

/* Close all providers but the first KEEP ones: nobody asks any more, and they take memory. */
void kernel_forget(struct kernel *k, unsigned int keep);

/* Is the fact known, by any provider? *ret is untouched if not. */
bool kernel_fact(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t *ret);

/* The same, for what cannot be done without: ERR_MISSING "KIND(name) is not known". */
int kernel_need(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t *ret,
		struct err *e);

/* A fact as a value, or a default. */
uint64_t kernel_or(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t missing);

/* Who knows it, or NULL. */
const char *kernel_origin(const struct kernel *k, enum fact_kind kind, const char *name);

/* What one of the providers has to say of damage, or NULL. */
const char *kernel_damage(const struct kernel *k);

/*
 * A text such as "OSRELEASE" into BUF, cut to fit and terminated. False, and an empty BUF, when not
 * known.
 */
bool kernel_text(const struct kernel *k, const char *key, char *buf, size_t size);

/* Such a line whose value is a hexadecimal number, as KERNELOFFSET's. *ret is untouched if not. */
bool kernel_text_hex(const struct kernel *k, const char *key, uint64_t *ret);

/*
 * Facts out of VMCOREINFO text: lines KEY=VALUE; SYMBOL in hexadecimal, the others decimal, or
 * hexadecimal with 0x (NUMBER(VMALLOC_START) of some architectures). TEXT stays the caller's and
 * must outlive the provider. NULL when out of memory.
 */
struct fact_provider *vmcoreinfo_provider(const char *text, size_t len);

/* Is KEY one of KIND(name), with a name? */
bool vmcoreinfo_is_fact(const char *key);

/*
 * The number that TEXT is as the value of KEY: of SYMBOL(x), and of keys without a kind, hexadecimal.
 */
bool vmcoreinfo_number(const char *key, const char *text, uint64_t *ret);

/*
 * VMCOREINFO's PAGESIZE, before there is a kernel; 0 when missing or not a power of two from 4096
 * to 65536.
 */
uint32_t vmcoreinfo_page_size(const char *text, size_t len);

#endif
