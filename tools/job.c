/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing a dump: outputs, attempts, marks. What filter and convert have in common. */
#include "job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "budget.h"
#include "cleanup.h"
#include "elftool.h"
#include "formats.h"
#include "main.h"

/* ---- outputs ---- */

/* A stream: into the file that is named, or to standard output. */
static int open_stream(struct job *job, struct err *e)
{
	const struct job_opts *o = &job->opts;

	return o->nr_outputs ? sink_flat_file(o->outputs[0], o->force ? SINK_FORCE : 0,
					      &job->sinks[0], e)
			     : sink_flat(STDOUT_FILENO, "STDOUT", &job->sinks[0], e);
}

/* Is the input what an output of that name is called while it grows? */
static bool reads_unfinished(const struct job *job, const char *path)
{
	char name[4096];

	return snprintf(name, sizeof(name), "%s%s", path, UNFINISHED) < (int)sizeof(name) &&
	       session_reads(&job->session, name);
}

static int open_output(struct job *job, unsigned int i, struct err *e)
{
	const struct job_opts *o = &job->opts;
	const char *path = o->nr_outputs ? o->outputs[i] : "standard output";
	unsigned int flags = (o->force ? SINK_FORCE : 0) |
			     (job->pipeline.format && job->pipeline.format->unmarked ? SINK_RENAME
										     : 0);

	if (job->open_output)
		return job->open_output(job, &job->sinks[i], e);
	if (o->dry_run)
		return sink_null(path, &job->sinks[i], e);
	if (o->nr_outputs && session_reads(&job->session, path))
		return err_set(e, ERR_EXISTS, "%s: is the input", path);
	if (flags & SINK_RENAME && reads_unfinished(job, path))
		return err_set(e, ERR_EXISTS, "%s%s, which %s would be until it is whole, is the input",
			       path, UNFINISHED, path);
	if (o->flat   ? open_stream(job, e)
	    : o->plain ? sink_stream(STDOUT_FILENO, path, &job->sinks[i], e)
		       : sink_file(path, flags, &job->sinks[i], e))
		return err_add(e, "cannot write the dump file%s",
			       e->os == EEXIST && !o->force ? " (-f overwrites one)" : "");
	return 0;
}

int job_open_outputs(struct job *job, struct err *e)
{
	unsigned int i, k;

	job->nr_parts = job->opts.split ? job->opts.nr_outputs : 1;
	for (i = 0; i < job->nr_parts; i++) {
		if (open_output(job, i, e))
			return -1;
		for (k = 0; k < i; k++)
			if (sink_is_same(job->sinks[k], job->sinks[i]))
				return err_set(e, ERR_EXISTS, "%s: is named twice",
					       sink_name(job->sinks[i]));
		sink_set_limit(job->sinks[i], job->opts.limit);
	}
	return 0;
}

void job_close_outputs(struct job *job, bool keep_files)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++) {
		if (job->sinks[i] && !keep_files)
			sink_discard(job->sinks[i]);
		sink_close(job->sinks[i]);
		job->sinks[i] = NULL;
	}
}

uint64_t job_existing_pages(const struct job *job)
{
	const struct dump *d = job->session.dump;
	uint64_t pfn = 0, n = 0;
	struct run run;

	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		n += run.nr;
	return n;
}

uint64_t job_bytes_written(const struct job *job)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++)
		n += job->sinks[i] ? sink_written(job->sinks[i]) : 0;
	return n;
}

/* ---- one attempt ---- */

static void show_classify(void *priv, uint64_t done, uint64_t total)
{
	struct progress *p = priv;

	p->total = total;
	progress_at(p, done);
}

static int classify_pages(struct job *job, int level, struct err *e)
{
	struct progress *progress = talk_progress(&job->talk);
	double start = progress_clock();
	int ret;

	pfnset_fill(&job->keep);
	if (job->opts.keep_all)
		return 0;
	classify_fini(&job->classify);
	job->classify = (struct classify){ .dump = job->session.dump,
					   .kernel = &job->session.kernel,
					   .xlat = &job->session.xlat,
					   .level = level,
					   .threads = job->pipeline.threads,
					   .log = &job->talk.log,
					   .interrupted = &interrupted,
					   .progress = progress ? show_classify : NULL,
					   .progress_priv = progress,
					   .keep = &job->keep };
	if (job->opts.explain_set) {
		job->explanation = (struct explanation){ .pfn = job->opts.explain };
		job->classify.explain = &job->explanation;
	}
	progress_start(progress, "Excluding unnecessary pages", 0);
	ret = classify_run(&job->classify, e);
	job->classify_seconds = progress_clock() - start;
	if (!ret && job->classify.rules.scan) {
		progress_end(progress);
		job_step(job, "Excluding unnecessary pages", job->classify_seconds);
	}
	return ret;
}

static void abandon(struct job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++)
		if (job->parts[i].priv)
			job->pipeline.format->abandon(&job->parts[i]);
}

static int copy_pages(struct job *job, struct err *e)
{
	const struct format *f = job->pipeline.format;
	struct progress *progress = talk_progress(&job->talk);
	unsigned int i;

	job->pipeline.progress = progress;
	job->pipeline.pages = job->pipeline.zero_pages = job->pipeline.unreadable_pages =
		job->pipeline.bytes = job->pipeline.passed = 0;
	progress_start(progress, "Copying data", pfnset_count(&job->keep, 0, UINT64_MAX));
	for (i = 0; i < job->nr_parts; i++)
		if (f->begin(&job->parts[i], e))
			return -1;
	if (pipeline_run(&job->pipeline, job->parts, job->nr_parts, e))
		return -1;
	progress_end(progress);
	/* What was lost on the way is missing from the output as it is from a cut input. */
	job->plan.incomplete |= job->pipeline.unreadable_pages != 0;
	for (i = 0; i < job->nr_parts; i++)
		if (f->commit(&job->parts[i], e))
			return -1;
	for (i = 0; i < job->nr_parts; i++)
		f->finish(&job->parts[i]);
	return 0;
}

static int try_level(struct job *job, int level, struct err *e)
{
	double start;
	int ret;

	if (classify_pages(job, level, e) || (job->select && job->select(job, e)) ||
	    job_plan(job, e))
		return -1;
	if (job->opts.explain_set)
		return 0;
	start = progress_clock();
	job->started = true;
	ret = copy_pages(job, e);
	if (ret)
		abandon(job);
	job->copy_seconds = progress_clock() - start;
	if (!ret)
		job_step(job, "Copying data", job->copy_seconds);
	return ret;
}

/* The next level of the list after a full disk. */
static int restart(struct job *job, const struct err *why, int level, struct err *e)
{
	unsigned int i;

	talk_say(&job->talk, TALK_COMMON, "\n%s\nRetry to create a dumpfile by dump_level(%d).\n",
		 why->text, level);
	for (i = 0; i < job->nr_parts; i++)
		if (sink_restart(job->sinks[i], e))
			return -1;
	return 0;
}

static int try_levels(struct job *job, struct err *e)
{
	unsigned int i;

	for (i = 0; i < job->opts.nr_levels; i++) {
		*e = (struct err)ERR_INIT;
		if (!try_level(job, job->opts.levels[i], e))
			return 0;
		if (e->code != ERR_NOSPACE || i + 1 == job->opts.nr_levels || job->opts.flat || job->opts.plain ||
		    restart(job,
			    &(struct err){ .code = e->code,
					   .os = e->os,
					   .text = "No space left for the dumpfile." },
			    job->opts.levels[i + 1], e))
			return -1;
	}
	return -1;
}

/* ---- the job ---- */

/* As many as asked for, or as there are CPUs, as far as the memory reaches. */
static void choose_threads(struct job *job)
{
	const struct job_opts *o = &job->opts;
	uint64_t fixed = pfnset_memory(&job->keep) + (4 << 20), each;

	each = pipeline_memory(o->codec, o->codec_level, 2, job->session.dump->id.page_size) / 2;
	job->pipeline.threads =
		budget_threads(o->threads, budget_available(), fixed, MAX(each, (uint64_t)1 << 20));
	if (o->threads > job->pipeline.threads)
		log_info(&job->talk.log,
			 "working with %u threads: more do not fit into the memory that is left",
			 job->pipeline.threads);
}

/* A codec that this link has not: any dump is better than none, and lzo opens everywhere. */
static void replace_codec(struct job *job)
{
	struct job_opts *o = &job->opts;

	if (!o->missing_codec)
		return;
	o->codec = codec_by_id(CODEC_LZO);
	o->codec_level = 0;
	log_warn(&job->talk.log, "%s is not supported by this program; writing lzo instead",
		 o->missing_codec);
}

static bool input_damaged(struct job *job)
{
	const struct dump *d = job->session.dump;
	const struct pipeline *p = &job->pipeline;

	if (p->unreadable_pages)
		log_warn(&job->talk.log,
			 "%s: %" PRIu64 " pages could not be read, the first is 0x%" PRIx64
			 "; the dump says so in their places",
			 job->opts.inputs[0], p->unreadable_pages, p->first_unreadable);
	if (d->incomplete)
		log_warn(&job->talk.log, "%s: says itself that it is incomplete", job->opts.inputs[0]);
	if (d->damage.unreadable_pages)
		log_warn(&job->talk.log, "%s: %" PRIu64 " pages of it are missing",
			 job->opts.inputs[0], d->damage.unreadable_pages);
	return p->unreadable_pages || d->incomplete || d->damage.missing_bytes ||
	       d->damage.unreadable_pages || d->damage.bad_structures;
}

/* Is there an output that holds at least its header? Otherwise nothing is worth keeping. */
static bool anything_written(const struct job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++)
		if (job->sinks[i] && sink_end(job->sinks[i]))
			return true;
	return job->opts.flat && !job->opts.dry_run;
}

/* What memory there is: a step of its own to makedumpfile, of which scripts know the lines. */
static int find_memory(struct job *job, struct err *e)
{
	struct progress *progress = job->talk.makedumpfile ? talk_progress(&job->talk) : NULL;
	double start = progress_clock();

	progress_start(progress, "Checking for memory holes", 0);
	if (pfnset_init(&job->keep, job->session.dump, e))
		return -1;
	progress_end(progress);
	job_step(job, "Checking for memory holes", progress_clock() - start);
	return 0;
}

bool job_leaves_kinds(const struct job *job)
{
	return !job->opts.keep_all && job->opts.levels[0] & ~LEVEL_ZERO;
}

/* Raw memory tells of no machine: no kind is left out, and what is written is of none, either. */
static void tell_no_arch(struct job *job)
{
	const struct job_opts *o = &job->opts;
	bool tells = !o->explain_set && !o->format->no_notes; /* it could */

	if (session_knows_arch(&job->session) || (!tells && !job_leaves_kinds(job)))
		return;
	log_warn(&job->talk.log, "%s: %s: %s", o->inputs[0], job->session.no_xlat.text,
		 job_leaves_kinds(job) ? "nothing is known about its kernel"
				       : "what is written does not tell it");
}

int job_write(struct job *job, struct err *e)
{
	tell_no_arch(job);
	if (find_memory(job, e))
		return STATUS_FAILED;
	if (job_leaves_kinds(job))
		session_complete(&job->session, job->opts.levels[0]);
	replace_codec(job);
	choose_threads(job);
	job->pipeline.format = job->opts.format;
	/* A format that stores pages as they are has no use for a codec. */
	job->pipeline.codec = job->opts.format->codecs ? job->opts.codec : NULL;
	job->pipeline.codec_level = job->opts.codec_level;
	job->pipeline.pass = job->opts.format->codecs ? job->opts.pass : PASS_NEVER;
	job->pipeline.unchecked = job->opts.unchecked;
	job->pipeline.interrupted = &interrupted;
	if (!job->opts.explain_set && job_open_outputs(job, e)) {
		job_close_outputs(job, false);
		return STATUS_FAILED;
	}
	if (try_levels(job, e)) {
		bool left = job->started && anything_written(job);

		if (!left)
			job_close_outputs(job, false);
		return left ? STATUS_INCOMPLETE : STATUS_FAILED;
	}
	return input_damaged(job) ? STATUS_DAMAGED : STATUS_OK;
}

int job_run(struct job *job, const char *title, struct err *e)
{
	const struct job_opts *o = &job->opts;
	int status;

	talk_init(&job->talk, title, false);
	job->talk.level = o->quiet ? TALK_ERROR : o->message_level;
	job->talk.mode = o->progress;
	job->talk.data_on_stdout = o->plain || (o->flat && !o->nr_outputs);
	job->opts.in.progress = talk_progress(&job->talk);
	if (session_open(&job->session, o->inputs, o->nr_inputs, &o->in, &job->talk.log, e) ||
	    (o->kind && elftool_check(&job->session, o->kind, e)) ||
	    (job->prepare && job->prepare(job, e)))
		return STATUS_FAILED;
	status = job_write(job, e);
	if (status == STATUS_INCOMPLETE)
		job_add_incomplete(job, e);
	else if (status != STATUS_FAILED)
		job_summary(job);
	if (status != STATUS_FAILED && o->json)
		job_report_json(job, status);
	return status;
}

void job_add_incomplete(const struct job *job, struct err *e)
{
	const struct job_opts *o = &job->opts;

	err_add(e, "%s: the dump is incomplete, and %s",
		o->nr_outputs ? o->outputs[0] : "standard output",
		o->flat					 ? "has no end"
		: o->plain			 ? "ends before its segments do"
		: sink_unfinished_name(job->sinks[0]) ? "still named " UNFINISHED
						      : "marked so");
}

void job_fini(struct job *job)
{
	job_close_outputs(job, true);
	job_plan_fini(job);
	classify_fini(&job->classify);
	pfnset_fini(&job->keep);
	if (job->session.dump)
		session_close(&job->session);
}

