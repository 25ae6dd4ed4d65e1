/* engine/rootfs.h - a container's files, for docker cp, export and diff.
 *
 * Of a running container they are what its process 1 sees, volumes included.  Of another one they are its
 * overlay with its volumes and bind mounts (rootfs_mounts.h), and no start comes in between.
 */
#pragma once

#include <stdbool.h>

#include "engine/operation.h"
#include "store/store.h"
#include "store/tree.h"

struct container;
struct engine;
struct error;

struct engine_root {
	struct operation op; /* of a container that does not run */
	bool has_operation;
	struct container *held;      /* of one that runs: a reference */
	struct container *container; /* either of them */
	struct engine *engine;
	int fd;              /* owned: O_PATH, of the root */
	int mounts;          /* owned: the namespace that holds volumes, or -EBADF */
	bool volumes_in_use; /* they are released at the end */
	struct tree_ids ids;
};

/* [worker] `path`: what is asked for, resolved lexically; in a container that does not run, it must not lie
 * where a tmpfs is to be mounted (ERROR_NOT_IMPLEMENTED).  NULL: all without what is mounted. */
int engine_root_open(struct engine *e, const char *ref, const char *path, struct engine_root *ret,
		     struct error *err);
void engine_root_done(struct engine_root *r); /* accepts a zeroed one */
#define autoroot __attribute__((cleanup(engine_root_done)))

/* [worker] Whom the container runs as, if its configuration says so; false: it does not. */
bool engine_root_user(const struct engine_root *r, uid_t *ret_uid, gid_t *ret_gid);

/* The owners of its files as they are seen from the host. */
void engine_container_ids(const struct engine *e, const struct container *c, struct tree_ids *ret);

/* [worker] Its directories, whether it runs or not. */
int engine_snapshot(struct engine *e, const char *ref, struct store_snapshot *ret,
		    struct error *err);
