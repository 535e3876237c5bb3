/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that a process had mapped, by its NT_FILE note, and what their first pages in memory
 * say: ELF or not, the build-id.
 *
 * Facts: Linux fs/binfmt_elf.c (fill_files_note()), fs/d_path.c (" (deleted)"); gabi.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "usercore.h"
#include "usercore_priv.h"

#define MAX_ENTRIES (1u << 18)
#define MAX_FILE_NOTES 8192 /* bytes of a PT_NOTE that are looked at */
#define MAX_VDSO (1u << 20)
#define NT_GNU_BUILD_ID_TYPE 3
#define NT_GO_BUILD_ID_TYPE 4
#define DELETED " (deleted)"

/* ---- the note ---- */

struct entry {
	struct usercore_map map;
	const char *name;
};

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->map.start > y->map.start) - (x->map.start < y->map.start);
}

/* Entries that make sense, of COUNT at B; the names lie behind them all. */
static size_t read_entries(struct usercore *u, struct bytes *b, uint64_t page, size_t count,
			   struct entry *ret)
{
	struct bytes names = *b;
	size_t i, nr = 0;

	bytes_skip(&names, count * 3 * u->word);
	for (i = 0; i < count; i++) {
		struct entry *t = &ret[nr];
		const uint8_t *name = names.data + names.pos;
		const uint8_t *end = memchr(name, '\0', bytes_left(&names));

		if (!end)
			break;
		bytes_skip(&names, (size_t)(end - name) + 1);
		t->name = (const char *)name;
		t->map.start = bytes_uint(b, u->word);
		t->map.end = bytes_uint(b, u->word);
		if (__builtin_mul_overflow(bytes_uint(b, u->word), page, &t->map.off))
			t->map.off = UINT64_MAX;
		nr += t->map.start < t->map.end && *name;
	}
	if (nr < count)
		log_warn(u->log, "%s: of %zu mapped files that NT_FILE counts, %zu are told",
			 source_name(u->source), count, nr);
	return nr;
}

/* A file more, called PATH. */
int usercore_add_file(struct usercore *u, const char *path, uint64_t addr, size_t *ret,
		      struct err *e)
{
	struct usercore_file *f;

	if (u->nr_files == u->room) {
		size_t room = u->room ? u->room * 2 : 16;

		f = realloc(u->files, room * sizeof(*f));
		if (!f)
			return err_set(e, ERR_NOMEM, "no memory for %zu files", room);
		u->files = f;
		u->room = room;
	}
	f = &u->files[u->nr_files];
	*f = (struct usercore_file){ .path = strdup(path), .start = addr, .end = addr };
	if (!f->path)
		return err_set(e, ERR_NOMEM, "no memory for the name of a file");
	*ret = u->nr_files++;
	return 0;
}

static int add_named(struct usercore *u, const char *name, uint64_t addr, size_t *ret,
		     struct err *e)
{
	size_t len = strlen(name), tail = sizeof(DELETED) - 1;
	struct usercore_file *f;

	if (usercore_add_file(u, name, addr, ret, e))
		return -1;
	f = &u->files[*ret];
	if (len > tail && !strcmp(name + len - tail, DELETED)) {
		f->path[len - tail] = '\0';
		f->deleted = true;
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct usercore_map *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Entries of one name, which lie together, become one file. */
static int group_entries(struct usercore *u, const struct entry *entries, size_t nr, struct err *e)
{
	uint64_t lowest = 0;
	size_t i, file = 0;

	u->maps = malloc((nr + 1) * sizeof(*u->maps));
	if (!u->maps)
		return err_set(e, ERR_NOMEM, "no memory for %zu mappings", nr);
	for (i = 0; i < nr; i++) {
		const struct usercore_map *m = &entries[i].map;
		bool first = !i || strcmp(entries[i].name, entries[i - 1].name);
		struct usercore_file *f;

		if (first && add_named(u, entries[i].name, m->start, &file, e))
			return -1;
		f = &u->files[file];
		f->end = MAX(f->end, m->end);
		if (first || m->off < lowest) {
			lowest = m->off;
			f->map_start = m->start;
			f->map_end = m->end;
		}
		u->maps[u->nr_maps] = *m;
		u->maps[u->nr_maps++].file = file;
	}
	if (nr)
		qsort(u->maps, nr, sizeof(*u->maps), by_start);
	return 0;
}

int usercore_add_files(struct usercore *u, const struct note *n, struct err *e)
{
	struct bytes b = bytes_init(n->desc, n->desc_len, u->order, "NT_FILE", 0);
	uint64_t count = bytes_uint(&b, u->word), page = bytes_uint(&b, u->word);
	_cleanup_free_ struct entry *entries = NULL;
	size_t nr;

	if (b.overrun || count > bytes_left(&b) / (3 * u->word)) {
		log_warn(u->log,
			 "%s: NT_FILE counts %" PRIu64 " mapped files, for which it is too short; "
			 "it is not used",
			 source_name(u->source), count);
		return 0;
	}
	if (count > MAX_ENTRIES)
		log_warn(u->log, "%s: NT_FILE has %" PRIu64 " mapped files; %u are looked at",
			 source_name(u->source), count, MAX_ENTRIES);
	entries = calloc(MIN(count, MAX_ENTRIES) + 1, sizeof(*entries));
	if (!entries)
		return err_set(e, ERR_NOMEM, "no memory for %" PRIu64 " mapped files", count);
	nr = read_entries(u, &b, page, (size_t)count, entries);
	if (nr)
		qsort(entries, nr, sizeof(*entries), by_name);
	return group_entries(u, entries, nr, e);
}

bool usercore_file_at(const struct usercore *u, uint64_t addr, size_t *ret)
{
	size_t low = 0, high = u->nr_maps;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->maps[mid].start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr >= u->maps[low - 1].end)
		return false;
	*ret = u->maps[low - 1].file;
	return true;
}

/* ---- ELF objects in memory ---- */

static unsigned int phdr_size(const struct usercore_image *img)
{
	return img->word == 8 ? 56 : 32;
}

bool usercore_image_phdr(const struct usercore_image *img, unsigned int i,
			 struct usercore_phdr *ret)
{
	struct bytes b;

	if (i >= img->nr)
		return false;
	b = bytes_init(img->raw + i * phdr_size(img), phdr_size(img), img->order, "program header",
		       0);
	ret->type = bytes_u32(&b);
	bytes_skip(&b, img->word == 8 ? 4 : 0); /* p_flags */
	ret->offset = bytes_uint(&b, img->word);
	ret->vaddr = bytes_uint(&b, img->word);
	bytes_skip(&b, img->word); /* p_paddr */
	ret->filesz = bytes_uint(&b, img->word);
	ret->memsz = bytes_uint(&b, img->word);
	return true;
}

bool usercore_image_find(const struct usercore_image *img, uint32_t type, struct usercore_phdr *ret)
{
	unsigned int i;

	for (i = 0; usercore_image_phdr(img, i, ret); i++)
		if (ret->type == type)
			return true;
	return false;
}

/* The program headers at IMG->phdrs, and how far the object was moved. */
static bool read_phdrs(struct usercore *u, struct usercore_image *img)
{
	struct usercore_phdr p;

	img->nr = MIN(img->phnum, (unsigned int)(sizeof(img->raw) / 56));
	if (!img->nr || img->phentsize != phdr_size(img) ||
	    !usercore_look(u, img->phdrs, img->raw, img->nr * phdr_size(img)))
		return false;
	if (usercore_image_find(img, PT_PHDR_TYPE, &p))
		img->bias = img->phdrs - p.vaddr;
	else if (img->at && usercore_image_find(img, PT_LOAD_TYPE, &p))
		img->bias = img->at - (p.vaddr - p.offset);
	img->bias = usercore_wrap(u, img->bias);
	return true;
}

bool usercore_image_phdrs(struct usercore *u, const struct usercore_auxv *a,
			  struct usercore_image *ret)
{
	*ret = (struct usercore_image){ .phdrs = a->phdr, .word = u->word, .order = u->order };
	ret->phentsize = (uint16_t)MIN(a->phent, UINT16_MAX);
	ret->phnum = (uint16_t)MIN(a->phnum, UINT16_MAX);
	return a->phdr && read_phdrs(u, ret);
}

/* The ELF header in RAW. */
static bool parse_ehdr(const uint8_t *raw, size_t len, struct usercore_image *ret)
{
	struct bytes b;

	if (len < 52 || memcmp(raw, "\177ELF", 4) || (raw[4] != 1 && raw[4] != 2) ||
	    (raw[5] != 1 && raw[5] != 2) || (raw[4] == 2 && len < 64))
		return false;
	*ret = (struct usercore_image){ .word = raw[4] == 2 ? 8 : 4,
					.order = raw[5] == 2 ? ORDER_BE : ORDER_LE };
	b = bytes_init(raw, len, ret->order, "ELF header", 0);
	bytes_seek(&b, 16);
	ret->type = bytes_u16(&b);
	bytes_skip(&b, 2 + 4 + ret->word); /* e_machine, e_version, e_entry */
	ret->phdrs = bytes_uint(&b, ret->word);
	ret->shoff = bytes_uint(&b, ret->word);
	bytes_skip(&b, 4 + 2); /* e_flags, e_ehsize */
	ret->phentsize = bytes_u16(&b);
	ret->phnum = bytes_u16(&b);
	ret->shentsize = bytes_u16(&b);
	ret->shnum = bytes_u16(&b);
	return true;
}

bool usercore_image(struct usercore *u, uint64_t at, struct usercore_image *ret)
{
	uint8_t raw[64] = { 0 };

	if (!at || !usercore_look(u, at, raw, 52) ||
	    (raw[4] == 2 && !usercore_look(u, at, raw, sizeof(raw))) ||
	    !parse_ehdr(raw, sizeof(raw), ret))
		return false;
	ret->at = at;
	ret->phdrs += at;
	/* Without its program headers it still is an ELF file. */
	(void)read_phdrs(u, ret);
	return true;
}

bool usercore_image_file(struct usercore *u, const void *head, size_t len, uint64_t phdrs,
			 struct usercore_image *ret)
{
	struct usercore_phdr p;
	size_t size;

	if (!parse_ehdr(head, len, ret) || ret->phentsize != phdr_size(ret))
		return false;
	ret->nr = MIN(ret->phnum, (unsigned int)(sizeof(ret->raw) / 56));
	size = ret->nr * phdr_size(ret);
	if (ret->phdrs > len || size > len - ret->phdrs)
		return false;
	memcpy(ret->raw, (const uint8_t *)head + ret->phdrs, size);
	ret->phdrs = phdrs;
	ret->file = head;
	ret->file_len = len;
	if (!usercore_image_find(ret, PT_PHDR_TYPE, &p))
		return false;
	ret->bias = usercore_wrap(u, phdrs - p.vaddr);
	return true;
}

/* ---- what they say ---- */

/* A text, four parts with slashes between (Go cmd/internal/buildid/note.go). */
static void take_go_id(struct usercore_file *f, const struct note *n)
{
	if (n->desc_len >= sizeof(f->go_id))
		return;
	memcpy(f->go_id, n->desc, n->desc_len);
	f->go_id[n->desc_len] = '\0';
}

static bool take_id(struct usercore_file *f, struct bytes *b)
{
	struct note n;

	while (note_next(b, &n)) {
		if (note_owner_is(&n, "Go") && n.type == NT_GO_BUILD_ID_TYPE)
			take_go_id(f, &n);
		if (!note_owner_is(&n, "GNU") || n.type != NT_GNU_BUILD_ID_TYPE || !n.desc_len ||
		    n.desc_len > USERCORE_MAX_ID)
			continue;
		memcpy(f->id, n.desc, n.desc_len);
		f->id_len = n.desc_len;
		return true;
	}
	return false;
}

/* The notes lie in the page that begins the file, but an object that is loaded may have them
 * elsewhere. */
static void read_id(struct usercore *u, struct usercore_file *f, const struct usercore_image *img)
{
	uint8_t raw[MAX_FILE_NOTES];
	struct usercore_phdr p;
	unsigned int i, way;

	for (i = 0; !f->id_len && usercore_image_phdr(img, i, &p); i++) {
		size_t len = (size_t)MIN(p.filesz, sizeof(raw));

		if (p.type != PT_NOTE_TYPE || !len)
			continue;
		for (way = 0; way < 2 && !f->id_len; way++) {
			uint64_t at =
				way ? usercore_wrap(u, img->bias + p.vaddr) : img->at + p.offset;
			struct bytes b = bytes_init(raw, len, img->order, "notes", 0);

			if (usercore_look(u, at, raw, len))
				(void)take_id(f, &b);
		}
	}
}

void usercore_head(struct usercore *u, struct usercore_file *f, uint64_t at)
{
	struct usercore_image img;

	if (!usercore_image(u, at, &img))
		return;
	f->elf = true;
	f->head = at;
	f->head_len = img.word == 8 ? 64 : 52;
	if (img.phdrs - at == f->head_len)
		f->head_len += img.nr * phdr_size(&img);
	read_id(u, f, &img);
}

/* How long the file is that lies in memory as a whole: to its section headers, or segments. */
static uint64_t image_size(const struct usercore_image *img)
{
	uint64_t end =
		img->shoff > MAX_VDSO ? 0 : img->shoff + (uint64_t)img->shnum * img->shentsize;
	struct usercore_phdr p;
	unsigned int i;

	for (i = 0; usercore_image_phdr(img, i, &p); i++)
		if (p.type == PT_LOAD_TYPE && p.offset < MAX_VDSO && p.filesz < MAX_VDSO)
			end = MAX(end, p.offset + p.filesz);
	return end;
}

static int add_vdso(struct usercore *u, uint64_t at, struct err *e)
{
	struct usercore_image img;
	struct usercore_file *f;
	size_t file;

	if (!usercore_image(u, at, &img))
		return 0;
	if (usercore_add_file(u, USERCORE_VDSO, at, &file, e))
		return -1;
	f = &u->files[file];
	f->vdso = true;
	f->end = MAX(at, at + MIN(image_size(&img), MAX_VDSO));
	f->bias = img.bias;
	usercore_head(u, f, at);
	return 0;
}

int usercore_look_at_files(struct usercore *u, const struct usercore_auxv *a, struct err *e)
{
	size_t i;

	for (i = 0; i < u->nr_maps; i++) {
		struct usercore_file *f = &u->files[u->maps[i].file];

		if (!u->maps[i].off && !f->elf)
			usercore_head(u, f, u->maps[i].start);
	}
	return a->vdso ? add_vdso(u, a->vdso, e) : 0;
}

/* ---- order ---- */

static int main_then_address(const void *a, const void *b)
{
	const struct usercore_file *x = a, *y = b;

	if (x->main != y->main)
		return x->main ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* What the maps count follows, or they are gone. */
static void renumber_maps(struct usercore *u)
{
	size_t *now = malloc((u->nr_files + 1) * sizeof(*now)), i;

	for (i = 0; now && i < u->nr_files; i++)
		now[u->files[i].number] = i;
	for (i = 0; now && i < u->nr_maps; i++)
		u->maps[i].file = now[u->maps[i].file];
	if (!now)
		u->nr_maps = 0;
	free(now);
}

void usercore_sort_files(struct usercore *u)
{
	size_t i;

	for (i = 0; i < u->nr_files; i++)
		u->files[i].number = i;
	if (u->nr_files)
		qsort(u->files, u->nr_files, sizeof(*u->files), main_then_address);
	renumber_maps(u);
}
