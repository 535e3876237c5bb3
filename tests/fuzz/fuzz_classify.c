/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memory map full of lies. The harness builds a small x86-64 machine that makes sense: page
 * tables, mem_section, struct pages, zone counters, a kernel log, VMCOREINFO of one of several
 * eras. The input is a list of edits to all of that; then the pages are classified and the books
 * must balance.
 *
 * Input: level, era, flags, 2 bytes of PFN to explain, then edits; see edit().
 */
#include <inttypes.h>
#include <string.h>

#include "archs.h"
#include "bytes.h"
#include "classify.h"
#include "cleanup.h"
#include "extents.h"
#include "format.h"
#include "fuzz.h"
#include "note.h"

#define PAGE 4096u
#define NR_PAGES 256u	/* in the file */
#define NR_STRUCTS 512u /* struct pages: the file's pages are found in memory twice */
#define KERNEL_MAP 0xffffffff80000000ULL
#define DIRECT_MAP 0xffff888000000000ULL
#define VMEMMAP 0xffffea0000000000ULL
#define MAX_LINES 128
#define MAX_LOADS 32

/* Page frames of the skeleton. */
enum {
	PFN_PGD = 1,
	PFN_PUD_KERNEL,
	PFN_PMD_KERNEL,
	PFN_PUD_DIRECT,
	PFN_PMD_DIRECT,
	PFN_PUD_VMEMMAP,
	PFN_PMD_VMEMMAP,
	PFN_PTE_VMEMMAP,
	PFN_P5D,
	PFN_DATA = 16, /* pointers, pgdat and zone, printk's ring */
	PFN_SECTIONS,
	PFN_LOG,
	PFN_STRUCTS = 32, /* 8 pages */
};

enum { FLAG_EXPLAIN = 1, FLAG_FIVE_LEVELS = 2, FLAG_MORE_MEMORY = 4 };

struct line {
	char text[96];
};

struct load {
	uint64_t pfn, nr;
	uint32_t file_pfn, file_nr;
};

struct machine {
	uint8_t *mem;
	struct line lines[MAX_LINES];
	unsigned int nr_lines;
	struct load loads[MAX_LOADS];
	unsigned int nr_loads;
	uint64_t sp;
};

/* ---- the skeleton ---- */

static const char *const common_facts[] = {
	"OSRELEASE=6.1.0",
	"PAGESIZE=4096",
	"SYMBOL(init_uts_ns)=ffffffff80010000",
	"SYMBOL(_stext)=ffffffff80000000",
	"SYMBOL(mem_section)=ffffffff80010800",
	"SIZE(mem_section)=16",
	"OFFSET(mem_section.section_mem_map)=0",
	"NUMBER(SECTION_SIZE_BITS)=20",
	"NUMBER(MAX_PHYSMEM_BITS)=46",
	"SIZE(page)=64",
	"SIZE(zone)=256",
	"SIZE(list_head)=16",
	"OFFSET(page.flags)=0",
	"OFFSET(page.mapping)=24",
	"OFFSET(page.lru)=8",
	"OFFSET(page._mapcount)=48",
	"OFFSET(page.private)=40",
	"OFFSET(page.compound_head)=8",
	"OFFSET(pglist_data.node_zones)=0",
	"OFFSET(pglist_data.nr_zones)=1016",
	"OFFSET(zone.vm_stat)=128",
	"OFFSET(list_head.prev)=8",
	"LENGTH(zone.free_area)=11",
	"NUMBER(NR_FREE_PAGES)=0",
	"NUMBER(PG_lru)=5",
	"NUMBER(PG_private)=11",
	"NUMBER(PG_swapcache)=10",
	"NUMBER(PG_swapbacked)=19",
	"NUMBER(PG_head_mask)=64",
	"NUMBER(PG_hwpoison)=22",
	"NUMBER(phys_base)=0",
	"SYMBOL(node_data)=ffffffff80010820",
	"LENGTH(node_data)=1",
	"NUMBER(KERNEL_IMAGE_SIZE)=1073741824",
	"NUMBER(sme_mask)=0",
	"SYMBOL(prb)=ffffffff80010828",
	"SIZE(printk_ringbuffer)=88",
	"OFFSET(printk_ringbuffer.desc_ring)=0",
	"OFFSET(printk_ringbuffer.text_data_ring)=48",
	"OFFSET(prb_desc_ring.count_bits)=0",
	"OFFSET(prb_desc_ring.descs)=8",
	"OFFSET(prb_desc_ring.infos)=16",
	"OFFSET(prb_desc_ring.head_id)=24",
	"OFFSET(prb_desc_ring.tail_id)=32",
	"SIZE(prb_desc)=24",
	"OFFSET(prb_desc.state_var)=0",
	"OFFSET(prb_desc.text_blk_lpos)=8",
	"OFFSET(prb_data_blk_lpos.begin)=0",
	"OFFSET(prb_data_blk_lpos.next)=8",
	"SIZE(printk_info)=88",
	"OFFSET(printk_info.ts_nsec)=8",
	"OFFSET(printk_info.text_len)=16",
	"OFFSET(prb_data_ring.size_bits)=0",
	"OFFSET(prb_data_ring.data)=8",
	NULL,
};

static const struct {
	const char *facts[8];
	uint32_t buddy, offline;
} eras[] = {
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128", "NUMBER(PG_slab)=7",
	    "SYMBOL(free_huge_page)=ffffffff80001000" },
	  0xffffff80,
	  0 },
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257",
	    "NUMBER(PG_slab)=9", "NUMBER(HUGETLB_PAGE_DTOR)=2", "OFFSET(page.compound_dtor)=16",
	    "OFFSET(page.compound_order)=17" },
	  0xffffff7f,
	  0xfffffeff },
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257",
	    "NUMBER(PG_slab)=9", "NUMBER(HUGETLB_PAGE_DTOR)=2", "OFFSET(folio._folio_dtor)=80",
	    "OFFSET(folio._folio_order)=81" },
	  0xffffff7f,
	  0xfffffeff },
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257",
	    "NUMBER(PG_slab)=9", "NUMBER(PG_hugetlb)=8" },
	  0xffffff7f,
	  0xfffffeff },
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-1073741825",
	    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-536870913",
	    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-67108865",
	    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-33554433" },
	  0xbfffffff,
	  0xdfffffff },
	{ { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456",
	    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240",
	    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592",
	    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376",
	    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944" },
	  0xf0000000,
	  0xf1000000 },
};

static void put(struct machine *m, uint64_t addr, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = m->mem + addr, .size = size, .order = ORDER_LE };

	out_uint(&o, v, size);
}

static void entry(struct machine *m, uint64_t table, uint64_t index, uint64_t v)
{
	put(m, table * PAGE + index * 8, v, 8);
}

static void build_tables(struct machine *m)
{
	unsigned int i;

	entry(m, PFN_P5D, 511, PFN_PGD * PAGE + 0x63);
	entry(m, PFN_PGD, 511, PFN_PUD_KERNEL * PAGE + 0x63);
	entry(m, PFN_PUD_KERNEL, 510, PFN_PMD_KERNEL * PAGE + 0x63);
	entry(m, PFN_PMD_KERNEL, 0, 0xe3);
	entry(m, PFN_PGD, (DIRECT_MAP >> 39) & 511, PFN_PUD_DIRECT * PAGE + 0x63);
	entry(m, PFN_PUD_DIRECT, 0, PFN_PMD_DIRECT * PAGE + 0x63);
	entry(m, PFN_PMD_DIRECT, 0, 0xe3);
	entry(m, PFN_PGD, (VMEMMAP >> 39) & 511, PFN_PUD_VMEMMAP * PAGE + 0x63);
	entry(m, PFN_PUD_VMEMMAP, 0, PFN_PMD_VMEMMAP * PAGE + 0x63);
	entry(m, PFN_PMD_VMEMMAP, 0, PFN_PTE_VMEMMAP * PAGE + 0x63);
	for (i = 0; i < NR_STRUCTS * 64 / PAGE; i++)
		entry(m, PFN_PTE_VMEMMAP, i, (PFN_STRUCTS + i) * PAGE + 0x63);
}

static void build_data(struct machine *m)
{
	uint64_t data = PFN_DATA * PAGE;
	unsigned int i;

	put(m, data + 0x800, DIRECT_MAP + PFN_SECTIONS * PAGE, 8); /* mem_section[0] */
	put(m, data + 0x820, KERNEL_MAP + data + 0x400, 8);	   /* node_data[0] */
	put(m, data + 0x400 + 128, 64, 8);			   /* free pages */
	put(m, data + 0x400 + 1016, 1, 4);			   /* zones */
	for (i = 0; i < NR_STRUCTS / 256; i++)
		put(m, PFN_SECTIONS * PAGE + i * 16, VMEMMAP | 3, 8);
	put(m, data + 0x828, KERNEL_MAP + data + 0x900, 8); /* prb */
	put(m, data + 0x900, 4, 4);
	put(m, data + 0x908, KERNEL_MAP + PFN_LOG * PAGE, 8);
	put(m, data + 0x910, KERNEL_MAP + PFN_LOG * PAGE + 0x200, 8);
	put(m, data + 0x930, 11, 4);
	put(m, data + 0x938, KERNEL_MAP + PFN_LOG * PAGE + 0x800, 8);
}

/* Kernel memory, free blocks, anonymous pages, page cache, a huge page, slab, offline and bad
 * ones. */
static void build_structs(struct machine *m, unsigned int era)
{
	unsigned int pfn;

	for (pfn = 0; pfn < NR_STRUCTS; pfn++) {
		uint64_t at = PFN_STRUCTS * PAGE + pfn * 64;

		put(m, at + 48, 0xffffffff, 4);
		if (pfn < 64)
			put(m, at, 0x1000, 8); /* PG_reserved */
		else if (pfn >= 64 && pfn < 128)
			put(m, at + 48, pfn % 16 ? 0xffffffff : eras[era].buddy, 4);
		else if (pfn >= 128 && pfn < 160)
			put(m, at + 24, DIRECT_MAP | 1, 8);
		else if (pfn >= 160 && pfn < 200)
			put(m, at, pfn % 2 ? 0x20 : 0x820, 8);
		else if (pfn >= 256 && pfn < 272) {
			put(m, at, pfn == 256 ? 0x40 : pfn == 257 ? 4 : 0, 8);
			put(m, at + 8, pfn == 256 ? 0 : (VMEMMAP + 256 * 64) | 1, 8);
			put(m, at + 17, pfn == 257 ? 4 : 0, 1);
			put(m, at + 24, pfn == 256 ? DIRECT_MAP | 1 : 0, 8);
		} else if (pfn >= 300 && pfn < 310)
			put(m, at + 48, eras[era].offline, 4);
		else if (pfn == 320)
			put(m, at, 0x400000, 8); /* PG_hwpoison */
		if (pfn >= 64 && pfn < 128 && pfn % 16 == 0)
			put(m, at + 40, 4, 8);
	}
}

static void add_line(struct machine *m, const char *text)
{
	if (m->nr_lines < MAX_LINES)
		snprintf(m->lines[m->nr_lines++].text, sizeof(m->lines[0].text), "%s", text);
}

static void build(struct machine *m, unsigned int era, unsigned int flags)
{
	bool five = flags & FLAG_FIVE_LEVELS;
	char root[64];
	size_t i;

	m->mem = calloc(NR_PAGES, PAGE);
	must(m->mem);
	build_tables(m);
	build_data(m);
	build_structs(m, era);
	for (i = 0; common_facts[i]; i++)
		add_line(m, common_facts[i]);
	for (i = 0; i < ARRAY_SIZE(eras[era].facts) && eras[era].facts[i]; i++)
		add_line(m, eras[era].facts[i]);
	snprintf(root, sizeof(root), "SYMBOL(swapper_pg_dir)=%" PRIx64,
		 (uint64_t)KERNEL_MAP + (five ? PFN_P5D : PFN_PGD) * PAGE);
	add_line(m, root);
	add_line(m, five ? "NUMBER(pgtable_l5_enabled)=1" : "NUMBER(pgtable_l5_enabled)=0");
	m->loads[m->nr_loads++] = (struct load){ 0, NR_PAGES, 0, NR_PAGES };
	if (flags & FLAG_MORE_MEMORY)
		m->loads[m->nr_loads++] = (struct load){ NR_PAGES, NR_PAGES, 0, NR_PAGES };
	m->sp = DIRECT_MAP + 130 * PAGE + 0x800;
}

/* ---- edits ---- */

enum { EDIT_BYTES, EDIT_STRUCT, EDIT_FACT, EDIT_LINE, EDIT_ENTRY, EDIT_LOAD, EDIT_SP, NR_EDITS };

static void copy_in(struct machine *m, uint64_t at, struct bytes *b, size_t len)
{
	const void *p;

	len = MIN(MIN(len, bytes_left(b)), (size_t)(NR_PAGES * PAGE - at));
	p = bytes_get(b, len);
	memcpy(m->mem + at, p, len);
}

/* Take a line out, or give it another value. */
static void edit_fact(struct machine *m, struct bytes *b)
{
	struct line *l = &m->lines[bytes_u8(b) % m->nr_lines];
	unsigned int how = bytes_u8(b) % 4;
	uint64_t v = how == 0 ? 0 : bytes_uint(b, how == 1 ? 1 : how == 2 ? 4 : 8);
	char *value = strchr(l->text, '=');
	size_t room = value ? sizeof(l->text) - (size_t)(value - l->text) : 0;

	if (!how)
		l->text[0] = '\0';
	else if (value)
		snprintf(value, room, strncmp(l->text, "SYMBOL", 6) ? "=%" PRId64 : "=%" PRIx64, v);
}

/* A line before all others, which it overrides. */
static void edit_line(struct machine *m, struct bytes *b)
{
	size_t want = bytes_u8(b), len = MIN(want, bytes_left(b));
	const char *p = bytes_get(b, len);

	if (m->nr_lines == MAX_LINES)
		return;
	memmove(m->lines + 1, m->lines, m->nr_lines++ * sizeof(*m->lines));
	snprintf(m->lines[0].text, sizeof(m->lines[0].text), "%.*s", (int)len, p);
}

static void edit_load(struct machine *m, struct bytes *b)
{
	struct load l = { .pfn = bytes_u16(b) };
	unsigned int up = bytes_u8(b) % 48;

	l.nr = bytes_u16(b);
	l.pfn <<= MIN(up, 28u);
	l.nr <<= up > 40 ? up - 40 : 0;
	l.file_pfn = bytes_u8(b) % NR_PAGES;
	l.file_nr = bytes_u8(b);
	l.file_nr = (uint32_t)MIN(MIN(l.nr, l.file_nr), NR_PAGES - l.file_pfn);
	if (m->nr_loads < MAX_LOADS)
		m->loads[m->nr_loads++] = l;
}

static void edit(struct machine *m, struct bytes *b)
{
	uint64_t at;

	switch (bytes_u8(b) % NR_EDITS) {
	case EDIT_BYTES: /* anywhere */
		at = bytes_u32(b) % (NR_PAGES * PAGE);
		copy_in(m, at, b, bytes_u8(b));
		break;
	case EDIT_STRUCT: /* in a struct page */
		at = PFN_STRUCTS * PAGE + bytes_u16(b) % NR_STRUCTS * 64;
		at += bytes_u8(b) % 64;
		copy_in(m, at, b, bytes_u8(b) % 16);
		break;
	case EDIT_FACT:
		edit_fact(m, b);
		break;
	case EDIT_LINE:
		edit_line(m, b);
		break;
	case EDIT_ENTRY: /* of a page table: a page frame and flags */
		at = (1 + bytes_u8(b) % PFN_P5D) * (uint64_t)PAGE;
		at += bytes_u16(b) % 512u * 8;
		put(m, at, (uint64_t)bytes_u32(b) << 12 | bytes_u16(b), 8);
		break;
	case EDIT_LOAD:
		edit_load(m, b);
		break;
	case EDIT_SP:
		m->sp = bytes_u64(b);
		break;
	}
}

/* ---- as a dump ---- */

static const struct machine *opening; /* what the format below is asked to open */

static int image_probe(struct source *s)
{
	(void)s;
	return 1;
}

static int image_open(struct dump *d, struct err *e)
{
	const struct machine *m = opening;
	static char text[MAX_LINES * sizeof(struct line)];
	uint8_t prstatus[336] = { 0 };
	struct bytes_out o = { .data = prstatus, .size = 336, .pos = 112 + 8 * 19 };
	size_t len = 0, i;

	for (i = 0; i < m->nr_lines; i++)
		len += (size_t)sprintf(text + len, "%s\n", m->lines[i].text);
	out_uint(&o, m->sp, 8);
	d->id = (struct ident){ .e_machine = 62, .order = ORDER_LE };
	must(note_append(&d->notes_copy, &d->notes_len, ORDER_LE, "CORE", 1, prstatus, 336));
	must(note_append(&d->notes_copy, &d->notes_len, ORDER_LE, "VMCOREINFO", 0, text, len));
	d->notes = d->notes_copy;
	d->vmcoreinfo = (const char *)d->notes + d->notes_len - ALIGN_UP(len, 4);
	d->vmcoreinfo_len = len;
	for (i = 0; i < m->nr_loads; i++) {
		const struct load *l = &m->loads[i];

		if (extents_add(d, l->pfn * PAGE, (uint64_t)l->file_nr * PAGE, l->nr * PAGE,
				(uint64_t)l->file_pfn * PAGE, e))
			return -1;
	}
	return 0;
}

static const struct format image_format = { .name = "image",
					    .title = "image",
					    .probe = image_probe,
					    .open = image_open };

/* ---- the books ---- */

static void check_level(const struct classify *c, int asked)
{
	int level = c->level;

	must((level & ~asked) == 0 && (c->rules.level & ~asked) == 0);
	must(c->degraded || level == asked);
	must((level & LEVEL_FREE) || !c->dropped[KIND_FREE]);
	must((level & LEVEL_USER) || !c->dropped[KIND_USER]);
	must((level & (LEVEL_CACHE | LEVEL_CACHE_PRIVATE)) || !c->dropped[KIND_CACHE]);
	must((level & LEVEL_CACHE_PRIVATE) || !c->dropped[KIND_CACHE_PRIVATE]);
	must(!c->dropped[KIND_KEPT]);
}

static void check_books(const struct classify *c, uint64_t universe)
{
	const struct pfnset *s = c->keep;
	uint64_t kept = pfnset_count(s, 0, UINT64_MAX), dropped = 0, seen = 0, pfn = 0, nr;
	enum page_kind k;

	for (k = 0; k < NR_KINDS; k++)
		dropped += c->dropped[k];
	must(kept + dropped == universe);
	must(c->unjudged <= universe);
	for (; pfnset_next(s, pfn, UINT64_MAX, 100, &pfn, &nr); pfn += nr) {
		must(pfnset_covers(s, pfn) && pfnset_covers(s, pfn + nr - 1));
		seen += nr;
	}
	must(seen == kept);
}

/* The machine as it was built: all of it is understood. */
static void check_plain(const struct classify *c)
{
	must(!c->degraded && !c->unjudged);
	must(c->dropped[KIND_FREE] == (c->level & LEVEL_FREE ? 64 : 0));
	must((c->level & LEVEL_USER) ? c->dropped[KIND_USER] >= 28 : !c->dropped[KIND_USER]);
	must((c->level & LEVEL_CACHE_PRIVATE) == 0 || c->dropped[KIND_CACHE_PRIVATE] == 20);
	must(c->guarded == (c->level & LEVEL_USER ? 4 : 0)); /* a stack among user pages */
}

static void check_explanation(const struct classify *c)
{
	const struct explanation *x = c->explain;
	enum page_kind k;

	if (!x || !pfnset_covers(c->keep, x->pfn))
		return;
	must(pfnset_test(c->keep, x->pfn) == (!x->dropped || x->guarded != NULL));
	must(!x->dropped || (x->by.why && x->by.kind != KIND_KEPT && x->by_pfn <= x->pfn));
	must(!x->has_struct_page || x->own.why);
	for (k = 0; k < NR_KINDS; k++)
		must(kind_name(k));
}

static void say_nothing(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)level;
	must(text[0] && !strchr(text, '\n'));
}

static void classify_dump(struct dump *d, int level, unsigned int flags, uint64_t explain,
			  bool plain)
{
	struct log log = { .emit = say_nothing };
	struct explanation x = { .pfn = explain };
	struct kernel k = { .nr_providers = 0 };
	struct xlat xlat = { .paging = NULL };
	struct err e = ERR_INIT;
	struct pfnset keep;
	uint64_t universe;
	struct classify c = { .dump = d,
			      .kernel = &k,
			      .xlat = &xlat,
			      .level = level,
			      .threads = 1,
			      .log = &log,
			      .explain = flags & FLAG_EXPLAIN ? &x : NULL,
			      .keep = &keep };

	kernel_add(&k, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	must(d->arch && (!d->arch->setup(d, &k, &xlat, &e) || !xlat.paging));
	must(!pfnset_init(&keep, d, &e));
	universe = pfnset_count(&keep, 0, UINT64_MAX);
	if (!classify_run(&c, &e)) {
		check_level(&c, level);
		check_books(&c, universe);
		check_explanation(&c);
		if (plain)
			check_plain(&c);
	} else {
		must(e.code == ERR_NOMEM);
	}
	classify_fini(&c);
	pfnset_fini(&keep);
	kernel_fini(&k);
	xlat_fini(&xlat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct format *const formats[] = { &image_format, NULL };
	struct bytes b = bytes_init(data, size, ORDER_LE, "input", 0);
	static struct machine m;
	struct err e = ERR_INIT;
	struct source *s;
	struct dump *d;
	int level = bytes_u8(&b) & 31;
	unsigned int era = bytes_u8(&b) % ARRAY_SIZE(eras), flags = bytes_u8(&b);
	uint64_t explain = bytes_u16(&b);
	bool plain = !bytes_left(&b);

	m = (struct machine){ .nr_lines = 0 };
	build(&m, era, flags);
	while (bytes_left(&b))
		edit(&m, &b);
	opening = &m;
	s = source_memory("image", m.mem, NR_PAGES * PAGE);
	must(s);
	if (dump_open(&s, 1, formats, NULL, &d, &e)) {
		source_close(s);
	} else {
		if (!dump_bind(d, archs, NULL, &e))
			classify_dump(d, level, flags, explain, plain);
		dump_close(d);
	}
	free(m.mem);
	return 0;
}
