/* store/inflate.h - one gzip member at a time, by the fastest library there is.
 *
 * inflate_isal.c or inflate_zlib.c, chosen by the build: ISA-L is more than twice as fast, but not
 * packaged for every architecture.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"

struct inflate;

struct inflate *inflate_new(void);
/* Before the first byte of each member's header. */
void inflate_start(struct inflate *z);
/* Consume *in_len bytes at most and produce *out_len at most; both become what was done.  1: the member
 * has ended, its checksum is right, and the next byte is not part of it; 0: go on; -EBADMSG: wrong
 * checksum; -EINVAL: damaged. */
int inflate_run(struct inflate *z, const void *in, size_t *in_len, void *out, size_t *out_len);
struct inflate *inflate_free(struct inflate *z);
DEFINE_CLEANUP(struct inflate, inflate_free);
