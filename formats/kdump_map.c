/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of a kdump dump: two bitmaps, and a descriptor for each page, found by counting bits.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kdump.h"
#include "stored.h"

static bool kdump_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct kdump *k = d->map_data;

	(void)space; /* the file knows one only */
	return bitmaps_next_run(&k->map, pfn, ret);
}

static enum page_state kdump_page_state(const struct dump *d, enum space space, uint64_t pfn)
{
	const struct kdump *k = d->map_data;

	(void)space;
	return bitmaps_page_state(&k->map, pfn);
}

/* ---- descriptors ---- */

/* Descriptors that a reader has read last: neighbours are wanted next. */
#define KEPT_DESCS 64u

struct desc_batch {
	const struct kdump_part *part;
	uint64_t first;
	unsigned int nr;
	uint8_t raw[KEPT_DESCS * KDUMP_DESC_SIZE];
};

/*
 * Several batches, because a walk through page tables goes to and fro between a few of them. Each
 * has one place where it can be.
 */
#define NR_BATCHES 8u

struct desc_cache {
	struct desc_batch batch[NR_BATCHES];
};

/* Where a unit is described. */
struct place {
	const struct kdump_part *part;
	uint64_t index; /* of its descriptor */
	uint64_t unit;	/* for messages: in memory */
};

static uint64_t desc_off(const struct place *p)
{
	return p->part->table + p->index * KDUMP_DESC_SIZE;
}

/* Page frame number of a unit's first page. */
static uint64_t pfn_of(const struct kdump *k, uint64_t unit)
{
	return k->map.unit_shift >= k->map.page_shift
		       ? unit << (k->map.unit_shift - k->map.page_shift)
		       : unit >> (k->map.page_shift - k->map.unit_shift);
}

/* The part that a unit of the bitmaps belongs to; NULL when it is missing. */
static const struct kdump_part *part_of(const struct kdump *k, uint64_t unit)
{
	unsigned int lo = 0, hi = k->nr_parts;

	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (k->parts[mid].start <= unit)
			lo = mid;
		else
			hi = mid;
	}
	return unit >= k->parts[lo].start && unit < k->parts[lo].end ? &k->parts[lo] : NULL;
}

/* UNIT, of memory. */
static int find_place(const struct dump *d, uint64_t unit, struct place *ret, struct err *e)
{
	const struct kdump *k = d->map_data;
	uint64_t bit = unit - k->map.bias, rank;

	ret->unit = unit;
	ret->part = NULL;
	if (unit >= k->map.bias && bit < k->map.nr_units &&
	    bitmaps_unit_state(&k->map, bit) == PAGE_DATA)
		ret->part = part_of(k, bit);
	if (!ret->part)
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(d->source), pfn_of(k, unit));
	if (!rankset_rank(&k->map.kept, bit, &rank) || rank < ret->part->rank ||
	    rank - ret->part->rank >= ret->part->nr)
		return err_set(e, ERR_UNREADABLE,
			       "%s: the bitmap of pages has changed near page 0x%" PRIx64
			       " since it was read",
			       source_name(d->source), pfn_of(k, unit));
	ret->index = rank - ret->part->rank;
	return 0;
}

static int read_at(const struct place *p, uint64_t index, void *buf, unsigned int nr, struct err *e)
{
	struct place at = *p;

	at.index = index;
	return source_read(p->part->source, desc_off(&at), buf, nr * KDUMP_DESC_SIZE, e);
}

/* Fill a batch with the descriptors around that one; with it alone where others cannot be read. */
static int read_descs(struct desc_batch *c, const struct place *p, struct err *e)
{
	uint64_t first = p->index - p->index % KEPT_DESCS;
	unsigned int nr = (unsigned int)MIN(p->part->nr - first, (uint64_t)KEPT_DESCS);
	struct err ignored = ERR_INIT;

	c->part = NULL;
	if (read_at(p, first, c->raw, nr, &ignored)) {
		first = p->index;
		nr = 1;
		if (read_at(p, first, c->raw, nr, e))
			return -1;
	}
	c->part = p->part;
	c->first = first;
	c->nr = nr;
	return 0;
}

static int get_desc(struct reader *r, const struct place *p, struct kdump_desc *ret, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	struct desc_cache *all = r->format_state;
	struct desc_batch *c;

	if (!all)
		all = r->format_state = calloc(1, sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "no memory for page descriptors");
	c = &all->batch[p->index / KEPT_DESCS % NR_BATCHES];
	if ((c->part != p->part || p->index < c->first || p->index - c->first >= c->nr) &&
	    read_descs(c, p, e))
		return err_add(e, "descriptor of page 0x%" PRIx64, pfn_of(k, p->unit));
	*ret = kdump_parse_desc(c->raw + (p->index - c->first) * KDUMP_DESC_SIZE, k->head.order);
	return 0;
}

/* What a descriptor says must be possible. */
static int check_desc(const struct kdump *k, const struct place *p, const struct kdump_desc *desc,
		      struct err *e)
{
	const char *name = source_name(p->part->source);
	uint64_t pfn = pfn_of(k, p->unit);

	if (kdump_desc_empty(desc))
		return err_set(e, ERR_UNREADABLE,
			       "%s: page 0x%" PRIx64
			       " was not written: its descriptor at 0x%" PRIx64 " is empty",
			       name, pfn, desc_off(p));
	if (!kdump_desc_sane(k, p->part, desc))
		return err_set(e, ERR_CORRUPT,
			       "%s: page 0x%" PRIx64 ": the descriptor at 0x%" PRIx64
			       " says offset 0x%" PRIx64 ", %" PRIu32 " bytes, flags 0x%" PRIx32
			       "; expected an offset from 0x%" PRIx64
			       " on, at most %u bytes, one codec",
			       name, pfn, desc_off(p), desc->off, desc->size, desc->flags,
			       kdump_data_start(p->part), 1u << k->map.unit_shift);
	if (!kdump_desc_inside(p->part, desc))
		return err_set(e, ERR_UNREADABLE,
			       "%s: ends at offset 0x%" PRIx64 ", page 0x%" PRIx64
			       " should lie at 0x%" PRIx64 ", %" PRIu32 " bytes",
			       name, p->part->size, pfn, desc->off, desc->size);
	return 0;
}

static int find_desc(struct reader *r, uint64_t unit, struct place *p, struct kdump_desc *desc,
		     struct err *e)
{
	return find_place(r->dump, unit, p, e) || get_desc(r, p, desc, e) ||
			       check_desc(r->dump->map_data, p, desc, e)
		       ? -1
		       : 0;
}

/* ---- contents ---- */

/*
 * Offsets end below 2^53, and there are no more than 2^11 parts. Descriptors that name the same
 * place, but not the same bytes, are a lie; they must not be taken for each other.
 */
static uint64_t name_of(const struct kdump *k, const struct place *p, const struct kdump_desc *desc)
{
	uint64_t place = (uint64_t)(p->part - k->parts) << 53 | desc->off;

	return place + ((uint64_t)desc->size << 8 | desc->flags) * 0x9e3779b97f4a7c15;
}

static int unit_stored(struct reader *r, uint64_t unit, struct stored *ret, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	struct kdump_desc desc;
	struct place p;

	if (find_desc(r, unit, &p, &desc, e))
		return -1;
	ret->codec = desc.flags;
	ret->size = desc.size;
	ret->place = name_of(k, &p, &desc);
	ret->data = reader_bytes(r, p.part->source, desc.off, desc.size, NULL, e);
	return ret->data ? 0 : err_add(e, "page 0x%" PRIx64, pfn_of(k, unit));
}

static const uint8_t *unit_view(struct reader *r, uint64_t unit, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	const uint8_t *data;
	struct stored s;

	if (unit_stored(r, unit, &s, e))
		return NULL;
	data = stored_expand(r, &s, (size_t)1 << k->map.unit_shift, e);
	if (!data)
		err_add(e, "%s: page 0x%" PRIx64, source_name(r->dump->source), pfn_of(k, unit));
	return data;
}

/* Copy a unit by read(). */
static int unit_read(struct reader *r, uint64_t unit, uint8_t *buf, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	_cleanup_free_ uint8_t *raw = NULL;
	struct kdump_desc desc;
	struct place p;

	if (find_desc(r, unit, &p, &desc, e))
		return -1;
	raw = malloc(desc.size);
	if (!raw)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (source_read(p.part->source, desc.off, raw, desc.size, e) ||
	    decode_page(&r->decoders, desc.flags, raw, desc.size, buf,
			(size_t)1 << k->map.unit_shift, e))
		return err_add(e, "page 0x%" PRIx64 " at offset 0x%" PRIx64, pfn_of(k, unit),
			       desc.off);
	return 0;
}

/* Memory for what a reader puts together. */
static uint8_t *bounce(struct reader *r, struct err *e)
{
	if (!r->bounce)
		r->bounce = malloc(SOURCE_SLACK);
	if (!r->bounce)
		err_set(e, ERR_NOMEM, "out of memory");
	return r->bounce;
}

/* A page of several units; those that are no memory are zero. EXACTLY: by read(). */
static int join_page(struct reader *r, uint64_t pfn, uint8_t *buf, bool exactly, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	unsigned int shift = k->map.page_shift - k->map.unit_shift;
	size_t size = (size_t)1 << k->map.unit_shift;
	uint64_t i;

	for (i = 0; i < (uint64_t)1 << shift; i++) {
		uint64_t unit = (pfn << shift) + i;
		const uint8_t *data;

		if (bitmaps_joined_state(&k->map, unit, 1) == PAGE_ABSENT) {
			memset(buf + i * size, 0, size);
		} else if (exactly) {
			if (unit_read(r, unit, buf + i * size, e))
				return -1;
		} else {
			data = unit_view(r, unit, e);
			if (!data)
				return -1;
			memcpy(buf + i * size, data, size);
		}
	}
	return 0;
}

static int kdump_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		      struct view *ret, struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	uint64_t in_unit;

	if (kdump_page_state(r->dump, space, pfn) != PAGE_DATA)
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(r->dump->source), pfn);
	if (k->map.page_shift > k->map.unit_shift) {
		ret->data = bounce(r, e);
		ret->nr = 1;
		return ret->data ? join_page(r, pfn, r->bounce, false, e) : -1;
	}
	in_unit = pfn & (((uint64_t)1 << (k->map.unit_shift - k->map.page_shift)) - 1);
	ret->data = unit_view(r, pfn >> (k->map.unit_shift - k->map.page_shift), e);
	if (!ret->data)
		return -1;
	ret->data += in_unit << k->map.page_shift;
	ret->nr = MIN(nr, ((uint64_t)1 << (k->map.unit_shift - k->map.page_shift)) - in_unit);
	return 0;
}

static int kdump_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
			   struct err *e)
{
	const struct kdump *k = r->dump->map_data;
	unsigned int shift = k->map.unit_shift - k->map.page_shift;
	_cleanup_free_ uint8_t *unit = NULL;

	if (kdump_page_state(r->dump, space, pfn) != PAGE_DATA)
		return err_set(e, ERR_UNREADABLE, "%s: page 0x%" PRIx64 " is not in the dump",
			       source_name(r->dump->source), pfn);
	if (k->map.page_shift > k->map.unit_shift)
		return join_page(r, pfn, buf, true, e);
	if (k->map.page_shift == k->map.unit_shift)
		return unit_read(r, pfn, buf, e);
	unit = malloc((size_t)1 << k->map.unit_shift);
	if (!unit)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (unit_read(r, pfn >> shift, unit, e))
		return -1;
	memcpy(buf, unit + ((pfn & (((uint64_t)1 << shift) - 1)) << k->map.page_shift),
	       (size_t)1 << k->map.page_shift);
	return 0;
}

static int kdump_stored(struct reader *r, enum space space, uint64_t pfn, struct stored *ret,
			struct err *e)
{
	const struct kdump *k = r->dump->map_data;

	(void)space;
	if (k->map.page_shift != k->map.unit_shift)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: pages are not stored one by one, but in blocks of %u bytes",
			       source_name(r->dump->source), 1u << k->map.unit_shift);
	return unit_stored(r, pfn, ret, e);
}

/* ---- the page size ---- */

#define MAX_BIAS ((uint64_t)1 << 40)

/*
 * On Arm the bitmaps begin with the first page of memory: makedumpfile and crash count from
 * phys_base there. QEMU does not (ARCH_PFN_OFFSET is 0 in its dump.h). Nor would a machine have as
 * much of nothing at the start of its memory as lies below it.
 */
static void decide_bias(const struct dump *d, struct kdump *k)
{
	uint64_t bias;
	struct run first;

	k->map.bias = 0;
	bias = (d->id.pfn_bias << k->map.page_shift) >> k->map.unit_shift;
	if (bias < MAX_BIAS && bitmaps_next_units(&k->map, 0, &first) && first.pfn < bias)
		k->map.bias = bias;
}

static int kdump_set_page_size(struct dump *d, struct err *e)
{
	struct kdump *k = d->map_data;

	(void)e;
	k->map.page_shift = dump_page_shift(d);
	decide_bias(d, k);
	bitmaps_count_bad(d, &k->map);
	return 0;
}

const struct map_ops kdump_map_ops = {
	.next_run = kdump_next_run,
	.view = kdump_view,
	.read_page = kdump_read_page,
	.page_state = kdump_page_state,
	.stored = kdump_stored,
	.set_page_size = kdump_set_page_size,
};
