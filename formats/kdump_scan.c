/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kdump dump lacks: pages of parts that were not given, and pages of files whose writer did
 * not finish, or that were cut off. Found when it is opened, so that its map tells the truth; whole
 * files are not looked through.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kdump.h"

/* ---- descriptors ---- */

/* Descriptors of a part, one after the other. */
struct cursor {
	const struct kdump *k;
	const struct kdump_part *part;
	uint64_t off; /* of the next one */
	uint64_t hole_end;
	struct window w;
	uint64_t data_end; /* where the last page ends, as far as that is plausible */
};

/* Bytes of the next descriptor; NULL when they are a hole, or cannot be had. */
static const uint8_t *next_raw(struct cursor *c)
{
	struct err ignored = ERR_INIT;
	uint64_t off = c->off, data;

	c->off += KDUMP_DESC_SIZE;
	if (c->off <= c->hole_end)
		return NULL;
	if (c->w.data && c->off - c->w.off <= c->w.len)
		return c->w.data + (off - c->w.off);
	source_put(&c->w);
	data = source_next_data(c->part->source, off);
	if (data >= c->off) {
		c->hole_end = data;
		return NULL;
	}
	if (!source_get(c->part->source, off, SOURCE_WINDOW_MAX, &c->w, &ignored) &&
	    c->off - c->w.off <= c->w.len)
		return c->w.data + (off - c->w.off);
	c->hole_end = off + 4096; /* do not try each of them */
	source_put(&c->w);
	return NULL;
}

/* Does the next descriptor lead to a page? */
static bool next_leads(struct cursor *c)
{
	const struct kdump_part *p = c->part;
	const uint8_t *raw = next_raw(c);
	uint64_t most = kdump_data_start(p) + ((p->nr + 1) << c->k->map.unit_shift);
	struct kdump_desc desc;

	if (!raw)
		return false;
	desc = kdump_parse_desc(raw, c->k->head.order);
	if (kdump_desc_empty(&desc) || !kdump_desc_sane(c->k, p, &desc))
		return false;
	if (kdump_desc_inside(p, &desc))
		return true;
	if (desc.off + desc.size <= most)
		c->data_end = MAX(c->data_end, desc.off + desc.size);
	return false;
}

/* The units of one word; those whose descriptors are behind the end of the file are bad. */
static int scan_word(struct marks *m, struct cursor *c, uint64_t word, struct err *e)
{
	uint64_t left = marks_kept(m, word, c->part->start, c->part->end), bad = 0;

	for (; left; left &= left - 1)
		if (!next_leads(c))
			bad |= left & -left;
	return marks_word(m, word, bad, e);
}

static int scan_part(struct marks *m, struct cursor *c, struct err *e)
{
	const struct kdump_part *p = c->part;
	uint64_t unit = p->start, end;
	bool kept;

	while (unit < p->end) {
		uint64_t block_end = MIN((unit / RANKSET_BLOCK + 1) * RANKSET_BLOCK, p->end), word;

		if (rankset_alike(&m->map->kept, unit, &kept, &end) && !kept) {
			unit = end;
			continue;
		}
		if (c->off + KDUMP_DESC_SIZE > p->size)
			return marks_range(m, unit, p->end, e);
		for (word = unit / 64; word * 64 < block_end; word++)
			if (scan_word(m, c, word, e))
				return -1;
		unit = block_end;
	}
	return 0;
}

/* Descriptors that are looked at together, from the end of the table. */
#define END_DESCS 64u
/* A MiB of them is passed over to find so many that tell something; then samples do. */
#define MAX_END_DESCS (((uint64_t)1 << 20) / KDUMP_DESC_SIZE)
#define NR_SAMPLES 1024u

/* Do some descriptors, from all over the first NR, lead to pages inside the file? */
static bool samples_are_inside(const struct kdump *k, const struct kdump_part *p, uint64_t nr)
{
	uint64_t step = MAX(nr / NR_SAMPLES, 1u), i;
	uint8_t raw[KDUMP_DESC_SIZE];
	struct err ignored = ERR_INIT;
	struct kdump_desc desc;

	for (i = step - 1; i < nr; i += step) {
		if (source_read(p->source, p->table + i * KDUMP_DESC_SIZE, raw, sizeof(raw),
				&ignored))
			return false;
		desc = kdump_parse_desc(raw, k->head.order);
		if (kdump_desc_empty(&desc) || !kdump_desc_sane(k, p, &desc) ||
		    !kdump_desc_inside(p, &desc))
			return false;
	}
	return true;
}

/*
 * Do the last descriptors lead to pages inside the file? Then it is hardly cut off. The pages of
 * zeros share one place near the front, which proves nothing: they are passed over. A page that is
 * missed here is found to be lost when it is read.
 */
static bool end_is_whole(const struct kdump *k, const struct kdump_part *p)
{
	uint8_t raw[END_DESCS * KDUMP_DESC_SIZE];
	uint64_t left = p->nr, last_off = 0;
	unsigned int proofs = 0;

	if (kdump_data_start(p) > p->size)
		return false;
	while (left && proofs < END_DESCS && p->nr - left < MAX_END_DESCS) {
		size_t nr = (size_t)MIN(left, (uint64_t)END_DESCS), i;
		struct err ignored = ERR_INIT;

		left -= nr;
		if (source_read(p->source, p->table + left * KDUMP_DESC_SIZE, raw,
				nr * KDUMP_DESC_SIZE, &ignored))
			return false;
		for (i = nr; i--;) {
			struct kdump_desc desc =
				kdump_parse_desc(raw + i * KDUMP_DESC_SIZE, k->head.order);

			if (kdump_desc_empty(&desc) || !kdump_desc_sane(k, p, &desc) ||
			    !kdump_desc_inside(p, &desc))
				return false;
			proofs += desc.off != last_off;
			last_off = desc.off;
		}
	}
	return proofs >= END_DESCS || samples_are_inside(k, p, left);
}

static void report_part(struct dump *d, const struct cursor *c, uint64_t lost)
{
	const struct kdump_part *p = c->part;
	uint64_t end = MAX(c->data_end, kdump_data_start(p));

	if (end > p->size) {
		d->damage.missing_bytes += end - p->size;
		log_warn(d->log,
			 "%s: is cut off: %" PRIu64
			 " bytes that its page descriptors announce are missing",
			 source_name(p->source), end - p->size);
	}
	if (lost)
		log_warn(d->log, "%s: %" PRIu64 " of %" PRIu64 " pages have no data in it",
			 source_name(p->source), lost, p->nr);
}

static int check_part(struct dump *d, struct marks *m, const struct kdump_part *p, struct err *e)
{
	const struct kdump *k = d->format_data;
	struct cursor c = { .k = k, .part = p, .off = p->table };
	uint64_t before;
	int ret;

	if (!p->nr || (!d->incomplete && !source_is_cut(p->source) && end_is_whole(k, p)))
		return 0;
	before = m->total;
	ret = scan_part(m, &c, e);
	source_put(&c.w);
	if (!ret)
		report_part(d, &c, m->total - before);
	return ret;
}

/* Units [FROM, TO) belong to no part that was given. */
static int miss_range(struct dump *d, struct marks *m, uint64_t from, uint64_t to, struct err *e)
{
	uint64_t before, after;

	if (!rankset_rank(&m->map->kept, from, &before) ||
	    !rankset_rank(&m->map->kept, to, &after) || before == after)
		return 0;
	log_warn(d->log,
		 "%s: the part(s) with pages 0x%" PRIx64 "-0x%" PRIx64 " missing: %" PRIu64
		 " pages cannot be read",
		 source_name(d->source), from, to - 1, after - before);
	return marks_range(m, from, to, e);
}

int kdump_scan(struct dump *d, struct kdump *k, struct err *e)
{
	struct marks m = marks_begin(&k->map);
	uint64_t at = 0;
	unsigned int i;

	for (i = 0; i < k->nr_parts; i++) {
		const struct kdump_part *p = &k->parts[i];

		if (miss_range(d, &m, at, p->start, e) || check_part(d, &m, p, e))
			return -1;
		at = p->end;
	}
	return miss_range(d, &m, at, k->map.nr_units, e) || marks_end(&m, e) ? -1 : 0;
}
