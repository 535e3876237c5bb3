/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool filter, and makedumpfile: a kdump-compressed dump without the pages nobody needs. */
#include "job.h"

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

static int dump_dmesg(struct job *job, struct err *e)
{
	const struct job_opts *o = &job->opts;
	struct printk_opts opts = { .since_clear = o->partial_dmesg };
	bool damaged;

	if (!o->flat && job_open_outputs(job, e))
		return STATUS_FAILED;
	if (dmesg_write(&job->session, &opts, job->sinks[0], &damaged, e)) {
		job_close_outputs(job, e->code == ERR_NOSPACE);
		return STATUS_FAILED;
	}
	return damaged ? STATUS_DAMAGED : STATUS_OK;
}

/*
 * VMCOREINFO line by line: openSUSE's kdump looks for OSRELEASE and CRASHTIME in the debug
 * messages.
 */
static void show_vmcoreinfo(struct job *job)
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

static int run_job(struct job *job, struct err *e)
{
	int status;

	if (job->opts.unflatten)
		return job_unflatten(job, e);
	job->opts.in.progress = talk_progress(&job->talk);
	if (session_open(&job->session, job->opts.inputs, job->opts.nr_inputs, &job->opts.in,
			 &job->talk.log, e))
		return STATUS_FAILED;
	show_vmcoreinfo(job);
	if (!job->session.dump->vmcoreinfo && session_knows_arch(&job->session) &&
	    job_leaves_kinds(job))
		log_warn(&job->talk.log, "%s: %s: nothing is known about its kernel",
			 job->opts.inputs[0],
			 job->session.no_xlat.code == ERR_UNSUPPORTED
				 ? job->session.no_xlat.text
				 : "has no VMCOREINFO (--vmcoreinfo FILE gives one)");
	status = job->opts.dump_dmesg ? dump_dmesg(job, e) : job_write(job, e);
	if (status != STATUS_FAILED && !job->opts.dump_dmesg) {
		if (!job->opts.explain_set)
			filter_report(job);
		else if (!job->opts.json)
			filter_explain(job);
		if (job->opts.json)
			job_report_json(job, status);
	}
	return status;
}

static void init_talk(struct job *job, bool makedumpfile)
{
	const struct job_opts *o = &job->opts;

	talk_init(&job->talk, makedumpfile ? "makedumpfile" : "dumptool filter", makedumpfile);
	job->talk.level = o->quiet ? TALK_ERROR : o->message_level;
	job->talk.mode = o->progress;
	job->talk.data_on_stdout = o->flat && !o->nr_outputs;
}

/* ---- in our own manner ---- */

static int run_native(struct job *job, int argc, char **argv, struct err *e)
{
	int status;

	if (job_opts_parse(&job->opts, argc, argv, MANNER_FILTER, e)) {
		struct err what = *e;

		return usage_error(e, "filter", "%s", what.text);
	}
	if (job->opts.help)
		return job_opts_help(stdout, MANNER_FILTER), STATUS_OK;
	if (job->opts.version)
		return print_version(), STATUS_OK;
	if (job->opts.check_params)
		return STATUS_OK;
	if (job->opts.flat && !job->opts.nr_outputs && !job->opts.dump_dmesg &&
	    !job->opts.dry_run && isatty(STDOUT_FILENO))
		return usage_error(e, "filter", "-F writes a binary stream, not for a terminal");
	init_talk(job, false);
	status = run_job(job, e);
	if (status == STATUS_INCOMPLETE)
		job_add_incomplete(job, e);
	else if (status != STATUS_FAILED && !job->opts.explain_set && !job->opts.dump_dmesg &&
		 !job->opts.unflatten)
		job_summary(job);
	return status;
}

/* ---- as makedumpfile ---- */

static void say_saved(struct job *job)
{
	const struct job_opts *o = &job->opts;
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

static int wrong_makedumpfile(struct job *job, const struct err *why)
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

static int run_makedumpfile(struct job *job, int argc, char **argv, struct err *e)
{
	struct err why = ERR_INIT;
	int status;

	if (job_opts_parse(&job->opts, argc, argv, MANNER_MAKEDUMPFILE, &why)) {
		init_talk(job, true);
		return wrong_makedumpfile(job, &why);
	}
	if (job->opts.help)
		return job_opts_help(stdout, MANNER_MAKEDUMPFILE), STATUS_OK;
	if (job->opts.version)
		return version_makedumpfile(), STATUS_OK;
	if (job->opts.check_params)
		return STATUS_OK;
	init_talk(job, true);
	status = run_job(job, &why);
	if (why.code != ERR_NONE)
		talk_say(&job->talk, TALK_ERROR, "makedumpfile: %s\n", why.text);
	if (status == STATUS_FAILED && why.code == ERR_MISMATCH)
		status = STATUS_MISMATCH;
	if (status == STATUS_INCOMPLETE)
		talk_say(&job->talk, TALK_COMMON,
			 "This is an incomplete dumpfile, but might analyzable.\n");
	/* Pieces of a split set that are missing are no matter of a page or two. */
	if (status == STATUS_DAMAGED && !job->opts.reassemble)
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
	static struct job job; /* large, and there is only one */
	bool makedumpfile = !strcmp(argv[0], "makedumpfile");
	int status;

	job = (struct job){ .command = "filter" };
	status = makedumpfile ? run_makedumpfile(&job, argc, argv, e)
			      : run_native(&job, argc, argv, e);
	job_fini(&job);
	return status;
}

const struct command filter_command = {
	.name = "filter",
	.aliases = { "makedumpfile" },
	.summary = "write a dump without free, user, cache or zero pages",
	.run = filter_run,
};
