/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of the kernel that a number leads into: struct idr (4.11 and later, commit 0a835c4f090a),
 * a tree whose nodes have a slot for each value of a few bits of the number (include/linux/xarray.h
 * since 4.20; include/linux/radix-tree.h before, with another mark of what is a node).
 */
#include "kmem.h"

#include <stddef.h>

#include "cleanup.h"

#define MARK 3u	     /* of an entry: what it is */
#define MAX_SHIFT 31 /* numbers are an int's */
#define ALL ((uint64_t)1 << 63)
/*
 * Nodes that hold nothing are freed: with six levels of 64 slots fewer than 512 places are empty for
 * each that is not, but in a tree whose nodes lead to the same ones again.
 */
#define EMPTY_AT_ALL 65536u
#define EMPTY_EACH 512u

struct places {
	struct member head, old_head, shift, slots, old_shift, old_slots;
};

#define NEED(field, text, bytes)                                \
	{                                                       \
		.name = text, .width = bytes, .optional = true, \
		.at = offsetof(struct places, field)            \
	}

static const struct member_need needs[] = {
	NEED(head, "idr.idr_rt.xa_head", 0),	     NEED(shift, "xa_node.shift", 1),
	NEED(slots, "xa_node.slots", 512),	     NEED(old_head, "idr.idr_rt.rnode", 0),
	NEED(old_shift, "radix_tree_node.shift", 1), NEED(old_slots, "radix_tree_node.slots", 512),
};

static uint64_t word_of(const struct kmem *m)
{
	return m->reader->dump->id.word == 4 ? 4 : 8;
}

bool kmem_idr_init(const struct kmem *m, uint64_t idr, uint64_t max, struct kmem_idr *ret)
{
	struct err ignored = ERR_INIT;
	struct places at;

	*ret = (struct kmem_idr){ .max = max, .left = EMPTY_AT_ALL };
	if (kmem_members(m, needs, ARRAY_SIZE(needs), &at, &ignored))
		return false;
	ret->mark = 2;
	ret->shift = at.shift;
	ret->slots = at.slots;
	if (!at.head.size || !at.shift.size) {
		at.head = at.old_head;
		ret->mark = 1;
		ret->shift = at.old_shift;
		ret->slots = at.old_slots;
	}
	ret->bits = 0;
	while (ret->bits < 6 && (word_of(m) << (ret->bits + 1)) <= ret->slots.size)
		ret->bits++;
	return at.head.size && ret->shift.size && ret->bits &&
	       !kmem_get(m, idr, &at.head, &ret->root, &ignored);
}

static bool is_node(const struct kmem_idr *t, uint64_t entry)
{
	return (entry & MARK) == t->mark && entry > 4096;
}

/*
 * What stands at number I, 0 for nothing; as many numbers as SPAN, a power of two, around I lead
 * there. A node is believed whose own numbers are those of one slot of the one above.
 */
static uint64_t entry_at(const struct kmem *m, const struct kmem_idr *t, uint64_t i, uint64_t *span)
{
	uint64_t entry = t->root, above, shift = 0;
	struct err ignored = ERR_INIT;
	bool first = true;

	*span = ALL;
	if (!is_node(t, entry)) /* a table of one, for number 0 */
		return i ? 0 : entry;
	for (; is_node(t, entry); first = false) {
		uint64_t node = entry - t->mark, slot;

		above = shift;
		if (kmem_get(m, node, &t->shift, &shift, &ignored) ||
		    (first ? shift > MAX_SHIFT || i >> shift >> t->bits : shift + t->bits != above))
			return 0;
		*span = (uint64_t)1 << shift;
		slot = node + t->slots.off + (i >> shift & ((1u << t->bits) - 1)) * word_of(m);
		if (kmem_word(m, slot, &entry, &ignored))
			return 0;
	}
	return shift || entry & MARK ? 0 : entry;
}

bool kmem_idr_next(const struct kmem *m, struct kmem_idr *t)
{
	while (t->next < t->max && t->left) {
		uint64_t span;

		t->index = t->next;
		t->entry = entry_at(m, t, t->index, &span);
		t->next = (t->index | (span - 1)) + 1;
		if (t->entry) {
			t->left += EMPTY_EACH;
			return true;
		}
		t->left--;
	}
	return false;
}
