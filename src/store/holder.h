/* store/holder.h - what vesseld and vessel-layers say to each other.
 *
 * vessel-layers holds the mounts of EROFS layers, so that they outlive vesseld: their page cache is shared by
 * all containers that are on them, those started before and after.  It listens on the SOCK_SEQPACKET socket
 * HOLDER_LISTEN_FD and ends when it has neither mounts nor connections.  A mount is detached, its place is
 * the descriptor: /proc/<holder>/fd/<fd> is the layer's root, for whoever may look there.
 */
#pragma once

#include <stdint.h>

#define HOLDER_SOCKET    "layers.sock" /* below the exec root */
#define HOLDER_LISTEN_FD 3
#define HOLDER_NAME_SIZE 68 /* of a layer: 64 hex digits */

enum holder_operation {
	HOLDER_LIST, /* an answer for each mount; the last one has no name */
	HOLDER_PUT, /* with the mount's fd; the answer names the place, an older one's if there is one */
	HOLDER_DROP,
};

struct holder_request {
	uint32_t operation;
	char name[HOLDER_NAME_SIZE];
};

struct holder_answer {
	int32_t pid; /* the holder's */
	int32_t fd;  /* its descriptor, or -errno */
	char name[HOLDER_NAME_SIZE];
};
