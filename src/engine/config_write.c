/* Configuration back into Docker's JSON: order, null, [] and absence as dockerd prints them. */
#include <string.h>

#include "engine/config_priv.h"

static void write_strings(struct json_writer *w, const char *key, const struct json_strings *list)
{
	jw_key(w, key);
	if (!list->v) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
	jw_array_end(w);
}

static void write_map(struct json_writer *w, const char *key, const struct json_string_map *map)
{
	jw_kobject(w, key);
	for (size_t i = 0; i < map->n; i++)
		jw_kstring(w, map->keys[i], map->values[i]);
	jw_object_end(w);
}

/* "omitempty" */
static void write_some(struct json_writer *w, const char *key, const char *s)
{
	if (!str_empty(s))
		jw_kstring(w, key, s);
}

static void write_int_some(struct json_writer *w, const char *key, int64_t v)
{
	if (v != 0)
		jw_kint(w, key, v);
}

static void write_map_some(struct json_writer *w, const char *key,
			   const struct json_string_map *map)
{
	if (map->n > 0)
		write_map(w, key, map);
}

static void write_bool_or_null(struct json_writer *w, const char *key, const bool *b)
{
	if (b)
		jw_kbool(w, key, *b);
	else
		jw_knull(w, key);
}

static void write_int_or_null(struct json_writer *w, const char *key, const int64_t *v)
{
	if (v)
		jw_kint(w, key, *v);
	else
		jw_knull(w, key);
}

static void write_healthcheck(struct json_writer *w, const struct config_healthcheck *h)
{
	jw_kobject(w, "Healthcheck");
	if (h->test.n > 0)
		write_strings(w, "Test", &h->test);
	write_int_some(w, "Interval", h->interval);
	write_int_some(w, "Timeout", h->timeout);
	write_int_some(w, "StartPeriod", h->start_period);
	write_int_some(w, "StartInterval", h->start_interval);
	write_int_some(w, "Retries", h->retries);
	jw_object_end(w);
}

void container_config_write(const struct container_config *c, unsigned api_version,
			    struct json_writer *w)
{
	(void)api_version;
	jw_kstring(w, "Hostname", c->hostname);
	jw_kstring(w, "Domainname", c->domainname);
	jw_kstring(w, "User", c->user);
	jw_kbool(w, "AttachStdin", c->attach_stdin);
	jw_kbool(w, "AttachStdout", c->attach_stdout);
	jw_kbool(w, "AttachStderr", c->attach_stderr);
	if (json_count(c->exposed_ports) > 0)
		jw_kvalue(w, "ExposedPorts", c->exposed_ports);
	jw_kbool(w, "Tty", c->tty);
	jw_kbool(w, "OpenStdin", c->open_stdin);
	jw_kbool(w, "StdinOnce", c->stdin_once);
	write_strings(w, "Env", &c->env);
	write_strings(w, "Cmd", &c->cmd);
	if (c->healthcheck)
		write_healthcheck(w, c->healthcheck);
	if (c->args_escaped)
		jw_kbool(w, "ArgsEscaped", true);
	jw_kstring(w, "Image", c->image);
	jw_kvalue(w, "Volumes", json_count(c->volumes) > 0 ? c->volumes : NULL);
	jw_kstring(w, "WorkingDir", c->working_dir);
	write_strings(w, "Entrypoint", &c->entrypoint);
	if (c->network_disabled)
		jw_kbool(w, "NetworkDisabled", true);
	write_some(w, "MacAddress", c->mac_address);
	write_strings(w, "OnBuild", &c->on_build);
	/* Never null: clients look up labels without asking. */
	jw_key(w, "Labels");
	if (c->labels) {
		jw_value(w, c->labels);
	} else {
		jw_object(w);
		jw_object_end(w);
	}
	write_some(w, "StopSignal", c->stop_signal);
	if (c->stop_timeout)
		jw_kint(w, "StopTimeout", *c->stop_timeout);
	if (c->shell.n > 0)
		write_strings(w, "Shell", &c->shell);
}

static void write_throttles(struct json_writer *w, const char *key, const struct json_objects *list)
{
	const struct config_throttle *t = list->v;

	jw_key(w, key);
	if (!t) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kstring(w, "Path", t[i].path);
		jw_kuint(w, "Rate", t[i].rate);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_weights(struct json_writer *w, const struct json_objects *list)
{
	const struct config_weight_device *d = list->v;

	jw_key(w, "BlkioWeightDevice");
	if (!d) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kstring(w, "Path", d[i].path);
		jw_kuint(w, "Weight", d[i].weight);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_devices(struct json_writer *w, const struct json_objects *list)
{
	const struct config_device *d = list->v;

	jw_key(w, "Devices");
	if (!d) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kstring(w, "PathOnHost", d[i].path_on_host);
		jw_kstring(w, "PathInContainer", d[i].path_in_container);
		jw_kstring(w, "CgroupPermissions", d[i].permissions);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_device_requests(struct json_writer *w, const struct json_objects *list)
{
	const struct config_device_request *q = list->v;

	jw_key(w, "DeviceRequests");
	if (!q) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kstring(w, "Driver", q[i].driver ?: "");
		jw_kint(w, "Count", q[i].count);
		write_strings(w, "DeviceIDs", &q[i].device_ids);
		jw_key(w, "Capabilities");
		if (q[i].capabilities)
			jw_value(w, q[i].capabilities);
		else
			jw_null(w);
		if (q[i].options.keys)
			write_map(w, "Options", &q[i].options);
		else
			jw_knull(w, "Options");
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_ulimits(struct json_writer *w, const struct json_objects *list)
{
	const struct config_ulimit *u = list->v;

	jw_key(w, "Ulimits");
	if (!u) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kstring(w, "Name", u[i].name);
		jw_kint(w, "Hard", u[i].hard);
		jw_kint(w, "Soft", u[i].soft);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_mounts(struct json_writer *w, const struct json_objects *list)
{
	const struct config_mount *m = list->v;

	if (list->n == 0)
		return;
	jw_karray(w, "Mounts");
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		write_some(w, "Type", m[i].type);
		write_some(w, "Source", m[i].source);
		write_some(w, "Target", m[i].target);
		if (m[i].read_only)
			jw_kbool(w, "ReadOnly", true);
		write_some(w, "Consistency", m[i].consistency);
		if (m[i].bind_options)
			jw_kvalue(w, "BindOptions", m[i].bind_options);
		if (m[i].volume_options)
			jw_kvalue(w, "VolumeOptions", m[i].volume_options);
		if (m[i].tmpfs_options)
			jw_kvalue(w, "TmpfsOptions", m[i].tmpfs_options);
		if (m[i].image_options)
			jw_kvalue(w, "ImageOptions", m[i].image_options);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_log_and_restart(struct json_writer *w, const struct host_config *h)
{
	jw_kobject(w, "LogConfig");
	jw_kstring(w, "Type", h->log.type);
	write_map(w, "Config", &h->log.config);
	jw_object_end(w);
	jw_kstring(w, "NetworkMode", h->network_mode);
	jw_kvalue(w, "PortBindings", h->port_bindings);
	jw_kobject(w, "RestartPolicy");
	jw_kstring(w, "Name", h->restart.name);
	jw_kint(w, "MaximumRetryCount", h->restart.max_retries);
	jw_object_end(w);
}

static void write_resources(struct json_writer *w, const struct host_config *h)
{
	jw_kint(w, "CpuShares", h->cpu_shares);
	jw_kint(w, "Memory", h->memory);
	jw_kint(w, "NanoCpus", h->nano_cpus);
	jw_kstring(w, "CgroupParent", h->cgroup_parent);
	jw_kuint(w, "BlkioWeight", h->blkio_weight);
	write_weights(w, &h->blkio_weight_device);
	write_throttles(w, "BlkioDeviceReadBps", &h->read_bps);
	write_throttles(w, "BlkioDeviceWriteBps", &h->write_bps);
	write_throttles(w, "BlkioDeviceReadIOps", &h->read_iops);
	write_throttles(w, "BlkioDeviceWriteIOps", &h->write_iops);
	jw_kint(w, "CpuPeriod", h->cpu_period);
	jw_kint(w, "CpuQuota", h->cpu_quota);
	jw_kint(w, "CpuRealtimePeriod", h->cpu_rt_period);
	jw_kint(w, "CpuRealtimeRuntime", h->cpu_rt_runtime);
	jw_kstring(w, "CpusetCpus", h->cpuset_cpus);
	jw_kstring(w, "CpusetMems", h->cpuset_mems);
	write_devices(w, &h->devices);
	write_strings(w, "DeviceCgroupRules", &h->device_cgroup_rules);
	write_device_requests(w, &h->device_requests);
	write_int_some(w, "KernelMemory", h->kernel_memory);
	jw_kint(w, "MemoryReservation", h->memory_reservation);
	jw_kint(w, "MemorySwap", h->memory_swap);
	write_int_or_null(w, "MemorySwappiness", h->memory_swappiness);
	write_bool_or_null(w, "OomKillDisable", h->oom_kill_disable);
	write_int_or_null(w, "PidsLimit", h->pids_limit);
	write_ulimits(w, &h->ulimits);
	jw_kint(w, "CpuCount", 0);
	jw_kint(w, "CpuPercent", 0);
	jw_kint(w, "IOMaximumIOps", 0);
	jw_kint(w, "IOMaximumBandwidth", 0);
}

void host_config_write(const struct host_config *h, unsigned api_version, struct json_writer *w)
{
	(void)api_version;
	write_strings(w, "Binds", &h->binds);
	jw_kstring(w, "ContainerIDFile", h->container_id_file);
	write_log_and_restart(w, h);
	jw_kbool(w, "AutoRemove", h->auto_remove);
	jw_kstring(w, "VolumeDriver", h->volume_driver);
	write_strings(w, "VolumesFrom", &h->volumes_from);
	jw_karray(w, "ConsoleSize");
	jw_uint(w, h->console_rows);
	jw_uint(w, h->console_cols);
	jw_array_end(w);
	write_map_some(w, "Annotations", &h->annotations);
	write_strings(w, "CapAdd", &h->cap_add);
	write_strings(w, "CapDrop", &h->cap_drop);
	jw_kstring(w, "CgroupnsMode", h->cgroupns_mode);
	write_strings(w, "Dns", &h->dns);
	write_strings(w, "DnsOptions", &h->dns_options);
	write_strings(w, "DnsSearch", &h->dns_search);
	write_strings(w, "ExtraHosts", &h->extra_hosts);
	write_strings(w, "GroupAdd", &h->group_add);
	jw_kstring(w, "IpcMode", h->ipc_mode);
	jw_kstring(w, "Cgroup", "");
	write_strings(w, "Links", &h->links);
	jw_kint(w, "OomScoreAdj", h->oom_score_adj);
	jw_kstring(w, "PidMode", h->pid_mode);
	jw_kbool(w, "Privileged", h->privileged);
	jw_kbool(w, "PublishAllPorts", h->publish_all_ports);
	jw_kbool(w, "ReadonlyRootfs", h->readonly_rootfs);
	write_strings(w, "SecurityOpt", &h->security_opt);
	write_map_some(w, "StorageOpt", &h->storage_opt);
	write_map_some(w, "Tmpfs", &h->tmpfs);
	jw_kstring(w, "UTSMode", h->uts_mode);
	jw_kstring(w, "UsernsMode", h->userns_mode);
	jw_kint(w, "ShmSize", h->shm_size);
	write_map_some(w, "Sysctls", &h->sysctls);
	write_some(w, "Runtime", h->runtime);
	jw_kstring(w, "Isolation", h->isolation);
	write_resources(w, h);
	write_mounts(w, &h->mounts);
	write_strings(w, "MaskedPaths", &h->masked_paths);
	write_strings(w, "ReadonlyPaths", &h->readonly_paths);
	if (h->init)
		jw_kbool(w, "Init", *h->init);
}

static void write_endpoint(struct json_writer *w, const struct config_endpoint *ep)
{
	jw_kobject(w, ep->network);
	if (ep->ipv4 || ep->ipv6) {
		jw_kobject(w, "IPAMConfig");
		write_some(w, "IPv4Address", ep->ipv4);
		write_some(w, "IPv6Address", ep->ipv6);
		jw_object_end(w);
	}
	write_some(w, "MacAddress", ep->mac_address);
	write_strings(w, "Aliases", &ep->aliases);
	write_strings(w, "Links", &ep->links);
	jw_kvalue(w, "DriverOpts", ep->driver_opts);
	jw_kint(w, "GwPriority", ep->gw_priority);
	jw_object_end(w);
}

static void write_points(const struct container_spec *s, struct json_writer *w)
{
	jw_karray(w, "MountPoints"); /* not of Docker's */
	for (size_t i = 0; i < s->point_count; i++) {
		const struct config_point *p = &s->points[i];

		jw_object(w);
		jw_kstring(w, "Volume", p->volume);
		jw_kstring(w, "Source", p->source);
		jw_kstring(w, "Target", p->target);
		jw_kstring(w, "Mode", p->mode);
		jw_kstring(w, "Subpath", p->subpath);
		jw_kbool(w, "ReadOnly", p->read_only);
		jw_kbool(w, "NoCopy", p->nocopy);
		jw_kbool(w, "Anonymous", p->anonymous);
		jw_kbool(w, "Inherited", p->inherited);
		jw_object_end(w);
	}
	jw_array_end(w);
}

void container_spec_write(const struct container_spec *s, struct json_writer *w)
{
	jw_object(w);
	container_config_write(&s->config, 0, w);
	jw_kobject(w, "HostConfig");
	host_config_write(&s->host, 0, w);
	jw_object_end(w);
	jw_kobject(w, "NetworkingConfig");
	jw_kobject(w, "EndpointsConfig");
	for (size_t i = 0; i < s->endpoint_count; i++)
		write_endpoint(w, &s->endpoints[i]);
	jw_object_end(w);
	jw_kbool(w, "Settled", s->endpoints_settled); /* not of Docker's: see endpoints_normalize */
	jw_object_end(w);
	if (s->points_settled)
		write_points(s, w);
	jw_object_end(w);
}

void exec_config_write(const struct exec_config *c, struct json_writer *w)
{
	jw_object(w);
	jw_kbool(w, "AttachStdin", c->attach_stdin);
	jw_kbool(w, "AttachStdout", c->attach_stdout);
	jw_kbool(w, "AttachStderr", c->attach_stderr);
	jw_kbool(w, "Tty", c->tty);
	jw_kbool(w, "Privileged", c->privileged);
	jw_kbool(w, "Detach", c->detach);
	jw_kstring(w, "User", c->user);
	jw_kstring(w, "WorkingDir", c->working_dir);
	jw_kstring(w, "DetachKeys", c->detach_keys);
	write_strings(w, "Env", &c->env);
	write_strings(w, "Cmd", &c->cmd);
	jw_karray(w, "ConsoleSize");
	jw_uint(w, c->rows);
	jw_uint(w, c->cols);
	jw_array_end(w);
	jw_object_end(w);
}
