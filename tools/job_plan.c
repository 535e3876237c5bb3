/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a dump that is written will hold beside its pages: header fields, notes, the parts of a split set.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "config.h"
#include "cpunotes.h"
#include "job.h"
#include "note.h"
#include "threads.h"
#include "toolnote.h"

/*
 * Length of the notes up to the end of the last whole one: ours must not follow half a note, or
 * padding.
 */
static size_t whole_notes(const struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	size_t end = 0;
	struct note n;

	while (note_next(&b, &n))
		end = b.pos;
	return end;
}

/* Does something new take its place? */
static bool is_replaced(const struct job *job, const struct note *n)
{
	return toolnote_is(n) || (job->threads && threads_note_is(n));
}

/*
 * All notes of the source byte for byte, without an older one of ours, which the new one replaces, and
 * those that threads have: in place where there is none of these.
 */
static int keep_notes(struct job *job, struct err *e)
{
	const struct dump *d = job->session.dump;
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct plan *plan = &job->plan;
	size_t start = 0, len = 0;
	struct note n;

	plan->notes = d->notes;
	plan->notes_len = whole_notes(d);
	if (!d->history && !job->threads)
		return 0;
	plan->notes = job->notes = malloc(plan->notes_len + 1);
	if (!job->notes)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	for (; note_next(&b, &n); start = b.pos) {
		if (is_replaced(job, &n))
			continue;
		/* What the plan points into moves with it. */
		if (d->vmcoreinfo == (const char *)n.desc)
			plan->vmcoreinfo_off = len + (n.desc_off - start);
		memcpy(job->notes + len, d->notes + start, b.pos - start);
		len += b.pos - start;
	}
	plan->notes_len = len;
	return 0;
}

/* The notes of the source, those that it should have, then ours. */
static int plan_notes(struct job *job, struct err *e)
{
	const struct dump *d = job->session.dump;
	struct plan *plan = &job->plan;
	size_t text_len, len = 0;
	struct toolnote how = { .version = PACKAGE_VERSION,
				.command = job->command,
				.level = plan->dump_level,
				.codec = job->pipeline.codec ? job->pipeline.codec->name : "none" };
	_cleanup_free_ char *text = toolnote_text(d, &how, &text_len);

	if (d->vmcoreinfo) {
		plan->vmcoreinfo_off = (uint64_t)((const uint8_t *)d->vmcoreinfo - d->notes);
		plan->vmcoreinfo_len = d->vmcoreinfo_len;
	}
	if (keep_notes(job, e))
		return -1;
	/* Notes begin at multiples of 4; only the end of a file leaves one without its padding. */
	len = -plan->notes_len & 3;
	job->tool_note = calloc(1, len + 1);
	if (job->tool_note && !job->threads && cpunotes_append(d, &job->tool_note, &len, e))
		return -1;
	if (!text || !job->tool_note ||
	    !note_append(&job->tool_note, &len, d->id.order, TOOL_NOTE_OWNER, TOOL_NOTE_TYPE, text,
			 text_len))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	plan->tool_note = job->tool_note;
	plan->tool_note_len = len;
	plan->eraseinfo = d->eraseinfo;
	plan->eraseinfo_len = d->eraseinfo_len;
	return 0;
}

static int64_t crash_time(const struct kernel *k)
{
	char text[24];

	return kernel_text(k, "CRASHTIME", text, sizeof(text)) ? strtoll(text, NULL, 10) : 0;
}

/*
 * One past the highest page that the output tells to exist. Memory that the input left out counts,
 * but not endlessly far beyond what it holds: a segment that claims 64 PiB would make bitmaps of
 * terabytes.
 */
static uint64_t plan_max_pfn(struct job *job)
{
	const struct pfnset *keep = &job->keep;
	uint64_t max = dump_max_pfn(job->session.dump), held = 0, most;

	if (keep->nr_ranges)
		held = keep->ranges[keep->nr_ranges - 1].pfn + keep->ranges[keep->nr_ranges - 1].nr;
	most = held * 16 + ((uint64_t)1 << 28);
	if (max <= most)
		return max;
	log_warn(&job->talk.log,
		 "%s: claims pages up to 0x%" PRIx64 " but holds none beyond 0x%" PRIx64
		 "; not all of them are mentioned",
		 job->opts.inputs[0], max, held);
	job->session.dump->damage.bad_structures++;
	return most;
}

/*
 * First PFN at or after START behind which NR kept pages lie; found by halving, the set counts
 * fast.
 */
static uint64_t pfn_behind(const struct pfnset *keep, uint64_t start, uint64_t end, uint64_t nr)
{
	uint64_t lo = start, hi = end;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (pfnset_count(keep, start, mid) < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* crash counts the pages of a piece in words of the bitmap: a piece begins at one. */
#define PART_ALIGN 64

/* Pieces of a split set hold about the same number of pages; their ranges tile [0, max). */
static void plan_parts(struct job *job)
{
	uint64_t max = job->plan.max_pfn, total = pfnset_count(&job->keep, 0, max), start = 0;
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++) {
		struct part *p = &job->parts[i];
		bool last = i + 1 == job->nr_parts;

		*p = (struct part){ .plan = &job->plan, .sink = job->sinks[i], .start_pfn = start };
		p->end_pfn = last ? max
				  : MIN(ALIGN_UP(pfn_behind(&job->keep, start, max,
							    total / job->nr_parts),
						 PART_ALIGN),
					max);
		p->nr_pages = pfnset_count(&job->keep, p->start_pfn, p->end_pfn);
		start = p->end_pfn;
	}
}

/*
 * Where the dump's header told: that. Where kdump files count pages from the first one of memory,
 * that page, unless it was told.
 */
static uint64_t plan_phys_base(struct job *job)
{
	struct dump *d = job->session.dump;
	struct run first;

	if (d->told.has_phys_base)
		return d->told.phys_base;
	if (!d->arch || !d->arch->pfn_from_phys_base)
		return job->session.xlat.phys_base;
	d->id.pfn_bias = dump_next_run(d, SPACE_PHYS, 0, &first) ? first.pfn : 0;
	/* The header has 32 bits for it: memory that begins beyond them is counted from 0. */
	if (d->id.pfn_bias << dump_page_shift(d) > UINT32_MAX)
		d->id.pfn_bias = 0;
	return d->id.pfn_bias << dump_page_shift(d);
}

/* Levels add up: what the input lacks stays out. */
static int plan_level(const struct job *job)
{
	const struct told *t = &job->session.dump->told;
	int level = job->opts.keep_all ? 0 : job->classify.level;

	return t->has_level && t->level >= 0 && t->level <= LEVEL_MAX ? level | t->level : level;
}

/* What pages may be stored in, for readers that look there first. */
static uint32_t plan_codecs(const struct job *job)
{
	uint32_t codecs = job->pipeline.codec ? job->pipeline.codec->id : CODEC_RAW;

	if (job->pipeline.pass == PASS_ANY)
		codecs |= job->session.dump->told.codecs & CODEC_ALL;
	return codecs;
}

int job_plan(struct job *job, struct err *e)
{
	struct session *s = &job->session;

	job_plan_fini(job);
	job->plan = (struct plan){ .dump = s->dump,
				   .keep = &job->keep,
				   .page_size = s->dump->id.page_size,
				   .dump_level = plan_level(job),
				   .codecs = plan_codecs(job),
				   .incomplete = s->dump->incomplete ||
						 s->dump->damage.missing_bytes ||
						 s->dump->damage.unreadable_pages,
				   .phys_base = plan_phys_base(job),
				   .crash_time = s->dump->told.has_time ? s->dump->told.time
									: crash_time(&s->kernel),
				   .vmap = job->vmap,
				   .threads = job->threads,
				   .nr_parts = job->nr_parts };
	if (job_make_shape(job, e))
		return -1;
	job->plan.max_pfn = plan_max_pfn(job);
	session_utsname(s, job->plan.utsname);
	if (plan_notes(job, e))
		return -1;
	plan_parts(job);
	return 0;
}

void job_plan_fini(struct job *job)
{
	free(job->tool_note);
	free(job->notes);
	job->tool_note = job->notes = NULL;
	job_shape_fini(job);
}
