/* Statistics of cgroup v2's controllers. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "linux/cgroup_priv.h"

static void read_swap(int fd, struct cgroup_stats *s)
{
	struct cgroup_counter *only = &s->swap_only;
	autofree char *events = cgroup_read_text(fd, "memory.swap.events");

	only->limit = UINT64_MAX;
	only->present = cgroup_read_u64(fd, "memory.swap.current", &only->usage);
	(void)cgroup_read_u64(fd, "memory.swap.max", &only->limit);
	(void)cgroup_read_u64(fd, "memory.swap.peak", &only->max);
	if (events)
		(void)cgroup_flat_get(events, "max", &only->failcnt);
	/* As v1 counts: the peaks of the two cannot be added. */
	s->swap = (struct cgroup_counter){.present = only->present || s->has_memory,
					  .usage = only->usage + s->memory_usage,
					  .failcnt = only->failcnt,
					  .limit = UINT64_MAX};
	if (only->limit != UINT64_MAX && s->memory_limit != UINT64_MAX)
		s->swap.limit = only->limit + s->memory_limit;
}

void cgroup_v2_memory_stats(int fd, bool all, struct cgroup_stats *s)
{
	autofree char *events = cgroup_read_text(fd, "memory.events");
	const struct {
		const char *key;
		uint64_t *value;
	} keys[] = {{"low", &s->memory_events.low},
		    {"high", &s->memory_events.high},
		    {"max", &s->memory_events.max},
		    {"oom", &s->memory_events.oom},
		    {"oom_kill", &s->memory_events.oom_kill},
		    {"oom_group_kill", &s->memory_events.oom_group_kill}};

	s->has_memory = cgroup_read_u64(fd, "memory.current", &s->memory_usage);
	(void)cgroup_read_u64(fd, "memory.max", &s->memory_limit);
	(void)cgroup_read_u64(fd, "memory.peak", &s->memory_max_usage);
	for (size_t i = 0; events && i < ARRAY_SIZE(keys); i++)
		(void)cgroup_flat_get(events, keys[i].key, keys[i].value);
	s->memory_failcnt = s->memory_events.max;
	cgroup_add_memory_stats(fd, s);
	if (!all)
		return;
	for (size_t i = 0; i < s->memory_stat_count; i++) {
		if (strcmp(s->memory_stat[i].name, "file") == 0)
			s->memory_cache = s->memory_stat[i].value;
		if (strcmp(s->memory_stat[i].name, "kernel") == 0)
			s->kernel = (struct cgroup_counter){.present = true,
							    .usage = s->memory_stat[i].value,
							    .limit = UINT64_MAX};
	}
	read_swap(fd, s);
}

void cgroup_v2_cpu_stats(int fd, struct cgroup_stats *s)
{
	static const struct {
		const char *key;
		size_t offset;
		uint64_t scale;
	} keys[] = {
		{"usage_usec", offsetof(struct cgroup_stats, cpu_usage_ns), 1000},
		{"user_usec", offsetof(struct cgroup_stats, cpu_user_ns), 1000},
		{"system_usec", offsetof(struct cgroup_stats, cpu_system_ns), 1000},
		{"nr_periods", offsetof(struct cgroup_stats, throttling_periods), 1},
		{"nr_throttled", offsetof(struct cgroup_stats, throttled_periods), 1},
		{"throttled_usec", offsetof(struct cgroup_stats, throttled_ns), 1000},
		{"nr_bursts", offsetof(struct cgroup_stats, burst_periods), 1},
		{"burst_usec", offsetof(struct cgroup_stats, burst_ns), 1000},
	};
	autofree char *text = cgroup_read_text(fd, "cpu.stat");

	if (!text)
		return;
	s->has_cpu = true;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint64_t value;

		if (cgroup_flat_get(text, keys[i].key, &value))
			*(uint64_t *)(void *)((char *)s + keys[i].offset) = value * keys[i].scale;
	}
}

/* Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0". */
void cgroup_v2_io_stats(int fd, bool all, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "io.stat");
	char *save = NULL;

	if (!text)
		return;
	s->has_io = true;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_stat io = {0};
		unsigned major, minor;

		if (sscanf(line,
			   "%u:%u rbytes=%" SCNu64 " wbytes=%" SCNu64 " rios=%" SCNu64
			   " wios=%" SCNu64,
			   &major, &minor, &io.read_bytes, &io.write_bytes, &io.read_ops,
			   &io.write_ops) != 6)
			continue;
		io.major = major;
		io.minor = minor;
		s->io = xrealloc(s->io, s->io_count + 1, sizeof(*s->io));
		s->io[s->io_count++] = io;
	}
	for (size_t i = 0; all && i < s->io_count; i++) {
		const struct cgroup_io_stat *io = &s->io[i];
		const struct {
			enum cgroup_io_table table;
			struct cgroup_io_entry entry;
		} entries[] = {
			{CGROUP_IO_SERVICE_BYTES, {io->major, io->minor, "Read", io->read_bytes}},
			{CGROUP_IO_SERVICE_BYTES, {io->major, io->minor, "Write", io->write_bytes}},
			{CGROUP_IO_SERVICED, {io->major, io->minor, "Read", io->read_ops}},
			{CGROUP_IO_SERVICED, {io->major, io->minor, "Write", io->write_ops}},
		};

		for (size_t j = 0; j < ARRAY_SIZE(entries); j++)
			cgroup_add_io_entry(s, entries[j].table, &entries[j].entry);
	}
}

void cgroup_v2_cpuset_stats(int fd, struct cgroup_stats *s)
{
	autofree char *cpus = cgroup_read_text(fd, "cpuset.cpus.effective");
	autofree char *mems = cgroup_read_text(fd, "cpuset.mems.effective");

	cgroup_parse_list(cpus ? cpus : "", &s->cpuset.cpus, &s->cpuset.cpu_count);
	cgroup_parse_list(mems ? mems : "", &s->cpuset.mems, &s->cpuset.mem_count);
}

/* Documentation/accounting/psi.rst: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0". */
static void read_psi(int fd, const char *file, struct cgroup_psi *ret)
{
	autofree char *text = cgroup_read_text(fd, file);
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_psi_line *l = str_has_prefix(line, "full ") ? &ret->full : &ret->some;

		if (sscanf(line, "%*s avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64, &l->avg10,
			   &l->avg60, &l->avg300, &l->total_us) == 4)
			ret->present = true;
	}
}

void cgroup_v2_psi_stats(int fd, struct cgroup_stats *s)
{
	read_psi(fd, "cpu.pressure", &s->cpu_psi);
	read_psi(fd, "memory.pressure", &s->memory_psi);
	read_psi(fd, "io.pressure", &s->io_psi);
}
