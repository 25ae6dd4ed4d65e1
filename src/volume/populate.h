/* volume/populate.h - a volume's first content: what the image has where it is mounted. */
#pragma once

#include <stddef.h>

struct error;

/* Copy what layers[0..n) (directories, top first) show at `path` into the directory `to`, with its own
 * owner, mode and times.  1 if there was such a directory, 0 if not. */
int populate(const char *const *layers, size_t n, const char *path, int to, struct error *err);
int populate_is_empty(int dir); /* 1, 0 or -errno */
