/* What a container uses, in the API's JSON. */
#include "api/stats.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/encode.h"
#include "base/mem.h"
#include "base/str.h"

#define NS_PER_S      1000000000ULL
#define CPU_COLUMNS   8 /* user nice system idle iowait irq softirq steal; guest is in user */
#define NET_COLUMNS   16
#define LINK_NAME_MAX 64

void stats_sample_done(struct stats_sample *s)
{
	cgroup_stats_done(&s->cgroup);
	free(s->net_dev);
	*s = (struct stats_sample){0};
}

/* proc_stat(5): the first line, in clock ticks. */
static uint64_t machine_ns(const char *text)
{
	long ticks = sysconf(_SC_CLK_TCK);
	uint64_t sum = 0;
	char *p;

	if (!text || !str_has_prefix(text, "cpu ") || ticks <= 0)
		return 0;
	p = (char *)(uintptr_t)text + strlen("cpu ");
	for (int i = 0; i < CPU_COLUMNS; i++) {
		while (*p == ' ')
			p++;
		if (*p < '0' || *p > '9')
			break;
		sum += strtoull(p, &p, 10);
	}
	return sum * (NS_PER_S / (uint64_t)ticks);
}

void stats_sample_cpu(struct stats_sample *s, const char *proc_stat)
{
	s->cpu = (struct stats_cpu){
		.total_ns = s->cgroup.cpu_usage_ns,
		.user_ns = s->cgroup.cpu_user_ns,
		.system_ns = s->cgroup.cpu_system_ns,
		.machine_ns = machine_ns(proc_stat),
		.periods = s->cgroup.throttling_periods,
		.throttled_periods = s->cgroup.throttled_periods,
		.throttled_ns = s->cgroup.throttled_ns,
	};
}

static void write_cpu(struct json_writer *w, const char *key, const struct stats_args *a,
		      const struct stats_cpu *cpu)
{
	static const struct stats_cpu none;
	const struct cgroup_stats *cg = a->sample && cpu ? &a->sample->cgroup : NULL;
	const struct stats_cpu *c = cpu ? cpu : &none;

	jw_kobject(w, key);
	jw_kobject(w, "cpu_usage");
	jw_kuint(w, "total_usage", c->total_ns);
	if (cg && cg->percpu_count > 0 && cpu == &a->sample->cpu) {
		jw_karray(w, "percpu_usage");
		for (size_t i = 0; i < cg->percpu_count; i++)
			jw_uint(w, cg->percpu_ns[i]);
		jw_array_end(w);
	}
	jw_kuint(w, "usage_in_kernelmode", c->system_ns);
	jw_kuint(w, "usage_in_usermode", c->user_ns);
	jw_object_end(w);
	if (cpu) {
		jw_kuint(w, "system_cpu_usage", c->machine_ns);
		jw_kuint(w, "online_cpus", a->cpus);
	}
	jw_kobject(w, "throttling_data");
	jw_kuint(w, "periods", c->periods);
	jw_kuint(w, "throttled_periods", c->throttled_periods);
	jw_kuint(w, "throttled_time", c->throttled_ns);
	jw_object_end(w);
	jw_object_end(w);
}

static void write_memory(struct json_writer *w, const struct stats_args *a)
{
	const struct cgroup_stats *cg = a->sample ? &a->sample->cgroup : NULL;

	jw_kobject(w, "memory_stats");
	if (cg && cg->has_memory) {
		jw_kuint(w, "usage", cg->memory_usage);
		if (cg->memory_max_usage > 0)
			jw_kuint(w, "max_usage", cg->memory_max_usage);
		jw_kobject(w, "stats");
		for (size_t i = 0; i < cg->memory_stat_count; i++)
			jw_kuint(w, cg->memory_stat[i].name, cg->memory_stat[i].value);
		jw_object_end(w);
		if (cg->memory_failcnt > 0)
			jw_kuint(w, "failcnt", cg->memory_failcnt);
		jw_kuint(w, "limit",
			 cg->memory_limit < a->machine_memory ? cg->memory_limit
							      : a->machine_memory);
	}
	jw_object_end(w);
}

static void write_io(struct json_writer *w, const struct cgroup_stats *cg, const char *key,
		     bool operations)
{
	static const char *const names[] = {"read", "write"};

	if (!cg || !cg->has_io || cg->io_count == 0) {
		jw_knull(w, key);
		return;
	}
	jw_karray(w, key);
	for (size_t i = 0; i < cg->io_count; i++) {
		const struct cgroup_io_stat *io = &cg->io[i];
		const uint64_t values[] = {operations ? io->read_ops : io->read_bytes,
					   operations ? io->write_ops : io->write_bytes};

		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			jw_object(w);
			jw_kuint(w, "major", io->major);
			jw_kuint(w, "minor", io->minor);
			jw_kstring(w, "op", names[k]);
			jw_kuint(w, "value", values[k]);
			jw_object_end(w);
		}
	}
	jw_array_end(w);
}

static void write_blkio(struct json_writer *w, const struct stats_args *a)
{
	static const char *const others[] = {"io_queue_recursive",     "io_service_time_recursive",
					     "io_wait_time_recursive", "io_merged_recursive",
					     "io_time_recursive",      "sectors_recursive"};
	const struct cgroup_stats *cg = a->sample ? &a->sample->cgroup : NULL;

	jw_kobject(w, "blkio_stats");
	write_io(w, cg, "io_service_bytes_recursive", false);
	write_io(w, cg, "io_serviced_recursive", true);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		jw_knull(w, others[i]);
	jw_object_end(w);
}

/* "  eth0: 1 2 3 ..." of /proc/net/dev, proc_net_dev(5). */
static void write_link(struct json_writer *w, const char *line, size_t len)
{
	static const struct {
		const char *name;
		int column;
	} members[] = {
		{"rx_bytes", 0}, {"rx_packets", 1}, {"rx_errors", 2},  {"rx_dropped", 3},
		{"tx_bytes", 8}, {"tx_packets", 9}, {"tx_errors", 10}, {"tx_dropped", 11},
	};
	const char *end = line + len, *colon = memchr(line, ':', len), *p;
	uint64_t values[NET_COLUMNS] = {0};
	char name[LINK_NAME_MAX];

	if (!colon)
		return;
	while (*line == ' ')
		line++;
	len = (size_t)(colon - line);
	if (len >= sizeof(name) || (len == 2 && memcmp(line, "lo", 2) == 0))
		return;
	memcpy(name, line, len);
	name[len] = '\0';
	p = colon + 1;
	for (int i = 0; i < NET_COLUMNS && p < end; i++) {
		char *next;

		values[i] = strtoull(p, &next, 10);
		p = next;
	}
	jw_kobject(w, name);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		jw_kuint(w, members[i].name, values[members[i].column]);
	jw_object_end(w);
}

static void write_networks(struct json_writer *w, const char *net_dev)
{
	if (!net_dev)
		return;
	jw_kobject(w, "networks");
	for (const char *line = net_dev; *line;) {
		size_t len = strcspn(line, "\n");

		write_link(w, line, len);
		line += len + (line[len] == '\n');
	}
	jw_object_end(w);
}

static void write_pids(struct json_writer *w, const struct stats_args *a)
{
	const struct cgroup_stats *cg = a->sample ? &a->sample->cgroup : NULL;

	jw_kobject(w, "pids_stats");
	if (cg && cg->has_pids) {
		jw_kuint(w, "current", cg->pids_current);
		if (cg->pids_limit != UINT64_MAX)
			jw_kuint(w, "limit", cg->pids_limit);
	}
	jw_object_end(w);
}

void stats_write(const struct stats_args *a, struct json_writer *w)
{
	jw_object(w);
	jw_key(w, "name");
	jw_stringf(w, "/%s", a->name);
	jw_kstring(w, "id", a->id);
	encode_time(w, "read", a->sample ? a->sample->time_ns : 0);
	encode_time(w, "preread", a->before_ns);
	write_pids(w, a);
	write_blkio(w, a);
	jw_kint(w, "num_procs", 0);
	jw_kobject(w, "storage_stats");
	jw_object_end(w);
	write_cpu(w, "cpu_stats", a, a->sample ? &a->sample->cpu : NULL);
	write_cpu(w, "precpu_stats", a, a->before);
	write_memory(w, a);
	write_networks(w, a->sample ? a->sample->net_dev : NULL);
	jw_object_end(w);
}
