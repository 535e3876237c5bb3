/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The crashed kernel's own memory by virtual address, and its structures by the names of their
 * members. No offset stands in the source: each comes from a fact, and a structure of another
 * kernel is read as that kernel had it.
 */
#ifndef KMEM_H
#define KMEM_H

#include "dump.h"
#include "kernel.h"
#include "xlat.h"

/* Who reads: one thread, and what it reads by. Nothing in it is owned. */
struct kmem {
	const struct kernel *kernel;
	const struct xlat *xlat;
	struct reader *reader;
};

/* A member of a structure, of at most 8 bytes where it is read as a number. */
struct member {
	uint64_t off;
	uint32_t size; /* bytes */
};

/*
 * The member NAME, "task_struct.pid" or "task_struct.thread.sp": FACT_OFFSET, and FACT_WIDTH, or
 * WIDTH bytes where no provider tells it (VMCOREINFO does not). False when it is not known, or is
 * larger than a page.
 */
bool kmem_member(const struct kmem *m, const char *name, uint32_t width, struct member *ret);

/* One row for each member that a walk needs. */
struct member_need {
	const char *name;
	uint32_t width; /* where not told: bytes, 0 for a long of the dump */
	bool optional;	/* else ERR_MISSING names it */
	size_t at;	/* offset of a struct member in the result; its size is 0 when not known */
};

int kmem_members(const struct kmem *m, const struct member_need *needs, size_t nr, void *ret,
		 struct err *e);

/* LEN bytes at VADDR. Errors of xlat_read(). */
int kmem_read(const struct kmem *m, uint64_t vaddr, void *buf, size_t len, struct err *e);

/* A number of SIZE bytes (1, 2, 4, 8), not sign extended; a long or pointer of the dump. */
int kmem_uint(const struct kmem *m, uint64_t vaddr, unsigned int size, uint64_t *ret,
	      struct err *e);
int kmem_word(const struct kmem *m, uint64_t vaddr, uint64_t *ret, struct err *e);

/* A member of the structure at VADDR as a number. ERR_MISSING when it is not known. */
int kmem_get(const struct kmem *m, uint64_t vaddr, const struct member *member, uint64_t *ret,
	     struct err *e);

/*
 * Text at VADDR, up to its NUL or SIZE - 1 bytes, into BUF and terminated. Whatever it holds: who
 * prints it escapes it.
 */
int kmem_string(const struct kmem *m, uint64_t vaddr, char *buf, size_t size, struct err *e);

/*
 * A list of the kernel (struct list_head at HEAD), node by node, whatever became of it. Forward as
 * long as each node points back to the one that leads to it, which none does that leads in a circle
 * or into another list. Where one does not, or cannot be read, what is behind it follows from the
 * list's end backwards, up to where both ways meet. No node comes twice.
 */
struct kmem_list {
	uint64_t head, max; /* MAX nodes and no more */
	uint64_t pos;	    /* the node at hand */
	struct err why;	    /* what was wrong first; ERR_NONE: it is whole */
	/* private */
	uint64_t steps, last;
	bool back, done;
};

void kmem_list_init(struct kmem_list *l, uint64_t head, uint64_t max);
/* To the next node; false behind the last. Whether something is missing, l->why says then. */
bool kmem_list_next(const struct kmem *m, struct kmem_list *l);

/*
 * What a table by numbers (struct idr at IDR) holds, below MAX, in order. False when its types are not
 * known, or it cannot be read. What of it is damaged is passed over.
 */
struct kmem_idr {
	uint64_t index, entry; /* at hand */
	/* private */
	uint64_t max, next, root, mark, left; /* places that may still be empty */
	unsigned int bits; /* of the number, for each level */
	struct member shift, slots;
};

bool kmem_idr_init(const struct kmem *m, uint64_t idr, uint64_t max, struct kmem_idr *ret);
bool kmem_idr_next(const struct kmem *m, struct kmem_idr *t);

/*
 * CPUs: their number is not known beforehand. *CPU, -1 at first, becomes the next one that is
 * possible; false after the last. Without the facts: CPU 0 alone.
 */
bool kmem_next_cpu(const struct kmem *m, int *cpu);

/* What moves a per-CPU symbol to the copy of CPU; 0 for a kernel of one CPU. */
int kmem_percpu_offset(const struct kmem *m, int cpu, uint64_t *ret, struct err *e);

/* Where CPU has the per-CPU variable that SYMBOL(name) is; ERR_MISSING. */
int kmem_percpu(const struct kmem *m, const char *name, int cpu, uint64_t *ret, struct err *e);

/*
 * Where the kernel image is mapped, [*START, *END), by the architecture's word: longer than it is,
 * never shorter. False when not known.
 */
bool kmem_image(const struct kmem *m, uint64_t *start, uint64_t *end);

/*
 * Tell the kernel image piece by piece, a page at most, ascending; what cannot be read is left out.
 * Anything but 0 from FN ends the walk and is returned.
 */
typedef int (*kmem_piece_fn)(void *priv, uint64_t vaddr, const uint8_t *data, size_t len);
int kmem_image_each(const struct kmem *m, kmem_piece_fn fn, void *priv);

/* Is what was looked for at VADDR? */
typedef bool (*kmem_verify_fn)(const struct kmem *m, uint64_t vaddr, void *priv);

/*
 * The first place in the kernel image, at a multiple of ALIGN, that begins with LEN (at most 64)
 * bytes at PATTERN and that VERIFY accepts. What cannot be read is passed over.
 */
bool kmem_search(const struct kmem *m, const void *pattern, size_t len, uint64_t align,
		 kmem_verify_fn verify, void *priv, uint64_t *ret);

/* What a provider of facts out of the kernel's memory begins with: a way to read it, of its own. */
struct kmem_provider {
	struct fact_provider base;
	struct reader reader;
	struct kmem mem;
	bool tried;	/* to look: set first, because to look asks for facts */
	struct err why; /* nothing was found; or what was found is damaged */
};

typedef bool (*kmem_fact_fn)(const struct fact_provider *p, enum fact_kind kind, const char *name,
			     uint64_t *ret);

/*
 * One of SIZE bytes: this head, then zeros. D, X and K outlive it. CLOSE (NULL: there is nothing to
 * do) frees what it has of its own. NULL when out of memory.
 */
void *kmem_provider_new(size_t size, const char *name, kmem_fact_fn fact,
			void (*close)(struct fact_provider *p), struct dump *d,
			const struct xlat *x, const struct kernel *k);
/* The end of CLOSE: the head, and the memory of all of it. */
void kmem_provider_free(struct fact_provider *p);

/*
 * What P has found is damaged: NR of ALL of its KINDS, "symbols". Some of its facts may be wrong, which
 * is told to the dump's log.
 */
void kmem_provider_damaged(struct kmem_provider *p, const char *kinds, uint64_t nr, uint64_t all);

/* The provider in K that answers by FACT, or NULL. */
void *kmem_provider_in(const struct kernel *k, kmem_fact_fn fact);

#endif
