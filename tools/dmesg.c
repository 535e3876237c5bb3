/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool dmesg, and vmcore-dmesg: the kernel log of a dump as text. */
#include "dmesg.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "main.h"
#include "talk.h"

struct out {
	struct sink *sink; /* NULL: standard output */
	uint64_t off;
};

static int put_line(void *priv, const char *line, size_t len, struct err *e)
{
	struct out *o = priv;

	if (!o->sink) {
		fwrite(line, 1, len, stdout);
		putc('\n', stdout);
		return ferror(stdout) ? err_sys(e, errno, "standard output") : 0;
	}
	if (sink_write(o->sink, o->off, line, len, e) ||
	    sink_write(o->sink, o->off + len, "\n", 1, e))
		return -1;
	o->off += len + 1;
	return 0;
}

int dmesg_write(struct session *s, const struct printk_opts *opts, struct sink *sink, bool *damaged,
		struct err *e)
{
	struct out o = { .sink = sink };
	struct printk_stats stats = { .lost = 0 };
	struct reader r;
	int ret;

	*damaged = false;
	if (!xlat_works(&s->xlat)) {
		*e = s->no_xlat;
		return err_add(e, "%s: no kernel log", source_name(s->dump->source));
	}
	session_complete(s, 0);
	reader_init(&r, s->dump);
	ret = printk_read(&s->kernel, &s->xlat, &r, opts, put_line, &o, &stats, e);
	reader_fini(&r);
	if (ret)
		return e->code == ERR_MISSING || e->code == ERR_UNREADABLE || e->code == ERR_CORRUPT
			       ? err_add(e, "%s: no kernel log", source_name(s->dump->source))
			       : -1;
	*damaged = stats.lost != 0;
	if (sink)
		return sink_commit(sink, o.off, e);
	return fflush(stdout) ? err_sys(e, errno, "standard output") : 0;
}

static void print_help(FILE *f)
{
	fputs("Usage: dumptool dmesg [OPTION...] DUMP...\n"
	      "       vmcore-dmesg [OPTION...] DUMP\n"
	      "Print the kernel log of a dump.\n\n"
	      "  -o, --output FILE       write to FILE, which only its owner can read\n"
	      "  -f, --force             overwrite FILE, take any vmlinux\n"
	      "      --since-clear       only what was logged since the log was last cleared\n",
	      f);
	input_options_help(f, 26);
	fputs("  -h, --help              this text\n\n"
	      "Manual: dumptool-dmesg(1)\n",
	      f);
}

static int run(char *const *inputs, unsigned int nr, const struct input_opts *in,
	       const char *output, bool force, const struct printk_opts *opts, struct talk *t,
	       struct err *e)
{
	struct input_opts opened = *in;
	struct sink *sink = NULL;
	struct session s;
	bool damaged;
	int status = STATUS_FAILED;

	opened.progress = talk_progress(t);
	opened.force_vmlinux = force;
	if (session_open(&s, inputs, nr, &opened, &t->log, e))
		return STATUS_FAILED;
	if (output && session_reads(&s, output))
		err_set(e, ERR_EXISTS, "%s: is the input", output);
	else if (output && sink_file(output, force ? SINK_FORCE : 0, &sink, e))
		err_add(e, "cannot write");
	else if (!dmesg_write(&s, opts, sink, &damaged, e))
		status = damaged ? STATUS_DAMAGED : STATUS_OK;
	else if (sink && e->code != ERR_NOSPACE && e->code != ERR_IO)
		sink_discard(sink);
	sink_close(sink);
	session_close(&s);
	return status;
}

static struct option dmesg_options[4 + NR_INPUT_OPTIONS + 1] = {
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ "since-clear", no_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
};

static int dmesg_run(int argc, char **argv, struct err *e)
{
	bool kexec_tools = !strcmp(argv[0], "vmcore-dmesg"), force = false;
	struct printk_opts opts = { .since_clear = false, .no_caller = kexec_tools };
	struct input_opts in = { .source_flags = 0 };
	const char *output = NULL;
	struct err why = ERR_INIT;
	struct talk t;
	int id;

	talk_init(&t, kexec_tools ? argv[0] : "dumptool dmesg", false);
	input_options_add(dmesg_options, 4);
	while ((id = getopt_long(argc, argv, "o:fh", dmesg_options, NULL)) != -1) {
		switch (id) {
		case 'o':
			output = optarg;
			break;
		case 'f':
			force = true;
			break;
		case 's':
			opts.since_clear = true;
			break;
		case 'h':
			print_help(stdout);
			return STATUS_OK;
		case '?':
			return usage_error(e, "dmesg", "wrong option");
		default:
			if (input_option(&in, id, optarg, &why))
				return usage_error(e, "dmesg", "%s", why.text);
		}
	}
	if (argc - optind < 1 || (kexec_tools && argc - optind > 1))
		return usage_error(e, "dmesg", "one dump is needed");
	id = run(argv + optind, (unsigned int)(argc - optind), &in, output, force, &opts, &t, e);
	/* Whoever calls vmcore-dmesg takes any other status for "no log". */
	return kexec_tools && id == STATUS_DAMAGED ? STATUS_OK : id;
}

const struct command dmesg_command = {
	.name = "dmesg",
	.aliases = { "vmcore-dmesg" },
	.summary = "print the kernel log of a dump",
	.run = dmesg_run,
};
