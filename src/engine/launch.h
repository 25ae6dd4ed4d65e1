/* engine/launch.h - one shim, from its configuration to its first connection.
 *
 * [worker, with the container's operation]
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "engine/container.h"
#include "engine/ipc.h"
#include "engine/link.h"
#include "engine/remap.h"
#include "engine/volume.h"
#include "network/ports.h"
#include "shim/protocol.h"
#include "store/store.h"

struct engine;
struct shim_client;

struct launch {
	struct engine *engine;
	struct container *container;
	int join_fds
		[SHIM_JOIN_COUNT]; /* owned: namespaces of a container that is joined, or -EBADF */
	struct remap joined;       /* owned: the mappings of the user namespace there */
	struct ipc_donor ipc;      /* owned: whose /dev/shm is shared */
	const char *files_dir; /* state directory whose hosts, hostname and resolv.conf are used */
	struct store_snapshot snap;
	struct links links;         /* owned; collected by the start */
	struct volume_binds binds;  /* what the engine mounts by itself */
	struct port_bindings ports; /* what the shim is to reserve; then what it got */
	bool resolver;              /* it answers for names */
	int lock_fd;                /* owned, until the shim has it */
	bool told;                  /* op start was sent: the shim no longer undoes by itself */
	pid_t pid;
	int pidfd;                /* owned: the shim */
	struct shim_client *shim; /* owned reference; also in the container's runtime */
};
#define LAUNCH_INIT(e, c)                                                            \
	{                                                                            \
		.engine = (e), .container = (c), .lock_fd = -EBADF, .pidfd = -EBADF, \
		.join_fds = {-EBADF, -EBADF, -EBADF, -EBADF}, .ipc = IPC_DONOR_INIT, \
	}

/* Lock the runtime directory, build the configuration, spawn, connect, run. */
int launch_shim(struct launch *l, struct error *err);
/* Have a shim that was not started, or could not, undo everything; wait until it is gone. */
void launch_abandon(struct launch *l);
void launch_done(struct launch *l);
