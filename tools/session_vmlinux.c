/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vmlinux of a session: named by the user, or where distributions put it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "kmem.h"
#include "session.h"
#include "vmlinux.h"

#define TEXT 513

static bool text_of(const struct fact_provider *p, const char *key, char ret[TEXT])
{
	const char *text;
	size_t len;

	ret[0] = '\0';
	if (!p->text(p, key, &text, &len))
		return false;
	len = MIN(len, (size_t)TEXT - 1);
	memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}

/* What VMCOREINFO says, before anything else is known. */
static bool text_of_dump(const struct session *s, const char *key, char ret[TEXT])
{
	struct kernel k = { .nr_providers = 0 };
	bool known;

	ret[0] = '\0';
	if (!s->dump->vmcoreinfo)
		return false;
	kernel_add(&k, vmcoreinfo_provider(s->dump->vmcoreinfo, s->dump->vmcoreinfo_len));
	known = kernel_text(&k, key, ret, TEXT);
	kernel_fini(&k);
	return known;
}

/* The kernel's own banner, in the memory of the dump. */
static bool banner_in_memory(struct session *s, const struct fact_provider *p, char ret[TEXT])
{
	struct err ignored = ERR_INIT;
	struct reader r;
	uint64_t at;
	int failed;

	ret[0] = '\0';
	if (!xlat_works(&s->xlat) || !p->fact(p, FACT_SYMBOL, "linux_banner", &at))
		return false;
	reader_init(&r, s->dump);
	failed = kmem_string(&(struct kmem){ &s->kernel, &s->xlat, &r }, at, ret, TEXT, &ignored);
	reader_fini(&r);
	ret[strcspn(ret, "\n")] = '\0';
	return !failed && !strncmp(ret, "Linux version ", 14);
}

static int differ(const char *path, const char *what, const char *theirs, const char *ours,
		  struct err *e)
{
	return err_set(e, ERR_MISMATCH,
		       "%s: is not the kernel of the dump: its %s is %.120s, the dump's %.120s",
		       path, what, theirs, ours);
}

/*
 * Is it the dump's kernel? The build-id tells; where either has none, the release, and the banner
 * in memory once that can be read. SURE: not to know is not enough.
 */
static int check(struct session *s, const char *path, const struct fact_provider *p, bool sure,
		 struct err *e)
{
	char ours[TEXT], theirs[TEXT];

	if (text_of_dump(s, "BUILD-ID", ours) &&
	    text_of(p, "BUILD-ID", theirs))
		return strcmp(ours, theirs) ? differ(path, "build-id", theirs, ours, e) : 0;
	if (text_of_dump(s, "OSRELEASE", ours) &&
	    text_of(p, "OSRELEASE", theirs) && strcmp(ours, theirs) != 0)
		return differ(path, "release", theirs, ours, e);
	if (text_of(p, "BANNER", theirs) && banner_in_memory(s, p, ours))
		return strcmp(ours, theirs) ? differ(path, "banner", theirs, ours, e) : 0;
	return sure ? err_set(e, ERR_MISMATCH, "%s: cannot be told to be the dump's kernel", path)
		    : 0;
}

static int open_path(struct session *s, const char *path, struct fact_provider **ret, struct err *e)
{
	struct vmlinux_want want = { .e_machine = s->dump->id.e_machine,
				     .order = s->dump->id.order,
				     .word = s->dump->id.word,
				     .kernel = &s->kernel };

	if (!vmlinux_open)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: this program reads no vmlinux (dumptool, built with elfutils, "
			       "does)",
			       path);
	return vmlinux_open(path, &want, ret, e);
}

int session_name_vmlinux(struct session *s, const struct input_opts *o, struct err *e)
{
	struct err why = ERR_INIT;

	if (!o->vmlinux)
		return 0;
	if (open_path(s, o->vmlinux, &s->vmlinux, e))
		return -1;
	s->vmlinux_path = o->vmlinux;
	if (!check(s, o->vmlinux, s->vmlinux, false, &why))
		return 0;
	if (o->force_vmlinux) {
		s->vmlinux_doubtful = true;
		log_warn(s->dump->log, "%s; it is used all the same", why.text);
		return 0;
	}
	s->vmlinux->close(s->vmlinux);
	s->vmlinux = NULL;
	*e = why;
	return -1;
}

/* Once the memory of the dump can be read, a kernel without a build-id is checked anew. */
int session_recheck_vmlinux(struct session *s, const struct input_opts *o, struct err *e)
{
	return s->vmlinux && !o->force_vmlinux ? check(s, o->vmlinux, s->vmlinux, false, e) : 0;
}

int session_take_vmlinux(struct session *s, const char *path, bool force, struct err *e)
{
	struct err why = ERR_INIT;
	struct fact_provider *p;

	if (open_path(s, path, &p, e))
		return -1;
	if (check(s, path, p, true, &why)) {
		if (!force) {
			p->close(p);
			*e = why;
			return -1;
		}
		/* Once is enough. */
		if (!s->vmlinux_doubtful)
			log_warn(s->dump->log, "%s; it is used all the same", why.text);
		s->vmlinux_doubtful = true;
	}
	if (s->vmlinux || s->deep)
		p->close(p);
	else
		s->vmlinux = p;
	return 0;
}

/* ---- the usual places ---- */

static bool try_path(struct session *s, const char *path)
{
	struct err why = ERR_INIT;
	struct fact_provider *p;

	if (access(path, R_OK))
		return false;
	if (open_path(s, path, &p, &why)) {
		log_debug(s->dump->log, "%s", why.text);
		return false;
	}
	if (check(s, path, p, true, &why)) {
		log_debug(s->dump->log, "%s", why.text);
		p->close(p);
		return false;
	}
	log_debug(s->dump->log, "%s: facts about the kernel are taken from it", path);
	s->vmlinux = p;
	return true;
}

const struct vmlinux_place vmlinux_places[] = {
	{ "/usr/lib/debug/boot/vmlinux-", "" },		      /* Debian, Ubuntu */
	{ "/usr/lib/debug/lib/modules/", "/vmlinux" },	      /* Fedora, RHEL */
	{ "/usr/lib/debug/usr/lib/modules/", "/vmlinux" },    /* the same with a merged /usr */
	{ "/usr/lib/debug/lib/modules/", "/vmlinux.debug" },  /* SUSE */
	{ "/usr/lib/debug/usr/lib/modules/", "/vmlinux.debug" },
	{ "/usr/lib/debug/boot/vmlinux-", ".debug" },
	{ "/lib/modules/", "/build/vmlinux" }, /* built here; Arch */
	{ "/lib/modules/", "/vmlinux" },
	{ "/usr/lib/modules/", "/build/vmlinux" },
	{ "/usr/lib/modules/", "/vmlinux" },
	{ "/boot/vmlinux-", "" },
};
const size_t nr_vmlinux_places = ARRAY_SIZE(vmlinux_places);

void session_find_vmlinux(struct session *s)
{
	char release[UTS_LEN], id[129], path[512];
	size_t i;

	if (s->vmlinux || !vmlinux_open)
		return;
	if (kernel_text(&s->kernel, "OSRELEASE", release, sizeof(release)) && release[0] &&
	    !strchr(release, '/'))
		for (i = 0; i < nr_vmlinux_places; i++) {
			snprintf(path, sizeof(path), "%s%s%s", vmlinux_places[i].before, release,
				 vmlinux_places[i].behind);
			if (try_path(s, path))
				return;
		}
	if (!kernel_text(&s->kernel, "BUILD-ID", id, sizeof(id)) || strlen(id) < 3 ||
	    strspn(id, "0123456789abcdef") != strlen(id))
		return;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	try_path(s, path);
}

/* ---- what would help ---- */

/* How distributions call the packages, by what their kernels say of themselves. */
static const struct {
	const char *version, *release; /* part of it; NULL: any */
	const char *before, *behind;   /* the release in the name of the package with debug files */
	const char *modules;	       /* before the release, of the one with modules */
} packages[] = {
	{ "Ubuntu", NULL, "linux-image-", "-dbgsym", "linux-modules-" },
	{ "Debian", NULL, "linux-image-", "-dbg", "linux-image-" },
	{ NULL, "+deb", "linux-image-", "-dbg", "linux-image-" },
	{ NULL, ".el", "kernel-debuginfo-", "", "kernel-modules-" },
	{ NULL, ".fc", "kernel-debuginfo-", "", "kernel-modules-" },
	{ NULL, "-default", "kernel-default-debuginfo of ", "", "kernel-default of " },
};

static bool has(const char *text, const char *part)
{
	return !part || strstr(text, part);
}

bool session_package(struct session *s, bool debug, char *buf, size_t size)
{
	char names[UTS_FIELDS][UTS_LEN];
	const char *release = names[2];
	size_t i;

	session_utsname(s, names);
	for (i = 0; release[0] && i < ARRAY_SIZE(packages); i++) {
		if (!has(names[3], packages[i].version) || !has(release, packages[i].release))
			continue;
		snprintf(buf, size, "%s%s%s", debug ? packages[i].before : packages[i].modules,
			 release, debug ? packages[i].behind : "");
		return true;
	}
	*buf = '\0';
	return false;
}

void session_vmlinux_help(struct session *s, char *buf, size_t size)
{
	char package[256];

	if (s->vmlinux) {
		snprintf(buf, size, "%s does not tell it either",
			 s->vmlinux_path ? s->vmlinux_path : "the vmlinux that was found");
		return;
	}
	session_package(s, true, package, sizeof(package));
	snprintf(buf, size, "a vmlinux with debugging information would tell (%s)%s%s",
		 vmlinux_open ? "--vmlinux FILE" : "dumptool, built with elfutils",
		 package[0] ? ": package " : "", package);
}
