/* linux/netaddr.h - IPv4, IPv6 and MAC addresses as plain values, in network byte order.
 *
 * A zeroed struct netaddr is "no address" (family AF_UNSPEC).  Text forms are inet_pton(3)'s.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NETADDR_SIZE        46 /* INET6_ADDRSTRLEN */
#define NETADDR_PREFIX_SIZE 50
#define NETADDR_MAC_SIZE    18

struct netaddr {
	sa_family_t family; /* AF_UNSPEC, AF_INET or AF_INET6 */
	uint8_t b[16];      /* the first 4 or 16 bytes count; the others are 0 */
};

struct netaddr_prefix {
	struct netaddr addr; /* host bits may be set: an interface's address is a prefix too */
	uint8_t len;         /* bits */
};

int netaddr_parse(const char *s, struct netaddr *ret); /* -EINVAL; no zone, no brackets */
/* "10.1.2.3", "fd00::2", or "" for none; returns ret. */
const char *netaddr_format(const struct netaddr *a, char ret[static NETADDR_SIZE]);
int netaddr_prefix_parse(const char *s, struct netaddr_prefix *ret); /* "10.0.0.0/8"; -EINVAL */
const char *netaddr_prefix_format(const struct netaddr_prefix *p,
				  char ret[static NETADDR_PREFIX_SIZE]);

struct netaddr netaddr_v4(uint32_t host_order);
uint32_t netaddr_to_v4(const struct netaddr *a); /* host order; 0 unless AF_INET */
size_t netaddr_len(const struct netaddr *a);     /* 4, 16, or 0 for none */
unsigned netaddr_bits(const struct netaddr *a);  /* 32, 128, or 0 for none */
bool netaddr_is_set(const struct netaddr *a);
bool netaddr_is_any(const struct netaddr *a);      /* 0.0.0.0 or :: */
bool netaddr_is_loopback(const struct netaddr *a); /* 127.0.0.0/8 or ::1 */
bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);
/* The prefix with its host bits cleared. */
struct netaddr_prefix netaddr_network(const struct netaddr_prefix *p);
bool netaddr_prefix_contains(const struct netaddr_prefix *p, const struct netaddr *a);
bool netaddr_prefix_overlaps(const struct netaddr_prefix *a, const struct netaddr_prefix *b);

/* Fill a sockaddr for bind(2) or connect(2); returns its length, 0 for none. */
socklen_t netaddr_sockaddr(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ret);

int netaddr_mac_parse(const char *s, uint8_t ret[static 6]); /* "02:42:ac:11:00:02"; -EINVAL */
const char *netaddr_mac_format(const uint8_t mac[static 6], char ret[static NETADDR_MAC_SIZE]);
