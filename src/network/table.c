/* The nftables table.
 *
 * In nft(8)'s language, with the default names (`nft list table inet vessel` shows it):
 *
 *     martian      hook prerouting, raw     127.0.0.0/8 from another link than lo: drop.  Bridges
 *                                           have route_localnet set for the sake of ports published
 *                                           on 127.0.0.1; this is what keeps that harmless.
 *     prerouting   hook prerouting, dstnat  to one of the host's addresses: jump publish
 *     output       hook output, dstnat      the same for the host's own connections; [::1] cannot
 *                                           be redirected (the shim relays it)
 *     publish                               dnat by the maps: given host addresses first, then any
 *     postrouting  hook postrouting, srcnat masquerade what leaves a bridge by another link that is
 *                                           no bridge of ours; what comes from 127.0.0.1 into a
 *                                           bridge; what a redirect sends back to its own bridge
 *     forward      hook forward, filter     replies, redirected connections, and whatever comes
 *                                           from a bridge pass; bridges do not reach one another;
 *                                           nothing else gets into a bridge
 *
 * An accept here only ends our own chain; a drop in anybody's chain is final.
 *
 * The name of an empty set tells the layout's version: a daemon that finds another one replaces the
 * table as a whole.
 */
#include "network/table.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include "base/error.h"
#include "linux/nft.h"
#include "network/network_priv.h"

#define LAYOUT "layout_1"

#define R NFT_REG32_00 /* the first register; keys are built from here on */

enum { MAP_4_ADDR, MAP_4_ANY, MAP_6_ADDR, MAP_6_ANY, MAP_COUNT };

static const struct nft_set maps[MAP_COUNT] = {
	[MAP_4_ADDR] = {.name = "publish4_addr",
			.key = {NFT_TYPE_IPV4, NFT_TYPE_PROTO, NFT_TYPE_SERVICE},
			.data = {NFT_TYPE_IPV4, NFT_TYPE_SERVICE}},
	[MAP_4_ANY] = {.name = "publish4_any",
		       .key = {NFT_TYPE_PROTO, NFT_TYPE_SERVICE},
		       .data = {NFT_TYPE_IPV4, NFT_TYPE_SERVICE}},
	[MAP_6_ADDR] = {.name = "publish6_addr",
			.key = {NFT_TYPE_IPV6, NFT_TYPE_PROTO, NFT_TYPE_SERVICE},
			.data = {NFT_TYPE_IPV6, NFT_TYPE_SERVICE}},
	[MAP_6_ANY] = {.name = "publish6_any",
		       .key = {NFT_TYPE_PROTO, NFT_TYPE_SERVICE},
		       .data = {NFT_TYPE_IPV6, NFT_TYPE_SERVICE}},
};

/* Sets of links that networks are entered in, and which networks are. */
static bool is_any(const struct network *net)
{
	(void)net;
	return true;
}

static bool is_masqueraded(const struct network *net)
{
	return net->masquerade && !net->internal;
}

static bool is_internal(const struct network *net)
{
	return net->internal;
}

static bool is_icc(const struct network *net)
{
	return net->icc;
}

static const struct link_set {
	struct nft_set set;
	bool (*has)(const struct network *net);
} link_sets[] = {
	{{.name = "bridges", .key = {NFT_TYPE_IFNAME}}, is_any},
	{{.name = "same_bridge", .key = {NFT_TYPE_IFNAME, NFT_TYPE_IFNAME}}, is_any},
	{{.name = "icc_bridges", .key = {NFT_TYPE_IFNAME, NFT_TYPE_IFNAME}}, is_icc},
	{{.name = "masq_bridges", .key = {NFT_TYPE_IFNAME}}, is_masqueraded},
	{{.name = "internal_bridges", .key = {NFT_TYPE_IFNAME}}, is_internal},
};

static const struct nft_payload ip_saddr = {NFT_PAYLOAD_NETWORK_HEADER, 12, 4};
static const struct nft_payload ip_daddr = {NFT_PAYLOAD_NETWORK_HEADER, 16, 4};
static const struct nft_payload ip6_daddr = {NFT_PAYLOAD_NETWORK_HEADER, 24, 16};
static const struct nft_payload th_dport = {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2};

/* --- conditions --------------------------------------------------------------------------- */

static void match_family(struct nft *t, uint8_t family)
{
	nft_meta(t, NFT_META_NFPROTO, R);
	nft_cmp(t, NFT_CMP_EQ, R, &family, sizeof(family));
}

static void match_not_lo(struct nft *t)
{
	static const char lo[16] = "lo";

	nft_meta(t, NFT_META_IIFNAME, R);
	nft_cmp(t, NFT_CMP_NEQ, R, lo, sizeof(lo));
}

/* 127.0.0.0/8: the first byte tells. */
static void match_loopback4(struct nft *t, const struct nft_payload *addr)
{
	const struct nft_payload first = {addr->base, addr->offset, 1};
	static const uint8_t loopback = 127;

	match_family(t, NFPROTO_IPV4);
	nft_load(t, &first, R);
	nft_cmp(t, NFT_CMP_EQ, R, &loopback, sizeof(loopback));
}

static void match_link(struct nft *t, uint32_t key, const char *set, bool invert)
{
	nft_meta(t, key, R);
	nft_lookup(t, set, R, invert);
}

/* iifname . oifname @set */
static void match_link_pair(struct nft *t, const char *set)
{
	nft_meta(t, NFT_META_IIFNAME, R);
	nft_meta(t, NFT_META_OIFNAME, R + 4);
	nft_lookup(t, set, R, false);
}

static void match_ct(struct nft *t, uint32_t key, uint32_t any_of)
{
	nft_ct(t, key, R);
	nft_mask_u32(t, R, any_of);
	nft_cmp_u32(t, NFT_CMP_NEQ, R, 0);
}

/* --- chains ------------------------------------------------------------------------------- */

static void add_martian(struct nft *t)
{
	const struct nft_payload *const addrs[] = {&ip_daddr, &ip_saddr};

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		nft_rule(t, "martian");
		match_not_lo(t);
		match_loopback4(t, addrs[i]);
		nft_verdict(t, NF_DROP, NULL);
		nft_rule_end(t);
	}
}

/* dnat ip to [ip daddr .] meta l4proto . th dport map @... */
static void add_redirect(struct nft *t, uint32_t family, const struct nft_payload *daddr,
			 const char *map)
{
	uint32_t reg = R, addr_regs = family == NFPROTO_IPV4 ? 1 : 4;

	nft_rule(t, "publish");
	match_family(t, (uint8_t)family);
	if (daddr) {
		nft_load(t, daddr, reg);
		reg += addr_regs;
	}
	nft_meta(t, NFT_META_L4PROTO, reg);
	nft_load(t, &th_dport, reg + 1);
	nft_map(t, map, R, R);
	nft_dnat(t, family, R, R + addr_regs);
	nft_rule_end(t);
}

static void add_publish(struct nft *t)
{
	add_redirect(t, NFPROTO_IPV4, &ip_daddr, maps[MAP_4_ADDR].name);
	add_redirect(t, NFPROTO_IPV4, NULL, maps[MAP_4_ANY].name);
	add_redirect(t, NFPROTO_IPV6, &ip6_daddr, maps[MAP_6_ADDR].name);
	add_redirect(t, NFPROTO_IPV6, NULL, maps[MAP_6_ANY].name);
}

static void add_jump_if_local(struct nft *t, const char *chain)
{
	nft_rule(t, chain);
	nft_fib_daddr_type(t, R);
	nft_cmp_u32(t, NFT_CMP_EQ, R, 2 /* RTN_LOCAL */);
	nft_verdict(t, NFT_JUMP, "publish");
	nft_rule_end(t);
}

static void add_prerouting(struct nft *t)
{
	add_jump_if_local(t, "prerouting");
}

static void add_output(struct nft *t)
{
	static const uint8_t loopback6[16] = {[15] = 1};

	nft_rule(t, "output");
	match_family(t, NFPROTO_IPV6);
	nft_load(t, &ip6_daddr, R);
	nft_cmp(t, NFT_CMP_EQ, R, loopback6, sizeof(loopback6));
	nft_verdict(t, NFT_RETURN, NULL);
	nft_rule_end(t);
	add_jump_if_local(t, "output");
}

static void add_postrouting(struct nft *t)
{
	nft_rule(t, "postrouting");
	match_link(t, NFT_META_IIFNAME, "masq_bridges", false);
	match_link(t, NFT_META_OIFNAME, "bridges", true);
	nft_masquerade(t);
	nft_rule_end(t);

	nft_rule(t, "postrouting");
	match_loopback4(t, &ip_saddr);
	match_link(t, NFT_META_OIFNAME, "bridges", false);
	nft_masquerade(t);
	nft_rule_end(t);

	nft_rule(t, "postrouting");
	match_link_pair(t, "same_bridge");
	match_ct(t, NFT_CT_STATUS, IPS_DST_NAT);
	nft_masquerade(t);
	nft_rule_end(t);

	/* Under br_netfilter such a packet stays in the bridge and has no input link here; neither
	 * have the host's own, which may as well come from the bridge's address. */
	nft_rule(t, "postrouting");
	nft_meta(t, NFT_META_IIF, R);
	nft_cmp_u32(t, NFT_CMP_EQ, R, 0);
	match_link(t, NFT_META_OIFNAME, "bridges", false);
	match_ct(t, NFT_CT_STATUS, IPS_DST_NAT);
	nft_masquerade(t);
	nft_rule_end(t);
}

static void accept_ct(struct nft *t, uint32_t key, uint32_t any_of)
{
	nft_rule(t, "forward");
	match_ct(t, key, any_of);
	nft_verdict(t, NF_ACCEPT, NULL);
	nft_rule_end(t);
}

static void judge_link(struct nft *t, uint32_t key, const char *set, int32_t verdict)
{
	nft_rule(t, "forward");
	match_link(t, key, set, false);
	nft_verdict(t, verdict, NULL);
	nft_rule_end(t);
}

static void add_forward(struct nft *t)
{
	accept_ct(t, NFT_CT_STATE,
		  NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));

	nft_rule(t, "forward");
	match_link_pair(t, "icc_bridges");
	nft_verdict(t, NF_ACCEPT, NULL);
	nft_rule_end(t);

	judge_link(t, NFT_META_IIFNAME, "internal_bridges", NF_DROP);
	judge_link(t, NFT_META_OIFNAME, "internal_bridges", NF_DROP);
	accept_ct(t, NFT_CT_STATUS, IPS_DST_NAT);

	nft_rule(t, "forward");
	match_link(t, NFT_META_IIFNAME, "bridges", false);
	match_link(t, NFT_META_OIFNAME, "bridges", false);
	nft_verdict(t, NF_DROP, NULL);
	nft_rule_end(t);

	judge_link(t, NFT_META_IIFNAME, "bridges", NF_ACCEPT);
	judge_link(t, NFT_META_OIFNAME, "bridges", NF_DROP);
}

static const struct chain {
	const char *name;
	struct nft_hook hook; /* type NULL: not a base chain */
	void (*add_rules)(struct nft *t);
} chains[] = {
	/* "publish" comes before those that jump to it. */
	{"publish", {0, 0, NULL}, add_publish},
	{"martian", {NF_INET_PRE_ROUTING, -300, "filter"}, add_martian},
	{"prerouting", {NF_INET_PRE_ROUTING, -100, "nat"}, add_prerouting},
	{"output", {NF_INET_LOCAL_OUT, -100, "nat"}, add_output},
	{"postrouting", {NF_INET_POST_ROUTING, 100, "nat"}, add_postrouting},
	{"forward", {NF_INET_FORWARD, 0, "filter"}, add_forward},
};

/* Append the making of a fresh table, whatever there was before. */
static void replace_table(struct nft *t)
{
	static const struct nft_set layout = {.name = LAYOUT, .key = {NFT_TYPE_SERVICE}};

	nft_add_table(t); /* so that there is one to delete */
	nft_del_table(t);
	nft_add_table(t);
	nft_add_set(t, &layout);
	for (size_t i = 0; i < ARRAY_SIZE(link_sets); i++)
		nft_add_set(t, &link_sets[i].set);
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		nft_add_set(t, &maps[i]);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		nft_add_chain(t, chains[i].name, chains[i].hook.type ? &chains[i].hook : NULL);
		chains[i].add_rules(t);
	}
}

/* The manager's table, by a borrowed socket. */
struct access {
	struct nfsocket sock;
	struct nft_table table;
};

static int access_open(const struct network_manager *nm, struct access *ret, struct error *err)
{
	int r = nfsocket_take(nm->nfsockets, &ret->sock, err);

	ret->table =
		(struct nft_table){.nl = ret->sock.nl, .family = NFPROTO_INET, .name = nm->table};
	return r;
}

static void access_done(struct access *a)
{
	nfsocket_give(&a->sock);
}
#define autoaccess __attribute__((cleanup(access_done)))

int table_is_there(const struct network_manager *nm, struct error *err)
{
	autoaccess struct access a = {0};
	int r = access_open(nm, &a, err);

	return r < 0 ? r : nft_has_set(&a.table, LAYOUT, err);
}

int table_ensure(const struct network_manager *nm, struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int r = access_open(nm, &a, err);

	if (r < 0)
		return r;
	r = nft_has_set(&a.table, LAYOUT, err);
	if (r != 0)
		return r < 0 ? r : 0;
	t = nft_new(&a.table);
	replace_table(t);
	return nft_commit(t, err);
}

/* --- elements ----------------------------------------------------------------------------- */

static struct nft_element link_element(const struct nft_set *set, const char *link)
{
	struct nft_element e = {0};

	for (size_t i = 0; i < 4 && set->key[i] != 0; i++)
		nft_pack_ifname(e.key, &e.key_len, link);
	return e;
}

static void append_network(struct nft *t, const struct network *net)
{
	if (net->link[0] == '\0')
		return;
	for (size_t i = 0; i < ARRAY_SIZE(link_sets); i++) {
		struct nft_element e = link_element(&link_sets[i].set, net->link);

		if (link_sets[i].has(net))
			nft_add_elements(t, link_sets[i].set.name, &e, 1);
	}
}

int table_add_network(const struct network_manager *nm, const struct network *net,
		      struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int r = access_open(nm, &a, err);

	if (r < 0)
		return r;
	t = nft_new(&a.table);
	append_network(t, net);
	return nft_commit(t, err);
}

/* The element of a binding; its map's index, or -1 if it needs none. */
static int port_element(const struct network_endpoint *ep, const struct port_binding *b,
			struct nft_element *ret)
{
	bool v4 = b->host.family == AF_INET, any = netaddr_is_any(&b->host);
	const struct netaddr *to = v4 ? &ep->ipv4.addr : &ep->ipv6.addr;
	uint16_t host_port = htons(b->host_port), port = htons(b->container_port);
	struct nft_element e = {0};

	/* [::1] is relayed, not redirected. */
	if (!netaddr_is_set(to) || (!v4 && netaddr_is_loopback(&b->host)))
		return -1;
	if (!any)
		nft_pack(e.key, &e.key_len, b->host.b, netaddr_len(&b->host));
	nft_pack(e.key, &e.key_len, &b->proto, sizeof(b->proto));
	nft_pack(e.key, &e.key_len, &host_port, sizeof(host_port));
	nft_pack(e.data, &e.data_len, to->b, netaddr_len(to));
	nft_pack(e.data, &e.data_len, &port, sizeof(port));
	*ret = e;
	return v4 ? (any ? MAP_4_ANY : MAP_4_ADDR) : (any ? MAP_6_ANY : MAP_6_ADDR);
}

static bool same_data(const struct nft_element *a, const struct nft_element *b)
{
	return a->data_len == b->data_len && memcmp(a->data, b->data, a->data_len) == 0;
}

/* Append the deletion of those of the endpoint's elements that exist: all of them, or only those
 * that lead to this endpoint. */
static int append_removal(struct nft *t, const struct nft_table *table,
			  const struct network_endpoint *ep, bool only_own, struct error *err)
{
	for (size_t i = 0; i < ep->port_count; i++) {
		struct nft_element want, found;
		int map = port_element(ep, &ep->ports[i], &want), r;

		if (map < 0)
			continue;
		found = want;
		r = nft_get_element(table, maps[map].name, &found, err);
		if (r < 0)
			return r;
		if (r > 0 && (!only_own || same_data(&want, &found)))
			nft_del_elements(t, maps[map].name, &found, 1);
	}
	return 0;
}

static void append_ports(struct nft *t, const struct network_endpoint *ep)
{
	for (int map = 0; map < MAP_COUNT; map++) {
		autofree struct nft_element *v = xnew0n(struct nft_element, ep->port_count);
		size_t n = 0;

		for (size_t i = 0; i < ep->port_count; i++)
			if (port_element(ep, &ep->ports[i], &v[n]) == map)
				n++;
		nft_add_elements(t, maps[map].name, v, n);
	}
}

int table_publish(const struct network_manager *nm, const struct network_endpoint *ep,
		  struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	autoerror struct error first = {0};
	int r;

	if (ep->port_count == 0)
		return 0;
	r = access_open(nm, &a, err);
	if (r < 0)
		return r;
	t = nft_new(&a.table);
	append_ports(t, ep);
	r = nft_commit(t, &first);
	if (r != -EEXIST && r != -EBUSY)
		return error_move(err, &first, r);

	/* Left over from somebody who is gone: the bound sockets in the shim, not this table,
	 * say whose a port is. */
	r = append_removal(t, &a.table, ep, false, err);
	if (r < 0)
		return r;
	append_ports(t, ep);
	return nft_commit(t, err);
}

int table_unpublish(const struct network_manager *nm, const struct network_endpoint *ep,
		    struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int r;

	if (ep->port_count == 0)
		return 0;
	r = access_open(nm, &a, err);
	if (r < 0)
		return r;
	t = nft_new(&a.table);
	r = append_removal(t, &a.table, ep, true, err);
	return r < 0 ? r : nft_commit(t, err);
}

int table_del_network(const struct network_manager *nm, const struct network *net,
		      struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int r = access_open(nm, &a, err);

	if (r < 0)
		return r;
	t = nft_new(&a.table);
	for (size_t i = 0; i < ARRAY_SIZE(link_sets); i++) {
		struct nft_element e = link_element(&link_sets[i].set, net->link);

		r = nft_get_element(&a.table, link_sets[i].set.name, &e, err);
		if (r < 0)
			return r;
		if (r > 0)
			nft_del_elements(t, link_sets[i].set.name, &e, 1);
	}
	return nft_commit(t, err);
}

int table_rebuild(const struct network_manager *nm, const struct network_restore *r,
		  struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int ret = access_open(nm, &a, err);

	if (ret < 0)
		return ret;
	t = nft_new(&a.table);
	replace_table(t);
	for (size_t i = 0; i < nm->n; i++)
		append_network(t, &nm->entries[i]->net);
	for (size_t i = 0; i < r->ep_count; i++)
		if (r->live[i])
			append_ports(t, &r->eps[i]);
	return nft_commit(t, err);
}

int table_remove(const struct network_manager *nm, struct error *err)
{
	autoaccess struct access a = {0};
	autonft struct nft *t = NULL;
	int r = access_open(nm, &a, err);

	if (r == 0)
		r = nft_has_table(&a.table, err);
	if (r <= 0)
		return r;
	t = nft_new(&a.table);
	nft_del_table(t);
	return nft_commit(t, err);
}
