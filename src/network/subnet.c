/* Choosing subnets: dockerd takes 172.17-31.0.0/16 and 192.168.0.0/16, so we start elsewhere. */
#include "network/subnet.h"

#include <string.h>

#include <linux/rtnetlink.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/rtnl.h"

static const struct {
	uint32_t base; /* host order */
	uint8_t len;
} ranges4[] = {
	{10u << 24 | 213u << 16, 16},
	{10u << 24 | 214u << 16, 16},
	{10u << 24 | 215u << 16, 16},
	{198u << 24 | 18u << 16, 15}, /* RFC 2544: not routed on the Internet */
};

void subnet_list_add(struct subnet_list *l, const struct netaddr_prefix *p)
{
	xgrow(l->v, l->n, l->cap);
	l->v[l->n++] = *p;
}

void subnet_list_done(struct subnet_list *l)
{
	free(l->v);
	*l = (struct subnet_list){0};
}

/* What a dump adds begins here. */
struct dump {
	struct subnet_list *list;
	size_t base;
};

static int add_route(const struct rtnl_route *r, void *data, struct error *err)
{
	const struct dump *d = data;

	(void)err;
	if (!r) {
		d->list->n = d->base;
		return 0;
	}
	/* A default route covers everything and says nothing; so do /1 halves of VPNs. */
	if (netaddr_is_set(&r->dst.addr) && r->dst.len > 1 && r->type != RTN_MULTICAST)
		subnet_list_add(d->list, &r->dst);
	return 0;
}

static int add_address(const struct rtnl_address *a, void *data, struct error *err)
{
	const struct dump *d = data;

	(void)err;
	if (a)
		subnet_list_add(d->list, &a->addr);
	else
		d->list->n = d->base;
	return 0;
}

int subnet_list_host(struct subnet_list *l, struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_ROUTE, &nl, err);

	if (r < 0)
		return r;
	r = rtnl_routes(nl, add_route, &(struct dump){.list = l, .base = l->n}, err);
	if (r < 0)
		return r;
	return rtnl_addresses(nl, add_address, &(struct dump){.list = l, .base = l->n}, err);
}

static bool is_clear(const struct subnet_list *used, const struct netaddr_prefix *p)
{
	for (size_t i = 0; i < used->n; i++)
		if (used->v[i].addr.family == p->addr.family &&
		    netaddr_prefix_overlaps(&used->v[i], p))
			return false;
	return true;
}

int subnet_choose4(const struct subnet_list *used, uint8_t len, struct netaddr_prefix *ret,
		   struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges4); i++) {
		uint64_t end = (uint64_t)ranges4[i].base + (1ull << (32 - ranges4[i].len));

		for (uint64_t base = ranges4[i].base; base < end; base += 1ull << (32 - len)) {
			struct netaddr_prefix p = {.addr = netaddr_v4((uint32_t)base), .len = len};

			if (is_clear(used, &p)) {
				*ret = p;
				return 0;
			}
		}
	}
	return error_set(err, ERROR_UNAVAILABLE, 0,
			 "could not find an available, non-overlapping IPv4 address pool among "
			 "the defaults to assign to the network");
}

#define CANDIDATES_MAX 65536 /* an IPv6 pool may hold more subnets than anybody can try */

bool subnet_choose_in(const struct subnet_list *used, const struct netaddr_prefix *base,
		      uint8_t len, struct netaddr_prefix *ret)
{
	struct netaddr_prefix p = netaddr_network(base);

	p.len = len;
	for (unsigned i = 0; i < CANDIDATES_MAX; i++) {
		unsigned bit = 0x100;

		if (is_clear(used, &p)) {
			*ret = p;
			return true;
		}
		/* One more at the subnet's last bit; what is carried out of the base is the end. */
		for (int at = len - 1; at >= base->len; at--) {
			bit = 0x80u >> (at % 8);
			p.addr.b[at / 8] ^= (uint8_t)bit;
			if (p.addr.b[at / 8] & bit)
				break;
			bit = 0x100;
		}
		if (bit == 0x100)
			return false;
	}
	return false;
}

int subnet_choose6(const struct subnet_list *used, const char *id, struct netaddr_prefix *ret,
		   struct error *err)
{
	struct netaddr_prefix p = {.addr = {.family = AF_INET6, .b = {0xfd}}, .len = 64};

	/* 40 bits of global id and 16 of subnet id; another window of the id if it is taken. */
	for (size_t start = 0; start + 14 <= strlen(id); start += 2) {
		if (hex_decode(id + start, 14, &p.addr.b[1]) < 0)
			break;
		if (is_clear(used, &p)) {
			*ret = p;
			return 0;
		}
	}
	return error_set(err, ERROR_UNAVAILABLE, 0, "no free IPv6 subnet for network '%s'", id);
}

struct netaddr subnet_first(const struct netaddr_prefix *p)
{
	struct netaddr a = netaddr_network(p).addr;

	a.b[netaddr_len(&a) - 1] |= 1;
	return a;
}
