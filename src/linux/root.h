/* linux/root.h - paths inside a container's root file system, resolved so that nothing in it
 * (symlinks, "..", magic links, races) leads outside: openat2(2) with RESOLVE_IN_ROOT, or a walk
 * with the same result where the kernel has none.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct error;

enum root_flags {
	ROOT_NO_SYMLINKS = 1, /* refuse symbolic links in any component (-ELOOP) */
};

/* open(2) flags (O_CLOEXEC is added; never O_CREAT); absolute and relative paths mean the same.  Returns the fd
 * or -errno (ENOENT is an answer, so no struct error). */
int root_open(int root_fd, const char *path, int open_flags, unsigned flags);
/* Make the directory and its missing parents; returns an O_PATH fd of it.  An existing one is
 * fine, symbolic links in the existing part are followed within the root. */
int root_mkdir_p(int root_fd, const char *path, mode_t mode, unsigned flags, struct error *err);
/* An O_PATH fd of an existing file of any kind, or of a new empty regular one. */
int root_create_file(int root_fd, const char *path, mode_t mode, struct error *err);
/* Normalise "a//b/./c/../d" lexically to "a/b/d" ("." for the root), absolute or not; ".." stops at
 * the root.  Result in `ret` (size bytes); -ENAMETOOLONG. */
int root_clean_path(const char *path, char *ret, size_t size);
