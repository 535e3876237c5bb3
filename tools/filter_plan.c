/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a filtered dump will hold beside its pages: header fields, notes, the parts of a split set.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config.h"
#include "filter.h"
#include "note.h"
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

/* All notes of the source byte for byte, then ours. */
static int plan_notes(struct filter_job *job, struct err *e)
{
	const struct dump *d = job->session.dump;
	struct plan *plan = &job->plan;
	size_t text_len, len = 0;
	struct toolnote how = { .version = PACKAGE_VERSION,
				.command = "filter",
				.level = plan->dump_level,
				.codec = job->opts.codec ? job->opts.codec->name : "none" };
	_cleanup_free_ char *text = toolnote_text(d, &how, &text_len);

	plan->notes = d->notes;
	plan->notes_len = whole_notes(d);
	/* Notes begin at multiples of 4; only the end of a file leaves one without its padding. */
	len = -plan->notes_len & 3;
	job->tool_note = calloc(1, len + 1);
	if (!text || !job->tool_note ||
	    !note_append(&job->tool_note, &len, d->id.order, TOOL_NOTE_OWNER, TOOL_NOTE_TYPE, text,
			 text_len))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	plan->tool_note = job->tool_note;
	plan->tool_note_len = len;
	if (d->vmcoreinfo) {
		plan->vmcoreinfo_off = (uint64_t)((const uint8_t *)d->vmcoreinfo - d->notes);
		plan->vmcoreinfo_len = d->vmcoreinfo_len;
	}
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
static uint64_t plan_max_pfn(struct filter_job *job)
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
static void plan_parts(struct filter_job *job)
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

int filter_plan(struct filter_job *job, struct err *e)
{
	struct session *s = &job->session;

	filter_plan_fini(job);
	job->plan = (struct plan){ .dump = s->dump,
				   .keep = &job->keep,
				   .page_size = s->dump->id.page_size,
				   .dump_level = job->classify.level,
				   .codecs = job->opts.codec ? job->opts.codec->id : CODEC_RAW,
				   .phys_base = s->xlat.phys_base,
				   .crash_time = crash_time(&s->kernel),
				   .nr_parts = job->nr_parts };
	job->plan.max_pfn = plan_max_pfn(job);
	session_utsname(s, job->plan.utsname);
	if (plan_notes(job, e))
		return -1;
	plan_parts(job);
	return 0;
}

void filter_plan_fini(struct filter_job *job)
{
	free(job->tool_note);
	job->tool_note = NULL;
}
