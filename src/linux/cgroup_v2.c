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

/* -- memory -------------------------------------------------------------------------------- */

static int put_bytes(const struct cgroup_target *t, const char *field, const char *file,
		     const int64_t *value, struct error *err)
{
	if (!value || *value == 0)
		return 0;
	return *value < 0 ? cgroup_put(t, field, file, err, "max")
			  : cgroup_put(t, field, file, err, "%" PRId64, *value);
}

int cgroup_v2_swap(const struct cgroup *cg, const struct cgroup_resources *res, int64_t *ret,
		   struct error *err)
{
	int64_t limit = res->memory_limit ? *res->memory_limit : 0;
	int64_t swap = res->memory_swap ? *res->memory_swap : 0;
	uint64_t current = UINT64_MAX;

	if (swap == 0 && limit < 0)
		swap = -1; /* unlimited memory is unlimited swap */
	if (swap > 0) {
		/* An update may give the one without the other. */
		if (limit == 0 && cgroup_read_u64(cgroup_v2_dir(cg), "memory.max", &current) &&
		    current <= INT64_MAX)
			limit = (int64_t)current;
		if (limit <= 0)
			return error_set(err, ERROR_INVALID, 0,
					 "memory.swap: there is no memory limit");
		if (swap < limit)
			return error_set(err, ERROR_INVALID, 0,
					 "memory.swap: memory plus swap is below the memory limit");
		*ret = swap - limit;
		return 1;
	}
	*ret = -1;
	return swap < 0;
}

static int apply_swap(const struct cgroup_target *t, struct error *err)
{
	autoerror struct error e = {0};
	int64_t swap;
	int r = cgroup_v2_swap(t->cg, t->res, &swap, err);

	if (r <= 0)
		return r;
	r = swap < 0 ? cgroup_put(t, "memory.swap", "memory.swap.max", &e, "max")
		     : cgroup_put(t, "memory.swap", "memory.swap.max", &e, "%" PRId64, swap);
	/* Without swap accounting there is no swap to limit, or none to give. */
	return r == -ENOENT && swap <= 0 ? 0 : error_move(err, &e, r);
}

int cgroup_v2_memory(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	const struct {
		const char *field;
		bool asked;
	} v1_only[] = {
		{"memory.kernel", res->memory_kernel && *res->memory_kernel > 0},
		{"memory.kernelTCP", res->memory_kernel_tcp && *res->memory_kernel_tcp > 0},
		{"memory.swappiness", res->memory_swappiness},
		{"memory.disableOOMKiller",
		 res->memory_disable_oom_killer && *res->memory_disable_oom_killer},
		{"memory.useHierarchy", res->memory_use_hierarchy && !*res->memory_use_hierarchy},
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(v1_only); i++)
		if (v1_only[i].asked)
			return cgroup_no_limit(err, v1_only[i].field,
					       "cgroup v2 has no such limit");
	r = apply_swap(t, err);
	if (r == 0)
		r = put_bytes(t, "memory.limit", "memory.max", res->memory_limit, err);
	if (r == 0)
		r = put_bytes(t, "memory.reservation", "memory.low", res->memory_reservation, err);
	return r;
}

/* -- cpu ----------------------------------------------------------------------------------- */

/* CPU shares 2..262144 (default 1024) to weight 1..10000 (default 100): the runtimes' formula of
 * 2025, a quadratic in log2 that meets all three points. */
unsigned cgroup_v2_weight(uint64_t shares)
{
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

/* "QUOTA PERIOD", of which what is not given stays as it is. */
static int apply_max(const struct cgroup_target *t, struct error *err)
{
	const int64_t *quota = t->res->cpu_quota;
	const uint64_t *period = t->res->cpu_period;
	autofree char *now = NULL, *max = NULL;

	if (quota && *quota)
		max = *quota < 0 ? xstrdup("max") : xasprintf("%" PRId64, *quota);
	if (!period || *period == 0)
		return max ? cgroup_put(t, "cpu.quota", "cpu.max", err, "%s", max) : 0;
	if (!max) {
		now = cgroup_read_text(t->fd, "cpu.max");
		max = xstrndup(now ? now : "max", now ? strcspn(now, " \n") : 3);
	}
	return cgroup_put(t, quota && *quota ? "cpu.quota" : "cpu.period", "cpu.max", err,
			  "%s %" PRIu64, *max ? max : "max", *period);
}

static int apply_bandwidth(const struct cgroup_target *t, struct error *err)
{
	const uint64_t *burst = t->res->cpu_burst;
	autoerror struct error e = {0};
	int early = 0, r;

	/* The burst may not exceed the quota, neither the old one nor the new. */
	if (burst)
		early = cgroup_put(t, "cpu.burst", "cpu.max.burst", &e, "%" PRIu64, *burst);
	if (early == -ENOENT && *burst == 0)
		early = 0;
	if (early < 0 && (early != -EINVAL || !t->res->cpu_quota))
		return error_move(err, &e, early);
	r = apply_max(t, err);
	if (r == 0 && early < 0)
		r = cgroup_put(t, "cpu.burst", "cpu.max.burst", err, "%" PRIu64, *burst);
	return r;
}

int cgroup_v2_cpu(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	const int64_t *idle = res->cpu_idle;
	uint64_t now = 0;
	int r = 0;

	if (res->cpu_rt_runtime && *res->cpu_rt_runtime)
		return cgroup_no_limit(err, "cpu.realtimeRuntime", "cgroup v2 has no such limit");
	if (res->cpu_rt_period && *res->cpu_rt_period)
		return cgroup_no_limit(err, "cpu.realtimePeriod", "cgroup v2 has no such limit");
	/* While it is idle it has no weight, and the kernel refuses one: idle is left first, and entered
	 * last. */
	if (idle)
		(void)cgroup_read_u64(t->fd, "cpu.idle", &now);
	if (idle && *idle == 0 && now != 0)
		r = cgroup_put(t, "cpu.idle", "cpu.idle", err, "0");
	if (r == 0 && res->cpu_shares && *res->cpu_shares && !(idle && *idle == 1 && now == 1))
		r = cgroup_put(t, "cpu.shares", "cpu.weight", err, "%u",
			       cgroup_v2_weight(*res->cpu_shares));
	if (r == 0)
		r = apply_bandwidth(t, err);
	if (r == 0 && idle && *idle != 0)
		r = cgroup_put(t, "cpu.idle", "cpu.idle", err, "%" PRId64, *idle);
	return r;
}

int cgroup_v2_cpuset(const struct cgroup_target *t, struct error *err)
{
	return cgroup_v1_cpuset(t, err); /* the same files */
}

/* -- block devices ------------------------------------------------------------------------- */

/* BFQ takes the spec's scale; io.weight has 1..10000. */
static int put_weight(const struct cgroup_target *t, const char *field, const char *device,
		      uint64_t weight, struct error *err)
{
	autoerror struct error e = {0};
	int r = cgroup_put(t, field, "io.bfq.weight", &e, "%s%" PRIu64, device, weight);

	if (r != -ENOENT)
		return error_move(err, &e, r);
	error_done(&e);
	r = cgroup_put(t, field, "io.weight", &e, "%s%" PRIu64, device,
		       1 + (weight - 10) * 9999 / 990);
	if (r == -ENOENT && faccessat(t->fd, "io.stat", F_OK, 0) == 0)
		return cgroup_no_limit(err, field, "no I/O scheduler here weighs");
	return error_move(err, &e, r);
}

static int put_rate(const struct cgroup_target *t, const struct cgroup_device_rate *rate,
		    struct error *err)
{
	static const struct {
		char kind;
		const char *field, *key;
	} keys[] = {{'r', "blockIO.throttleReadBpsDevice", "rbps"},
		    {'w', "blockIO.throttleWriteBpsDevice", "wbps"},
		    {'R', "blockIO.throttleReadIOPSDevice", "riops"},
		    {'W', "blockIO.throttleWriteIOPSDevice", "wiops"}};
	autofree char *device = xasprintf("%" PRIu32 ":%" PRIu32 " ", rate->major, rate->minor);
	autofree char *value = rate->value ? xasprintf("%" PRIu64, rate->value)
					   : xstrdup("max"); /* v1: 0 is none */

	if (rate->kind == 'l')
		return cgroup_no_limit(err, "blockIO.weightDevice",
				       "leafWeight: cgroup v2 has no such limit");
	if (rate->kind == 'g')
		return put_weight(t, "blockIO.weightDevice", device, rate->value, err);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == rate->kind)
			return cgroup_put(t, keys[i].field, "io.max", err, "%s%s=%s", device,
					  keys[i].key, value);
	return 0;
}

int cgroup_v2_io(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_resources *res = t->res;
	int r = 0;

	if (res->io_leaf_weight)
		return cgroup_no_limit(err, "blockIO.leafWeight", "cgroup v2 has no such limit");
	if (res->io_weight)
		r = put_weight(t, "blockIO.weight", "", res->io_weight, err);
	for (size_t i = 0; r == 0 && i < res->io_rate_count; i++)
		r = put_rate(t, &res->io_rates[i], err);
	return r;
}

/* -- freezer ------------------------------------------------------------------------------- */

#define FREEZE_TIMEOUT_MS 10000 /* its tasks may have to wait for a processor */

int cgroup_v2_freeze(const struct cgroup *cg, bool frozen, struct error *err)
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

		r = cgroup_is_frozen(cg, &now, err);
		if (r < 0 || now == frozen)
			return r;
		if (poll(&p, 1, FREEZE_TIMEOUT_MS) == 0)
			break;
		if (pread(fd, buf, sizeof(buf), 0) < 0)
			break;
	}
	if (frozen)
		(void)cgroup_write(dir, "cgroup.freeze", "0", NULL); /* all or nothing */
	return error_set(err, ERROR_UNAVAILABLE, EBUSY, "freeze cgroup '%s'", cg->path);
}

/* -- OOM ----------------------------------------------------------------------------------- */

int cgroup_v2_oom_watch(int dir, int *ret_fd, struct error *err)
{
	autoclose int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create an inotify instance");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", dir);
	if (inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "watch memory.events");
	*ret_fd = TAKE_FD(fd);
	return 0;
}
