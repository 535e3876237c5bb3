/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile dump of any format, read to the end: map, pages, notes, registers, VMCOREINFO, the
 * names of the kernel. Checks what the map promises, and that the two ways to read a page agree.
 */
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "format.h"
#include "fuzz.h"
#include "note.h"
#include "pfnset.h"
#include "session.h"

#define MAX_PAGES 256 /* that are read, of one input */

struct walk {
	struct dump *d;
	struct reader view, page;
	uint8_t *buf;
	uint64_t data_pages;
	unsigned int pages_left;
};

static void check_not_readable(struct walk *w, uint64_t pfn)
{
	struct err e = ERR_INIT;
	uint8_t byte;

	if (pfn >> (64 - dump_page_shift(w->d)))
		return;
	must(reader_read(&w->view, SPACE_PHYS, pfn << dump_page_shift(w->d), &byte, 1, &e));
	must(e.code == ERR_UNREADABLE && e.text[0]);
}

/* A page of data that the source holds can be read, in place and exactly, with the same result. */
static void check_page(struct walk *w, uint64_t pfn, uint64_t nr)
{
	size_t size = w->d->id.page_size;
	struct err e = ERR_INIT;
	struct view v;

	if (!w->pages_left)
		return;
	w->pages_left--;
	must(!reader_view(&w->view, SPACE_PHYS, pfn, nr, &v, &e));
	must(v.nr >= 1 && v.nr <= nr);
	must(!reader_page(&w->page, SPACE_PHYS, pfn, w->buf, &e));
	must(!memcmp(v.data, w->buf, size));
	touch(v.data + (v.nr - 1) * size, size);
	must(!reader_read(&w->page, SPACE_PHYS, (pfn << dump_page_shift(w->d)) + size - 1, w->buf,
			  1, &e));
}

static void check_run(struct walk *w, const struct run *run)
{
	uint64_t middle = run->pfn + run->nr / 2, last = run->pfn + run->nr - 1;
	struct run part;

	must(dump_next_run(w->d, SPACE_PHYS, middle, &part));
	must(part.pfn == middle && part.state == run->state && part.pfn + part.nr == last + 1);
	if (run->state == PAGE_DATA) {
		check_page(w, run->pfn, run->nr);
		check_page(w, middle, last + 1 - middle);
		check_page(w, last, 1);
		w->data_pages += run->nr;
	} else {
		must(run->state == PAGE_EXCLUDED || run->state == PAGE_UNREADABLE);
		check_not_readable(w, run->pfn);
		check_not_readable(w, last);
	}
}

static void check_map(struct walk *w)
{
	uint64_t pfn = 0;
	struct err e = ERR_INIT;
	struct pfnset set;
	struct run run;

	for (; dump_next_run(w->d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		must(run.pfn >= pfn && run.nr && run.pfn + run.nr > run.pfn);
		if (run.pfn > pfn)
			check_not_readable(w, run.pfn - 1);
		check_run(w, &run);
	}
	must(dump_max_pfn(w->d) == pfn);
	check_not_readable(w, pfn);
	must(!pfnset_init(&set, w->d, &e));
	must(pfnset_count(&set, 0, UINT64_MAX) == w->data_pages);
	pfnset_fini(&set);
}

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
	must(!strcmp(names[0], "Linux"));
	kernel_fini(&s.kernel);
}

static void check_dump(struct dump *d)
{
	struct walk w = { .d = d, .pages_left = MAX_PAGES };

	w.buf = malloc(d->id.page_size);
	must(w.buf);
	reader_init(&w.view, d);
	reader_init(&w.page, d);
	check_map(&w);
	reader_fini(&w.view);
	reader_fini(&w.page);
	free(w.buf);
	check_notes(d);
	check_kernel(d);
}

static void say_nothing(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)level;
	must(text[0] && !strchr(text, '\n'));
}

void fuzz_dump(const uint8_t *data, size_t size, const struct format *const *formats,
	       const struct bind_force *force)
{
	struct log log = { .emit = say_nothing };
	struct source *s = source_memory("input", data, size);
	struct err e = ERR_INIT;
	struct dump *d;

	must(s);
	if (dump_open(&s, 1, formats, &log, &d, &e)) {
		must(e.code != ERR_NONE && e.text[0]);
		source_close(s);
		return;
	}
	if (!dump_bind(d, archs, force, &e))
		check_dump(d);
	else
		must(e.code == ERR_NOMEM);
	dump_close(d);
}
