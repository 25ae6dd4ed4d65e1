/* A container that comes up tells who listens to multicast (RFC 3810): the groups in which its IPv6
 * addresses are asked for, four times within a second.  A bridge hands each report to all its ports,
 * whose containers all look at it: with a thousand of them that is most of what a start costs.
 *
 * Nobody acts on such a report.  Our bridges do not snoop, so what is sent to these groups goes to all
 * ports anyway, and groups of one link's scope are never routed.  So:
 *
 *     table bridge vessel
 *         mld        hook prerouting        MLDv2 reports from ports of ours: jump solicited
 *         solicited                         of one group, or two without sources, and only of
 *                                           ff02::1:ff00:0/104 (RFC 4291, 2.7.1): drop
 *
 * Reports of any group that a program has joined pass.
 */
#include "network/mld.h"

#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter_bridge.h>

#include "base/error.h"
#include "base/log.h"
#include "linux/nft.h"
#include "network/network_priv.h"

#define R NFT_REG32_00

/* Offsets from the IPv6 header: a hop-by-hop header of 8 bytes comes before the report. */
#define NEXT_HEADER 6
#define HOP_NEXT    40
#define REPORT      48
#define COUNT       (REPORT + 6) /* 2 bytes: records */
#define RECORD      (REPORT + 8) /* type, 3 bytes of lengths, group */
#define RECORD_SIZE 20
#define MLD2_REPORT 143

/* Behind a record's type: no auxiliary data, no sources, and the group's first 104 bits. */
static const uint8_t solicited_node[] = {0, 0, 0, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

static void match(struct nft *t, uint32_t offset, const void *value, uint32_t len)
{
	nft_load(t, &(struct nft_payload){NFT_PAYLOAD_NETWORK_HEADER, offset, len}, R);
	nft_cmp(t, NFT_CMP_EQ, R, value, len);
}

static void match_byte(struct nft *t, uint32_t offset, uint8_t value)
{
	match(t, offset, &value, sizeof(value));
}

static void add_reports(struct nft *t)
{
	const uint16_t ipv6 = htons(ETH_P_IPV6);

	nft_rule(t, "mld");
	nft_meta(t, NFT_META_PROTOCOL, R);
	nft_cmp(t, NFT_CMP_EQ, R, &ipv6, sizeof(ipv6));
	match_byte(t, NEXT_HEADER, IPPROTO_HOPOPTS);
	match_byte(t, HOP_NEXT, IPPROTO_ICMPV6);
	match_byte(t, REPORT, MLD2_REPORT);
	nft_meta(t, NFT_META_IIFNAME, R);
	nft_cmp(t, NFT_CMP_EQ, R, NETWORK_ENDPOINT_PREFIX, strlen(NETWORK_ENDPOINT_PREFIX));
	nft_verdict(t, NFT_JUMP, "solicited");
	nft_rule_end(t);
}

static void add_solicited(struct nft *t)
{
	for (uint32_t records = 1; records <= 2; records++) {
		const uint16_t count = htons((uint16_t)records);

		nft_rule(t, "solicited");
		match(t, COUNT, &count, sizeof(count));
		for (uint32_t i = 0; i < records; i++)
			match(t, RECORD + i * RECORD_SIZE + 1, solicited_node,
			      sizeof(solicited_node));
		nft_verdict(t, NF_DROP, NULL);
		nft_rule_end(t);
	}
}

int mld_ensure(const struct network_manager *nm, struct error *err)
{
	static const struct nft_hook hook = {NF_BR_PRE_ROUTING, -300, "filter"};
	autonfsocket struct nfsocket sock = {0};
	struct nft_table table = {.family = NFPROTO_BRIDGE, .name = nm->table};
	autoerror struct error why = {0};
	autonft struct nft *t = NULL;
	int r = nfsocket_take(nm->nfsockets, &sock, err);

	if (r < 0)
		return r;
	table.nl = sock.nl;
	if (nft_has_table(&table, NULL) > 0)
		return 0;
	t = nft_new(&table);
	nft_add_table(t); /* another worker may have been first: */
	nft_del_table(t); /* its rules would be there twice */
	nft_add_table(t);
	nft_add_chain(t, "solicited", NULL);
	add_solicited(t);
	nft_add_chain(t, "mld", &hook);
	add_reports(t);
	r = nft_commit(t, &why);
	/* Without nftables for bridges in the kernel, for one. */
	if (r < 0)
		log_debug("reports of multicast listeners go to all ports: %s", error_msg(&why));
	return 0;
}

int mld_remove(const struct network_manager *nm, struct error *err)
{
	autonfsocket struct nfsocket sock = {0};
	struct nft_table table = {.family = NFPROTO_BRIDGE, .name = nm->table};
	autonft struct nft *t = NULL;
	int r = nfsocket_take(nm->nfsockets, &sock, err);

	if (r < 0)
		return r;
	table.nl = sock.nl;
	if (nft_has_table(&table, NULL) <= 0)
		return 0; /* there is none, or there can be none */
	t = nft_new(&table);
	nft_del_table(t);
	return nft_commit(t, err);
}
