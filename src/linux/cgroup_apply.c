/* Applying limits: which controller is where, what is missing, and the fields that both versions
 * write alike.
 *
 * A controller is bound to one hierarchy, so on hybrid some limits are v1's and others v2's; the parts
 * below are applied one by one, each in the terms of the version that has its controller.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"

/* -- errors that name the field -------------------------------------------------------------- */

int cgroup_no_limit(struct error *err, const char *field, const char *why)
{
	return error_set(err, ERROR_UNAVAILABLE, EOPNOTSUPP, "%s: %s", field, why);
}

int cgroup_put(const struct cgroup_target *t, const char *field, const char *file,
	       struct error *err, const char *fmt, ...)
{
	autofree char *value = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	r = cgroup_write(t->fd, file, value, err);
	return r < 0 ? error_wrap(err, r, "%s", field) : 0;
}

/* -- fields of both versions ----------------------------------------------------------------- */

static int apply_pids(const struct cgroup_target *t, struct error *err)
{
	const int64_t *limit = t->res->pids_limit;

	if (!limit)
		return 0;
	/* A limit of none is a limit of one: the first process is there already. */
	return *limit < 0 ? cgroup_put(t, "pids.limit", "pids.max", err, "max")
			  : cgroup_put(t, "pids.limit", "pids.max", err, "%" PRId64,
				       *limit ? *limit : 1);
}

static int apply_hugepages(const struct cgroup_target *t, const char *limit_name, struct error *err)
{
	for (size_t i = 0; i < t->res->hugepage_count; i++) {
		const struct cgroup_hugepage_limit *limit = &t->res->hugepages[i];
		autofree char *file = xasprintf("hugetlb.%s.%s", limit->page_size, limit_name);
		autofree char *reserved =
			xasprintf("hugetlb.%s.rsvd.%s", limit->page_size, limit_name);
		int r = cgroup_put(t, "hugepageLimits", file, err, "%" PRIu64, limit->limit);

		if (r < 0)
			return r;
		/* Reservations count too where the kernel (5.7) can: past the limit mmap(2) fails then,
		 * where otherwise a later access is a SIGBUS. */
		r = cgroup_writef(t->fd, reserved, NULL, "%" PRIu64, limit->limit);
		if (r < 0 && r != -ENOENT)
			return error_set(err, ERROR_INVALID, -r, "hugepageLimits: write '%s'",
					 reserved);
	}
	return 0;
}

static int v1_hugepages(const struct cgroup_target *t, struct error *err)
{
	return apply_hugepages(t, "limit_in_bytes", err);
}

static int v2_hugepages(const struct cgroup_target *t, struct error *err)
{
	return apply_hugepages(t, "max", err);
}

static int apply_rdma(const struct cgroup_target *t, struct error *err)
{
	for (size_t i = 0; i < t->res->rdma_count; i++) {
		const struct cgroup_rdma *rdma = &t->res->rdma[i];
		char handles[32] = "", objects[32] = "";
		int r;

		if (rdma->handles)
			(void)snprintf(handles, sizeof(handles), " hca_handle=%" PRIu32,
				       *rdma->handles);
		if (rdma->objects)
			(void)snprintf(objects, sizeof(objects), " hca_object=%" PRIu32,
				       *rdma->objects);
		r = cgroup_put(t, "rdma", "rdma.max", err, "%s%s%s", rdma->device, handles,
			       objects);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_controller(int dir_fd, const char *name, size_t len)
{
	autofree char *list = cgroup_read_text(dir_fd, "cgroup.controllers");

	for (const char *p = list ? list : ""; *p; p += strspn(p, " \n")) {
		size_t n = strcspn(p, " \n");

		if (n == len && memcmp(p, name, len) == 0)
			return true;
		p += n;
	}
	return false;
}

/* A value of several lines is several writes: io.max takes one device at a time. */
static int apply_setting(const struct cgroup_target *t, const struct cgroup_setting *setting,
			 struct error *err)
{
	size_t controller = strcspn(setting->file, ".");
	autofree char *copy = xstrdup(setting->value);
	char *save = NULL;
	int r = 0;

	if (strchr(setting->file, '/'))
		return error_set(err, ERROR_INVALID, 0, "unified: '%s' is not a file name",
				 setting->file);
	for (char *line = strtok_r(copy, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = cgroup_put(t, "unified", setting->file, err, "%s", line);
	if ((r == -ENOENT || r == -EACCES) && strncmp(setting->file, "cgroup.", 7) != 0 &&
	    !has_controller(t->fd, setting->file, controller)) {
		if (err)
			error_done(err);
		r = error_set(err, ERROR_UNAVAILABLE, -r,
			      "unified: '%s': cgroup controller '%.*s' is not available",
			      setting->file, (int)controller, setting->file);
	}
	return r;
}

static int apply_unified(const struct cgroup_target *t, struct error *err)
{
	for (size_t i = 0; i < t->res->unified_count; i++) {
		int r = apply_setting(t, &t->res->unified[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* -- what is asked of a controller: the first field that has another value than its default --- */

static bool is_limit(const int64_t *value)
{
	return value && *value > 0;
}

static const char *asks_memory(const struct cgroup_resources *r)
{
	return is_limit(r->memory_limit)         ? "memory.limit"
	       : is_limit(r->memory_swap)        ? "memory.swap"
	       : is_limit(r->memory_reservation) ? "memory.reservation"
	       : is_limit(r->memory_kernel)      ? "memory.kernel"
	       : is_limit(r->memory_kernel_tcp)  ? "memory.kernelTCP"
	       : r->memory_swappiness            ? "memory.swappiness"
	       : r->memory_disable_oom_killer && *r->memory_disable_oom_killer
		       ? "memory.disableOOMKiller"
		       : NULL;
}

static const char *asks_cpu(const struct cgroup_resources *r)
{
	return r->cpu_shares && *r->cpu_shares                               ? "cpu.shares"
	       : is_limit(r->cpu_quota)                                      ? "cpu.quota"
	       : r->cpu_burst && *r->cpu_burst                               ? "cpu.burst"
	       : r->cpu_rt_runtime && *r->cpu_rt_runtime                     ? "cpu.realtimeRuntime"
	       : r->cpu_rt_period && *r->cpu_rt_period                       ? "cpu.realtimePeriod"
	       : r->cpu_idle && *r->cpu_idle                                 ? "cpu.idle"
	       : r->cpu_period && *r->cpu_period && *r->cpu_period != 100000 ? "cpu.period"
									     : NULL;
}

static const char *asks_cpuset(const struct cgroup_resources *r)
{
	return !str_empty(r->cpuset_cpus)   ? "cpu.cpus"
	       : !str_empty(r->cpuset_mems) ? "cpu.mems"
					    : NULL;
}

static const char *asks_io(const struct cgroup_resources *r)
{
	return r->io_weight        ? "blockIO.weight"
	       : r->io_leaf_weight ? "blockIO.leafWeight"
	       : r->io_rate_count  ? "blockIO"
				   : NULL;
}

static const char *asks_pids(const struct cgroup_resources *r)
{
	return r->pids_limit && *r->pids_limit >= 0 ? "pids.limit" : NULL;
}

static const char *asks_hugepages(const struct cgroup_resources *r)
{
	return r->hugepage_count ? "hugepageLimits" : NULL;
}

static const char *asks_rdma(const struct cgroup_resources *r)
{
	return r->rdma_count ? "rdma" : NULL;
}

static const char *asks_net_cls(const struct cgroup_resources *r)
{
	return r->net_class_id && *r->net_class_id ? "network.classID" : NULL;
}

static const char *asks_net_prio(const struct cgroup_resources *r)
{
	return r->net_priority_count ? "network.priorities" : NULL;
}

static const char *asks_unified(const struct cgroup_resources *r)
{
	return r->unified_count ? "unified" : NULL;
}

static const char *asks_devices(const struct cgroup_resources *r)
{
	return r->device_count ? "devices" : NULL;
}

/* -- the parts ------------------------------------------------------------------------------- */

#define NO_CONTROLLER "" /* of v2: the directory itself has the file, or takes the program */

static const struct part {
	const char *v1, *v2; /* the controller's names; NULL: this version has none */
	const char *(*asks)(const struct cgroup_resources *res);
	cgroup_apply_fn apply_v1, apply_v2;
} parts[] = {
	{"cpuset", "cpuset", asks_cpuset, cgroup_v1_cpuset, cgroup_v2_cpuset},
	{"memory", "memory", asks_memory, cgroup_v1_memory, cgroup_v2_memory},
	{"cpu", "cpu", asks_cpu, cgroup_v1_cpu, cgroup_v2_cpu},
	{"blkio", "io", asks_io, cgroup_v1_io, cgroup_v2_io},
	{"pids", "pids", asks_pids, apply_pids, apply_pids},
	{"hugetlb", "hugetlb", asks_hugepages, v1_hugepages, v2_hugepages},
	{"rdma", "rdma", asks_rdma, apply_rdma, apply_rdma},
	{"net_cls", NULL, asks_net_cls, cgroup_v1_net_cls, NULL},
	{"net_prio", NULL, asks_net_prio, cgroup_v1_net_prio, NULL},
	{NULL, NO_CONTROLLER, asks_unified, NULL, apply_unified},
	{"devices", NO_CONTROLLER, asks_devices, cgroup_v1_devices, cgroup_v2_devices},
};

/* The unified directory, if it is where the controller is: on hybrid that is what v1 has not, and
 * only enabled when it is needed.  On pure v2 the part itself will find a file missing. */
static int v2_target(const struct cgroup *cg, const struct part *part, bool asked)
{
	int fd = cgroup_v2_dir(cg);

	if (fd < 0 || !part->v2)
		return -EBADF;
	if (cg->layout->mode == CGROUP_MODE_V2)
		return fd;
	if (!asked)
		return -EBADF;
	if (part->apply_v2 != cgroup_v2_devices)
		cgroup_enable_path(cg);
	return !*part->v2 || has_controller(fd, part->v2, strlen(part->v2)) ? fd : -EBADF;
}

static int apply_part(const struct cgroup *cg, const struct part *part,
		      const struct cgroup_resources *res, struct error *err)
{
	struct cgroup_target t = {.cg = cg, .res = res, .fd = -EBADF};
	const char *asked = part->asks(res);
	autoerror struct error e = {0};
	int r;

	if (part->v1)
		t.fd = cgroup_v1_dir(cg, part->v1);
	if (t.fd >= 0)
		return part->apply_v1(&t, err);
	t.fd = v2_target(cg, part, asked);
	if (t.fd < 0 && !asked)
		return 0;
	if (t.fd < 0 && !part->v2 && cg->layout->mode == CGROUP_MODE_V2)
		return cgroup_no_limit(err, asked, "cgroup v2 has no such limit");
	if (t.fd < 0 && !part->v1)
		return cgroup_no_limit(err, asked, "there is no unified cgroup (v2)");
	if (t.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "%s: cgroup controller '%s' is not available", asked, part->v1);
	r = part->apply_v2(&t, &e);
	if (r == -ENOENT && *part->v2 && !has_controller(t.fd, part->v2, strlen(part->v2)))
		return !asked ? 0
			      : error_set(err, ERROR_UNAVAILABLE, 0,
					  "%s: cgroup controller '%s' is not available", asked,
					  part->v2);
	return error_move(err, &e, r);
}

/* Before anything is changed: what the caller would rather have refused than enforced. */
static int check_usage(const struct cgroup *cg, const struct cgroup_resources *res,
		       struct error *err)
{
	const struct {
		const char *field;
		const int64_t *limit;
	} limits[] = {{"memory.swap", res->memory_swap}, {"memory.limit", res->memory_limit}};
	uint64_t usage = 0;

	if (!res->memory_check_before_update || !*res->memory_check_before_update ||
	    (!cgroup_read_u64(cgroup_v1_dir(cg, "memory"), "memory.usage_in_bytes", &usage) &&
	     !cgroup_read_u64(cgroup_v2_dir(cg), "memory.current", &usage)))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (is_limit(limits[i].limit) && (uint64_t)*limits[i].limit <= usage)
			return error_set(err, ERROR_INVALID, 0,
					 "%s: %" PRId64
					 " bytes are not above the usage of %" PRIu64,
					 limits[i].field, *limits[i].limit, usage);
	return 0;
}

int cgroup_apply(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err)
{
	int r = check_usage(cg, res, err);

	if (r == 0 && cg->driver != CGROUP_DRIVER_FS)
		r = cgroup_systemd_update(cg, res, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = apply_part(cg, &parts[i], res, err);
	return r;
}
