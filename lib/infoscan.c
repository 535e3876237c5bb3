/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "infoscan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kernel.h"
#include "note.h"
#include "walk.h"

/* What it begins at a multiple of: the smallest page of any kernel. */
#define STEP 4096u
/* The text has one page of the kernel (VMCOREINFO_BYTES). */
#define MAX_TEXT 65536u

static const char beginning[] = "OSRELEASE=";
#define BEGINNING (sizeof(beginning) - 1)

struct scan {
	struct infoscan *s;
	struct dump *dump;
	pthread_mutex_t lock;
};

/* One for each thread. */
struct scanner {
	struct scan *scan;
	struct reader reader;
};

/* Where in the STEP bytes at P the text begins: 0, behind the header of a note, or nowhere. */
static bool text_in(const uint8_t *p, enum byte_order order, size_t *ret)
{
	struct bytes b = bytes_init(p, STEP, order, "page", 0);
	struct note n;

	*ret = 0;
	if (!memcmp(p, beginning, BEGINNING))
		return true;
	if (memcmp(p + 12, VMCOREINFO_OWNER, sizeof(VMCOREINFO_OWNER)) || !note_next(&b, &n))
		return false;
	*ret = n.desc_off;
	return n.desc_len > BEGINNING && !memcmp(n.desc, beginning, BEGINNING);
}

/* Length of the lines of printable characters that TEXT begins with; what is torn off ends it. */
static size_t text_length(const char *text, size_t len)
{
	size_t i, end = 0;

	for (i = 0; i < len && (text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~')); i++)
		if (text[i] == '\n')
			end = i + 1;
	return end;
}

/* Copy the text at PADDR, as far as it can be read. NULL: none, or out of memory (E). */
static char *read_text(struct scanner *w, uint64_t paddr, size_t *ret, struct err *e)
{
	char *text = malloc(MAX_TEXT);
	size_t len = 0;

	if (!text) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	while (len < MAX_TEXT) {
		size_t n = MIN(STEP - (paddr + len) % STEP, (uint64_t)(MAX_TEXT - len));
		struct err ignored = ERR_INIT;

		if (reader_read(&w->reader, SPACE_PHYS, paddr + len, text + len, n, &ignored))
			break;
		len += n;
		if (memchr(text + len - n, 0, n))
			break;
	}
	*ret = text_length(text, len);
	if (vmcoreinfo_page_size(text, *ret))
		return text;
	free(text);
	return NULL;
}

/* Into its place, by address; of too many the highest one falls out, in whatever order they come. */
static void keep(struct infoscan *s, const struct infoscan_found *found)
{
	unsigned int at = s->nr;

	while (at && s->found[at - 1].paddr > found->paddr)
		at--;
	if (at == INFOSCAN_MAX) {
		free(found->text);
		return;
	}
	if (s->nr == INFOSCAN_MAX)
		free(s->found[--s->nr].text);
	memmove(&s->found[at + 1], &s->found[at], (s->nr - at) * sizeof(*found));
	s->found[at] = *found;
	s->nr++;
}

static int look(void *state, const struct walk_page *p, struct err *e)
{
	struct scanner *w = state;
	const struct dump *d = w->scan->dump;
	size_t size = d->id.page_size, off, into;

	for (off = 0; p->data && !p->zero && off < size; off += STEP) {
		struct infoscan_found found = { .paddr = 0 };

		if (!text_in(p->data + off, d->id.order, &into))
			continue;
		found.paddr = (p->pfn << dump_page_shift(d)) + off + into;
		found.text = read_text(w, found.paddr, &found.len, e);
		if (!found.text && e->code == ERR_NOMEM)
			return -1;
		if (!found.text)
			continue;
		pthread_mutex_lock(&w->scan->lock);
		keep(w->scan->s, &found);
		pthread_mutex_unlock(&w->scan->lock);
	}
	return 0;
}

static void *scanner_begin(void *priv, unsigned int number)
{
	struct scanner *w = calloc(1, sizeof(*w));

	(void)number;
	if (!w)
		return NULL;
	w->scan = priv;
	reader_init(&w->reader, w->scan->dump);
	return w;
}

static void scanner_end(void *priv, void *state)
{
	struct scanner *w = state;

	(void)priv;
	reader_fini(&w->reader);
	free(w);
}

int infoscan_run(struct infoscan *s, struct dump *d, struct err *e)
{
	struct scan scan = { .s = s, .dump = d, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct walk w = { .dump = d,
			  .threads = s->threads,
			  .interrupted = s->interrupted,
			  .progress = s->progress,
			  .priv = &scan,
			  .begin = scanner_begin,
			  .page = look,
			  .end = scanner_end };

	return walk_run(&w, e);
}

void infoscan_fini(struct infoscan *s)
{
	while (s->nr)
		free(s->found[--s->nr].text);
}
