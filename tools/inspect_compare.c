/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --compare: what one dump has and the other has not, or has otherwise. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cleanup.h"
#include "cpunotes.h"
#include "format.h"
#include "inspect.h"
#include "json.h"
#include "main.h"
#include "note.h"
#include "toolnote.h"
#include "walk.h"
#include "zero.h"

#define MAX_SHOWN 64

enum kind {
	ONLY_FIRST,    /* the first dump has the page, the second not */
	ONLY_SECOND,   /* the other way round */
	MEMORY_FIRST,  /* neither has the page; that it exists only the first tells */
	MEMORY_SECOND, /* or only the second */
	NR_KINDS,
};

static const char *const kind_text[NR_KINDS] = {
	"only in the first",
	"only in the second",
	"memory (not its content) by the first only",
	"memory (not its content) by the second only",
};
static const char *const kind_key[NR_KINDS] = {
	"only_first",
	"only_second",
	"memory_only_first",
	"memory_only_second",
};

struct range {
	uint64_t pfn, nr;
	enum kind kind;
};

/* What reading both shows; one for each thread, added up. */
struct pages {
	uint64_t same, changed;
	uint64_t bad[2];      /* pages that one of them should have and cannot be had */
	unsigned int nr_told; /* the lowest PFNs that changed, ascending */
	uint64_t told[MAX_SHOWN];
};

struct notes {
	uint64_t same, changed, only[2];
	bool compared;
};

struct compare {
	struct inspect *in;
	struct session s[2];
	struct pages pages;
	uint64_t count[NR_KINDS];
	unsigned int nr_ranges;
	struct range ranges[MAX_SHOWN];
	struct notes notes;
	bool eraseinfo_differs;
};

static bool has_content(enum page_state s)
{
	return s == PAGE_DATA || s == PAGE_ZERO;
}

/* ---- contents ---- */

struct comparer {
	struct pages pages;
	struct dump *other;
	struct reader reader; /* of the second dump */
	uint8_t *page;
};

static void *comparer_begin(void *priv, unsigned int number)
{
	struct compare *c = priv;
	struct comparer *w = calloc(1, sizeof(*w));

	(void)number;
	if (!w)
		return NULL;
	w->other = c->s[1].dump;
	w->page = malloc(w->other->id.page_size);
	if (!w->page) {
		free(w);
		return NULL;
	}
	reader_init(&w->reader, w->other);
	w->reader.nr_windows = 2;
	return w;
}

/* The lowest PFNs, whichever thread met them. */
static void tell_changed(struct pages *p, uint64_t pfn)
{
	unsigned int at = p->nr_told;

	while (at && p->told[at - 1] > pfn)
		at--;
	if (at == MAX_SHOWN)
		return;
	p->nr_told = MIN(p->nr_told + 1, (unsigned int)MAX_SHOWN);
	memmove(&p->told[at + 1], &p->told[at], (p->nr_told - at - 1) * sizeof(pfn));
	p->told[at] = pfn;
}

/* The second dump's page: in place, or exactly where something could not be delivered. */
static const uint8_t *other_page(struct comparer *w, uint64_t pfn)
{
	uint64_t before = source_my_faults();
	struct err ignored = ERR_INIT;
	struct view v;

	if (!reader_view(&w->reader, SPACE_PHYS, pfn, 1, &v, &ignored)) {
		touch_pages(v.data, w->other->id.page_size);
		if (!dump_view_lost(w->other, before))
			return v.data;
	}
	return reader_page(&w->reader, SPACE_PHYS, pfn, w->page, &ignored) ? NULL : w->page;
}

static int compare_page(void *state, const struct walk_page *p, struct err *e)
{
	enum page_state there;
	struct comparer *w = state;
	size_t size = w->other->id.page_size;
	const uint8_t *data = NULL;
	bool same;

	(void)e;
	there = dump_page_state(w->other, SPACE_PHYS, p->pfn);
	if (!has_content(there))
		return 0;
	if (p->why) {
		w->pages.bad[0]++;
		return 0;
	}
	if (there == PAGE_DATA) {
		data = other_page(w, p->pfn);
		if (!data) {
			w->pages.bad[1]++;
			return 0;
		}
	}
	if (p->zero)
		same = !data || is_zero(data, size);
	else
		same = data && !memcmp(p->data, data, size);
	w->pages.same += same;
	w->pages.changed += !same;
	if (!same)
		tell_changed(&w->pages, p->pfn);
	return 0;
}

static void comparer_end(void *priv, void *state)
{
	struct compare *c = priv;
	struct comparer *w = state;
	unsigned int i;

	c->pages.same += w->pages.same;
	c->pages.changed += w->pages.changed;
	for (i = 0; i < 2; i++)
		c->pages.bad[i] += w->pages.bad[i];
	for (i = 0; i < w->pages.nr_told; i++)
		tell_changed(&c->pages, w->pages.told[i]);
	reader_fini(&w->reader);
	free(w->page);
	free(w);
}

static int compare_contents(struct compare *c, struct err *e)
{
	struct progress *progress = talk_progress(&c->in->talk);
	struct walk w = { .dump = c->s[0].dump,
			  .threads = budget_threads(c->in->threads, budget_available(), 4 << 20,
						    4 << 20),
			  .interrupted = &interrupted,
			  .progress = progress,
			  .priv = c,
			  .begin = comparer_begin,
			  .page = compare_page,
			  .end = comparer_end };

	progress_start(progress, "Comparing pages", dump_count_content(c->s[0].dump));
	if (walk_run(&w, e))
		return -1;
	progress_end(progress);
	return 0;
}

/* ---- what is there ---- */

static void tell_range(struct compare *c, enum kind kind, uint64_t pfn, uint64_t nr)
{
	struct range *last = c->nr_ranges ? &c->ranges[c->nr_ranges - 1] : NULL;

	if (!nr)
		return;
	c->count[kind] += nr;
	if (last && last->kind == kind && last->pfn + last->nr == pfn)
		last->nr += nr;
	else if (c->nr_ranges < MAX_SHOWN)
		c->ranges[c->nr_ranges++] = (struct range){ .pfn = pfn, .nr = nr, .kind = kind };
}

/*
 * Pages that only dump number HAS knows. One that keeps nothing but pages shows zeros for all that
 * it was not given: these tell nothing.
 */
static void tell_content(struct compare *c, unsigned int has, uint64_t pfn, uint64_t nr)
{
	struct dump *d = c->s[has].dump;
	struct reader r;

	if (!d->format->holes_are_zero) {
		tell_range(c, has ? ONLY_SECOND : ONLY_FIRST, pfn, nr);
		return;
	}
	reader_init(&r, d);
	while (nr && !interrupted) {
		uint64_t before = source_my_faults(), i;
		struct err ignored = ERR_INIT;
		struct view v;

		if (reader_view(&r, SPACE_PHYS, pfn, nr, &v, &ignored) ||
		    (touch_pages(v.data, v.nr * d->id.page_size), source_my_faults() != before)) {
			tell_range(c, has ? ONLY_SECOND : ONLY_FIRST, pfn, 1);
			v.nr = 1;
		} else {
			for (i = 0; i < v.nr; i++)
				if (!is_zero(v.data + i * d->id.page_size, d->id.page_size))
					tell_range(c, has ? ONLY_SECOND : ONLY_FIRST, pfn + i, 1);
		}
		pfn += v.nr;
		nr -= v.nr;
	}
	reader_fini(&r);
}

static void tell_states(struct compare *c, const enum page_state state[2], uint64_t pfn,
			uint64_t nr)
{
	unsigned int i;

	if (has_content(state[0]) && has_content(state[1]))
		return;
	for (i = 0; i < 2; i++)
		if (has_content(state[i]))
			tell_content(c, i, pfn, nr);
	if (has_content(state[0]) || has_content(state[1]))
		return;
	/* A format of pages alone has no word for memory that it lacks. */
	for (i = 0; i < 2; i++)
		if (state[i] != PAGE_ABSENT && state[!i] == PAGE_ABSENT &&
		    !c->s[!i].dump->format->holes_are_zero)
			tell_range(c, i ? MEMORY_SECOND : MEMORY_FIRST, pfn, nr);
}

/* The run at PFN in D, absent ones included, that ends at or before END. */
static struct run run_at(const struct dump *d, uint64_t pfn, uint64_t end)
{
	struct run run;

	if (!dump_next_run(d, SPACE_PHYS, pfn, &run) || run.pfn >= end)
		return (struct run){ .pfn = pfn, .nr = end - pfn, .state = PAGE_ABSENT };
	if (run.pfn > pfn)
		return (struct run){ .pfn = pfn, .nr = run.pfn - pfn, .state = PAGE_ABSENT };
	run.nr = MIN(run.nr, end - pfn);
	return run;
}

static void compare_states(struct compare *c)
{
	uint64_t end = MAX(dump_max_pfn(c->s[0].dump), dump_max_pfn(c->s[1].dump)), pfn = 0, nr;

	for (; pfn < end && !interrupted; pfn += nr) {
		struct run a = run_at(c->s[0].dump, pfn, end), b = run_at(c->s[1].dump, pfn, end);
		enum page_state state[2] = { a.state, b.state };

		nr = MIN(a.nr, b.nr);
		tell_states(c, state, pfn, nr);
	}
}

/* ---- notes ---- */

/* The next note that is not ours: that one says how the file was made, not what was dumped. */
static bool next_note(struct bytes *b, struct note *ret)
{
	while (note_next(b, ret))
		if (!toolnote_is(ret))
			return true;
	return false;
}

struct note_ref {
	struct note note;
	size_t index; /* in its dump */
};

static int by_name(const void *a, const void *b)
{
	const struct note *x = &((const struct note_ref *)a)->note,
			  *y = &((const struct note_ref *)b)->note;
	int order;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	if (x->owner_len != y->owner_len)
		return x->owner_len < y->owner_len ? -1 : 1;
	order = memcmp(x->owner, y->owner, x->owner_len);
	return order;
}

/* The order of the file among notes of one name. */
static int by_name_and_index(const void *a, const void *b)
{
	const struct note_ref *x = a, *y = b;
	int order = by_name(a, b);

	return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* More notes than any dump has are compared as far as this. */
#define MAX_COMPARED_NOTES ((size_t)1 << 20)

/* A dump's notes, and those that it would have if its format had notes for registers. */
struct note_list {
	struct note_ref *refs;
	size_t nr, room;
	uint8_t *made;
	size_t made_len;
};

static void add_notes(struct note_list *l, const void *notes, size_t len, enum byte_order order)
{
	struct bytes b = bytes_init(notes, len, order, "notes", 0);

	while (l->nr < l->room && next_note(&b, &l->refs[l->nr].note)) {
		l->refs[l->nr].index = l->nr;
		l->nr++;
	}
}

static int list_notes(const struct dump *d, struct note_list *l, struct err *e)
{
	if (cpunotes_append(d, &l->made, &l->made_len, e))
		return -1;
	l->room = MIN((d->notes_len + l->made_len) / 12, MAX_COMPARED_NOTES);
	l->refs = calloc(l->room + 1, sizeof(*l->refs));
	if (!l->refs)
		return err_set(e, ERR_NOMEM, "no memory for notes");
	add_notes(l, d->notes, d->notes_len, d->id.order);
	add_notes(l, l->made, l->made_len, d->id.order);
	qsort(l->refs, l->nr, sizeof(*l->refs), by_name_and_index);
	return 0;
}

static void count_notes(struct notes *n, const struct note_list *first,
			const struct note_list *second)
{
	const struct note_ref *a = first->refs, *b = second->refs;
	size_t i = 0, k = 0;

	while (i < first->nr || k < second->nr) {
		int order = i == first->nr ? 1 : k == second->nr ? -1 : by_name(&a[i], &b[k]);

		if (order) {
			n->only[order > 0]++;
		} else {
			bool same = a[i].note.desc_len == b[k].note.desc_len &&
				    !memcmp(a[i].note.desc, b[k].note.desc, a[i].note.desc_len);

			n->same += same;
			n->changed += !same;
		}
		i += order <= 0;
		k += order >= 0;
	}
}

/* The k-th note of a name with the k-th one of that name in the other dump. */
static int compare_notes(struct compare *c, struct err *e)
{
	const struct dump *d[2] = { c->s[0].dump, c->s[1].dump };
	struct note_list l[2] = { { .nr = 0 }, { .nr = 0 } };
	unsigned int i;
	int failed;

	if (d[0]->format->no_notes || d[1]->format->no_notes)
		return 0;
	failed = list_notes(d[0], &l[0], e) || list_notes(d[1], &l[1], e);
	if (!failed)
		count_notes(&c->notes, &l[0], &l[1]);
	for (i = 0; i < 2; i++) {
		free(l[i].refs);
		free(l[i].made);
	}
	if (failed)
		return -1;
	c->notes.compared = true;
	c->eraseinfo_differs = d[0]->eraseinfo_len != d[1]->eraseinfo_len ||
			       (d[0]->eraseinfo_len &&
				memcmp(d[0]->eraseinfo, d[1]->eraseinfo, d[0]->eraseinfo_len));
	return 0;
}

/* ---- telling ---- */

/* Is there anything in either that could not be compared? */
static bool is_partial(const struct compare *c)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct dump *d = c->s[i].dump;

		if (c->pages.bad[i] || d->incomplete || d->damage.missing_bytes ||
		    d->damage.unreadable_pages || d->damage.bad_structures)
			return true;
	}
	return false;
}

static bool is_different(const struct compare *c)
{
	unsigned int i;

	for (i = 0; i < NR_KINDS; i++)
		if (c->count[i])
			return true;
	return c->pages.changed || c->notes.changed || c->notes.only[0] || c->notes.only[1] ||
	       c->eraseinfo_differs;
}

static void print_pages(const struct compare *c)
{
	unsigned int i;

	printf("pages:   %" PRIu64 " the same, %" PRIu64 " changed\n", c->pages.same,
	       c->pages.changed);
	for (i = 0; i < c->pages.nr_told; i++)
		printf("  page 0x%" PRIx64 " changed\n", c->pages.told[i]);
	if (c->pages.changed > c->pages.nr_told)
		printf("  and %" PRIu64 " more\n", c->pages.changed - c->pages.nr_told);
	for (i = 0; i < NR_KINDS; i++)
		if (c->count[i])
			printf("         %" PRIu64 " %s\n", c->count[i], kind_text[i]);
	for (i = 0; i < c->nr_ranges; i++)
		printf("  pages 0x%" PRIx64 "-0x%" PRIx64 ": %s\n", c->ranges[i].pfn,
		       c->ranges[i].pfn + c->ranges[i].nr - 1, kind_text[c->ranges[i].kind]);
	if (c->nr_ranges == MAX_SHOWN)
		printf("  (no more ranges are listed)\n");
	for (i = 0; i < 2; i++)
		if (c->pages.bad[i])
			printf("         %" PRIu64 " cannot be read in the %s\n", c->pages.bad[i],
			       i ? "second" : "first");
}

static void print_files(const char *label, char *const *files, unsigned int nr,
			const struct dump *d)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		printf("%-9s%s (%s)\n", i ? "" : label, files[i], d->format->title);
}

static void print_text(const struct compare *c)
{
	const struct notes *n = &c->notes;

	print_files("first:", c->in->files, c->in->nr_files, c->s[0].dump);
	print_files("second:", c->in->second, c->in->nr_second, c->s[1].dump);
	print_pages(c);
	if (!n->compared)
		printf("notes:   not compared, a format without notes is among them\n");
	else
		printf("notes:   %" PRIu64 " the same, %" PRIu64 " changed, %" PRIu64
		       " only in the first, %" PRIu64 " only in the second\n",
		       n->same, n->changed, n->only[0], n->only[1]);
	if (c->eraseinfo_differs)
		printf("erase information differs\n");
	printf("%s\n", is_different(c) ? "DIFFERENT"
		       : is_partial(c) ? "the same as far as both can be read"
				       : "the same");
}

static void json_ranges(struct json *j, const struct compare *c)
{
	unsigned int i;

	json_put_array(j, "ranges");
	for (i = 0; i < c->nr_ranges; i++) {
		json_put_object(j, NULL);
		json_put_string(j, "kind", kind_key[c->ranges[i].kind]);
		json_hex(j, "pfn", c->ranges[i].pfn);
		json_uint(j, "pages", c->ranges[i].nr);
		json_end(j);
	}
	json_end(j);
	json_put_array(j, "changed_pages");
	for (i = 0; i < c->pages.nr_told; i++)
		json_hex(j, NULL, c->pages.told[i]);
	json_end(j);
}

static void json_files(struct json *j, const char *key, char *const *files, unsigned int nr)
{
	unsigned int i;

	json_put_array(j, key);
	for (i = 0; i < nr; i++)
		json_put_string(j, NULL, files[i]);
	json_end(j);
}

static void print_json(const struct compare *c)
{
	const struct notes *n = &c->notes;
	struct json j;
	unsigned int i;

	json_begin(&j, stdout);
	json_document(&j, "compare", 1);
	json_files(&j, "first", c->in->files, c->in->nr_files);
	json_files(&j, "second", c->in->second, c->in->nr_second);
	json_bool(&j, "different", is_different(c));
	json_put_object(&j, "pages");
	json_uint(&j, "same", c->pages.same);
	json_uint(&j, "changed", c->pages.changed);
	for (i = 0; i < NR_KINDS; i++)
		json_uint(&j, kind_key[i], c->count[i]);
	json_uint(&j, "unreadable_first", c->pages.bad[0]);
	json_uint(&j, "unreadable_second", c->pages.bad[1]);
	json_end(&j);
	json_ranges(&j, c);
	if (n->compared) {
		json_put_object(&j, "notes");
		json_uint(&j, "same", n->same);
		json_uint(&j, "changed", n->changed);
		json_uint(&j, "only_first", n->only[0]);
		json_uint(&j, "only_second", n->only[1]);
		json_end(&j);
		json_bool(&j, "eraseinfo_differs", c->eraseinfo_differs);
	}
	json_finish(&j);
}

/* Both with pages of one size: the first one's, unless the user says so. */
static int open_both(struct compare *c, struct err *e)
{
	struct inspect *in = c->in;
	struct input_opts second = in->in;

	if (session_open(&c->s[0], in->files, in->nr_files, &in->in, &in->talk.log, e))
		return -1;
	if (!second.assume.value[ASSUME_PAGE_SIZE])
		second.assume.value[ASSUME_PAGE_SIZE] = c->s[0].dump->id.page_size;
	if (!session_open(&c->s[1], in->second, in->nr_second, &second, &in->talk.log, e))
		return 0;
	session_close(&c->s[0]);
	return -1;
}

int inspect_compare(struct inspect *in, struct err *e)
{
	_cleanup_free_ struct compare *c = calloc(1, sizeof(*c));
	int status = STATUS_FAILED;

	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory"), STATUS_FAILED;
	c->in = in;
	if (open_both(c, e))
		return STATUS_FAILED;
	compare_states(c);
	if (!compare_notes(c, e) && !compare_contents(c, e)) {
		if (in->json)
			print_json(c);
		else
			print_text(c);
		status = is_different(c) ? STATUS_DIFFERENT
			 : is_partial(c) ? STATUS_DAMAGED
					 : STATUS_OK;
	}
	session_close(&c->s[1]);
	session_close(&c->s[0]);
	return status;
}
