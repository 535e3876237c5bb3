/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "thread.h"

#include <signal.h>

#define STACK_SIZE ((size_t)256 << 10)

bool thread_start(pthread_t *ret, void *(*fn)(void *), void *arg)
{
	sigset_t block, old;
	pthread_attr_t attr;
	bool started;

	if (pthread_attr_init(&attr))
		return false;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&block);
	sigdelset(&block, SIGBUS); /* a page of the input that is gone: lib/source.c */
	pthread_sigmask(SIG_BLOCK, &block, &old);
	started = !pthread_create(ret, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return started;
}
