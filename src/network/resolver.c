/* The way to the resolver inside a container's namespace.
 *
 * The resolver itself is in the shim.  It listens on ports of its own choice, for port 53 belongs to
 * the container: a name server in it, bound to all addresses, must not find it taken.  So a table
 * in the container's namespace leads there what is sent to 127.0.0.11 port 53:
 *
 *     table inet vessel_resolver {
 *         chain output { type nat hook output priority -100;
 *                        ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:<udp>
 *                        ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:<tcp> } }
 */
#include <arpa/inet.h>
#include <stddef.h>

#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "base/error.h"
#include "linux/nft.h"
#include "network/network.h"
#include "network/network_priv.h"

#define TABLE "vessel_resolver"
#define R     NFT_REG32_00

static void add_rule(struct nft *t, uint8_t proto, uint16_t to, const struct netaddr *resolver)
{
	static const struct nft_payload daddr = {NFT_PAYLOAD_NETWORK_HEADER, 16, 4};
	static const struct nft_payload dport = {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2};
	const uint8_t ipv4 = NFPROTO_IPV4;
	const uint16_t domain = htons(53), port = htons(to);

	nft_rule(t, "output");
	nft_meta(t, NFT_META_NFPROTO, R);
	nft_cmp(t, NFT_CMP_EQ, R, &ipv4, sizeof(ipv4));
	nft_load(t, &daddr, R);
	nft_cmp(t, NFT_CMP_EQ, R, resolver->b, 4);
	nft_meta(t, NFT_META_L4PROTO, R);
	nft_cmp(t, NFT_CMP_EQ, R, &proto, sizeof(proto));
	nft_load(t, &dport, R);
	nft_cmp(t, NFT_CMP_EQ, R, &domain, sizeof(domain));
	nft_immediate(t, R, resolver->b, 4);
	nft_immediate(t, R + 1, &port, sizeof(port));
	nft_dnat(t, NFPROTO_IPV4, R, R + 1);
	nft_rule_end(t);
}

int network_redirect_resolver(const struct network_resolver *r, int netns_fd, struct error *err)
{
	static const struct nft_hook hook = {NF_INET_LOCAL_OUT, -100, "nat"};
	autonetlink struct netlink *nl = NULL;
	autonft struct nft *t = NULL;
	struct netaddr resolver;
	int back, ret = netlink_netns_enter(netns_fd, &back, err);

	if (ret < 0)
		return ret;
	ret = netlink_open(NETLINK_NETFILTER, &nl, err);
	netlink_netns_leave(back);
	if (ret < 0)
		return ret;
	(void)netaddr_parse(NETWORK_RESOLVER, &resolver);
	t = nft_new(&(struct nft_table){.nl = nl, .family = NFPROTO_INET, .name = TABLE});
	/* A second time adds the same rules again, which changes nothing; to replace the table would
	 * cost the 10 ms that closing a socket after a deletion takes. */
	nft_add_table(t);
	nft_add_chain(t, "output", &hook);
	add_rule(t, IPPROTO_UDP, r->udp, &resolver);
	add_rule(t, IPPROTO_TCP, r->tcp, &resolver);
	ret = nft_commit(t, err);
	return ret < 0 ? error_wrap(err, ret, "lead to the container's resolver") : 0;
}
