/* store/hasher.h - SHA-256 on a thread of its own: hashing a layer costs about as much as unpacking it.
 *
 * The thread starts with the first full chunk, so small inputs are hashed in place.  One thread may use
 * a hasher.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "base/sha256.h"

#define HASHER_MAX_AHEAD (1 << 20)

struct hasher;

struct hasher *hasher_new(void);
/* How many bytes may wait to be hashed: 512 KiB unless told, at most HASHER_MAX_AHEAD.  Before the first. */
void hasher_set_ahead(struct hasher *h, size_t bytes);
void hasher_update(struct hasher *h, const void *p, size_t len);
/* Waits; the hasher may only be freed afterwards. */
void hasher_digest(struct hasher *h, char ret[static DIGEST_STRING_SIZE]);
struct hasher *hasher_free(struct hasher *h);
DEFINE_CLEANUP(struct hasher, hasher_free);
#define autohasher __attribute__((cleanup(hasher_freep_)))
