/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toolnote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format.h"
#include "rules.h"

/* Lines of one kind: some 70 MB of text, within what notes may take. */
#define MAX_LINES ((size_t)1 << 20)
#define MAX_HISTORY ((size_t)4 << 10)

bool toolnote_is(const struct note *n)
{
	return n->type == TOOL_NOTE_TYPE && note_owner_is(n, TOOL_NOTE_OWNER);
}

/* ---- reading ---- */

struct line {
	const char *key, *value;
	size_t key_len, value_len;
};

/* The next KEY=VALUE of the text; false at its end. */
static bool next_line(const char **text, size_t *left, struct line *ret)
{
	while (*left) {
		const char *start = *text, *nl = memchr(start, '\n', *left), *eq;
		size_t len = nl ? (size_t)(nl - start) : *left;

		*text += MIN(len + 1, *left);
		*left -= MIN(len + 1, *left);
		eq = memchr(start, '=', len);
		if (!eq)
			continue;
		*ret = (struct line){ .key = start,
				      .key_len = (size_t)(eq - start),
				      .value = eq + 1,
				      .value_len = len - (size_t)(eq - start) - 1 };
		return true;
	}
	return false;
}

static bool is_key(const struct line *l, const char *key)
{
	return l->key_len == strlen(key) && !memcmp(l->key, key, l->key_len);
}

/* Up to NR hexadecimal numbers, separated by blanks; how many there are. */
static unsigned int read_numbers(const struct line *l, uint64_t *ret, unsigned int nr)
{
	char text[128], *at = text, *end;
	unsigned int i;

	snprintf(text, sizeof(text), "%.*s", (int)MIN(l->value_len, sizeof(text) - 1), l->value);
	for (i = 0; i < nr; i++, at = end) {
		ret[i] = strtoull(at, &end, 16);
		if (end == at)
			break;
	}
	return i;
}

static bool read_segment(const struct line *l, struct segment *ret)
{
	uint64_t v[5];

	if (read_numbers(l, v, 5) != 5 || v[2] > v[3] || v[3] > UINT64_MAX - v[1])
		return false;
	*ret = (struct segment){ .vaddr = v[0],
				 .paddr = v[1],
				 .filesz = v[2],
				 .memsz = v[3],
				 .flags = (uint32_t)v[4] };
	return true;
}

static bool read_ram(const struct line *l, struct noted_ram *ret)
{
	uint64_t v[2];

	if (read_numbers(l, v, 2) != 2 || v[1] > UINT64_MAX - v[0])
		return false;
	*ret = (struct noted_ram){ .addr = v[0], .size = v[1] };
	return true;
}

static size_t count_lines(const char *text, size_t len, const char *key)
{
	struct line l;
	size_t nr = 0;

	while (next_line(&text, &len, &l))
		nr += is_key(&l, key);
	return MIN(nr, MAX_LINES);
}

/* The tables, which replace what D has. Without memory for them D keeps that. */
static void read_tables(struct dump *d, const char *text, size_t len)
{
	size_t segments = count_lines(text, len, "PT_LOAD"), ram = count_lines(text, len, "RAM");
	struct segment *s = segments ? calloc(segments, sizeof(*s)) : NULL;
	struct noted_ram *r = ram ? calloc(ram, sizeof(*r)) : NULL;
	struct line l;

	if (s) {
		free(d->segments);
		d->segments = s;
		d->nr_segments = 0;
		d->segments_noted = true;
	}
	if (r) {
		free(d->ram);
		d->ram = r;
		d->nr_ram = 0;
	}
	while (next_line(&text, &len, &l)) {
		if (s && is_key(&l, "PT_LOAD") && d->nr_segments < segments)
			d->nr_segments += read_segment(&l, &s[d->nr_segments]);
		else if (r && is_key(&l, "RAM") && d->nr_ram < ram)
			d->nr_ram += read_ram(&l, &r[d->nr_ram]);
	}
}

/* A word for the history: what does not belong there ends it. */
static void put_word(FILE *f, const struct line *l)
{
	size_t i;

	for (i = 0; i < MIN(l->value_len, (size_t)32); i++) {
		char c = l->value[i];

		if (c <= ' ' || c > '~' || c == ',')
			break;
		fputc(c, f);
	}
}

/* The dump level, which the header of an ELF file has no place for. */
static void read_level(struct dump *d, const char *text, size_t len)
{
	struct line l;
	int level = 0;
	size_t i;

	while (next_line(&text, &len, &l)) {
		if (d->told.has_level || !is_key(&l, "LEVEL") || l.value_len > 2)
			continue;
		for (i = 0; i < l.value_len && l.value[i] >= '0' && l.value[i] <= '9'; i++)
			level = level * 10 + (l.value[i] - '0');
		d->told.has_level = i == l.value_len && i && level <= LEVEL_MAX;
		d->told.level = level;
		return;
	}
}

/* How the file before D was made, as a line, behind those that the note has already. */
static void read_history(struct dump *d, const char *text, size_t len)
{
	struct line command = { .value_len = 0 }, source = command, level = command, l;
	char *history = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&history, &size);

	if (!f)
		return;
	while (next_line(&text, &len, &l)) {
		if (is_key(&l, "COMMAND"))
			command = l;
		else if (is_key(&l, "SOURCE"))
			source = l;
		else if (is_key(&l, "LEVEL"))
			level = l;
		else if (is_key(&l, "CLASS") && l.value_len == 2)
			d->id.elf_class = l.value[0] == '3' ? 4 : 8;
		else if (is_key(&l, "BEFORE") && l.value_len < 128 &&
			 (size_t)ftell(f) < MAX_HISTORY)
			fprintf(f, "BEFORE=%.*s\n", (int)l.value_len, l.value);
	}
	fputs("BEFORE=", f);
	put_word(f, &command);
	fputc(',', f);
	put_word(f, &source);
	fputc(',', f);
	put_word(f, &level);
	fputc('\n', f);
	if (fclose(f)) {
		free(history);
		return;
	}
	free(d->history);
	d->history = history;
}

void toolnote_read(struct dump *d, const char *text, size_t len)
{
	read_tables(d, text, len);
	read_history(d, text, len);
	read_level(d, text, len);
}

/* ---- writing ---- */

static void put_segments(FILE *f, const struct dump *d)
{
	size_t i;

	if (d->id.elf_class)
		fprintf(f, "CLASS=%d\n", 8 * d->id.elf_class);
	/* Half a table would take the place of the whole one that an ELF file has of its own. */
	if (d->nr_segments > MAX_LINES)
		log_warn(d->log, "%zu program headers are too many to be noted: addresses are lost",
			 d->nr_segments);
	for (i = 0; d->nr_segments <= MAX_LINES && i < d->nr_segments; i++) {
		const struct segment *s = &d->segments[i];

		fprintf(f, "PT_LOAD=%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %x\n", s->vaddr,
			s->paddr, s->filesz, s->memsz, s->flags);
	}
}

/* The memory that exists, whatever D has of it. */
static void put_ram(FILE *f, const struct dump *d)
{
	unsigned int shift = dump_page_shift(d);
	size_t lines = 0;
	uint64_t start = 0, end = 0;
	bool more;

	do {
		struct run run = { .pfn = 0 };

		more = dump_next_run(d, SPACE_PHYS, end, &run);
		if (more && run.pfn == end && end != start) {
			end += run.nr;
			continue;
		}
		if (end != start && lines++ < MAX_LINES)
			fprintf(f, "RAM=%" PRIx64 " %" PRIx64 "\n", start << shift,
				(end - start) << shift);
		start = run.pfn;
		end = run.pfn + run.nr;
	} while (more);
}

char *toolnote_text(const struct dump *d, const struct toolnote *how, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	fprintf(f, "VERSION=%s\nCOMMAND=%s\nSOURCE=%s\nLEVEL=%d\nCODEC=%s\n", how->version,
		how->command, d->format->name, how->level, how->codec);
	if (d->history)
		fputs(d->history, f);
	if (d->damage.missing_bytes)
		fprintf(f, "MISSING_BYTES=%" PRIu64 "\n", d->damage.missing_bytes);
	put_segments(f, d);
	if (!d->nr_segments)
		put_ram(f, d);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
