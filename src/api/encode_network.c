/* A container's networks and ports. */
#include <string.h>

#include "api/encode.h"
#include "api/encode_priv.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "linux/netaddr.h"
#include "linux/portbind.h"
#include "network/network.h"
#include "network/ports.h"

bool encode_is_up(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;
}

const struct network_endpoint *encode_endpoint(const struct encode_args *a,
					       const struct container *c)
{
	const struct network *net = network_find(engine_network(a->engine), "bridge");

	return encode_is_up(c) && net ? endpoints_find(c, net->id) : NULL;
}

static void write_ipam(struct json_writer *w, const struct config_endpoint *asked)
{
	if (!asked || (!asked->ipv4 && !asked->ipv6)) {
		jw_knull(w, "IPAMConfig");
		return;
	}
	jw_kobject(w, "IPAMConfig");
	if (asked->ipv4)
		jw_kstring(w, "IPv4Address", asked->ipv4);
	if (asked->ipv6)
		jw_kstring(w, "IPv6Address", asked->ipv6);
	jw_object_end(w);
}

static void write_list(struct json_writer *w, const char *key, const struct json_strings *list)
{
	if (!list || list->n == 0) {
		jw_knull(w, key);
		return;
	}
	jw_karray(w, key);
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
	jw_array_end(w);
}

struct name_list {
	const char **v; /* owned, the strings are not */
	size_t n;
};

static void add_name(struct name_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return;
	if (*name)
		list->v[list->n++] = name;
}

/* What the container can be called on a network that answers for names, each once. */
static void write_dns_names(struct json_writer *w, const struct container *c,
			    const struct config_endpoint *asked)
{
	struct name_list list = {.v = xnew0n(const char *, asked->aliases.n + 3)};
	char id[13];

	(void)str_copy(id, sizeof(id), c->id); /* the first twelve digits */
	add_name(&list, c->name);
	for (size_t i = 0; i < asked->aliases.n; i++)
		add_name(&list, asked->aliases.v[i]);
	add_name(&list, id);
	add_name(&list, c->spec->config.hostname);
	jw_karray(w, "DNSNames");
	for (size_t i = 0; i < list.n; i++)
		jw_string(w, list.v[i]);
	jw_array_end(w);
	free((void *)list.v);
}

/* Before 1.45 the short id was among them. */
static void write_aliases(const struct encode_args *a, const struct container *c,
			  const struct config_endpoint *asked, bool names, struct json_writer *w)
{
	if (a->version >= 145 || !names) {
		write_list(w, "Aliases", &asked->aliases);
		return;
	}
	jw_karray(w, "Aliases");
	for (size_t i = 0; i < asked->aliases.n; i++)
		jw_string(w, asked->aliases.v[i]);
	jw_stringn(w, c->id, 12);
	jw_array_end(w);
}

void encode_addresses(struct json_writer *w, const struct network_endpoint *ep)
{
	static const struct network_endpoint none;
	char text[NETADDR_SIZE];

	if (!ep)
		ep = &none;
	jw_kstring(w, "EndpointID", ep->id);
	jw_kstring(w, "Gateway", netaddr_format(&ep->gateway4, text));
	jw_kstring(w, "IPAddress", netaddr_format(&ep->ipv4.addr, text));
	jw_kint(w, "IPPrefixLen", ep->ipv4.len);
	jw_kstring(w, "IPv6Gateway", netaddr_format(&ep->gateway6, text));
	jw_kstring(w, "GlobalIPv6Address", netaddr_format(&ep->ipv6.addr, text));
	jw_kint(w, "GlobalIPv6PrefixLen", ep->ipv6.len);
}

void encode_mac(struct json_writer *w, const struct network_endpoint *ep)
{
	static const uint8_t unset[6];
	char text[NETADDR_MAC_SIZE] = "";

	if (ep && memcmp(ep->mac, unset, sizeof(unset)) != 0)
		(void)netaddr_mac_format(ep->mac, text);
	jw_kstring(w, "MacAddress", text);
}

static void write_endpoint(const struct encode_args *a, const struct container *c,
			   const struct config_endpoint *asked, struct json_writer *w)
{
	const struct network *net = network_find_exact(engine_network(a->engine), asked->network);
	const struct network_endpoint *ep =
		net && encode_is_up(c) ? endpoints_find(c, net->id) : NULL;
	bool names = net && network_has_names(net);

	jw_kobject(w, asked->network);
	write_ipam(w, asked);
	write_list(w, "Links", &asked->links);
	write_aliases(a, c, asked, names, w);
	if (!ep && *asked->mac_address)
		jw_kstring(w, "MacAddress", asked->mac_address);
	else
		encode_mac(w, ep);
	jw_knull(w, "DriverOpts");
	if (a->version >= 148)
		jw_kint(w, "GwPriority", asked->gw_priority);
	jw_kstring(w, "NetworkID", net ? net->id : "");
	encode_addresses(w, ep);
	if (a->version >= 144) {
		if (names)
			write_dns_names(w, c, asked);
		else
			jw_knull(w, "DNSNames");
	}
	jw_object_end(w);
}

void encode_networks(const struct encode_args *a, const struct container *c, struct json_writer *w)
{
	jw_kobject(w, "Networks");
	for (size_t i = 0; i < c->spec->endpoint_count; i++)
		write_endpoint(a, c, &c->spec->endpoints[i], w);
	jw_object_end(w);
}

/* Published ports of all endpoints. */
struct port_view {
	struct port_binding *v; /* owned */
	size_t n;
};

static void port_view_done(struct port_view *p)
{
	free(p->v);
}

static struct port_view port_view(const struct container *c)
{
	struct port_view p = {0};
	size_t n = 0;

	for (size_t i = 0; encode_is_up(c) && i < c->endpoint_count; i++)
		n += c->endpoints[i]->port_count;
	p.v = xnew0n(struct port_binding, n + 1);
	for (size_t i = 0; n > 0 && i < c->endpoint_count; i++)
		for (size_t k = 0; k < c->endpoints[i]->port_count; k++)
			p.v[p.n++] = c->endpoints[i]->ports[k];
	return p;
}

static bool is_same_port(const struct port_binding *a, const struct port_binding *b)
{
	return a->proto == b->proto && a->container_port == b->container_port;
}

static bool is_published(const struct port_view *ep, uint16_t port, uint8_t proto)
{
	for (size_t i = 0; i < ep->n; i++)
		if (ep->v[i].container_port == port && ep->v[i].proto == proto)
			return true;
	return false;
}

typedef void (*unpublished_fn)(struct json_writer *w, uint16_t port, uint8_t proto);

/* Exposed by the image or by the create body, but not reachable from the host. */
static void each_unpublished(const struct container *c, const struct port_view *ep,
			     unpublished_fn fn, struct json_writer *w)
{
	const struct json *lists[] = {c->spec->config.exposed_ports, c->spec->host.port_bindings};
	uint16_t port;
	uint8_t proto;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		for (size_t i = 0; i < json_count(lists[l]); i++) {
			const char *key = json_key_at(lists[l], i);

			if (l == 1 && json_get(lists[0], key))
				continue;
			if (ports_key_parse(key, &port, &proto, NULL) == 0 &&
			    !is_published(ep, port, proto))
				fn(w, port, proto);
		}
	}
}

static void write_null_port(struct json_writer *w, uint16_t port, uint8_t proto)
{
	char key[16];

	ports_key_format(port, proto, key);
	jw_knull(w, key);
}

/* In the order in which they were asked for, the IPv4 addresses of a port before the IPv6 ones. */
void encode_port_map(const struct container *c, struct json_writer *w)
{
	__attribute__((cleanup(port_view_done))) struct port_view p = port_view(c);
	char key[16], ip[NETADDR_SIZE];

	jw_kobject(w, "Ports");
	for (size_t i = 0; i < p.n; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= is_same_port(&p.v[i], &p.v[j]);
		if (seen)
			continue;
		ports_key_format(p.v[i].container_port, p.v[i].proto, key);
		jw_karray(w, key);
		for (size_t j = i; j < p.n; j++) {
			if (!is_same_port(&p.v[i], &p.v[j]))
				continue;
			jw_object(w);
			jw_kstring(w, "HostIp", netaddr_format(&p.v[j].host, ip));
			jw_key(w, "HostPort");
			jw_stringf(w, "%u", (unsigned)p.v[j].host_port);
			jw_object_end(w);
		}
		jw_array_end(w);
	}
	if (encode_is_up(c) && c->endpoint_count > 0)
		each_unpublished(c, &p, write_null_port, w);
	jw_object_end(w);
}

static void write_private_port(struct json_writer *w, uint16_t port, uint8_t proto)
{
	jw_object(w);
	jw_kuint(w, "PrivatePort", port);
	jw_kstring(w, "Type", portbind_proto_name(proto));
	jw_object_end(w);
}

void encode_port_list(const struct container *c, struct json_writer *w)
{
	__attribute__((cleanup(port_view_done))) struct port_view p = port_view(c);
	char ip[NETADDR_SIZE];

	jw_karray(w, "Ports");
	for (size_t i = 0; i < p.n; i++) {
		jw_object(w);
		jw_kstring(w, "IP", netaddr_format(&p.v[i].host, ip));
		jw_kuint(w, "PrivatePort", p.v[i].container_port);
		jw_kuint(w, "PublicPort", p.v[i].host_port);
		jw_kstring(w, "Type", portbind_proto_name(p.v[i].proto));
		jw_object_end(w);
	}
	if (encode_is_up(c) && c->endpoint_count > 0)
		each_unpublished(c, &p, write_private_port, w);
	jw_array_end(w);
}
