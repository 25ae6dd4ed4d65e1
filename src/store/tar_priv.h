/* store/tar_priv.h - headers of tar archives: what tar.c and tar_header.c share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"
#include "store/tar.h"

struct tar_gnu_piece {
	char offset[12], len[12];
};

/* POSIX.1-1988 ustar; GNU archives use the prefix's place otherwise. */
struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char typeflag;
	char linkname[100];
	char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	union {
		struct {
			char prefix[155], unused[12];
		} ustar;
		struct {
			char atime[12], ctime[12], offset[12], longnames[4], unused;
			struct tar_gnu_piece sparse[4];
			char isextended, realsize[12], unused2[17];
		} gnu;
	};
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK_SIZE, "a header is one block");

struct tar_gnu_extension {
	struct tar_gnu_piece sparse[21];
	char isextended, unused[7];
};
_Static_assert(sizeof(struct tar_gnu_extension) == TAR_BLOCK_SIZE, "an extension is one block");

struct tar_sparse {
	struct tar_piece *v; /* owned, growing */
	size_t n, cap;
	int64_t realsize, pending_offset;
	int major, minor; /* GNU.sparse.major and .minor */
	struct strbuf name;
	bool has_map, has_realsize, has_name, has_pending_offset;
};

/* What extended headers said about the entry to come. */
struct tar_extended {
	struct strbuf path, link;
	int64_t size, uid, gid, devmajor, devminor;
	struct timespec mtime;
	bool has_path, has_link, has_size, has_uid, has_gid, has_mtime, has_devmajor, has_devminor;
	bool pending; /* one was read since the last entry */
	struct tar_sparse sparse;
	struct strbuf pool; /* names and values of xattrs, each name NUL-terminated */
	struct {
		size_t name, value, len; /* offsets in pool */
	} xattr[TAR_MAX_XATTRS];
	struct tar_xattr view[TAR_MAX_XATTRS];
	size_t n_xattrs;
};

bool tar_header_sum_ok(const struct tar_header *h);
bool tar_header_is_ustar(const struct tar_header *h); /* POSIX's or GNU's magic */
void tar_header_path(const struct tar_header *h, struct strbuf *ret);
/* Octal with blanks around it, or base 256; -EINVAL. */
int tar_parse_number(const char *field, size_t len, int64_t *ret);

void tar_extended_init(struct tar_extended *x);
void tar_extended_done(struct tar_extended *x);
void tar_extended_reset(struct tar_extended *x);
bool tar_extended_is_pending(const struct tar_extended *x);
/* The content of a header of type x, X, g, L, K or V. */
int tar_extended_parse(struct tar_extended *x, char type, const char *data, size_t len,
		       struct error *err);
const struct tar_xattr *tar_extended_xattrs(struct tar_extended *x, size_t *ret_n);

int tar_sparse_add(struct tar_sparse *s, int64_t offset, int64_t len, struct error *err);
int tar_sparse_add_gnu(struct tar_sparse *s, const struct tar_gnu_piece *v, size_t n,
		       struct error *err);
int tar_sparse_check(const struct tar_sparse *s, int64_t size, int64_t stored, struct error *err);
