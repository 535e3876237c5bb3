/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "noteorder.h"

#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "note.h"

static void turn(uint8_t *p, size_t size)
{
	size_t i;

	for (i = 0; i < size / 2; i++) {
		uint8_t other = p[size - 1 - i];

		p[size - 1 - i] = p[i];
		p[i] = other;
	}
}

static void turn_registers(uint8_t *desc, const struct note *n, const struct note_layout *layout)
{
	unsigned int i;

	if (layout->pid_off >= 0)
		turn(desc + layout->pid_off, 4);
	for (i = 0; i < layout->nr_regs; i++)
		if (layout->regs[i].off + layout->regs[i].width <= n->desc_len)
			turn(desc + layout->regs[i].off, layout->regs[i].width);
}

int notes_turn(struct dump *d, enum byte_order from, struct err *e)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, from, "notes", d->notes_off);
	uint8_t *made = malloc(d->notes_len + 1);
	const struct note_layout *layout;
	unsigned int i;
	struct note n;

	if (!made)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	if (d->notes_len)
		memcpy(made, d->notes, d->notes_len);
	while (note_next(&b, &n)) {
		size_t head = (size_t)((const uint8_t *)n.owner - d->notes) - 12;

		for (i = 0; i < 3; i++)
			turn(made + head + 4 * i, 4);
		for (layout = d->arch->notes; layout && layout->owner; layout++)
			if (n.type == layout->type && n.desc_len >= layout->min_size &&
			    note_owner_is(&n, layout->owner))
				turn_registers(made + n.desc_off, &n, layout);
	}
	if (d->vmcoreinfo)
		d->vmcoreinfo = (const char *)made + ((const uint8_t *)d->vmcoreinfo - d->notes);
	free(d->notes_made);
	d->notes = d->notes_made = made;
	return 0;
}
