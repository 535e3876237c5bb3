/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Give a fuzz target the files named, and the files in the directories named, one after another:
 * regression without libFuzzer. The last line before a crash names the file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "fuzz.h"

static unsigned int nr_run, nr_failed;

static void fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	nr_failed++;
}

/* Exactly as many bytes as the file has, so that a read past them is seen. */
static void run_file(const char *path, size_t size)
{
	_cleanup_free_ uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");

	if (!f || !data || fread(data, 1, size, f) != size) {
		fail(path);
	} else {
		printf("# %s\n", path);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, size);
		nr_run++;
	}
	if (f)
		fclose(f);
}

static void run_path(const char *path);

static void run_directory(const char *path)
{
	struct dirent **names;
	int i, n = scandir(path, &names, NULL, alphasort);

	if (n < 0)
		fail(path);
	for (i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			run_path(name);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		fail(path);
	else if (S_ISDIR(st.st_mode))
		run_directory(path);
	else
		run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%sok 1 - %u inputs\n1..1\n", nr_failed || !nr_run ? "not " : "", nr_run);
	return nr_failed || !nr_run ? 1 : 0;
}
