/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmlinux.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "dwarf_types.h"

#define MAX_SYMBOLS (16u << 20)
#define MAX_BUILD_ID 64
#define MAX_UNPACKED ((uint64_t)1 << 30) /* of compressed sections, all together */

struct elf_file {
	int fd;
	Elf *elf;
};

struct symbols {
	Elf *elf;
	Elf_Data *data;
	size_t nr, strings; /* the section of their names */
	uint32_t *hash;	    /* of the names */
};

struct vmlinux {
	struct fact_provider base;
	char *path;
	struct vmlinux_want want;
	struct elf_file file, debug; /* debug: a separate file, elf is NULL while there is none */
	struct symbols symbols;
	struct dwarf_types *types;
	Dwarf *dwarf;
	uint64_t low, high;	 /* where it is linked to run */
	uint64_t moved;		 /* how far it was moved at run time */
	bool tried_types, asked; /* asked: how far it was moved, which is answered without it */
	bool knows_moved;
	uint8_t id[MAX_BUILD_ID];
	size_t id_len;
	char id_text[2 * MAX_BUILD_ID + 1], release[65], banner[512];
};

/* ---- files ---- */

static void file_close(struct elf_file *f)
{
	if (!f->elf)
		return;
	elf_end(f->elf);
	close(f->fd);
	f->elf = NULL;
}

static int file_open(const char *path, struct elf_file *ret, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, errno, "%s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*ret = (struct elf_file){ .fd = fd };
	elf_version(EV_CURRENT);
	if (S_ISREG(st.st_mode))
		ret->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (ret->elf && elf_kind(ret->elf) == ELF_K_ELF)
		return 0;
	if (ret->elf)
		elf_end(ret->elf);
	ret->elf = NULL;
	close(fd);
	return err_set(e, ERR_UNSUPPORTED,
		       "%s: is no ELF file: vmlinux is the kernel as it is linked, with symbols, "
		       "not the compressed one that is booted",
		       path);
}

static size_t build_id(Elf *elf, uint8_t ret[MAX_BUILD_ID])
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);

	if (len <= 0 || len > MAX_BUILD_ID)
		return 0;
	memcpy(ret, id, (size_t)len);
	return (size_t)len;
}

/* The first section that FITS; NULL when there is none. */
static Elf_Scn *find_section(Elf *elf, bool (*fits)(const char *name, const GElf_Shdr *sh),
			     GElf_Shdr *ret)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, ret))
			continue;
		name = elf_strptr(elf, names, ret->sh_name);
		if (name && fits(name, ret))
			return scn;
	}
	return NULL;
}

static bool is_debug_info(const char *name, const GElf_Shdr *sh)
{
	return sh->sh_type != SHT_NOBITS &&
	       (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info"));
}

static bool is_symtab(const char *name, const GElf_Shdr *sh)
{
	(void)name;
	return sh->sh_type == SHT_SYMTAB;
}

/* ---- a separate file with the debugging information ---- */

static bool try_debug(struct vmlinux *v, const char *path)
{
	struct err ignored = ERR_INIT;
	uint8_t id[MAX_BUILD_ID];

	if (file_open(path, &v->debug, &ignored))
		return false;
	if (build_id(v->debug.elf, id) == v->id_len && v->id_len && !memcmp(id, v->id, v->id_len))
		return true;
	file_close(&v->debug);
	return false;
}

/* By build-id, or where .gnu_debuglink's name lies: as gdb looks for it. */
static void find_debug(struct vmlinux *v)
{
	const char *slash = strrchr(v->path, '/'), *link;
	int dir = slash ? (int)(slash - v->path) + 1 : 0;
	static const char *const forms[] = { "%.*s%s", "%.*s.debug/%s", "/usr/lib/debug%.*s%s" };
	char path[1024];
	GElf_Word crc;
	size_t i;

	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", v->id_text,
		 v->id_len ? v->id_text + 2 : "");
	if (!v->id_len || try_debug(v, path))
		return;
	link = dwelf_elf_gnu_debuglink(v->file.elf, &crc);
	if (!link || strchr(link, '/'))
		return;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), forms[i], dir, v->path, link);
#pragma GCC diagnostic pop
		if (try_debug(v, path))
			return;
	}
}

/* ---- symbols ---- */

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static const char *symbol_at(const struct symbols *s, size_t i, GElf_Sym *ret)
{
	if (!gelf_getsym(s->data, (int)i, ret))
		return NULL;
	return elf_strptr(s->elf, s->strings, ret->st_name);
}

static int load_symbols(struct vmlinux *v, Elf *elf, struct err *e)
{
	struct symbols *s = &v->symbols;
	GElf_Sym sym;
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(elf, is_symtab, &sh);
	size_t i;

	if (!scn)
		return 0;
	s->elf = elf;
	s->data = elf_getdata(scn, NULL);
	s->strings = sh.sh_link;
	s->nr = s->data && sh.sh_entsize ? s->data->d_size / sh.sh_entsize : 0;
	if (s->nr > MAX_SYMBOLS)
		return err_set(e, ERR_UNSUPPORTED, "%s: %zu symbols", v->path, s->nr);
	s->hash = calloc(s->nr + 1, sizeof(*s->hash));
	if (!s->hash)
		return err_set(e, ERR_NOMEM, "%s: out of memory", v->path);
	for (i = 0; i < s->nr; i++) {
		const char *name = symbol_at(s, i, &sym);

		s->hash[i] = name ? hash_name(name) : 0;
	}
	return 0;
}

/* A global one, or the first local one of that name. */
static bool find_symbol(const struct vmlinux *v, const char *name, GElf_Sym *ret)
{
	const struct symbols *s = &v->symbols;
	uint32_t hash = hash_name(name);
	bool found = false;
	GElf_Sym sym;
	size_t i;

	for (i = 0; i < s->nr; i++) {
		const char *is = s->hash[i] == hash ? symbol_at(s, i, &sym) : NULL;
		int type = is ? GELF_ST_TYPE(sym.st_info) : STT_SECTION;

		if (!is || type == STT_SECTION || type == STT_FILE || sym.st_shndx == SHN_UNDEF ||
		    strcmp(is, name) != 0)
			continue;
		if (GELF_ST_BIND(sym.st_info) == STB_LOCAL && found)
			continue;
		*ret = sym;
		if (GELF_ST_BIND(sym.st_info) != STB_LOCAL)
			return true;
		found = true;
	}
	return found;
}

static bool is_percpu(const char *name, const GElf_Shdr *sh)
{
	return !strcmp(name, ".data..percpu") && !sh->sh_addr;
}

/*
 * Did the symbol move with the kernel? Not in a per-CPU section that is linked to run at 0 (x86-64
 * up to 6.14), nor as a number that is no address of the kernel.
 */
static bool moves(const struct vmlinux *v, const GElf_Sym *sym)
{
	Elf_Scn *scn, *percpu;
	GElf_Shdr sh;

	if (sym->st_shndx == SHN_ABS)
		return sym->st_value >= v->low && sym->st_value < v->high;
	scn = elf_getscn(v->symbols.elf, sym->st_shndx);
	percpu = find_section(v->symbols.elf, is_percpu, &sh);
	return !percpu || percpu != scn;
}

static uint64_t cut(const struct vmlinux *v, uint64_t addr)
{
	return v->want.word == 4 ? (uint32_t)addr : addr;
}

/* How far the kernel of the dump is from where it was linked to run: KASLR. */
static void ask_moved(struct vmlinux *v)
{
	const struct kernel *k = v->want.kernel;
	uint64_t now;
	GElf_Sym sym;

	if (v->knows_moved)
		return;
	v->asked = true;
	if (find_symbol(v, "_stext", &sym) && kernel_fact(k, FACT_SYMBOL, "_stext", &now)) {
		v->moved = now - sym.st_value;
		v->knows_moved = true;
	} else {
		v->knows_moved = kernel_text_hex(k, "KERNELOFFSET", &v->moved);
	}
	v->asked = false;
}

static bool symbol_fact(struct vmlinux *v, const char *name, uint64_t *ret)
{
	GElf_Sym sym;

	if (v->asked || !find_symbol(v, name, &sym))
		return false;
	ask_moved(v);
	*ret = cut(v, sym.st_value + (moves(v, &sym) ? v->moved : 0));
	return true;
}

/* ---- what it is ---- */

static void read_extent(struct vmlinux *v)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	v->low = UINT64_MAX;
	while ((scn = elf_nextscn(v->file.elf, scn))) {
		if (!gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_ALLOC) || !sh.sh_addr)
			continue;
		v->low = MIN(v->low, sh.sh_addr);
		v->high = MAX(v->high, sh.sh_addr + sh.sh_size);
	}
}

/* "Linux version RELEASE (...) ...\n", init/version.c */
static void read_banner(struct vmlinux *v)
{
	Elf_Scn *scn = NULL;
	Elf_Data *data;
	GElf_Shdr sh;
	GElf_Sym sym;
	size_t n;

	if (find_symbol(v, "linux_banner", &sym))
		scn = elf_getscn(v->file.elf, sym.st_shndx);
	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS ||
	    sh.sh_flags & SHF_COMPRESSED || sym.st_value < sh.sh_addr)
		return;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf || sym.st_value - sh.sh_addr >= data->d_size)
		return;
	n = MIN(data->d_size - (size_t)(sym.st_value - sh.sh_addr), sizeof(v->banner) - 1);
	memcpy(v->banner, (char *)data->d_buf + (sym.st_value - sh.sh_addr), n);
	v->banner[strcspn(v->banner, "\n")] = '\0';
	if (sscanf(v->banner, "Linux version %64[^ ]", v->release) != 1)
		v->banner[0] = v->release[0] = '\0';
}

static int check_kind(const struct vmlinux *v, struct err *e)
{
	int class = v->want.word == 4 ? ELFCLASS32 : ELFCLASS64;
	int data = v->want.order == ORDER_BE ? ELFDATA2MSB : ELFDATA2LSB;
	const char *ident = elf_getident(v->file.elf, NULL);
	GElf_Ehdr eh;

	if (!ident || !gelf_getehdr(v->file.elf, &eh) ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN))
		return err_set(e, ERR_UNSUPPORTED, "%s: is no executable, as a vmlinux is",
			       v->path);
	if (eh.e_machine != v->want.e_machine || ident[EI_DATA] != data || ident[EI_CLASS] != class)
		return err_set(e, ERR_MISMATCH,
			       "%s: is not of the dump's architecture: ELF machine %u of %d bits, "
			       "%s-endian",
			       v->path, eh.e_machine, ident[EI_CLASS] == ELFCLASS32 ? 32 : 64,
			       ident[EI_DATA] == ELFDATA2MSB ? "big" : "little");
	return 0;
}

/* ---- types ---- */

/* What compressed sections take when they are unpacked, by their own word. */
static uint64_t unpacked_bytes(Elf *elf)
{
	Elf_Scn *scn = NULL;
	uint64_t n = 0;
	GElf_Shdr sh;
	GElf_Chdr ch;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_flags & SHF_COMPRESSED &&
		    gelf_getchdr(scn, &ch) && __builtin_add_overflow(n, ch.ch_size, &n))
			return UINT64_MAX;
	return n;
}

static int load_types(struct vmlinux *v, struct err *e)
{
	Elf *elf = v->file.elf;
	GElf_Shdr sh;

	if (!find_section(elf, is_debug_info, &sh)) {
		elf = v->debug.elf;
		if (!elf || !find_section(elf, is_debug_info, &sh))
			return err_set(e, ERR_MISSING, "it has no types (DWARF)");
	}
	if (unpacked_bytes(elf) > MAX_UNPACKED)
		return err_set(e, ERR_UNSUPPORTED,
			       "its compressed sections take more than %" PRIu64 " bytes",
			       MAX_UNPACKED);
	v->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!v->dwarf)
		return err_set(e, ERR_CORRUPT, "its DWARF cannot be read: %s",
			       dwarf_errmsg(dwarf_errno()));
	return dwarf_types_open(v->dwarf, &v->types, e);
}

static struct dwarf_types *provide_types(struct vmlinux *v)
{
	struct err why = ERR_INIT;

	if (!v->tried_types && load_types(v, &why))
		v->types = NULL;
	v->tried_types = true;
	return v->types;
}

/* ---- the provider ---- */

static bool vmlinux_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			 uint64_t *ret)
{
	struct vmlinux *v = (struct vmlinux *)base;

	if (kind == FACT_SYMBOL)
		return symbol_fact(v, name, ret);
	return provide_types(v) && dwarf_types_fact(v->types, kind, name, ret);
}

static int vmlinux_type(const struct fact_provider *base, const char *name, struct btf **ret,
			struct err *e)
{
	struct vmlinux *v = (struct vmlinux *)base;

	if (!provide_types(v))
		return err_set(e, ERR_MISSING, "%s: it has no types (DWARF)", v->path);
	return dwarf_types_btf(v->types, name, v->want.order, v->want.word, ret, e);
}

static bool vmlinux_text(const struct fact_provider *base, const char *key, const char **ret,
			 size_t *ret_len)
{
	struct vmlinux *v = (struct vmlinux *)base;

	*ret = !strcmp(key, "BUILD-ID")	   ? v->id_text
	       : !strcmp(key, "OSRELEASE") ? v->release
	       : !strcmp(key, "BANNER")	   ? v->banner
					   : "";
	*ret_len = strlen(*ret);
	return *ret_len != 0;
}

static void vmlinux_close(struct fact_provider *base)
{
	struct vmlinux *v = (struct vmlinux *)base;

	dwarf_types_close(v->types);
	if (v->dwarf)
		dwarf_end(v->dwarf);
	free(v->symbols.hash);
	file_close(&v->debug);
	file_close(&v->file);
	free(v->path);
	free(v);
}

static int prepare(struct vmlinux *v, struct err *e)
{
	GElf_Shdr sh;
	size_t i;

	if (check_kind(v, e))
		return -1;
	v->id_len = build_id(v->file.elf, v->id);
	for (i = 0; i < v->id_len; i++)
		snprintf(v->id_text + 2 * i, 3, "%02x", v->id[i]);
	if (!find_section(v->file.elf, is_debug_info, &sh))
		find_debug(v);
	read_extent(v);
	if (load_symbols(v, v->file.elf, e))
		return -1;
	if (!v->symbols.nr && v->debug.elf && load_symbols(v, v->debug.elf, e))
		return -1;
	read_banner(v);
	return 0;
}

int elfutils_vmlinux_open(const char *path, const struct vmlinux_want *want,
			  struct fact_provider **ret, struct err *e)
{
	struct vmlinux *v = calloc(1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, "%s: out of memory", path);
	v->base = (struct fact_provider){ .name = "vmlinux",
					  .fact = vmlinux_fact,
					  .text = vmlinux_text,
					  .type = vmlinux_type,
					  .close = vmlinux_close };
	v->want = *want;
	v->path = strdup(path);
	if (!v->path) {
		free(v);
		return err_set(e, ERR_NOMEM, "%s: out of memory", path);
	}
	if (file_open(path, &v->file, e) || prepare(v, e)) {
		vmlinux_close(&v->base);
		return -1;
	}
	*ret = &v->base;
	return 0;
}
