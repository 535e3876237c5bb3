/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of the kernel, from both ends (struct list_head: next, then prev; include/linux/types.h).
 *
 * Why no node comes twice, with nothing remembered but the last one: a step is believed when both
 * nodes say so, each by its own pointer. A node has one prev, hence one believed predecessor, and
 * one next: two ways that meet have met before, at the head or where forward ended.
 */
#include <inttypes.h>

#include "kmem.h"

static uint64_t word_of(const struct kmem *m)
{
	return m->reader->dump->id.word == 4 ? 4 : 8;
}

void kmem_list_init(struct kmem_list *l, uint64_t head, uint64_t max)
{
	*l = (struct kmem_list){
		.head = head, .max = max, .pos = head, .last = head, .why = ERR_INIT
	};
}

/* *RET is where AT leads by its pointer at TO, believed when that points back by the one at FROM. */
static int neighbour(const struct kmem *m, uint64_t at, uint64_t to, uint64_t from, uint64_t *ret,
		     struct err *e)
{
	uint64_t back;

	*ret = 0;
	if (kmem_word(m, at + to, ret, e) || kmem_word(m, *ret + from, &back, e))
		return -1;
	if (back == at)
		return 0;
	return err_set(e, ERR_CORRUPT,
		       "0x%" PRIx64 " does not point back to 0x%" PRIx64 ", which leads to it",
		       *ret, at);
}

static bool forward(const struct kmem *m, struct kmem_list *l)
{
	uint64_t next;

	if (neighbour(m, l->pos, 0, word_of(m), &next, &l->why)) {
		err_add(&l->why, "the list at 0x%" PRIx64 ", behind 0x%" PRIx64, l->head, l->pos);
		l->back = true;
		l->pos = l->head;
		return false;
	}
	if (next == l->head) {
		l->done = true;
		return false;
	}
	l->pos = l->last = next;
	return true;
}

/* Up to where forward came. */
static bool backward(const struct kmem *m, struct kmem_list *l)
{
	struct err ignored = ERR_INIT; /* the first is told */
	uint64_t next;

	l->done = neighbour(m, l->pos, word_of(m), 0, &next, &ignored) || next == l->head ||
		  next == l->last;
	if (l->done)
		return false;
	l->pos = next;
	return true;
}

bool kmem_list_next(const struct kmem *m, struct kmem_list *l)
{
	if (l->done)
		return false;
	if (l->steps++ >= l->max) {
		err_set(&l->why, ERR_CORRUPT,
			"the list at 0x%" PRIx64 " does not end after %" PRIu64 " nodes", l->head,
			l->max);
		l->done = true;
		return false;
	}
	return (!l->back && forward(m, l)) || (l->back && backward(m, l));
}
