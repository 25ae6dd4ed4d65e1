/* linux/scheduling.h - how the calling thread is scheduled: policy, processors, I/O priority, memory
 * nodes.  All of it is inherited across fork and execve.
 *
 * Numbers are the kernel's (include/uapi/linux/{sched,ioprio,mempolicy}.h), lists those of
 * linux/cpulist.h.  ERROR_INVALID where the kernel says so, ERROR_FORBIDDEN for EPERM,
 * ERROR_UNAVAILABLE where it lacks the facility.
 */
#pragma once

#include <stdint.h>

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
