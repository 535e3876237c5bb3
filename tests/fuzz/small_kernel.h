/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel for fuzz targets that look at its structures. Input: one byte, byte order (bit 0), word
 * size (bit 1), architecture (the rest); VMCOREINFO text up to a NUL, which is all that is known of
 * its structures; memory from physical 0 on, which is mapped at one place, and nothing else is.
 */
#ifndef SMALL_KERNEL_H
#define SMALL_KERNEL_H

#include <stdlib.h>
#include <string.h>

#include "archs.h"
#include "cleanup.h"
#include "fuzz.h"
#include "kmem.h"

#define SMALL_PAGE 4096u

struct small {
	uint8_t *memory;
	uint64_t nr; /* pages */
	uint64_t base; /* where it is mapped */
	struct arch arch;
	struct dump dump;
	struct mapping window;
	struct xlat xlat;
	struct kernel kernel;
	struct reader reader;
	struct kmem mem;
};

static bool small_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	const struct small *s = d->map_data;

	(void)space;
	*ret = (struct run){ .pfn = pfn, .nr = s->nr - pfn, .state = PAGE_DATA };
	return pfn < s->nr;
}

static int small_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		      struct view *ret, struct err *e)
{
	const struct small *s = r->dump->map_data;

	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = s->memory + pfn * SMALL_PAGE, .nr = 1 };
	return 0;
}

static const struct map_ops small_map = { .next_run = small_next_run, .view = small_view };

/* Undo with small_close(). False when there is nothing to look at. */
static bool small_open(struct small *s, const uint8_t *data, size_t size)
{
	unsigned int how = size ? data[0] : 0, nr_archs = 0;
	size_t text, rest;

	if (size < 2)
		return false;
	text = strnlen((const char *)data + 1, size - 1);
	rest = size - 1 - MIN(text + 1, size - 1);
	*s = (struct small){ .nr = rest / SMALL_PAGE + 1 };
	s->memory = calloc(s->nr, SMALL_PAGE);
	if (!s->memory)
		return false;
	memcpy(s->memory, data + size - rest, rest);
	while (archs[nr_archs])
		nr_archs++;
	s->arch = *archs[(how >> 2) % nr_archs];
	s->arch.image_range = NULL;
	s->arch.image_align = SMALL_PAGE;
	s->arch.image_max = (s->nr + 1) / 2 * SMALL_PAGE; /* modules lie outside */
	s->base = how & 2 ? 0xc0000000 : 0xffffffff80000000;
	s->dump = (struct dump){ .map = &small_map, .map_data = s, .arch = &s->arch };
	s->dump.id = (struct ident){ .order = how & 1 ? ORDER_BE : ORDER_LE,
				     .word = how & 2 ? 4 : 8,
				     .page_size = SMALL_PAGE };
	s->window = (struct mapping){ .vaddr = s->base, .len = s->nr * SMALL_PAGE };
	s->xlat = (struct xlat){ .windows = &s->window, .nr_windows = 1 };
	kernel_add(&s->kernel, vmcoreinfo_provider((const char *)data + 1, text));
	reader_init(&s->reader, &s->dump);
	s->mem = (struct kmem){ .kernel = &s->kernel, .xlat = &s->xlat, .reader = &s->reader };
	return true;
}

static void small_close(struct small *s)
{
	kernel_fini(&s->kernel);
	reader_fini(&s->reader);
	free(s->memory);
}

/* Was what lies at ADDR met already? Remembered in SEEN, one byte for each of the memory. */
static inline bool small_seen(const struct small *s, uint8_t *seen, uint64_t addr)
{
	uint64_t at = addr - s->base;

	if (at >= s->nr * SMALL_PAGE)
		return false;
	return seen[at]++;
}

#endif
