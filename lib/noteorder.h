/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes that were written in another byte order than the machine's. */
#ifndef NOTEORDER_H
#define NOTEORDER_H

#include "dump.h"

/*
 * D's notes are in the order FROM, which is not d->id.order: make a copy that is. What d->arch
 * knows of descriptions, pid and registers, is turned; others stay as they are. Part of
 * dump_bind().
 */
int notes_turn(struct dump *d, enum byte_order from, struct err *e);

#endif
