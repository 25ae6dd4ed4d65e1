/* The two drivers that make nothing: the host's own network, and none. */
#include "network/network_priv.h"

const struct network_driver network_driver_host = {
	.name = "host",
	.unique = true,
};

const struct network_driver network_driver_none = {
	.name = "null", /* as Docker calls the driver of the network "none" */
	.has_netns = true,
	.unique = true,
};
