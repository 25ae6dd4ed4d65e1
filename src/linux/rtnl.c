/* Links, addresses, routes and queues by rtnetlink(7). */
#include "linux/rtnl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "base/error.h"
#include "base/str.h"

/* --- reading ------------------------------------------------------------------------------ */

static uint32_t attr_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr)
									  : 0;
}

static void attr_name(const struct nlattr *attr, char *dst, size_t size)
{
	dst[0] = '\0';
	if (attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		(void)str_copy(dst, size, mnl_attr_get_str(attr));
}

static bool attr_address(const struct nlattr *attr, sa_family_t family, struct netaddr *ret)
{
	struct netaddr a = {.family = family};

	if (!attr || netaddr_len(&a) == 0 || mnl_attr_get_payload_len(attr) != netaddr_len(&a))
		return false;
	memcpy(a.b, mnl_attr_get_payload(attr), netaddr_len(&a));
	*ret = a;
	return true;
}

static bool parse_link(const struct nlmsghdr *nlh, struct rtnl_link *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFLA_MAX + 1] = {0}, *info[IFLA_INFO_MAX + 1] = {0};

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return false;
	netlink_attrs(nlh, sizeof(*ifi), tb, IFLA_MAX);
	*ret = (struct rtnl_link){.index = ifi->ifi_index,
				  .flags = ifi->ifi_flags,
				  .master = (int)attr_u32(tb[IFLA_MASTER]),
				  .mtu = attr_u32(tb[IFLA_MTU])};
	attr_name(tb[IFLA_IFNAME], ret->name, sizeof(ret->name));
	if (tb[IFLA_LINKINFO]) {
		netlink_attrs_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_MAX);
		attr_name(info[IFLA_INFO_KIND], ret->kind, sizeof(ret->kind));
	}
	return true;
}

struct link_call {
	rtnl_link_fn fn;
	void *data;
};

static int on_link(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	const struct link_call *c = data;
	struct rtnl_link link;

	if (!nlh)
		return c->fn(NULL, c->data, err);
	return parse_link(nlh, &link) ? c->fn(&link, c->data, err) : 0;
}

int rtnl_links(struct netlink *nl, rtnl_link_fn fn, void *data, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = netlink_request(b, RTM_GETLINK, 0, "list links");
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	return netlink_dump(nl, b, on_link, &(struct link_call){.fn = fn, .data = data}, err);
}

struct link_search {
	const char *name;
	struct rtnl_link *ret;
	bool found;
};

static int match_link(const struct rtnl_link *link, void *data, struct error *err)
{
	struct link_search *s = data;

	(void)err;
	if (strcmp(link->name, s->name) == 0) {
		*s->ret = *link;
		s->found = true;
	}
	return 0;
}

static int on_one_link(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	struct rtnl_link link;

	return parse_link(nlh, &link) ? match_link(&link, data, err) : 0;
}

int rtnl_link_get(struct netlink *nl, const char *name, struct rtnl_link *ret, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = netlink_request(b, RTM_GETLINK, 0, "find link '%s'", name);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	struct link_search search = {.name = name, .ret = ret};
	autoerror struct error inner = {0};
	int r;

	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	r = netlink_get(nl, b, on_one_link, &search, &inner);
	if (r < 0) {
		if (r == -ENODEV)
			inner.kind = ERROR_NOT_FOUND;
		return error_move(err, &inner, r);
	}
	if (!search.found)
		return error_set(err, ERROR_NOT_FOUND, ENODEV, "find link '%s'", name);
	return 0;
}

struct address_call {
	rtnl_address_fn fn;
	void *data;
};

static int on_address(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	const struct address_call *c = data;
	const struct ifaddrmsg *ifa = nlh ? mnl_nlmsg_get_payload(nlh) : NULL;
	const struct nlattr *tb[IFA_MAX + 1] = {0};
	struct rtnl_address a = {0};

	if (!nlh)
		return c->fn(NULL, c->data, err);
	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return 0;
	netlink_attrs(nlh, sizeof(*ifa), tb, IFA_MAX);
	a.link = (int)ifa->ifa_index;
	a.addr.len = ifa->ifa_prefixlen;
	/* IFA_LOCAL is ours; IFA_ADDRESS is the peer's on point-to-point links. */
	if (!attr_address(tb[IFA_LOCAL], ifa->ifa_family, &a.addr.addr) &&
	    !attr_address(tb[IFA_ADDRESS], ifa->ifa_family, &a.addr.addr))
		return 0;
	return c->fn(&a, c->data, err);
}

int rtnl_addresses(struct netlink *nl, rtnl_address_fn fn, void *data, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = netlink_request(b, RTM_GETADDR, 0, "list addresses");
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = AF_UNSPEC;
	return netlink_dump(nl, b, on_address, &(struct address_call){.fn = fn, .data = data}, err);
}

struct route_call {
	rtnl_route_fn fn;
	void *data;
};

static int on_route(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	const struct route_call *c = data;
	const struct rtmsg *rtm = nlh ? mnl_nlmsg_get_payload(nlh) : NULL;
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	struct rtnl_route r = {0};

	if (!nlh)
		return c->fn(NULL, c->data, err);
	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return 0;
	netlink_attrs(nlh, sizeof(*rtm), tb, RTA_MAX);
	r.family = rtm->rtm_family;
	r.type = rtm->rtm_type;
	r.table = tb[RTA_TABLE] ? attr_u32(tb[RTA_TABLE]) : rtm->rtm_table;
	r.link = (int)attr_u32(tb[RTA_OIF]);
	if (attr_address(tb[RTA_DST], rtm->rtm_family, &r.dst.addr))
		r.dst.len = rtm->rtm_dst_len;
	return c->fn(&r, c->data, err);
}

int rtnl_routes(struct netlink *nl, rtnl_route_fn fn, void *data, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = netlink_request(b, RTM_GETROUTE, 0, "list routes");
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = AF_UNSPEC;
	return netlink_dump(nl, b, on_route, &(struct route_call){.fn = fn, .data = data}, err);
}

/* --- links -------------------------------------------------------------------------------- */

void rtnl_add_bridge(struct netlink_batch *b, const char *name, const uint8_t mac[static 6],
		     unsigned mtu)
{
	struct nlmsghdr *nlh = netlink_request(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
					       "create bridge '%s'", name);
	struct nlattr *info, *data;

	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u8(nlh, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

void rtnl_add_veth(struct netlink_batch *b, const struct rtnl_veth *v)
{
	struct nlmsghdr *nlh =
		netlink_request(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
				"create link pair '%s', '%s'", v->name, v->peer_name);
	struct nlattr *info, *data, *peer;

	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, v->name);
	mnl_attr_put_u32(nlh, IFLA_MTU, v->mtu);
	if (v->master > 0)
		mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)v->master);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, v->peer_name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, v->peer_mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, v->mtu);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static void put_up(struct nlmsghdr *nlh, const char *name)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
}

void rtnl_set_up(struct netlink_batch *b, const char *name)
{
	put_up(netlink_request(b, RTM_SETLINK, 0, "set link '%s' up", name), name);
}

void rtnl_set_master(struct netlink_batch *b, const char *name, int master)
{
	struct nlmsghdr *nlh =
		netlink_request(b, RTM_SETLINK, 0, "make link '%s' a port of its bridge", name);

	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)master);
}

void rtnl_set_port(struct netlink_batch *b, const char *name, const struct rtnl_port *port)
{
	struct nlmsghdr *nlh =
		netlink_request(b, RTM_NEWLINK, 0, "set up '%s' as a port of its bridge", name);
	struct nlattr *info, *data;

	put_up(nlh, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_MODE, port->hairpin);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_ISOLATED, port->isolated);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

void rtnl_del_link(struct netlink_batch *b, const char *name)
{
	struct nlmsghdr *nlh = netlink_request(b, RTM_DELLINK, 0, "delete link '%s'", name);

	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	netlink_request_tolerate(b, ENODEV);
}

/* --- addresses, routes, neighbours ------------------------------------------------------------ */

void rtnl_add_address(struct netlink_batch *b, int link, const struct netaddr_prefix *a)
{
	char text[NETADDR_PREFIX_SIZE];
	struct nlmsghdr *nlh = netlink_request(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
					       "add address '%s'", netaddr_prefix_format(a, text));
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	size_t len = netaddr_len(&a->addr);

	ifa->ifa_family = (uint8_t)a->addr.family;
	ifa->ifa_prefixlen = a->len;
	ifa->ifa_index = (unsigned)link;
	mnl_attr_put(nlh, IFA_LOCAL, len, a->addr.b);
	mnl_attr_put(nlh, IFA_ADDRESS, len, a->addr.b);
	if (a->addr.family == AF_INET6) {
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	} else if (a->len < 31) {
		struct netaddr brd = netaddr_v4(netaddr_to_v4(&a->addr) | (0xffffffffu >> a->len));

		mnl_attr_put(nlh, IFA_BROADCAST, len, brd.b);
	}
	netlink_request_tolerate(b, EEXIST);
}

static void put_default_route(struct netlink_batch *b, uint16_t flags, int link,
			      const struct netaddr *gateway)
{
	char text[NETADDR_SIZE];
	struct nlmsghdr *nlh =
		netlink_request(b, RTM_NEWROUTE, (uint16_t)(NLM_F_CREATE | flags),
				"add default route by '%s'", netaddr_format(gateway, text));
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)gateway->family;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_BOOT;
	rtm->rtm_scope = RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_GATEWAY, netaddr_len(gateway), gateway->b);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)link);
}

void rtnl_add_default_route(struct netlink_batch *b, int link, const struct netaddr *gateway)
{
	put_default_route(b, NLM_F_EXCL, link, gateway);
	netlink_request_tolerate(b, EEXIST);
}

void rtnl_replace_default_route(struct netlink_batch *b, int link, const struct netaddr *gateway)
{
	put_default_route(b, NLM_F_REPLACE, link, gateway);
}

void rtnl_del_neighbour(struct netlink_batch *b, int link, const struct netaddr *a)
{
	char text[NETADDR_SIZE];
	struct nlmsghdr *nlh = netlink_request(b, RTM_DELNEIGH, 0, "forget neighbour '%s'",
					       netaddr_format(a, text));
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = (uint8_t)a->family;
	ndm->ndm_ifindex = link;
	mnl_attr_put(nlh, NDA_DST, netaddr_len(a), a->b);
	netlink_request_tolerate(b, ENOENT);
}

/* --- queueing ----------------------------------------------------------------------------- */

/* How the kernel measures time in queueing: /proc/net/psched gives nanoseconds in a tick (in hex:
 * microseconds in nanoseconds, then ticks' nanoseconds); 64 ns since Linux 2.6.31. */
#define PSCHED_TICK_NS 64
#define BURST_MS       10 /* the bucket holds what the rate yields in this time */
#define LATENCY_MS     50 /* packets that would wait longer are dropped */

static uint32_t clamp_u32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint64_t scale(uint64_t rate, uint64_t ms)
{
	return rate / 1000 * ms + rate % 1000 * ms / 1000;
}

/* sch_tbf takes its byte budget as the time that it takes to send it, in ticks. */
static uint32_t ticks(uint64_t bytes, uint64_t rate)
{
	unsigned __int128 ns = (unsigned __int128)bytes * 1000000000u / rate;

	ns /= PSCHED_TICK_NS;
	return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void rtnl_set_rate(struct netlink_batch *b, int link, uint64_t rate, unsigned mtu)
{
	struct nlmsghdr *nlh =
		netlink_request(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE,
				"limit rate to %llu bytes per second", (unsigned long long)rate);
	struct tcmsg *tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	struct tc_tbf_qopt opt = {0};
	/* A bucket must hold the largest packet that arrives, with its Ethernet header; segmentation
	 * offload makes packets of 64 KiB, which the kernel splits when they exceed the bucket. */
	uint64_t burst = scale(rate, BURST_MS), least = (uint64_t)mtu + 64;
	struct nlattr *nest;

	assert(rate > 0);
	if (burst < least)
		burst = least;
	if (burst > 64u * 1024 * 1024)
		burst = 64u * 1024 * 1024;
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = link;
	tcm->tcm_parent = TC_H_ROOT;
	tcm->tcm_handle = 0x10000; /* 1: */
	opt.rate.rate = clamp_u32(rate);
	opt.rate.linklayer = TC_LINKLAYER_ETHERNET;
	opt.limit = clamp_u32(scale(rate, LATENCY_MS) + burst);
	opt.buffer = ticks(burst, rate);
	mnl_attr_put_strz(nlh, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_TBF_PARMS, sizeof(opt), &opt);
	if (rate > UINT32_MAX)
		mnl_attr_put_u64(nlh, TCA_TBF_RATE64, rate);
	mnl_attr_put_u32(nlh, TCA_TBF_BURST, clamp_u32(burst));
	mnl_attr_nest_end(nlh, nest);
}
