/* store/mounts.h - mounts of EROFS layers: made once each, held by vessel-layers (store/holder.h).
 *
 * Thread-safe.  The holder is started with the first mount; one that runs already is found by its socket.
 */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

struct mounts;

/* run_dir: the exec root, absolute; program: of vessel-layers, absolute, NULL: there is none. */
struct mounts *mounts_new(const char *run_dir, const char *program);
/* The mounts stay with the holder. */
struct mounts *mounts_free(struct mounts *m);
DEFINE_CLEANUP(struct mounts, mounts_free);

/* A path of the root of the layer in layers_fd/name, for anybody with the rights of root: it lasts as
 * long as the holder and the layer.  Owned by the caller.  Mounts it if nobody has. */
int mounts_get(struct mounts *m, int layers_fd, const char *name, char **ret, struct error *err);
/* Let it go; what containers still see of it stays. */
void mounts_drop(struct mounts *m, const char *name);
/* Names of all, of an earlier run too.  Starts no holder. */
void mounts_list(struct mounts *m, struct strv *ret);
