/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a session knows about the kernel: where VMCOREINFO comes from, and what is made of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archs.h"
#include "btf.h"
#include "budget.h"
#include "cleanup.h"
#include "complete.h"
#include "infoscan.h"
#include "kallsyms.h"
#include "kmem_find.h"
#include "ksymtab.h"
#include "main.h"
#include "session.h"
#include "talk.h"

/* A provider for VMCOREINFO; where the user knows another KASLR offset, its symbols are moved there. */
static void add_vmcoreinfo(struct session *s, const struct assume *a)
{
	struct fact_provider *p =
		vmcoreinfo_provider(s->dump->vmcoreinfo, s->dump->vmcoreinfo_len);
	uint64_t here = 0;

	if (p && a && a->set[ASSUME_KASLR]) {
		struct kernel k = { .providers = { p }, .nr_providers = 1 };

		kernel_text_hex(&k, "KERNELOFFSET", &here);
		p->symbol_shift = a->value[ASSUME_KASLR] - here;
	}
	kernel_add(&s->kernel, p);
}

/* Who knows what of the kernel: the user first. */
static int add_facts(struct session *s, const struct assume *a, struct err *e)
{
	if (a && assume_kernel(a)) {
		s->assumed = assume_text(a, s->dump);
		if (!s->assumed)
			return err_set(e, ERR_NOMEM, "out of memory");
		kernel_add(&s->kernel, vmcoreinfo_provider(s->assumed, strlen(s->assumed)));
		s->xlat.forced = assume_paging(a);
	}
	if (s->dump->vmcoreinfo)
		add_vmcoreinfo(s, a);
	return 0;
}

/*
 * Setup() found the kernel elsewhere than its VMCOREINFO says: so did everything move, but what the
 * user knows.
 */
static void move_symbols(struct session *s, const struct assume *a, struct log *log)
{
	uint64_t shift = s->xlat.symbol_shift, by = (int64_t)shift < 0 ? -shift : shift;
	const char *where = (int64_t)shift < 0 ? "below" : "above";
	unsigned int i;

	for (i = s->assumed ? 1 : 0; i < s->kernel.nr_providers; i++)
		s->kernel.providers[i]->symbol_shift += shift;
	if (shift && a && a->set[ASSUME_KASLR])
		log_warn(log,
			 "%s: no kernel is where kaslr-offset 0x%" PRIx64
			 " has it, but one 0x%" PRIx64 " bytes %s: that is used",
			 source_name(s->dump->source), a->value[ASSUME_KASLR], by, where);
	else if (shift)
		log_warn(
			log,
			"%s: its kernel lies 0x%" PRIx64
			" bytes %s what VMCOREINFO says: that is of another boot; crash and drgn would take it as it is",
			source_name(s->dump->source), by, where);
}

static void add_vmlinux(struct session *s)
{
	if (!s->vmlinux || s->vmlinux_added)
		return;
	kernel_add(&s->kernel, s->vmlinux);
	s->vmlinux_added = true;
}

bool session_knows_arch(const struct session *s)
{
	return s->dump->arch || s->dump->id.e_machine;
}

/* Why no address can be translated, where the architecture tells how to find no page table. */
static void tell_no_arch(struct session *s)
{
	const struct arch *a = s->dump->arch;

	if (session_knows_arch(s))
		err_set(&s->no_xlat, ERR_UNSUPPORTED,
			"addresses of %s (ELF machine %u) cannot be translated yet",
			a ? a->title : "this architecture", s->dump->id.e_machine);
	else
		err_set(&s->no_xlat, ERR_MISSING,
			"the architecture is not known (--arch NAME says it)");
}

/* What is known of the kernel becomes facts and a translation; A, what the user knows, may be NULL. */
static void setup_kernel(struct session *s, const struct assume *a, struct log *log)
{
	struct dump *d = s->dump;
	bool scanned;
	int failed;

	if (!d->vmcoreinfo)
		log_debug(log, "%s: has no VMCOREINFO note", source_name(d->source));
	if (add_facts(s, a, &s->no_xlat))
		return;
	/* Where nothing else tells, it says where the page table is. */
	if (!d->vmcoreinfo)
		add_vmlinux(s);
	if (!d->arch || !d->arch->setup) {
		tell_no_arch(s);
		return;
	}
	failed = d->arch->setup(d, &s->kernel, &s->xlat, &s->no_xlat);
	move_symbols(s, a, log);
	scanned = s->xlat.forced.scan && !s->xlat.paging;
	if (xlat_layout_forced(&s->xlat) || s->xlat.forced.has_root || s->xlat.forced.scan)
		failed = xlat_force(&s->xlat, d, &s->no_xlat);
	if (!failed && scanned)
		log_warn(log, "%s: the page table at 0x%" PRIx64 " is used, found in memory",
			 source_name(d->source), s->xlat.root);
	if (!failed) {
		s->no_xlat = (struct err)ERR_INIT;
		return;
	}
	if (!d->vmcoreinfo && !s->assumed)
		err_set(&s->no_xlat, ERR_MISSING,
			"there is no VMCOREINFO%s (--vmcoreinfo FILE "
			"gives one; --assume layout=NAME,page-table=scan looks for the page table alone)",
			s->searched ? ", neither as a note nor in memory"
				    : " note, and memory was not looked through for one");
	log_debug(log, "%s: %s", source_name(d->source), s->no_xlat.text);
}

/* In the order in which they are believed. */
void session_deepen(struct session *s)
{
	struct kernel *k = &s->kernel;

	if (s->deep)
		return;
	s->deep = true;
	session_find_vmlinux(s);
	if (!s->vmlinux_doubtful)
		add_vmlinux(s);
	kernel_add(k, kallsyms_provider(s->dump, &s->xlat, k));
	kernel_add(k, ksymtab_provider(s->dump, &s->xlat, k));
	kernel_add(k, btf_provider(s->dump, &s->xlat, k));
	add_vmlinux(s);
	kernel_add(k, kmem_find_provider(s->dump, &s->xlat, k));
}

/* What kept a provider in DEEP from its tables: they are found, and do not fit into memory. */
static void tell_short(struct session *s, const struct kernel *deep, enum complete_pass pass)
{
	struct err why = ERR_INIT;

	if (pass == COMPLETE_SYMBOLS)
		(void)kernel_kallsyms(deep, &why);
	else
		(void)kernel_btf(deep, &why);
	if (why.code == ERR_NOMEM && !s->short_of_memory)
		log_info(s->dump->log,
			 "what VMCOREINFO lacks is not looked for there, memory is short: %s",
			 why.text);
	s->short_of_memory |= why.code == ERR_NOMEM;
}

/* What a pass asks: kallsyms is given back before BTF is read. */
static void complete_pass(struct session *s, struct fact_provider *p, int level,
			  enum complete_pass pass)
{
	struct kernel deep = { .nr_providers = 0 };
	struct dump *d = s->dump;
	uint64_t here, there;

	if (!completion_lacks(&s->kernel, d, level, pass))
		return;
	kernel_add(&deep, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	if (deep.nr_providers && kernel_fact(&deep, FACT_SYMBOL, "_stext", &there) &&
	    kernel_fact(&s->kernel, FACT_SYMBOL, "_stext", &here))
		deep.providers[0]->symbol_shift = here - there; /* of another boot */
	session_find_vmlinux(s);
	if (s->vmlinux && !s->vmlinux_added) {
		kernel_add(&deep, s->vmlinux);
		completion_ask(p, &s->kernel, d, level, pass, &deep);
		deep.nr_providers--; /* it stays the session's */
	}
	if (pass == COMPLETE_SYMBOLS) {
		kernel_add(&deep, kallsyms_provider(d, &s->xlat, &deep));
		kernel_add(&deep, ksymtab_provider(d, &s->xlat, &deep));
	} else {
		kernel_add(&deep, btf_provider(d, &s->xlat, &deep));
	}
	completion_ask(p, &s->kernel, d, level, pass, &deep);
	tell_short(s, &deep, pass);
	kernel_fini(&deep);
}

void session_complete(struct session *s, int level)
{
	struct log *log = s->dump->log;
	struct fact_provider *p;
	char text[400];

	if (!s->dump->vmcoreinfo || !xlat_works(&s->xlat) || s->deep || s->completed ||
	    (!completion_lacks(&s->kernel, s->dump, level, COMPLETE_SYMBOLS) &&
	     !completion_lacks(&s->kernel, s->dump, level, COMPLETE_TYPES)))
		return;
	s->completed = true;
	p = completion_provider();
	if (!p)
		return;
	kernel_add(&s->kernel, p);
	complete_pass(s, p, level, COMPLETE_SYMBOLS);
	complete_pass(s, p, level, COMPLETE_TYPES);
	/* What it is may have become clear by what is known now: the order of pages. */
	complete_pass(s, p, level, COMPLETE_TYPES);
	completion_text(p, text, sizeof(text));
	if (text[0])
		log_info(log, "VMCOREINFO lacks what is known otherwise: %s", text);
}

int session_explain(struct session *s, struct err *e)
{
	struct err why = ERR_INIT, first = *e;
	char help[256];

	if (!xlat_works(&s->xlat))
		return err_set(e, ERR_MISSING, "%s: %s", first.text, s->no_xlat.text);
	session_vmlinux_help(s, help, sizeof(help));
	if (kernel_btf(&s->kernel, &why) && kernel_kallsyms(&s->kernel, &why))
		return err_set(e, ERR_MISSING, "%s; %s", first.text, help);
	return err_set(e, ERR_MISSING, "%s: %s; %s", first.text, why.text, help);
}

/* ---- names ---- */

/* Is this a string of sane characters, ended inside its 65 bytes? */
static int sane_name(const char *name)
{
	size_t i;

	for (i = 0; i < 65 && name[i]; i++)
		if (name[i] < ' ' || name[i] > '~')
			return 0;
	return i < 65;
}

static int read_utsname(struct session *s, char ret[UTS_FIELDS][UTS_LEN])
{
	struct err ignored = ERR_INIT;
	struct reader r;
	uint64_t at, off;
	int failed, i;

	if (!kernel_fact(&s->kernel, FACT_SYMBOL, "init_uts_ns", &at) ||
	    !kernel_fact(&s->kernel, FACT_OFFSET, "uts_namespace.name", &off))
		return -1;
	reader_init(&r, s->dump);
	failed = xlat_read(&s->xlat, &r, at + off, ret, 6 * 65, &ignored);
	reader_fini(&r);
	for (i = 0; !failed && i < 6; i++)
		failed = !sane_name(ret[i]);
	return failed || strcmp(ret[0], "Linux") ? -1 : 0;
}

void session_utsname(struct session *s, char ret[UTS_FIELDS][UTS_LEN])
{
	const struct told *told = &s->dump->told;

	if (told->has_uts && told->uts[2][0]) {
		memcpy(ret, told->uts, sizeof(told->uts));
		return;
	}
	if (!read_utsname(s, ret))
		return;
	memset(ret, 0, UTS_FIELDS * UTS_LEN);
	strcpy(ret[0], "Linux");
	kernel_text(&s->kernel, "OSRELEASE", ret[2], 65);
	if (!sane_name(ret[2]))
		ret[2][0] = '\0';
	if (s->dump->id.uname)
		snprintf(ret[4], 65, "%s", s->dump->id.uname);
}

/* ---- VMCOREINFO from elsewhere ---- */

/* No kernel's is longer than a page. */
#define MAX_FILE 65536u

/* A file with the text, as /sys/kernel/vmcoreinfo tells where it lies, or makedumpfile -g writes. */
static int use_file(struct session *s, const struct input_opts *o, const struct bind_force *force,
		    struct err *e)
{
	_cleanup_free_ char *text = malloc(MAX_FILE);
	size_t len = 0;
	ssize_t n = 1;
	int fd;

	if (!text)
		return err_set(e, ERR_NOMEM, "out of memory");
	fd = open(o->vmcoreinfo, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "%s", o->vmcoreinfo);
	while (n > 0 && len < MAX_FILE) {
		n = read(fd, text + len, MAX_FILE - len);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (n < 0)
		return err_sys(e, errno, "%s", o->vmcoreinfo);
	if (n || len < 10 || memcmp(text, "OSRELEASE=", 10))
		return err_set(e, ERR_USAGE,
			       "%s: is no VMCOREINFO: expected at most %u bytes of text that begin "
			       "with OSRELEASE=",
			       o->vmcoreinfo, MAX_FILE);
	return dump_set_vmcoreinfo(s->dump, text, len, force, e);
}

/*
 * How well what the dump says now goes with its memory: with it, addresses can be translated; the
 * kernel at them has the release that it names; it says much.
 */
static unsigned int weigh(struct dump *d, const struct assume *a)
{
	struct session s = { .dump = d, .no_xlat = ERR_INIT };
	char names[UTS_FIELDS][UTS_LEN], release[UTS_LEN];
	unsigned int weight = 0;
	size_t i;

	setup_kernel(&s, a, NULL);
	if (xlat_works(&s.xlat))
		weight += s.no_xlat.code == ERR_NONE ? 1u << 30 : 1u << 28;
	if (kernel_text(&s.kernel, "OSRELEASE", release, sizeof(release)) &&
	    !read_utsname(&s, names) && !strcmp(names[2], release))
		weight += 1u << 29;
	for (i = 0; i < d->vmcoreinfo_len; i++)
		weight += d->vmcoreinfo[i] == '\n';
	kernel_fini(&s.kernel);
	free(s.assumed);
	xlat_fini(&s.xlat);
	return weight;
}

bool session_is_vmcoreinfo(const char *arg)
{
	char start[10] = "";
	struct stat st;
	FILE *f;

	if (!strcmp(arg, "scan") || !strcmp(arg, "none"))
		return true;
	f = !stat(arg, &st) && S_ISREG(st.st_mode) ? fopen(arg, "re") : NULL;
	if (!f)
		return false;
	if (fread(start, 1, sizeof(start), f) != sizeof(start))
		start[0] = '\0';
	fclose(f);
	return !memcmp(start, "OSRELEASE=", sizeof(start));
}

static int choose(struct session *s, struct infoscan *scan, const struct input_opts *o,
		  struct log *log, struct err *e)
{
	struct bind_force force = assume_force(&o->assume);
	unsigned int i, best = 0, best_weight = 0;
	bool noted = s->dump->vmcoreinfo != NULL;
	char release[UTS_LEN] = "";

	for (i = 0; i < scan->nr; i++) {
		const struct infoscan_found *f = &scan->found[i];
		unsigned int weight;

		if (dump_set_vmcoreinfo(s->dump, f->text, f->len, &force, e))
			return -1;
		weight = weigh(s->dump, &o->assume);
		log_debug(log, "VMCOREINFO of %zu bytes at 0x%" PRIx64 ", weight 0x%x", f->len,
			  f->paddr, weight);
		if (i && weight <= best_weight)
			continue;
		best = i;
		best_weight = weight;
	}
	sscanf(scan->found[best].text, "OSRELEASE=%64[^\n]", release);
	log_warn(log,
		 "%s: %sVMCOREINFO of kernel %s, found in memory at 0x%" PRIx64
		 ", is used (%u found)",
		 source_name(s->dump->source), noted ? "" : "has no note for it; ", release,
		 scan->found[best].paddr, scan->nr);
	return dump_set_vmcoreinfo(s->dump, scan->found[best].text, scan->found[best].len,
				   &force, e);
}

static int use_memory(struct session *s, const struct input_opts *o, struct log *log,
		      struct err *e)
{
	struct infoscan scan = { .threads = budget_threads(0, budget_available(), 4 << 20, 2 << 20),
				 .interrupted = &interrupted,
				 .progress = o->progress };
	int failed;

	progress_start(o->progress, "Looking for VMCOREINFO", dump_count_content(s->dump));
	failed = infoscan_run(&scan, s->dump, e);
	s->searched = !failed;
	if (!failed)
		progress_end(o->progress);
	if (!failed && scan.nr)
		failed = choose(s, &scan, o, log, e);
	else if (!failed)
		log_debug(log, "%s: no VMCOREINFO is in its memory", source_name(s->dump->source));
	infoscan_fini(&scan);
	return failed;
}

/* Before facts are kept: this may move the notes that they are in. */
static int settle_order(struct dump *d, struct err *e)
{
	struct kernel k = { .nr_providers = 0 };
	int failed;

	if (!d->vmcoreinfo)
		return 0;
	kernel_add(&k, vmcoreinfo_provider(d->vmcoreinfo, d->vmcoreinfo_len));
	failed = dump_settle_order(d, archs, &k, e);
	kernel_fini(&k);
	return failed;
}

/* What the dump says itself, of what the user says otherwise: tell the differences. */
static void tell_assumed(struct session *s, const struct assume *a, struct assume_told *told)
{
	struct session alone = { .dump = s->dump, .no_xlat = ERR_INIT };

	if (assume_kernel(a) && s->dump->arch && s->dump->arch->setup) {
		setup_kernel(&alone, NULL, NULL);
		told->works = alone.no_xlat.code == ERR_NONE;
		told->xlat = alone.xlat;
	}
	assume_tell(a, s->dump, told, s->assumed ? s->assumed : "");
	kernel_fini(&alone.kernel);
	xlat_fini(&alone.xlat);
}

/* Where memory itself tells phys_base, the user's word may not stand. */
static void tell_found(const struct session *s, const struct assume *a)
{
	uint64_t base = a->value[ASSUME_PHYS_BASE];

	if (a->set[ASSUME_PHYS_BASE] && s->xlat.paging && s->xlat.phys_base &&
	    s->xlat.phys_base != base)
		log_warn(s->dump->log,
			 "%s: no page table is where phys-base 0x%" PRIx64 " has it, but where 0x%" PRIx64
			 " does: that is used",
			 source_name(s->dump->source), base, s->xlat.phys_base);
}

/* A dump that is bound: the kernel, by what A adds to it. ERR_USAGE. */
static int bind_kernel(struct session *s, const struct assume *a, struct assume_told *told,
		       struct log *log, struct err *e)
{
	struct dump *d = s->dump;

	if (assume_check(a, d, e))
		return err_add(e, "%s", source_name(d->source));
	setup_kernel(s, a, log);
	tell_assumed(s, a, told);
	tell_found(s, a);
	/* What a kdump header says of it goes on into others; the bitmaps of Arm's depend on it. */
	if (a->set[ASSUME_PHYS_BASE] && !d->arch->pfn_from_phys_base)
		d->told.phys_base = s->xlat.phys_base;
	return 0;
}

int session_bind(struct session *s, const struct input_opts *o, struct log *log, struct err *e)
{
	struct bind_force force = assume_force(&o->assume);
	const char *from = o->vmcoreinfo;
	struct dump *d = s->dump;
	struct assume_told told = { .arch = dump_told_arch(d, archs),
				    .page_size = d->id.page_size };
	bool scan = from && !strcmp(from, "scan"), none = from && !strcmp(from, "none");

	if (from && !scan && !none && use_file(s, o, &force, e))
		return -1;
	if (dump_bind(d, archs, &force, e))
		return -1;
	if (scan || (!none && !d->vmcoreinfo && d->arch && d->arch->setup))
		if (use_memory(s, o, log, e))
			return -1;
	if (!force.arch && !force.has_order && settle_order(d, e))
		return -1;
	if (session_name_vmlinux(s, o, e) || bind_kernel(s, &o->assume, &told, log, e))
		return -1;
	return session_recheck_vmlinux(s, o, e);
}
