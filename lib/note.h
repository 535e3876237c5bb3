/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF notes (gabi, "Note Section"): three 4-byte words namesz, descsz, type, then name and
 * description, each padded to 4 bytes. Core files use this form in either class.
 */
#ifndef NOTE_H
#define NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define NT_PRSTATUS_TYPE 1
#define VMCOREINFO_OWNER "VMCOREINFO"

struct note {
	const char *owner; /* not terminated; a trailing NUL is not counted */
	size_t owner_len;
	uint32_t type;
	const uint8_t *desc;
	size_t desc_len;
	size_t desc_off; /* in the buffer the cursor was made over */
};

/*
 * The next note, or false at the end. What is cut off or does not fit ends the list and sets
 * b->overrun.
 */
bool note_next(struct bytes *b, struct note *ret);

bool note_owner_is(const struct note *n, const char *owner);

/* Append a note right behind what is there; *buf is grown with realloc(). False when out of memory. Numbers in ORDER. */
bool note_append(uint8_t **buf, size_t *len, enum byte_order order, const char *owner,
		 uint32_t type, const void *desc, size_t desc_len);

/*
 * Our own note. A type that no reader takes for registers, device dumps or Xen (1, 0x10, 0x700,
 * 0x1000001).
 */
#define TOOL_NOTE_OWNER "DUMPTOOL"
#define TOOL_NOTE_TYPE 0x44554d50u
/* Registers of a CPU that no standard note has, as the arch's table lays them out. */
#define TOOL_NOTE_REGS 0x44554d52u
/* What threads are tasks of, see toolnote.h. */
#define TOOL_NOTE_TASKS 0x44554d54u
/* Loaded modules, see there. */
#define TOOL_NOTE_MODULES 0x44554d4du

#endif
