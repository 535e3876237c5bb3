/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the headers of a kdump dump tell beside its pages: identity, notes, what was erased. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kdump.h"
#include "note.h"

#define MAX_ERASEINFO ((size_t)16 << 20)
#define MAX_VMCOREINFO ((size_t)1 << 20)

void kdump_suspect(struct dump *d, const char *what, uint64_t found, uint64_t expected)
{
	d->damage.bad_structures++;
	log_warn(d->log, "%s: %s is 0x%" PRIx64 ", expected at most 0x%" PRIx64,
		 source_name(d->source), what, found, expected);
}

/* ---- identity ---- */

/* A string of printable characters that ends inside its LEN bytes. */
static bool is_sane(const uint8_t *text, size_t len)
{
	size_t i;

	for (i = 0; i < len && text[i]; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return i < len;
}

static void tell_uts(struct dump *d, struct kdump *k, const uint8_t *raw)
{
	size_t i, j;

	for (i = 0; i < UTS_FIELDS; i++) {
		const uint8_t *text = raw + KDUMP_UTS_OFF + i * UTS_LEN;

		if (!is_sane(text, UTS_LEN))
			continue;
		strcpy(d->told.uts[i], (const char *)text);
		d->told.has_uts |= text[0] != 0;
	}
	/* QEMU: "Unknown" for what it has no name for, capital letters for some others. */
	for (j = 0; j + 1 < sizeof(k->machine); j++)
		k->machine[j] = (char)tolower((unsigned char)d->told.uts[4][j]);
	if (k->machine[0] && strcmp(k->machine, "unknown"))
		d->id.uname = k->machine;
}

static void tell_set(struct dump *d, const struct kdump_file *files)
{
	const struct kdump_file *last = &files[d->nr_sources - 1];

	d->told.split = kdump_is_split(&files[0].head);
	if (!d->told.split)
		return;
	d->told.nr_parts = d->nr_sources;
	d->told.start_pfn = files[0].start;
	d->told.end_pfn = last->end;
}

static void tell_status(struct dump *d, const struct kdump_file *f)
{
	uint64_t status = f->head.f[KD_STATUS];

	d->incomplete |= (status & kdump_incomplete(f->raw)) != 0;
	if (kdump_has_sub_header(f->raw))
		d->told.codecs |= (uint32_t)status & CODEC_ALL;
	else
		d->told.codecs |= status & DISKDUMP_ZLIB ? CODEC_ZLIB : CODEC_RAW;
}

void kdump_tell(struct dump *d, struct kdump *k, const struct kdump_file *files,
		const struct kdump_file *used)
{
	const uint64_t *f = k->head.f;
	unsigned int i;

	d->id.word = kdump_abis[k->head.abi].word;
	d->id.align64 = kdump_abis[k->head.abi].align64;
	d->id.order = k->head.order;
	d->id.page_size = 1u << k->map.unit_shift;
	d->told.version = (uint32_t)f[KD_VERSION];
	d->told.has_phys_base = kdump_has_sub_header(used->raw);
	d->told.phys_base = f[KD_PHYS_BASE];
	d->told.has_level = d->told.has_phys_base && f[KD_VERSION] >= 1 && f[KD_DUMP_LEVEL] <= 31;
	d->told.level = d->told.has_level ? (int)f[KD_DUMP_LEVEL] : 0;
	d->told.time = (int64_t)f[KD_TIME];
	d->told.has_time = d->told.time > 0 && d->told.time < (int64_t)1 << 40;
	for (i = 0; i < d->nr_sources; i++)
		tell_status(d, &files[i]);
	tell_uts(d, k, used->raw);
	tell_set(d, files);
	if (f[KD_VERSION] > KDUMP_VERSION)
		kdump_suspect(d, "header_version", f[KD_VERSION], KDUMP_VERSION);
}

/* ---- notes ---- */

/* Bytes that the file has of a place in it; too many are none. */
static uint64_t clip(struct dump *d, const struct kdump_file *f, enum kdump_field off,
		     uint64_t most)
{
	uint64_t at = f->head.f[off], len = f->head.f[off + 1], size = source_size(f->source);
	uint64_t have = at < size ? MIN(len, size - at) : 0;

	if (!at || !len)
		return 0;
	if (have == len && len <= most)
		return len;
	d->damage.bad_structures++;
	log_warn(d->log,
		 "%s: %s is 0x%" PRIx64 ", %s 0x%" PRIx64
		 ": not in the file, which ends at 0x%" PRIx64 ", or too much",
		 source_name(f->source), kdump_fields[off].name, at, kdump_fields[off + 1].name,
		 len, size);
	return have <= most ? have : 0;
}

static int get_notes(struct dump *d, const struct kdump_file *f, struct err *e)
{
	uint64_t len = clip(d, f, KD_NOTES_OFF, DUMP_MAX_NOTES), before = source_my_faults();

	if (!len)
		return 0;
	if (source_get_exact(f->source, f->head.f[KD_NOTES_OFF], (size_t)len, &d->notes_window, e))
		return -1;
	touch_pages(d->notes_window.data, d->notes_window.len);
	if (source_my_faults() != before) {
		d->damage.bad_structures++;
		log_warn(d->log, "%s: parts of the notes cannot be read, they are taken for zeros",
			 source_name(f->source));
	}
	d->notes = d->notes_window.data;
	d->notes_len = d->notes_window.len;
	d->notes_off = f->head.f[KD_NOTES_OFF];
	return 0;
}

static bool has_vmcoreinfo(const struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct note n;

	while (note_next(&b, &n))
		if (note_owner_is(&n, "VMCOREINFO"))
			return true;
	return false;
}

/* Up to version 3 there is the text only: make a note of it, which other formats can hold. */
static int make_note(struct dump *d, const struct kdump_file *f, struct err *e)
{
	uint64_t len = has_vmcoreinfo(d) ? 0 : clip(d, f, KD_VMCOREINFO_OFF, MAX_VMCOREINFO);
	_cleanup_free_ uint8_t *text = len ? malloc((size_t)len) : NULL, *notes = NULL;
	struct err why = ERR_INIT;
	size_t notes_len = d->notes_len;

	if (!len)
		return 0;
	if (text && source_read(f->source, f->head.f[KD_VMCOREINFO_OFF], text, (size_t)len, &why)) {
		d->damage.bad_structures++;
		log_warn(d->log, "VMCOREINFO: %s", why.text);
		return 0;
	}
	notes = malloc(ALIGN_UP(notes_len, 4) + 4);
	if (!text || !notes)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	memset(notes, 0, ALIGN_UP(notes_len, 4));
	if (notes_len)
		memcpy(notes, d->notes, notes_len);
	notes_len = ALIGN_UP(notes_len, 4);
	if (!note_append(&notes, &notes_len, d->id.order, "VMCOREINFO", 0, text, (size_t)len))
		return err_set(e, ERR_NOMEM, "no memory for notes");
	source_put(&d->notes_window);
	d->notes = d->notes_copy = notes;
	d->notes_len = notes_len;
	notes = NULL;
	return 0;
}

/*
 * QEMU names few of its machines. The size of struct elf_prstatus, with the byte order, does; the
 * word is the file's, which is 64 bit also for an i386 whose memory ends at 4 GiB. ELF machine
 * numbers are those of the gabi.
 */
static const struct {
	uint16_t prstatus, e_machine;
	enum byte_order order;
} machines[] = {
	{ 144, 3, ORDER_LE },	/* i386 */
	{ 148, 40, ORDER_LE },	/* Arm */
	{ 268, 20, ORDER_BE },	/* PowerPC */
	{ 328, 20, ORDER_BE },	/* as QEMU 7.2 has it */
	{ 336, 22, ORDER_BE },	/* S/390 */
	{ 336, 62, ORDER_LE },	/* x86-64 */
	{ 376, 243, ORDER_LE }, /* RISC-V */
	{ 392, 183, ORDER_LE }, /* Arm64 */
	{ 480, 258, ORDER_LE }, /* LoongArch */
	{ 504, 21, ORDER_BE },	/* PowerPC, 64 bit */
	{ 504, 21, ORDER_LE },
};

static uint16_t machine_by_notes(const struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct note n;
	size_t i;

	while (note_next(&b, &n)) {
		if (n.type != NT_PRSTATUS_TYPE || !note_owner_is(&n, "CORE"))
			continue;
		for (i = 0; i < ARRAY_SIZE(machines); i++)
			if (machines[i].prstatus == n.desc_len && machines[i].order == d->id.order)
				return machines[i].e_machine;
	}
	return 0;
}

/* What was erased, of all parts; those that tell the same tell it once. */
static int add_eraseinfo(struct dump *d, const struct kdump_file *f, struct err *e)
{
	size_t len = (size_t)clip(d, f, KD_ERASEINFO_OFF, MAX_ERASEINFO - d->eraseinfo_len);
	struct err why = ERR_INIT;
	uint8_t *more;

	if (!len)
		return 0;
	more = realloc(d->eraseinfo_copy, d->eraseinfo_len + len);
	if (!more)
		return err_set(e, ERR_NOMEM, "no memory for what was erased");
	d->eraseinfo = d->eraseinfo_copy = more;
	if (source_read(f->source, f->head.f[KD_ERASEINFO_OFF], more + d->eraseinfo_len, len,
			&why)) {
		d->damage.bad_structures++;
		log_warn(d->log, "what was erased: %s", why.text);
		return 0;
	}
	if (!memmem(more, d->eraseinfo_len, more + d->eraseinfo_len, len))
		d->eraseinfo_len += len;
	return 0;
}

int kdump_read_notes(struct dump *d, const struct kdump_file *files, const struct kdump_file *used,
		     struct err *e)
{
	unsigned int i;

	if (get_notes(d, used, e) || make_note(d, used, e))
		return -1;
	dump_read_notes(d);
	if (!d->id.uname)
		d->id.e_machine = machine_by_notes(d);
	for (i = 0; i < d->nr_sources; i++)
		if (add_eraseinfo(d, &files[i], e))
			return -1;
	return 0;
}
