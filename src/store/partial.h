/* store/partial.h - downloads: bytes of a blob, kept until somebody goes on, or an image has them.
 *
 * They live in partial/<hex>, outside of everything that rows speak of, and in partial/<hex>.done once they
 * are as many as they should be.  Nothing vouches for their content: whoever uses one has to check its
 * digest.  One that is done is never written to again, so that a link to it may become the blob.
 * Old ones go when the store is opened.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct store;

/* Opens what there is of the blob, positioned at its end.  All `size` bytes: for reading.  Else for writing
 * too, which keeps others from doing the same until store_partial_finish(), or until it is closed.  1: somebody
 * has it already, and nothing was opened.  A file that is longer than `size` is replaced. */
int store_partial_open(struct store *s, const char *digest, int64_t size, int *ret_fd,
		       int64_t *ret_have, struct error *err);
/* All bytes are in it.  On return it is open to others. */
void store_partial_finish(struct store *s, const char *digest, int fd);
/* The blob is in the store, or its bytes were wrong.  Who has it open keeps it. */
void store_partial_drop(struct store *s, const char *digest);
/* Used by store_open(). */
void store_partial_clean(struct store *s);
