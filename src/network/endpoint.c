/* Endpoints: a container's place in a network. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/nfct.h"
#include "linux/rtnl.h"
#include "network/network.h"
#include "network/network_priv.h"
#include "network/table.h"

void network_endpoint_done(struct network_endpoint *ep)
{
	free(ep->ports);
	*ep = (struct network_endpoint){0};
}

/* Docker's rule: an address always comes with the same MAC, so that nobody's neighbour cache is
 * wrong when the address passes to another container. */
static void choose_mac(const struct network_endpoint *ep, uint8_t ret[static 6])
{
	ret[0] = 0x02;
	ret[1] = 0x42;
	if (netaddr_is_set(&ep->ipv4.addr))
		memcpy(ret + 2, ep->ipv4.addr.b, 4);
	else
		(void)hex_decode(ep->id, 8, ret + 2); /* an id is hex */
}

static int lease(struct ipam_pool *pool, const struct netaddr *wanted, struct netaddr_prefix *ret,
		 struct error *err)
{
	int r;

	if (netaddr_is_set(wanted)) {
		r = ipam_reserve(pool, wanted, err);
		ret->addr = *wanted;
	} else {
		r = ipam_lease(pool, &ret->addr, err);
	}
	if (r < 0) {
		ret->addr = (struct netaddr){0};
		return r;
	}
	ret->len = ipam_subnet(pool)->len;
	return 0;
}

/* Prefer the IPv6 address with the number of the IPv4 one: fd..::5 beside 10.213.0.5.  It follows
 * the MAC, and is easy to read. */
static int lease6(struct network_entry *e, const struct network_endpoint_request *q,
		  struct network_endpoint *ep, struct error *err)
{
	struct netaddr twin = e->net.ipv6.subnet.addr;
	uint32_t offset = netaddr_to_v4(&ep->ipv4.addr) - netaddr_to_v4(&e->net.ipv4.subnet.addr);

	if (netaddr_is_set(&q->ipv6) || netaddr_is_set(&e->net.ipv6.range.addr) ||
	    e->net.ipv6.subnet.len > 96)
		return lease(e->pool6, &q->ipv6, &ep->ipv6, err);
	for (size_t i = 0; i < 4; i++)
		twin.b[15 - i] |= (uint8_t)(offset >> (8 * i));
	if (lease(e->pool6, &twin, &ep->ipv6, NULL) == 0)
		return 0;
	return lease(e->pool6, &(struct netaddr){0}, &ep->ipv6, err);
}

static int check_addresses(const struct network_entry *e, const struct network_endpoint_request *q,
			   struct error *err)
{
	if (netaddr_is_set(&q->ipv4) && !e->pool4)
		return error_set(err, ERROR_INVALID, 0, "network '%s' gives no IPv4 addresses",
				 e->net.name);
	if (netaddr_is_set(&q->ipv6) && !e->pool6)
		return error_set(err, ERROR_INVALID, 0, "network '%s' gives no IPv6 addresses",
				 e->net.name);
	if (!str_empty(q->mac) && !e->net.driver->has_addresses)
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: mac-address and the network mode '%s'",
				 e->net.name);
	if ((q->rate_rx > 0 || q->rate_tx > 0) && !e->net.driver->has_addresses)
		return error_set(err, ERROR_INVALID, 0,
				 "network '%s' has no link whose rate could be limited",
				 e->net.name);
	return 0;
}

static int fill(struct network_entry *e, const struct network_endpoint_request *q,
		struct network_endpoint *ep, struct error *err)
{
	int r = 0;

	if (!str_empty(q->mac) && (netaddr_mac_parse(q->mac, ep->mac) < 0 || (ep->mac[0] & 1)))
		return error_set(err, ERROR_INVALID, 0, "invalid MAC address '%s'", q->mac);
	if (!str_copy(ep->link, sizeof(ep->link), q->link ? q->link : "eth0"))
		return error_set(err, ERROR_INVALID, 0, "'%s' cannot name a link", q->link);
	(void)snprintf(ep->host_link, sizeof(ep->host_link), "%s%.*s", NETWORK_ENDPOINT_PREFIX,
		       NETWORK_ENDPOINT_DIGITS, ep->id);
	(void)str_copy(ep->bridge, sizeof(ep->bridge), e->net.link);
	ep->mtu = e->net.mtu;
	ep->rate_rx = q->rate_rx;
	ep->rate_tx = q->rate_tx;
	ep->internal = e->net.internal;
	ep->gw_priority = q->gw_priority;
	ep->isolated = !e->net.icc;
	if (e->pool4) {
		if (!ep->internal)
			ep->gateway4 = e->net.ipv4.gateway;
		r = lease(e->pool4, &q->ipv4, &ep->ipv4, err);
	}
	if (r == 0 && e->pool6) {
		if (!ep->internal)
			ep->gateway6 = e->net.ipv6.gateway;
		r = lease6(e, q, ep, err);
	}
	if (r == 0 && str_empty(q->mac))
		choose_mac(ep, ep->mac);
	ep->default4 = netaddr_is_set(&ep->gateway4); /* until there are others */
	ep->default6 = netaddr_is_set(&ep->gateway6);
	return r;
}

static void give_back(struct network_entry *e, const struct network_endpoint *ep)
{
	if (e->pool4)
		ipam_release(e->pool4, &ep->ipv4.addr);
	if (e->pool6)
		ipam_release(e->pool6, &ep->ipv6.addr);
}

int network_endpoint_prepare(struct network_manager *nm, struct network *net,
			     const struct network_endpoint_request *request,
			     struct network_endpoint *ret, struct error *err)
{
	struct network_entry *e = network_entry_find(nm, net->id);
	struct network_endpoint ep = {0};
	int r;

	if (!e || net->busy)
		return error_set(err, ERROR_NOT_FOUND, 0, "network %s not found", net->name);
	r = check_addresses(e, request, err);
	if (r < 0)
		return r;
	network_id_random(ep.id);
	(void)str_copy(ep.network_id, sizeof(ep.network_id), net->id);
	(void)str_copy(ep.container_id, sizeof(ep.container_id), request->container_id);
	ep.driver = net->driver;
	if (ep.driver->has_addresses) {
		r = fill(e, request, &ep, err);
		if (r < 0) {
			give_back(e, &ep);
			return error_wrap(err, r, "join network '%s'", net->name);
		}
	}
	network_entry_join(e, ep.id);
	*ret = ep;
	return 0;
}

void network_endpoint_set_ports(struct network_endpoint *ep, const struct port_binding *ports,
				size_t n)
{
	free(ep->ports);
	ep->ports = n > 0 ? xmemdup(ports, n * sizeof(*ports)) : NULL;
	ep->port_count = n;
}

void network_endpoint_release(struct network_manager *nm, const struct network_endpoint *ep)
{
	struct network_entry *e = network_entry_find(nm, ep->network_id);

	/* The member's row says whether the addresses are still this endpoint's. */
	if (e && network_entry_leave(e, ep->id))
		give_back(e, ep);
}

/* Does the container rather go out by a than by b? */
static bool is_better_gateway(const struct network_manager *nm, const struct network_endpoint *a,
			      const struct network_endpoint *b)
{
	const struct network_entry *na = network_entry_find(nm, a->network_id);
	const struct network_entry *nb = network_entry_find(nm, b->network_id);

	if (a->gw_priority != b->gw_priority)
		return a->gw_priority > b->gw_priority;
	return na && nb && strcmp(na->net.name, nb->net.name) < 0;
}

bool network_endpoints_choose_gateway(const struct network_manager *nm,
				      struct network_endpoint *const *eps, size_t n)
{
	struct network_endpoint *best4 = NULL, *best6 = NULL;
	bool changed = false;

	for (size_t i = 0; i < n; i++) {
		if (netaddr_is_set(&eps[i]->gateway4) &&
		    (!best4 || is_better_gateway(nm, eps[i], best4)))
			best4 = eps[i];
		if (netaddr_is_set(&eps[i]->gateway6) && netaddr_is_set(&eps[i]->ipv6.addr) &&
		    (!best6 || is_better_gateway(nm, eps[i], best6)))
			best6 = eps[i];
	}
	for (size_t i = 0; i < n; i++) {
		bool is4 = eps[i] == best4, is6 = eps[i] == best6;

		changed |= eps[i]->default4 != is4 || eps[i]->default6 != is6;
		eps[i]->default4 = is4;
		eps[i]->default6 = is6;
	}
	return changed;
}

/* --- kernel side -------------------------------------------------------------------------- */

int network_endpoint_attach(const struct network_manager *nm, const struct network_endpoint *ep,
			    int netns_fd, struct error *err)
{
	int r = ep->driver->attach ? ep->driver->attach(nm, ep, netns_fd, err) : 0;

	return r < 0 ? error_wrap(err, r, "attach endpoint '%.12s'", ep->id) : 0;
}

int network_endpoints_set_gateway(struct network_endpoint *const *eps, size_t n, int netns_fd,
				  struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open_in(netns_fd, &nl, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		autonetlink_batch struct netlink_batch *b = netlink_batch_new();
		struct rtnl_link link;

		if (!eps[i]->default4 && !eps[i]->default6)
			continue;
		r = rtnl_link_get(nl, eps[i]->link, &link, err);
		if (r < 0)
			break;
		if (eps[i]->default4)
			rtnl_replace_default_route(b, link.index, &eps[i]->gateway4);
		if (eps[i]->default6)
			rtnl_replace_default_route(b, link.index, &eps[i]->gateway6);
		r = netlink_batch_run(nl, b, err);
	}
	return r < 0 ? error_wrap(err, r, "set the default route") : 0;
}

/* What moves SCTP packets is a part of the kernel that it may have been built without. */
static int check_sctp(const struct network_endpoint *ep, struct error *err)
{
	static const char knob[] = "/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established";

	for (size_t i = 0; i < ep->port_count; i++)
		if (ep->ports[i].proto == PORTBIND_SCTP && access(knob, F_OK) < 0)
			return error_set(err, ERROR_UNAVAILABLE, 0,
					 "port %u/sctp: the kernel cannot redirect SCTP "
					 "(CONFIG_NF_CT_PROTO_SCTP)",
					 (unsigned)ep->ports[i].container_port);
	return 0;
}

/* A client that has been sending datagrams to the port before is tracked as not redirected, for as
 * long as it goes on. */
static void forget_unredirected(const struct network_manager *nm, const struct network_endpoint *ep)
{
	autonfsocket struct nfsocket sock = {0};
	autofree struct nfct_port *v = xnew0n(struct nfct_port, ep->port_count + 1);
	size_t n = 0;

	for (size_t i = 0; i < ep->port_count; i++)
		if (ep->ports[i].proto != PORTBIND_TCP)
			v[n++] = (struct nfct_port){.family = ep->ports[i].host.family,
						    .proto = ep->ports[i].proto,
						    .port = ep->ports[i].host_port};
	if (n > 0 && nfsocket_take(nm->nfsockets, &sock, NULL) == 0)
		(void)nfct_forget_ports(sock.nl, v, n,
					NULL); /* older kernels cannot; it times out there */
}

/* Connections of a container that is gone would lead to the next one with its address. */
static void forget_connections(const struct network_manager *nm, const struct network_endpoint *ep)
{
	autonfsocket struct nfsocket sock = {0};
	const struct netaddr *const addrs[] = {&ep->ipv4.addr, &ep->ipv6.addr};

	if (nfsocket_take(nm->nfsockets, &sock, NULL) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++)
		if (netaddr_is_set(addrs[i]))
			(void)nfct_forget_address(sock.nl, addrs[i], NULL); /* as above */
}

int network_endpoint_publish(const struct network_manager *nm, const struct network_endpoint *ep,
			     struct error *err)
{
	int r = check_sctp(ep, err);

	r = r < 0 ? r : table_publish(nm, ep, err);
	if (r < 0)
		return error_wrap(err, r, "publish ports of endpoint '%.12s'", ep->id);
	forget_unredirected(nm, ep);
	return 0;
}

int network_endpoint_unpublish(const struct network_manager *nm, const struct network_endpoint *ep,
			       struct error *err)
{
	int r = table_unpublish(nm, ep, err);

	return r < 0 ? error_wrap(err, r, "unpublish ports of endpoint '%.12s'", ep->id) : 0;
}

int network_endpoint_detach(const struct network_manager *nm, const struct network_endpoint *ep,
			    struct error *err)
{
	autoerror struct error first = {0}, second = {0};
	int r = network_endpoint_unpublish(nm, ep, &first), r2 = 0;

	/* One failure must not leave the rest behind. */
	if (ep->driver->detach)
		r2 = ep->driver->detach(nm, ep, &second);
	forget_connections(nm, ep);
	if (r < 0)
		return error_move(err, &first, r);
	if (r2 < 0) {
		(void)error_wrap(&second, r2, "detach endpoint '%.12s'", ep->id);
		return error_move(err, &second, r2);
	}
	return 0;
}
