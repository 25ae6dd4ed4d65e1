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

#define LINUX_ENOTSUPP 524 /* what memory.kmem.limit_in_bytes answers since Linux 5.16 */

/* -- memory -------------------------------------------------------------------------------- */

static int put_bytes(const struct cgroup_target *t, const char *field, const char *file,
		     const int64_t *value, struct error *err)
{
	return value && *value
		       ? cgroup_put(t, field, file, err, "%" PRId64, *value < 0 ? -1 : *value)
		       : 0;
}

static int put_limit(const struct cgroup_target *t, const int64_t *limit, struct error *err)
{
	autoerror struct error e = {0};
	int r = put_bytes(t, "memory.limit", "memory.limit_in_bytes", limit, &e);
	uint64_t usage = 0, peak = 0;

	if (r != -EBUSY)
		return error_move(err, &e, r);
	(void)cgroup_read_u64(t->fd, "memory.usage_in_bytes", &usage);
	(void)cgroup_read_u64(t->fd, "memory.max_usage_in_bytes", &peak);
	return error_set(err, ERROR_INVALID, EBUSY,
			 "memory.limit: %" PRId64 " bytes are below the usage of %" PRIu64
			 " (at most %" PRIu64 ")",
			 *limit, usage, peak);
}

static int put_swap(const struct cgroup_target *t, const int64_t *swap, struct error *err)
{
	autoerror struct error e = {0};
	int r = put_bytes(t, "memory.swap", "memory.memsw.limit_in_bytes", swap, &e);

	/* Without swap accounting swap is not limited, which is what -1 asks for. */
	return r == -ENOENT && *swap < 0 ? 0 : error_move(err, &e, r);
}

/* The kernel holds limit <= memory plus swap at any moment: what grows goes first. */
static int apply_limits(const struct cgroup_target *t, struct error *err)
{
	static const int64_t unlimited = -1;
	const int64_t *limit = t->res->memory_limit, *swap = t->res->memory_swap;
	bool has_limit = limit && *limit, has_swap = swap && *swap, swap_first;
	uint64_t current = 0;
	int r;

	if (has_limit && *limit < 0 && !has_swap) { /* unlimited memory is unlimited swap */
		swap = &unlimited;
		has_swap = true;
	}
	if (!has_limit || !has_swap)
		return has_limit ? put_limit(t, limit, err) : put_swap(t, swap, err);
	swap_first = *swap < 0 || (cgroup_read_u64(t->fd, "memory.limit_in_bytes", &current) &&
				   current < (uint64_t)*swap);
	r = swap_first ? put_swap(t, swap, err) : put_limit(t, limit, err);
	if (r < 0)
		return r;
	return swap_first ? put_limit(t, limit, err) : put_swap(t, swap, err);
}

static int apply_kernel(const struct cgroup_target *t, struct error *err)
{
	const int64_t *kernel = t->res->memory_kernel;
	autoerror struct error e = {0};
	int r = put_bytes(t, "memory.kernel", "memory.kmem.limit_in_bytes", kernel, &e);
	uint64_t taken = 0;

	/* Some kernels refuse it, some take it and do nothing. */
	if (r == 0 && kernel && *kernel > 0 &&
	    cgroup_read_u64(t->fd, "memory.kmem.limit_in_bytes", &taken) &&
	    taken > (uint64_t)*kernel)
		r = -LINUX_ENOTSUPP;
	if (r == -LINUX_ENOTSUPP || r == -ENOENT)
		r = *kernel < 0 ? 0
				: cgroup_no_limit(&e, "memory.kernel",
						  "this kernel does not limit kernel memory apart");
	if (r == 0)
		r = put_bytes(t, "memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes",
			      t->res->memory_kernel_tcp, &e);
	return r < 0 ? error_move(err, &e, r) : 0;
}

static int put_bool(const struct cgroup_target *t, const char *field, const char *file,
		    const bool *value, struct error *err)
{
	uint64_t current;

	/* These refuse a write, even of what they are, below some parents. */
	if (!value || (cgroup_read_u64(t->fd, file, &current) && current == *value))
		return 0;
	return cgroup_put(t, field, file, err, "%d", *value);
}

static int apply_oom_control(const struct cgroup_target *t, struct error *err)
{
	const bool *disable = t->res->memory_disable_oom_killer;
	autofree char *state = disable ? cgroup_read_text(t->fd, "memory.oom_control") : NULL;
	uint64_t now = 0;

	if (!disable ||
	    (state && cgroup_flat_get(state, "oom_kill_disable", &now) && now == *disable))
		return 0;
	return cgroup_put(t, "memory.disableOOMKiller", "memory.oom_control", err, "%d", *disable);
}

int cgroup_v1_memory(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	int r = put_bool(t, "memory.useHierarchy", "memory.use_hierarchy",
			 res->memory_use_hierarchy, err);

	if (r == 0)
		r = apply_limits(t, err);
	if (r == 0)
		r = apply_kernel(t, err);
	if (r == 0)
		r = put_bytes(t, "memory.reservation", "memory.soft_limit_in_bytes",
			      res->memory_reservation, err);
	if (r == 0 && res->memory_swappiness)
		r = cgroup_put(t, "memory.swappiness", "memory.swappiness", err, "%" PRIu64,
			       *res->memory_swappiness);
	return r < 0 ? r : apply_oom_control(t, err);
}

/* -- cpu ----------------------------------------------------------------------------------- */

/* Out of its bounds the kernel takes the nearest without a word. */
static int apply_shares(const struct cgroup_target *t, struct error *err)
{
	const uint64_t *shares = t->res->cpu_shares;
	uint64_t taken;
	int r;

	if (!shares || *shares == 0)
		return 0;
	r = cgroup_put(t, "cpu.shares", "cpu.shares", err, "%" PRIu64, *shares);
	if (r < 0 || !cgroup_read_u64(t->fd, "cpu.shares", &taken) || taken == *shares)
		return r;
	return error_set(err, ERROR_INVALID, ERANGE, "cpu.shares: the %s is %" PRIu64,
			 taken < *shares ? "maximum" : "minimum", taken);
}

/* Two values that the kernel wants to fit at any moment: if the first is refused, it is tried again
 * after the second. */
static int put_pair(const struct cgroup_target *t, const char *const fields[2],
		    const char *const files[2], char *const values[2], struct error *err)
{
	autoerror struct error e = {0};
	int first = values[0] ? cgroup_put(t, fields[0], files[0], &e, "%s", values[0]) : 0, r;

	if (first < 0 && (first != -EINVAL || !values[1]))
		return error_move(err, &e, first);
	r = values[1] ? cgroup_put(t, fields[1], files[1], err, "%s", values[1]) : 0;
	if (r == 0 && first < 0)
		r = cgroup_put(t, fields[0], files[0], err, "%s", values[0]);
	return r;
}

static char *text_of_u64(const uint64_t *value)
{
	return value && *value ? xasprintf("%" PRIu64, *value) : NULL;
}

static char *text_of_quota(const int64_t *value)
{
	return value && *value ? xasprintf("%" PRId64, *value < 0 ? -1 : *value) : NULL;
}

static int apply_bandwidth(const struct cgroup_target *t, struct error *err)
{
	static const char *const fields[] = {"cpu.period", "cpu.quota"};
	static const char *const files[] = {"cpu.cfs_period_us", "cpu.cfs_quota_us"};
	const uint64_t *burst = t->res->cpu_burst;
	autofree char *period = text_of_u64(t->res->cpu_period);
	autofree char *quota = text_of_quota(t->res->cpu_quota);
	autoerror struct error e = {0};
	int early = 0, r;

	/* The burst may not exceed the quota, neither the old one nor the new. */
	if (burst)
		early = cgroup_put(t, "cpu.burst", "cpu.cfs_burst_us", &e, "%" PRIu64, *burst);
	if (early == -ENOENT && *burst == 0)
		early = 0;
	if (early < 0 && (early != -EINVAL || !quota))
		return error_move(err, &e, early);
	r = put_pair(t, fields, files, (char *const[]){period, quota}, err);
	if (r == 0 && early < 0)
		r = cgroup_put(t, "cpu.burst", "cpu.cfs_burst_us", err, "%" PRIu64, *burst);
	return r;
}

static int apply_realtime(const struct cgroup_target *t, struct error *err)
{
	static const char *const fields[] = {"cpu.realtimePeriod", "cpu.realtimeRuntime"};
	static const char *const files[] = {"cpu.rt_period_us", "cpu.rt_runtime_us"};
	autofree char *period = text_of_u64(t->res->cpu_rt_period);
	autofree char *runtime = text_of_quota(t->res->cpu_rt_runtime);

	return put_pair(t, fields, files, (char *const[]){period, runtime}, err);
}

int cgroup_v1_cpu(const struct cgroup_target *t, struct error *err)
{
	const int64_t *idle = t->res->cpu_idle;
	uint64_t now = 0;
	int r = 0;

	/* While it is idle it has no shares, and the kernel refuses some: idle is left first, and
	 * entered last. */
	if (idle)
		(void)cgroup_read_u64(t->fd, "cpu.idle", &now);
	if (idle && *idle == 0 && now != 0)
		r = cgroup_put(t, "cpu.idle", "cpu.idle", err, "0");
	if (r == 0 && !(idle && *idle == 1 && now == 1))
		r = apply_shares(t, err);
	if (r == 0)
		r = apply_bandwidth(t, err);
	if (r == 0)
		r = apply_realtime(t, err);
	if (r == 0 && idle && *idle != 0)
		r = cgroup_put(t, "cpu.idle", "cpu.idle", err, "%" PRId64, *idle);
	return r;
}

int cgroup_v1_cpuset(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	int r = 0;

	if (!str_empty(res->cpuset_cpus))
		r = cgroup_put(t, "cpu.cpus", "cpuset.cpus", err, "%s", res->cpuset_cpus);
	if (r == 0 && !str_empty(res->cpuset_mems))
		r = cgroup_put(t, "cpu.mems", "cpuset.mems", err, "%s", res->cpuset_mems);
	return r;
}

/* -- block devices ------------------------------------------------------------------------- */

/* With BFQ as the only weighing scheduler the files have its name. */
static int put_weight(const struct cgroup_target *t, const char *field, const char *suffix,
		      const char *value, struct error *err)
{
	autofree char *plain = xasprintf("blkio.%s", suffix);
	autofree char *bfq = xasprintf("blkio.bfq.%s", suffix);
	autoerror struct error e = {0};
	int r = cgroup_put(t, field, plain, &e, "%s", value);

	if (r != -ENOENT)
		return error_move(err, &e, r);
	error_done(&e);
	r = cgroup_put(t, field, bfq, &e, "%s", value);
	if (r == -ENOENT)
		return cgroup_no_limit(err, field, "no I/O scheduler here weighs");
	return error_move(err, &e, r);
}

static int put_rate(const struct cgroup_target *t, const struct cgroup_device_rate *rate,
		    struct error *err)
{
	static const struct {
		char kind;
		bool weight;
		const char *field, *file;
	} kinds[] = {
		{'r', false, "blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device"},
		{'w', false, "blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device"},
		{'R', false, "blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device"},
		{'W', false, "blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"},
		{'g', true, "blockIO.weightDevice", "weight_device"},
		{'l', true, "blockIO.weightDevice", "leaf_weight_device"},
	};
	autofree char *value = xasprintf("%" PRIu32 ":%" PRIu32 " %" PRIu64, rate->major,
					 rate->minor, rate->value);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == rate->kind)
			return kinds[i].weight
				       ? put_weight(t, kinds[i].field, kinds[i].file, value, err)
				       : cgroup_put(t, kinds[i].field, kinds[i].file, err, "%s",
						    value);
	return 0;
}

int cgroup_v1_io(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	char text[8];
	int r = 0;

	(void)snprintf(text, sizeof(text), "%u", res->io_weight);
	if (res->io_weight)
		r = put_weight(t, "blockIO.weight", "weight", text, err);
	(void)snprintf(text, sizeof(text), "%u", res->io_leaf_weight);
	if (r == 0 && res->io_leaf_weight)
		r = put_weight(t, "blockIO.leafWeight", "leaf_weight", text, err);
	for (size_t i = 0; r == 0 && i < res->io_rate_count; i++)
		r = put_rate(t, &res->io_rates[i], err);
	return r;
}

/* -- network, devices ---------------------------------------------------------------------- */

int cgroup_v1_net_cls(const struct cgroup_target *t, struct error *err)
{
	const uint32_t *id = t->res->net_class_id;

	return id ? cgroup_put(t, "network.classID", "net_cls.classid", err, "%" PRIu32, *id) : 0;
}

int cgroup_v1_net_prio(const struct cgroup_target *t, struct error *err)
{
	for (size_t i = 0; i < t->res->net_priority_count; i++) {
		int r = cgroup_put(t, "network.priorities", "net_prio.ifpriomap", err,
				   "%s %" PRIu32, t->res->net_priorities[i].interface,
				   t->res->net_priorities[i].priority);

		if (r < 0)
			return r;
	}
	return 0;
}

static void device_number(int64_t number, char ret[24])
{
	if (number < 0)
		(void)str_copy(ret, 24, "*");
	else
		(void)snprintf(ret, 24, "%" PRId64, number);
}

/* One that is open already takes the next value too: there are a dozen rules in each container. */
static int put_device(const struct cgroup_target *t, const char *file, int *fd, const char *text,
		      struct error *err)
{
	if (*fd < 0)
		*fd = openat(t->fd, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0 && write(*fd, text, strlen(text)) >= 0)
		return 0;
	return cgroup_put(t, "devices", file, err, "%s", text); /* which has the words for it */
}

int cgroup_v1_devices(const struct cgroup_target *t, struct error *err)
{
	autoclose int allow_fd = -EBADF, deny_fd = -EBADF;

	for (size_t i = 0; i < t->res->device_count; i++) {
		const struct cgroup_device_rule *rule = &t->res->devices[i];
		const char *file = rule->allow ? "devices.allow" : "devices.deny";
		char text[64] = "a", major[24], minor[24];
		int r;

		device_number(rule->major, major);
		device_number(rule->minor, minor);
		if (rule->type != 'a')
			(void)snprintf(text, sizeof(text), "%c %s:%s %s%s%s", rule->type, major,
				       minor, rule->read ? "r" : "", rule->write ? "w" : "",
				       rule->mknod ? "m" : "");
		if (rule->type != 'a' && !rule->read && !rule->write && !rule->mknod)
			continue; /* says nothing */
		r = put_device(t, file, rule->allow ? &allow_fd : &deny_fd, text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* -- cpuset inheritance -------------------------------------------------------------------- */

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
 * that others made may be empty just so.  One that we have made passes them on by itself to what is
 * made below it next: writing them has the kernel rebuild its scheduling domains each time. */
int cgroup_v1_prepare(const struct hierarchy *h, int parent_fd, int dir_fd, struct error *err)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	if (!cgroup_v1_inherits(h) || !is_empty_file(dir_fd, files[1]))
		return 0;
	(void)cgroup_write(dir_fd, "cgroup.clone_children", "1", NULL);
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

#define FREEZE_TRIES 5000 /* a millisecond each: its tasks may have to wait for a processor */

/* FREEZING means that some task was in the kernel or forked meanwhile; writing FROZEN again makes
 * the kernel look again (freezer-subsystem.rst).  v1 has no event for the transition. */
int cgroup_v1_freeze(const struct cgroup *cg, bool frozen, struct error *err)
{
	int fd = cgroup_v1_dir(cg, "freezer");

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

int cgroup_v1_oom_watch(int dir, int *ret_fd, struct error *err)
{
	autoclose int event = -EBADF, control = -EBADF;
	int r;

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
