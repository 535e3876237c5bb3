/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stored.h"

#include <stdlib.h>

#include "cleanup.h"

#define NR_EXPANDED (EXPANDED_BYTES / 4096)

struct expanded {
	size_t size; /* of a page; a change of it empties the cache */
	size_t nr;   /* pages there is room for */
	unsigned int next;
	uint64_t place[NR_EXPANDED]; /* what each holds; NO_PLACE: nothing */
	uint8_t pages[];
};

#define NO_PLACE UINT64_MAX

/* The reader's cache for pages of SIZE bytes. */
static struct expanded *cache_of(struct reader *r, size_t size, struct err *e)
{
	struct expanded *x = r->expanded;
	size_t nr = MIN(MAX(EXPANDED_BYTES / size, (size_t)2), NR_EXPANDED), i;

	if (x && x->size == size)
		return x;
	stored_fini(r);
	x = malloc(sizeof(*x) + nr * size);
	if (!x) {
		err_set(e, ERR_NOMEM, "no memory for expanded pages");
		return NULL;
	}
	x->size = size;
	x->nr = nr;
	x->next = 0;
	for (i = 0; i < NR_EXPANDED; i++)
		x->place[i] = NO_PLACE;
	return r->expanded = x;
}

const uint8_t *stored_expand(struct reader *r, const struct stored *s, size_t size, struct err *e)
{
	uint64_t before = source_my_faults();
	struct expanded *x;
	uint8_t *page;
	size_t i;

	if (s->codec == CODEC_RAW && s->size == size)
		return s->data;
	x = cache_of(r, size, e);
	if (!x)
		return NULL;
	for (i = 0; i < x->nr; i++)
		if (x->place[i] == s->place)
			return x->pages + i * size;
	i = x->next++ % x->nr;
	page = x->pages + i * size;
	x->place[i] = NO_PLACE;
	if (decode_page(&r->decoders, s->codec, s->data, s->size, page, size, e))
		return NULL;
	/* Zeros that stood in for lost bytes must not be met again as a page. */
	x->place[i] = source_my_faults() == before ? s->place : NO_PLACE;
	return page;
}

void stored_fini(struct reader *r)
{
	free(r->expanded);
	r->expanded = NULL;
}
