/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "zero.h"

#define READ_SIZE ((size_t)1 << 20)

static bool is_interrupted(const struct unpack *u)
{
	return u->opts->interrupted && __atomic_load_n(u->opts->interrupted, __ATOMIC_RELAXED);
}

/* Room for LEN bytes of input behind what is at hand. */
static int make_room(struct unpack *u, size_t len, struct err *e)
{
	size_t have = u->end - u->start;
	uint8_t *more;

	if (u->start)
		memmove(u->buf, u->buf + u->start, have);
	u->start = 0;
	u->end = have;
	if (len <= READ_SIZE)
		return 0;
	more = realloc(u->buf, len);
	if (!more)
		return err_set(e, ERR_NOMEM, "no memory for %zu bytes", len);
	u->buf = more;
	return 0;
}

const uint8_t *unpack_want(struct unpack *u, size_t len, size_t *have, struct err *e)
{
	*have = u->end - u->start;
	if (*have < len && !u->os) {
		size_t room = MAX(len, READ_SIZE);

		if (is_interrupted(u)) {
			err_set(e, ERR_INTERRUPTED, "interrupted");
			return NULL;
		}
		if (make_room(u, len, e))
			return NULL;
		u->end += source_read_some(u->under, u->in + *have, u->buf + u->end, room - u->end,
					   &u->os);
		*have = u->end;
	}
	return u->buf + u->start;
}

void unpack_take(struct unpack *u, size_t len)
{
	u->start += len;
	u->in += len;
}

void unpack_seek(struct unpack *u, uint64_t off)
{
	u->start = u->end = 0;
	u->in = off;
}

int unpack_put(struct unpack *u, const void *data, size_t len, struct err *e)
{
	if (spool_write(u->spool, data, len, e))
		return -1;
	u->out += len;
	return 0;
}

int unpack_ended(const struct unpack *u, struct err *e)
{
	uint64_t end = u->in + (u->end - u->start);

	if (u->os)
		err_sys(e, u->os, "cannot be read at offset 0x%" PRIx64, end);
	else
		err_set(e, ERR_CORRUPT, "ends at offset 0x%" PRIx64 ", before its end mark", end);
	e->code = ERR_CORRUPT;
	return -1;
}

/* ---- decoders of streams ---- */

#define OUT_SIZE ((size_t)256 << 10)

/*
 * One step over what is at hand, and what comes of it into the spool. FULL: the last step has
 * filled its buffer, so that there may be more without any more input.
 */
static int stream_step(struct unpack *u, const struct unpack_codec *c, void *state, uint8_t *out,
		       bool *full, struct err *e)
{
	struct unpack_io io = { .out = out, .out_len = OUT_SIZE };
	struct err why = ERR_INIT;
	size_t have;
	int rc;

	io.in = unpack_want(u, 1, &have, e);
	if (!io.in)
		return -1;
	if (!have && !*full)
		return unpack_ended(u, e);
	io.in_len = have;
	rc = c->step(state, &io, &why);
	*full = !io.out_len;
	unpack_take(u, have - io.in_len);
	if (unpack_put(u, out, OUT_SIZE - io.out_len, e))
		return -1;
	if (rc >= 0)
		return rc;
	return err_set(e, why.code, "%s at offset 0x%" PRIx64, why.text, u->in);
}

int unpack_stream(struct unpack *u, const struct unpack_codec *c, void *state, struct err *e)
{
	_cleanup_free_ uint8_t *out = malloc(OUT_SIZE);
	bool full = false;

	if (!out)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (;;) {
		int rc = stream_step(u, c, state, out, &full, e);
		const uint8_t *in;
		size_t have;

		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		in = unpack_want(u, 4, &have, e);
		if (!in)
			return -1;
		if (have < 4 || !c->follows(in))
			return 0;
	}
}

/* ---- the job ---- */

/* Padding is zeros; anything else may be the rest of a file whose middle was damaged. */
static void look_behind(struct unpack *u, const char *kind)
{
	struct err ignored = ERR_INIT;
	size_t have;
	const uint8_t *rest = unpack_want(u, 1, &have, &ignored);

	if (rest && have && !is_zero(rest, have))
		log_warn(u->opts->log,
			 "%s: what follows the %s data at offset 0x%" PRIx64 " is ignored",
			 source_name(u->under), kind, u->in);
}

/* WHY ended it. What came out is kept, if anything did. */
static int keep_rest(struct unpack *u, const char *kind, const struct err *why, struct source **ret,
		     struct err *e)
{
	const char *name = source_name(u->under);

	if (!u->out) {
		spool_abort(u->spool);
		return err_set(e, ERR_CORRUPT, "%s: %s data: %s; nothing of it can be unpacked",
			       name, kind, why->text);
	}
	log_warn(u->opts->log,
		 "%s: %s data: %s; the %" PRIu64 " bytes that were unpacked before are used", name,
		 kind, why->text, u->out);
	return spool_end(u->spool, u->under, true, ret, e);
}

int unpack_run(struct source *under, const char *kind, const struct spool_opts *opts,
	       int (*decode)(struct unpack *u, struct err *e), struct source **ret, struct err *e)
{
	struct unpack u = { .under = under, .opts = opts };
	const char *name = source_name(under);
	struct err why = ERR_INIT;
	int failed;

	u.buf = malloc(READ_SIZE);
	if (!u.buf)
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	if (spool_begin(name, kind, opts, &u.spool, e)) {
		free(u.buf);
		return -1;
	}
	failed = decode(&u, &why);
	if (!failed)
		look_behind(&u, kind);
	free(u.buf);
	if (!failed && u.out)
		return spool_end(u.spool, under, false, ret, e);
	if (!failed)
		err_set(&why, ERR_CORRUPT, "is empty");
	if (why.code == ERR_CORRUPT)
		return keep_rest(&u, kind, &why, ret, e);
	spool_abort(u.spool);
	*e = why;
	/* The spool and the user speak for themselves. */
	if (why.code == ERR_NOMEM || why.code == ERR_UNSUPPORTED)
		err_add(e, "%s: %s data", name, kind);
	return -1;
}
