/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/kernel.c: VMCOREINFO as it is, as it might be, and as nobody should write it. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kernel.h"
#include "tap.h"

/* A kernel that knows TEXT and nothing else; LEN bytes of the heap, none behind them. */
static char *know(struct kernel *k, const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	memcpy(copy, text, len);
	*k = (struct kernel){ .nr_providers = 0 };
	kernel_add(k, vmcoreinfo_provider(copy, len));
	return copy;
}

static void is_fact(const char *text, enum fact_kind kind, const char *name, bool known,
		    uint64_t want)
{
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, text, strlen(text));
	uint64_t got = 0xdead;

	ok(kernel_fact(&k, kind, name, &got) == known && got == (known ? want : 0xdead), "%.*s",
	   (int)strcspn(text, "\n"), text);
	if (got != want && known)
		printf("# got 0x%" PRIx64 ", want 0x%" PRIx64 "\n", got, want);
	kernel_fini(&k);
}

static void number(const char *value, bool known, uint64_t want)
{
	char text[128];

	snprintf(text, sizeof(text), "NUMBER(n)=%s\n", value);
	is_fact(text, FACT_NUMBER, "n", known, want);
}

static void test_numbers(void)
{
	number("0", true, 0);
	number("4096", true, 4096);
	number("-129", true, (uint64_t)-129);
	number("-9223372036854775808", true, 1ULL << 63);
	number("18446744073709551615", true, UINT64_MAX);
	number("18446744073709551616", false, 0);
	number("184467440737095516150", false, 0);
	number("0xffffff00", true, 0xffffff00);
	number("0xffffffffffffffff", true, UINT64_MAX);
	number("0x10000000000000000", false, 0);
	number("-0x10", true, (uint64_t)-16);
	number("0x", false, 0);
	number("0xg", false, 0);
	number("", false, 0);
	number("-", false, 0);
	number("12a", false, 0);
	number("a", false, 0);
	number(" 12", false, 0);
	number("12 ", false, 0);
	number("12\r", false, 0);
	number("--1", false, 0);
	number("+1", false, 0);
	is_fact("SYMBOL(s)=ffffffffa7610000\n", FACT_SYMBOL, "s", true, 0xffffffffa7610000);
	is_fact("SYMBOL(s)=10\n", FACT_SYMBOL, "s", true, 0x10);
	is_fact("SYMBOL(s)=0x10\n", FACT_SYMBOL, "s", true, 0x10);
	is_fact("SYMBOL(s)=1ffffffffa7610000\n", FACT_SYMBOL, "s", false, 0);
	is_fact("SIZE(page)=64\n", FACT_SIZE, "page", true, 64);
	is_fact("OFFSET(page.lru)=8\n", FACT_OFFSET, "page.lru", true, 8);
	is_fact("LENGTH(zone.free_area)=11\n", FACT_LENGTH, "zone.free_area", true, 11);
}

static void test_lines(void)
{
	char long_name[200];

	is_fact("SIZE(page)=64", FACT_SIZE, "page", true, 64);
	is_fact("XSIZE(page)=1\nSIZE(page)=64", FACT_SIZE, "page", true, 64);
	is_fact("SIZE(page)X=1\nSIZE(page)=64\n", FACT_SIZE, "page", true, 64);
	is_fact("SIZE(page)\n=1\nSIZE(page)=64\n", FACT_SIZE, "page", true, 64);
	is_fact("\n\n\nSIZE(page)=64\n", FACT_SIZE, "page", true, 64);
	is_fact("SIZE(page)=64\nSIZE(page)=32\n", FACT_SIZE, "page", true, 64);
	is_fact("SIZE(page)=64\n", FACT_OFFSET, "page", false, 0);
	is_fact("SIZE(page)=64\n", FACT_SIZE, "pag", false, 0);
	is_fact("SIZE(page)", FACT_SIZE, "page", false, 0);
	is_fact("SIZE(page)=", FACT_SIZE, "page", false, 0);
	is_fact("", FACT_SIZE, "page", false, 0);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	is_fact("SIZE(page)=64\n", FACT_SIZE, long_name, false, 0);
}

/* The note's text may be padded with NULs, or cut by one in the middle. */
static void test_nul(void)
{
	static const char text[] = "SIZE(a)=1\0SIZE(b)=2\n\0\0\0SIZE(c)=3\0";
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, text, sizeof(text) - 1);
	uint64_t v;

	ok(kernel_fact(&k, FACT_SIZE, "a", &v) && v == 1, "a NUL ends a line");
	ok(kernel_fact(&k, FACT_SIZE, "b", &v) && v == 2, "what follows is a line");
	ok(kernel_fact(&k, FACT_SIZE, "c", &v) && v == 3, "behind several, too");
	kernel_fini(&k);
}

static void test_text(void)
{
	static const char text[] = "OSRELEASE=6.1.0-50-amd64\nBUILD-ID=\nCRASHTIME=17";
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, text, sizeof(text) - 1);
	char buf[32], one[1] = { 'x' };

	ok(kernel_text(&k, "OSRELEASE", buf, sizeof(buf)) && !strcmp(buf, "6.1.0-50-amd64"),
	   "a text");
	ok(kernel_text(&k, "OSRELEASE", buf, 5) && !strcmp(buf, "6.1."), "cut to fit");
	ok(kernel_text(&k, "OSRELEASE", one, 1) && !one[0], "into no room at all");
	ok(kernel_text(&k, "BUILD-ID", buf, sizeof(buf)) && !buf[0], "an empty text is known");
	ok(kernel_text(&k, "CRASHTIME", buf, sizeof(buf)) && !strcmp(buf, "17"),
	   "the last line needs no newline");
	strcpy(buf, "old");
	ok(!kernel_text(&k, "RELEASE", buf, sizeof(buf)) && !buf[0], "unknown, and nothing left");
	kernel_fini(&k);
}

static void test_asking(void)
{
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, "SIZE(a)=1\n", 10);
	struct err e = ERR_INIT;
	uint64_t v = 7;

	ok(!kernel_need(&k, FACT_SIZE, "a", &v, &e) && v == 1, "needed and known");
	ok(kernel_need(&k, FACT_OFFSET, "a.b", &v, &e) == -1 && e.code == ERR_MISSING &&
		   strstr(e.text, "OFFSET(a.b)") && v == 1,
	   "needed and not known: %s", e.text);
	is_u64(kernel_or(&k, FACT_SIZE, "a", 9), 1, "a default that is not needed");
	is_u64(kernel_or(&k, FACT_SIZE, "b", 9), 9, "and one that is");
	ok(kernel_origin(&k, FACT_SIZE, "a") &&
		   !strcmp(kernel_origin(&k, FACT_SIZE, "a"), "VMCOREINFO") &&
		   !kernel_origin(&k, FACT_SIZE, "b"),
	   "who knows it");
	kernel_fini(&k);
}

/* ---- more than one provider ---- */

static unsigned int closed;

static bool other_fact(const struct fact_provider *p, enum fact_kind kind, const char *name,
		       uint64_t *ret)
{
	(void)p;
	if (kind != FACT_SIZE || (strcmp(name, "a") && strcmp(name, "b")))
		return false;
	*ret = 100;
	return true;
}

static void other_close(struct fact_provider *p)
{
	free(p);
	closed++;
}

static struct fact_provider *other_provider(void)
{
	struct fact_provider *p = calloc(1, sizeof(*p));

	*p = (struct fact_provider){ .name = "other", .fact = other_fact, .close = other_close };
	return p;
}

static void test_providers(void)
{
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, "SIZE(a)=1\nOSRELEASE=x\n", 22);
	unsigned int i;
	char buf[8];

	kernel_add(&k, NULL);
	for (i = 0; i < KERNEL_MAX_PROVIDERS + 2; i++)
		kernel_add(&k, other_provider());
	is_u64(closed, 3, "a provider too many is closed");
	is_u64(kernel_or(&k, FACT_SIZE, "a", 0), 1, "the first that knows wins");
	is_u64(kernel_or(&k, FACT_SIZE, "b", 0), 100, "the next is asked after it");
	ok(!strcmp(kernel_origin(&k, FACT_SIZE, "b"), "other"), "and named");
	ok(kernel_text(&k, "OSRELEASE", buf, sizeof(buf)),
	   "a provider without texts is passed over");
	kernel_fini(&k);
	is_u64(closed, 2 + KERNEL_MAX_PROVIDERS, "all are closed in the end");
}

/* A kernel that ran 0x2000000 above: its image did; what else it had allocated is not known then. */
static void test_moved(void)
{
	static const char text[] = "SYMBOL(_stext)=ffffffff81000000\nSYMBOL(a)=ffffffff82a00000\n"
				   "SYMBOL(mem_section)=ffff88807fff0000\nSIZE(page)=64\n";
	struct kernel k;
	_cleanup_free_ char *copy = know(&k, text, sizeof(text) - 1);
	uint64_t got;

	is_u64(kernel_or(&k, FACT_SYMBOL, "mem_section", 0), 0xffff88807fff0000, "as it is");
	k.providers[0]->symbol_shift = 0x2000000;
	is_u64(kernel_or(&k, FACT_SYMBOL, "_stext", 0), 0xffffffff83000000, "_stext moves");
	is_u64(kernel_or(&k, FACT_SYMBOL, "a", 0), 0xffffffff84a00000, "so does the image");
	ok(!kernel_fact(&k, FACT_SYMBOL, "mem_section", &got), "no pointer of another boot");
	is_u64(kernel_or(&k, FACT_SIZE, "page", 0), 64, "sizes stay");
	kernel_fini(&k);
}

static void page_size(const char *text, uint32_t want)
{
	ok(vmcoreinfo_page_size(text, strlen(text)) == want, "page size of %s: %u", text, want);
}

int main(void)
{
	test_numbers();
	test_lines();
	test_nul();
	test_text();
	test_asking();
	test_providers();
	test_moved();
	page_size("PAGESIZE=4096", 4096);
	page_size("PAGESIZE=65536", 65536);
	page_size("PAGESIZE=0x4000", 16384);
	page_size("PAGESIZE=2048", 0);
	page_size("PAGESIZE=131072", 0);
	page_size("PAGESIZE=12288", 0);
	page_size("PAGESIZE=-4096", 0);
	page_size("PAGESIZE=4294971392", 0);
	page_size("SIZE(page)=64", 0);
	return done_testing();
}
