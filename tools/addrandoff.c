/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dumptool addrandoff: tell gdb, in the dump, where the kernel ran. gdb moves an executable of type
 * DYN so that its entry is where AT_ENTRY of the note NT_AUXV says (solib-svr4.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "elf.h"
#include "elf_file.h"
#include "elftool.h"
#include "main.h"
#include "note.h"
#include "talk.h"

#define NT_AUXV 6
#define AT_NULL 0
#define AT_BASE 7
#define AT_ENTRY 9
#define GAP_ALIGN 65536 /* data keeps its place in a page, of any size */

struct addrandoff {
	const char *vmcore, *vmlinux, *output;
	struct input_opts in;
	bool in_place, force;
	struct elf_file core;
	uint64_t entry; /* where the kernel's is */
	/* The notes: which program header, where they are, where they may grow to. */
	uint64_t index, off, len, room, nr_phdrs;
	uint8_t *notes;		/* new ones */
	size_t notes_len, kept; /* the latter is as it was */
};

/* ---- facts ---- */

static int same_kernel(const struct session *s, const struct elf_file *vmlinux, struct err *e)
{
	char ran[65], has[65];

	if (!kernel_text(&s->kernel, "BUILD-ID", ran, sizeof(ran)) ||
	    !elf_file_build_id(vmlinux, has) || !strcmp(ran, has))
		return 0;
	return err_set(e, ERR_MISMATCH,
		       "%s: is not of the kernel that crashed: its build-id is %s, not %s",
		       source_name(vmlinux->source), has, ran);
}

/* How far from where it was linked to did the kernel run? */
static int find_displacement(const struct session *s, const struct elf_file *vmlinux, uint64_t *ret,
			     struct err *e)
{
	uint64_t ran, linked;

	if (kernel_fact(&s->kernel, FACT_SYMBOL, "_stext", &ran) &&
	    !elf_file_symbol(vmlinux, "_stext", &linked, e)) {
		*ret = ran - linked;
		return 0;
	}
	if (kernel_text_hex(&s->kernel, "KERNELOFFSET", ret))
		return 0;
	return err_set(
		e, ERR_MISSING,
		"%s: does not tell where the kernel ran: no SYMBOL(_stext) for that of %s, no KERNELOFFSET",
		source_name(s->dump->source), source_name(vmlinux->source));
}

static int find_entry(struct addrandoff *a, struct log *log, struct err *e)
{
	struct elf_file vmlinux;
	uint64_t displacement = 0;
	struct session s;
	int failed;

	if (session_open(&s, (char *const *)&a->vmcore, 1, &a->in, log, e))
		return -1;
	failed = elf_file_open(a->vmlinux, &vmlinux, e);
	if (!failed) {
		failed = same_kernel(&s, &vmlinux, e) ||
			 find_displacement(&s, &vmlinux, &displacement, e);
		a->entry = vmlinux.entry + displacement;
		elf_file_close(&vmlinux);
	}
	session_close(&s);
	return failed ? -1 : 0;
}

/* ---- the notes ---- */

static int count_phdrs(struct addrandoff *a, struct err *e)
{
	const struct elf_file *f = &a->core;
	uint8_t raw[4];

	a->nr_phdrs = f->phnum;
	if (f->phnum != PN_XNUM || !f->shoff)
		return 0;
	/* sh_info of section 0 */
	if (source_read(f->source, f->shoff + (f->word == 8 ? 44 : 28), raw, sizeof(raw), e))
		return -1;
	a->nr_phdrs = load_u32(raw, f->order);
	return 0;
}

/* The first PT_NOTE, and what lies behind it. */
static int find_notes(struct addrandoff *a, struct err *e)
{
	const struct elf_file *f = &a->core;
	uint64_t table_end = f->phoff + a->nr_phdrs * elf_phdr_size(f->word), i;
	bool found = false;
	struct elf_phdr p;

	for (i = 0; i < a->nr_phdrs && !found; i++) {
		if (elf_file_phdr(f, i, &p, e))
			return -1;
		found = p.type == PT_NOTE;
		a->index = i;
	}
	if (!found || p.filesz > DUMP_MAX_NOTES || p.offset > source_size(f->source) ||
	    p.filesz > source_size(f->source) - p.offset)
		return err_set(e, ERR_CORRUPT, "%s: its notes are not found", a->vmcore);
	a->off = p.offset;
	a->len = p.filesz;
	a->room = source_size(f->source);
	for (i = 0; i < a->nr_phdrs; i++) {
		if (elf_file_phdr(f, i, &p, e))
			return -1;
		if (i != a->index && p.filesz && p.offset >= a->off + a->len)
			a->room = MIN(a->room, p.offset);
	}
	if (f->shoff >= a->off + a->len)
		a->room = MIN(a->room, f->shoff);
	if (f->phoff >= a->off + a->len || table_end > a->off)
		a->room = MIN(a->room, MAX(f->phoff, a->off + a->len));
	a->room -= a->off;
	return 0;
}

/* All notes but an older NT_AUXV, and the new one. */
static int make_notes(struct addrandoff *a, struct err *e)
{
	const struct elf_file *f = &a->core;
	_cleanup_free_ uint8_t *old = malloc(a->len + 1);
	uint64_t values[] = { AT_ENTRY, a->entry, AT_BASE, a->entry, AT_NULL, 0 };
	uint8_t auxv[sizeof(values)];
	struct bytes_out o = { .data = auxv, .size = sizeof(auxv), .order = f->order };
	bool same = true;
	struct bytes b;
	struct note n;
	size_t i, start = 0;

	a->notes = malloc(a->len + 4);
	if (!old || !a->notes)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	if (source_read(f->source, a->off, old, (size_t)a->len, e))
		return -1;
	b = bytes_init(old, (size_t)a->len, f->order, "notes", a->off);
	for (; note_next(&b, &n); start = b.pos) {
		if (note_owner_is(&n, "CORE") && n.type == NT_AUXV) {
			same = false;
			continue;
		}
		memcpy(a->notes + a->notes_len, old + start, b.pos - start);
		a->notes_len += b.pos - start;
		if (same)
			a->kept = a->notes_len;
	}
	for (; a->notes_len & 3; a->notes_len++)
		a->notes[a->notes_len] = 0;
	for (i = 0; i < ARRAY_SIZE(values); i++)
		out_uint(&o, values[i], f->word);
	if (!note_append(&a->notes, &a->notes_len, f->order, "CORE", NT_AUXV, auxv, o.pos))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	return 0;
}

/* ---- into the file ---- */

static int put_word(const struct addrandoff *a, struct sink *s, uint64_t at, uint64_t value,
		    struct err *e)
{
	uint8_t raw[8];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = a->core.order };

	out_uint(&o, value, a->core.word);
	return sink_write(s, at, raw, o.pos, e);
}

/* p_filesz and p_memsz of the notes, which lie side by side. */
static size_t encode_size(const struct addrandoff *a, uint8_t ret[16])
{
	struct bytes_out o = { .data = ret, .size = 16, .order = a->core.order };

	out_uint(&o, a->notes_len, a->core.word);
	out_uint(&o, a->notes_len, a->core.word);
	return o.pos;
}

/* Headers of a file in which all that lay behind the notes is GAP bytes further on. */
static int put_headers(const struct addrandoff *a, struct sink *s, uint64_t gap, struct err *e)
{
	const struct elf_file *f = &a->core;
	uint64_t behind = a->off + a->room, moved = f->phoff >= behind ? gap : 0, i;
	unsigned int word = f->word;
	uint8_t size[16];
	struct elf_phdr p;

	if (moved && put_word(a, s, 24 + word, f->phoff + gap, e))
		return -1;
	if (gap && f->shoff >= behind && put_word(a, s, 24 + 2 * word, f->shoff + gap, e))
		return -1;
	for (i = 0; gap && i < a->nr_phdrs; i++) {
		if (elf_file_phdr(f, i, &p, e))
			return -1;
		if (p.offset >= behind && i != a->index &&
		    put_word(a, s, moved + elf_file_offset_at(f, i), p.offset + gap, e))
			return -1;
	}
	return sink_write(s, moved + elf_file_filesz_at(f, a->index), size, encode_size(a, size),
			  e);
}

static int put_file(const struct addrandoff *a, struct sink *s, struct err *e)
{
	uint64_t gap = a->notes_len > a->room ? ALIGN_UP(a->notes_len - a->room, GAP_ALIGN) : 0;

	/* What the old notes had and the new ones have not is zeros, behind them. */
	uint64_t rest = a->len > a->notes_len ? a->len - a->notes_len : 0;
	_cleanup_free_ uint8_t *zeros = calloc(1, rest + 1);

	if (!zeros)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (elf_file_copy(&a->core, a->off + a->room, gap, s, e) ||
	    sink_write(s, a->off, a->notes, a->notes_len, e) ||
	    sink_write(s, a->off + a->notes_len, zeros, rest, e) || put_headers(a, s, gap, e))
		return -1;
	return sink_commit(s, source_size(a->core.source) + gap, e);
}

/*
 * A whole new file, which takes the name only when it is on the disk: what has the name is never
 * half of one.
 */
static int write_file(const struct addrandoff *a, struct err *e)
{
	const char *path = a->in_place ? a->vmcore : a->output;
	struct sink *s;
	int failed;

	if (!a->in_place && source_is_path(a->core.source, path))
		return err_set(e, ERR_EXISTS, "%s: is the input (--in-place changes it)", path);
	if (sink_file(path, SINK_RENAME | (a->force || a->in_place ? SINK_FORCE : 0), &s, e))
		return -1;
	failed = put_file(a, s, e);
	if (failed)
		sink_discard(s);
	sink_close(s);
	return failed;
}

/* The new note lies behind the others before their header says that it is there. */
static int append(const struct addrandoff *a, struct err *e)
{
	int fd = open(a->vmcore, O_WRONLY | O_CLOEXEC | O_NOCTTY), failed = 0;
	size_t len = a->notes_len - a->kept, sizes;
	uint8_t size[16];

	if (fd < 0)
		return err_sys(e, errno, "%s", a->vmcore);
	sizes = encode_size(a, size);
	if (pwrite(fd, a->notes + a->kept, len, (off_t)(a->off + a->kept)) != (ssize_t)len ||
	    fsync(fd) < 0 ||
	    pwrite(fd, size, sizes, (off_t)elf_file_filesz_at(&a->core, a->index)) !=
		    (ssize_t)sizes ||
	    fsync(fd) < 0)
		failed = err_sys(e, errno, "%s", a->vmcore);
	close(fd);
	return failed;
}

static int addrandoff(struct addrandoff *a, struct log *log, struct err *e)
{
	int failed;

	if (find_entry(a, log, e) || elf_file_open(a->vmcore, &a->core, e))
		return -1;
	if (a->core.type != ET_CORE)
		failed = err_set(e, ERR_UNSUPPORTED,
				 "%s: is no ELF core (topelf and tovelf write them)", a->vmcore);
	else
		failed = count_phdrs(a, e) || find_notes(a, e) || make_notes(a, e);
	if (!failed)
		failed = a->in_place && a->kept + 3 >= a->len && a->notes_len <= a->room
				 ? append(a, e)
				 : write_file(a, e);
	elf_file_close(&a->core);
	free(a->notes);
	return failed ? -1 : 0;
}

static void print_help(FILE *f)
{
	fputs("Usage: dumptool addrandoff [OPTION...] -v VMCORE -m VMLINUX -o FILE\n"
	      "       dumptool addrandoff [OPTION...] -v VMCORE -m VMLINUX --in-place\n"
	      "       kdump-elftool addrandoff -v VMCORE -m VMLINUX\n"
	      "Write into an ELF core where the kernel ran, so that gdb moves a vmlinux there.\n\n"
	      "  -v, --vmcore FILE       the ELF core\n"
	      "  -m, --vmlinux FILE      the kernel, from which makedyn makes what gdb moves\n"
	      "  -o, --output FILE       write to FILE\n"
	      "  -f, --force             overwrite FILE\n"
	      "      --in-place          change VMCORE itself, as kdump-elftool does\n"
	      "  -e, --extravminfo FILE  facts that count before those of VMCOREINFO\n"
	      "  -h, --help              this text\n\n"
	      "Manual: dumptool-addrandoff(1)\n",
	      f);
}

static const struct option addrandoff_options[] = {
	{ "vmcore", required_argument, NULL, 'v' },
	{ "vmlinux", required_argument, NULL, 'm' },
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ "in-place", no_argument, NULL, 'I' },
	{ "extravminfo", required_argument, NULL, 'e' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int addrandoff_run(int argc, char **argv, struct err *e)
{
	struct addrandoff a = { .in_place = elftool_manner(argv[0]) };
	struct err why = ERR_INIT;
	struct talk t;
	int id;

	talk_init(&t, argv[0], false);
	while ((id = getopt_long(argc, argv, "v:m:o:fe:h", addrandoff_options, NULL)) != -1) {
		const char **texts[] = { ['v'] = &a.vmcore,
					 ['m'] = &a.vmlinux,
					 ['o'] = &a.output };

		if (id == 'h')
			return print_help(stdout), STATUS_OK;
		if (id == '?')
			return usage_error(e, "addrandoff", "wrong option");
		if (id == 'e') {
			if (elftool_extra(&a.in, optarg, &why))
				return usage_error(e, "addrandoff", "%s", why.text);
		} else if (id == 'f') {
			a.force = true;
		} else if (id == 'I') {
			a.in_place = true;
		} else {
			*texts[id] = optarg;
		}
	}
	if (optind < argc)
		return usage_error(e, "addrandoff", "'%s' is one file name too many", argv[optind]);
	if (!a.vmcore || !a.vmlinux)
		return usage_error(e, "addrandoff", "-v VMCORE and -m VMLINUX are needed");
	if (!a.output == !a.in_place)
		return usage_error(e, "addrandoff", "either -o FILE or --in-place");
	if (!addrandoff(&a, &t.log, e))
		return STATUS_OK;
	return e->code == ERR_MISMATCH ? STATUS_MISMATCH : STATUS_FAILED;
}

const struct command addrandoff_command = {
	.name = "addrandoff",
	.summary = "tell gdb, in an ELF core, where the kernel ran",
	.elftool = true,
	.run = addrandoff_run,
};
