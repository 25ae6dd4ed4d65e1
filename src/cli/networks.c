/* --network: the networks of a container to be created. */
#include "cli/networks.h"

#include <string.h>

#include "base/mem.h"
#include "cli/csv.h"
#include "cli/objects.h"

struct network {
	char *name, *ip, *ip6, *mac; /* owned, or NULL */
	struct strv aliases, link_local_ips, driver_options;
	int priority;
};

static void network_done(struct network *n)
{
	free(n->name);
	free(n->ip);
	free(n->ip6);
	free(n->mac);
	strv_done(&n->aliases);
	strv_done(&n->link_local_ips);
	strv_done(&n->driver_options);
}
#define autonetwork __attribute__((cleanup(network_done)))

enum key_kind { KEY_STRING, KEY_LIST, KEY_OPTION, KEY_INT };

static const struct {
	const char *name;
	enum key_kind kind;
	size_t offset;
} keys[] = {
	{"name", KEY_STRING, offsetof(struct network, name)},
	{"alias", KEY_LIST, offsetof(struct network, aliases)},
	{"ip", KEY_STRING, offsetof(struct network, ip)},
	{"ip6", KEY_STRING, offsetof(struct network, ip6)},
	{"mac-address", KEY_STRING, offsetof(struct network, mac)},
	{"link-local-ip", KEY_LIST, offsetof(struct network, link_local_ips)},
	{"driver-opt", KEY_OPTION, offsetof(struct network, driver_options)},
	{"gw-priority", KEY_INT, offsetof(struct network, priority)},
};

static int set_key(size_t key, const char *value, struct network *ret, struct error *err)
{
	void *field = (char *)ret + keys[key].offset;
	int r;

	switch (keys[key].kind) {
	case KEY_STRING:
		free(*(char **)field);
		*(char **)field = xstrdup(value);
		return 0;
	case KEY_OPTION:
		if (!strchr(value, '=') || value[0] == '=')
			return error_set(err, ERROR_INVALID, 0,
					 "invalid key value pair format in driver options");
		strv_add(field, value);
		return 0;
	case KEY_LIST:
		strv_add(field, value);
		return 0;
	case KEY_INT:
		r = str_parse_int(value, field);
		return r < 0 ? error_set(err, ERROR_INVALID, 0, "invalid %s (%s): %s",
					 keys[key].name, value,
					 r == -ERANGE ? "value out of range" : "invalid syntax")
			     : 0;
	}
	return 0;
}

static int set_field(const char *field, struct network *ret, struct error *err)
{
	size_t len = strcspn(field, "=");

	if (!field[len] || len == 0)
		return error_set(err, ERROR_INVALID, 0, "invalid field %s", field);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == len && strncasecmp(keys[i].name, field, len) == 0)
			return set_key(i, field + len + 1, ret, err);
	return error_set(err, ERROR_INVALID, 0, "invalid field key %.*s", (int)len, field);
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

/* Something is set in it: a name has no '='. */
static bool has_keys(const char *value)
{
	for (const char *p = strchr(value, '='); p; p = strchr(p + 1, '='))
		if (p > value && is_word(p[-1]) && is_word(p[1]))
			return true;
	return false;
}

static int parse(const char *value, struct network *ret, struct error *err)
{
	autostrv struct strv fields = {0};
	int r;

	if (!has_keys(value)) {
		ret->name = xstrdup(value);
		return 0;
	}
	r = csv_split(value, &fields, err);
	for (size_t i = 0; r >= 0 && i < fields.n; i++)
		r = set_field(fields.v[i], ret, err);
	if (r >= 0 && str_empty(ret->name))
		return error_set(err, ERROR_INVALID, 0, "network name/id is not specified");
	return r;
}

int networks_check(const char *value, struct error *err)
{
	autonetwork struct network ignored = {0};

	return parse(value, &ignored, err);
}

const char *networks_mode(struct cli *cli, const struct strv *networks)
{
	autonetwork struct network first = {0};

	if (!networks->n || parse(networks->v[0], &first, NULL) < 0)
		return "default";
	return arena_strdup(cli->arena, first.name);
}

static bool is_user_defined(const char *name)
{
	static const char *const modes[] = {"default", "bridge", "host", "none"};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(name, modes[i]) == 0)
			return false;
	return !str_has_prefix(name, "container:");
}

static int conflict(const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "conflicting options: cannot specify both %s",
			 what);
}

/* What flags of their own say of the first network. */
static int take_flags(const struct networks_args *args, struct network *n, struct error *err)
{
	if (args->aliases->n && n->aliases.n)
		return conflict("--network-alias and per-network alias", err);
	if (args->ip && n->ip)
		return conflict("--ip and per-network IPv4 address", err);
	if (args->ip6 && n->ip6)
		return conflict("--ip6 and per-network IPv6 address", err);
	if (args->mac_address && n->mac)
		return conflict("--mac-address and per-network MAC address", err);
	if (args->link_local_ips->n && n->link_local_ips.n)
		return conflict("--link-local-ip and per-network link-local IP addresses", err);
	for (size_t i = 0; i < args->aliases->n; i++)
		strv_add(&n->aliases, args->aliases->v[i]);
	for (size_t i = 0; i < args->link_local_ips->n; i++)
		strv_add(&n->link_local_ips, args->link_local_ips->v[i]);
	if (args->ip)
		n->ip = xstrdup(args->ip);
	if (args->ip6)
		n->ip6 = xstrdup(args->ip6);
	if (args->mac_address)
		n->mac = xstrdup(args->mac_address);
	return 0;
}

static void write_list(struct json_writer *w, const char *key, const struct strv *v)
{
	if (!v->n)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < v->n; i++)
		jw_string(w, v->v[i]);
	jw_array_end(w);
}

static void write_network(const struct network *n, struct json_writer *w)
{
	jw_kobject(w, n->name);
	if (n->ip || n->ip6 || n->link_local_ips.n) {
		jw_kobject(w, "IPAMConfig");
		if (n->ip)
			jw_kstring(w, "IPv4Address", n->ip);
		if (n->ip6)
			jw_kstring(w, "IPv6Address", n->ip6);
		write_list(w, "LinkLocalIPs", &n->link_local_ips);
		jw_object_end(w);
	}
	write_list(w, "Aliases", &n->aliases);
	if (n->mac)
		jw_kstring(w, "MacAddress", n->mac);
	if (n->priority)
		jw_kint(w, "GwPriority", n->priority);
	if (n->driver_options.n)
		objects_map(w, "DriverOpts", &n->driver_options);
	jw_object_end(w);
}

/* `seen`: the names before it. */
static int check_network(const struct network *n, const struct strv *seen, struct error *err)
{
	if (n->aliases.n && !is_user_defined(n->name))
		return error_set(err, ERROR_INVALID, 0,
				 "network-scoped aliases are only supported for user-defined "
				 "networks");
	for (size_t i = 0; i < seen->n; i++) {
		if (strcmp(seen->v[i], n->name) == 0)
			return error_set(err, ERROR_INVALID, 0,
					 "network \"%s\" is specified multiple times", n->name);
		if (is_user_defined(seen->v[i]) != is_user_defined(n->name))
			return error_set(err, ERROR_INVALID, 0,
					 "conflicting options: cannot attach both user-defined and "
					 "non-user-defined network-modes");
	}
	return 0;
}

int networks_write(const struct networks_args *args, struct json_writer *w, struct error *err)
{
	const struct strv *networks = args->networks;
	size_t count = networks->n ? networks->n : 1;
	autostrv struct strv seen = {0};

	if (!networks->n && !args->ip && !args->ip6 && !args->mac_address && !args->aliases->n &&
	    !args->link_local_ips->n)
		return 0;
	jw_kobject(w, "NetworkingConfig");
	jw_kobject(w, "EndpointsConfig");
	for (size_t i = 0; i < count; i++) {
		autonetwork struct network n = {0};
		int r = parse(networks->n ? networks->v[i] : "default", &n, err);

		if (r >= 0 && i == 0)
			r = take_flags(args, &n, err);
		if (r >= 0)
			r = check_network(&n, &seen, err);
		if (r < 0)
			return r;
		write_network(&n, w);
		strv_add(&seen, n.name);
	}
	jw_object_end(w);
	jw_object_end(w);
	return 0;
}
