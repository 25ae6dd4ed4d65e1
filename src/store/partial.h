/* store/partial.h - downloads that are not complete: bytes of a blob, kept until somebody goes on.
 *
 * They live in partial/<hex>, outside of everything that rows speak of.  Nothing vouches for their
 * content: whoever completes one has to check its digest.  Old ones go when the store is opened.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct store;

/* Opens what there is of the blob, for reading and writing, positioned at its end, and keeps others from
 * doing the same until store_partial_release(), or until it is closed.  1: somebody has it already, and
 * nothing was opened.  A file that is longer than `size` is replaced. */
int store_partial_open(struct store *s, const char *digest, int64_t size, int *ret_fd,
		       int64_t *ret_have, struct error *err);
/* It will not be written to any more. */
void store_partial_release(int fd);
/* The blob is in the store, or its bytes were wrong. */
void store_partial_drop(struct store *s, const char *digest);
/* Used by store_open(). */
void store_partial_clean(struct store *s);
