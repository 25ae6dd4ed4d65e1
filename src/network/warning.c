/* Foreign firewalls that would drop what we forward.
 *
 * Every base chain on the forward hook has its say, whatever the others accepted.  Two things make
 * a chain suspicious: the policy drop (iptables' FORWARD as ufw and dockerd leave it) and a rule
 * that drops or rejects without a condition (firewalld's filter_FORWARD ends with one).
 * iptables-legacy is apart from nftables and asked separately; of it only policies are read.
 */
#include <string.h>

#include "base/error.h"
#include "linux/nft.h"
#include "linux/xtables.h"
#include "network/network.h"
#include "network/network_priv.h"

#define ADVICE                                                               \
	"published ports and containers' connections may not work until it " \
	"accepts those of link '%s'"

struct suspect {
	uint8_t family;
	char *table, *chain; /* owned */
	bool policy;
};

struct suspects {
	const char *own_table;
	struct suspect *v; /* owned */
	size_t n, cap;
};

static void suspects_forget(struct suspects *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].table);
		free(s->v[i].chain);
	}
	s->n = 0;
}

static void suspects_done(struct suspects *s)
{
	suspects_forget(s);
	free(s->v);
}

static const struct {
	uint8_t family;
	const char *name;
} families[] = {
	{NFPROTO_INET, "inet"},
	{NFPROTO_IPV4, "ip"},
	{NFPROTO_IPV6, "ip6"},
};

/* Only these see routed packets. */
static const char *family_name(uint8_t family)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i].family == family)
			return families[i].name;
	return NULL;
}

static int collect(const struct nft_chain *c, void *data, struct error *err)
{
	struct suspects *s = data;

	(void)err;
	if (!c) {
		suspects_forget(s);
		return 0;
	}
	if (!c->is_base || c->hook != NF_INET_FORWARD || !family_name(c->family) ||
	    (c->family == NFPROTO_INET && strcmp(c->table, s->own_table) == 0))
		return 0;
	xgrow(s->v, s->n, s->cap);
	s->v[s->n++] = (struct suspect){.family = c->family,
					.table = xstrdup(c->table),
					.chain = xstrdup(c->name),
					.policy = c->policy == NF_DROP};
	return 0;
}

static int legacy_warning(const struct network_manager *nm, char **ret, struct error *err)
{
	static const struct {
		sa_family_t family;
		const char *program;
	} programs[] = {
		{AF_INET, "iptables-legacy"},
		{AF_INET6, "ip6tables-legacy"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		int r = xtables_forward_drops(programs[i].family, err);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		*ret = xasprintf("chain 'FORWARD' of %s drops forwarded packets: " ADVICE,
				 programs[i].program, nm->link);
		return 0;
	}
	*ret = NULL;
	return 0;
}

int network_forward_warning(const struct network_manager *nm, char **ret, struct error *err)
{
	__attribute__((cleanup(suspects_done))) struct suspects s = {.own_table = nm->table};
	autonfsocket struct nfsocket sock = {0};
	int r = nfsocket_take(nm->nfsockets, &sock, err);

	if (r == 0)
		r = nft_chains(sock.nl, collect, &s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s.n; i++) {
		int drops = s.v[i].policy;

		if (!drops)
			drops = nft_chain_has_unconditional_drop(
				&(struct nft_table){.nl = sock.nl,
						    .family = s.v[i].family,
						    .name = s.v[i].table},
				s.v[i].chain, err);
		if (drops < 0)
			return drops;
		if (drops == 0)
			continue;
		*ret = xasprintf(
			"chain '%s' of nftables table '%s %s' drops forwarded packets: "
			"published ports and containers' connections may not work until it "
			"accepts those of link '%s'",
			s.v[i].chain, family_name(s.v[i].family), s.v[i].table, nm->link);
		return 0;
	}
	return legacy_warning(nm, ret, err);
}
