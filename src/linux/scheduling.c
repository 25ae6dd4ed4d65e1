/* Scheduling attributes of the calling thread, by the system calls themselves: no C library has all. */
#include "linux/scheduling.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/cpulist.h"

#define IOPRIO_WHO_PROCESS_ 1
#define IOPRIO_CLASS_SHIFT_ 13

struct sched_attr_v1 { /* SCHED_ATTR_SIZE_VER1, Linux 5.3: with utilisation clamps */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

static int failure(const char *what, struct error *err)
{
	switch (errno) {
	case EINVAL:
	case E2BIG:
		return error_set(err, ERROR_INVALID, errno, "%s", what);
	case EPERM:
		return error_set(err, ERROR_FORBIDDEN, errno, "%s", what);
	case ENOSYS:
	case EOPNOTSUPP:
		return error_set(err, ERROR_UNAVAILABLE, errno, "%s", what);
	default:
		return error_set(err, ERROR_INTERNAL, errno, "%s", what);
	}
}

int scheduling_set(const struct scheduling *s, struct error *err)
{
	struct sched_attr_v1 attr = {.size = sizeof(attr),
				     .policy = s->policy,
				     .flags = s->flags,
				     .nice = s->nice,
				     .priority = s->priority,
				     .runtime = s->runtime,
				     .deadline = s->deadline,
				     .period = s->period};

	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? failure("sched_setattr", err) : 0;
}

int scheduling_set_io(unsigned io_class, unsigned priority, struct error *err)
{
	unsigned value = io_class << IOPRIO_CLASS_SHIFT_ | priority;

	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS_, 0, value) < 0
		       ? failure("ioprio_set", err)
		       : 0;
}

int scheduling_set_cpus(const char *list, struct error *err)
{
	struct scheduling_cpus cpus;

	if (cpulist_parse(list, cpus.words) <= 0)
		return error_set(err, ERROR_INVALID, EINVAL, "list of processors '%s'", list);
	return scheduling_restore_cpus(&cpus, err);
}

int scheduling_get_cpus(struct scheduling_cpus *ret, struct error *err)
{
	struct scheduling_cpus cpus = {0};

	if (syscall(SYS_sched_getaffinity, 0, sizeof(cpus.words), cpus.words) < 0)
		return failure("sched_getaffinity", err);
	*ret = cpus;
	return 0;
}

int scheduling_restore_cpus(const struct scheduling_cpus *cpus, struct error *err)
{
	return syscall(SYS_sched_setaffinity, 0, sizeof(cpus->words), cpus->words) < 0
		       ? failure("sched_setaffinity", err)
		       : 0;
}

/* The kernel looks at one bit less than it is told, and refuses more than a page of bits unless the
 * rest is zero (set_mempolicy(2)). */
int scheduling_set_memory(unsigned mode, unsigned flags, const char *nodes, struct error *err)
{
	uint64_t mask[CPULIST_WORDS] = {0};
	int n = nodes ? cpulist_parse(nodes, mask) : 0;

	if (n < 0)
		return error_set(err, ERROR_INVALID, -n, "list of memory nodes '%s'", nodes);
	return syscall(SYS_set_mempolicy, mode | flags, n ? mask : NULL, n ? n + 1 : 0) < 0
		       ? failure("set_mempolicy", err)
		       : 0;
}
