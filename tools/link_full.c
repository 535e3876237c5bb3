/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dumptool carries: everything. */
#include <stddef.h>

#include "codec.h"
#include "config.h"
#include "ext/fetch.h"
#include "flat.h"
#include "ext/unpack.h"
#include "lastresort.h"
#include "main.h"
#include "source.h"
#include "vmlinux.h"

const struct command *const commands[] = {
	&filter_command,
	&convert_command,
	&dmesg_command,
	&inspect_command,
	&topelf_command,
	&tovelf_command,
	&makedyn_command,
	&addrandoff_command,
	&virttophys_command,
	&dumpmem_command,
#ifdef HAVE_BUNDLE
	&bundle_command,
	&unbundle_command,
#endif
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

#ifdef HAVE_LIBDW
const vmlinux_open_fn vmlinux_open = elfutils_vmlinux_open;
#else
const vmlinux_open_fn vmlinux_open = NULL;
#endif

#ifdef HAVE_DEBUGINFOD
const fetch_fn fetch_by_id = debuginfod_fetch;
#else
const fetch_fn fetch_by_id = NULL;
#endif

const struct opener *const opener_table[] = {
	&flat_opener,
	&lzop_opener,  &zstd_opener,
#ifdef HAVE_GUNZIP
	&gzip_opener,
#else
	&gzip_named,
#endif
#ifdef HAVE_LIBLZMA
	&xz_opener,
#else
	&xz_named,
#endif
#ifdef HAVE_LIBARCHIVE
	&bzip2_opener, &lz4_opener,
#else
	&bzip2_named,  &lz4_named,
#endif
	NULL,
};
