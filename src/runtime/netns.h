/* runtime/netns.h - a network namespace made by a thread.
 *
 * Making one is the kernel's longest single piece of work at a container's start: as long as all mounts
 * together.  The thread makes it while its caller reads the configuration, clones the container's
 * process and makes the cgroup, and hands it to that process itself.
 */
#pragma once

#include <stdbool.h>

struct error;

struct netns_maker;

/* NULL if no thread could be had: then clone3(2) makes the namespace. */
struct netns_maker *netns_maker_start(void);
/* The process exists: the namespace goes to it as SYNC_NETNS, as soon as it is there, through this
 * socket (borrowed until netns_maker_finish). */
void netns_maker_hand_to(struct netns_maker *m, int sync_fd);
/* Wait for the end, and free.  The namespace's fd, owned by the caller; or, when making it failed,
 * negative with err filled.  err NULL: the caller has no use for it. */
int netns_maker_finish(struct netns_maker *m, struct error *err);
