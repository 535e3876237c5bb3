/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "codec.h"

#include <string.h>

#include "cleanup.h"

static const struct {
	enum codec_id id;
	const char *name;
} names[] = {
	{ CODEC_RAW, "none" },	    { CODEC_ZLIB, "zlib" }, { CODEC_LZO, "lzo" },
	{ CODEC_SNAPPY, "snappy" }, { CODEC_ZSTD, "zstd" },
};

const struct codec *codec_by_id(enum codec_id id)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++)
		if ((*c)->id == id)
			return *c;
	return NULL;
}

const struct codec *codec_by_name(const char *name)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

const char *codec_id_name(uint32_t id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].id == id)
			return names[i].name;
	return NULL;
}

static unsigned int slot_of(const struct codec *c)
{
	return (unsigned int)__builtin_ctz(c->id);
}

/* The codec's kept state, made when it is needed for the first time. */
static int decoder_for(struct decoders *d, const struct codec *c, void **ret, struct err *e)
{
	void **state = &d->state[slot_of(c)];

	if (c->decoder_open && !*state)
		*state = c->decoder_open();
	*ret = *state;
	return c->decoder_open && !*state
		       ? err_set(e, ERR_NOMEM, "no memory for a %s decompressor", c->name)
		       : 0;
}

int decode_page(struct decoders *d, uint32_t id, const void *in, size_t len, void *out,
		size_t out_len, struct err *e)
{
	const struct codec *c = codec_by_id(id);
	void *decoder;

	if (id == CODEC_RAW) {
		if (len != out_len)
			return err_set(e, ERR_CORRUPT, "%zu bytes stored as they are, expected %zu",
				       len, out_len);
		memcpy(out, in, len);
		return 0;
	}
	if (!c && !codec_id_name(id))
		return err_set(e, ERR_CORRUPT, "compression 0x%x is none that is known", id);
	if (!c)
		return err_set(e, ERR_UNSUPPORTED, "%s is not supported by this program",
			       codec_id_name(id));
	if (decoder_for(d, c, &decoder, e))
		return -1;
	if (!c->decompress(decoder, in, len, out, out_len))
		return err_set(e, ERR_CORRUPT, "%zu bytes of %s do not expand to %zu", len, c->name,
			       out_len);
	return 0;
}

void decoders_fini(struct decoders *d)
{
	const struct codec *const *c;

	for (c = codec_table; *c; c++) {
		void **state = &d->state[slot_of(*c)];

		if (*state)
			(*c)->decoder_close(*state);
		*state = NULL;
	}
}
