/* runtime/netdevices_priv.h - linux.netDevices. */
#pragma once

#include <net/if.h>
#include <stddef.h>

#include "oci/runtime_spec.h"

struct error;

struct netdevices_moved {
	char (*names)[IF_NAMESIZE]; /* owned: what they are called in the container */
	size_t n;
};

/* Move the devices (struct oci_net_device) of our network namespace into the container's. */
int netdevices_move(const struct json_objects *devices, int proc_fd, int netns_fd,
		    struct netdevices_moved *ret, struct error *err);
/* Move back those that have been moved, as far as that goes. */
void netdevices_give_back(const struct json_objects *devices, int proc_fd, int netns_fd,
			  const struct netdevices_moved *moved);
