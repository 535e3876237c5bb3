/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page map of formats whose memory lies in long pieces of a file: ELF, raw images, LiME.
 *
 * A format adds what its headers say, in bytes and in any order, overlapping as they like; when the
 * page size is known the pieces become ascending runs of pages. Where two pieces hold the same
 * memory, the one that begins at the lower address is read: both were taken from the same place.
 * Files that may disagree are for the format to choose from.
 */
#ifndef EXTENTS_H
#define EXTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "dump.h"
#include "err.h"

/*
 * Physical memory [PADDR, PADDR + MEMSZ), whose first FILESZ bytes lie at offset OFF of d->source.
 * The rest was excluded by whoever wrote the file. Bytes beyond the end of the source become
 * unreadable memory and are counted in d->damage.missing_bytes; the format tells the log. Of a page
 * that is only partly in any piece the rest reads as zeros. The first call makes d->map. ERR_CORRUPT
 * for a piece that wraps around; ERR_NOMEM.
 */
int extents_add(struct dump *d, uint64_t paddr, uint64_t filesz, uint64_t memsz, uint64_t off,
		struct err *e);

/* The same for d->sources[SOURCE], of a dump in several files. */
int extents_add_from(struct dump *d, unsigned int source, uint64_t paddr, uint64_t filesz,
		     uint64_t memsz, uint64_t off, struct err *e);

#endif
