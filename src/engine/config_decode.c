/* The create document into structs: one table a JSON object. */
#include "engine/config_priv.h"

#include <string.h>

#include "base/mem.h"

#define COPY_MAX ((size_t)16 << 20) /* bytes of a document that is copied */

int config_strslice(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct json_strings *out = field;
	struct arena *a = json_decoder_arena(d);
	size_t n = json_type(v) == JSON_STRING ? 1 : json_count(v);
	const char **strings;

	if (json_type(v) != JSON_STRING && json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array of strings");
	strings = arena_new0n(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct json *item = json_type(v) == JSON_STRING ? v : json_at(v, i);

		strings[i] = json_string(item);
		if (!strings[i])
			return json_decoder_error(d, err, "expected an array of strings");
	}
	*out = (struct json_strings){.v = strings, .n = n};
	return 0;
}

/* ConsoleSize: [height, width]; `field` is console_rows, console_cols follows it. */
static int decode_console_size(struct json_decoder *d, const struct json *v, void *field,
			       struct error *err)
{
	unsigned *size = field;

	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected [height, width]");
	for (size_t i = 0; i < json_count(v) && i < 2; i++) {
		const struct json *n = json_at(v, i);

		if (!json_uint_fits(n) || json_uint(n) > UINT16_MAX)
			return json_decoder_error(d, err, "expected [height, width]");
	}
	for (size_t i = 0; i < json_count(v) && i < 2; i++)
		size[i] = (unsigned)json_uint(json_at(v, i));
	return 0;
}

static int decode_object_value(struct json_decoder *d, const struct json *v, void *field,
			       struct error *err)
{
	if (json_type(v) != JSON_OBJECT)
		return json_decoder_error(d, err, "expected an object");
	*(const struct json **)field = v;
	return 0;
}

static int decode_labels(struct json_decoder *d, const struct json *v, void *field,
			 struct error *err)
{
	const struct json *value;
	const char *key;
	int r = decode_object_value(d, v, field, err);

	if (r < 0)
		return r;
	json_object_foreach(key, value, v)
		if (!json_is_null(value) && !json_string(value))
			return json_decoder_error(d, err, "'%s': expected a string", key);
	return 0;
}

#define HEALTH(name, type, member) JSON_FIELD(struct config_healthcheck, name, type, member, 0)
static const struct json_field healthcheck_fields[] = {
	HEALTH("Test", JSON_DECODE_STRINGS, test),
	HEALTH("Interval", JSON_DECODE_I64, interval),
	HEALTH("Timeout", JSON_DECODE_I64, timeout),
	HEALTH("StartPeriod", JSON_DECODE_I64, start_period),
	HEALTH("StartInterval", JSON_DECODE_I64, start_interval),
	HEALTH("Retries", JSON_DECODE_INT, retries),
	{0},
};

#define CONFIG(name, type, member)  JSON_FIELD(struct container_config, name, type, member, 0)
#define CONFIG_FN(name, member, fn) JSON_FIELD_FN(struct container_config, name, member, fn, 0)
static const struct json_field config_fields[] = {
	CONFIG("Hostname", JSON_DECODE_STRING, hostname),
	CONFIG("Domainname", JSON_DECODE_STRING, domainname),
	CONFIG("User", JSON_DECODE_STRING, user),
	CONFIG("AttachStdin", JSON_DECODE_BOOL, attach_stdin),
	CONFIG("AttachStdout", JSON_DECODE_BOOL, attach_stdout),
	CONFIG("AttachStderr", JSON_DECODE_BOOL, attach_stderr),
	CONFIG_FN("ExposedPorts", exposed_ports, decode_object_value),
	CONFIG("Tty", JSON_DECODE_BOOL, tty),
	CONFIG("OpenStdin", JSON_DECODE_BOOL, open_stdin),
	CONFIG("StdinOnce", JSON_DECODE_BOOL, stdin_once),
	CONFIG("Env", JSON_DECODE_STRINGS, env),
	CONFIG_FN("Cmd", cmd, config_strslice),
	JSON_FIELD_PTR(struct container_config, "Healthcheck", JSON_DECODE_OBJECT_PTR, healthcheck,
		       healthcheck_fields, struct config_healthcheck, 0),
	CONFIG("ArgsEscaped", JSON_DECODE_BOOL, args_escaped),
	CONFIG("Image", JSON_DECODE_STRING, image),
	CONFIG_FN("Volumes", volumes, decode_object_value),
	CONFIG("WorkingDir", JSON_DECODE_STRING, working_dir),
	CONFIG_FN("Entrypoint", entrypoint, config_strslice),
	CONFIG("NetworkDisabled", JSON_DECODE_BOOL, network_disabled),
	CONFIG("MacAddress", JSON_DECODE_STRING, mac_address),
	CONFIG("OnBuild", JSON_DECODE_STRINGS, on_build),
	CONFIG_FN("Labels", labels, decode_labels),
	CONFIG("StopSignal", JSON_DECODE_STRING, stop_signal),
	CONFIG("StopTimeout", JSON_DECODE_OPT_INT, stop_timeout),
	CONFIG_FN("Shell", shell, config_strslice),
	{0},
};

static const struct json_field restart_fields[] = {
	JSON_FIELD(struct config_restart, "Name", JSON_DECODE_STRING, name, 0),
	JSON_FIELD(struct config_restart, "MaximumRetryCount", JSON_DECODE_INT, max_retries, 0),
	{0},
};
static const struct json_field log_fields[] = {
	JSON_FIELD(struct config_log, "Type", JSON_DECODE_STRING, type, 0),
	JSON_FIELD(struct config_log, "Config", JSON_DECODE_STRING_MAP, config, 0),
	{0},
};
static const struct json_field ulimit_fields[] = {
	JSON_FIELD(struct config_ulimit, "Name", JSON_DECODE_STRING, name, 0),
	JSON_FIELD(struct config_ulimit, "Hard", JSON_DECODE_I64, hard, 0),
	JSON_FIELD(struct config_ulimit, "Soft", JSON_DECODE_I64, soft, 0),
	{0},
};
static const struct json_field device_fields[] = {
	JSON_FIELD(struct config_device, "PathOnHost", JSON_DECODE_STRING, path_on_host, 0),
	JSON_FIELD(struct config_device, "PathInContainer", JSON_DECODE_STRING, path_in_container,
		   0),
	JSON_FIELD(struct config_device, "CgroupPermissions", JSON_DECODE_STRING, permissions, 0),
	{0},
};
static int decode_capabilities(struct json_decoder *d, const struct json *v, void *field,
			       struct error *err)
{
	for (size_t i = 0; i < json_count(v); i++) {
		const struct json *set = json_at(v, i);

		if (json_type(set) != JSON_ARRAY)
			return json_decoder_error(d, err, "expected arrays of strings");
		for (size_t k = 0; k < json_count(set); k++)
			if (!json_string(json_at(set, k)))
				return json_decoder_error(d, err, "expected arrays of strings");
	}
	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	*(const struct json **)field = v;
	return 0;
}

static const struct json_field request_fields[] = {
	JSON_FIELD(struct config_device_request, "Driver", JSON_DECODE_STRING, driver, 0),
	JSON_FIELD(struct config_device_request, "Count", JSON_DECODE_I64, count, 0),
	JSON_FIELD(struct config_device_request, "DeviceIDs", JSON_DECODE_STRINGS, device_ids, 0),
	JSON_FIELD_FN(struct config_device_request, "Capabilities", capabilities,
		      decode_capabilities, 0),
	JSON_FIELD(struct config_device_request, "Options", JSON_DECODE_STRING_MAP, options, 0),
	{0},
};
static const struct json_field throttle_fields[] = {
	JSON_FIELD(struct config_throttle, "Path", JSON_DECODE_STRING, path, 0),
	JSON_FIELD(struct config_throttle, "Rate", JSON_DECODE_U64, rate, 0),
	{0},
};
static const struct json_field weight_fields[] = {
	JSON_FIELD(struct config_weight_device, "Path", JSON_DECODE_STRING, path, 0),
	JSON_FIELD(struct config_weight_device, "Weight", JSON_DECODE_U16, weight, 0),
	{0},
};
#define MOUNT_FN(name, member) \
	JSON_FIELD_FN(struct config_mount, name, member, decode_object_value, 0)
static const struct json_field mount_fields[] = {
	JSON_FIELD(struct config_mount, "Type", JSON_DECODE_STRING, type, 0),
	JSON_FIELD(struct config_mount, "Source", JSON_DECODE_STRING, source, 0),
	JSON_FIELD(struct config_mount, "Target", JSON_DECODE_STRING, target, 0),
	JSON_FIELD(struct config_mount, "ReadOnly", JSON_DECODE_BOOL, read_only, 0),
	JSON_FIELD(struct config_mount, "Consistency", JSON_DECODE_STRING, consistency, 0),
	MOUNT_FN("BindOptions", bind_options),
	MOUNT_FN("VolumeOptions", volume_options),
	MOUNT_FN("TmpfsOptions", tmpfs_options),
	MOUNT_FN("ImageOptions", image_options),
	{0},
};

#define HOST(name, type, member)  JSON_FIELD(struct host_config, name, type, member, 0)
#define HOST_FN(name, member, fn) JSON_FIELD_FN(struct host_config, name, member, fn, 0)
#define HOST_SUB(name, member, table) \
	JSON_FIELD_SUB(struct host_config, name, JSON_DECODE_OBJECT, member, table, 0)
#define HOST_LIST(name, member, table, type) \
	JSON_FIELD_PTR(struct host_config, name, JSON_DECODE_OBJECTS, member, table, type, 0)
static const struct json_field host_fields[] = {
	HOST("Binds", JSON_DECODE_STRINGS, binds),
	HOST("ContainerIDFile", JSON_DECODE_STRING, container_id_file),
	HOST_SUB("LogConfig", log, log_fields),
	HOST("NetworkMode", JSON_DECODE_STRING, network_mode),
	HOST_FN("PortBindings", port_bindings, decode_object_value),
	HOST_SUB("RestartPolicy", restart, restart_fields),
	HOST("AutoRemove", JSON_DECODE_BOOL, auto_remove),
	HOST("VolumeDriver", JSON_DECODE_STRING, volume_driver),
	HOST("VolumesFrom", JSON_DECODE_STRINGS, volumes_from),
	HOST_FN("ConsoleSize", console_rows, decode_console_size),
	HOST("Annotations", JSON_DECODE_STRING_MAP, annotations),
	HOST_FN("CapAdd", cap_add, config_strslice),
	HOST_FN("CapDrop", cap_drop, config_strslice),
	HOST("CgroupnsMode", JSON_DECODE_STRING, cgroupns_mode),
	HOST("Dns", JSON_DECODE_STRINGS, dns),
	HOST("DnsOptions", JSON_DECODE_STRINGS, dns_options),
	HOST("DnsSearch", JSON_DECODE_STRINGS, dns_search),
	HOST("ExtraHosts", JSON_DECODE_STRINGS, extra_hosts),
	HOST("GroupAdd", JSON_DECODE_STRINGS, group_add),
	HOST("IpcMode", JSON_DECODE_STRING, ipc_mode),
	HOST("Links", JSON_DECODE_STRINGS, links),
	HOST("OomScoreAdj", JSON_DECODE_INT, oom_score_adj),
	HOST("PidMode", JSON_DECODE_STRING, pid_mode),
	HOST("Privileged", JSON_DECODE_BOOL, privileged),
	HOST("PublishAllPorts", JSON_DECODE_BOOL, publish_all_ports),
	HOST("ReadonlyRootfs", JSON_DECODE_BOOL, readonly_rootfs),
	HOST("SecurityOpt", JSON_DECODE_STRINGS, security_opt),
	HOST("StorageOpt", JSON_DECODE_STRING_MAP, storage_opt),
	HOST("Tmpfs", JSON_DECODE_STRING_MAP, tmpfs),
	HOST("UTSMode", JSON_DECODE_STRING, uts_mode),
	HOST("UsernsMode", JSON_DECODE_STRING, userns_mode),
	HOST("ShmSize", JSON_DECODE_I64, shm_size),
	HOST("Sysctls", JSON_DECODE_STRING_MAP, sysctls),
	HOST("Runtime", JSON_DECODE_STRING, runtime),
	HOST("Isolation", JSON_DECODE_STRING, isolation),
	HOST("CpuShares", JSON_DECODE_I64, cpu_shares),
	HOST("Memory", JSON_DECODE_I64, memory),
	HOST("NanoCpus", JSON_DECODE_I64, nano_cpus),
	HOST("CgroupParent", JSON_DECODE_STRING, cgroup_parent),
	HOST("BlkioWeight", JSON_DECODE_U16, blkio_weight),
	HOST_LIST("BlkioWeightDevice", blkio_weight_device, weight_fields,
		  struct config_weight_device),
	HOST_LIST("BlkioDeviceReadBps", read_bps, throttle_fields, struct config_throttle),
	HOST_LIST("BlkioDeviceWriteBps", write_bps, throttle_fields, struct config_throttle),
	HOST_LIST("BlkioDeviceReadIOps", read_iops, throttle_fields, struct config_throttle),
	HOST_LIST("BlkioDeviceWriteIOps", write_iops, throttle_fields, struct config_throttle),
	HOST("CpuPeriod", JSON_DECODE_I64, cpu_period),
	HOST("CpuQuota", JSON_DECODE_I64, cpu_quota),
	HOST("CpuRealtimePeriod", JSON_DECODE_I64, cpu_rt_period),
	HOST("CpuRealtimeRuntime", JSON_DECODE_I64, cpu_rt_runtime),
	HOST("CpusetCpus", JSON_DECODE_STRING, cpuset_cpus),
	HOST("CpusetMems", JSON_DECODE_STRING, cpuset_mems),
	HOST_LIST("Devices", devices, device_fields, struct config_device),
	HOST_LIST("DeviceRequests", device_requests, request_fields, struct config_device_request),
	HOST("DeviceCgroupRules", JSON_DECODE_STRINGS, device_cgroup_rules),
	HOST("KernelMemory", JSON_DECODE_I64, kernel_memory),
	HOST("MemoryReservation", JSON_DECODE_I64, memory_reservation),
	HOST("MemorySwap", JSON_DECODE_I64, memory_swap),
	HOST("MemorySwappiness", JSON_DECODE_OPT_I64, memory_swappiness),
	HOST("OomKillDisable", JSON_DECODE_OPT_BOOL, oom_kill_disable),
	HOST("PidsLimit", JSON_DECODE_OPT_I64, pids_limit),
	HOST_LIST("Ulimits", ulimits, ulimit_fields, struct config_ulimit),
	HOST_LIST("Mounts", mounts, mount_fields, struct config_mount),
	HOST("MaskedPaths", JSON_DECODE_STRINGS, masked_paths),
	HOST("ReadonlyPaths", JSON_DECODE_STRINGS, readonly_paths),
	HOST("Init", JSON_DECODE_OPT_BOOL, init),
	{0},
};

#define ENDPOINT(name, type, member) JSON_FIELD(struct config_endpoint, name, type, member, 0)
static const struct json_field endpoint_fields[] = {
	ENDPOINT("MacAddress", JSON_DECODE_STRING, mac_address),
	ENDPOINT("Aliases", JSON_DECODE_STRINGS, aliases),
	ENDPOINT("Links", JSON_DECODE_STRINGS, links),
	ENDPOINT("GwPriority", JSON_DECODE_INT, gw_priority),
	JSON_FIELD_FN(struct config_endpoint, "DriverOpts", driver_opts, decode_object_value, 0),
	{0},
};
static const struct json_field ipam_fields[] = {
	ENDPOINT("IPv4Address", JSON_DECODE_STRING, ipv4),
	ENDPOINT("IPv6Address", JSON_DECODE_STRING, ipv6),
	{0},
};

/* Absent strings are "" as in Go; a pointer to a string would make every reader check twice. */
static void fill_strings(const struct json_field *table, void *base)
{
	for (const struct json_field *f = table; f->name; f++) {
		const char **s = (const char **)(void *)((char *)base + f->offset);

		if (f->type == JSON_DECODE_STRING && !*s)
			*s = "";
	}
}

static void fill_list(const struct json_objects *list, const struct json_field *table, size_t size)
{
	for (size_t i = 0; i < list->n; i++)
		fill_strings(table, (char *)list->v + i * size);
}

static void fill_host(struct host_config *h)
{
	const struct json_objects *const throttles[] = {&h->read_bps, &h->write_bps, &h->read_iops,
							&h->write_iops};

	fill_strings(host_fields, h);
	fill_strings(restart_fields, &h->restart);
	fill_strings(log_fields, &h->log);
	fill_list(&h->ulimits, ulimit_fields, sizeof(struct config_ulimit));
	fill_list(&h->devices, device_fields, sizeof(struct config_device));
	fill_list(&h->mounts, mount_fields, sizeof(struct config_mount));
	fill_list(&h->blkio_weight_device, weight_fields, sizeof(struct config_weight_device));
	for (size_t i = 0; i < ARRAY_SIZE(throttles); i++)
		fill_list(throttles[i], throttle_fields, sizeof(struct config_throttle));
}

static int decode_endpoint(struct container_spec *s, const struct json *v,
			   struct config_endpoint *ep, struct error *err)
{
	const struct json *ipam = json_get(v, "IPAMConfig");
	int r;

	ep->mac_address = "";
	if (json_is_null(v))
		return 0;
	r = json_decode(s->arena, v, endpoint_fields, ep, "NetworkingConfig.EndpointsConfig", err);
	if (r == 0 && !json_is_null(ipam))
		r = json_decode(s->arena, ipam, ipam_fields, ep,
				"NetworkingConfig.EndpointsConfig.IPAMConfig", err);
	if (r < 0)
		return r;
	if (!ep->mac_address)
		ep->mac_address = "";
	if (ep->ipv4 && *ep->ipv4 == '\0')
		ep->ipv4 = NULL;
	if (ep->ipv6 && *ep->ipv6 == '\0')
		ep->ipv6 = NULL;
	return 0;
}

int container_spec_endpoint(struct container_spec *s, const char *network, const struct json *v,
			    struct config_endpoint *ret, struct error *err)
{
	struct config_endpoint ep = {.network = arena_strdup(s->arena, network)};
	const struct json *copy;
	int r = config_copy(s->arena, v, &copy, err);

	r = r < 0 ? r : decode_endpoint(s, copy, &ep, err);
	r = r < 0 ? r : config_endpoint_check(&ep, copy, err);
	if (r >= 0)
		*ret = ep;
	return r;
}

static int decode_endpoints(struct container_spec *s, const struct json *networking,
			    struct error *err)
{
	const struct json *endpoints = json_get(networking, "EndpointsConfig"), *v;
	const char *name;
	int r = 0;

	if (json_is_null(endpoints))
		return 0;
	if (json_type(endpoints) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "NetworkingConfig.EndpointsConfig: expected an object");
	s->endpoints = arena_new0n(s->arena, struct config_endpoint, json_count(endpoints));
	json_object_foreach(name, v, endpoints) {
		struct config_endpoint *ep = &s->endpoints[s->endpoint_count++];

		ep->network = name;
		r = decode_endpoint(s, v, ep, err);
		if (r < 0)
			return r;
	}
	s->endpoints_settled = json_get_bool(networking, "Settled");
	return 0;
}

#define POINT(name, type, member) JSON_FIELD(struct config_point, name, type, member, 0)
static const struct json_field point_fields[] = {
	POINT("Volume", JSON_DECODE_STRING, volume),
	POINT("Source", JSON_DECODE_STRING, source),
	POINT("Target", JSON_DECODE_STRING, target),
	POINT("Mode", JSON_DECODE_STRING, mode),
	POINT("Subpath", JSON_DECODE_STRING, subpath),
	POINT("ReadOnly", JSON_DECODE_BOOL, read_only),
	POINT("NoCopy", JSON_DECODE_BOOL, nocopy),
	POINT("Anonymous", JSON_DECODE_BOOL, anonymous),
	POINT("Inherited", JSON_DECODE_BOOL, inherited),
	{0},
};

/* Ours, of a stored document; a client's is not looked at. */
int config_decode_points(struct container_spec *s, struct error *err)
{
	const struct json *list = json_get(s->body, "MountPoints"), *v;
	int r = 0;

	s->points_settled = json_type(list) == JSON_ARRAY;
	s->points = arena_new0n(s->arena, struct config_point, json_count(list) + 1);
	json_array_foreach(v, list) {
		struct config_point *p = &s->points[s->point_count++];

		r = json_decode(s->arena, v, point_fields, p, "MountPoints", err);
		if (r < 0)
			return r;
		fill_strings(point_fields, p);
	}
	return 0;
}

int config_decode(struct container_spec *s, const struct json *doc, struct error *err)
{
	const struct json *host = json_get(doc, "HostConfig");
	int r;

	r = json_decode(s->arena, doc, config_fields, &s->config, "", err);
	if (r == 0 && !json_is_null(host))
		r = json_decode(s->arena, host, host_fields, &s->host, "HostConfig", err);
	if (r == 0)
		r = decode_endpoints(s, json_get(doc, "NetworkingConfig"), err);
	if (r < 0)
		return r;
	fill_strings(config_fields, &s->config);
	fill_host(&s->host);
	s->body = doc;
	return 0;
}

int config_decode_host(struct arena *a, const struct json *v, struct host_config *ret,
		       struct error *err)
{
	int r = json_decode(a, v, host_fields, ret, "", err);

	if (r >= 0)
		fill_host(ret);
	return r;
}

int config_decode_healthcheck(struct arena *a, const struct json *v,
			      const struct config_healthcheck **ret, struct error *err)
{
	struct config_healthcheck *h = arena_new0(a, struct config_healthcheck);
	int r = json_decode(a, v, healthcheck_fields, h, "Healthcheck", err);

	if (r == 0)
		*ret = h;
	return r;
}

int config_copy(struct arena *a, const struct json *v, const struct json **ret, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(COPY_MAX);
	struct json_writer w;

	json_writer_init(&w, &text);
	jw_value(&w, v);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "copy a configuration");
	return json_parse(a, text.s, text.len, ret, err);
}
