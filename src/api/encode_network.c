/* A container's networks and ports. */
#include <stdio.h>
#include <string.h>

#include "api/encode.h"
#include "api/encode_priv.h"
#include "engine/engine.h"
#include "linux/netaddr.h"
#include "linux/portbind.h"
#include "network/network.h"
#include "network/ports.h"

bool encode_is_up(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;
}

const struct network_endpoint *encode_endpoint(const struct container *c)
{
	return encode_is_up(c) && c->endpoint_count > 0 ? c->endpoints[0] : NULL;
}

/* What the CLI and inspect call one of the networks. */
static const char *mode_network(const struct container *c)
{
	const char *mode = c->spec->host.network_mode;

	if (config_mode_container(mode))
		return NULL;
	return *mode == '\0' || strcmp(mode, "default") == 0 ? "bridge" : mode;
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

static void write_aliases(struct json_writer *w, const struct config_endpoint *asked)
{
	if (!asked || asked->aliases.n == 0) {
		jw_knull(w, "Aliases");
		return;
	}
	jw_karray(w, "Aliases");
	for (size_t i = 0; i < asked->aliases.n; i++)
		jw_string(w, asked->aliases.v[i]);
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

static void write_endpoint(const struct encode_args *a, const struct container *c, const char *name,
			   const struct network_endpoint *ep, struct json_writer *w)
{
	const struct network *net =
		network_find(engine_network(a->engine), ep ? ep->network_id : name);
	const struct config_endpoint *asked = NULL;

	for (size_t i = 0; i < c->spec->endpoint_count; i++)
		if (strcmp(c->spec->endpoints[i].network, name) == 0)
			asked = &c->spec->endpoints[i];
	jw_kobject(w, name);
	write_ipam(w, asked);
	jw_knull(w, "Links");
	write_aliases(w, asked);
	encode_mac(w, ep);
	jw_knull(w, "DriverOpts");
	if (a->version >= 148)
		jw_kint(w, "GwPriority", 0);
	jw_kstring(w, "NetworkID", net ? net->id : "");
	encode_addresses(w, ep);
	if (a->version >= 144)
		jw_knull(w, "DNSNames");
	jw_object_end(w);
}

void encode_networks(const struct encode_args *a, const struct container *c, struct json_writer *w)
{
	const char *mode = mode_network(c);

	jw_kobject(w, "Networks");
	if (encode_is_up(c) && c->endpoint_count > 0) {
		for (size_t i = 0; i < c->endpoint_count; i++) {
			const struct network *net = network_find(engine_network(a->engine),
								 c->endpoints[i]->network_id);

			write_endpoint(a, c, net ? net->name : "bridge", c->endpoints[i], w);
		}
	} else if (mode) {
		write_endpoint(a, c, mode, NULL, w);
	}
	jw_object_end(w);
}

static bool is_same_port(const struct port_binding *a, const struct port_binding *b)
{
	return a->proto == b->proto && a->container_port == b->container_port;
}

static bool is_published(const struct network_endpoint *ep, uint16_t port, uint8_t proto)
{
	for (size_t i = 0; i < ep->port_count; i++)
		if (ep->ports[i].container_port == port && ep->ports[i].proto == proto)
			return true;
	return false;
}

typedef void (*unpublished_fn)(struct json_writer *w, uint16_t port, uint8_t proto);

/* Exposed by the image or by the create body, but not reachable from the host. */
static void each_unpublished(const struct container *c, const struct network_endpoint *ep,
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

void encode_port_map(const struct container *c, struct json_writer *w)
{
	const struct network_endpoint *ep = encode_endpoint(c);
	char key[16], ip[NETADDR_SIZE];

	jw_kobject(w, "Ports");
	for (size_t i = 0; ep && i < ep->port_count; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= is_same_port(&ep->ports[i], &ep->ports[j]);
		if (seen)
			continue;
		ports_key_format(ep->ports[i].container_port, ep->ports[i].proto, key);
		jw_karray(w, key);
		for (size_t j = i; j < ep->port_count; j++) {
			if (!is_same_port(&ep->ports[i], &ep->ports[j]))
				continue;
			jw_object(w);
			jw_kstring(w, "HostIp", netaddr_format(&ep->ports[j].host, ip));
			jw_key(w, "HostPort");
			jw_stringf(w, "%u", (unsigned)ep->ports[j].host_port);
			jw_object_end(w);
		}
		jw_array_end(w);
	}
	if (ep)
		each_unpublished(c, ep, write_null_port, w);
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
	const struct network_endpoint *ep = encode_endpoint(c);
	char ip[NETADDR_SIZE];

	jw_karray(w, "Ports");
	for (size_t i = 0; ep && i < ep->port_count; i++) {
		jw_object(w);
		jw_kstring(w, "IP", netaddr_format(&ep->ports[i].host, ip));
		jw_kuint(w, "PrivatePort", ep->ports[i].container_port);
		jw_kuint(w, "PublicPort", ep->ports[i].host_port);
		jw_kstring(w, "Type", portbind_proto_name(ep->ports[i].proto));
		jw_object_end(w);
	}
	if (ep)
		each_unpublished(c, ep, write_private_port, w);
	jw_array_end(w);
}
