/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What inspect tells, as text and as JSON. */
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "arch.h"
#include "cleanup.h"
#include "codec.h"
#include "format.h"
#include "json.h"
#include "main.h"

/* What D's bytes are wrapped in, outermost first. */
#define MAX_WRAPPINGS 16

static unsigned int wrappings(const struct source *s, const char *ret[MAX_WRAPPINGS])
{
	unsigned int nr = 0, i;

	for (; s && nr < MAX_WRAPPINGS; s = source_under(s))
		if (source_kind(s))
			ret[nr++] = source_kind(s);
	for (i = 0; i < nr / 2; i++) {
		const char *swap = ret[i];

		ret[i] = ret[nr - 1 - i];
		ret[nr - 1 - i] = swap;
	}
	return nr;
}

void inspect_format_text(const struct source *s, const char *title, char *ret, size_t size)
{
	const char *kind[MAX_WRAPPINGS];
	unsigned int nr = wrappings(s, kind), i;
	size_t at = 0;

	for (i = 0; i < nr && at < size; i++)
		at += (size_t)snprintf(ret + at, size - at, "%s of ", kind[i]);
	if (at < size)
		snprintf(ret + at, size - at, "%s", title);
}

void inspect_json_wrapping(struct json *j, const struct source *s)
{
	const char *kind[MAX_WRAPPINGS];
	unsigned int nr = wrappings(s, kind), i;

	json_put_array(j, "wrapped_in");
	for (i = 0; i < nr; i++)
		json_put_string(j, NULL, kind[i]);
	json_end(j);
}

static const char *order_name(const struct dump *d)
{
	return d->id.order == ORDER_LE ? "little-endian" : "big-endian";
}

static void print_complete(const struct inspect *in)
{
	const struct dump *d = in->session.dump;

	printf("complete:      %s\n", inspect_is_complete(in) ? "yes" : "NO");
	if (d->incomplete)
		printf("               it says so itself: its writer did not finish\n");
	if (d->damage.missing_bytes)
		printf("               it is cut off, %" PRIu64 " bytes (%" PRIu64
		       " pages) are missing\n",
		       d->damage.missing_bytes, d->damage.unreadable_pages);
	else if (d->damage.unreadable_pages)
		printf("               %" PRIu64 " pages are missing\n",
		       d->damage.unreadable_pages);
	if (in->census.nr_bad)
		printf("               %" PRIu64 " pages cannot be read\n", in->census.nr_bad);
	if (d->damage.bad_structures)
		printf("               %" PRIu64 " of its headers or notes make no sense\n",
		       d->damage.bad_structures);
}

static void print_translation(const struct session *s)
{
	const struct xlat *x = &s->xlat;
	size_t i;

	if (x->paging)
		printf("translation:   %s, root 0x%" PRIx64 ", phys_base 0x%" PRIx64 "\n",
		       x->paging->name, x->root, x->phys_base);
	else
		printf("translation:   none: %s\n", s->no_xlat.text);
	/* ppc64 may have thousands, for its struct pages. */
	for (i = 0; i < MIN(x->nr_windows, (size_t)8); i++)
		printf("               0x%" PRIx64 "-0x%" PRIx64 " is 0x%" PRIx64 " and on\n",
		       x->windows[i].vaddr, x->windows[i].vaddr + (x->windows[i].len - 1),
		       x->windows[i].paddr);
}

static void print_kernel(const struct inspect *in)
{
	const struct dump *d = in->session.dump;
	char when[64] = "";
	time_t t = (time_t)in->crash_time;
	struct tm tm;

	if (!d->vmcoreinfo)
		printf("kernel:        unknown, there is no VMCOREINFO%s\n",
		       in->session.searched ? ", neither as a note nor in memory"
					    : " note, and memory was not looked through for one");
	else
		printf("kernel:        %s%s%s\n", in->release[0] ? in->release : "unknown",
		       in->version[0] ? " " : "", in->version);
	if (in->build_id[0])
		printf("build-id:      %s\n", in->build_id);
	if (in->crash_time && gmtime_r(&t, &tm) &&
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm))
		printf("crash time:    %s\n", when);
	if (in->panic[0])
		printf("panic:         %s\n", in->panic);
	print_translation(&in->session);
}

static void print_cpus(const struct dump *d)
{
	const char *names[2] = { d->arch ? d->arch->pc : NULL, d->arch ? d->arch->sp : NULL };
	unsigned int i, k;

	printf("CPUs:          %u\n", d->nr_cpus);
	for (i = 0; i < d->nr_cpus; i++) {
		printf("  %-4u         pid %d", i, d->cpus[i].pid);
		for (k = 0; k < 2; k++) {
			uint64_t value;

			if (cpu_reg(&d->cpus[i], names[k], &value))
				printf(", %s 0x%" PRIx64, names[k], value);
		}
		printf("\n");
	}
}

#define MAX_SHOWN_RANGES 64

static const char *const state_name[] = { "absent", "present", "zero", "excluded", "unreadable" };

static void print_memory(const struct dump *d)
{
	unsigned int shift = dump_page_shift(d), shown = 0;
	uint64_t pfn = 0, more = 0;
	struct run run;

	printf("memory:\n");
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		if (shown++ >= MAX_SHOWN_RANGES) {
			more++;
			continue;
		}
		printf("  0x%012" PRIx64 "-0x%012" PRIx64 "  %" PRIu64 " pages %s\n",
		       run.pfn << shift, ((run.pfn + run.nr) << shift) - 1, run.nr,
		       state_name[run.state]);
	}
	if (more)
		printf("  and %" PRIu64 " more ranges (--json has all)\n", more);
}

/* How the file came about, by our own note: oldest first. */
static void print_history(const struct dump *d)
{
	const char *at = d->history, *nl;

	for (; at && (nl = strchr(at, '\n')); at = nl + 1)
		printf("%-15s%.*s (command, from, level)\n", at == d->history ? "made by:" : "",
		       (int)(nl - at) - 7, at + 7);
}

/* What the header says about the dump itself, as far as the format has words for it. */
static void print_told(const struct dump *d)
{
	const struct told *t = &d->told;

	if (t->has_level)
		printf("dump level:    %d\n", t->level);
	else
		printf("dump level:    not told by this format\n");
	if (t->version)
		printf("version:       %u\n", t->version);
	if (t->split)
		printf("split set:     %u part%s here, pages 0x%" PRIx64 "-0x%" PRIx64 "\n", t->nr_parts,
		       t->nr_parts == 1 ? "" : "s", t->start_pfn, t->end_pfn ? t->end_pfn - 1 : 0);
	if (d->eraseinfo)
		printf("erased:        %zu bytes of erase information\n", d->eraseinfo_len);
	print_history(d);
}

static const char *codec_slot_name(size_t slot)
{
	return codec_id_name(slot ? 1u << (slot - 1) : CODEC_RAW);
}

/* By page where all were read, else what the header announces. */
static void print_codecs(const struct inspect *in)
{
	uint32_t told = in->session.dump->told.codecs;
	const char *between = "codec:         ";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(in->census.codec); i++) {
		if (in->counted && in->census.codec[i])
			printf("%s%s (%" PRIu64 " pages)", between, codec_slot_name(i),
			       in->census.codec[i]);
		else if (!in->counted && i && told >> (i - 1) & 1 && codec_slot_name(i))
			printf("%s%s", between, codec_slot_name(i));
		else
			continue;
		between = ", ";
	}
	printf("%s\n", *between == 'c' ? "codec:         none" : "");
}

static void print_bad(const struct inspect *in)
{
	const struct census *c = &in->census;
	unsigned int i;

	for (i = 0; i < c->nr_told; i++)
		printf("  page 0x%" PRIx64 ": %s\n", c->bad[i].pfn, c->bad[i].why);
	if (c->nr_bad > c->nr_told)
		printf("  and %" PRIu64 " more\n", c->nr_bad - c->nr_told);
	if (in->verify)
		printf("verified:      %" PRIu64 " pages, %" PRIu64 " damaged\n",
		       in->pages[PAGE_DATA] + in->pages[PAGE_ZERO] + c->nr_bad, c->nr_bad);
}

void inspect_print_text(const struct inspect *in)
{
	const struct dump *d = in->session.dump;
	char format[256];
	unsigned int i;

	inspect_format_text(d->source, d->told.title[0] ? d->told.title : d->format->title, format,
			    sizeof(format));
	for (i = 0; i < in->nr_files; i++)
		printf("%-15s%s\n", i ? "" : "file:", in->files[i]);
	printf("format:        %s\n", format);
	printf("architecture:  %s, %s, %u-bit, page size %u\n",
	       d->arch ? d->arch->title : "unknown", order_name(d), 8u * d->id.word,
	       d->id.page_size);
	print_complete(in);
	print_told(d);
	print_codecs(in);
	print_kernel(in);
	if (d->arch && d->arch->notes)
		print_cpus(d);
	print_memory(d);
	printf("pages:         %" PRIu64 " present", in->pages[PAGE_DATA]);
	if (in->counted)
		printf(" (%" PRIu64 " of them zero)", in->census.zero);
	printf(", %" PRIu64 " excluded, %" PRIu64 " unreadable\n", in->pages[PAGE_EXCLUDED],
	       in->pages[PAGE_UNREADABLE]);
	print_bad(in);
}

static void json_reg(struct json *j, const struct reg *r)
{
	char text[2 + 32 + 1];

	if (!r->high)
		return json_hex(j, r->name, r->value);
	snprintf(text, sizeof(text), "0x%" PRIx64 "%016" PRIx64, r->high, r->value);
	json_put_string(j, r->name, text);
}

void inspect_json_cpus(struct json *j, const struct dump *d, bool all)
{
	unsigned int i, k;

	json_put_array(j, "cpus");
	for (i = 0; i < d->nr_cpus; i++) {
		json_put_object(j, NULL);
		json_int(j, "pid", d->cpus[i].pid);
		json_put_object(j, "registers");
		for (k = 0; k < d->cpus[i].nr_regs; k++)
			if (all || !d->cpus[i].regs[k].extra)
				json_reg(j, &d->cpus[i].regs[k]);
		json_end(j);
		json_end(j);
	}
	json_end(j);
}

static void json_memory(struct json *j, const struct dump *d)
{
	unsigned int shift = dump_page_shift(d);
	uint64_t pfn = 0;
	struct run run;

	json_put_array(j, "memory");
	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr) {
		json_put_object(j, NULL);
		json_hex(j, "start", run.pfn << shift);
		json_uint(j, "pages", run.nr);
		json_put_string(j, "state", state_name[run.state]);
		json_end(j);
	}
	json_end(j);
}

static void json_translation(struct json *j, const struct xlat *x)
{
	size_t i;

	if (x->paging) {
		json_put_string(j, "translation", x->paging->name);
		json_hex(j, "page_table", x->root);
		json_hex(j, "phys_base", x->phys_base);
	}
	json_put_array(j, "windows");
	for (i = 0; i < x->nr_windows; i++) {
		json_put_object(j, NULL);
		json_hex(j, "vaddr", x->windows[i].vaddr);
		json_hex(j, "paddr", x->windows[i].paddr);
		json_hex(j, "bytes", x->windows[i].len);
		json_end(j);
	}
	json_end(j);
}

static void json_kernel(struct json *j, const struct inspect *in)
{
	json_put_object(j, "kernel");
	json_put_string(j, "release", in->release);
	json_put_string(j, "version", in->version);
	json_put_string(j, "machine", in->machine);
	json_put_string(j, "build_id", in->build_id);
	json_int(j, "crash_time", in->crash_time);
	json_put_string(j, "panic", in->panic);
	json_translation(j, &in->session.xlat);
	json_end(j);
}

static void json_told(struct json *j, const struct dump *d)
{
	const struct told *t = &d->told;
	size_t i;

	if (t->has_level)
		json_int(j, "dump_level", t->level);
	if (t->version)
		json_uint(j, "format_version", t->version);
	if (t->split) {
		json_uint(j, "split_parts", t->nr_parts);
		json_hex(j, "start_pfn", t->start_pfn);
		json_hex(j, "end_pfn", t->end_pfn);
	}
	json_put_array(j, "announced_codecs");
	for (i = 1; i < 7; i++)
		if (t->codecs >> (i - 1) & 1 && codec_slot_name(i))
			json_put_string(j, NULL, codec_slot_name(i));
	json_end(j);
	json_uint(j, "eraseinfo_bytes", d->eraseinfo_len);
	if (d->history)
		json_put_string(j, "history", d->history);
}

static void json_census(struct json *j, const struct census *c)
{
	size_t i;

	json_put_object(j, "codecs");
	for (i = 0; i < ARRAY_SIZE(c->codec); i++)
		if (c->codec[i])
			json_uint(j, codec_slot_name(i), c->codec[i]);
	json_end(j);
	json_uint(j, "damaged_pages", c->nr_bad);
	json_put_array(j, "damage");
	for (i = 0; i < c->nr_told; i++) {
		json_put_object(j, NULL);
		json_hex(j, "pfn", c->bad[i].pfn);
		json_put_string(j, "why", c->bad[i].why);
		json_end(j);
	}
	json_end(j);
}

void inspect_print_json(const struct inspect *in)
{
	const struct dump *d = in->session.dump;
	struct json j;

	json_begin(&j, stdout);
	json_document(&j, "inspect", 1);
	json_put_string(&j, "file", in->files[0]);
	json_put_string(&j, "format", d->format->name);
	if (d->told.title[0])
		json_put_string(&j, "through", d->told.title);
	inspect_json_wrapping(&j, d->source);
	json_put_string(&j, "architecture", d->arch ? d->arch->name : "unknown");
	json_int(&j, "e_machine", d->id.e_machine);
	json_put_string(&j, "byte_order", order_name(d));
	json_uint(&j, "word_bits", 8u * d->id.word);
	json_uint(&j, "page_size", d->id.page_size);
	json_bool(&j, "complete", inspect_is_complete(in));
	json_bool(&j, "marked_incomplete", d->incomplete);
	json_uint(&j, "missing_bytes", d->damage.missing_bytes);
	json_uint(&j, "bad_structures", d->damage.bad_structures);
	json_told(&j, d);
	json_kernel(&j, in);
	inspect_json_cpus(&j, d, false);
	json_memory(&j, d);
	json_put_object(&j, "pages");
	json_uint(&j, "present", in->pages[PAGE_DATA]);
	if (in->counted)
		json_uint(&j, "zero", in->census.zero);
	json_uint(&j, "excluded", in->pages[PAGE_EXCLUDED]);
	json_uint(&j, "unreadable", in->pages[PAGE_UNREADABLE]);
	json_end(&j);
	if (in->counted)
		json_census(&j, &in->census);
	if (d->vmcoreinfo)
		json_string_n(&j, "vmcoreinfo", d->vmcoreinfo, d->vmcoreinfo_len);
	json_finish(&j);
}

int inspect_vmcoreinfo(struct inspect *in, struct err *e)
{
	const struct dump *d = in->session.dump;
	size_t i;

	if (!d->vmcoreinfo)
		return err_set(e, ERR_MISSING, "%s: has no VMCOREINFO note",
			       source_name(d->source));
	for (i = 0; i < d->vmcoreinfo_len; i++) {
		unsigned char c = (unsigned char)d->vmcoreinfo[i];

		if (c == '\n' || (c >= ' ' && c < 0x7f))
			putchar(c);
		else if (c)
			printf("\\x%02x", c);
	}
	return 0;
}

