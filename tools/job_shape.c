/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --for: what the program that an ELF core is meant for wants of its segments. */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "job.h"
#include "linear.h"

/* Whose virtual addresses the segments have. */
enum addresses {
	FROM_SOURCE,
	FROM_SOURCE_OR_TABLES, /* the page tables', where the source tells none */
	FROM_TABLES,	       /* else the source's */
	FROM_NOBODY,	       /* physical addresses only: each page once, ascending */
};

struct reader_rules {
	const char *name;
	enum addresses addresses;
	bool bare_is_physical; /* memory without a virtual address lies at its physical one */
	uint8_t word;	       /* the only class of file that it reads; 0: either */
	uint64_t max_segments; /* 0: as many as a file can have */
	uint16_t first_of; /* e_machine whose memory it believes to begin with the lowest segment */
};

/* What all of them want is how formats/elf_write.c writes. */
static const struct reader_rules readers[] = {
	/*
	 * Segments of the kernel's image tell phys_base, where VMCOREINFO does not, and the lowest of
	 * all tells it on 32-bit Arm (netdump.c, arm_kdump_phys_base()).
	 */
	{ "crash", FROM_SOURCE_OR_TABLES, false, 0, 0, EM_ARM },
	/*
	 * Finds memory by virtual address only. All it can find it gets; many segments make it
	 * slow.
	 */
	{ "gdb", FROM_TABLES, true, 0, 16384, EM_NONE },
	/* Reads segments by virtual address before page tables: memory at 0 would hide a fault. */
	{ "drgn", FROM_SOURCE_OR_TABLES, true, 0, 0, EM_NONE },
	/*
	 * layers/elf.py: class 64; looks for an address in segments that it takes for sorted, by
	 * p_paddr; ignores those with p_filesz other than p_memsz; e_phnum is what it counts to.
	 */
	{ "volatility", FROM_NOBODY, false, 8, 65533, EM_NONE },
};

const struct reader_rules *job_reader(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(readers); i++)
		if (!strcmp(readers[i].name, name))
			return &readers[i];
	return NULL;
}

/* ---- few segments ---- */

/* Put pages that were left out back where they are at most GAP between two that are kept. */
static void close_gaps(struct pfnset *keep, uint64_t gap)
{
	uint64_t pfn, nr, end = 0, at = 0;
	bool first = true;

	for (; pfnset_next(keep, at, UINT64_MAX, UINT64_MAX, &pfn, &nr); at = end = pfn + nr) {
		if (!first && pfn - end && pfn - end <= gap)
			pfnset_set(keep, end, pfn - end);
		first = false;
	}
}

static uint64_t count_runs(const struct pfnset *keep)
{
	uint64_t pfn, nr, at = 0, end = UINT64_MAX, n = 0;

	for (; pfnset_next(keep, at, UINT64_MAX, UINT64_MAX, &pfn, &nr); at = end = pfn + nr)
		n += pfn != end;
	return n;
}

/* Too many pieces for the reader: better more pages than a reader that does not see them all. */
static void limit_segments(struct job *job, uint64_t most)
{
	uint64_t before = pfnset_count(&job->keep, 0, UINT64_MAX), gap, more;

	for (gap = 1; count_runs(&job->keep) > most && gap < dump_max_pfn(job->session.dump);
	     gap *= 2)
		close_gaps(&job->keep, gap);
	more = pfnset_count(&job->keep, 0, UINT64_MAX) - before;
	if (more)
		log_info(&job->talk.log,
			 "%" PRIu64 " pages more are kept: %s reads at most %" PRIu64 " segments",
			 more, job->opts.reader->name, most);
	if (count_runs(&job->keep) > most)
		log_warn(&job->talk.log,
			 "memory lies in more pieces than the %" PRIu64 " that %s reads", most,
			 job->opts.reader->name);
}

/* Where memory begins, which is told by a segment without a page where the level leaves out the first. */
static void tell_start(const struct job *job, struct shape *shape)
{
	const struct dump *d = job->session.dump;
	uint64_t size = d->id.page_size;
	struct run run;
	uint64_t pfn;

	for (pfn = 0; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		if (run.state == PAGE_DATA || run.state == PAGE_ZERO) {
			shape->tells_start = !pfnset_count(&job->keep, run.pfn, run.pfn + 1);
			shape->start = run.pfn * size;
			return;
		}
}

/* ---- addresses ---- */

/*
 * QEMU without paging tells 0, or the physical address, and formats other than ELF tell nothing.
 * Where a kernel is mapped so, its tables say it.
 */
static bool source_tells(const struct dump *d)
{
	size_t i;

	for (i = 0; i < d->nr_segments; i++)
		if (d->segments[i].vaddr && d->segments[i].vaddr != UINT64_MAX &&
		    d->segments[i].vaddr != d->segments[i].paddr)
			return true;
	return false;
}

/* The lowest virtual address that a segment has: physical ones must end before. */
static uint64_t lowest_vaddr(const struct shape *shape)
{
	uint64_t low = UINT64_MAX;
	size_t i;

	for (i = 0; i < shape->nr_segments; i++)
		if (shape->segments[i].vaddr)
			low = MIN(low, shape->segments[i].vaddr);
	return low;
}

static int use_tables(struct job *job, struct err *e)
{
	struct session *s = &job->session;
	struct shape *shape = &job->shape;
	size_t nr;

	if (linear_segments(s->dump, &s->kernel, &s->xlat, &job->linear, &nr, e))
		return -1;
	if (nr) {
		shape->segments = job->linear;
		shape->nr_segments = nr;
	} else if (!source_tells(s->dump)) {
		log_warn(&job->talk.log,
			 "%s: no virtual addresses are known: neither it nor page tables tell them",
			 job->opts.inputs[0]);
	}
	return 0;
}

int job_make_shape(struct job *job, struct err *e)
{
	const struct reader_rules *r = job->opts.reader;
	const struct dump *d = job->session.dump;
	struct shape *shape = &job->shape;

	job_shape_fini(job);
	if (!r && !job->opts.word)
		return 0;
	*shape = (struct shape){ .segments = d->segments,
				 .nr_segments = d->nr_segments,
				 .word = job->opts.word };
	job->plan.shape = shape;
	if (!r)
		return 0;
	if (r->word)
		shape->word = r->word;
	if (r->addresses == FROM_NOBODY)
		shape->nr_segments = 0;
	else if (r->addresses == FROM_TABLES ||
		 (r->addresses == FROM_SOURCE_OR_TABLES && !source_tells(d)))
		if (use_tables(job, e))
			return -1;
	if (r->bare_is_physical)
		shape->bare_below = lowest_vaddr(shape);
	if (r->first_of && d->arch && d->arch->e_machine == r->first_of)
		tell_start(job, shape);
	if (r->max_segments)
		limit_segments(job, r->max_segments);
	return 0;
}

void job_shape_fini(struct job *job)
{
	free(job->linear);
	job->linear = NULL;
	job->plan.shape = NULL;
}
