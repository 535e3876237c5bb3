/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elffile.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <lzo/lzoconf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"

#define MAX_MODINFO ((size_t)1 << 20)
#define NT_GO_BUILD_ID 4
#define MAX_UNITS (4u << 20)
#define CRC_PIECE ((size_t)256 << 10)

static void copy_text(char *to, size_t size, const void *from, size_t len)
{
	size_t n = strnlen(from, len);

	/* What does not fit, or has no end, is no name. */
	if (n == len || n >= size)
		return;
	memcpy(to, from, n + 1);
}

static size_t copy_id(uint8_t *to, const void *from, size_t len)
{
	if (!len || len > ELFFILE_MAX_ID)
		return 0;
	memcpy(to, from, len);
	return len;
}

/* .gnu_debugaltlink (dwz): the name, then the build-id of the file it is of. */
static void read_altlink(Elf_Scn *scn, struct elffile *f)
{
	Elf_Data *data = elf_rawdata(scn, NULL);
	size_t n;

	if (!data || !data->d_buf)
		return;
	n = strnlen(data->d_buf, data->d_size);
	if (n == data->d_size)
		return;
	copy_text(f->altlink, sizeof(f->altlink), data->d_buf, data->d_size);
	f->alt_id_len = copy_id(f->alt_id, (const char *)data->d_buf + n + 1, data->d_size - n - 1);
}

/* Texts "key=value", each with its end (include/linux/moduleparam.h, __MODULE_INFO). */
static void read_modinfo(Elf_Scn *scn, struct elffile *f)
{
	static const char key[] = "srcversion=";
	Elf_Data *data = elf_rawdata(scn, NULL);
	const char *text = data ? data->d_buf : NULL, *end = text ? text + data->d_size : NULL;

	while (text && text < end) {
		size_t n = strnlen(text, (size_t)(end - text));

		if (n > sizeof(key) - 1 && !memcmp(text, key, sizeof(key) - 1)) {
			copy_text(f->srcversion, sizeof(f->srcversion), text + sizeof(key) - 1,
				  (size_t)(end - text) - (sizeof(key) - 1));
			return;
		}
		text += n + 1;
	}
}

/* A byte 1, then the name of a Python file (gdb manual, "dotdebug_gdb_scripts section"). */
static void read_gdb_script(Elf_Scn *scn, struct elffile *f)
{
	Elf_Data *data = elf_rawdata(scn, NULL);
	const char *text = data ? data->d_buf : NULL;

	if (text && data->d_size > 1 && text[0] == 1)
		copy_text(f->gdb_script, sizeof(f->gdb_script), text + 1, data->d_size - 1);
}

/* Texts, each with its end: what compilers call themselves. */
static void read_comment(Elf_Scn *scn, struct elffile *f)
{
	static const char key[] = "rustc version ";
	Elf_Data *data = elf_rawdata(scn, NULL);
	const char *text = data ? data->d_buf : NULL, *end = text ? text + data->d_size : NULL;

	for (; text && text < end; text += strnlen(text, (size_t)(end - text)) + 1)
		if (!f->rustc[0] && (size_t)(end - text) >= sizeof(key) &&
		    !memcmp(text, key, sizeof(key) - 1))
			copy_text(f->rustc, sizeof(f->rustc), text, (size_t)(end - text));
}

/*
 * Does one of the units refer to a .dwo file? DWARF 5 has a type of its own for those; what is
 * older and has .debug_addr beside it is GNU's DebugFission. Their headers alone are looked at.
 */
static bool has_skeleton(int fd, const GElf_Shdr *info, enum byte_order order)
{
	uint64_t off = 0, len;
	uint8_t raw[15];
	uint32_t left;

	if (info->sh_flags & SHF_COMPRESSED)
		return true; /* may be */
	for (left = MAX_UNITS; left && off < info->sh_size; left--) {
		const uint8_t *version;
		bool wide;

		if (pread(fd, raw, sizeof(raw), (off_t)(info->sh_offset + off)) != sizeof(raw))
			return false;
		wide = load_u32(raw, order) == UINT32_MAX;
		len = wide ? load_u64(raw + 4, order) : load_u32(raw, order);
		version = raw + (wide ? 12 : 4);
		if (load_u16(version, order) < 5 || version[2] == DW_UT_skeleton)
			return true;
		if (__builtin_add_overflow(off, len + (wide ? 12 : 4), &off) || !len)
			return false;
	}
	return false;
}

static void read_sections(int fd, Elf *elf, enum byte_order order, struct elffile *f)
{
	GElf_Shdr sh, info = { .sh_size = 0 };
	Elf_Scn *scn = NULL;
	bool addr = false;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name =
			gelf_getshdr(scn, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;

		if (!name || sh.sh_type == SHT_NOBITS)
			continue;
		if (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info")) {
			f->debug_info = true;
			info = sh;
			info.sh_flags |= name[1] == 'z' ? SHF_COMPRESSED : 0;
		} else if (!strcmp(name, ".gnu_debugdata"))
			f->mini_debug = true;
		else if (!strcmp(name, ".debug_addr") || !strcmp(name, ".zdebug_addr"))
			addr = true;
		else if (!strcmp(name, ".debug_gdb_scripts"))
			read_gdb_script(scn, f);
		else if (!strcmp(name, ".comment") && sh.sh_size <= MAX_MODINFO)
			read_comment(scn, f);
		else if (!strcmp(name, ".modinfo") && sh.sh_size <= MAX_MODINFO)
			read_modinfo(scn, f);
		else if (!strcmp(name, ".gnu_debugaltlink") &&
			 sh.sh_size <= sizeof(f->altlink) + ELFFILE_MAX_ID)
			read_altlink(scn, f);
	}
	f->split_dwarf = addr && info.sh_size && has_skeleton(fd, &info, order);
}

static void read_interp(int fd, const GElf_Phdr *ph, struct elffile *f)
{
	if (!ph->p_filesz || ph->p_filesz > sizeof(f->interp))
		return;
	if (pread(fd, f->interp, ph->p_filesz, (off_t)ph->p_offset) == (ssize_t)ph->p_filesz)
		f->interp[ph->p_filesz - 1] = '\0';
	else
		f->interp[0] = '\0';
}

/* Go's build-id is a text of its own (Go cmd/internal/buildid/note.go). */
static void read_go_id(Elf *elf, const GElf_Phdr *ph, struct elffile *f)
{
	Elf_Data *data =
		ph->p_filesz <= MAX_MODINFO
			? elf_getdata_rawchunk(elf, (int64_t)ph->p_offset, ph->p_filesz, ELF_T_NHDR)
			: NULL;
	size_t off = 0, name, desc;
	GElf_Nhdr n;

	while (data && (off = gelf_getnote(data, off, &n, &name, &desc))) {
		const char *bytes = data->d_buf;

		if (n.n_type != NT_GO_BUILD_ID || n.n_namesz < sizeof("Go") ||
		    memcmp(bytes + name, "Go", sizeof("Go")) || n.n_descsz >= sizeof(f->go_id))
			continue;
		memcpy(f->go_id, bytes + desc, n.n_descsz);
		f->go_id[n.n_descsz] = '\0';
	}
}

static void read_segments(int fd, Elf *elf, struct elffile *f)
{
	size_t i, nr;
	GElf_Phdr ph;

	if (elf_getphdrnum(elf, &nr))
		return;
	for (i = 0; i < nr && gelf_getphdr(elf, (int)i, &ph); i++)
		if (ph.p_type == PT_INTERP)
			read_interp(fd, &ph, f);
		else if (ph.p_type == PT_NOTE)
			read_go_id(elf, &ph, f);
}

int elffile_read(int fd, const char *name, struct elffile *ret, struct err *e)
{
	Elf *elf;
	GElf_Ehdr eh;
	GElf_Word crc;
	const void *id;
	const char *link;
	ssize_t len;

	*ret = (struct elffile){ 0 };
	elf_version(EV_CURRENT);
	/* By reading: a mapped file that shrinks meanwhile would end us. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh)) {
		elf_end(elf);
		return err_set(e, ERR_UNSUPPORTED, "%s: is no ELF file", name);
	}
	ret->type = eh.e_type;
	ret->machine = eh.e_machine;
	len = dwelf_elf_gnu_build_id(elf, &id);
	ret->id_len = len > 0 ? copy_id(ret->id, id, (size_t)len) : 0;
	link = dwelf_elf_gnu_debuglink(elf, &crc);
	if (link && strlen(link) < sizeof(ret->debuglink) && !strchr(link, '/')) {
		strcpy(ret->debuglink, link);
		ret->debuglink_crc = crc;
	}
	read_sections(fd, elf, eh.e_ident[EI_DATA] == ELFDATA2MSB ? ORDER_BE : ORDER_LE, ret);
	read_segments(fd, elf, ret);
	elf_end(elf);
	return 0;
}

int elffile_crc(int fd, const char *name, uint32_t *ret, struct err *e)
{
	/* Not of the thread: its stack would have to hold it, of every thread there is. */
	_cleanup_free_ uint8_t *buf = malloc(CRC_PIECE);
	uint32_t crc = 0;
	off_t off = 0;
	ssize_t n;

	if (!buf)
		return err_set(e, ERR_NOMEM, "out of memory");
	while ((n = pread(fd, buf, CRC_PIECE, off)) > 0) {
		crc = lzo_crc32(crc, buf, (lzo_uint)n);
		off += n;
	}
	if (n < 0)
		return err_sys(e, errno, "%s: offset 0x%llx", name, (unsigned long long)off);
	*ret = crc;
	return 0;
}

void elffile_id_text(const uint8_t *id, size_t len, char *ret)
{
	size_t i;

	*ret = '\0';
	for (i = 0; i < len && i < ELFFILE_MAX_ID; i++)
		sprintf(ret + 2 * i, "%02x", id[i]);
}
