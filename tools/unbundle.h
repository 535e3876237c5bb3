/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a bundle: dumptool unbundle, and what dumptool bundle says about one that is there. */
#ifndef UNBUNDLE_H
#define UNBUNDLE_H

#include <stdbool.h>

#include "err.h"

/*
 * What is in the bundle ARCHIVE ("-": standard input), on standard output; and the same after every digest
 * and build-id was compared. Return an exit status: 1: it is not what its manifest says, or was made to do
 * harm, 3: it breaks off.
 */
int unbundle_list(const char *archive, bool json, struct err *e);
int unbundle_verify(const char *archive, bool json, struct err *e);

#endif
