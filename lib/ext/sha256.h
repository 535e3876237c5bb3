/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256, by nettle, whose call for the digest lost its length in version 4. */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>

#include <nettle/sha2.h>
#include <nettle/version.h>

#define SHA256_BYTES 32

static inline void sha256_end(struct sha256_ctx *c, uint8_t ret[SHA256_BYTES])
{
#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(c, ret);
#else
	sha256_digest(c, SHA256_BYTES, ret);
#endif
}

#endif
