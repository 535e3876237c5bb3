/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that kdump-elftool has share: its name, its kinds of input. */
#ifndef ELFTOOL_H
#define ELFTOOL_H

#include <stdbool.h>

#include "session.h"

#define ELFTOOL "kdump-elftool"

/* Is the command, called ARGV0, one of kdump-elftool, whose letters mean other things? */
bool elftool_manner(const char *argv0);

/* -e: the lines of the file at PATH are assumed, as by --assume. ERR_USAGE, ERR_IO. */
int elftool_extra(struct input_opts *o, const char *path, struct err *e);

/* Is NAME a kind of input (-I)? ERR_USAGE with their names. */
int elftool_kind(const char *name, struct err *e);

/* Is what was opened of that kind? The format is detected, never believed. ERR_USAGE. */
int elftool_check(const struct session *s, const char *kind, struct err *e);

#endif
