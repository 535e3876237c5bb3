/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool convert: any format that is read to any that is written, nothing lost, nothing invented. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "main.h"

static int convert_run(int argc, char **argv, struct err *e)
{
	static struct job job; /* large, and there is only one */
	int status;

	job = (struct job){ .command = "convert" };
	if (job_opts_parse(&job.opts, argc, argv, MANNER_CONVERT, e)) {
		struct err what = *e;

		return usage_error(e, "convert", "%s", what.text);
	}
	if (job.opts.help)
		return job_opts_help(stdout, MANNER_CONVERT), STATUS_OK;
	if (job.opts.flat && !job.opts.nr_outputs && !job.opts.dry_run && isatty(STDOUT_FILENO))
		return usage_error(e, "convert", "a flattened stream is not for a terminal");
	status = job_run(&job, "dumptool convert", e);
	job_fini(&job);
	return status;
}

const struct command convert_command = {
	.name = "convert",
	.summary = "write a dump in another format, with all that it holds",
	.run = convert_run,
};
