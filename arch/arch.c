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

RECOGNISED(ppc, "ppc", "PowerPC (32 bit)", 20, ORDER_BE, 4, 12, .align64 = 8, .also = "powerpc");
RECOGNISED(sparc64, "sparc64", "SPARC (64 bit)", 43, ORDER_BE, 8, 13);
RECOGNISED(ia64, "ia64", "Itanium", 50, ORDER_LE, 8, 14);
RECOGNISED(alpha, "alpha", "Alpha", 0x9026, ORDER_LE, 8, 13);

const struct arch *const archs[] = {
	&x86_64_arch,
	&i386_arch,
	&arm_arch,
	&armeb_arch,
	&arm64_arch,
	&arm64be_arch,
	&riscv64_arch,
	&s390x_arch,
	&ppc64_arch,
	&ppc64le_arch,
	&loongarch64_arch,
	&mipsel_arch,
	&mipseb_arch,
	&mips64el_arch,
	&mips64eb_arch,
	&openrisc_arch,
	&ppc,
	&sparc64,
	&ia64,
	&alpha,
	NULL,
};
