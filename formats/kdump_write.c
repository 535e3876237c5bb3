/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kdump-compressed dumps, header version 6: the writer. kdump.h tells the layout.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "kdump.h"
#include "note.h"

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

struct writer {
	enum kdump_abi_id abi;
	enum byte_order order;
	uint64_t bias;	  /* PFN of the first bit of the bitmaps */
	uint64_t nr_bits; /* of each bitmap */
	uint64_t sub_blocks, bitmap_blocks;
	uint64_t desc_base, desc_done; /* table; bytes of it that are written */
	uint64_t data;		       /* where the next page goes */
	uint64_t zero_page;	       /* offset of the one zero page, 0 while there is none */
	uint8_t *desc;
	size_t desc_fill, desc_batch;
};

static enum kdump_abi_id abi_of(const struct ident *id)
{
	return id->word == 8 ? ABI_64 : id->align64 == 4 ? ABI_32_PACKED : ABI_32_ALIGNED;
}

static size_t status_off(const struct writer *w)
{
	return kdump_fields[KD_STATUS].off[w->abi];
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

/* A field that readers of old know, with a wider one behind it in the sub header. */
static void set_saturated(struct kdump_head *h, enum kdump_field f, uint64_t v)
{
	h->f[f] = MIN(v, kdump_field_max(h->abi, f));
}

/* An offset and a length; nothing is nowhere. */
static void set_place(struct kdump_head *h, enum kdump_field off, uint64_t at, uint64_t len)
{
	h->f[off] = len ? at : 0;
	h->f[off + 1] = len;
}

/* Bytes behind the sub header: the notes, ours among them, and what was erased. */
static uint64_t sub_payload(const struct plan *plan)
{
	return plan->notes_len + plan->tool_note_len + plan->eraseinfo_len;
}

static void fill_head(const struct part *p, const struct writer *w, struct kdump_head *h)
{
	const struct plan *plan = p->plan;
	uint64_t notes = plan->page_size + kdump_abis[w->abi].sub_size,
		 notes_len = plan->notes_len + plan->tool_note_len;
	bool split = plan->nr_parts > 1;
	uint64_t start = split ? MAX(p->start_pfn, w->bias) - w->bias : 0,
		 end = split ? MAX(p->end_pfn, w->bias) - w->bias : 0;

	*h = (struct kdump_head){ .abi = w->abi, .order = w->order };
	h->f[KD_VERSION] = KDUMP_VERSION;
	h->f[KD_TIME] = (uint64_t)plan->crash_time;
	h->f[KD_STATUS] = KDUMP_INCOMPLETE;
	h->f[KD_BLOCK_SIZE] = plan->page_size;
	h->f[KD_SUB_BLOCKS] = w->sub_blocks;
	h->f[KD_BITMAP_BLOCKS] = w->bitmap_blocks;
	set_saturated(h, KD_MAX_MAPNR, w->nr_bits);
	h->f[KD_NR_CPUS] = count_prstatus(plan);
	h->f[KD_PHYS_BASE] = plan->phys_base;
	h->f[KD_DUMP_LEVEL] = (uint64_t)plan->dump_level;
	h->f[KD_SPLIT] = split;
	set_saturated(h, KD_START_PFN, start);
	set_saturated(h, KD_END_PFN, end);
	set_place(h, KD_VMCOREINFO_OFF, notes + plan->vmcoreinfo_off, plan->vmcoreinfo_len);
	set_place(h, KD_NOTES_OFF, notes, notes_len);
	/*
	 * Before the data, not behind it as makedumpfile has it: a stream knows the place then.
	 * Readers go by the offset.
	 */
	set_place(h, KD_ERASEINFO_OFF, notes + notes_len, plan->eraseinfo_len);
	h->f[KD_START_PFN_64] = start;
	h->f[KD_END_PFN_64] = end;
	h->f[KD_MAX_MAPNR_64] = w->nr_bits;
}

static void encode_header(const struct plan *plan, const struct kdump_head *h, uint8_t *raw)
{
	memcpy(raw, KDUMP_SIGNATURE, 8);
	memcpy(raw + KDUMP_UTS_OFF, plan->utsname, sizeof(plan->utsname));
	kdump_put_fields(h, 0, KD_SUB_HEADER, raw);
}

/*
 * The header. Where bytes cannot be written again the status word is left out: commit sends it, as
 * the last record, so that a stream that breaks off has none.
 */
static int write_header(struct part *p, const struct writer *w, const struct kdump_head *h,
			struct err *e)
{
	uint8_t raw[KDUMP_HEADER_MAX] = { 0 };
	size_t status = status_off(w), len = kdump_abis[w->abi].header_size;

	encode_header(p->plan, h, raw);
	if (sink_can_patch(p->sink))
		return sink_write(p->sink, 0, raw, len, e);
	return sink_write(p->sink, 0, raw, status, e) ||
	       sink_write(p->sink, status + 4, raw + status + 4, len - status - 4, e);
}

/* Pieces that follow each other; *off moves along. */
static int write_piece(struct part *p, uint64_t *off, const void *data, size_t len, struct err *e)
{
	if (len && sink_write(p->sink, *off, data, len, e))
		return -1;
	*off += len;
	return 0;
}

static int write_headers(struct part *p, struct writer *w, struct err *e)
{
	const struct plan *plan = p->plan;
	uint8_t sub[KDUMP_SUB_MAX] = { 0 };
	uint64_t off = plan->page_size;
	struct kdump_head h;

	fill_head(p, w, &h);
	kdump_put_fields(&h, KD_SUB_HEADER, KD_NR_FIELDS, sub);
	return write_header(p, w, &h, e) ||
	       write_piece(p, &off, sub, kdump_abis[w->abi].sub_size, e) ||
	       write_piece(p, &off, plan->notes, plan->notes_len, e) ||
	       write_piece(p, &off, plan->tool_note, plan->tool_note_len, e) ||
	       write_piece(p, &off, plan->eraseinfo, plan->eraseinfo_len, e);
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

/* The same in bits of the file. */
static bool next_bits(const struct plan *plan, const struct writer *w, next_pfns next, uint64_t bit,
		      uint64_t *ret_bit, uint64_t *ret_nr)
{
	uint64_t pfn;

	if (!next(plan, bit + w->bias, &pfn, ret_nr))
		return false;
	*ret_bit = pfn - w->bias;
	return true;
}

/*
 * One bitmap of SIZE bytes at offset OFF, a chunk at a time. Chunks without a bit stay holes; in a
 * stream they are sent, because crash does not know holes there.
 */
static int write_bitmap(struct part *p, const struct writer *w, next_pfns next, uint64_t off,
			uint64_t size, struct err *e)
{
	_cleanup_free_ uint8_t *chunk = malloc(BITMAP_CHUNK);
	bool send_holes = !sink_has_holes(p->sink) &&
			  (sink_can_patch(p->sink) || size <= MAX_STREAMED_BITMAP);
	uint64_t at = 0, bit = 0, nr = 0;
	bool more = next_bits(p->plan, w, next, 0, &bit, &nr);

	if (!chunk)
		return err_set(e, ERR_NOMEM, "no memory for a bitmap");
	while (at < size) {
		size_t len = (size_t)MIN(size - at, BITMAP_CHUNK);
		uint64_t base = at * 8, end = base + (uint64_t)len * 8;

		if (!send_holes && (!more || bit >= end)) {
			at = more ? bit / 8 / BITMAP_CHUNK * BITMAP_CHUNK : size;
			continue;
		}
		memset(chunk, 0, len);
		while (more && bit < end) {
			set_bits(chunk, base, MAX(bit, base), MIN(bit + nr, end));
			if (bit + nr > end)
				break;
			more = next_bits(p->plan, w, next, bit + nr, &bit, &nr);
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

int kdump_put(struct part *p, const struct batch *b, struct err *e)
{
	struct writer *w = p->priv;
	uint64_t off = w->data, before = source_my_faults();
	size_t i;

	if (sink_writev(p->sink, off, b->iov, b->nr_iov, e))
		return -1;
	w->data += b->bytes;
	/* What was written may be zeros in place of pages: no descriptor leads there. */
	if (batch_check(p, b, before, e))
		return -1;
	for (i = 0; i < b->nr_pages; i++) {
		const struct page_out *page = &b->pages[i];

		if (page->pfn < w->bias) {
			off += page->size;
			continue;
		}
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
	if (sink_reserve(p->sink, w->desc_base, p->nr_pages * KDUMP_DESC_SIZE, e))
		return err_add(e, "page descriptors");
	return write_bitmap(p, w, next_existing, bitmaps, half, e) ||
	       write_bitmap(p, w, next_kept, bitmaps + half, half, e) || write_zero_page(p, w, e);
}

/* Where the file counts pages from the first one of memory there is no place for those before it.
 */
static void warn_below_bias(const struct part *p, const struct writer *w)
{
	uint64_t lost = p->start_pfn < w->bias ? pfnset_count(p->plan->keep, p->start_pfn,
							      MIN(p->end_pfn, w->bias))
					       : 0;

	if (lost)
		log_warn(p->plan->dump->log,
			 "%s: %" PRIu64 " pages lie before phys_base 0x%" PRIx64
			 ", from where a kdump file of this architecture counts; left out",
			 sink_name(p->sink), lost, p->plan->phys_base);
}

int kdump_begin(struct part *p, struct err *e)
{
	const struct plan *plan = p->plan;
	struct writer *w = calloc(1, sizeof(*w));
	uint64_t page = plan->page_size;

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->priv = w;
	w->abi = abi_of(&plan->dump->id);
	w->order = plan->dump->id.order;
	w->bias = plan->dump->id.pfn_bias;
	w->nr_bits = plan->max_pfn > w->bias ? plan->max_pfn - w->bias : 0;
	w->sub_blocks = (kdump_abis[w->abi].sub_size + sub_payload(plan) + page - 1) / page;
	w->bitmap_blocks = 2 * ((w->nr_bits + 8 * page - 1) / (8 * page));
	w->desc_base = (1 + w->sub_blocks + w->bitmap_blocks) * page;
	w->data = w->desc_base + p->nr_pages * KDUMP_DESC_SIZE;
	w->desc_batch = (sink_can_patch(p->sink) ? DESC_BATCH_FILE : DESC_BATCH_STREAM) /
			KDUMP_DESC_SIZE * KDUMP_DESC_SIZE;
	w->desc = malloc(w->desc_batch);
	if (!w->desc)
		return err_set(e, ERR_NOMEM, "no memory for page descriptors");
	if (w->bitmap_blocks > UINT32_MAX || w->sub_blocks > INT32_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: the highest page 0x%" PRIx64
			       " is beyond what a kdump header can say",
			       sink_name(p->sink), plan->max_pfn);
	warn_below_bias(p, w);
	return write_start(p, w, e);
}

static int write_status(struct part *p, const struct writer *w, uint32_t value, struct err *e)
{
	uint8_t raw[4];
	struct bytes_out o = { .data = raw, .size = sizeof(raw), .order = w->order };

	out_uint(&o, value, 4);
	return sink_write(p->sink, status_off(w), raw, sizeof(raw), e);
}

int kdump_commit(struct part *p, struct err *e)
{
	struct writer *w = p->priv;

	/* Everything else first: the mark must not be cleared while data is still on its way. */
	if (flush_descriptors(p, w, e) || sink_sync(p->sink, e) ||
	    write_status(p, w, p->plan->codecs | (p->plan->incomplete ? KDUMP_INCOMPLETE : 0), e))
		return -1;
	return sink_commit(p->sink, w->data, e);
}

void kdump_finish(struct part *p)
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

	for (at = 0; at < w->desc_fill; at += KDUMP_DESC_SIZE)
		if (load_u64(w->desc + at, w->order) + load_u32(w->desc + at + 8, w->order) > end)
			memset(w->desc + at, 0, KDUMP_DESC_SIZE);
}

/* Descriptors of pages that are in the file make these readable; the incomplete mark stays. */
void kdump_abandon(struct part *p)
{
	struct writer *w = p->priv;
	struct err ignored = ERR_INIT;

	if (w && sink_can_patch(p->sink)) {
		sink_flush(p->sink,
			   &ignored); /* as far as it goes; a failed flush gathers nothing more */
		drop_unwritten(w, sink_end(p->sink));
		flush_descriptors(p, w, &ignored);
		/* It may be cleared already, when the last sync failed. */
		write_status(p, w, KDUMP_INCOMPLETE, &ignored);
		sink_flush(p->sink, &ignored);
	}
	kdump_finish(p);
}
