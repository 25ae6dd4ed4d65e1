/* engine/network.c - networks as users make them.
 *
 * The row comes first and goes last: whatever moment a daemon dies at, the next one finds either all
 * of a network (and makes what of it is missing in the kernel) or nothing.
 */
#include "engine/network.h"

#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/resolver.h"
#include "engine/rows.h"
#include "network/network.h"

/* ---- the request ------------------------------------------------------------------------------ */

struct request {
	struct network_request net;
	struct network_pairs options, labels, aux; /* owned */
};

static void request_done(struct request *q)
{
	network_pairs_done(&q->options);
	network_pairs_done(&q->labels);
	network_pairs_done(&q->aux);
}

static int invalid_value(struct error *err, const char *what, const char *value)
{
	return error_set(err, ERROR_INVALID, 0, "invalid %s '%s'", what, value);
}

static int parse_flag(const char *key, const char *value, bool *ret, struct error *err)
{
	int r = units_parse_bool(value);

	if (r < 0)
		return invalid_value(err, key, value);
	*ret = r;
	return 0;
}

static int option_name(struct network_request *q, const char *value, struct error *err)
{
	(void)err;
	q->link = str_empty(value) ? NULL : value;
	return 0;
}

static int option_icc(struct network_request *q, const char *value, struct error *err)
{
	bool on;
	int r = parse_flag("com.docker.network.bridge.enable_icc", value, &on, err);

	q->no_icc = r >= 0 && !on;
	return r;
}

static int option_masquerade(struct network_request *q, const char *value, struct error *err)
{
	bool on;
	int r = parse_flag("com.docker.network.bridge.enable_ip_masquerade", value, &on, err);

	q->no_masquerade = r >= 0 && !on;
	return r;
}

static int option_binding(struct network_request *q, const char *value, struct error *err)
{
	if (netaddr_parse(value, &q->host_binding4) < 0 || q->host_binding4.family != AF_INET)
		return invalid_value(err, "com.docker.network.bridge.host_binding_ipv4", value);
	if (netaddr_is_any(&q->host_binding4))
		q->host_binding4 = (struct netaddr){0};
	return 0;
}

static int option_mtu(struct network_request *q, const char *value, struct error *err)
{
	uint32_t mtu;

	if (str_parse_u32(value, &mtu) < 0)
		return invalid_value(err, "com.docker.network.driver.mtu", value);
	q->mtu = mtu;
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct network_request *q, const char *value, struct error *err);
} options[] = {
	{"com.docker.network.bridge.name", option_name},
	{"com.docker.network.bridge.enable_icc", option_icc},
	{"com.docker.network.bridge.enable_ip_masquerade", option_masquerade},
	{"com.docker.network.bridge.host_binding_ipv4", option_binding},
	{"com.docker.network.driver.mtu", option_mtu},
};

static int add_option(struct request *q, const char *key, const char *value, struct error *err)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(options) && !str_eq(options[i].name, key))
		i++;
	/* Labels of others' tools pass; what would change the network does not. */
	if (i == ARRAY_SIZE(options) && str_has_prefix(key, "com.docker.network."))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "Options: '%s' is not implemented",
				 key);
	network_pairs_add(&q->options, key, value);
	return i < ARRAY_SIZE(options) ? options[i].set(&q->net, value, err) : 0;
}

/* The network's own, and those that --default-network-opt has for its driver. */
static int read_options(const struct json *body, const struct json *defaults, struct request *q,
			struct error *err)
{
	const struct json *own = json_get(body, "Options"), *v;
	const char *key;
	int r = 0;

	json_object_foreach(key, v, own)
		r = r < 0 ? r : add_option(q, key, json_string(v) ? json_string(v) : "", err);
	json_object_foreach(key, v, json_get(defaults, q->net.driver ? q->net.driver : "bridge"))
		if (!json_get(own, key))
			r = r < 0 ? r : add_option(q, key, json_string(v), err);
	return r;
}

static int read_prefix(const char *what, const char *s, struct netaddr_prefix *ret,
		       struct error *err)
{
	if (str_empty(s))
		return 0;
	if (netaddr_prefix_parse(s, ret) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid network config:\ninvalid %s %s: invalid CIDR block "
				 "notation",
				 what, s);
	return 0;
}

static int read_aux(const struct json *v, struct request *q, struct error *err)
{
	const struct json *it;
	const char *key;

	json_object_foreach(key, it, v) {
		struct netaddr a;

		if (netaddr_parse(json_string(it) ? json_string(it) : "", &a) < 0)
			return invalid_value(err, "auxiliary address",
					     json_string(it) ? json_string(it) : "");
		network_pairs_add(&q->aux, key, json_string(it));
	}
	return 0;
}

static int read_subnet(const struct json *v, struct request *q, struct error *err)
{
	const char *gateway = json_get_string(v, "Gateway");
	struct network_subnet s = {0}, *to;
	int r = read_prefix("subnet", json_get_string(v, "Subnet"), &s.subnet, err);

	r = r < 0 ? r : read_prefix("ip-range", json_get_string(v, "IPRange"), &s.range, err);
	if (r < 0)
		return r;
	if (!str_empty(gateway) && netaddr_parse(gateway, &s.gateway) < 0)
		return invalid_value(err, "gateway", gateway);
	if (!netaddr_is_set(&s.subnet.addr)) {
		if (netaddr_is_set(&s.range.addr) || netaddr_is_set(&s.gateway) ||
		    json_count(json_get(v, "AuxiliaryAddresses")) > 0)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid network config:\na subnet is required with an "
					 "IP range, gateway or auxiliary address");
		return 0;
	}
	to = s.subnet.addr.family == AF_INET ? &q->net.ipv4 : &q->net.ipv6;
	if (netaddr_is_set(&to->subnet.addr))
		return error_set(err, ERROR_INVALID, 0,
				 "bridge driver doesn't support multiple subnets");
	if (netaddr_is_set(&s.gateway) && !netaddr_prefix_contains(&s.subnet, &s.gateway))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid network config:\ninvalid gateway %s: parent subnet %s "
				 "doesn't contain this address",
				 gateway, json_get_string(v, "Subnet"));
	if (netaddr_is_set(&s.range.addr) && !netaddr_prefix_contains(&s.subnet, &s.range.addr))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid network config:\ninvalid ip-range %s: parent subnet %s "
				 "doesn't contain ip-range",
				 json_get_string(v, "IPRange"), json_get_string(v, "Subnet"));
	*to = s;
	return read_aux(json_get(v, "AuxiliaryAddresses"), q, err);
}

/* What no engine outside a swarm has, and what it takes for a plugin that is not there. */
static int refuse_foreign(const struct json *body, struct error *err)
{
	const char *scope = json_get_string(body, "Scope");
	const char *ipam = json_get_string(json_get(body, "IPAM"), "Driver");
	const char *name = json_get_string(body, "Name");

	if (str_eq(scope, "swarm"))
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "cannot create a swarm scoped network when swarm is not active");
	if (json_get_bool(body, "Ingress"))
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "Ingress network can only be global scope network");
	if (!str_empty(ipam) && !str_eq(ipam, "default") && !str_eq(ipam, "null"))
		return error_set(err, ERROR_NOT_FOUND, 0, "plugin \"%s\" not found", ipam);
	for (size_t i = 0; i < ARRAY_SIZE(network_default_names); i++)
		if (str_eq(name, network_default_names[i]))
			return error_set(err, ERROR_FORBIDDEN, 0,
					 "operation is not permitted on predefined %s network",
					 name);
	return 0;
}

/* Fields that may be there with their zero value only. */
static int refuse(const struct json *body, struct error *err)
{
	const char *scope = json_get_string(body, "Scope");
	const char *ipam = json_get_string(json_get(body, "IPAM"), "Driver");
	const struct json *ipv4 = json_get(body, "EnableIPv4");
	const char *what = NULL;
	int r = refuse_foreign(body, err);

	if (r < 0)
		return r;
	if (!str_empty(scope) && !str_eq(scope, "local"))
		what = "Scope";
	if (str_eq(ipam, "null"))
		what = "IPAM.Driver";
	if (json_count(json_get(json_get(body, "IPAM"), "Options")) > 0)
		what = "IPAM.Options";
	if (json_get_bool(body, "ConfigOnly"))
		what = "ConfigOnly";
	if (!str_empty(json_get_string(json_get(body, "ConfigFrom"), "Network")))
		what = "ConfigFrom";
	if (json_type(ipv4) == JSON_BOOL && !json_bool(ipv4)) {
		if (!json_get_bool(body, "EnableIPv6"))
			return error_set(err, ERROR_INVALID, 0, "IPv4 or IPv6 must be enabled");
		what = "EnableIPv4";
	}
	return what ? error_set(err, ERROR_NOT_IMPLEMENTED, 0, "%s is not implemented", what) : 0;
}

static int read_request(const struct json *body, const struct json *defaults, struct request *q,
			struct error *err)
{
	const struct json *v;
	const char *key;
	int r = refuse(body, err);

	q->net.name = json_get_string(body, "Name");
	q->net.driver = json_get_string(body, "Driver");
	if (str_empty(q->net.driver))
		q->net.driver = "bridge";
	q->net.enable_ipv6 = json_get_bool(body, "EnableIPv6");
	q->net.internal = json_get_bool(body, "Internal");
	q->net.attachable = json_get_bool(body, "Attachable");
	q->net.ipam_options = !json_is_null(json_get(json_get(body, "IPAM"), "Options"));
	json_object_foreach(key, v, json_get(body, "Labels"))
		network_pairs_add(&q->labels, key, json_string(v) ? json_string(v) : "");
	r = r < 0 ? r : read_options(body, defaults, q, err);
	json_array_foreach(v, json_get(json_get(body, "IPAM"), "Config"))
		r = r < 0 ? r : read_subnet(v, q, err);
	if (r >= 0 && netaddr_is_set(&q->net.ipv6.subnet.addr) && !q->net.enable_ipv6)
		q->net.ipv6 = (struct network_subnet){0}; /* as Docker: not asked for */
	q->net.options = &q->options;
	q->net.labels = &q->labels;
	q->net.aux = &q->aux;
	return r;
}

/* ---- create ----------------------------------------------------------------------------------- */

struct create_call {
	struct engine *e;
	const struct request *q;
	struct network *net;
	struct error *err;
	int r;
};

static void create_on_loop(void *data)
{
	struct create_call *call = data;

	call->r = network_create(call->e->network, &call->q->net, &call->net, call->err);
}

static void created_on_loop(void *data)
{
	struct create_call *call = data;

	call->net->busy = false;
	engine_emit_network_life(call->e, call->net, "create");
}

static void forget_on_loop(void *data)
{
	struct create_call *call = data;

	call->r = network_remove(call->e->network, call->net, call->err);
}

/* As if it had never been. */
static void undo_create(struct create_call *call)
{
	autoerror struct error err = {0};

	if (network_down(call->e->network, call->net, &err) < 0 ||
	    rows_delete_network(call->e->db, call->net->id, &err) < 0)
		log_error("undo network '%s': %s", call->net->name, error_msg(&err));
	error_done(&err);
	call->err = &err;
	engine_call(call->e, forget_on_loop, call);
}

int engine_network_create(struct engine *e, const struct json *body, char ret_id[65],
			  struct error *err)
{
	__attribute__((cleanup(request_done))) struct request q = {0};
	struct create_call call = {.e = e, .q = &q, .err = err};
	int r = read_request(body, engine_settings(e)->default_network_opts, &q, err);

	if (r < 0)
		return r;
	engine_call(e, create_on_loop, &call);
	if (call.r < 0)
		return call.r;
	/* Busy: nobody else touches it until it is done. */
	r = rows_save_network(e->db, call.net, err);
	crash_point(CRASH_NETWORK_ROW);
	r = r < 0 ? r : network_up(e->network, call.net, err);
	crash_point(CRASH_NETWORK_UP);
	if (r < 0) {
		undo_create(&call);
		return r;
	}
	(void)str_copy(ret_id, 65, call.net->id);
	engine_call(e, created_on_loop, &call);
	resolver_update_network(e, ret_id);
	return 0;
}

/* ---- remove ----------------------------------------------------------------------------------- */

struct remove_call {
	struct engine *e;
	const char *ref;
	struct network *net;
	struct error *err;
	int r;
};

static const struct container *user_of(struct engine *e, const struct network *net,
				       const struct network_endpoint **ret)
{
	for (size_t i = 0; i < e->container_count; i++) {
		*ret = endpoints_find(e->containers[i], net->id);
		if (*ret)
			return e->containers[i];
	}
	return NULL;
}

bool engine_network_in_use(struct engine *e, const struct network *net)
{
	const struct network_endpoint *ep;

	return user_of(e, net, &ep) != NULL;
}

static void begin_remove_on_loop(void *data)
{
	struct remove_call *call = data;
	const struct network_endpoint *ep;
	const struct container *c;
	struct network *net = network_find(call->e->network, call->ref);

	if (!net || net->busy) {
		call->r =
			error_set(call->err, ERROR_NOT_FOUND, 0, "network %s not found", call->ref);
		return;
	}
	c = user_of(call->e, net, &ep);
	if (network_is_default(net))
		call->r = error_set(call->err, ERROR_FORBIDDEN, 0,
				    "%s is a pre-defined network and cannot be removed", net->name);
	else if (c)
		call->r = error_set(call->err, ERROR_FORBIDDEN, 0,
				    "error while removing network: network %s has active "
				    "endpoints (name:\"%s\" id:\"%.12s\")",
				    net->name, c->name, ep->id);
	else
		net->busy = true;
	call->net = net;
}

static void removed_on_loop(void *data)
{
	struct remove_call *call = data;
	const struct network copy = *call->net; /* the strings live until then */

	engine_emit_network_life(call->e, &copy, "destroy");
	call->r = network_remove(call->e->network, call->net, call->err);
}

static void keep_on_loop(void *data)
{
	struct remove_call *call = data;

	call->net->busy = false;
}

int engine_network_remove(struct engine *e, const char *ref, struct error *err)
{
	struct remove_call call = {.e = e, .ref = ref, .err = err};
	char id[NETWORK_ID_SIZE];
	int r;

	engine_call(e, begin_remove_on_loop, &call);
	if (call.r < 0)
		return call.r;
	/* Containers that have just exited may still be giving their addresses back. */
	r = endpoints_await_release(e, call.net, err);
	r = r < 0 ? r : network_down(e->network, call.net, err);
	crash_point(CRASH_NETWORK_DOWN);
	if (r >= 0) {
		r = rows_delete_network(e->db, call.net->id, err);
		if (r < 0)
			(void)network_up(e->network, call.net, NULL); /* it stays, then */
	}
	if (r < 0) {
		engine_call(e, keep_on_loop, &call);
		return r;
	}
	(void)str_copy(id, sizeof(id), call.net->id);
	engine_call(e, removed_on_loop, &call);
	resolver_forget_network(e, id);
	return call.r;
}

struct prune_call {
	struct engine *e;
	bool (*wanted)(const struct network *net, void *data);
	void *data;
	struct strv names;
};

/* As Docker's: a container that is stopped keeps no network.  One that waits for its restart does here. */
static bool is_kept(struct engine *e, const struct network *net)
{
	for (size_t i = 0; i < e->container_count; i++)
		if (e->containers[i]->state.status == CONTAINER_RESTARTING &&
		    endpoints_config(e, e->containers[i]->spec, net->id))
			return true;
	return engine_network_in_use(e, net);
}

static void prune_on_loop(void *data)
{
	struct prune_call *call = data;

	for (size_t i = 0; i < network_count(call->e->network); i++) {
		const struct network *net = network_at(call->e->network, i);

		if (!network_is_default(net) && !net->busy && !is_kept(call->e, net) &&
		    call->wanted(net, call->data))
			strv_add(&call->names, net->name);
	}
}

int engine_network_prune(struct engine *e, bool (*wanted)(const struct network *net, void *data),
			 void *data, struct strv *ret, struct error *err)
{
	struct prune_call call = {.e = e, .wanted = wanted, .data = data};

	(void)err;
	engine_call(e, prune_on_loop, &call);
	for (size_t i = 0; i < call.names.n; i++) {
		autoerror struct error why = {0};

		if (engine_network_remove(e, call.names.v[i], &why) >= 0)
			strv_add(ret, call.names.v[i]);
		else
			log_info("prune network '%s': %s", call.names.v[i], error_msg(&why));
	}
	strv_done(&call.names);
	return 0;
}
