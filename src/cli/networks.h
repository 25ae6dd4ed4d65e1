/* cli/networks.h - the values of run's --network: a name, or "name=NET,alias=A,ip=1.2.3.4,...", with the keys
 * name, alias, ip, ip6, mac-address, link-local-ip, driver-opt and gw-priority. */
#pragma once

#include "cli/cli.h"

/* Grammar of one value; ERROR_INVALID in the words of Docker's client. */
int networks_check(const char *value, struct error *err);

struct networks_args {
	const struct strv *networks; /* of --network */
	/* Of flags of their own: the first network's. */
	const struct strv *aliases, *link_local_ips;
	const char *ip, *ip6, *mac_address; /* or NULL */
};

/* HostConfig.NetworkMode: the first network, or "default"; in the arena. */
const char *networks_mode(struct cli *cli, const struct strv *networks);
/* The member NetworkingConfig, if there is anything to say in it. */
int networks_write(const struct networks_args *args, struct json_writer *w, struct error *err);
