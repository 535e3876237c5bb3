/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main program of a process, its dynamic loader, and the loader's list of what it loaded.
 *
 * Facts: gabi (DT_DEBUG); glibc elf/link.h (struct r_debug, struct r_debug_extended, struct
 * link_map), elf/elf.h (DT_MIPS_RLD_MAP, DT_MIPS_RLD_MAP_REL); musl include/link.h has the same
 * beginnings.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "usercore.h"
#include "usercore_priv.h"

#define MAX_DYNAMIC 16384 /* bytes */
#define MAX_LISTS 64	  /* glibc has 16 namespaces (DL_NNS) */
#define MAX_LINKS (1u << 16)

enum { DT_DEBUG_TAG = 21, DT_MIPS_RLD_MAP_TAG = 0x70000016, DT_MIPS_RLD_MAP_REL_TAG = 0x70000035 };

/* NR words at ADDR. */
static bool read_words(struct usercore *u, uint64_t addr, unsigned int nr, uint64_t *ret)
{
	uint8_t raw[8 * 8];
	struct bytes b = bytes_init(raw, nr * u->word, u->order, "words", addr);
	unsigned int i;

	if (b.size > sizeof(raw) || !usercore_look(u, addr, raw, b.size))
		return false;
	for (i = 0; i < nr; i++)
		ret[i] = bytes_uint(&b, u->word);
	return true;
}

/* ---- where the list begins ---- */

/* An entry of IMG's dynamic section, OFF bytes into it: out of memory, or what the file has of it.
 */
static bool read_dynamic(struct usercore *u, const struct usercore_image *img,
			 const struct usercore_phdr *p, uint64_t off, uint64_t *ret)
{
	struct bytes b = bytes_init(img->file, img->file_len, u->order, "dynamic section", 0);

	if (read_words(u, usercore_wrap(u, img->bias + p->vaddr + off), 2, ret))
		return true;
	if (!img->file || p->offset > img->file_len || off > img->file_len - p->offset)
		return false;
	bytes_seek(&b, (size_t)(p->offset + off));
	ret[0] = bytes_uint(&b, u->word);
	ret[1] = bytes_uint(&b, u->word);
	return !b.overrun;
}

/* struct r_debug's address out of IMG's dynamic section; 0: it does not tell. */
static uint64_t find_debug(struct usercore *u, const struct usercore_image *img)
{
	struct usercore_phdr p;
	uint64_t off, t[2], through = 0;

	if (img->word != u->word || img->order != u->order ||
	    !usercore_image_find(img, PT_DYNAMIC_TYPE, &p))
		return 0;
	for (off = 0; off < MAX_DYNAMIC && read_dynamic(u, img, &p, off, t) && t[0];
	     off += 2u * u->word) {
		if (t[0] == DT_DEBUG_TAG && t[1])
			return t[1];
		if (t[0] == DT_MIPS_RLD_MAP_TAG)
			through = usercore_wrap(u, img->bias + t[1]);
		else if (t[0] == DT_MIPS_RLD_MAP_REL_TAG)
			through = usercore_wrap(u, img->bias + p.vaddr + off + t[1]);
	}
	return through && read_words(u, through, 1, t) ? t[0] : 0;
}

/* The program as AT_PHDR has it, with its ELF header where that is known. */
static bool main_image(struct usercore *u, const struct usercore_auxv *a, size_t *file,
		       struct usercore_image *ret)
{
	bool known = usercore_file_at(u, a->phdr, file);

	if (!known)
		*file = SIZE_MAX;
	/* Without PT_PHDR (a static program) only the header tells how far it was moved. */
	if (known && u->files[*file].elf && usercore_image(u, u->files[*file].head, ret) && ret->nr)
		return true;
	return usercore_image_phdrs(u, a, ret);
}

/*
 * Without NT_FILE: the program by the name that it was started by, and the page before its program
 * headers.
 */
static int add_main(struct usercore *u, const struct usercore_auxv *a, size_t *ret, struct err *e)
{
	struct usercore_file *f;

	if (usercore_add_file(u, u->execfn, a->phdr, ret, e))
		return -1;
	f = &u->files[*ret];
	usercore_head(u, f, a->phdr - (u->word == 8 ? 64 : 52));
	return 0;
}

/*
 * `ld.so PROGRAM`: what the kernel started is the loader, whose dynamic section has no DT_DEBUG;
 * that of the program has.
 */
static uint64_t find_started_by_loader(struct usercore *u, size_t *file, struct usercore_image *ret)
{
	struct usercore_phdr p;
	uint64_t debug;
	size_t i;

	for (i = 0; i < u->nr_files; i++) {
		if (!u->files[i].elf || u->files[i].vdso ||
		    !usercore_image(u, u->files[i].head, ret) ||
		    !usercore_image_find(ret, PT_INTERP_TYPE, &p))
			continue;
		debug = find_debug(u, ret);
		if (!debug)
			continue;
		if (*file < u->nr_files)
			u->by_loader = u->files[*file].loader = true;
		*file = i;
		return debug;
	}
	return 0;
}

/* ---- the list ---- */

struct link {
	uint64_t addr, name, ld, next, prev;
};

/* The file that L is: where its dynamic section, or its first byte, is mapped. */
static bool link_file(const struct usercore *u, const struct link *l, size_t *ret)
{
	return usercore_file_at(u, l->ld, ret) || usercore_file_at(u, l->addr, ret);
}

static bool is_vdso(const struct usercore *u, const struct link *l)
{
	size_t i;

	for (i = u->nr_files; i-- > 0;)
		if (u->files[i].vdso)
			return l->ld >= u->files[i].start && l->ld < u->files[i].end;
	return false;
}

static int take_link(struct usercore *u, const struct link *l, struct err *e)
{
	_cleanup_free_ char *name = usercore_text(u, l->name);
	struct usercore_file *f;
	size_t file;

	if (is_vdso(u, l))
		return 0;
	if (!link_file(u, l, &file)) {
		if (!name || !*name)
			return 0;
		if (usercore_add_file(u, name, l->addr, &file, e))
			return -1;
		usercore_head(u, &u->files[file], l->addr);
	}
	f = &u->files[file];
	if (f->linked)
		return 0;
	f->linked = true;
	f->bias = l->addr;
	if (name && *name && strcmp(name, f->path)) {
		f->link_name = name;
		name = NULL;
	}
	return 0;
}

static bool read_link(struct usercore *u, uint64_t at, struct link *ret)
{
	uint64_t w[5];

	if (!read_words(u, at, 5, w))
		return false;
	*ret = (struct link){ w[0], w[1], w[2], w[3], w[4] };
	return true;
}

/* One list, from AT on; FIRST is the program, which is known. Each points back to the one before.
 */
static int walk_list(struct usercore *u, uint64_t at, size_t first, unsigned int *left,
		     struct err *e)
{
	uint64_t before = 0;
	struct link l;

	for (; at; before = at, at = l.next) {
		if (!*left || !read_link(u, at, &l) || l.prev != before) {
			u->list_cut = true;
			return 0;
		}
		--*left;
		if (!before && first != SIZE_MAX) {
			u->files[first].linked = true;
			u->files[first].bias = l.addr;
		} else if (take_link(u, &l, e)) {
			return -1;
		}
	}
	return 0;
}

/* struct r_debug: version, list, brk, state, ldbase; from version 2 on the next one. */
static int walk_lists(struct usercore *u, uint64_t debug, size_t first, struct err *e)
{
	unsigned int nr, left = MAX_LINKS;
	uint64_t at = debug, w[6] = { 0 };

	for (nr = 0; at; nr++, at = w[5]) {
		uint8_t version[4];

		w[5] = 0;
		if (nr == MAX_LISTS || !usercore_look(u, at, version, sizeof(version)) ||
		    !read_words(u, at, 5, w) ||
		    (load_u32(version, u->order) > 1 && !read_words(u, at, 6, w))) {
			u->list_cut = true;
			return 0;
		}
		if (walk_list(u, w[1], nr ? SIZE_MAX : first, &left, e))
			return -1;
	}
	return 0;
}

/* Mapped at BASE; without NT_FILE what the list has there. */
static bool find_loader(const struct usercore *u, uint64_t base, size_t *ret)
{
	size_t i;

	if (usercore_file_at(u, base, ret))
		return true;
	for (i = 0; i < u->nr_files; i++)
		if (u->files[i].start == base) {
			*ret = i;
			return true;
		}
	return false;
}

/* FILE: the program, which the list begins with. */
static int add_list(struct usercore *u, const struct usercore_auxv *a, uint64_t debug, size_t file,
		    struct err *e)
{
	size_t loader;

	u->no_list = !debug;
	if (debug && walk_lists(u, debug, file, e))
		return -1;
	if (a->base && find_loader(u, a->base, &loader))
		u->files[loader].loader = loader != file;
	if (u->list_cut)
		log_warn(u->log,
			 "%s: the dynamic loader's list breaks off or makes no sense; "
			 "what is mapped counts",
			 source_name(u->source));
	return 0;
}

int usercore_add_links(struct usercore *u, const struct usercore_auxv *a, struct err *e)
{
	struct usercore_image img = { 0 };
	size_t file;
	uint64_t debug = 0;

	if (main_image(u, a, &file, &img))
		debug = find_debug(u, &img);
	if (!debug)
		debug = find_started_by_loader(u, &file, &img);
	if (file == SIZE_MAX && u->execfn && *u->execfn && u->no_files && add_main(u, a, &file, e))
		return -1;
	if (file != SIZE_MAX) {
		u->files[file].main = true;
		u->files[file].bias = img.bias;
	}
	return add_list(u, a, debug, file, e);
}

/* The list calls the loader by a text in the program, which the core lacks: it is in the file. */
static int name_loader(struct usercore *u, const struct usercore_auxv *a,
		       const struct usercore_image *img, struct err *e)
{
	struct usercore_phdr p;
	const char *name;
	size_t loader;

	if (!a->base || find_loader(u, a->base, &loader) ||
	    !usercore_image_find(img, PT_INTERP_TYPE, &p) || p.offset > img->file_len ||
	    p.filesz > img->file_len - p.offset)
		return 0;
	name = (const char *)img->file + p.offset;
	if (!memchr(name, '\0', (size_t)p.filesz))
		return 0;
	if (usercore_add_file(u, name, a->base, &loader, e))
		return -1;
	u->files[loader].loader = true;
	usercore_head(u, &u->files[loader], a->base);
	return 0;
}

int usercore_use_program(struct usercore *u, const void *head, size_t len, struct err *e)
{
	struct usercore_auxv a = usercore_auxv(u);
	size_t file = u->nr_files && u->files[0].main ? 0 : SIZE_MAX;
	struct usercore_image img;
	uint64_t debug;

	if (!u->no_list || !usercore_image_file(u, head, len, a.phdr, &img))
		return 0;
	debug = find_debug(u, &img);
	if (!debug)
		return 0;
	if (add_list(u, &a, debug, file, e) || name_loader(u, &a, &img, e))
		return -1;
	usercore_sort_files(u);
	return 0;
}
