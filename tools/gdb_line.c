/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gdb_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "cleanup.h"
#include "elf_file.h"

#define SCRIPT "dumptool-gdb.py"

/* ---- the script ---- */

/* FOLDER of this program, without the slash; false when it is not known. */
static bool own_folder(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	if (n <= 0 || (size_t)n >= size - 1)
		return false;
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

bool gdb_script_find(char *ret, size_t size)
{
	static const char *const places[] = { "/gdb/" SCRIPT, "/../share/dumptool/" SCRIPT };
	char folder[2048];
	bool known = own_folder(folder, sizeof(folder));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places) + 1; i++) {
		/* What configure was told, between both. */
		if (i == 1)
			snprintf(ret, size, "%s", GDB_SCRIPT);
		else if (known)
			snprintf(ret, size, "%s%s", folder, places[i ? 1 : 0]);
		else
			continue;
		if (!access(ret, R_OK))
			return true;
	}
	return false;
}

/* ---- the program ---- */

/* Is the dump of this machine's kind, as far as a gdb built for it is concerned? */
static bool is_native(const struct session *s)
{
	unsigned int machine = s->dump->id.e_machine;
	struct elf_file own;
	struct err ignored = ERR_INIT;
	bool same;

	if (elf_file_open("/proc/self/exe", &own, &ignored))
		return true;
	same = own.machine == machine || (own.machine == 62 && machine == 3);
	elf_file_close(&own);
	return same;
}

static bool is_in_path(const char *name)
{
	const char *at = getenv("PATH");
	char path[2048];
	size_t len;

	for (; at && *at; at += len + (at[len] == ':')) {
		len = strcspn(at, ":");
		snprintf(path, sizeof(path), "%.*s/%s", (int)MIN(len, (size_t)1024), at, name);
		if (len && !access(path, X_OK))
			return true;
	}
	return false;
}

static const char *gdb_name(const struct session *s)
{
	return !is_native(s) && is_in_path("gdb-multiarch") ? "gdb-multiarch" : "gdb";
}

/* ---- how far the kernel was moved ---- */

/* From where its vmlinux says (KASLR); false when not known. */
static bool kernel_offset(const struct session *s, const char *vmlinux, uint64_t *ret)
{
	const struct kernel *k = &s->kernel;
	struct err ignored = ERR_INIT;
	uint64_t ran, linked;
	struct elf_file f;
	bool known;

	if (kernel_text_hex(k, "KERNELOFFSET", ret))
		return true;
	if (!vmlinux || !kernel_fact(k, FACT_SYMBOL, "_stext", &ran) ||
	    elf_file_open(vmlinux, &f, &ignored))
		return false;
	known = !elf_file_symbol(&f, "_stext", &linked, &ignored);
	elf_file_close(&f);
	*ret = ran - linked;
	if (s->dump->id.word == 4)
		*ret = (uint32_t)*ret;
	return known;
}

/*
 * Without the script: a vmlinux is no position-independent executable, as which gdb would move it
 * by what a core says: it is told. On x86-64 before 6.15 per-CPU symbols count from 0 and must stay
 * there.
 */
static void put_symbols(FILE *f, struct talk *t, const struct session *s,
			const struct gdb_line *line)
{
	const char *vmlinux = line->vmlinux ? line->vmlinux : "vmlinux";
	_cleanup_free_ char *command = NULL;
	uint64_t offset = 0, stext;
	size_t len;
	FILE *c;

	if (!kernel_offset(s, line->vmlinux, &offset) &&
	    kernel_fact(&s->kernel, FACT_SYMBOL, "_stext", &stext))
		talk_say(
			t, TALK_COMMON,
			"how far the kernel was moved (KASLR) is not told: its _stext is at 0x%" PRIx64
			"; add-symbol-file -o takes what that is more than in vmlinux\n",
			stext);
	c = open_memstream(&command, &len);
	if (!c)
		return;
	fprintf(c, "add-symbol-file %s -o 0x%" PRIx64 "%s", vmlinux, offset,
		offset && line->percpu_at_0 ? " -s .data..percpu 0" : "");
	if (fclose(c))
		return;
	fputs(" -ex ", f);
	print_word(f, command);
}

/* The script's own command finds out by itself how far what has to be moved. */
static void put_script(FILE *f, const struct gdb_line *line, const char *script)
{
	const char *vmlinux = line->vmlinux ? line->vmlinux : "vmlinux";
	size_t size = strlen(vmlinux) + sizeof("kernel-symbols ");
	_cleanup_free_ char *command = malloc(size);

	fputs(" -x ", f);
	print_word(f, script);
	if (line->user || !command)
		return;
	snprintf(command, size, "kernel-symbols %s", vmlinux);
	fputs(" -ex ", f);
	print_word(f, command);
}

void gdb_line_print(struct talk *t, const struct session *s, const struct gdb_line *line)
{
	_cleanup_free_ char *text = NULL;
	char script[4096];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	fprintf(f, "%s%s -c ", gdb_name(s), line->user ? " PROGRAM" : "");
	print_word(f, line->core);
	if (gdb_script_find(script, sizeof(script)))
		put_script(f, line, script);
	else if (!line->user)
		put_symbols(f, t, s, line);
	if (!fclose(f))
		talk_say(t, TALK_COMMON, "open it with: %s\n", text);
}
