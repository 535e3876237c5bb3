/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile dump of any format, read to the end: map, pages, notes, registers, VMCOREINFO, the
 * names of the kernel. Checks what the map promises, and that the two ways to read a page agree.
 */
#include "archs.h"
#include "cleanup.h"
#include "format.h"
#include "fuzz_dump.h"
#include "note.h"
#include "session.h"

static void check_notes(const struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	unsigned int i, k;
	struct note n;

	while (note_next(&b, &n))
		touch(n.desc, n.desc_len);
	for (i = 0; i < d->nr_cpus; i++)
		for (k = 0; k < d->cpus[i].nr_regs; k++) {
			uint64_t v;

			must(cpu_reg(&d->cpus[i], d->cpus[i].regs[k].name, &v));
		}
	must(!d->vmcoreinfo ||
	     (d->vmcoreinfo >= (const char *)d->notes &&
	      d->vmcoreinfo + d->vmcoreinfo_len <= (const char *)d->notes + d->notes_len));
}

static void check_kernel(struct dump *d)
{
	struct session s = { .dump = d };
	char names[6][65];
	size_t i;

	if (d->vmcoreinfo)
		kernel_add(&s.kernel, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	if (d->arch && d->arch->setup)
		d->arch->setup(d, &s.kernel, &s.xlat, &s.no_xlat);
	session_utsname(&s, names);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		must(memchr(names[i], 0, sizeof(names[i])));
	/* A header of another format may call it anything. */
	must(d->told.has_uts || !strcmp(names[0], "Linux"));
	kernel_fini(&s.kernel);
	xlat_fini(&s.xlat);
}

static void check_dump(struct dump *d)
{
	check_memory(d, false);
	check_notes(d);
	check_kernel(d);
}

void fuzz_set(struct source **s, unsigned int nr, const struct format *const *formats,
	      const struct bind_force *force)
{
	struct log log = { .emit = check_text };
	struct err e = ERR_INIT;
	struct dump *d;

	if (dump_open(s, nr, formats, &log, &d, &e)) {
		must(e.code != ERR_NONE && e.text[0]);
		while (nr)
			source_close(s[--nr]);
		return;
	}
	if (!dump_bind(d, archs, force, &e))
		check_dump(d);
	else
		must(e.code == ERR_NOMEM);
	dump_close(d);
}

void fuzz_dump(const uint8_t *data, size_t size, const struct format *const *formats,
	       const struct bind_force *force)
{
	struct source *s = source_memory("input", data, size);

	must(s);
	fuzz_set(&s, 1, formats, force);
}
