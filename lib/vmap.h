/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space as pieces that are contiguous both in virtual and in physical memory. Nothing of
 * it is kept: who needs it twice lets the page tables be walked twice, and gets the same.
 */
#ifndef VMAP_H
#define VMAP_H

#include "pfnset.h"
#include "xlat.h"

struct vmap {
	/* in */
	struct dump *dump;
	const struct xlat *xlat;
	const struct pfnset *memory; /* the universe: what there is at all */
	uint64_t start, end;	     /* addresses, the last one included */
	bool no_direct; /* leave out the linear map of all memory, but the kernel image */
	uint64_t image_start, image_end;
	uint64_t drop_start, drop_end; /* leave out these addresses, unless both are 0 */
	/* out, of the last walk */
	struct xlat_walk_stats stats;
	uint64_t pieces;  /* that were told */
	uint64_t aliases; /* pieces left out: see VMAP_ALIASES */
	/* by vmap_find_direct(): */
	bool has_direct;
	uint64_t direct; /* virtual less physical address of the linear map */
};

/*
 * A piece that was told so often already, at other addresses, is not told again: tables in circles
 * and shadow memory map one page a billion times.
 */
#define VMAP_ALIASES 64

/*
 * At most so many are told, and as many again as there are pages, before the image; and as many
 * from it on, so that it never is what is missing. If these are not enough stats.cut is set.
 */
#define VMAP_PIECES ((uint64_t)1 << 18)

/* Anything but 0 ends the walk and is returned; then fill E. */
typedef int (*vmap_fn)(void *priv, const struct mapping *m, struct err *e);

/* Find out which pieces are the linear map, for no_direct. ERR_MISSING where there is none,
 * ERR_NOMEM. */
int vmap_find_direct(struct vmap *v, struct err *e);

/* Tell each piece, ascending. ERR_NOMEM, or what FN says. */
int vmap_each(struct vmap *v, vmap_fn fn, void *priv, struct err *e);

#endif
