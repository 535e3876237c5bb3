/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "assume.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "parse.h"
#include "session.h"

/* ---- the keys ---- */

enum value_type {
	TEXT,	 /* at most MAX characters */
	CHOICE,	 /* MIN or MAX, called A or B */
	SIZE,	 /* a power of two from MIN to MAX, as 64K, too */
	NUMBER,	 /* from MIN to MAX */
	ADDRESS, /* 64 bits, decimal or with 0x */
};

static const struct {
	const char *name;
	enum value_type type;
	uint64_t min, max;
	const char *expected;
} keys[NR_ASSUME_KEYS] = {
	[ASSUME_ARCH] = { "arch", TEXT, 1, 31, "the name of an architecture" },
	[ASSUME_PAGE_SIZE] = { "page-size", SIZE, 4096, 65536, "4K to 64K" },
	[ASSUME_WORD] = { "word", CHOICE, 4, 8, "32 or 64" },
	[ASSUME_ORDER] = { "byte-order", CHOICE, ORDER_LE, ORDER_BE, "little or big" },
	[ASSUME_LAYOUT] = { "layout", TEXT, 1, 63, "the name of a page table's layout" },
	[ASSUME_VA_BITS] = { "va-bits", NUMBER, 32, 64, "32 to 64" },
	[ASSUME_LEVELS] = { "levels", NUMBER, 1, PAGING_MAX_LEVELS, "1 to 6" },
	[ASSUME_ROOT] = { "page-table", ADDRESS, 0, 0, "a physical address, or scan" },
	[ASSUME_PHYS_BASE] = { "phys-base", ADDRESS, 0, 0, "a physical address" },
	[ASSUME_KASLR] = { "kaslr-offset", ADDRESS, 0, 0, "a number" },
	[ASSUME_PAGE_OFFSET] = { "page-offset", ADDRESS, 0, 0, "a virtual address" },
};

static void list_keys(char *ret, size_t size)
{
	size_t i, at = 0;

	for (i = 0; i < NR_ASSUME_KEYS && at < size; i++)
		at += (size_t)snprintf(ret + at, size - at, "%s%s", i ? ", " : "", keys[i].name);
}

/* They begin further left than what other options are for, so that two lines hold them. */
#define KEYS_COLUMN 10

void assume_help(FILE *f)
{
	int at = 0;
	size_t i;

	for (i = 0; i < NR_ASSUME_KEYS; i++) {
		int len = (int)strlen(keys[i].name) + 2;

		if (at + len > 79)
			at = 0;
		if (at)
			putc(' ', f);
		else
			fprintf(f, "%s%*s", i ? "\n" : "", KEYS_COLUMN, "");
		fprintf(f, "%s,", keys[i].name);
		at = at ? at + len : KEYS_COLUMN + len - 1;
	}
	fputs(" or a VMCOREINFO line\n", f);
}

/* ---- parsing ---- */

static bool parse_text(const char *value, char *ret, size_t size)
{
	return *value && (size_t)snprintf(ret, size, "%s", value) < size;
}

/* "32 or 64": the first word means MIN, the last one MAX. */
static bool parse_choice(const char *value, const char *expected, uint64_t min, uint64_t max,
			 uint64_t *ret)
{
	size_t first = strcspn(expected, " ");

	*ret = !strcmp(value, strrchr(expected, ' ') + 1) ? max : min;
	return *ret == max || (strlen(value) == first && !strncmp(value, expected, first));
}

static bool parse_value(struct assume *a, enum assume_key key, const char *value)
{
	uint64_t n, min = keys[key].min, max = keys[key].max;
	bool ok;

	switch (keys[key].type) {
	case TEXT:
		return key == ASSUME_ARCH ? parse_text(value, a->arch, sizeof(a->arch))
					  : parse_text(value, a->layout, sizeof(a->layout));
	case CHOICE:
		ok = parse_choice(value, keys[key].expected, min, max, &n);
		break;
	case SIZE:
		ok = parse_size(value, &n) && n >= min && n <= max && !(n & (n - 1));
		break;
	case NUMBER:
		ok = parse_number(value, PARSE_PREFIX, UINT64_MAX, &n) && n >= min && n <= max;
		break;
	default:
		a->scan = key == ASSUME_ROOT ? !strcmp(value, "scan") : a->scan;
		if (key == ASSUME_ROOT && a->scan)
			return true;
		ok = parse_number(value, PARSE_PREFIX, UINT64_MAX, &n);
		break;
	}
	a->value[key] = n;
	return ok;
}

/* Is KEY one of VMCOREINFO's: NUMBER(x), or capital letters as OSRELEASE? */
static bool is_line(const char *key)
{
	return vmcoreinfo_is_fact(key) ||
	       (isupper((unsigned char)*key) && strcmp(key, "PAGESIZE") &&
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(key));
}

/* A line of VMCOREINFO, before those that are there: the first one with a key counts. */
static int add_line(struct assume *a, const char *key, const char *value, struct err *e)
{
	size_t len = strlen(key) + strlen(value) + 2;
	uint64_t n;
	const char *p;

	for (p = value; *p; p++)
		if (*p < ' ' || *p > '~')
			return err_set(e, ERR_USAGE, "the value of %s has strange characters", key);
	if (vmcoreinfo_is_fact(key) && !vmcoreinfo_number(key, value, &n))
		return err_set(e, ERR_USAGE, "%s '%s': expected a number, as VMCOREINFO has it",
			       key, value);
	if (len >= sizeof(a->lines) - a->len)
		return err_set(e, ERR_USAGE, "too much is assumed");
	memmove(a->lines + len, a->lines, a->len + 1);
	memcpy(a->lines, key, strlen(key));
	a->lines[strlen(key)] = '=';
	memcpy(a->lines + strlen(key) + 1, value, strlen(value));
	a->lines[len - 1] = '\n';
	a->len += len;
	return 0;
}

int assume_set(struct assume *a, const char *key, const char *value, struct err *e)
{
	char names[256];
	size_t i;

	for (i = 0; i < NR_ASSUME_KEYS && strcmp(key, keys[i].name); i++)
		;
	if (i == NR_ASSUME_KEYS && is_line(key))
		return add_line(a, key, value, e);
	list_keys(names, sizeof(names));
	if (i == NR_ASSUME_KEYS)
		return err_set(e, ERR_USAGE,
			       "'%s' cannot be assumed; what can: %s, and lines of VMCOREINFO, as "
			       "NUMBER(VA_BITS)",
			       key, names);
	if (!parse_value(a, (enum assume_key)i, value))
		return err_set(e, ERR_USAGE, "%s '%s': expected %s", key, value, keys[i].expected);
	a->set[i] = true;
	return 0;
}

/* The comma that ends the value at TEXT: behind it is KEY=, with which names of layouts do not go
 * on. */
static char *value_end(char *text)
{
	char *comma = strchr(text, ',');

	while (comma) {
		const char *key = comma + 1 + strspn(comma + 1, " ");

		if (key[strcspn(key, ",= ")] == '=')
			break;
		comma = strchr(comma + 1, ',');
	}
	return comma ? comma : text + strlen(text);
}

int assume_parse(struct assume *a, const char *text, struct err *e)
{
	_cleanup_free_ char *copy = strdup(text);
	char *key, *value, *next;

	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (key = copy; key; key = next) {
		char *end;

		key += strspn(key, " ");
		value = strchr(key, '=');
		if (!value)
			return err_set(e, ERR_USAGE, "'%s' is not KEY=VALUE", key);
		*value++ = '\0';
		end = value_end(value);
		next = *end ? end + 1 : NULL;
		*end = '\0';
		if (assume_set(a, key, value, e))
			return -1;
	}
	return 0;
}

/* ---- use ---- */

struct bind_force assume_force(const struct assume *a)
{
	return (struct bind_force){ .arch = a->set[ASSUME_ARCH] ? a->arch : NULL,
				    .page_size = (uint32_t)a->value[ASSUME_PAGE_SIZE],
				    .word = (uint8_t)a->value[ASSUME_WORD],
				    .has_order = a->set[ASSUME_ORDER],
				    .order = (enum byte_order)a->value[ASSUME_ORDER] };
}

struct xlat_forced assume_paging(const struct assume *a)
{
	return (struct xlat_forced){ .layout = a->set[ASSUME_LAYOUT] ? a->layout : NULL,
				     .va_bits = (unsigned int)a->value[ASSUME_VA_BITS],
				     .levels = (unsigned int)a->value[ASSUME_LEVELS],
				     .has_root = a->set[ASSUME_ROOT] && !a->scan,
				     .scan = a->set[ASSUME_ROOT] && a->scan,
				     .root = a->value[ASSUME_ROOT] };
}

bool assume_kernel(const struct assume *a)
{
	size_t i = ASSUME_LAYOUT;

	while (i < NR_ASSUME_KEYS && !a->set[i])
		i++;
	return i < NR_ASSUME_KEYS || a->len;
}

static const struct arch_fact *find_fact(const struct arch *arch, enum assume_key key)
{
	const struct arch_fact *f = arch->facts;

	while (f && f->key && strcmp(f->key, keys[key].name))
		f++;
	return f && f->key ? f : NULL;
}

static unsigned int granule(const struct paging *p)
{
	return p->level[p->nr_levels - 1].shift;
}

/* "4K, 16K or 64K", of bits that are these sizes. */
static void list_sizes(uint64_t sizes, char *ret, size_t size)
{
	bool first = true;
	size_t at = 0;

	for (; sizes && at < size; sizes &= sizes - 1, first = false)
		at += (size_t)snprintf(ret + at, size - at, "%s%" PRIu64 "K",
				       first		     ? ""
				       : sizes & (sizes - 1) ? ", "
							     : " or ",
				       (sizes & -sizes) >> 10);
}

static int check_page_size(const struct dump *d, struct err *e)
{
	const struct paging *const *p = d->arch->paging;
	char sizes[128] = "";
	uint64_t seen = 0;

	for (; *p; p++) {
		if (granule(*p) == dump_page_shift(d))
			return 0;
		seen |= (uint64_t)1 << granule(*p);
	}
	list_sizes(seen, sizes, sizeof(sizes));
	return err_set(e, ERR_USAGE, "%s has no pages of %" PRIu32 " bytes: expected %s",
		       d->arch->name, d->id.page_size, sizes);
}

/* Is there a layout like that? Else tell which there are. */
static int check_layout(const struct assume *a, const struct dump *d, struct err *e)
{
	const struct paging *const *p = d->arch->paging;
	struct xlat x = { .forced = assume_paging(a) };
	unsigned int nr = 0;
	char names[256] = "";
	size_t at = 0;

	for (; *p; p++) {
		if (granule(*p) != dump_page_shift(d))
			continue;
		nr += xlat_allows(&x, *p);
		if (at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s\"%s\"",
					       at ? ", " : "", (*p)->name);
	}
	if (nr && !(a->scan && nr > 1))
		return 0;
	if (nr)
		return err_set(e, ERR_USAGE, "page-table=scan wants one of: layout=%s", names);
	return err_set(e, ERR_USAGE, "no layout of %s with pages of %" PRIu32 " bytes is so: %s",
		       d->arch->name, d->id.page_size, names);
}

static int check_root(const struct assume *a, const struct dump *d, struct err *e)
{
	uint64_t root = a->value[ASSUME_ROOT];

	if (a->scan)
		return check_layout(a, d, e);
	if (root % d->arch->paging[0]->entry_size ||
	    dump_page_state(d, SPACE_PHYS, root >> dump_page_shift(d)) == PAGE_ABSENT)
		return err_set(e, ERR_USAGE,
			       "page-table 0x%" PRIx64
			       ": no table can be there, where the dump has "
			       "no memory",
			       root);
	return 0;
}

/* An address that the architecture has to make something of. */
static int check_address(const struct assume *a, enum assume_key key, const struct dump *d,
			 struct err *e)
{
	const struct arch_fact *f = find_fact(d->arch, key), *other;
	uint64_t value = a->value[key];
	char names[64] = "nothing";
	size_t at = 0;

	if (f && !(value % f->align) && value >= f->min && value <= f->max)
		return 0;
	if (f)
		return err_set(e, ERR_USAGE,
			       "%s 0x%" PRIx64 " cannot be on %s: expected a multiple of 0x%" PRIx64
			       " from 0x%" PRIx64 " to 0x%" PRIx64,
			       f->key, value, d->arch->name, f->align, f->min, f->max);
	for (other = d->arch->facts; other && other->key && at < sizeof(names); other++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
				       other->key);
	return err_set(e, ERR_USAGE, "%s has no %s; of such addresses it has %s", d->arch->name,
		       keys[key].name, names);
}

int assume_check(const struct assume *a, const struct dump *d, struct err *e)
{
	enum assume_key key;

	if (d->arch && d->arch->paging && a->set[ASSUME_PAGE_SIZE] && check_page_size(d, e))
		return -1;
	for (key = ASSUME_LAYOUT; key < NR_ASSUME_KEYS; key++) {
		if (!a->set[key])
			continue;
		if (!d->arch || !d->arch->setup)
			return err_set(e, ERR_USAGE,
				       "%s means nothing as long as the architecture is not known "
				       "(arch=NAME)",
				       keys[key].name);
		if (key == ASSUME_ROOT	? check_root(a, d, e)
		    : key < ASSUME_ROOT ? check_layout(a, d, e)
					: check_address(a, key, d, e))
			return -1;
	}
	return 0;
}

char *assume_text(const struct assume *a, const struct dump *d)
{
	size_t size = a->len + 512, at = 0;
	char *text = malloc(size);
	enum assume_key key;

	for (key = ASSUME_PHYS_BASE; text && key < NR_ASSUME_KEYS; key++) {
		const struct arch_fact *f = a->set[key] ? find_fact(d->arch, key) : NULL;

		if (f)
			at += (size_t)snprintf(text + at, size - at, "%s=0x%" PRIx64 "\n", f->line,
					       a->value[key]);
	}
	if (text)
		memcpy(text + at, a->lines, a->len + 1);
	return text;
}

/* ---- what the dump says otherwise ---- */

/* The family and the byte order, which registers of CPUs tell better than a header. */
static void tell_arch(const struct dump *d, const struct arch *told)
{
	bool little = dump_cpus_run_little(d);

	if (told != d->arch && !(told->e_machine == d->arch->e_machine &&
				 told->word == d->arch->word && d->id.order == ORDER_LE && little))
		log_warn(d->log, "%s: says that it is of %s; %s is assumed", source_name(d->source),
			 told->title, d->arch->title);
	else if (d->id.order == ORDER_BE && little)
		log_warn(d->log, "%s: its CPUs run little-endian; big-endian is assumed",
			 source_name(d->source));
}

static void tell_identity(const struct assume *a, const struct dump *d,
			  const struct assume_told *told)
{
	uint32_t size = d->vmcoreinfo ? vmcoreinfo_page_size(d->vmcoreinfo, d->vmcoreinfo_len) : 0;

	if ((a->set[ASSUME_ARCH] || a->set[ASSUME_WORD] || a->set[ASSUME_ORDER]) && told->arch &&
	    d->arch)
		tell_arch(d, told->arch);
	if (!size)
		size = told->page_size;
	if (a->set[ASSUME_PAGE_SIZE] && size && size != d->id.page_size)
		log_warn(d->log,
			 "%s: says that its pages have %" PRIu32 " bytes; %" PRIu32 " is assumed",
			 source_name(d->source), size, d->id.page_size);
}

/* Lines of TEXT that VMCOREINFO has with another value. */
static void tell_lines(const struct dump *d, const char *text)
{
	struct kernel k = { .nr_providers = 0 };
	char key[128], value[1024], says[128];
	const char *line;

	if (!d->vmcoreinfo)
		return;
	kernel_add(&k, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	for (line = text; *line; line += strcspn(line, "\n") + 1) {
		uint64_t a, b;

		if (sscanf(line, "%127[^=]=%1023[^\n]", key, value) != 2 ||
		    !kernel_text(&k, key, says, sizeof(says)) || !strcmp(says, value) ||
		    (vmcoreinfo_number(key, says, &a) && vmcoreinfo_number(key, value, &b) &&
		     a == b))
			continue;
		log_warn(d->log, "%s: VMCOREINFO says %s=%s; %s is assumed", source_name(d->source),
			 key, says, value);
	}
	kernel_fini(&k);
}

static void tell_paging(const struct assume *a, const struct dump *d,
			const struct assume_told *told, const char *text)
{
	const struct xlat *x = &told->xlat;
	struct xlat wish = { .forced = assume_paging(a) };
	uint64_t base = a->value[ASSUME_PHYS_BASE];

	if (!told->works || !x->paging)
		return;
	if (!xlat_allows(&wish, x->paging))
		log_warn(
			d->log,
			"%s: says that its page table is %s (%u bits, %u levels); it is assumed to "
			"be another",
			source_name(d->source), x->paging->name, x->paging->va_bits,
			x->paging->nr_levels);
	if (wish.forced.has_root && wish.forced.root != x->root)
		log_warn(d->log,
			 "%s: says that its page table is at 0x%" PRIx64 "; 0x%" PRIx64
			 " is assumed",
			 source_name(d->source), x->root, wish.forced.root);
	/* Where VMCOREINFO says it, it was told already. */
	if (a->set[ASSUME_PHYS_BASE] && x->phys_base && x->phys_base != base &&
	    !(d->vmcoreinfo && text &&
	      memmem(d->vmcoreinfo, d->vmcoreinfo_len, text, strcspn(text, "=") + 1)))
		log_warn(d->log, "%s: says phys_base 0x%" PRIx64 "; 0x%" PRIx64 " is assumed",
			 source_name(d->source), x->phys_base, base);
}

void assume_tell(const struct assume *a, const struct dump *d, const struct assume_told *told,
		 const char *text)
{
	tell_identity(a, d, told);
	tell_lines(d, text);
	tell_paging(a, d, told, text);
}
