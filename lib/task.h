/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tasks of the crashed kernel (include/linux/sched.h), by its facts. */
#ifndef TASK_H
#define TASK_H

#include "kmem.h"

#define TASK_NAME_MAX 16 /* TASK_COMM_LEN */

struct task {
	uint64_t addr; /* of its struct task_struct */
	int32_t pid, tgid;
	char name[TASK_NAME_MAX + 1]; /* as it lies there: who prints it escapes it */
	char state; /* 'R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I' as ps(1); '?' not known */
	uint64_t raw_state;
	int32_t cpu;	/* that it runs on, or ran on last; -1 not known */
	bool running;	/* it is what that CPU runs (rq->curr) */
	bool is_idle;	/* swapper/N */
	uint64_t stack; /* lowest address of its kernel stack; 0 not known */
	bool no_stack;	/* it died, and gave its stack back: what it saved there may be another's */
	uint64_t sp;	/* saved stack pointer of a task that sleeps; 0: running, or not known */
	uint64_t mm;	/* struct mm_struct of a process, 0 for a kernel thread */
	uint64_t pgd;	/* virtual address of its page table; 0 */
};

/* What went wrong on the way: the answer is partial. */
struct task_stats {
	uint64_t told;
	uint64_t broken; /* lists that lead nowhere or in circles, structures that cannot be read */
	struct err why;	 /* the first of them */
};

/* Anything but 0 ends the walk and is returned; then fill E. */
typedef int (*task_fn)(void *priv, const struct task *t, struct err *e);

/*
 * Tell every task: idle ones of each CPU first, then processes in the order of the kernel's list,
 * each followed by its threads. What is broken is left out, counted, and told once to the dump's
 * log; behind a broken link the order is the reverse (struct kmem_list), and what no list leads to
 * any more comes last, by its number in init_pid_ns. ERR_MISSING names a fact that is not known.
 */
int task_each(const struct kmem *m, task_fn fn, void *priv, struct task_stats *stats,
	      struct err *e);

#endif
