/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page compression. The id is what stands in a kdump page descriptor (makedumpfile diskdump_mod.h);
 * which library serves it is decided when the program is built. One codec is one file and one line
 * in the tables of tools/link_*.c, because the two links carry different ones.
 */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum codec_id {
	CODEC_RAW = 0,
	CODEC_ZLIB = 1,
	CODEC_LZO = 2,
	CODEC_SNAPPY = 4,
	CODEC_ZSTD = 0x20,
};

struct codec {
	enum codec_id id;
	const char *name;			 /* "zlib" */
	const char *library;			 /* who does the work: "libdeflate 1.14" */
	int min_level, max_level, default_level; /* all 0: has no levels */

	/* Memory that open() takes, in bytes, before it is taken. */
	size_t (*memory)(int level, size_t page_size);
	/*
	 * State for one thread, for pages of PAGE_SIZE bytes; NULL when out of memory. Given back
	 * with close().
	 */
	void *(*open)(int level, size_t page_size);
	/*
	 * Compress LEN bytes into OUT, which has room for ROOM bytes. Returns the size, or 0 when
	 * it would not fit: with ROOM less than LEN that means "store it raw".
	 */
	size_t (*compress)(void *state, const void *in, size_t len, void *out, size_t room);
	/* Bytes of room that compress() needs to be called at all, for LEN bytes of input. */
	size_t (*bound)(size_t len);
	void (*close)(void *state);

	/* State of a decompressor for one thread; NULL: none is needed. */
	void *(*decoder_open)(void);
	void (*decoder_close)(void *decoder);
	/*
	 * Expand LEN bytes into exactly OUT_LEN bytes, at most 64 KiB; false when IN is anything else
	 * than that. DECODER: see above, or NULL.
	 */
	bool (*decompress)(void *decoder, const void *in, size_t len, void *out, size_t out_len);
};

/* What this link carries, NULL terminated; defined in tools/link_full.c and tools/link_kdump.c. */
extern const struct codec *const codec_table[];

extern const struct codec codec_zlib, codec_lzo, codec_snappy, codec_zstd;

/* By id or by name; NULL when this link does not carry it. */
const struct codec *codec_by_id(enum codec_id id);
const struct codec *codec_by_name(const char *name);

/* The name of an id, carried or not; NULL for an id that nobody defined. */
const char *codec_id_name(uint32_t id);

/* All ids, or-ed. */
#define CODEC_ALL (CODEC_ZLIB | CODEC_LZO | CODEC_SNAPPY | CODEC_ZSTD)

/* The decompressors that one thread has used so far, kept for its next page. Begins as zeros. */
struct decoders {
	void *state[6]; /* by the id's bit */
};

/*
 * Expand LEN bytes stored under ID, CODEC_RAW included, into exactly OUT_LEN bytes. ERR_CORRUPT
 * says what is wrong with them, ERR_UNSUPPORTED that this link has no such codec, ERR_NOMEM.
 */
int decode_page(struct decoders *d, uint32_t id, const void *in, size_t len, void *out,
		size_t out_len, struct err *e);
void decoders_fini(struct decoders *d);

#endif
