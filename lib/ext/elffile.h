/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an ELF file on this machine says about itself and about the files that go with it, by libelf. */
#ifndef ELFFILE_H
#define ELFFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define ELFFILE_MAX_ID 64

struct elffile {
	uint16_t type, machine; /* e_type, e_machine */
	uint8_t id[ELFFILE_MAX_ID];
	size_t id_len;		 /* 0: it has no build-id */
	char debuglink[256];	 /* name of its debug file, "" */
	uint32_t debuglink_crc;
	char altlink[1024];	 /* path of the dwz file that it refers to, "" */
	uint8_t alt_id[ELFFILE_MAX_ID];
	size_t alt_id_len;
	bool debug_info;  /* .debug_info is in it */
	bool mini_debug;  /* .gnu_debugdata is in it */
	bool split_dwarf; /* may refer to .dwo files (dwo.h): has skeleton units, as far as headers tell */
	char interp[256]; /* PT_INTERP, "" */
	char gdb_script[256]; /* that .debug_gdb_scripts names first, "" */
	char rustc[64]; /* "rustc version ..." out of .comment, "" */
	char go_id[128]; /* Go's build-id (note "Go"), "" */
	char srcversion[33]; /* of a kernel module (.modinfo), "" */
};

/* Read all of it from FD, a regular file. ERR_UNSUPPORTED when it is no ELF file. */
int elffile_read(int fd, const char *name, struct elffile *ret, struct err *e);

/* The CRC-32 that .gnu_debuglink has of a file; 0 and E when it cannot be read. */
int elffile_crc(int fd, const char *name, uint32_t *ret, struct err *e);

/* ID as text, which fits into 2 * ELFFILE_MAX_ID + 1 bytes. */
void elffile_id_text(const uint8_t *id, size_t len, char *ret);

#endif
