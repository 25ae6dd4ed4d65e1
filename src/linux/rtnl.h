/* linux/rtnl.h - rtnetlink(7): the links, addresses, routes and queues that networks are made of.
 *
 * Functions that take a batch only append a request to it; netlink_batch_run does them all.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "linux/netaddr.h"
#include "linux/netlink_socket.h"

struct error;

struct rtnl_link {
	int index;
	int master;     /* index of the bridge, 0 if none */
	unsigned flags; /* IFF_* */
	unsigned mtu;
	char name[IFNAMSIZ];
	char kind[16]; /* "bridge", "veth", "" for hardware */
};

/* By name: -ENODEV (ERROR_NOT_FOUND) if there is none. */
int rtnl_link_get(struct netlink *nl, const char *name, struct rtnl_link *ret, struct error *err);
/* Functions that are called for each object of a list: (NULL) as in netlink_dump. */
typedef int (*rtnl_link_fn)(const struct rtnl_link *link, void *data, struct error *err);
int rtnl_links(struct netlink *nl, rtnl_link_fn fn, void *data, struct error *err);

/* A bridge with a fixed MAC (else it changes with its ports), down.  It does not snoop who listens to
 * multicast: nobody asks on it, so that it would know nothing, and go through all ports for that
 * with each one that comes up. */
void rtnl_add_bridge(struct netlink_batch *b, const char *name, const uint8_t mac[static 6],
		     unsigned mtu);

struct rtnl_veth {
	const char *name; /* here: a port of the bridge, down */
	int master;       /* bridge's index; 0: none */
	unsigned mtu;
	const char *peer_name;   /* in peer_netns; down: neither end can be up while it is made */
	const uint8_t *peer_mac; /* 6 bytes */
	int peer_netns;          /* fd, borrowed until the batch has run */
};
void rtnl_add_veth(struct netlink_batch *b, const struct rtnl_veth *v);
void rtnl_set_up(struct netlink_batch *b, const char *name);
void rtnl_del_link(struct netlink_batch *b, const char *name); /* gone already is fine */

void rtnl_set_master(struct netlink_batch *b, const char *name, int master);
struct rtnl_port {
	bool hairpin;  /* frames may leave by the port they came from */
	bool isolated; /* no frames to or from other isolated ports */
};
/* And up: one request is one notification, for which the kernel looks through its namespaces' numbers. */
void rtnl_set_port(struct netlink_batch *b, const char *name, const struct rtnl_port *port);

/* With IFA_F_NODAD for IPv6, so that it may be used at once; an existing address is fine. */
void rtnl_add_address(struct netlink_batch *b, int link, const struct netaddr_prefix *a);
/* An existing default route is kept. */
void rtnl_add_default_route(struct netlink_batch *b, int link, const struct netaddr *gateway);
/* The same, but an existing one of this family gives way. */
void rtnl_replace_default_route(struct netlink_batch *b, int link, const struct netaddr *gateway);
void rtnl_del_neighbour(struct netlink_batch *b, int link, const struct netaddr *a);

struct rtnl_address {
	int link;
	struct netaddr_prefix addr;
};
typedef int (*rtnl_address_fn)(const struct rtnl_address *a, void *data, struct error *err);
int rtnl_addresses(struct netlink *nl, rtnl_address_fn fn, void *data, struct error *err);

struct rtnl_route {
	struct netaddr_prefix dst; /* len 0 and unset address: the default route */
	sa_family_t family;
	int link; /* output, 0 if none */
	uint32_t table;
	uint8_t type; /* RTN_* */
};
typedef int (*rtnl_route_fn)(const struct rtnl_route *r, void *data, struct error *err);
int rtnl_routes(struct netlink *nl, rtnl_route_fn fn, void *data, struct error *err);

/* Limit what leaves through the link: a token bucket as its root queue (tc-tbf(8)).
 * rate in bytes per second, > 0.  Replaces an earlier one. */
void rtnl_set_rate(struct netlink_batch *b, int link, uint64_t rate, unsigned mtu);
