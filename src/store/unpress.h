/* store/unpress.h - bzip2 streams and xz streams, one at a time: what old archives come in.
 *
 * The same contract as store/inflate.h.  -ENOMEM: an xz stream that wants more memory than is given to
 * strangers (UNPRESS_MAX_MEMORY: dictionaries up to 64 MiB, which is what `xz -9` makes).
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"

#define UNPRESS_MAX_MEMORY ((size_t)128 << 20)

enum unpress_kind { UNPRESS_BZIP2, UNPRESS_XZ };
struct unpress;

struct unpress *unpress_new(enum unpress_kind kind);
/* Before the first byte of each stream. */
void unpress_start(struct unpress *u);
/* Consume *in_len bytes at most and produce *out_len at most; both become what was done.  1: the stream
 * has ended and was whole; 0: go on; -EBADMSG: wrong checksum; -EINVAL: damaged; -ENOMEM. */
int unpress_run(struct unpress *u, const void *in, size_t *in_len, void *out, size_t *out_len);
struct unpress *unpress_free(struct unpress *u);
DEFINE_CLEANUP(struct unpress, unpress_free);
