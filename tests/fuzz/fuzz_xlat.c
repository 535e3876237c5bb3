/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of every layout that arch/ has: two bytes, which one; two, where the root is; eight, an
 * address; then memory, which comes again and again, so that every address is in it. Tables point at
 * themselves, at each other, anywhere. A walk is bounded, ascends, and agrees with lookups.
 */
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "fuzz.h"
#include "xlat.h"

#define PAGE 4096u
#define MAX_STEPS 3000u
#define MAX_PFN (1ULL << 52)

struct memory {
	uint8_t *data;
	uint64_t nr; /* pages */
};

static bool next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	*ret = (struct run){ .pfn = pfn, .nr = MAX_PFN - pfn, .state = PAGE_DATA };
	return pfn < MAX_PFN;
}

static int view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr, struct view *ret,
		struct err *e)
{
	const struct memory *m = r->dump->map_data;

	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = m->data + pfn % m->nr * PAGE, .nr = 1 };
	return 0;
}

static const struct map_ops ops = { .next_run = next_run, .view = view };

/* Layout number N of all, with its architecture. */
static const struct paging *layout(unsigned int n, const struct arch **arch)
{
	unsigned int nr = 0, i;

	for (i = 0; archs[i]; i++)
		for (const struct paging *const *p = archs[i]->paging; p && *p; p++)
			nr++;
	n %= nr;
	for (i = 0; archs[i]; i++)
		for (const struct paging *const *p = archs[i]->paging; p && *p; p++)
			if (!n--) {
				*arch = archs[i];
				return *p;
			}
	return NULL;
}

struct seen {
	const struct xlat *x;
	struct reader *r;
	uint64_t next; /* no mapping before that */
	unsigned int nr;
};

static int check_mapping(void *priv, const struct mapping *m)
{
	struct seen *s = priv;
	struct err e = ERR_INIT;
	struct mapping again;

	must(m->len && m->len - 1 <= UINT64_MAX - m->vaddr);
	must(m->vaddr + (m->len - 1) >= s->next);
	s->next = m->vaddr + (m->len - 1);
	if (s->nr++ % 16 == 0) {
		must(!xlat_lookup(s->x, s->r, m->vaddr + (m->len - 1), &again, &e));
		must(again.paddr == m->paddr && again.len == m->len);
	}
	return 0;
}

static int check_table(void *priv, uint64_t paddr, unsigned int level)
{
	const struct seen *s = priv;

	(void)paddr;
	must(level < s->x->paging->nr_levels);
	return 0;
}

static void check(const struct xlat *x, struct reader *r, uint64_t vaddr)
{
	struct seen s = { .x = x, .r = r };
	struct xlat_visitor v = { .table = check_table, .mapping = check_mapping, .priv = &s };
	struct xlat_step steps[PAGING_MAX_LEVELS];
	struct err e = ERR_INIT;
	unsigned int nr;
	struct mapping m;

	if (!xlat_trace(x, r, vaddr, &m, steps, &nr, &e))
		must(vaddr >= m.vaddr && vaddr - m.vaddr < m.len);
	else
		must(e.text[0]);
	must(nr <= x->paging->nr_levels);
	must(!xlat_walk(x, r, 0, UINT64_MAX, MAX_STEPS, &v));
	s = (struct seen){ .x = x, .r = r };
	must(!xlat_walk(x, r, vaddr, UINT64_MAX, MAX_STEPS, &v));
	v.mapping = NULL;
	must(!xlat_walk(x, r, vaddr, UINT64_MAX, MAX_STEPS, &v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory m = { .nr = (MAX(size, 13) - 12 + PAGE - 1) / PAGE };
	struct dump d = { .map = &ops, .map_data = &m };
	const struct arch *arch = NULL;
	struct xlat x = { .paging = NULL };
	struct reader r;

	if (size < 13)
		return 0;
	x.paging = layout(load_u16(data, ORDER_LE), &arch);
	x.root = (uint64_t)load_u16(data + 2, ORDER_LE) * PAGE;
	d.id = (struct ident){ .page_size = PAGE, .order = arch->order, .word = arch->word };
	m.data = calloc(m.nr, PAGE);
	must(m.data);
	memcpy(m.data, data + 12, size - 12);
	reader_init(&r, &d);
	check(&x, &r, load_u64(data + 4, ORDER_LE));
	reader_fini(&r);
	free(m.data);
	return 0;
}
