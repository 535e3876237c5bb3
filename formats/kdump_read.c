/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a kdump dump, or the parts of a split set. Nothing in the file names word size and byte
 * order: they are those in which most of the headers makes sense.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kdump.h"

#define MIN_BLOCK 1024u
#define MAX_VERSION 255 /* that could ever be */
#define MAX_CPUS 65536
#define MAX_SUB_BLOCKS ((uint64_t)1 << 20)

/* ---- headers ---- */

static bool is_kdump(const uint8_t *raw)
{
	return kdump_has_sub_header(raw) || !memcmp(raw, DISKDUMP_SIGNATURE, 8);
}

/*
 * As many of LEN bytes as there are; the others are zero. There may be more behind a gap: a
 * flattened stream that broke off has a header without its status word, which comes last.
 */
static void read_some(struct source *s, uint64_t off, uint8_t *buf, size_t len)
{
	size_t at = 0;
	int os;

	while (at < len) {
		at += source_read_some(s, off + at, buf + at, len - at, &os);
		if (at < len)
			buf[at++] = 0;
	}
}

static uint64_t bitmaps_off(const struct kdump_head *h)
{
	return (1 + h->f[KD_SUB_BLOCKS]) * h->f[KD_BLOCK_SIZE];
}

/* Where the bitmaps end and the descriptors begin. */
static uint64_t table_off(const struct kdump_head *h)
{
	return bitmaps_off(h) + h->f[KD_BITMAP_BLOCKS] * h->f[KD_BLOCK_SIZE];
}

/* Bits in so many blocks of bitmap. */
static uint64_t capacity(const struct kdump_head *h, uint64_t blocks)
{
	return blocks * h->f[KD_BLOCK_SIZE] * 8;
}

/* Do the old and the new number of units agree? */
static bool units_agree(const struct kdump_head *h)
{
	return MIN(h->f[KD_MAX_MAPNR_64], UINT32_MAX) == h->f[KD_MAX_MAPNR];
}

/* Does the place that OFF, and the field behind it, tell make sense? Nothing is possible, too. */
static int place_score(const struct kdump_head *h, enum kdump_field off, uint64_t size)
{
	uint64_t at = h->f[off], len = h->f[off + 1];

	if (!at && !len)
		return 1;
	return at > h->f[KD_BLOCK_SIZE] && at < size && len && len <= size - at ? 2 : 0;
}

static int sub_header_score(const struct kdump_head *h, uint64_t size)
{
	uint64_t version = h->f[KD_VERSION];
	int score = (h->f[KD_DUMP_LEVEL] <= 31) + (h->f[KD_SPLIT] <= 1);

	if (version >= 3)
		score += place_score(h, KD_VMCOREINFO_OFF, size);
	if (version >= 4)
		score += place_score(h, KD_NOTES_OFF, size);
	if (version >= 5)
		score += place_score(h, KD_ERASEINFO_OFF, size);
	if (version >= 6)
		score += (units_agree(h) ? 4 : 0) + (h->f[KD_START_PFN_64] <= h->f[KD_END_PFN_64]);
	return score;
}

static int header_score(const struct kdump_head *h, uint64_t size)
{
	const uint64_t *f = h->f;

	return (f[KD_VERSION] <= KDUMP_VERSION) + (f[KD_BLOCK_SIZE] >= 4096) +
	       (f[KD_SUB_BLOCKS] && f[KD_SUB_BLOCKS] <= MAX_SUB_BLOCKS) +
	       (f[KD_MAX_MAPNR] && f[KD_MAX_MAPNR] <= capacity(h, f[KD_BITMAP_BLOCKS])) +
	       (f[KD_NR_CPUS] <= MAX_CPUS) + (table_off(h) <= size);
}

/* Can the header be meant so at all? */
static bool is_possible(const struct kdump_head *h)
{
	uint64_t block = h->f[KD_BLOCK_SIZE];

	return h->f[KD_VERSION] <= MAX_VERSION && block >= MIN_BLOCK && block <= SOURCE_SLACK &&
	       !(block & (block - 1));
}

/* Read the headers as if they were of that ABI and byte order; 0: impossible, else how likely. */
static int try_head(struct source *s, const uint8_t *raw, enum kdump_abi_id abi,
		    enum byte_order order, struct kdump_head *h)
{
	uint8_t sub[KDUMP_SUB_MAX];
	int score;

	*h = (struct kdump_head){ .abi = abi, .order = order };
	kdump_get_fields(h, 0, KD_SUB_HEADER, raw);
	if (!is_possible(h))
		return 0;
	score = 1 + header_score(h, source_size(s));
	if (!kdump_has_sub_header(raw))
		return score;
	read_some(s, h->f[KD_BLOCK_SIZE], sub, sizeof(sub));
	kdump_get_fields(h, KD_SUB_HEADER, KD_NR_FIELDS, sub);
	return score + sub_header_score(h, source_size(s));
}

/* The best way to read the headers; 0: there is none. RAW: the header's bytes. */
static int find_head(struct source *s, uint8_t *raw, struct kdump_head *ret)
{
	static const enum byte_order orders[] = { ORDER_LE, ORDER_BE };
	enum kdump_abi_id abi;
	int best = 0;
	size_t i;

	read_some(s, 0, raw, KDUMP_HEADER_MAX);
	for (abi = 0; is_kdump(raw) && abi < KDUMP_NR_ABIS; abi++)
		for (i = 0; i < ARRAY_SIZE(orders); i++) {
			struct kdump_head h;
			int score = try_head(s, raw, abi, orders[i], &h);

			if (score > best) {
				best = score;
				*ret = h;
			}
		}
	return best;
}

int kdump_probe(struct source *s)
{
	uint8_t raw[KDUMP_HEADER_MAX];
	struct kdump_head h;

	/* One that makes no sense is still one: open() says what is wrong with it. */
	return 64 + find_head(s, raw, &h);
}

bool kdump_mark(struct source *s, uint64_t *off, uint8_t ret[4])
{
	struct bytes_out o = { .data = ret, .size = 4 };
	uint8_t raw[KDUMP_HEADER_MAX];
	struct kdump_head h;

	if (!find_head(s, raw, &h))
		return false;
	o.order = h.order;
	out_uint(&o, h.f[KD_STATUS] | kdump_incomplete(raw), 4);
	*off = kdump_fields[KD_STATUS].off[h.abi];
	return true;
}

static int read_head(struct kdump_file *f, struct err *e)
{
	const uint8_t *raw = f->raw;
	const char *name = source_name(f->source);
	uint16_t at = kdump_fields[KD_BLOCK_SIZE].off[ABI_64],
		 at32 = kdump_fields[KD_BLOCK_SIZE].off[ABI_32_PACKED];

	if (find_head(f->source, f->raw, &f->head))
		return 0;
	if (!is_kdump(raw))
		return err_set(e, ERR_CORRUPT, "%s: is no kdump-compressed dump, as the others are",
			       name);
	if (source_size(f->source) < KDUMP_HEADER_MAX)
		return err_set(e, ERR_CORRUPT,
			       "%s: ends inside of its header, after %" PRIu64 " bytes", name,
			       source_size(f->source));
	return err_set(e, ERR_CORRUPT,
		       "%s: the header makes no sense: block_size is 0x%" PRIx32 " at offset %u, "
		       "or 0x%" PRIx32
		       " at offset %u in a 32-bit dump; expected a power of two from "
		       "%u to %u, and a header_version of at most %d, not 0x%" PRIx32,
		       name, load_u32(raw + at, ORDER_LE), at, load_u32(raw + at32, ORDER_LE), at32,
		       MIN_BLOCK, SOURCE_SLACK, MAX_VERSION, load_u32(raw + 8, ORDER_LE));
}

/* The old fields are cut to a word; the new ones came with version 6. */
static void read_range(struct kdump_file *f)
{
	const uint64_t *v = f->head.f;
	bool wide = v[KD_END_PFN_64] != 0;

	f->start = 0;
	f->end = UINT64_MAX;
	if (!kdump_is_split(&f->head))
		return;
	f->start = wide ? v[KD_START_PFN_64] : v[KD_START_PFN];
	f->end = wide ? v[KD_END_PFN_64] : v[KD_END_PFN];
}

/* ---- sets ---- */

static int compare_files(const void *a, const void *b)
{
	const struct kdump_file *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* Fields that are a part's own. */
static bool is_own_field(enum kdump_field f)
{
	switch (f) {
	case KD_STATUS:
	case KD_START_PFN:
	case KD_END_PFN:
	case KD_START_PFN_64:
	case KD_END_PFN_64:
	case KD_ERASEINFO_OFF:
	case KD_ERASEINFO_SIZE:
		return true;
	default:
		return false;
	}
}

static int differ(const struct kdump_file *a, const struct kdump_file *b, const char *what,
		  struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s and %s are not parts of one dump: their %s differ",
		       source_name(a->source), source_name(b->source), what);
}

/* Do both files hold the same there? What cannot be read may be the same. */
static bool same_bytes(struct source *a, struct source *b, uint64_t off, uint64_t len)
{
	uint8_t x[4096], y[4096];
	uint64_t end = off + len;

	while (off < end) {
		struct err ignored = ERR_INIT;
		size_t n;

		off = MAX(off, MIN(source_next_data(a, off), source_next_data(b, off)));
		if (off >= end)
			break;
		n = (size_t)MIN(end - off, sizeof(x));
		if (!source_read(a, off, x, n, &ignored) && !source_read(b, off, y, n, &ignored) &&
		    memcmp(x, y, n))
			return false;
		off += n;
	}
	return true;
}

static int check_same_dump(const struct kdump_file *a, const struct kdump_file *b, struct err *e)
{
	enum kdump_field f;
	uint64_t notes = a->head.f[KD_NOTES_SIZE];

	if (a->head.abi != b->head.abi || a->head.order != b->head.order)
		return differ(a, b, "word sizes or byte orders", e);
	for (f = 0; f < KD_NR_FIELDS; f++)
		if (!is_own_field(f) && a->head.f[f] != b->head.f[f])
			return err_set(e, ERR_CORRUPT,
				       "%s and %s are not parts of one dump: %s is 0x%" PRIx64
				       " in one, 0x%" PRIx64 " in the other",
				       source_name(a->source), source_name(b->source),
				       kdump_fields[f].name, a->head.f[f], b->head.f[f]);
	if (memcmp(a->raw + KDUMP_UTS_OFF, b->raw + KDUMP_UTS_OFF, UTS_FIELDS * UTS_LEN))
		return differ(a, b, "utsnames", e);
	if (!same_bytes(a->source, b->source, a->head.f[KD_NOTES_OFF], MIN(notes, DUMP_MAX_NOTES)))
		return differ(a, b, "notes", e);
	return 0;
}

/* Ranges, in ascending order by now. */
static int check_ranges(const struct kdump_file *files, unsigned int nr, struct err *e)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct kdump_file *f = &files[i];

		if (nr > 1 && !kdump_is_split(&f->head))
			return err_set(e, ERR_CORRUPT,
				       "%s: is a whole dump, no part of a split one",
				       source_name(f->source));
		if (f->start > f->end)
			return err_set(e, ERR_CORRUPT,
				       "%s: its range of pages begins at 0x%" PRIx64
				       " and ends at 0x%" PRIx64,
				       source_name(f->source), f->start, f->end);
		if (i && f->start < f[-1].end)
			return err_set(e, ERR_CORRUPT,
				       "%s and %s overlap: pages 0x%" PRIx64 "-0x%" PRIx64
				       " and 0x%" PRIx64 "-0x%" PRIx64,
				       source_name(f[-1].source), source_name(f->source),
				       f[-1].start, f[-1].end - 1, f->start, f->end - 1);
	}
	return 0;
}

/* A sub header that cannot be read was taken for zeros: it tells of no notes, and of no split set.
 */
static void check_sub_header(struct dump *d, const struct kdump_file *f)
{
	struct err why = ERR_INIT;
	uint8_t sub[KDUMP_SUB_MAX];

	if (!kdump_has_sub_header(f->raw) || !source_read(f->source, f->head.f[KD_BLOCK_SIZE], sub,
							  kdump_abis[f->head.abi].sub_size, &why))
		return;
	d->damage.bad_structures++;
	log_warn(d->log, "the sub header, which tells where the notes are, is lost: %s", why.text);
}

/* Read the headers of all files, and put them in order. */
static int read_files(struct dump *d, struct kdump_file *files, struct err *e)
{
	unsigned int i;

	for (i = 0; i < d->nr_sources; i++) {
		struct kdump_file *f = &files[i];

		f->source = d->sources[i];
		if (read_head(f, e))
			return -1;
		check_sub_header(d, f);
		read_range(f);
		f->has_bitmaps = table_off(&f->head) <= source_size(f->source);
	}
	qsort(files, d->nr_sources, sizeof(*files), compare_files);
	if (check_ranges(files, d->nr_sources, e))
		return -1;
	for (i = 0; i < d->nr_sources; i++) {
		d->sources[i] = files[i].source;
		if (i && check_same_dump(&files[0], &files[i], e))
			return -1;
	}
	d->source = d->sources[0];
	return 0;
}

/* The first file that has its bitmaps. */
static const struct kdump_file *find_bitmaps(const struct dump *d, const struct kdump_file *files,
					     struct err *e)
{
	const struct kdump_head *h = &files[0].head;
	unsigned int i;

	for (i = 0; i < d->nr_sources; i++)
		if (files[i].has_bitmaps)
			return &files[i];
	err_set(e, ERR_CORRUPT,
		"%s: %" PRIu64 " blocks of bitmaps at offset 0x%" PRIx64 " end at 0x%" PRIx64
		", the file ends at 0x%" PRIx64,
		source_name(d->source), h->f[KD_BITMAP_BLOCKS], bitmaps_off(h), table_off(h),
		source_size(d->source));
	return NULL;
}

/* ---- bitmaps ---- */

/* Blocks of one bitmap for so many units. */
static uint64_t blocks_for(const struct kdump_head *h, uint64_t units)
{
	uint64_t per_block = capacity(h, 1);

	return units / per_block + (units % per_block != 0);
}

/* How many units the header tells of. */
static uint64_t told_units(const struct kdump_head *h)
{
	uint64_t old = h->f[KD_MAX_MAPNR], new = h->f[KD_MAX_MAPNR_64];

	if (h->f[KD_VERSION] < 6 || !new)
		return old;
	if (units_agree(h) || blocks_for(h, old) * 2 != h->f[KD_BITMAP_BLOCKS])
		return new;
	return old;
}

/*
 * There are two bitmaps, unless all there are blocks for is one (crash diskdump.c,
 * dump_is_partial(); old diskdump without a level). Nobody has written that since there is a
 * version 6.
 */
static int read_bitmaps(struct dump *d, struct kdump *k, struct source *s, struct err *e)
{
	const struct kdump_head *h = &k->head;
	uint64_t blocks = h->f[KD_BITMAP_BLOCKS], off = bitmaps_off(h), bits;

	k->map.nr_units = told_units(h);
	k->one_bitmap = h->f[KD_VERSION] < 6 && blocks_for(h, k->map.nr_units) * 2 > blocks &&
			blocks_for(h, k->map.nr_units) <= blocks;
	bits = capacity(h, k->one_bitmap ? blocks : blocks / 2);
	if (!k->map.nr_units || k->map.nr_units > bits) {
		kdump_suspect(d, "max_mapnr", k->map.nr_units, bits);
		k->map.nr_units = bits;
	}
	if (k->one_bitmap)
		return rankset_read(&k->map.kept, s, off, bits, e);
	return rankset_read(&k->map.exist, s, off, bits, e) ||
	       rankset_read(&k->map.kept, s, off + bits / 8, bits, e);
}

/* Pages behind the last one that the header tells of are believed, since they are marked. */
static void check_end(struct dump *d, struct kdump *k)
{
	uint64_t end = k->map.kept.nr_bits, below;

	if (rankset_rank(&k->map.kept, k->map.nr_units, &below) && below != k->map.kept.total) {
		kdump_suspect(d, "the end of the bitmap of pages", end, k->map.nr_units);
		k->map.nr_units = end;
	}
}

/* Parts tell their own pages by their own bitmaps, and they must be the same as those that are
 * used. */
static int check_same_bitmaps(const struct kdump *k, const struct kdump_file *files,
			      unsigned int nr, const struct kdump_file *used, struct err *e)
{
	uint64_t off = bitmaps_off(&k->head), bytes = k->map.kept.nr_bits / 8;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct kdump_file *f = &files[i];
		uint64_t from = MIN(f->start / 8, bytes), to = MIN(f->end / 8 + 1, bytes);

		if (f == used || !f->has_bitmaps)
			continue;
		/* A part whose writer was stopped may not have come as far as its bitmaps. */
		if ((f->head.f[KD_STATUS] | used->head.f[KD_STATUS]) & kdump_incomplete(f->raw))
			continue;
		if (!same_bytes(used->source, f->source, off + from, to - from) ||
		    (!k->one_bitmap &&
		     !same_bytes(used->source, f->source, off + bytes + from, to - from)))
			return differ(used, f, "bitmaps", e);
	}
	return 0;
}

static int make_parts(const struct dump *d, struct kdump *k, const struct kdump_file *files,
		      struct err *e)
{
	unsigned int i;

	k->parts = calloc(d->nr_sources, sizeof(*k->parts));
	if (!k->parts)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (i = 0; i < d->nr_sources; i++) {
		struct kdump_part *p = &k->parts[k->nr_parts++];
		uint64_t end;

		*p = (struct kdump_part){ .source = files[i].source,
					  .size = source_size(files[i].source),
					  .start = MIN(files[i].start, k->map.nr_units),
					  .end = MIN(files[i].end, k->map.nr_units),
					  .table = table_off(&k->head) };
		if (!rankset_rank(&k->map.kept, p->start, &p->rank) ||
		    !rankset_rank(&k->map.kept, p->end, &end))
			return err_set(e, ERR_UNREADABLE, "%s: changes while it is read",
				       source_name(p->source));
		p->nr = end - p->rank;
	}
	return 0;
}

/* ---- opening ---- */

void kdump_close(struct dump *d)
{
	struct kdump *k = d->format_data;

	if (!k)
		return;
	bitmaps_fini(&k->map);
	free(k->parts);
	free(k);
}

int kdump_open(struct dump *d, struct err *e)
{
	_cleanup_free_ struct kdump_file *files = calloc(d->nr_sources, sizeof(*files));
	struct kdump *k = d->format_data = calloc(1, sizeof(*k));
	const struct kdump_file *used;

	if (!files || !k)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (read_files(d, files, e))
		return -1;
	used = find_bitmaps(d, files, e);
	if (!used)
		return -1;
	k->head = used->head;
	k->map.unit_shift = k->map.page_shift =
		(unsigned int)__builtin_ctzll(k->head.f[KD_BLOCK_SIZE]);
	kdump_tell(d, k, files, used);
	if (read_bitmaps(d, k, used->source, e))
		return -1;
	check_end(d, k);
	if (check_same_bitmaps(k, files, d->nr_sources, used, e) || make_parts(d, k, files, e) ||
	    kdump_scan(d, k, e) || kdump_read_notes(d, files, used, e))
		return -1;
	d->map_data = k;
	d->map = &kdump_map_ops;
	return 0;
}
