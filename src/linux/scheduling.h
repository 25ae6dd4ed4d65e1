/* linux/scheduling.h - how the calling thread is scheduled: policy, processors, I/O priority, memory
 * nodes.  All of it is inherited across fork and execve.
 *
 * Numbers are the kernel's (include/uapi/linux/{sched,ioprio,mempolicy}.h), lists those of
 * linux/cpulist.h.  ERROR_INVALID where the kernel says so, ERROR_FORBIDDEN for EPERM,
 * ERROR_UNAVAILABLE where it lacks the facility.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct scheduling { /* struct sched_attr, sched_setattr(2) */
	uint32_t policy;
	int32_t nice;
	uint32_t priority;
	uint64_t flags;
	uint64_t runtime, deadline, period; /* ns */
};

int scheduling_set(const struct scheduling *s, struct error *err);
int scheduling_set_io(unsigned io_class, unsigned priority, struct error *err);
int scheduling_set_cpus(const char *list, struct error *err);
/* nodes: NULL for none */
int scheduling_set_memory(unsigned mode, unsigned flags, const char *nodes, struct error *err);

/* The processors that the calling thread may use, to be set again later. */
struct scheduling_cpus {
	uint64_t words[8192 / 64];
};
int scheduling_get_cpus(struct scheduling_cpus *ret, struct error *err);
int scheduling_restore_cpus(const struct scheduling_cpus *cpus, struct error *err);

/* What a thread makes is often queued on its own processor, and starts when it waits or is
 * interrupted, while another processor idles: on kernels that pack virtual processors always.  Who goes on
 * with something longer moves its creature elsewhere, which costs nothing if it runs already.
 *
 * The processors of the calling thread but the one it runs on; false if there are none. */
bool scheduling_other_cpus(struct scheduling_cpus *ret);
/* The same for a new child, which is to live on: false, too, unless the calling thread may use all
 * processors.  Only then is the child, that has been moved, as free as before: what sched_setaffinity(2) sets
 * is remembered, and holds against changes of cpusets. */
bool scheduling_find_others(struct scheduling_cpus *ret);
void scheduling_move(pid_t pid, const struct scheduling_cpus *others);
