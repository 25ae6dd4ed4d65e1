/* Statistics of cgroup v1's controllers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "linux/cgroup_priv.h"

/* -- memory -------------------------------------------------------------------------------- */

/* "No limit" is the largest number of whole pages. */
static uint64_t limit_of(uint64_t value)
{
	return value < (uint64_t)1 << 62 ? value : UINT64_MAX;
}

static void read_counter(int fd, const char *prefix, struct cgroup_counter *ret)
{
	const struct {
		const char *suffix;
		uint64_t *value;
	} files[] = {{"usage_in_bytes", &ret->usage},
		     {"max_usage_in_bytes", &ret->max},
		     {"failcnt", &ret->failcnt},
		     {"limit_in_bytes", &ret->limit}};

	ret->limit = UINT64_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *file = xasprintf("%s.%s", prefix, files[i].suffix);

		if (cgroup_read_u64(fd, file, files[i].value))
			ret->present = true;
	}
	ret->limit = limit_of(ret->limit);
}

void cgroup_v1_memory_stats(int fd, bool all, struct cgroup_stats *s)
{
	autofree char *control = NULL;
	uint64_t limit;

	s->has_memory = cgroup_read_u64(fd, "memory.usage_in_bytes", &s->memory_usage);
	(void)cgroup_read_u64(fd, "memory.max_usage_in_bytes", &s->memory_max_usage);
	(void)cgroup_read_u64(fd, "memory.failcnt", &s->memory_failcnt);
	if (cgroup_read_u64(fd, "memory.limit_in_bytes", &limit))
		s->memory_limit = limit_of(limit);
	if (s->has_memory)
		cgroup_add_memory_stats(fd, s);
	if (!all)
		return;
	for (size_t i = 0; i < s->memory_stat_count; i++)
		if (strcmp(s->memory_stat[i].name, "cache") == 0)
			s->memory_cache = s->memory_stat[i].value;
	read_counter(fd, "memory.memsw", &s->swap);
	read_counter(fd, "memory.kmem", &s->kernel);
	read_counter(fd, "memory.kmem.tcp", &s->kernel_tcp);
	control = cgroup_read_text(fd, "memory.oom_control");
	if (control)
		(void)cgroup_flat_get(control, "oom_kill", &s->memory_events.oom_kill);
}

/* -- cpu ----------------------------------------------------------------------------------- */

static void read_percpu(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "cpuacct.usage_percpu");
	char *save = NULL;
	size_t cap = 0;

	for (char *n = text ? strtok_r(text, " \n", &save) : NULL; n;
	     n = strtok_r(NULL, " \n", &save)) {
		xgrow(s->percpu_ns, s->percpu_count, cap);
		s->percpu_ns[s->percpu_count] = 0;
		(void)str_parse_u64(n, &s->percpu_ns[s->percpu_count++]);
	}
}

/* A heading, then lines "CPU USER SYSTEM" in ns (Linux 4.10). */
static void read_usage_all(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "cpuacct.usage_all");
	char *save = NULL;

	if (!text || s->percpu_count == 0)
		return;
	s->percpu_user_ns = xnew0n(uint64_t, s->percpu_count);
	s->percpu_kernel_ns = xnew0n(uint64_t, s->percpu_count);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint64_t user, kernel;
		unsigned cpu;

		if (sscanf(line, "%u %" SCNu64 " %" SCNu64, &cpu, &user, &kernel) != 3 ||
		    cpu >= s->percpu_count)
			continue;
		s->percpu_user_ns[cpu] = user;
		s->percpu_kernel_ns[cpu] = kernel;
	}
}

void cgroup_v1_cpu_stats(const struct cgroup *cg, bool all, struct cgroup_stats *s)
{
	int acct = cgroup_v1_dir(cg, "cpuacct"), cpu = cgroup_v1_dir(cg, "cpu");
	autofree char *text = NULL;

	if (acct >= 0) {
		s->has_cpu = cgroup_read_u64(acct, "cpuacct.usage", &s->cpu_usage_ns);
		(void)cgroup_read_u64(acct, "cpuacct.usage_user", &s->cpu_user_ns);
		(void)cgroup_read_u64(acct, "cpuacct.usage_sys", &s->cpu_system_ns);
		read_percpu(acct, s);
		if (all)
			read_usage_all(acct, s);
	}
	text = cpu >= 0 ? cgroup_read_text(cpu, "cpu.stat") : NULL;
	if (text) {
		(void)cgroup_flat_get(text, "nr_periods", &s->throttling_periods);
		(void)cgroup_flat_get(text, "nr_throttled", &s->throttled_periods);
		(void)cgroup_flat_get(text, "throttled_time", &s->throttled_ns);
		(void)cgroup_flat_get(text, "nr_bursts", &s->burst_periods);
		(void)cgroup_flat_get(text, "burst_time", &s->burst_ns);
	}
}

void cgroup_v1_cpuset_stats(int fd, struct cgroup_stats *s)
{
	struct cgroup_cpuset_stat *c = &s->cpuset;
	const struct {
		const char *file;
		uint64_t *value;
	} flags[] = {{"cpuset.cpu_exclusive", &c->cpu_exclusive},
		     {"cpuset.mem_exclusive", &c->mem_exclusive},
		     {"cpuset.mem_hardwall", &c->mem_hardwall},
		     {"cpuset.memory_migrate", &c->memory_migrate},
		     {"cpuset.memory_pressure", &c->memory_pressure},
		     {"cpuset.memory_spread_page", &c->memory_spread_page},
		     {"cpuset.memory_spread_slab", &c->memory_spread_slab},
		     {"cpuset.sched_load_balance", &c->sched_load_balance}};
	autofree char *cpus = cgroup_read_text(fd, "cpuset.cpus");
	autofree char *mems = cgroup_read_text(fd, "cpuset.mems");
	autofree char *level = cgroup_read_text(fd, "cpuset.sched_relax_domain_level");

	cgroup_parse_list(cpus ? cpus : "", &c->cpus, &c->cpu_count);
	cgroup_parse_list(mems ? mems : "", &c->mems, &c->mem_count);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		(void)cgroup_read_u64(fd, flags[i].file, flags[i].value);
	if (level)
		c->sched_relax_domain_level = strtoll(level, NULL, 10);
}

/* -- block devices ------------------------------------------------------------------------- */

static struct cgroup_io_stat *io_entry(struct cgroup_stats *s, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < s->io_count; i++)
		if (s->io[i].major == major && s->io[i].minor == minor)
			return &s->io[i];
	s->io = xrealloc(s->io, s->io_count + 1, sizeof(*s->io));
	s->io[s->io_count] = (struct cgroup_io_stat){.major = major, .minor = minor};
	return &s->io[s->io_count++];
}

/* Lines "8:0 Read 4096", or "8:0 4096" in tables without operations; the last line, "Total 4096", has
 * no device.  false if there is no such file, or it is empty. */
static bool read_table(int fd, const char *file, enum cgroup_io_table table, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, file);
	char *save = NULL;
	bool any = false;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_entry e = {0};

		if (sscanf(line, "%u:%u %15[A-Za-z] %" SCNu64, &e.major, &e.minor, e.op,
			   &e.value) != 4) {
			e.op[0] = '\0';
			if (sscanf(line, "%u:%u %" SCNu64, &e.major, &e.minor, &e.value) != 3)
				continue;
		}
		cgroup_add_io_entry(s, table, &e);
		any = true;
	}
	return any;
}

static void sum_up(struct cgroup_stats *s)
{
	for (size_t t = CGROUP_IO_SERVICE_BYTES; t <= CGROUP_IO_SERVICED; t++)
		for (size_t i = 0; i < s->io_tables[t].n; i++) {
			const struct cgroup_io_entry *e = &s->io_tables[t].v[i];
			struct cgroup_io_stat *io = io_entry(s, e->major, e->minor);
			bool bytes = t == CGROUP_IO_SERVICE_BYTES;

			if (strcmp(e->op, "Read") == 0)
				*(bytes ? &io->read_bytes : &io->read_ops) = e->value;
			else if (strcmp(e->op, "Write") == 0)
				*(bytes ? &io->write_bytes : &io->write_ops) = e->value;
		}
}

/* A scheduler that weighs keeps its own tables, of which the throttling ones are a part; each is in the
 * first file that has something to say. */
void cgroup_v1_io_stats(int fd, bool all, struct cgroup_stats *s)
{
	static const struct {
		enum cgroup_io_table table;
		const char *files[3];
	} tables[] = {
		{CGROUP_IO_SERVICE_BYTES,
		 {"blkio.throttle.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
		  "blkio.bfq.io_service_bytes_recursive"}},
		{CGROUP_IO_SERVICED,
		 {"blkio.throttle.io_serviced_recursive", "blkio.io_serviced_recursive",
		  "blkio.bfq.io_serviced_recursive"}},
		{CGROUP_IO_QUEUED, {"blkio.io_queued_recursive", "blkio.bfq.io_queued_recursive"}},
		{CGROUP_IO_SERVICE_TIME,
		 {"blkio.io_service_time_recursive", "blkio.bfq.io_service_time_recursive"}},
		{CGROUP_IO_WAIT_TIME,
		 {"blkio.io_wait_time_recursive", "blkio.bfq.io_wait_time_recursive"}},
		{CGROUP_IO_MERGED, {"blkio.io_merged_recursive", "blkio.bfq.io_merged_recursive"}},
		{CGROUP_IO_TIME, {"blkio.time_recursive", "blkio.bfq.time_recursive"}},
		{CGROUP_IO_SECTORS, {"blkio.sectors_recursive", "blkio.bfq.sectors_recursive"}},
	};

	s->has_io = true;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (!all && tables[i].table > CGROUP_IO_SERVICED)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(tables[i].files) && tables[i].files[j]; j++)
			if (read_table(fd, tables[i].files[j], tables[i].table, s))
				break;
	}
	sum_up(s);
}
