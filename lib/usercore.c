/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Headers, notes and memory of the core of a process.
 *
 * Facts: gabi; Linux fs/binfmt_elf.c (elf_core_dump(), fill_psinfo(), fill_auxv_note()),
 * include/linux/elfcore.h and elfcore-compat.h (struct elf_prpsinfo).
 */
#include "usercore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "usercore_priv.h"

#define ET_CORE_TYPE 4
#define PN_XNUM_COUNT 0xffff
#define MAX_SEGMENTS (4u << 20) /* a process has 65530 mappings, or what vm.max_map_count says */
#define MAX_NOTES ((uint64_t)256 << 20)
#define MAX_AUXV 4096
/* Pages looked at in memory; a file takes three, an entry of the loader's list as many. */
#define BUDGET (1u << 20)

enum { NT_PRPSINFO_TYPE = 3, NT_TASKSTRUCT_TYPE = 4, NT_AUXV_TYPE = 6, NT_FILE_TYPE = 0x46494c45 };
enum {
	AT_PHDR_KEY = 3,
	AT_PHENT_KEY = 4,
	AT_PHNUM_KEY = 5,
	AT_BASE_KEY = 7,
	AT_EXECFN_KEY = 31,
	AT_SYSINFO_EHDR_KEY = 33
};

/* ---- headers ---- */

struct header {
	uint8_t word;
	enum byte_order order;
	uint16_t type, machine, phentsize;
	uint64_t phoff, nr; /* program headers */
};

static unsigned int phdr_size(unsigned int word)
{
	return word == 8 ? 56 : 32;
}

/* Beyond 65534 their number stands in sh_info of section header 0 (gabi, PN_XNUM). */
static uint64_t count_phdrs(struct source *s, const struct header *h, uint64_t shoff,
			    uint16_t phnum)
{
	unsigned int info = h->word == 8 ? 44 : 28;
	struct err ignored = ERR_INIT;
	uint8_t raw[4];

	if (phnum != PN_XNUM_COUNT || !shoff || shoff > UINT64_MAX - info ||
	    source_read(s, shoff + info, raw, sizeof(raw), &ignored))
		return phnum;
	return load_u32(raw, h->order);
}

static bool read_header(struct source *s, struct header *ret)
{
	struct err ignored = ERR_INIT;
	uint8_t raw[64] = { 0 };
	uint64_t shoff;
	struct bytes b;

	if (source_read(s, 0, raw, 52, &ignored) || memcmp(raw, "\177ELF", 4) ||
	    (raw[4] != 1 && raw[4] != 2) || (raw[5] != 1 && raw[5] != 2))
		return false;
	*ret = (struct header){ .word = raw[4] == 2 ? 8 : 4,
				.order = raw[5] == 2 ? ORDER_BE : ORDER_LE };
	if (ret->word == 8 && source_read(s, 0, raw, 64, &ignored))
		return false;
	b = bytes_init(raw, sizeof(raw), ret->order, "ELF header", 0);
	bytes_seek(&b, 16);
	ret->type = bytes_u16(&b);
	ret->machine = bytes_u16(&b);
	bytes_skip(&b, 4 + ret->word); /* e_version, e_entry */
	ret->phoff = bytes_uint(&b, ret->word);
	shoff = bytes_uint(&b, ret->word);
	bytes_skip(&b, 4 + 2); /* e_flags, e_ehsize */
	ret->phentsize = bytes_u16(&b);
	if (ret->phentsize < phdr_size(ret->word))
		ret->phentsize = (uint16_t)phdr_size(ret->word);
	ret->nr = count_phdrs(s, ret, shoff, bytes_u16(&b));
	ret->nr = MIN(ret->nr, MAX_SEGMENTS);
	return ret->type == ET_CORE_TYPE;
}

struct phdr {
	struct usercore_phdr p;
	uint64_t paddr;
};

static bool read_phdr(struct source *s, const struct header *h, uint64_t i, struct phdr *ret)
{
	struct err ignored = ERR_INIT;
	uint64_t off = h->phoff + i * h->phentsize;
	uint8_t raw[56];
	struct bytes b = bytes_init(raw, phdr_size(h->word), h->order, "program header", off);

	if (off < h->phoff || source_read(s, off, raw, b.size, &ignored))
		return false;
	ret->p.type = bytes_u32(&b);
	bytes_skip(&b, h->word == 8 ? 4 : 0); /* p_flags */
	ret->p.offset = bytes_uint(&b, h->word);
	ret->p.vaddr = bytes_uint(&b, h->word);
	ret->paddr = bytes_uint(&b, h->word);
	ret->p.filesz = bytes_uint(&b, h->word);
	ret->p.memsz = bytes_uint(&b, h->word);
	return true;
}

/* ---- memory ---- */

static int by_address(const void *a, const void *b)
{
	const struct usercore_segment *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* The segment that holds ADDR, or NULL. */
static const struct usercore_segment *segment_at(const struct usercore *u, uint64_t addr)
{
	size_t low = 0, high = u->nr_segments;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->segments[mid].vaddr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - u->segments[low - 1].vaddr >= u->segments[low - 1].size)
		return NULL;
	return &u->segments[low - 1];
}

size_t usercore_read_some(const struct usercore *u, uint64_t addr, void *buf, size_t len)
{
	size_t done = 0, want, got;
	int os;

	while (done < len && addr <= UINT64_MAX - done) {
		const struct usercore_segment *s = segment_at(u, addr + done);
		uint64_t into;

		if (!s)
			break;
		into = addr + done - s->vaddr;
		want = (size_t)MIN(len - done, s->size - into);
		got = source_read_some(u->source, s->off + into, (uint8_t *)buf + done, want, &os);
		done += got;
		if (got < want)
			break;
	}
	return done;
}

bool usercore_read(const struct usercore *u, uint64_t addr, void *buf, size_t len)
{
	return usercore_read_some(u, addr, buf, len) == len;
}

/* Take what LEN bytes cost. */
static bool spend(struct usercore *u, size_t len)
{
	uint64_t cost = 1 + len / 4096;

	if (u->budget >= cost) {
		u->budget -= cost;
		return true;
	}
	if (u->budget)
		log_warn(
			u->log,
			"%s: more is to be looked at in memory than any process needs; the rest is not",
			source_name(u->source));
	u->budget = 0;
	return false;
}

bool usercore_look(struct usercore *u, uint64_t addr, void *buf, size_t len)
{
	return spend(u, len) && usercore_read(u, addr, buf, len);
}

char *usercore_text(struct usercore *u, uint64_t addr)
{
	char buf[USERCORE_MAX_PATH];
	size_t len = 0, got;

	if (!addr)
		return NULL;
	/* Short pieces: most names are. */
	do {
		if (!spend(u, 256))
			return NULL;
		got = usercore_read_some(u, addr + len, buf + len, 256);
		if (memchr(buf + len, '\0', got))
			return strdup(buf);
		len += got;
	} while (got == 256 && len < sizeof(buf));
	return NULL;
}

uint64_t usercore_wrap(const struct usercore *u, uint64_t addr)
{
	return u->word == 4 ? (uint32_t)addr : addr;
}

static int add_segment(struct usercore *u, const struct usercore_phdr *p, struct err *e)
{
	struct usercore_segment *more;
	size_t room;

	if ((u->nr_segments & (u->nr_segments - 1)) == 0) {
		room = u->nr_segments ? u->nr_segments * 2 : 1;
		more = realloc(u->segments, room * sizeof(*more));
		if (!more)
			return err_set(e, ERR_NOMEM, "no memory for %zu segments", room);
		u->segments = more;
	}
	u->segments[u->nr_segments++] =
		(struct usercore_segment){ .vaddr = p->vaddr, .size = p->filesz, .off = p->offset };
	return 0;
}

static bool is_beyond(struct source *s, const struct usercore_phdr *p)
{
	return p->offset > source_size(s) || p->filesz > source_size(s) - p->offset;
}

static int read_segments(struct usercore *u, const struct header *h, struct err *e)
{
	uint64_t i, bad = 0, known = 0;
	struct phdr p;

	for (i = 0; i < h->nr && read_phdr(u->source, h, i, &p); i++) {
		known++;
		if (p.p.type != PT_LOAD_TYPE || !p.p.filesz)
			continue;
		if (p.p.filesz > UINT64_MAX - p.p.vaddr || p.p.filesz > UINT64_MAX - p.p.offset) {
			bad++;
			continue;
		}
		u->truncated |= is_beyond(u->source, &p.p);
		if (add_segment(u, &p.p, e))
			return -1;
	}
	u->truncated |= i < h->nr || source_is_cut(u->source);
	if (bad)
		log_warn(u->log, "%s: %" PRIu64 " segments lie where no address is; left out",
			 source_name(u->source), bad);
	if (!known)
		return err_set(e, ERR_CORRUPT, "%s: no program header of this core can be read",
			       source_name(u->source));
	if (u->nr_segments)
		qsort(u->segments, u->nr_segments, sizeof(*u->segments), by_address);
	return 0;
}

/* ---- notes ---- */

/* Give every note of every PT_NOTE to SEE, until it returns false. What is cut off is left out. */
static void each_note(struct source *s, const struct header *h,
		      bool (*see)(void *priv, const struct note *n), void *priv)
{
	uint64_t i, left = MAX_NOTES;
	bool go_on = true;
	struct phdr p;

	for (i = 0; go_on && i < h->nr && read_phdr(s, h, i, &p); i++) {
		struct err ignored = ERR_INIT;
		struct window w = { 0 };
		struct bytes b;
		struct note n;

		if (p.p.type != PT_NOTE_TYPE || p.p.offset >= source_size(s))
			continue;
		p.p.filesz = MIN(MIN(p.p.filesz, left), source_size(s) - p.p.offset);
		left -= p.p.filesz;
		if (!p.p.filesz ||
		    source_get_exact(s, p.p.offset, (size_t)p.p.filesz, &w, &ignored))
			continue;
		b = bytes_init(w.data, w.len, h->order, "notes", p.p.offset);
		while (go_on && note_next(&b, &n))
			go_on = see(priv, &n);
		source_put(&w);
	}
}

/*
 * By size: 64-bit; 32-bit with user ids of 16 bits (i386, arm, m68k, sparc, sh), and of 32
 * (powerpc, mips, riscv, parisc).
 */
static const struct psinfo_layout {
	size_t size;
	uint8_t pid, comm, args;
} psinfo_layouts[] = {
	{ 136, 24, 40, 56 },
	{ 124, 12, 28, 44 },
	{ 128, 16, 32, 48 },
};

static void copy_text(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
}

static void read_psinfo(struct usercore *u, const struct note *n)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(psinfo_layouts); i++) {
		const struct psinfo_layout *l = &psinfo_layouts[i];

		if (l->size != n->desc_len)
			continue;
		u->pid = (int32_t)load_u32(n->desc + l->pid, u->order);
		if (u->pid < 0)
			u->pid = 0;
		copy_text(u->comm, n->desc + l->comm, 16);
		copy_text(u->args, n->desc + l->args, 80);
	}
}

struct reading {
	struct usercore *u;
	struct err *e;
	bool failed, files, psinfo;
};

struct usercore_auxv usercore_auxv(const struct usercore *u)
{
	static const struct {
		uint64_t key;
		size_t at;
	} wanted[] = {
#define WANTED(key, member) { key, offsetof(struct usercore_auxv, member) }
		WANTED(AT_PHDR_KEY, phdr),     WANTED(AT_PHENT_KEY, phent),
		WANTED(AT_PHNUM_KEY, phnum),   WANTED(AT_BASE_KEY, base),
		WANTED(AT_EXECFN_KEY, execfn), WANTED(AT_SYSINFO_EHDR_KEY, vdso),
#undef WANTED
	};
	struct bytes b = bytes_init(u->auxv, u->auxv_len, u->order, "auxv", 0);
	struct usercore_auxv ret = { 0 };
	size_t i;

	while (bytes_left(&b) >= 2u * u->word) {
		uint64_t key = bytes_uint(&b, u->word), value = bytes_uint(&b, u->word);

		if (!key)
			break;
		for (i = 0; i < ARRAY_SIZE(wanted); i++)
			if (wanted[i].key == key)
				memcpy((char *)&ret + wanted[i].at, &value, sizeof(value));
	}
	return ret;
}

static void keep_auxv(struct usercore *u, const struct note *n)
{
	size_t len = MIN(n->desc_len, MAX_AUXV);

	u->auxv = malloc(len + 1);
	if (!u->auxv)
		return;
	memcpy(u->auxv, n->desc, len);
	u->auxv_len = len;
}

static bool read_note(void *priv, const struct note *n)
{
	struct reading *r = priv;

	if (!note_owner_is(n, "CORE"))
		return true;
	if (n->type == NT_FILE_TYPE && !r->files) {
		r->files = true;
		r->failed = usercore_add_files(r->u, n, r->e) != 0;
	} else if (n->type == NT_PRPSINFO_TYPE && !r->psinfo) {
		r->psinfo = true;
		read_psinfo(r->u, n);
	} else if (n->type == NT_AUXV_TYPE && !r->u->auxv) {
		keep_auxv(r->u, n);
	}
	return !r->failed;
}

/* ---- recognition ---- */

struct traces {
	bool process, kernel, any;
};

/*
 * Linux fs/proc/kcore.c and kernel/vmcore_info.c (VMCOREINFO), QEMU dump/dump.c, Xen's "Xen" and
 * ".note.Xen", our own.
 */
static bool look_for_traces(void *priv, const struct note *n)
{
	static const char *const owners[] = { VMCOREINFO_OWNER, "QEMU",	    "Xen",
					      ".note.Xen",	"XEN CORE", TOOL_NOTE_OWNER };
	struct traces *t = priv;
	size_t i;

	t->any = true;
	for (i = 0; i < ARRAY_SIZE(owners); i++)
		t->kernel |= note_owner_is(n, owners[i]);
	if (!note_owner_is(n, "CORE"))
		return true;
	t->kernel |= n->type == NT_TASKSTRUCT_TYPE;
	t->process |=
		n->type == NT_PRPSINFO_TYPE || n->type == NT_AUXV_TYPE || n->type == NT_FILE_TYPE;
	return !t->kernel;
}

/* Segments of a process say nothing of physical addresses; the notes may be lost. */
static bool has_physical(struct source *s, const struct header *h)
{
	uint64_t i, loads = 0;
	struct phdr p;

	for (i = 0; i < h->nr && read_phdr(s, h, i, &p); i++) {
		if (p.p.type != PT_LOAD_TYPE)
			continue;
		if (p.paddr)
			return true;
		loads++;
	}
	return loads < 2;
}

bool usercore_probe(struct source *s)
{
	struct traces t = { 0 };
	struct header h;

	if (!read_header(s, &h))
		return false;
	each_note(s, &h, look_for_traces, &t);
	if (t.kernel || t.process)
		return !t.kernel;
	return !t.any && !has_physical(s, &h);
}

/* ---- all of it ---- */

static int read_all(struct usercore *u, const struct header *h, struct err *e)
{
	struct reading r = { .u = u, .e = e };
	struct usercore_auxv auxv;

	if (read_segments(u, h, e))
		return -1;
	each_note(u->source, h, read_note, &r);
	if (r.failed)
		return -1;
	u->no_files = !u->nr_files;
	auxv = usercore_auxv(u);
	u->execfn = usercore_text(u, auxv.execfn);
	if (usercore_look_at_files(u, &auxv, e) || usercore_add_links(u, &auxv, e))
		return -1;
	usercore_sort_files(u);
	return 0;
}

int usercore_open(struct source *s, struct log *log, struct usercore **ret, struct err *e)
{
	struct header h;
	struct usercore *u;

	if (!read_header(s, &h))
		return err_set(e, ERR_CORRUPT, "%s: is no ELF core", source_name(s));
	u = calloc(1, sizeof(*u));
	if (!u)
		return err_set(e, ERR_NOMEM, "no memory for a core");
	*u = (struct usercore){ .source = s,
				.log = log,
				.machine = h.machine,
				.word = h.word,
				.order = h.order,
				.budget = BUDGET };
	if (read_all(u, &h, e)) {
		usercore_close(u);
		return -1;
	}
	*ret = u;
	return 0;
}

void usercore_close(struct usercore *u)
{
	size_t i;

	if (!u)
		return;
	for (i = 0; i < u->nr_files; i++) {
		free(u->files[i].path);
		free(u->files[i].link_name);
	}
	free(u->files);
	free(u->maps);
	free(u->segments);
	free(u->auxv);
	free(u->execfn);
	free(u);
}
