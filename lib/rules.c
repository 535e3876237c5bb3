/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules.h"

#include <inttypes.h>

#include "cleanup.h"
#include "zones.h"

#define MAPPING_ANON \
	1ULL /* PAGE_MAPPING_ANON, FOLIO_MAPPING_ANON: bit 0 of mapping, KSM included */

const char *kind_name(enum page_kind kind)
{
	static const char *const names[NR_KINDS] = {
		[KIND_KEPT] = "kept pages",
		[KIND_CACHE] = "page cache without private data",
		[KIND_CACHE_PRIVATE] = "page cache with private data",
		[KIND_USER] = "user data",
		[KIND_FREE] = "free pages",
		[KIND_HWPOISON] = "hardware poisoned pages",
		[KIND_OFFLINE] = "offline pages",
	};

	return names[kind];
}

/* ---- building ---- */

static struct maybe fact(const struct kernel *k, enum fact_kind kind, const char *name)
{
	struct maybe m = { .known = false };

	m.known = kernel_fact(k, kind, name, &m.value);
	return m;
}

/* An offset in struct page that leaves room for SIZE bytes and suits a word of that size. */
static struct maybe member(const struct rules *r, const struct kernel *k, const char *name,
			   unsigned int size)
{
	struct maybe m = fact(k, FACT_OFFSET, name);

	if (m.value > r->struct_size - size || m.value % MIN(size, r->word))
		m.known = false;
	return m;
}

/*
 * The width of the compound order and destructor, which shows in how far apart they are: a byte
 * each, but until f9ae0f4a4b46 (v4.16) two of them, or four in a 64-bit kernel (f1e61557f023).
 */
static uint8_t compound_width(const struct kernel *k)
{
	struct maybe order = fact(k, FACT_OFFSET, "page.compound_order");
	struct maybe dtor = fact(k, FACT_OFFSET, "page.compound_dtor");

	return order.known && dtor.known &&
			       (order.value == dtor.value + 2 || order.value == dtor.value + 4)
		       ? (uint8_t)(order.value - dtor.value)
		       : 1;
}

/* A page type: since v2.6.38 each is less than -1, which is "none, and not mapped". */
static struct maybe page_type(const struct kernel *k, const char *name)
{
	struct maybe m = fact(k, FACT_NUMBER, name);
	uint32_t top =
		0xf0000000u; /* set in all types but those of v6.11, which have bit 31 alone */

	if ((int32_t)m.value >= -1 || ((uint32_t)m.value & top) < 0x90000000u)
		m.known = false;
	return m;
}

/* A flag number as a mask; 0 when not known. */
static uint64_t flag(const struct kernel *k, const char *name)
{
	struct maybe m = fact(k, FACT_NUMBER, name);

	return m.known && m.value < 64 ? 1ULL << m.value : 0;
}

static enum type_encoding find_encoding(const struct maybe *buddy)
{
	uint32_t v = (uint32_t)buddy->value;

	if (!buddy->known)
		return TYPE_NONE;
	if (!(v & 0xffffff) && v >> 28 == 0xf)
		return TYPE_TOP_BYTE;
	if (v == 0xbfffffff)
		return TYPE_BIT;
	return TYPE_EQUAL;
}

/*
 * 4.18 and later spell each type as its own number; before, only buddy and later balloon had one.
 */
static void init_types(struct rules *r, const struct kernel *k)
{
	r->mapcount = member(r, k, "page._mapcount", 4);
	r->buddy = page_type(k, "PAGE_BUDDY_MAPCOUNT_VALUE");
	r->offline = page_type(k, "PAGE_OFFLINE_MAPCOUNT_VALUE");
	r->slab_type = page_type(k, "PAGE_SLAB_MAPCOUNT_VALUE");
	r->unaccepted = page_type(k, "PAGE_UNACCEPTED_MAPCOUNT_VALUE");
	r->encoding = find_encoding(&r->buddy);
	if (!r->buddy.known && (r->offline.known || r->slab_type.known))
		r->encoding = find_encoding(r->offline.known ? &r->offline : &r->slab_type);
}

/*
 * docs of the eras: mm.h compound_order(), folio_order(); what is exported tells which one applies.
 */
static void init_order(struct rules *r, const struct kernel *k)
{
	struct maybe order = member(r, k, "page.compound_order", compound_width(k));
	struct maybe folio = fact(k, FACT_OFFSET, "folio._folio_order");
	struct maybe lru = member(r, k, "page.lru", 2u * r->word);
	struct maybe prev = fact(k, FACT_OFFSET, "list_head.prev");
	bool has_dtor = fact(k, FACT_OFFSET, "page.compound_dtor").known ||
			fact(k, FACT_OFFSET, "folio._folio_dtor").known ||
			fact(k, FACT_NUMBER, "HUGETLB_PAGE_DTOR").known;

	r->order_place = ORDER_IN_NEXT;
	if (order.known && order.value - r->flags >= r->word) { /* v4.4; not inside the flags */
		r->order_off = (uint32_t)order.value;
		r->order_width = compound_width(k);
	} else if (folio.known && folio.value >= r->struct_size &&
		   folio.value < 2u * r->struct_size) { /* v6.3 */
		r->order_off = (uint32_t)folio.value - r->struct_size;
		r->order_width = 1;
	} else if (r->compound_head.known && !has_dtor) { /* v6.6: ebc1baf5c9b4 */
		r->order_place = ORDER_IN_NEXT_FLAGS;
	} else if (!r->compound_head.known && lru.known && prev.known && prev.value <= r->word) {
		r->order_off = (uint32_t)(lru.value + prev.value); /* before v4.4: in a pointer */
		r->order_width = r->word;
	} else {
		r->order_place = ORDER_NOWHERE;
	}
}

static void init_hugetlb(struct rules *r, const struct kernel *k)
{
	struct maybe type = page_type(k, "PAGE_HUGETLB_MAPCOUNT_VALUE");
	struct maybe number = fact(k, FACT_NUMBER, "HUGETLB_PAGE_DTOR"); /* of an enum */
	struct maybe symbol = fact(k, FACT_SYMBOL, "free_huge_page");
	struct maybe dtor = member(r, k, "page.compound_dtor", compound_width(k));
	struct maybe folio = fact(k, FACT_OFFSET, "folio._folio_dtor");
	struct maybe lru = member(r, k, "page.lru", r->word);

	number.known = number.known && number.value < 256;
	dtor.known = dtor.known && dtor.value - r->flags >= r->word;
	if (type.known && r->encoding != TYPE_NONE) { /* v6.9: d99e3140a4d3 */
		r->hugetlb = HUGETLB_TYPE;
		r->hugetlb_value = type.value;
	} else if (flag(k, "PG_hugetlb")) { /* v6.6: 9c5ccf2db04b */
		r->hugetlb = HUGETLB_FLAG;
		r->hugetlb_value = flag(k, "PG_hugetlb");
	} else if (number.known && folio.known && folio.value >= r->struct_size &&
		   folio.value < 2u * r->struct_size) {
		r->hugetlb = HUGETLB_DTOR; /* v6.3 */
		r->hugetlb_off = (uint32_t)folio.value - r->struct_size;
		r->hugetlb_width = 1;
		r->hugetlb_value = number.value;
	} else if (number.known && dtor.known) { /* v4.4; u16 until v4.16 */
		r->hugetlb = HUGETLB_DTOR;
		r->hugetlb_off = (uint32_t)dtor.value;
		r->hugetlb_width = compound_width(k);
		r->hugetlb_value = number.value;
	} else if (symbol.known && lru.known &&
		   !r->compound_head.known) { /* before v4.4: lru.next is the function */
		r->hugetlb = HUGETLB_DTOR;
		r->hugetlb_off = (uint32_t)lru.value;
		r->hugetlb_width = r->word;
		r->hugetlb_value = symbol.value;
	}
}

static void init_flags(struct rules *r, const struct kernel *k)
{
	struct maybe mask = fact(k, FACT_NUMBER, "PG_head_mask");

	r->lru = flag(k, "PG_lru");
	r->private_flag = flag(k, "PG_private");
	r->swapcache = flag(k, "PG_swapcache");
	r->swapbacked = flag(k, "PG_swapbacked");
	/* page._refcount had that name until v4.6: the kernel is older than v4.10 for sure. */
	r->swapcache_alone = !r->swapbacked && fact(k, FACT_OFFSET, "page._count").known;
	r->slab_flag = flag(k, "PG_slab");
	r->hwpoison = flag(k, "PG_hwpoison");
	r->buddy_flag = r->buddy.known ? 0 : flag(k, "PG_buddy");
	r->head = mask.known ? mask.value : flag(k, "PG_head");
	if (__builtin_popcountll(r->head) > 2)
		r->head = 0; /* one flag; two of them where head and tail once shared one */
}

static void keep_instead(struct rules *r, int bits, const char *what, const char *missing,
			 struct log *log)
{
	if (!(r->level & bits))
		return;
	r->level &= ~bits;
	log_warn(log, "%s are kept: %s", what, missing);
}

/*
 * OFFSET(page.private), OFFSET(page._mapcount), NUMBER(PG_slab) and PAGE_BUDDY_MAPCOUNT_VALUE came
 * together (v3.9). In older kernels the mapping of a slab page is not odd: it is its own until
 * SLAB's s_mem shares it (8456a648cf44, v3.13).
 */
static bool is_before_39(const struct rules *r)
{
	return !r->mapcount.known && !r->private_off.known && !r->compound_head.known &&
	       r->encoding == TYPE_NONE;
}

/* Free pages are known by struct page, or else by the lists that they are on. */
static void distrust_free(struct rules *r, const struct kernel *k, struct log *log)
{
	const char *missing = NULL;

	if (!r->buddy_flag && !r->mapcount.known)
		missing = "OFFSET(page._mapcount) is not known";
	else if (!r->buddy_flag && !r->buddy.known)
		missing = "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE) is not known";
	else if (!r->private_off.known)
		missing = "OFFSET(page.private) is not known";
	r->by_lists = missing && zones_have_lists(k);
	if (missing && !r->by_lists)
		keep_instead(r, LEVEL_FREE, "free pages", missing, log);
}

/* Take out what cannot be decided with the facts there are. */
static void distrust(struct rules *r, const struct kernel *k, struct log *log)
{
	struct maybe free_areas = fact(k, FACT_LENGTH, "zone.free_area");
	int cache = LEVEL_CACHE | LEVEL_CACHE_PRIVATE;

	r->max_free_order = free_areas.known && free_areas.value <= 32 ? free_areas.value : 0;
	if (!r->lru)
		keep_instead(r, cache, "cache pages", "NUMBER(PG_lru) is not known", log);
	if (!r->private_flag && (r->level & cache) == LEVEL_CACHE)
		keep_instead(r, LEVEL_CACHE, "cache pages", "NUMBER(PG_private) is not known", log);
	if (!r->slab_flag && !r->slab_type.known && !is_before_39(r))
		keep_instead(
			r, LEVEL_USER, "user pages",
			"neither NUMBER(PG_slab) nor NUMBER(PAGE_SLAB_MAPCOUNT_VALUE) is known",
			log);
	distrust_free(r, k, log);
	if (!r->max_free_order)
		keep_instead(r, LEVEL_FREE, "free pages", "LENGTH(zone.free_area) is not known",
			     log);
	if (!r->mapcount.known && r->encoding != TYPE_NONE)
		keep_instead(r, cache | LEVEL_USER, "cache and user pages",
			     "OFFSET(page._mapcount) is not known", log);
	if ((r->level & cache) && (!r->swapcache || (!r->swapbacked && !r->swapcache_alone)))
		log_warn(
			log,
			"pages of the swap cache are kept: NUMBER(PG_swapcache) or NUMBER(PG_swapbacked) is not known");
	if ((r->level & (cache | LEVEL_USER)) && (!r->head || r->order_place == ORDER_NOWHERE))
		log_warn(
			log,
			"compound pages are kept but for their first page: their order or NUMBER(PG_head_mask) is not known");
	if ((r->level & LEVEL_USER) && r->hugetlb == HUGETLB_UNKNOWN)
		log_warn(log, "hugetlb pages are kept: nothing tells how to recognise them");
	if (!r->compound_head.known && r->level > LEVEL_ZERO)
		log_warn(
			log,
			"tails of compound pages cannot be told from other pages: OFFSET(page.compound_head) is not known");
}

void rules_init(struct rules *r, const struct dump *d, const struct kernel *k, int level,
		struct log *log)
{
	struct maybe flags, mapping, size = fact(k, FACT_SIZE, "page");

	*r = (struct rules){ .level = level, .order = d->id.order, .word = d->id.word };
	r->page_shift = dump_page_shift(d);
	r->struct_size =
		size.known && size.value >= 32 && size.value <= 1024 ? (uint32_t)size.value : 64;
	flags = member(r, k, "page.flags", r->word);
	mapping = member(r, k, "page.mapping", r->word);
	r->flags = (uint32_t)flags.value;
	r->mapping = (uint32_t)mapping.value;
	r->private_off = member(r, k, "page.private", r->word);
	r->compound_head = member(r, k, "page.compound_head", r->word);
	if (!r->compound_head.known) { /* v7.1 */
		r->compound_head = member(r, k, "page.compound_info", r->word);
		r->head_by_mask = r->compound_head.known;
	}
	/* Nothing larger than 16 GiB is one page (ppc64 hash; 1 GiB on x86-64). */
	r->max_order = 34 - r->page_shift;
	init_types(r, k);
	init_flags(r, k);
	init_order(r, k);
	init_hugetlb(r, k);
	distrust(r, k, log);
	if (!size.known || !flags.known || !mapping.known) {
		keep_instead(r, LEVEL_MAX & ~LEVEL_ZERO, "pages of all kinds but zero pages",
			     "SIZE(page), OFFSET(page.flags) or OFFSET(page.mapping) is not known",
			     log);
		r->hwpoison = 0;
	}
	/* As makedumpfile: with PG_hwpoison known, poisoned and offline pages go at every level. */
	r->scan = (r->level & ~LEVEL_ZERO) || r->hwpoison;
}

/* ---- judging ---- */

static uint64_t load_word(const struct rules *r, const uint8_t *p)
{
	return r->word == 8 ? load_u64(p, r->order) : load_u32(p, r->order);
}

static bool has_type(const struct rules *r, uint32_t mapcount, const struct maybe *type)
{
	uint32_t want = (uint32_t)type->value;

	if (!type->known || !r->mapcount.known)
		return false;
	switch (r->encoding) {
	case TYPE_TOP_BYTE:
		return mapcount >> 24 == want >> 24;
	case TYPE_BIT:
		return (mapcount & (0x80000000u | ~want)) == 0x80000000u;
	case TYPE_EQUAL:
		return mapcount == want;
	case TYPE_NONE:
		break;
	}
	return false;
}

/*
 * Does the page have any type at all? Then it is neither anonymous nor page cache, whatever
 * overlays its mapping.
 */
static bool is_typed(const struct rules *r, uint32_t mapcount)
{
	if (!r->mapcount.known)
		return false;
	switch (r->encoding) {
	case TYPE_TOP_BYTE:
		return (int32_t)mapcount < (int32_t)0xff000000;
	case TYPE_BIT:
		return (int32_t)mapcount < -65536;
	case TYPE_EQUAL:
		return (int32_t)mapcount < -128;
	case TYPE_NONE:
		break;
	}
	return false;
}

/*
 * Is NEXT a tail of the compound page of ORDER whose head is at VADDR? Otherwise that is no head,
 * or one in the making, and its neighbours are others' pages: a head without a tail, or a fake
 * head, whose next page is a tail of the real one (hugetlb pages without struct pages of their own,
 * HVO). A mask is that of head = tail & mask, in kernels whose hugetlb pages share tails (v7.1).
 * Before v4.4 there is nothing exported to go by, and NEXT is believed.
 */
static bool is_tail_of(const struct rules *r, uint64_t vaddr, uint64_t order, const uint8_t *next)
{
	uint64_t all = r->word == 8 ? UINT64_MAX : UINT32_MAX, head;

	if (!r->compound_head.known)
		return true;
	head = load_word(r, next + r->compound_head.value);
	if (!(head & 1))
		return false;
	head -= 1;
	return head == (vaddr & all) ||
	       (r->head_by_mask && head == (-((uint64_t)r->struct_size << order) & all));
}

static unsigned int compound_order(const struct rules *r, uint64_t pfn, uint64_t vaddr,
				   const uint8_t *next)
{
	uint64_t order = 0;

	if (r->order_place == ORDER_IN_NEXT)
		order = load_uint(next + r->order_off, r->order_width, r->order);
	else if (r->order_place == ORDER_IN_NEXT_FLAGS)
		order = load_word(r, next + r->flags) & 0xff;
	if (order > r->max_order || (pfn & ((1ULL << order) - 1)) ||
	    !is_tail_of(r, vaddr, order, next))
		return 0;
	return (unsigned int)order;
}

static bool is_hugetlb(const struct rules *r, uint32_t mapcount, const uint8_t *next, bool head)
{
	struct maybe type = { .known = true, .value = r->hugetlb_value };

	switch (r->hugetlb) {
	case HUGETLB_TYPE:
		return has_type(r, mapcount, &type);
	case HUGETLB_FLAG:
		return head && (load_word(r, next + r->flags) & r->hugetlb_value);
	case HUGETLB_DTOR:
		return head && load_uint(next + r->hugetlb_off, r->hugetlb_width, r->order) ==
				       r->hugetlb_value;
	case HUGETLB_UNKNOWN:
		break;
	}
	return false;
}

void rules_fields(const struct rules *r, uint64_t pfn, uint64_t vaddr, const uint8_t *page,
		  const uint8_t *next, struct page_fields *f)
{
	f->flags = load_word(r, page + r->flags);
	f->mapping = load_word(r, page + r->mapping);
	f->private_value = r->private_off.known ? load_word(r, page + r->private_off.value) : 0;
	f->mapcount = r->mapcount.known ? load_u32(page + r->mapcount.value, r->order) : UINT32_MAX;
	f->compound_head = r->compound_head.known ? load_word(r, page + r->compound_head.value) : 0;
	f->is_tail = f->compound_head & 1;
	f->is_head = next && (f->flags & r->head) && !f->is_tail;
	f->order = f->is_head ? compound_order(r, pfn, vaddr, next) : 0;
	f->is_hugetlb = is_hugetlb(r, f->mapcount, next, f->is_head && f->order);
}

static struct verdict drop(enum page_kind kind, uint64_t nr, const char *why)
{
	return (struct verdict){ .kind = kind, .nr = nr, .why = why };
}

static struct verdict keep(const char *why)
{
	return drop(KIND_KEPT, 1, why);
}

static bool is_cache(const struct rules *r, uint64_t flags)
{
	/*
	 * Since v4.10 (6326fec1122c) PG_swapcache shares its bit and means what it says together
	 * with PG_swapbacked, which is exported since then.
	 */
	return (flags & r->lru) ||
	       ((flags & r->swapcache) && (r->swapcache_alone || (flags & r->swapbacked)));
}

/* A buddy block begins at a multiple of its size. */
static struct verdict drop_free(uint64_t pfn, uint64_t order, const char *why)
{
	if (pfn & ((1ULL << order) - 1))
		return keep("free, but not aligned to its order");
	return drop(KIND_FREE, 1ULL << order, why);
}

static struct verdict judge_fields(const struct rules *r, uint64_t pfn, struct page_fields f)
{
	bool slab, anon, cache;
	uint64_t nr = 1ULL << f.order;

	if (f.is_tail)
		return keep("tail of a compound page: goes with its head");
	slab = r->slab_type.known ? has_type(r, f.mapcount, &r->slab_type)
				  : (f.flags & r->slab_flag) != 0;
	if ((r->level & LEVEL_FREE) && !r->by_lists && !slab &&
	    (has_type(r, f.mapcount, &r->buddy) || (f.flags & r->buddy_flag)))
		return f.private_value < r->max_free_order
			       ? drop_free(pfn, f.private_value, "in the buddy allocator")
			       : keep("free, but of an order that does not exist");
	if ((r->level & LEVEL_FREE) && has_type(r, f.mapcount, &r->unaccepted))
		return drop_free(pfn, r->max_free_order - 1,
				 "not yet accepted by a confidential guest");
	anon = (f.mapping & MAPPING_ANON) && !slab && !is_typed(r, f.mapcount);
	cache = is_cache(r, f.flags) && !anon && !slab && !is_typed(r, f.mapcount);
	if ((r->level & LEVEL_CACHE) && cache && !(f.flags & r->private_flag))
		return drop(KIND_CACHE, nr, "page cache without private data");
	if ((r->level & LEVEL_CACHE_PRIVATE) && cache)
		return drop(f.flags & r->private_flag ? KIND_CACHE_PRIVATE : KIND_CACHE, nr,
			    "page cache");
	if ((r->level & LEVEL_USER) && anon)
		return drop(KIND_USER, nr, "anonymous memory of a process");
	if ((r->level & LEVEL_USER) && f.is_hugetlb)
		return drop(KIND_USER, nr, "hugetlb page");
	if (f.flags & r->hwpoison)
		return drop(KIND_HWPOISON, nr,
			    "hardware poison: reading it could stop the machine");
	if (!slab && has_type(r, f.mapcount, &r->offline))
		return drop(KIND_OFFLINE, nr, "logically offline: ballooned or unplugged");
	return keep("kernel memory");
}

struct verdict rules_judge(const struct rules *r, uint64_t pfn, uint64_t vaddr, const uint8_t *page,
			   const uint8_t *next)
{
	struct page_fields f;
	struct verdict v;

	rules_fields(r, pfn, vaddr, page, next, &f);
	v = judge_fields(r, pfn, f);
	v.is_head = f.is_head;
	v.is_lone = f.is_head && !f.order;
	return v;
}
