/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for a debugger that knows nothing of kernels: an NT_PRSTATUS note for each, with an id that
 * no other has, and a list of what they are.
 *
 * The notes of the dump's CPUs are taken over byte for byte, but for the id; what follows one (floating
 * point and vector registers) stays behind it, for debuggers go by the order.
 */
#ifndef THREADS_H
#define THREADS_H

#include "format.h"
#include "note.h"

/*
 * Tasks whose pid no debugger takes, the idle ones (0), and CPUs of which no task is known, get these
 * and the number of the CPU on top: above every pid (PID_MAX_LIMIT, include/linux/threads.h).
 */
#define THREAD_ID_CPU 0x400000

struct thread {
	int32_t id, pid, tgid, cpu; /* cpu: -1 not known */
	char state;		    /* as in task.h; '?' */
	bool running;
	uint64_t task;		    /* struct task_struct; 0 not known */
	uint64_t sp;		    /* saved stack pointer of one that sleeps */
	size_t note_off, note_len;  /* its notes in the dump; or note_len 0 */
	int reg_cpu;		    /* registers are those of d->cpus[]; -1: none */
	char name[17];		    /* without what a terminal would take amiss */
};

struct threads {
	struct dump *dump;
	struct thread *list;
	size_t nr, room;
	char *names; /* the list as a note's text, in the form that toolnote.h tells */
	size_t names_len;
	struct note_stream stream; /* for a plan */
};

/* Is N one of those that threads_init() takes over? */
bool threads_note_is(const struct note *n);

/* The CPUs of D. ERR_NOMEM. Undo with threads_fini(), after a failure too. */
int threads_init(struct threads *t, struct dump *d, struct err *e);
void threads_fini(struct threads *t);

/* All threads are there: make ids unique, and t->stream. ERR_NOMEM. */
int threads_finish(struct threads *t, struct err *e);

#endif
