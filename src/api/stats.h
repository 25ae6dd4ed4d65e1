/* api/stats.h - what a container uses, in the API's JSON. */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "linux/cgroup.h"

struct stats_cpu {
	uint64_t total_ns, user_ns, system_ns; /* of the container */
	uint64_t machine_ns;                   /* of all processors, idle included */
	uint64_t periods, throttled_periods, throttled_ns;
};
struct stats_sample {
	int64_t time_ns; /* 0: none */
	struct cgroup_stats cgroup;
	struct stats_cpu cpu;
	char *net_dev; /* owned; /proc/<pid>/net/dev, or NULL */
};
void stats_sample_done(struct stats_sample *s); /* accepts a zeroed one */

/* Fill cpu from cgroup and /proc/stat's text (proc_stat may be NULL). */
void stats_sample_cpu(struct stats_sample *s, const char *proc_stat);

struct stats_args {
	const char *id, *name;
	const struct stats_sample *sample; /* NULL: the container does not run */
	const struct stats_cpu *before;    /* NULL: none */
	int64_t before_ns;                 /* 0: none */
	uint64_t machine_memory;           /* bytes */
	unsigned cpus;
};
void stats_write(const struct stats_args *a, struct json_writer *w); /* one object */
