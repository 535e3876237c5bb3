/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two older generations, with one buffer log_buf: struct printk_log records in it, and before
 * them plain text.
 */
#include <inttypes.h>

#include "cleanup.h"
#include "printk_priv.h"

#define RESYNC_STEPS (1u << 24)

/* ---- "records": kernel/printk[/printk].c, Linux 3.5 (7ff9554bb578) to 5.9 ---- */

#define RECORD_ALIGN 4u /* LOG_ALIGN: 4, or the alignment of 64-bit numbers */

struct reclog {
	/* facts */
	uint64_t log_buf, log_buf_len, log_first_idx, log_next_idx;
	uint64_t header, ts_nsec, len, text_len, caller_id; /* struct printk_log */
	bool has_caller;
	/* values */
	uint64_t first, next;
	uint64_t steps; /* left for finding the next record behind damage */
	struct printk_window buf;
};

static const struct printk_need reclog_needs[] = {
	{ FACT_SYMBOL, "log_buf", offsetof(struct reclog, log_buf) },
	{ FACT_SYMBOL, "log_buf_len", offsetof(struct reclog, log_buf_len) },
	{ FACT_SYMBOL, "log_first_idx", offsetof(struct reclog, log_first_idx) },
	{ FACT_SYMBOL, "log_next_idx", offsetof(struct reclog, log_next_idx) },
};

static const struct printk_need printk_log_needs[] = {
	{ FACT_SIZE, "printk_log", offsetof(struct reclog, header) },
	{ FACT_OFFSET, "printk_log.ts_nsec", offsetof(struct reclog, ts_nsec) },
	{ FACT_OFFSET, "printk_log.len", offsetof(struct reclog, len) },
	{ FACT_OFFSET, "printk_log.text_len", offsetof(struct reclog, text_len) },
};

/* The name before Linux 3.11. */
static const struct printk_need old_log_needs[] = {
	{ FACT_SIZE, "log", offsetof(struct reclog, header) },
	{ FACT_OFFSET, "log.ts_nsec", offsetof(struct reclog, ts_nsec) },
	{ FACT_OFFSET, "log.len", offsetof(struct reclog, len) },
	{ FACT_OFFSET, "log.text_len", offsetof(struct reclog, text_len) },
};

/* Do the numbers lie inside a record's header? */
static int reclog_check(struct printk_job *j, const struct reclog *l, const char *name)
{
	const struct printk_member members[] = {
		{ name, l->ts_nsec, 8, l->header },
		{ name, l->len, 2, l->header },
		{ name, l->text_len, 2, l->header },
		{ name, l->has_caller ? l->caller_id : 0, 4, l->header },
	};

	return printk_need_inside(j, members, ARRAY_SIZE(members));
}

/* Where the variables are, and how a record's header looks. */
static int reclog_facts(struct printk_job *j, struct reclog *l)
{
	bool old = !kernel_origin(j->k, FACT_SIZE, "printk_log") &&
		   kernel_origin(j->k, FACT_SIZE, "log");

	if (printk_need_facts(j, reclog_needs, ARRAY_SIZE(reclog_needs), l) ||
	    printk_need_facts(j, old ? old_log_needs : printk_log_needs, ARRAY_SIZE(old_log_needs),
			      l))
		return -1;
	l->has_caller = kernel_fact(j->k, FACT_OFFSET, "printk_log.caller_id", &l->caller_id);
	return reclog_check(j, l, old ? "log" : "printk_log");
}

/* Begin a window on the buffer, given where the variables log_buf and log_buf_len are. */
static int log_buf_open(struct printk_job *j, uint64_t log_buf, uint64_t log_buf_len,
			struct printk_window *ret)
{
	uint64_t base, size;

	if (printk_read_word(j, log_buf, &base) || printk_read_u32(j, log_buf_len, &size))
		return -1;
	if (!size || size > 1ULL << LOG_MAX_BITS)
		return err_set(j->e, ERR_CORRUPT, "log_buf_len is %" PRIu64, size);
	return printk_window_init(j, ret, base, size, TEXT_WINDOW);
}

/* Read the variables, and begin a window on the buffer. */
static int reclog_open(struct printk_job *j, struct reclog *l)
{
	if (reclog_facts(j, l) || printk_read_u32(j, l->log_first_idx, &l->first) ||
	    printk_read_u32(j, l->log_next_idx, &l->next) ||
	    log_buf_open(j, l->log_buf, l->log_buf_len, &l->buf))
		return -1;
	if (l->first > l->buf.size || l->next > l->buf.size)
		return err_set(j->e, ERR_CORRUPT,
			       "records from %" PRIu64 " to %" PRIu64 " of a buffer of %" PRIu64
			       " bytes",
			       l->first, l->next, l->buf.size);
	l->steps = RESYNC_STEPS;
	return 0;
}

/*
 * Where a walk stands. Records are stored upwards; the newest ones may lie at the start of the
 * buffer again.
 */
struct cursor {
	uint64_t at;
	bool last_lap; /* nothing but log_next_idx ends it now */
};

struct record {
	uint64_t at, len; /* len 0: no record, the next one is at the start of the buffer */
	size_t text_len;
};

static struct cursor reclog_begin(const struct reclog *l)
{
	return (struct cursor){ .at = l->first, .last_lap = l->first <= l->next };
}

/* Where the records of the cursor's lap end. */
static uint64_t lap_end(const struct reclog *l, const struct cursor *c)
{
	return c->last_lap ? l->next : l->buf.size;
}

/*
 * Is there a plausible record, or the mark that the rest of the lap is empty? Else the reason is in
 * j->why.
 */
static bool reclog_header(struct printk_job *j, struct reclog *l, const struct cursor *c,
			  struct record *ret)
{
	const uint8_t *h = printk_window_get(j, &l->buf, c->at, (size_t)l->header);
	uint64_t room = lap_end(l, c) - c->at;

	if (!h)
		return false;
	*ret = (struct record){ .at = c->at, .len = load_u16(h + l->len, j->order) };
	ret->text_len = load_u16(h + l->text_len, j->order);
	if (!ret->len && !c->last_lap)
		return true;
	if (ret->len >= l->header && ret->len <= room && ret->len % RECORD_ALIGN == 0 &&
	    ret->text_len <= ret->len - l->header)
		return true;
	err_set(&j->why, ERR_CORRUPT,
		"record at offset %" PRIu64 " of the log: %" PRIu64 " bytes, %zu of them text",
		c->at, ret->len, ret->text_len);
	return false;
}

/* Do some records in a row begin here? */
static bool reclog_in_step(struct printk_job *j, struct reclog *l, struct cursor c)
{
	struct record rec;
	unsigned int i;

	for (i = 0; i < 4 && c.at != lap_end(l, &c) && l->steps; i++) {
		l->steps--;
		if (!reclog_header(j, l, &c, &rec))
			return false;
		if (!rec.len)
			return i > 0; /* zeros alone say nothing */
		c.at += rec.len;
	}
	return i > 0;
}

/* Damage at the cursor: go to the next record that makes sense, or else to the end of the lap. */
static void reclog_resync(struct printk_job *j, struct reclog *l, struct cursor *c)
{
	uint64_t end = lap_end(l, c);

	c->at -= c->at % RECORD_ALIGN;
	while (l->steps && c->at < end) {
		const struct printk_window *b = &l->buf;

		c->at += RECORD_ALIGN;
		if (c->at >= b->bad && c->at < b->bad + b->bad_len)
			c->at = ALIGN_UP(b->bad + b->bad_len, RECORD_ALIGN);
		if (c->at + l->header <= end && reclog_in_step(j, l, *c))
			return;
	}
	c->at = end;
}

/*
 * The next record; false at the end. Each step moves the cursor forward, and there are two laps at
 * most.
 */
static bool reclog_next(struct printk_job *j, struct reclog *l, struct cursor *c,
			struct record *ret)
{
	for (;;) {
		if (c->at >= lap_end(l, c)) {
			if (c->last_lap)
				return false;
			*c = (struct cursor){ .last_lap = true };
		} else if (!reclog_header(j, l, c, ret)) {
			printk_lose(j, 1);
			reclog_resync(j, l, c);
		} else if (!ret->len) {
			*c = (struct cursor){ .last_lap = true };
		} else {
			c->at += ret->len;
			return true;
		}
	}
}

/* Tell a record that has a plausible header. */
static int reclog_tell(struct printk_job *j, struct reclog *l, const struct record *rec)
{
	const uint8_t *h =
		printk_window_get(j, &l->buf, rec->at, (size_t)l->header + rec->text_len);
	uint32_t caller;

	if (!h) {
		printk_lose(j, 1);
		return 0;
	}
	caller = l->has_caller ? load_u32(h + l->caller_id, j->order) : 0;
	return printk_record(j, load_u64(h + l->ts_nsec, j->order), l->has_caller ? &caller : NULL,
			     h + l->header, rec->text_len);
}

/*
 * Has the place where the log was last cleared been overwritten since? Only the sequence numbers
 * tell for sure.
 */
static bool reclog_clear_is_old(struct printk_job *j, uint64_t clear_idx)
{
	uint64_t at, clear_seq, first_seq;

	if (!clear_idx)
		return true; /* never: log_next_idx is 0 before the very first record only */
	return kernel_fact(j->k, FACT_SYMBOL, "clear_seq", &at) &&
	       !xlat_read_uint(j->x, j->r, at, 8, &clear_seq, &j->why) &&
	       kernel_fact(j->k, FACT_SYMBOL, "log_first_seq", &at) &&
	       !xlat_read_uint(j->x, j->r, at, 8, &first_seq, &j->why) && clear_seq <= first_seq;
}

/*
 * Set the cursor to the first record after the last clearing; it stays where it is when everything
 * is newer.
 */
static int reclog_find_clear(struct printk_job *j, struct reclog *l, struct cursor *c)
{
	uint64_t at, clear_idx, lost = j->stats.lost;
	struct cursor probe = *c;
	struct record rec;

	if (kernel_need(j->k, FACT_SYMBOL, "clear_idx", &at, &j->why) ||
	    xlat_read_uint(j->x, j->r, at, 4, &clear_idx, &j->why))
		return -1;
	if (reclog_clear_is_old(j, clear_idx))
		return 0;
	while (probe.at != clear_idx && reclog_next(j, l, &probe, &rec))
		j->passed_over++;
	j->stats.lost = lost; /* the walk that tells the records counts them */
	if (probe.at == clear_idx)
		*c = probe;
	return 0;
}

int printk_records_read(struct printk_job *j)
{
	struct reclog l = { .header = 0 };
	int rc = reclog_open(j, &l);
	struct cursor c = reclog_begin(&l);
	struct record rec;

	if (!rc && j->since_clear && reclog_find_clear(j, &l, &c))
		printk_warn_clear(j);
	while (!rc && reclog_next(j, &l, &c, &rec))
		rc = reclog_tell(j, &l, &rec);
	printk_window_fini(&l.buf);
	return rc;
}

/* The buffer of either older generation, and the variables that it is found through. */
static int log_buf_regions(struct printk_job *j, const struct printk_window *buf)
{
	static const char *const names[] = { "log_buf",	      "log_buf_len", "log_first_idx",
					     "log_next_idx",  "clear_idx",   "clear_seq",
					     "log_first_seq", "log_end",     "logged_chars" };
	struct printk_region regions[1 + ARRAY_SIZE(names)] = { { buf->base, buf->size } };
	size_t i, nr = 1;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (kernel_fact(j->k, FACT_SYMBOL, names[i], &regions[nr].vaddr))
			regions[nr++].len = 8; /* none is longer */
	return printk_tell_regions(j, regions, nr);
}

int printk_records_regions(struct printk_job *j)
{
	struct reclog l = { .header = 0 };
	int rc = reclog_open(j, &l);

	if (!rc)
		rc = log_buf_regions(j, &l.buf);
	printk_window_fini(&l.buf);
	return rc;
}

/* ---- "text": kernel/printk.c before Linux 3.5 ---- */

struct flatlog {
	uint64_t log_buf, log_buf_len, log_end; /* facts */
	uint64_t end;				/* characters ever logged */
	struct printk_window buf;
};

static const struct printk_need flatlog_needs[] = {
	{ FACT_SYMBOL, "log_buf", offsetof(struct flatlog, log_buf) },
	{ FACT_SYMBOL, "log_buf_len", offsetof(struct flatlog, log_buf_len) },
	{ FACT_SYMBOL, "log_end", offsetof(struct flatlog, log_end) },
};

/* Read the variables, and begin a window on the buffer. */
static int flatlog_open(struct printk_job *j, struct flatlog *l)
{
	if (printk_need_facts(j, flatlog_needs, ARRAY_SIZE(flatlog_needs), l) ||
	    printk_read_u32(j, l->log_end, &l->end))
		return -1;
	/*
	 * An unsigned long until Linux 2.6.24, an unsigned int afterwards. Four bytes do for both,
	 * but for the long of a big-endian machine, of which they are the upper half; and a kernel
	 * that crashes has logged something.
	 */
	if (!l->end && j->order == ORDER_BE && printk_read_word(j, l->log_end, &l->end))
		return -1;
	return log_buf_open(j, l->log_buf, l->log_buf_len, &l->buf);
}

/* How many of the NR characters in the buffer were logged since the last clearing. */
static int flatlog_find_clear(struct printk_job *j, uint64_t *nr)
{
	uint64_t at, chars;

	if (kernel_need(j->k, FACT_SYMBOL, "logged_chars", &at, &j->why) ||
	    xlat_read_uint(j->x, j->r, at, 4, &chars, &j->why))
		return -1;
	*nr = MIN(*nr, chars);
	return 0;
}

static int flatlog_end_line(struct printk_job *j)
{
	j->stats.records++;
	return printk_line_end(j);
}

/* Tell text, of which the last line may go on. */
static int flatlog_text(struct printk_job *j, const uint8_t *text, size_t len)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < len && !rc; i++)
		rc = text[i] == '\n' ? flatlog_end_line(j) : printk_line_char(j, text[i]);
	return rc;
}

static uint64_t chunks(uint64_t vaddr, uint64_t len)
{
	return len ? (vaddr % CHUNK + len + CHUNK - 1) / CHUNK : 0;
}

/* Of how many chunks are NR characters from FROM on, both counted round and round the buffer? */
static uint64_t flatlog_chunks(const struct flatlog *l, uint64_t from, uint64_t nr)
{
	uint64_t off = from % l->buf.size, first = MIN(nr, l->buf.size - off);

	return chunks(l->buf.base + off, first) + chunks(l->buf.base, nr - first);
}

/* Tell the NR newest characters. Where nothing at all is readable, do not go on for 2 GiB. */
static int flatlog_tell(struct printk_job *j, struct flatlog *l, uint64_t nr)
{
	uint64_t size = l->buf.size, from = l->end - nr, dark = 0;
	int rc = 0;

	while (nr && !rc) {
		uint64_t off = from % size;
		size_t n = (size_t)MIN(MIN(nr, CHUNK - (l->buf.base + off) % CHUNK), size - off);
		const uint8_t *text = printk_window_get(j, &l->buf, off, n);

		if (text)
			rc = flatlog_text(j, text, n);
		else
			printk_lose(j, 1);
		if (!text && j->line.len)
			rc = flatlog_end_line(j);
		from += n;
		nr -= n;
		dark = text ? 0 : dark + n;
		if (dark >= DARK_MAX) {
			printk_lose(j, flatlog_chunks(l, from, nr));
			nr = 0;
		}
	}
	return rc || !j->line.len ? rc : flatlog_end_line(j);
}

int printk_text_read(struct printk_job *j)
{
	struct flatlog l = { .end = 0 };
	int rc = flatlog_open(j, &l);
	uint64_t nr = MIN(l.end, l.buf.size);

	if (!rc && j->since_clear && flatlog_find_clear(j, &nr))
		printk_warn_clear(j);
	if (!rc)
		rc = flatlog_tell(j, &l, nr);
	printk_window_fini(&l.buf);
	return rc;
}

int printk_text_regions(struct printk_job *j)
{
	struct flatlog l = { .end = 0 };
	int rc = flatlog_open(j, &l);

	if (!rc)
		rc = log_buf_regions(j, &l.buf);
	printk_window_fini(&l.buf);
	return rc;
}
