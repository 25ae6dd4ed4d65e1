/* Addresses of one subnet: a sorted array of the leased offsets from the subnet's base. */
#include "network/ipam.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"

__extension__ typedef unsigned __int128 ipam_offset;

struct ipam_pool {
	struct netaddr_prefix subnet;
	ipam_offset first, last;     /* leased on their own: the range */
	ipam_offset lowest, highest; /* may be reserved: the subnet */
	ipam_offset cursor;          /* the offset to try next */
	ipam_offset *leased;         /* owned, sorted */
	size_t n, cap;
};

static ipam_offset to_number(const struct netaddr *a)
{
	ipam_offset v = 0;

	for (size_t i = 0; i < netaddr_len(a); i++)
		v = v << 8 | a->b[i];
	return v;
}

static struct netaddr from_number(sa_family_t family, ipam_offset v)
{
	struct netaddr a = {.family = family};

	for (size_t i = netaddr_len(&a); i-- > 0; v >>= 8)
		a.b[i] = (uint8_t)v;
	return a;
}

/* The highest offset in a prefix: all host bits set. */
static ipam_offset prefix_mask(const struct netaddr_prefix *p)
{
	unsigned host_bits = netaddr_bits(&p->addr) - p->len;

	return host_bits >= 128 ? ~(ipam_offset)0 : ((ipam_offset)1 << host_bits) - 1;
}

int ipam_pool_new(const struct netaddr_prefix *subnet, const struct netaddr_prefix *range,
		  struct ipam_pool **ret, struct error *err)
{
	struct netaddr_prefix base = netaddr_network(subnet);
	char text[NETADDR_PREFIX_SIZE];
	struct ipam_pool *p;

	(void)netaddr_prefix_format(subnet, text);
	if (!netaddr_is_set(&subnet->addr) || !netaddr_equal(&base.addr, &subnet->addr))
		return error_set(err, ERROR_INVALID, 0, "subnet '%s' has host bits set", text);
	if (subnet->len + 2u > netaddr_bits(&subnet->addr))
		return error_set(err, ERROR_INVALID, 0, "subnet '%s' is too small", text);
	if (range && netaddr_is_set(&range->addr) &&
	    (range->len < subnet->len || !netaddr_prefix_contains(subnet, &range->addr)))
		return error_set(err, ERROR_INVALID, 0, "address range is not in subnet '%s'",
				 text);

	p = xnew0(struct ipam_pool);
	p->subnet = *subnet;
	p->lowest = 1;
	p->highest = prefix_mask(subnet) - (subnet->addr.family == AF_INET ? 1 : 0);
	p->first = p->lowest;
	p->last = p->highest;
	if (range && netaddr_is_set(&range->addr)) {
		struct netaddr_prefix sub = netaddr_network(range);
		ipam_offset start = to_number(&sub.addr) - to_number(&subnet->addr);

		if (start > p->first)
			p->first = start;
		if (start + prefix_mask(&sub) < p->last)
			p->last = start + prefix_mask(&sub);
	}
	p->cursor = p->first;
	*ret = p;
	return 0;
}

struct ipam_pool *ipam_pool_free(struct ipam_pool *p)
{
	if (p) {
		free(p->leased);
		free(p);
	}
	return NULL;
}

/* The first index whose offset is >= v. */
static size_t lower_bound(const struct ipam_pool *p, ipam_offset v)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->leased[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool has(const struct ipam_pool *p, size_t i, ipam_offset v)
{
	return i < p->n && p->leased[i] == v;
}

static void insert(struct ipam_pool *p, size_t i, ipam_offset v)
{
	xgrow(p->leased, p->n, p->cap);
	memmove(&p->leased[i + 1], &p->leased[i], (p->n - i) * sizeof(*p->leased));
	p->leased[i] = v;
	p->n++;
}

/* The first free offset in [from, to]; false if there is none. */
static bool find_free(const struct ipam_pool *p, ipam_offset from, ipam_offset to, ipam_offset *ret)
{
	size_t i = lower_bound(p, from);

	for (; from <= to; from++, i++) {
		if (!has(p, i, from)) {
			*ret = from;
			return true;
		}
		if (from == to)
			break;
	}
	return false;
}

int ipam_lease(struct ipam_pool *p, struct netaddr *ret, struct error *err)
{
	char text[NETADDR_PREFIX_SIZE];
	ipam_offset v;

	if (!find_free(p, p->cursor, p->last, &v) && !find_free(p, p->first, p->last, &v))
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "no available IPv%c addresses in subnet '%s'",
				 p->subnet.addr.family == AF_INET ? '4' : '6',
				 netaddr_prefix_format(&p->subnet, text));
	insert(p, lower_bound(p, v), v);
	p->cursor = v < p->last ? v + 1 : p->first;
	*ret = from_number(p->subnet.addr.family, to_number(&p->subnet.addr) + v);
	return 0;
}

/* The offset of an address that this pool may give out. */
static bool offset_of(const struct ipam_pool *p, const struct netaddr *a, ipam_offset *ret)
{
	ipam_offset v;

	if (a->family != p->subnet.addr.family || !netaddr_prefix_contains(&p->subnet, a))
		return false;
	v = to_number(a) - to_number(&p->subnet.addr);
	if (v < p->lowest || v > p->highest)
		return false;
	*ret = v;
	return true;
}

int ipam_reserve(struct ipam_pool *p, const struct netaddr *a, struct error *err)
{
	char text[NETADDR_SIZE], subnet[NETADDR_PREFIX_SIZE];
	ipam_offset v;
	size_t i;

	(void)netaddr_format(a, text);
	if (!offset_of(p, a, &v))
		return error_set(err, ERROR_INVALID, 0,
				 "address '%s' is not a usable one of subnet '%s'", text,
				 netaddr_prefix_format(&p->subnet, subnet));
	i = lower_bound(p, v);
	if (has(p, i, v))
		return error_set(err, ERROR_CONFLICT, EADDRINUSE, "reserve address '%s'", text);
	insert(p, i, v);
	return 0;
}

void ipam_release(struct ipam_pool *p, const struct netaddr *a)
{
	ipam_offset v;
	size_t i;

	if (!offset_of(p, a, &v))
		return;
	i = lower_bound(p, v);
	if (!has(p, i, v))
		return;
	memmove(&p->leased[i], &p->leased[i + 1], (p->n - i - 1) * sizeof(*p->leased));
	p->n--;
}

bool ipam_is_leased(const struct ipam_pool *p, const struct netaddr *a)
{
	ipam_offset v;

	return offset_of(p, a, &v) && has(p, lower_bound(p, v), v);
}

size_t ipam_leased(const struct ipam_pool *p)
{
	return p->n;
}

const struct netaddr_prefix *ipam_subnet(const struct ipam_pool *p)
{
	return &p->subnet;
}
