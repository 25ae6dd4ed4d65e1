/* store/tar_write.h - writing tar archives: ustar, with pax headers where that is too small. */
#pragma once

#include "base/error.h"
#include "store/stream.h"
#include "store/tar.h"

/* The header(s) of an entry; for a TAR_FILE e->size bytes of content must follow, then tar_write_pad
 * of as many.  Of a sparse one e->pieces are written with the header, and e->stored_size bytes must
 * follow: their contents in order.  xattrs go out as SCHILY.xattr. */
int tar_write_header(const struct stream_writer *out, const struct tar_entry *e, struct error *err);
int tar_write_pad(const struct stream_writer *out, int64_t size, struct error *err);
/* A whole file in memory: mode 0644, root's. */
int tar_write_file(const struct stream_writer *out, const char *path, const void *data, size_t len,
		   struct error *err);
int tar_write_end(const struct stream_writer *out, struct error *err);
