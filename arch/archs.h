/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARCHS_H
#define ARCHS_H

#include "arch.h"

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

#endif
