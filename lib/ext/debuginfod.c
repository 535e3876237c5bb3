/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files by build-id from the servers that $DEBUGINFOD_URLS names, by elfutils' client. */
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fetch.h"

int debuginfod_fetch(const uint8_t *id, size_t len, bool debug, char *path, size_t size, int *ret,
		     struct err *e)
{
	debuginfod_client *client = debuginfod_begin();
	char *cached = NULL;
	int fd;

	if (!client)
		return err_set(e, ERR_NOMEM, "debuginfod: out of memory");
	fd = debug ? debuginfod_find_debuginfo(client, id, (int)len, &cached)
		   : debuginfod_find_executable(client, id, (int)len, &cached);
	debuginfod_end(client);
	if (fd < 0) {
		free(cached);
		return fd == -ENOENT ? err_set(e, ERR_MISSING, "debuginfod: no server has it")
				     : err_sys(e, -fd, "debuginfod");
	}
	snprintf(path, size, "%s", cached ? cached : "");
	free(cached);
	*ret = fd;
	return 0;
}
