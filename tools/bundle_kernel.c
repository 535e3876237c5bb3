/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to a kernel dump: vmlinux, the loaded modules, what can be read without a debugger.
 */
#include "bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "dmesg.h"
#include "gdb_line.h"
#include "inspect.h"
#include "kallsyms.h"

/* ---- text ---- */

struct text {
	char *data;
	size_t len;
};

static int text_take(void *priv, const void *data, size_t len, struct err *e)
{
	struct text *t = priv;
	char *more = realloc(t->data, t->len + len + 1);

	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory");
	memcpy(more + t->len, data, len);
	t->data = more;
	t->len += len;
	return 0;
}

static int add_text(struct bundle *b, const char *path, char *data, size_t len, struct err *e)
{
	struct bundle_member m = { .path = strdup(path),
				   .fd = -1,
				   .bytes = data,
				   .size = len,
				   .mode = 0644,
				   .kind = MEMBER_TEXT,
				   .status = MEMBER_MADE };

	return bundle_add(b, &m, e);
}

/* The kernel log; what cannot be had is no reason to have no bundle. */
static int add_dmesg(struct bundle *b, struct session *s, struct err *e)
{
	struct text t = { NULL, 0 };
	struct sink_taker taker = { .take = text_take, .priv = &t };
	struct printk_opts opts = { .since_clear = false };
	struct err why = ERR_INIT;
	struct sink *sink;
	bool damaged;

	if (sink_take(&taker, "dmesg.txt", &sink, e))
		return -1;
	if (dmesg_write(s, &opts, sink, &damaged, &why))
		log_warn(b->log, "%s", why.text);
	sink_close(sink);
	if (t.len)
		return add_text(b, "dmesg.txt", t.data, t.len, e);
	free(t.data);
	return 0;
}

/* What FN prints to standard output, as a text. */
static char *capture(int (*fn)(struct inspect *in, struct err *e), struct inspect *in, size_t *len,
		     struct err *why)
{
	int fd = memfd_create("text", MFD_CLOEXEC), out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	char *text = NULL;
	off_t size = 0;

	*len = 0;
	fflush(stdout);
	if (fd >= 0 && out >= 0 && dup2(fd, STDOUT_FILENO) >= 0) {
		/* What it says before it fails is worth having. */
		fn(in, why);
		fflush(stdout);
		dup2(out, STDOUT_FILENO);
		size = lseek(fd, 0, SEEK_END);
		text = size > 0 ? malloc((size_t)size) : NULL;
	}
	if (text && pread(fd, text, (size_t)size, 0) == size)
		*len = (size_t)size;
	if (fd >= 0)
		close(fd);
	if (out >= 0)
		close(out);
	return text;
}

static const struct {
	const char *path;
	int (*fn)(struct inspect *in, struct err *e);
	bool json;
} reports[] = {
	{ "inspect.txt", inspect_overview, false }, { "inspect.json", inspect_overview, true },
	{ "tasks.txt", inspect_tasks, false },	    { "tasks.json", inspect_tasks, true },
	{ "modules.txt", inspect_modules, false },  { "modules.json", inspect_modules, true },
};

static int add_reports(struct bundle *b, struct session *s, struct err *e)
{
	char *name = b->name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reports); i++) {
		struct inspect in = { .session = *s,
				      .files = &name,
				      .nr_files = 1,
				      .quick = true,
				      .json = reports[i].json };
		struct err why = ERR_INIT;
		size_t len;
		char *text = capture(reports[i].fn, &in, &len, &why);

		if (why.code != ERR_NONE && !reports[i].json)
			log_info(b->log, "%s: %s", reports[i].path, why.text);
		if (why.code != ERR_NONE || !len)
			free(text);
		else if (add_text(b, reports[i].path, text, len, e))
			return -1;
	}
	return 0;
}

/* ---- System.map ---- */

static int add_symbols(struct bundle *b, struct session *s, const char *release, struct err *e)
{
	struct err why = ERR_INIT;
	const struct kallsyms *ks = kernel_kallsyms(&s->kernel, &why);
	char path[128], *text = NULL;
	struct symbol symbol;
	size_t len = 0;
	uint32_t i;
	FILE *f;

	if (!ks) {
		log_info(b->log, "no System.map is made: %s", why.text);
		return 0;
	}
	f = open_memstream(&text, &len);
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (i = 0; kallsyms_get(ks, i, &symbol); i++) {
		fprintf(f, "%0*llx %c ", 2 * s->dump->id.word, (unsigned long long)symbol.addr,
			symbol.type);
		print_escaped(f, symbol.name);
		putc('\n', f);
	}
	if (fclose(f)) {
		free(text);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	snprintf(path, sizeof(path), "boot/System.map-%s", release);
	return add_text(b, path, text, len, e);
}

/* ---- vmlinux ---- */

static size_t id_of_dump(const struct session *s, uint8_t ret[ELFFILE_MAX_ID])
{
	char hex[2 * ELFFILE_MAX_ID + 1];
	size_t i, len;

	if (!kernel_text(&s->kernel, "BUILD-ID", hex, sizeof(hex)))
		return 0;
	len = strspn(hex, "0123456789abcdef") / 2;
	for (i = 0; i < len; i++) {
		unsigned int byte;

		sscanf(hex + 2 * i, "%2x", &byte);
		ret[i] = (uint8_t)byte;
	}
	return len;
}

struct found {
	struct place place;
	enum member_status status;
};

/* Is F the kernel of the dump? Then, or when FORCE, it becomes the session's. */
static bool judge(struct session *s, const struct place *f, bool force, enum member_status *ret,
		  struct err *e)
{
	uint8_t id[ELFFILE_MAX_ID];
	size_t len = id_of_dump(s, id);
	bool same;

	if (session_take_vmlinux(s, f->origin, force, e))
		return false;
	same = len && f->elf.id_len == len && !memcmp(f->elf.id, id, len);
	*ret = same ? MEMBER_VERIFIED : len && f->elf.id_len ? MEMBER_MISMATCHED : MEMBER_BY_NAME;
	return true;
}

/* PATH below the --debug-path number I, or, behind the last of them, below the roots. */
static int open_vmlinux(const struct places *p, unsigned int i, const char *path, struct place *ret)
{
	static const char debug[] = "/usr/lib/debug/";
	struct err ignored = ERR_INIT;

	if (i == p->nr_debug)
		return places_open(p, path, ret, &ignored);
	if (strncmp(path, debug, sizeof(debug) - 1) != 0)
		return -1;
	return places_open_debug(p, i, path + sizeof(debug) - 2, ret, &ignored);
}

/* Where distributions put it. The first that is another kernel's is told in E. */
static bool find_by_name(struct bundle *b, struct session *s, const char *release,
			 struct found *ret, struct err *e)
{
	char path[512];
	unsigned int k;
	size_t i;

	for (i = 0; i < nr_vmlinux_places * (b->places->nr_debug + 1); i++) {
		const struct vmlinux_place *place = &vmlinux_places[i % nr_vmlinux_places];
		struct err why = ERR_INIT;

		k = (unsigned int)(i / nr_vmlinux_places);
		snprintf(path, sizeof(path), "%s%s%s", place->before, release, place->behind);
		if (open_vmlinux(b->places, k, path, &ret->place))
			continue;
		if (judge(s, &ret->place, false, &ret->status, &why))
			return true;
		place_close(&ret->place);
		if (e->code == ERR_NONE)
			*e = why;
	}
	return false;
}

/* By build-id, then by name. */
static int find_vmlinux(struct bundle *b, struct session *s, const char *release, struct found *ret,
			struct err *e)
{
	struct err why = ERR_INIT;
	uint8_t id[ELFFILE_MAX_ID];
	size_t len = id_of_dump(s, id);

	if (len && !places_by_id(b->places, id, len, ".debug", &ret->place, &why) &&
	    judge(s, &ret->place, false, &ret->status, &why))
		return 0;
	if (len)
		place_close(&ret->place);
	if (release[0] && find_by_name(b, s, release, ret, e))
		return 0;
	return e->code == ERR_NONE ? err_set(e, ERR_MISSING, "vmlinux is not on this machine") : -1;
}

static int vmlinux_missing(struct bundle *b, struct session *s, const char *release,
			   const struct err *why, struct err *e)
{
	struct bundle_member m = { .fd = -1, .kind = MEMBER_VMLINUX, .status = MEMBER_MISSING };
	char help[400];

	session_vmlinux_help(s, help, sizeof(help));
	m.path = bundle_text("usr/lib/debug/boot/vmlinux-%s", release[0] ? release : "unknown");
	m.id_len = id_of_dump(s, m.id);
	m.note = bundle_text("%s; %s", why->text, help);
	return bundle_add(b, &m, e);
}

static int add_vmlinux(struct bundle *b, struct session *s, const char *release, struct err *e)
{
	struct found f = { .place.fd = -1 };
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_VMLINUX };
	struct err why = ERR_INIT;

	if (b->vmlinux) {
		if (place_named(b->vmlinux, &f.place, e))
			return -1;
		if (!judge(s, &f.place, b->force, &f.status, e)) {
			place_close(&f.place);
			return -1;
		}
	} else if (find_vmlinux(b, s, release, &f, &why)) {
		return vmlinux_missing(b, s, release, &why, e);
	}
	if (f.status == MEMBER_MISMATCHED)
		b->mismatch = true;
	m.path = b->vmlinux ? bundle_text("usr/lib/debug/boot/vmlinux-%s", release)
			    : bundle_path(f.place.path);
	free(b->main_path);
	b->main_path = m.path ? strdup(m.path) : NULL;
	bundle_take_place(&m, &f.place, f.status);
	if (bundle_add(b, &m, e))
		return -1;
	return bundle_companions(b, &f.place, e);
}

/* ---- our script for gdb ---- */

/* FILE of this machine as MEMBER; ours, and so no part of what died. */
static int add_own(struct bundle *b, const char *file, const char *member, struct err *e)
{
	struct bundle_member m = { .mode = 0644, .kind = MEMBER_SCRIPT };
	struct err ignored = ERR_INIT;
	struct place f;

	if (place_named(file, &f, &ignored))
		return 0;
	m.path = strdup(member);
	bundle_take_place(&m, &f, MEMBER_MADE);
	return bundle_add(b, &m, e);
}

static int is_python(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 3 && !strcmp(d->d_name + n - 3, ".py");
}

/* The script, and the folder of its parts that lies beside it. */
static int add_gdb_script(struct bundle *b, struct err *e)
{
	char found[4096], script[PATH_MAX], file[PATH_MAX + 300], member[300];
	struct dirent **list = NULL;
	int nr, i, ret;

	/* In a build tree it is a link into the source. */
	if (!gdb_script_find(found, sizeof(found)) || !realpath(found, script))
		return 0;
	ret = add_own(b, script, GDB_SCRIPT_MEMBER, e);
	*strrchr(script, '/') = '\0';
	snprintf(file, sizeof(file), "%s/" GDB_SCRIPT_PARTS, script);
	nr = scandir(file, &list, is_python, alphasort);
	for (i = 0; i < nr; i++) {
		snprintf(file, sizeof(file), "%s/" GDB_SCRIPT_PARTS "/%s", script, list[i]->d_name);
		snprintf(member, sizeof(member), "gdb/" GDB_SCRIPT_PARTS "/%s", list[i]->d_name);
		ret = ret ? ret : add_own(b, file, member, e);
		free(list[i]);
	}
	free(list);
	return ret;
}

/* ---- all ---- */

int bundle_kernel(struct bundle *b, struct session *s, struct err *e)
{
	char names[UTS_FIELDS][UTS_LEN];
	const char *release = names[2];

	session_utsname(s, names);
	if (strchr(release, '/') || release[0] == '.')
		names[2][0] = '\0'; /* it becomes part of paths */
	snprintf(b->release, sizeof(b->release), "%s", release);
	if (add_vmlinux(b, s, release, e) || add_gdb_script(b, e) || add_dmesg(b, s, e))
		return -1;
	session_deepen(s);
	if (add_reports(b, s, e) || add_symbols(b, s, release, e) ||
	    bundle_config(b, s, release, e))
		return -1;
	return bundle_modules(b, s, release, e);
}
