/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expands every page of a kdump-compressed dump and does nothing else: what `inspect --verify` is
 * measured against. Knows the layout of a little-endian 64-bit dump of version 6 and trusts it: for
 * dumps that makedumpfile has just written, never for others.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "codec.h"

#define CHUNK 1024

static const uint8_t *file;
static uint64_t nr_pages, first_desc;
static uint32_t page_size;
static atomic_uint_fast64_t next_page, failed;

static void *expand(void *arg)
{
	struct decoders d = { .state = { NULL } };
	uint8_t *page = malloc(page_size);
	uint64_t at, i;

	while (page && (at = atomic_fetch_add(&next_page, CHUNK)) < nr_pages) {
		for (i = at; i < at + CHUNK && i < nr_pages; i++) {
			const uint8_t *desc = file + first_desc + 24 * i;
			struct err e = ERR_INIT;

			if (decode_page(&d, load_u32(desc + 12, ORDER_LE),
					file + load_u64(desc, ORDER_LE), load_u32(desc + 8, ORDER_LE),
					page, page_size, &e))
				atomic_fetch_add(&failed, 1);
		}
	}
	decoders_fini(&d);
	free(page);
	return arg;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	unsigned int nr = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN), i;
	uint64_t half, bitmap;
	pthread_t thread[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fprintf(stderr, "usage: expand DUMP\n"), 64;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		return perror(argv[1]), 1;
	page_size = load_u32(file + 428, ORDER_LE);
	half = (uint64_t)load_u32(file + 436, ORDER_LE) / 2 * page_size;
	bitmap = (1 + (uint64_t)load_u32(file + 432, ORDER_LE)) * page_size + half;
	for (i = 0; i < half / 8; i++)
		nr_pages += (uint64_t)__builtin_popcountll(load_u64(file + bitmap + 8 * i, ORDER_LE));
	first_desc = bitmap + half;
	nr = nr < 1 ? 1 : nr > 64 ? 64 : nr;
	for (i = 0; i + 1 < nr; i++)
		if (pthread_create(&thread[i], NULL, expand, NULL))
			return 1;
	expand(NULL);
	for (i = 0; i + 1 < nr; i++)
		pthread_join(thread[i], NULL);
	printf("%llu pages, %llu damaged\n", (unsigned long long)nr_pages,
	       (unsigned long long)atomic_load(&failed));
	return failed != 0;
}
