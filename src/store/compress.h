/* store/compress.h - the compressions that images come in, recognised by their first bytes.
 *
 * gzip (ISA-L; concatenated members, checksums verified), zstd (concatenated frames, windows up to
 * 128 MiB), bzip2 and xz (concatenated streams, checksums verified), or none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/stream.h"

/* Refused as a bomb: more than COMPRESS_MAX_RATIO bytes from each byte, once past the free part.
 * Deflate cannot exceed 1,032; an image of zeros in nested compressions can. */
#define COMPRESS_MAX_RATIO 500
#define COMPRESS_FREE_SIZE (512LL << 20) /* bytes of output before the ratio counts */

enum compress_kind {
	COMPRESS_NONE,
	COMPRESS_GZIP,
	COMPRESS_ZSTD,
	COMPRESS_BZIP2,
	COMPRESS_XZ,
};
/* Registries know it as a layer's: gzip and zstd. */
bool compress_is_distributable(enum compress_kind kind);

struct decompress;

/* Looks at the first bytes of `in`, which is borrowed, and read on the caller's thread only. */
int decompress_new(const struct stream_reader *in, struct decompress **ret, struct error *err);
/* How many bytes may be inflated before they are read: store/conveyor.h.  Before the first read. */
void decompress_set_ahead(struct decompress *d, size_t bytes);
struct decompress *decompress_free(struct decompress *d);
DEFINE_CLEANUP(struct decompress, decompress_free);
#define autodecompress __attribute__((cleanup(decompress_freep_)))

enum compress_kind decompress_kind(const struct decompress *d);
/* The decompressed stream; at its end `in` has been read to its own end.  A stream that ends early is
 * ERROR_INVALID. */
struct stream_reader decompress_reader(struct decompress *d);

/* Writes a zstd frame, level 1. */
struct zstd_writer;
struct zstd_writer *zstd_writer_new(const struct stream_writer *out); /* borrowed */
int zstd_writer_write(struct zstd_writer *w, const void *p, size_t len, struct error *err);
int zstd_writer_end(struct zstd_writer *w, struct error *err);
struct zstd_writer *zstd_writer_free(struct zstd_writer *w);
DEFINE_CLEANUP(struct zstd_writer, zstd_writer_free);
#define autozstd_writer __attribute__((cleanup(zstd_writer_freep_)))
