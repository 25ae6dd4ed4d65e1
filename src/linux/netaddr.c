/* Addresses as plain values. */
#include "linux/netaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

int netaddr_parse(const char *s, struct netaddr *ret)
{
	struct netaddr a = {0};

	if (!s)
		return -EINVAL;
	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

const char *netaddr_format(const struct netaddr *a, char ret[static NETADDR_SIZE])
{
	ret[0] = '\0';
	if (netaddr_is_set(a))
		(void)inet_ntop(a->family, a->b, ret, NETADDR_SIZE); /* cannot fail: it fits */
	return ret;
}

int netaddr_prefix_parse(const char *s, struct netaddr_prefix *ret)
{
	const char *slash = s ? strchr(s, '/') : NULL;
	struct netaddr_prefix p = {0};
	char addr[NETADDR_SIZE];
	uint32_t len;

	if (!slash || (size_t)(slash - s) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, s, (size_t)(slash - s));
	addr[slash - s] = '\0';
	if (netaddr_parse(addr, &p.addr) < 0 || str_parse_u32(slash + 1, &len) < 0 ||
	    len > netaddr_bits(&p.addr))
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

const char *netaddr_prefix_format(const struct netaddr_prefix *p,
				  char ret[static NETADDR_PREFIX_SIZE])
{
	char addr[NETADDR_SIZE];

	ret[0] = '\0';
	if (netaddr_is_set(&p->addr))
		(void)snprintf(ret, NETADDR_PREFIX_SIZE, "%s/%u", netaddr_format(&p->addr, addr),
			       (unsigned)p->len);
	return ret;
}

struct netaddr netaddr_v4(uint32_t host_order)
{
	struct netaddr a = {.family = AF_INET};
	uint32_t be = htonl(host_order);

	memcpy(a.b, &be, sizeof(be));
	return a;
}

uint32_t netaddr_to_v4(const struct netaddr *a)
{
	uint32_t be = 0;

	if (a->family == AF_INET)
		memcpy(&be, a->b, sizeof(be));
	return ntohl(be);
}

size_t netaddr_len(const struct netaddr *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

unsigned netaddr_bits(const struct netaddr *a)
{
	return 8 * (unsigned)netaddr_len(a);
}

bool netaddr_is_set(const struct netaddr *a)
{
	return netaddr_len(a) > 0;
}

bool netaddr_is_any(const struct netaddr *a)
{
	static const uint8_t zero[16];

	return netaddr_is_set(a) && memcmp(a->b, zero, netaddr_len(a)) == 0;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == AF_INET)
		return a->b[0] == 127;
	return a->family == AF_INET6 && memcmp(a->b, one, sizeof(one)) == 0;
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, netaddr_len(a)) == 0;
}

struct netaddr_prefix netaddr_network(const struct netaddr_prefix *p)
{
	struct netaddr_prefix n = *p;

	for (unsigned bit = 0; bit < netaddr_bits(&n.addr); bit += 8) {
		unsigned kept = n.len <= bit ? 0 : n.len - bit;

		if (kept < 8)
			n.addr.b[bit / 8] &= (uint8_t)(0xff00u >> kept);
	}
	return n;
}

bool netaddr_prefix_contains(const struct netaddr_prefix *p, const struct netaddr *a)
{
	struct netaddr_prefix net = netaddr_network(p);
	struct netaddr_prefix other =
		netaddr_network(&(struct netaddr_prefix){.addr = *a, .len = p->len});

	return netaddr_is_set(a) && netaddr_equal(&net.addr, &other.addr);
}

bool netaddr_prefix_overlaps(const struct netaddr_prefix *a, const struct netaddr_prefix *b)
{
	const struct netaddr_prefix *wide = a->len <= b->len ? a : b;

	return netaddr_prefix_contains(wide, wide == a ? &b->addr : &a->addr);
}

socklen_t netaddr_sockaddr(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, a->b, 16);
		return sizeof(*in6);
	}
	return 0;
}

int netaddr_mac_parse(const char *s, uint8_t ret[static 6])
{
	uint8_t mac[6];

	if (!s || strlen(s) != 17)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		char pair[2] = {s[3 * i], s[3 * i + 1]};

		for (size_t j = 0; j < 2; j++)
			if (pair[j] >= 'A' && pair[j] <= 'F')
				pair[j] = (char)(pair[j] - 'A' + 'a');
		if (hex_decode(pair, 2, &mac[i]) < 0)
			return -EINVAL;
		if (i < 5 && s[3 * i + 2] != ':' && s[3 * i + 2] != '-')
			return -EINVAL;
	}
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

const char *netaddr_mac_format(const uint8_t mac[static 6], char ret[static NETADDR_MAC_SIZE])
{
	(void)snprintf(ret, NETADDR_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		       mac[2], mac[3], mac[4], mac[5]);
	return ret;
}
