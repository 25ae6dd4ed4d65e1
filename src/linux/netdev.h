/* linux/netdev.h - move a network device from one network namespace to another.
 *
 * On plain rtnetlink(7): also for the static programs, which have no libmnl.  The calling thread enters
 * both namespaces on the way; it must be the process's only one, and have CAP_NET_ADMIN and
 * CAP_SYS_ADMIN over both.
 */
#pragma once

#include <net/if.h>

struct error;

struct netdev_move {
	int from_netns, to_netns; /* borrowed */
	const char *name;
	const char *new_name; /* "eth%d": the kernel chooses a number */
};

/* With its permanent addresses of global scope; it is up afterwards.  ret_name: what it is called now.
 * ERROR_INVALID if there is no such device, if there is one of the new name, or if it is one that
 * cannot be moved; after a failure it is where it was, if that is possible at all. */
int netdev_move(const struct netdev_move *m, char ret_name[static IF_NAMESIZE], struct error *err);
