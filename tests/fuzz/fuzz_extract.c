/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that somebody made to do harm, read to its end. Whatever libarchive makes of it: no
 * member that is handed out may lie, or point, outside, or come twice.
 */
#include "config.h"
#include "fuzz.h"

#ifdef HAVE_BUNDLE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext/extract.h"

#define LIMIT ((uint64_t)8 << 20)

/* How far PATH is below where it begins at its end; it must never be above. */
static int depth_of(const char *path, int depth)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		must(len);
		if (len == 2 && !memcmp(path, "..", 2))
			depth--;
		else
			depth++;
		must(depth >= 0);
		must(len != 1 || *path != '.');
		path += len + (path[len] == '/');
	}
	return depth;
}

static void check(const struct extract_member *m)
{
	int depth = depth_of(m->path, 0);

	must(depth > 0 && m->path[0] != '/' && !strstr(m->path, "/../"));
	if (m->link)
		depth_of(m->link, depth - 1);
}

static void read_all(struct extract *x)
{
	struct err e = ERR_INIT;
	struct extract_member m;
	uint64_t total = 0;
	int rc;

	while ((rc = extract_next(x, &m, &e)) > 0) {
		uint64_t off, at = 0;
		const void *data;
		size_t len;

		check(&m);
		while ((rc = extract_read(x, &data, &len, &off, &e)) > 0) {
			must(off >= at && !m.link);
			touch(data, len);
			at = off + len;
		}
		total += at;
		must(total <= LIMIT);
		if (rc < 0)
			break;
	}
	must(rc >= 0 || e.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct extract *x;
	int fd = memfd_create("archive", MFD_CLOEXEC);

	must(fd >= 0);
	if (write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET)) {
		close(fd);
		return 0;
	}
	if (extract_fd(fd, "archive", LIMIT, &x, &e)) {
		must(e.text[0]);
		return 0;
	}
	read_all(x);
	extract_close(x);
	return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	touch(data, size);
	return 0;
}
#endif
