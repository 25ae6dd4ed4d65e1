/* What a create body may ask for: Docker's refusals in its words, and ours of what is not there
 * yet.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/units.h"
#include "engine/config_priv.h"
#include "engine/logging.h"
#include "engine/time_offset.h"
#include "linux/caps.h"
#include "linux/netaddr.h"
#include "linux/signals.h"

#define HOSTNAME_MAX 64      /* bytes; sethostname(2) */
#define HEALTH_MIN   1000000 /* ns */

static int invalid(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "%s", what);
}

/* Fields that may be sent with their zero value only. */
static const struct {
	const char *object, *name; /* object NULL: the top */
} not_there_yet[] = {
	{"HostConfig", "Cgroup"},
	{"HostConfig", "KernelMemory"},
	{"HostConfig", "KernelMemoryTCP"},
	{"HostConfig", "CpuCount"},
	{"HostConfig", "CpuPercent"},
	{"HostConfig", "IOMaximumIOps"},
	{"HostConfig", "IOMaximumBandwidth"},
};

static int refuse_not_there_yet(const struct json *body, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_there_yet); i++) {
		const char *object = not_there_yet[i].object, *name = not_there_yet[i].name;
		const struct json *v = json_get(object ? json_get(body, object) : body, name);

		if (!json_is_zero(v))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "%s%s%s is not implemented",
					 object ? object : "", object ? "." : "", name);
	}
	return 0;
}

int config_storage_size(const struct host_config *h, uint64_t *ret, struct error *err)
{
	uint64_t size = 0;

	for (size_t i = 0; i < h->storage_opt.n; i++) {
		const char *key = h->storage_opt.keys[i], *value = h->storage_opt.values[i];

		if (!str_eq(key, "size"))
			return error_set(err, ERROR_INVALID, 0, "Unknown option %s", key);
		if (units_parse_size(value, true, &size) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid size: '%s'", value);
	}
	*ret = size;
	return 0;
}

static int validate_storage(const struct host_config *h, struct error *err)
{
	uint64_t size;

	return config_storage_size(h, &size, err);
}

static int validate_hostname(const struct container_config *c, struct error *err)
{
	size_t len = strlen(c->hostname);

	if (len > HOSTNAME_MAX || strlen(c->domainname) > HOSTNAME_MAX)
		return error_set(err, ERROR_INVALID, 0, "invalid hostname format: %s", c->hostname);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)c->hostname[i] <= ' ' || strchr("/:#", c->hostname[i]))
			return error_set(err, ERROR_INVALID, 0, "invalid hostname format: %s",
					 c->hostname);
	/* Both end up as words of /etc/hosts. */
	if (strpbrk(c->domainname, " \t\r\n/:#"))
		return error_set(err, ERROR_INVALID, 0, "invalid domainname format: %s",
				 c->domainname);
	return 0;
}

static int validate_healthcheck(const struct config_healthcheck *h, struct error *err)
{
	if (!h)
		return 0;
	const struct {
		const char *name;
		int64_t value;
	} durations[] = {
		{"Interval", h->interval},
		{"Timeout", h->timeout},
		{"StartPeriod", h->start_period},
		{"StartInterval", h->start_interval},
	};

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
		if (durations[i].value != 0 && durations[i].value < HEALTH_MIN)
			return error_set(err, ERROR_INVALID, 0,
					 "%s in Healthcheck cannot be less than 1ms",
					 durations[i].name);
	if (h->retries < 0)
		return invalid(err, "Retries in Healthcheck cannot be negative");
	return 0;
}

static int validate_config(const struct container_config *c, struct error *err)
{
	int r = validate_hostname(c, err);

	if (r < 0)
		return r;
	if (*c->working_dir && *c->working_dir != '/')
		return error_set(
			err, ERROR_INVALID, 0,
			"the working directory '%s' is invalid, it needs to be an absolute "
			"path",
			c->working_dir);
	if (*c->stop_signal && signal_parse(c->stop_signal) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid signal: %s", c->stop_signal);
	for (size_t i = 0; i < c->env.n; i++)
		if (c->env.v[i][0] == '\0' || c->env.v[i][0] == '=')
			return error_set(err, ERROR_INVALID, 0, "invalid environment variable: %s",
					 c->env.v[i]);
	return validate_healthcheck(c->healthcheck, err);
}

int config_restart_validate(const struct host_config *h, struct error *err)
{
	const struct config_restart *p = &h->restart;
	bool none = *p->name == '\0' || strcmp(p->name, "no") == 0;

	if (h->auto_remove && !none)
		return invalid(err, "can't create 'AutoRemove' container with restart policy");
	if (strcmp(p->name, "on-failure") == 0)
		return p->max_retries < 0
			       ? invalid(err, "invalid restart policy: maximum retry count cannot "
					      "be negative")
			       : 0;
	if (!none && strcmp(p->name, "always") != 0 && strcmp(p->name, "unless-stopped") != 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid restart policy: unknown policy '%s'; use one of 'no', "
				 "'always', 'on-failure', or 'unless-stopped'",
				 p->name);
	if (*p->name && p->max_retries != 0)
		return error_set(
			err, ERROR_INVALID, 0,
			"invalid restart policy: maximum retry count can only be used with "
			"'on-failure'%s",
			p->max_retries < 0 ? " and cannot be negative" : "");
	return 0;
}

static int validate_capabilities(const char *field, const struct json_strings *list,
				 struct error *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcasecmp(list->v[i], "ALL") != 0 && caps_parse(list->v[i]) < 0)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid %s: unknown capability: \"%s\"", field,
					 list->v[i]);
	return 0;
}

static int validate_extra_hosts(const struct host_config *h, struct error *err)
{
	unsigned char buf[sizeof(struct in6_addr)];

	for (size_t i = 0; i < h->extra_hosts.n; i++) {
		const char *text = h->extra_hosts.v[i], *colon = strchr(text, ':');

		if (!colon || colon == text || colon[1] == '\0')
			return error_set(err, ERROR_INVALID, 0, "bad format for add-host: \"%s\"",
					 text);
		if (strcmp(colon + 1, "host-gateway") != 0 &&
		    inet_pton(AF_INET, colon + 1, buf) != 1 &&
		    inet_pton(AF_INET6, colon + 1, buf) != 1)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid IP address in add-host: \"%s\"", colon + 1);
	}
	for (size_t i = 0; i < h->dns.n; i++)
		if (inet_pton(AF_INET, h->dns.v[i], buf) != 1 &&
		    inet_pton(AF_INET6, h->dns.v[i], buf) != 1)
			return error_set(err, ERROR_INVALID, 0, "invalid IP address: %s",
					 h->dns.v[i]);
	return 0;
}

/* Security options. */
static int parse_label(const char *value, struct config_security *s, struct error *err)
{
	static const char *const names[] = {
		[CONFIG_LABEL_USER] = "user",         [CONFIG_LABEL_ROLE] = "role",
		[CONFIG_LABEL_TYPE] = "type",         [CONFIG_LABEL_LEVEL] = "level",
		[CONFIG_LABEL_FILETYPE] = "filetype",
	};
	size_t n = strcspn(value, ":");

	s->has_label = true;
	if (strcmp(value, "disable") == 0) {
		s->label_disable = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == n && memcmp(value, names[i], n) == 0 && value[n] &&
		    value[n + 1]) {
			s->label[i] = value + n + 1;
			return 0;
		}
	}
	return error_set(
		err, ERROR_INVALID, 0,
		"Bad label option \"%s\", valid options 'disable' or \n'user, role, level, "
		"type, filetype' followed by ':' and a value",
		value);
}

static int parse_security_pair(const char *opt, struct config_security *s, struct error *err)
{
	size_t n = strcspn(opt, "=");
	const char *value;
	int b;

	if (opt[n] == '\0')
		n = strcspn(opt, ":"); /* the separator of old */
	if (opt[n] == '\0')
		return error_set(err, ERROR_INVALID, 0, "invalid --security-opt 1: \"%s\"", opt);
	value = opt + n + 1;
	if (n == 7 && memcmp(opt, "seccomp", n) == 0) {
		s->seccomp = value;
	} else if (n == 8 && memcmp(opt, "apparmor", n) == 0) {
		s->apparmor = value;
	} else if (n == 5 && memcmp(opt, "label", n) == 0) {
		return parse_label(value, s, err);
	} else if (n == 11 && memcmp(opt, "systempaths", n) == 0) {
		if (strcmp(value, "unconfined") != 0)
			return error_set(err, ERROR_INVALID, 0, "invalid --security-opt 2: \"%s\"",
					 opt);
		s->unconfined_paths = true;
	} else if (n == 17 && memcmp(opt, "no-new-privileges", n) == 0) {
		b = units_parse_bool(value);
		if (b < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid --security-opt 2: \"%s\"",
					 opt);
		s->no_new_privileges = b > 0;
	} else {
		return error_set(err, ERROR_INVALID, 0, "invalid --security-opt 2: \"%s\"", opt);
	}
	return 0;
}

int config_security_parse(const struct json_strings *opts, struct config_security *ret,
			  struct error *err)
{
	struct config_security s = {0};

	for (size_t i = 0; i < opts->n; i++) {
		const char *opt = opts->v[i];
		int r = 0;

		if (strcmp(opt, "no-new-privileges") == 0)
			s.no_new_privileges = true;
		else if (strcmp(opt, "disable") == 0)
			s.has_label = s.label_disable = true;
		else
			r = parse_security_pair(opt, &s, err);
		if (r < 0)
			return r;
	}
	*ret = s;
	return 0;
}

static int validate_security(const struct container_spec *s, struct error *err)
{
	struct config_security security;
	const struct json *profile;
	autoerror struct error why = {0};
	int r = config_security_parse(&s->host.security_opt, &security, err);

	if (r < 0)
		return r;
	if (security.seccomp && strcmp(security.seccomp, "unconfined") != 0 &&
	    strcmp(security.seccomp, "builtin") != 0 &&
	    (json_parse(s->arena, security.seccomp, strlen(security.seccomp), &profile, &why) < 0 ||
	     json_type(profile) != JSON_OBJECT))
		return error_set(err, ERROR_INVALID, 0, "decoding seccomp profile failed: %s",
				 why.msg ? why.msg : "expected an object");
	return 0;
}

/* Namespaces. */
const char *config_mode_container(const char *mode)
{
	return str_has_prefix(mode, "container:") ? mode + strlen("container:") : NULL;
}

struct mode_rule {
	const char *field; /* for NOT_FOUND and invalid texts */
	const char *format;
	const char *words[5]; /* "" is always one */
	bool joins;           /* container:REF as well */
};

static int validate_mode(const struct mode_rule *rule, const char *mode, struct error *err)
{
	const char *ref = config_mode_container(mode);

	if (*mode == '\0' || (rule->joins && ref && *ref))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rule->words) && rule->words[i]; i++)
		if (strcmp(mode, rule->words[i]) == 0)
			return 0;
	return error_set(err, ERROR_INVALID, 0, "invalid %s: %s", rule->field, mode);
}

static int validate_modes(const struct host_config *h, struct error *err)
{
	static const struct mode_rule ipc = {
		.field = "IPC mode",
		.words = {"none", "private", "shareable", "host"},
		.joins = true,
	};
	static const struct mode_rule pid = {.field = "PID mode", .words = {"host"}, .joins = true};
	static const struct mode_rule uts = {.field = "UTS mode", .words = {"host"}};
	static const struct mode_rule cgroupns = {.field = "cgroup namespace mode",
						  .words = {"private", "host"}};
	int r = validate_mode(&ipc, h->ipc_mode, err);

	if (r == 0)
		r = validate_mode(&pid, h->pid_mode, err);
	if (r == 0)
		r = validate_mode(&uts, h->uts_mode, err);
	if (r == 0)
		r = validate_mode(&cgroupns, h->cgroupns_mode, err);
	return r;
}

static int validate_network(const struct container_spec *s, struct error *err)
{
	const struct container_config *c = &s->config;
	const struct host_config *h = &s->host;
	bool host = strcmp(h->network_mode, "host") == 0;
	const char *ref = config_mode_container(h->network_mode);
	const struct {
		bool conflict;
		const char *text;
	} rules[] = {
		{ref && *ref == '\0', "invalid container format container:<name|id>"},
		{ref && *c->hostname, "conflicting options: hostname and the network mode"},
		{strcmp(h->uts_mode, "host") == 0 && *c->hostname,
		 "conflicting options: hostname and the UTS mode"},
		{ref && h->dns.n > 0, "conflicting options: dns and the network mode"},
		{ref && h->extra_hosts.n > 0,
		 "conflicting options: custom host-to-IP mapping and the network mode"},
		{(ref || host) && *c->mac_address,
		 "conflicting options: mac-address and the network mode"},
		{ref && (h->binding_count > 0 || h->publish_all_ports),
		 "conflicting options: port publishing and the container type network mode"},
		{ref && json_count(c->exposed_ports) > 0,
		 "conflicting options: port exposing and the container type network mode"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].conflict)
			return invalid(err, rules[i].text);
	return 0;
}

/* Names become words of files. */
static bool is_word(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

int config_endpoint_check(const struct config_endpoint *ep, const struct json *doc,
			  struct error *err)
{
	unsigned char buf[sizeof(struct in6_addr)];
	uint8_t mac[6];

	if (json_count(ep->driver_opts) > 0)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "EndpointsConfig.%s.DriverOpts is not implemented", ep->network);
	if (json_count(json_get(json_get(doc, "IPAMConfig"), "LinkLocalIPs")) > 0)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "EndpointsConfig.%s.IPAMConfig.LinkLocalIPs is not implemented",
				 ep->network);
	if (ep->ipv4 && inet_pton(AF_INET, ep->ipv4, buf) != 1)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid endpoint settings: invalid IPv4 address: %s", ep->ipv4);
	if (ep->ipv6 && inet_pton(AF_INET6, ep->ipv6, buf) != 1)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid endpoint settings: invalid IPv6 address: %s", ep->ipv6);
	if (*ep->mac_address && netaddr_mac_parse(ep->mac_address, mac) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid MAC address %s", ep->mac_address);
	for (size_t i = 0; i < ep->aliases.n; i++)
		if (!is_word(ep->aliases.v[i]))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid endpoint settings: invalid alias '%s'",
					 ep->aliases.v[i]);
	for (size_t i = 0; i < ep->links.n; i++)
		if (!is_word(ep->links.v[i]))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid endpoint settings: invalid link '%s'",
					 ep->links.v[i]);
	return 0;
}

static bool is_builtin(const char *network)
{
	return strcmp(network, "bridge") == 0 || strcmp(network, "default") == 0 ||
	       strcmp(network, "host") == 0 || strcmp(network, "none") == 0;
}

static int validate_endpoints(const struct container_spec *s, unsigned api_version,
			      struct error *err)
{
	const struct json *docs =
		json_get(json_get(s->body, "NetworkingConfig"), "EndpointsConfig");

	if (s->endpoint_count > 1 && api_version < 144)
		return invalid(err, "Container cannot be connected to network endpoints");
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct config_endpoint *ep = &s->endpoints[i];
		int r = config_endpoint_check(ep, json_value_at(docs, i), err);

		if (r < 0)
			return r;
		if (ep->aliases.n > 0 && is_builtin(ep->network) &&
		    (strcmp(ep->network, "default") != 0 || is_builtin(s->host.network_mode)))
			return invalid(err, "network-scoped alias is supported only for containers "
					    "in user defined networks");
	}
	return 0;
}

static bool sysctl_allowed(const char *name)
{
	static const char *const names[] = {
		"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return str_has_prefix(name, "net.") || str_has_prefix(name, "fs.mqueue.");
}

static int validate_devices(const struct host_config *h, struct error *err)
{
	const struct config_device *d = h->devices.v;
	const struct config_device_request *q = h->device_requests.v;
	struct time_offsets offsets;

	for (size_t i = 0; i < h->device_requests.n; i++)
		if (q[i].count != 0 && q[i].device_ids.n > 0)
			return invalid(err,
				       "cannot set both Count and DeviceIDs on device request");
	for (size_t i = 0; i < h->devices.n; i++) {
		if (*d[i].path_on_host != '/')
			return error_set(err, ERROR_INVALID, 0,
					 "error gathering device information while adding custom "
					 "device \"%s\": not a device node",
					 d[i].path_on_host);
		if (strspn(d[i].permissions, "rwm") != strlen(d[i].permissions))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid device cgroup permissions: %s", d[i].permissions);
	}
	for (size_t i = 0; i < h->sysctls.n; i++)
		if (!sysctl_allowed(h->sysctls.keys[i]))
			return error_set(err, ERROR_INVALID, 0, "sysctl '%s' is not allowed",
					 h->sysctls.keys[i]);
	for (size_t i = 0; i < h->annotations.n; i++)
		if (h->annotations.keys[i][0] == '\0')
			return invalid(err,
				       "invalid Annotations: the empty string is not permitted "
				       "as an annotation key");
	return time_offsets_get(h, &offsets, err);
}

static int validate_host(const struct container_spec *s, struct error *err)
{
	const struct host_config *h = &s->host;
	int r = config_restart_validate(h, err);

	if (r == 0)
		r = config_mounts_validate(s, err);
	if (r == 0)
		r = validate_extra_hosts(h, err);
	if (r == 0)
		r = validate_capabilities("CapAdd", &h->cap_add, err);
	if (r == 0)
		r = validate_capabilities("CapDrop", &h->cap_drop, err);
	if (r == 0)
		/* else when the daemon's defaults are known: engine/create.c */
		r = *h->log.type ? logging_validate(&h->log, err) : 0;
	if (r == 0)
		r = validate_security(s, err);
	if (r == 0)
		r = validate_modes(h, err);
	if (r == 0)
		r = validate_devices(h, err);
	if (r == 0)
		r = validate_storage(h, err);
	if (r < 0)
		return r;
	if (!str_empty(h->userns_mode) && strcmp(h->userns_mode, "host") != 0)
		return error_set(err, ERROR_INVALID, 0, "invalid user namespace mode: %s",
				 h->userns_mode);
	if (*h->isolation && strcmp(h->isolation, "default") != 0)
		return error_set(err, ERROR_INVALID, 0, "invalid isolation '%s' on linux",
				 h->isolation);
	return 0;
}

int config_validate(struct container_spec *s, unsigned api_version, struct strv *warnings,
		    struct error *err)
{
	struct host_config *h = &s->host;
	int r = validate_config(&s->config, err);

	if (api_version < 144 && s->config.healthcheck) {
		struct config_healthcheck *check =
			arena_memdup(s->arena, s->config.healthcheck, sizeof(*check));

		check->start_interval = 0; /* of API 1.44 */
		s->config.healthcheck = check;
	}
	if (r == 0)
		r = refuse_not_there_yet(s->body, err);
	if (r == 0)
		r = config_ports_parse(s, err);
	if (r == 0)
		r = validate_network(s, err);
	if (r == 0)
		r = validate_endpoints(s, api_version, err);
	if (r == 0)
		r = validate_host(s, err);
	if (r == 0)
		r = config_resources_validate(h, warnings, err);
	if (r < 0)
		return r;
	if (strcmp(h->network_mode, "host") == 0 && h->binding_count > 0 && warnings)
		strv_add(warnings, "Published ports are discarded when using host network mode");
	if (*s->config.mac_address && api_version >= 144 && warnings)
		strv_add(warnings, "The container-wide MacAddress field is now deprecated. It "
				   "should be specified in EndpointsConfig instead.");
	return 0;
}
