/* store/gzip_write.h - gzip by zlib, always with the same bytes for the same input. */
#pragma once

#include "base/mem.h"
#include "store/stream.h"

struct gzip_writer;
struct gzip_writer *gzip_writer_new(const struct stream_writer *out); /* borrowed */
int gzip_writer_write(struct gzip_writer *w, const void *p, size_t len, struct error *err);
int gzip_writer_end(struct gzip_writer *w, struct error *err);
struct gzip_writer *gzip_writer_free(struct gzip_writer *w);
DEFINE_CLEANUP(struct gzip_writer, gzip_writer_free);
#define autogzip_writer __attribute__((cleanup(gzip_writer_freep_)))
