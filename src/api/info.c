/* GET /info. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "api/api.h"
#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/logging.h"
#include "engine/settings.h"
#include "store/store.h"

struct counts {
	struct api_call *c;
	size_t total, running, paused, stopped, listeners;
};

static int count(void *data, struct error *err)
{
	struct counts *n = data;
	struct container *const *list = engine_containers(n->c->engine, &n->total);
	struct engine_counts counts;

	(void)err;
	engine_get_counts(n->c->engine, &counts);
	n->listeners = counts.subscribers;
	for (size_t i = 0; i < n->total; i++) {
		if (list[i]->state.status == CONTAINER_PAUSED)
			n->paused++;
		else if (list[i]->state.status == CONTAINER_RUNNING)
			n->running++;
		else
			n->stopped++;
	}
	return 0;
}

static bool is_cgroup2(void)
{
	struct statfs st;

	return statfs("/sys/fs/cgroup", &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void write_counts(struct json_writer *w, const struct counts *n, size_t images)
{
	jw_kuint(w, "Containers", n->total);
	jw_kuint(w, "ContainersRunning", n->running);
	jw_kuint(w, "ContainersPaused", n->paused);
	jw_kuint(w, "ContainersStopped", n->stopped);
	jw_kuint(w, "Images", images);
}

static void write_pair(struct json_writer *w, const char *key, const char *value)
{
	jw_array(w);
	jw_string(w, key);
	jw_string(w, value);
	jw_array_end(w);
}

static void write_strings(struct json_writer *w, const char *key, const char *const *v)
{
	jw_karray(w, key);
	for (; *v; v++)
		jw_string(w, *v);
	jw_array_end(w);
}

static void write_list(struct json_writer *w, const char *key, const struct json_strings *list)
{
	jw_karray(w, key);
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
	jw_array_end(w);
}

static void write_drivers(struct json_writer *w)
{
	static const char *const volume[] = {"local", NULL};
	static const char *const network[] = {"bridge", "host", "null", NULL};

	jw_kstring(w, "Driver", "overlay2");
	jw_karray(w, "DriverStatus");
	write_pair(w, "Layers", "directories");
	write_pair(w, "Mounted in", "each container's own mount namespace");
	jw_array_end(w);
	jw_kobject(w, "Plugins");
	write_strings(w, "Volume", volume);
	write_strings(w, "Network", network);
	jw_knull(w, "Authorization");
	write_strings(w, "Log", logging_drivers());
	jw_object_end(w);
}

/* What limits this kernel offers: v1 has a file for each, v2 all of them or none. */
static const struct limit {
	const char *name, *file;
	const char *warning; /* without it */
} limits[] = {
	{"MemoryLimit", "memory/memory.limit_in_bytes", "No memory limit support"},
	{"SwapLimit", "memory/memory.memsw.limit_in_bytes", "No swap limit support"},
	{"CpuCfsPeriod", "cpu/cpu.cfs_period_us", "No cpu cfs period support"},
	{"CpuCfsQuota", "cpu/cpu.cfs_quota_us", "No cpu cfs quota support"},
	{"CPUShares", "cpu/cpu.shares", "No cpu shares support"},
	{"CPUSet", "cpuset/cpuset.cpus", "No cpuset support"},
	{"PidsLimit", "pids/cgroup.procs", "No pids limit support"},
};

static bool has_limit(const struct limit *l, bool v2)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", l->file);
	return v2 || exists(path);
}

static bool forwards_ipv4(void)
{
	autofree char *text = NULL;
	size_t len;

	return file_read(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", 16, &text, &len, NULL) >= 0 &&
	       text[0] == '1';
}

static void write_kernel(struct json_writer *w, unsigned api, bool v2)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		jw_kbool(w, limits[i].name, has_limit(&limits[i], v2));
	jw_kbool(w, "OomKillDisable", !v2);
	jw_kbool(w, "IPv4Forwarding", forwards_ipv4());
	if (api >= 150)
		return;
	jw_kbool(w, "BridgeNfIptables", exists("/proc/sys/net/bridge/bridge-nf-call-iptables"));
	jw_kbool(w, "BridgeNfIp6tables", exists("/proc/sys/net/bridge/bridge-nf-call-ip6tables"));
}

static void write_index(struct json_writer *w, const char *name, const struct json_strings *mirrors,
			bool secure)
{
	jw_kobject(w, name);
	jw_kstring(w, "Name", name);
	jw_karray(w, "Mirrors");
	for (size_t i = 0; mirrors && i < mirrors->n; i++)
		jw_stringf(w, "%s%s", mirrors->v[i], str_has_suffix(mirrors->v[i], "/") ? "" : "/");
	jw_array_end(w);
	jw_kbool(w, "Secure", secure);
	jw_kbool(w, "Official", mirrors != NULL);
	jw_object_end(w);
}

/* Of the insecure ones some are networks, the rest hosts. */
static void write_registries(struct json_writer *w, const struct settings *s, unsigned api)
{
	const struct json_strings *insecure = &s->insecure_registries;

	jw_kobject(w, "RegistryConfig");
	if (api < 147) {
		jw_knull(w, "AllowNondistributableArtifactsCIDRs");
		jw_knull(w, "AllowNondistributableArtifactsHostnames");
	}
	jw_karray(w, "InsecureRegistryCIDRs");
	for (size_t i = 0; i < insecure->n; i++)
		if (strchr(insecure->v[i], '/'))
			jw_string(w, insecure->v[i]);
	jw_string(w, "::1/128");
	jw_string(w, "127.0.0.0/8");
	jw_array_end(w);
	jw_kobject(w, "IndexConfigs");
	write_index(w, "docker.io", &s->registry_mirrors, true);
	for (size_t i = 0; i < insecure->n; i++)
		if (!strchr(insecure->v[i], '/'))
			write_index(w, insecure->v[i], NULL, false);
	jw_object_end(w);
	jw_karray(w, "Mirrors");
	for (size_t i = 0; i < s->registry_mirrors.n; i++)
		jw_stringf(w, "%s%s", s->registry_mirrors.v[i],
			   str_has_suffix(s->registry_mirrors.v[i], "/") ? "" : "/");
	jw_array_end(w);
	jw_object_end(w);
}

static void write_machine(struct json_writer *w, const struct settings *s, const struct counts *n,
			  bool v2)
{
	autofree char *version = NULL, *os = platform_os_name(&version);
	char now[CLOCK_RFC3339_SIZE];
	struct utsname u;

	(void)uname(&u);
	clock_format_rfc3339(clock_realtime_ns(), now);
	jw_kbool(w, "Debug", s->debug);
	jw_kint(w, "NFd", platform_count_entries("/proc/self/fd"));
	jw_kint(w, "NGoroutines", platform_count_entries("/proc/self/task"));
	jw_kstring(w, "SystemTime", now);
	jw_kstring(w, "LoggingDriver", s->log_driver);
	jw_kstring(w, "CgroupDriver", settings_cgroup_driver(s));
	jw_kstring(w, "CgroupVersion", v2 ? "2" : "1");
	jw_kuint(w, "NEventsListener", n->listeners);
	jw_kstring(w, "KernelVersion", u.release);
	jw_kstring(w, "OperatingSystem", os);
	jw_kstring(w, "OSVersion", version);
	jw_kstring(w, "OSType", "linux");
	jw_kstring(w, "Architecture", u.machine);
	jw_kstring(w, "IndexServerAddress", "https://index.docker.io/v1/");
	jw_kint(w, "NCPU", get_nprocs());
	jw_kint(w, "MemTotal", platform_memory());
	jw_knull(w, "GenericResources");
}

static void write_commit(struct json_writer *w, const char *key)
{
	jw_kobject(w, key);
	jw_kstring(w, "ID", "");
	jw_object_end(w);
}

static void write_pools(struct json_writer *w, const struct json *pools)
{
	const struct json *v;

	if (json_count(pools) == 0)
		return;
	jw_karray(w, "DefaultAddressPools");
	json_array_foreach(v, pools) {
		jw_object(w);
		jw_kstring(w, "Base", json_get_string(v, "base"));
		jw_kint(w, "Size", json_get_int(v, "size"));
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_warnings(struct json_writer *w, const struct settings *s, bool v2)
{
	jw_karray(w, "Warnings");
	for (size_t i = 0; i < s->hosts.n && !s->tls_verify; i++)
		if (str_has_prefix(s->hosts.v[i], "tcp://"))
			jw_stringf(w,
				   "WARNING: API is accessible on %s://%s without encryption. "
				   "Access to "
				   "the remote API is equivalent to root access on the host.",
				   s->tls ? "https" : "http", s->hosts.v[i] + strlen("tcp://"));
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (!has_limit(&limits[i], v2))
			jw_stringf(w, "WARNING: %s", limits[i].warning);
	if (!forwards_ipv4())
		jw_string(w, "WARNING: IPv4 forwarding is disabled");
	jw_array_end(w);
}

static void write_runtime(const struct engine *e, bool v2, struct json_writer *w)
{
	const struct settings *s = engine_settings(e);
	const struct json *v;
	const char *name;

	jw_kobject(w, "Runtimes");
	jw_kobject(w, "vessel");
	jw_kstring(w, "path", "vessel-runtime");
	jw_object_end(w);
	json_object_foreach(name, v, s->runtimes)
		jw_kvalue(w, name, v);
	jw_object_end(w);
	jw_kstring(w, "DefaultRuntime", s->default_runtime);
	jw_kobject(w, "Swarm");
	jw_kstring(w, "NodeID", "");
	jw_kstring(w, "NodeAddr", "");
	jw_kstring(w, "LocalNodeState", "inactive");
	jw_kbool(w, "ControlAvailable", false);
	jw_kstring(w, "Error", "");
	jw_knull(w, "RemoteManagers");
	jw_object_end(w);
	jw_kbool(w, "LiveRestoreEnabled", true);
	jw_kstring(w, "Isolation", "");
	jw_kstring(w, "InitBinary", *s->init_path ? s->init_path : "vessel-init");
	write_commit(w, "ContainerdCommit");
	write_commit(w, "RuncCommit");
	write_commit(w, "InitCommit");
	jw_karray(w, "SecurityOptions");
	if (engine_has_apparmor(e))
		jw_string(w, "name=apparmor");
	jw_stringf(w, "name=seccomp,profile=%s", s->seccomp_profile);
	if (engine_has_selinux(e))
		jw_string(w, "name=selinux");
	if (engine_is_remapped(e))
		jw_string(w, "name=userns");
	if (exists("/proc/self/ns/cgroup"))
		jw_string(w, "name=cgroupns");
	if (s->no_new_privileges)
		jw_string(w, "name=no-new-privileges");
	jw_array_end(w);
	write_pools(w, s->address_pools);
	write_list(w, "CDISpecDirs", &s->cdi_spec_dirs);
	write_warnings(w, s, v2);
}

int system_info(struct api_call *c, struct error *err)
{
	autostore_image_list struct store_image_list images = {0};
	autojson struct api_json j = {0};
	struct counts n = {.c = c};
	const struct engine_args *args = engine_get_args(c->engine);
	const struct settings *s = engine_settings(c->engine);
	struct json_writer *w = &j.w;
	char host[HOST_NAME_MAX + 1] = "";
	bool v2 = is_cgroup2();
	int r = store_image_list(engine_store(c->engine), &images, err);

	if (r == 0)
		r = api_on_loop(c, count, &n, err);
	if (r < 0)
		return r;
	(void)gethostname(host, sizeof(host) - 1);
	api_json_init(&j);
	jw_object(w);
	jw_kstring(w, "ID", engine_id(c->engine));
	write_counts(w, &n, images.n);
	write_drivers(w);
	write_kernel(w, c->version, v2);
	write_machine(w, s, &n, v2);
	write_registries(w, s, c->version);
	jw_kstring(w, "DockerRootDir", args->data_root);
	jw_kstring(w, "HttpProxy", s->http_proxy);
	jw_kstring(w, "HttpsProxy", s->https_proxy);
	jw_kstring(w, "NoProxy", s->no_proxy);
	jw_kstring(w, "Name", host);
	write_list(w, "Labels", &s->labels);
	jw_kbool(w, "ExperimentalBuild", s->experimental);
	jw_kstring(w, "ServerVersion", API_ENGINE_VERSION);
	write_runtime(c->engine, v2, w);
	if (c->version >= 149) {
		jw_kobject(w, "FirewallBackend");
		jw_kstring(w, "Driver", "nftables");
		jw_object_end(w);
	}
	jw_object_end(w);
	return api_answer_json(c, 200, &j.out, err);
}
