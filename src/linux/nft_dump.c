/* What nf_tables has: existence, elements, chains, and rules as far as firewalls are judged. */
#include "linux/nft.h"

#include <arpa/inet.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/error.h"
#include "linux/netlink_socket.h"

static const char *attr_str(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attr)
									 : "";
}

static uint32_t attr_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= sizeof(uint32_t)
		       ? ntohl(mnl_attr_get_u32(attr))
		       : 0;
}

static struct nlmsghdr *get_request(struct netlink_batch *b, uint16_t msg, uint8_t family,
				    const char *label)
{
	struct nlmsghdr *nlh =
		netlink_request(b, (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | msg), 0, "%s", label);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int ignore_answer(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	(void)nlh, (void)data, (void)err;
	return 0;
}

/* 1, 0 (ENOENT) or < 0. */
static int get_one(struct netlink *nl, struct netlink_batch *b, netlink_dump_fn fn, void *data,
		   struct error *err)
{
	autoerror struct error inner = {0};
	int r = netlink_get(nl, b, fn, data, &inner);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_move(err, &inner, r) : 1;
}

int nft_has_table(const struct nft_table *t, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = get_request(b, NFT_MSG_GETTABLE, t->family, "find nftables table");

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, t->name);
	return get_one(t->nl, b, ignore_answer, NULL, err);
}

int nft_has_set(const struct nft_table *t, const char *set, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = get_request(b, NFT_MSG_GETSET, t->family, "find nftables set");

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, t->name);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set);
	return get_one(t->nl, b, ignore_answer, NULL, err);
}

bool nft_event_deletes(const struct nlmsghdr *nlh, const struct nft_table *t)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NFTA_TABLE_MAX + 1] = {0};

	if (nlh->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_DELTABLE) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg) || nfg->nfgen_family != t->family)
		return false;
	netlink_attrs(nlh, sizeof(*nfg), tb, NFTA_TABLE_MAX);
	return strcmp(attr_str(tb[NFTA_TABLE_NAME]), t->name) == 0;
}

struct element_call {
	nft_element_fn fn;
	void *data;
};

static void copy_value(const struct nlattr *nest, uint8_t dst[static NFT_KEY_MAX], uint8_t *len)
{
	const struct nlattr *tb[NFTA_DATA_MAX + 1] = {0};
	size_t n;

	*len = 0;
	netlink_attrs_nested(nest, tb, NFTA_DATA_MAX);
	if (!tb[NFTA_DATA_VALUE])
		return;
	n = mnl_attr_get_payload_len(tb[NFTA_DATA_VALUE]);
	if (n > NFT_KEY_MAX)
		return;
	memcpy(dst, mnl_attr_get_payload(tb[NFTA_DATA_VALUE]), n);
	*len = (uint8_t)n;
}

static int on_elements(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	const struct element_call *c = data;
	const struct nlattr *tb[NFTA_SET_ELEM_LIST_MAX + 1] = {0}, *attr;

	if (!nlh)
		return c->fn(NULL, c->data, err);
	netlink_attrs(nlh, sizeof(struct nfgenmsg), tb, NFTA_SET_ELEM_LIST_MAX);
	if (!tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	mnl_attr_for_each_nested(attr, tb[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		const struct nlattr *elem[NFTA_SET_ELEM_MAX + 1] = {0};
		struct nft_element e = {0};
		int r;

		netlink_attrs_nested(attr, elem, NFTA_SET_ELEM_MAX);
		copy_value(elem[NFTA_SET_ELEM_KEY], e.key, &e.key_len);
		copy_value(elem[NFTA_SET_ELEM_DATA], e.data, &e.data_len);
		if (e.key_len == 0)
			continue;
		r = c->fn(&e, c->data, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int nft_elements(const struct nft_table *t, const char *set, nft_element_fn fn, void *data,
		 struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh =
		get_request(b, NFT_MSG_GETSETELEM, t->family, "list nftables elements");

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, t->name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return netlink_dump(t->nl, b, on_elements, &(struct element_call){.fn = fn, .data = data},
			    err);
}

static int take_element(const struct nft_element *e, void *data, struct error *err)
{
	struct nft_element *ret = data;

	(void)err;
	if (e->key_len == ret->key_len && memcmp(e->key, ret->key, e->key_len) == 0)
		*ret = *e;
	return 0;
}

int nft_get_element(const struct nft_table *t, const char *set, struct nft_element *e,
		    struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh =
		get_request(b, NFT_MSG_GETSETELEM, t->family, "find nftables element");
	struct element_call call = {.fn = take_element, .data = e};
	struct nlattr *list, *elem, *key;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, t->name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, e->key_len, e->key);
	mnl_attr_nest_end(nlh, key);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	return get_one(t->nl, b, on_elements, &call, err);
}

struct chain_call {
	nft_chain_fn fn;
	void *data;
};

static int on_chain(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	const struct chain_call *c = data;
	const struct nfgenmsg *nfg = nlh ? mnl_nlmsg_get_payload(nlh) : NULL;
	const struct nlattr *tb[NFTA_CHAIN_MAX + 1] = {0}, *hook[NFTA_HOOK_MAX + 1] = {0};
	struct nft_chain chain = {0};

	if (!nlh)
		return c->fn(NULL, c->data, err);
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return 0;
	netlink_attrs(nlh, sizeof(*nfg), tb, NFTA_CHAIN_MAX);
	chain.family = nfg->nfgen_family;
	chain.table = attr_str(tb[NFTA_CHAIN_TABLE]);
	chain.name = attr_str(tb[NFTA_CHAIN_NAME]);
	chain.type = attr_str(tb[NFTA_CHAIN_TYPE]);
	chain.is_base = tb[NFTA_CHAIN_HOOK] != NULL;
	netlink_attrs_nested(tb[NFTA_CHAIN_HOOK], hook, NFTA_HOOK_MAX);
	chain.hook = attr_u32(hook[NFTA_HOOK_HOOKNUM]);
	chain.policy = tb[NFTA_CHAIN_POLICY] ? attr_u32(tb[NFTA_CHAIN_POLICY]) : NF_ACCEPT;
	return c->fn(&chain, c->data, err);
}

int nft_chains(struct netlink *nl, nft_chain_fn fn, void *data, struct error *err)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();

	(void)get_request(b, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, "list nftables chains");
	return netlink_dump(nl, b, on_chain, &(struct chain_call){.fn = fn, .data = data}, err);
}

/* A verdict of drop in an immediate expression. */
static bool is_drop(const struct nlattr *expr_data)
{
	const struct nlattr *imm[NFTA_IMMEDIATE_MAX + 1] = {0};
	const struct nlattr *data[NFTA_DATA_MAX + 1] = {0};
	const struct nlattr *verdict[NFTA_VERDICT_MAX + 1] = {0};

	netlink_attrs_nested(expr_data, imm, NFTA_IMMEDIATE_MAX);
	netlink_attrs_nested(imm[NFTA_IMMEDIATE_DATA], data, NFTA_DATA_MAX);
	netlink_attrs_nested(data[NFTA_DATA_VERDICT], verdict, NFTA_VERDICT_MAX);
	return verdict[NFTA_VERDICT_CODE] && attr_u32(verdict[NFTA_VERDICT_CODE]) == NF_DROP;
}

struct drop_search {
	const char *table, *chain;
	bool found;
};

static int on_rule(const struct nlmsghdr *nlh, void *data, struct error *err)
{
	static const char *const harmless[] = {"counter", "log"};
	struct drop_search *s = data;
	const struct nlattr *tb[NFTA_RULE_MAX + 1] = {0}, *attr;

	(void)err;
	if (!nlh) {
		s->found = false;
		return 0;
	}
	netlink_attrs(nlh, sizeof(struct nfgenmsg), tb, NFTA_RULE_MAX);
	/* The kernel filters by table and chain since 4.12; do not rely on it. */
	if (strcmp(attr_str(tb[NFTA_RULE_TABLE]), s->table) != 0 ||
	    strcmp(attr_str(tb[NFTA_RULE_CHAIN]), s->chain) != 0 || !tb[NFTA_RULE_EXPRESSIONS])
		return 0;
	mnl_attr_for_each_nested(attr, tb[NFTA_RULE_EXPRESSIONS])
	{
		const struct nlattr *expr[NFTA_EXPR_MAX + 1] = {0};
		const char *name;
		bool passive = false;

		netlink_attrs_nested(attr, expr, NFTA_EXPR_MAX);
		name = attr_str(expr[NFTA_EXPR_NAME]);
		if (strcmp(name, "reject") == 0 ||
		    (strcmp(name, "immediate") == 0 && is_drop(expr[NFTA_EXPR_DATA]))) {
			s->found = true;
			return 0;
		}
		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			passive |= strcmp(name, harmless[i]) == 0;
		if (!passive)
			return 0; /* a condition, or another verdict */
	}
	return 0;
}

int nft_chain_has_unconditional_drop(const struct nft_table *t, const char *chain,
				     struct error *err)
{
	struct drop_search s = {.table = t->name, .chain = chain};
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *nlh = get_request(b, NFT_MSG_GETRULE, t->family, "list nftables rules");

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, t->name);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	int r = netlink_dump(t->nl, b, on_rule, &s, err);
	return r < 0 ? r : s.found;
}
