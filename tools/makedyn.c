/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool makedyn: a vmlinux that gdb moves to where the kernel ran. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "elf_file.h"
#include "elftool.h"
#include "main.h"

struct makedyn {
	const char *output; /* NULL: FILE.dyn */
	bool in_place, force;
};

static void encode_type(const struct elf_file *f, uint8_t ret[2])
{
	struct bytes_out o = { .data = ret, .size = 2, .order = f->order };

	out_uint(&o, ET_DYN, 2);
}

/* Two bytes inside one sector: there is no half of that. */
static int change(const struct elf_file *f, const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY), failed = 0;
	uint8_t type[2];

	encode_type(f, type);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (pwrite(fd, type, sizeof(type), E_TYPE_OFF) != sizeof(type) || fsync(fd) < 0)
		failed = err_sys(e, errno, "%s", path);
	close(fd);
	return failed;
}

static int copy(const struct elf_file *f, const struct makedyn *m, const char *path, struct err *e)
{
	_cleanup_free_ char *made = malloc(strlen(path) + sizeof(".dyn"));
	const char *output = m->output ? m->output : made;
	struct sink *sink;
	uint8_t type[2];
	int failed;

	if (!made)
		return err_set(e, ERR_NOMEM, "out of memory");
	stpcpy(stpcpy(made, path), ".dyn");
	if (source_is_path(f->source, output))
		return err_set(e, ERR_EXISTS, "%s: is the input (--in-place changes it)", output);
	if (sink_file(output, SINK_RENAME | (m->force ? SINK_FORCE : 0), &sink, e))
		return -1;
	encode_type(f, type);
	failed = elf_file_copy(f, UINT64_MAX, 0, sink, e) ||
		 (f->type != ET_DYN && sink_write(sink, E_TYPE_OFF, type, sizeof(type), e)) ||
		 sink_commit(sink, source_size(f->source), e);
	if (failed)
		sink_discard(sink);
	sink_close(sink);
	return failed ? -1 : 0;
}

static int make(const struct makedyn *m, const char *path, struct err *e)
{
	struct elf_file f;
	int failed = 0;

	if (elf_file_open(path, &f, e))
		return -1;
	if (f.type != ET_EXEC && f.type != ET_DYN)
		failed = err_set(e, ERR_UNSUPPORTED,
				 "%s: ELF file of type %u, expected an executable (%d)", path,
				 f.type, ET_EXEC);
	else if (!m->in_place)
		failed = copy(&f, m, path, e);
	else if (f.type == ET_EXEC)
		failed = change(&f, path, e);
	elf_file_close(&f);
	return failed;
}

static void print_help(FILE *f)
{
	fputs("Usage: dumptool makedyn [OPTION...] VMLINUX...\n"
	      "       kdump-elftool makedyn VMLINUX...\n"
	      "Make a vmlinux of type DYN, which gdb moves to where the kernel ran.\n\n"
	      "  -o, --output FILE  write to FILE; the default is VMLINUX.dyn\n"
	      "  -f, --force        overwrite what exists\n"
	      "      --in-place     change VMLINUX itself, as kdump-elftool does\n"
	      "  -h, --help         this text\n\n"
	      "Manual: dumptool-makedyn(1)\n",
	      f);
}

static int makedyn_run(int argc, char **argv, struct err *e)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "in-place", no_argument, NULL, 'I' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct makedyn m = { .in_place = elftool_manner(argv[0]) };
	int id;

	while ((id = getopt_long(argc, argv, "o:fh", longs, NULL)) != -1) {
		switch (id) {
		case 'o':
			m.output = optarg;
			break;
		case 'f':
			m.force = true;
			break;
		case 'I':
			m.in_place = true;
			break;
		case 'h':
			print_help(stdout);
			return STATUS_OK;
		default:
			return usage_error(e, "makedyn", "wrong option");
		}
	}
	if (optind == argc)
		return usage_error(e, "makedyn", "a vmlinux is needed");
	if (m.output && (m.in_place || optind + 1 < argc))
		return usage_error(e, "makedyn", "-o is for one vmlinux, and not with --in-place");
	for (; optind < argc; optind++)
		if (make(&m, argv[optind], e))
			return STATUS_FAILED;
	return STATUS_OK;
}

const struct command makedyn_command = {
	.name = "makedyn",
	.summary = "make a vmlinux that gdb moves to where the kernel ran",
	.elftool = true,
	.run = makedyn_run,
};
