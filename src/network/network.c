/* The manager: which networks there are, and their addresses. */
#include "network/network.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "network/mld.h"
#include "network/network_priv.h"
#include "network/subnet.h"
#include "network/sysctl.h"
#include "network/table.h"

#define DEFAULT_MTU 1500
#define MTU_MIN     1280 /* the least that IPv6 allows (RFC 8200 section 5) */
#define MTU_MAX     65535

/* The default bridge has as many addresses as a bridge can have ports; others get a /24. */
#define DEFAULT_POOL_LEN 22
#define USER_POOL_LEN    24

static const struct network_driver *const drivers[] = {
	&network_driver_bridge,
	&network_driver_host,
	&network_driver_none,
};

const char *const network_default_names[3] = {"bridge", "host", "none"};

const struct network_driver *network_driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (name && strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const char *network_driver_name(const struct network_driver *d)
{
	return d->name;
}

bool network_driver_has_netns(const struct network_driver *d)
{
	return d->has_netns;
}

void network_pairs_add(struct network_pairs *p, const char *key, const char *value)
{
	xgrow(p->v, p->n, p->cap);
	p->v[p->n++] = (struct network_pair){.key = xstrdup(key), .value = xstrdup(value)};
}

const char *network_pairs_get(const struct network_pairs *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].key, key) == 0)
			return p->v[i].value;
	return NULL;
}

void network_pairs_done(struct network_pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct network_pairs){0};
}

static void copy_pairs(struct network_pairs *dst, const struct network_pairs *src)
{
	for (size_t i = 0; src && i < src->n; i++)
		network_pairs_add(dst, src->v[i].key, src->v[i].value);
}

void network_done(struct network *n)
{
	free(n->name);
	network_pairs_done(&n->aux);
	network_pairs_done(&n->options);
	network_pairs_done(&n->labels);
	*n = (struct network){0};
}

void network_id_random(char ret[static NETWORK_ID_SIZE])
{
	uint8_t bytes[(NETWORK_ID_SIZE - 1) / 2];
	ssize_t n = getrandom(bytes, sizeof(bytes), 0);

	/* Up to 256 bytes come whole once the pool is initialised (getrandom(2)). */
	assert(n == (ssize_t)sizeof(bytes));
	(void)n;
	hex_encode(bytes, sizeof(bytes), ret);
}

/* --- manager ------------------------------------------------------------------------------ */

struct bridge_config {
	int family;
	const char *address, *range;
};

/* --bip and --fixed-cidr of one family: the range is the subnet if there is no address. */
static int read_bridge(const struct bridge_config *c, struct network_subnet *ret, struct error *err)
{
	uint8_t len_max = c->family == AF_INET ? 30 : 126;
	struct netaddr_prefix p;

	if (!str_empty(c->address)) {
		if (netaddr_prefix_parse(c->address, &p) < 0 || p.addr.family != c->family ||
		    p.len > len_max)
			return error_set(
				err, ERROR_INVALID, 0,
				"bridge address '%s' is no %s address with a prefix length",
				c->address, c->family == AF_INET ? "IPv4" : "IPv6");
		ret->subnet = netaddr_network(&p);
		ret->gateway = p.addr;
	}
	if (str_empty(c->range))
		return 0;
	if (netaddr_prefix_parse(c->range, &p) < 0 || p.addr.family != c->family || p.len > len_max)
		return error_set(err, ERROR_INVALID, 0, "fixed CIDR '%s' is no %s subnet", c->range,
				 c->family == AF_INET ? "IPv4" : "IPv6");
	p = netaddr_network(&p);
	if (!netaddr_is_set(&ret->subnet.addr))
		ret->subnet = p;
	else if (p.len < ret->subnet.len || !netaddr_prefix_contains(&ret->subnet, &p.addr))
		return error_set(err, ERROR_INVALID, 0,
				 "fixed CIDR '%s' is not in the subnet of '%s'", c->range,
				 c->address);
	ret->range = p;
	return 0;
}

int network_open(const struct network_config *config, struct network_manager **ret,
		 struct error *err)
{
	autonetwork_manager struct network_manager *nm = xnew0(struct network_manager);
	const char *link = str_empty(config->link) ? NETWORK_DEFAULT_LINK : config->link;
	const char *table = str_empty(config->table) ? NETWORK_DEFAULT_TABLE : config->table;
	const struct bridge_config bridge4 = {AF_INET, config->bip, config->fixed_cidr};
	const struct bridge_config bridge6 = {AF_INET6, config->bip6, config->fixed_cidr6};
	int r;

	nm->sysctls = -EBADF;
	if (!str_copy(nm->link, sizeof(nm->link), link))
		return error_set(err, ERROR_INVALID, 0, "bridge name '%s' is too long", link);
	if (!str_copy(nm->table, sizeof(nm->table), table))
		return error_set(err, ERROR_INVALID, 0, "nftables table name '%s' is too long",
				 table);
	r = read_bridge(&bridge4, &nm->bridge4, err);
	r = r < 0 ? r : read_bridge(&bridge6, &nm->bridge6, err);
	if (r < 0)
		return r;
	if (!str_empty(config->host_ip) && netaddr_parse(config->host_ip, &nm->host_ip) < 0)
		return error_set(err, ERROR_INVALID, 0, "'%s' is no IP address", config->host_ip);
	if (netaddr_is_any(&nm->host_ip))
		nm->host_ip = (struct netaddr){0};
	if (config->pool_count > 0)
		nm->pools = xmemdup(config->pools, config->pool_count * sizeof(*config->pools));
	nm->pool_count = config->pool_count;
	nm->mtu = config->mtu ? config->mtu : DEFAULT_MTU;
	if (nm->mtu < MTU_MIN || nm->mtu > MTU_MAX)
		return error_set(err, ERROR_INVALID, 0, "MTU %u is not between %d and %d", nm->mtu,
				 MTU_MIN, MTU_MAX);
	nm->ipv6 = !config->no_ipv6 && sysctl_has_ipv6();
	nm->icc = !config->no_icc;
	nm->masquerade = !config->no_masquerade;
	nm->forward = !config->no_forward;
	nm->sysctls = sysctl_open(err);
	if (nm->sysctls < 0)
		return nm->sysctls;
	nm->nfsockets = nfsockets_new();
	*ret = TAKE_PTR(nm);
	return 0;
}

static void entry_free(struct network_entry *e)
{
	network_done(&e->net);
	ipam_pool_free(e->pool4);
	ipam_pool_free(e->pool6);
	free(e->members);
	free(e);
}

struct network_manager *network_close(struct network_manager *nm)
{
	if (nm) {
		for (size_t i = 0; i < nm->n; i++)
			entry_free(nm->entries[i]);
		free(nm->entries);
		netlink_close(nm->watch);
		nfsockets_free(nm->nfsockets);
		fd_close(&nm->sysctls);
		free(nm->pools);
		free(nm);
	}
	return NULL;
}

size_t network_count(const struct network_manager *nm)
{
	return nm->n;
}

struct network *network_at(const struct network_manager *nm, size_t i)
{
	return &nm->entries[i]->net;
}

struct network_entry *network_entry_find(const struct network_manager *nm, const char *id)
{
	for (size_t i = 0; i < nm->n; i++)
		if (strcmp(nm->entries[i]->net.id, id) == 0)
			return nm->entries[i];
	return NULL;
}

struct network *network_find_exact(const struct network_manager *nm, const char *id_or_name)
{
	struct network_entry *e = network_entry_find(nm, id_or_name);

	if (e)
		return &e->net;
	for (size_t i = 0; i < nm->n; i++)
		if (strcmp(nm->entries[i]->net.name, id_or_name) == 0)
			return &nm->entries[i]->net;
	return NULL;
}

struct network *network_find(const struct network_manager *nm, const char *id_or_name)
{
	struct network *found = network_find_exact(nm, id_or_name);

	if (found || str_empty(id_or_name))
		return found;
	for (size_t i = 0; i < nm->n; i++) {
		if (!str_has_prefix(nm->entries[i]->net.id, id_or_name))
			continue;
		if (found)
			return NULL;
		found = &nm->entries[i]->net;
	}
	return found;
}

static int make_pool(const struct network_subnet *s, struct ipam_pool **ret, struct error *err)
{
	autoipam struct ipam_pool *p = NULL;
	int r;

	if (!netaddr_is_set(&s->subnet.addr))
		return 0;
	r = ipam_pool_new(&s->subnet, &s->range, &p, err);
	if (r < 0)
		return r;
	if (netaddr_is_set(&s->gateway)) {
		r = ipam_reserve(p, &s->gateway, err);
		if (r < 0)
			return error_wrap(err, r, "gateway");
	}
	*ret = TAKE_PTR(p);
	return 0;
}

/* Addresses that somebody else on the network has. */
static int reserve_aux(const struct network *net, struct ipam_pool *pool4, struct ipam_pool *pool6,
		       struct error *err)
{
	for (size_t i = 0; i < net->aux.n; i++) {
		struct ipam_pool *pool;
		struct netaddr a;
		int r;

		if (netaddr_parse(net->aux.v[i].value, &a) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid auxiliary address '%s'",
					 net->aux.v[i].value);
		pool = a.family == AF_INET ? pool4 : pool6;
		if (!pool)
			return error_set(err, ERROR_INVALID, 0,
					 "no subnet for the auxiliary address '%s'",
					 net->aux.v[i].value);
		r = ipam_reserve(pool, &a, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int network_entry_add(struct network_manager *nm, struct network *net_take,
		      struct network_entry **ret, struct error *err)
{
	autoipam struct ipam_pool *pool4 = NULL, *pool6 = NULL;
	struct network_entry *e;
	int r = make_pool(&net_take->ipv4, &pool4, err);

	if (r < 0)
		return r;
	r = make_pool(&net_take->ipv6, &pool6, err);
	if (r < 0)
		return r;
	r = reserve_aux(net_take, pool4, pool6, err);
	if (r < 0)
		return r;
	e = xnew0(struct network_entry);
	e->net = *net_take;
	*net_take = (struct network){0};
	e->pool4 = TAKE_PTR(pool4);
	e->pool6 = TAKE_PTR(pool6);
	xgrow(nm->entries, nm->n, nm->cap);
	nm->entries[nm->n++] = e;
	if (ret)
		*ret = e;
	return 0;
}

void network_entry_join(struct network_entry *e, const char *endpoint_id)
{
	xgrow(e->members, e->member_count, e->members_cap);
	(void)str_copy(e->members[e->member_count++].id, NETWORK_ID_SIZE, endpoint_id);
}

bool network_entry_leave(struct network_entry *e, const char *endpoint_id)
{
	for (size_t i = 0; i < e->member_count; i++) {
		if (strcmp(e->members[i].id, endpoint_id) == 0) {
			e->members[i] = e->members[--e->member_count];
			return true;
		}
	}
	return false;
}

/* --- creating ----------------------------------------------------------------------------- */

/* Docker's RestrictedNamePattern. */
static bool name_valid(const char *s)
{
	if (str_empty(s) || !isalnum((unsigned char)s[0]))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
			return false;
	return true;
}

/* dev_valid_name() of the kernel. */
static bool link_valid(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= NETWORK_LINK_SIZE || str_eq(s, ".") || str_eq(s, ".."))
		return false;
	for (; *s; s++)
		if (*s == '/' || *s == ':' || isspace((unsigned char)*s))
			return false;
	return true;
}

static int used_subnets(const struct network_manager *nm, struct subnet_list *used,
			struct error *err)
{
	for (size_t i = 0; i < nm->n; i++) {
		const struct network *n = &nm->entries[i]->net;

		if (netaddr_is_set(&n->ipv4.subnet.addr))
			subnet_list_add(used, &n->ipv4.subnet);
		if (netaddr_is_set(&n->ipv6.subnet.addr))
			subnet_list_add(used, &n->ipv6.subnet);
	}
	return subnet_list_host(used, err);
}

static int check_overlap(const struct network_manager *nm, const struct network_subnet *s,
			 struct error *err)
{
	for (size_t i = 0; i < nm->n; i++) {
		const struct network *n = &nm->entries[i]->net;
		const struct network_subnet *other =
			s->subnet.addr.family == AF_INET ? &n->ipv4 : &n->ipv6;

		if (netaddr_is_set(&other->subnet.addr) && netaddr_is_set(&s->subnet.addr) &&
		    netaddr_prefix_overlaps(&other->subnet, &s->subnet))
			return error_set(err, ERROR_FORBIDDEN, 0,
					 "Pool overlaps with other one on this address space");
	}
	return 0;
}

static bool has_pool(const struct network_manager *nm, int family)
{
	for (size_t i = 0; i < nm->pool_count; i++)
		if (nm->pools[i].base.addr.family == family)
			return true;
	return false;
}

static int choose_of_pools(const struct network_manager *nm, const struct subnet_list *used,
			   int family, struct netaddr_prefix *ret, struct error *err)
{
	for (size_t i = 0; i < nm->pool_count; i++)
		if (nm->pools[i].base.addr.family == family &&
		    subnet_choose_in(used, &nm->pools[i].base, nm->pools[i].size, ret))
			return 0;
	return error_set(err, ERROR_UNAVAILABLE, 0,
			 "all predefined address pools have been fully subnetted");
}

static int fill_subnets(const struct network_manager *nm, struct network *net, bool ipv6,
			uint8_t len, struct error *err)
{
	__attribute__((cleanup(subnet_list_done))) struct subnet_list used = {0};
	bool choose4 = !netaddr_is_set(&net->ipv4.subnet.addr);
	bool choose6 = ipv6 && !netaddr_is_set(&net->ipv6.subnet.addr);
	struct network_subnet *const both[] = {&net->ipv4, &net->ipv6};
	int r = 0;

	if (choose4 || choose6)
		r = used_subnets(nm, &used, err);
	if (r == 0 && choose4)
		r = has_pool(nm, AF_INET)
			    ? choose_of_pools(nm, &used, AF_INET, &net->ipv4.subnet, err)
			    : subnet_choose4(&used, len, &net->ipv4.subnet, err);
	if (r == 0 && choose6)
		r = has_pool(nm, AF_INET6)
			    ? choose_of_pools(nm, &used, AF_INET6, &net->ipv6.subnet, err)
			    : subnet_choose6(&used, net->id, &net->ipv6.subnet, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(both); i++) {
		r = check_overlap(nm, both[i], err);
		if (netaddr_is_set(&both[i]->subnet.addr) && !netaddr_is_set(&both[i]->gateway))
			both[i]->gateway = subnet_first(&both[i]->subnet);
	}
	return r;
}

static int check_request(const struct network_manager *nm, const struct network_request *q,
			 const struct network_driver *driver, struct error *err)
{
	if (str_empty(q->name))
		return error_set(err, ERROR_INVALID, 0, "invalid name: name is empty");
	if (!name_valid(q->name))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid network name '%s': only [a-zA-Z0-9][a-zA-Z0-9_.-]* are "
				 "allowed",
				 q->name ? q->name : "");
	for (size_t i = 0; i < nm->n; i++) {
		const struct network *other = &nm->entries[i]->net;

		if (strcmp(other->name, q->name) == 0)
			return error_set(err, ERROR_CONFLICT, 0,
					 "network with name %s already exists", q->name);
		if (driver->unique && other->driver == driver)
			return error_set(err, ERROR_FORBIDDEN, 0,
					 "only one instance of \"%s\" network is allowed",
					 driver->name);
		if (q->link && strcmp(other->link, q->link) == 0)
			return error_set(err, ERROR_CONFLICT, 0,
					 "network '%s' has the bridge '%s' already", other->name,
					 q->link);
	}
	if (q->link && !link_valid(q->link))
		return error_set(err, ERROR_INVALID, 0, "'%s' cannot name a link", q->link);
	if (q->mtu != 0 && (q->mtu < MTU_MIN || q->mtu > MTU_MAX))
		return error_set(err, ERROR_INVALID, 0, "MTU %u is not between %d and %d", q->mtu,
				 MTU_MIN, MTU_MAX);
	return 0;
}

/* Docker's own are not there yet; of others it would ask plugins. */
static int no_driver(const char *name, struct error *err)
{
	static const char *const known[] = {"overlay", "macvlan", "ipvlan"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(name, known[i]))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "network driver '%s'",
					 name);
	return error_set(err, ERROR_NOT_FOUND, 0, "plugin \"%s\" not found", name);
}

static int create(struct network_manager *nm, const struct network_request *q, uint8_t pool_len,
		  struct network **ret, struct error *err)
{
	const struct network_driver *driver = network_driver_find(q->driver ? q->driver : "bridge");
	__attribute__((cleanup(network_done))) struct network net = {0};
	struct network_entry *e;
	int r;

	if (!driver)
		return no_driver(q->driver, err);
	r = check_request(nm, q, driver, err);
	if (r < 0)
		return r;
	network_id_random(net.id);
	net.name = xstrdup(q->name);
	net.driver = driver;
	net.created_ns = clock_realtime_ns();
	net.internal = q->internal;
	net.attachable = q->attachable;
	net.ipam_options = q->ipam_options;
	net.host_binding4 = q->host_binding4;
	copy_pairs(&net.aux, q->aux);
	copy_pairs(&net.options, q->options);
	copy_pairs(&net.labels, q->labels);
	if (driver->has_addresses) {
		net.ipv4 = q->ipv4;
		net.ipv6 = q->ipv6;
		net.mtu = q->mtu ? q->mtu : DEFAULT_MTU;
		net.icc = !q->no_icc;
		net.masquerade = !q->no_masquerade;
		if (q->link)
			(void)str_copy(net.link, sizeof(net.link), q->link);
		else
			(void)snprintf(net.link, sizeof(net.link), "br-%.12s", net.id);
		r = fill_subnets(nm, &net, q->enable_ipv6 && nm->ipv6, pool_len, err);
		if (r < 0)
			return r;
	}
	r = network_entry_add(nm, &net, &e, err);
	if (r < 0)
		return r;
	*ret = &e->net;
	return 0;
}

int network_create(struct network_manager *nm, const struct network_request *request,
		   struct network **ret, struct error *err)
{
	int r;

	/* Silently less than what was asked for would be worse than an error. */
	if (request->enable_ipv6 && !nm->ipv6)
		return error_set(err, ERROR_INVALID, 0, "IPv6 is disabled on this host");
	r = create(nm, request, USER_POOL_LEN, ret, err);
	if (r >= 0)
		(*ret)->busy = true;
	return r;
}

int network_default_create(struct network_manager *nm, const char *name, struct network **ret,
			   struct error *err)
{
	struct network_request q = {.name = name};
	int r;

	if (strcmp(name, "bridge") == 0) {
		q.driver = "bridge";
		q.link = nm->link;
		q.enable_ipv6 = nm->ipv6;
		q.no_icc = !nm->icc;
		q.no_masquerade = !nm->masquerade;
		q.mtu = nm->mtu;
		q.host_binding4 = nm->host_ip;
		q.ipv4 = nm->bridge4;
		if (nm->ipv6)
			q.ipv6 = nm->bridge6;
	} else {
		q.driver = strcmp(name, "host") == 0 ? "host" : "null";
	}
	r = create(nm, &q, DEFAULT_POOL_LEN, ret, err);
	return r < 0 ? error_wrap(err, r, "create network '%s'", name) : 0;
}

static bool prefix_equal(const struct netaddr_prefix *a, const struct netaddr_prefix *b)
{
	return a->len == b->len && netaddr_equal(&a->addr, &b->addr);
}

static bool subnet_differs(const struct network_subnet *have, const struct network_subnet *want)
{
	if (!netaddr_is_set(&want->subnet.addr))
		return netaddr_is_set(&have->range.addr);
	return !prefix_equal(&have->subnet, &want->subnet) ||
	       !prefix_equal(&have->range, &want->range) ||
	       (netaddr_is_set(&want->gateway) && !netaddr_equal(&have->gateway, &want->gateway));
}

bool network_default_is_outdated(const struct network_manager *nm, const struct network *net)
{
	if (strcmp(net->name, "bridge") != 0)
		return false;
	return strcmp(net->link, nm->link) != 0 || net->mtu != nm->mtu || net->icc != nm->icc ||
	       net->masquerade != nm->masquerade ||
	       netaddr_is_set(&net->ipv6.subnet.addr) != nm->ipv6 ||
	       !netaddr_equal(&net->host_binding4, &nm->host_ip) ||
	       subnet_differs(&net->ipv4, &nm->bridge4) ||
	       (nm->ipv6 && subnet_differs(&net->ipv6, &nm->bridge6));
}

bool network_is_default(const struct network *net)
{
	for (size_t i = 0; i < ARRAY_SIZE(network_default_names); i++)
		if (strcmp(network_default_names[i], net->name) == 0)
			return true;
	return false;
}

bool network_has_names(const struct network *net)
{
	return net->driver->has_addresses && !network_is_default(net);
}

size_t network_members(const struct network_manager *nm, const struct network *net)
{
	const struct network_entry *e = network_entry_find(nm, net->id);

	return e ? e->member_count : 0;
}

static int forget(struct network_manager *nm, const struct network *net, struct error *err)
{
	for (size_t i = 0; i < nm->n; i++) {
		struct network_entry *e = nm->entries[i];

		if (&e->net != net)
			continue;
		if (e->member_count > 0)
			return error_set(err, ERROR_CONFLICT, 0, "network %s has active endpoints",
					 net->name);
		memmove(&nm->entries[i], &nm->entries[i + 1],
			(nm->n - i - 1) * sizeof(struct network_entry *));
		nm->n--;
		entry_free(e);
		return 0;
	}
	return error_set(err, ERROR_NOT_FOUND, 0, "network not found");
}

int network_remove(struct network_manager *nm, struct network *net, struct error *err)
{
	if (network_is_default(net))
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "%s is a pre-defined network and cannot be removed", net->name);
	return forget(nm, net, err);
}

int network_default_forget(struct network_manager *nm, struct network *net, struct error *err)
{
	int r = 0;

	if (network_members(nm, net) == 0)
		r = network_down(nm, net, err);
	return r < 0 ? r : forget(nm, net, err);
}

/* --- kernel side -------------------------------------------------------------------------- */

int network_up(const struct network_manager *nm, const struct network *net, struct error *err)
{
	int r = net->driver->up ? net->driver->up(nm, net, err) : 0;

	return r < 0 ? error_wrap(err, r, "set up network '%s'", net->name) : 0;
}

int network_down(const struct network_manager *nm, const struct network *net, struct error *err)
{
	int r = net->driver->down ? net->driver->down(nm, net, err) : 0;

	return r < 0 ? error_wrap(err, r, "take down network '%s'", net->name) : 0;
}

int network_cleanup(const struct network_manager *nm, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < nm->n; i++) {
		autoerror struct error one = {0};
		int ret = network_down(nm, &nm->entries[i]->net, &one);

		if (ret < 0 && r == 0)
			r = error_move(err, &one, ret);
	}
	r = r < 0 ? r : mld_remove(nm, err);
	return r < 0 ? r : table_remove(nm, err);
}
