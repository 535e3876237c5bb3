/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest of a bundle (dumptool-bundle(5)), and the last words of the command. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle_check.h"
#include "bundle_cmd.h"
#include "cleanup.h"
#include "json.h"

static const char *const kind_names[] = { "dump",      "executable", "library", "loader",
					  "vdso",      "vmlinux",    "module",	"debug",
					  "auxiliary", "text",	     "script" };
static const char *const status_names[] = { "verified", "by-name", "mismatched", "missing",
					    "made" };

const char *member_kind_name(enum member_kind kind)
{
	return kind_names[kind];
}

const char *member_status_name(enum member_status status)
{
	return status_names[status];
}

void json_put_member(struct json *j, const struct manifest_member *m)
{
	char hex[2 * ELFFILE_MAX_ID + 1]; /* a digest is shorter */

	json_put_object(j, NULL);
	json_put_string(j, "path", m->path);
	json_put_string(j, "kind", m->kind);
	json_put_string(j, "status", m->status);
	if (m->origin)
		json_put_string(j, "origin", m->origin);
	if (m->id_len) {
		elffile_id_text(m->id, m->id_len, hex);
		json_put_string(j, "build_id", hex);
	}
	if (m->link) {
		json_put_string(j, "link", m->link);
	} else if (!m->missing) {
		json_uint(j, "size", m->size);
		elffile_id_text(m->sha256, sizeof(m->sha256), hex);
		json_put_string(j, "sha256", hex);
	}
	if (m->note)
		json_put_string(j, "note", m->note);
	json_end(j);
}

/* As it will be read again; nothing of it is owned. */
static void json_member(struct json *j, const struct bundle_member *m)
{
	struct manifest_member told = { .path = m->path,
					.kind = (char *)member_kind_name(m->kind),
					.status = (char *)member_status_name(m->status),
					.origin = m->origin,
					.note = m->note,
					.link = m->link,
					.missing = m->status == MEMBER_MISSING,
					.size = m->size,
					.id_len = m->id_len };

	memcpy(told.id, m->id, m->id_len);
	memcpy(told.sha256, m->digest, sizeof(told.sha256));
	json_put_member(j, &told);
}

static void json_bundle(struct json *j, const struct bundle_job *job)
{
	const struct bundle *b = &job->bundle;
	size_t i;

	json_document(j, "bundle", BUNDLE_SCHEMA);
	json_put_object(j, "dump");
	json_put_string(j, "path", b->name);
	json_put_string(j, "type", b->kernel ? "kernel" : "core");
	if (b->kernel) {
		json_put_string(j, "release", b->release);
		json_put_string(j, "stored_as", job->store_elf ? "elf" : "asis");
	}
	if (job->level_set)
		json_int(j, "level", job->level);
	json_end(j);
	if (b->main_path)
		json_put_string(j, "program", b->main_path);
	json_put_array(j, "members");
	for (i = 0; i < b->nr_members; i++)
		json_member(j, &b->members[i]);
	json_end(j);
}

char *bundle_manifest(const struct bundle_job *job, size_t *len)
{
	char *text = NULL;
	struct json j;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	json_begin(&j, f);
	json_bundle(&j, job);
	json_finish(&j);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- for people ---- */

static size_t count(const struct bundle *b, enum member_status status)
{
	size_t i, n = 0;

	for (i = 0; i < b->nr_members; i++)
		n += b->members[i].status == status && !b->members[i].link;
	return n;
}

#define MAX_TOLD 12u

static bool is_told(const struct bundle_member *m, enum member_status status, enum member_kind kind)
{
	return m->status == status && m->kind == kind && !m->link;
}

static size_t count_kind(const struct bundle *b, enum member_status status, enum member_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < b->nr_members; i++)
		n += is_told(&b->members[i], status, kind);
	return n;
}

/* Many files of a kind are in one line, and how to get them is said of the first. */
static void tell_kind(FILE *f, const struct bundle *b, enum member_status status,
		      enum member_kind kind)
{
	const struct bundle_member *first = NULL;
	size_t i, told = 0, all = count_kind(b, status, kind);

	if (!all)
		return;
	fprintf(f, "  %s", kind_names[kind]);
	if (all > 1)
		fprintf(f, " (%zu)", all);
	for (i = 0; i < b->nr_members && told < MAX_TOLD; i++) {
		const struct bundle_member *m = &b->members[i];
		const char *slash = strrchr(m->path, '/');

		if (!is_told(m, status, kind))
			continue;
		first = first ? first : m;
		fputs(told++ ? ", " : ": ", f);
		print_escaped(f, slash && all > 1 ? slash + 1 : m->path);
	}
	fputs(all > told ? " ...\n" : "\n", f);
	if (first->note) {
		fputs("    ", f);
		print_escaped(f, first->note);
		putc('\n', f);
	}
}

static void tell(FILE *f, const struct bundle *b, enum member_status status, const char *title)
{
	enum member_kind kind;

	if (!count(b, status))
		return;
	fprintf(f, "%s\n", title);
	for (kind = MEMBER_DUMP; kind <= MEMBER_SCRIPT; kind++)
		tell_kind(f, b, status, kind);
}

void bundle_summary(const struct bundle_job *j)
{
	const struct bundle *b = &j->bundle;
	const char *name = j->to_stdout ? "standard output" : j->output;
	FILE *f = stderr;

	if (j->json) {
		size_t len;
		char *text = bundle_manifest(j, &len);

		if (text)
			fwrite(text, 1, len, stdout);
		free(text);
	}
	if (j->talk.mode == PROGRESS_NONE && j->json)
		return;
	fprintf(f, "%s: %.1f MB in %.1f s\n", name, (double)j->archive_bytes / 1e6, j->seconds);
	fprintf(f,
		"  %zu files verified, %zu by name only, %zu mismatched, %zu missing, %zu made\n",
		count(b, MEMBER_VERIFIED), count(b, MEMBER_BY_NAME), count(b, MEMBER_MISMATCHED),
		count(b, MEMBER_MISSING), count(b, MEMBER_MADE));
	tell(f, b, MEMBER_MISMATCHED, "These are not what was in use:");
	tell(f, b, MEMBER_MISSING, "These are missing (" BUNDLE_MANIFEST " has all of it):");
	if (j->pack.volume)
		fprintf(f, "Send all volumes; on the other machine: cat %s.* >%s\n", name, name);
	if (j->encrypt_to)
		fprintf(f, "Whoever has the key: %s\n",
			encrypts_with_age(j->encrypt_to) ? "age -d -i KEY -o ARCHIVE ENCRYPTED"
							 : "gpg -o ARCHIVE -d ENCRYPTED");
	fprintf(f, "To open it: dumptool unbundle %s, or unpack it; then %s\n",
		j->encrypt_to ? "ARCHIVE" : name,
		b->kernel ? "run-crash.sh, run-drgn.sh or run-gdb.sh" : "run-gdb.sh");
}
