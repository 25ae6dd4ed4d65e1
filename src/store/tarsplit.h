/* store/tarsplit.h - what turns an unpacked layer back into its tar, bit for bit.
 *
 * The file "tar-split" in a layer's folder: a zstd stream of records, integers little-endian.
 *     'R' u32 len, bytes                      headers, padding, contents that became no file
 *     'F' u64 len, u32 path len, path         the first `len` bytes of diff/<path>, or of keep/<N>
 *     'S' u64 len, u32 path len, path, u32 n, n * (u64 offset, u64 len)   pieces of a sparse file
 *     'E'                                     the end
 * N counts the F and S records from 0.
 */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "store/stream.h"
#include "store/tar.h"
#include "store/unpack.h"

struct tarsplit_writer;

/* Creates layer_fd/tar-split; layer_fd is borrowed. */
int tarsplit_writer_new(int layer_fd, struct tarsplit_writer **ret, struct error *err);
int tarsplit_raw(struct tarsplit_writer *w, const void *p, size_t len, struct error *err);
int tarsplit_file(struct tarsplit_writer *w, const struct unpack_file *file,
		  const struct tar_entry *e, struct error *err);
int tarsplit_writer_end(struct tarsplit_writer *w, struct error *err);
struct tarsplit_writer *tarsplit_writer_free(struct tarsplit_writer *w);
DEFINE_CLEANUP(struct tarsplit_writer, tarsplit_writer_free);
#define autotarsplit_writer __attribute__((cleanup(tarsplit_writer_freep_)))

struct tarsplit_reader;

/* layer_fd is borrowed. */
int tarsplit_reader_new(int layer_fd, struct tarsplit_reader **ret, struct error *err);
ssize_t tarsplit_read(struct tarsplit_reader *t, void *buf, size_t size, struct error *err);
struct tarsplit_reader *tarsplit_reader_free(struct tarsplit_reader *t);
DEFINE_CLEANUP(struct tarsplit_reader, tarsplit_reader_free);
#define autotarsplit_reader __attribute__((cleanup(tarsplit_reader_freep_)))
