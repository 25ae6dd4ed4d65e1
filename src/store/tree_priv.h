/* store/tree_priv.h - what lies below a container's writable directory, for diff and commit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct error;

struct tree_below {
	int *fds; /* owned: the layers' directories, top first */
	size_t n;
};
int tree_below_open(const char *const *lower, size_t n, struct tree_below *ret, struct error *err);
void tree_below_done(struct tree_below *b); /* accepts a zeroed one */
#define autobelow __attribute__((cleanup(tree_below_done)))

/* What the layers have under this absolute path; false: nothing. */
bool tree_below_find(const struct tree_below *b, const char *path, struct stat *ret);
/* Nothing of the same directory below is seen through it. */
bool tree_is_opaque(int dir_fd);
/* An empty file in the root of each container, as in Docker's: programs look for it. */
#define STORE_MARKER ".dockerenv"
/* What any container has without having changed anything: that, and where its image has nothing the
 * places that its start mounts on.  Of a directory only the name is looked at. */
bool tree_is_mount_place(const char *path, const struct stat *st);
