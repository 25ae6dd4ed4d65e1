/* network/ipam.h - addresses of one subnet: who has which.
 *
 * Next-fit, as Docker does it: the address after the last one leased comes next, so that a freed
 * address rests as long as possible before another container gets it.  Memory follows the number
 * of leases, not the size of the subnet, so an IPv6 /64 is as cheap as a /24.  IPv4's network and
 * broadcast addresses and IPv6's subnet-router anycast address (RFC 4291 section 2.6.1) are never
 * leased.  Not thread-safe: the engine's loop thread owns it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "linux/netaddr.h"

struct error;
struct ipam_pool;

/* `range`: a sub-prefix to lease from (--ip-range), or NULL for all of subnet; reservations may be
 * anywhere in the subnet.  ERROR_INVALID if subnet has host bits set or is too small (IPv4 longer
 * than /30, IPv6 longer than /126), or range is outside it. */
int ipam_pool_new(const struct netaddr_prefix *subnet, const struct netaddr_prefix *range,
		  struct ipam_pool **ret, struct error *err);
struct ipam_pool *ipam_pool_free(struct ipam_pool *p); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct ipam_pool, ipam_pool_free);
#define autoipam __attribute__((cleanup(ipam_pool_freep_)))

/* Lease the next free address.  ERROR_UNAVAILABLE when all are leased. */
int ipam_lease(struct ipam_pool *p, struct netaddr *ret, struct error *err);
/* Take one given address (--ip, gateway, restore).  ERROR_CONFLICT "Address already in use" if it
 * is leased, ERROR_INVALID if it is not a usable address of the subnet. */
int ipam_reserve(struct ipam_pool *p, const struct netaddr *a, struct error *err);
/* Give back; an address that is not leased is ignored, so that this is idempotent. */
void ipam_release(struct ipam_pool *p, const struct netaddr *a);

bool ipam_is_leased(const struct ipam_pool *p, const struct netaddr *a);
size_t ipam_leased(const struct ipam_pool *p); /* how many */
const struct netaddr_prefix *ipam_subnet(const struct ipam_pool *p);
