/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The build-id of a module whose struct has none (before 5.14, or without
 * CONFIG_STACKTRACE_BUILD_ID): what /sys/module/NAME/notes shows, which stays in memory. That is an
 * array of struct bin_attribute, one for each section of notes, with its name, size and address
 * (2.6.23, commit 6d76013381ed; kernel/module/sysfs.c), at the end of
 *
 *   struct module_notes_attrs, with their number, up to 6.13;
 *
 *   the same with a group of attributes, pointers to each and NULL, since 6.14 (commit 4723f16de64e)
 */
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "module.h"
#include "note.h"

#define MAX_NOTES 64 /* sections of notes; a module has up to five */
#define MAX_BYTES 1024
#define NT_GNU_BUILD_ID 3

struct places {
	struct member notes_attrs, nr, group, name, size, private;
};

#define NEED(field, text, bytes, may_lack)                          \
	{                                                           \
		.name = text, .width = bytes, .optional = may_lack, \
		.at = offsetof(struct places, field)                \
	}

static const struct member_need needs[] = {
	NEED(notes_attrs, "module.notes_attrs", 0, false),
	NEED(nr, "module_notes_attrs.notes", 4, true),
	NEED(group, "module_notes_attrs.grp.bin_attrs", 0, true),
	NEED(name, "bin_attribute.attr.name", 0, false),
	NEED(size, "bin_attribute.size", 0, false),
	NEED(private, "bin_attribute.private", 0, false),
};

/* The build-id that LEN bytes of notes at VADDR have. */
static bool take_id(const struct kmem *m, uint64_t vaddr, uint64_t len, struct module *mod)
{
	struct err ignored = ERR_INIT;
	uint8_t raw[MAX_BYTES];
	struct bytes b;
	struct note n;

	if (!len || len > sizeof(raw) || kmem_read(m, vaddr, raw, (size_t)len, &ignored))
		return false;
	b = bytes_init(raw, (size_t)len, m->reader->dump->id.order, "notes", 0);
	while (note_next(&b, &n)) {
		if (n.type != NT_GNU_BUILD_ID || !note_owner_is(&n, "GNU") || !n.desc_len ||
		    n.desc_len > sizeof(mod->build_id))
			continue;
		memcpy(mod->build_id, n.desc, n.desc_len);
		mod->build_id_len = (uint8_t)n.desc_len;
		return true;
	}
	return false;
}

/* The section that the struct bin_attribute at VADDR is about; false ends the search. */
static bool look_at(const struct kmem *m, const struct places *at, uint64_t vaddr,
		    struct module *mod)
{
	struct err ignored = ERR_INIT;
	uint64_t name, size, where;
	char text[32];

	if (kmem_get(m, vaddr, &at->name, &name, &ignored) ||
	    kmem_get(m, vaddr, &at->size, &size, &ignored) ||
	    kmem_get(m, vaddr, &at->private, &where, &ignored) ||
	    kmem_string(m, name, text, sizeof(text), &ignored))
		return false;
	/* Sections may be merged, or be called otherwise: what they hold tells. */
	return strncmp(text, ".note", 5) != 0 || !take_id(m, where, size, mod);
}

void module_find_build_id(const struct kmem *m, struct module *mod)
{
	struct err ignored = ERR_INIT;
	uint64_t table, first, stride, nr = MAX_NOTES, i, pointers = 0, one;
	uint32_t word = m->reader->dump->id.word == 4 ? 4 : 8;
	struct places at;

	if (kmem_members(m, needs, ARRAY_SIZE(needs), &at, &ignored) ||
	    kmem_get(m, mod->addr, &at.notes_attrs, &table, &ignored) || !table)
		return;
	if (at.group.size) {
		if (kmem_get(m, table, &at.group, &pointers, &ignored) || !pointers)
			return;
	} else if (kernel_fact(m->kernel, FACT_OFFSET, "module_notes_attrs.attrs", &first) &&
		   kernel_fact(m->kernel, FACT_SIZE, "bin_attribute", &stride) &&
		   !kmem_get(m, table, &at.nr, &nr, &ignored)) {
		nr = MIN(nr, (uint64_t)MAX_NOTES);
		table += first;
	} else {
		return;
	}
	for (i = 0; i < nr; i++) {
		if (pointers && (kmem_word(m, pointers + i * word, &one, &ignored) || !one))
			return;
		if (!look_at(m, &at, pointers ? one : table + i * stride, mod))
			return;
	}
}
