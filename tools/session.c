/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "formats.h"
#include "main.h"
#include "parse.h"
#include "spool.h"

/* ---- operands ---- */

static const struct {
	const char *name;
	int id;
	const char *arg, *help;
} input_options[NR_INPUT_OPTIONS] = {
	{ "arch", INPUT_OPT_ARCH, "NAME", "the dump is of that architecture" },
	{ "page-size", INPUT_OPT_PAGE_SIZE, "N", "its pages have N bytes (4K, 64K)" },
	{ "assume", INPUT_OPT_ASSUME, "KEY=VALUE", "it is so, whatever it says:" },
	{ "vmcoreinfo", INPUT_OPT_VMCOREINFO, "FILE", "VMCOREINFO; scan: look in memory; none" },
	{ "vmlinux", INPUT_OPT_VMLINUX, "FILE", "the kernel with debugging information" },
	{ "spool-dir", INPUT_OPT_SPOOL_DIR, "DIR", "unpack compressed or piped input there" },
	{ "spool-limit", INPUT_OPT_SPOOL_LIMIT, "SIZE", "use at most SIZE there" },
};

void input_options_add(struct option *longs, size_t nr)
{
	size_t i;

	for (i = 0; i < NR_INPUT_OPTIONS; i++)
		longs[nr++] = (struct option){ .name = input_options[i].name,
					       .has_arg = required_argument,
					       .val = input_options[i].id };
	longs[nr] = (struct option){ .name = NULL };
}

void input_options_help(FILE *f, int column)
{
	char left[48];
	size_t i;

	for (i = 0; i < NR_INPUT_OPTIONS; i++) {
		snprintf(left, sizeof(left), "      --%s %s", input_options[i].name,
			 input_options[i].arg);
		fprintf(f, "%-*s%s\n", column, left, input_options[i].help);
		if (input_options[i].id == INPUT_OPT_ASSUME)
			assume_help(f);
	}
}

int input_option(struct input_opts *o, int id, const char *arg, struct err *e)
{
	switch (id) {
	case INPUT_OPT_ARCH:
		return assume_set(&o->assume, "arch", arg, e);
	case INPUT_OPT_PAGE_SIZE:
		return assume_set(&o->assume, "page-size", arg, e);
	case INPUT_OPT_ASSUME:
		return assume_parse(&o->assume, arg, e);
	case INPUT_OPT_VMCOREINFO:
		o->vmcoreinfo = arg;
		return 0;
	case INPUT_OPT_VMLINUX:
		o->vmlinux = arg;
		return 0;
	case INPUT_OPT_SPOOL_DIR:
		o->spool.dir = arg;
		return 0;
	default:
		return parse_size(arg, &o->spool.limit)
			       ? 0
			       : err_set(e, ERR_USAGE, "'%s' is not a size", arg);
	}
}

/* FILE@ADDR: where the file's name ends, unless there is a file of that name as a whole. */
static const char *address_in(const char *name, uint64_t *ret)
{
	const char *at = strrchr(name, '@');

	if (!at || at == name || !access(name, F_OK))
		return NULL;
	return parse_number(at + 1, 16, UINT64_MAX, ret) ? at : NULL;
}

/* Bytes that cannot be sought in are spooled. */
static int open_fd(int fd, const char *name, const struct input_opts *o, struct source **ret,
		   struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", name);
	if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
		return source_fd(fd, name, o->source_flags, ret, e);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (spool_fd(fd, name, &o->spool, ret, e))
		return -1;
	close(fd);
	return 0;
}

static int open_source(const char *name, const struct input_opts *o, struct source **ret,
		       struct err *e)
{
	_cleanup_free_ char *path = NULL;
	uint64_t base = 0;
	const char *at = address_in(name, &base);
	int fd;

	path = at ? strndup(name, (size_t)(at - name)) : strdup(name);
	if (!path)
		return err_set(e, ERR_NOMEM, "out of memory");
	fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
			       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (open_fd(fd, strcmp(path, "-") ? path : "standard input", o, ret, e)) {
		close(fd);
		return -1;
	}
	if (at)
		source_set_base(*ret, base);
	return 0;
}

void close_sources(struct source **sources, unsigned int nr)
{
	while (nr)
		source_close(sources[--nr]);
}

int open_sources(char *const *names, unsigned int nr, const struct input_opts *opts,
		 struct log *log, struct source **ret, struct err *e)
{
	struct input_opts o = *opts;
	unsigned int i;

	o.spool.log = log;
	o.spool.interrupted = &interrupted;
	for (i = 0; i < nr; i++) {
		uint64_t base;
		bool is_memory;
		int failed = open_source(names[i], &o, &ret[i], e);

		if (failed)
			ret[i] = NULL;
		is_memory = !failed && source_base(ret[i], &base);
		/* Memory that begins like a compressed file is one. */
		failed = failed || source_unwrap(&ret[i], opener_table, &o.spool, e);
		if (!failed && is_memory)
			source_set_base(ret[i], base);
		if (failed) {
			close_sources(ret, i + 1);
			return -1;
		}
	}
	return 0;
}

/* ---- the session ---- */

/*
 * The table's formats come before the last resort; those that it knows by name only give way to one
 * that reads them.
 */
static const struct format *const *table_for(struct source *s)
{
	const struct format *f = dump_recognise(s, formats);

	return f && (f->open || !dump_recognise(s, link_formats)) ? formats : link_formats;
}

const struct format *recognise(struct source *s)
{
	return dump_recognise(s, table_for(s));
}

static int open_dump(struct session *s, struct source **sources, unsigned int nr, struct log *log,
		     struct err *e)
{
	return dump_open(sources, nr, table_for(sources[0]), log, &s->dump, e);
}

int session_use(struct session *s, struct source **sources, unsigned int nr,
		const struct input_opts *o, struct log *log, struct err *e)
{
	*s = (struct session){ .no_xlat = ERR_INIT };
	if (open_dump(s, sources, nr, log, e))
		return -1;
	if (session_bind(s, o, log, e)) {
		s->dump->nr_sources = 0; /* they stay the caller's */
		session_close(s);
		return -1;
	}
	return 0;
}

int session_open(struct session *s, char *const *names, unsigned int nr,
		 const struct input_opts *o, struct log *log, struct err *e)
{
	_cleanup_free_ struct source **sources = calloc(nr, sizeof(*sources));

	*s = (struct session){ .no_xlat = ERR_INIT };
	if (!sources)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (open_sources(names, nr, o, log, sources, e))
		return -1;
	if (!session_use(s, sources, nr, o, log, e))
		return 0;
	close_sources(sources, nr);
	return -1;
}

void session_close(struct session *s)
{
	if (s->vmlinux && !s->vmlinux_added)
		s->vmlinux->close(s->vmlinux);
	kernel_fini(&s->kernel);
	free(s->assumed);
	s->assumed = NULL;
	xlat_fini(&s->xlat);
	dump_close(s->dump);
	s->dump = NULL;
}

bool session_reads(const struct session *s, const char *path)
{
	unsigned int i;

	for (i = 0; i < s->dump->nr_sources; i++)
		if (source_is_path(s->dump->sources[i], path))
			return true;
	return false;
}
