/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between kallsyms.c, which reads the table of symbols, and kallsyms_search.c, which finds it. */
#ifndef KALLSYMS_PRIV_H
#define KALLSYMS_PRIV_H

#include "kallsyms.h"

/* Virtual addresses of the tables; offsets and base, or addresses. */
struct kallsyms_place {
	uint64_t names, nr, token_table, token_index, offsets, base, addresses;
};

/* No table of 256 tokens is longer: its offsets have 16 bits, and scripts/kallsyms.c makes far
 * less. */
#define KALLSYMS_TOKENS_MAX 65536u

struct kallsyms_tokens {
	uint16_t index[256];
	char table[KALLSYMS_TOKENS_MAX + SYMBOL_NAME_MAX];
};

int kallsyms_read_tokens(const struct kmem *m, uint64_t table, uint64_t index,
			 struct kallsyms_tokens *ret, struct err *e);

/* Length of a packed name's head and its number of tokens; 0 when LEN bytes do not hold it. */
size_t kallsyms_packed_len(const uint8_t *p, size_t len, size_t *tokens);

/* The text of NR tokens at P, cut to fit; its length. */
size_t kallsyms_expand(const struct kallsyms_tokens *t, const uint8_t *p, size_t nr,
		       char ret[SYMBOL_NAME_MAX + 1]);

/* Look for the tables in the kernel image, where VMCOREINFO does not tell (before 6.0). */
bool kallsyms_search(const struct kmem *m, struct kallsyms_place *ret);

#endif
