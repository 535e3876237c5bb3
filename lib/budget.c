/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "budget.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cleanup.h"

#define MAX_THREADS 256u

/*
 * A number after KEY in a small text file, in units of UNIT bytes; UINT64_MAX when there is none.
 */
static uint64_t number_in(const char *path, const char *key, uint64_t unit)
{
	char text[4096];
	unsigned long long v;
	size_t n;
	char *at;
	FILE *f = fopen(path, "re");

	if (!f)
		return UINT64_MAX;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strstr(text, key);
	if (!at || sscanf(at + strlen(key), "%llu", &v) != 1)
		return UINT64_MAX;
	return v > UINT64_MAX / unit ? UINT64_MAX : v * unit;
}

/* What is left in our cgroup (version 2), if it has a limit. */
static uint64_t cgroup_available(void)
{
	char line[512], path[1024];
	uint64_t max, used;
	FILE *f = fopen("/proc/self/cgroup", "re");
	char *dir = NULL;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::", 3)) {
			line[strcspn(line, "\n")] = '\0';
			dir = line + 3;
			break;
		}
	if (f)
		fclose(f);
	if (!dir)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", dir);
	max = number_in(path, "", 1);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", dir);
	used = number_in(path, "", 1);
	return max == UINT64_MAX || used == UINT64_MAX ? UINT64_MAX : max > used ? max - used : 0;
}

uint64_t budget_available(void)
{
	uint64_t least = number_in("/proc/meminfo", "MemAvailable:", 1024);
	struct rlimit limit;

	least = MIN(least, cgroup_available());
	if (!getrlimit(RLIMIT_DATA, &limit) && limit.rlim_cur != RLIM_INFINITY)
		least = MIN(least, (uint64_t)limit.rlim_cur);
	return least == UINT64_MAX ? least : least / 2;
}

unsigned int budget_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n < 1 ? 1 : (unsigned int)n;
}

unsigned int budget_threads(unsigned int wanted, uint64_t available, uint64_t fixed,
			    uint64_t per_thread)
{
	uint64_t fit = available > fixed ? (available - fixed) / per_thread : 0;

	if (!wanted)
		wanted = MIN(budget_cpus(), 32u);
	wanted = MIN(wanted, MAX_THREADS);
	return (unsigned int)MAX(MIN((uint64_t)wanted, fit), 1u);
}
