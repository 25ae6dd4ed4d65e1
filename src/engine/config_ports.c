/* ExposedPorts and PortBindings: the grammar of "80/tcp" and of host ports. */
#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"
#include "engine/config_priv.h"

static const char *const protocols[] = {"tcp", "udp", "sctp"};

/* "80", "80-90", each 1..65535 (0 too where an empty host port may be written so). */
static int parse_range(struct arena *a, const char *text, uint16_t *ret_start, uint16_t *ret_end)
{
	const char *dash = strchr(text, '-');
	uint32_t start, end;

	if (str_parse_u32(dash ? arena_strndup(a, text, (size_t)(dash - text)) : text, &start) < 0)
		return -EINVAL;
	end = start;
	if (dash && str_parse_u32(dash + 1, &end) < 0)
		return -EINVAL;
	if (start > UINT16_MAX || end > UINT16_MAX || end < start)
		return -EINVAL;
	*ret_start = (uint16_t)start;
	*ret_end = (uint16_t)end;
	return 0;
}

/* "80/tcp" into number and protocol; ranges only where `ret_end` is given. */
static int parse_key(struct arena *a, const char *key, struct config_port *ret, uint16_t *ret_end,
		     struct error *err)
{
	const char *slash = strchr(key, '/');
	const char *number = slash ? arena_strndup(a, key, (size_t)(slash - key)) : key;
	const char *proto = slash && slash[1] ? slash + 1 : "tcp";
	uint16_t end;

	ret->proto = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcasecmp(proto, protocols[i]) == 0)
			ret->proto = protocols[i];
	if (!ret->proto)
		return error_set(err, ERROR_INVALID, 0, "invalid port specification: \"%s\"", key);
	if (parse_range(a, number, &ret->port, &end) < 0 || (!ret_end && end != ret->port))
		return error_set(err, ERROR_INVALID, 0, "invalid port specification: \"%s\"",
				 number);
	if (ret_end)
		*ret_end = end;
	return 0;
}

static bool is_address(const char *s)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, buf) == 1 || inet_pton(AF_INET6, s, buf) == 1;
}

static int add_binding(struct container_spec *s, const struct config_port *port,
		       const struct json *v, struct error *err)
{
	struct config_binding *b = &s->host.bindings[s->host.binding_count];
	const char *host_port = json_get_string(v, "HostPort");

	if (!json_is_null(v) && json_type(v) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "HostConfig.PortBindings: expected an object");
	b->container = *port;
	b->host_ip = json_get_string(v, "HostIp");
	if (!b->host_ip)
		b->host_ip = "";
	if (*b->host_ip && !is_address(b->host_ip))
		return error_set(err, ERROR_INVALID, 0, "invalid IP address: %s", b->host_ip);
	if (!str_empty(host_port) &&
	    parse_range(s->arena, host_port, &b->host_port, &b->host_port_end) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid port specification: \"%s\"",
				 host_port);
	s->host.binding_count++;
	return 0;
}

int config_ports_parse(struct container_spec *s, struct error *err)
{
	const struct json *v, *entry;
	const char *key;
	size_t n = 0;

	json_object_foreach(key, v, s->config.exposed_ports) {
		struct config_port port;
		uint16_t end;
		int r = parse_key(s->arena, key, &port, &end, err);

		if (r < 0)
			return r;
	}
	json_object_foreach(key, v, s->host.port_bindings) {
		if (!json_is_null(v) && json_type(v) != JSON_ARRAY)
			return error_set(err, ERROR_INVALID, 0,
					 "HostConfig.PortBindings.%s: expected an array", key);
		n += json_count(v);
	}
	s->host.binding_count = 0;
	s->host.bindings = n ? arena_new0n(s->arena, struct config_binding, n) : NULL;
	json_object_foreach(key, v, s->host.port_bindings) {
		struct config_port port;
		int r = parse_key(s->arena, key, &port, NULL, err);

		/* A key without entries only exposes the port, as in Docker. */
		if (r < 0)
			return r;
		json_array_foreach(entry, v) {
			r = add_binding(s, &port, entry, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
