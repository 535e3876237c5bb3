/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drivers that a link may have beyond the table: in an archive of their own, for their libraries.
 */
#ifndef LASTRESORT_H
#define LASTRESORT_H

#include "format.h"

extern const struct format libkdumpfile_format;

#endif
