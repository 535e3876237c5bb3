/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a bundle: what is it, what belongs to it, then one member after another into the archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch.h"
#include "bundle_cmd.h"
#include "cleanup.h"
#include "formats.h"
#include "main.h"
#include "tovelf.h"

#define PIECE ((size_t)1 << 20)

/* ---- the dump ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What the dump is called in the bundle: its name here, less what cannot be one. */
static void name_dump(struct bundle_job *j)
{
	struct bundle *b = &j->bundle;
	const char *name = !strcmp(j->input, "-") ? "core" : base_name(j->input);
	size_t i;

	snprintf(b->name, sizeof(b->name) - 8, "%s", *name ? name : "dump");
	for (i = 0; b->name[i]; i++)
		if (b->name[i] < ' ' || b->name[i] == 127)
			b->name[i] = '_';
	/* No option of tar, nothing hidden, and neither "." nor "..". */
	if (b->name[0] == '.' || b->name[0] == '-')
		b->name[0] = '_';
	i = strlen(b->name);
	if (j->store_elf && b->kernel && (i < 4 || strcmp(b->name + i - 4, ".elf") != 0))
		strcat(b->name, ".elf");
}

/* The file that holds it: what it is wrapped in stays on, where it was a file; a pipe has become
 * one. */
static struct source *stored_file(struct source *s)
{
	while (source_under(s) && source_get_fd(source_under(s)) >= 0)
		s = source_under(s);
	return s;
}

/* libkdumpfile knows a kdump's architecture by such names alone (util.c, uts_looks_sane()). */
static bool names_a_machine(const struct dump *d)
{
	const char *machine = d->told.uts[4];

	if (strcmp(d->told.uts[0], "Linux") != 0 || !d->told.uts[2][0] || !d->told.uts[3][0])
		return false;
	return !d->arch || dump_arch_is_called(d->arch, machine);
}

/*
 * Do crash and drgn open the file of D? They read ELF and kdump, flattened too, but nothing that is
 * compressed as a whole; and drgn no kdump of QEMU, which leaves most of the names empty
 * (dump/dump.c, create_header64()).
 */
static bool opens_as_it_is(const struct dump *d)
{
	const struct source *s, *file = stored_file(d->source);

	for (s = d->source; s != file; s = source_under(s))
		if (strcmp(source_kind(s), "flattened") != 0)
			return false;
	return d->format == &elf_format || d->format == &xencore_format ||
	       (d->format == &kdump_format && names_a_machine(d));
}

/* How it is stored, where the user does not say. One that is cut off is what it is. */
static void choose_storage(struct bundle_job *j)
{
	const struct dump *d = j->job.session.dump;

	if (!j->bundle.kernel || j->store_set || j->store_elf || d->incomplete ||
	    d->damage.missing_bytes || opens_as_it_is(d))
		return;
	j->store_elf = true;
	log_info(&j->talk.log, "%s: is stored as ELF: not all of crash and drgn open it as it is",
		 j->input);
}

static const char *encrypted_end(const struct bundle_job *j)
{
	if (!j->encrypt_to)
		return "";
	return encrypts_with_age(j->encrypt_to) ? ".age" : ".gpg";
}

/* What the folder in the archive is called, and the archive, where nobody has named it. */
static void name_folder(const struct bundle_job *j, char *ret, size_t size)
{
	char names[UTS_FIELDS][UTS_LEN];

	if (j->naming == NAMED_BY_US) {
		snprintf(ret, size, "%s.bundle", j->bundle.name);
	} else if (!j->bundle.kernel) {
		snprintf(ret, size, "archive-%s", j->bundle.name);
	} else {
		session_utsname((struct session *)&j->job.session, names);
		snprintf(ret, size, "%s.archive-%s",
			 names[1][0] && !strchr(names[1], '/') ? names[1] : "unknown",
			 j->bundle.name);
	}
}

/* What the output's name says, less the end that encryption gives it. */
static int format_of_name(const struct bundle_job *j)
{
	size_t len = strlen(j->output), end = strlen(encrypted_end(j));
	_cleanup_free_ char *name = NULL;

	if (!end || len <= end || strcmp(j->output + len - end, encrypted_end(j)) != 0)
		return pack_format_of(j->output);
	name = strndup(j->output, len - end);
	return name ? pack_format_of(name) : -1;
}

static int name_output(struct bundle_job *j, const char *folder, struct err *e)
{
	if (j->format < 0)
		j->format = j->output && !j->to_stdout ? format_of_name(j) : PACK_TAR_ZST;
	if (j->format < 0)
		return err_set(
			e, ERR_USAGE,
			"%s: what kind of archive? NAME.tar.zst, .tar.xz, .tar.gz, .tar or .zip, "
			"or --format",
			j->output);
	j->pack.format = (enum pack_format)j->format;
	if (j->output)
		return 0;
	j->own_output = bundle_text("%s%s%s%s", folder, j->format == PACK_DIR ? "" : ".",
				    j->format == PACK_DIR ? "" : pack_format_name(j->pack.format),
				    encrypted_end(j));
	j->output = j->own_output;
	return j->output ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int open_dump(struct bundle_job *j, struct err *e)
{
	struct source *s;

	j->in.progress = talk_progress(&j->talk);
	if (open_sources(&j->input, 1, &j->in, &j->talk.log, &s, e))
		return -1;
	if (usercore_probe(s)) {
		j->source = s;
		return usercore_open(s, &j->talk.log, &j->core, e);
	}
	j->bundle.kernel = true;
	if (!session_use(&j->job.session, &s, 1, &j->in, &j->talk.log, e))
		return 0;
	source_close(s);
	return -1;
}

/* ---- members ---- */

static void show_progress(struct bundle_job *j, size_t more)
{
	j->done += more;
	progress_at(talk_progress(&j->talk), j->done);
}

static int interrupted_error(struct err *e)
{
	return err_set(e, ERR_INTERRUPTED, "interrupted");
}

/*
 * The bytes of a file. One that is shorter by now is filled up with zeros: its size is told
 * already; *CHANGED.
 */
static int copy_file(struct bundle_job *j, int fd, uint64_t size, bool *changed, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(PIECE);
	uint64_t off = 0;

	if (!buf)
		return err_set(e, ERR_NOMEM, "out of memory");
	while (off < size) {
		size_t want = (size_t)MIN(size - off, (uint64_t)PIECE);
		ssize_t n = *changed ? 0 : pread(fd, buf, want, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*changed = true;
			memset(buf, 0, want);
			n = (ssize_t)want;
		}
		if (pack_data(j->out, buf, (size_t)n, e))
			return -1;
		off += (uint64_t)n;
		show_progress(j, (size_t)n);
		if (interrupted)
			return interrupted_error(e);
	}
	return 0;
}

static int write_member(struct bundle_job *j, struct bundle_member *m, struct err *e)
{
	bool changed = false;

	if (m->link)
		return pack_link(j->out, m->path, m->link, e);
	if (pack_begin(j->out, m->path, m->size, m->mode, e))
		return -1;
	if (m->fd >= 0 ? copy_file(j, m->fd, m->size, &changed, e)
		       : pack_data(j->out, m->bytes, (size_t)m->size, e))
		return -1;
	if (changed) {
		log_warn(&j->talk.log, "%s: became shorter, or unreadable, while it was read",
			 m->origin);
		m->status = MEMBER_MISMATCHED;
		if (!m->note)
			m->note = bundle_text("it changed while it was read");
	}
	return pack_end(j->out, m->digest, e);
}

/* ---- the dump as a member ---- */

/* A file of this machine as it is, byte for byte. */
static int add_dump(struct bundle_job *j, struct err *e)
{
	struct bundle *b = &j->bundle;
	struct source *s = b->kernel ? j->job.session.dump->source : j->source;
	struct bundle_member m = {
		.fd = -1, .mode = 0644, .kind = MEMBER_DUMP, .status = MEMBER_MADE
	};
	struct stat st;

	m.path = strdup(b->name);
	if (b->kernel && j->store_elf) {
		m.from = FROM_PAGES;
		return bundle_add(b, &m, e);
	}
	s = stored_file(s);
	m.fd = source_get_fd(s) >= 0 ? fcntl(source_get_fd(s), F_DUPFD_CLOEXEC, 3) : -1;
	if (m.fd < 0 || fstat(m.fd, &st))
		return err_set(e, ERR_UNSUPPORTED, "%s: is no file that could be copied as it is",
			       j->input);
	m.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : source_size(s);
	m.origin = strdup(j->input);
	return bundle_add(b, &m, e);
}

/* What run-gdb.sh would need dumptool for. */
static int add_velf(struct bundle_job *j, struct err *e)
{
	struct bundle_member m = { .fd = -1,
				   .from = FROM_SPACE,
				   .mode = 0644,
				   .kind = MEMBER_DUMP,
				   .status = MEMBER_MADE };

	if (!j->with_velf || !j->bundle.kernel)
		return 0;
	m.path = bundle_text("%s" VELF_SUFFIX, j->bundle.name);
	return bundle_add(&j->bundle, &m, e);
}

static int expect_pages(void *priv, uint64_t size, struct err *e)
{
	struct bundle_job *j = priv;

	j->writing->size = size;
	return pack_begin(j->out, j->writing->path, size, 0644, e);
}

static int take_pages(void *priv, const void *data, size_t len, struct err *e)
{
	return pack_data(((struct bundle_job *)priv)->out, data, len, e);
}

static int open_member(struct job *job, struct sink **ret, struct err *e)
{
	static struct sink_taker taker;

	taker = (struct sink_taker){ expect_pages, take_pages, job->priv };
	return sink_take(&taker, "the archive", ret, e);
}

/* Its pages, less those that the level leaves out, or its address space, as an ELF core. */
static int write_elf(struct bundle_job *j, struct bundle_member *m, int *status, struct err *e)
{
	struct job *job = &j->job;

	job->command = "bundle";
	job->opts.inputs = &j->input;
	job->opts.nr_inputs = 1;
	job->opts.in = j->in;
	job->opts.format = &elf_format;
	job->opts.reader = m->from == FROM_PAGES ? job_reader("drgn") : NULL;
	job->opts.keep_all = !j->level_set;
	job->opts.levels[0] = j->level;
	job->opts.nr_levels = 1;
	job->opts.threads = j->pack.threads;
	job->opts.plain = true;
	job->open_output = open_member;
	job->priv = j;
	job->talk = j->talk;
	j->writing = m;
	*status = m->from == FROM_PAGES ? job_write(job, e) : tovelf_write(job, e);
	if (*status == STATUS_FAILED || *status == STATUS_INCOMPLETE)
		return -1;
	return pack_end(j->out, m->digest, e);
}

/* ---- the archive ---- */

struct output {
	struct encryption crypt; /* fd and pid are -1 and 0 when there is none */
	struct sink *sink;	 /* what it writes to */
	int fd;
	char *grows; /* NAME.incomplete, or NULL */
};

static int open_encrypted(struct bundle_job *j, struct output *o, struct err *e)
{
	o->fd = STDOUT_FILENO;
	if (!j->to_stdout) {
		if (!j->pack.force && !access(j->output, F_OK))
			return err_sys(e, EEXIST, "%s", j->output);
		o->grows = bundle_text("%s" UNFINISHED, j->output);
		if (!o->grows)
			return err_set(e, ERR_NOMEM, "out of memory");
		if (j->pack.force)
			unlink(o->grows);
		o->fd = open(o->grows, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (o->fd < 0) {
			err_sys(e, errno, "%s", o->grows);
			free(o->grows); /* whose it is nobody knows: it stays */
			o->grows = NULL;
			return -1;
		}
	}
	if (encryption_begin(j->encrypt_to, o->fd, &o->crypt, e))
		return -1;
	return pack_open(NULL, o->crypt.fd, &j->pack, &j->out, e);
}

static int open_archive(struct bundle_job *j, struct output *o, struct err *e)
{
	*o = (struct output){ .crypt.fd = -1, .fd = -1 };
	if (j->encrypt_to)
		return open_encrypted(j, o, e);
	return j->to_stdout ? pack_open(NULL, STDOUT_FILENO, &j->pack, &j->out, e)
			    : pack_open(j->output, -1, &j->pack, &j->out, e);
}

/* All is in, or, with FAILED, nothing of it shall stay. */
static int close_archive(struct bundle_job *j, struct output *o, bool failed, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (failed)
		pack_discard(j->out);
	else
		failed = pack_commit(j->out, &j->archive_bytes, e);
	j->out = NULL;
	if (o->crypt.pid > 0 && encryption_end(&o->crypt, failed ? &ignored : e))
		failed = true;
	if (o->grows && !failed && (fsync(o->fd) || rename(o->grows, j->output)))
		failed = err_sys(e, errno, "%s", j->output);
	if (o->grows && failed)
		unlink(o->grows);
	if (o->grows)
		close(o->fd);
	free(o->grows);
	return failed ? -1 : 0;
}

static uint64_t total_bytes(const struct bundle *b)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < b->nr_members; i++)
		if (b->members[i].fd >= 0)
			n += b->members[i].size;
	return n;
}

static int write_manifest(struct bundle_job *j, struct err *e)
{
	uint8_t digest[SHA256_BYTES];
	size_t len;
	_cleanup_free_ char *text = bundle_manifest(j, &len);

	if (!text)
		return err_set(e, ERR_NOMEM, "out of memory");
	return pack_begin(j->out, BUNDLE_MANIFEST, len, 0644, e) ||
			       pack_data(j->out, text, len, e) || pack_end(j->out, digest, e)
		       ? -1
		       : 0;
}

/* Small things first, so that whoever looks at the beginning sees what it is; the manifest last. */
static int write_all(struct bundle_job *j, int *status, struct err *e)
{
	struct progress *progress = talk_progress(&j->talk);
	struct bundle *b = &j->bundle;
	size_t i;
	int pass;

	progress_start(progress, "Packing files", total_bytes(b));
	if (progress)
		progress->unit = "bytes";
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < b->nr_members; i++) {
			struct bundle_member *m = &b->members[i];

			if (m->status == MEMBER_MISSING || (m->kind == MEMBER_DUMP) != pass)
				continue;
			if (m->from ? write_elf(j, m, status, e) : write_member(j, m, e))
				return -1;
		}
	progress_end(progress);
	if (write_manifest(j, e))
		return -1;
	return 0;
}

/* ---- all ---- */

static int collect(struct bundle_job *j, struct err *e)
{
	struct bundle *b = &j->bundle;

	b->log = &j->talk.log;
	b->places = &j->places;
	b->spool_dir = j->in.spool.dir;
	b->vmlinux = j->in.vmlinux;
	if (add_dump(j, e) || add_velf(j, e) ||
	    (j->core ? bundle_core(b, j->core, e) : bundle_kernel(b, &j->job.session, e)))
		return -1;
	return bundle_scripts(b, &j->job.session, j->core, e);
}

static int bundle_status(const struct bundle_job *j, int status)
{
	const struct dump *d = j->bundle.kernel ? j->job.session.dump : NULL;

	if (j->bundle.mismatch)
		return STATUS_MISMATCH;
	if (d ? d->incomplete || d->damage.missing_bytes || d->damage.unreadable_pages
	      : j->core->truncated)
		return STATUS_INCOMPLETE;
	return !status && d && d->damage.bad_structures ? STATUS_DAMAGED : status;
}

/* The same dump makes the same archive, whenever that is. */
static void set_time(struct bundle_job *j)
{
	struct stat st;

	j->pack.mtime = strcmp(j->input, "-") && !stat(j->input, &st) ? st.st_mtime : 0;
}

/* Each file is open from when it was looked at until it is copied. */
static void allow_files(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int bundle_make(struct bundle_job *j, struct err *e)
{
	double start = progress_clock();
	char folder[sizeof(j->bundle.name) + UTS_LEN + 16];
	int status = STATUS_OK;
	struct output o;
	bool failed;

	allow_files();
	j->talk.data_on_stdout = j->to_stdout || j->json;
	if (open_dump(j, e))
		return STATUS_FAILED;
	choose_storage(j);
	name_dump(j);
	name_folder(j, folder, sizeof(folder));
	if (name_output(j, folder, e) || collect(j, e))
		return e->code == ERR_MISMATCH ? STATUS_MISMATCH : STATUS_FAILED;
	set_time(j);
	j->pack.folder = folder;
	failed = open_archive(j, &o, e) || write_all(j, &status, e);
	if (close_archive(j, &o, failed, e))
		return STATUS_FAILED;
	j->seconds = progress_clock() - start;
	bundle_summary(j);
	return bundle_status(j, status);
}

void bundle_job_fini(struct bundle_job *j)
{
	bundle_fini(&j->bundle);
	usercore_close(j->core);
	if (j->core || j->source)
		source_close(j->source);
	job_fini(&j->job);
	free(j->own_output);
}
