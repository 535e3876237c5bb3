/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "archs.h"
#include "formats.h"

static void setup_kernel(struct session *s, struct log *log)
{
	struct dump *d = s->dump;

	if (d->vmcoreinfo)
		kernel_add(&s->kernel, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	else
		log_debug(log, "%s: has no VMCOREINFO note", source_name(d->source));
	if (!d->arch || !d->arch->setup) {
		err_set(&s->no_xlat, ERR_UNSUPPORTED,
			"addresses of %s (ELF machine %u) cannot be translated yet",
			d->arch ? d->arch->title : "this architecture", d->id.e_machine);
		return;
	}
	if (d->arch->setup(d, &s->kernel, &s->xlat, &s->no_xlat))
		log_debug(log, "%s: %s", source_name(d->source), s->no_xlat.text);
}

int session_open(struct session *s, const char *path, unsigned int flags, struct log *log,
		 struct err *e)
{
	struct source *source;

	*s = (struct session){ .no_xlat = ERR_INIT };
	if (source_open(path, flags, &source, e))
		return -1;
	if (dump_open(source, formats, log, &s->dump, e)) {
		source_close(source);
		return -1;
	}
	if (dump_bind(s->dump, archs, e)) {
		session_close(s);
		return -1;
	}
	setup_kernel(s, log);
	return 0;
}

void session_close(struct session *s)
{
	kernel_fini(&s->kernel);
	dump_close(s->dump);
	s->dump = NULL;
}

/* Is this a string of sane characters, ended inside its 65 bytes? */
static int sane_name(const char *name)
{
	size_t i;

	for (i = 0; i < 65 && name[i]; i++)
		if (name[i] < ' ' || name[i] > '~')
			return 0;
	return i < 65;
}

static int read_utsname(struct session *s, char ret[6][65])
{
	struct err ignored = ERR_INIT;
	struct reader r;
	uint64_t at, off;
	int failed, i;

	if (!kernel_fact(&s->kernel, FACT_SYMBOL, "init_uts_ns", &at) ||
	    !kernel_fact(&s->kernel, FACT_OFFSET, "uts_namespace.name", &off))
		return -1;
	reader_init(&r, s->dump);
	failed = xlat_read(&s->xlat, &r, at + off, ret, 6 * 65, &ignored);
	reader_fini(&r);
	for (i = 0; !failed && i < 6; i++)
		failed = !sane_name(ret[i]);
	return failed || strcmp(ret[0], "Linux") ? -1 : 0;
}

void session_utsname(struct session *s, char ret[6][65])
{
	if (!read_utsname(s, ret))
		return;
	memset(ret, 0, 6 * 65);
	strcpy(ret[0], "Linux");
	kernel_text(&s->kernel, "OSRELEASE", ret[2], 65);
	if (!sane_name(ret[2]))
		ret[2][0] = '\0';
	if (s->dump->id.uname)
		snprintf(ret[4], 65, "%s", s->dump->id.uname);
}
