/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of CPU families. */
#include "archs.h"

/*
 * Recognised only: name, word and byte order are known, so that inspect can say what a dump is of
 * and its registers' owner; nothing is translated. ELF machine numbers: gabi.
 */
#define RECOGNISED(id, name_, title_, machine, order_, word_, shift, ...) \
	static const struct arch id = { .name = name_,                    \
					.title = title_,                  \
					.e_machine = machine,             \
					.order = order_,                  \
					.word = word_,                    \
					.page_shift = shift,              \
					__VA_ARGS__ }

RECOGNISED(ppc, "ppc", "PowerPC (32 bit)", 20, ORDER_BE, 4, 12, .align64 = 8);
RECOGNISED(ppc64, "ppc64", "PowerPC (64 bit)", 21, ORDER_BE, 8, 16, .align64 = 8);
RECOGNISED(ppc64le, "ppc64le", "PowerPC (64 bit, little-endian)", 21, ORDER_LE, 8, 16, .align64 = 8);
RECOGNISED(arm64, "aarch64", "Arm (64 bit)", 183, ORDER_LE, 8, 12, .align64 = 8);
RECOGNISED(riscv64, "riscv64", "RISC-V (64 bit)", 243, ORDER_LE, 8, 12, .align64 = 8);
/* The kernel's names of these say nothing of the byte order; those that GNU gives do. */
RECOGNISED(mipsel, "mips", "MIPS (32 bit)", 8, ORDER_LE, 4, 12, .uname_pattern = "mipsel");
RECOGNISED(mipseb, "mips", "MIPS (32 bit)", 8, ORDER_BE, 4, 12, .uname_pattern = "mipseb");
RECOGNISED(mips64el, "mips64", "MIPS (64 bit)", 8, ORDER_LE, 8, 12, .uname_pattern = "mips64el");
RECOGNISED(mips64eb, "mips64", "MIPS (64 bit)", 8, ORDER_BE, 8, 12, .uname_pattern = "mips64eb");
RECOGNISED(sparc64, "sparc64", "SPARC (64 bit)", 43, ORDER_BE, 8, 13);
RECOGNISED(ia64, "ia64", "Itanium", 50, ORDER_LE, 8, 14);
RECOGNISED(alpha, "alpha", "Alpha", 0x9026, ORDER_LE, 8, 13);

const struct arch *const archs[] = {
	&x86_64_arch, &i386_arch, &ppc,	  &ppc64,  &ppc64le,	 &s390x_arch,
	&armeb_arch, &arm_arch, &arm64,	&riscv64, &mipsel, &mipseb,	 &mips64el,
	&mips64eb,    &sparc64, &ia64,	  &alpha,  &loongarch64_arch, NULL,
};
