/* Limits: what Docker refuses, in its words. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/config_priv.h"
#include "linux/rlimits.h"

#define MEMORY_MIN   ((int64_t)6 << 20) /* bytes */
#define CPUSET_MAX   8192
#define SYS_FILE_MAX 4096

static int invalid(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "%s", what);
}

static int validate_memory(struct host_config *h, struct strv *warnings, struct error *err)
{
	if (h->memory != 0 && h->memory < MEMORY_MIN)
		return invalid(err, "Minimum memory limit allowed is 6MB");
	if (h->memory > 0 && h->memory_swap > 0 && h->memory_swap < h->memory)
		return invalid(err, "Minimum memoryswap limit should be larger than memory limit, "
				    "see usage");
	if (h->memory == 0 && h->memory_swap > 0)
		return invalid(err, "You should always set the Memory limit when using Memoryswap "
				    "limit, see usage");
	if (h->memory_swappiness && *h->memory_swappiness == -1)
		h->memory_swappiness = NULL;
	if (h->memory_swappiness && (*h->memory_swappiness < 0 || *h->memory_swappiness > 100))
		return error_set(err, ERROR_INVALID, 0,
				 "Invalid value: %lld, valid memory swappiness range is 0-100",
				 (long long)*h->memory_swappiness);
	if (h->memory_reservation < 0 ||
	    (h->memory_reservation > 0 && h->memory_reservation < MEMORY_MIN))
		return invalid(err, "Minimum memory reservation allowed is 6MB");
	if (h->memory > 0 && h->memory_reservation > h->memory)
		return invalid(err, "Minimum memory limit can not be less than memory reservation "
				    "limit, see usage");
	if (h->oom_kill_disable && *h->oom_kill_disable && h->memory == 0 && warnings)
		strv_add(warnings,
			 "OOM killer is disabled for the container, but no memory limit is set, "
			 "this can result in the system running out of resources.");
	if (h->shm_size < 0)
		return invalid(err, "SHM size can not be less than 0");
	return 0;
}

static int validate_cpu(const struct host_config *h, struct error *err)
{
	long n = h->nano_cpus != 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 0;

	if (h->nano_cpus > 0 && h->cpu_period > 0)
		return invalid(err, "Conflicting options: Nano CPUs and CPU Period cannot both be "
				    "set");
	if (h->nano_cpus > 0 && h->cpu_quota > 0)
		return invalid(err, "Conflicting options: Nano CPUs and CPU Quota cannot both be "
				    "set");
	if (h->nano_cpus < 0 || h->nano_cpus > (int64_t)n * 1000000000)
		return error_set(err, ERROR_INVALID, 0,
				 "range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs "
				 "available",
				 n, n);
	if (h->cpu_period != 0 && (h->cpu_period < 1000 || h->cpu_period > 1000000))
		return invalid(err, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger "
				    "than 1s (i.e. 1000000)");
	if (h->cpu_quota > 0 && h->cpu_quota < 1000)
		return invalid(err, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (h->cpu_shares < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid CPU shares (%lld): value must be a positive integer",
				 (long long)h->cpu_shares);
	if (h->cpu_rt_period != 0 && h->cpu_rt_runtime > h->cpu_rt_period)
		return invalid(err, "cpu real-time runtime cannot be higher than cpu real-time "
				    "period");
	return 0;
}

/* "0-3,5" as bits; -EINVAL.  The kernel's list format, cpuset(7). */
static int parse_list(const char *s, unsigned char bits[CPUSET_MAX / 8])
{
	while (*s) {
		char *end;
		unsigned long first, last;

		if (*s < '0' || *s > '9')
			return -EINVAL;
		first = last = strtoul(s, &end, 10);
		if (*end == '-') {
			s = end + 1;
			if (*s < '0' || *s > '9')
				return -EINVAL;
			last = strtoul(s, &end, 10);
		}
		if (last < first || last >= CPUSET_MAX)
			return -EINVAL;
		for (; first <= last; first++)
			bits[first / 8] |= (unsigned char)(1u << (first % 8));
		s = end;
		if (*s != '\0' && (*s != ',' || *++s == '\0'))
			return -EINVAL;
	}
	return 0;
}

struct cpuset_kind {
	const char *value;
	const char *what, *available_what; /* for messages */
	const char *file;                  /* what the machine has */
};

static int validate_cpuset(const struct cpuset_kind *k, struct error *err)
{
	unsigned char want[CPUSET_MAX / 8] = {0}, have[CPUSET_MAX / 8] = {0};
	autofree char *available = NULL;

	if (str_empty(k->value))
		return 0;
	if (parse_list(k->value, want) < 0)
		return error_set(err, ERROR_INVALID, 0, "Invalid value %s for %s", k->value,
				 k->what);
	if (file_read(AT_FDCWD, k->file, SYS_FILE_MAX, &available, NULL, NULL) < 0)
		return 0; /* a kernel without NUMA has no list of nodes: the cgroup will tell */
	available[strcspn(available, "\n")] = '\0';
	if (parse_list(available, have) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(want); i++)
		if (want[i] & ~have[i])
			return error_set(err, ERROR_INVALID, 0,
					 "Requested %s are not available - requested %s, "
					 "available: %s",
					 k->available_what, k->value, available);
	return 0;
}

static int validate_ulimits(const struct host_config *h, struct error *err)
{
	const struct config_ulimit *u = h->ulimits.v;

	for (size_t i = 0; i < h->ulimits.n; i++) {
		char name[64] = "RLIMIT_";
		size_t n = strlen(name);

		for (const char *p = u[i].name; *p && n + 1 < sizeof(name); p++)
			name[n++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
		name[n] = '\0';
		if (rlimit_parse(name) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid ulimit type: %s",
					 u[i].name);
		if (u[i].hard != -1 && (u[i].soft == -1 || u[i].soft > u[i].hard))
			return error_set(err, ERROR_INVALID, 0,
					 "ulimit soft limit must be less than or equal to hard "
					 "limit: %lld > %lld",
					 (long long)u[i].soft, (long long)u[i].hard);
	}
	return 0;
}

int config_resources_validate(struct host_config *h, struct strv *warnings, struct error *err)
{
	const struct cpuset_kind cpus = {h->cpuset_cpus, "cpuset cpus", "CPUs",
					 "/sys/devices/system/cpu/online"};
	const struct cpuset_kind mems = {h->cpuset_mems, "cpuset mems", "memory nodes",
					 "/sys/devices/system/node/online"};
	int r;

	/* No limit and "unlimited" are the same thing. */
	if (h->pids_limit && *h->pids_limit <= 0)
		h->pids_limit = NULL;
	r = validate_memory(h, warnings, err);
	if (r == 0)
		r = validate_cpu(h, err);
	if (r == 0)
		r = validate_cpuset(&cpus, err);
	if (r == 0)
		r = validate_cpuset(&mems, err);
	if (r == 0)
		r = validate_ulimits(h, err);
	if (r < 0)
		return r;
	if (h->blkio_weight > 0 && (h->blkio_weight < 10 || h->blkio_weight > 1000))
		return invalid(err, "Range of blkio weight is from 10 to 1000");
	if (h->oom_score_adj < -1000 || h->oom_score_adj > 1000)
		return error_set(err, ERROR_INVALID, 0,
				 "Invalid value %d, range for oom score adj is [-1000, 1000]",
				 h->oom_score_adj);
	return 0;
}
