/* Networks: list and inspect. */
#include "api/networks.h"

#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/units.h"
#include "engine/network.h"
#include "linux/netaddr.h"
#include "network/network.h"

static void write_aux(struct json_writer *w, const struct network *n, sa_family_t family)
{
	bool any = false;

	for (size_t i = 0; i < n->aux.n; i++) {
		struct netaddr a;

		if (netaddr_parse(n->aux.v[i].value, &a) < 0 || a.family != family)
			continue;
		if (!any)
			jw_kobject(w, "AuxiliaryAddresses");
		any = true;
		jw_kstring(w, n->aux.v[i].key, n->aux.v[i].value);
	}
	if (any)
		jw_object_end(w);
}

static void write_subnet(struct json_writer *w, const struct network *n,
			 const struct network_subnet *s)
{
	char prefix[NETADDR_PREFIX_SIZE], gateway[NETADDR_SIZE];

	if (!netaddr_is_set(&s->subnet.addr))
		return;
	jw_object(w);
	jw_kstring(w, "Subnet", netaddr_prefix_format(&s->subnet, prefix));
	if (netaddr_is_set(&s->range.addr))
		jw_kstring(w, "IPRange", netaddr_prefix_format(&s->range, prefix));
	if (netaddr_is_set(&s->gateway))
		jw_kstring(w, "Gateway", netaddr_format(&s->gateway, gateway));
	write_aux(w, n, s->subnet.addr.family);
	jw_object_end(w);
}

static void write_ipam(struct json_writer *w, const struct network *n)
{
	jw_kobject(w, "IPAM");
	jw_kstring(w, "Driver", "default");
	if (n->ipam_options) {
		jw_kobject(w, "Options");
		jw_object_end(w);
	} else {
		jw_knull(w, "Options");
	}
	if (!netaddr_is_set(&n->ipv4.subnet.addr) && !netaddr_is_set(&n->ipv6.subnet.addr)) {
		jw_knull(w, "Config");
	} else {
		jw_karray(w, "Config");
		write_subnet(w, n, &n->ipv4);
		write_subnet(w, n, &n->ipv6);
		jw_array_end(w);
	}
	jw_object_end(w);
}

static void write_containers(struct engine *e, const struct network *n, struct json_writer *w)
{
	size_t count;
	struct container *const *list = engine_containers(e, &count);
	char text[NETADDR_PREFIX_SIZE], mac[NETADDR_MAC_SIZE];

	for (size_t i = 0; i < count; i++) {
		if (list[i]->state.status != CONTAINER_RUNNING &&
		    list[i]->state.status != CONTAINER_PAUSED)
			continue;
		for (size_t j = 0; j < list[i]->endpoint_count; j++) {
			const struct network_endpoint *ep = list[i]->endpoints[j];

			if (strcmp(ep->network_id, n->id) != 0)
				continue;
			jw_kobject(w, list[i]->id);
			jw_kstring(w, "Name", list[i]->name);
			jw_kstring(w, "EndpointID", ep->id);
			jw_kstring(w, "MacAddress", netaddr_mac_format(ep->mac, mac));
			jw_kstring(w, "IPv4Address", netaddr_prefix_format(&ep->ipv4, text));
			jw_kstring(w, "IPv6Address", netaddr_prefix_format(&ep->ipv6, text));
			jw_object_end(w);
		}
	}
}

static const char *driver_name(const struct network *n)
{
	const char *name = network_driver_name(n->driver);

	return strcmp(name, "none") == 0 ? "null" : name; /* Docker's name for it */
}

/* The default bridge's, which nobody gave it: tools read its name and MTU there. */
static void write_default_options(struct json_writer *w, const struct network *n)
{
	char address[NETADDR_SIZE];

	jw_kobject(w, "Options");
	jw_kstring(w, "com.docker.network.bridge.default_bridge", "true");
	jw_kstring(w, "com.docker.network.bridge.enable_icc", n->icc ? "true" : "false");
	jw_kstring(w, "com.docker.network.bridge.enable_ip_masquerade",
		   n->masquerade ? "true" : "false");
	jw_kstring(w, "com.docker.network.bridge.host_binding_ipv4",
		   netaddr_is_set(&n->host_binding4) ? netaddr_format(&n->host_binding4, address)
						     : "0.0.0.0");
	jw_kstring(w, "com.docker.network.bridge.name", n->link);
	jw_key(w, "com.docker.network.driver.mtu");
	jw_stringf(w, "%u", n->mtu);
	jw_object_end(w);
}

static void write_network(struct api_call *c, const struct network *n, bool with_containers,
			  struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Name", n->name);
	jw_kstring(w, "Id", n->id);
	encode_time(w, "Created", n->created_ns);
	jw_kstring(w, "Scope", "local");
	jw_kstring(w, "Driver", driver_name(n));
	if (c->version >= 148)
		jw_kbool(w, "EnableIPv4", true);
	jw_kbool(w, "EnableIPv6", netaddr_is_set(&n->ipv6.subnet.addr));
	write_ipam(w, n);
	jw_kbool(w, "Internal", n->internal);
	jw_kbool(w, "Attachable", n->attachable);
	jw_kbool(w, "Ingress", false);
	jw_kobject(w, "ConfigFrom");
	jw_kstring(w, "Network", "");
	jw_object_end(w);
	jw_kbool(w, "ConfigOnly", false);
	jw_kobject(w, "Containers");
	if (with_containers)
		write_containers(c->engine, n, w);
	jw_object_end(w);
	if (network_is_default(n) && str_eq(driver_name(n), "bridge"))
		write_default_options(w, n);
	else
		network_pairs_write(w, "Options", &n->options);
	network_pairs_write(w, "Labels", &n->labels);
	jw_object_end(w);
}

bool network_has_label(const struct network *n, const char *want)
{
	size_t len = strcspn(want, "=");

	for (size_t i = 0; i < n->labels.n; i++) {
		const struct network_pair *p = &n->labels.v[i];

		if (strlen(p->key) == len && memcmp(p->key, want, len) == 0)
			return want[len] == '\0' || strcmp(p->value, want + len + 1) == 0;
	}
	return false;
}

static bool is_shown(struct api_call *c, const struct filters *f, const struct network *n,
		     const bool *dangling)
{
	const struct filter *labels = filters_get(f, "label");

	for (size_t i = 0; labels && i < labels->n; i++)
		if (!network_has_label(n, labels->values[i]))
			return false;
	if (dangling &&
	    *dangling != (!network_is_default(n) && !engine_network_in_use(c->engine, n)))
		return false;
	return filters_match(f, "driver", driver_name(n)) && filters_match(f, "scope", "local") &&
	       filters_match_prefix(f, "id", n->id) && filters_match_pattern(f, "name", n->name) &&
	       filters_match(f, "type", network_is_default(n) ? "builtin" : "custom");
}

static int check_list_filters(const struct filters *f, bool *ret_dangling, struct error *err)
{
	const struct filter *type = filters_get(f, "type");

	if (filters_bool(f, "dangling", false, ret_dangling, NULL) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid value for filter 'dangling', must be \"true\" (or "
				 "\"1\"), or \"false\" (or \"0\")");
	for (size_t i = 0; type && i < type->n; i++)
		if (!str_eq(type->values[i], "builtin") && !str_eq(type->values[i], "custom"))
			return error_set(err, ERROR_INVALID, 0, "invalid filter: 'type'='%s'",
					 type->values[i]);
	return 0;
}

int networks_list(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"dangling", "driver", "id",   "label",
					   "name",     "scope",  "type", NULL};
	const struct network_manager *nm = engine_network(c->engine);
	autojson struct api_json j = {0};
	struct filters f;
	bool dangling, asked;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys, &f,
			      err);

	if (r == 0)
		r = check_list_filters(&f, &dangling, err);
	if (r < 0)
		return r;
	asked = filters_get(&f, "dangling");
	api_json_init(&j);
	jw_array(&j.w);
	for (size_t i = 0; i < network_count(nm); i++) {
		const struct network *n = network_at(nm, i);

		if (n->busy)
			continue;
		/* Before 1.28 the list had what only inspect has now. */
		if (is_shown(c, &f, n, asked ? &dangling : NULL))
			write_network(c, n, c->version < 128, &j.w);
	}
	jw_array_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

int networks_inspect(struct api_call *c, struct error *err)
{
	const char *scope = api_query(c, "scope"), *verbose = api_query(c, "verbose");
	const struct network *n = network_find(engine_network(c->engine), c->params[0]);
	autojson struct api_json j = {0};

	/* What it adds is of swarm's services. */
	if (*verbose && units_parse_bool(verbose) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid value for verbose: %s", verbose);
	if (!n || (*scope && strcmp(scope, "local") != 0))
		return error_set(err, ERROR_NOT_FOUND, 0, "network %s not found", c->params[0]);
	api_json_init(&j);
	write_network(c, n, true, &j.w);
	return api_answer_json(c, 200, &j.out, err);
}
