/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kallsyms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "bytes.h"
#include "cleanup.h"
#include "kallsyms_priv.h"

#define MAX_SYMBOLS (1u << 22)
#define SYMBOL_BYTES 32 /* that one takes here, with its name, which is half of it */
#define MAX_NAMES ((size_t)64 << 20)
#define PIECE ((size_t)64 << 10)

struct kallsyms {
	uint32_t nr;
	uint64_t *addrs;
	uint32_t *names;  /* offsets in packed */
	uint32_t *hashes; /* of the names, without the type */
	uint8_t *packed;
	size_t packed_len;
	struct kallsyms_tokens tokens;
};

void kallsyms_close(struct kallsyms *ks)
{
	if (!ks)
		return;
	free(ks->addrs);
	free(ks->names);
	free(ks->hashes);
	free(ks->packed);
	free(ks);
}

/* ---- names ---- */

size_t kallsyms_packed_len(const uint8_t *p, size_t len, size_t *tokens)
{
	*tokens = 0;
	/* Since 6.1 (commit 73bbb94466fd) the length may take two bytes; no older one is above 127.
	 */
	if (!len || (p[0] & 0x80 && len < 2))
		return 0;
	*tokens = p[0] & 0x80 ? (size_t)(p[0] & 0x7f) | (size_t)p[1] << 7 : p[0];
	return p[0] & 0x80 ? 2 : 1;
}

size_t kallsyms_expand(const struct kallsyms_tokens *t, const uint8_t *p, size_t nr,
		       char ret[SYMBOL_NAME_MAX + 1])
{
	size_t i, n = 0;

	for (i = 0; i < nr; i++) {
		const char *token = t->table + t->index[p[i]];

		while (*token && n < SYMBOL_NAME_MAX)
			ret[n++] = *token++;
	}
	ret[n] = '\0';
	return n;
}

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

/* The name of symbol I with its type in front. */
static size_t expand(const struct kallsyms *ks, uint32_t i, char ret[SYMBOL_NAME_MAX + 1])
{
	const uint8_t *p = ks->packed + ks->names[i];
	size_t nr, head = kallsyms_packed_len(p, ks->packed_len - ks->names[i], &nr);

	return kallsyms_expand(&ks->tokens, p + head, nr, ret);
}

int kallsyms_read_tokens(const struct kmem *m, uint64_t table, uint64_t index,
			 struct kallsyms_tokens *ret, struct err *e)
{
	enum byte_order order = m->reader->dump->id.order;
	uint8_t raw[512];
	unsigned int i;
	size_t end = 0;

	if (kmem_read(m, index, raw, sizeof(raw), e))
		return err_add(e, "kallsyms_token_index");
	for (i = 0; i < 256; i++) {
		ret->index[i] = load_u16(raw + 2 * i, order);
		end = MAX(end, (size_t)ret->index[i]);
	}
	if (end >= KALLSYMS_TOKENS_MAX)
		return err_set(e, ERR_CORRUPT, "kallsyms: a token at offset %zu", end);
	/* The last token ends at its NUL; what follows does no harm. */
	if (kmem_read(m, table, ret->table, end, e) ||
	    kmem_string(m, table + end, ret->table + end, SYMBOL_NAME_MAX, e))
		return err_add(e, "kallsyms_token_table");
	return 0;
}

/* ---- loading ---- */

/* Room for one more piece of names. */
static int more_names(const struct kmem *m, struct kallsyms *ks, uint64_t at, struct err *e)
{
	size_t n = PIECE;
	uint8_t *p;

	if (ks->packed_len + n > MAX_NAMES)
		return err_set(e, ERR_CORRUPT, "kallsyms: its names take more than %zu bytes",
			       MAX_NAMES);
	p = realloc(ks->packed, ks->packed_len + n);
	if (!p)
		return err_set(e, ERR_NOMEM, "kallsyms: out of memory");
	ks->packed = p;
	/* Nothing may be behind the last one. */
	while (kmem_read(m, at + ks->packed_len, p + ks->packed_len, n, e)) {
		if (n == 1)
			return err_add(e, "kallsyms_names");
		n /= 2;
	}
	ks->packed_len += n;
	return 0;
}

static int read_names(const struct kmem *m, struct kallsyms *ks, uint64_t at, struct err *e)
{
	char text[SYMBOL_NAME_MAX + 1];
	size_t pos = 0, nr, head;
	uint32_t i;

	if (more_names(m, ks, at, e))
		return -1;
	for (i = 0; i < ks->nr; i++) {
		/* A name has at most 2 bytes of length and 32767 of tokens; really a few hundred.
		 */
		while (!(head = kallsyms_packed_len(ks->packed + pos, ks->packed_len - pos, &nr)) ||
		       nr > ks->packed_len - pos - head)
			if (more_names(m, ks, at, e))
				return -1;
		ks->names[i] = (uint32_t)pos;
		pos += head + nr;
		ks->hashes[i] = expand(ks, i, text) ? hash_name(text + 1) : 0;
	}
	return 0;
}

static int read_addresses(const struct kmem *m, struct kallsyms *ks, const struct kallsyms_place *p,
			  struct err *e)
{
	enum byte_order order = m->reader->dump->id.order;
	unsigned int width = p->offsets ? 4 : m->reader->dump->id.word;
	uint64_t at = p->offsets ? p->offsets : p->addresses;
	uint8_t raw[8 * 512];
	uint32_t i, k, n;

	for (i = 0; i < ks->nr; i += n) {
		n = MIN(ks->nr - i, (uint32_t)(sizeof(raw) / 8));
		if (kmem_read(m, at + (uint64_t)i * width, raw, (size_t)n * width, e))
			return err_add(e, "addresses of kallsyms");
		for (k = 0; k < n; k++)
			ks->addrs[i + k] = load_uint(raw + (size_t)k * width, width, order);
	}
	return 0;
}

/* ---- conventions ---- */

/* How numbers of the table become addresses. */
struct convention {
	const char *name;
	bool by_offsets;
	uint64_t (*address)(uint64_t v, uint64_t base, uint64_t at);
};

static uint64_t as_it_is(uint64_t v, uint64_t base, uint64_t at)
{
	(void)base, (void)at;
	return v;
}

static uint64_t from_base(uint64_t v, uint64_t base, uint64_t at)
{
	(void)at;
	return base + v;
}

static uint64_t absolute_percpu(uint64_t v, uint64_t base, uint64_t at)
{
	(void)at;
	return v >> 31 ? base - 1 - (uint64_t)(int64_t)(int32_t)v : v;
}

/* From where the number itself stands. */
static uint64_t from_place(uint64_t v, uint64_t base, uint64_t at)
{
	(void)base;
	return at + (uint64_t)(int64_t)(int32_t)v;
}

static const struct convention conventions[] = {
	{ "addresses", false, as_it_is },
	{ "offsets from the base", true, from_base },
	{ "offsets, those of per-CPU variables absolute", true, absolute_percpu },
	{ "offsets from their own place", true, from_place },
};

/* What VMCOREINFO tells of symbols that the table has, too: enough of them, of many kernels. */
static const char *const witnesses[] = { "_stext",	 "init_uts_ns",	   "swapper_pg_dir",
					 "init_top_pgt", "node_data",	   "mem_section",
					 "prb",		 "vmap_area_list", "node_online_map",
					 "clear_seq",	 "log_buf",	   "init_mm" };

static uint32_t find(const struct kallsyms *ks, const char *name, uint32_t from)
{
	char text[SYMBOL_NAME_MAX + 1];
	uint32_t i, hash = hash_name(name);

	for (i = from; i < ks->nr; i++)
		if (ks->hashes[i] == hash && expand(ks, i, text) && !strcmp(text + 1, name))
			break;
	return i;
}

static uint64_t cut_to_word(const struct kmem *m, uint64_t v)
{
	return m->reader->dump->id.word == 4 ? (uint32_t)v : v;
}

static uint64_t address_of(const struct kmem *m, const struct kallsyms *ks,
			   const struct kallsyms_place *p, const struct convention *c, uint32_t i)
{
	return cut_to_word(m, c->address(ks->addrs[i], p->base, p->offsets + 4ull * i));
}

/* How many witnesses agree. */
static unsigned int agreeing(const struct kmem *m, const struct kallsyms *ks,
			     const struct kallsyms_place *p, const struct convention *c)
{
	unsigned int n = 0;
	uint64_t want;
	size_t w;

	for (w = 0; w < ARRAY_SIZE(witnesses); w++) {
		uint32_t i = find(ks, witnesses[w], 0);

		n += i < ks->nr && kernel_fact(m->kernel, FACT_SYMBOL, witnesses[w], &want) &&
		     address_of(m, ks, p, c, i) == cut_to_word(m, want);
	}
	return n;
}

static int settle_addresses(const struct kmem *m, struct kallsyms *ks,
			    const struct kallsyms_place *p, struct err *e)
{
	const struct convention *best = NULL;
	unsigned int most = 0;
	uint32_t i;
	size_t c;

	for (c = 0; c < ARRAY_SIZE(conventions); c++) {
		unsigned int n = conventions[c].by_offsets == (p->offsets != 0)
					 ? agreeing(m, ks, p, &conventions[c])
					 : 0;

		if (n > most) {
			most = n;
			best = &conventions[c];
		}
	}
	if (!best)
		return err_set(e, ERR_CORRUPT,
			       "kallsyms: in no known form has it a symbol at the address that "
			       "VMCOREINFO tells");
	for (i = 0; i < ks->nr; i++)
		ks->addrs[i] = address_of(m, ks, p, best, i);
	return 0;
}

/* ---- where it is ---- */

static bool told_place(const struct kmem *m, struct kallsyms_place *p)
{
	const struct kernel *k = m->kernel;
	struct err ignored = ERR_INIT;
	uint64_t base, nr;

	*p = (struct kallsyms_place){ .names = 0 };
	if (!kernel_fact(k, FACT_SYMBOL, "kallsyms_names", &p->names) ||
	    !kernel_fact(k, FACT_SYMBOL, "kallsyms_token_table", &p->token_table) ||
	    !kernel_fact(k, FACT_SYMBOL, "kallsyms_token_index", &p->token_index) ||
	    !kernel_fact(k, FACT_SYMBOL, "kallsyms_num_syms", &nr) ||
	    kmem_uint(m, nr, 4, &p->nr, &ignored))
		return false;
	if (kernel_fact(k, FACT_SYMBOL, "kallsyms_offsets", &p->offsets)) {
		if (kernel_fact(k, FACT_SYMBOL, "kallsyms_relative_base", &base))
			(void)kmem_word(m, base, &p->base, &ignored);
		return true;
	}
	return kernel_fact(k, FACT_SYMBOL, "kallsyms_addresses", &p->addresses);
}

static int load(const struct kmem *m, struct kallsyms *ks, struct err *e)
{
	struct kallsyms_place p;

	if (!told_place(m, &p) && !kallsyms_search(m, &p))
		return err_set(e, ERR_MISSING, "the kernel's table of symbols is not found");
	if (!p.nr || p.nr > MAX_SYMBOLS)
		return err_set(e, ERR_CORRUPT, "kallsyms: %" PRIu64 " symbols", p.nr);
	if (p.nr * SYMBOL_BYTES > budget_available())
		return err_set(e, ERR_NOMEM, "kallsyms: %" PRIu64 " MiB of memory would be needed",
			       (p.nr * SYMBOL_BYTES >> 20) + 1);
	ks->nr = (uint32_t)p.nr;
	ks->addrs = calloc(ks->nr, sizeof(*ks->addrs));
	ks->names = calloc(ks->nr, sizeof(*ks->names));
	ks->hashes = calloc(ks->nr, sizeof(*ks->hashes));
	if (!ks->addrs || !ks->names || !ks->hashes)
		return err_set(e, ERR_NOMEM, "kallsyms: out of memory");
	if (kallsyms_read_tokens(m, p.token_table, p.token_index, &ks->tokens, e) ||
	    read_names(m, ks, p.names, e) || read_addresses(m, ks, &p, e))
		return -1;
	return settle_addresses(m, ks, &p, e);
}

int kallsyms_open(const struct kmem *m, struct kallsyms **ret, struct err *e)
{
	struct kallsyms *ks = calloc(1, sizeof(*ks));

	if (!ks)
		return err_set(e, ERR_NOMEM, "kallsyms: out of memory");
	if (load(m, ks, e)) {
		kallsyms_close(ks);
		return -1;
	}
	*ret = ks;
	return 0;
}

/* ---- questions ---- */

bool kallsyms_find(const struct kallsyms *ks, const char *name, uint64_t *ret)
{
	uint32_t i = find(ks, name, 0);

	if (i < ks->nr)
		*ret = ks->addrs[i];
	return i < ks->nr;
}

uint32_t kallsyms_count(const struct kallsyms *ks)
{
	return ks->nr;
}

bool kallsyms_get(const struct kallsyms *ks, uint32_t i, struct symbol *ret)
{
	char text[SYMBOL_NAME_MAX + 1];

	if (i >= ks->nr)
		return false;
	*ret = (struct symbol){ .addr = ks->addrs[i], .type = '?' };
	if (expand(ks, i, text)) {
		ret->type = text[0];
		strcpy(ret->name, text + 1);
	}
	return true;
}

bool kallsyms_find_next(const struct kallsyms *ks, const char *name, uint32_t *i,
			struct symbol *ret)
{
	*i = find(ks, name, *i);
	return kallsyms_get(ks, *i, ret);
}

/* Its kind, a letter of nm(1), then what languages and compilers make of names. */
static bool is_symbol(const char *text)
{
	size_t i;

	if (!*text || !strchr("aAbBcCdDgGiInNpPrRsStTuUvVwW-?", *text) || !text[1])
		return false;
	for (i = 1; text[i]; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

uint32_t kallsyms_damaged(const struct kallsyms *ks)
{
	char text[SYMBOL_NAME_MAX + 1];
	uint32_t i, n = 0;

	for (i = 0; i < ks->nr; i++) {
		expand(ks, i, text);
		n += !is_symbol(text) || (i && ks->addrs[i] < ks->addrs[i - 1]);
	}
	return n;
}

/* The table ascends by address (scripts/kallsyms.c sorts it); a damaged one answers nonsense at
 * worst. */
bool kallsyms_at(const struct kallsyms *ks, uint64_t addr, struct symbol *ret)
{
	uint32_t lo = 0, hi = ks->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ks->addrs[mid] <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	/* Of several at one address the first, as the kernel prints it. */
	for (lo--; lo && ks->addrs[lo - 1] == ks->addrs[lo];)
		lo--;
	return kallsyms_get(ks, lo, ret);
}

/* ---- the provider ---- */

struct provider {
	struct kmem_provider head;
	struct kallsyms *table;
};

static const struct kallsyms *provide(struct provider *p)
{
	uint32_t bad;

	if (p->head.tried)
		return p->table;
	p->head.tried = true; /* first: to look for it asks for facts */
	if (kallsyms_open(&p->head.mem, &p->table, &p->head.why))
		return NULL;
	bad = kallsyms_damaged(p->table);
	if (bad)
		kmem_provider_damaged(&p->head, "symbols", bad, p->table->nr);
	return p->table;
}

static bool provider_fact(const struct fact_provider *base, enum fact_kind kind, const char *name,
			  uint64_t *ret)
{
	struct provider *p = (struct provider *)base;

	return kind == FACT_SYMBOL && provide(p) && kallsyms_find(p->table, name, ret);
}

static void provider_close(struct fact_provider *base)
{
	struct provider *p = (struct provider *)base;

	kallsyms_close(p->table);
	kmem_provider_free(base);
}

struct fact_provider *kallsyms_provider(struct dump *d, const struct xlat *x,
					const struct kernel *k)
{
	return kmem_provider_new(sizeof(struct provider), "kallsyms", provider_fact, provider_close,
				 d, x, k);
}

const struct kallsyms *kernel_kallsyms(const struct kernel *k, struct err *e)
{
	struct provider *p = kmem_provider_in(k, provider_fact);

	if (!p) {
		err_set(e, ERR_MISSING, "nobody looked for the kernel's table of symbols");
		return NULL;
	}
	if (!provide(p))
		*e = p->head.why;
	return p->table;
}
