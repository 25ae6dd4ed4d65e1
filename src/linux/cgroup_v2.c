/* cgroup v2 knobs (Documentation/admin-guide/cgroup-v2.rst). */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"

/* One write a controller, so that one that is missing does not take the others down. */
void cgroup_v2_enable_controllers(int dir_fd)
{
	autofree char *available = cgroup_read_text(dir_fd, "cgroup.controllers");
	autofree char *enabled = cgroup_read_text(dir_fd, "cgroup.subtree_control");
	char *save = NULL;

	for (char *c = available ? strtok_r(available, " \n", &save) : NULL; c;
	     c = strtok_r(NULL, " \n", &save)) {
		const char *found = enabled ? strstr(enabled, c) : NULL;

		if (found && (found[strlen(c)] == ' ' || found[strlen(c)] == '\n'))
			continue;
		/* Fails where processes live beside children ("no internal processes"): a limit that
		 * needs the controller will say so. */
		(void)cgroup_writef(dir_fd, "cgroup.subtree_control", NULL, "+%s", c);
	}
}

/* -- applying ------------------------------------------------------------------------------ */

/* CPU shares 2..262144 (default 1024) to weight 1..10000 (default 100): the runtimes' formula of
 * 2025, a quadratic in log2 that meets all three points. */
static unsigned weight_from_shares(uint64_t shares)
{
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

static int set_memory_value(int fd, const char *file, int64_t value, struct error *err)
{
	return value < 0 ? cgroup_write(fd, file, "max", err)
			 : cgroup_writef(fd, file, err, "%" PRId64, value);
}

static int apply_memory(int fd, const struct cgroup_resources *res, struct error *err)
{
	uint64_t usage;
	int r = 0;

	if (res->memory_check_before_update && *res->memory_check_before_update &&
	    res->memory_limit && *res->memory_limit > 0 &&
	    cgroup_read_u64(fd, "memory.current", &usage) && usage > (uint64_t)*res->memory_limit)
		return error_set(err, ERROR_INVALID, 0,
				 "memory limit %" PRId64 " is below the usage of %" PRIu64,
				 *res->memory_limit, usage);
	/* The spec's swap is memory plus swap, the kernel's is swap alone. */
	if (res->memory_swap && *res->memory_swap) {
		int64_t swap = *res->memory_swap;

		if (swap > 0) {
			if (!res->memory_limit || *res->memory_limit <= 0 ||
			    swap < *res->memory_limit)
				return error_set(
					err, ERROR_INVALID, 0,
					"memory+swap limit without, or below, a memory limit");
			swap -= *res->memory_limit;
		}
		r = set_memory_value(fd, "memory.swap.max", swap, err);
		if (r == -ENOENT && swap < 0) {
			error_done(err ? err : &(struct error){0});
			r = 0; /* no swap accounting: unlimited anyway */
		}
	}
	if (r == 0 && res->memory_limit && *res->memory_limit)
		r = set_memory_value(fd, "memory.max", *res->memory_limit, err);
	if (r == 0 && res->memory_reservation && *res->memory_reservation)
		r = set_memory_value(fd, "memory.low", *res->memory_reservation, err);
	return r;
}

static int apply_cpu(int fd, const struct cgroup_resources *res, struct error *err)
{
	int r = 0;

	if (res->cpu_idle)
		r = cgroup_writef(fd, "cpu.idle", err, "%" PRId64, *res->cpu_idle);
	if (r == 0 && res->cpu_shares && *res->cpu_shares)
		r = cgroup_writef(fd, "cpu.weight", err, "%u",
				  weight_from_shares(*res->cpu_shares));
	if (r == 0 &&
	    ((res->cpu_quota && *res->cpu_quota) || (res->cpu_period && *res->cpu_period))) {
		uint64_t period = res->cpu_period && *res->cpu_period ? *res->cpu_period : 100000;

		r = res->cpu_quota && *res->cpu_quota > 0
			    ? cgroup_writef(fd, "cpu.max", err, "%" PRId64 " %" PRIu64,
					    *res->cpu_quota, period)
			    : cgroup_writef(fd, "cpu.max", err, "max %" PRIu64, period);
	}
	if (r == 0 && res->cpu_burst)
		r = cgroup_writef(fd, "cpu.max.burst", err, "%" PRIu64, *res->cpu_burst);
	if (r == 0 && !str_empty(res->cpuset_cpus))
		r = cgroup_write(fd, "cpuset.cpus", res->cpuset_cpus, err);
	if (r == 0 && !str_empty(res->cpuset_mems))
		r = cgroup_write(fd, "cpuset.mems", res->cpuset_mems, err);
	return r;
}

static int apply_io(int fd, const struct cgroup_resources *res, struct error *err)
{
	int r = 0;

	if (res->io_weight) {
		/* BFQ takes the same scale; io.weight has 1..10000. */
		r = cgroup_writef(fd, "io.bfq.weight", NULL, "%u", res->io_weight);
		if (r < 0)
			r = cgroup_writef(fd, "io.weight", err, "%u",
					  1 + (res->io_weight - 10U) * 9999 / 990);
	}
	for (size_t i = 0; r == 0 && i < res->io_rate_count; i++) {
		static const struct {
			char kind;
			const char *key;
		} keys[] = {{'r', "rbps"}, {'w', "wbps"}, {'R', "riops"}, {'W', "wiops"}};
		const struct cgroup_device_rate *rate = &res->io_rates[i];

		if (rate->kind == 'g')
			r = cgroup_writef(fd, "io.bfq.weight", err,
					  "%" PRIu32 ":%" PRIu32 " %" PRIu64, rate->major,
					  rate->minor, rate->value);
		for (size_t j = 0; r == 0 && j < ARRAY_SIZE(keys); j++)
			if (keys[j].kind == rate->kind)
				r = cgroup_writef(
					fd, "io.max", err, "%" PRIu32 ":%" PRIu32 " %s=%" PRIu64,
					rate->major, rate->minor, keys[j].key, rate->value);
	}
	return r;
}

static int apply_rest(int fd, const struct cgroup_resources *res, struct error *err)
{
	int r = 0;

	if (res->pids_limit)
		r = *res->pids_limit > 0
			    ? cgroup_writef(fd, "pids.max", err, "%" PRId64, *res->pids_limit)
			    : cgroup_write(fd, "pids.max", "max", err);
	for (size_t i = 0; r == 0 && i < res->hugepage_count; i++) {
		char file[64];

		(void)snprintf(file, sizeof(file), "hugetlb.%s.max", res->hugepages[i].page_size);
		r = cgroup_writef(fd, file, err, "%" PRIu64, res->hugepages[i].limit);
		/* Reservations count too, where the kernel (5.7) can: a fault later is a SIGBUS. */
		(void)snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max",
			       res->hugepages[i].page_size);
		if (r == 0)
			(void)cgroup_writef(fd, file, NULL, "%" PRIu64, res->hugepages[i].limit);
	}
	for (size_t i = 0; r == 0 && i < res->rdma_count; i++) {
		char handles[24] = "max", objects[24] = "max";

		if (res->rdma[i].handles)
			(void)snprintf(handles, sizeof(handles), "%" PRIu32, *res->rdma[i].handles);
		if (res->rdma[i].objects)
			(void)snprintf(objects, sizeof(objects), "%" PRIu32, *res->rdma[i].objects);
		r = cgroup_writef(fd, "rdma.max", err, "%s hca_handle=%s hca_object=%s",
				  res->rdma[i].device, handles, objects);
	}
	for (size_t i = 0; r == 0 && i < res->unified_count; i++)
		r = cgroup_write(fd, res->unified[i].file, res->unified[i].value, err);
	return r;
}

static int v2_apply(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err)
{
	static int (*const parts[])(int, const struct cgroup_resources *, struct error *) = {
		apply_cpu, apply_memory, apply_io, apply_rest};
	int fd = cgroup_v2_dir(cg);

	if (res->net_class_id || res->net_priority_count || res->cpu_rt_runtime ||
	    res->cpu_rt_period)
		return error_set(
			err, ERROR_UNAVAILABLE, 0,
			"cgroup v2 has no network class, network priority or realtime limits");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int r = parts[i](fd, res, err);

		if (r < 0)
			return r;
	}
	return res->device_count ? cgroup_bpf_devices(fd, res->devices, res->device_count, err) : 0;
}

/* -- freezer ------------------------------------------------------------------------------- */

static int v2_is_frozen(const struct cgroup *cg, bool *ret, struct error *err)
{
	autofree char *events = cgroup_read_text(cgroup_v2_dir(cg), "cgroup.events");
	uint64_t frozen = 0;

	if (!events || !cgroup_flat_get(events, "frozen", &frozen))
		return error_set(err, ERROR_UNAVAILABLE, 0, "cgroup.events has no frozen state");
	*ret = frozen;
	return 0;
}

#define FREEZE_TIMEOUT_MS 2000

static int v2_freeze(const struct cgroup *cg, bool frozen, struct error *err)
{
	int dir = cgroup_v2_dir(cg);
	autoclose int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	char buf[128];
	int r;

	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open cgroup.events");
	(void)!read(fd, buf, sizeof(buf)); /* arms the notification */
	r = cgroup_write(dir, "cgroup.freeze", frozen ? "1" : "0", err);
	if (r < 0)
		return r;
	for (;;) {
		bool now = false;

		r = v2_is_frozen(cg, &now, err);
		if (r < 0 || now == frozen)
			return r;
		if (poll(&p, 1, FREEZE_TIMEOUT_MS) == 0)
			break;
		if (pread(fd, buf, sizeof(buf), 0) < 0)
			break;
	}
	if (frozen)
		(void)cgroup_write(dir, "cgroup.freeze", "0", NULL);
	return error_set(err, ERROR_UNAVAILABLE, EBUSY, "freeze cgroup '%s'", cg->path);
}

/* -- OOM ----------------------------------------------------------------------------------- */

static int v2_oom_watch(const struct cgroup *cg, int *ret_fd, struct error *err)
{
	autoclose int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create an inotify instance");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", cgroup_v2_dir(cg));
	if (inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "watch memory.events");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int v2_oom_count(const struct cgroup *cg, uint64_t *ret, struct error *err)
{
	autofree char *text = cgroup_read_text(cgroup_v2_dir(cg), "memory.events");

	if (!text || !cgroup_flat_get(text, "oom_kill", ret))
		return error_set(err, ERROR_UNAVAILABLE, 0, "memory.events has no oom_kill");
	return 0;
}

/* -- statistics ---------------------------------------------------------------------------- */

static void read_memory(int fd, struct cgroup_stats *s)
{
	autofree char *text = NULL, *events = NULL;
	char *save = NULL;

	s->has_memory = cgroup_read_u64(fd, "memory.current", &s->memory_usage);
	(void)cgroup_read_u64(fd, "memory.max", &s->memory_limit);
	(void)cgroup_read_u64(fd, "memory.peak", &s->memory_max_usage);
	events = cgroup_read_text(fd, "memory.events");
	if (events)
		(void)cgroup_flat_get(events, "max", &s->memory_failcnt);
	text = cgroup_read_text(fd, "memory.stat");
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

static void read_cpu(int fd, struct cgroup_stats *s)
{
	static const struct {
		const char *key;
		size_t offset;
		uint64_t scale;
	} keys[] = {
		{"usage_usec", offsetof(struct cgroup_stats, cpu_usage_ns), 1000},
		{"user_usec", offsetof(struct cgroup_stats, cpu_user_ns), 1000},
		{"system_usec", offsetof(struct cgroup_stats, cpu_system_ns), 1000},
		{"nr_periods", offsetof(struct cgroup_stats, throttling_periods), 1},
		{"nr_throttled", offsetof(struct cgroup_stats, throttled_periods), 1},
		{"throttled_usec", offsetof(struct cgroup_stats, throttled_ns), 1000},
	};
	autofree char *text = cgroup_read_text(fd, "cpu.stat");

	if (!text)
		return;
	s->has_cpu = true;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint64_t value;

		if (cgroup_flat_get(text, keys[i].key, &value))
			*(uint64_t *)(void *)((char *)s + keys[i].offset) = value * keys[i].scale;
	}
}

/* Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0". */
static void read_io(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "io.stat");
	char *save = NULL;

	if (!text)
		return;
	s->has_io = true;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_stat io = {0};
		unsigned major, minor;

		if (sscanf(line,
			   "%u:%u rbytes=%" SCNu64 " wbytes=%" SCNu64 " rios=%" SCNu64
			   " wios=%" SCNu64,
			   &major, &minor, &io.read_bytes, &io.write_bytes, &io.read_ops,
			   &io.write_ops) != 6)
			continue;
		io.major = major;
		io.minor = minor;
		s->io = xrealloc(s->io, s->io_count + 1, sizeof(*s->io));
		s->io[s->io_count++] = io;
	}
}

static void v2_stats(const struct cgroup *cg, struct cgroup_stats *s)
{
	int fd = cgroup_v2_dir(cg);

	read_memory(fd, s);
	read_cpu(fd, s);
	s->has_pids = cgroup_read_u64(fd, "pids.current", &s->pids_current);
	(void)cgroup_read_u64(fd, "pids.max", &s->pids_limit);
	read_io(fd, s);
}

const struct cgroup_ops cgroup_v2_ops = {
	.apply = v2_apply,
	.freeze = v2_freeze,
	.is_frozen = v2_is_frozen,
	.oom_watch = v2_oom_watch,
	.oom_count = v2_oom_count,
	.stats = v2_stats,
};
