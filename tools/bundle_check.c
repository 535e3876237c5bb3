/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a bundle: one pass over the archive, in a thread that Landlock keeps inside the target.
 */
#include "bundle_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ext/beneath.h"
#include "ext/extract.h"
#include "ext/names.h"
#include "main.h"
#include "source.h"
#include "thread.h"
#include "zero.h"

#define BUNDLE_MANIFEST "manifest.json"
#define MAX_PROBLEMS 100u
#define HEAD 20u /* bytes that tell an ELF file, and its type */

static void problem(struct bundle_check *c, const char *path, const char *what)
{
	char shown[300], **list;

	c->nr_problems++;
	if (c->kept_problems == MAX_PROBLEMS)
		return;
	list = realloc(c->problems, (c->kept_problems + 1) * sizeof(*list));
	if (!list)
		return;
	c->problems = list;
	if (asprintf(&list[c->kept_problems], "%s: %s", name_shown(path, shown, sizeof(shown)),
		     what) >= 0)
		c->kept_problems++;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory");
}

/* ---- the target ---- */

#define UNFINISHED_MAX (NAME_MAX + sizeof(UNFINISHED))

static void unfinished(const struct bundle_check *c, char name[UNFINISHED_MAX])
{
	snprintf(name, UNFINISHED_MAX, "%s" UNFINISHED, c->top);
}

/* A folder that a bundle was unpacked in may be replaced, any other may not. */
static int check_old(struct bundle_check *c, struct err *e)
{
	char path[NAME_MAX + sizeof(BUNDLE_MANIFEST) + 2];
	struct stat st;

	if (fstatat(c->target_fd, c->top, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	snprintf(path, sizeof(path), "%s/" BUNDLE_MANIFEST, c->top);
	if (!c->force)
		return err_set(e, ERR_EXISTS, "%s/%s: exists", c->target, c->top);
	if (!S_ISDIR(st.st_mode) || fstatat(c->target_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return err_set(e, ERR_EXISTS, "%s/%s: exists, and is no bundle that was unpacked",
			       c->target, c->top);
	return 0;
}

/* The folder that all goes to, when its name is known; from now on nothing is written elsewhere. */
static int open_top(struct bundle_check *c, const char *top, struct err *e)
{
	char name[UNFINISHED_MAX];

	if (strlen(top) + sizeof(UNFINISHED) > sizeof(c->top))
		return err_set(e, ERR_CORRUPT, "the name of its folder is too long");
	/* One that is made of a name, not one that programs read for who calls them. */
	if (top[0] == '.')
		return err_set(e, ERR_CORRUPT, "the name of its folder begins with a dot");
	snprintf(c->top, sizeof(c->top), "%s", top);
	if (check_old(c, e))
		return -1;
	unfinished(c, name);
	if (c->force && beneath_remove(c->target_fd, name))
		return err_sys(e, errno, "%s/%s", c->target, name);
	if (mkdirat(c->target_fd, name, 0700))
		return err_sys(e, errno, "%s/%s", c->target, name);
	c->top_fd = beneath_open(c->target_fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (c->top_fd < 0)
		return err_sys(e, errno, "%s/%s", c->target, name);
	c->locked = beneath_lock(c->top_fd);
	return 0;
}

/* The same; a folder that is read as a bundle gives its own name. */
static int open_target(struct bundle_check *c, const char *top, struct err *e)
{
	_cleanup_free_ char *real = *top ? NULL : realpath(c->archive, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;

	return open_top(c, slash ? slash + 1 : top, e);
}

int bundle_keep(struct bundle_check *c, struct err *e)
{
	char name[UNFINISHED_MAX];
	int rc;

	unfinished(c, name);
	if (syncfs(c->top_fd) && errno != ENOSYS)
		return err_sys(e, errno, "%s/%s", c->target, name);
	if (c->force && beneath_remove(c->target_fd, c->top))
		return err_sys(e, errno, "%s/%s", c->target, c->top);
	rc = renameat2(c->target_fd, name, c->target_fd, c->top, RENAME_NOREPLACE);
	if (rc && (errno == EINVAL || errno == ENOSYS))
		rc = renameat(c->target_fd, name, c->target_fd, c->top);
	return rc ? err_sys(e, errno, "%s/%s", c->target, c->top) : 0;
}

/* ---- members ---- */

static struct found *add_found(struct bundle_check *c, const struct extract_member *m,
			       struct err *e)
{
	struct found *f, *list;

	if (c->nr_found == c->found_space) {
		size_t space = c->found_space ? 2 * c->found_space : 64;

		list = realloc(c->found, space * sizeof(*list));
		if (!list)
			return no_memory(e), NULL;
		c->found = list;
		c->found_space = space;
	}
	f = &c->found[c->nr_found];
	*f = (struct found){ .path = strdup(m->path), .link = m->link ? strdup(m->link) : NULL };
	c->nr_found++;
	if (!f->path || (m->link && !f->link))
		return no_memory(e), NULL;
	return f;
}

/* A file that is read: where it goes, and what it is. */
struct reading {
	struct bundle_check *c;
	struct found *f;
	int fd; /* -1: nowhere */
	struct sha256_ctx sha;
	uint8_t head[HEAD];
	bool is_manifest;
};

static int open_file(struct reading *r, const struct extract_member *m, struct err *e)
{
	struct bundle_check *c = r->c;

	r->fd = -1;
	if (c->top_fd < 0) {
		/* Until its head is known: it may be an ELF file, whose build-id libelf looks for.
		 */
		if (c->spool_fd >= 0 && !ftruncate(c->spool_fd, 0))
			r->fd = c->spool_fd;
		r->f->no_space = r->fd < 0;
		return 0;
	}
	if (beneath_folders(c->top_fd, m->path))
		return err_sys(e, errno, "member '%s'", m->path);
	r->fd = beneath_open(c->top_fd, m->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (r->fd < 0 || fchmod(r->fd, m->executable ? 0700 : 0600))
		return err_sys(e, errno, "member '%s'", m->path);
	return 0;
}

static bool is_program(const uint8_t *head)
{
	enum byte_order order = head[EI_DATA] == ELFDATA2MSB ? ORDER_BE : ORDER_LE;

	/* A core is the dump itself. */
	return !memcmp(head, ELFMAG, SELFMAG) && load_u16(head + EI_NIDENT, order) != ET_CORE;
}

#define PIECE ((size_t)64 << 10)

/* What is zeros needs no room: nobody has written there. */
static int write_piece(int fd, uint64_t off, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = MIN(len, PIECE);
		ssize_t done = (ssize_t)n;

		if (n % 64 || !is_zero(data, n))
			done = pwrite(fd, data, n, (off_t)off);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		off += (uint64_t)done;
		data += done;
		len -= (size_t)done;
	}
	return 0;
}

static void hash_zeros(struct sha256_ctx *sha, uint64_t len)
{
	static const uint8_t zeros[PIECE];

	while (len) {
		size_t n = (size_t)MIN(len, (uint64_t)PIECE);

		sha256_update(sha, n, zeros);
		len -= n;
	}
}

static int keep_text(struct reading *r, uint64_t off, const void *data, size_t len, struct err *e)
{
	struct bundle_check *c = r->c;
	uint8_t *text;

	if (off != c->text_len || off + len > MANIFEST_MAX_SIZE)
		return err_set(e, ERR_CORRUPT, BUNDLE_MANIFEST ": is too large");
	if (!len)
		return 0;
	text = realloc(c->text, c->text_len + len + 1);
	if (!text)
		return no_memory(e);
	c->text = text;
	memcpy(text + c->text_len, data, len);
	c->text_len += len;
	return 0;
}

/* A piece: hashed, written, looked at. */
static int take_piece(struct reading *r, uint64_t off, const uint8_t *data, size_t len,
		      struct err *e)
{
	struct bundle_check *c = r->c;

	hash_zeros(&r->sha, off - r->f->size);
	sha256_update(&r->sha, len, data);
	if (len && off < HEAD)
		memcpy(r->head + off, data, MIN(len, (size_t)(HEAD - off)));
	r->f->size = off + len;
	if (r->is_manifest && keep_text(r, off, data, len, e))
		return -1;
	if (r->fd >= 0 && write_piece(r->fd, off, data, len)) {
		if (c->top_fd >= 0)
			return err_sys(e, errno, "%s/%s" UNFINISHED "/%s", c->target, c->top,
				       r->f->path);
		r->f->no_space = true;
		r->fd = -1;
	}
	if (c->top_fd < 0 && r->f->size >= HEAD && !is_program(r->head))
		r->fd = -1;
	return 0;
}

static void read_id(struct reading *r)
{
	struct found *f = r->f;
	struct err ignored = ERR_INIT;
	struct elffile elf;

	if (f->size < HEAD || !is_program(r->head) || r->fd < 0 || ftruncate(r->fd, (off_t)f->size))
		return;
	if (elffile_read(r->fd, f->path, &elf, &ignored))
		return;
	f->is_elf = true;
	f->id_len = elf.id_len;
	memcpy(f->id, elf.id, elf.id_len);
}

static int read_content(struct reading *r, struct extract *x, struct err *e)
{
	const void *data;
	uint64_t off;
	size_t len;
	int rc;

	while ((rc = extract_read(x, &data, &len, &off, e)) > 0) {
		if (take_piece(r, off, data, len, e))
			return -1;
		progress_at(talk_progress(r->c->talk), extract_progress(x, NULL));
		if (interrupted)
			return err_set(e, ERR_INTERRUPTED, "interrupted");
	}
	if (rc < 0)
		return -1;
	if (r->c->top_fd >= 0 && ftruncate(r->fd, (off_t)r->f->size))
		return err_sys(e, errno, "%s", r->f->path);
	sha256_end(&r->sha, r->f->sha256);
	read_id(r);
	return 0;
}

static int read_file(struct bundle_check *c, struct extract *x, const struct extract_member *m,
		     struct found *f, struct err *e)
{
	struct reading r = { .c = c, .f = f, .is_manifest = !strcmp(m->path, BUNDLE_MANIFEST) };
	int failed;

	if (c->names_only && !r.is_manifest)
		return 0;
	sha256_init(&r.sha);
	failed = open_file(&r, m, e) || read_content(&r, x, e);
	c->bytes += f->size;
	c->has_manifest |= r.is_manifest && !failed;
	if (c->top_fd >= 0 && r.fd >= 0 && close(r.fd) && !failed)
		failed = err_sys(e, errno, "%s", m->path);
	return failed ? -1 : 0;
}

static int read_member(struct bundle_check *c, struct extract *x, const struct extract_member *m,
		       struct err *e)
{
	struct found *f;

	if (interrupted)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (c->has_manifest && !c->is_folder)
		return err_set(e, ERR_CORRUPT, "member '%s': lies behind the manifest", m->path);
	if (!c->nr_found && c->target && open_target(c, extract_folder(x), e))
		return -1;
	f = add_found(c, m, e);
	if (!f)
		return -1;
	if (!m->link)
		return read_file(c, x, m, f, e);
	if (c->top_fd >= 0 &&
	    (beneath_folders(c->top_fd, m->path) || beneath_link(c->top_fd, m->path, m->link)))
		return err_sys(e, errno, "member '%s'", m->path);
	return 0;
}

/* ---- compared ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

/* May a file of that kind lack the build-id that the manifest has: a module that is compressed? */
static bool is_packed_module(const struct manifest_member *m)
{
	const char *ko = strstr(m->path, ".ko.");

	return ko && !strcmp(m->kind, "module") && !strchr(ko, '/');
}

static void compare_id(struct bundle_check *c, const struct manifest_member *m,
		       const struct found *f)
{
	/* One that has changed while it was packed need not be ELF any more. */
	bool cut = !f->is_elf && !strcmp(m->status, "mismatched");

	if (!m->id_len || cut || is_packed_module(m) || !strcmp(m->kind, "dump"))
		return;
	if (f->no_space)
		log_warn(&c->talk->log, "%s: no room for a temporary file, build-id not compared",
			 m->path);
	else if (!f->is_elf)
		problem(c, m->path, "has no build-id, the manifest says that it has");
	else if (f->id_len != m->id_len || memcmp(f->id, m->id, f->id_len))
		problem(c, m->path, "its build-id is not the one in the manifest");
}

static void compare(struct bundle_check *c, const struct manifest_member *m)
{
	struct found key = { .path = m->path };
	const struct found *f = bsearch(&key, c->found, c->nr_found, sizeof(key), by_path);

	if (m->missing) {
		if (f)
			problem(c, m->path, "is there, the manifest says that it is missing");
		return;
	}
	if (!f) {
		problem(c, m->path, "is in the manifest, and not there");
		return;
	}
	if (!f->link != !m->link || (f->link && strcmp(f->link, m->link)))
		problem(c, m->path, "the manifest says something else of where it links to");
	if (f->link || m->link || c->names_only)
		return;
	if (f->size != m->size)
		problem(c, m->path, "is not as large as the manifest says");
	else if (memcmp(f->sha256, m->sha256, sizeof(m->sha256)))
		problem(c, m->path, "its SHA-256 is not the one in the manifest");
	compare_id(c, m, f);
}

static void compare_all(struct bundle_check *c)
{
	size_t i;

	qsort(c->found, c->nr_found, sizeof(*c->found), by_path);
	for (i = 0; i < c->manifest.nr_members; i++)
		compare(c, &c->manifest.members[i]);
	for (i = 0; i < c->nr_found; i++)
		if (strcmp(c->found[i].path, BUNDLE_MANIFEST) &&
		    !manifest_find(&c->manifest, c->found[i].path))
			problem(c, c->found[i].path, "is there, and not in the manifest");
}

/* ---- the pass ---- */

/* A file without a name, for what libelf has to see from both ends. */
static int open_spool(void)
{
	const char *folders[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		int fd = folders[i] ? open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int read_members(struct bundle_check *c, struct extract *x, struct err *e)
{
	struct extract_member m;
	uint64_t total;
	int rc;

	(void)extract_progress(x, &total);
	progress_start(talk_progress(c->talk), c->target ? "Unpacking" : "Checking", total);
	while ((rc = extract_next(x, &m, e)) > 0)
		if (read_member(c, x, &m, e))
			return -1;
	if (!rc)
		progress_end(talk_progress(c->talk));
	return rc;
}

static int read_all(struct bundle_check *c, struct err *e)
{
	struct extract *x;
	int failed;

	if (extract_open(c->archive, c->limit, &x, e)) {
		/* A volume that is missing, a file without anything. */
		if (e->code != ERR_UNREADABLE)
			return -1;
		c->incomplete = true;
		c->why = *e;
		return 0;
	}
	c->is_folder = extract_is_folder(x);
	if (!c->target) {
		c->spool_fd = c->names_only ? -1 : open_spool();
		c->locked = beneath_lock(-1);
	}
	failed = read_members(c, x, e);
	if (failed && e->code == ERR_UNREADABLE) {
		c->incomplete = true;
		c->why = *e;
		failed = 0;
	} else if (!failed && extract_unfinished(x)) {
		c->incomplete = true;
		err_set(&c->why, ERR_UNREADABLE, "%s: says by its name that it was never finished",
			c->archive);
	}
	extract_close(x);
	return failed;
}

static int read_and_compare(struct bundle_check *c, struct err *e)
{
	if (read_all(c, e))
		return -1;
	if (!c->has_manifest && !c->incomplete) {
		c->incomplete = true;
		err_set(&c->why, ERR_UNREADABLE,
			"there is no " BUNDLE_MANIFEST " at its end: it breaks off, "
			"or is no bundle");
	}
	if (!c->has_manifest)
		return 0;
	if (manifest_parse((const char *)c->text, c->text_len, &c->manifest, e))
		return -1;
	if (!c->incomplete)
		compare_all(c);
	return 0;
}

struct pass {
	struct bundle_check *c;
	struct err *e;
	int rc;
};

static void *run_pass(void *arg)
{
	struct pass *p = arg;

	p->rc = read_and_compare(p->c, p->e);
	return NULL;
}

int bundle_read(struct bundle_check *c, struct err *e)
{
	struct pass p = { .c = c, .e = e };
	pthread_t thread;

	c->target_fd = c->top_fd = c->spool_fd = -1;
	if (c->target) {
		if (mkdir(c->target, 0700) && errno != EEXIST)
			return err_sys(e, errno, "%s", c->target);
		c->target_fd = open(c->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (c->target_fd < 0)
			return err_sys(e, errno, "%s", c->target);
	}
	/* Landlock holds for the thread that asks for it: what is run afterwards shall not be held.
	 */
	if (!thread_start(&thread, run_pass, &p))
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	pthread_join(thread, NULL);
	return p.rc;
}

void bundle_check_fini(struct bundle_check *c)
{
	size_t i;

	for (i = 0; i < c->nr_found; i++) {
		free(c->found[i].path);
		free(c->found[i].link);
	}
	free(c->found);
	for (i = 0; i < c->kept_problems; i++)
		free(c->problems[i]);
	free(c->problems);
	free(c->text);
	manifest_fini(&c->manifest);
	if (c->target_fd >= 0)
		close(c->target_fd);
	if (c->top_fd >= 0)
		close(c->top_fd);
	if (c->spool_fd >= 0)
		close(c->spool_fd);
}
