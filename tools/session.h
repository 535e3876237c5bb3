/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dump opened for use: source, format, architecture, kernel facts, address translation. What
 * every command begins with.
 */
#ifndef SESSION_H
#define SESSION_H

#include "dump.h"
#include "kernel.h"
#include "log.h"
#include "xlat.h"

struct session {
	struct dump *dump;
	struct kernel kernel;
	struct xlat xlat;
	struct err
		no_xlat; /* why kernel addresses cannot be translated, when xlat.paging is NULL */
};

/*
 * Open PATH, with flags for source_open(). What is not known about the kernel is no error:
 * xlat.paging stays NULL and no_xlat says why. Undo with session_close(), not needed after a
 * failure.
 */
int session_open(struct session *s, const char *path, unsigned int flags, struct log *log,
		 struct err *e);
void session_close(struct session *s);

/*
 * The six names of struct new_utsname: sysname, nodename, release, version, machine, domainname.
 * Read from the kernel's own where that works, else what VMCOREINFO and the architecture say.
 */
void session_utsname(struct session *s, char ret[6][65]);

#endif
