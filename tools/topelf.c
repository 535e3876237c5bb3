/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool topelf: an ELF core with physical addresses, into a file or a pipe. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "elftool.h"
#include "job.h"
#include "main.h"

static int topelf_run(int argc, char **argv, struct err *e)
{
	static struct job job; /* large, and there is only one */
	enum manner manner = elftool_manner(argv[0]) ? MANNER_ELFTOOL : MANNER_TOPELF;
	int status;

	job = (struct job){ .command = "topelf" };
	if (job_opts_parse(&job.opts, argc, argv, manner, e)) {
		struct err what = *e;

		return usage_error(e, "topelf", "%s", what.text);
	}
	if (job.opts.help)
		return job_opts_help(stdout, manner), STATUS_OK;
	if (job.opts.plain && !job.opts.dry_run && isatty(STDOUT_FILENO))
		return usage_error(e, "topelf",
				   "an ELF core is not for a terminal: -o FILE, or a pipe");
	status = job_run(&job, argv[0], e);
	job_fini(&job);
	return status;
}

const struct command topelf_command = {
	.name = "topelf",
	.summary = "write an ELF core, without what a level leaves out; to a pipe too",
	.elftool = true,
	.run = topelf_run,
};
