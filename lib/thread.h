/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helper threads: with a small stack, because the default of 8 MiB counts against limits in a
 * capture kernel, and without signals, which are the main thread's.
 */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Start FN(ARG). False when the system has no room for another thread: go on with fewer. */
bool thread_start(pthread_t *ret, void *(*fn)(void *), void *arg);

#endif
