/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The modules that were loaded, and no others: each file is looked for by its name in the trees of
 * the kernel's release, and told to be the one by build-id, else by srcversion.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "bytes.h"
#include "cleanup.h"
#include "ext/dirwalk.h"
#include "module.h"

#define MAX_FILES 200000u
#define MAX_MODULE_BYTES ((uint64_t)1 << 30)

struct module_file {
	char name[MODULE_NAME_MAX];
	char *path; /* below its root */
	bool debug; /* in a tree of debug files */
	int folder; /* below that --debug-path; -1: below a root */
};

/* Where files of modules are: of the machine, or below a --debug-path, whose own files come too. */
struct tree {
	const char *root; /* "/", --root or --debug-path */
	int folder;
	bool debug;
};

struct search {
	struct bundle *bundle;
	char packages[2][256]; /* with modules, with debug files; "" */
	const char *release;
	struct module_file *files;
	size_t nr_files;
};

/* ---- the trees ---- */

/* How the kernel calls the module in file NAME: "snd-hda.ko.xz" is snd_hda. False: it is none. */
static bool module_name(const char *name, char ret[MODULE_NAME_MAX])
{
	static const char *const ends[] = { "", ".gz", ".xz", ".zst", ".debug" };
	const char *ko = strstr(name, ".ko");
	size_t i, n = ko ? (size_t)(ko - name) : 0;
	bool fits = false;

	if (!n || n >= MODULE_NAME_MAX)
		return false;
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		fits |= !strcmp(ko + 3, ends[i]);
	memcpy(ret, name, n);
	ret[n] = '\0';
	for (i = 0; i < n; i++)
		if (ret[i] == '-')
			ret[i] = '_';
	return fits;
}

static int remember(struct search *s, const struct tree *t, const char *name, const char *path,
		    struct err *e)
{
	struct module_file f = { .debug = t->debug, .folder = t->folder }, *more;

	if (!module_name(name, f.name) || s->nr_files == MAX_FILES)
		return 0;
	f.path = strdup(path);
	more = f.path ? realloc(s->files, (s->nr_files + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(f.path);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	s->files = more;
	s->files[s->nr_files++] = f;
	return 0;
}

/*
 * All files below DIR in the tree, or, where that is "", those beside each other at its top;
 * symbolic links count as files, and are followed inside the root. What cannot be read is left out.
 */
static int walk_tree(struct search *s, const struct tree *t, const char *dir, struct err *e)
{
	size_t skip = strcmp(t->root, "/") ? strlen(t->root) : 0;
	char top[4096], path[2 * sizeof(top)];
	struct err ignored = ERR_INIT;
	struct dirwalk_entry entry;
	struct dirwalk *walk;
	int rc, failed = 0;

	snprintf(top, sizeof(top), "%.*s%s", (int)skip, t->root, dir);
	if (dirwalk_open(top[0] ? top : "/", dir[0], &walk, &ignored))
		return 0;
	while (!failed && (rc = dirwalk_next(walk, &entry, &ignored))) {
		if (rc < 0 || (!entry.is_file && !entry.is_link))
			continue;
		snprintf(path, sizeof(path), "%s/%s", top, entry.path);
		failed = remember(s, t, entry.name, path + skip, e);
	}
	dirwalk_close(walk);
	return failed;
}

static int walk_release(struct search *s, const struct tree *t, const char *before, struct err *e)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s%s", before, s->release);
	return walk_tree(s, t, dir, e);
}

static int walk_trees(struct search *s, struct err *e)
{
	static const struct {
		const char *dir;
		bool debug;
	} trees[] = { { "/lib/modules/", false },
		      { "/usr/lib/modules/", false },
		      { "/usr/lib/debug/lib/modules/", true },
		      { "/usr/lib/debug/usr/lib/modules/", true } };
	const struct places *p = s->bundle->places;
	size_t i, k;

	for (k = 0; k < p->nr_debug; k++) {
		struct tree t = { p->debug[k], (int)k, true };

		if (walk_release(s, &t, "/lib/modules/", e) ||
		    walk_release(s, &t, "/usr/lib/modules/", e) || walk_tree(s, &t, "", e))
			return -1;
	}
	for (i = 0; i < ARRAY_SIZE(trees); i++)
		for (k = 0; k < MAX(p->nr_roots, 1u); k++) {
			struct tree t = { p->nr_roots ? p->roots[k] : "/", -1, trees[i].debug };

			if (walk_release(s, &t, trees[i].dir, e))
				return -1;
		}
	return 0;
}

/* ---- one file ---- */

/* What the file says of itself, whatever it is compressed with. */
static int read_module(const struct bundle *b, struct place *f, struct err *e)
{
	int fd, rc;

	if (f->elf.type)
		return 0;
	if (bundle_unpacked(b, f->fd, f->origin, MAX_MODULE_BYTES, &fd, e))
		return -1;
	rc = elffile_read(fd, f->origin, &f->elf, e);
	close(fd);
	return rc;
}

static enum member_status judge(const struct module *m, const struct place *f)
{
	if (m->build_id_len && f->elf.id_len)
		return f->elf.id_len == m->build_id_len &&
				       !memcmp(f->elf.id, m->build_id, m->build_id_len)
			       ? MEMBER_VERIFIED
			       : MEMBER_MISMATCHED;
	if (m->srcversion[0] && f->elf.srcversion[0])
		return strcmp(m->srcversion, f->elf.srcversion) ? MEMBER_MISMATCHED
								: MEMBER_VERIFIED;
	return MEMBER_BY_NAME;
}

/* That there was no room to look at it says nothing about a file. */
static enum member_status look(const struct search *s, const struct module *m, struct place *f)
{
	struct err why = ERR_INIT;

	if (!read_module(s->bundle, f, &why))
		return judge(m, f);
	if (why.code != ERR_NOSPACE && why.code != ERR_NOMEM && why.code != ERR_IO)
		return MEMBER_MISMATCHED;
	log_warn(s->bundle->log, "%s: is not compared: %s", f->origin, why.text);
	return MEMBER_BY_NAME;
}

static bool open_file(const struct places *p, const struct module_file *m, struct place *ret)
{
	struct err ignored = ERR_INIT;

	return m->folder < 0
		       ? !places_open(p, m->path, ret, &ignored)
		       : !places_open_debug(p, (unsigned int)m->folder, m->path, ret, &ignored);
}

/* The best file of that name: what is verified, else what cannot be, else what is another one. */
static bool find_best(const struct search *s, const struct module *m, bool debug, struct place *ret,
		      enum member_status *status)
{
	struct place f;
	bool found = false;
	size_t i;

	for (i = 0; i < s->nr_files && !(found && *status == MEMBER_VERIFIED); i++) {
		enum member_status now;

		if (s->files[i].debug != debug || strcmp(s->files[i].name, m->name) != 0 ||
		    !open_file(s->bundle->places, &s->files[i], &f))
			continue;
		now = look(s, m, &f);
		if (found && now >= *status) {
			place_close(&f);
			continue;
		}
		if (found)
			place_close(ret);
		*ret = f;
		*status = now;
		found = true;
	}
	return found;
}

/* ---- one module ---- */

static int add_missing(const struct search *s, const struct module *m, bool debug, struct err *e)
{
	struct bundle_member missing = { .fd = -1,
					 .kind = debug ? MEMBER_DEBUG : MEMBER_MODULE,
					 .status = MEMBER_MISSING,
					 .id_len = m->build_id_len };
	const char *package = s->packages[debug];

	missing.path = bundle_text("%slib/modules/%s/%s.ko", debug ? "usr/lib/debug/" : "",
				   s->release, m->name);
	memcpy(missing.id, m->build_id, m->build_id_len);
	missing.note = bundle_text("%s of module %s is not on this machine%s%s",
				   debug ? "the debug file" : "the file", m->name,
				   package[0] ? "; it is in package " : "", package);
	return bundle_add(s->bundle, &missing, e);
}

/* PATH becomes the bundle's. */
static int add_file(struct bundle *b, struct place *f, char *path, enum member_kind kind,
		    enum member_status status, struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = kind, .path = path };

	bundle_take_place(&m, f, status);
	return bundle_add(b, &m, e);
}

/* How the module's file is called below the folder of its release: "kernel/fs/xfs/xfs.ko". */
static void name_below(const struct search *s, const struct module *m, const char *path, char *ret,
		       size_t size)
{
	const char *at = path ? strstr(path, "/lib/modules/") : NULL, *ko;
	size_t len = strlen(s->release);

	at = at ? at + strlen("/lib/modules/") : "";
	at = !strncmp(at, s->release, len) && at[len] == '/' ? at + len + 1 : "";
	ko = strstr(at, ".ko");
	if (ko)
		snprintf(ret, size, "%.*s.ko", (int)(ko - at), at);
	else
		snprintf(ret, size, "%s.ko", m->name);
}

/* Where crash and drgn look for it by its name, whatever it was called where it was found. */
static char *debug_path(const struct search *s, const struct module *m, const struct place *object,
			const struct place *f)
{
	char name[sizeof(f->path)];

	if (!strncmp(f->path, "/usr/lib/debug/", 15) && strstr(f->path, "/lib/modules/"))
		return bundle_path(f->path);
	name_below(s, m, object ? object->path : NULL, name, sizeof(name));
	return bundle_text("usr/lib/debug/lib/modules/%s/%s", s->release, name);
}

/*
 * The debug file: by build-id, else by name in the trees of debug files. It belongs to the file of
 * the module, whose build-id it has where the dump tells none.
 */
static int add_debug(struct search *s, const struct module *m, const struct place *object,
		     struct err *e)
{
	struct bundle *b = s->bundle;
	enum member_status status = MEMBER_VERIFIED;
	struct err ignored = ERR_INIT;
	struct module wanted = *m;
	struct place f;

	if (b->no_debug || (object && object->elf.debug_info))
		return 0;
	if (object && !m->build_id_len && object->elf.id_len <= sizeof(wanted.build_id)) {
		wanted.build_id_len = (uint8_t)object->elf.id_len;
		memcpy(wanted.build_id, object->elf.id, object->elf.id_len);
	}
	if ((wanted.build_id_len && !places_by_id(b->places, wanted.build_id, wanted.build_id_len,
						  ".debug", &f, &ignored)) ||
	    find_best(s, &wanted, true, &f, &status))
		return add_file(b, &f, debug_path(s, m, object, &f), MEMBER_DEBUG, status, e);
	return add_missing(s, &wanted, true, e);
}

static int add_module(void *priv, const struct module *m, struct err *e)
{
	struct search *s = priv;
	enum member_status status;
	struct place f = { .fd = -1 };
	bool found = find_best(s, m, false, &f, &status);

	if (!found && add_missing(s, m, false, e))
		return -1;
	if (found && add_file(s->bundle, &f, bundle_path(f.path), MEMBER_MODULE, status, e))
		return -1;
	return add_debug(s, m, found ? &f : NULL, e);
}

int bundle_modules(struct bundle *b, struct session *session, const char *release, struct err *e)
{
	struct search s = { .bundle = b, .release = release };
	struct module_stats stats = { .told = 0 };
	struct err why = ERR_INIT;
	struct reader r;
	struct kmem mem;
	int ret = 0;
	size_t i;

	session_package(session, false, s.packages[0], sizeof(s.packages[0]));
	session_package(session, true, s.packages[1], sizeof(s.packages[1]));
	reader_init(&r, session->dump);
	mem = (struct kmem){ &session->kernel, &session->xlat, &r };
	if (release[0])
		ret = walk_trees(&s, e);
	if (!ret && module_each(&mem, add_module, &s, &stats, &why)) {
		ret = why.code == ERR_MISSING || why.code == ERR_UNREADABLE ||
				      why.code == ERR_CORRUPT
			      ? 0
			      : -1;
		if (ret)
			*e = why;
		else
			log_warn(b->log, "loaded modules are not known: %s", why.text);
	}
	reader_fini(&r);
	for (i = 0; i < s.nr_files; i++)
		free(s.files[i].path);
	free(s.files);
	return ret;
}
