/* linux/nft.h - nf_tables(8) transactions: tables, chains, sets, rules and elements.
 *
 * A transaction acts on one table; the kernel applies all of it or nothing.  Rules are written as
 * the kernel runs them: expressions on registers, in order, between nft_rule and nft_rule_end.
 * `nft --debug=netlink list table ...` shows the same language.  Needs libmnl.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/mem.h"

struct error;
struct netlink;
struct nlmsghdr;
struct nft;

/* Which table, and the NETLINK_NETFILTER socket to reach it: its network namespace is what counts.
 *
 * Keep the socket for many transactions: closing any such socket waits for an RCU grace period
 * (10 ms) while what a transaction has deleted is still being freed (nft_rcv_nl_event()). */
struct nft_table {
	struct netlink *nl; /* borrowed */
	uint8_t family;     /* NFPROTO_INET, ... */
	const char *name;   /* borrowed */
};

struct nft *nft_new(const struct nft_table *table); /* copies the struct */
struct nft *nft_free(struct nft *t);
DEFINE_CLEANUP(struct nft, nft_free);
#define autonft __attribute__((cleanup(nft_freep_)))
/* Run the transaction; it is empty afterwards. */
int nft_commit(struct nft *t, struct error *err);

/* Creating what exists already is fine, and adds nothing. */
void nft_add_table(struct nft *t);
void nft_del_table(struct nft *t); /* with all that is in it; it must exist */

struct nft_hook {
	uint32_t hook; /* NF_INET_* */
	int32_t priority;
	const char *type; /* "filter", "nat" */
};
void nft_add_chain(struct nft *t, const char *name, const struct nft_hook *hook); /* hook or NULL */

/* Types of set keys and map data as nft(8) numbers them (its datatype.h), so that it can print our
 * sets; each occupies whole 4-byte slots in a key.  A concatenation is up to 4 of them. */
enum nft_type {
	NFT_TYPE_IPV4 = 7,
	NFT_TYPE_IPV6 = 8,
	NFT_TYPE_PROTO = 12,   /* 1 byte in a slot */
	NFT_TYPE_SERVICE = 13, /* 2 bytes in a slot, network order */
	NFT_TYPE_IFNAME = 41,  /* 16 bytes, zero-padded */
};
struct nft_set {
	const char *name;
	enum nft_type key[4];  /* ends with 0 */
	enum nft_type data[4]; /* of a map; 0: a set */
};
size_t nft_type_size(const enum nft_type types[static 4]); /* bytes of the concatenation */
void nft_add_set(struct nft *t, const struct nft_set *set);

#define NFT_KEY_MAX 64 /* bytes, of a key or data */
struct nft_element {
	uint8_t key[NFT_KEY_MAX], data[NFT_KEY_MAX]; /* in slots, as above */
	uint8_t key_len, data_len;                   /* data_len 0: no data */
};
/* Append one value to a key or data under construction; *len grows by whole slots. */
void nft_pack(uint8_t *buf, uint8_t *len, const void *value, size_t size);
void nft_pack_ifname(uint8_t *buf, uint8_t *len, const char *name);
/* Adding an equal element again is fine; one with other data is -EEXIST. */
void nft_add_elements(struct nft *t, const char *set, const struct nft_element *v, size_t n);
/* Every one must exist (-ENOENT). */
void nft_del_elements(struct nft *t, const char *set, const struct nft_element *v, size_t n);
void nft_flush_set(struct nft *t, const char *set);

/* Rules: nft_rule(t, chain); expressions...; nft_rule_end(t).  Registers: 8 to 23 are 4 bytes each
 * (NFT_REG32_00...). */
void nft_rule(struct nft *t, const char *chain);
void nft_rule_end(struct nft *t);
void nft_meta(struct nft *t, uint32_t key, uint32_t dreg); /* NFT_META_* */
void nft_ct(struct nft *t, uint32_t key, uint32_t dreg);   /* NFT_CT_* */
void nft_fib_daddr_type(struct nft *t, uint32_t dreg);
struct nft_payload {
	uint32_t base;        /* NFT_PAYLOAD_*_HEADER */
	uint32_t offset, len; /* bytes */
};
void nft_load(struct nft *t, const struct nft_payload *p, uint32_t dreg);
void nft_immediate(struct nft *t, uint32_t dreg, const void *value, size_t len);
void nft_cmp(struct nft *t, uint32_t op, uint32_t sreg, const void *value, size_t len);
void nft_cmp_u32(struct nft *t, uint32_t op, uint32_t sreg, uint32_t value); /* host order */
void nft_mask_u32(struct nft *t, uint32_t reg, uint32_t mask); /* reg &= mask, host order */
void nft_lookup(struct nft *t, const char *set, uint32_t sreg, bool invert);
void nft_map(struct nft *t, const char *map, uint32_t sreg, uint32_t dreg);
void nft_verdict(struct nft *t, int32_t code, const char *chain); /* NF_ACCEPT, NFT_JUMP, ... */
void nft_masquerade(struct nft *t);
void nft_dnat(struct nft *t, uint32_t family, uint32_t addr_reg, uint32_t port_reg);

/* --- what is there ---------------------------------------------------------------------------- */

/* 1, 0 or < 0. */
int nft_has_table(const struct nft_table *t, struct error *err);
int nft_has_set(const struct nft_table *t, const char *set, struct error *err);

/* Whether an event of NFNLGRP_NFTABLES is the deletion of this table. */
bool nft_event_deletes(const struct nlmsghdr *nlh, const struct nft_table *t);

/* For each element; (NULL) as in netlink_dump. */
typedef int (*nft_element_fn)(const struct nft_element *e, void *data, struct error *err);
int nft_elements(const struct nft_table *t, const char *set, nft_element_fn fn, void *data,
		 struct error *err);
/* Look up one element by e->key and fill e->data: 1, or 0 if it (or the table) does not exist. */
int nft_get_element(const struct nft_table *t, const char *set, struct nft_element *e,
		    struct error *err);

struct nft_chain {
	uint8_t family;
	const char *table, *name; /* borrowed for the call */
	bool is_base;
	uint32_t hook, policy; /* NF_INET_*, NF_DROP or NF_ACCEPT; base chains only */
	const char *type;
};
/* For each chain; (NULL) as in netlink_dump. */
typedef int (*nft_chain_fn)(const struct nft_chain *c, void *data, struct error *err);
int nft_chains(struct netlink *nl, nft_chain_fn fn, void *data, struct error *err); /* all */

/* Whether a rule in the chain drops or rejects whatever reaches it.  1, 0 or < 0. */
int nft_chain_has_unconditional_drop(const struct nft_table *t, const char *chain,
				     struct error *err);
