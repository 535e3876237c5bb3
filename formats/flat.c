/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flattened stream of makedumpfile -F. Flattening is a matter of sources and sinks (lib/sink.c
 * writes it); this entry only gives it a name where it is met as input.
 */
#include "formats.h"

static const struct magic flat_magic[] = {
	{ 0, "makedumpfile\0\0\0\0", 16 },
	{ 0, NULL, 0 },
};

const struct format flat_format = {
	.name = "flattened",
	.title = "flattened dump (makedumpfile -F)",
	.magic = flat_magic,
};
