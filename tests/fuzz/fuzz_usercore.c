/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The core of a process: what it says of files and memory holds together. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "usercore.h"

#define MAX_ASKED 4096u /* bytes of a file's beginning */

static void ask(const struct usercore *u, const struct usercore_file *f)
{
	uint8_t buf[MAX_ASKED];
	size_t n;

	touch(f->path, strlen(f->path) + 1);
	if (f->link_name)
		touch(f->link_name, strlen(f->link_name) + 1);
	must(f->start <= f->end);
	must(f->map_start <= f->map_end);
	must(f->id_len <= USERCORE_MAX_ID);
	must(!f->id_len || f->elf);
	must(!f->elf == !f->head && !f->elf == !f->head_len);
	must(!f->elf || usercore_read(u, f->head, buf, 4));
	n = usercore_read_some(u, f->start, buf, sizeof(buf));
	must(n <= sizeof(buf));
	touch(buf, n);
	must(n == sizeof(buf) || !usercore_read(u, f->start, buf, n + 1));
}

static void ask_all(const struct usercore *u)
{
	size_t i, mains = 0;

	for (i = 0; i < u->nr_files; i++) {
		ask(u, &u->files[i]);
		mains += u->files[i].main;
		must(!u->files[i].main || !i);
	}
	must(mains <= 1);
}

/* The last bytes of the input are the program's file, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *s = source_memory("fuzz", data, size);
	size_t head = size < MAX_ASKED ? size : MAX_ASKED;
	struct err e = ERR_INIT;
	struct usercore *u;

	if (!s)
		return 0;
	(void)usercore_probe(s);
	if (usercore_open(s, NULL, &u, &e)) {
		must(e.text[0]);
	} else {
		ask_all(u);
		must(!usercore_use_program(u, data + size - head, head, &e));
		ask_all(u);
		usercore_close(u);
	}
	source_close(s);
	return 0;
}
