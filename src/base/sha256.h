/* base/sha256.h - SHA-256 (FIPS 180-4) through OpenSSL, and OCI digests "sha256:<64 hex>". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define SHA256_HEX_SIZE    65 /* 64 hex digits and NUL */
#define DIGEST_STRING_SIZE 72 /* "sha256:" + 64 + NUL */

struct sha256; /* streaming state */

struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *h, const void *data, size_t len);
/* Finish into "sha256:<hex>"; the state may only be freed afterwards. */
void sha256_digest(struct sha256 *h, char ret[static DIGEST_STRING_SIZE]);
struct sha256 *sha256_free(struct sha256 *h);
DEFINE_CLEANUP(struct sha256, sha256_free);
#define autosha256 __attribute__((cleanup(sha256_freep_)))

/* One-shot, "sha256:<hex>". */
void sha256_of(const void *data, size_t len, char ret[static DIGEST_STRING_SIZE]);
bool digest_is_valid(const char *s);        /* exactly sha256: and 64 lower-case hex digits */
const char *digest_hex(const char *digest); /* behind the colon; digest must be valid */
