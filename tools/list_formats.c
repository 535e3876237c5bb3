/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --formats, inspect --support: what this program reads, writes and translates, out of the tables
 * that it goes by. The matrices in dumptool-formats(5) are this text, put there by
 * man/update-matrix; tests/cli/check-docs compares them.
 */
#include <stdio.h>
#include <string.h>

#include "archs.h"
#include "codec.h"
#include "format.h"
#include "formats.h"
#include "json.h"
#include "main.h"
#include "source.h"

#define ROW "%-10s%-14s%-7s%-5s%-8s%s\n"

/* Does what begins like M begin like one of MORE? */
static bool covers(const struct magic *more, const struct magic *m)
{
	for (; more->len; more++)
		if (more->off == m->off && more->len <= m->len &&
		    !memcmp(more->bytes, m->bytes, more->len))
			return true;
	return false;
}

/* Who reads F: its own driver, one of the link's, or nobody. */
static const char *reader_of(const struct format *f)
{
	const struct format *const *l;
	const struct magic *m;

	if (f->open)
		return "yes";
	for (l = link_formats; *l; l++) {
		for (m = f->magic; m && m->len && covers((*l)->magic, m); m++)
			;
		if (m && !m->len)
			return (*l)->name;
	}
	return "name";
}

/* In several files: what is read, what is written. */
static const char *set_of(const struct format *f)
{
	bool read = f->open && f->is_set;

	return read && f->can_split ? "rw" : read ? "r" : f->can_split ? "w" : "-";
}

static const char *mark_of(const struct format *f)
{
	return f->mark ? "header" : f->unmarked ? "name" : "-";
}

static void print_format(const struct format *f)
{
	printf(ROW, f->name, reader_of(f), f->begin ? "yes" : "-", set_of(f), mark_of(f), f->title);
}

/* Page codecs of F, those that this link lacks in parentheses. */
static void print_codecs(const struct format *f)
{
	uint32_t id;

	printf("Compression of %s pages: %s", f->name, codec_id_name(CODEC_RAW));
	for (id = 1; id <= CODEC_ALL; id <<= 1)
		if (f->codecs & id)
			printf(codec_by_id(id) ? ", %s" : ", (%s)", codec_id_name(id));
	printf("\n");
}

void print_formats(void)
{
	const struct format *const *f;
	const struct opener *const *o;

	printf(ROW, "NAME", "READ", "WRITE", "SET", "MARK", "TITLE");
	for (f = formats; *f; f++)
		print_format(*f);
	printf("\n");
	for (f = formats; *f; f++)
		if ((*f)->codecs)
			print_codecs(*f);
	printf("Wrappings of inputs:");
	for (o = opener_table; *o; o++)
		printf((*o)->open ? "%s %s" : "%s (%s)", o == opener_table ? "" : ",", (*o)->name);
	printf("\n");
}

#define ARCH_ROW "%-14s%-7s%-5s%-40s%s\n"

/* A layout that has several tables, as MIPS for each way to read an entry, is one: verified if one
 * is. */
static bool told_before(const struct paging *const *first, const struct paging *const *p)
{
	for (; first < p; first++)
		if (!strcmp((*first)->name, (*p)->name))
			return true;
	return false;
}

static const char *verified_with(const struct paging *const *p, enum byte_order order)
{
	const char *name = (*p)->name;

	for (; *p; p++)
		if (!strcmp((*p)->name, name) && (*p)->verified[order])
			return (*p)->verified[order];
	return "untested";
}

static void print_arch(const struct arch *a)
{
	const char *order = a->order == ORDER_LE ? "little" : "big",
		   *bits = a->word == 8 ? "64" : "32";
	const struct paging *const *p = a->paging;

	if (!p)
		printf(ARCH_ROW, a->name, order, bits, "none: recognised only", "-");
	for (; p && *p; p++)
		if (!told_before(a->paging, p))
			printf(ARCH_ROW, a->name, order, bits, (*p)->name,
			       verified_with(p, a->order));
}

static void json_formats(struct json *j)
{
	const struct format *const *f;

	json_put_array(j, "formats");
	for (f = formats; *f; f++) {
		json_put_object(j, NULL);
		json_put_string(j, "name", (*f)->name);
		json_put_string(j, "title", (*f)->title);
		json_put_string(j, "read", reader_of(*f));
		json_bool(j, "write", (*f)->begin != NULL);
		json_put_string(j, "set", set_of(*f));
		json_put_string(j, "mark", mark_of(*f));
		json_end(j);
	}
	json_end(j);
}

static void json_archs(struct json *j)
{
	const struct arch *const *a;
	const struct paging *const *p;

	json_put_array(j, "architectures");
	for (a = archs; *a; a++) {
		json_put_object(j, NULL);
		json_put_string(j, "name", (*a)->name);
		json_put_string(j, "byte_order", (*a)->order == ORDER_LE ? "little-endian" : "big-endian");
		json_uint(j, "word_bits", 8u * (*a)->word);
		json_put_array(j, "page_tables");
		for (p = (*a)->paging; p && *p; p++) {
			if (told_before((*a)->paging, p))
				continue;
			json_put_object(j, NULL);
			json_put_string(j, "name", (*p)->name);
			json_put_string(j, "verified_with", verified_with(p, (*a)->order));
			json_end(j);
		}
		json_end(j);
		json_end(j);
	}
	json_end(j);
}

static void json_support(void)
{
	struct json j;

	json_begin(&j, stdout);
	json_document(&j, "support", 1);
	json_formats(&j);
	json_archs(&j);
	json_finish(&j);
}

void print_support(bool json)
{
	const struct arch *const *a;

	if (json) {
		json_support();
		return;
	}
	print_formats();
	printf("\n" ARCH_ROW, "ARCHITECTURE", "ORDER", "BITS", "PAGE TABLES", "VERIFIED WITH");
	for (a = archs; *a; a++)
		print_arch(*a);
}
