/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/rules.c: struct pages as the kernels of each era write them, and VMCOREINFO that lacks, or
 * lies about, what the rules need.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "rules.h"
#include "tap.h"

/* ---- eras ---- */

#define COMMON                                                                               \
	"SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n" \
	"OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(list_head.prev)=8\n"     \
	"LENGTH(zone.free_area)=11\nNUMBER(PG_lru)=4\nNUMBER(PG_private)=13\n"               \
	"NUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\nNUMBER(PG_head_mask)=65536\n"    \
	"NUMBER(PG_hwpoison)=22\n"

enum {
	F_LRU = 1 << 4,
	F_SLAB = 1 << 9,
	F_SWAPCACHE = 1 << 10,
	F_PRIVATE = 1 << 13,
	F_HEAD = 1 << 16,
	F_SWAPBACKED = 1 << 19,
	F_HWPOISON = 1 << 22,
};

#define FREE_HUGE_PAGE 0xffffffff81234560ULL

#define BUDDY "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)="
#define OFFLINE "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)="
#define HUGETLB "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)="
#define SLAB "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)="
#define PG_SLAB "NUMBER(PG_slab)=9\n"
#define COMPOUND_HEAD "OFFSET(page.compound_head)=8\n"
#define FREE_HUGE "SYMBOL(free_huge_page)=ffffffff81234560\n"
#define DTOR_2 "NUMBER(HUGETLB_PAGE_DTOR)=2\n"

struct era {
	const char *name, *facts;
	uint32_t buddy, offline, slab, hugetlb, other; /* _mapcount; 0: has no such type */
	unsigned int order_off, order_width;	       /* in the second struct page */
	unsigned int mark_off, mark_width;	       /* of what makes it a hugetlb page, there */
	uint64_t mark;
};

static const struct era eras[] = {
	{ "2.6.38", BUDDY "-2\n" PG_SLAB FREE_HUGE, 0xfffffffe, 0, 0, 0, 0, 16, 8, 8, 8,
	  FREE_HUGE_PAGE },
	{ "3.10", BUDDY "-128\n" PG_SLAB FREE_HUGE, 0xffffff80, 0, 0, 0, 0, 16, 8, 8, 8,
	  FREE_HUGE_PAGE },
	{ "4.9",
	  BUDDY "-128\n" PG_SLAB COMPOUND_HEAD
		"OFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=18\n" DTOR_2,
	  0xffffff80, 0, 0, 0, 0, 18, 2, 16, 2, 2 },
	{ "5.10",
	  BUDDY "-129\n" OFFLINE "-257\n" PG_SLAB COMPOUND_HEAD
		"OFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=17\n" DTOR_2,
	  0xffffff7f, 0xfffffeff, 0, 0, 0xfffffdff, 17, 1, 16, 1, 2 },
	{ "6.3",
	  BUDDY "-129\n" OFFLINE "-257\n" PG_SLAB COMPOUND_HEAD
		"OFFSET(folio._folio_dtor)=80\nOFFSET(folio._folio_order)=81\n" DTOR_2,
	  0xffffff7f, 0xfffffeff, 0, 0, 0xfffffdff, 17, 1, 16, 1, 2 },
	{ "6.6", BUDDY "-129\n" OFFLINE "-257\n" PG_SLAB COMPOUND_HEAD "NUMBER(PG_hugetlb)=8\n",
	  0xffffff7f, 0xfffffeff, 0, 0, 0xfffffdff, 0, 1, 1, 1, 1 },
	{ "6.10", BUDDY "-129\n" OFFLINE "-257\n" HUGETLB "-2049\n" SLAB "-4097\n" COMPOUND_HEAD,
	  0xffffff7f, 0xfffffeff, 0xffffefff, 0xfffff7ff, 0xfffffdff, 0, 1, 0, 0, 0 },
	{ "6.11",
	  BUDDY "-1073741825\n" OFFLINE "-536870913\n" HUGETLB "-67108865\n" SLAB
		"-33554433\n" COMPOUND_HEAD,
	  0xbfffffff, 0xdfffffff, 0xfdffffff, 0xfbffffff, 0xefff1234, 0, 1, 0, 0, 0 },
	{ "6.11, owner's bits",
	  BUDDY "3221225471\n" OFFLINE "3758096383\n" HUGETLB "4227858431\n" SLAB
		"4261412863\n" COMPOUND_HEAD,
	  0xbfff0001, 0xdfffabcd, 0xfdff0000, 0xfbff8000, 0xfffeffff, 0, 1, 0, 0, 0 },
	{ "6.12",
	  BUDDY "-268435456\n" OFFLINE "-251658240\n" HUGETLB "-201326592\n" SLAB
		"-184549376\n" COMPOUND_HEAD,
	  0xf0ffffff, 0xf1ffffff, 0xf5ffffff, 0xf4ffffff, 0xf2ffffff, 0, 1, 0, 0, 0 },
	{ "7.1, owner's bits",
	  BUDDY "4026531840\n" OFFLINE "4043309056\n" HUGETLB "4093640704\n" SLAB
		"4110417920\nOFFSET(page.compound_info)=8\n",
	  0xf0000001, 0xf1123456, 0xf5000000, 0xf4800000, 0xf8000000, 0, 1, 0, 0, 0 },
};

/* ---- struct pages ---- */

struct page {
	uint64_t flags, head, mapping, private_value;
	uint32_t mapcount;
};

static unsigned int warnings;

static void count_warning(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)text;
	warnings += level == LOG_WARN;
}

static struct log log_ = { .emit = count_warning };
static enum byte_order order;
static unsigned int word;

static void build(struct rules *r, const char *info, int level)
{
	struct dump d = { .id = { .page_size = 4096, .order = order, .word = (uint8_t)word } };
	struct kernel k = { .nr_providers = 0 };

	kernel_add(&k, vmcoreinfo_provider(info, strlen(info)));
	warnings = 0;
	rules_init(r, &d, &k, level, &log_);
	kernel_fini(&k);
}

static void put(uint8_t *raw, uint64_t off, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = raw + off, .size = size, .order = order };

	if (off + size <= 64)
		out_uint(&o, v, size);
}

static void encode(uint8_t *raw, const struct page *p)
{
	memset(raw, 0, 64);
	put(raw, 0, p->flags, word);
	put(raw, 8, p->head, word);
	put(raw, 24, p->mapping, word);
	put(raw, 40, p->private_value, word);
	put(raw, 48, p->mapcount, 4);
}

#define HEAD_PAGE 0xffffea0000400000ULL /* where the kernel knows the struct page that is judged \
					 */

static struct rules rules;
static const struct era *era;

/* compound_head of the second struct page, in eras that have one. */
static uint64_t tail_of;

/* The verdict on P at PFN; the next struct page says ORDER_SAID and, for HUGETLB, what makes it
 * one. */
static struct verdict judge(uint64_t pfn, const struct page *p, unsigned int order_said,
			    bool hugetlb)
{
	uint8_t *page = malloc(64), *next = malloc(64);
	struct verdict v;

	encode(page, p);
	encode(next, &(struct page){ .mapcount = UINT32_MAX,
				     .head = strstr(era->facts, "compound_") ? tail_of : 0 });
	put(next, era->order_off, order_said, era->order_width);
	if (hugetlb && era->mark_width)
		put(next, era->mark_off, era->mark, era->mark_width);
	v = rules_judge(&rules, pfn, HEAD_PAGE, page, next);
	free(page);
	free(next);
	return v;
}

static void is_kind(const struct verdict *v, enum page_kind kind, uint64_t nr, const char *what)
{
	if (!ok(v->kind == kind && v->nr == nr, "%s, level %d: %s", era->name, rules.level, what))
		printf("# got %s, %" PRIu64 " pages, because: %s\n", kind_name(v->kind), v->nr,
		       v->why);
}

static void one(const struct page *p, enum page_kind kind, const char *what)
{
	struct verdict v = judge(0x1000, p, 0, false);

	is_kind(&v, kind, 1, what);
}

static void block(uint64_t pfn, const struct page *p, unsigned int order_said, bool hugetlb,
		  enum page_kind kind, uint64_t nr, const char *what)
{
	struct verdict v = judge(pfn, p, order_said, hugetlb);

	is_kind(&v, kind, nr, what);
}

#define NONE UINT32_MAX
#define STRUCT(mapcount_, ...) (&(struct page){ .mapcount = (mapcount_), __VA_ARGS__ })
#define KIND(bit, kind) (rules.level & (bit) ? (kind) : KIND_KEPT)

static void check_free(void)
{
	enum page_kind kind = KIND(LEVEL_FREE, KIND_FREE);

	block(8, STRUCT(era->buddy, .private_value = 3), 0, false, kind, kind == KIND_FREE ? 8 : 1,
	      "free block");
	block(1024, STRUCT(era->buddy, .private_value = 10), 0, false, kind,
	      kind == KIND_FREE ? 1024 : 1, "largest free block");
	one(STRUCT(era->buddy, .private_value = 11), KIND_KEPT, "free block, too large");
	one(STRUCT(era->buddy, .private_value = UINT64_MAX), KIND_KEPT, "far too large");
	block(12, STRUCT(era->buddy, .private_value = 3), 0, false, KIND_KEPT, 1, "not aligned");
	one(STRUCT(0), KIND_KEPT, "mapped once, nothing else");
}

static void check_cache(void)
{
	enum page_kind plain = KIND(LEVEL_CACHE | LEVEL_CACHE_PRIVATE, KIND_CACHE),
		       private = KIND(LEVEL_CACHE_PRIVATE, KIND_CACHE_PRIVATE);
	uint64_t mapping = 0xffff888012345678;

	one(STRUCT(NONE, .flags = F_LRU, .mapping = mapping), plain, "page cache");
	one(STRUCT(3, .flags = F_LRU, .mapping = mapping), plain, "mapped page cache");
	one(STRUCT(NONE, .flags = F_LRU | F_PRIVATE, .mapping = mapping), private,
	    "with private data");
	one(STRUCT(NONE, .flags = F_SWAPCACHE | F_SWAPBACKED), plain, "swap cache");
	one(STRUCT(NONE, .flags = F_SWAPCACHE), KIND_KEPT, "its bit, used for something else");
	block(512, STRUCT(NONE, .flags = F_LRU | F_HEAD, .mapping = mapping), 9, false, plain,
	      plain == KIND_KEPT ? 1 : 512, "a large folio");
}

static void check_user(void)
{
	enum page_kind kind = KIND(LEVEL_USER, KIND_USER);
	uint64_t whole = kind == KIND_USER ? 512 : 1;

	one(STRUCT(0, .mapping = 0xffff888012345601), kind, "anonymous memory");
	one(STRUCT(2, .mapping = 0xffff888012345601, .flags = F_LRU), kind, "on a list");
	one(STRUCT(70000, .mapping = 0xffff888012345603), kind, "KSM");
	one(STRUCT(NONE, .mapping = 0xffff888012345602), KIND_KEPT, "movable kernel page");
	block(512, STRUCT(NONE, .mapping = 1, .flags = F_HEAD), 9, false, kind, whole,
	      "a huge page");
	block(513, STRUCT(NONE, .mapping = 1, .flags = F_HEAD), 9, false, kind, 1,
	      "not where one can be");
	block(1ULL << 22, STRUCT(NONE, .mapping = 1, .flags = F_HEAD), 23, false, kind, 1,
	      "too large");
	block(512, STRUCT(era->hugetlb ? era->hugetlb : NONE, .flags = F_HEAD), 9, true, kind,
	      whole, "hugetlb");
	one(STRUCT(era->slab, .mapping = 0xffff888012345601, .flags = F_SLAB), KIND_KEPT,
	    "slab whose list looks like a mapping");
	if (era->other)
		one(STRUCT(era->other, .mapping = 1), KIND_KEPT, "a page table, likewise");
	if (strstr(era->facts, "compound_"))
		one(STRUCT(NONE, .mapping = 1, .head = 0xffffea0000040001), KIND_KEPT, "a tail");
}

/* An order is believed if the next page is a tail of this head, where that can be told. */
static void check_tails(void)
{
	bool told = strstr(era->facts, "compound_"), mask = strstr(era->facts, "compound_info");
	enum page_kind kind = KIND(LEVEL_USER, KIND_USER);
	uint64_t whole = kind == KIND_USER ? 512 : 1;
	const struct {
		uint64_t head;
		bool believed;
		const char *what;
	} next[] = {
		{ 0, !told, "a head whose next page is no tail" },
		{ HEAD_PAGE, !told, "bit 0 of compound_head makes a tail" },
		{ (HEAD_PAGE - 64 * 64) | 1, !told, "a fake head: a tail of another" },
		{ (HEAD_PAGE + 64) | 1, !told, "a tail of itself" },
		{ -(64ULL << 9) | 1, !told || mask, "a mask for its order" },
		{ -(64ULL << 8) | 1, !told, "a mask for another order" },
		{ HEAD_PAGE | 1, true, "a tail" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(next); i++) {
		tail_of = next[i].head;
		block(512, STRUCT(NONE, .mapping = 1, .flags = F_HEAD), 9, false, kind,
		      next[i].believed ? whole : 1, next[i].what);
	}
}

static void check_always(void)
{
	one(STRUCT(NONE, .flags = F_HWPOISON), KIND_HWPOISON, "hardware poison");
	if (era->offline)
		one(STRUCT(era->offline), KIND_OFFLINE, "offline");
	one(STRUCT(NONE, .flags = 0x17ffffc0000000), KIND_KEPT, "kernel memory");
	one(STRUCT(era->slab ? era->slab : NONE, .flags = F_SLAB), KIND_KEPT, "slab");
}

static void check_era(int level)
{
	char info[4096];

	snprintf(info, sizeof(info), "%s%s", COMMON, era->facts);
	build(&rules, info, level);
	/* Before compound_head there is a warning: tails cannot be told from other pages. */
	ok(rules.level == level && rules.scan && warnings <= !strstr(info, "compound_"),
	   "%s: level %d is trusted", era->name, level);
	check_free();
	check_cache();
	check_user();
	check_always();
	check_tails();
}

static void test_eras(void)
{
	static const int levels[] = { 31, 0, 2, 4, 8, 16 };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(eras); i++)
		for (k = 0; k < ARRAY_SIZE(levels); k++) {
			era = &eras[i];
			check_era(levels[k]);
		}
}

static void test_unaccepted(void)
{
	static const char info[] = COMMON "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\n"
					  "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944\n"
					  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n";

	era = &eras[ARRAY_SIZE(eras) - 1];
	build(&rules, info, 16);
	block(1024, STRUCT(0xf7000000), 0, false, KIND_FREE, 1024, "unaccepted memory");
	one(STRUCT(0xf6000000), KIND_KEPT, "the type before it");
}

/* ---- facts that lack or lie ---- */

/* The text of 6.1 with line KEY replaced by WITH, at level 31. */
static void replaced(const char *key, const char *with, int want, bool warns)
{
	char info[4096], *line, *end;

	snprintf(info, sizeof(info), "%s%s", COMMON, eras[3].facts);
	line = strstr(info, key);
	end = line ? strchr(line, '\n') + 1 : NULL;
	if (!line)
		abort();
	memmove(line + strlen(with), end, strlen(end) + 1);
	memcpy(line, with, strlen(with));
	build(&rules, info, LEVEL_MAX);
	if (!ok(rules.level == want && (warnings != 0) == warns, "%s as '%.*s': level %d", key,
		(int)strcspn(with, "\n"), with, want))
		printf("# got level %d, %u warnings\n", rules.level, warnings);
}

static void test_missing(void)
{
	int cache = LEVEL_CACHE | LEVEL_CACHE_PRIVATE;

	replaced("SIZE(page)", "", LEVEL_ZERO, true);
	replaced("OFFSET(page.flags)", "", LEVEL_ZERO, true);
	replaced("OFFSET(page.flags)", "OFFSET(page.flags)=57\n", LEVEL_ZERO, true);
	replaced("OFFSET(page.flags)", "OFFSET(page.flags)=4\n", LEVEL_ZERO, true);
	replaced("OFFSET(page.mapping)", "", LEVEL_ZERO, true);
	replaced("OFFSET(page.mapping)", "OFFSET(page.mapping)=-8\n", LEVEL_ZERO, true);
	replaced("OFFSET(page._mapcount)", "", LEVEL_ZERO, true);
	replaced("OFFSET(page._mapcount)", "OFFSET(page._mapcount)=61\n", LEVEL_ZERO, true);
	replaced("OFFSET(page.private)", "", 31 & ~LEVEL_FREE, true);
	replaced("LENGTH(zone.free_area)", "", 31 & ~LEVEL_FREE, true);
	replaced("LENGTH(zone.free_area)", "LENGTH(zone.free_area)=33\n", 31 & ~LEVEL_FREE, true);
	replaced("LENGTH(zone.free_area)", "LENGTH(zone.free_area)=0\n", 31 & ~LEVEL_FREE, true);
	replaced("NUMBER(PAGE_BUDDY", "", 31 & ~LEVEL_FREE, true);
	replaced("NUMBER(PAGE_BUDDY", BUDDY "-1\n", 31 & ~LEVEL_FREE, true);
	replaced("NUMBER(PAGE_BUDDY", BUDDY "2281701376\n", 31 & ~LEVEL_FREE, true);
	replaced("NUMBER(PG_lru)", "", 31 & ~cache, true);
	replaced("NUMBER(PG_lru)", "NUMBER(PG_lru)=64\n", 31 & ~cache, true);
	replaced("NUMBER(PG_slab)", "", 31 & ~LEVEL_USER, true);
	replaced("NUMBER(HUGETLB_PAGE_DTOR)", "", 31, true);
	replaced("OFFSET(page.compound_head)", "", 31, true);
	replaced("OFFSET(page.compound_order)", "OFFSET(page.compound_order)=3\n", 31, true);
	replaced("NUMBER(PG_hwpoison)", "", 31, false);
	replaced("NUMBER(PAGE_OFFLINE", "", 31, false);
	replaced("NUMBER(PG_head_mask)", "NUMBER(PG_head)=16\n", 31, false);
	build(&rules, "", 1);
	ok(rules.level == 1 && !rules.scan, "nothing known: zero pages need nothing");
}

/* Members at the very end of struct page, which take more bytes than there are. */
static void test_last_bytes(void)
{
	static const char *const lies[] = {
		"OFFSET(page.compound_head)=8\nOFFSET(page.compound_dtor)=61\n"
		"OFFSET(page.compound_order)=63\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
		"OFFSET(page.compound_head)=8\nOFFSET(page.compound_dtor)=63\n"
		"OFFSET(page.compound_order)=65\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
		"OFFSET(page.compound_head)=8\nOFFSET(folio._folio_order)=127\n"
		"OFFSET(folio._folio_dtor)=127\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
	};
	char info[4096];
	size_t i;

	era = &eras[3];
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		snprintf(info, sizeof(info), "%s%s%s", COMMON, "NUMBER(PG_slab)=9\n", lies[i]);
		build(&rules, info, 8);
		block(512, STRUCT(NONE, .mapping = 1, .flags = F_HEAD), 0, false, KIND_USER, 1,
		      "the order would end behind struct page");
	}
}

static void test_fields(void)
{
	uint8_t page[64], next[64];
	struct page_fields f;
	char info[4096];

	era = &eras[3];
	snprintf(info, sizeof(info), "%s%s", COMMON, era->facts);
	build(&rules, info, 31);
	encode(page, STRUCT(5, .flags = F_HEAD | F_LRU, .mapping = 7, .private_value = 9));
	encode(next, STRUCT(NONE, .head = HEAD_PAGE | 1));
	put(next, 16, 2, 1);
	put(next, 17, 4, 1);
	rules_fields(&rules, 32, HEAD_PAGE, page, next, &f);
	ok(f.flags == (F_HEAD | F_LRU) && f.mapping == 7 && f.private_value == 9 &&
		   f.mapcount == 5 && f.is_head && !f.is_tail && f.is_hugetlb && f.order == 4,
	   "fields of a head");
	rules_fields(&rules, 32, HEAD_PAGE, page, NULL, &f);
	ok(!f.is_head && !f.order && !f.is_hugetlb, "no next struct page: not known to be a head");
}

int main(void)
{
	word = 8;
	order = ORDER_LE;
	tail_of = HEAD_PAGE | 1;
	test_eras();
	test_unaccepted();
	test_missing();
	test_last_bytes();
	test_fields();
	order = ORDER_BE;
	era = &eras[3];
	check_era(31);
	return done_testing();
}
