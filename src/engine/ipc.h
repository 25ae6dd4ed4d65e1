/* engine/ipc.h - another container's shared memory: --ipc container:ID.
 *
 * System V objects and message queues belong to the ipc namespace, which is joined; POSIX shared memory is
 * files in /dev/shm, so what the donor has there is mounted in the other container, too.
 */
#pragma once

#include <errno.h>

#include "engine/container.h"
#include "engine/volume.h"

struct ipc_donor {
	int mounts,
		root; /* owned: mount namespace and root directory of its process 1, or -EBADF */
};
#define IPC_DONOR_INIT                           \
	{                                        \
		.mounts = -EBADF, .root = -EBADF \
	}

/* Does it let others in?  (--ipc private and none do not.) */
bool ipc_is_shareable(const struct container_spec *s);
/* process_fd: its directory in proc (borrowed; < 0: it is gone).  ERROR_CONFLICT when it has ended. */
int ipc_donor_open(int process_fd, struct ipc_donor *ret, struct error *err);
void ipc_donor_done(struct ipc_donor *d);
/* [worker] What the donor has at /dev/shm, at a place of `binds`, whose path is returned.
 * ERROR_INVALID if nothing is mounted there. */
int ipc_share_shm(struct engine *e, const struct container *c, const struct ipc_donor *d,
		  struct volume_binds *binds, const char **ret_path, struct error *err);
