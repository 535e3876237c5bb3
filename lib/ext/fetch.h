/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files by build-id from elsewhere than this machine. */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

/*
 * The file with build-id ID, with its debug information or to be run, as descriptor *RET; PATH is where
 * it was put. ERR_MISSING: nobody has it; ERR_IO.
 */
typedef int (*fetch_fn)(const uint8_t *id, size_t len, bool debug, char *path, size_t size, int *ret,
			struct err *e);

/* Of this link; NULL: it has none. */
extern const fetch_fn fetch_by_id;

int debuginfod_fetch(const uint8_t *id, size_t len, bool debug, char *path, size_t size, int *ret,
		     struct err *e);

#endif
