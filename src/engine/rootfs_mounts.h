/* engine/rootfs_mounts.h - the files of a container that does not run, with its volumes and bind mounts.
 *
 * They are mounted in a mount namespace that nobody is in, held by a descriptor: nothing of it is seen on
 * the host, and all of it goes when the descriptor is closed.
 */
#pragma once

#include "base/error.h"
#include "engine/volume.h"

struct container;
struct mount_overlay;

struct rootfs_mounts {
	const struct mount_overlay *overlay;
	const struct container_spec *spec; /* its bind mounts */
	const struct volume_binds *binds;  /* its volumes */
	const char *place;                 /* a directory, covered by the root in the namespace */
};

/* [worker] *ret_ns: the namespace, which lives as long as it is open.  Returns an O_PATH fd of the root, of use
 * as long as that. */
int rootfs_mounts_make(const struct rootfs_mounts *m, int *ret_ns, struct error *err);
