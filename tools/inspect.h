/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What inspect found out, between the files of the inspect command. */
#ifndef INSPECT_H
#define INSPECT_H

#include "session.h"
#include "talk.h"

struct json;

/* Damaged pages that are told one by one. */
#define MAX_BAD 64

struct bad_page {
	uint64_t pfn;
	char why[160];
};

/* What reading all pages shows; one for each thread, added up. */
struct census {
	uint64_t zero;	      /* pages that hold zeros */
	uint64_t codec[7];    /* pages stored in each codec: by its id's bit, raw ones first */
	uint64_t nr_bad;      /* pages that should be there and cannot be had */
	unsigned int nr_told; /* of them in bad[], those with the lowest PFNs, ascending */
	struct bad_page bad[MAX_BAD];
};

struct inspect {
	struct session session;
	struct talk talk;
	char *const *files;
	unsigned int nr_files;
	char **second; /* files of the dump to compare with */
	unsigned int nr_second;
	struct input_opts in;
	bool json, quick, verify, compare, support, verbose;
	/* What is asked instead of an overview; NULL: nothing. Fills E when there is no answer. */
	int (*question)(struct inspect *in, struct err *e);
	bool twice;   /* two different ones were asked */
	char **about; /* addresses and names that it is about */
	unsigned int nr_about;
	unsigned int threads; /* 0: one for each CPU */
	char release[65], version[65], machine[65], build_id[65];
	int64_t crash_time;
	char panic[256]; /* the line of the log that tells why */
	uint64_t pages[PAGE_UNREADABLE + 1];
	bool counted; /* census is filled */
	struct census census;
};

/* No damage, of the dump or of what is known about its kernel, and its writer finished. */
bool inspect_is_complete(const struct inspect *in);

/* What the dump is, and what is in it, once its session is open. */
int inspect_overview(struct inspect *in, struct err *e);
/*
 * An answer is not all of it, by WHY or because of the dump: said behind it, in the text, or as
 * "complete" and "reason".
 */
void inspect_print_complete(const struct inspect *in, struct json *j, const struct err *why);

/* inspect_print.c */
void inspect_print_text(const struct inspect *in);
void inspect_print_json(const struct inspect *in);
/* A question: the text of the VMCOREINFO note, control characters escaped. ERR_MISSING. */
int inspect_vmcoreinfo(struct inspect *in, struct err *e);
/* "xz of flattened of ELF core" */
void inspect_format_text(const struct source *s, const char *title, char *ret, size_t size);
/* The same as an array "wrapped_in", outermost first. */
void inspect_json_wrapping(struct json *j, const struct source *s);
/* The array "cpus"; ALL: with registers of floating point and vectors. */
void inspect_json_cpus(struct json *j, const struct dump *d, bool all);

/*
 * inspect_kernel.c. Print where the addresses that it is about lie, "-" for those on standard input.
 * ERR_MISSING when some are not translated; ERR_USAGE.
 */
int inspect_vtop(struct inspect *in, struct err *e);
/* Print all registers of all CPUs. ERR_MISSING. */
int inspect_regs(struct inspect *in, struct err *e);

/* inspect_tasks.c: what runs, and what is loaded. ERR_MISSING names the fact that is not known. */
int inspect_tasks(struct inspect *in, struct err *e);
int inspect_modules(struct inspect *in, struct err *e);

/* inspect_symbols.c: the names or addresses, or the types, that it is about. ERR_MISSING. */
int inspect_symbols(struct inspect *in, struct err *e);
int inspect_types(struct inspect *in, struct err *e);

/* inspect_compare.c: page by page, note by note. Returns an exit status. */
int inspect_compare(struct inspect *in, struct err *e);

#endif
