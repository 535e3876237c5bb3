/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts: DWARF 5, 3.1.2 (skeleton units), 7.3.5 (package files); GNU DebugFission and
 * DebugFissionDWP, of which version 2 differs in the width of the version alone.
 */
#include "dwo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

/* A file opened by reading: one that is mapped and shrinks meanwhile would end us. */
struct dwarf_file {
	Elf *elf;
	Dwarf *dwarf;
};

static void dwarf_close(struct dwarf_file *f)
{
	dwarf_end(f->dwarf);
	elf_end(f->elf);
}

static bool dwarf_open(int fd, struct dwarf_file *ret)
{
	elf_version(EV_CURRENT);
	ret->elf = elf_begin(fd, ELF_C_READ, NULL);
	ret->dwarf = ret->elf ? dwarf_begin_elf(ret->elf, DWARF_C_READ, NULL) : NULL;
	return ret->dwarf;
}

/* The next unit of one of the two types, GNU's are counted as those of DWARF 5. */
static bool next_unit(struct dwarf_file *f, Dwarf_CU **cu, uint8_t wanted, uint64_t *id,
		      Dwarf_Die *ret)
{
	uint8_t type;

	while (!dwarf_get_units(f->dwarf, *cu, cu, NULL, &type, ret, NULL))
		if (type == wanted)
			return !dwarf_cu_info(*cu, NULL, NULL, NULL, NULL, id, NULL, NULL);
	return false;
}

static char *text_of(Dwarf_Die *die, unsigned int name, unsigned int older)
{
	Dwarf_Attribute attr;
	const char *text = NULL;

	if (dwarf_attr(die, name, &attr) || (older && dwarf_attr(die, older, &attr)))
		text = dwarf_formstring(&attr);
	return text ? strdup(text) : NULL;
}

static int take_skeleton(Dwarf_Die *die, uint64_t id, struct dwo **list, size_t *nr, struct err *e)
{
	struct dwo d = { .id = id, .name = text_of(die, DW_AT_dwo_name, DW_AT_GNU_dwo_name) };
	struct dwo *more;

	if (!d.name || !*d.name) {
		free(d.name);
		return 0;
	}
	d.dir = text_of(die, DW_AT_comp_dir, 0);
	d.dir = d.dir ? d.dir : strdup("");
	more = d.dir ? realloc(*list, (*nr + 1) * sizeof(**list)) : NULL;
	if (!more) {
		free(d.name);
		free(d.dir);
		return err_set(e, ERR_NOMEM, "no memory for names of .dwo files");
	}
	more[(*nr)++] = d;
	*list = more;
	return 0;
}

int dwo_list(int fd, const char *name, struct dwo **ret, size_t *nr, struct err *e)
{
	struct dwarf_file f = { 0 };
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint64_t id;
	int rc = 0;

	*ret = NULL;
	*nr = 0;
	if (!dwarf_open(fd, &f))
		rc = err_set(e, ERR_UNSUPPORTED, "%s: %s", name, dwarf_errmsg(-1));
	while (!rc && *nr < DWO_MAX && next_unit(&f, &cu, DW_UT_skeleton, &id, &die))
		rc = take_skeleton(&die, id, ret, nr, e);
	dwarf_close(&f);
	if (rc)
		dwo_free(*ret, *nr);
	return rc;
}

void dwo_free(struct dwo *list, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		free(list[i].name);
		free(list[i].dir);
	}
	free(list);
}

bool dwo_has(int fd, uint64_t id)
{
	struct dwarf_file f = { 0 };
	Dwarf_CU *cu = NULL;
	bool found = false;
	uint64_t here = 0;
	Dwarf_Die die;

	if (dwarf_open(fd, &f))
		while (!found && next_unit(&f, &cu, DW_UT_split_compile, &here, &die))
			found = here == id;
	dwarf_close(&f);
	return found;
}

/* ---- package files ---- */

static Elf_Data *find_index(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name =
			gelf_getshdr(scn, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;

		if (name && !strcmp(name, ".debug_cu_index"))
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

/* Version, columns, units, slots; then the slots' units, then which of them are used. */
static uint64_t *read_index(const Elf_Data *data, enum byte_order order, size_t *nr)
{
	struct bytes b = bytes_init(data->d_buf, data->d_size, order, "index", 0), used;
	uint32_t slots, i;
	uint64_t *ret;

	bytes_seek(&b, 12);
	slots = bytes_u32(&b);
	if (b.overrun || slots > bytes_left(&b) / 12)
		return NULL;
	ret = malloc((slots + 1) * sizeof(*ret));
	used = b;
	bytes_skip(&used, (size_t)slots * 8);
	for (i = 0; ret && i < slots; i++) {
		uint64_t id = bytes_u64(&b);

		if (bytes_u32(&used))
			ret[(*nr)++] = id;
	}
	return ret;
}

uint64_t *dwp_units(int fd, size_t *nr)
{
	uint64_t *ret = NULL;
	Elf_Data *data;
	GElf_Ehdr eh;
	Elf *elf;

	*nr = 0;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &eh)) {
		data = find_index(elf);
		if (data && data->d_buf)
			ret = read_index(
				data, eh.e_ident[EI_DATA] == ELFDATA2MSB ? ORDER_BE : ORDER_LE, nr);
	}
	elf_end(elf);
	return ret;
}
