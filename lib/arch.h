/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of a CPU family; arch/README says how to add one. Data first: a hook exists only
 * where data cannot say it.
 */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"
#include "kernel.h"
#include "xlat.h"

/* A register inside a note. */
struct reg_place {
	const char *name; /* as gdb calls it */
	uint16_t off;	  /* in the note's description */
	uint8_t width;	  /* bytes */
};

/* A kind of note that holds registers of one CPU; the n-th such note belongs to the n-th CPU. */
struct note_layout {
	const char *owner; /* "CORE" */
	uint32_t type;
	uint16_t min_size; /* shorter notes are not of this layout; all of it, where made */
	int16_t pid_off;   /* of a 4-byte pid, or -1 */
	const struct reg_place *regs;
	unsigned int nr_regs;
	uint8_t flags; /* NOTE_ */
};

/* Made by lib/cpunotes.h, for a dump that has these registers in no note. */
#define NOTE_MADE 1u
/* Floating point, vectors: told to who asks for all registers. */
#define NOTE_EXTRA 2u

/* For rows: a table and how long it is. */
#define REGS_OF(table) table, ARRAY_SIZE(table)

#define SAVE_MAX_SIZE 1024u

/*
 * Registers that a CPU stored in memory, where the format tells its address (struct dump.saved):
 * SIZE bytes at START behind that address, or behind another one that stands at POINTER_OFF there
 * (8 bytes, 0: nothing was stored).
 */
struct save_layout {
	const struct reg_place *regs; /* offsets from START; NULL ends an array */
	unsigned int nr_regs;
	uint16_t start, size; /* at most SAVE_MAX_SIZE */
	uint16_t pointer_off; /* 0: no pointer */
	uint64_t pointer_mask;
	bool extra;
};

/* What others call a register; -1: they have no number for it. */
struct reg_number {
	const char *name; /* as in reg_place */
	int16_t gdb;	  /* place in gdb's target description of Linux: "Rmt Nr", order of 'g' */
	int16_t dwarf;	  /* by the psABI of the architecture: .debug_frame, .eh_frame */
};

/*
 * How VMCOREINFO calls what the user may know better. KEY is that of tools/assume.c, "phys-base"; LINE
 * the fact, NUMBER(x), or a key whose value is hexadecimal. Values are multiples of ALIGN in [MIN, MAX].
 */
struct arch_fact {
	const char *key, *line;
	uint64_t align, min, max;
};

/* Where a register of a task that does not run was saved. */
struct task_reg {
	const char *reg;    /* as in the note */
	const char *member; /* "task_struct.thread.ksp", or of the layout's frame: "pt_regs.nip" */
	uint8_t index;	    /* in an array, whose elements are as wide as the register */
};

/* What a frame on its stack has to do with the saved stack pointer (struct task, sp). */
enum task_frame {
	FRAME_NONE,
	FRAME_AT_SP,	 /* it begins there; the stack pointer is that still */
	FRAME_POPPED,	 /* it begins there; the stack pointer is where it ends */
	FRAME_BACK_CHAIN, /* the word there is the caller's stack pointer, and where it ends */
	FRAME_AT_STACK,	 /* where the stack begins */
	FRAME_STACK_TOP, /* it ends where the stack does, or `gap` bytes before: what user mode had */
	FRAME_AT_POINTER, /* where the task's member `pointer` says */
};

/* What is so in every frame of user mode: bits of a member, and of the register that it saves. */
struct task_sign {
	const char *member, *reg; /* member NULL: nothing is known */
	uint8_t index;
	uint64_t mask, value;
};

/*
 * A way in which switching to another task leaves registers behind; no numbers, but names of members
 * (arch/ARCH/kernel/process*.c, entry*.S: __switch_to and the like).
 */
struct task_layout {
	enum task_frame place;
	const char *frame; /* its structure; NULL where there is none */
	const struct task_reg *regs;
	unsigned int nr_regs;
	uint16_t gap;
	const char *pointer;
	struct task_sign sign; /* of `user` */
};

/*
 * A note that debuggers look for with each thread, made of words that are all one NUMBER of VMCOREINFO's,
 * where that is not 0; and the bit of AT_HWCAP (NT_AUXV) without which they do not look.
 */
struct mask_note {
	const char *owner;
	uint32_t type;
	const char *number;
	unsigned int words;
	uint64_t hwcap;
};

struct arch {
	const char *name;  /* as in utsname.machine: what kdump headers carry */
	const char *title; /* "x86-64" */
	uint16_t e_machine;
	enum byte_order order;
	uint8_t word;	    /* bytes in a long */
	uint8_t page_shift; /* where VMCOREINFO does not say */
	uint8_t align64;    /* alignment of 64-bit members in C structures; 0: 8 */
	bool pfn_from_phys_base; /* kdump files count pages from the first one of memory */
	/*
	 * What else it is called, by utsname.machine, GNU's triples, ARCH= of the kernel, Debian:
	 * fnmatch() patterns with a blank between two, "i?86 x86"; NULL: just `name`. A name
	 * may fit rows that word or byte order tell apart: where nothing does, the first counts.
	 */
	const char *also;

	/*
	 * Page tables: NULL-terminated; setup() chooses. NULL: recognised only, nothing can be
	 * translated.
	 */
	const struct paging *const *paging;
	/*
	 * What setup() takes from the user, NULL key last: VMCOREINFO of that kernel need not have it,
	 * setup() asks for it as for any fact. NULL: nothing.
	 */
	const struct arch_fact *facts;
	/* Notes with registers, NULL owner last. NULL: not known. */
	const struct note_layout *notes;
	/* What CPUs store in memory. NULL: nothing, or not known. */
	const struct save_layout *saved;
	/* gdb's and DWARF's numbers of registers, in any order: see arch_reg_by_name(). */
	const struct reg_number *numbers;
	unsigned int nr_numbers;
	/* Name of the stack pointer and of the instruction pointer in those notes. */
	const char *sp, *pc;
	/*
	 * Where there are machines of either byte order and a format may take a little-endian one for
	 * the other: a register and its bit that is set while a CPU runs little-endian, and whether
	 * memory says so (a CPU may be in firmware). NULL: none.
	 */
	const char *le_reg;
	uint64_t le_bit;
	bool (*is_little)(const struct dump *d, const struct kernel *k);

	/*
	 * Registers of tasks that do not run: the first layout all of whose members are known; the last
	 * one has no registers. NULL: not known.
	 */
	const struct task_layout *tasks;
	/*
	 * The same of what a process had in user mode: struct pt_regs at the end of its stack. The first
	 * whose sign is there counts.
	 */
	const struct task_layout *user;
	/* How the table of a process at ROOT is to be read, NULL not known. No function: as the kernel's. */
	const struct paging *(*user_paging)(const struct dump *d, uint64_t root);
	const struct mask_note *mask_note; /* NULL: none */
	/* Bytes of NT_PRSTATUS that gdb takes, where these are not all of it; 0: all. */
	uint16_t gdb_prstatus;

	/* Sparse memory model, where VMCOREINFO does not export the numbers. */
	uint8_t section_size_bits, max_physmem_bits;
	/* log2 of the size of a task's kernel stack. */
	uint8_t stack_shift;

	/*
	 * Prepare translation of kernel virtual addresses: choose paging, find phys_base and the
	 * root table (from facts, PT_LOADs), fill x. Look at arch/ARCH/include/asm/pgtable*.h and
	 * the head of arch_crash_save_vmcoreinfo() in the kernel. ERR_MISSING names the fact that
	 * is not known; the caller goes on with the windows that x has then, if any.
	 */
	int (*setup)(const struct dump *d, const struct kernel *k, struct xlat *x, struct err *e);
	/*
	 * Where the kernel image is mapped: reserved pages there are never dropped, so that too long
	 * does no harm. It begins at the multiple of image_align before SYMBOL(_stext), and is
	 * shorter than image_max; or image_range() says, [*start, *end), false when not known. All 0
	 * and NULL: not known.
	 */
	uint64_t image_align, image_max;
	bool (*image_range)(const struct xlat *x, const struct kernel *k, uint64_t *start,
			    uint64_t *end);
};

/* Numbers of a register by its name, or NULL; of the register with that DWARF number, or NULL. */
const struct reg_number *arch_reg_by_name(const struct arch *a, const char *name);
const struct reg_number *arch_reg_by_dwarf(const struct arch *a, unsigned int dwarf);

#endif
