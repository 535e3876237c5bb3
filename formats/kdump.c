/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kdump-compressed dumps, header version 6: the writer. (They can be recognised, not yet read.)
 *
 * Layout: makedumpfile IMPLEMENTATION and diskdump_mod.h; crash diskdump.h. In blocks of the page
 * size: header; sub header and notes; bitmap of memory that exists; bitmap of pages in the file; a
 * descriptor of 24 bytes for each of these; page data. Everything in the byte order and C layout of
 * the machine that was dumped.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "formats.h"
#include "note.h"

#define HEADER_VERSION 6
#define STATUS_INCOMPLETE 8
#define DESC_SIZE 24
#define HEADER_MAX 464
#define SUB_HEADER_MAX 104
#define BITMAP_CHUNK ((size_t)1 << 20)
/*
 * Holes in the bitmaps of a stream are sent as zeros, for crash; but not when a lying memory map
 * makes them endless.
 */
#define MAX_STREAMED_BITMAP ((uint64_t)1 << 30)

/*
 * Memory that the dump only claims to have had, in one piece of more than 4 TiB, is a lie; to tell
 * it to exist would take bitmaps of any size.
 */
#define MAX_EMPTY_RUN ((uint64_t)1 << 30)

/*
 * Descriptors are written in batches: small where they can be placed, large where each batch is a
 * record.
 */
#define DESC_BATCH_FILE ((size_t)64 << 10)
#define DESC_BATCH_STREAM ((size_t)1 << 20)

/*
 * The three C layouts (docs of the header: 64 bit; 32 bit with 64-bit members aligned to 4, i386,
 * or to 8, arm).
 */
struct layout {
	unsigned int word, align64;
	unsigned int status_off; /* of the status word in the header */
};

struct writer {
	struct layout layout;
	enum byte_order order;
	uint64_t max_pfn;
	uint64_t sub_blocks, bitmap_blocks;
	uint64_t desc_base, desc_done; /* table; bytes of it that are written */
	uint64_t data;		       /* where the next page goes */
	uint64_t zero_page;	       /* offset of the one zero page, 0 while there is none */
	uint8_t *desc;
	size_t desc_fill, desc_batch;
};

static const struct magic kdump_magic[] = {
	{ 0, "KDUMP   ", 8 },
	{ 0, "DISKDUMP", 8 },
	{ 0, NULL, 0 },
};

static struct layout layout_of(const struct dump *d)
{
	struct layout l = { .word = d->id.word, .align64 = d->id.align64 };

	l.status_off = l.word == 8 ? 424 : 412;
	return l;
}

/* ---- headers ---- */

static unsigned int count_prstatus(const struct plan *plan)
{
	struct bytes b = bytes_init(plan->notes, plan->notes_len, plan->dump->id.order, "notes", 0);
	unsigned int nr = 0;
	struct note n;

	while (note_next(&b, &n))
		nr += n.type == NT_PRSTATUS_TYPE && note_owner_is(&n, "CORE");
	return nr;
}

static uint32_t saturate(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* The header up to nr_cpus; returns its length. */
static size_t encode_header(const struct plan *plan, const struct writer *w, uint32_t status,
			    uint8_t *raw)
{
	struct bytes_out o = { .data = raw, .size = HEADER_MAX, .order = w->order };
	size_t i;

	out_bytes(&o, "KDUMP   ", 8);
	out_uint(&o, HEADER_VERSION, 4);
	for (i = 0; i < ARRAY_SIZE(plan->utsname); i++)
		out_bytes(&o, plan->utsname[i], sizeof(plan->utsname[i]));
	out_zero(&o, w->layout.word == 8 ? 6 : 2);
	out_uint(&o, (uint64_t)plan->crash_time, w->layout.word);
	out_uint(&o, 0, w->layout.word); /* tv_usec */
	out_uint(&o, status, 4);
	out_uint(&o, plan->page_size, 4);
	out_uint(&o, w->sub_blocks, 4);
	out_uint(&o, w->bitmap_blocks, 4);
	out_uint(&o, saturate(w->max_pfn), 4);
	out_zero(&o, 16); /* total_ram_blocks, device_blocks, written_blocks, current_cpu */
	out_uint(&o, count_prstatus(plan), 4);
	return o.pos;
}

static void out_align(struct bytes_out *o, unsigned int align)
{
	out_zero(o, -o->pos & (align - 1));
}

/* An offset and a length, in the ABI's types: 64-bit and long. */
static void out_place(struct bytes_out *o, const struct layout *l, uint64_t off, uint64_t len)
{
	out_align(o, l->align64);
	out_uint(o, len ? off : 0, 8);
	out_uint(o, len, l->word);
}

static uint64_t long_max(const struct layout *l)
{
	return l->word == 8 ? UINT64_MAX : UINT32_MAX;
}

static size_t sub_header_size(const struct layout *l)
{
	return l->word == 8 ? 104 : l->align64 == 8 ? 96 : 80;
}

static void encode_sub_header(const struct part *p, const struct writer *w, uint8_t *raw)
{
	const struct plan *plan = p->plan;
	const struct layout *l = &w->layout;
	struct bytes_out o = { .data = raw, .size = SUB_HEADER_MAX, .order = w->order };
	uint64_t notes = plan->page_size + sub_header_size(l);
	bool split = plan->nr_parts > 1;
	uint64_t start = split ? p->start_pfn : 0, end = split ? p->end_pfn : 0;

	out_uint(&o, plan->phys_base, l->word);
	out_uint(&o, (uint64_t)plan->dump_level, 4);
	out_uint(&o, split, 4);
	out_uint(&o, MIN(start, long_max(l)), l->word);
	out_uint(&o, MIN(end, long_max(l)), l->word);
	out_place(&o, l, notes + plan->vmcoreinfo_off, plan->vmcoreinfo_len);
	out_place(&o, l, notes, plan->notes_len + plan->tool_note_len);
	out_place(&o, l, 0, 0); /* eraseinfo */
	out_align(&o, l->align64);
	out_uint(&o, start, 8);
	out_uint(&o, end, 8);
	out_uint(&o, w->max_pfn, 8);
}

/*
 * Headers and notes. Where bytes cannot be written again the status word is left out: commit sends
 * it, as the last record, so that a stream that breaks off has none.
 */
static int write_headers(struct part *p, struct writer *w, struct err *e)
{
	const struct plan *plan = p->plan;
	uint8_t header[HEADER_MAX] = { 0 }, sub[SUB_HEADER_MAX] = { 0 };
	size_t status = w->layout.status_off,
	       len = encode_header(plan, w, STATUS_INCOMPLETE, header);
	size_t sub_len = sub_header_size(&w->layout);

	encode_sub_header(p, w, sub);
	if (sink_can_patch(p->sink)
		    ? sink_write(p->sink, 0, header, len, e)
		    : (sink_write(p->sink, 0, header, status, e) ||
		       sink_write(p->sink, status + 4, header + status + 4, len - status - 4, e)))
		return -1;
	return sink_write(p->sink, plan->page_size, sub, sub_len, e) ||
	       sink_write(p->sink, plan->page_size + sub_len, plan->notes, plan->notes_len, e) ||
	       sink_write(p->sink, plan->page_size + sub_len + plan->notes_len, plan->tool_note,
			  plan->tool_note_len, e);
}

/* ---- bitmaps ---- */

/* Set bits [from, to) of a map that begins at bit BASE; bit 0 of a byte is the lowest PFN. */
static void set_bits(uint8_t *map, uint64_t base, uint64_t from, uint64_t to)
{
	from -= base;
	to -= base;
	for (; from < to && from % 8; from++)
		map[from / 8] |= (uint8_t)(1 << from % 8);
	if (to - from >= 8) {
		memset(map + from / 8, 0xff, (to - from) / 8);
		from += (to - from) / 8 * 8;
	}
	for (; from < to; from++)
		map[from / 8] |= (uint8_t)(1 << from % 8);
}

/* The next run of PFNs at or after PFN that a bitmap holds. */
typedef bool (*next_pfns)(const struct plan *plan, uint64_t pfn, uint64_t *ret_pfn,
			  uint64_t *ret_nr);

static bool next_existing(const struct plan *plan, uint64_t pfn, uint64_t *ret_pfn,
			  uint64_t *ret_nr)
{
	struct run run;

	do {
		if (!dump_next_run(plan->dump, SPACE_PHYS, pfn, &run) || run.pfn >= plan->max_pfn)
			return false;
		pfn = run.pfn + run.nr;
	} while (run.state != PAGE_DATA && run.state != PAGE_ZERO && run.nr > MAX_EMPTY_RUN);
	*ret_pfn = run.pfn;
	*ret_nr = MIN(run.nr, plan->max_pfn - run.pfn);
	return true;
}

static bool next_kept(const struct plan *plan, uint64_t pfn, uint64_t *ret_pfn, uint64_t *ret_nr)
{
	return pfnset_next(plan->keep, pfn, UINT64_MAX, UINT64_MAX, ret_pfn, ret_nr);
}

/*
 * One bitmap of SIZE bytes at offset OFF, a chunk at a time. Chunks without a bit stay holes; in a
 * stream they are sent, because crash does not know holes there.
 */
static int write_bitmap(struct part *p, next_pfns next, uint64_t off, uint64_t size, struct err *e)
{
	_cleanup_free_ uint8_t *chunk = malloc(BITMAP_CHUNK);
	bool send_holes = !sink_has_holes(p->sink) &&
			  (sink_can_patch(p->sink) || size <= MAX_STREAMED_BITMAP);
	uint64_t at = 0, pfn = 0, nr = 0;
	bool more = next(p->plan, 0, &pfn, &nr);

	if (!chunk)
		return err_set(e, ERR_NOMEM, "no memory for a bitmap");
	while (at < size) {
		size_t len = (size_t)MIN(size - at, BITMAP_CHUNK);
		uint64_t base = at * 8, end = base + (uint64_t)len * 8;

		if (!send_holes && (!more || pfn >= end)) {
			at = more ? pfn / 8 / BITMAP_CHUNK * BITMAP_CHUNK : size;
			continue;
		}
		memset(chunk, 0, len);
		while (more && pfn < end) {
			set_bits(chunk, base, MAX(pfn, base), MIN(pfn + nr, end));
			if (pfn + nr > end)
				break;
			more = next(p->plan, pfn + nr, &pfn, &nr);
		}
		if (sink_write(p->sink, off + at, chunk, len, e))
			return -1;
		at += len;
	}
	return 0;
}

/* ---- pages ---- */

static int flush_descriptors(struct part *p, struct writer *w, struct err *e)
{
	size_t len = w->desc_fill;

	if (!len)
		return 0;
	/* What they point at goes first. */
	if (sink_flush(p->sink, e) ||
	    sink_write(p->sink, w->desc_base + w->desc_done, w->desc, len, e) ||
	    sink_flush(p->sink, e))
		return -1;
	w->desc_done += len;
	w->desc_fill = 0;
	return 0;
}

static void add_descriptor(struct writer *w, uint64_t off, uint32_t size, uint32_t flags)
{
	struct bytes_out o = {
		.data = w->desc, .size = w->desc_batch, .pos = w->desc_fill, .order = w->order
	};

	out_uint(&o, off, 8);
	out_uint(&o, size, 4);
	out_uint(&o, flags, 4);
	out_uint(&o, 0, 8); /* page_flags: never used */
	w->desc_fill = o.pos;
}

/* The one zero page that all zero pages share. */
static int write_zero_page(struct part *p, struct writer *w, struct err *e)
{
	_cleanup_free_ uint8_t *zero = calloc(1, p->plan->page_size);

	if (!zero)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (sink_write(p->sink, w->data, zero, p->plan->page_size, e))
		return -1;
	w->zero_page = w->data;
	w->data += p->plan->page_size;
	return 0;
}

static int kdump_put(struct part *p, const struct batch *b, struct err *e)
{
	struct writer *w = p->priv;
	uint64_t off = w->data, before = source_my_faults();
	size_t i;

	if (sink_writev(p->sink, off, b->iov, b->nr_iov, e))
		return -1;
	w->data += b->bytes;
	/* What was written may be zeros in place of pages: no descriptor leads there. */
	if (source_my_faults() != before)
		return err_set(e, ERR_UNREADABLE,
			       "%s: pages from 0x%" PRIx64 " on were lost while they were written",
			       source_name(p->plan->dump->source), b->pages[0].pfn);
	for (i = 0; i < b->nr_pages; i++) {
		const struct page_out *page = &b->pages[i];

		if (w->desc_fill == w->desc_batch && flush_descriptors(p, w, e))
			return -1;
		if (page->state == PAGE_DATA) {
			add_descriptor(w, off, page->size, page->codec);
			off += page->size;
		} else if (page->state == PAGE_ZERO) {
			add_descriptor(w, w->zero_page, p->plan->page_size, 0);
		} else {
			add_descriptor(w, 0, 0, 0); /* readers: "page incomplete" */
		}
	}
	return 0;
}

static int write_start(struct part *p, struct writer *w, struct err *e)
{
	uint64_t page = p->plan->page_size, half = w->bitmap_blocks / 2 * page,
		 bitmaps = (1 + w->sub_blocks) * page;

	/*
	 * A device holds other things where nothing is written: between the headers and behind
	 * them.
	 */
	if (!sink_has_holes(p->sink) && sink_can_patch(p->sink) &&
	    sink_reserve(p->sink, 0, bitmaps, e))
		return -1;
	if (write_headers(p, w, e) || sink_flush(p->sink, e))
		return -1;
	if (sink_reserve(p->sink, w->desc_base, p->nr_pages * DESC_SIZE, e))
		return err_add(e, "page descriptors");
	return write_bitmap(p, next_existing, bitmaps, half, e) ||
	       write_bitmap(p, next_kept, bitmaps + half, half, e) || write_zero_page(p, w, e);
}

static int kdump_begin(struct part *p, struct err *e)
{
	const struct plan *plan = p->plan;
	struct writer *w = calloc(1, sizeof(*w));
	uint64_t page = plan->page_size;

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->priv = w;
	w->layout = layout_of(plan->dump);
	w->order = plan->dump->id.order;
	w->max_pfn = plan->max_pfn;
	w->sub_blocks =
		(sub_header_size(&w->layout) + plan->notes_len + plan->tool_note_len + page - 1) /
		page;
	w->bitmap_blocks = 2 * ((w->max_pfn + 8 * page - 1) / (8 * page));
	w->desc_base = (1 + w->sub_blocks + w->bitmap_blocks) * page;
	w->data = w->desc_base + p->nr_pages * DESC_SIZE;
	w->desc_batch = (sink_can_patch(p->sink) ? DESC_BATCH_FILE : DESC_BATCH_STREAM) /
			DESC_SIZE * DESC_SIZE;
	w->desc = malloc(w->desc_batch);
	if (!w->desc)
		return err_set(e, ERR_NOMEM, "no memory for page descriptors");
	if (w->bitmap_blocks > UINT32_MAX || w->sub_blocks > INT32_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: the highest page 0x%" PRIx64
			       " is beyond what a kdump header can say",
			       sink_name(p->sink), w->max_pfn);
	return write_start(p, w, e);
}

static int write_status(struct part *p, const struct writer *w, uint32_t value, struct err *e)
{
	uint8_t raw[4];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = w->order };

	out_uint(&o, value, 4);
	return sink_write(p->sink, w->layout.status_off, raw, sizeof(raw), e);
}

static int kdump_commit(struct part *p, struct err *e)
{
	struct writer *w = p->priv;

	/* Everything else first: the mark must not be cleared while data is still on its way. */
	if (flush_descriptors(p, w, e) || sink_sync(p->sink, e) ||
	    write_status(p, w, p->plan->codecs, e))
		return -1;
	return sink_commit(p->sink, w->data, e);
}

static void kdump_finish(struct part *p)
{
	struct writer *w = p->priv;

	if (w)
		free(w->desc);
	free(w);
	p->priv = NULL;
}

/* Forget descriptors of pages whose data did not make it into the file. */
static void drop_unwritten(struct writer *w, uint64_t end)
{
	size_t at;

	for (at = 0; at < w->desc_fill; at += DESC_SIZE)
		if (load_u64(w->desc + at, w->order) + load_u32(w->desc + at + 8, w->order) > end)
			memset(w->desc + at, 0, DESC_SIZE);
}

/* Descriptors of pages that are in the file make these readable; the incomplete mark stays. */
static void kdump_abandon(struct part *p)
{
	struct writer *w = p->priv;
	struct err ignored = ERR_INIT;

	if (w && sink_can_patch(p->sink)) {
		sink_flush(p->sink,
			   &ignored); /* as far as it goes; a failed flush gathers nothing more */
		drop_unwritten(w, sink_end(p->sink));
		flush_descriptors(p, w, &ignored);
		/* It may be cleared already, when the last sync failed. */
		write_status(p, w, STATUS_INCOMPLETE, &ignored);
		sink_flush(p->sink, &ignored);
	}
	kdump_finish(p);
}

const struct format kdump_format = {
	.name = "kdump",
	.title = "kdump-compressed dump",
	.magic = kdump_magic,
	.codecs = CODEC_ALL,
	.can_split = true,
	.begin = kdump_begin,
	.put = kdump_put,
	.commit = kdump_commit,
	.abandon = kdump_abandon,
	.finish = kdump_finish,
};
