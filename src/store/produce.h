/* store/produce.h - a writer's output as a reader: the writer runs on a thread of its own. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "store/stream.h"

/* Writes all there is to `out`; negative with *err filled ends it. */
typedef int (*produce_fn)(void *data, const struct stream_writer *out, struct error *err);

struct produce;
/* fn(data) runs until it has written everything or the reader is freed. */
int produce_new(produce_fn fn, void *data, struct produce **ret, struct error *err);
/* Its end comes only after fn has succeeded; fn's error is the reader's. */
struct stream_reader produce_reader(struct produce *p);
/* Waits for fn, whose writes fail from now on. */
struct produce *produce_free(struct produce *p);
DEFINE_CLEANUP(struct produce, produce_free);
#define autoproduce __attribute__((cleanup(produce_freep_)))
