/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARCHS_H
#define ARCHS_H

#include "arch.h"

/* Rows R(0) to R(N - 1) of a table. */
#define ROWS_8(R) R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7)
#define ROWS_16(R) ROWS_8(R), R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15)
#define ROWS_32(R)                                                                               \
	ROWS_16(R), R(16), R(17), R(18), R(19), R(20), R(21), R(22), R(23), R(24), R(25), R(26), \
		R(27), R(28), R(29), R(30), R(31)

/* Every CPU family, NULL terminated. */
extern const struct arch *const archs[];

extern const struct arch loongarch64_arch;
extern const struct arch s390x_arch;
extern const struct arch x86_64_arch;
extern const struct arch mipsel_arch, mipseb_arch, mips64el_arch, mips64eb_arch;
extern const struct arch ppc64_arch, ppc64le_arch;
extern const struct arch i386_arch;
extern const struct arch arm_arch, armeb_arch;
extern const struct arch arm64_arch, arm64be_arch;
extern const struct arch riscv64_arch;
extern const struct arch openrisc_arch;

#endif
