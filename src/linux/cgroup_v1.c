/* cgroup v1 knobs (Documentation/admin-guide/cgroup-v1/). */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"

/* -- applying ------------------------------------------------------------------------------ */

static int dir_for(const struct cgroup *cg, const char *controller, struct error *err)
{
	int fd = cgroup_v1_dir(cg, controller);

	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "cgroup controller '%s' is not available", controller);
	return fd;
}

static int set_i64(const struct cgroup *cg, const char *controller, const char *file, int64_t value,
		   struct error *err)
{
	int fd = dir_for(cg, controller, err);

	return fd < 0 ? fd : cgroup_writef(fd, file, err, "%" PRId64, value);
}

/* The limit may not exceed memory+swap at any moment: whichever grows goes first. */
static int apply_memory_limits(const struct cgroup *cg, const struct cgroup_resources *res,
			       struct error *err)
{
	static const char limit_file[] = "memory.limit_in_bytes";
	static const char swap_file[] = "memory.memsw.limit_in_bytes";
	bool swap_set = false;
	int r = 0;

	if (res->memory_limit) {
		int fd = dir_for(cg, "memory", err);

		if (fd < 0)
			return fd;
		r = cgroup_writef(fd, limit_file, res->memory_swap ? NULL : err, "%" PRId64,
				  *res->memory_limit);
		if (r == -EINVAL && res->memory_swap) {
			r = set_i64(cg, "memory", swap_file, *res->memory_swap, err);
			swap_set = r == 0;
		}
		if (r < 0 || swap_set)
			r = r < 0 && swap_set
				    ? r
				    : set_i64(cg, "memory", limit_file, *res->memory_limit, err);
	}
	if (r == 0 && res->memory_swap && !swap_set)
		r = set_i64(cg, "memory", swap_file, *res->memory_swap, err);
	return r;
}

static int apply_memory(const struct cgroup *cg, const struct cgroup_resources *res,
			struct error *err)
{
	uint64_t usage;
	int r;

	if (res->memory_check_before_update && *res->memory_check_before_update &&
	    res->memory_limit && *res->memory_limit > 0 &&
	    cgroup_read_u64(cgroup_v1_dir(cg, "memory"), "memory.usage_in_bytes", &usage) &&
	    usage > (uint64_t)*res->memory_limit)
		return error_set(err, ERROR_INVALID, 0,
				 "memory limit %" PRId64 " is below the usage of %" PRIu64,
				 *res->memory_limit, usage);
	r = apply_memory_limits(cg, res, err);
	if (r == 0 && res->memory_reservation)
		r = set_i64(cg, "memory", "memory.soft_limit_in_bytes", *res->memory_reservation,
			    err);
	if (r == 0 && res->memory_swappiness)
		r = set_i64(cg, "memory", "memory.swappiness", (int64_t)*res->memory_swappiness,
			    err);
	if (r == 0 && res->memory_disable_oom_killer && *res->memory_disable_oom_killer)
		r = set_i64(cg, "memory", "memory.oom_control", 1, err);
	return r;
}

static int set_u64(const struct cgroup *cg, const char *controller, const char *file,
		   uint64_t value, struct error *err)
{
	int fd = dir_for(cg, controller, err);

	return fd < 0 ? fd : cgroup_writef(fd, file, err, "%" PRIu64, value);
}

static int apply_cpu(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err)
{
	int r = 0;

	if (res->cpu_shares && *res->cpu_shares)
		r = set_u64(cg, "cpu", "cpu.shares", *res->cpu_shares, err);
	if (r == 0 && res->cpu_period && *res->cpu_period)
		r = set_u64(cg, "cpu", "cpu.cfs_period_us", *res->cpu_period, err);
	if (r == 0 && res->cpu_quota && *res->cpu_quota)
		r = set_i64(cg, "cpu", "cpu.cfs_quota_us",
			    *res->cpu_quota < 0 ? -1 : *res->cpu_quota, err);
	if (r == 0 && res->cpu_burst)
		r = set_u64(cg, "cpu", "cpu.cfs_burst_us", *res->cpu_burst, err);
	if (r == 0 && res->cpu_rt_period && *res->cpu_rt_period)
		r = set_u64(cg, "cpu", "cpu.rt_period_us", *res->cpu_rt_period, err);
	if (r == 0 && res->cpu_rt_runtime && *res->cpu_rt_runtime)
		r = set_i64(cg, "cpu", "cpu.rt_runtime_us", *res->cpu_rt_runtime, err);
	if (r == 0 && res->cpu_idle)
		r = set_i64(cg, "cpu", "cpu.idle", *res->cpu_idle, err);
	return r;
}

static int apply_cpuset(const struct cgroup *cg, const struct cgroup_resources *res,
			struct error *err)
{
	int fd, r = 0;

	if (str_empty(res->cpuset_cpus) && str_empty(res->cpuset_mems))
		return 0;
	fd = dir_for(cg, "cpuset", err);
	if (fd < 0)
		return fd;
	if (!str_empty(res->cpuset_cpus))
		r = cgroup_write(fd, "cpuset.cpus", res->cpuset_cpus, err);
	if (r == 0 && !str_empty(res->cpuset_mems))
		r = cgroup_write(fd, "cpuset.mems", res->cpuset_mems, err);
	return r;
}

static int apply_io_rates(const struct cgroup *cg, const struct cgroup_resources *res, int fd,
			  struct error *err)
{
	static const struct {
		char kind;
		const char *file;
	} files[] = {
		{'r', "blkio.throttle.read_bps_device"},
		{'w', "blkio.throttle.write_bps_device"},
		{'R', "blkio.throttle.read_iops_device"},
		{'W', "blkio.throttle.write_iops_device"},
		{'g', "blkio.weight_device"},
		{'l', "blkio.leaf_weight_device"},
	};

	(void)cg;
	for (size_t i = 0; i < res->io_rate_count; i++) {
		const struct cgroup_device_rate *rate = &res->io_rates[i];

		for (size_t j = 0; j < ARRAY_SIZE(files); j++) {
			int r = files[j].kind != rate->kind
					? 0
					: cgroup_writef(fd, files[j].file, err,
							"%" PRIu32 ":%" PRIu32 " %" PRIu64,
							rate->major, rate->minor, rate->value);

			/* With BFQ as the only weighing scheduler the file has its name. */
			if (r == -ENOENT && rate->kind == 'g')
				r = cgroup_writef(fd, "blkio.bfq.weight_device", err,
						  "%" PRIu32 ":%" PRIu32 " %" PRIu64, rate->major,
						  rate->minor, rate->value);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int apply_io(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err)
{
	int fd, r = 0;

	if (!res->io_weight && !res->io_leaf_weight && !res->io_rate_count)
		return 0;
	fd = dir_for(cg, "blkio", err);
	if (fd < 0)
		return fd;
	if (res->io_weight) {
		r = cgroup_writef(fd, "blkio.weight", NULL, "%u", res->io_weight);
		if (r == -ENOENT)
			r = cgroup_writef(fd, "blkio.bfq.weight", err, "%u", res->io_weight);
		else if (r < 0)
			r = cgroup_writef(fd, "blkio.weight", err, "%u", res->io_weight);
	}
	if (r == 0 && res->io_leaf_weight)
		r = cgroup_writef(fd, "blkio.leaf_weight", err, "%u", res->io_leaf_weight);
	return r < 0 ? r : apply_io_rates(cg, res, fd, err);
}

static int apply_devices(const struct cgroup *cg, const struct cgroup_resources *res,
			 struct error *err)
{
	int fd;

	if (res->device_count == 0)
		return 0;
	fd = dir_for(cg, "devices", err);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < res->device_count; i++) {
		const struct cgroup_device_rule *rule = &res->devices[i];
		const char *file = rule->allow ? "devices.allow" : "devices.deny";
		char text[64], major[24] = "*", minor[24] = "*";
		int r;

		if (rule->major >= 0)
			(void)snprintf(major, sizeof(major), "%" PRId64, rule->major);
		if (rule->minor >= 0)
			(void)snprintf(minor, sizeof(minor), "%" PRId64, rule->minor);
		if (rule->type == 'a')
			(void)str_copy(text, sizeof(text), "a");
		else
			(void)snprintf(text, sizeof(text), "%c %s:%s %s%s%s", rule->type, major,
				       minor, rule->read ? "r" : "", rule->write ? "w" : "",
				       rule->mknod ? "m" : "");
		r = cgroup_write(fd, file, text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_hugepages(const struct cgroup *cg, const struct cgroup_resources *res,
			   struct error *err)
{
	if (res->hugepage_count && cgroup_v1_dir(cg, "hugetlb") < 0)
		cgroup_enable_path(cg);
	for (size_t i = 0; i < res->hugepage_count; i++) {
		const struct cgroup_hugepage_limit *limit = &res->hugepages[i];
		bool v2 = cgroup_v1_dir(cg, "hugetlb") < 0;
		int fd = v2 ? cgroup_v2_dir(cg) : cgroup_v1_dir(cg, "hugetlb");
		char file[64];
		int r;

		(void)snprintf(file, sizeof(file),
			       v2 ? "hugetlb.%s.max" : "hugetlb.%s.limit_in_bytes",
			       limit->page_size);
		if (fd < 0)
			return dir_for(cg, "hugetlb", err);
		r = cgroup_writef(fd, file, err, "%" PRIu64, limit->limit);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_network(const struct cgroup *cg, const struct cgroup_resources *res,
			 struct error *err)
{
	int r = 0;

	if (res->net_class_id && *res->net_class_id)
		r = set_u64(cg, "net_cls", "net_cls.classid", *res->net_class_id, err);
	for (size_t i = 0; r == 0 && i < res->net_priority_count; i++) {
		int fd = dir_for(cg, "net_prio", err);

		r = fd < 0 ? fd
			   : cgroup_writef(fd, "net_prio.ifpriomap", err, "%s %" PRIu32,
					   res->net_priorities[i].interface,
					   res->net_priorities[i].priority);
	}
	return r;
}

static int apply_rest(const struct cgroup *cg, const struct cgroup_resources *res,
		      struct error *err)
{
	int r = 0;

	if (res->pids_limit) {
		int fd = dir_for(cg, "pids", err);

		if (fd < 0)
			return fd;
		r = *res->pids_limit > 0
			    ? cgroup_writef(fd, "pids.max", err, "%" PRId64, *res->pids_limit)
			    : cgroup_write(fd, "pids.max", "max", err);
	}
	for (size_t i = 0; r == 0 && i < res->rdma_count; i++) {
		int fd = dir_for(cg, "rdma", err);
		char handles[24] = "max", objects[24] = "max";

		if (fd < 0)
			return fd;
		if (res->rdma[i].handles)
			(void)snprintf(handles, sizeof(handles), "%" PRIu32, *res->rdma[i].handles);
		if (res->rdma[i].objects)
			(void)snprintf(objects, sizeof(objects), "%" PRIu32, *res->rdma[i].objects);
		r = cgroup_writef(fd, "rdma.max", err, "%s hca_handle=%s hca_object=%s",
				  res->rdma[i].device, handles, objects);
	}
	/* On hybrid the unified tree takes its own files; without one there is nowhere to write. */
	if (res->unified_count)
		cgroup_enable_path(cg);
	for (size_t i = 0; r == 0 && i < res->unified_count; i++) {
		int fd = cgroup_v2_dir(cg);

		if (fd < 0)
			return error_set(err, ERROR_UNAVAILABLE, 0, "no unified cgroup for '%s'",
					 res->unified[i].file);
		r = cgroup_write(fd, res->unified[i].file, res->unified[i].value, err);
	}
	return r;
}

static int v1_apply(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err)
{
	static int (*const parts[])(const struct cgroup *, const struct cgroup_resources *,
				    struct error *) = {
		apply_cpuset, apply_memory,    apply_cpu,     apply_io,
		apply_rest,   apply_hugepages, apply_network, apply_devices,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int r = parts[i](cg, res, err);

		if (r < 0)
			return r;
	}
	return 0;
}

bool cgroup_v1_inherits(const struct hierarchy *h)
{
	return strstr(h->controllers, "cpuset");
}

static bool is_empty_file(int dir_fd, const char *file)
{
	autofree char *value = cgroup_read_text(dir_fd, file);

	return !value || value[0] == '\n' || value[0] == '\0';
}

/* A new cpuset is empty and takes no process until it has cpus and mems: its parent's.  A parent
 * that others made may be empty just so. */
int cgroup_v1_prepare(const struct hierarchy *h, int parent_fd, int dir_fd, struct error *err)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	if (!cgroup_v1_inherits(h))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *value = NULL;
		int r;

		if (!is_empty_file(dir_fd, files[i]))
			continue;
		value = cgroup_read_text(parent_fd, files[i]);
		if (!value)
			continue; /* nothing to inherit: joining will tell */
		value[strcspn(value, "\n")] = '\0';
		r = value[0] ? cgroup_write(dir_fd, files[i], value, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* -- freezer ------------------------------------------------------------------------------- */

static int v1_is_frozen(const struct cgroup *cg, bool *ret, struct error *err)
{
	int fd = dir_for(cg, "freezer", err);
	autofree char *state = NULL;

	if (fd < 0)
		return fd;
	state = cgroup_read_text(fd, "freezer.state");
	if (!state)
		return error_set(err, ERROR_INTERNAL, 0, "read freezer.state");
	*ret = !str_has_prefix(state, "THAWED");
	return 0;
}

#define FREEZE_TRIES 200

/* FREEZING means that some task was in the kernel or forked meanwhile; writing FROZEN again makes
 * the kernel look again (freezer-subsystem.rst).  v1 has no event for the transition. */
static int v1_freeze(const struct cgroup *cg, bool frozen, struct error *err)
{
	int fd = dir_for(cg, "freezer", err);

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < FREEZE_TRIES; i++) {
		autofree char *state = NULL;
		int r = cgroup_write(fd, "freezer.state", frozen ? "FROZEN" : "THAWED", err);

		if (r < 0 || !frozen)
			return r;
		state = cgroup_read_text(fd, "freezer.state");
		if (state && str_has_prefix(state, "FROZEN"))
			return 0;
		(void)poll(NULL, 0, i < 10 ? 0 : 1);
	}
	(void)cgroup_write(fd, "freezer.state", "THAWED", NULL); /* all or nothing */
	return error_set(err, ERROR_UNAVAILABLE, EBUSY, "freeze cgroup '%s'", cg->path);
}

/* -- OOM ----------------------------------------------------------------------------------- */

static int v1_oom_watch(const struct cgroup *cg, int *ret_fd, struct error *err)
{
	int dir = dir_for(cg, "memory", err), r;
	autoclose int event = -EBADF, control = -EBADF;

	if (dir < 0)
		return dir;
	control = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open memory.oom_control");
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create an eventfd");
	r = cgroup_writef(dir, "cgroup.event_control", err, "%d %d", event, control);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(event);
	return 0;
}

static int v1_oom_count(const struct cgroup *cg, uint64_t *ret, struct error *err)
{
	int fd = dir_for(cg, "memory", err);
	autofree char *text = NULL;

	if (fd < 0)
		return fd;
	text = cgroup_read_text(fd, "memory.oom_control");
	if (!text || !cgroup_flat_get(text, "oom_kill", ret)) /* since Linux 4.13 */
		return error_set(err, ERROR_UNAVAILABLE, 0, "memory.oom_control has no oom_kill");
	return 0;
}

/* -- statistics ---------------------------------------------------------------------------- */

static void add_memory_stats(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "memory.stat");
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (!space || s->memory_stat_count == CGROUP_MEMORY_STATS)
			continue;
		*space = '\0';
		if (str_copy(s->memory_stat[s->memory_stat_count].name,
			     sizeof(s->memory_stat[0].name), line) &&
		    str_parse_u64(space + 1, &s->memory_stat[s->memory_stat_count].value) == 0)
			s->memory_stat_count++;
	}
}

static void read_memory(int fd, struct cgroup_stats *s)
{
	uint64_t limit;

	s->has_memory = cgroup_read_u64(fd, "memory.usage_in_bytes", &s->memory_usage);
	(void)cgroup_read_u64(fd, "memory.max_usage_in_bytes", &s->memory_max_usage);
	(void)cgroup_read_u64(fd, "memory.failcnt", &s->memory_failcnt);
	/* "No limit" is the largest number of whole pages. */
	if (cgroup_read_u64(fd, "memory.limit_in_bytes", &limit) && limit < (uint64_t)1 << 62)
		s->memory_limit = limit;
	if (s->has_memory)
		add_memory_stats(fd, s);
}

static void read_percpu(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "cpuacct.usage_percpu");
	char *save = NULL;
	size_t cap = 0;

	for (char *n = text ? strtok_r(text, " \n", &save) : NULL; n;
	     n = strtok_r(NULL, " \n", &save)) {
		xgrow(s->percpu_ns, s->percpu_count, cap);
		s->percpu_ns[s->percpu_count] = 0;
		(void)str_parse_u64(n, &s->percpu_ns[s->percpu_count++]);
	}
}

static void read_cpu(const struct cgroup *cg, struct cgroup_stats *s)
{
	int acct = cgroup_v1_dir(cg, "cpuacct"), cpu = cgroup_v1_dir(cg, "cpu");
	autofree char *text = NULL;

	if (acct >= 0) {
		s->has_cpu = cgroup_read_u64(acct, "cpuacct.usage", &s->cpu_usage_ns);
		(void)cgroup_read_u64(acct, "cpuacct.usage_user", &s->cpu_user_ns);
		(void)cgroup_read_u64(acct, "cpuacct.usage_sys", &s->cpu_system_ns);
		read_percpu(acct, s);
	}
	text = cpu >= 0 ? cgroup_read_text(cpu, "cpu.stat") : NULL;
	if (text) {
		(void)cgroup_flat_get(text, "nr_periods", &s->throttling_periods);
		(void)cgroup_flat_get(text, "nr_throttled", &s->throttled_periods);
		(void)cgroup_flat_get(text, "throttled_time", &s->throttled_ns);
	}
}

static struct cgroup_io_stat *io_entry(struct cgroup_stats *s, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < s->io_count; i++)
		if (s->io[i].major == major && s->io[i].minor == minor)
			return &s->io[i];
	s->io = xrealloc(s->io, s->io_count + 1, sizeof(*s->io));
	s->io[s->io_count] = (struct cgroup_io_stat){.major = major, .minor = minor};
	return &s->io[s->io_count++];
}

/* Lines "8:0 Read 4096"; the last line is "Total 4096". */
static void read_io_file(int fd, const char *file, bool bytes, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, file);
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_stat *io;
		unsigned major, minor;
		char kind[16];
		uint64_t value;

		if (sscanf(line, "%u:%u %15s %" SCNu64, &major, &minor, kind, &value) != 4)
			continue;
		io = io_entry(s, major, minor);
		if (strcmp(kind, "Read") == 0)
			*(bytes ? &io->read_bytes : &io->read_ops) = value;
		else if (strcmp(kind, "Write") == 0)
			*(bytes ? &io->write_bytes : &io->write_ops) = value;
	}
}

static void v1_stats(const struct cgroup *cg, struct cgroup_stats *s)
{
	int pids = cgroup_v1_dir(cg, "pids"), io = cgroup_v1_dir(cg, "blkio");
	int memory = cgroup_v1_dir(cg, "memory");

	if (memory >= 0)
		read_memory(memory, s);
	read_cpu(cg, s);
	s->has_pids = cgroup_read_u64(pids, "pids.current", &s->pids_current);
	(void)cgroup_read_u64(pids, "pids.max", &s->pids_limit);
	if (io >= 0) {
		s->has_io = true;
		read_io_file(io, "blkio.throttle.io_service_bytes_recursive", true, s);
		read_io_file(io, "blkio.throttle.io_serviced_recursive", false, s);
	}
}

const struct cgroup_ops cgroup_v1_ops = {
	.apply = v1_apply,
	.freeze = v1_freeze,
	.is_frozen = v1_is_frozen,
	.oom_watch = v1_oom_watch,
	.oom_count = v1_oom_count,
	.stats = v1_stats,
};
