/* Connection tracking by ctnetlink.
 *
 * A delete request with CTA_FILTER deletes every connection whose tuple agrees in the fields that
 * the filter's flags name.
 */
#include "linux/nfct.h"

#include <arpa/inet.h>
#include <stdbool.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/netlink_socket.h"

/* The flags' values are in no header for user space: net/netfilter/nf_internals.h, Linux 5.8. */
enum {
	FILTER_IP_SRC = 1 << 0,
	FILTER_PROTO_NUM = 1 << 3,
	FILTER_DST_PORT = 1 << 5,
};

static void begin_delete(struct nlmsghdr *nlh, sa_family_t family)
{
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = (uint8_t)family;
	nfg->version = 1; /* with 0 the family would not count, and a tuple be refused */
}

static void put_filter(struct nlmsghdr *nlh, uint32_t orig, uint32_t reply)
{
	struct nlattr *filter = mnl_attr_nest_start(nlh, CTA_FILTER);

	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, orig);
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, reply);
	mnl_attr_nest_end(nlh, filter);
}

#define DELETE ((uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE))

static void delete_source(struct netlink_batch *b, const struct netaddr *a, bool reply)
{
	char text[NETADDR_SIZE];
	struct nlmsghdr *nlh = netlink_request(b, DELETE, 0, "forget connections of '%s'",
					       netaddr_format(a, text));
	struct nlattr *tuple, *ip;

	begin_delete(nlh, a->family);
	tuple = mnl_attr_nest_start(nlh, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, a->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, netaddr_len(a),
		     a->b);
	mnl_attr_nest_end(nlh, ip);
	mnl_attr_nest_end(nlh, tuple);
	put_filter(nlh, reply ? 0 : FILTER_IP_SRC, reply ? FILTER_IP_SRC : 0);
	netlink_request_tolerate(b, ENOENT);
}

static void delete_port(struct netlink_batch *b, const struct nfct_port *p)
{
	struct nlmsghdr *nlh =
		netlink_request(b, DELETE, 0, "forget connections to port %u", (unsigned)p->port);
	struct nlattr *tuple, *proto;

	begin_delete(nlh, p->family);
	tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	proto = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, p->proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(p->port));
	mnl_attr_nest_end(nlh, proto);
	mnl_attr_nest_end(nlh, tuple);
	put_filter(nlh, FILTER_PROTO_NUM | FILTER_DST_PORT, 0);
	netlink_request_tolerate(b, ENOENT);
}

int nfct_forget_address(struct netlink *nl, const struct netaddr *a, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();

	delete_source(b, a, false);
	delete_source(b, a, true);
	return netlink_batch_run(nl, b, err);
}

int nfct_forget_ports(struct netlink *nl, const struct nfct_port *v, size_t n, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();

	for (size_t i = 0; i < n; i++)
		delete_port(b, &v[i]);
	return netlink_batch_run(nl, b, err);
}
