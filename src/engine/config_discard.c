/* Limits that this host cannot enforce: what Docker does with them, in its words. */
#include "engine/config_discard.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define NO_CGROUP " or the cgroup is not mounted. "

static bool asks_memory(const struct host_config *h)
{
	return h->memory > 0;
}

static void drop_memory(struct host_config *h)
{
	h->memory = 0;
	h->memory_swap = -1;
}

static bool asks_swap(const struct host_config *h)
{
	return h->memory > 0 && h->memory_swap != -1;
}

static void drop_swap(struct host_config *h)
{
	h->memory_swap = -1;
}

static bool asks_swappiness(const struct host_config *h)
{
	return h->memory_swappiness != NULL;
}

static void drop_swappiness(struct host_config *h)
{
	h->memory_swappiness = NULL;
}

static bool asks_reservation(const struct host_config *h)
{
	return h->memory_reservation > 0;
}

static void drop_reservation(struct host_config *h)
{
	h->memory_reservation = 0;
}

static bool asks_oom(const struct host_config *h)
{
	return h->oom_kill_disable && *h->oom_kill_disable;
}

static void drop_oom(struct host_config *h)
{
	h->oom_kill_disable = NULL;
}

static bool asks_pids(const struct host_config *h)
{
	return h->pids_limit && *h->pids_limit > 0;
}

static void drop_pids(struct host_config *h)
{
	h->pids_limit = NULL;
}

static bool asks_shares(const struct host_config *h)
{
	return h->cpu_shares > 0;
}

static void drop_shares(struct host_config *h)
{
	h->cpu_shares = 0;
}

static bool asks_cfs(const struct host_config *h)
{
	return h->cpu_period != 0 || h->cpu_quota != 0;
}

static void drop_cfs(struct host_config *h)
{
	h->cpu_period = h->cpu_quota = 0;
}

static bool asks_cpuset(const struct host_config *h)
{
	return !str_empty(h->cpuset_cpus) || !str_empty(h->cpuset_mems);
}

static void drop_cpuset(struct host_config *h)
{
	h->cpuset_cpus = h->cpuset_mems = "";
}

static bool asks_weight(const struct host_config *h)
{
	return h->blkio_weight > 0;
}

static void drop_weight(struct host_config *h)
{
	h->blkio_weight = 0;
}

static bool asks_weight_device(const struct host_config *h)
{
	return h->blkio_weight_device.n > 0;
}

static void drop_weight_device(struct host_config *h)
{
	h->blkio_weight_device.n = 0;
}

static bool asks_throttles(const struct host_config *h)
{
	return h->read_bps.n + h->write_bps.n + h->read_iops.n + h->write_iops.n > 0;
}

static void drop_throttles(struct host_config *h)
{
	h->read_bps.n = h->write_bps.n = h->read_iops.n = h->write_iops.n = 0;
}

/* v1 has a file for each, or another one with another scheduler; v2 a controller, or nothing. */
static const struct limit {
	bool (*asks)(const struct host_config *h);
	void (*drop)(struct host_config *h);
	const char *file, *other_file, *controller;
	const char *warning;
} limits[] = {
	{asks_memory, drop_memory, "memory/memory.limit_in_bytes", NULL, "memory",
	 "Your kernel does not support memory limit capabilities" NO_CGROUP
	 "Limitation discarded."},
	{asks_swap, drop_swap, "memory/memory.memsw.limit_in_bytes", NULL, "memory",
	 "Your kernel does not support swap limit capabilities" NO_CGROUP
	 "Memory limited without swap."},
	{asks_swappiness, drop_swappiness, "memory/memory.swappiness", NULL, NULL,
	 "Your kernel does not support memory swappiness capabilities" NO_CGROUP
	 "Memory swappiness discarded."},
	{asks_reservation, drop_reservation, "memory/memory.soft_limit_in_bytes", NULL, "memory",
	 "Your kernel does not support memory soft limit capabilities" NO_CGROUP
	 "Limitation discarded."},
	{asks_oom, drop_oom, "memory/memory.oom_control", NULL, NULL,
	 "Your kernel does not support OomKillDisable. OomKillDisable discarded."},
	{asks_pids, drop_pids, "pids/cgroup.procs", NULL, "pids",
	 "Your kernel does not support PIDs limit capabilities" NO_CGROUP "PIDs limit discarded."},
	{asks_shares, drop_shares, "cpu/cpu.shares", NULL, "cpu",
	 "Your kernel does not support CPU shares" NO_CGROUP "Shares discarded."},
	{asks_cfs, drop_cfs, "cpu/cpu.cfs_quota_us", NULL, "cpu",
	 "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."},
	{asks_cpuset, drop_cpuset, "cpuset/cpuset.cpus", NULL, "cpuset",
	 "Your kernel does not support cpuset" NO_CGROUP "Cpuset discarded."},
	{asks_weight, drop_weight, "blkio/blkio.weight", "blkio/blkio.bfq.weight", "io",
	 "Your kernel does not support Block I/O weight" NO_CGROUP "Weight discarded."},
	{asks_weight_device, drop_weight_device, "blkio/blkio.weight_device",
	 "blkio/blkio.bfq.weight_device", "io",
	 "Your kernel does not support Block I/O weight_device" NO_CGROUP
	 "Weight-device discarded."},
	{asks_throttles, drop_throttles, "blkio/blkio.throttle.read_bps_device", NULL, "io",
	 "Your kernel does not support Block I/O throttling" NO_CGROUP
	 "Block I/O limits discarded."},
};

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len)
		if ((p == text || p[-1] == ' ') &&
		    (p[len] == '\0' || p[len] == ' ' || p[len] == '\n'))
			return true;
	return false;
}

static bool has_limit(int root_fd, const char *controllers, const struct limit *l)
{
	if (controllers)
		return l->controller && has_word(controllers, l->controller);
	return faccessat(root_fd, l->file, F_OK, 0) == 0 ||
	       (l->other_file && faccessat(root_fd, l->other_file, F_OK, 0) == 0);
}

int config_discard_at(int root_fd, struct host_config *h, struct strv *warnings, struct error *err)
{
	autofree char *controllers = NULL;

	if (file_read(root_fd, "cgroup.controllers", 4096, &controllers, NULL, NULL) < 0)
		controllers = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (limits[i].asks == asks_cfs && h->nano_cpus > 0 &&
		    !has_limit(root_fd, controllers, &limits[i]))
			return error_set(
				err, ERROR_INVALID, 0,
				"NanoCPUs can not be set, as your kernel does not support CPU "
				"CFS scheduler or the cgroup is not mounted");
		if (!limits[i].asks(h) || has_limit(root_fd, controllers, &limits[i]))
			continue;
		limits[i].drop(h);
		if (warnings)
			strv_add(warnings, limits[i].warning);
	}
	return 0;
}

int config_discard(struct host_config *h, struct strv *warnings, struct error *err)
{
	autoclose int fd = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return config_discard_at(fd, h, warnings, err);
}
