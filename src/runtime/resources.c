/* The spec's resources in the terms of linux/cgroup.h. */
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/arena.h"
#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/cgroup_systemd.h"
#include "linux/rootless.h"
#include "runtime/setup_priv.h"

/* What every container may use whatever its rules say: its pseudo-devices and terminals; and making
 * any node, which grants nothing by itself. */
static const struct cgroup_device_rule default_rules[] = {
	{true, 'c', -1, -1, false, false, true}, {true, 'b', -1, -1, false, false, true},
	{true, 'c', 1, 3, true, true, true},     {true, 'c', 1, 8, true, true, true},
	{true, 'c', 1, 7, true, true, true},     {true, 'c', 5, 0, true, true, true},
	{true, 'c', 1, 5, true, true, true},     {true, 'c', 1, 9, true, true, true},
	{true, 'c', 136, -1, true, true, true},  {true, 'c', 5, 2, true, true, true},
};

static void convert_devices(struct arena *a, const struct oci_resources *res,
			    const struct oci_linux *l, struct cgroup_resources *ret)
{
	size_t own = l ? l->devices.n : 0, n = 0;
	struct cgroup_device_rule *rules;

	if (res->devices.n == 0)
		return; /* no policy asked for */
	rules = arena_new0n(a, struct cgroup_device_rule,
			    res->devices.n + own + ARRAY_SIZE(default_rules));
	for (size_t i = 0; i < res->devices.n; i++) {
		const struct oci_device_rule *r = oci_at(&res->devices, struct oci_device_rule, i);
		char type = r->type ? r->type : 'a';
		bool all =
			type == 'a' && (!r->major || *r->major < 0) && (!r->minor || *r->minor < 0);

		rules[n++] = (struct cgroup_device_rule){
			.allow = r->allow,
			.type = all ? 'a' : type,
			.major = r->major ? *r->major : -1,
			.minor = r->minor ? *r->minor : -1,
			.read = r->read,
			.write = r->write,
			.mknod = r->mknod,
		};
	}
	for (size_t i = 0; i < ARRAY_SIZE(default_rules); i++)
		rules[n++] = default_rules[i];
	ret->devices = rules;
	ret->device_count = n;
}

static void convert_rates(struct arena *a, const struct oci_block_io *io,
			  struct cgroup_resources *ret)
{
	const struct {
		const struct json_objects *list;
		char kind;
	} lists[] = {{&io->read_bps, 'r'},
		     {&io->write_bps, 'w'},
		     {&io->read_iops, 'R'},
		     {&io->write_iops, 'W'}};
	size_t total = 2 * io->weight_device.n, n = 0;
	struct cgroup_device_rate *rates;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		total += lists[i].list->n;
	rates = arena_new0n(a, struct cgroup_device_rate, total + 1);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (size_t j = 0; j < lists[i].list->n; j++) {
			const struct oci_throttle_device *d =
				oci_at(lists[i].list, struct oci_throttle_device, j);

			rates[n++] = (struct cgroup_device_rate){lists[i].kind, (uint32_t)d->major,
								 (uint32_t)d->minor, d->rate};
		}
	}
	for (size_t i = 0; i < io->weight_device.n; i++) {
		const struct oci_weight_device *d =
			oci_at(&io->weight_device, struct oci_weight_device, i);

		if (d->weight)
			rates[n++] = (struct cgroup_device_rate){'g', (uint32_t)d->major,
								 (uint32_t)d->minor, d->weight};
		if (d->leaf_weight)
			rates[n++] = (struct cgroup_device_rate){
				'l', (uint32_t)d->major, (uint32_t)d->minor, d->leaf_weight};
	}
	ret->io_rates = rates;
	ret->io_rate_count = n;
}

static void convert_lists(struct arena *a, const struct oci_resources *res,
			  struct cgroup_resources *ret)
{
	struct cgroup_hugepage_limit *pages =
		arena_new0n(a, struct cgroup_hugepage_limit, res->hugepage_limits.n + 1);
	struct cgroup_priority *priorities =
		arena_new0n(a, struct cgroup_priority, res->network_priorities.n + 1);
	struct cgroup_rdma *rdma = arena_new0n(a, struct cgroup_rdma, res->rdma.n + 1);
	struct cgroup_setting *unified = arena_new0n(a, struct cgroup_setting, res->unified.n + 1);

	for (size_t i = 0; i < res->hugepage_limits.n; i++) {
		const struct oci_hugepage_limit *limit =
			oci_at(&res->hugepage_limits, struct oci_hugepage_limit, i);

		pages[i] = (struct cgroup_hugepage_limit){limit->page_size, limit->limit};
	}
	for (size_t i = 0; i < res->network_priorities.n; i++) {
		const struct oci_network_priority *p =
			oci_at(&res->network_priorities, struct oci_network_priority, i);

		priorities[i] = (struct cgroup_priority){p->name, p->priority};
	}
	for (size_t i = 0; i < res->rdma.n; i++) {
		const struct oci_rdma *r = oci_at(&res->rdma, struct oci_rdma, i);

		rdma[i] = (struct cgroup_rdma){r->device, r->hca_handles, r->hca_objects};
	}
	for (size_t i = 0; i < res->unified.n; i++)
		unified[i] = (struct cgroup_setting){res->unified.keys[i], res->unified.values[i]};
	ret->hugepages = pages;
	ret->hugepage_count = res->hugepage_limits.n;
	ret->net_priorities = priorities;
	ret->net_priority_count = res->network_priorities.n;
	ret->rdma = rdma;
	ret->rdma_count = res->rdma.n;
	ret->unified = unified;
	ret->unified_count = res->unified.n;
}

void resources_convert(struct arena *a, const struct oci_resources *res,
		       const struct oci_linux *linux_or_null, struct cgroup_resources *ret)
{
	*ret = (struct cgroup_resources){
		.memory_limit = res->memory.limit,
		.memory_reservation = res->memory.reservation,
		.memory_swap = res->memory.swap,
		.memory_kernel = res->memory.kernel,
		.memory_kernel_tcp = res->memory.kernel_tcp,
		.memory_use_hierarchy = res->memory.use_hierarchy,
		.memory_swappiness = res->memory.swappiness,
		.memory_disable_oom_killer = res->memory.disable_oom_killer,
		.memory_check_before_update = res->memory.check_before_update,
		.cpu_shares = res->cpu.shares,
		.cpu_period = res->cpu.period,
		.cpu_burst = res->cpu.burst,
		.cpu_quota = res->cpu.quota,
		.cpu_rt_runtime = res->cpu.realtime_runtime,
		.cpu_rt_period = res->cpu.realtime_period,
		.cpu_idle = res->cpu.idle,
		.cpuset_cpus = res->cpu.cpus,
		.cpuset_mems = res->cpu.mems,
		.pids_limit = res->pids_limit,
		.io_weight = res->block_io.weight,
		.io_leaf_weight = res->block_io.leaf_weight,
		.net_class_id = res->network_class_id,
	};
	convert_rates(a, &res->block_io, ret);
	convert_lists(a, res, ret);
	convert_devices(a, res, linux_or_null, ret);
}

int runtime_apply_resources(const struct cgroup *cg, const struct oci_resources *res,
			    struct error *err)
{
	struct arena *a = arena_new();
	struct cgroup_resources converted;
	int r;

	resources_convert(a, res, NULL, &converted);
	r = cgroup_apply(cg, &converted, err);
	(void)arena_free(a);
	return r;
}

/* -- where the cgroup is ------------------------------------------------------------------- */

/* Component by component, as runc cleans it: ".." never leads above the root. */
static char *clean_path(const char *parent, const char *path)
{
	struct strbuf out = STRBUF_INIT(PATH_MAX);

	strbuf_adds(&out, parent);
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && memcmp(p, "..", 2) == 0) {
			const char *slash = strrchr(out.s, '/');

			if (slash) {
				out.len = (size_t)(slash - out.s);
				out.s[out.len] = '\0';
			}
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			strbuf_addf(&out, "/%.*s", (int)n, p);
		}
		p += n + (p[n] == '/');
	}
	return strbuf_take(&out);
}

/* Beside the caller's cgroup and not below it: it has processes, and so no controllers for children. */
static int beside_caller(char **ret, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autofree char *own = NULL;
	struct statfs fs;
	int r;

	/* The usual place of v1 hierarchies: no need to read all mounts. */
	if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
		*ret = xstrdup("");
		return 0;
	}
	r = cgroup_layout_detect(&layout, err);
	if (r < 0)
		return r;
	if (cgroup_layout_mode(layout) == CGROUP_MODE_V2)
		own = cgroup_own_path(layout);
	if (!own || str_has_prefix(own, "/..")) /* that is outside of what is mounted here */
		*ret = xstrdup("");
	else
		*ret = xstrndup(own, (size_t)(strrchr(own, '/') - own));
	return 0;
}

int runtime_cgroup_place(const struct oci_spec *spec, const char *id, bool systemd, char **ret,
			 struct error *err)
{
	const char *path = spec->linux_.cgroups_path;
	autofree char *parent = NULL;
	int r;

	if (systemd)
		return cgroup_systemd_place(path, id, rootless_is(), ret, err);
	if (!str_empty(path) && path[0] == '/') {
		*ret = clean_path("", path);
		return 0;
	}
	r = beside_caller(&parent, err);
	if (r == 0)
		*ret = clean_path(parent, str_empty(path) ? id : path);
	return r;
}

/* runc's annotations that become properties of the unit. */
#define PROPERTY_ANNOTATION "org.systemd.property."

int resources_start_unit(struct runtime_container *c, const struct cgroup_resources *res,
			 struct error *err)
{
	const struct json_string_map *map = &c->spec->annotations;
	autofree struct cgroup_unit_property *properties =
		xnew0n(struct cgroup_unit_property, map->n + 1);
	struct cgroup_unit_args args = {
		.pid = c->pid, .id = c->id, .resources = res, .properties = properties};

	for (size_t i = 0; i < map->n; i++)
		if (str_has_prefix(map->keys[i], PROPERTY_ANNOTATION))
			properties[args.property_count++] = (struct cgroup_unit_property){
				map->keys[i] + strlen(PROPERTY_ANNOTATION), map->values[i]};
	return cgroup_systemd_start(c->cgroup, &args, err);
}

static bool mounts_cgroup_writable(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = oci_at(&spec->mounts, struct oci_mount, i);
		bool readonly = false;

		if (!str_eq(m->type, "cgroup") && !str_eq(m->type, "cgroup2"))
			continue;
		for (size_t j = 0; j < m->options.n; j++)
			readonly = readonly || strcmp(m->options.v[j], "ro") == 0;
		if (!readonly)
			return true;
	}
	return false;
}

int resources_delegate(struct runtime_container *c, struct error *err)
{
	const struct oci_linux *l = &c->spec->linux_;
	const struct oci_namespace *cgroup = &l->namespaces[OCI_NAMESPACE_CGROUP];
	const struct oci_namespace *user = &l->namespaces[OCI_NAMESPACE_USER];

	if (!user->present || user->path || !cgroup->present || cgroup->path ||
	    cgroup_layout_mode(c->cgroups) != CGROUP_MODE_V2 || !mounts_cgroup_writable(c->spec))
		return 0;
	for (size_t i = 0; i < l->uid_mappings.n; i++) {
		const struct oci_id_mapping *m = oci_at(&l->uid_mappings, struct oci_id_mapping, i);

		if (m->container_id == 0 && !rootless_is()) /* else it is his own already */
			return cgroup_delegate(c->cgroup, m->host_id, err);
	}
	return 0;
}
