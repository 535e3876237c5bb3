/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dumptool carries: everything. */
#include <stddef.h>

#include "codec.h"
#include "config.h"
#include "flat.h"
#include "lastresort.h"
#include "source.h"
#include "main.h"

const struct command *const commands[] = {
	&filter_command,
	&convert_command,
	&dmesg_command,
	&inspect_command,
	NULL,
};

const struct codec *const codec_table[] = {
	&codec_zlib,   &codec_lzo,
#ifdef HAVE_SNAPPY
	&codec_snappy,
#endif
	&codec_zstd,   NULL,
};

const struct format *const link_formats[] = {
#ifdef HAVE_LIBKDUMPFILE
	&libkdumpfile_format,
#endif
	NULL,
};

const struct opener *const opener_table[] = {
	&flat_opener,
	NULL,
};
