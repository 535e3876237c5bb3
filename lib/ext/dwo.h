/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split DWARF, by libdw: which .dwo files a program's skeleton units refer to, and which unit a
 * .dwo or a .dwp file has. No file is opened here.
 */
#ifndef DWO_H
#define DWO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define DWO_MAX 16384u /* of one object */

/* What a skeleton unit says. */
struct dwo {
	uint64_t id;
	char *name; /* DW_AT_dwo_name, DW_AT_GNU_dwo_name: relative to DIR, or absolute */
	char *dir;  /* DW_AT_comp_dir, "" where there is none */
};

/* All of the file FD, in their order; *NR may be 0. ERR_UNSUPPORTED when it has no DWARF. */
int dwo_list(int fd, const char *name, struct dwo **ret, size_t *nr, struct err *e);
void dwo_free(struct dwo *list, size_t nr);

/* Is the unit ID in the .dwo file FD? */
bool dwo_has(int fd, uint64_t id);

/* The units of a .dwp file (.debug_cu_index), malloc()ed; NULL: it has none. */
uint64_t *dwp_units(int fd, size_t *nr);

#endif
