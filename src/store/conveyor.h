/* store/conveyor.h - a stream's transformation on a thread of its own.
 *
 *     in -> [chunks] -> the transformation, on its thread -> [chunks] -> conveyor_read()
 *
 * `in` is read on the caller's thread only, which reads ahead a little before it takes what is done: so
 * inflating and unpacking use two cores.  One thread may use a conveyor.
 */
#pragma once

#include "base/mem.h"
#include "store/stream.h"

#define CONVEYOR_MAX_AHEAD (2 << 20)

struct conveyor;

/* `in` is borrowed. */
struct conveyor *conveyor_new(const struct stream_reader *in);
/* How many bytes may be done and not yet read; 512 KiB unless told, at most CONVEYOR_MAX_AHEAD.  Before the start. */
void conveyor_set_ahead(struct conveyor *c, size_t bytes);
/* What the transformation reads from, once it is started. */
struct stream_reader conveyor_source(struct conveyor *c);
/* Start the thread, which reads `work` (borrowed) to its end; -errno: there is no thread to be had. */
int conveyor_start(struct conveyor *c, const struct stream_reader *work);
/* As a stream reader's: what the transformation gave; `in`'s error or its own. */
ssize_t conveyor_read(struct conveyor *c, void *buf, size_t size, struct error *err);
/* Ends the thread. */
struct conveyor *conveyor_free(struct conveyor *c);
DEFINE_CLEANUP(struct conveyor, conveyor_free);
