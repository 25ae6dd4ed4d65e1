/* store/erofs.h - a layer as an EROFS image whose files' contents stay in the layer's own tar.
 *
 * The image is an index: inodes, names, attributes.  The data of its files lies in the uncompressed tar,
 * which is its extra device (mount option `device=`; linux/mount.h's mount_new_erofs()).  Tars begin every
 * content at a multiple of 512 bytes, which is therefore the block size.  What has no place in the tar,
 * files of lower layers that this one links to and sparse files with odd pieces, is appended to the
 * tar's file behind the tar's end.
 *
 * Entries mean what they mean to store/unpack.h, the same are refused, in the same words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/tar.h"
#include "store/unpack.h"

struct erofs;

struct erofs *erofs_new(void);
struct erofs *erofs_free(struct erofs *x);
DEFINE_CLEANUP(struct erofs, erofs_free);
#define autoerofs __attribute__((cleanup(erofs_freep_)))

/* One entry, whose content, if any, lies at `offset` of the tar; it is not read.  ERROR_INVALID names the
 * entry; ERROR_NOT_IMPLEMENTED: no harm in it, but this format cannot hold it. */
int erofs_entry(struct erofs *x, const struct tar_entry *e, int64_t offset, struct error *err);

/* After the last entry: what depends on the layers below is completed, and the index is written to
 * index_fd, an empty file.  data_fd: the file that begins with the tar, open for reading and writing.
 * The same errors. */
int erofs_finish(struct erofs *x, int data_fd, int64_t tar_size, const struct unpack_lower *lower,
		 int index_fd, struct error *err);

/* Is an index, beside a data file of that many bytes, well-formed?  ERROR_INTERNAL says what is not. */
int erofs_check(int index_fd, int64_t data_size, struct error *err);

int64_t erofs_size(const struct erofs *x); /* bytes of file content */
