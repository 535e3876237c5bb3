/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's table of symbols without anybody to tell where it is, for kernels before 6.0, whose
 * scripts/kallsyms.c writes in this order, each aligned to a long:
 *
 *   addresses, or offsets and relative_base; num_syms; names; markers; token_table; token_index
 *
 * The table of tokens is the anchor: every digit occurs in some name, so that ten tokens are the
 * digits. The index behind it must say what the table shows. In front of it lie the markers,
 * offsets of every 256th name, ascending from 0; in front of these the names, whose beginning the
 * second marker confirms; and the rest is counted.
 */
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "kallsyms_priv.h"

static const char digits[] = "0\0"
			     "1\0"
			     "2\0"
			     "3\0"
			     "4\0"
			     "5\0"
			     "6\0"
			     "7\0"
			     "8\0"
			     "9";

#define MAX_SYMBOLS (1u << 22)
#define MARKER_STEP 256
#define MAX_STEP_BYTES (MARKER_STEP * 130u) /* of 256 names: lengths have 7 bits then */
#define MIN_STEP_BYTES (MARKER_STEP * 2u)

struct hunt {
	const struct kmem *m;
	uint32_t word;
	struct kallsyms_tokens tokens;
	struct kallsyms_place *place;
};

/* Does INDEX say of every token where it begins, when the digit 0 is at DIGIT? Sets the table's
 * place. */
static bool index_fits(struct hunt *h, uint64_t digit, uint64_t index)
{
	struct err ignored = ERR_INIT;
	const struct kallsyms_tokens *t = &h->tokens;
	uint8_t raw[2];
	unsigned int i;
	uint64_t table;

	if (kmem_read(h->m, index + 2 * '0', raw, 2, &ignored))
		return false;
	table = digit - load_u16(raw, h->m->reader->dump->id.order);
	if (kallsyms_read_tokens(h->m, table, index, &h->tokens, &ignored) || t->index[0])
		return false;
	for (i = 0; i < 255; i++)
		if (t->index[i] + strlen(t->table + t->index[i]) + 1 != t->index[i + 1])
			return false;
	h->place->token_table = table;
	h->place->token_index = index;
	return true;
}

/* The index begins behind the last of the 256 tokens, at a multiple of 4 or 8. */
static bool find_index(struct hunt *h, uint64_t digit)
{
	char token[SYMBOL_NAME_MAX];
	struct err ignored = ERR_INIT;
	uint64_t end = digit;
	unsigned int i;

	for (i = '0'; i < 256; i++) {
		if (kmem_string(h->m, end, token, sizeof(token), &ignored))
			return false;
		end += strlen(token) + 1;
	}
	return index_fits(h, digit, ALIGN_UP(end, 8ull)) ||
	       index_fits(h, digit, ALIGN_UP(end, 4ull)) ||
	       index_fits(h, digit, ALIGN_UP(end, 2ull));
}

struct markers {
	uint64_t start, second, last;
	uint32_t nr, width;
};

/* Numbers of WIDTH bytes that end at END, perhaps behind zeros, and ascend from 0. */
static bool find_markers(const struct hunt *h, uint64_t end, uint32_t width, struct markers *ret)
{
	uint64_t at = end & -(uint64_t)width, v = 0, above;
	struct err ignored = ERR_INIT;
	uint32_t pad;

	for (pad = 0; !v && pad <= 8 / width; pad++)
		if (kmem_uint(h->m, at -= width, width, &v, &ignored))
			return false;
	*ret = (struct markers){ .nr = 1, .width = width, .last = v };
	for (; v && ret->nr < MAX_SYMBOLS / MARKER_STEP; ret->nr++) {
		above = v;
		if (kmem_uint(h->m, at -= width, width, &v, &ignored) || v >= above ||
		    above - v > MAX_STEP_BYTES || above - v < MIN_STEP_BYTES)
			return false;
		ret->second = above;
	}
	ret->start = at;
	return !v && ret->nr > 2;
}

/* Do 256 names from AT on take as many bytes as the second marker says, and are they names? */
static bool names_begin(const struct hunt *h, uint64_t at, const struct markers *mk)
{
	char text[SYMBOL_NAME_MAX + 1];
	struct err ignored = ERR_INIT;
	uint64_t pos = 0;
	unsigned int i;

	for (i = 0; i < MARKER_STEP && pos < mk->second; i++) {
		uint8_t raw[128];

		if (kmem_read(h->m, at + pos, raw, 1, &ignored) || !raw[0] || raw[0] > 127 ||
		    kmem_read(h->m, at + pos + 1, raw + 1, raw[0], &ignored) ||
		    kallsyms_expand(&h->tokens, raw + 1, raw[0], text) < 2)
			return false;
		pos += 1u + raw[0];
	}
	return i == MARKER_STEP && pos == mk->second;
}

/* In front of the names stands their number, which the number of markers confirms. */
static bool find_names(struct hunt *h, const struct markers *mk)
{
	uint64_t step = h->word, low, at = (mk->start - mk->last) & -step;
	struct err ignored = ERR_INIT;

	low = at - MAX_STEP_BYTES;
	for (; at > low; at -= step) {
		struct kallsyms_place *p = h->place;
		uint64_t nr;

		if (kmem_uint(h->m, at - step, 4, &nr, &ignored))
			return false;
		if (!nr && step == 8 && kmem_uint(h->m, at - 4, 4, &nr, &ignored))
			return false; /* a long, big-endian */
		if (!nr || (nr + MARKER_STEP - 1) / MARKER_STEP != mk->nr ||
		    !names_begin(h, at, mk))
			continue;
		p->names = at;
		p->nr = nr;
		return true;
	}
	return false;
}

/* In front of their number: the base and 32-bit offsets, or addresses. The caller's witnesses
 * decide. */
static bool find_addresses(struct hunt *h)
{
	struct kallsyms_place *p = h->place;
	struct err ignored = ERR_INIT;
	uint64_t number = p->names - h->word, first, start, end;

	if (kmem_word(h->m, number - h->word, &p->base, &ignored))
		return false;
	p->addresses = number - p->nr * h->word;
	p->offsets = number - h->word - ALIGN_UP(p->nr * 4, (uint64_t)h->word);
	/* Whole addresses begin with one of the image, or of per-CPU data; offsets never look so.
	 */
	if (kmem_word(h->m, p->addresses + p->nr / 2 * h->word, &first, &ignored) ||
	    !kmem_image(h->m, &start, &end) || first < start || first >= end)
		p->addresses = 0;
	else
		p->offsets = 0;
	return true;
}

static bool is_tokens(const struct kmem *m, uint64_t vaddr, void *priv)
{
	struct hunt *h = priv;
	struct markers mk;

	(void)m;
	return find_index(h, vaddr) &&
	       (find_markers(h, h->place->token_table, 4, &mk) ||
		(h->word == 8 && find_markers(h, h->place->token_table, 8, &mk))) &&
	       find_names(h, &mk) && find_addresses(h);
}

bool kallsyms_search(const struct kmem *m, struct kallsyms_place *ret)
{
	struct hunt *h = calloc(1, sizeof(*h));
	bool found;
	uint64_t at;

	*ret = (struct kallsyms_place){ .names = 0 };
	if (!h)
		return false;
	h->m = m;
	h->word = m->reader->dump->id.word;
	h->place = ret;
	found = kmem_search(m, digits, sizeof(digits), 1, is_tokens, h, &at);
	free(h);
	return found;
}
