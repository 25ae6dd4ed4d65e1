/* engine/rootfs_file.h - files of a container's root filesystem, read without mounting it.
 *
 * The writable directory and the image's layers are looked through from the top, each by
 * openat2(RESOLVE_IN_ROOT), so that a link in one of them never leads out of it.  Enough for
 * /etc/passwd and /etc/group; links that cross layers are not followed.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct rootfs_dirs {
	const char *const *v; /* absolute paths of directories, top first; borrowed */
	size_t n;
};

/* The regular file's content, NUL-terminated, malloc'd; -ENOENT as the return value if no layer has
 * it; -E2BIG past max. */
int rootfs_file_read(const struct rootfs_dirs *dirs, const char *path, size_t max, char **ret,
		     struct error *err);
/* Those of a snapshot; `strings` (owned by the caller) holds what the result borrows. */
struct store_snapshot;
struct rootfs_dirs rootfs_dirs_of(const struct store_snapshot *snap, struct strv *strings);
