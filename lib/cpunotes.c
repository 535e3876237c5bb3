/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpunotes.h"

#include <stdlib.h>

#include "arch.h"
#include "cleanup.h"
#include "note.h"

static bool has_note(const struct dump *d, const struct note_layout *layout)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct note n;

	while (note_next(&b, &n))
		if (n.type == layout->type && note_owner_is(&n, layout->owner))
			return true;
	return false;
}

static bool has_register(const struct dump *d, const struct note_layout *layout)
{
	unsigned int i, k;

	for (i = 0; i < d->nr_cpus; i++)
		for (k = 0; k < layout->nr_regs; k++)
			if (cpu_find_reg(&d->cpus[i], layout->regs[k].name))
				return true;
	return false;
}

/* The description of CPU number N; registers that are not known are 0. */
static void fill(const struct dump *d, unsigned int n, const struct note_layout *layout,
		 uint8_t *desc)
{
	struct bytes_out o = { .data = desc, .size = layout->min_size, .order = d->id.order };
	const struct cpu *cpu = &d->cpus[n];
	const struct reg *reg;
	unsigned int i;

	out_zero(&o, o.size);
	if (layout->pid_off >= 0) {
		o.pos = (size_t)layout->pid_off;
		out_uint(&o, cpu->pid ? (uint32_t)cpu->pid : n + 1, 4);
	}
	for (i = 0; i < layout->nr_regs; i++)
		if ((reg = cpu_find_reg(cpu, layout->regs[i].name))) {
			o.pos = layout->regs[i].off;
			out_wide(&o, reg->value, reg->high, layout->regs[i].width);
		}
}

int cpunotes_append(const struct dump *d, uint8_t **buf, size_t *len, struct err *e)
{
	const struct note_layout *layout = d->arch && d->cpus_told ? d->arch->notes : NULL;
	unsigned int i;

	for (; layout && layout->owner; layout++) {
		_cleanup_free_ uint8_t *desc = NULL;

		if (!(layout->flags & NOTE_MADE) || has_note(d, layout) || !has_register(d, layout))
			continue;
		desc = malloc(layout->min_size);
		for (i = 0; desc && i < d->nr_cpus; i++) {
			fill(d, i, layout, desc);
			if (!note_append(buf, len, d->id.order, layout->owner, layout->type, desc,
					 layout->min_size))
				break;
		}
		if (!desc || i < d->nr_cpus)
			return err_set(e, ERR_NOMEM, "no memory for notes");
	}
	return 0;
}
