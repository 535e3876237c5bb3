/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "printk_priv.h"

#define LINE_LIMIT (4u * TEXT_MAX + 64u) /* all of a text escaped, and its prefix */

void printk_lose(struct printk_job *j, uint64_t n)
{
	if (!j->stats.lost)
		j->first = j->why;
	j->stats.lost += n;
}

void printk_warn_clear(struct printk_job *j)
{
	log_warn(j->r->dump->log,
		 "kernel log: it is not known when it was cleared, all of it is told: %s",
		 j->why.text);
}

int printk_read_u32(struct printk_job *j, uint64_t vaddr, uint64_t *ret)
{
	return xlat_read_uint(j->x, j->r, vaddr, 4, ret, j->e);
}

int printk_read_word(struct printk_job *j, uint64_t vaddr, uint64_t *ret)
{
	return xlat_read_uint(j->x, j->r, vaddr, j->word, ret, j->e);
}

int printk_need_facts(struct printk_job *j, const struct printk_need *needs, size_t nr, void *ret)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t v;

		if (kernel_need(j->k, needs[i].kind, needs[i].name, &v, j->e))
			return -1;
		memcpy((char *)ret + needs[i].at, &v, sizeof(v));
	}
	return 0;
}

int printk_need_inside(struct printk_job *j, const struct printk_member *m, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (m[i].size > STRUCT_MAX || m[i].off > m[i].size ||
		    m[i].len > m[i].size - m[i].off)
			return err_set(j->e, ERR_CORRUPT,
				       "a member at offset %" PRIu64 " of struct %s of %" PRIu64
				       " bytes",
				       m[i].off, m[i].name, m[i].size);
	return 0;
}

/* ---- lines ---- */

int printk_line_end(struct printk_job *j)
{
	size_t len = j->line.len;
	int rc = j->fn(j->priv, len ? j->line.buf : "", len, j->e);

	j->line.len = 0;
	j->stopped = rc != 0;
	return rc;
}

/* Room for N more bytes. A line that grows beyond all text of a record is told in parts. */
static int line_room(struct printk_job *j, size_t n)
{
	struct printk_line *l = &j->line;
	size_t room = MIN(MAX(2 * l->room, 1024u), LINE_LIMIT);
	char *more;

	if (l->room - l->len >= n)
		return 0;
	if (l->room == LINE_LIMIT)
		return printk_line_end(j);
	more = realloc(l->buf, room);
	if (!more)
		return err_set(j->e, ERR_NOMEM, "no memory for a line of %zu bytes", room);
	l->buf = more;
	l->room = room;
	return 0;
}

/*
 * As isprint() and isspace() in the C locale, which is what makedumpfile and vmcore-dmesg let
 * through.
 */
static bool passes(uint8_t c)
{
	return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r');
}

int printk_line_char(struct printk_job *j, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	struct printk_line *l = &j->line;
	int rc = line_room(j, 4);

	if (rc)
		return rc;
	if (passes(c)) {
		l->buf[l->len++] = (char)c;
		return 0;
	}
	l->buf[l->len++] = '\\';
	l->buf[l->len++] = 'x';
	l->buf[l->len++] = hex[c >> 4];
	l->buf[l->len++] = hex[c & 15];
	return 0;
}

/*
 * Text with newlines in it: each but the last line is told, the next one indented to the text of
 * the first.
 */
static int line_text(struct printk_job *j, const uint8_t *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		int rc = text[i] == '\n' ? printk_line_end(j) : printk_line_char(j, text[i]);

		if (rc)
			return rc;
		if (text[i] == '\n' && j->line.indent) {
			rc = line_room(j, j->line.indent);
			if (rc)
				return rc;
			memset(j->line.buf, ' ', j->line.indent);
			j->line.len = j->line.indent;
		}
	}
	return 0;
}

int printk_record(struct printk_job *j, uint64_t ts_nsec, const uint32_t *caller,
		  const uint8_t *text, size_t len)
{
	const uint32_t is_cpu = 0x80000000u; /* printk_caller_id(), Linux 5.1 */
	char prefix[64], id[16];
	int n, rc;

	n = snprintf(prefix, sizeof(prefix), "[%5" PRIu64 ".%06" PRIu64 "] ", ts_nsec / 1000000000,
		     ts_nsec % 1000000000 / 1000);
	if (caller && !j->no_caller) {
		snprintf(id, sizeof(id), "%c%" PRIu32, *caller & is_cpu ? 'C' : 'T',
			 *caller & ~is_cpu);
		n += snprintf(prefix + n, sizeof(prefix) - (size_t)n, "[%8s] ", id);
	}
	rc = line_room(j, (size_t)n);
	if (rc)
		return rc;
	memcpy(j->line.buf, prefix, (size_t)n);
	j->line.len = j->line.indent = (size_t)n;
	rc = line_text(j, text, len);
	if (rc)
		return rc;
	j->stats.records++;
	return printk_line_end(j);
}

int printk_tell_regions(struct printk_job *j, const struct printk_region *regions, size_t nr)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++)
		if (regions[i].len)
			rc = j->region_fn(j->priv, regions[i].vaddr, regions[i].len, j->e);
	j->stopped = rc != 0;
	return rc;
}

/* ---- which one ---- */

static const struct generation {
	const char *name;
	const char *symbol; /* only this generation has it */
	int (*read)(struct printk_job *j);
	int (*regions)(struct printk_job *j);
} generations[] = {
	{ "ringbuffer", "prb", printk_ring_read, printk_ring_regions },
	{ "records", "log_first_idx", printk_records_read, printk_records_regions },
	{ "text", "log_end", printk_text_read, printk_text_regions },
};

/* Also sets word size and byte order of the job. NULL: none, the reason is in j->e. */
static const struct generation *find_generation(struct printk_job *j)
{
	const struct ident *id = &j->r->dump->id;
	size_t i;

	/*
	 * Two pointers. An architecture that is not in our table has no other word than that of the
	 * ELF class.
	 */
	j->word = (unsigned int)kernel_or(j->k, FACT_SIZE, "list_head", 2u * id->word) / 2;
	j->order = id->order;
	if (j->word != 4 && j->word != 8) {
		err_set(j->e, ERR_MISSING, "the word size of the machine is not known");
		return NULL;
	}
	for (i = 0; i < ARRAY_SIZE(generations); i++)
		if (kernel_origin(j->k, FACT_SYMBOL, generations[i].symbol))
			return &generations[i];
	err_set(j->e, ERR_MISSING,
		"none of SYMBOL(prb), SYMBOL(log_first_idx), SYMBOL(log_end) is known");
	return NULL;
}

/* What is lost is told to the log; when it is everything, that is an error. */
static int judge_damage(struct printk_job *j)
{
	const struct printk_stats *s = &j->stats;

	if (!s->lost)
		return 0;
	if (!s->records && !j->passed_over)
		return err_set(j->e, j->first.code, "nothing of it is left: %s", j->first.text);
	log_warn(j->r->dump->log, "kernel log: %" PRIu64 " %s lost, the first because: %s", s->lost,
		 strcmp(s->generation, "text") ? "records are" : "pages are", j->first.text);
	return 0;
}

int printk_read(const struct kernel *k, const struct xlat *x, struct reader *r,
		const struct printk_opts *opts, printk_line_fn fn, void *priv,
		struct printk_stats *stats, struct err *e)
{
	struct printk_job j = { .k = k, .x = x, .r = r, .e = e, .fn = fn, .priv = priv };
	const struct generation *g;
	int rc = -1;

	if (opts) {
		j.since_clear = opts->since_clear;
		j.no_caller = opts->no_caller;
	}
	g = find_generation(&j);
	if (g) {
		j.stats.generation = g->name;
		rc = g->read(&j);
		if (!rc)
			rc = judge_damage(&j);
	}
	free(j.line.buf);
	if (stats)
		*stats = j.stats;
	return rc && !j.stopped ? err_add(e, "kernel log") : rc;
}

int printk_regions(const struct kernel *k, const struct xlat *x, struct reader *r,
		   printk_region_fn fn, void *priv, struct err *e)
{
	struct printk_job j = { .k = k, .x = x, .r = r, .e = e, .region_fn = fn, .priv = priv };
	const struct generation *g = find_generation(&j);
	int rc = g ? g->regions(&j) : -1;

	return rc && !j.stopped ? err_add(e, "kernel log") : rc;
}
