/* store/partial.h - downloads that are not complete: bytes of a blob, kept until somebody goes on.
 *
 * They live in partial/<hex>, outside of everything that rows speak of.  Nothing vouches for their
 * content: whoever completes one has to check its digest.  Old ones go when the store is opened.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct store;

/* Opens what there is of the blob, for reading and writing, positioned at its end.  While somebody else
 * has it open, *ret_fd is a new file without a name, and *ret_have 0.  A file that is longer than `size`
 * is emptied. */
int store_partial_open(struct store *s, const char *digest, int64_t size, int *ret_fd,
		       int64_t *ret_have, struct error *err);
/* The blob is in the store, or its bytes were wrong. */
void store_partial_drop(struct store *s, const char *digest);
/* Used by store_open(). */
void store_partial_clean(struct store *s);
