/* engine/oci_resources.c - limits: Docker's resource fields in the runtime-spec's terms. */
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/oci_spec_priv.h"

#define CPU_PERIOD_US 100000 /* of --cpus */

static void kint_if(struct json_writer *w, const char *key, int64_t v)
{
	if (v != 0)
		jw_kint(w, key, v);
}

/* Without swap accounting (boot parameter swapaccount=0) the knob is missing: memory alone is then
 * limited, as Docker does after its warning. */
static bool swap_can_be_limited(void)
{
	return access("/sys/fs/cgroup/memory/memory.usage_in_bytes", F_OK) != 0 ||
	       access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0;
}

static void write_memory(const struct host_config *h, struct json_writer *w)
{
	jw_kobject(w, "memory");
	kint_if(w, "limit", h->memory);
	kint_if(w, "reservation", h->memory_reservation);
	if (h->memory_swap != 0 && swap_can_be_limited())
		jw_kint(w, "swap", h->memory_swap);
	if (h->memory_swappiness && *h->memory_swappiness >= 0)
		jw_kint(w, "swappiness", *h->memory_swappiness);
	if (h->oom_kill_disable && *h->oom_kill_disable)
		jw_kbool(w, "disableOOMKiller", true);
	jw_object_end(w);
}

static void write_cpu(const struct host_config *h, struct json_writer *w)
{
	jw_kobject(w, "cpu");
	kint_if(w, "shares", h->cpu_shares);
	if (h->nano_cpus > 0) {
		jw_kint(w, "period", CPU_PERIOD_US);
		jw_kint(w, "quota", h->nano_cpus / (1000000000 / CPU_PERIOD_US));
	} else {
		kint_if(w, "period", h->cpu_period);
		kint_if(w, "quota", h->cpu_quota);
	}
	kint_if(w, "realtimePeriod", h->cpu_rt_period);
	kint_if(w, "realtimeRuntime", h->cpu_rt_runtime);
	if (!str_empty(h->cpuset_cpus))
		jw_kstring(w, "cpus", h->cpuset_cpus);
	if (!str_empty(h->cpuset_mems))
		jw_kstring(w, "mems", h->cpuset_mems);
	jw_object_end(w);
}

static int device_numbers(const char *path, struct json_writer *w, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(err, ERROR_INVALID, errno, "block device '%s'", path);
	jw_kint(w, "major", major(st.st_rdev));
	jw_kint(w, "minor", minor(st.st_rdev));
	return 0;
}

static int write_throttles(const char *key, const struct json_objects *list, struct json_writer *w,
			   struct error *err)
{
	const struct config_throttle *v = list->v;
	int r = 0;

	if (list->n == 0)
		return 0;
	jw_karray(w, key);
	for (size_t i = 0; r >= 0 && i < list->n; i++) {
		jw_object(w);
		r = device_numbers(v[i].path, w, err);
		jw_kuint(w, "rate", v[i].rate);
		jw_object_end(w);
	}
	jw_array_end(w);
	return r;
}

static int write_block_io(const struct host_config *h, struct json_writer *w, struct error *err)
{
	const struct config_weight_device *v = h->blkio_weight_device.v;
	int r = 0;

	jw_kobject(w, "blockIO");
	if (h->blkio_weight > 0)
		jw_kint(w, "weight", h->blkio_weight);
	if (h->blkio_weight_device.n > 0) {
		jw_karray(w, "weightDevice");
		for (size_t i = 0; r >= 0 && i < h->blkio_weight_device.n; i++) {
			jw_object(w);
			r = device_numbers(v[i].path, w, err);
			jw_kuint(w, "weight", v[i].weight);
			jw_object_end(w);
		}
		jw_array_end(w);
	}
	r = r < 0 ? r : write_throttles("throttleReadBpsDevice", &h->read_bps, w, err);
	r = r < 0 ? r : write_throttles("throttleWriteBpsDevice", &h->write_bps, w, err);
	r = r < 0 ? r : write_throttles("throttleReadIOPSDevice", &h->read_iops, w, err);
	r = r < 0 ? r : write_throttles("throttleWriteIOPSDevice", &h->write_iops, w, err);
	jw_object_end(w);
	return r;
}

int oci_resources_write(const struct host_config *h, struct json_writer *w, struct error *err)
{
	write_memory(h, w);
	write_cpu(h, w);
	if (h->pids_limit && *h->pids_limit > 0) {
		jw_kobject(w, "pids");
		jw_kint(w, "limit", *h->pids_limit);
		jw_object_end(w);
	}
	return write_block_io(h, w, err);
}
