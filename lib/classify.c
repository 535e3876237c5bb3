/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "classify.h"

#include <inttypes.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "guard.h"
#include "scan.h"
#include "zones.h"

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
	const char *who = c->rules.by_lists ? "the free lists show" : "the memory map shows";
	const char *why = c->rules.by_lists ? "they are" : "page types are";

	if (told == UINT64_MAX || !(c->rules.level & LEVEL_FREE))
		return true;
	if (found > told + told / 8 + 8192) {
		log_warn(c->log,
			 "%s %" PRIu64 " free pages, the kernel counted %" PRIu64
			 ": %s not understood, free pages are kept",
			 who, found, told, why);
		return false;
	}
	/* Of a dump that was filtered before they are gone already. */
	if (found < told / 2 && told > 8192 && !already_without(c->dump, LEVEL_FREE))
		log_warn(c->log,
			 "%s %" PRIu64 " free pages, the kernel counted %" PRIu64
			 ": %s not understood, the dump will be larger than it need be",
			 who, found, told, why);
	return true;
}

static int scan(struct classify *c, struct err *e)
{
	memset(c->dropped, 0, sizeof(c->dropped));
	c->unjudged = c->heads = c->lone_heads = 0;
	if (scan_run(c, e))
		return -1;
	return c->rules.by_lists && (c->rules.level & LEVEL_FREE) ? zones_drop_free(c, e) : 0;
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
	c->zone_free = zones_free_pages(c);
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

/* Where nothing is known of the kernel that is one line, not one for each fact. */
static void init_rules(struct classify *c)
{
	bool kinds = c->level & ~LEVEL_ZERO, nothing = !c->kernel->nr_providers;

	rules_init(&c->rules, c->dump, c->kernel, c->level, kinds && !nothing ? c->log : NULL);
	if (kinds && nothing)
		log_warn(c->log,
			 "pages of all kinds but zero pages are kept: there is no VMCOREINFO");
}

int classify_run(struct classify *c, struct err *e)
{
	int asked = c->level, failed;
	struct err why = ERR_INIT;
	struct reader r;

	c->zone_free = UINT64_MAX;
	c->guarded = 0;
	init_rules(c);
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
