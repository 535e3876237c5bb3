/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loaded modules of the crashed kernel (include/linux/module.h), by its facts. */
#ifndef MODULE_H
#define MODULE_H

#include "kallsyms.h"
#include "kmem.h"

#define MODULE_NAME_MAX 64
#define MODULE_BUILD_ID_MAX 20
#define MODULE_PARTS 8 /* enum mod_mem_type, 6.4 (commit ac3b43283923) */

struct module {
	uint64_t addr; /* of its struct module */
	char name[MODULE_NAME_MAX];
	char state; /* 'L' live, 'C' coming, 'G' going, 'U' unformed; '?' */
	struct {
		uint64_t addr, size;
	} part[MODULE_PARTS]; /* its memory, text first */
	unsigned int nr_parts;
	uint64_t size; /* bytes of all of them, as lsmod(8) */
	uint8_t build_id[MODULE_BUILD_ID_MAX];
	uint8_t build_id_len; /* 0: not known */
	char srcversion[33];  /* "" where it has none */
	uint64_t taints;
	/* where its symbols are */
	uint64_t symtab, nr_symbols, strtab, typetab;
	uint64_t exports, nr_exports; /* those for all */
	uint64_t btf, btf_size; /* its split BTF, virtual address; 0 */
};

struct module_stats {
	uint64_t told, broken;
	struct err why; /* the first that is broken */
};

typedef int (*module_fn)(void *priv, const struct module *m, struct err *e);

/*
 * Tell every module in the order of the kernel's list, newest first. As task_each(); what the list does
 * not lead to any more comes last, by sysfs' set of modules.
 */
int module_each(const struct kmem *m, module_fn fn, void *priv, struct module_stats *stats,
		struct err *e);

/*
 * module_btf.c: the types of every module that has some, on top of those of the kernel, BASE. Anything
 * but 0 ends the walk and is returned; then fill E. ERR_MISSING names what is not known.
 */
struct btf;
typedef int (*module_btf_fn)(void *priv, const char *name, const struct btf *b, struct err *e);
int module_btf_each(const struct kmem *m, const struct btf *base, module_btf_fn fn, void *priv,
		    struct module_stats *stats, struct err *e);

/* module_notes.c, for module.c: the build-id of one whose own structure has none. */
void module_find_build_id(const struct kmem *m, struct module *mod);

/*
 * The symbol number I of MODULE; false behind the last, and where the table cannot be read; 'name'
 * is
 * "" where the text of it cannot.
 */
bool module_symbol(const struct kmem *m, const struct module *module, uint64_t i,
		   struct symbol *ret);

/*
 * module_exports.c: does MODULE export S, one of its symbols, to all? /proc/kallsyms tells the types of
 * those, but not of what is exported by licence, by a capital letter (is_exported() of
 * kernel/module/kallsyms.c); the table of symbols does not.
 */
bool module_is_exported(const struct kmem *m, const struct module *module, const struct symbol *s);

#endif
