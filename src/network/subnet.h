/* network/subnet.h - choosing subnets that nothing on this host uses. */
#pragma once

#include "linux/netaddr.h"

struct error;

/* Prefixes in use: the host's routes and addresses of the calling thread's network namespace. */
struct subnet_list {
	struct netaddr_prefix *v; /* owned */
	size_t n, cap;
};
void subnet_list_add(struct subnet_list *l, const struct netaddr_prefix *p);
void subnet_list_done(struct subnet_list *l);
int subnet_list_host(struct subnet_list *l, struct error *err);

/* The first /len in our IPv4 ranges that overlaps none in use.  ERROR_UNAVAILABLE if all do. */
int subnet_choose4(const struct subnet_list *used, uint8_t len, struct netaddr_prefix *ret,
		   struct error *err);
/* The first /len in `base`, of either family, that overlaps none in use; false: there is none. */
bool subnet_choose_in(const struct subnet_list *used, const struct netaddr_prefix *base,
		      uint8_t len, struct netaddr_prefix *ret);
/* A unique local /64 (RFC 4193) made from a network's random id, clear of those in use. */
int subnet_choose6(const struct subnet_list *used, const char *id, struct netaddr_prefix *ret,
		   struct error *err);
/* The subnet's first address, by custom the gateway. */
struct netaddr subnet_first(const struct netaddr_prefix *p);
