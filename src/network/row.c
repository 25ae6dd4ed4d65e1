/* Networks and endpoints as JSON rows, for the engine's database. */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "network/network.h"
#include "network/network_priv.h"

void network_pairs_write(struct json_writer *w, const char *key, const struct network_pairs *p)
{
	jw_kobject(w, key);
	for (size_t i = 0; i < p->n; i++)
		jw_kstring(w, p->v[i].key, p->v[i].value);
	jw_object_end(w);
}

static void write_address(struct json_writer *w, const char *key, const struct netaddr *a)
{
	char text[NETADDR_SIZE];

	jw_kstring(w, key, netaddr_format(a, text));
}

static void write_prefix(struct json_writer *w, const char *key, const struct netaddr_prefix *p)
{
	char text[NETADDR_PREFIX_SIZE];

	jw_kstring(w, key, netaddr_prefix_format(p, text));
}

static void write_subnet(struct json_writer *w, const char *key, const struct network_subnet *s)
{
	jw_kobject(w, key);
	write_prefix(w, "subnet", &s->subnet);
	write_prefix(w, "range", &s->range);
	write_address(w, "gateway", &s->gateway);
	jw_object_end(w);
}

void network_encode(struct json_writer *w, const struct network *n)
{
	jw_object(w);
	jw_kstring(w, "id", n->id);
	jw_kstring(w, "name", n->name);
	jw_kstring(w, "driver", n->driver->name);
	write_subnet(w, "ipv4", &n->ipv4);
	write_subnet(w, "ipv6", &n->ipv6);
	jw_kstring(w, "link", n->link);
	jw_kuint(w, "mtu", n->mtu);
	jw_kint(w, "created", n->created_ns);
	jw_kbool(w, "internal", n->internal);
	jw_kbool(w, "icc", n->icc);
	jw_kbool(w, "masquerade", n->masquerade);
	jw_kbool(w, "attachable", n->attachable);
	jw_kbool(w, "ipam_options", n->ipam_options);
	write_address(w, "host_binding4", &n->host_binding4);
	network_pairs_write(w, "aux", &n->aux);
	network_pairs_write(w, "options", &n->options);
	network_pairs_write(w, "labels", &n->labels);
	jw_object_end(w);
}

/* Reading: the first thing that is wrong is remembered, so that a row reads as a list of fields. */
struct row {
	const struct json *v;
	const char *bad; /* the field */
};

static void read_string(struct row *row, const char *key, char *ret, size_t size)
{
	const char *s = json_get_string(row->v, key);

	if (!s || !str_copy(ret, size, s))
		row->bad = key;
}

static void read_id(struct row *row, const char *key, char ret[static NETWORK_ID_SIZE])
{
	read_string(row, key, ret, NETWORK_ID_SIZE);
	if (strlen(ret) != NETWORK_ID_SIZE - 1 || !str_is_hex(ret, NETWORK_ID_SIZE - 1))
		row->bad = key;
}

static void read_address(struct row *row, const char *key, struct netaddr *ret)
{
	const char *s = json_get_string(row->v, key);

	if (!s || (*s && netaddr_parse(s, ret) < 0))
		row->bad = key;
}

static void read_prefix(struct row *row, const char *key, struct netaddr_prefix *ret)
{
	const char *s = json_get_string(row->v, key);

	if (!s || (*s && netaddr_prefix_parse(s, ret) < 0))
		row->bad = key;
}

static void read_subnet(struct row *row, const char *key, struct network_subnet *ret)
{
	struct row sub = {.v = json_get(row->v, key)};

	read_prefix(&sub, "subnet", &ret->subnet);
	read_prefix(&sub, "range", &ret->range);
	read_address(&sub, "gateway", &ret->gateway);
	if (sub.bad)
		row->bad = key;
}

static void read_driver(struct row *row, const struct network_driver **ret)
{
	*ret = network_driver_find(json_get_string(row->v, "driver"));
	if (!*ret)
		row->bad = "driver";
}

static unsigned read_uint(struct row *row, const char *key, unsigned max)
{
	const struct json *v = json_get(row->v, key);

	if (!json_uint_fits(v) || json_uint(v) > max) {
		row->bad = key;
		return 0;
	}
	return (unsigned)json_uint(v);
}

static void read_pairs(const struct json *v, struct network_pairs *ret)
{
	const struct json *it;
	const char *key;

	json_object_foreach(key, it, v) {
		network_pairs_add(ret, key, json_string(it) ? json_string(it) : "");
	}
}

int network_decode(const struct json *v, struct network *ret, struct error *err)
{
	__attribute__((cleanup(network_done))) struct network n = {0};
	struct row row = {.v = v};

	read_id(&row, "id", n.id);
	read_driver(&row, &n.driver);
	read_subnet(&row, "ipv4", &n.ipv4);
	read_subnet(&row, "ipv6", &n.ipv6);
	read_string(&row, "link", n.link, sizeof(n.link));
	n.mtu = read_uint(&row, "mtu", UINT16_MAX);
	n.created_ns = json_get_int(v, "created");
	n.internal = json_get_bool(v, "internal");
	n.icc = json_get_bool(v, "icc");
	n.masquerade = json_get_bool(v, "masquerade");
	n.attachable = json_get_bool(v, "attachable");
	n.ipam_options = json_get_bool(v, "ipam_options");
	if (json_get(v, "host_binding4")) /* rows of earlier versions have none */
		read_address(&row, "host_binding4", &n.host_binding4);
	if (str_empty(json_get_string(v, "name")))
		row.bad = "name";
	if (row.bad)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "read network row: field '%s'",
				 row.bad);
	n.name = xstrdup(json_get_string(v, "name"));
	read_pairs(json_get(v, "aux"), &n.aux);
	read_pairs(json_get(v, "options"), &n.options);
	read_pairs(json_get(v, "labels"), &n.labels);
	*ret = n;
	n = (struct network){0};
	return 0;
}

static void write_port(struct json_writer *w, const struct port_binding *b)
{
	jw_object(w);
	jw_kstring(w, "proto", portbind_proto_name(b->proto));
	jw_kuint(w, "port", b->container_port);
	write_address(w, "host", &b->host);
	jw_kuint(w, "host_port", b->host_port);
	jw_kuint(w, "host_port_end", b->host_port_end);
	jw_kbool(w, "same_port", b->same_port);
	jw_object_end(w);
}

static int read_port(const struct json *v, struct port_binding *ret)
{
	struct row row = {.v = v};

	if (portbind_proto_parse(json_get_string(v, "proto"), &ret->proto) < 0)
		return -EBADMSG;
	ret->container_port = (uint16_t)read_uint(&row, "port", UINT16_MAX);
	read_address(&row, "host", &ret->host);
	ret->host_port = (uint16_t)read_uint(&row, "host_port", UINT16_MAX);
	ret->host_port_end = (uint16_t)read_uint(&row, "host_port_end", UINT16_MAX);
	ret->same_port = json_get_bool(v, "same_port");
	return row.bad ? -EBADMSG : 0;
}

void network_endpoint_encode(struct json_writer *w, const struct network_endpoint *ep)
{
	char mac[NETADDR_MAC_SIZE];

	jw_object(w);
	jw_kstring(w, "id", ep->id);
	jw_kstring(w, "network", ep->network_id);
	jw_kstring(w, "container", ep->container_id);
	jw_kstring(w, "driver", ep->driver->name);
	jw_kstring(w, "mac", netaddr_mac_format(ep->mac, mac));
	write_prefix(w, "ipv4", &ep->ipv4);
	write_prefix(w, "ipv6", &ep->ipv6);
	write_address(w, "gateway4", &ep->gateway4);
	write_address(w, "gateway6", &ep->gateway6);
	jw_kstring(w, "bridge", ep->bridge);
	jw_kstring(w, "host_link", ep->host_link);
	jw_kstring(w, "link", ep->link);
	jw_kuint(w, "mtu", ep->mtu);
	jw_kuint(w, "rate_rx", ep->rate_rx);
	jw_kuint(w, "rate_tx", ep->rate_tx);
	jw_kbool(w, "internal", ep->internal);
	jw_kbool(w, "isolated", ep->isolated);
	jw_kbool(w, "default4", ep->default4);
	jw_kbool(w, "default6", ep->default6);
	jw_kint(w, "gw_priority", ep->gw_priority);
	jw_karray(w, "ports");
	for (size_t i = 0; i < ep->port_count; i++)
		write_port(w, &ep->ports[i]);
	jw_array_end(w);
	jw_object_end(w);
}

static void read_ports(struct row *row, struct network_endpoint *ep)
{
	const struct json *ports = json_get(row->v, "ports");

	ep->port_count = json_count(ports);
	ep->ports = ep->port_count > 0 ? xnew0n(struct port_binding, ep->port_count) : NULL;
	for (size_t i = 0; i < ep->port_count; i++)
		if (read_port(json_at(ports, i), &ep->ports[i]) < 0)
			row->bad = "ports";
}

int network_endpoint_decode(const struct json *v, struct network_endpoint *ret, struct error *err)
{
	__attribute__((cleanup(network_endpoint_done))) struct network_endpoint ep = {0};
	struct row row = {.v = v};

	read_id(&row, "id", ep.id);
	read_id(&row, "network", ep.network_id);
	read_string(&row, "container", ep.container_id, sizeof(ep.container_id));
	read_driver(&row, &ep.driver);
	if (netaddr_mac_parse(json_get_string(v, "mac"), ep.mac) < 0)
		row.bad = "mac";
	read_prefix(&row, "ipv4", &ep.ipv4);
	read_prefix(&row, "ipv6", &ep.ipv6);
	read_address(&row, "gateway4", &ep.gateway4);
	read_address(&row, "gateway6", &ep.gateway6);
	read_string(&row, "bridge", ep.bridge, sizeof(ep.bridge));
	read_string(&row, "host_link", ep.host_link, sizeof(ep.host_link));
	read_string(&row, "link", ep.link, sizeof(ep.link));
	ep.mtu = read_uint(&row, "mtu", UINT16_MAX);
	ep.rate_rx = json_uint(json_get(v, "rate_rx"));
	ep.rate_tx = json_uint(json_get(v, "rate_tx"));
	ep.internal = json_get_bool(v, "internal");
	ep.isolated = json_get_bool(v, "isolated");
	ep.default4 = json_get(v, "default4") ? json_get_bool(v, "default4") : !ep.internal;
	ep.default6 = json_get(v, "default6") ? json_get_bool(v, "default6") : !ep.internal;
	ep.gw_priority = (int)json_get_int(v, "gw_priority");
	read_ports(&row, &ep);
	if (row.bad)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "read endpoint row: field '%s'",
				 row.bad);
	*ret = ep;
	ep = (struct network_endpoint){0};
	return 0;
}
