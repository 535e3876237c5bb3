/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "rules.h"

/* What needs a fact, beside the bits of a dump level. */
enum {
	FOR_LOG = 256,
	FOR_ORDER = 512,    /* the order of compound pages is nowhere */
	FOR_HUGETLB = 1024, /* nothing tells how to recognise hugetlb pages */
	FOR_CACHE = LEVEL_CACHE | LEVEL_CACHE_PRIVATE,
	FOR_PAGES = FOR_CACHE | LEVEL_USER | LEVEL_FREE,
};

struct key {
	enum fact_kind kind;
	const char *name; /* NULL: none */
};

#define SYMBOL(x)               \
	{                       \
		FACT_SYMBOL, #x \
	}
#define OFFSET(x)               \
	{                       \
		FACT_OFFSET, #x \
	}
#define NUMBER(x)               \
	{                       \
		FACT_NUMBER, #x \
	}
#define SIZE(x)               \
	{                     \
		FACT_SIZE, #x \
	}
#define LENGTH(x)               \
	{                       \
		FACT_LENGTH, #x \
	}

/*
 * A fact, what it is for, and when a complete VMCOREINFO has it: only where another one is known,
 * unless one of two others is. Or it is a page type, which is a macro: the enumerator `type` (6.12)
 * moved up to the top byte.
 */
struct row {
	struct key key;
	int what_for;
	struct key only_if, unless[2];
	const char *type;
};

/* Since 4.6 (0139aa7b7fa1), as compound_head since 4.4 and PG_swapbacked since 4.10. */
#define NEW_PAGES .only_if = OFFSET(page._refcount)
#define ALWAYS .only_if = { FACT_SYMBOL, NULL }
#define RING .only_if = SYMBOL(prb)

static const struct row rows[] = {
	{ SYMBOL(mem_section), FOR_PAGES,
	  .unless = { SYMBOL(mem_map), OFFSET(pglist_data.node_mem_map) } },
	{ SYMBOL(mem_map), FOR_PAGES,
	  .unless = { SYMBOL(mem_section), OFFSET(pglist_data.node_mem_map) } },
	{ SYMBOL(prb), FOR_LOG, .unless = { SYMBOL(log_buf) } },
	{ SIZE(page), FOR_PAGES, ALWAYS },
	{ OFFSET(page.flags), FOR_PAGES, ALWAYS },
	{ OFFSET(page.mapping), FOR_PAGES, ALWAYS },
	{ OFFSET(page._mapcount), FOR_PAGES, ALWAYS },
	{ OFFSET(page.private), LEVEL_FREE, ALWAYS },
	{ OFFSET(page.compound_head), FOR_PAGES, NEW_PAGES,
	  .unless = { OFFSET(page.compound_info) } },
	{ OFFSET(page.compound_info), FOR_PAGES, NEW_PAGES,
	  .unless = { OFFSET(page.compound_head) } },
	{ SIZE(mem_section), FOR_PAGES, .only_if = SYMBOL(mem_section) },
	{ OFFSET(mem_section.section_mem_map), FOR_PAGES, .only_if = SYMBOL(mem_section) },
	{ LENGTH(zone.free_area), LEVEL_FREE, ALWAYS },
	{ NUMBER(PG_lru), FOR_CACHE, ALWAYS },
	{ NUMBER(PG_private), LEVEL_CACHE, ALWAYS },
	{ NUMBER(PG_swapcache), FOR_CACHE, ALWAYS },
	{ NUMBER(PG_swapbacked), FOR_CACHE, NEW_PAGES },
	{ NUMBER(PG_head), FOR_CACHE | LEVEL_USER, .unless = { NUMBER(PG_head_mask) } },
	{ NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE), LEVEL_FREE, .type = "PGTY_buddy" },
	{ NUMBER(PG_slab), LEVEL_USER, .unless = { NUMBER(PAGE_SLAB_MAPCOUNT_VALUE) } },
	{ NUMBER(PAGE_SLAB_MAPCOUNT_VALUE), LEVEL_USER, .unless = { NUMBER(PG_slab) },
	  .type = "PGTY_slab" },
	{ NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE), FOR_HUGETLB, .type = "PGTY_hugetlb" },
	{ NUMBER(HUGETLB_PAGE_DTOR), FOR_HUGETLB, ALWAYS },
	{ OFFSET(page.compound_dtor), FOR_HUGETLB | FOR_ORDER, ALWAYS },
	{ OFFSET(folio._folio_dtor), FOR_HUGETLB | FOR_ORDER, ALWAYS },
	{ OFFSET(page.compound_order), FOR_ORDER, ALWAYS },
	{ OFFSET(folio._folio_order), FOR_ORDER, ALWAYS },
	{ SIZE(printk_ringbuffer), FOR_LOG, RING },
	{ OFFSET(printk_ringbuffer.desc_ring), FOR_LOG, RING },
	{ OFFSET(printk_ringbuffer.text_data_ring), FOR_LOG, RING },
	{ OFFSET(prb_desc_ring.count_bits), FOR_LOG, RING },
	{ OFFSET(prb_desc_ring.descs), FOR_LOG, RING },
	{ OFFSET(prb_desc_ring.infos), FOR_LOG, RING },
	{ OFFSET(prb_desc_ring.head_id), FOR_LOG, RING },
	{ OFFSET(prb_desc_ring.tail_id), FOR_LOG, RING },
	{ OFFSET(prb_data_ring.size_bits), FOR_LOG, RING },
	{ OFFSET(prb_data_ring.data), FOR_LOG, RING },
	{ SIZE(prb_desc), FOR_LOG, RING },
	{ OFFSET(prb_desc.state_var), FOR_LOG, RING },
	{ OFFSET(prb_desc.text_blk_lpos), FOR_LOG, RING },
	{ OFFSET(prb_data_blk_lpos.begin), FOR_LOG, RING },
	{ OFFSET(prb_data_blk_lpos.next), FOR_LOG, RING },
	{ SIZE(printk_info), FOR_LOG, RING },
	{ OFFSET(printk_info.ts_nsec), FOR_LOG, RING },
	{ OFFSET(printk_info.text_len), FOR_LOG, RING },
};

struct completion {
	struct fact_provider base;
	struct {
		bool known;
		uint64_t value;
		const char *origin;
	} of[ARRAY_SIZE(rows)];
};

static bool known(const struct kernel *k, const struct key *key)
{
	uint64_t v;

	return key->name && kernel_fact(k, key->kind, key->name, &v);
}

/* For what facts are needed here, as far as those that are known tell. */
static int needs(const struct kernel *k, const struct dump *d, int level)
{
	int what_for = FOR_LOG | (level & FOR_PAGES);
	struct rules r;

	if (!(level & FOR_PAGES))
		return what_for;
	rules_init(&r, d, k, level, NULL);
	if (level & (FOR_CACHE | LEVEL_USER) && r.order_place == ORDER_NOWHERE)
		what_for |= FOR_ORDER;
	if (level & LEVEL_USER && r.hugetlb == HUGETLB_UNKNOWN)
		what_for |= FOR_HUGETLB;
	return what_for;
}

static bool lacks(const struct kernel *k, const struct row *row, int what_for,
		  enum complete_pass pass)
{
	return row->what_for & what_for &&
	       (row->key.kind == FACT_SYMBOL) == (pass == COMPLETE_SYMBOLS) &&
	       !known(k, &row->key) && (!row->only_if.name || known(k, &row->only_if)) &&
	       !known(k, &row->unless[0]) && !known(k, &row->unless[1]);
}

bool completion_lacks(const struct kernel *k, const struct dump *d, int level,
		      enum complete_pass pass)
{
	int what_for = needs(k, d, level);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (lacks(k, &rows[i], what_for, pass))
			return true;
	return false;
}

static bool ask(const struct row *row, const struct kernel *deep, uint64_t *ret)
{
	uint64_t v;

	/* What may be wrong is worse here than what is missing: more is kept. */
	if (!kernel_fact(deep, row->type ? FACT_NUMBER : row->key.kind,
			 row->type ? row->type : row->key.name, &v) ||
	    kernel_damage(deep) || (row->type && v > 255))
		return false;
	*ret = v;
	if (row->type)
		*ret = (uint64_t)(int64_t)(int32_t)((uint32_t)v << 24);
	return true;
}

unsigned int completion_ask(struct fact_provider *p, const struct kernel *k, const struct dump *d,
			    int level, enum complete_pass pass, const struct kernel *deep)
{
	struct completion *c = (struct completion *)p;
	int what_for = needs(k, d, level);
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!lacks(k, &rows[i], what_for, pass) || !ask(&rows[i], deep, &c->of[i].value))
			continue;
		c->of[i].known = true;
		c->of[i].origin = kernel_origin(deep, rows[i].type ? FACT_NUMBER : rows[i].key.kind,
						rows[i].type ? rows[i].type : rows[i].key.name);
		n++;
	}
	return n;
}

void completion_text(const struct fact_provider *p, char *buf, size_t size)
{
	static const char *const kinds[] = {
		"SYMBOL", "SIZE", "OFFSET", "LENGTH", "NUMBER", "WIDTH"
	};
	const struct completion *c = (const struct completion *)p;
	size_t i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(rows) && n < size; i++)
		if (c->of[i].known)
			n += (size_t)snprintf(buf + n, size - n, "%s%s(%s) by %s", n ? ", " : "",
					      kinds[rows[i].key.kind], rows[i].key.name,
					      c->of[i].origin);
}

/* ---- the provider ---- */

static bool provider_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			  uint64_t *ret)
{
	const struct completion *c = (const struct completion *)base;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (c->of[i].known && rows[i].key.kind == kind && !strcmp(rows[i].key.name, name)) {
			*ret = c->of[i].value;
			return true;
		}
	return false;
}

static void provider_close(struct fact_provider *base)
{
	free(base);
}

struct fact_provider *completion_provider(void)
{
	struct completion *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->base = (struct fact_provider){ .name = "completed",
					  .fact = provider_fact,
					  .close = provider_close };
	return &c->base;
}
