/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DMESG_H
#define DMESG_H

#include "printk.h"
#include "session.h"
#include "sink.h"

/*
 * Write the kernel log of S as text, to SINK or, if that is NULL, to standard output. Needs no
 * memory map. *DAMAGED tells whether parts of the log were lost.
 */
int dmesg_write(struct session *s, const struct printk_opts *opts, struct sink *sink, bool *damaged,
		struct err *e);

#endif
