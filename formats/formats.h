/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FORMATS_H
#define FORMATS_H

#include "format.h"

/* Every format, NULL terminated. Order does not matter: the best score wins. */
extern const struct format *const formats[];

extern const struct format elf_format, kdump_format, lime_format, raw_format;
extern const struct format lkcd_format, s390dump_format, sadump_format, xencore_format;

/* By the name the user types; NULL when unknown. */
const struct format *format_by_name(const char *name);

#endif
