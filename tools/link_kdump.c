/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dumptool-kdump carries: what the capture kernel needs, and no library beyond libc and the
 * codecs.
 */
#include <stddef.h>

#include "codec.h"
#include "config.h"
#include "flat.h"
#include "main.h"
#include "packed.h"
#include "source.h"
#include "vmlinux.h"

const struct command *const commands[] = {
	&filter_command,
	&dmesg_command,
	&inspect_command,
	&topelf_command,
	NULL,
};

const struct codec *const codec_table[] = {
	&codec_zlib,
	&codec_lzo,
	&codec_zstd,
	NULL,
};

const struct format *const link_formats[] = {
	NULL,
};

const vmlinux_open_fn vmlinux_open = NULL;

const struct opener *const opener_table[] = {
	&flat_opener,  &gzip_named, &bzip2_named, &xz_named,
	&zstd_named, &lz4_named,  &lzop_named,
	NULL,
};
