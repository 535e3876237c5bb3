/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between dwarf_types.c, which finds types and members, and dwarf_btf.c, which tells all of one. */
#ifndef DWARF_TYPES_PRIV_H
#define DWARF_TYPES_PRIV_H

#include "dwarf_types.h"

/* "page", "struct page", "enum pageflags", "pid_t". */
bool dwarf_types_find(struct dwarf_types *t, const char *name, Dwarf_Die *ret);
bool dwarf_types_die(struct dwarf_types *t, Dwarf_Off off, Dwarf_Die *ret);

/* The next one at the same level: always further on in the file, whatever a reference says. */
bool dwarf_die_next(Dwarf_Die *die);
/* What DW_AT_type refers to; false for void. */
bool dwarf_die_type(Dwarf_Die *die, Dwarf_Die *ret);
/* Through typedefs, const and the like; false for void. */
bool dwarf_die_resolve(Dwarf_Die *die);
/* A number that is an attribute. */
bool dwarf_die_number(Dwarf_Die *die, unsigned int name, uint64_t *ret);
/* The value of an enumerator, of a size that is not known; the offset of a member; a type's size.
 */
bool dwarf_die_value(Dwarf_Die *enumerator, uint64_t *ret);
bool dwarf_die_offset(Dwarf_Die *member, uint64_t *ret);
bool dwarf_die_size(Dwarf_Die *type, uint64_t *ret);
/* Has it bit fields? */
bool dwarf_die_has_bits(Dwarf_Die *compound);
/* Dimensions of an array, and elements of one. */
uint32_t dwarf_die_dimensions(Dwarf_Die *array);
bool dwarf_die_length(Dwarf_Die *array, uint32_t dim, uint64_t *ret);

#endif
