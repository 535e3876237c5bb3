/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LiME memory images, the reader: ranges of physical memory in any order, each behind a header of
 * its own, up to the end of the file. Nothing is told about the machine.
 *
 * Source: LiME's lime.h (lime_mem_range_header), version 1, always little-endian:
 *	u32 magic, u32 version, u64 first address, u64 last address, 8 bytes unused
 *
 * Only the end of a range tells where the next header lies. Where one makes no sense the file is
 * used up to there, and no other is looked for behind it: the image of a machine that was writing
 * one holds headers in its memory, too. Nothing tells how many there are: a file that is cut off
 * right between two ranges looks whole.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "cleanup.h"
#include "extents.h"
#include "formats.h"

#define LIME_MAGIC 0x4c694d45u
#define LIME_VERSION 1u
#define HEADER_SIZE 32u
#define MAX_PHYS ((uint64_t)1 << 56) /* riscv64, the widest of all */
#define MAX_RANGES ((size_t)1 << 21) /* a machine has dozens; some 200 MiB of them at the most */

/* Memory [start, end) that the file has, and where its header lies. */
struct range {
	uint64_t start, end, off;
};

struct image {
	struct dump *dump;
	struct range *ranges;
	size_t nr, room;
	uint64_t off;	    /* of the next header */
	uint64_t held;	    /* bytes of memory */
	uint8_t seen[4096]; /* of the file, at seen_off: short ranges share a read */
	uint64_t seen_off;
	size_t seen_len;
};

/* ---- headers ---- */

static const struct magic lime_magic[] = {
	{ 0, "EMiL", 4 },
	{ 0, NULL, 0 },
};

static int lime_probe(struct source *s)
{
	uint8_t raw[8];
	struct err ignored = ERR_INIT;

	if (source_read(s, 0, raw, sizeof(raw), &ignored))
		return 32; /* open() says that it is too short */
	return load_u32(raw + 4, ORDER_LE) == LIME_VERSION ? 64 : 32;
}

/* What makes sense of the header RAW at m->off. */
static int parse_header(const struct image *m, const uint8_t *raw, struct range *ret, struct err *e)
{
	struct bytes b = bytes_init(raw, HEADER_SIZE, ORDER_LE, "LiME header", m->off);
	const char *name = source_name(m->dump->source);
	uint32_t magic = bytes_u32(&b), version = bytes_u32(&b);
	uint64_t start = bytes_u64(&b), last = bytes_u64(&b);

	if (magic != LIME_MAGIC)
		return err_set(e, ERR_CORRUPT,
			       "%s: offset 0x%" PRIx64
			       ": expected a LiME header (0x%x), found 0x%x: "
			       "it or the end of the range before it is wrong",
			       name, m->off, LIME_MAGIC, magic);
	if (version != LIME_VERSION)
		return err_set(e, m->nr ? ERR_CORRUPT : ERR_UNSUPPORTED,
			       "%s: offset 0x%" PRIx64
			       ": LiME header, expected version %u, found %u",
			       name, m->off, LIME_VERSION, version);
	if (last < start || last >= MAX_PHYS)
		return err_set(e, ERR_CORRUPT,
			       "%s: offset 0x%" PRIx64
			       ": LiME header, expected an end from 0x%" PRIx64 " to 0x%" PRIx64
			       ", found 0x%" PRIx64,
			       name, m->off, start, MAX_PHYS - 1, last);
	*ret = (struct range){ .start = start, .end = last + 1, .off = m->off };
	return 0;
}

/* What the file has of a header at m->off; with *os set where an error is why there is no more. */
static size_t look_at_header(struct image *m, const uint8_t **ret, int *os)
{
	*os = 0;
	if (m->off - m->seen_off + HEADER_SIZE > m->seen_len) {
		m->seen_off = m->off;
		m->seen_len =
			source_read_some(m->dump->source, m->off, m->seen, sizeof(m->seen), os);
	}
	*ret = m->seen + (m->off - m->seen_off);
	return MIN(m->seen_len - (size_t)(m->off - m->seen_off), (size_t)HEADER_SIZE);
}

/* The header at m->off: 1, or 0 where the file ends, or -1. */
static int next_header(struct image *m, struct range *ret, struct err *e)
{
	struct dump *d = m->dump;
	const uint8_t *raw;
	int os;
	size_t have = look_at_header(m, &raw, &os);

	if (have < HEADER_SIZE && os)
		return err_sys(e, os, "%s: offset 0x%" PRIx64 ": expected a LiME header",
			       source_name(d->source), m->off);
	if (!have && m->nr)
		return 0;
	if (have < HEADER_SIZE) {
		d->damage.missing_bytes += HEADER_SIZE - have;
		return err_set(e, ERR_UNREADABLE,
			       "%s: offset 0x%" PRIx64 ": expected a LiME header of %u bytes, "
			       "found %zu: cut off",
			       source_name(d->source), m->off, HEADER_SIZE, have);
	}
	return parse_header(m, raw, ret, e) ? -1 : 1;
}

/* ---- ranges ---- */

/* Room for one more. The file has at least 33 bytes for each, so that memory follows its size. */
static int make_room(struct image *m, struct err *e)
{
	size_t want = m->room ? m->room * 2 : 16;
	struct range *more;

	if (m->nr == MAX_RANGES)
		return err_set(e, ERR_CORRUPT,
			       "%s: offset 0x%" PRIx64 ": expected at most %zu ranges, found more",
			       source_name(m->dump->source), m->off, MAX_RANGES);
	if (m->nr < m->room)
		return 0;
	more = realloc(m->ranges, want * sizeof(*more));
	if (!more)
		return err_set(e, ERR_NOMEM, "no memory for %zu ranges", want);
	m->ranges = more;
	m->room = want;
	return 0;
}

static int add_range(struct image *m, struct range r, struct err *e)
{
	struct dump *d = m->dump;
	uint64_t at = r.off + HEADER_SIZE, size = source_size(d->source), len = r.end - r.start;
	uint64_t have = at < size ? MIN(len, size - at) : 0;

	if (make_room(m, e) || extents_add(d, r.start, len, len, at, e))
		return -1;
	if (have < len && m->held + have) /* else there is more to say than that */
		log_warn(d->log,
			 "%s: offset 0x%" PRIx64 ": memory 0x%" PRIx64 "-0x%" PRIx64
			 ", expected %" PRIu64 " bytes of it, found %" PRIu64
			 ": cut off, or its end is wrong",
			 source_name(d->source), r.off, r.start, r.end - 1, len, have);
	m->held += have;
	m->off = at + len;
	r.end = r.start + have;
	m->ranges[m->nr++] = r;
	return 0;
}

static int read_ranges(struct image *m, struct err *e)
{
	struct range r = { .start = 0 };
	int ret;

	while ((ret = next_header(m, &r, e)) > 0)
		if (add_range(m, r, e))
			return -1;
	return ret;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/*
 * Memory that two ranges hold: LiME itself writes none, but who made an image out of something else
 * may have (the PT_LOADs of /proc/vmcore overlap). No header is wrong for that, and no memory is
 * lost: it is no damage. In this order lib/extents.c reads the first.
 */
static void tell_overlaps(struct image *m)
{
	const struct range *first = NULL, *r;
	uint64_t covered = 0, twice = 0;
	size_t i, n = 0;

	qsort(m->ranges, m->nr, sizeof(*m->ranges), compare_ranges);
	for (i = 0; i < m->nr; i++) {
		r = &m->ranges[i];
		if (r->start < covered && r->start < r->end) {
			twice += MIN(r->end, covered) - r->start;
			first = first ? first : r;
			n++;
		}
		covered = MAX(covered, r->end);
	}
	if (!n)
		return;
	log_warn(m->dump->log,
		 "%s: offset 0x%" PRIx64 ": memory 0x%" PRIx64 "-0x%" PRIx64
		 ", expected none that another range holds; found %" PRIu64
		 " bytes twice, in %zu of %zu ranges: the one that begins lower is read",
		 source_name(m->dump->source), first->off, first->start, first->end - 1, twice, n,
		 m->nr);
}

/* ---- the driver ---- */

/* The headers ended before the file did. */
static void tell_rest(const struct image *m, const struct err *why)
{
	struct dump *d = m->dump;
	uint64_t size = source_size(d->source);

	d->damage.bad_structures += why->code != ERR_UNREADABLE;
	if (size == UINT64_MAX)
		log_warn(d->log, "%s; what follows is left out", why->text);
	else
		log_warn(d->log, "%s; %" PRIu64 " bytes from there on are left out", why->text,
			 size - m->off);
}

static int use_ranges(struct image *m, struct err *e)
{
	struct err why = ERR_INIT;
	int failed = read_ranges(m, &why);

	if (failed && (why.code == ERR_NOMEM || !m->held)) {
		*e = why;
		if (why.code == ERR_UNREADABLE)
			e->code = ERR_CORRUPT;
		return -1;
	}
	if (!m->held)
		return err_set(e, ERR_CORRUPT,
			       "%s: offset 0x%x: expected memory behind a LiME header, found the "
			       "end of the file",
			       source_name(m->dump->source), HEADER_SIZE);
	if (failed)
		tell_rest(m, &why);
	tell_overlaps(m);
	return 0;
}

static int lime_open(struct dump *d, struct err *e)
{
	struct image m = { .dump = d };
	int ret = use_ranges(&m, e);

	free(m.ranges);
	/* Unless the user tells the architecture. */
	d->id.order = ORDER_LE;
	d->id.word = 8;
	d->told.version = LIME_VERSION;
	return ret;
}

const struct format lime_format = {
	.name = "lime",
	.title = "LiME memory image",
	.no_notes = true,
	.magic = lime_magic,
	.probe = lime_probe,
	.open = lime_open,
};
