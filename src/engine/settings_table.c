/* Every key of Docker 28's daemon.json and every flag of its dockerd, a row each. */
#include <arpa/inet.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "engine/settings.h"

/* ---- values ---------------------------------------------------------------------------------- */

static int refuse(struct error *err, const char *what, const char *value)
{
	return error_set(err, ERROR_INVALID, 0, "%s: %s", what, value);
}

static int check_level(const struct json *v, struct error *err)
{
	enum log_level level;

	if (str_empty(json_string(v)) || log_level_parse(json_string(v), &level) >= 0)
		return 0;
	return refuse(err, "invalid logging level", json_string(v));
}

static int check_format(const struct json *v, struct error *err)
{
	static const char *const words[] = {"", "text", "json", NULL};

	return str_is_one_of(json_string(v), words)
		       ? 0
		       : refuse(err, "invalid log format", json_string(v));
}

static int check_storage_driver(const struct json *v, struct error *err)
{
	static const char *const words[] = {"", "overlay2", NULL};

	if (str_is_one_of(json_string(v), words))
		return 0;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "'%s' is not implemented, only 'overlay2' is", json_string(v));
}

static int check_storage_opts(const struct json *v, struct error *err)
{
	static const char size_key[] = "overlay2.size=";
	const struct json *item;
	uint64_t size;

	json_array_foreach(item, v) {
		const char *s = json_string(item);

		if (!str_has_prefix(s, size_key))
			return error_set(err, ERROR_INVALID, 0, "overlay2: unknown option %.*s",
					 (int)strcspn(s, "="), s);
		if (units_parse_size(s + strlen(size_key), true, &size) < 0)
			return refuse(err, "invalid size", s + strlen(size_key));
	}
	return 0;
}

uint64_t settings_storage_size(const struct settings *s)
{
	uint64_t size = 0;

	for (size_t i = 0; i < s->storage_opts.n; i++)
		(void)units_parse_size(strchr(s->storage_opts.v[i], '=') + 1, true,
				       &size); /* checked */
	return size;
}

static int check_layer_format(const struct json *v, struct error *err)
{
	static const char *const words[] = {"", "auto", "directory", "erofs", NULL};

	return str_is_one_of(json_string(v), words)
		       ? 0
		       : refuse(err, "invalid layer format", json_string(v));
}

static int check_ipc_mode(const struct json *v, struct error *err)
{
	static const char *const words[] = {"", "private", "shareable", NULL};

	if (str_is_one_of(json_string(v), words))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "IPC mode \"%s\" is not supported as default value; use \"shareable\" or "
			 "\"private\"",
			 json_string(v));
}

static int check_cgroupns_mode(const struct json *v, struct error *err)
{
	static const char *const words[] = {"", "private", "host", NULL};

	if (str_is_one_of(json_string(v), words))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "invalid default cgroup namespace (%s): use \"host\" or \"private\"",
			 json_string(v));
}

static int check_exec_opts(const struct json *v, struct error *err)
{
	const struct json *item;

	json_array_foreach(item, v) {
		const char *s = json_string(item), *value = strchr(s, '=');

		if (!value || value == s || !value[1])
			return error_set(err, ERROR_INVALID, 0,
					 "invalid exec-opt (%s): must be formatted 'opt=value'", s);
		if (!str_has_prefix(s, "native.cgroupdriver="))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid exec-opt (%s): unknown option: '%.*s'", s,
					 (int)(value - s), s);
		if (!str_eq(value, "=cgroupfs"))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "native.cgroupdriver%s is not implemented, "
					 "only cgroupfs is",
					 value);
	}
	return 0;
}

static int check_label(const char *label, const struct json *all, struct error *err)
{
	size_t len = strcspn(label, "=");
	const struct json *item;

	if (len == 0)
		return error_set(err, ERROR_INVALID, 0, "invalid label '%s': empty name", label);
	if (strcspn(label, " \t\n\r") < len)
		return error_set(err, ERROR_INVALID, 0, "label '%s' contains whitespaces", label);
	json_array_foreach(item, all) {
		const char *other = json_string(item);

		if (label[len] && strncmp(other, label, len + 1) == 0 && !str_eq(other, label))
			return error_set(err, ERROR_INVALID, 0, "conflict labels for %s and %s",
					 label, other);
	}
	return 0;
}

static int check_labels(const struct json *v, struct error *err)
{
	const struct json *item;
	int r = 0;

	json_array_foreach(item, v)
		if (r >= 0)
			r = check_label(json_string(item), v, err);
	return r;
}

static int check_address(const char *s, struct error *err)
{
	unsigned char raw[16];

	if (str_empty(s) || inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "IP address is not correctly formatted: %s", s);
}

static int check_ip(const struct json *v, struct error *err)
{
	return check_address(json_string(v), err);
}

static int check_ips(const struct json *v, struct error *err)
{
	const struct json *item;
	int r = 0;

	json_array_foreach(item, v)
		if (r >= 0)
			r = check_address(json_string(item), err);
	return r;
}

static int check_not_negative(const struct json *v, struct error *err)
{
	if (json_int(v) >= 0)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "a negative number: %lld", (long long)json_int(v));
}

/* A feature that there isn't can only be off.  BuildKit's says which builder is preferred. */
static int check_features(const struct json *v, struct error *err)
{
	static const char *const known[] = {"buildkit", "cdi", NULL};

	for (size_t i = 0; i < json_count(v); i++)
		if (json_bool(json_value_at(v, i)) && !str_is_one_of(json_key_at(v, i), known))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "'%s' is not implemented",
					 json_key_at(v, i));
	return 0;
}

static int check_mirrors(const struct json *v, struct error *err)
{
	const struct json *item;

	json_array_foreach(item, v) {
		const char *s = json_string(item);
		const char *rest = str_has_prefix(s, "https://")  ? s + 8
				   : str_has_prefix(s, "http://") ? s + 7
								  : NULL;

		if (!rest || !*rest)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid mirror: no scheme specified for \"%s\": must "
					 "use either 'https://' or 'http://'",
					 s);
		if (strpbrk(rest, "?#"))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid mirror: query or fragment at end of the URI "
					 "\"%s\"",
					 s);
	}
	return 0;
}

static int check_cors(const struct json *v, struct error *err)
{
	if (str_empty(json_string(v)))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "DEPRECATED: The \"api-cors-header\" config parameter and the dockerd "
			 "\"--api-cors-header\" option have been removed; use a reverse proxy if "
			 "you need CORS headers");
}

static int check_live_restore(const struct json *v, struct error *err)
{
	if (json_bool(v))
		return 0;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "false is not implemented: containers outlive the engine");
}

static int check_path(const struct json *v, struct error *err)
{
	const char *s = json_string(v);

	if (str_empty(s) || s[0] == '/')
		return 0;
	return error_set(err, ERROR_INVALID, 0, "must be an absolute path: '%s'", s);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define AT(member) .offset = offsetof(struct settings, member)
#define ABSENT     .offset = -1
#define LOADS      .flags = SETTING_RELOADABLE

/* clang-format off */
const struct setting settings_table[] = {
	{"allow-direct-routing", "allow-direct-routing", 0, SETTING_BOOL, ABSENT,
	 .help = "Allow remote access to published ports on container IP addresses"},
	{"api-cors-header", "api-cors-header", 0, SETTING_STRING, ABSENT, .check = check_cors,
	 .flags = SETTING_HIDDEN, .help = "Removed"},
	{"authorization-plugins", "authorization-plugin", 0, SETTING_LIST, ABSENT,
	 .help = "Authorization plugins to load"},
	{"bip", "bip", 0, SETTING_STRING, AT(bip), .help = "IPv4 address for the default bridge"},
	{"bip6", "bip6", 0, SETTING_STRING, AT(bip6), .help = "IPv6 address for the default bridge"},
	{"bridge", "bridge", 'b', SETTING_STRING, AT(bridge), .help = "Link name of the default bridge"},
	{"bridge-accept-fwmark", "bridge-accept-fwmark", 0, SETTING_STRING, ABSENT,
	 .flags = SETTING_HIDDEN, .help = "Mark of packets let into bridges"},
	{"builder", NULL, 0, SETTING_OBJECT, ABSENT},
	{"cdi-spec-dirs", "cdi-spec-dir", 0, SETTING_LIST, AT(cdi_spec_dirs),
	 .fallback = "[\"/etc/cdi\",\"/var/run/cdi\"]", .help = "CDI specification directories to use"},
	{"cgroup-parent", "cgroup-parent", 0, SETTING_STRING, AT(cgroup_parent),
	 .check = check_path, .fallback = "\"/docker\"", .help = "Set parent cgroup for all containers"},
	{"containerd", "containerd", 0, SETTING_STRING, ABSENT, .help = "containerd grpc address"},
	{"containerd-namespace", "containerd-namespace", 0, SETTING_STRING, ABSENT,
	 .fallback = "\"moby\"", .help = "Containerd namespace to use"},
	{"containerd-plugin-namespace", "containerd-plugins-namespace", 0, SETTING_STRING, ABSENT,
	 .fallback = "\"plugins.moby\"", .help = "Containerd namespace to use for plugins"},
	{"cpu-rt-period", "cpu-rt-period", 0, SETTING_INT, ABSENT,
	 .help = "Limit the CPU real-time period in microseconds of the parent cgroup"},
	{"cpu-rt-runtime", "cpu-rt-runtime", 0, SETTING_INT, ABSENT,
	 .help = "Limit the CPU real-time runtime in microseconds of the parent cgroup"},
	{"cri-containerd", "cri-containerd", 0, SETTING_BOOL, ABSENT,
	 .help = "Start containerd with cri"},
	{"data-root", "data-root", 0, SETTING_STRING, AT(data_root), .check = check_path,
	 .fallback = "\"/var/lib/vessel\"", .help = "Root directory of persistent state"},
	{"debug", "debug", 'D', SETTING_BOOL, AT(debug), LOADS, .help = "Enable debug mode"},
	{"default-address-pools", "default-address-pool", 0, SETTING_POOLS, AT(address_pools),
	 .help = "Default address pools for node specific local networks"},
	{"default-cgroupns-mode", "default-cgroupns-mode", 0, SETTING_STRING, AT(cgroupns_mode), LOADS,
	 .check = check_cgroupns_mode, .help = "Default mode for containers cgroup namespace (host, private)"},
	{"default-gateway", "default-gateway", 0, SETTING_STRING, ABSENT,
	 .help = "Default gateway IPv4 address for the default bridge network"},
	{"default-gateway-v6", "default-gateway-v6", 0, SETTING_STRING, ABSENT,
	 .help = "Default gateway IPv6 address for the default bridge network"},
	{"default-ipc-mode", "default-ipc-mode", 0, SETTING_STRING, AT(ipc_mode), LOADS,
	 .check = check_ipc_mode, .fallback = "\"private\"",
	 .help = "Default mode for containers ipc (shareable, private)"},
	{"default-network-opts", "default-network-opt", 0, SETTING_MAPS, AT(default_network_opts),
	 .help = "Default network options"},
	{"default-runtime", "default-runtime", 0, SETTING_STRING, AT(default_runtime), LOADS,
	 .fallback = "\"vessel\"", .help = "Default OCI runtime for containers"},
	{"default-shm-size", "default-shm-size", 0, SETTING_BYTES, AT(shm_size), LOADS,
	 .fallback = "\"64MiB\"", .help = "Default shm size for containers"},
	{"default-ulimits", "default-ulimit", 0, SETTING_ULIMITS, AT(default_ulimits),
	 .help = "Default ulimits for containers"},
	{"dns", "dns", 0, SETTING_LIST, AT(dns), .check = check_ips, .help = "DNS server to use"},
	{"dns-opts", "dns-opt", 0, SETTING_LIST, AT(dns_opts), .help = "DNS options to use"},
	{"dns-search", "dns-search", 0, SETTING_LIST, AT(dns_search), .help = "DNS search domains to use"},
	{"exec-opts", "exec-opt", 0, SETTING_LIST, AT(exec_opts), .check = check_exec_opts,
	 .help = "Runtime execution options"},
	{"exec-root", "exec-root", 0, SETTING_STRING, AT(exec_root), .check = check_path,
	 .fallback = "\"/run/vessel\"", .help = "Root directory for execution state files"},
	{"experimental", "experimental", 0, SETTING_BOOL, AT(experimental),
	 .help = "Enable experimental features"},
	{"features", "feature", 0, SETTING_BOOLS, AT(features), LOADS, .check = check_features,
	 .help = "Enable feature in the daemon"},
	{"fixed-cidr", "fixed-cidr", 0, SETTING_STRING, AT(fixed_cidr),
	 .help = "IPv4 subnet for the default bridge network"},
	{"fixed-cidr-v6", "fixed-cidr-v6", 0, SETTING_STRING, AT(fixed_cidr6),
	 .help = "IPv6 subnet for the default bridge network"},
	{"group", "group", 'G', SETTING_STRING, AT(group), .help = "Group for the unix socket"},
	{"host-gateway-ips", "host-gateway-ip", 0, SETTING_LIST, AT(host_gateway_ips), .check = check_ips,
	 .help = "IP addresses that the special 'host-gateway' string in --add-host resolves to"},
	{"hosts", "host", 'H', SETTING_LIST, AT(hosts), .help = "Daemon socket(s) to connect to"},
	{"http-proxy", "http-proxy", 0, SETTING_STRING, AT(http_proxy),
	 .help = "HTTP proxy URL to use for outgoing traffic"},
	{"https-proxy", "https-proxy", 0, SETTING_STRING, AT(https_proxy),
	 .help = "HTTPS proxy URL to use for outgoing traffic"},
	{"icc", "icc", 0, SETTING_BOOL, AT(icc), .fallback = "true",
	 .help = "Enable inter-container communication for the default bridge network"},
	{"init", "init", 0, SETTING_BOOL, AT(init), LOADS,
	 .help = "Run an init in the container to forward signals and reap processes"},
	{"init-path", "init-path", 0, SETTING_STRING, AT(init_path), .check = check_path,
	 .help = "Path to the init binary"},
	{"insecure-registries", "insecure-registry", 0, SETTING_LIST, AT(insecure_registries), LOADS,
	 .help = "Enable insecure registry communication"},
	{"ip", "ip", 0, SETTING_STRING, AT(host_ip), .check = check_ip, .fallback = "\"0.0.0.0\"",
	 .help = "Host IP for port publishing from the default bridge network"},
	{"ip-forward", "ip-forward", 0, SETTING_BOOL, AT(ip_forward), .fallback = "true",
	 .help = "Enable IP forwarding in system configuration"},
	{"ip-forward-no-drop", "ip-forward-no-drop", 0, SETTING_BOOL, ABSENT,
	 .help = "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding"},
	{"ip-masq", "ip-masq", 0, SETTING_BOOL, AT(ip_masq), .fallback = "true",
	 .help = "Enable IP masquerading for the default bridge network"},
	{"ip6tables", "ip6tables", 0, SETTING_BOOL, ABSENT, .fallback = "true",
	 .help = "Filter and translate IPv6 (by nftables)"},
	{"iptables", "iptables", 0, SETTING_BOOL, ABSENT, .fallback = "true",
	 .help = "Filter and translate IPv4 (by nftables)"},
	{"ipv6", "ipv6", 0, SETTING_BOOL, AT(ipv6), .fallback = "true",
	 .help = "Enable IPv6 networking for the default bridge network"},
	{"labels", "label", 0, SETTING_LIST, AT(labels), LOADS, .check = check_labels,
	 .help = "Set key=value labels to the daemon"},
	{"layer-format", "layer-format", 0, SETTING_STRING, AT(layer_format),
	 .check = check_layer_format, .fallback = "\"auto\"",
	 .help = "How image layers are kept (auto, directory, erofs)"},
	{"live-restore", "live-restore", 0, SETTING_BOOL, ABSENT, LOADS, .check = check_live_restore,
	 .fallback = "true", .help = "Containers outlive the daemon: always true"},
	{"log-driver", "log-driver", 0, SETTING_STRING, AT(log_driver), .fallback = "\"json-file\"",
	 .help = "Default driver for container logs"},
	{"log-format", "log-format", 0, SETTING_STRING, AT(log_format), .check = check_format,
	 .fallback = "\"text\"", .help = "Set the logging format (text, json)"},
	{"log-level", "log-level", 'l', SETTING_STRING, AT(log_level), LOADS, .check = check_level,
	 .fallback = "\"info\"", .help = "Set the logging level (debug, info, warn, error, fatal)"},
	{"log-opts", "log-opt", 0, SETTING_MAP, AT(log_opts),
	 .help = "Default log driver options for containers"},
	{"max-concurrent-downloads", "max-concurrent-downloads", 0, SETTING_INT,
	 AT(max_concurrent_downloads), LOADS, .check = check_not_negative, .fallback = "3",
	 .help = "Set the max concurrent downloads"},
	{"max-concurrent-uploads", "max-concurrent-uploads", 0, SETTING_INT,
	 AT(max_concurrent_uploads), LOADS, .check = check_not_negative, .fallback = "5",
	 .help = "Set the max concurrent uploads"},
	{"max-download-attempts", "max-download-attempts", 0, SETTING_INT,
	 AT(max_download_attempts), LOADS, .check = check_not_negative, .fallback = "5",
	 .help = "Set the max download attempts for each pull"},
	{"metrics-addr", "metrics-addr", 0, SETTING_STRING, AT(metrics_addr),
	 .help = "Set default address and port to serve the metrics api on"},
	{"mtu", "mtu", 0, SETTING_INT, AT(mtu), .check = check_not_negative,
	 .fallback = "1500", .help = "Set the MTU for the default bridge network"},
	{"network-control-plane-mtu", "network-control-plane-mtu", 0, SETTING_INT, ABSENT,
	 .fallback = "1500", .help = "Network Control plane MTU"},
	{"no-new-privileges", "no-new-privileges", 0, SETTING_BOOL, AT(no_new_privileges),
	 .help = "Set no-new-privileges by default for new containers"},
	{"no-proxy", "no-proxy", 0, SETTING_STRING, AT(no_proxy),
	 .help = "Comma-separated list of hosts or IP addresses for which the proxy is skipped"},
	{"node-generic-resources", "node-generic-resource", 0, SETTING_LIST, ABSENT,
	 .help = "Advertise user-defined resource"},
	{"pidfile", "pidfile", 'p', SETTING_STRING, AT(pidfile), .fallback = "\"/run/vessel.pid\"",
	 .help = "Path to use for daemon PID file"},
	{"raw-logs", "raw-logs", 0, SETTING_BOOL, ABSENT,
	 .help = "Full timestamps without ANSI coloring, as always",
	 .inert = "lines have full timestamps and no colours in any case"},
	{"registry-mirrors", "registry-mirror", 0, SETTING_LIST, AT(registry_mirrors), LOADS,
	 .check = check_mirrors, .help = "Preferred registry mirror"},
	{"rootless", "rootless", 0, SETTING_BOOL, ABSENT, .help = "Enable rootless mode"},
	{"runtimes", "add-runtime", 0, SETTING_RUNTIMES, AT(runtimes),
	 .flags = SETTING_RELOADABLE | SETTING_MERGED,
	 .help = "Register an additional OCI compatible runtime"},
	{"seccomp-profile", "seccomp-profile", 0, SETTING_STRING, AT(seccomp_profile), .fallback = "\"builtin\"",
	 .help = "Path to seccomp profile, or unconfined"},
	{"selinux-enabled", "selinux-enabled", 0, SETTING_BOOL, AT(selinux),
	 .help = "Label containers for SELinux"},
	{"shutdown-timeout", "shutdown-timeout", 0, SETTING_INT, ABSENT, LOADS, .fallback = "15",
	 .help = "Has no use: containers are not stopped with the daemon",
	 .inert = "with `live-restore`, which is always on, containers are not stopped with the daemon"},
	{"signature-policy", NULL, 0, SETTING_OBJECT, AT(signature_policy), LOADS},
	{"storage-driver", "storage-driver", 's', SETTING_STRING, AT(storage_driver),
	 .check = check_storage_driver, .fallback = "\"overlay2\"", .help = "Storage driver to use"},
	{"storage-opts", "storage-opt", 0, SETTING_LIST, AT(storage_opts), .check = check_storage_opts,
	 .help = "Storage driver options"},
	{"swarm-default-advertise-addr", "swarm-default-advertise-addr", 0, SETTING_STRING, ABSENT,
	 .help = "Set default address or interface for swarm advertised address"},
	{"swarm-raft-election-tick", "swarm-raft-election-tick", 0, SETTING_INT, ABSENT,
	 .flags = SETTING_HIDDEN, .help = "Ticks for an election in a swarm"},
	{"swarm-raft-heartbeat-tick", "swarm-raft-heartbeat-tick", 0, SETTING_INT, ABSENT,
	 .flags = SETTING_HIDDEN, .help = "Ticks between heartbeats in a swarm"},
	{"tls", "tls", 0, SETTING_BOOL, AT(tls), .help = "Use TLS; implied by --tlsverify"},
	{"tlscacert", "tlscacert", 0, SETTING_STRING, AT(tls_ca),
	 .help = "Trust certs signed only by this CA"},
	{"tlscert", "tlscert", 0, SETTING_STRING, AT(tls_cert), .help = "Path to TLS certificate file"},
	{"tlskey", "tlskey", 0, SETTING_STRING, AT(tls_key), .help = "Path to TLS key file"},
	{"tlsverify", "tlsverify", 0, SETTING_BOOL, AT(tls_verify), .help = "Use TLS and verify the remote"},
	{"userland-proxy", "userland-proxy", 0, SETTING_BOOL, ABSENT, .fallback = "true",
	 .help = "Makes no difference: published ports are reached from everywhere without one",
	 .inert = "published ports are reached from the host, `[::1]` and containers without such processes"},
	{"userland-proxy-path", "userland-proxy-path", 0, SETTING_STRING, ABSENT,
	 .check = check_path, .help = "Path to the userland proxy binary, of which there is no need",
	 .inert = "no such program is run"},
	{"userns-remap", "userns-remap", 0, SETTING_STRING, AT(userns_remap),
	 .help = "User/Group setting for user namespaces"},
	{0},
};
/* clang-format on */
