/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printk_image.h"

static uint64_t random_state;

uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

const char *random_text(char *buf, unsigned int max)
{
	unsigned int i, len = 1 + random_u32() % max;

	for (i = 0; i < len; i++)
		buf[i] = (char)('a' + random_u32() % 26);
	buf[len] = '\0';
	return buf;
}

static const struct entry_form present[] = {
	{ 1, 1, ENTRY_LEAF, { { 0xfffff000, 0 } }, 0 },
	ENTRY_REST,
};

static const struct paging test_paging = {
	.name = "test",
	.va_bits = 64,
	.entry_size = 8,
	.nr_levels = 1,
	.level = { { 30, 2, present } },
};

struct image image;
struct expect expects[4096];
unsigned int nr_expects;
const struct printk_opts since_clear = { .since_clear = true };

static bool test_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret)
{
	(void)d;
	(void)space;
	image.looked_up++;
	*ret = (struct run){ .pfn = pfn, .nr = 1, .state = PAGE_DATA };
	if (pfn < NR_PAGES && image.hole[pfn])
		ret->state = PAGE_EXCLUDED;
	return pfn < NR_PAGES;
}

static int test_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr,
		     struct view *ret, struct err *e)
{
	(void)r;
	(void)space;
	(void)nr;
	(void)e;
	*ret = (struct view){ .data = image.mem + pfn * PAGE, .nr = 1 };
	return 0;
}

static int test_read_page(struct reader *r, enum space space, uint64_t pfn, void *buf,
			  struct err *e)
{
	(void)r;
	(void)space;
	(void)e;
	memcpy(buf, image.mem + pfn * PAGE, PAGE);
	return 0;
}

static const struct map_ops test_map = { .next_run = test_next_run,
					 .view = test_view,
					 .read_page = test_read_page };

static void count_warning(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	(void)text;
	image.warnings += level == LOG_WARN;
}

void put(uint64_t vaddr, uint64_t v, unsigned int size)
{
	struct bytes_out o = { .data = image.mem + (vaddr - VBASE),
			       .size = size,
			       .order = image.order };

	out_uint(&o, v, size);
}

void put_word(uint64_t vaddr, uint64_t v)
{
	put(vaddr, v, image.word);
}

void fact(const char *key, uint64_t v)
{
	size_t len = strlen(image.info);

	snprintf(image.info + len, sizeof(image.info) - len,
		 strncmp(key, "SYMBOL", 6) ? "%s=%" PRIu64 "\n" : "%s=%" PRIx64 "\n", key, v);
}

void forget(const char *key)
{
	char *line = strstr(image.info, key), *end = line ? strchr(line, '\n') : NULL;

	if (end)
		memmove(line, end + 1, strlen(end + 1) + 1);
}

void image_reset(unsigned int word, enum byte_order order)
{
	while (nr_expects)
		free(expects[--nr_expects].text);
	memset(&image, 0, sizeof(image));
	image.word = word;
	image.order = order;
	image.log.emit = count_warning;
	image.dump = (struct dump){ .map = &test_map, .log = &image.log };
	image.dump.id = (struct ident){ .order = order, .word = (uint8_t)word, .page_size = PAGE };
	put(VBASE + ROOT + 8, 1, 8);
	fact("PAGESIZE", PAGE);
	fact("SIZE(list_head)", 2 * word);
}

void expect(const char *text)
{
	expects[nr_expects++] = (struct expect){ .text = strdup(text) };
}

void expect_record(uint64_t ts, uint32_t caller, const char *text)
{
	char buf[1024], id[16] = "";
	int n = snprintf(buf, sizeof(buf), "[%5lld.%06ld] ", (long long)(ts / 1000000000),
			 (long)(ts % 1000000000 / 1000));
	int indent;

	snprintf(id, sizeof(id), "%c%u", caller >> 31 ? 'C' : 'T', caller & 0x7fffffff);
	if (caller)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, "[%8s] ", id);
	for (indent = n; *text; text++)
		if (*text == '\n')
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, "\n%*s", indent, "");
		else
			n += snprintf(buf + n, sizeof(buf) - (size_t)n,
				      (*text & 0x80) || *text == 1 ? "\\x%02x" : "%c",
				      (uint8_t)*text);
	expect(buf);
}

static int take_line(void *priv, const char *line, size_t len, struct err *e)
{
	struct output *o = priv;

	while (o->room - o->len < len + 2) {
		o->room = 2 * o->room + 4096;
		o->buf = realloc(o->buf, o->room);
	}
	memcpy(o->buf + o->len, line, len);
	o->len += len;
	o->buf[o->len++] = '\n';
	o->buf[o->len] = '\0';
	o->longest = MAX(o->longest, len);
	if (++o->lines != o->stop_after)
		return 0;
	err_set(e, ERR_NOSPACE, "full");
	return 7;
}

void output_fini(struct output *o)
{
	free(o->buf);
}

void read_log(struct output *o, const struct printk_opts *opts)
{
	struct xlat x = { .paging = &test_paging, .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct reader r;

	kernel_add(&k, vmcoreinfo_provider(image.info, strlen(image.info)));
	reader_init(&r, &image.dump);
	o->rc = printk_read(&k, &x, &r, opts, take_line, o, &o->stats, &o->e);
	reader_fini(&r);
	kernel_fini(&k);
}

/* What must come out, from record FIRST on. */
static char *expected(unsigned int first)
{
	size_t len = 0;
	unsigned int i;
	char *buf;

	for (i = first; i < nr_expects; i++)
		len += strlen(expects[i].text) + 1;
	buf = malloc(len + 1);
	buf[0] = '\0';
	len = 0;
	for (i = first; i < nr_expects; i++)
		if (!expects[i].gone)
			len += (size_t)sprintf(buf + len, "%s\n", expects[i].text);
	return buf;
}

bool log_matches(unsigned int first, const struct printk_opts *opts, uint64_t lost,
		 uint64_t unfinished)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	_cleanup_free_ char *want = expected(first);

	read_log(&o, opts);
	if (!o.rc && o.stats.lost == lost && o.stats.unfinished == unfinished &&
	    !strcmp(o.buf ? o.buf : "", want))
		return true;
	printf("# rc %d, %s, lost %" PRIu64 " unfinished %" PRIu64
	       "\n# got %.300s\n# want %.300s\n",
	       o.rc, o.e.text, o.stats.lost, o.stats.unfinished, o.buf ? o.buf : "", want);
	return false;
}

static int keep_region(void *priv, uint64_t vaddr, uint64_t len, struct err *e)
{
	struct kept *kept = priv;
	uint64_t pfn;

	(void)e;
	if (vaddr < VBASE || vaddr - VBASE + len > sizeof(image.mem))
		return 9;
	for (pfn = (vaddr - VBASE) / PAGE; pfn <= (vaddr - VBASE + len - 1) / PAGE; pfn++)
		kept->page[pfn] = true;
	kept->nr++;
	return 0;
}

int read_regions(struct kept *kept, struct err *e)
{
	struct xlat x = { .paging = &test_paging, .root = ROOT };
	struct kernel k = { .nr_providers = 0 };
	struct reader r;
	int rc;

	kernel_add(&k, vmcoreinfo_provider(image.info, strlen(image.info)));
	reader_init(&r, &image.dump);
	rc = printk_regions(&k, &x, &r, keep_region, kept, e);
	reader_fini(&r);
	kernel_fini(&k);
	return rc;
}

static void damage(uint8_t *p, size_t len, unsigned int per_mille)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (random_u32() % 1000 < per_mille)
			p[i] = (uint8_t)random_u32();
}

bool survives(build_fn build, unsigned int seed)
{
	_cleanup_output_ struct output o = { .rc = 0 };
	struct printk_opts opts = { .since_clear = seed & 4 };
	struct kept kept = { .nr = 0 };
	struct err e = ERR_INIT;
	size_t i;

	build(seed & 1 ? 4 : 8, seed & 2 ? ORDER_BE : ORDER_LE);
	random_state = seed;
	damage(image.mem + PAGE, sizeof(image.mem) - 2 * PAGE, seed % 3 ? 10 : 1);
	if (seed % 5 == 0)
		damage((uint8_t *)image.info, strlen(image.info), 10);
	image.hole[2 + random_u32() % (NR_PAGES - 3)] = seed & 8;
	read_log(&o, &opts);
	read_regions(&kept, &e);
	for (i = 0; i < o.len; i++)
		if ((o.buf[i] & 0x80) || (o.buf[i] < ' ' && !memchr("\t\n\v\f\r", o.buf[i], 5)))
			return false;
	return o.len <= 64 * sizeof(image.mem);
}
