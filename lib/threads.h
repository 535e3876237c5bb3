/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for a debugger that knows nothing of kernels: an NT_PRSTATUS note for each, with an id
 * that no other has, and a list of what they are.
 *
 * The notes of the dump's CPUs are taken over byte for byte, but for the id; what follows one
 * (floating point and vector registers) stays behind it, for debuggers go by the order.
 */
#ifndef THREADS_H
#define THREADS_H

#include "arch.h"
#include "format.h"
#include "kmem.h"
#include "note.h"
#include "task.h"

/*
 * Tasks whose pid no debugger takes, the idle ones (0), and CPUs of which no task is known, get
 * these and the number of the CPU on top: above every pid (PID_MAX_LIMIT, include/linux/threads.h).
 */
#define THREAD_ID_CPU 0x400000

struct thread {
	int32_t id, pid, tgid, cpu; /* cpu: -1 not known */
	char state;		    /* as in task.h; '?' */
	bool running, no_stack; /* as in task.h */
	uint64_t task;		      /* struct task_struct; 0 not known */
	uint64_t stack;		      /* its kernel stack, lowest address; 0 not known */
	uint64_t sp;		      /* saved stack pointer of one that sleeps */
	uint64_t mm, pgd;	      /* as in task.h */
	size_t note_off, note_len;    /* its notes in the dump; or note_len 0 */
	int reg_cpu;		      /* registers are those of d->cpus[]; -1: none */
	char name[TASK_NAME_MAX + 1]; /* without what a terminal would take amiss */
	/* private */
	bool matched;
	uint32_t order;
	int64_t rank;
};

#define TASK_MAX_REGS 40

/* A layout of the architecture, with what its names stand for in this kernel. */
struct task_places {
	const struct task_layout *layout; /* NULL: none that is known */
	struct member members[TASK_MAX_REGS], pointer, sign;
	uint64_t frame_size, stack_size;
};

struct threads {
	struct dump *dump;
	struct kmem mem; /* of threads_add_tasks(): reads registers when notes are written */
	struct task_places places;
	uint64_t kernel_start; /* addresses below are those of processes */
	bool user;	       /* registers are those of user mode */
	struct thread *list;
	size_t nr, room;
	uint8_t *mask; /* the architecture's mask_note, behind the notes of each thread */
	size_t mask_len;
	char *names; /* further notes: the list as text, in the form that toolnote.h tells; modules */
	size_t names_len;
	struct note_stream stream; /* for a plan */
};

/* Is N one of those that threads_init() takes over? */
bool threads_note_is(const struct note *n);

/* The CPUs of D. ERR_NOMEM. Undo with threads_fini(), after a failure too. */
int threads_init(struct threads *t, struct dump *d, struct err *e);

/* What debuggers have to know of all threads, by facts of K. ERR_NOMEM. */
int threads_add_mask(struct threads *t, const struct kernel *k, struct err *e);
void threads_fini(struct threads *t);

/*
 * The tasks of the kernel that M reads by, which has to last as long as T. Those that run take the
 * place of their CPUs, and come first, before all the one that the kernel died in. ERR_MISSING
 * names what is not known, and the CPUs are left. Damage is in STATS.
 */
int threads_add_tasks(struct threads *t, const struct kmem *m, struct task_stats *stats,
		      struct err *e);

/*
 * Only those of process TGID stay, in user mode: with the registers that they entered the kernel
 * with. ERR_MISSING where there is none.
 */
int threads_take_process(struct threads *t, int32_t tgid, struct err *e);

/* threads_module.c: the loaded modules, as a note behind the threads. As threads_add_tasks(). */
int threads_add_modules(struct threads *t, const struct kmem *m, uint64_t *broken, struct err *e);

/* threads_task.c: registers of TH, which does not run, into the note of layout L at BUF. */
void threads_fill(const struct threads *t, const struct thread *th, const struct note_layout *l,
		  uint8_t *buf);
/* threads.c: one more. ERR_NOMEM. */
int threads_add(struct threads *t, const struct thread *new, struct err *e);

/* All threads are there, or else one without registers: make ids unique, and t->stream. ERR_NOMEM.
 */
int threads_finish(struct threads *t, struct err *e);

#endif
