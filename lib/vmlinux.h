/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own ELF file, vmlinux with symbols and debugging information, as a provider of
 * facts. The back end needs elfutils: lib/ext/vmlinux.c, full link only.
 */
#ifndef VMLINUX_H
#define VMLINUX_H

#include <stdint.h>

#include "bytes.h"
#include "kernel.h"

/* What the file must be. */
struct vmlinux_want {
	uint16_t e_machine;
	enum byte_order order;
	uint8_t word;
	/* Facts of the dump: how far KASLR moved it. It outlives the provider. */
	const struct kernel *kernel;
};

/*
 * Open PATH. SYMBOL facts by its table of symbols, moved as the kernel was; the others by DWARF,
 * read when the first is asked for, also out of a separate debug file. Texts: BUILD-ID (absent
 * without one), OSRELEASE and BANNER (linux_banner, without its newline). ERR_IO; ERR_UNSUPPORTED:
 * it is no vmlinux; ERR_MISMATCH: of another architecture; ERR_NOMEM.
 */
typedef int (*vmlinux_open_fn)(const char *path, const struct vmlinux_want *want,
			       struct fact_provider **ret, struct err *e);

/* Of this link; NULL: it has none. */
extern const vmlinux_open_fn vmlinux_open;

int elfutils_vmlinux_open(const char *path, const struct vmlinux_want *want,
			  struct fact_provider **ret, struct err *e);

#endif
