/* linux/root_priv.h - the walk that stands in for openat2(2); shared with linux/procfs.c and tests. */
#pragma once

#include "linux/root.h"

enum root_walk_flags {
	/* beside those of enum root_flags: stay in root_fd's own mount, which is procfs (-EXDEV) */
	ROOT_WALK_NO_XDEV = 1 << 8,
};

/* root_open() in user space.  Asks again by itself when a rename has come in its way. */
int root_walk(int root_fd, const char *path, int open_flags, unsigned flags);
