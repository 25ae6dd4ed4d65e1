/* network/network_priv.h - what only this folder knows: the manager and the drivers' table. */
#pragma once

#include "network/ipam.h"
#include "network/network.h"
#include "network/nfsocket.h"

struct network_entry {
	struct network net;
	struct ipam_pool *pool4, *pool6; /* owned; NULL: the family is not used */
	struct network_member {
		char id[NETWORK_ID_SIZE];
	} * members; /* owned: endpoints prepared and not released */
	size_t member_count, members_cap;
};

struct network_manager {
	/* constant after network_open: workers read these */
	char link[NETWORK_LINK_SIZE];
	char table[64];
	struct network_subnet bridge4, bridge6; /* of the default bridge; unset: chosen */
	struct netaddr host_ip;
	struct network_pool *pools; /* owned */
	size_t pool_count;
	unsigned mtu; /* of the default bridge */
	bool ipv6, icc, masquerade, forward;
	int sysctls;                 /* /proc/sys/net of this network namespace */
	struct nfsockets *nfsockets; /* owned; its own lock */
	/* the loop thread's */
	struct netlink *watch;          /* owned; NULL until network_watch_open */
	struct network_entry **entries; /* owned, and each */
	size_t n, cap;
};

struct network_driver {
	const char *name;
	bool has_netns;
	bool has_addresses; /* subnets and leases */
	bool unique;        /* only the default network of this kind may exist */
	/* Kernel side; NULL: nothing to do. */
	int (*up)(const struct network_manager *nm, const struct network *net, struct error *err);
	int (*down)(const struct network_manager *nm, const struct network *net, struct error *err);
	int (*attach)(const struct network_manager *nm, const struct network_endpoint *ep,
		      int netns_fd, struct error *err);
	int (*detach)(const struct network_manager *nm, const struct network_endpoint *ep,
		      struct error *err);
	/* After a restart: make up for what is missing of a live endpoint. */
	int (*repair)(const struct network_manager *nm, const struct network_endpoint *ep,
		      struct error *err);
};
extern const struct network_driver network_driver_bridge;
extern const struct network_driver network_driver_host;
extern const struct network_driver network_driver_none;

struct network_entry *network_entry_find(const struct network_manager *nm, const char *id);
/* Take a filled row in: make its pools, reserve the gateways.  On failure net is untouched. */
int network_entry_add(struct network_manager *nm, struct network *net_take,
		      struct network_entry **ret, struct error *err);
void network_entry_join(struct network_entry *e, const char *endpoint_id);
bool network_entry_leave(struct network_entry *e, const char *endpoint_id); /* was it a member */
void network_id_random(char ret[static NETWORK_ID_SIZE]);

/* driver_bridge.c: delete host links on our bridges that no live endpoint owns. */
int bridge_remove_stale_links(const struct network_manager *nm, const struct network_restore *r,
			      struct error *err);
