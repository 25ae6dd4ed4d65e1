/* store/unpack.h - a layer's tar entries become files: safely, and in overlayfs's terms.
 *
 * Entries come from strangers.  All paths are resolved by openat2(RESOLVE_IN_ROOT) below the layer's
 * directory, so links are data and lead nowhere outside; `..` in a path is refused.  Whiteouts
 * (".wh.x") become character devices 0:0 and opaque markers the attribute trusted.overlay.opaque;
 * what an archive brings in overlayfs's own names is escaped or refused.  Directories get their owner,
 * mode and times last.  https://github.com/opencontainers/image-spec/blob/main/layer.md
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/tar.h"

#define UNPACK_MAX_DEPTH 256 /* directories below each other */

struct unpack;

/* dir_fd: a new, empty directory, which nobody else touches; borrowed.  keep_fd: an empty directory
 * on the same file system for the contents of files that a later entry replaces (named by the
 * number of the content, see unpack_file), which the tar's reconstruction needs; -1: not kept. */
int unpack_new(int dir_fd, int keep_fd, struct unpack **ret, struct error *err);
struct unpack *unpack_free(struct unpack *u);
DEFINE_CLEANUP(struct unpack, unpack_free);
#define autounpack __attribute__((cleanup(unpack_freep_)))

/* Where an entry's content went. */
struct unpack_file {
	uint64_t number;  /* contents are counted from 0 */
	const char *path; /* below dir_fd, without symbolic links; borrowed until the next entry */
};

/* Make the entry.  For a TAR_FILE the content is read from `t` and written; then returns 1 and fills
 * *ret.  Otherwise 0: the content, if there is any, has not been read.  ERROR_INVALID names the
 * entry. */
int unpack_entry(struct unpack *u, struct tar *t, const struct tar_entry *e,
		 struct unpack_file *ret, struct error *err);

/* Between the entries and the end: complete what is under way and close what is open, and go on with
 * descriptors of the same two directories opened anew. */
int unpack_pause(struct unpack *u, struct error *err);
void unpack_resume(struct unpack *u, int dir_fd, int keep_fd);

/* The layers below, top first. */
struct unpack_lower {
	const int *fds; /* borrowed: directories; -1: ask `open` */
	size_t n;
	/* A directory of layer i that is borrowed, too; NULL: all are in fds. */
	int (*open)(void *data, size_t i);
	void *data;
};

/* After the last entry: what depends on the layers below is completed:
 * directories that had no entry of their own, hard links to files of lower layers, which are
 * copied up.  Then owners, modes and times of directories. */
int unpack_finish(struct unpack *u, const struct unpack_lower *lower, struct error *err);

int64_t unpack_size(const struct unpack *u); /* bytes of file content written */
