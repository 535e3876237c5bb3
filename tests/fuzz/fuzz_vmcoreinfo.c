/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile VMCOREINFO. Every fact that the program asks for is compared with what a simple reading
 * of the text gives; then the rules and the address translation are built from the facts, and the
 * rules judge a struct page that is not one byte longer than SIZE(page) says.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "fuzz.h"
#include "kernel.h"
#include "rules.h"

static const char *const symbols[] = {
	"_stext",
	"clear_idx",
	"clear_seq",
	"contig_page_data",
	"free_huge_page",
	"init_level4_pgt",
	"init_top_pgt",
	"init_uts_ns",
	"log_buf",
	"log_buf_len",
	"log_end",
	"log_first_idx",
	"log_first_seq",
	"log_next_idx",
	"logged_chars",
	"mem_map",
	"mem_section",
	"node_data",
	"prb",
	"swapper_pg_dir",
	NULL,
};

static const char *const sizes[] = {
	"latched_seq", "list_head",   "log",	    "mem_section",	 "page",
	"prb_desc",    "printk_info", "printk_log", "printk_ringbuffer", "zone",
	NULL,
};

static const char *const offsets[] = {
	"atomic_long_t.counter",
	"folio._folio_dtor",
	"folio._folio_order",
	"latched_seq.val",
	"list_head.prev",
	"log.len",
	"log.text_len",
	"log.ts_nsec",
	"mem_section.section_mem_map",
	"page._mapcount",
	"page._refcount",
	"page.compound_dtor",
	"page.compound_head",
	"page.compound_info",
	"page.compound_order",
	"page.flags",
	"page.lru",
	"page.mapping",
	"page.private",
	"pglist_data.node_zones",
	"pglist_data.nr_zones",
	"prb_data_blk_lpos.begin",
	"prb_data_blk_lpos.next",
	"prb_data_ring.data",
	"prb_data_ring.size_bits",
	"prb_desc.state_var",
	"prb_desc.text_blk_lpos",
	"prb_desc_ring.count_bits",
	"prb_desc_ring.descs",
	"prb_desc_ring.head_id",
	"prb_desc_ring.infos",
	"prb_desc_ring.tail_id",
	"printk_info.caller_id",
	"printk_info.seq",
	"printk_info.text_len",
	"printk_info.ts_nsec",
	"printk_log.caller_id",
	"printk_log.len",
	"printk_log.text_len",
	"printk_log.ts_nsec",
	"printk_ringbuffer.desc_ring",
	"printk_ringbuffer.text_data_ring",
	"uts_namespace.name",
	"zone.vm_stat",
	NULL,
};

static const char *const lengths[] = { "mem_section", "node_data", "zone.free_area", NULL };

static const char *const numbers[] = {
	"HUGETLB_PAGE_DTOR",
	"KERNEL_IMAGE_SIZE",
	"MAX_PHYSMEM_BITS",
	"NR_FREE_PAGES",
	"PAGE_BUDDY_MAPCOUNT_VALUE",
	"PAGE_HUGETLB_MAPCOUNT_VALUE",
	"PAGE_OFFLINE_MAPCOUNT_VALUE",
	"PAGE_SLAB_MAPCOUNT_VALUE",
	"PAGE_UNACCEPTED_MAPCOUNT_VALUE",
	"PG_head",
	"PG_head_mask",
	"PG_hugetlb",
	"PG_hwpoison",
	"PG_lru",
	"PG_private",
	"PG_slab",
	"PG_swapbacked",
	"PG_swapcache",
	"SECTION_SIZE_BITS",
	"pgtable_l5_enabled",
	"phys_base",
	"sme_mask",
	NULL,
};

static const char *const texts[] = { "OSRELEASE", "BUILD-ID", "CRASHTIME", "PAGESIZE", NULL };

static const struct {
	const char *kind;
	const char *const *names;
} facts[] = {
	[FACT_SYMBOL] = { "SYMBOL", symbols }, [FACT_SIZE] = { "SIZE", sizes },
	[FACT_OFFSET] = { "OFFSET", offsets }, [FACT_LENGTH] = { "LENGTH", lengths },
	[FACT_NUMBER] = { "NUMBER", numbers },
};

/* ---- the simple reading: each line begins with a newline and ends before one ---- */

/* The value of the first line KEY=, terminated, to be freed. */
static char *find_value(const char *lines, const char *key)
{
	char start[160];
	const char *at;

	snprintf(start, sizeof(start), "\n%s=", key);
	at = strstr(lines, start);
	return at ? strndup(at + strlen(start), strcspn(at + strlen(start), "\n")) : NULL;
}

static bool read_number(const char *value, int base, uint64_t *ret)
{
	const char *digits = value + (*value == '-');
	char *end;

	if (!isxdigit((unsigned char)*digits) || strchr(value, 'X'))
		return false;
	if (!strncmp(digits, "0x", 2))
		base = 16;
	errno = 0;
	*ret = strtoull(value, &end, base);
	return !*end && !errno;
}

/* The other ways to ask for a fact say the same. */
static void check_asking(const struct kernel *k, enum fact_kind kind, const char *name, bool known,
			 uint64_t want)
{
	uint64_t needed = 0x5a5a;
	struct err e = ERR_INIT;

	must(kernel_or(k, kind, name, 0x5a5a) == want);
	must((kernel_need(k, kind, name, &needed, &e) == 0) == known && needed == want);
	must((e.code == ERR_MISSING) == !known);
	must((kernel_origin(k, kind, name) != NULL) == known);
}

static void check_fact(const struct kernel *k, const char *lines, enum fact_kind kind,
		       const char *name, bool all_ways)
{
	char key[128];
	_cleanup_free_ char *value = NULL;
	uint64_t got = 0x5a5a, want = 0x5a5a;
	bool known;

	snprintf(key, sizeof(key), "%s(%s)", facts[kind].kind, name);
	value = find_value(lines, key);
	known = value && read_number(value, kind == FACT_SYMBOL ? 16 : 10, &want);
	must(kernel_fact(k, kind, name, &got) == known);
	want = known ? want : 0x5a5a;
	must(got == want);
	if (all_ways)
		check_asking(k, kind, name, known, want);
}

static void check_text(const struct kernel *k, const char *lines, const char *key, size_t room)
{
	_cleanup_free_ char *value = find_value(lines, key), *buf = malloc(room);

	must(buf && kernel_text(k, key, buf, room) == (value != NULL));
	must(strlen(buf) == (value ? MIN(strlen(value), room - 1) : 0));
	must(!value || !strncmp(buf, value, strlen(buf)));
}

static void check_all(const struct kernel *k, const char *text, size_t len)
{
	_cleanup_free_ char *lines = malloc(len + 3);
	const char *const *name;
	enum fact_kind kind;
	size_t i;

	must(lines);
	lines[0] = '\n';
	for (i = 0; i < len; i++)
		lines[i + 1] = text[i] ? text[i] : '\n';
	lines[len + 1] = '\n';
	lines[len + 2] = '\0';
	for (kind = 0; kind < ARRAY_SIZE(facts); kind++)
		for (name = facts[kind].names, i = len; *name; name++, i++)
			check_fact(k, lines, kind, *name, i % 8 == 0);
	for (name = texts; *name; name++) {
		check_text(k, lines, *name, 65);
		check_text(k, lines, *name, 1);
	}
}

/* ---- what is built from the facts ---- */

/* A struct page of exactly SIZE bytes, filled with the input over and over. */
static uint8_t *struct_page(const uint8_t *data, size_t len, size_t size, size_t from)
{
	uint8_t *page = malloc(size);
	size_t i;

	must(page);
	for (i = 0; i < size; i++)
		page[i] = len ? data[(from + i) % len] : 0;
	return page;
}

static void judge(const struct kernel *k, struct dump *d, const uint8_t *data, size_t len,
		  int level)
{
	struct rules rules;
	struct verdict v;

	rules_init(&rules, d, k, level, NULL);
	must((rules.level & ~level) == 0);
	if (rules.scan) {
		_cleanup_free_ uint8_t *page = struct_page(data, len, rules.struct_size, 0);
		_cleanup_free_ uint8_t *next =
			struct_page(data, len, rules.struct_size, rules.struct_size);
		uint64_t pfn = len % 3 ? 0x100000 : len;

		v = rules_judge(&rules, pfn, 0xffffea0004000000, page, next);
		must(v.kind < NR_KINDS && v.why && v.nr && !(v.nr & (v.nr - 1)));
		must(v.nr <= 1ULL << 34 && (v.kind != KIND_KEPT || v.nr == 1));
		v = rules_judge(&rules, pfn, 0xffffea0004000000, page, NULL);
		must(v.why && v.nr);
	}
}

static void build(const struct kernel *k, const char *text, size_t len)
{
	uint32_t page_size = vmcoreinfo_page_size(text, len);
	struct dump d = { .arch = &x86_64_arch };
	struct xlat x = { .paging = NULL };
	struct err e = ERR_INIT;
	uint64_t start, end;

	must(!page_size ||
	     (page_size >= 4096 && page_size <= 65536 && !(page_size & (page_size - 1))));
	d.id = (struct ident){ .word = len & 1 ? 8 : 4,
			       .order = len & 2 ? ORDER_BE : ORDER_LE,
			       .page_size = page_size ? page_size : 4096 };
	judge(k, &d, (const uint8_t *)text, len, 31);
	judge(k, &d, (const uint8_t *)text, len, (int)(len & 31));
	must(x86_64_arch.setup(&d, k, &x, &e) ? e.code == ERR_MISSING && !x.paging : !!x.paging);
	if (x86_64_arch.image_range(&x, k, &start, &end))
		must(start < end);
	xlat_fini(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel k = { .nr_providers = 0 };

	kernel_add(&k, vmcoreinfo_provider((const char *)data, size));
	check_all(&k, (const char *)data, size);
	build(&k, (const char *)data, size);
	kernel_fini(&k);
	return 0;
}
