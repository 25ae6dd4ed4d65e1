/* Published host ports, from the configuration's entries to sockets and relays. */
#include "shim/ports.h"

#include "base/arena.h"
#include "base/error.h"
#include "linux/portbind.h"
#include "shim/relay.h"

struct ports {
	struct arena *arena; /* of the strings and arrays */
	size_t n;
	struct shim_port *list;
	struct portbind_socket *sockets;
	struct relay **relays; /* NULL where none is needed */
};

static int convert(const struct shim_port *p, size_t i, struct port_binding *ret, struct error *err)
{
	struct port_binding b = {.container_port = (uint16_t)p->container_port,
				 .host_port = (uint16_t)p->host_port,
				 .host_port_end = (uint16_t)p->host_port_end};

	if (portbind_proto_parse(p->proto, &b.proto) < 0)
		return error_set(err, ERROR_INVALID, 0, "Ports[%zu].Proto: '%s'", i, p->proto);
	if (netaddr_parse(p->host_ip, &b.host) < 0)
		return error_set(err, ERROR_INVALID, 0, "Ports[%zu].HostIp: '%s'", i, p->host_ip);
	*ret = b;
	return 0;
}

int ports_reserve(const struct shim_config *config, struct ports **ret, struct error *err)
{
	const struct shim_port *want = config->ports.v;
	struct port_binding *bindings;
	struct ports *p;
	int r = 0;

	if (config->ports.n == 0) {
		*ret = NULL;
		return 0;
	}
	p = xnew0(struct ports);
	p->arena = arena_new();
	p->list = arena_new0n(p->arena, struct shim_port, config->ports.n);
	p->sockets = arena_new0n(p->arena, struct portbind_socket, config->ports.n);
	p->relays = arena_new0n(p->arena, struct relay *, config->ports.n);
	bindings = xnew0n(struct port_binding, config->ports.n);
	for (size_t i = 0; i < config->ports.n && r == 0; i++) {
		r = convert(&want[i], i, &bindings[i], err);
		bindings[i].same_port =
			i > 0 && want[i].group == want[i - 1].group && want[i].group != 0;
	}
	if (r == 0)
		r = portbind_reserve(bindings, config->ports.n, p->sockets, err);
	if (r == 0)
		p->n = config->ports.n;
	for (size_t i = 0; i < p->n; i++) {
		p->list[i] = want[i];
		p->list[i].proto = arena_strdup(p->arena, want[i].proto);
		p->list[i].host_ip = arena_strdup(p->arena, want[i].host_ip);
		if (want[i].container_ip)
			p->list[i].container_ip = arena_strdup(p->arena, want[i].container_ip);
		p->list[i].host_port = bindings[i].host_port;
		p->list[i].host_port_end = 0;
	}
	free(bindings);
	if (r < 0) {
		ports_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ports_write(const struct ports *p, struct json_writer *w)
{
	jw_karray(w, "ports");
	for (size_t i = 0; p && i < p->n; i++)
		shim_port_write(w, &p->list[i]);
	jw_array_end(w);
}

int ports_serve(struct ports *p, struct loop *loop, struct error *err)
{
	for (size_t i = 0; p && i < p->n; i++) {
		struct netaddr to;
		int r;

		if (!p->sockets[i].relay || p->relays[i] || !p->list[i].container_ip)
			continue;
		if (netaddr_parse(p->list[i].container_ip, &to) < 0)
			return error_set(err, ERROR_INVALID, 0, "Ports[%zu].ContainerIp: '%s'", i,
					 p->list[i].container_ip);
		r = relay_new(loop, p->sockets[i].fd, str_eq(p->list[i].proto, "udp"), &to,
			      (uint16_t)p->list[i].container_port, &p->relays[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int ports_retarget(struct ports *p, const char *ipv4, const char *ipv6, struct error *err)
{
	struct netaddr a4 = {0}, a6 = {0};

	if ((!str_empty(ipv4) && netaddr_parse(ipv4, &a4) < 0) ||
	    (!str_empty(ipv6) && netaddr_parse(ipv6, &a6) < 0))
		return error_set(err, ERROR_INVALID, 0, "retarget: not an address");
	for (size_t i = 0; p && i < p->n; i++) {
		const struct netaddr *to = netaddr_is_set(&a6) ? &a6 : &a4;

		if (p->relays[i] && netaddr_is_set(to))
			relay_retarget(p->relays[i], to, (uint16_t)p->list[i].container_port);
	}
	return 0;
}

struct ports *ports_free(struct ports *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		p->relays[i] = relay_free(p->relays[i]);
	portbind_release(p->sockets, p->n);
	p->arena = arena_free(p->arena);
	free(p);
	return NULL;
}
