/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files by build-id from the servers that $DEBUGINFOD_URLS names, by elfutils' client. It brings thirty
 * libraries of the network with it, so that it is loaded when it is needed, and no sooner.
 */
#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fetch.h"

struct client {
	debuginfod_client *(*begin)(void);
	void (*end)(debuginfod_client *c);
	int (*find[2])(debuginfod_client *c, const unsigned char *id, int len, char **path);
};

static bool load(struct client *c)
{
	void *lib = dlopen(DEBUGINFOD_SONAME, RTLD_LAZY);

	if (!lib)
		return false;
	c->begin = (debuginfod_client * (*)(void)) dlsym(lib, "debuginfod_begin");
	c->end = (void (*)(debuginfod_client *))dlsym(lib, "debuginfod_end");
	c->find[0] = (int (*)(debuginfod_client *, const unsigned char *, int, char **))dlsym(
		lib, "debuginfod_find_executable");
	c->find[1] = (int (*)(debuginfod_client *, const unsigned char *, int, char **))dlsym(
		lib, "debuginfod_find_debuginfo");
	return c->begin && c->end && c->find[0] && c->find[1];
}

int debuginfod_fetch(const uint8_t *id, size_t len, bool debug, char *path, size_t size, int *ret,
		     struct err *e)
{
	debuginfod_client *client;
	struct client c;
	char *cached = NULL;
	int fd;

	if (!load(&c))
		return err_set(e, ERR_UNSUPPORTED, "debuginfod: %s", dlerror());
	client = c.begin();
	if (!client)
		return err_set(e, ERR_NOMEM, "debuginfod: out of memory");
	fd = c.find[debug](client, id, (int)len, &cached);
	c.end(client);
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
