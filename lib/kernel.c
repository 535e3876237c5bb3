/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

static const char *const kind_name[] = { "SYMBOL", "SIZE", "OFFSET", "LENGTH", "NUMBER", "WIDTH" };

void kernel_add(struct kernel *k, struct fact_provider *p)
{
	if (p && k->nr_providers < KERNEL_MAX_PROVIDERS)
		k->providers[k->nr_providers++] = p;
	else if (p)
		p->close(p);
}

void kernel_forget(struct kernel *k, unsigned int keep)
{
	while (k->nr_providers > keep) {
		struct fact_provider *p = k->providers[--k->nr_providers];

		p->close(p);
	}
}

void kernel_fini(struct kernel *k)
{
	kernel_forget(k, 0);
}

/* No image is larger: the kernel and its modules on x86-64 (asm/page_64_types.h). */
#define IMAGE_REACH (1ULL << 30)

/*
 * The address *RET of P, moved as far as the kernel was. SYMBOL(mem_section) is none of the image
 * since v4.15 (83e3c48729d9): where that lay in another boot says nothing.
 */
static bool move_symbol(const struct fact_provider *p, uint64_t *ret)
{
	uint64_t stext;

	if (p->symbol_shift && p->fact(p, FACT_SYMBOL, "_stext", &stext) &&
	    *ret - stext + IMAGE_REACH >= 2 * IMAGE_REACH)
		return false;
	*ret += p->symbol_shift;
	return true;
}

static const struct fact_provider *who_knows(const struct kernel *k, enum fact_kind kind,
					     const char *name, uint64_t *ret)
{
	unsigned int i;

	for (i = 0; i < k->nr_providers; i++) {
		const struct fact_provider *p = k->providers[i];

		if (p->fact(p, kind, name, ret) && (kind != FACT_SYMBOL || move_symbol(p, ret)))
			return p;
	}
	return NULL;
}

bool kernel_fact(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t *ret)
{
	return who_knows(k, kind, name, ret) != NULL;
}

int kernel_need(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t *ret,
		struct err *e)
{
	if (kernel_fact(k, kind, name, ret))
		return 0;
	return err_set(e, ERR_MISSING, "%s(%s) is not known", kind_name[kind], name);
}

uint64_t kernel_or(const struct kernel *k, enum fact_kind kind, const char *name, uint64_t missing)
{
	uint64_t v;

	return kernel_fact(k, kind, name, &v) ? v : missing;
}

const char *kernel_origin(const struct kernel *k, enum fact_kind kind, const char *name)
{
	uint64_t v;
	const struct fact_provider *p = who_knows(k, kind, name, &v);

	return p ? p->name : NULL;
}

const char *kernel_damage(const struct kernel *k)
{
	unsigned int i;

	for (i = 0; i < k->nr_providers; i++)
		if (k->providers[i]->damage)
			return k->providers[i]->damage;
	return NULL;
}

bool kernel_text(const struct kernel *k, const char *key, char *buf, size_t size)
{
	const char *text;
	size_t len;
	unsigned int i;

	buf[0] = '\0';
	for (i = 0; i < k->nr_providers; i++) {
		const struct fact_provider *p = k->providers[i];

		if (!p->text || !p->text(p, key, &text, &len))
			continue;
		len = MIN(len, size - 1);
		memcpy(buf, text, len);
		buf[len] = '\0';
		return true;
	}
	return false;
}

/* ---- VMCOREINFO ---- */

struct vmcoreinfo {
	struct fact_provider base;
	const char *text;
	size_t len;
};

/*
 * The value of the first line that begins with KEY and "=": a line ends at a newline, a NUL or the
 * end.
 */
static bool find_line(const char *text, size_t len, const char *key, const char **ret,
		      size_t *ret_len)
{
	size_t key_len = strlen(key), pos = 0;

	while (pos < len) {
		size_t end = pos;

		while (end < len && text[end] != '\n' && text[end] != '\0')
			end++;
		if (end - pos > key_len && text[pos + key_len] == '=' &&
		    !memcmp(text + pos, key, key_len)) {
			*ret = text + pos + key_len + 1;
			*ret_len = end - pos - key_len - 1;
			return true;
		}
		pos = end + 1;
	}
	return false;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* All of TEXT as a number; no trailing garbage, no overflow. */
static bool parse_number(const char *text, size_t len, unsigned int base, uint64_t *ret)
{
	bool negative = len && text[0] == '-';
	size_t i = negative;
	uint64_t v = 0;

	if (len - i > 2 && text[i] == '0' && text[i + 1] == 'x') {
		base = 16;
		i += 2;
	}
	if (i >= len)
		return false;
	for (; i < len; i++) {
		unsigned int digit = (unsigned int)digit_value(text[i]);

		if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			return false;
	}
	*ret = negative ? -v : v;
	return true;
}

static bool vmcoreinfo_fact(const struct fact_provider *p, enum fact_kind kind, const char *name,
			    uint64_t *ret)
{
	const struct vmcoreinfo *v = (const struct vmcoreinfo *)p;
	char key[128] = "";
	const char *value;
	size_t len;

	if (strlen(kind_name[kind]) + strlen(name) + 3 > sizeof(key))
		return false;
	strcat(strcat(strcat(strcat(key, kind_name[kind]), "("), name), ")");
	return find_line(v->text, v->len, key, &value, &len) &&
	       parse_number(value, len, kind == FACT_SYMBOL ? 16 : 10, ret);
}

static bool vmcoreinfo_text(const struct fact_provider *p, const char *key, const char **ret,
			    size_t *ret_len)
{
	const struct vmcoreinfo *v = (const struct vmcoreinfo *)p;

	return find_line(v->text, v->len, key, ret, ret_len);
}

static void vmcoreinfo_close(struct fact_provider *p)
{
	free(p);
}

bool kernel_text_hex(const struct kernel *k, const char *key, uint64_t *ret)
{
	char text[24];

	return kernel_text(k, key, text, sizeof(text)) && parse_number(text, strlen(text), 16, ret);
}

struct fact_provider *vmcoreinfo_provider(const char *text, size_t len)
{
	struct vmcoreinfo *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->base = (struct fact_provider){ .name = "VMCOREINFO",
					  .fact = vmcoreinfo_fact,
					  .text = vmcoreinfo_text,
					  .close = vmcoreinfo_close };
	v->text = text;
	v->len = len;
	return &v->base;
}

bool vmcoreinfo_is_fact(const char *key)
{
	size_t kind = strcspn(key, "("), name, i;

	for (i = 0; i < ARRAY_SIZE(kind_name); i++)
		if (strlen(kind_name[i]) == kind && !strncmp(key, kind_name[i], kind))
			break;
	if (i == ARRAY_SIZE(kind_name) || !key[kind])
		return false;
	name = strcspn(key + kind + 1, "()=\n");
	return name && name < 100 && !strcmp(key + kind + 1 + name, ")");
}

bool vmcoreinfo_number(const char *key, const char *text, uint64_t *ret)
{
	bool hex = !strchr(key, '(') || !strncmp(key, "SYMBOL(", 7);

	return parse_number(text, strlen(text), hex ? 16 : 10, ret);
}

uint32_t vmcoreinfo_page_size(const char *text, size_t len)
{
	const char *value;
	size_t value_len;
	uint64_t size;

	if (!find_line(text, len, "PAGESIZE", &value, &value_len) ||
	    !parse_number(value, value_len, 10, &size))
		return 0;
	if (size < 4096 || size > SOURCE_SLACK || (size & (size - 1)))
		return 0;
	return (uint32_t)size;
}
