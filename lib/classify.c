/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "classify.h"

#include <inttypes.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "guard.h"
#include "scan.h"

#define MAX_NODES 1024
#define MAX_ZONES 8

/* Sum of vm_stat[NR_FREE_PAGES] over the zones of one node. False when it cannot be read. */
static bool node_free(const struct classify *c, struct reader *r, uint64_t pgdat, uint64_t *sum)
{
	const struct kernel *k = c->kernel;
	uint64_t zones, zone_size, nr_zones_off, stat,
		nr_free = kernel_or(k, FACT_NUMBER, "NR_FREE_PAGES", 0);
	unsigned int word = c->dump->id.word, i;
	struct err ignored = ERR_INIT;
	uint64_t nr;

	if (!kernel_fact(k, FACT_OFFSET, "pglist_data.node_zones", &zones) ||
	    !kernel_fact(k, FACT_OFFSET, "pglist_data.nr_zones", &nr_zones_off) ||
	    !kernel_fact(k, FACT_SIZE, "zone", &zone_size) ||
	    !kernel_fact(k, FACT_OFFSET, "zone.vm_stat", &stat) ||
	    xlat_read_uint(c->xlat, r, pgdat + nr_zones_off, 4, &nr, &ignored) || nr > MAX_ZONES)
		return false;
	for (i = 0; i < nr; i++) {
		uint64_t v, at = pgdat + zones + i * zone_size + stat + nr_free * word;

		if (xlat_read_uint(c->xlat, r, at, word, &v, &ignored))
			return false;
		*sum += v;
	}
	return true;
}

/* Free pages by the kernel's own count; UINT64_MAX when it cannot be had. */
static uint64_t zone_free_pages(const struct classify *c)
{
	unsigned int word = c->dump->id.word;
	uint64_t array, nr = kernel_or(c->kernel, FACT_LENGTH, "node_data", 0), pgdat, sum = 0, i;
	struct err ignored = ERR_INIT;
	struct reader r;
	bool any = false;

	reader_init(&r, c->dump);
	if (kernel_fact(c->kernel, FACT_SYMBOL, "contig_page_data", &pgdat))
		any = node_free(c, &r, pgdat, &sum);
	else if (kernel_fact(c->kernel, FACT_SYMBOL, "node_data", &array))
		for (i = 0; i < MIN(nr, MAX_NODES); i++)
			if (!xlat_read_uint(c->xlat, &r, array + i * word, word, &pgdat,
					    &ignored) &&
			    pgdat)
				any = node_free(c, &r, pgdat, &sum) || any;
	reader_fini(&r);
	return any ? sum : UINT64_MAX;
}

/* Does the dump say that somebody left pages of that level bit out of it? */
static bool already_without(const struct dump *d, int bit)
{
	return d->told.has_level && d->told.level > 0 && (d->told.level & bit);
}

/*
 * Compare free pages found in the memory map with the kernel's own counters. They differ by what
 * CPUs hold back in their counters and lists: small beside what a misunderstood page type would
 * make of it.
 */
static bool free_count_plausible(const struct classify *c)
{
	uint64_t found = c->dropped[KIND_FREE], told = c->zone_free;

	if (told == UINT64_MAX || !(c->rules.level & LEVEL_FREE))
		return true;
	if (found > told + told / 8 + 8192) {
		log_warn(c->log,
			 "the memory map shows %" PRIu64 " free pages, the kernel counted %" PRIu64
			 ": page types are not understood, free pages are kept",
			 found, told);
		return false;
	}
	/* Of a dump that was filtered before they are gone already. */
	if (found < told / 2 && told > 8192 && !already_without(c->dump, LEVEL_FREE))
		log_warn(c->log,
			 "the memory map shows %" PRIu64 " free pages, the kernel counted %" PRIu64
			 ": page types are not understood, the dump will be larger than it need be",
			 found, told);
	return true;
}

static int scan(struct classify *c, struct err *e)
{
	memset(c->dropped, 0, sizeof(c->dropped));
	c->unjudged = c->heads = c->lone_heads = 0;
	return scan_run(c, e);
}

static void keep_everything(struct classify *c, const struct err *e)
{
	log_warn(c->log, "no page can be classified: %s; all but zero pages are kept", e->text);
	c->level &= LEVEL_ZERO;
	c->degraded = true;
}

/* The scan with all rules, and once more without the one that proved wrong. */
static int scan_checked(struct classify *c, struct err *e)
{
	if (scan(c, e))
		return -1;
	c->zone_free = zone_free_pages(c);
	if (!free_count_plausible(c)) {
		c->rules.level &= ~LEVEL_FREE;
		pfnset_fill(c->keep);
		if (c->explain)
			*c->explain = (struct explanation){ .pfn = c->explain->pfn };
		if (scan(c, e))
			return -1;
	}
	if (c->unjudged) {
		c->degraded = true;
		log_warn(
			c->log,
			"%" PRIu64
			" pages could not be judged, their struct pages cannot be read; they are kept",
			c->unjudged);
	}
	/* Some are in the making, or fake (HVO); all of them means that a fact is wrong. */
	if (c->heads && c->lone_heads == c->heads) {
		c->degraded = true;
		log_warn(c->log,
			 "none of %" PRIu64
			 " compound pages has a tail that names it: the place of compound_head in "
			 "struct page seems to be wrong; what follows their first pages is kept",
			 c->heads);
	}
	guard_run(c);
	return 0;
}

int classify_run(struct classify *c, struct err *e)
{
	int asked = c->level, failed;
	struct err why = ERR_INIT;
	struct reader r;

	c->zone_free = UINT64_MAX;
	c->guarded = 0;
	rules_init(&c->rules, c->dump, c->kernel, asked, asked & ~LEVEL_ZERO ? c->log : NULL);
	c->degraded = c->rules.level != asked;
	c->level = c->rules.level;
	if (!c->rules.scan)
		return 0;
	reader_init(&r, c->dump);
	failed = memmap_init(&c->memmap, c->kernel, c->xlat, &r, c->keep, &why);
	reader_fini(&r);
	if (failed && why.code == ERR_NOMEM) {
		*e = why;
		return -1;
	}
	if (failed) {
		if (asked & ~LEVEL_ZERO)
			keep_everything(c, &why);
		return 0;
	}
	log_debug(c->log, "memory model %s, %zu ranges of struct pages", c->memmap.model,
		  c->memmap.nr_ranges);
	if (c->memmap.bad_sections)
		log_warn(c->log,
			 "%" PRIu64
			 " sections of the memory map make no sense; their pages are kept",
			 c->memmap.bad_sections);
	if (scan_checked(c, e))
		return -1;
	c->level = c->rules.level;
	c->degraded |= c->rules.level != asked || c->memmap.bad_sections;
	return 0;
}

void classify_fini(struct classify *c)
{
	memmap_fini(&c->memmap);
}
