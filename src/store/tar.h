/* store/tar.h - a pull parser for tar archives from strangers.
 *
 * Reads v7, ustar (POSIX.1-1988), pax (POSIX.1-2001, with the SCHILY, LIBARCHIVE and GNU.sparse
 * keywords) and GNU archives (long names, base-256 numbers, sparse files of all four formats).  Global
 * pax headers are skipped, as Docker does.  The parser knows syntax only: whether a path is harmless is
 * store/unpack.h's business.  Bytes that are no file's content can be had raw and in order, from
 * which, with the contents, the archive can be rebuilt bit for bit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/stream.h"

#define TAR_BLOCK_SIZE         512
#define TAR_MAX_PATH           4095      /* bytes of a path or link target (PATH_MAX without NUL) */
#define TAR_MAX_EXTENDED       (1 << 20) /* bytes of one pax header or GNU long name */
#define TAR_MAX_XATTRS         256       /* of one entry */
#define TAR_MAX_SPARSE_ENTRIES (1 << 18) /* pieces of one sparse file */
#define TAR_MAX_ENTRIES        (4 << 20) /* of one archive: inodes are finite */
#define TAR_MAX_TOTAL          (1LL << 40) /* bytes of one archive: 1 TiB */
#define TAR_MAX_FILE           (1LL << 44) /* logical bytes of one (sparse) file: ext4's limit */

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_DIRECTORY,
	TAR_FIFO,
};

struct tar_xattr {
	const char *name;
	const void *value;
	size_t len;
};

struct tar_piece { /* of a sparse file: `len` stored bytes belong at `offset` */
	int64_t offset, len;
};

/* One entry; everything is borrowed until the next tar_next. */
struct tar_entry {
	enum tar_type type;
	const char *path; /* as written: not normalised, any bytes but NUL, never empty */
	const char *link; /* target of links, else "" */
	mode_t mode;      /* 07777 at most */
	uid_t uid;
	gid_t gid;
	unsigned dev_major, dev_minor;
	struct timespec mtime;
	int64_t size;        /* the file's size in bytes; 0 unless TAR_FILE */
	int64_t stored_size; /* bytes in the archive: less than size if sparse */
	bool sparse;
	const struct tar_piece
		*pieces; /* if sparse: ascending, disjoint; lens sum up to stored_size */
	size_t n_pieces;
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

struct tar;

/* Called with header, padding and trailer bytes in archive order.  Negative with *err filled ends the
 * parsing. */
typedef int (*tar_raw_fn)(void *data, const void *p, size_t len, struct error *err);

/* The reader is borrowed.  raw may be NULL. */
struct tar *tar_new(const struct stream_reader *in, tar_raw_fn raw, void *raw_data);
struct tar *tar_free(struct tar *t);
DEFINE_CLEANUP(struct tar, tar_free);
#define autotar __attribute__((cleanup(tar_freep_)))

/* The next entry: 1, or 0 at the end, when everything up to the stream's end has been read.  Skips
 * what is left of the last content.  ERROR_INVALID with the entry's name, or its offset, in it. */
int tar_next(struct tar *t, const struct tar_entry **ret, struct error *err);

/* The next stored bytes of this entry's content, at most `max`: the count, 0 at its end.  *ret points
 * into the parser's buffer and is valid until the next call. */
ssize_t tar_read(struct tar *t, size_t max, const void **ret, struct error *err);

/* Where in the archive the next byte of this entry's content lies. */
int64_t tar_offset(const struct tar *t);
