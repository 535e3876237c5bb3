/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flattened stream (makedumpfile -F), read.
 *
 * Layout (makedumpfile IMPLEMENTATION, "The flattened format"): a header of 4096 bytes, "makedumpfile"
 * padded with zeros to 16, type 1 and version 1 as 64-bit numbers; then records of {offset, size} and
 * SIZE bytes that belong at OFFSET of the file it stands for; a record with both -1 ends it. All of
 * these numbers are big-endian. Records come in any order and may overlap: the last one wins, as in
 * makedumpfile -R. (crash keeps the first; writers who write no byte twice satisfy both.)
 */
#ifndef FLAT_H
#define FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "sink.h"
#include "source.h"

#define FLAT_HEADER_SIZE 4096u
#define FLAT_MAGIC "makedumpfile\0\0\0\0"
#define FLAT_MAGIC_LEN 16u
#define FLAT_TYPE 1
#define FLAT_VERSION 1

/*
 * Reads a flattened stream in place, by an index of its records: in lib/source.h's table. Bytes that
 * no record holds cannot be read (a reader decides what that means); without an end record the
 * source is cut.
 */
extern const struct opener flat_opener;

struct flat_result {
	uint64_t records, bytes; /* that were put into place */
	uint64_t end;		 /* one past the highest byte of any record: for sink_commit() */
	bool complete;		 /* the end record was met */
};

/*
 * Undo the flattening of what descriptor FD gives (a pipe or a file, at its beginning), named NAME,
 * into OUT, in memory of fixed size. What follows the end record is ignored, and not waited for. A
 * stream that is cut short, or cannot be read on, or a record that makes no sense, ends it: what
 * came before is in OUT and flushed, ret->complete is false, and E (ERR_CORRUPT) says what and
 * where; the return value is 0 then. -1 for an input that is no flattened stream, for what the sink
 * says, and for ERR_INTERRUPTED.
 */
int flat_rearrange(int fd, const char *name, struct sink *out, const volatile int *interrupted,
		   struct flat_result *ret, struct err *e);

#endif
