/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What filter tells about its work. */
#include <inttypes.h>
#include <stdio.h>

#include "job.h"
#include "json.h"
#include "main.h"

void job_step(struct job *job, const char *title, double seconds)
{
	if (!job->opts.explain_set)
		talk_say(&job->talk, TALK_REPORT, "STEP [%-27s] : %.6f seconds\n", title, seconds);
}

/* The table of makedumpfile --show-stats: scripts look for its labels. */
void filter_report(struct job *job)
{
	struct talk *t = &job->talk;
	const struct classify *c = &job->classify;
	uint64_t original = job_existing_pages(job),
		 max = dump_max_pfn(job->session.dump);
	uint64_t zero = job->pipeline.zero_pages, kept = pfnset_count(&job->keep, 0, max) - zero;

	talk_say(t, TALK_REPORT, "\nOriginal pages  : 0x%016" PRIx64 "\n", original);
	talk_say(t, TALK_REPORT, "  Excluded pages   : 0x%016" PRIx64 "\n", original - kept);
	talk_say(t, TALK_REPORT, "    Pages filled with zero  : 0x%016" PRIx64 "\n", zero);
	talk_say(t, TALK_REPORT, "    Non-private cache pages : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_CACHE]);
	talk_say(t, TALK_REPORT, "    Private cache pages     : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_CACHE_PRIVATE]);
	talk_say(t, TALK_REPORT, "    User process data pages : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_USER]);
	talk_say(t, TALK_REPORT, "    Free pages              : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_FREE]);
	talk_say(t, TALK_REPORT, "    Hwpoison pages          : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_HWPOISON]);
	talk_say(t, TALK_REPORT, "    Offline pages           : 0x%016" PRIx64 "\n",
		 c->dropped[KIND_OFFLINE]);
	talk_say(t, TALK_REPORT, "  Remaining pages  : 0x%016" PRIx64 "\n", kept);
	talk_say(t, TALK_REPORT, "  (The number of pages is reduced to %" PRIu64 "%%.)\n",
		 original ? kept * 100 / original : 100);
	talk_say(t, TALK_REPORT, "Memory Hole     : 0x%016" PRIx64 "\n", max - original);
	talk_say(t, TALK_REPORT, "--------------------------------------------------\n");
	talk_say(t, TALK_REPORT, "Total pages     : 0x%016" PRIx64 "\n", max);
	talk_say(t, TALK_REPORT, "Write bytes     : %" PRIu64 "\n\n", job_bytes_written(job));
}

static const char *state_text(const struct dump *d, uint64_t pfn)
{
	static const char *const text[] = {
		[PAGE_DATA] = "its bytes are in the input",
		[PAGE_ZERO] = "zeros, by the input",
		[PAGE_EXCLUDED] = "left out of the input already",
		[PAGE_UNREADABLE] = "missing: the input is cut off",
	};
	struct run run;

	if (!dump_next_run(d, SPACE_PHYS, pfn, &run) || run.pfn != pfn)
		return "no memory there, by the input";
	return text[run.state];
}

static void json_explain(struct json *j, const struct job *job)
{
	const struct explanation *x = &job->explanation;

	json_put_object(j, "explain");
	json_hex(j, "pfn", x->pfn);
	json_bool(j, "kept", pfnset_test(&job->keep, x->pfn));
	json_put_string(j, "input", state_text(job->session.dump, x->pfn));
	if (x->has_struct_page) {
		json_hex(j, "struct_page", x->struct_vaddr);
		json_hex(j, "flags", x->fields.flags);
		json_hex(j, "mapping", x->fields.mapping);
		json_hex(j, "mapcount", x->fields.mapcount);
		json_hex(j, "private", x->fields.private_value);
		json_hex(j, "compound_head", x->fields.compound_head);
		json_uint(j, "order", x->fields.order);
		json_put_string(j, "own_verdict", x->own.why);
	}
	if (x->dropped) {
		json_hex(j, "decided_by", x->by_pfn);
		json_uint(j, "decided_pages", x->by.nr);
		json_put_string(j, "decided_kind", kind_name(x->by.kind));
		json_put_string(j, "decided_why", x->by.why);
	}
	if (x->guarded)
		json_put_string(j, "guarded", x->guarded);
	json_end(j);
}

void job_report_json(const struct job *job, int status)
{
	const struct classify *c = &job->classify;
	const struct dump *d = job->session.dump;
	struct json j;
	unsigned int i;

	json_begin(&j, stdout);
	json_document(&j, job->command, 1);
	json_put_string(&j, "input", job->opts.inputs[0]);
	if (job->opts.explain_set)
		json_explain(&j, job);
	json_put_array(&j, "outputs");
	for (i = 0; i < job->opts.nr_outputs; i++)
		json_put_string(&j, NULL, job->opts.outputs[i]);
	json_end(&j);
	json_int(&j, "exit_status", status);
	json_int(&j, "dump_level", job->plan.dump_level);
	json_put_string(&j, "format", job->opts.format->name);
	json_put_string(&j, "codec", job->pipeline.codec ? job->pipeline.codec->name : "none");
	json_put_object(&j, "pages");
	json_uint(&j, "memory", job_existing_pages(job));
	json_uint(&j, "kept", pfnset_count(&job->keep, 0, UINT64_MAX));
	json_uint(&j, "zero", job->pipeline.zero_pages);
	json_uint(&j, "cache", c->dropped[KIND_CACHE]);
	json_uint(&j, "private_cache", c->dropped[KIND_CACHE_PRIVATE]);
	json_uint(&j, "user", c->dropped[KIND_USER]);
	json_uint(&j, "free", c->dropped[KIND_FREE]);
	json_uint(&j, "hwpoison", c->dropped[KIND_HWPOISON]);
	json_uint(&j, "offline", c->dropped[KIND_OFFLINE]);
	json_uint(&j, "guarded", c->guarded);
	json_uint(&j, "unjudged", c->unjudged);
	json_uint(&j, "passed", job->pipeline.passed);
	json_uint(&j, "unreadable", job->pipeline.unreadable_pages + d->damage.unreadable_pages);
	json_end(&j);
	json_uint(&j, "bytes_written", job_bytes_written(job));
	json_double(&j, "classify_seconds", job->classify_seconds);
	json_double(&j, "copy_seconds", job->copy_seconds);
	json_double(&j, "sync_seconds", job->sinks[0] ? sink_sync_seconds(job->sinks[0]) : 0);
	json_finish(&j);
}

/* Our own closing line, on stderr. */
void job_summary(struct job *job)
{
	const struct job_opts *o = &job->opts;
	uint64_t kept = pfnset_count(&job->keep, 0, UINT64_MAX);
	char more[32] = "";

	if (o->nr_outputs > 1)
		snprintf(more, sizeof(more), " and %u more", o->nr_outputs - 1);
	talk_say(&job->talk, TALK_COMMON,
		 "%s: %s%s: level %d, %" PRIu64 " of %" PRIu64 " pages kept (%" PRIu64
		 " of them zero), %.1f MiB %s in %.1f s\n",
		 job->talk.name, o->nr_outputs ? o->outputs[0] : "standard output", more,
		 job->plan.dump_level, kept, job_existing_pages(job),
		 job->pipeline.zero_pages, (double)job_bytes_written(job) / (1 << 20),
		 o->dry_run ? "would have been written" : "written",
		 job->classify_seconds + job->copy_seconds);
}

/* ---- --explain ---- */

static void explain_fields(const struct explanation *x)
{
	const struct page_fields *f = &x->fields;

	printf("  struct page:    at 0x%" PRIx64 "\n", x->struct_vaddr);
	printf("    flags         0x%" PRIx64 "%s%s\n", f->flags,
	       f->is_head   ? ", head of a compound page"
	       : f->is_tail ? ", tail of a compound page"
			    : "",
	       f->is_hugetlb ? ", hugetlb" : "");
	if (f->is_head)
		printf("    order         %u (%" PRIu64 " pages)\n", f->order,
		       (uint64_t)1 << f->order);
	printf("    _mapcount     0x%" PRIx32 "\n    mapping       0x%" PRIx64
	       "\n    private       0x%" PRIx64 "\n    compound_head 0x%" PRIx64 "\n",
	       f->mapcount, f->mapping, f->private_value, f->compound_head);
	printf("  its own verdict: %s: %s\n", kind_name(x->own.kind), x->own.why);
}

void filter_explain(const struct job *job)
{
	const struct explanation *x = &job->explanation;
	const struct dump *d = job->session.dump;
	bool kept = pfnset_test(&job->keep, x->pfn);

	printf("page frame 0x%" PRIx64 " (%" PRIu64 "), physical address 0x%" PRIx64 ", level %d\n",
	       x->pfn, x->pfn, x->pfn << dump_page_shift(d), job->classify.level);
	printf("  input:          %s\n", state_text(d, x->pfn));
	if (x->has_struct_page)
		explain_fields(x);
	else if (job->classify.rules.scan)
		printf("  struct page:    not looked at%s\n",
		       x->dropped ? ": a larger page before it was dropped" : ", or not found");
	if (x->dropped)
		printf("  decided by:     page frame 0x%" PRIx64 " and the %" PRIu64
		       " pages from it on: %s: %s\n",
		       x->by_pfn, x->by.nr, kind_name(x->by.kind), x->by.why);
	if (x->guarded)
		printf("  but never dropped: it is %s\n", x->guarded);
	printf("  %s\n", kept ? "KEPT" : x->dropped ? "LEFT OUT" : "NOT IN THE OUTPUT");
}
