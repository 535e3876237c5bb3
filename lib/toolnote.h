/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own note: what a dump would otherwise lose on its way through another format. Lines KEY=VALUE,
 * as in VMCOREINFO:
 *
 *   VERSION COMMAND SOURCE LEVEL CODEC   how the file was made
 *   BEFORE=COMMAND,SOURCE,LEVEL          the same of the files before it, oldest first
 *   MISSING_BYTES=N                      that the input lacked
 *   CLASS=32|64                          of the ELF file that it once was
 *   PT_LOAD=VADDR PADDR FILESZ MEMSZ FLAGS   a program header of it, hexadecimal
 *   RAM=ADDR SIZE                        memory that exists, where there was no ELF file; hexadecimal
 *
 * A note of its own (TOOL_NOTE_TASKS), in what tovelf writes:
 *
 *   TASK=ID PID TGID CPU STATE TASK_STRUCT NAME
 *       a thread: pr_pid of its NT_PRSTATUS; as the kernel has it; the CPU, or -1; the letter of ps(1)
 *       and + where it runs; the address of its task_struct in hexadecimal, 0 when not known; the rest
 *       of the line
 *
 * Another one (TOOL_NOTE_MODULES) there:
 *
 *   MODULE=STRUCT_MODULE TEXT SIZE BUILD_ID NAME
 *       a loaded module: the address of its struct module, of its text, bytes of all its memory, all
 *       hexadecimal; its build-id, or -
 */
#ifndef TOOLNOTE_H
#define TOOLNOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "note.h"

bool toolnote_is(const struct note *n);

/*
 * Take from the LEN bytes at TEXT what D does not know by itself: the segments and the class of the
 * ELF file it once was, how it was made. What makes no sense is left out.
 */
void toolnote_read(struct dump *d, const char *text, size_t len);

/* How this file is made, for toolnote_text(). */
struct toolnote {
	const char *version, *command, *codec;
	int level;
};

/*
 * The text for a file that is made of D; *len is its length. Freed with free(); NULL when out of
 * memory. The same for the same input on any host.
 */
char *toolnote_text(const struct dump *d, const struct toolnote *how, size_t *len);

#endif
