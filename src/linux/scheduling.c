/* Scheduling attributes of the calling thread, by the system calls themselves: no C library has all. */
#include "linux/scheduling.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
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

bool scheduling_other_cpus(struct scheduling_cpus *ret)
{
	int own = sched_getcpu();
	uint64_t any = 0;

	if (own < 0 || own >= CPULIST_BITS || scheduling_get_cpus(ret, NULL) < 0)
		return false;
	ret->words[own / 64] &= ~((uint64_t)1 << own % 64);
	for (size_t i = 0; i < CPULIST_WORDS; i++)
		any |= ret->words[i];
	return any != 0;
}

/* More than fit into a line are nobody's few processors. */
static bool read_online(uint64_t ret[static CPULIST_WORDS])
{
	autoclose int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	char line[256];
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (n <= 0 || line[n - 1] != '\n')
		return false;
	line[n - 1] = '\0';
	return cpulist_parse(line, ret) > 0;
}

bool scheduling_find_others(struct scheduling_cpus *ret)
{
	uint64_t online[CPULIST_WORDS];
	unsigned missing = 0;

	if (!scheduling_other_cpus(ret) || !read_online(online))
		return false;
	for (size_t i = 0; i < CPULIST_WORDS; i++)
		missing += (unsigned)__builtin_popcountll(online[i] & ~ret->words[i]);
	return missing == 1;
}

void scheduling_move(pid_t pid, const struct scheduling_cpus *others)
{
	struct scheduling_cpus all;

	if (syscall(SYS_sched_setaffinity, pid, sizeof(others->words), others->words) < 0)
		return;
	memset(all.words, 0xff, sizeof(all.words));
	(void)syscall(SYS_sched_setaffinity, pid, sizeof(all.words), all.words);
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
