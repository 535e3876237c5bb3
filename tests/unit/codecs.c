/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test program carries: all that lib has. */
#include <stddef.h>

#include "codec.h"
#include "format.h"
#include "main.h"
#include "source.h"
#include "vmlinux.h"

const struct codec *const codec_table[] = { &codec_zlib, &codec_lzo, &codec_zstd, NULL };
const struct format *const link_formats[] = { NULL };
const struct opener *const opener_table[] = { NULL };
const vmlinux_open_fn vmlinux_open = NULL;
