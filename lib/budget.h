/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory there is to use, and how many threads fit into it. The promise: 8 MiB
 * + 1 MiB for each thread + 1 bit for each page of memory, mapped input not counted. Before threads
 * begin, facts that VMCOREINFO lacks take 4 MiB + 32 bytes for each symbol of the kernel, and after
 * that 4 MiB + one and a half times its BTF, where that is more; they are left out when it is not
 * there.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that may still be taken without harm: half of the least of MemAvailable, the memory left in
 * our cgroup, and RLIMIT_DATA. UINT64_MAX when nothing is known.
 */
uint64_t budget_available(void);

/* CPUs that this process may run on, at least 1. */
unsigned int budget_cpus(void);

/*
 * Threads to use: WANTED (0: one for each CPU), but no more than fit, with PER_THREAD bytes each,
 * into AVAILABLE bytes after FIXED bytes were taken; at least 1.
 */
unsigned int budget_threads(unsigned int wanted, uint64_t available, uint64_t fixed,
			    uint64_t per_thread);

#endif
