/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compresses a file in blocks of a page, those that are not zero, in one thread, and does nothing
 * else: what a codec by itself does with small and with large pages. squeeze PAGE-SIZE CODEC FILE
 * prints bytes per second of CPU time and the ratio. Zero blocks are found before the clock starts:
 * looking for them costs the same whatever the page, and would bring the ratio of two sizes near 1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "codec.h"
#include "zero.h"

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t page = argc == 4 ? strtoul(argv[1], NULL, 0) : 0, at, nr = 0, i, out = 0;
	const struct codec *codec = argc == 4 ? codec_by_name(argv[2]) : NULL;
	int fd = argc == 4 ? open(argv[3], O_RDONLY) : -1;
	const uint8_t *file, **block;
	double began, spent;
	struct stat st;
	void *state;
	uint8_t *to;

	if (!page || !codec || fd < 0 || fstat(fd, &st))
		return fprintf(stderr, "usage: squeeze PAGE-SIZE CODEC FILE\n"), 64;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	state = codec->open(codec->default_level, page);
	to = malloc(codec->bound(page));
	block = malloc(((size_t)st.st_size / page + 1) * sizeof(*block));
	if (file == MAP_FAILED || !state || !to || !block)
		return perror(argv[3]), 1;
	for (at = 0; at + page <= (size_t)st.st_size; at += page)
		if (!is_zero(file + at, page))
			block[nr++] = file + at;
	began = cpu_seconds();
	for (i = 0; i < nr; i++) {
		size_t size = codec->compress(state, block[i], page, to, codec->bound(page));

		out += size && size < page ? size : page;
	}
	spent = cpu_seconds() - began;
	printf("%.0f %.4f\n", (double)(nr * page) / spent,
	       nr ? (double)out / (double)(nr * page) : 1);
	return 0;
}
