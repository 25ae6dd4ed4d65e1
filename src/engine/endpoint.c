/* engine/endpoint.c - a container's places in networks. */
#include "engine/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/resolver.h"

#define RELEASE_WAIT_S 30

/* ---- what was asked for ---------------------------------------------------------------------- */

void endpoints_normalize(struct engine *e, struct container_spec *s)
{
	const char *mode = s->host.network_mode;
	struct config_endpoint *all;
	size_t first;

	const struct network *of_mode;

	/* Later the beginning of an id may be that of another network. */
	of_mode = s->endpoints_settled ? network_find_exact(e->network, mode)
				       : network_find(e->network, mode);
	for (size_t i = 0; !s->endpoints_settled && i < s->endpoint_count; i++) {
		const struct network *net = network_find(e->network, s->endpoints[i].network);

		if (net && !str_eq(net->name, s->endpoints[i].network))
			s->endpoints[i].network = arena_strdup(s->arena, net->name);
	}
	if (config_mode_container(mode))
		return;
	if (of_mode)
		mode = of_mode->name;
	for (first = 0; first < s->endpoint_count; first++)
		if (str_eq(s->endpoints[first].network, mode))
			break;
	if (first == s->endpoint_count && s->endpoint_count > 0 && s->endpoints_settled)
		return; /* it was disconnected */
	all = arena_new0n(s->arena, struct config_endpoint, s->endpoint_count + 1);
	all[0] = (struct config_endpoint){.network = arena_strdup(s->arena, mode),
					  .mac_address = ""};
	for (size_t i = 0, n = 1; i < s->endpoint_count; i++)
		all[i == first ? 0 : n++] = s->endpoints[i];
	s->endpoint_count += first == s->endpoint_count;
	s->endpoints = all;
	s->endpoints_settled = true;
}

const struct config_endpoint *endpoints_config(struct engine *e, const struct container_spec *s,
					       const char *network_id)
{
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct network *net = network_find_exact(e->network, s->endpoints[i].network);

		if (net && str_eq(net->id, network_id))
			return &s->endpoints[i];
	}
	return NULL;
}

struct network_endpoint *endpoints_find(const struct container *c, const char *network_id)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (str_eq(c->endpoints[i]->network_id, network_id))
			return c->endpoints[i];
	return NULL;
}

bool endpoints_have_names(struct engine *e, const struct container *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct network *net = network_find(e->network, c->endpoints[i]->network_id);

		if (net && network_has_names(net))
			return true;
	}
	return false;
}

/* ---- leases [loop] --------------------------------------------------------------------------- */

static int parse_address(const char *text, sa_family_t family, struct netaddr *ret,
			 struct error *err)
{
	if (str_empty(text))
		return 0;
	if (netaddr_parse(text, ret) < 0 || ret->family != family)
		return error_set(err, ERROR_INVALID, 0, "invalid %s address: %s",
				 family == AF_INET ? "IPv4" : "IPv6", text);
	return 0;
}

static int check_wanted(const struct network *net, const struct config_endpoint *want,
			struct error *err)
{
	if (want->aliases.n > 0 && !network_has_names(net))
		return error_set(err, ERROR_INVALID, 0,
				 "network-scoped alias is supported only for containers in user "
				 "defined networks");
	return 0;
}

/* The lowest ethN that none of the container's links has. */
static void choose_link(const struct container *c, char ret[static NETWORK_LINK_SIZE])
{
	for (unsigned i = 0; i <= c->endpoint_count; i++) {
		bool taken = false;

		(void)snprintf(ret, NETWORK_LINK_SIZE, "eth%u", i);
		for (size_t k = 0; k < c->endpoint_count; k++)
			taken |= str_eq(c->endpoints[k]->link, ret);
		if (!taken)
			return;
	}
}

int endpoints_lease_one(struct engine *e, struct container *c, const struct config_endpoint *want,
			struct error *err)
{
	struct network *net = network_find_exact(e->network, want->network);
	char link[NETWORK_LINK_SIZE];
	struct network_endpoint_request request = {
		.container_id = c->id, .mac = want->mac_address, .link = link};
	struct network_endpoint *ep;
	int r;

	if (!net)
		return error_set(err, ERROR_NOT_FOUND, 0, "network %s not found", want->network);
	/* The container-wide MAC address is that of its first network. */
	if (str_empty(request.mac) && c->endpoint_count == 0)
		request.mac = c->spec->config.mac_address;
	request.gw_priority = want->gw_priority;
	choose_link(c, link);
	r = check_wanted(net, want, err);
	r = r < 0 ? r : parse_address(want->ipv4, AF_INET, &request.ipv4, err);
	r = r < 0 ? r : parse_address(want->ipv6, AF_INET6, &request.ipv6, err);
	if (r < 0)
		return r;
	ep = xnew0(struct network_endpoint);
	r = network_endpoint_prepare(e->network, net, &request, ep, err);
	if (r < 0) {
		free(ep);
		return r;
	}
	c->endpoints = xrealloc(c->endpoints, c->endpoint_count + 1, sizeof(*c->endpoints));
	c->endpoints[c->endpoint_count++] = ep;
	return 0;
}

int endpoints_lease(struct engine *e, struct container *c, struct error *err)
{
	int r = 0;

	endpoints_normalize(e, c->spec);
	container_drop_endpoints(c);
	for (size_t i = 0; r >= 0 && i < c->spec->endpoint_count; i++)
		r = endpoints_lease_one(e, c, &c->spec->endpoints[i], err);
	if (r < 0) {
		for (size_t i = 0; i < c->endpoint_count; i++)
			network_endpoint_release(e->network, c->endpoints[i]);
		container_drop_endpoints(c);
		return r;
	}
	(void)network_endpoints_choose_gateway(e->network, c->endpoints, c->endpoint_count);
	return 0;
}

struct network_endpoint *endpoints_take(struct container *c, struct network_endpoint *ep)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i] != ep)
			continue;
		c->endpoint_count--;
		memmove(&c->endpoints[i], &c->endpoints[i + 1],
			(c->endpoint_count - i) * sizeof(struct network_endpoint *));
		break;
	}
	return ep;
}

/* ---- ports [loop] ---------------------------------------------------------------------------- */

static const struct network_endpoint *gateway(const struct container *c, bool ipv6)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (ipv6 ? c->endpoints[i]->default6 : c->endpoints[i]->default4)
			return c->endpoints[i];
	return NULL;
}

static bool has_addresses(const struct container *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (netaddr_is_set(&c->endpoints[i]->ipv4.addr) ||
		    netaddr_is_set(&c->endpoints[i]->ipv6.addr))
			return true;
	return false;
}

struct port_options {
	const char *host_ip; /* for those without one; "" */
	bool with_ipv6;
};

static int add_bound(const struct host_config *h, const struct port_options *o,
		     struct port_bindings *ret, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < h->binding_count; i++) {
		const struct config_binding *b = &h->bindings[i];
		char name[32], ports[32];

		(void)snprintf(name, sizeof(name), "%u/%s", b->container.port, b->container.proto);
		(void)snprintf(ports, sizeof(ports),
			       b->host_port_end > b->host_port ? "%u-%u" : "%u", b->host_port,
			       b->host_port_end);
		r = ports_add(ret,
			      &(struct ports_spec){.key = name,
						   .host_ip = *b->host_ip ? b->host_ip : o->host_ip,
						   .host_port = ports,
						   .with_ipv6 = o->with_ipv6},
			      err);
	}
	return r;
}

static bool is_bound(const struct host_config *h, const char *key)
{
	for (size_t i = 0; i < h->binding_count; i++) {
		const struct config_port *p = &h->bindings[i].container;
		char name[32];

		(void)snprintf(name, sizeof(name), "%u/%s", p->port, p->proto);
		if (str_eq(name, key))
			return true;
	}
	return false;
}

int endpoints_ports(struct engine *e, const struct container *c, struct port_bindings *ret,
		    struct error *err)
{
	const struct container_spec *spec = c->spec;
	const struct json *exposed = spec->config.exposed_ports;
	const struct network_endpoint *gw = gateway(c, false);
	const struct network *net = gw ? network_find(e->network, gw->network_id) : NULL;
	struct port_options o = {.host_ip = "", .with_ipv6 = gateway(c, true) != NULL};
	char host_ip[NETADDR_SIZE];
	int r;

	/* Without a namespace of its own there is nothing to publish to. */
	if (!has_addresses(c))
		return 0;
	if (net && netaddr_is_set(&net->host_binding4))
		o.host_ip = netaddr_format(&net->host_binding4, host_ip);
	r = add_bound(&spec->host, &o, ret, err);
	for (size_t k = 0; r >= 0 && spec->host.publish_all_ports && k < json_count(exposed); k++)
		if (!is_bound(&spec->host, json_key_at(exposed, k)))
			r = ports_add(ret,
				      &(struct ports_spec){.key = json_key_at(exposed, k),
							   .host_ip = o.host_ip,
							   .with_ipv6 = o.with_ipv6},
				      err);
	return r < 0 ? r : ports_check(ret, err);
}

void endpoints_place_ports(struct container *c, const struct port_binding *ports, size_t n)
{
	const struct network_endpoint *gw[] = {gateway(c, false), gateway(c, true)};
	struct port_binding *mine = xnew0n(struct port_binding, n + 1);

	if (!gw[1])
		gw[1] = gw[0]; /* the shim relays */
	for (size_t i = 0; i < c->endpoint_count; i++) {
		size_t count = 0;

		for (size_t k = 0; k < n; k++)
			if (gw[ports[k].host.family == AF_INET6] == c->endpoints[i])
				mine[count++] = ports[k];
		network_endpoint_set_ports(c->endpoints[i], mine, count);
	}
	free(mine);
}

/* ---- the kernel's side [worker] --------------------------------------------------------------- */

struct find_call {
	struct engine *e;
	const char *network_id;
	const struct network *net;
};

static void find_on_loop(void *data)
{
	struct find_call *call = data;

	call->net = network_find(call->e->network, call->network_id);
}

static void default_is_up_on_loop(void *data)
{
	((struct engine *)data)->network_is_up = true;
}

/* The default bridge could not be made when the daemon started: now, perhaps. */
static int ensure_default(struct engine *e, const struct network_endpoint *ep, struct error *err)
{
	struct find_call call = {.e = e, .network_id = ep->network_id};
	int r;

	if (e->network_is_up)
		return 0;
	engine_call(e, find_on_loop, &call);
	/* A default network is there for the daemon's life. */
	if (!call.net || !network_is_default(call.net))
		return 0;
	r = network_up(e->network, call.net, err);
	if (r >= 0)
		engine_call(e, default_is_up_on_loop, e);
	return r;
}

int endpoints_attach(struct engine *e, struct container *c, int netns_fd,
		     const struct network_resolver *resolver, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->endpoint_count; i++) {
		r = ensure_default(e, c->endpoints[i], err);
		r = r < 0 ? r : network_endpoint_attach(e->network, c->endpoints[i], netns_fd, err);
	}
	if (r >= 0 && resolver)
		r = network_redirect_resolver(resolver, netns_fd, err);
	return r;
}

int endpoints_publish(struct engine *e, struct container *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->endpoint_count; i++)
		if (c->endpoints[i]->port_count > 0)
			r = network_endpoint_publish(e->network, c->endpoints[i], err);
	return r;
}

void endpoints_detach(struct engine *e, struct container *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		autoerror struct error err = {0};

		if (network_endpoint_detach(e->network, c->endpoints[i], &err) < 0)
			log_warn("detach container '%s': %s", c->id, error_msg(&err));
	}
}

/* ---- giving back ------------------------------------------------------------------------------ */

struct release_call {
	struct engine *e;
	struct network_endpoint *const *eps;
	size_t n;
};

static void release_on_loop(void *data)
{
	const struct release_call *call = data;

	for (size_t i = 0; i < call->n; i++)
		network_endpoint_release(call->e->network, call->eps[i]);
}

void endpoints_release(struct engine *e, struct network_endpoint *const *eps, size_t n)
{
	engine_call(e, release_on_loop, &(struct release_call){e, eps, n});
	(void)pthread_mutex_lock(&e->releases.lock);
	e->releases.count++;
	(void)pthread_cond_broadcast(&e->releases.changed);
	(void)pthread_mutex_unlock(&e->releases.lock);
}

struct members_call {
	struct engine *e;
	const struct network *net;
	size_t n;
};

static void members_on_loop(void *data)
{
	struct members_call *call = data;

	call->n = network_members(call->e->network, call->net);
}

int endpoints_await_release(struct engine *e, const struct network *net, struct error *err)
{
	struct members_call call = {.e = e, .net = net};
	struct timespec end;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += RELEASE_WAIT_S;
	while (r == 0) {
		uint64_t count;

		(void)pthread_mutex_lock(&e->releases.lock);
		count = e->releases.count;
		(void)pthread_mutex_unlock(&e->releases.lock);
		engine_call(e, members_on_loop, &call);
		if (call.n == 0)
			return 0;
		(void)pthread_mutex_lock(&e->releases.lock);
		while (r == 0 && e->releases.count == count)
			r = pthread_cond_clockwait(&e->releases.changed, &e->releases.lock,
						   CLOCK_MONOTONIC, &end);
		(void)pthread_mutex_unlock(&e->releases.lock);
	}
	return error_set(err, ERROR_FORBIDDEN, 0,
			 "error while removing network: network %s has active endpoints",
			 net->name);
}
