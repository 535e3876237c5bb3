/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scripts that open a bundle where it was unpacked: for /bin/sh, without dumptool. Nothing in
 * them comes from a dump but names, which are quoted.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "bundle.h"
#include "bundle_extras.h"
#include "cleanup.h"
#include "kernel.h"
#include "talk.h"

/* A path in the bundle, as a word for the shell. */
static void here(FILE *f, const char *path)
{
	fputs("\"$here\"/", f);
	print_word(f, path);
}

static void head(FILE *f, const char *what)
{
	fprintf(f,
		"#!/bin/sh\n"
		"# %s; further arguments go to it. Written by dumptool bundle.\n"
		"here=$(CDPATH= cd -- \"$(dirname -- \"$0\")\" && pwd) || exit 1\n"
		"unset DEBUGINFOD_URLS\n",
		what);
}

static void need(FILE *f, const char *program, const char *how)
{
	fprintf(f,
		"command -v %s >/dev/null 2>&1 || {\n"
		"\techo \"$0: %s is not installed: %s\" >&2\n"
		"\texit 127\n"
		"}\n",
		program, program, how);
}

/* What is missing is said by the script that cannot work without. */
static bool need_main(FILE *f, const struct bundle *b)
{
	if (b->main_path)
		return true;
	fprintf(f, "echo \"$0: this bundle has no %s, see manifest.json\" >&2\nexit 1\n",
		b->kernel ? "vmlinux" : "program");
	return false;
}

/* gdb for this machine, or for all. */
static void choose_gdb(FILE *f, const char *machine)
{
	fprintf(f, "gdb=gdb\n");
	if (machine[0])
		fprintf(f,
			"[ \"$(uname -m)\" = '%s' ] || ! command -v gdb-multiarch >/dev/null 2>&1 || "
			"gdb=gdb-multiarch\n",
			machine);
	fprintf(f,
		"command -v $gdb >/dev/null 2>&1 || {\n"
		"\techo \"$0: $gdb is not installed: apt install gdb gdb-multiarch, dnf install gdb\" >&2\n"
		"\texit 127\n"
		"}\n");
}

/* ---- a kernel ---- */

static const char *module_folder(const struct bundle *b)
{
	static const char debug[] = "usr/lib/debug/lib/modules/";
	size_t i;

	for (i = 0; i < b->nr_members; i++)
		if (b->members[i].kind == MEMBER_DEBUG && b->members[i].status != MEMBER_MISSING &&
		    !strncmp(b->members[i].path, debug, sizeof(debug) - 1))
			return "usr/lib/debug/lib/modules";
	return "lib/modules";
}

/* PROGRAM, with the option that names the folder of modules; then the kernel and the dump. */
static void exec_with_modules(FILE *f, const struct bundle *b, const char *program)
{
	fprintf(f, "exec %s \"$here\"/%s/", program, module_folder(b));
	print_word(f, b->release);
	fputs(" \"$@\" ", f);
	here(f, b->main_path);
	putc(' ', f);
	here(f, b->name);
	putc('\n', f);
}

/*
 * crash up to 9.0.2 ends at once where struct module has no num_gpl_syms any more (as in
 * Linux 7.2), but opens the dump without the modules.
 */
static void leave_modules(FILE *f)
{
	fputs("case $(crash --version 2>/dev/null | sed -n 's/^crash \\([0-9.]*\\).*/\\1/p') in\n"
	      "[1-8].*|9.0|9.0.[0-2])\n"
	      "\techo \"$0: this crash cannot read the modules of this kernel: --no_modules\" >&2\n"
	      "\tset -- --no_modules \"$@\" ;;\n"
	      "esac\n",
	      f);
}

static void run_crash(FILE *f, const struct bundle *b, struct session *s)
{
	uint64_t off;

	head(f, "Opens the dump in crash");
	need(f, "crash", "apt install crash, dnf install crash, zypper install crash");
	if (!need_main(f, b))
		return;
	if (kernel_fact(&s->kernel, FACT_OFFSET, "module.list", &off) &&
	    !kernel_fact(&s->kernel, FACT_OFFSET, "module.num_gpl_syms", &off))
		leave_modules(f);
	exec_with_modules(f, b, "crash --mod");
}

/* One -s for each file with symbols of a module. */
static void run_drgn(FILE *f, const struct bundle *b, struct session *session)
{
	size_t i;

	(void)session;

	head(f, "Opens the dump in drgn");
	need(f, "drgn", "apt install python3-drgn, dnf install drgn, pip install drgn");
	if (!need_main(f, b))
		return;
	for (i = 0; i < b->nr_members; i++) {
		const struct bundle_member *m = &b->members[i];

		if (m->kind != MEMBER_DEBUG || m->status == MEMBER_MISSING || m->link ||
		    !strstr(m->path, "/lib/modules/") || !strstr(m->path, ".ko"))
			continue;
		fputs("set -- -s ", f);
		here(f, m->path);
		fputs(" \"$@\"\n", f);
	}
	fputs("exec drgn -c ", f);
	here(f, b->name);
	fputs(" -s ", f);
	here(f, b->main_path);
	fputs(" \"$@\"\n", f);
}

/* Debian's package of that name is a debugger of another kind. */
static void run_sdb(FILE *f, const struct bundle *b, struct session *session)
{
	(void)session;
	head(f, "Opens the dump in sdb (github.com/delphix/sdb)");
	fputs("sdb --help 2>&1 | grep -q -e drgn -e --symbol-search || {\n"
	      "\techo \"$0: sdb is not installed: see github.com/delphix/sdb (Debian's package sdb\" >&2\n"
	      "\techo \"is another program)\" >&2\n"
	      "\texit 127\n"
	      "}\n",
	      f);
	if (!need_main(f, b))
		return;
	exec_with_modules(f, b, "sdb -s");
}

/* How far it was moved, for a debugger that does not know what a kernel is. */
static uint64_t moved(struct session *s)
{
	uint64_t offset = 0;

	return kernel_text_hex(&s->kernel, "KERNELOFFSET", &offset) ? offset : 0;
}

static void run_gdb_kernel(FILE *f, const struct bundle *b, struct session *s)
{
	uint64_t offset = moved(s), percpu = 1;
	bool at_0 = kernel_fact(&s->kernel, FACT_SYMBOL, "__per_cpu_start", &percpu) && !percpu;

	head(f, "Opens the dump in gdb, every task a thread");
	choose_gdb(f, s->dump->arch ? s->dump->arch->name : "");
	if (!need_main(f, b))
		return;
	fputs("velf=", f);
	here(f, b->name);
	fputs(VELF_SUFFIX "\nvmlinux=", f);
	here(f, b->main_path);
	fputs("\n[ -e \"$velf\" ] || {\n"
	      "\tcommand -v dumptool >/dev/null 2>&1 || {\n"
	      "\t\techo \"$0: dumptool is needed to make what gdb reads\" >&2\n"
	      "\t\texit 127\n"
	      "\t}\n"
	      "\tdumptool tovelf --vmlinux \"$vmlinux\" -o \"$velf\" ",
	      f);
	here(f, b->name);
	fputs(" || [ -e \"$velf\" ] || exit 1\n}\n", f);
	fputs("exec $gdb -iex 'set debuginfod enabled off' -iex 'set auto-load no' \\\n"
	      "\t-iex \"set debug-file-directory $here/usr/lib/debug\" -c \"$velf\" ",
	      f);
	if (bundle_has(b, GDB_SCRIPT_MEMBER))
		fputs("-x \"$here\"/" GDB_SCRIPT_MEMBER " -ex \"kernel-symbols $vmlinux\"", f);
	else if (offset)
		fprintf(f, "-ex \"add-symbol-file '$vmlinux' -o 0x%" PRIx64 "%s\"", offset,
			at_0 ? " -s .data..percpu 0" : "");
	else
		fputs("-ex \"file '$vmlinux'\"", f);
	fputs(" \"$@\"\n", f);
}

/* ---- a process ---- */

/* Is there a library in that folder before number I? */
static bool folder_seen(const struct bundle *b, size_t i, size_t len)
{
	size_t k;

	for (k = 0; k < i; k++) {
		const struct bundle_member *m = &b->members[k];

		if ((m->kind == MEMBER_LIBRARY || m->kind == MEMBER_LOADER) &&
		    m->status != MEMBER_MISSING && !strncmp(m->path, b->members[i].path, len + 1) &&
		    !strchr(m->path + len + 1, '/'))
			return true;
	}
	return false;
}

/* Folders of shared objects, each once, BEFORE and BEHIND each but the last. */
static void library_folders(FILE *f, const struct bundle *b, const char *before, const char *behind)
{
	bool first = true;
	size_t i;

	for (i = 0; i < b->nr_members; i++) {
		const struct bundle_member *m = &b->members[i];
		const char *slash = strrchr(m->path, '/');
		size_t len = slash ? (size_t)(slash - m->path) : 0;
		char folder[4096];

		if ((m->kind != MEMBER_LIBRARY && m->kind != MEMBER_LOADER) ||
		    m->status == MEMBER_MISSING || !len || len >= sizeof(folder) ||
		    folder_seen(b, i, len))
			continue;
		memcpy(folder, m->path, len);
		folder[len] = '\0';
		fprintf(f, "%s%s", first ? "" : behind, before);
		here(f, folder);
		first = false;
	}
}

static const char *loader_of(const struct bundle *b)
{
	size_t i;

	for (i = 0; i < b->nr_members; i++)
		if (b->members[i].kind == MEMBER_LOADER && b->members[i].fd >= 0)
			return b->members[i].path;
	return NULL;
}

/* Its symbols, moved as far as it was. What follows the name is an expression: no name ends the quotes. */
static void add_symbols(FILE *f, const char *path, uint64_t bias)
{
	if (strpbrk(path, "'\"\\"))
		return;
	fputs("-ex \"add-symbol-file '\"", f);
	here(f, path);
	fprintf(f, "\"' -o 0x%" PRIx64 "\" \\\n\t", bias);
}

static void add_libraries(FILE *f, const struct bundle *b, const struct usercore *u)
{
	size_t i;

	for (i = 0; i < u->nr_files; i++) {
		const struct usercore_file *u_file = &u->files[i];
		_cleanup_free_ char *tidy = extras_tidy(u_file->path);

		if (u_file->linked && !u_file->main && tidy && bundle_has_file(b, tidy + 1))
			add_symbols(f, tidy + 1, u_file->bias);
	}
}

/*
 * The program and the core. Of one that the loader was told to run gdb finds the list of libraries
 * through the loader alone, and the program is not in it. Where the core has neither names of files
 * nor the program's beginning, gdb cannot tell how far it was moved, and finds nothing.
 */
static void gdb_files(FILE *f, const struct bundle *b, const struct usercore *u)
{
	const char *loader = u->by_loader ? loader_of(b) : NULL;
	bool blind = b->main_path && u->no_files && u->nr_files && u->files[0].main &&
		     !u->files[0].elf && u->files[0].bias;

	if (b->main_path && (loader || blind)) {
		fputs("-ex 'set confirm off' \\\n\t", f);
		add_symbols(f, b->main_path, u->files[0].bias);
		if (blind)
			add_libraries(f, b, u);
		fputs("-ex 'set confirm on' \\\n\t", f);
	}
	fputs("\"$@\" ", f);
	if (b->main_path && !blind)
		here(f, loader ? loader : b->main_path);
	fputs(b->main_path && !blind ? " " : "-c ", f);
	here(f, b->name);
	putc('\n', f);
}

static void run_gdb_core(FILE *f, const struct bundle *b, const struct usercore *u,
			 const char *machine)
{
	head(f, "Opens the core in gdb");
	choose_gdb(f, machine);
	fputs("exec $gdb -iex 'set debuginfod enabled off' -iex 'set auto-load no' \\\n"
	      "\t-iex \"set sysroot $here\" -iex \"set debug-file-directory $here/usr/lib/debug\" \\\n"
	      "\t-iex \"set auto-load safe-path $here\" -iex 'set solib-search-path '",
	      f);
	library_folders(f, b, "", ":");
	fputs(" \\\n\t", f);
	gdb_files(f, b, u);
}

static void run_lldb_core(FILE *f, const struct bundle *b)
{
	head(f, "Opens the core in lldb");
	need(f, "lldb", "apt install lldb, dnf install lldb");
	if (!need_main(f, b))
		return;
	/* Without a sysroot it takes this machine's libraries of the same names. */
	fputs("exec lldb -O 'settings set symbols.enable-external-lookup false' \\\n"
	      "\t-O \"platform select remote-linux --sysroot '$here'\" \\\n"
	      "\t-O \"settings append target.debug-file-search-paths '$here/usr/lib/debug'\" \\\n",
	      f);
	library_folders(f, b, "\t-O 'settings append target.exec-search-paths '\"'\"",
			"\"'\" \\\n");
	fputs("\"'\" \\\n\t\"$@\" -c ", f);
	here(f, b->name);
	putc(' ', f);
	here(f, b->main_path);
	putc('\n', f);
}

/* ---- all ---- */

/* What uname -m says on a machine whose gdb reads such cores; "" where nobody is sure. */
static const char *machine_of(const struct usercore *u)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = { { EM_X86_64, "x86_64" }, { EM_386, "i686" },   { EM_AARCH64, "aarch64" },
		      { EM_ARM, "armv7l" },    { EM_S390, "s390x" }, { EM_PPC64, "ppc64le" },
		      { EM_RISCV, "riscv64" }, { EM_MIPS, "mips64" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].machine == u->machine)
			return names[i].name;
	return "";
}

/* A file that is written in WRITER's words; NAME is what it is called. */
struct writer {
	FILE *f;
	char *text;
	size_t len;
};

static bool writer_begin(struct writer *w)
{
	*w = (struct writer){ NULL };
	w->f = open_memstream(&w->text, &w->len);
	return w->f;
}

static int writer_end(struct writer *w, struct bundle *b, const char *name, struct err *e)
{
	struct bundle_member m = {
		.fd = -1, .mode = 0755, .kind = MEMBER_SCRIPT, .status = MEMBER_MADE
	};

	if (fclose(w->f)) {
		free(w->text);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	m.path = strdup(name);
	m.bytes = w->text;
	m.size = w->len;
	return bundle_add(b, &m, e);
}

static int kernel_scripts(struct bundle *b, struct session *s, struct err *e)
{
	static const struct {
		const char *name;
		void (*write)(FILE *f, const struct bundle *b, struct session *s);
	} scripts[] = { { "run-crash.sh", run_crash },
			{ "run-drgn.sh", run_drgn },
			{ "run-sdb.sh", run_sdb },
			{ "run-gdb.sh", run_gdb_kernel } };
	struct writer w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scripts); i++) {
		if (!writer_begin(&w))
			return err_set(e, ERR_NOMEM, "out of memory");
		scripts[i].write(w.f, b, s);
		if (writer_end(&w, b, scripts[i].name, e))
			return -1;
	}
	return 0;
}

int bundle_scripts(struct bundle *b, struct session *s, const struct usercore *u, struct err *e)
{
	struct writer w;

	if (b->kernel)
		return kernel_scripts(b, s, e);
	if (!writer_begin(&w))
		return err_set(e, ERR_NOMEM, "out of memory");
	run_gdb_core(w.f, b, u, machine_of(u));
	if (writer_end(&w, b, "run-gdb.sh", e))
		return -1;
	if (!writer_begin(&w))
		return err_set(e, ERR_NOMEM, "out of memory");
	run_lldb_core(w.f, b);
	return writer_end(&w, b, "run-lldb.sh", e);
}
