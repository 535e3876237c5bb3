/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Can a page of a mapping that is lost be replaced from a SIGBUS handler, as lib/source.c does?
 * Emulators of user programs deliver a wrong address, or go on with the page that is gone.
 */
#ifndef SIGBUS_H
#define SIGBUS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void sigbus_replace(int sig, siginfo_t *info, void *context)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)info->si_addr & ~(size - 1));

	(void)sig;
	(void)context;
	if (mmap(page, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
		_exit(1);
}

static int sigbus_try(void)
{
	struct sigaction sa = { .sa_sigaction = sigbus_replace, .sa_flags = SA_SIGINFO };
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	FILE *f = tmpfile();
	volatile uint8_t *p;

	alarm(2); /* where the fault comes back for ever */
	if (!f || ftruncate(fileno(f), (off_t)(4 * size)) || sigaction(SIGBUS, &sa, NULL))
		return 1;
	p = mmap(NULL, 4 * size, PROT_READ, MAP_PRIVATE, fileno(f), 0);
	return p == MAP_FAILED || ftruncate(fileno(f), (off_t)size) || p[2 * size + 16] != 0;
}

/* Tried in a child, which may well not survive it. */
static bool sigbus_works(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(sigbus_try());
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

#endif
