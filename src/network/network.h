/* network/network.h - networks, their endpoints, and what of them is in the kernel.
 *
 * Two kinds of functions:
 *  - those that change the manager's memory (open, create, restore, prepare, release, find):
 *    only on the thread that owns the engine's state.  They never wait.
 *  - those that make or remove kernel objects (up, down, attach, publish, unpublish, detach,
 *    cleanup, forward_warning): blocking code for workers; they read only their arguments and the
 *    manager's constant configuration, so any number may run at once, in any thread.  All of them
 *    may be repeated: making what exists and removing what is gone succeed.
 *
 * Persistence is the caller's.  network_encode and network_endpoint_encode give a JSON row for
 * each; after a restart the decoded rows go to network_restore.
 *
 * Order of a container's start:   prepare (loop; then commit the row) - the shim makes the netns
 * and reserves the host ports - set_ports (loop; commit) - attach, publish (worker) - "go".
 * Of its end: unpublish, detach (worker) - release (loop; delete the row).
 * `network_endpoint_detach` alone also unpublishes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/mem.h"
#include "linux/netaddr.h"
#include "linux/portbind.h"

struct error;
struct network_driver;
struct network_manager;

#define NETWORK_ID_SIZE   65 /* 64 lower-case hex digits and NUL */
#define NETWORK_LINK_SIZE 16 /* IFNAMSIZ */

#define NETWORK_DEFAULT_LINK     "vessel0"
#define NETWORK_DEFAULT_TABLE    "vessel"
#define NETWORK_ENDPOINT_PREFIX  "ve" /* host links: ve + 11 hex digits of the endpoint's id */
#define NETWORK_ENDPOINT_DIGITS  11
#define NETWORK_BRIDGE_PORTS_MAX 1023 /* the kernel's BR_MAX_PORTS - 1 */

struct network_pair {
	char *key, *value; /* owned */
};
struct network_pairs {
	struct network_pair *v; /* owned */
	size_t n, cap;
};
void network_pairs_add(struct network_pairs *p, const char *key, const char *value);
const char *network_pairs_get(const struct network_pairs *p, const char *key); /* or NULL */
/* As an object, with its key. */
void network_pairs_write(struct json_writer *w, const char *key, const struct network_pairs *p);
void network_pairs_done(struct network_pairs *p);

struct network_subnet {
	struct netaddr_prefix subnet; /* unset: the family is not used */
	struct netaddr_prefix range;  /* lease from here only; unset: all of subnet */
	struct netaddr gateway;
};

/* A row.  Networks that the manager knows belong to it: borrow, never change or free. */
struct network {
	char id[NETWORK_ID_SIZE];
	char *name;                          /* owned */
	const struct network_driver *driver; /* network_driver_name(): "bridge", "host", "null" */
	struct network_subnet ipv4, ipv6;
	char link[NETWORK_LINK_SIZE]; /* the bridge on the host; "" without one */
	unsigned mtu;
	int64_t created_ns; /* realtime */
	bool internal;      /* no way out */
	bool icc;           /* containers may talk to each other */
	bool masquerade;
	bool attachable;   /* for inspect */
	bool ipam_options; /* IPAM.Options were given, though none of them; for inspect */
	bool busy;         /* being made or removed: nobody can join; not in the row */
	struct netaddr host_binding4; /* where ports without a HostIp are published; unset: any */
	struct network_pairs aux;     /* names and addresses that nobody gets */
	struct network_pairs options, labels; /* as given, for inspect */
};
bool network_is_default(const struct network *n); /* one that always exists */
/* User-defined: containers find each other by name there. */
bool network_has_names(const struct network *n);
void network_done(struct network *n);
void network_encode(struct json_writer *w, const struct network *n); /* one object */
int network_decode(const struct json *v, struct network *ret, struct error *err);

/* The table of drivers: a new kind of network is a new row (network/driver_*.c). */
const struct network_driver *network_driver_find(const char *name); /* NULL if unknown */
const char *network_driver_name(const struct network_driver *d);
bool network_driver_has_netns(const struct network_driver *d); /* host: false */

/* Where subnets are chosen from: those of /size in base. */
struct network_pool {
	struct netaddr_prefix base;
	uint8_t size; /* prefix length */
};

/* Constant for the daemon's life; all is copied; NULL, 0 or "" mean the default. */
struct network_config {
	const char *link;  /* NETWORK_DEFAULT_LINK */
	const char *table; /* NETWORK_DEFAULT_TABLE (nftables, family inet) */
	/* Of the default bridge: */
	const char *bip, *bip6;               /* its addresses, "10.5.0.1/24"; default: chosen */
	const char *fixed_cidr, *fixed_cidr6; /* lease from there only */
	const char *host_ip;                  /* where ports are published; "0.0.0.0": any */
	unsigned mtu;                         /* bytes; default 1500 */
	const struct network_pool *pools;     /* none of a family: our own */
	size_t pool_count;
	bool no_ipv6;
	bool no_icc;
	bool no_masquerade;
	bool no_forward; /* leave the ip_forward sysctls alone */
};
/* No kernel object is made here. */
int network_open(const struct network_config *config, struct network_manager **ret,
		 struct error *err);
struct network_manager *network_close(struct network_manager *nm); /* leaves the kernel alone */
DEFINE_CLEANUP(struct network_manager, network_close);
#define autonetwork_manager __attribute__((cleanup(network_closep_)))

/* Known networks.  find: by id, name, or unique id prefix; NULL if none. */
struct network *network_find(const struct network_manager *nm, const char *id_or_name);
/* By full id or name: for what was resolved before and may be gone. */
struct network *network_find_exact(const struct network_manager *nm, const char *id_or_name);
size_t network_count(const struct network_manager *nm);
struct network *network_at(const struct network_manager *nm, size_t i); /* order of creation */

struct network_request {
	const char *name;
	const char *driver;               /* NULL: "bridge" */
	const char *link;                 /* NULL: "br-" + 12 digits of the id */
	struct network_subnet ipv4, ipv6; /* unset: chosen (IPv6 only if enable_ipv6) */
	unsigned mtu;
	bool enable_ipv6;
	bool internal;
	bool no_icc;
	bool no_masquerade;
	bool attachable;
	bool ipam_options;
	struct netaddr host_binding4;
	const struct network_pairs *aux, *options, *labels; /* copied; may be NULL */
};
/* Add a network: checks, chooses subnets clear of the host's routes (read from the kernel) and of
 * the other networks.  In memory only, and busy: call network_up on a worker to make it, then clear
 * `busy`. */
int network_create(struct network_manager *nm, const struct network_request *request,
		   struct network **ret, struct error *err);
/* The networks that always exist: "bridge", "host", "none".  Call for each that network_find does
 * not give after network_restore, and save its row.  In memory only, as above. */
extern const char *const network_default_names[3];
int network_default_create(struct network_manager *nm, const char *name, struct network **ret,
			   struct error *err);
/* Would network_default_create make this default network differently by now? */
bool network_default_is_outdated(const struct network_manager *nm, const struct network *net);
/* Before the loop: take it out of the kernel and forget it.  ERROR_CONFLICT if it has leases. */
int network_default_forget(struct network_manager *nm, struct network *net, struct error *err);
/* Forget a network without endpoints (the kernel's side: network_down first).  ERROR_CONFLICT if
 * it has leases, ERROR_FORBIDDEN for the default ones. */
int network_remove(struct network_manager *nm, struct network *net, struct error *err);

/* How many endpoints are prepared and not released. */
size_t network_members(const struct network_manager *nm, const struct network *net);

/* Kernel side of a network: bridge link with addresses, sysctls, nftables table and its sets. */
int network_up(const struct network_manager *nm, const struct network *net, struct error *err);
int network_down(const struct network_manager *nm, const struct network *net, struct error *err);

struct network_endpoint_request {
	const char *container_id;
	struct netaddr ipv4, ipv6; /* --ip, --ip6; unset: leased */
	const char *mac;           /* --mac-address; NULL or "": made from the IPv4 address */
	const char *link;          /* in the container; NULL: "eth0" */
	int gw_priority;
	uint64_t rate_rx, rate_tx; /* bytes per second as the container sees it; 0: unlimited */
};

/* A row.  Self-sufficient: the kernel side works from this alone.  The caller owns it. */
struct network_endpoint {
	char id[NETWORK_ID_SIZE];
	char network_id[NETWORK_ID_SIZE];
	char container_id[NETWORK_ID_SIZE];
	const struct network_driver *driver;
	uint8_t mac[6];
	struct netaddr_prefix ipv4, ipv6; /* unset: none (host, none) */
	struct netaddr gateway4, gateway6;
	char bridge[NETWORK_LINK_SIZE];
	char host_link[NETWORK_LINK_SIZE];
	char link[NETWORK_LINK_SIZE];
	unsigned mtu;
	uint64_t rate_rx, rate_tx;
	bool internal;              /* no gateway */
	bool default4, default6;    /* the container's default route goes this way */
	int gw_priority;            /* among those of its container */
	bool isolated;              /* from the other ports of the bridge: icc is off */
	struct port_binding *ports; /* owned */
	size_t port_count;
};
void network_endpoint_done(struct network_endpoint *ep); /* accepts a zeroed one */
void network_endpoint_encode(struct json_writer *w, const struct network_endpoint *ep);
int network_endpoint_decode(const struct json *v, struct network_endpoint *ret, struct error *err);

/* Lease addresses and choose names.  ERROR_CONFLICT, ERROR_UNAVAILABLE, ERROR_INVALID (an --ip
 * outside the subnet, a bad MAC, any address for host or none). */
int network_endpoint_prepare(struct network_manager *nm, struct network *net,
			     const struct network_endpoint_request *request,
			     struct network_endpoint *ret, struct error *err);
/* Copy the bindings that the shim has reserved (host_port known) into the row. */
void network_endpoint_set_ports(struct network_endpoint *ep, const struct port_binding *ports,
				size_t n);
/* Give the addresses back.  Idempotent. */
void network_endpoint_release(struct network_manager *nm, const struct network_endpoint *ep);

/* Make the link pair, its end in the container's namespace `netns_fd` (borrowed) complete with
 * addresses, routes and limits.  On failure nothing is left. */
int network_endpoint_attach(const struct network_manager *nm, const struct network_endpoint *ep,
			    int netns_fd, struct error *err);
/* A container's endpoints in order of preference as its gateway: the priority, then the name of the
 * network.  Sets default4 and default6 of each; returns whether that changed anything. */
bool network_endpoints_choose_gateway(const struct network_manager *nm,
				      struct network_endpoint *const *eps, size_t n);
/* Put the default routes of endpoints that are attached already as default4 and default6 say. */
int network_endpoints_set_gateway(struct network_endpoint *const *eps, size_t n, int netns_fd,
				  struct error *err);
/* In the container's namespace: lead what it sends to NETWORK_RESOLVER port 53 to these ports of the
 * same address, where its resolver listens.  Repeatable. */
#define NETWORK_RESOLVER "127.0.0.11"
struct network_resolver {
	uint16_t udp, tcp; /* ports */
};
int network_redirect_resolver(const struct network_resolver *r, int netns_fd, struct error *err);
/* One nftables transaction for all ports.  ERROR_CONFLICT if another container has one of them. */
int network_endpoint_publish(const struct network_manager *nm, const struct network_endpoint *ep,
			     struct error *err);
int network_endpoint_unpublish(const struct network_manager *nm, const struct network_endpoint *ep,
			       struct error *err);
/* Unpublish, delete the link if it is still there, forget tracked connections. */
int network_endpoint_detach(const struct network_manager *nm, const struct network_endpoint *ep,
			    struct error *err);

/* After a daemon's start.  nets and eps: all saved rows (nets_take's contents move into the
 * manager; eps are read only): leases are learnt again for every endpoint; bridges and the table
 * are made again where missing; published ports and host links that no endpoint of `live` owns are
 * removed, and published ports of live ones put back.  Kernel and memory: before the loop runs. */
struct network_restore {
	struct network *nets_take;
	size_t net_count;
	const struct network_endpoint *eps;
	const bool *live; /* live[i]: the container of eps[i] runs */
	size_t ep_count;
};
int network_restore(struct network_manager *nm, const struct network_restore *r, struct error *err);

/* The table can vanish under running containers: `nft flush ruleset` is what reloading
 * nftables.service does.  Poll the fd for reading on the loop; process answers 1 if the table is
 * gone: call network_repair, which is the kernel's half of network_restore (nets_take unused). */
int network_watch_open(struct network_manager *nm, int *ret_fd, struct error *err); /* borrowed */
int network_watch_process(struct network_manager *nm, struct error *err);
int network_repair(const struct network_manager *nm, const struct network_restore *r,
		   struct error *err);

/* Remove the bridges and the table: only when no container runs.  A daemon's stop does not need
 * it (dockerd leaves docker0 too); tests and uninstalling do. */
int network_cleanup(const struct network_manager *nm, struct error *err);

/* Someone else's forward chain would drop our packets (ufw, firewalld, dockerd): *ret is a
 * malloc'd sentence that names family, table and chain, for the Warnings of a create; else NULL.
 * A drop there wins over any accept of ours. */
int network_forward_warning(const struct network_manager *nm, char **ret, struct error *err);
