/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel log of a hostile dump. Input: VMCOREINFO text up to a NUL, then memory from physical
 * (and virtual) 0 on. Each input is read in both byte orders and word sizes.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "printk.h"

#define PAGE 4096u
#define TABLE_PFN \
	(1u << 20) /* a page table behind all memory, which maps the first 4 GiB to themselves */

static const struct entry_form present[] = {
	{ 1, 1, ENTRY_LEAF, { { 0, 0 } }, 0 },
	ENTRY_REST,
};

static const struct paging identity = {
	.name = "identity",
	.va_bits = 64,
	.entry_size = 8,
	.nr_levels = 1,
	.level = { { 32, 1, present } },
};

static uint8_t table[PAGE] = { 1, 0, 0, 0, 0, 0, 0, 1 }; /* "present" in either byte order */

struct memory {
	uint8_t *data; /* whole pages */
	uint64_t nr;
};

static bool fuzz_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct memory *m = d->map_data;

	(void)space;
	if (pfn < m->nr)
		*ret = (struct run){ .pfn = pfn, .nr = m->nr - pfn, .state = PAGE_DATA };
	else
		*ret = (struct run){ .pfn = TABLE_PFN, .nr = 1, .state = PAGE_DATA };
	return pfn <= TABLE_PFN;
}

static int fuzz_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	const struct memory *m = r->dump->map_data;

	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = pfn == TABLE_PFN ? table : m->data + pfn * PAGE, .nr = 1 };
	return 0;
}

static const struct map_ops fuzz_map = { .next_run = fuzz_next_run, .view = fuzz_view };

static int take_line(void *priv, const char *line, size_t len, struct err *e)
{
	size_t i, *total = priv;

	(void)e;
	for (i = 0; i < len; i++)
		must((line[i] >= ' ' && line[i] <= '~') || memchr("\t\v\f\r", line[i], 4));
	*total += len + 1;
	return 0;
}

static int take_region(void *priv, uint64_t vaddr, uint64_t len, struct err *e)
{
	(void)vaddr;
	(void)e;
	*(size_t *)priv += (size_t)len;
	return 0;
}

static void read_log(struct memory *m, const char *info, size_t info_len, unsigned int how)
{
	struct printk_opts opts = { .since_clear = how & 4, .no_caller = how & 8 };
	struct xlat x = { .paging = &identity, .root = (uint64_t)TABLE_PFN * PAGE };
	struct dump d = { .map = &fuzz_map, .map_data = m };
	struct kernel k = { .nr_providers = 0 };
	struct err e = ERR_INIT;
	struct reader r;
	size_t total = 0;

	d.id = (struct ident){ .order = how & 1 ? ORDER_BE : ORDER_LE,
			       .word = how & 2 ? 4 : 8,
			       .page_size = PAGE };
	kernel_add(&k, vmcoreinfo_provider(info, info_len));
	reader_init(&r, &d);
	printk_read(&k, &x, &r, &opts, take_line, &total, NULL, &e);
	printk_regions(&k, &x, &r, take_region, &total, &e);
	reader_fini(&r);
	kernel_fini(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t info_len = strnlen((const char *)data, size), rest = size - MIN(info_len + 1, size);
	struct memory m = { .nr = (rest + PAGE - 1) / PAGE };
	unsigned int how;

	m.data = calloc(m.nr + 1, PAGE);
	if (!m.data)
		return 0;
	if (rest)
		memcpy(m.data, data + info_len + 1, rest);
	for (how = 0; how < 4; how++)
		read_log(&m, (const char *)data, info_len, how | (size & 3) << 2);
	free(m.data);
	return 0;
}
