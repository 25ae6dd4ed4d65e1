/* Networks as Linux bridges: a pair of links per endpoint, one end a port of the bridge, the other
 * in the container's namespace.
 *
 * The pair is made in one request, its inner end born in the namespace with its name, MAC and MTU,
 * so that it never shows up on the host.  What only a socket of that namespace can do (addresses,
 * routes, the queue) is done by moving the calling worker there for some microseconds.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/rtnl.h"
#include "network/mld.h"
#include "network/network_priv.h"
#include "network/sysctl.h"
#include "network/table.h"

/* A fixed MAC for a bridge, from its id: locally administered. */
static void bridge_mac(const struct network *net, uint8_t ret[static 6])
{
	memset(ret, 0, 6);
	(void)hex_decode(net->id, 12, ret); /* an id is hex */
	ret[0] = 0x02;
}

/* The bridge's index; made first if it is missing. */
static int ensure_bridge(struct netlink *nl, const struct network *net, int *ret_index,
			 struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autoerror struct error missing = {0};
	struct rtnl_link link;
	uint8_t mac[6];
	int r = rtnl_link_get(nl, net->link, &link, &missing);

	if (r == -ENODEV) {
		bridge_mac(net, mac);
		rtnl_add_bridge(b, net->link, mac, net->mtu);
		r = netlink_batch_run(nl, b, err);
		if (r < 0)
			return r;
		r = rtnl_link_get(nl, net->link, &link, err);
		if (r < 0)
			return r;
	} else if (r < 0) {
		return error_move(err, &missing, r);
	}
	if (strcmp(link.kind, "bridge") != 0)
		return error_set(err, ERROR_CONFLICT, 0, "link '%s' exists and is not a bridge",
				 net->link);
	*ret_index = link.index;
	return 0;
}

/* Link-local addresses are ours to give: one that the kernel makes is tentative for one or two
 * seconds, during which the host cannot ask for a container's MAC (ndisc_send_ns), and what is sent
 * to a published port meanwhile ends as "No route to host".  Numbers of ours are never taken twice. */
static int ipv6_sysctls(const char *link, bool ipv6, struct error *err)
{
	autoclose int dir = sysctl_link_open("ipv6", link, err);
	int r = dir;

	r = r < 0 ? r : sysctl_set_at(dir, "disable_ipv6", ipv6 ? "0" : "1", err);
	r = r < 0 ? r : sysctl_set_at(dir, "addr_gen_mode", "1" /* none */, err);
	/* A neighbour on the bridge must not be able to advertise itself as the router. */
	return r < 0 ? r : sysctl_set_at(dir, "accept_ra", "0", err);
}

/* fe80::1, as on dockerd's bridges. */
static const struct netaddr_prefix bridge_link_local = {
	.addr = {.family = AF_INET6, .b = {0xfe, 0x80, [15] = 1}},
	.len = 64,
};

/* From the MAC (RFC 4291 appendix A). */
static struct netaddr_prefix link_local(const uint8_t mac[static 6])
{
	struct netaddr_prefix p = {.addr = {.family = AF_INET6, .b = {0xfe, 0x80}}, .len = 64};
	uint8_t *id = p.addr.b + 8;

	memcpy(id, mac, 3);
	id[0] ^= 0x02;
	id[3] = 0xff;
	id[4] = 0xfe;
	memcpy(id + 5, mac + 3, 3);
	return p;
}

static int bridge_sysctls(const struct network_manager *nm, const struct network *net,
			  struct error *err)
{
	bool ipv6 = netaddr_is_set(&net->ipv6.gateway);
	int r;

	if (nm->forward) {
		r = sysctl_enable_forwarding(ipv6, err);
		if (r < 0)
			return r;
	}
	/* Ports published on 127.0.0.1; see the chain "martian" in table.c. */
	r = sysctl_set_link("ipv4", net->link, "route_localnet", "1", err);
	return r < 0 || !sysctl_has_ipv6() ? r : ipv6_sysctls(net->link, ipv6, err);
}

static int bridge_up(const struct network_manager *nm, const struct network *net, struct error *err)
{
	const struct network_subnet *const subnets[] = {&net->ipv4, &net->ipv6};
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_ROUTE, &nl, err), index = 0;

	if (r < 0)
		return r;
	/* The table comes first: there is no moment at which the bridge is open to others. */
	r = table_ensure(nm, err);
	if (r < 0)
		return r;
	r = table_add_network(nm, net, err);
	r = r < 0 ? r : mld_ensure(nm, err);
	if (r < 0)
		return r;
	r = ensure_bridge(nl, net, &index, err);
	if (r < 0)
		return r;
	r = bridge_sysctls(nm, net, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(subnets); i++) {
		struct netaddr_prefix a = {.addr = subnets[i]->gateway,
					   .len = subnets[i]->subnet.len};

		if (netaddr_is_set(&a.addr))
			rtnl_add_address(b, index, &a);
	}
	if (netaddr_is_set(&net->ipv6.gateway))
		rtnl_add_address(b, index, &bridge_link_local);
	rtnl_set_up(b, net->link);
	return netlink_batch_run(nl, b, err);
}

static int bridge_down(const struct network_manager *nm, const struct network *net,
		       struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_ROUTE, &nl, err);

	if (r < 0)
		return r;
	rtnl_del_link(b, net->link);
	r = netlink_batch_run(nl, b, err);
	return r < 0 ? r : table_del_network(nm, net, err);
}

/* The container's side, in its namespace: the calling thread is there. */
static int configure_inside(const struct network_endpoint *ep, struct netlink *nl,
			    struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	bool ipv6 = netaddr_is_set(&ep->ipv6.addr);
	struct rtnl_link link;
	int r = rtnl_link_get(nl, ep->link, &link, err);

	if (r < 0)
		return r;
	if (sysctl_has_ipv6()) {
		r = ipv6_sysctls(ep->link, ipv6, err);
		if (r < 0)
			return r;
	}
	rtnl_set_up(b, ep->link);
	if (netaddr_is_set(&ep->ipv4.addr))
		rtnl_add_address(b, link.index, &ep->ipv4);
	if (ipv6) {
		struct netaddr_prefix local = link_local(ep->mac);

		rtnl_add_address(b, link.index, &local);
		rtnl_add_address(b, link.index, &ep->ipv6);
	}
	if (ep->default4 && netaddr_is_set(&ep->gateway4))
		rtnl_add_default_route(b, link.index, &ep->gateway4);
	if (ep->default6 && ipv6 && netaddr_is_set(&ep->gateway6))
		rtnl_add_default_route(b, link.index, &ep->gateway6);
	if (ep->rate_tx > 0)
		rtnl_set_rate(b, link.index, ep->rate_tx, ep->mtu);
	return netlink_batch_run(nl, b, err);
}

static int enter_and_configure(const struct network_endpoint *ep, int netns_fd, struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int back, r = netlink_netns_enter(netns_fd, &back, err);

	if (r < 0)
		return r;
	r = netlink_open(NETLINK_ROUTE, &nl, err);
	if (r == 0)
		r = configure_inside(ep, nl, err);
	netlink_netns_leave(back);
	return r;
}

/* Two consequences of br_netfilter, which runs the IP hooks on bridged frames too.  A redirect back
 * to the sender's own port happens inside the bridge, which wants hairpin mode for that.  And
 * isolation then blocks ports published by a neighbour as well; our forward chain, which sees the
 * bridged packets, keeps containers apart by itself. */
static void configure_port(const struct network_manager *nm, struct netlink_batch *b,
			   const struct network_endpoint *ep)
{
	bool filtered = sysctl_is_at(nm->sysctls, "bridge/bridge-nf-call-iptables", "1");

	rtnl_set_port(
		b, ep->host_link,
		&(struct rtnl_port){.hairpin = filtered, .isolated = ep->isolated && !filtered});
}

/* A bridge's port needs no IPv6 of its own, and would have four routes for it.  The other end is up by
 * now: a port whose carrier comes later is taken into the bridge twice, by going through all ports. */
static int port_up(const struct network_manager *nm, struct netlink *nl,
		   const struct network_endpoint *ep, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	char path[64];
	int r = 0;

	(void)snprintf(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", ep->host_link);
	if (sysctl_has_ipv6())
		r = sysctl_set_at(nm->sysctls, path, "1", err);
	configure_port(nm, b, ep);
	return r < 0 ? r : netlink_batch_run(nl, b, err);
}

static int make_pair(struct netlink *nl, const struct network_endpoint *ep, int netns_fd,
		     struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct rtnl_link bridge;
	int r = rtnl_link_get(nl, ep->bridge, &bridge, err);

	if (r < 0)
		return r;
	rtnl_add_veth(b, &(struct rtnl_veth){.name = ep->host_link,
					     .master = bridge.index,
					     .mtu = ep->mtu,
					     .peer_name = ep->link,
					     .peer_mac = ep->mac,
					     .peer_netns = netns_fd});
	r = netlink_batch_run(nl, b, err);
	if (r == -EXFULL)
		return error_wrap(err, r, "bridge '%s' has %d ports, the kernel's limit",
				  ep->bridge, NETWORK_BRIDGE_PORTS_MAX);
	return r;
}

static int limit_outside(struct netlink *nl, const struct network_endpoint *ep, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct rtnl_link link;
	int r;

	if (ep->rate_rx == 0)
		return 0;
	r = rtnl_link_get(nl, ep->host_link, &link, err);
	if (r < 0)
		return r;
	rtnl_set_rate(b, link.index, ep->rate_rx, ep->mtu);
	return netlink_batch_run(nl, b, err);
}

static int delete_link(struct netlink *nl, const char *name, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();

	rtnl_del_link(b, name);
	return netlink_batch_run(nl, b, err);
}

static int bridge_attach(const struct network_manager *nm, const struct network_endpoint *ep,
			 int netns_fd, struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_ROUTE, &nl, err);

	if (r < 0)
		return r;
	/* From an attempt that a crash cut short; the peer goes with it. */
	r = delete_link(nl, ep->host_link, err);
	if (r < 0)
		return r;
	r = make_pair(nl, ep, netns_fd, err);
	if (r == 0)
		r = enter_and_configure(ep, netns_fd, err);
	if (r == 0)
		r = port_up(nm, nl, ep, err);
	if (r == 0)
		r = limit_outside(nl, ep, err);
	if (r < 0)
		(void)delete_link(nl, ep->host_link, NULL); /* the first error is the one to tell */
	return r;
}

/* Addresses are leased again: the host's memory of who had them must go. */
static int forget_addresses(struct netlink *nl, const struct network_endpoint *ep,
			    struct error *err)
{
	const struct netaddr *const addrs[] = {&ep->ipv4.addr, &ep->ipv6.addr};
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autoerror struct error missing = {0};
	struct rtnl_link bridge;

	if (rtnl_link_get(nl, ep->bridge, &bridge, &missing) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++)
		if (netaddr_is_set(addrs[i]))
			rtnl_del_neighbour(b, bridge.index, addrs[i]);
	return netlink_batch_run(nl, b, err);
}

static int bridge_detach(const struct network_manager *nm, const struct network_endpoint *ep,
			 struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_ROUTE, &nl, err);

	(void)nm;
	if (r < 0)
		return r;
	r = delete_link(nl, ep->host_link, err);
	return r < 0 ? r : forget_addresses(nl, ep, err);
}

/* A bridge that was deleted and made again has lost its ports. */
static int bridge_repair(const struct network_manager *nm, const struct network_endpoint *ep,
			 struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autonetlink struct netlink *nl = NULL;
	autoerror struct error missing = {0};
	struct rtnl_link bridge, link;
	int r = netlink_open(NETLINK_ROUTE, &nl, err);

	if (r < 0)
		return r;
	if (rtnl_link_get(nl, ep->host_link, &link, &missing) < 0)
		return 0; /* the container is ending: its link went with its namespace */
	r = rtnl_link_get(nl, ep->bridge, &bridge, err);
	if (r < 0)
		return r;
	if (link.master == bridge.index)
		return 0;
	rtnl_set_master(b, ep->host_link, bridge.index);
	r = netlink_batch_run(nl, b, err);
	return r < 0 ? r : port_up(nm, nl, ep, err);
}

/* --- stale links -------------------------------------------------------------------------- */

struct stale_search {
	const struct network_restore *restore;
	int bridge;
	struct netlink_batch *batch;
};

static bool is_endpoint_link(const struct rtnl_link *link)
{
	size_t prefix = strlen(NETWORK_ENDPOINT_PREFIX);

	return strcmp(link->kind, "veth") == 0 &&
	       str_has_prefix(link->name, NETWORK_ENDPOINT_PREFIX) &&
	       strlen(link->name) == prefix + NETWORK_ENDPOINT_DIGITS &&
	       str_is_hex(link->name + prefix, NETWORK_ENDPOINT_DIGITS);
}

static int check_link(const struct rtnl_link *link, void *data, struct error *err)
{
	const struct stale_search *s = data;

	(void)err;
	if (!link) {
		netlink_batch_clear(s->batch);
		return 0;
	}
	if (link->master != s->bridge || !is_endpoint_link(link))
		return 0;
	for (size_t i = 0; i < s->restore->ep_count; i++)
		if (s->restore->live[i] && strcmp(s->restore->eps[i].host_link, link->name) == 0)
			return 0;
	rtnl_del_link(s->batch, link->name);
	return 0;
}

int bridge_remove_stale_links(const struct network_manager *nm, const struct network_restore *r,
			      struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int ret = netlink_open(NETLINK_ROUTE, &nl, err);

	for (size_t i = 0; ret == 0 && i < nm->n; i++) {
		autonetlink_batch struct netlink_batch *b = netlink_batch_new();
		struct stale_search s = {.restore = r, .batch = b};
		struct rtnl_link bridge;

		if (nm->entries[i]->net.driver != &network_driver_bridge)
			continue;
		if (rtnl_link_get(nl, nm->entries[i]->net.link, &bridge, NULL) < 0)
			continue; /* it could not be made, and says so elsewhere */
		s.bridge = bridge.index;
		ret = rtnl_links(nl, check_link, &s, err);
		if (ret == 0)
			ret = netlink_batch_run(nl, b, err);
	}
	return ret;
}

const struct network_driver network_driver_bridge = {
	.name = "bridge",
	.has_netns = true,
	.has_addresses = true,
	.up = bridge_up,
	.down = bridge_down,
	.attach = bridge_attach,
	.detach = bridge_detach,
	.repair = bridge_repair,
};
