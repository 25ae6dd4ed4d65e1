/* network: connect, create, disconnect, inspect, ls, prune, rm. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/objects.h"
#include "cli/output.h"

struct network_options {
	const char *driver, *ipam_driver, *scope, *config_from, *format, *ip, *ip6;
	struct strv aux_address, gateway, ip_range, subnet, ipam_opt, label, opt, filter;
	struct strv alias, driver_opt, link, link_local_ip;
	int gw_priority;
	bool attachable, config_only, ingress, internal, ipv4, ipv6;
	bool quiet, no_trunc, force;
};

/* create ------------------------------------------------------------------------------------ */

#define NET(name_, short_, type_, member_, help_) \
	FLAG(struct network_options, name_, short_, type_, member_, help_)

static const struct flag create_flags[] = {
	NET("attachable", 0, FLAG_BOOL, attachable, "Enable manual container attachment"),
	NET("aux-address", 0, FLAG_LIST, aux_address,
	    "Auxiliary IPv4 or IPv6 addresses used by Network driver"),
	NET("config-from", 0, FLAG_STRING, config_from,
	    "The network from which to copy the configuration"),
	NET("config-only", 0, FLAG_BOOL, config_only, "Create a configuration only network"),
	NET("driver", 'd', FLAG_STRING, driver,
	    "Driver to manage the Network (default \"bridge\")"),
	NET("gateway", 0, FLAG_CSV, gateway, "IPv4 or IPv6 Gateway for the master subnet"),
	NET("ingress", 0, FLAG_BOOL, ingress, "Create swarm routing-mesh network"),
	NET("internal", 0, FLAG_BOOL, internal, "Restrict external access to the network"),
	NET("ip-range", 0, FLAG_CSV, ip_range, "Allocate container ip from a sub-range"),
	NET("ipam-driver", 0, FLAG_STRING, ipam_driver,
	    "IP Address Management Driver (default \"default\")"),
	NET("ipam-opt", 0, FLAG_LIST, ipam_opt, "Set IPAM driver specific options"),
	NET("ipv4", 0, FLAG_BOOL, ipv4, "Enable or disable IPv4 address assignment"),
	NET("ipv6", 0, FLAG_BOOL, ipv6, "Enable or disable IPv6 address assignment"),
	NET("label", 0, FLAG_LIST, label, "Set metadata on a network"),
	NET("opt", 'o', FLAG_LIST, opt, "Set driver specific options"),
	NET("scope", 0, FLAG_STRING, scope, "Control the network's scope"),
	NET("subnet", 0, FLAG_CSV, subnet,
	    "Subnet in CIDR format that represents a network segment"),
	{0},
};

/* Is the address (of a prefix, its first part) in the subnet?  The engine checks the rest. */
static bool is_in(const char *subnet, const char *address)
{
	autofree char *net = xstrndup(subnet, strcspn(subnet, "/"));
	autofree char *addr = xstrndup(address, strcspn(address, "/"));
	int family = strchr(net, ':') ? AF_INET6 : AF_INET;
	unsigned char a[16] = {0}, b[16] = {0};
	uint32_t bits = 0;

	if (!strchr(subnet, '/') || str_parse_u32(strchr(subnet, '/') + 1, &bits) < 0 ||
	    bits > (family == AF_INET ? 32 : 128) || inet_pton(family, net, a) != 1 ||
	    inet_pton(family, addr, b) != 1)
		return false;
	for (uint32_t i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

static const char *of_subnet(const char *subnet, const struct strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (is_in(subnet, list->v[i]))
			return list->v[i];
	return NULL;
}

static int all_match(const struct network_options *o, const struct strv *list, const char *what,
		     struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *address = strchr(list->v[i], '=');
		bool found = false;

		address = address ? address + 1 : list->v[i];
		for (size_t k = 0; k < o->subnet.n; k++)
			found |= is_in(o->subnet.v[k], address);
		if (!found)
			return error_set(err, ERROR_INVALID, 0, "no matching subnet for %s %s",
					 what, address);
	}
	return 0;
}

static void write_subnet(const struct network_options *o, const char *subnet, struct json_writer *w)
{
	const char *range = of_subnet(subnet, &o->ip_range);
	const char *gateway = of_subnet(subnet, &o->gateway);

	jw_object(w);
	jw_kstring(w, "Subnet", subnet);
	if (range)
		jw_kstring(w, "IPRange", range);
	if (gateway)
		jw_kstring(w, "Gateway", gateway);
	jw_kobject(w, "AuxiliaryAddresses");
	for (size_t i = 0; i < o->aux_address.n; i++) {
		const char *item = o->aux_address.v[i], *value = strchr(item, '=');
		autofree char *key = xstrndup(item, strcspn(item, "="));

		if (value && is_in(subnet, value + 1))
			jw_kstring(w, key, value + 1);
	}
	jw_object_end(w);
	jw_object_end(w);
}

static int check_create(const struct network_options *o, struct error *err)
{
	int r;

	if (o->subnet.n < o->ip_range.n || o->subnet.n < o->gateway.n)
		return error_set(err, ERROR_INVALID, 0,
				 "every ip-range or gateway must have a corresponding subnet");
	r = all_match(o, &o->ip_range, "range", err);
	r = r < 0 ? r : all_match(o, &o->gateway, "gateway", err);
	return r < 0 ? r : all_match(o, &o->aux_address, "aux-address", err);
}

static void write_create(const struct invocation *in, struct json_writer *w)
{
	const struct network_options *o = in->options;

	jw_object(w);
	jw_kstring(w, "Name", in->parsed.args[0]);
	jw_kstring(w, "Driver", o->driver ? o->driver : "bridge");
	jw_kstring(w, "Scope", o->scope ? o->scope : "");
	if (flags_changed(create_flags, &in->parsed, "ipv4"))
		jw_kbool(w, "EnableIPv4", o->ipv4);
	if (flags_changed(create_flags, &in->parsed, "ipv6"))
		jw_kbool(w, "EnableIPv6", o->ipv6);
	jw_kobject(w, "IPAM");
	jw_kstring(w, "Driver", o->ipam_driver ? o->ipam_driver : "default");
	objects_map(w, "Options", &o->ipam_opt);
	jw_karray(w, "Config");
	for (size_t i = 0; i < o->subnet.n; i++)
		write_subnet(o, o->subnet.v[i], w);
	jw_array_end(w);
	jw_object_end(w);
	jw_kbool(w, "Internal", o->internal);
	jw_kbool(w, "Attachable", o->attachable);
	jw_kbool(w, "Ingress", o->ingress);
	jw_kbool(w, "ConfigOnly", o->config_only);
	if (o->config_from) {
		jw_kobject(w, "ConfigFrom");
		jw_kstring(w, "Network", o->config_from);
		jw_object_end(w);
	}
	objects_map(w, "Options", &o->opt);
	objects_map(w, "Labels", &o->label);
	jw_object_end(w);
}

static int cmd_create(struct cli *cli, const struct invocation *in, struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(CLI_RESPONSE_MAX);
	const struct json *answer;
	struct json_writer w;
	int r = check_create(in->options, err);

	if (r < 0)
		return r;
	json_writer_init(&w, &body);
	write_create(in, &w);
	r = cli_json(cli, "POST", "/networks/create", &body, &answer, err);
	if (r >= 0)
		printf("%s\n", json_get_string(answer, "Id"));
	return r < 0 ? r : 0;
}

/* connect, disconnect ----------------------------------------------------------------------- */

static const struct flag connect_flags[] = {
	NET("alias", 0, FLAG_CSV, alias, "Add network-scoped alias for the container"),
	NET("driver-opt", 0, FLAG_CSV, driver_opt, "driver options for the network"),
	NET("gw-priority", 0, FLAG_INT, gw_priority,
	    "Highest gw-priority provides the default gateway. Accepts positive and negative "
	    "values."),
	NET("ip", 0, FLAG_STRING, ip, "IPv4 address (e.g., \"172.30.100.104\")"),
	NET("ip6", 0, FLAG_STRING, ip6, "IPv6 address (e.g., \"2001:db8::33\")"),
	NET("link", 0, FLAG_LIST, link, "Add link to another container"),
	NET("link-local-ip", 0, FLAG_CSV, link_local_ip,
	    "Add a link-local address for the container"),
	{0},
};

static void write_list(struct json_writer *w, const char *name, const struct strv *list)
{
	jw_karray(w, name);
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
	jw_array_end(w);
}

static int cmd_connect(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct network_options *o = in->options;
	autostrbuf struct strbuf body = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct json_writer w;
	int r;

	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kstring(&w, "Container", in->parsed.args[1]);
	jw_kobject(&w, "EndpointConfig");
	jw_kobject(&w, "IPAMConfig");
	jw_kstring(&w, "IPv4Address", o->ip ? o->ip : "");
	jw_kstring(&w, "IPv6Address", o->ip6 ? o->ip6 : "");
	write_list(&w, "LinkLocalIPs", &o->link_local_ip);
	jw_object_end(&w);
	write_list(&w, "Links", &o->link);
	write_list(&w, "Aliases", &o->alias);
	objects_map(&w, "DriverOpts", &o->driver_opt);
	jw_kint(&w, "GwPriority", o->gw_priority);
	jw_object_end(&w);
	jw_object_end(&w);
	r = cli_json(cli, "POST",
		     cli_path(cli, "/networks/%s/connect", cli_escape(cli, in->parsed.args[0])),
		     &body, NULL, err);
	return r < 0 ? r : 0;
}

static const struct flag disconnect_flags[] = {
	NET("force", 'f', FLAG_BOOL, force, "Force the container to disconnect from a network"),
	{0},
};

static int cmd_disconnect(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct network_options *o = in->options;
	autostrbuf struct strbuf body = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct json_writer w;
	int r;

	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kstring(&w, "Container", in->parsed.args[1]);
	jw_kbool(&w, "Force", o->force);
	jw_object_end(&w);
	r = cli_json(cli, "POST",
		     cli_path(cli, "/networks/%s/disconnect", cli_escape(cli, in->parsed.args[0])),
		     &body, NULL, err);
	return r < 0 ? r : 0;
}

/* inspect, ls, prune, rm -------------------------------------------------------------------- */

static const struct flag network_inspect_flags[] = {
	FLAG(struct inspect_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	FLAG(struct inspect_options, "verbose", 'v', FLAG_BOOL, verbose,
	     "Verbose output for diagnostics"),
	{0},
};

static int cmd_inspect(struct cli *cli, const struct invocation *in, struct error *err)
{
	return inspect_objects(cli, in, "network", err);
}

static const struct output_column ls_columns[] = {
	{"CreatedAt", "CREATED AT"},
	{"Driver", "DRIVER"},
	{"ID", "NETWORK ID"},
	{"IPv4", "IPV4"},
	{"IPv6", "IPV6"},
	{"Internal", "INTERNAL"},
	{"Labels", "LABELS"},
	{"Name", "NAME"},
	{"Scope", "SCOPE"},
	{0},
};

static const struct flag ls_flags[] = {
	FLAG_CHECKED(struct network_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Provide filter values (e.g. \"driver=bridge\")"),
	NET("format", 0, FLAG_STRING, format, "Format output using a custom template"),
	NET("no-trunc", 0, FLAG_BOOL, no_trunc, "Do not truncate the output"),
	NET("quiet", 'q', FLAG_BOOL, quiet, "Only display network IDs"),
	{0},
};

/* "2006-01-02T15:04:05.9Z" as Go prints a time. */
static void write_created(const char *s, struct json_writer *w)
{
	size_t n = s ? strcspn(s, "T") : 0;

	jw_key(w, "CreatedAt");
	if (!s || !s[n])
		jw_string(w, "");
	else
		jw_stringf(w, "%.*s %.*s +0000 UTC", (int)n, s, (int)strcspn(s + n + 1, "Z"),
			   s + n + 1);
}

static void write_bool(struct json_writer *w, const char *name, bool on)
{
	jw_kstring(w, name, on ? "true" : "false");
}

static void write_row(struct cli *cli, const struct json *v, bool no_trunc, struct json_writer *w)
{
	static const char *const plain[] = {"Driver", "Name", "Scope"};
	const char *id = json_get_string(v, "Id");

	jw_object(w);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		jw_kstring(w, plain[i], json_get_string(v, plain[i]));
	jw_kstring(w, "ID", output_short_id(cli, id ? id : "", no_trunc));
	write_created(json_get_string(v, "Created"), w);
	write_bool(w, "IPv4", json_get_bool(v, "EnableIPv4"));
	write_bool(w, "IPv6", json_get_bool(v, "EnableIPv6"));
	write_bool(w, "Internal", json_get_bool(v, "Internal"));
	jw_kstring(w, "Labels", objects_labels(cli, json_get(v, "Labels")));
	jw_object_end(w);
}

static int cmd_ls(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct network_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct output_list list = {
		.columns = ls_columns,
		.default_format =
			o->quiet ? "{{.ID}}" : "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
		.format = o->quiet ? NULL : o->format};
	const struct json *networks, *rows;
	const char *filters = "";
	struct json_writer w;
	const size_t *order;
	int r = cli_filters(cli, &o->filter, &filters, err);

	r = r < 0 ? r
		  : cli_json(cli, "GET", cli_path(cli, "/networks?filters=%s", filters), NULL,
			     &networks, err);
	if (r < 0)
		return r;
	order = objects_sorted(cli, networks, "Name");
	json_writer_init(&w, &b);
	jw_array(&w);
	for (size_t i = 0; i < json_count(networks); i++)
		write_row(cli, json_at(networks, order[i]), o->no_trunc, &w);
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

static const struct flag prune_flags[] = {
	FLAG_CHECKED(struct network_options, "filter", 0, FLAG_LIST, filter, cli_check_filter,
		     "Provide filter values (e.g. \"until=<timestamp>\")"),
	NET("force", 'f', FLAG_BOOL, force, "Do not prompt for confirmation"),
	{0},
};

static int cmd_prune(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct network_options *o = in->options;
	const struct json *answer, *v;
	const char *filters = "";
	int r;

	if (!o->force && !objects_confirm("This will remove all custom networks not used by at "
					  "least one container."))
		return error_set(err, ERROR_INVALID, 0, "network prune has been cancelled");
	r = cli_filters(cli, &o->filter, &filters, err);
	r = r < 0 ? r
		  : cli_json(cli, "POST", cli_path(cli, "/networks/prune?filters=%s", filters),
			     NULL, &answer, err);
	if (r < 0)
		return r;
	if (json_count(json_get(answer, "NetworksDeleted")) > 0) {
		printf("Deleted Networks:\n");
		json_array_foreach(v, json_get(answer, "NetworksDeleted"))
			printf("%s\n", json_string(v));
		printf("\n");
	}
	return 0;
}

static const struct flag rm_flags[] = {
	NET("force", 'f', FLAG_BOOL, force, "Do not error if the network does not exist"),
	{0},
};

static int cmd_rm(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct network_options *o = in->options;
	const struct objects_removal how = {
		.path = "/networks", .query = "", .force = o->force, .says_status = true};

	return objects_remove(cli, in, &how, err);
}

#define NETWORK(name_, run_, flags_, options_, usage_, min_, max_, help_)                   \
	{                                                                                   \
		.name = (name_), .group = "network", .group_only = true, .usage = (usage_), \
		.help = (help_), .flags = (flags_), .options_size = sizeof(options_),       \
		.min_args = (min_), .max_args = (max_), .run = (run_)                       \
	}

const struct command network_commands[] = {
	NETWORK("connect", cmd_connect, connect_flags, struct network_options,
		"[OPTIONS] NETWORK CONTAINER", 2, 2, "Connect a container to a network"),
	NETWORK("create", cmd_create, create_flags, struct network_options, "[OPTIONS] NETWORK", 1,
		1, "Create a network"),
	NETWORK("disconnect", cmd_disconnect, disconnect_flags, struct network_options,
		"[OPTIONS] NETWORK CONTAINER", 2, 2, "Disconnect a container from a network"),
	NETWORK("inspect", cmd_inspect, network_inspect_flags, struct inspect_options,
		"[OPTIONS] NETWORK [NETWORK...]", 1, -1,
		"Display detailed information on one or more networks"),
	NETWORK("ls", cmd_ls, ls_flags, struct network_options, "[OPTIONS]", 0, 0, "List networks"),
	NETWORK("list", cmd_ls, ls_flags, struct network_options, "[OPTIONS]", 0, 0,
		"List networks"),
	NETWORK("prune", cmd_prune, prune_flags, struct network_options, "[OPTIONS]", 0, 0,
		"Remove all unused networks"),
	NETWORK("rm", cmd_rm, rm_flags, struct network_options, "NETWORK [NETWORK...]", 1, -1,
		"Remove one or more networks"),
	NETWORK("remove", cmd_rm, rm_flags, struct network_options, "NETWORK [NETWORK...]", 1, -1,
		"Remove one or more networks"),
	{0},
};
