/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "cpus.h"
#include "format.h"
#include "note.h"
#include "noteorder.h"
#include "stored.h"
#include "toolnote.h"

static bool magic_fits(const struct format *f, struct source *s)
{
	const struct magic *m;

	for (m = f->magic; m && m->len; m++) {
		char buf[64];
		struct err ignored = ERR_INIT;

		if (m->len <= sizeof(buf) && !source_read(s, m->off, buf, m->len, &ignored) &&
		    !memcmp(buf, m->bytes, m->len))
			return true;
	}
	return !f->magic;
}

/* Bits that FORMAT verified in S; 0 when it is not its file. */
static int format_score(const struct format *f, struct source *s)
{
	if (!magic_fits(f, s))
		return 0;
	return f->probe ? f->probe(s) : (int)f->magic->len * 8;
}

const struct format *dump_recognise(struct source *s, const struct format *const *formats)
{
	const struct format *best = NULL;
	int best_score = 0;

	for (; *formats; formats++) {
		int score = format_score(*formats, s);

		if (score > best_score) {
			best_score = score;
			best = *formats;
		}
	}
	return best;
}

/* A dump over these sources, which stay the caller's until it is open. */
static struct dump *dump_new(const struct format *f, struct source *const *sources, unsigned int nr,
			     struct log *log)
{
	struct dump *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->sources = calloc(nr, sizeof(*d->sources));
	if (!d->sources) {
		free(d);
		return NULL;
	}
	memcpy(d->sources, sources, nr * sizeof(*sources));
	d->source = sources[0];
	d->nr_sources = nr;
	d->format = f;
	d->log = log;
	return d;
}

static const struct format *format_for(struct source *const *sources, unsigned int nr,
				       const struct format *const *formats, struct err *e)
{
	const struct format *f = dump_recognise(sources[0], formats);
	const char *name = source_name(sources[0]);

	if (!source_size(sources[0]))
		err_set(e, ERR_CORRUPT, "%s: is empty", name);
	else if (!f)
		err_set(e, ERR_UNSUPPORTED, "%s: not a dump of a format known here", name);
	else if (!f->open)
		err_set(e, ERR_UNSUPPORTED, "%s: is a %s, which cannot be read yet", name,
			f->title);
	else if (nr > 1 && !f->is_set)
		err_set(e, ERR_USAGE, "%s: is a whole dump in one file (%s); '%s' is one too many",
			name, f->title, source_name(sources[1]));
	else if (nr > DUMP_MAX_SOURCES)
		err_set(e, ERR_USAGE, "%u files, more than any dump has", nr);
	else
		return f;
	return NULL;
}

int dump_open(struct source *const *sources, unsigned int nr, const struct format *const *formats,
	      struct log *log, struct dump **ret, struct err *e)
{
	const struct format *f = format_for(sources, nr, formats, e);
	struct dump *d;
	unsigned int i;

	if (!f)
		return -1;
	d = dump_new(f, sources, nr, log);
	if (!d)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (f->open(d, e)) {
		d->nr_sources = 0; /* they stay the caller's */
		dump_close(d);
		return -1;
	}
	for (i = 0; i < nr; i++)
		if (source_is_cut(sources[i])) {
			if (source_kind(sources[i]))
				log_warn(log, "%s: the %s stream it comes in is cut off",
					 source_name(sources[i]), source_kind(sources[i]));
			else
				log_warn(log, "%s: its name says that its writer did not finish",
					 source_name(sources[i]));
			d->incomplete = true;
		}
	*ret = d;
	return 0;
}

void dump_close(struct dump *d)
{
	unsigned int i;

	if (!d)
		return;
	if (d->map && d->map->free)
		d->map->free(d);
	if (d->format->close)
		d->format->close(d);
	source_put(&d->notes_window);
	for (i = 0; i < d->nr_sources; i++)
		source_close(d->sources[i]);
	free(d->sources);
	free(d->notes_copy);
	free(d->eraseinfo_copy);
	free(d->segments);
	free(d->ram);
	free(d->history);
	cpus_free(d);
	free(d->saved);
	free(d->notes_made);
	free(d);
}

/* ---- notes ---- */

static bool looks_like_vmcoreinfo(const struct note *n)
{
	/* The kernel's own is a page (VMCOREINFO_BYTES); every fact is looked for in all of it. */
	return note_owner_is(n, VMCOREINFO_OWNER) && n->type == 0 && n->desc_len > 0 &&
	       n->desc_len <= 1 << 20;
}

void dump_read_notes(struct dump *d)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	struct note n;

	while (note_next(&b, &n)) {
		if (!d->vmcoreinfo && looks_like_vmcoreinfo(&n)) {
			d->vmcoreinfo = (const char *)n.desc;
			d->vmcoreinfo_len = n.desc_len;
		} else if (toolnote_is(&n)) {
			toolnote_read(d, (const char *)n.desc, n.desc_len);
		}
	}
	if (b.overrun) {
		d->damage.bad_structures++;
		log_warn(d->log,
			 "%s: the notes at offset 0x%" PRIx64 " are cut off in the middle of one",
			 source_name(d->source), d->notes_off);
	}
}

unsigned int dump_page_shift(const struct dump *d)
{
	return (unsigned int)__builtin_ctz(d->id.page_size);
}

bool dump_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	return d->map && d->map->next_run(d, space, pfn, ret);
}

enum page_state dump_page_state(const struct dump *d, enum space space, uint64_t pfn)
{
	struct run run;

	if (d->map && d->map->page_state)
		return d->map->page_state(d, space, pfn);
	return dump_next_run(d, space, pfn, &run) && run.pfn == pfn ? run.state : PAGE_ABSENT;
}

uint64_t dump_max_pfn(const struct dump *d)
{
	uint64_t max = 0;
	struct run run;

	for (; dump_next_run(d, SPACE_PHYS, max, &run);)
		max = run.pfn + run.nr;
	return max;
}

uint64_t dump_count_content(const struct dump *d)
{
	uint64_t pfn = 0, n = 0;
	struct run run;

	for (; dump_next_run(d, SPACE_PHYS, pfn, &run); pfn = run.pfn + run.nr)
		n += run.state == PAGE_DATA || run.state == PAGE_ZERO ? run.nr : 0;
	return n;
}

/* ---- binding to an architecture ---- */

/* Is A what was forced of the word and the byte order? */
static bool is_allowed(const struct arch *a, const struct bind_force *force)
{
	return !force || ((!force->word || a->word == force->word) &&
			  (!force->has_order || a->order == force->order));
}

/*
 * The family of that ELF machine number, in that byte order. The word decides between two of them
 * only: QEMU writes a 64-bit file of i386, too.
 */
static const struct arch *find_arch(const struct arch *const *archs, const struct ident *id,
				    const struct bind_force *force)
{
	enum byte_order order = force && force->has_order ? force->order : id->order;
	const struct arch *found = NULL;

	for (; *archs; archs++)
		if ((*archs)->e_machine == id->e_machine && (*archs)->order == order &&
		    is_allowed(*archs, force) && (!found || (*archs)->word == id->word))
			found = *archs;
	return found;
}

bool dump_arch_is_called(const struct arch *a, const char *name)
{
	const char *also = a->also ? a->also : "";
	bool is = !strcasecmp(a->name, name);
	char one[32];
	size_t len;

	for (; *also && !is; also += len + (also[len] == ' ')) {
		len = strcspn(also, " ");
		snprintf(one, sizeof(one), "%.*s", (int)len, also);
		is = !fnmatch(one, name, FNM_CASEFOLD);
	}
	return is;
}

/* Is A, found so far, to give way to B? Its own name counts more than what else a row is called. */
static bool is_nearer(const struct arch *a, const struct arch *b, const char *name,
		      enum byte_order order)
{
	return a->order != order && b->order == order &&
	       (strcasecmp(a->name, name) != 0 || !strcasecmp(b->name, name));
}

/* The family of that machine name, as utsname has it: MIPS has one name in both byte orders. */
static const struct arch *find_arch_by_name(const struct arch *const *archs, const char *name,
					    enum byte_order order, const struct bind_force *force)
{
	const struct arch *found = NULL;

	for (; name && name[0] && *archs; archs++)
		if (is_allowed(*archs, force) && dump_arch_is_called(*archs, name) &&
		    (!found || is_nearer(found, *archs, name, order)))
			found = *archs;
	return found;
}

static const struct arch *told_arch(const struct dump *d, const struct arch *const *archs,
				    const struct bind_force *force)
{
	const struct arch *a = find_arch(archs, &d->id, force);

	return a || d->id.e_machine ? a : find_arch_by_name(archs, d->id.uname, d->id.order, force);
}

const struct arch *dump_told_arch(const struct dump *d, const struct arch *const *archs)
{
	return told_arch(d, archs, NULL);
}

/* The same of what a user calls it, who may name a triple ("aarch64-linux-gnu"): its first part. */
static const struct arch *find_named(const struct arch *const *archs, const char *name,
				     enum byte_order order, const struct bind_force *force)
{
	const struct arch *found = find_arch_by_name(archs, name, order, force);
	char first[32];

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(name, "-"), name);
	return found ? found : find_arch_by_name(archs, first, order, force);
}

static int refuse_name(const struct arch *const *archs, const char *name, struct err *e)
{
	const char *last = "";
	char names[256] = "";
	size_t at = 0;

	for (; *archs && at < sizeof(names); archs++) {
		if (strcmp((*archs)->name, last))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
					       at ? ", " : "", (*archs)->name);
		last = (*archs)->name;
	}
	return err_set(e, ERR_USAGE, "'%s' is no architecture known here; what is: %s", name,
		       names);
}

/* A word or a byte order that no kind of NAME has. */
static int refuse_kind(const char *name, const struct bind_force *force, struct err *e)
{
	return err_set(e, ERR_USAGE, "there is no %s%s%s%s", name,
		       force->word ? force->word == 8 ? " of 64 bits" : " of 32 bits" : "",
		       force->word && force->has_order ? " and" : "",
		       !force->has_order	  ? ""
		       : force->order == ORDER_LE ? " that is little-endian"
						  : " that is big-endian");
}

/* The architecture for D; NULL where it is not known. ERR_USAGE. */
static int choose_arch(const struct dump *d, const struct arch *const *archs,
		       const struct bind_force *force, const struct arch **ret, struct err *e)
{
	const char *name = force ? force->arch : NULL;
	const struct arch *told;

	*ret = name ? find_named(archs, name, d->id.order, force) : told_arch(d, archs, force);
	if (*ret || !force)
		return 0;
	if (name && !find_named(archs, name, d->id.order, NULL))
		return refuse_name(archs, name, e);
	told = dump_told_arch(d, archs);
	return name || told ? refuse_kind(name ? name : told->name, force, e) : 0;
}

static int bind_arch(struct dump *d, const struct arch *const *archs,
		     const struct bind_force *force, struct err *e)
{
	const struct arch *a;

	if (choose_arch(d, archs, force, &a, e))
		return -1;
	if (force && force->has_order)
		d->id.order = force->order;
	if (force && force->word)
		d->id.word = force->word;
	if (!a)
		return 0;
	d->arch = a;
	d->id.word = a->word;
	d->id.uname = a->name;
	if (!d->id.e_machine)
		d->id.e_machine = a->e_machine;
	/* QEMU's kdump files of Arm have structures packed as i386 has them. */
	d->id.align64 = a->align64 ? a->align64 : 8;
	if (force && force->arch)
		d->id.order = a->order;
	return 0;
}

/* VMCOREINFO is the kernel's word; a format's block size may be another (QEMU's kdump of Arm). */
static void bind_page_size(struct dump *d, const struct bind_force *force)
{
	uint32_t told = d->vmcoreinfo ? vmcoreinfo_page_size(d->vmcoreinfo, d->vmcoreinfo_len) : 0;

	if (force && force->page_size)
		d->id.page_size = force->page_size;
	else if (told)
		d->id.page_size = told;
	if (!d->id.page_size)
		d->id.page_size = d->arch ? 1u << d->arch->page_shift : 4096;
}

/* All notes but VMCOREINFO, then the new one. */
static int make_notes(struct dump *d, const char *text, size_t len, struct err *e)
{
	struct bytes b = bytes_init(d->notes, d->notes_len, d->id.order, "notes", d->notes_off);
	uint8_t *made = malloc(d->notes_len + 4);
	size_t made_len = 0, start = 0;
	struct note n;

	for (; made && note_next(&b, &n); start = b.pos) {
		if (note_owner_is(&n, VMCOREINFO_OWNER))
			continue;
		memcpy(made + made_len, d->notes + start, b.pos - start);
		made_len += b.pos - start;
	}
	/* Only the end of a file leaves a note without its padding. */
	for (; made && made_len % 4; made_len++)
		made[made_len] = 0;
	if (!made || !note_append(&made, &made_len, d->id.order, VMCOREINFO_OWNER, 0, text, len)) {
		free(made);
		return err_set(e, ERR_NOMEM, "no memory for notes");
	}
	free(d->notes_made);
	d->notes = d->notes_made = made;
	d->notes_len = made_len;
	d->vmcoreinfo = (const char *)made + made_len - ALIGN_UP(len, 4);
	d->vmcoreinfo_len = len;
	return 0;
}

int dump_set_vmcoreinfo(struct dump *d, const char *text, size_t len,
			const struct bind_force *force, struct err *e)
{
	uint32_t before = d->id.page_size;

	if (make_notes(d, text, len, e))
		return -1;
	if (!before)
		return 0;
	bind_page_size(d, force);
	if (d->id.page_size == before || !d->map || !d->map->set_page_size)
		return 0;
	d->damage.unreadable_pages = 0; /* the map counts them again */
	return d->map->set_page_size(d, e);
}

/*
 * A format that takes a little-endian machine for a big-endian one (QEMU, ppc64) is put right by
 * the machine itself.
 */
static void make_little(struct dump *d, const struct arch *const *archs)
{
	while (*archs && ((*archs)->e_machine != d->arch->e_machine ||
			  (*archs)->word != d->arch->word || (*archs)->order != ORDER_LE))
		archs++;
	if (!*archs)
		return;
	d->arch = *archs;
	d->id.uname = d->arch->name;
	d->id.order = ORDER_LE;
}

bool dump_cpus_run_little(const struct dump *d)
{
	uint64_t value;
	unsigned int i;

	for (i = 0; i < d->nr_cpus; i++)
		if (cpu_reg(&d->cpus[i], d->arch->le_reg, &value) && (value & d->arch->le_bit))
			return true;
	return false;
}

int dump_settle_order(struct dump *d, const struct arch *const *archs, const struct kernel *k,
		      struct err *e)
{
	enum byte_order before = d->id.order;

	if (!d->arch || !d->arch->is_little || before == ORDER_LE || !d->arch->is_little(d, k))
		return 0;
	make_little(d, archs);
	return d->notes && d->id.order != before ? notes_turn(d, before, e) : 0;
}

int dump_bind(struct dump *d, const struct arch *const *archs, const struct bind_force *force,
	      struct err *e)
{
	enum byte_order notes_order = d->id.order;

	if (bind_arch(d, archs, force, e))
		return -1;
	bind_page_size(d, force);
	if (!d->id.align64)
		d->id.align64 = 8;
	if (d->arch && d->arch->pfn_from_phys_base && d->told.has_phys_base)
		d->id.pfn_bias = d->told.phys_base >> dump_page_shift(d);
	if (d->map && d->map->set_page_size && d->map->set_page_size(d, e))
		return err_add(e, "%s", source_name(d->source));
	if (d->arch && cpus_from_memory(d, e))
		return -1;
	d->cpus_told = d->nr_cpus > 0;
	if (d->arch) {
		cpus_from_notes(d, notes_order);
		if ((!force || (!force->arch && !force->has_order)) && d->id.order == ORDER_BE &&
		    dump_cpus_run_little(d))
			make_little(d, archs);
		if (d->notes && d->id.order != notes_order && notes_turn(d, notes_order, e))
			return -1;
	}
	return d->format->complete ? d->format->complete(d, e) : 0;
}

/* ---- readers ---- */

void reader_init(struct reader *r, struct dump *d)
{
	*r = (struct reader){ .dump = d,
			      .nr_windows = READER_WINDOWS,
			      .seen_faults = source_my_faults() };
}

static void drop_windows(struct reader *r)
{
	unsigned int i;

	for (i = 0; i < READER_WINDOWS; i++)
		source_put(&r->windows[i]);
	r->held = 0;
	r->seen_faults = source_my_faults();
}

/* The window to give up next; never a held one, of which there are fewer than windows. */
static struct window *victim(struct reader *r)
{
	unsigned int i;

	do
		i = r->next_victim++ % r->nr_windows;
	while (r->held >> i & 1);
	return &r->windows[i];
}

bool reader_hold(struct reader *r, const uint8_t *data)
{
	unsigned int i;

	for (i = 0; i < r->nr_windows; i++) {
		const struct window *w = &r->windows[i];

		if (!w->data || data < w->data || data >= w->data + w->len)
			continue;
		if (!(r->held >> i & 1) &&
		    (unsigned int)__builtin_popcount(r->held) + 1 >= r->nr_windows)
			return false;
		r->held |= 1u << i;
		return true;
	}
	return false;
}

void reader_release(struct reader *r)
{
	r->held = 0;
}

void reader_fini(struct reader *r)
{
	drop_windows(r);
	free(r->bounce);
	free(r->format_state);
	r->bounce = r->format_state = NULL;
	stored_fini(r);
	decoders_fini(&r->decoders);
}

static bool window_has(const struct window *w, const struct source *s, uint64_t off, size_t len)
{
	return w->data && w->source == s && off >= w->off && off - w->off <= w->len &&
	       len <= w->len - (off - w->off);
}

#define FIRST_READ ((size_t)8 << 10)

/* Who goes on where a window ends gets twice as much as that one was. */
static size_t how_much(const struct reader *r, const struct source *s, uint64_t off, size_t len)
{
	size_t most = READER_MEMORY / r->nr_windows, n = FIRST_READ;
	unsigned int i;

	for (i = 0; i < r->nr_windows; i++) {
		const struct window *w = &r->windows[i];

		if (w->data && w->source == s && off > w->off && off - w->off <= w->len)
			n = MAX(n, 2 * w->len);
	}
	return MAX(len, MIN(n, most));
}

const uint8_t *reader_bytes(struct reader *r, struct source *s, uint64_t off, size_t len,
			    size_t *avail, struct err *e)
{
	struct window *w = NULL;
	unsigned int i;

	/* Zeros that once stood in for a lost page must not be met again as data. */
	if (r->seen_faults != source_my_faults())
		drop_windows(r);
	for (i = 0; i < r->nr_windows && !w; i++)
		if (window_has(&r->windows[i], s, off, len))
			w = &r->windows[i];
	if (!w) {
		size_t want = how_much(r, s, off, len);

		w = victim(r);
		source_put(w);
		if (source_get(s, off, want, w, e))
			return NULL;
		if (!window_has(w, s, off, len)) {
			err_set(e, ERR_UNREADABLE, "%s: ends before offset 0x%" PRIx64,
				source_name(s), off + len);
			return NULL;
		}
	}
	if (avail)
		*avail = (size_t)(w->len - (off - w->off));
	return w->data + (off - w->off);
}

int reader_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr, struct view *ret,
		struct err *e)
{
	return r->dump->map->view(r, space, pfn, nr, ret, e);
}

bool dump_view_lost(const struct dump *d, uint64_t before)
{
	unsigned int i;

	if (source_my_faults() != before)
		return true;
	for (i = 0; i < d->nr_sources; i++)
		if (source_shrank(d->sources[i]))
			return true;
	return false;
}

int reader_stored(struct reader *r, enum space space, uint64_t pfn, struct stored *ret,
		  struct err *e)
{
	if (!r->dump->map->stored)
		return err_set(e, ERR_UNSUPPORTED, "pages are not stored one by one");
	return r->dump->map->stored(r, space, pfn, ret, e);
}

int reader_page(struct reader *r, enum space space, uint64_t pfn, void *buf, struct err *e)
{
	return r->dump->map->read_page(r, space, pfn, buf, e);
}

static int why_not(enum page_state state, uint64_t addr, struct err *e)
{
	static const char *const why[] = {
		[PAGE_ABSENT] = "is not memory of this dump",
		[PAGE_EXCLUDED] = "was excluded from this dump",
		[PAGE_UNREADABLE] = "is missing: the dump is cut off or damaged",
	};

	return err_set(e, ERR_UNREADABLE, "physical address 0x%" PRIx64 " %s", addr, why[state]);
}

/* The slow way, for a page near one that could not be delivered. */
static int read_exactly(struct reader *r, enum space space, uint64_t addr, uint8_t *out, size_t len,
			struct err *e)
{
	_cleanup_free_ uint8_t *page = malloc(r->dump->id.page_size);

	if (!page)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (reader_page(r, space, addr >> dump_page_shift(r->dump), page, e))
		return -1;
	memcpy(out, page + (addr & (r->dump->id.page_size - 1)), len);
	return 0;
}

/* At most one page at a time, so that one bad page tells its own address. */
static int read_in_page(struct reader *r, enum space space, uint64_t addr, uint8_t *out, size_t len,
			struct err *e)
{
	uint64_t pfn = addr >> dump_page_shift(r->dump), before = source_my_faults();
	enum page_state state = dump_page_state(r->dump, space, pfn);
	struct view v;

	if (state == PAGE_ZERO) {
		memset(out, 0, len);
		return 0;
	}
	if (state != PAGE_DATA)
		return why_not(state, addr, e);
	if (reader_view(r, space, pfn, 1, &v, e))
		return -1;
	memcpy(out, v.data + (addr & (r->dump->id.page_size - 1)), len);
	return source_my_faults() == before ? 0 : read_exactly(r, space, addr, out, len, e);
}

int reader_read(struct reader *r, enum space space, uint64_t addr, void *buf, size_t len,
		struct err *e)
{
	uint8_t *out = buf;

	while (len) {
		uint64_t rest = r->dump->id.page_size - (addr & (r->dump->id.page_size - 1));
		size_t n = (size_t)MIN((uint64_t)len, rest);

		if (read_in_page(r, space, addr, out, n, e))
			return -1;
		out += n;
		addr += n;
		len -= n;
	}
	return 0;
}
