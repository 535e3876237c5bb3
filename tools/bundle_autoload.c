/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scripts that gdb loads with an object: by the object's name, and what its section
 * .debug_gdb_scripts names, which is Go's and Rust's way. Each gets a name beside the object: there
 * gdb finds it, wherever the bundle is.
 *
 * Facts: gdb manual, "objfile-gdbdotext file" and "dotdebug_gdb_scripts section"; Go
 * cmd/link/internal/ld/dwarf.go (finddebugruntimepath(): $GOROOT, nothing with -trimpath); rustc's
 * src/etc/rust-gdb (lib/rustlib/etc of the toolchain); rustup's ~/.rustup/toolchains.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "bundle_extras.h"
#include "cleanup.h"

#define MAX_FOUND 256u
#define RUST_SCRIPT "gdb_load_rust_pretty_printers.py"
#define RUST_ETC "/lib/rustlib/etc/"

/* Where a script lies that its object names by NAME alone; "~": homes. Other files go with it. */
static const struct {
	const char *name, *folders[6], *with[8], *missing;
} scripts[] = {
	{ RUST_SCRIPT,
	  { "/usr" RUST_ETC, "/usr/local" RUST_ETC, "~/.rustup/toolchains/*" RUST_ETC,
	    "/usr/local/rustup/toolchains/*" RUST_ETC, "/opt/rust*" RUST_ETC },
	  { "gdb_lookup.py", "gdb_providers.py", "rust_types.py", "lldb_lookup.py",
	    "lldb_providers.py", "lldb_commands" },
	  "gdb's printers of Rust: in lib/rustlib/etc of `rustc --print sysroot`, or package rust-gdb" },
	{ "runtime/runtime-gdb.py",
	  { "/usr/lib/go/src/", "/usr/lib/go-*/src/", "/usr/local/go/src/", "~/sdk/go*/src/",
	    "~/go/src/" },
	  { NULL },
	  "gdb's commands for Go: src/runtime of `go env GOROOT`" },
};

/* ---- looking ---- */

/* Of the files that were found, the first one, or that of the toolchain which made the object. */
struct found {
	struct bundle *b;
	const struct place *p;
	char path[4096];
	bool there, same;
};

/* Says the compiler beside that script that it made P? */
static bool is_its_rust(const struct found *f, const char *root, const char *path)
{
	const char *etc = strstr(path, RUST_ETC);
	char pattern[4096];
	struct err ignored = ERR_INIT;
	static struct place driver; /* large */
	bool same = false;
	glob_t g;
	size_t i;

	if (!etc || !f->p->elf.rustc[0])
		return false;
	snprintf(pattern, sizeof(pattern), "%s%.*s/lib/librustc_driver-*.so", root,
		 (int)(etc - path), path);
	if (glob(pattern, GLOB_NOSORT, NULL, &g))
		return false;
	for (i = 0; i < g.gl_pathc && i < MAX_FOUND && !same; i++) {
		if (places_open(f->b->places, g.gl_pathv[i] + strlen(root), &driver, &ignored))
			continue;
		same = !strcmp(driver.elf.rustc, f->p->elf.rustc);
		place_close(&driver);
	}
	globfree(&g);
	return same;
}

/* PATTERN, which begins with a slash, below ROOT, "" being this machine. */
static void look_below(struct found *f, const char *root, const char *pattern)
{
	char whole[4096];
	glob_t g;
	size_t i;

	snprintf(whole, sizeof(whole), "%s%s", root, pattern);
	if (f->same || glob(whole, 0, NULL, &g))
		return;
	for (i = 0; i < g.gl_pathc && i < MAX_FOUND && !f->same; i++) {
		const char *path = g.gl_pathv[i] + strlen(root);

		f->same = is_its_rust(f, root, path);
		if (!f->there || f->same)
			snprintf(f->path, sizeof(f->path), "%s", path);
		f->there = true;
	}
	globfree(&g);
}

/* In each root, or here; "~" is the homes that systems have, and ours. */
static void look_for(struct found *f, const char *folder, const char *name)
{
	static const char *const homes[] = { "/root", "/home/*" };
	const struct places *p = f->b->places;
	const char *here = getenv("HOME");
	char pattern[4096];
	unsigned int i, k;

	for (i = 0; i < MAX(p->nr_roots, 1u); i++) {
		const char *root = p->nr_roots ? p->roots[i] : "";

		if (folder[0] != '~') {
			snprintf(pattern, sizeof(pattern), "%s%s", folder, name);
			look_below(f, root, pattern);
			continue;
		}
		for (k = 0; k < ARRAY_SIZE(homes) + 1; k++) {
			const char *home = k ? homes[k - 1] : !p->nr_roots ? here : NULL;

			if (!home || home[0] != '/')
				continue;
			snprintf(pattern, sizeof(pattern), "%s%s%s", home, folder + 1, name);
			look_below(f, root, pattern);
		}
	}
}

/* ---- adding ---- */

/* The script at PATH, with a name beside the object. */
static int add_script(struct bundle *b, const struct place *p, const char *path,
		      const char *missing, bool *there, struct err *e)
{
	const char *end = strrchr(path, '.');
	_cleanup_free_ char *name = bundle_text("%s-gdb%s", p->path, end ? end : ".py"),
			    *tidy = extras_tidy(path); /* $HOME may end with a slash */

	*there = false;
	if (!tidy)
		return 0;
	if (extras_add(b, tidy, missing, there, e))
		return -1;
	return *there && name ? extras_link(b, MEMBER_AUXILIARY, name, tidy, e) : 0;
}

static int add_beside(struct bundle *b, const char *path, const char *name, struct err *e)
{
	char other[4096];
	bool there;

	snprintf(other, sizeof(other), "%.*s%s", (int)(strrchr(path, '/') + 1 - path), path, name);
	return extras_add(b, other, NULL, &there, e);
}

static int add_by_table(struct bundle *b, const struct place *p, size_t row, struct err *e)
{
	static struct found f; /* large */
	bool there;
	size_t i;

	f = (struct found){ .b = b, .p = p };
	for (i = 0; i < ARRAY_SIZE(scripts[row].folders) && scripts[row].folders[i]; i++)
		look_for(&f, scripts[row].folders[i], scripts[row].name);
	if (!f.there)
		snprintf(f.path, sizeof(f.path), "%s%s", scripts[row].folders[0],
			 scripts[row].name);
	if (add_script(b, p, f.path, scripts[row].missing, &there, e))
		return -1;
	for (i = 0; there && i < ARRAY_SIZE(scripts[row].with) && scripts[row].with[i]; i++)
		if (add_beside(b, f.path, scripts[row].with[i], e))
			return -1;
	return 0;
}

static bool is_script(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && (!strcmp(end, ".py") || !strcmp(end, ".gdb") || !strcmp(end, ".scm"));
}

/* What .debug_gdb_scripts names: a path, or what is found where its toolchain has it. */
static int add_named(struct bundle *b, const struct place *p, struct err *e)
{
	const char *name = p->elf.gdb_script;
	bool there;
	size_t i;

	/* Whoever made the program wrote the name: nothing but scripts is taken for it. */
	if (name[0] == '/' && !is_script(name))
		return 0;
	if (name[0] == '/')
		return add_script(b, p, name,
				  "a script that gdb loads with the program (.debug_gdb_scripts)",
				  &there, e);
	for (i = 0; i < ARRAY_SIZE(scripts); i++)
		if (!strcmp(scripts[i].name, name))
			return add_by_table(b, p, i, e);
	return 0;
}

int autoload_of(struct bundle *b, const struct place *p, struct err *e)
{
	static const char *const ends[] = { "-gdb.py", "-gdb.gdb", "-gdb.scm" };
	static const char folder[] = "/usr/share/gdb/auto-load";
	char name[sizeof(p->path) + sizeof(folder) + 16];
	bool there;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(name, sizeof(name), "%s%s%s", folder, p->path, ends[i]);
		if (extras_add(b, name, NULL, &there, e) ||
		    (there &&
		     extras_link(b, MEMBER_AUXILIARY, name + sizeof(folder) - 1, name, e)) ||
		    extras_add(b, name + sizeof(folder) - 1, NULL, &there, e))
			return -1;
	}
	return p->elf.gdb_script[0] ? add_named(b, p, e) : 0;
}
