/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records of a flattened stream (the header stands in front of them already): indexed, read to
 * the end and compared with a naive model in which the last record wins; and put together, which
 * must come to the same length, completeness and count.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "flat.h"
#include "fuzz.h"
#include "log.h"

#define MODEL 1024u /* bytes of the file that are compared one by one */

struct model {
	uint8_t bytes[MODEL], held[MODEL];
	uint64_t end, records, total; /* records with bytes; bytes that records have */
	bool complete;
};

/* As plainly as it can be said: each record over what was there before. */
static void build_model(struct model *m, const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at + 16 <= size) {
		uint64_t off = load_u64(data + at, ORDER_BE), i;
		uint64_t len = load_u64(data + at + 8, ORDER_BE), have;

		m->complete = off == UINT64_MAX && len == UINT64_MAX;
		if (m->complete || off > INT64_MAX || len > INT64_MAX - off)
			return;
		at += 16;
		have = MIN(len, (uint64_t)(size - at));
		for (i = 0; i < have && off + i < MODEL; i++) {
			m->bytes[off + i] = data[at + i];
			m->held[off + i] = 1;
		}
		if (have)
			m->end = MAX(m->end, off + have);
		m->records++;
		m->total += have;
		if (have < len)
			return;
		at += (size_t)len;
	}
}

/* From OFF on the source gives the bytes of the model until the first that it does not hold. */
static void check_read(struct source *f, const struct model *m, uint64_t off, size_t len)
{
	uint8_t buf[MODEL];
	size_t want = 0, got;
	int os;

	while (want < len && off + want < MODEL && m->held[off + want])
		want++;
	got = source_read_some(f, off, buf, len, &os);
	must(got == want);
	must(!memcmp(buf, m->bytes + off, got));
	must((os != 0) == (got < len && off + got < m->end));
}

static void check_source(struct source *f, const struct model *m)
{
	uint8_t buf[64];
	uint64_t off;
	int os;

	must(source_size(f) == m->end);
	must(source_is_cut(f) == !m->complete);
	for (off = 0; off < MODEL; off++)
		check_read(f, m, off, 1);
	for (off = 0; off < MODEL; off += 61)
		check_read(f, m, off, MIN((size_t)300, (size_t)(MODEL - off)));
	check_read(f, m, 0, MODEL);
	/* The last byte is there, and nothing behind it. */
	must(source_read_some(f, m->end - 1, buf, sizeof(buf), &os) == 1);
	must(!os && !source_read_some(f, m->end, buf, sizeof(buf), &os) && !os);
}

static void say_nothing(struct log *log, enum log_level level, const char *text)
{
	(void)log;
	must(level == LOG_WARN && text[0]);
}

static void try_source(const uint8_t *stream, size_t size, const struct model *m)
{
	struct log log = { .emit = say_nothing };
	struct spool_opts opts = { .log = &log };
	struct source *under = source_memory("input", stream, size), *f;
	struct err e = ERR_INIT;

	must(under);
	if (!flat_opener.open(under, &opts, &f, &e)) {
		check_source(f, m);
		source_close(f);
		return;
	}
	must(!m->end && e.code == ERR_CORRUPT && e.text[0]);
	source_close(under);
}

static void try_rearrange(const uint8_t *stream, size_t size, const struct model *m)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	struct flat_result r;
	struct err e = ERR_INIT;
	struct sink *out;

	must(fd >= 0 && write(fd, stream, size) == (ssize_t)size && !lseek(fd, 0, SEEK_SET));
	must(!sink_null("output", &out, &e));
	must(!flat_rearrange(fd, "input", out, NULL, &r, &e));
	must(r.complete == m->complete && r.end == m->end && r.records == m->records &&
	     r.bytes == m->total);
	must(r.complete == (e.code == ERR_NONE));
	sink_close(out);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *m = calloc(1, sizeof(*m));
	uint8_t *stream = calloc(1, FLAT_HEADER_SIZE + size);
	struct bytes_out o = { .data = stream, .size = FLAT_HEADER_SIZE, .order = ORDER_BE };

	must(m && stream);
	out_bytes(&o, FLAT_MAGIC, FLAT_MAGIC_LEN);
	out_uint(&o, FLAT_TYPE, 8);
	out_uint(&o, FLAT_VERSION, 8);
	if (size)
		memcpy(stream + FLAT_HEADER_SIZE, data, size);
	build_model(m, data, size);
	try_source(stream, FLAT_HEADER_SIZE + size, m);
	try_rearrange(stream, FLAT_HEADER_SIZE + size, m);
	free(stream);
	free(m);
	return 0;
}
