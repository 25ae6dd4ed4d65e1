/* engine/link.c - legacy links. */
#include "engine/link.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "network/ports.h"

void links_done(struct links *l)
{
	strv_done(&l->env);
	strv_done(&l->names);
	free(l->hosts);
	*l = (struct links){0};
}

void link_parse(const char *text, char **ret_ref, char **ret_alias)
{
	const char *colon = strchr(text, ':'), *slash;

	*ret_ref = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	/* As inspect shows it: "/db:/web/database". */
	slash = colon ? strrchr(colon, '/') : NULL;
	*ret_alias = xstrdup(slash ? slash + 1 : colon ? colon + 1 : *ret_ref + (**ret_ref == '/'));
}

int links_check(struct engine *e, const struct container_spec *s, struct error *err)
{
	for (size_t i = 0; i < s->host.links.n; i++) {
		autofree char *ref = NULL, *alias = NULL;
		struct container *other;

		link_parse(s->host.links.v[i], &ref, &alias);
		if (!*ref || !*alias || strpbrk(alias, " \t\r\n#"))
			return error_set(err, ERROR_INVALID, 0, "bad format for links: %s",
					 s->host.links.v[i]);
		if (roster_find(e, ref, &other, NULL) < 0)
			return error_set(err, ERROR_INVALID, 0,
					 "could not get container for %s: No such container: %s",
					 ref, ref);
	}
	return 0;
}

struct link_port {
	uint16_t port;
	uint8_t proto;
};

static int compare_ports(const void *a, const void *b)
{
	const struct link_port *x = a, *y = b;

	return x->port != y->port ? x->port - y->port : x->proto - y->proto;
}

static void add_ports(struct links *l, const char *prefix, const struct container *other,
		      const char *ip)
{
	const struct json *exposed = other->spec->config.exposed_ports;
	autofree struct link_port *ports = xnew0n(struct link_port, json_count(exposed) + 1);
	size_t n = 0;

	for (size_t i = 0; i < json_count(exposed); i++)
		if (ports_key_parse(json_key_at(exposed, i), &ports[n].port, &ports[n].proto,
				    NULL) >= 0)
			n++;
	qsort(ports, n, sizeof(*ports), compare_ports);
	for (size_t i = 0; i < n; i++) {
		const char *proto = portbind_proto_name(ports[i].proto);
		const char *upper = ports[i].proto == PORTBIND_TCP   ? "TCP"
				    : ports[i].proto == PORTBIND_UDP ? "UDP"
								     : "SCTP";
		autofree char *key = xasprintf("%s_PORT_%u_%s", prefix, ports[i].port, upper);

		if (i == 0)
			strv_addf(&l->env, "%s_PORT=%s://%s:%u", prefix, proto, ip, ports[i].port);
		strv_addf(&l->env, "%s=%s://%s:%u", key, proto, ip, ports[i].port);
		strv_addf(&l->env, "%s_ADDR=%s", key, ip);
		strv_addf(&l->env, "%s_PORT=%u", key, ports[i].port);
		strv_addf(&l->env, "%s_PROTO=%s", key, proto);
	}
}

static void add_env(struct links *l, const struct container *c, const struct container *other,
		    const char *alias, const char *ip)
{
	autofree char *prefix = xstrdup(alias);

	for (char *s = prefix; *s; s++)
		*s = *s == '-' ? '_' : (char)toupper((unsigned char)*s);
	add_ports(l, prefix, other, ip);
	strv_addf(&l->env, "%s_NAME=/%s/%s", prefix, c->name, alias);
	for (size_t i = 0; i < other->spec->config.env.n; i++) {
		const char *item = other->spec->config.env.v[i];

		if (!str_has_prefix(item, "HOME=") && !str_has_prefix(item, "PATH="))
			strv_addf(&l->env, "%s_ENV_%s", prefix, item);
	}
}

/* Its line in hosts: the alias, and what else it is called. */
static void add_host(struct links *l, const struct container *other, const char *alias,
		     const struct netaddr *a)
{
	const char *hostname = other->spec->config.hostname;

	strv_addf(&l->names, "%s %s%s%s", alias, hostname, str_eq(alias, other->name) ? "" : " ",
		  str_eq(alias, other->name) ? "" : other->name);
	l->hosts = xrealloc(l->hosts, l->n + 1, sizeof(*l->hosts));
	l->hosts[l->n] = (struct files_link){.addr = *a, .names = l->names.v[l->n]};
	l->n++;
}

int links_collect(struct engine *e, const struct container *c, struct links *ret, struct error *err)
{
	const struct network *bridge = network_find(e->network, "bridge");

	/* On the others names do it. */
	if (!bridge || !endpoints_find(c, bridge->id))
		return 0;
	for (size_t i = 0; i < c->spec->host.links.n; i++) {
		autofree char *ref = NULL, *alias = NULL;
		const struct network_endpoint *ep;
		struct container *other;
		char ip[NETADDR_SIZE];
		int r;

		link_parse(c->spec->host.links.v[i], &ref, &alias);
		r = roster_find(e, ref, &other, err);
		if (r < 0)
			return r;
		ep = endpoints_find(other, bridge->id);
		if (!container_is_active(other) || !ep)
			return error_set(err, ERROR_CONFLICT, 0,
					 "Cannot link to a non running container: /%s AS /%s/%s",
					 other->name, c->name, alias);
		add_env(ret, c, other, alias, netaddr_format(&ep->ipv4.addr, ip));
		add_host(ret, other, alias, &ep->ipv4.addr);
	}
	return 0;
}
