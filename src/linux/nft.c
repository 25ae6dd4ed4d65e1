/* nf_tables transactions by nfnetlink.
 *
 * A transaction is a batch between NFNL_MSG_BATCH_BEGIN and _END.  Numbers in attributes are in
 * network byte order, unlike in rtnetlink.
 */
#include "linux/nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/error.h"
#include "linux/netlink_socket.h"

/* Elements in one message, to stay below NETLINK_MESSAGE_MAX: each takes at most
 * 2 * NFT_KEY_MAX and four attribute headers. */
#define ELEMENTS_IN_MESSAGE 64

struct nft {
	struct nft_table table;
	struct netlink_batch *batch; /* owned */
	struct nlmsghdr *rule;       /* the open rule, in batch */
	struct nlattr *expressions;
	uint32_t set_id; /* names sets that are not committed yet */
};

static void put_header(struct nlmsghdr *nlh, uint8_t family, uint16_t res_id)
{
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
}

static void put_u32(struct nlmsghdr *nlh, uint16_t type, uint32_t value)
{
	mnl_attr_put_u32(nlh, type, htonl(value));
}

#define nft_type(msg) ((uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | (msg)))

struct nft *nft_new(const struct nft_table *table)
{
	struct nft *t = xnew0(struct nft);

	t->table = *table;
	t->batch = netlink_batch_new();
	return t;
}

struct nft *nft_free(struct nft *t)
{
	if (t) {
		netlink_batch_free(t->batch);
		free(t);
	}
	return NULL;
}

/* Begin a request of this transaction; `object` is for the error's label. */
static struct nlmsghdr *message(struct nft *t, uint16_t msg, uint16_t flags, const char *verb,
				const char *object)
{
	struct nlmsghdr *nlh;

	assert(!t->rule);
	if (netlink_batch_count(t->batch) == 0)
		put_header(netlink_request(t->batch, NFNL_MSG_BATCH_BEGIN, 0,
					   "begin nftables transaction"),
			   AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nlh = netlink_request(t->batch, nft_type(msg), flags, "%s '%s' in nftables table '%s'",
			      verb, object, t->table.name);
	put_header(nlh, t->table.family, 0);
	return nlh;
}

int nft_commit(struct nft *t, struct error *err)
{
	assert(!t->rule);
	if (netlink_batch_count(t->batch) == 0)
		return 0;
	put_header(netlink_request(t->batch, NFNL_MSG_BATCH_END, 0, "end nftables transaction"),
		   AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	return netlink_batch_run_atomic(t->table.nl, t->batch, err);
}

void nft_add_table(struct nft *t)
{
	struct nlmsghdr *nlh =
		message(t, NFT_MSG_NEWTABLE, NLM_F_CREATE, "create table", t->table.name);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, t->table.name);
	put_u32(nlh, NFTA_TABLE_FLAGS, 0);
}

void nft_del_table(struct nft *t)
{
	struct nlmsghdr *nlh = message(t, NFT_MSG_DELTABLE, 0, "delete table", t->table.name);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, t->table.name);
}

void nft_add_chain(struct nft *t, const char *name, const struct nft_hook *hook)
{
	struct nlmsghdr *nlh = message(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "create chain", name);
	struct nlattr *nest;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, t->table.name);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	if (!hook)
		return;
	nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	put_u32(nlh, NFTA_HOOK_HOOKNUM, hook->hook);
	put_u32(nlh, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
	mnl_attr_nest_end(nlh, nest);
	put_u32(nlh, NFTA_CHAIN_POLICY, NF_ACCEPT);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, hook->type);
}

/* --- sets --------------------------------------------------------------------------------- */

static size_t one_type_size(enum nft_type type)
{
	static const struct {
		enum nft_type type;
		size_t size;
	} sizes[] = {
		{NFT_TYPE_IPV4, 4},    {NFT_TYPE_IPV6, 16},   {NFT_TYPE_PROTO, 1},
		{NFT_TYPE_SERVICE, 2}, {NFT_TYPE_IFNAME, 16},
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (sizes[i].type == type)
			return sizes[i].size;
	assert(type == 0);
	return 0;
}

size_t nft_type_size(const enum nft_type types[static 4])
{
	size_t size = 0;

	/* Alone, a type has its own size; in a concatenation each takes whole slots. */
	if (types[1] == 0)
		return one_type_size(types[0]);
	for (size_t i = 0; i < 4 && types[i] != 0; i++)
		size += (one_type_size(types[i]) + 3) & ~(size_t)3;
	return size;
}

/* nft(8) writes a concatenation's types as 6 bits each. */
static uint32_t type_id(const enum nft_type types[static 4])
{
	uint32_t id = 0;

	for (size_t i = 0; i < 4 && types[i] != 0; i++)
		id = id << 6 | (uint32_t)types[i];
	return id;
}

/* What nft(8) wants to know of a key that is no concatenation, to print it: the byte order, as one
 * of its user data (a type, a length, a number; the kernel only stores them). */
static void put_byte_order(struct nlmsghdr *nlh, enum nft_type key)
{
	enum { KEY_BYTE_ORDER = 0, HOST_ENDIAN = 1, BIG_ENDIAN_ = 2 };
	uint32_t order = key == NFT_TYPE_IFNAME ? HOST_ENDIAN : BIG_ENDIAN_;
	uint8_t data[2 + sizeof(order)] = {KEY_BYTE_ORDER, sizeof(order)};

	memcpy(data + 2, &order, sizeof(order));
	mnl_attr_put(nlh, NFTA_SET_USERDATA, sizeof(data), data);
}

void nft_add_set(struct nft *t, const struct nft_set *set)
{
	struct nlmsghdr *nlh = message(t, NFT_MSG_NEWSET, NLM_F_CREATE, "create set", set->name);
	bool map = set->data[0] != 0;

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, t->table.name);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set->name);
	put_u32(nlh, NFTA_SET_FLAGS, map ? NFT_SET_MAP : 0);
	put_u32(nlh, NFTA_SET_KEY_TYPE, type_id(set->key));
	put_u32(nlh, NFTA_SET_KEY_LEN, (uint32_t)nft_type_size(set->key));
	if (map) {
		put_u32(nlh, NFTA_SET_DATA_TYPE, type_id(set->data));
		put_u32(nlh, NFTA_SET_DATA_LEN, (uint32_t)nft_type_size(set->data));
	}
	put_u32(nlh, NFTA_SET_ID, ++t->set_id);
	if (set->key[1] == 0)
		put_byte_order(nlh, set->key[0]);
}

void nft_pack(uint8_t *buf, uint8_t *len, const void *value, size_t size)
{
	size_t slots = (size + 3) & ~(size_t)3;

	assert(*len + slots <= NFT_KEY_MAX);
	memset(buf + *len, 0, slots);
	memcpy(buf + *len, value, size);
	*len = (uint8_t)(*len + slots);
}

void nft_pack_ifname(uint8_t *buf, uint8_t *len, const char *name)
{
	char padded[16] = {0};

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	nft_pack(buf, len, padded, sizeof(padded));
}

static void put_data(struct nlmsghdr *nlh, uint16_t type, const void *value, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(nlh, nest);
}

static void put_elements(struct nlmsghdr *nlh, const struct nft *t, const char *set,
			 const struct nft_element *v, size_t n)
{
	struct nlattr *list;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, t->table.name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (size_t i = 0; i < n; i++) {
		struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);

		put_data(nlh, NFTA_SET_ELEM_KEY, v[i].key, v[i].key_len);
		if (v[i].data_len > 0)
			put_data(nlh, NFTA_SET_ELEM_DATA, v[i].data, v[i].data_len);
		mnl_attr_nest_end(nlh, elem);
	}
	mnl_attr_nest_end(nlh, list);
}

static size_t chunk(size_t n, size_t done)
{
	return n - done < ELEMENTS_IN_MESSAGE ? n - done : ELEMENTS_IN_MESSAGE;
}

void nft_add_elements(struct nft *t, const char *set, const struct nft_element *v, size_t n)
{
	for (size_t i = 0; i < n; i += chunk(n, i))
		put_elements(message(t, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add elements to", set),
			     t, set, v + i, chunk(n, i));
}

void nft_del_elements(struct nft *t, const char *set, const struct nft_element *v, size_t n)
{
	for (size_t i = 0; i < n; i += chunk(n, i))
		put_elements(message(t, NFT_MSG_DELSETELEM, 0, "delete elements from", set), t, set,
			     v + i, chunk(n, i));
}

void nft_flush_set(struct nft *t, const char *set)
{
	struct nlmsghdr *nlh = message(t, NFT_MSG_DELSETELEM, 0, "empty set", set);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, t->table.name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
}

/* --- rules -------------------------------------------------------------------------------- */

void nft_rule(struct nft *t, const char *chain)
{
	struct nlmsghdr *nlh = message(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
				       "add rule to chain", chain);

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, t->table.name);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	t->rule = nlh;
	t->expressions = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft *t)
{
	mnl_attr_nest_end(t->rule, t->expressions);
	t->rule = NULL;
}

struct expression {
	struct nlattr *elem, *data;
};

static struct expression expression(struct nft *t, const char *name)
{
	struct expression e;

	assert(t->rule);
	e.elem = mnl_attr_nest_start(t->rule, NFTA_LIST_ELEM);
	mnl_attr_put_strz(t->rule, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(t->rule, NFTA_EXPR_DATA);
	return e;
}

static void expression_end(struct nft *t, struct expression e)
{
	mnl_attr_nest_end(t->rule, e.data);
	mnl_attr_nest_end(t->rule, e.elem);
}

/* Most expressions are a few numbers: {attribute, value} pairs, ended by attribute 0. */
struct number {
	uint16_t attr;
	uint32_t value;
};

static void numbers_expression(struct nft *t, const char *name, const struct number *v)
{
	struct expression e = expression(t, name);

	for (; v->attr != 0; v++)
		put_u32(t->rule, v->attr, v->value);
	expression_end(t, e);
}

void nft_meta(struct nft *t, uint32_t key, uint32_t dreg)
{
	numbers_expression(
		t, "meta",
		(const struct number[]){{NFTA_META_DREG, dreg}, {NFTA_META_KEY, key}, {0, 0}});
}

void nft_ct(struct nft *t, uint32_t key, uint32_t dreg)
{
	numbers_expression(
		t, "ct", (const struct number[]){{NFTA_CT_DREG, dreg}, {NFTA_CT_KEY, key}, {0, 0}});
}

void nft_fib_daddr_type(struct nft *t, uint32_t dreg)
{
	numbers_expression(t, "fib",
			   (const struct number[]){{NFTA_FIB_DREG, dreg},
						   {NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE},
						   {NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR},
						   {0, 0}});
}

void nft_load(struct nft *t, const struct nft_payload *p, uint32_t dreg)
{
	numbers_expression(t, "payload",
			   (const struct number[]){{NFTA_PAYLOAD_DREG, dreg},
						   {NFTA_PAYLOAD_BASE, p->base},
						   {NFTA_PAYLOAD_OFFSET, p->offset},
						   {NFTA_PAYLOAD_LEN, p->len},
						   {0, 0}});
}

void nft_immediate(struct nft *t, uint32_t dreg, const void *value, size_t len)
{
	struct expression e = expression(t, "immediate");

	put_u32(t->rule, NFTA_IMMEDIATE_DREG, dreg);
	put_data(t->rule, NFTA_IMMEDIATE_DATA, value, len);
	expression_end(t, e);
}

void nft_cmp(struct nft *t, uint32_t op, uint32_t sreg, const void *value, size_t len)
{
	struct expression e = expression(t, "cmp");

	put_u32(t->rule, NFTA_CMP_SREG, sreg);
	put_u32(t->rule, NFTA_CMP_OP, op);
	put_data(t->rule, NFTA_CMP_DATA, value, len);
	expression_end(t, e);
}

void nft_cmp_u32(struct nft *t, uint32_t op, uint32_t sreg, uint32_t value)
{
	nft_cmp(t, op, sreg, &value, sizeof(value));
}

void nft_mask_u32(struct nft *t, uint32_t reg, uint32_t mask)
{
	static const uint32_t zero;
	struct expression e = expression(t, "bitwise");

	put_u32(t->rule, NFTA_BITWISE_SREG, reg);
	put_u32(t->rule, NFTA_BITWISE_DREG, reg);
	put_u32(t->rule, NFTA_BITWISE_LEN, sizeof(mask));
	put_data(t->rule, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_data(t->rule, NFTA_BITWISE_XOR, &zero, sizeof(zero));
	expression_end(t, e);
}

void nft_lookup(struct nft *t, const char *set, uint32_t sreg, bool invert)
{
	struct expression e = expression(t, "lookup");

	mnl_attr_put_strz(t->rule, NFTA_LOOKUP_SET, set);
	put_u32(t->rule, NFTA_LOOKUP_SREG, sreg);
	if (invert)
		put_u32(t->rule, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expression_end(t, e);
}

void nft_map(struct nft *t, const char *map, uint32_t sreg, uint32_t dreg)
{
	struct expression e = expression(t, "lookup");

	mnl_attr_put_strz(t->rule, NFTA_LOOKUP_SET, map);
	put_u32(t->rule, NFTA_LOOKUP_SREG, sreg);
	put_u32(t->rule, NFTA_LOOKUP_DREG, dreg);
	expression_end(t, e);
}

void nft_verdict(struct nft *t, int32_t code, const char *chain)
{
	struct expression e = expression(t, "immediate");
	struct nlattr *data, *verdict;

	put_u32(t->rule, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(t->rule, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(t->rule, NFTA_DATA_VERDICT);
	put_u32(t->rule, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		mnl_attr_put_strz(t->rule, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(t->rule, verdict);
	mnl_attr_nest_end(t->rule, data);
	expression_end(t, e);
}

void nft_masquerade(struct nft *t)
{
	expression_end(t, expression(t, "masq"));
}

void nft_dnat(struct nft *t, uint32_t family, uint32_t addr_reg, uint32_t port_reg)
{
	numbers_expression(t, "nat",
			   (const struct number[]){{NFTA_NAT_TYPE, NFT_NAT_DNAT},
						   {NFTA_NAT_FAMILY, family},
						   {NFTA_NAT_REG_ADDR_MIN, addr_reg},
						   {NFTA_NAT_REG_PROTO_MIN, port_reg},
						   {0, 0}});
}
