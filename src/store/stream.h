/* store/stream.h - byte streams as callbacks: what the store reads from and writes to.
 *
 * A reader or writer is borrowed by the call it is given to and used on that call's thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct stream_reader {
	/* At most `size` bytes; the count, 0 at the end, or negative with *err filled. */
	ssize_t (*read)(void *data, void *buf, size_t size, struct error *err);
	void *data;
};

struct stream_writer {
	/* All of it, or negative with *err filled. */
	int (*write)(void *data, const void *buf, size_t len, struct error *err);
	void *data;
};

/* Read until `size` bytes or the end; the count or negative. */
ssize_t stream_read_full(const struct stream_reader *in, void *buf, size_t size, struct error *err);

/* Streams over a descriptor, which is borrowed: `*fd` must outlive them. */
struct stream_reader stream_reader_fd(const int *fd);
struct stream_writer stream_writer_fd(const int *fd);

/* A reader over memory; the struct is the reader's state and must outlive it. */
struct stream_memory {
	const void *p; /* borrowed */
	size_t len;
};
struct stream_reader stream_reader_memory(struct stream_memory *m);
