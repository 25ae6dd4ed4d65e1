/* engine/oci_spec.c - a container's configuration as the runtime-spec's config.json. */
#include "engine/oci_spec.h"

#include <string.h>

#include "base/mem.h"
#include "engine/oci_spec_priv.h"
#include "engine/remap.h"
#include "engine/seccomp_profile.h"
#include "engine/time_offset.h"
#include "oci/runtime_spec.h"

#define OCI_VERSION "1.2.0"

static void write_namespace(struct json_writer *w, const char *type, const char *path)
{
	jw_object(w);
	jw_kstring(w, "type", type);
	if (path)
		jw_kstring(w, "path", path);
	jw_object_end(w);
}

static void write_time_offsets(const struct time_offsets *t, struct json_writer *w)
{
	static const char *const names[] = {
		[TIME_OFFSET_MONOTONIC] = "monotonic",
		[TIME_OFFSET_BOOTTIME] = "boottime",
	};

	jw_kobject(w, "timeOffsets");
	for (size_t i = 0; i < TIME_OFFSET_CLOCK_COUNT; i++) {
		if (!t->present[i])
			continue;
		jw_kobject(w, names[i]);
		jw_kint(w, "secs", t->v[i].secs);
		jw_kuint(w, "nanosecs", t->v[i].nanosecs);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_namespaces(const struct oci_spec_args *args, struct json_writer *w)
{
	const struct host_config *h = &args->container->spec->host;
	struct time_offsets offsets;
	bool shifted;

	(void)time_offsets_get(h, &offsets, NULL); /* valid since create */
	shifted = offsets.present[TIME_OFFSET_MONOTONIC] || offsets.present[TIME_OFFSET_BOOTTIME];
	jw_karray(w, "namespaces");
	write_namespace(w, "mount", NULL);
	if (args->pidns_path || !str_eq(h->pid_mode, "host"))
		write_namespace(w, "pid", args->pidns_path);
	if (args->netns_path || !str_eq(h->network_mode, "host"))
		write_namespace(w, "network", args->netns_path);
	if (args->ipcns_path || !str_eq(h->ipc_mode, "host"))
		write_namespace(w, "ipc", args->ipcns_path);
	if (!str_eq(h->uts_mode, "host"))
		write_namespace(w, "uts", NULL);
	if (str_eq(h->cgroupns_mode, "private"))
		write_namespace(w, "cgroup", NULL);
	if (args->remap)
		write_namespace(w, "user", args->userns_path);
	if (shifted)
		write_namespace(w, "time", NULL);
	jw_array_end(w);
	if (shifted)
		write_time_offsets(&offsets, w);
	if (args->remap && !args->userns_path) {
		remap_write(&args->remap->uids, "uidMappings", w);
		remap_write(&args->remap->gids, "gidMappings", w);
	}
}

static void write_paths(struct json_writer *w, const char *key, const struct json_strings *list)
{
	if (list->n == 0)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
	jw_array_end(w);
}

static bool is_sysctl_set(const struct host_config *h, const char *key)
{
	for (size_t i = 0; i < h->sysctls.n; i++)
		if (str_eq(h->sysctls.keys[i], key))
			return true;
	return false;
}

#define UNPRIVILEGED_PORTS "net.ipv4.ip_unprivileged_port_start"
#define PING_GROUPS        "net.ipv4.ping_group_range"

static void write_sysctls(const struct oci_spec_args *args, struct json_writer *w)
{
	const struct host_config *h = &args->container->spec->host;
	bool own_netns = !args->netns_path && !str_eq(h->network_mode, "host");

	jw_kobject(w, "sysctl");
	/* Docker's since 20.10: in a network namespace of its own, ports below 1024 and ping are for
	 * everyone. */
	if (own_netns && !is_sysctl_set(h, UNPRIVILEGED_PORTS))
		jw_kstring(w, UNPRIVILEGED_PORTS, "0");
	if (own_netns && !is_sysctl_set(h, PING_GROUPS)) {
		jw_key(w, PING_GROUPS); /* both ends must be groups of the user namespace */
		jw_stringf(w, "0 %u", args->remap ? args->remap->gids.v[0].size - 1 : INT32_MAX);
	}
	for (size_t i = 0; i < h->sysctls.n; i++)
		jw_kstring(w, h->sysctls.keys[i], h->sysctls.values[i]);
	jw_object_end(w);
}

static int write_seccomp(const struct oci_spec_args *args, struct json_writer *w, struct error *err)
{
	const struct host_config *h = &args->container->spec->host;
	const char *names[OCI_CAPS_MAX];
	struct seccomp_context ctx = {.caps = names, .cap_count = oci_caps_names(h, names)};
	struct config_security security;
	int r = config_security_parse(&h->security_opt, &security, err);

	if (r < 0)
		return r;
	if (h->privileged && !security.seccomp)
		return 0;
	if (!security.seccomp)
		security.seccomp = args->seccomp;
	if (str_eq(security.seccomp, "builtin"))
		security.seccomp = NULL;
	if (str_eq(security.seccomp, "unconfined"))
		return 0;
	jw_key(w, "seccomp");
	return seccomp_profile_write(security.seccomp,
				     security.seccomp ? strlen(security.seccomp) : 0, &ctx, w, err);
}

static int write_linux(const struct oci_spec_args *args, const char *propagation,
		       struct json_writer *w, struct error *err)
{
	const struct host_config *h = &args->container->spec->host;
	struct oci_device_list *devices = NULL;
	int r = oci_devices_collect(h, args->cdi, &devices, err);

	if (r < 0)
		return r;
	jw_kobject(w, "linux");
	write_namespaces(args, w);
	jw_key(w, "cgroupsPath");
	jw_stringf(w, "%s/%s", str_empty(h->cgroup_parent) ? args->cgroup_parent : h->cgroup_parent,
		   args->container->id);
	oci_devices_write(devices, w);
	jw_kobject(w, "resources");
	oci_device_rules_write(devices, h, w);
	r = oci_resources_write(h, w, err);
	jw_object_end(w);
	if (propagation)
		jw_kstring(w, "rootfsPropagation", propagation);
	if (!h->privileged) {
		write_paths(w, "maskedPaths", &h->masked_paths);
		write_paths(w, "readonlyPaths", &h->readonly_paths);
	}
	if (args->labels && !str_empty(args->labels->mount))
		jw_kstring(w, "mountLabel", args->labels->mount);
	write_sysctls(args, w);
	r = r < 0 ? r : write_seccomp(args, w, err);
	if (r >= 0)
		jw_object_end(w);
	(void)oci_devices_free(devices);
	return r;
}

static void write_hook(const struct cdi_hook *h, struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "path", h->path);
	if (h->args.n > 0) {
		jw_karray(w, "args");
		for (size_t i = 0; i < h->args.n; i++)
			jw_string(w, h->args.v[i]);
		jw_array_end(w);
	}
	if (h->env.n > 0) {
		jw_karray(w, "env");
		for (size_t i = 0; i < h->env.n; i++)
			jw_string(w, h->env.v[i]);
		jw_array_end(w);
	}
	if (h->timeout)
		jw_kint(w, "timeout", *h->timeout);
	jw_object_end(w);
}

static void write_hooks(const struct cdi_result *cdi, struct json_writer *w)
{
	static const char *const names[] = {"prestart",       "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop"};

	jw_kobject(w, "hooks");
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		jw_karray(w, names[n]);
		for (size_t i = 0; i < cdi->n; i++) {
			const struct cdi_hook *hooks = cdi->v[i]->hooks.v;

			for (size_t k = 0; k < cdi->v[i]->hooks.n; k++)
				if (str_eq(hooks[k].hook_name, names[n]))
					write_hook(&hooks[k], w);
		}
		jw_array_end(w);
	}
	jw_object_end(w);
}

static void write_annotations(const struct oci_spec_args *args, struct json_writer *w)
{
	const struct host_config *h = &args->container->spec->host;
	bool blocked = h->init && *h->init && args->init_path && args->own_init;

	if (h->annotations.n == 0 && !blocked)
		return;
	jw_kobject(w, "annotations");
	if (blocked)
		jw_kstring(w, OCI_BLOCKED_SIGNALS, "true");
	for (size_t i = 0; i < h->annotations.n; i++)
		if (!str_eq(h->annotations.keys[i], OCI_BLOCKED_SIGNALS))
			jw_kstring(w, h->annotations.keys[i], h->annotations.values[i]);
	jw_object_end(w);
}

int oci_spec_generate(const struct oci_spec_args *args, struct strbuf *out, struct error *err)
{
	const struct container_spec *s = args->container->spec;
	const struct oci_process_args process = {.spec = args};
	const char *propagation = NULL;
	struct json_writer w;
	int r;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kstring(&w, "ociVersion", OCI_VERSION);
	if (!str_eq(s->host.uts_mode, "host") && !str_empty(s->config.hostname))
		jw_kstring(&w, "hostname", s->config.hostname);
	if (!str_eq(s->host.uts_mode, "host") && !str_empty(s->config.domainname))
		jw_kstring(&w, "domainname", s->config.domainname);
	jw_kobject(&w, "root");
	jw_kstring(&w, "path", "rootfs"); /* the shim mounts the layers itself */
	jw_kbool(&w, "readonly", s->host.readonly_rootfs);
	jw_object_end(&w);
	jw_key(&w, "process");
	r = oci_process_write(&process, &w, err);
	r = r < 0 ? r : oci_mounts_write(args, &w, &propagation, err);
	r = r < 0 ? r : write_linux(args, propagation, &w, err);
	if (r < 0)
		return r;
	write_annotations(args, &w);
	if (args->cdi && args->cdi->n > 0)
		write_hooks(args->cdi, &w);
	jw_object_end(&w);
	return strbuf_error(out) < 0
		       ? error_set(err, ERROR_INVALID, E2BIG, "container's configuration")
		       : 0;
}

int oci_spec_exec(const struct oci_spec_args *args, const struct exec_config *x, struct strbuf *out,
		  struct error *err)
{
	const struct oci_process_args process = {.spec = args, .exec = x};
	struct json_writer w;
	int r;

	json_writer_init(&w, out);
	r = oci_process_write(&process, &w, err);
	if (r >= 0 && strbuf_error(out) < 0)
		r = error_set(err, ERROR_INVALID, E2BIG, "exec's configuration");
	return r;
}
