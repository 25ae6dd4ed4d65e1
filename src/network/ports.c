/* Port bindings as the API writes them. */
#include "network/ports.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

void port_bindings_done(struct port_bindings *b)
{
	free(b->v);
	*b = (struct port_bindings){0};
}

static int parse_port(const char *s, uint16_t *ret)
{
	uint32_t v;

	if (str_parse_u32(s, &v) < 0 || v > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)v;
	return 0;
}

int ports_key_parse(const char *key, uint16_t *ret_port, uint8_t *ret_proto, struct error *err)
{
	const char *slash = strchr(key, '/');
	const char *proto_name = slash ? slash + 1 : "tcp";
	uint8_t proto;
	uint16_t port;
	autofree char *number = xstrndup(key, slash ? (size_t)(slash - key) : strlen(key));

	if (portbind_proto_parse(proto_name, &proto) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid port '%s': unknown protocol '%s'",
				 key, proto_name);
	if (parse_port(number, &port) < 0 || port == 0)
		return error_set(err, ERROR_INVALID, 0, "invalid port '%s'", key);
	*ret_port = port;
	*ret_proto = proto;
	return 0;
}

void ports_key_format(uint16_t port, uint8_t proto, char ret[static 16])
{
	(void)snprintf(ret, 16, "%u/%s", (unsigned)port, portbind_proto_name(proto));
}

/* "", "8080" or "8000-8010". */
static int parse_range(const char *s, uint16_t *ret_first, uint16_t *ret_last)
{
	const char *dash = s ? strchr(s, '-') : NULL;
	autofree char *first = NULL;

	*ret_first = *ret_last = 0;
	if (str_empty(s))
		return 0;
	if (!dash)
		return parse_port(s, ret_first);
	first = xstrndup(s, (size_t)(dash - s));
	if (parse_port(first, ret_first) < 0 || parse_port(dash + 1, ret_last) < 0 ||
	    *ret_first == 0 || *ret_last < *ret_first)
		return -EINVAL;
	return 0;
}

static void append(struct port_bindings *b, const struct port_binding *one)
{
	xgrow(b->v, b->n, b->cap);
	b->v[b->n++] = *one;
}

int ports_add(struct port_bindings *b, const struct ports_spec *spec, struct error *err)
{
	struct port_binding one = {0};
	int r = ports_key_parse(spec->key, &one.container_port, &one.proto, err);

	if (r < 0)
		return r;
	if (parse_range(spec->host_port, &one.host_port, &one.host_port_end) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid host port '%s' for port '%s'",
				 spec->host_port, spec->key);
	if (!str_empty(spec->host_ip)) {
		if (netaddr_parse(spec->host_ip, &one.host) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid host address '%s'",
					 spec->host_ip);
		if (one.host.family == AF_INET6 && !spec->with_ipv6)
			return error_set(
				err, ERROR_INVALID, 0,
				"cannot publish port '%s' on '%s': the network has no IPv6",
				spec->key, spec->host_ip);
		append(b, &one);
		return 0;
	}
	one.host.family = AF_INET;
	append(b, &one);
	if (spec->with_ipv6) {
		one.host.family = AF_INET6;
		one.same_port = true;
		append(b, &one);
	}
	return 0;
}

static bool ranges_meet(const struct port_binding *a, const struct port_binding *b)
{
	/* The kernel's choice and ranges avoid what is taken; two fixed ports cannot. */
	if (a->host_port == 0 || b->host_port == 0 || a->host_port_end > a->host_port ||
	    b->host_port_end > b->host_port)
		return false;
	return a->host_port == b->host_port;
}

static bool hosts_meet(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family &&
	       (netaddr_is_any(a) || netaddr_is_any(b) || netaddr_equal(a, b));
}

int ports_check(const struct port_bindings *b, struct error *err)
{
	char addr[NETADDR_SIZE];

	for (size_t i = 0; i < b->n; i++) {
		for (size_t j = i + 1; j < b->n; j++) {
			if (b->v[i].proto != b->v[j].proto ||
			    !hosts_meet(&b->v[i].host, &b->v[j].host) ||
			    !ranges_meet(&b->v[i], &b->v[j]))
				continue;
			return error_set(
				err, ERROR_INVALID, 0, "host port %u/%s on '%s' is published twice",
				(unsigned)b->v[j].host_port, portbind_proto_name(b->v[j].proto),
				netaddr_format(&b->v[j].host, addr));
		}
	}
	return 0;
}
