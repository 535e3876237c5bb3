/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dumptool inspect --type: the layout of a structure, union or enum, as BTF or DWARF has it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "btf.h"
#include "cleanup.h"
#include "inspect.h"
#include "json.h"
#include "module.h"
#include "talk.h"

#define MAX_DEPTH 16
#define MAX_ROWS 65536u /* of one type; more come of one that is nested in itself */
#define MAX_DECL 512

/* ---- declarations, from the inside out: the way C reads them ---- */

struct decl {
	char text[MAX_DECL];
	bool pointer; /* the last thing that was put in front was a star */
};

static void put_front(struct decl *d, const char *front)
{
	char old[MAX_DECL];

	memcpy(old, d->text, sizeof(old));
	snprintf(d->text, sizeof(d->text), "%s%.*s", front, (int)(MAX_DECL - 1 - strlen(front)),
		 old);
}

static void put_back(struct decl *d, const char *back)
{
	size_t len = strlen(d->text);

	if (d->pointer) { /* binds less than what follows */
		put_front(d, "(");
		len = strlen(d->text);
		snprintf(d->text + len, sizeof(d->text) - len, ")");
		len = strlen(d->text);
		d->pointer = false;
	}
	snprintf(d->text + len, sizeof(d->text) - len, "%s", back);
}

static const char *keyword(enum btf_kind kind)
{
	return kind == BTF_STRUCT			? "struct "
	       : kind == BTF_UNION			? "union "
	       : kind == BTF_ENUM || kind == BTF_ENUM64 ? "enum "
							: "";
}

/* What stands at the beginning: a name, or what an unnamed thing is. */
static void put_base(struct decl *d, const struct btf *b, uint32_t id)
{
	const char *name = id ? btf_name(b, id) : "void";
	char front[MAX_DECL];

	if (btf_kind(b, id) == BTF_FWD)
		snprintf(front, sizeof(front), "struct %.250s", name);
	else
		snprintf(front, sizeof(front), "%s%.250s", keyword(btf_kind(b, id)),
			 name[0] ? name : "{...}");
	if (d->text[0])
		strcat(front, " ");
	put_front(d, front);
}

static void declare(struct decl *d, const struct btf *b, uint32_t id, const char *name)
{
	unsigned int i;
	uint32_t len, of;
	char number[16];

	*d = (struct decl){ .pointer = false };
	snprintf(d->text, sizeof(d->text), "%.250s", name);
	for (i = 0; i < MAX_DEPTH; i++) {
		switch (btf_kind(b, id)) {
		case BTF_PTR:
			put_front(d, "*");
			d->pointer = true;
			break;
		case BTF_ARRAY:
			btf_array(b, id, &len, &of);
			snprintf(number, sizeof(number), "[%" PRIu32 "]", len);
			put_back(d, number);
			id = of;
			continue;
		case BTF_FUNC_PROTO:
			put_back(d, "(...)");
			break;
		case BTF_CONST:
		case BTF_VOLATILE:
		case BTF_RESTRICT:
		case BTF_TYPE_TAG:
			break;
		default:
			put_base(d, b, id);
			return;
		}
		id = btf_target(b, id);
	}
	put_base(d, b, id);
}

/* ---- printing ---- */

struct printer {
	const struct btf *b;
	struct json *json; /* or NULL */
	const char *origin; /* who knows it */
};

static void print_member(const struct printer *p, const struct btf_member *m, unsigned int depth)
{
	struct decl d;
	uint64_t size = 0;

	declare(&d, p->b, m->type, p->json ? "" : m->name);
	(void)btf_size(p->b, m->type, &size);
	if (p->json) {
		json_put_object(p->json, NULL);
		json_put_string(p->json, "name", m->name);
		json_put_string(p->json, "type", d.text);
		json_uint(p->json, "offset", m->bit_off / 8);
		json_uint(p->json, "size", size);
		if (m->bits) {
			json_uint(p->json, "bit", m->bit_off % 8);
			json_uint(p->json, "bits", m->bits);
		}
		json_end(p->json);
		return;
	}
	printf("%8" PRIu32 " %6" PRIu64 "  %*s", m->bit_off / 8, size, 4 * (int)depth, "");
	print_escaped(stdout, d.text);
	if (m->bits)
		printf(" : %" PRIu32 " /* from bit %" PRIu32 " */", m->bits, m->bit_off % 8);
	printf(";\n");
}

struct level {
	uint32_t id, next, bit_off;
};

/* A structure with what is in its unnamed members, in the order of the source. False: not all of
 * it. */
static bool print_members(const struct printer *p, uint32_t id)
{
	struct level stack[MAX_DEPTH] = { { .id = id } };
	unsigned int depth = 1, rows;

	for (rows = 0; depth && rows < MAX_ROWS; rows++) {
		struct level *l = &stack[depth - 1];
		struct btf_member m;
		uint32_t in;

		if (!btf_member(p->b, l->id, l->next++, &m)) {
			if (--depth && !p->json)
				printf("%17s%*s};\n", "", 4 * (int)depth, "");
			continue;
		}
		m.bit_off += l->bit_off;
		in = btf_resolve(p->b, m.type);
		if (m.name[0] || depth == MAX_DEPTH ||
		    (btf_kind(p->b, in) != BTF_STRUCT && btf_kind(p->b, in) != BTF_UNION)) {
			print_member(p, &m, depth);
			continue;
		}
		if (!p->json)
			printf("%17s%*s%s{\n", "", 4 * (int)depth, "", keyword(btf_kind(p->b, in)));
		stack[depth++] = (struct level){ .id = in, .bit_off = m.bit_off };
	}
	return !depth;
}

static void print_values(const struct printer *p, uint32_t id)
{
	const char *name;
	uint64_t v;
	uint32_t i;

	for (i = 0; btf_value(p->b, id, i, &name, &v); i++) {
		if (!p->json) {
			printf("%17s", "");
			print_escaped(stdout, name);
			printf(" = %" PRId64 ",\n", (int64_t)v);
			continue;
		}
		json_put_object(p->json, NULL);
		json_put_string(p->json, "name", name);
		json_int(p->json, "value", (int64_t)v);
		json_end(p->json);
	}
}

static bool print_type(const struct printer *p, uint32_t id)
{
	bool is_enum = btf_kind(p->b, id) == BTF_ENUM || btf_kind(p->b, id) == BTF_ENUM64;
	bool whole = true;
	uint64_t size = 0;
	struct decl d;

	declare(&d, p->b, id, "");
	(void)btf_size(p->b, id, &size);
	if (p->json) {
		json_put_object(p->json, NULL);
		json_put_string(p->json, "name", d.text);
		json_uint(p->json, "size", size);
		json_put_string(p->json, "origin", p->origin);
		json_put_array(p->json, is_enum ? "values" : "members");
	} else {
		printf("  OFFSET   SIZE  ");
		print_escaped(stdout, d.text);
		printf(" { /* %" PRIu64 " bytes, by ", size);
		print_escaped(stdout, p->origin);
		printf(" */\n");
	}
	if (is_enum)
		print_values(p, id);
	else
		whole = print_members(p, id);
	if (p->json) {
		json_end(p->json);
		json_end(p->json);
	} else {
		printf("%17s%s\n", "", whole ? "};" : "...");
	}
	return whole;
}

/* A type of that name: "task_struct", "struct task_struct", "pid_t" for what it stands for. */
static uint32_t find_type(const struct btf *b, const char *name)
{
	static const struct {
		const char *word;
		enum btf_kind kind;
	} kinds[] = { { "struct ", BTF_STRUCT }, { "union ", BTF_UNION }, { "enum ", BTF_ENUM },
		      { "enum ", BTF_ENUM64 },	 { "", BTF_TYPEDEF },	  { "", BTF_INT } };
	uint32_t id = 0;
	size_t i;

	for (i = 0; !id && i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].word);

		if (strncmp(name, kinds[i].word, n))
			n = strchr(name, ' ') ? SIZE_MAX : 0;
		if (n != SIZE_MAX)
			id = btf_find(b, kinds[i].kind, name + n);
	}
	return btf_kind(b, id) == BTF_TYPEDEF ? btf_resolve(b, id) : id;
}

struct question {
	struct inspect *in;
	struct printer *p;
	const struct btf *kernel; /* its own types, or NULL */
	const char *name;
	bool whole; /* all of it was told */
};

static void answer(struct question *q, const struct btf *b, uint32_t id, const char *origin)
{
	q->p->b = b;
	q->p->origin = origin;
	q->whole = print_type(q->p, id);
}

static bool in_kernel(struct question *q)
{
	uint32_t id = q->kernel ? find_type(q->kernel, q->name) : 0;

	if (id)
		answer(q, q->kernel, id, "BTF");
	return id;
}

/* By the debugging information of a vmlinux. */
static bool in_vmlinux(struct question *q, struct err *e)
{
	const struct kernel *k = &q->in->session.kernel;
	unsigned int i;
	struct btf *b;

	for (i = 0; i < k->nr_providers; i++) {
		const struct fact_provider *p = k->providers[i];

		if (!p->type || p->type(p, q->name, &b, e))
			continue;
		answer(q, b, btf_kind(b, 1) == BTF_TYPEDEF ? btf_resolve(b, 1) : 1, p->name);
		btf_free(b);
		return true;
	}
	return false;
}

static int look_in_module(void *priv, const char *name, const struct btf *b, struct err *e)
{
	struct question *q = priv;
	uint32_t id = find_type(b, q->name);

	(void)e;
	if (id)
		answer(q, b, id, name);
	return id ? 1 : 0;
}

static bool in_modules(struct question *q)
{
	struct session *s = &q->in->session;
	struct err ignored = ERR_INIT; /* a kernel without modules, or without their types */
	struct module_stats stats;
	struct reader r;
	int found;

	if (!q->kernel)
		return false;
	reader_init(&r, s->dump);
	found = module_btf_each(&(struct kmem){ &s->kernel, &s->xlat, &r }, q->kernel,
				look_in_module, q, &stats, &ignored);
	reader_fini(&r);
	if (found != 1 && stats.broken) {
		log_warn(&q->in->talk.log, "types of modules: %s", stats.why.text);
		s->dump->damage.bad_structures++;
	}
	return found == 1;
}

static int answer_all(struct question *q, struct err *e)
{
	struct err why = ERR_INIT, ignored = ERR_INIT;
	unsigned int i, failed = 0;

	q->kernel = kernel_btf(&q->in->session.kernel, &why);
	for (i = 0; i < q->in->nr_about; i++) {
		q->name = q->in->about[i];
		if (!in_kernel(q) && !in_vmlinux(q, &ignored) && !in_modules(q)) {
			if (!failed++)
				err_set(e, ERR_MISSING, "the kernel has no type '%s'", q->name);
			if (failed == 1 && !q->kernel)
				session_explain(&q->in->session, e);
		} else if (!q->whole && !failed++) {
			err_set(e, ERR_CORRUPT,
				"type '%s' has more than %u members, nested in itself", q->name,
				MAX_ROWS);
		}
	}
	return failed ? -1 : 0;
}

int inspect_types(struct inspect *in, struct err *e)
{
	struct printer p = { .json = NULL };
	struct question q = { .in = in, .p = &p };
	struct json j;
	int failed;

	session_deepen(&in->session);
	if (in->json) {
		p.json = &j;
		json_begin(&j, stdout);
		json_document(&j, "types", 1);
		json_put_array(&j, "types");
	}
	failed = answer_all(&q, e);
	if (in->json) {
		json_end(&j);
		inspect_print_complete(in, &j, e);
		json_finish(&j);
	} else if (!failed) {
		inspect_print_complete(in, NULL, e);
	}
	return failed;
}
