/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool filter, and makedumpfile: a kdump-compressed dump without the pages nobody needs. */
#include "filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "budget.h"
#include "cleanup.h"
#include "config.h"
#include "dmesg.h"
#include "formats.h"
#include "main.h"

/* ---- outputs ---- */

static int open_output(struct filter_job *job, unsigned int i, struct err *e)
{
	const struct filter_opts *o = &job->opts;
	const char *path = o->nr_outputs ? o->outputs[i] : "standard output";

	if (o->flat && !o->dry_run)
		return sink_flat(STDOUT_FILENO, "STDOUT", &job->sinks[i], e);
	if (o->dry_run)
		return sink_null(path, &job->sinks[i], e);
	if (source_is_path(job->session.dump->source, path))
		return err_set(e, ERR_EXISTS, "%s: is the input", path);
	if (sink_file(path, o->force ? SINK_FORCE : 0, &job->sinks[i], e))
		return err_add(e, "cannot write the dump file");
	return 0;
}

static int open_outputs(struct filter_job *job, struct err *e)
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

/* Close; without KEEP_FILES nothing was worth keeping. */
static void close_outputs(struct filter_job *job, bool keep_files)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++) {
		if (job->sinks[i] && !keep_files)
			sink_discard(job->sinks[i]);
		sink_close(job->sinks[i]);
		job->sinks[i] = NULL;
	}
}

/* ---- one attempt ---- */

static void show_classify(void *priv, uint64_t done, uint64_t total)
{
	struct progress *p = priv;

	p->total = total;
	progress_at(p, done);
}

static int classify_pages(struct filter_job *job, int level, struct err *e)
{
	struct progress *progress = talk_progress(&job->talk);
	double start = progress_clock();
	int ret;

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
	pfnset_fill(&job->keep);
	progress_start(progress, "Excluding unnecessary pages", 0);
	ret = classify_run(&job->classify, e);
	job->classify_seconds = progress_clock() - start;
	if (!ret && job->classify.rules.scan) {
		progress_end(progress);
		filter_step(job, "Excluding unnecessary pages", job->classify_seconds);
	}
	return ret;
}

static void abandon(struct filter_job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++)
		if (job->parts[i].priv)
			job->pipeline.format->abandon(&job->parts[i]);
}

static int copy_pages(struct filter_job *job, struct err *e)
{
	const struct format *f = job->pipeline.format;
	struct progress *progress = talk_progress(&job->talk);
	unsigned int i;

	job->pipeline.progress = progress;
	job->pipeline.pages = job->pipeline.zero_pages = job->pipeline.unreadable_pages =
		job->pipeline.bytes = 0;
	progress_start(progress, "Copying data", pfnset_count(&job->keep, 0, UINT64_MAX));
	for (i = 0; i < job->nr_parts; i++)
		if (f->begin(&job->parts[i], e))
			return -1;
	if (pipeline_run(&job->pipeline, job->parts, job->nr_parts, e))
		return -1;
	progress_end(progress);
	for (i = 0; i < job->nr_parts; i++)
		if (f->commit(&job->parts[i], e))
			return -1;
	for (i = 0; i < job->nr_parts; i++)
		f->finish(&job->parts[i]);
	return 0;
}

static int try_level(struct filter_job *job, int level, struct err *e)
{
	double start;
	int ret;

	if (classify_pages(job, level, e) || filter_plan(job, e))
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
		filter_step(job, "Copying data", job->copy_seconds);
	return ret;
}

/* The next level of the list after a full disk. */
static int restart(struct filter_job *job, const struct err *why, int level, struct err *e)
{
	unsigned int i;

	talk_say(&job->talk, TALK_COMMON, "\n%s\nRetry to create a dumpfile by dump_level(%d).\n",
		 why->text, level);
	for (i = 0; i < job->nr_parts; i++)
		if (sink_restart(job->sinks[i], e))
			return -1;
	return 0;
}

static int try_levels(struct filter_job *job, struct err *e)
{
	unsigned int i;

	for (i = 0; i < job->opts.nr_levels; i++) {
		*e = (struct err)ERR_INIT;
		if (!try_level(job, job->opts.levels[i], e))
			return 0;
		if (e->code != ERR_NOSPACE || i + 1 == job->opts.nr_levels || job->opts.flat ||
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
static void choose_threads(struct filter_job *job)
{
	const struct filter_opts *o = &job->opts;
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
static void replace_codec(struct filter_job *job)
{
	struct filter_opts *o = &job->opts;

	if (!o->missing_codec)
		return;
	o->codec = codec_by_id(CODEC_LZO);
	o->codec_level = 0;
	log_warn(&job->talk.log, "%s is not supported by this program; writing lzo instead",
		 o->missing_codec);
}

static bool input_damaged(struct filter_job *job)
{
	const struct dump *d = job->session.dump;
	const struct pipeline *p = &job->pipeline;

	if (p->unreadable_pages)
		log_warn(&job->talk.log,
			 "%s: %" PRIu64 " pages could not be read, the first is 0x%" PRIx64
			 "; the dump says so in their places",
			 job->opts.input, p->unreadable_pages, p->first_unreadable);
	if (d->incomplete)
		log_warn(&job->talk.log, "%s: says itself that it is incomplete", job->opts.input);
	if (d->damage.unreadable_pages)
		log_warn(&job->talk.log, "%s: %" PRIu64 " pages were beyond its end",
			 job->opts.input, d->damage.unreadable_pages);
	return p->unreadable_pages || d->incomplete || d->damage.missing_bytes ||
	       d->damage.bad_structures;
}

static int dump_dmesg(struct filter_job *job, struct err *e)
{
	const struct filter_opts *o = &job->opts;
	struct printk_opts opts = { .since_clear = o->partial_dmesg };
	bool damaged;

	if (!o->flat && open_outputs(job, e))
		return STATUS_FAILED;
	if (dmesg_write(&job->session, &opts, job->sinks[0], &damaged, e)) {
		close_outputs(job, e->code == ERR_NOSPACE);
		return STATUS_FAILED;
	}
	return damaged ? STATUS_DAMAGED : STATUS_OK;
}

/* Is there an output that holds at least its header? Otherwise nothing is worth keeping. */
static bool anything_written(const struct filter_job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_parts; i++)
		if (job->sinks[i] && sink_end(job->sinks[i]))
			return true;
	return job->opts.flat && !job->opts.dry_run;
}

/* What memory there is: a step of its own to makedumpfile, of which scripts know the lines. */
static int find_memory(struct filter_job *job, struct err *e)
{
	struct progress *progress = job->talk.makedumpfile ? talk_progress(&job->talk) : NULL;
	double start = progress_clock();

	progress_start(progress, "Checking for memory holes", 0);
	if (pfnset_init(&job->keep, job->session.dump, e))
		return -1;
	progress_end(progress);
	filter_step(job, "Checking for memory holes", progress_clock() - start);
	return 0;
}

static int write_dump(struct filter_job *job, struct err *e)
{
	if (find_memory(job, e))
		return STATUS_FAILED;
	replace_codec(job);
	choose_threads(job);
	job->pipeline.format = &kdump_format;
	job->pipeline.codec = job->opts.codec;
	job->pipeline.codec_level = job->opts.codec_level;
	job->pipeline.interrupted = &interrupted;
	if (!job->opts.explain_set && open_outputs(job, e)) {
		close_outputs(job, false);
		return STATUS_FAILED;
	}
	if (try_levels(job, e)) {
		bool left = job->started && anything_written(job);

		if (!left)
			close_outputs(job, false);
		return left ? STATUS_INCOMPLETE : STATUS_FAILED;
	}
	return input_damaged(job) ? STATUS_DAMAGED : STATUS_OK;
}

/*
 * VMCOREINFO line by line: openSUSE's kdump looks for OSRELEASE and CRASHTIME in the debug
 * messages.
 */
static void show_vmcoreinfo(struct filter_job *job)
{
	const struct dump *d = job->session.dump;
	size_t pos = 0;

	while (d->vmcoreinfo && pos < d->vmcoreinfo_len) {
		size_t len = 0;

		while (pos + len < d->vmcoreinfo_len && d->vmcoreinfo[pos + len] >= ' ' &&
		       d->vmcoreinfo[pos + len] <= '~')
			len++;
		if (len)
			talk_say(&job->talk, TALK_DEBUG, "  %.*s\n", (int)MIN(len, (size_t)512),
				 d->vmcoreinfo + pos);
		pos += len + 1;
	}
}

static int run_job(struct filter_job *job, struct err *e)
{
	int status;

	if (session_open(&job->session, job->opts.input, job->opts.non_mmap ? SOURCE_NO_MMAP : 0,
			 &job->talk.log, e))
		return STATUS_FAILED;
	show_vmcoreinfo(job);
	if (!job->session.dump->vmcoreinfo && job->opts.levels[0] & ~LEVEL_ZERO)
		log_warn(&job->talk.log,
			 "%s: has no VMCOREINFO note: nothing is known about its kernel",
			 job->opts.input);
	status = job->opts.dump_dmesg ? dump_dmesg(job, e) : write_dump(job, e);
	if (status != STATUS_FAILED && !job->opts.dump_dmesg) {
		if (!job->opts.explain_set)
			filter_report(job);
		else if (!job->opts.json)
			filter_explain(job);
		if (job->opts.json)
			filter_report_json(job, status);
	}
	return status;
}

static void end_job(struct filter_job *job)
{
	close_outputs(job, true);
	filter_plan_fini(job);
	classify_fini(&job->classify);
	pfnset_fini(&job->keep);
	if (job->session.dump)
		session_close(&job->session);
}

static void init_talk(struct filter_job *job, bool makedumpfile)
{
	const struct filter_opts *o = &job->opts;

	talk_init(&job->talk, makedumpfile ? "makedumpfile" : "dumptool filter", makedumpfile);
	job->talk.level = o->quiet ? TALK_ERROR : o->message_level;
	job->talk.mode = o->progress;
	job->talk.data_on_stdout = o->flat;
}

/* ---- in our own manner ---- */

static int run_native(struct filter_job *job, int argc, char **argv, struct err *e)
{
	int status;

	if (filter_opts_parse(&job->opts, argc, argv, false, e)) {
		struct err what = *e;

		return usage_error(e, "filter", "%s", what.text);
	}
	if (job->opts.help)
		return filter_opts_help(stdout, false), STATUS_OK;
	if (job->opts.version)
		return print_version(), STATUS_OK;
	if (job->opts.check_params)
		return STATUS_OK;
	if (job->opts.flat && !job->opts.dump_dmesg && !job->opts.dry_run && isatty(STDOUT_FILENO))
		return usage_error(e, "filter", "-F writes a binary stream, not for a terminal");
	init_talk(job, false);
	status = run_job(job, e);
	if (status == STATUS_INCOMPLETE)
		err_add(e, "%s: the dump is incomplete, and %s",
			job->opts.nr_outputs ? job->opts.outputs[0] : "standard output",
			job->opts.flat ? "has no end" : "marked so");
	else if (status != STATUS_FAILED && !job->opts.explain_set && !job->opts.dump_dmesg)
		filter_summary(job);
	if (e->code == ERR_USAGE)
		return STATUS_USAGE;
	return status;
}

/* ---- as makedumpfile ---- */

static void say_saved(struct filter_job *job)
{
	const struct filter_opts *o = &job->opts;
	struct talk *t = &job->talk;
	unsigned int i;

	if (o->dump_dmesg && !o->flat) {
		talk_say(t, TALK_COMMON, "\nThe dmesg log is saved to %s.\n", o->outputs[0]);
	} else if (o->split) {
		talk_say(t, TALK_COMMON, "\nThe dumpfiles are saved to ");
		for (i = 0; i + 1 < o->nr_outputs; i++)
			talk_say(t, TALK_COMMON, "%s, ", o->outputs[i]);
		talk_say(t, TALK_COMMON, "and %s.\n", o->outputs[i]);
	} else {
		talk_say(t, TALK_COMMON, "\nThe %s is saved to %s.\n",
			 o->dump_dmesg ? "dmesg log" : "dumpfile",
			 o->flat ? "STDOUT" : o->outputs[0]);
	}
}

static int wrong_makedumpfile(struct filter_job *job, const struct err *why)
{
	struct talk *t = &job->talk;
	size_t len = strlen(why->text);

	/*
	 * A value out of range has a line of its own in makedumpfile; everything else the same two.
	 */
	if (len > 12 && !strcmp(why->text + len - 12, " is invalid.")) {
		talk_say(t, TALK_COMMON, "%s\n", why->text);
	} else {
		if (len)
			talk_say(t, TALK_ERROR, "makedumpfile: %s\n", why->text);
		talk_say(t, TALK_COMMON,
			 "Commandline parameter is invalid.\n"
			 "Try `makedumpfile --help' for more information.\n");
	}
	if (!job->opts.check_params)
		talk_say(t, TALK_COMMON, "\nmakedumpfile Failed.\n");
	return STATUS_FAILED;
}

static void version_makedumpfile(void)
{
	/* The version whose options and messages these are, and then ours. */
	printf("makedumpfile: version 1.7.8 (dumptool " PACKAGE_VERSION ")\n");
	printf("lzo\t%s\n", codec_by_id(CODEC_LZO) ? "enabled" : "disabled");
	printf("snappy\t%s\n", codec_by_id(CODEC_SNAPPY) ? "enabled" : "disabled");
	printf("zstd\t%s\n\n", codec_by_id(CODEC_ZSTD) ? "enabled" : "disabled");
}

static int run_makedumpfile(struct filter_job *job, int argc, char **argv, struct err *e)
{
	struct err why = ERR_INIT;
	int status;

	if (filter_opts_parse(&job->opts, argc, argv, true, &why)) {
		init_talk(job, true);
		return wrong_makedumpfile(job, &why);
	}
	if (job->opts.help)
		return filter_opts_help(stdout, true), STATUS_OK;
	if (job->opts.version)
		return version_makedumpfile(), STATUS_OK;
	if (job->opts.check_params)
		return STATUS_OK;
	init_talk(job, true);
	status = run_job(job, &why);
	if (why.code != ERR_NONE)
		talk_say(&job->talk, TALK_ERROR, "makedumpfile: %s\n", why.text);
	if (status == STATUS_INCOMPLETE)
		talk_say(&job->talk, TALK_COMMON,
			 "This is an incomplete dumpfile, but might analyzable.\n");
	if (status == STATUS_DAMAGED)
		status = STATUS_OK;
	if (status == STATUS_OK)
		say_saved(job);
	talk_say(&job->talk, TALK_COMMON, "\nmakedumpfile %s.\n",
		 status == STATUS_OK ? "Completed" : "Failed");
	(void)e; /* all has been said */
	return status == STATUS_MISMATCH ? STATUS_MISMATCH : status ? STATUS_FAILED : STATUS_OK;
}

static int filter_run(int argc, char **argv, struct err *e)
{
	static struct filter_job job; /* large, and there is only one */
	bool makedumpfile = !strcmp(argv[0], "makedumpfile");
	int status;

	job = (struct filter_job){ .nr_parts = 0 };
	status = makedumpfile ? run_makedumpfile(&job, argc, argv, e)
			      : run_native(&job, argc, argv, e);
	end_job(&job);
	return status;
}

const struct command filter_command = {
	.name = "filter",
	.alias = "makedumpfile",
	.summary = "write a dump without free, user, cache or zero pages",
	.run = filter_run,
};
