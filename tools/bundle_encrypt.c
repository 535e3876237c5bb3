/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one program that bundle starts, when it is told to: age or gpg, at the end of a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle_cmd.h"

bool encrypts_with_age(const char *whom)
{
	return !strncmp(whom, "age1", 4) || !strncmp(whom, "ssh-", 4);
}

static void run_program(const struct encryption *c, const char *whom, int in, int out)
{
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	if (encrypts_with_age(whom))
		execlp(c->program, c->program, "-r", whom, (char *)NULL);
	else
		execlp(c->program, c->program, "--batch", "--compress-algo", "none", "-e", "-r",
		       whom, (char *)NULL);
	_exit(127);
}

int encryption_begin(const char *whom, int out, struct encryption *ret, struct err *e)
{
	int ends[2];

	if (whom[0] == '-')
		return err_set(e, ERR_USAGE, "--encrypt-to '%s': is nobody's name", whom);
	*ret = (struct encryption){ .fd = -1, .program = encrypts_with_age(whom) ? "age" : "gpg" };
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, errno, "pipe");
	ret->pid = fork();
	if (ret->pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return err_sys(e, errno, "%s", ret->program);
	}
	if (!ret->pid)
		run_program(ret, whom, ends[0], out);
	close(ends[0]);
	ret->fd = ends[1];
	return 0;
}

int encryption_end(struct encryption *c, struct err *e)
{
	int status = 0;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "%s", c->program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_IO, "%s cannot be started: is it installed?", c->program);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_IO, "%s failed: the archive is not complete", c->program);
	return 0;
}
