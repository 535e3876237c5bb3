/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf_file.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "dump.h"
#include "elf.h"
#include "note.h"
#include "zero.h"

#define SHT_SYMTAB 2
#define SHT_NOTE 7
#define NT_GNU_BUILD_ID 3
#define MAX_TABLE ((uint64_t)512 << 20) /* of symbols, of their names */
#define CHUNK ((size_t)64 << 10)

/* ---- headers ---- */

int elf_file_open(const char *path, struct elf_file *ret, struct err *e)
{
	uint8_t raw[EHDR_MAX] = { 0 };
	struct elf_file f = { .word = 8 };
	struct bytes b;
	int os;

	if (source_open(path, 0, &f.source, e))
		return -1;
	source_read_some(f.source, 0, raw, sizeof(raw), &os);
	if (memcmp(raw, "\177ELF", 4) || raw[EI_CLASS] < 1 || raw[EI_CLASS] > 2 ||
	    raw[EI_DATA] < 1 || raw[EI_DATA] > 2) {
		source_close(f.source);
		return err_set(e, ERR_UNSUPPORTED, "%s: is no ELF file", path);
	}
	f.word = raw[EI_CLASS] == 2 ? 8 : 4;
	f.order = raw[EI_DATA] == 2 ? ORDER_BE : ORDER_LE;
	b = bytes_init(raw, sizeof(raw), f.order, "ELF header", 0);
	bytes_seek(&b, E_TYPE_OFF);
	f.type = bytes_u16(&b);
	f.machine = bytes_u16(&b);
	bytes_skip(&b, 4); /* e_version */
	f.entry = bytes_uint(&b, f.word);
	f.phoff = bytes_uint(&b, f.word);
	f.shoff = bytes_uint(&b, f.word);
	bytes_skip(&b, 6); /* e_flags, e_ehsize */
	f.phentsize = bytes_u16(&b);
	f.phnum = bytes_u16(&b);
	f.shentsize = bytes_u16(&b);
	f.shnum = bytes_u16(&b);
	*ret = f;
	return 0;
}

void elf_file_close(struct elf_file *f)
{
	source_close(f->source);
	f->source = NULL;
}

struct shdr {
	uint32_t type, link, info;
	uint64_t offset, size;
};

static int read_shdr(const struct elf_file *f, uint64_t i, struct shdr *ret, struct err *e)
{
	unsigned int size = elf_shdr_size(f->word);
	uint8_t raw[EHDR_MAX];
	struct bytes b = bytes_init(raw, size, f->order, "section header", 0);

	if (f->shentsize != size)
		return err_set(e, ERR_CORRUPT, "%s: has no section headers",
			       source_name(f->source));
	if (source_read(f->source, f->shoff + i * size, raw, size, e))
		return -1;
	bytes_skip(&b, 4);
	ret->type = bytes_u32(&b);
	bytes_skip(&b, 2 * f->word); /* sh_flags, sh_addr */
	ret->offset = bytes_uint(&b, f->word);
	ret->size = bytes_uint(&b, f->word);
	ret->link = bytes_u32(&b);
	ret->info = bytes_u32(&b);
	return 0;
}

static uint64_t phdr_at(const struct elf_file *f, uint64_t i)
{
	return f->phoff + i * elf_phdr_size(f->word);
}

uint64_t elf_file_offset_at(const struct elf_file *f, uint64_t i)
{
	return phdr_at(f, i) + (f->word == 8 ? 8 : 4);
}

uint64_t elf_file_filesz_at(const struct elf_file *f, uint64_t i)
{
	return phdr_at(f, i) + (f->word == 8 ? 32 : 16);
}

int elf_file_phdr(const struct elf_file *f, uint64_t i, struct elf_phdr *ret, struct err *e)
{
	unsigned int size = elf_phdr_size(f->word);
	uint8_t raw[PHDR_MAX];

	if (f->phentsize != size)
		return err_set(e, ERR_CORRUPT, "%s: e_phentsize is %u, expected %u",
			       source_name(f->source), f->phentsize, size);
	if (source_read(f->source, phdr_at(f, i), raw, size, e))
		return -1;
	ret->type = load_u32(raw, f->order);
	ret->offset = load_uint(raw + (f->word == 8 ? 8 : 4), f->word, f->order);
	ret->filesz = load_uint(raw + (f->word == 8 ? 32 : 16), f->word, f->order);
	return 0;
}

/* ---- what a vmlinux tells ---- */

/* The contents of section I, with a zero behind it. Freed with free(). */
static uint8_t *read_section(const struct elf_file *f, const struct shdr *s, struct err *e)
{
	uint8_t *data;

	if (s->size > MAX_TABLE) {
		err_set(e, ERR_CORRUPT, "%s: a table of it is too large", source_name(f->source));
		return NULL;
	}
	data = calloc(1, (size_t)s->size + 1);
	if (!data)
		err_set(e, ERR_NOMEM, "no memory for a table of %s", source_name(f->source));
	else if (!source_read(f->source, s->offset, data, (size_t)s->size, e))
		return data;
	free(data);
	return NULL;
}

static bool find_in(const struct elf_file *f, const struct shdr *table, const char *name,
		    uint64_t *ret, struct err *e)
{
	size_t size = f->word == 8 ? 24 : 16, at, len = strlen(name) + 1;
	_cleanup_free_ uint8_t *symbols = read_section(f, table, e), *names = NULL;
	struct shdr strings;

	if (!symbols || read_shdr(f, table->link, &strings, e))
		return false;
	names = read_section(f, &strings, e);
	for (at = 0; names && at + size <= table->size; at += size) {
		uint32_t n = load_u32(symbols + at, f->order);

		if (n >= strings.size || strings.size + 1 - n < len || memcmp(names + n, name, len))
			continue;
		*ret = load_uint(symbols + at + (f->word == 8 ? 8 : 4), f->word, f->order);
		return true;
	}
	return false;
}

int elf_file_symbol(const struct elf_file *f, const char *name, uint64_t *ret, struct err *e)
{
	struct shdr s;
	uint64_t i;

	for (i = 0; i < f->shnum; i++) {
		if (read_shdr(f, i, &s, e))
			return -1;
		if (s.type == SHT_SYMTAB && find_in(f, &s, name, ret, e))
			return 0;
	}
	return err_set(e, ERR_MISSING, "%s: has no symbol %s", source_name(f->source), name);
}

bool elf_file_build_id(const struct elf_file *f, char ret[65])
{
	struct err ignored = ERR_INIT;
	struct shdr s;
	uint64_t i;

	for (i = 0; i < f->shnum && !read_shdr(f, i, &s, &ignored); i++) {
		_cleanup_free_ uint8_t *data = NULL;
		struct bytes b;
		struct note n;
		size_t k;

		if (s.type != SHT_NOTE || !(data = read_section(f, &s, &ignored)))
			continue;
		b = bytes_init(data, (size_t)s.size, f->order, "notes", s.offset);
		while (note_next(&b, &n)) {
			if (!note_owner_is(&n, "GNU") || n.type != NT_GNU_BUILD_ID ||
			    n.desc_len > 32)
				continue;
			for (k = 0; k < n.desc_len; k++) {
				ret[2 * k] = "0123456789abcdef"[n.desc[k] >> 4];
				ret[2 * k + 1] = "0123456789abcdef"[n.desc[k] & 15];
			}
			ret[2 * k] = '\0';
			return true;
		}
	}
	return false;
}

/* ---- copies ---- */

int elf_file_copy(const struct elf_file *f, uint64_t at, uint64_t gap, struct sink *out,
		  struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);
	uint64_t off = 0, size = source_size(f->source);
	size_t len;

	if (!buf)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (; off < size; off += len) {
		uint64_t data = source_next_data(f->source, off);

		if (data > off && sink_has_holes(out))
			off = MIN(data, size);
		len = (size_t)MIN(size - off, (uint64_t)CHUNK);
		if (off < at)
			len = (size_t)MIN((uint64_t)len, at - off);
		if (!len)
			break;
		if (source_read(f->source, off, buf, len, e))
			return -1;
		if (len % 64 == 0 && is_zero(buf, len) && sink_has_holes(out))
			continue;
		if (sink_write(out, off + (off >= at ? gap : 0), buf, len, e))
			return -1;
	}
	return 0;
}
