/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF cores with physical addresses, the reader: /proc/vmcore, makedumpfile -E, QEMU's
 * dump-guest-memory with and without paging. elf_write.c writes them.
 *
 * Sources: gabi; Linux fs/proc/vmcore.c and kernel/crash_core.c; QEMU dump/dump.c, which puts
 * section headers first (e_phoff is not the end of the ELF header), leaves p_offset unaligned, sets
 * e_ehsize to 8 and writes section headers in host order. So: e_phoff is believed, e_ehsize and
 * sections are not, except for section 0 with PN_XNUM.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "elf.h"
#include "extents.h"
#include "formats.h"
#include "note.h"

#define MAX_PHYS_BITS 56 /* riscv64, the widest of all */

struct ehdr {
	unsigned int word; /* 4 or 8: of the file's class */
	enum byte_order order;
	uint16_t type, machine, phentsize, phnum, shentsize;
	uint32_t flags;
	uint64_t phoff, shoff;
};

struct phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

/* Read the header at the start of S. False when the identification bytes make no sense. */
static bool read_ehdr(struct source *s, struct ehdr *h, struct err *e)
{
	uint8_t raw[EHDR_MAX] = { 0 };
	size_t size;
	struct bytes b;

	if (source_read(s, 0, raw, 16, e))
		return false;
	if ((raw[EI_CLASS] != 1 && raw[EI_CLASS] != 2) ||
	    (raw[EI_DATA] != 1 && raw[EI_DATA] != 2)) {
		err_set(e, ERR_CORRUPT, "%s: ELF class %u, byte order %u; expected 1 or 2 each",
			source_name(s), raw[EI_CLASS], raw[EI_DATA]);
		return false;
	}
	h->word = raw[EI_CLASS] == 2 ? 8 : 4;
	h->order = raw[EI_DATA] == 2 ? ORDER_BE : ORDER_LE;
	size = elf_ehdr_size(h->word);
	if (source_read(s, 16, raw + 16, size - 16, e)) {
		err_add(e, "ELF header");
		return false;
	}
	b = bytes_init(raw, size, h->order, "ELF header", 0);
	bytes_seek(&b, 16);
	h->type = bytes_u16(&b);
	h->machine = bytes_u16(&b);
	bytes_skip(&b, 4 + h->word); /* e_version, e_entry */
	h->phoff = bytes_uint(&b, h->word);
	h->shoff = bytes_uint(&b, h->word);
	h->flags = bytes_u32(&b);
	bytes_skip(&b, 2); /* e_ehsize */
	h->phentsize = bytes_u16(&b);
	h->phnum = bytes_u16(&b);
	h->shentsize = bytes_u16(&b);
	return true;
}

static const struct magic elf_magic[] = {
	{ 0, "\177ELF", 4 },
	{ 0, NULL, 0 },
};

static int elf_probe(struct source *s)
{
	struct ehdr h;
	struct err ignored = ERR_INIT;

	/*
	 * A file that is too short for its header is still an ELF file: open() says what is wrong
	 * with it.
	 */
	if (!read_ehdr(s, &h, &ignored))
		return 32;
	return 32 + 16 + (h.type == ET_CORE ? 16 : 0);
}

/*
 * The number of program headers; beyond 65534 it stands in sh_info of section header 0 (gabi,
 * PN_XNUM).
 */
static int count_phdrs(struct dump *d, const struct ehdr *h, uint64_t *ret, struct err *e)
{
	unsigned int info_off = h->word == 8 ? 44 : 28;
	uint8_t raw[4];

	*ret = h->phnum;
	if (h->phnum != PN_XNUM || !h->shoff)
		return 0;
	if (h->shoff > UINT64_MAX - info_off ||
	    source_read(d->source, h->shoff + info_off, raw, sizeof(raw), e))
		return err_set(e, ERR_CORRUPT,
			       "%s: e_phnum is PN_XNUM, but section header 0 at offset 0x%" PRIx64
			       " cannot be read",
			       source_name(d->source), h->shoff);
	*ret = load_u32(raw, h->order);
	return 0;
}

static struct phdr parse_phdr(const struct ehdr *h, const uint8_t *raw, uint64_t off)
{
	struct bytes b = bytes_init(raw, elf_phdr_size(h->word), h->order, "program header", off);
	struct phdr p = { .type = bytes_u32(&b) };

	if (h->word == 8)
		p.flags = bytes_u32(&b);
	p.offset = bytes_uint(&b, h->word);
	p.vaddr = bytes_uint(&b, h->word);
	p.paddr = bytes_uint(&b, h->word);
	p.filesz = bytes_uint(&b, h->word);
	p.memsz = bytes_uint(&b, h->word);
	if (h->word == 4)
		p.flags = bytes_u32(&b);
	return p;
}

static void complain(struct dump *d, const char *what, uint64_t index, const struct phdr *p,
		     const char *why)
{
	d->damage.bad_structures++;
	if (d->damage.bad_structures <= 16)
		log_warn(d->log,
			 "%s: %s[%" PRIu64 "] (offset 0x%" PRIx64 ", 0x%" PRIx64 " bytes): %s",
			 source_name(d->source), what, index, p->offset, p->filesz, why);
}

static int remember_segment(struct dump *d, const struct phdr *p, struct err *e)
{
	if ((d->nr_segments & (d->nr_segments - 1)) == 0) {
		size_t room = d->nr_segments ? d->nr_segments * 2 : 1;
		struct segment *more = realloc(d->segments, room * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu segments", room);
		d->segments = more;
	}
	d->segments[d->nr_segments++] = (struct segment){ .vaddr = p->vaddr,
							  .paddr = p->paddr,
							  .filesz = p->filesz,
							  .memsz = p->memsz,
							  .off = p->offset,
							  .flags = p->flags };
	return 0;
}

static bool is_physical(uint64_t paddr, uint64_t size)
{
	return !(paddr >> MAX_PHYS_BITS) && size <= (1ULL << MAX_PHYS_BITS) - paddr;
}

static int add_load(struct dump *d, uint64_t index, const struct phdr *p, struct err *e)
{
	if (p->filesz > p->memsz && p->memsz)
		complain(d, "PT_LOAD", index, p, "more bytes in the file than in memory; left out");
	else if (p->paddr != UINT64_MAX && !is_physical(p->paddr, MAX(p->memsz, p->filesz)))
		complain(d, "PT_LOAD", index, p,
			 "no machine has such physical addresses; left out");
	else if (p->paddr == UINT64_MAX)
		return 0; /* "no physical address": vmalloc of /proc/kcore */
	else if (p->memsz == 0 && p->filesz == 0)
		return 0;
	else if (extents_add(d, p->paddr, p->filesz, p->memsz, p->offset, e)) {
		if (e->code == ERR_NOMEM)
			return -1;
		complain(d, "PT_LOAD", index, p, "addresses wrap around; left out");
	} else
		return remember_segment(d, p, e);
	return 0;
}

/* A second PT_NOTE: all of them in one piece of memory. */
static int join_notes(struct dump *d, const struct window *more, struct err *e)
{
	size_t start = ALIGN_UP(d->notes_len, 4);
	uint8_t *joined = realloc(d->notes_copy, start + more->len);

	if (!joined)
		return err_set(e, ERR_NOMEM, "no memory for notes of %zu bytes", start + more->len);
	if (d->notes_window.data)
		memcpy(joined, d->notes, d->notes_len);
	memset(joined + d->notes_len, 0, start - d->notes_len);
	memcpy(joined + start, more->data, more->len);
	source_put(&d->notes_window);
	d->notes = d->notes_copy = joined;
	d->notes_len = start + more->len;
	return 0;
}

/* A PT_NOTE; what is missing at the end of the file is damage. */
static int add_notes(struct dump *d, uint64_t index, const struct phdr *p, struct err *e)
{
	uint64_t size = source_size(d->source);
	uint64_t have = p->offset < size ? MIN(p->filesz, size - p->offset) : 0;
	uint64_t before = source_my_faults();
	struct window w;
	int ret;

	if (have > DUMP_MAX_NOTES - d->notes_len) {
		complain(d, "PT_NOTE", index, p, "larger than any notes; left out");
		return 0;
	}
	if (have < p->filesz) {
		d->damage.missing_bytes += p->filesz - have;
		log_warn(d->log, "%s: the notes end %" PRIu64 " bytes too early",
			 source_name(d->source), p->filesz - have);
	}
	if (!have)
		return 0;
	if (source_get_exact(d->source, p->offset, (size_t)have, &w, e))
		return e->code == ERR_NOMEM ? -1 : (complain(d, "PT_NOTE", index, p, e->text), 0);
	touch_pages(w.data, w.len);
	if (source_my_faults() != before)
		complain(d, "PT_NOTE", index, p,
			 "parts of it cannot be read, they are taken for zeros");
	if (d->notes) {
		ret = join_notes(d, &w, e);
		source_put(&w);
		return ret;
	}
	d->notes_window = w;
	d->notes = w.data;
	d->notes_len = w.len;
	d->notes_off = p->offset;
	return 0;
}

#define PHDR_CHUNK 256u /* program headers per read */

/* NR program headers of ENTRY bytes; those that cannot be read become zeros: of no known type. */
static void read_chunk(struct dump *d, uint64_t off, uint8_t *raw, size_t nr, unsigned int entry)
{
	struct err e = ERR_INIT;
	size_t i;

	if (!source_read(d->source, off, raw, nr * entry, &e))
		return;
	for (i = 0; i < nr; i++) {
		if (!source_read(d->source, off + i * entry, raw + i * entry, entry, &e))
			continue;
		memset(raw + i * entry, 0, entry);
		if (!d->damage.bad_structures++)
			log_warn(d->log, "program header at offset 0x%" PRIx64 ": %s",
				 off + i * entry, e.text);
	}
}

static int read_phdrs(struct dump *d, const struct ehdr *h, uint64_t nr, struct err *e)
{
	uint64_t size = source_size(d->source), fit, i;
	unsigned int entry = elf_phdr_size(h->word);
	uint8_t raw[PHDR_CHUNK * PHDR_MAX];

	fit = h->phoff < size ? (size - h->phoff) / entry : 0;
	if (nr > DUMP_MAX_SEGMENTS)
		return err_set(e, ERR_CORRUPT,
			       "%s: %" PRIu64 " program headers, more than any dump has",
			       source_name(d->source), nr);
	if (nr > fit) {
		d->damage.missing_bytes += (nr - fit) * entry;
		log_warn(d->log,
			 "%s: %" PRIu64 " program headers at offset 0x%" PRIx64
			 ", the file has %" PRIu64,
			 source_name(d->source), nr, h->phoff, fit);
		nr = fit;
	}
	for (i = 0; i < nr; i++) {
		uint64_t off = h->phoff + i * entry, in_chunk = i % PHDR_CHUNK;
		struct phdr p;

		if (!in_chunk)
			read_chunk(d, off, raw, (size_t)MIN(nr - i, PHDR_CHUNK), entry);
		p = parse_phdr(h, raw + in_chunk * entry, off);
		if (p.type == PT_LOAD ? add_load(d, i, &p, e)
				      : p.type == PT_NOTE && add_notes(d, i, &p, e))
			return -1;
	}
	return 0;
}

/* Do the notes make sense when read in this order: is the first one of plausible size? */
static bool notes_plausible(const struct dump *d, enum byte_order order)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, order, "notes", 0);
	struct note n;

	return note_next(&b, &n);
}

/*
 * The guest's byte order is the header's, as far as the notes make sense in it. (QEMU writes a
 * big-endian header around a little-endian ppc64 guest; its notes are big-endian as well, so that
 * only the guest's memory tells.)
 */
static void decide_order(struct dump *d, const struct ehdr *h)
{
	enum byte_order other = h->order == ORDER_LE ? ORDER_BE : ORDER_LE;

	d->id.order = h->order;
	if (!notes_plausible(d, h->order) && notes_plausible(d, other))
		d->id.order = other;
}

/*
 * Memory that exists by our own note, but is not in this file: a filter left it out. (An ELF file
 * itself has no way to tell that from memory that never was.)
 */
static int add_noted_memory(struct dump *d, struct err *e)
{
	size_t i;

	for (i = 0; d->segments_noted && i < d->nr_segments; i++) {
		const struct segment *s = &d->segments[i];

		if (is_physical(s->paddr, s->memsz) &&
		    extents_add(d, s->paddr, 0, s->memsz, 0, e))
			return -1;
	}
	for (i = 0; i < d->nr_ram; i++) {
		const struct noted_ram *r = &d->ram[i];

		if (is_physical(r->addr, r->size) && extents_add(d, r->addr, 0, r->size, 0, e))
			return -1;
	}
	return 0;
}

static int elf_open(struct dump *d, struct err *e)
{
	const char *name = source_name(d->source);
	uint64_t nr;
	struct ehdr h;

	if (!read_ehdr(d->source, &h, e))
		return -1;
	if (h.type != ET_CORE)
		return err_set(e, ERR_UNSUPPORTED, "%s: ELF file of type %u, expected a core (%d)",
			       name, h.type, ET_CORE);
	if (h.phentsize != elf_phdr_size(h.word))
		return err_set(e, ERR_CORRUPT, "%s: e_phentsize is %u, expected %u", name,
			       h.phentsize, elf_phdr_size(h.word));
	if (count_phdrs(d, &h, &nr, e) || read_phdrs(d, &h, nr, e))
		return -1;
	d->id.e_machine = h.machine;
	/*
	 * The class tells nothing certain about the kernel's word: kexec-tools writes either for a
	 * 32-bit kernel.
	 */
	d->id.word = d->id.elf_class = (uint8_t)h.word;
	d->incomplete = h.flags & EF_INCOMPLETE;
	decide_order(d, &h);
	dump_read_notes(d);
	if (add_noted_memory(d, e))
		return -1;
	if (!d->map)
		return err_set(e, ERR_CORRUPT,
			       "%s: no PT_LOAD with memory among %" PRIu64
			       " program headers at 0x%" PRIx64,
			       name, nr, h.phoff);
	if (d->damage.missing_bytes)
		log_warn(d->log,
			 "%s: is cut off: %" PRIu64 " bytes that its headers announce are missing",
			 name, d->damage.missing_bytes);
	return 0;
}

static bool elf_mark(struct source *s, uint64_t *off, uint8_t ret[4])
{
	struct bytes_out o = { .data = ret, .size = 4 };
	struct err ignored = ERR_INIT;
	struct ehdr h;

	if (!read_ehdr(s, &h, &ignored))
		return false;
	o.order = h.order;
	out_uint(&o, h.flags | EF_INCOMPLETE, 4);
	*off = h.word == 8 ? 48 : 36;
	return true;
}

const struct format elf_format = {
	.name = "elf",
	.title = "ELF core",
	.magic = elf_magic,
	.probe = elf_probe,
	.open = elf_open,
	.mark = elf_mark,
	.begin = elf_begin_part,
	.put = elf_put,
	.commit = elf_commit,
	.abandon = elf_abandon,
	.finish = elf_finish,
};
