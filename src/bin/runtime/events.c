/* events: OOM kills as they happen, and statistics, as runc prints them: one JSON object a line. */
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "bin/runtime/commands.h"
#include "linux/cgroup.h"
#include "linux/pidfd.h"
#include "runtime/state.h"

#define LINE_SIZE_MAX      ((size_t)16 << 20)
#define DEFAULT_INTERVAL   "5s"
#define NS                 1000000000
#define PAGE_COUNTER_LIMIT INT64_C(0x7ffffffffffff000) /* v1's word for "no limit" */

/* -- statistics ---------------------------------------------------------------------------- */

/* Go's omitempty. */
static void number(struct json_writer *w, const char *key, uint64_t v)
{
	if (v)
		jw_kuint(w, key, v);
}

static void numbers(struct json_writer *w, const char *key, const uint64_t *v, size_t n)
{
	if (!v || n == 0)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++)
		jw_uint(w, v[i]);
	jw_array_end(w);
}

static void numbers16(struct json_writer *w, const char *key, const uint16_t *v, size_t n)
{
	if (n == 0)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++)
		jw_uint(w, v[i]);
	jw_array_end(w);
}

static void write_psi_line(struct json_writer *w, const char *key, const struct cgroup_psi_line *l)
{
	jw_kobject(w, key);
	jw_key(w, "avg10");
	jw_double(w, l->avg10);
	jw_key(w, "avg60");
	jw_double(w, l->avg60);
	jw_key(w, "avg300");
	jw_double(w, l->avg300);
	jw_kuint(w, "total", l->total_us);
	jw_object_end(w);
}

static void write_psi(struct json_writer *w, const struct cgroup_psi *psi)
{
	if (!psi->present)
		return;
	jw_kobject(w, "psi");
	write_psi_line(w, "some", &psi->some);
	write_psi_line(w, "full", &psi->full);
	jw_object_end(w);
}

static void write_cpu(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_kobject(w, "cpu");
	jw_kobject(w, "usage");
	number(w, "total", s->cpu_usage_ns);
	numbers(w, "percpu", s->percpu_ns, s->percpu_count);
	numbers(w, "percpu_kernel", s->percpu_kernel_ns, s->percpu_count);
	numbers(w, "percpu_user", s->percpu_user_ns, s->percpu_count);
	jw_kuint(w, "kernel", s->cpu_system_ns);
	jw_kuint(w, "user", s->cpu_user_ns);
	jw_object_end(w);
	jw_kobject(w, "throttling");
	number(w, "periods", s->throttling_periods);
	number(w, "throttledPeriods", s->throttled_periods);
	number(w, "throttledTime", s->throttled_ns);
	jw_object_end(w);
	write_psi(w, &s->cpu_psi);
	jw_object_end(w);
}

static void write_cpuset(struct json_writer *w, const struct cgroup_cpuset_stat *c)
{
	jw_kobject(w, "cpuset");
	numbers16(w, "cpus", c->cpus, c->cpu_count);
	jw_kuint(w, "cpu_exclusive", c->cpu_exclusive);
	numbers16(w, "mems", c->mems, c->mem_count);
	jw_kuint(w, "mem_hardwall", c->mem_hardwall);
	jw_kuint(w, "mem_exclusive", c->mem_exclusive);
	jw_kuint(w, "memory_migrate", c->memory_migrate);
	jw_kuint(w, "memory_spread_page", c->memory_spread_page);
	jw_kuint(w, "memory_spread_slab", c->memory_spread_slab);
	jw_kuint(w, "memory_pressure", c->memory_pressure);
	jw_kuint(w, "sched_load_balance", c->sched_load_balance);
	jw_kint(w, "sched_relax_domain_level", c->sched_relax_domain_level);
	jw_object_end(w);
}

static void write_counter(struct json_writer *w, const char *key, const struct cgroup_counter *c,
			  bool is_v2)
{
	uint64_t none = is_v2 ? UINT64_MAX : (uint64_t)PAGE_COUNTER_LIMIT;

	jw_kobject(w, key);
	jw_kuint(w, "limit", !c->present ? 0 : c->limit == UINT64_MAX ? none : c->limit);
	number(w, "usage", c->usage);
	number(w, "max", c->max);
	jw_kuint(w, "failcnt", c->failcnt);
	jw_object_end(w);
}

static void write_memory(struct json_writer *w, const struct cgroup_stats *s)
{
	const struct cgroup_counter usage = {.present = s->has_memory,
					     .usage = s->memory_usage,
					     .max = s->memory_max_usage,
					     .failcnt = s->memory_failcnt,
					     .limit = s->memory_limit};
	const struct cgroup_memory_events *e = &s->memory_events;

	jw_kobject(w, "memory");
	number(w, "cache", s->memory_cache);
	write_counter(w, "usage", &usage, s->is_v2);
	write_counter(w, "swap", &s->swap, s->is_v2);
	write_counter(w, "kernel", &s->kernel, s->is_v2);
	write_counter(w, "kernelTCP", &s->kernel_tcp, s->is_v2);
	if (s->memory_stat_count) {
		jw_kobject(w, "raw");
		for (size_t i = 0; i < s->memory_stat_count; i++)
			jw_kuint(w, s->memory_stat[i].name, s->memory_stat[i].value);
		jw_object_end(w);
	}
	write_psi(w, &s->memory_psi);
	jw_kobject(w, "event_count");
	number(w, "low", e->low);
	number(w, "high", e->high);
	number(w, "max", e->max);
	number(w, "oom", e->oom);
	number(w, "oom_kill", e->oom_kill);
	number(w, "oom_group_kill", e->oom_group_kill);
	jw_object_end(w);
	jw_object_end(w);
}

static void write_io(struct json_writer *w, const struct cgroup_stats *s)
{
	static const char *const names[CGROUP_IO_TABLES] = {
		[CGROUP_IO_SERVICE_BYTES] = "ioServiceBytesRecursive",
		[CGROUP_IO_SERVICED] = "ioServicedRecursive",
		[CGROUP_IO_QUEUED] = "ioQueueRecursive",
		[CGROUP_IO_SERVICE_TIME] = "ioServiceTimeRecursive",
		[CGROUP_IO_WAIT_TIME] = "ioWaitTimeRecursive",
		[CGROUP_IO_MERGED] = "ioMergedRecursive",
		[CGROUP_IO_TIME] = "ioTimeRecursive",
		[CGROUP_IO_SECTORS] = "sectorsRecursive",
	};

	jw_kobject(w, "blkio");
	for (size_t t = 0; t < CGROUP_IO_TABLES; t++) {
		const struct cgroup_io_entries *table = &s->io_tables[t];

		if (table->n == 0)
			continue;
		jw_karray(w, names[t]);
		for (size_t i = 0; i < table->n; i++) {
			jw_object(w);
			number(w, "major", table->v[i].major);
			number(w, "minor", table->v[i].minor);
			if (table->v[i].op[0])
				jw_kstring(w, "op", table->v[i].op);
			number(w, "value", table->v[i].value);
			jw_object_end(w);
		}
		jw_array_end(w);
	}
	write_psi(w, &s->io_psi);
	jw_object_end(w);
}

static void write_hugetlb(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_kobject(w, "hugetlb");
	for (size_t i = 0; i < s->hugetlb_count; i++) {
		const struct cgroup_hugetlb_stat *h = &s->hugetlb[i];

		jw_kobject(w, h->page_size);
		number(w, "usage", h->usage);
		number(w, "max", h->max);
		jw_kuint(w, "failcnt", h->failcnt);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_stats(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_kobject(w, "data");
	write_cpu(w, s);
	write_cpuset(w, &s->cpuset);
	write_memory(w, s);
	jw_kobject(w, "pids");
	number(w, "current", s->pids_current);
	number(w, "limit", s->pids_limit == UINT64_MAX ? 0 : s->pids_limit);
	jw_object_end(w);
	write_io(w, s);
	write_hugetlb(w, s);
	jw_kobject(w, "intel_rdt");
	jw_object_end(w);
	jw_knull(w, "network_interfaces"); /* not the runtime's business */
	jw_object_end(w);
}

/* -- events -------------------------------------------------------------------------------- */

static int print_event(const struct state *s, const char *type, const struct cgroup_stats *stats,
		       struct error *err)
{
	autostrbuf struct strbuf line = STRBUF_INIT(LINE_SIZE_MAX);
	struct json_writer w;
	int r;

	json_writer_init(&w, &line);
	jw_object(&w);
	jw_kstring(&w, "type", type);
	jw_kstring(&w, "id", s->id);
	if (stats)
		write_stats(&w, stats);
	jw_object_end(&w);
	strbuf_addc(&line, '\n');
	r = strbuf_error(&line);
	if (r == 0)
		r = fd_write_full(STDOUT_FILENO, line.s, line.len);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write to standard output") : 0;
}

static int print_stats(const struct state *s, const struct cgroup *cg, struct error *err)
{
	struct cgroup_stats stats;
	int r = cgroup_stats_read_all(cg, &stats, err);

	if (r < 0)
		return r;
	r = print_event(s, "stats", &stats, err);
	cgroup_stats_done(&stats);
	return r;
}

struct watch {
	int oom_fd, timer_fd, pidfd; /* owned; oom_fd: -EBADF without a memory controller */
	uint64_t ooms;               /* seen so far */
};

static void watch_done(struct watch *w)
{
	fd_close(&w->oom_fd);
	fd_close(&w->timer_fd);
	fd_close(&w->pidfd);
}

static int watch_init(struct watch *w, const struct state *s, const struct cgroup *cg,
		      int64_t interval_ns, struct error *err)
{
	const struct timespec interval = {.tv_sec = interval_ns / NS, .tv_nsec = interval_ns % NS};
	const struct itimerspec timer = {.it_interval = interval, .it_value = interval};
	autoerror struct error no_memory = {0};

	w->pidfd = state_open_process(s);
	if (w->pidfd < 0)
		return error_set(err, ERROR_CONFLICT, 0, "container with id %s is not running",
				 s->id);
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (w->timer_fd < 0 || timerfd_settime(w->timer_fd, 0, &timer, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a timer");
	if (cgroup_oom_watch(cg, &w->oom_fd, &no_memory) < 0 ||
	    cgroup_oom_count(cg, &w->ooms, &no_memory) < 0)
		log_warn("no OOM events: %s", error_msg(&no_memory));
	return 0;
}

static int on_oom(struct watch *w, const struct state *s, const struct cgroup *cg,
		  struct error *err)
{
	char buf[4096];
	uint64_t now;
	int r = 0;

	while (read(w->oom_fd, buf, sizeof(buf)) > 0)
		;
	if (cgroup_oom_count(cg, &now, NULL) < 0)
		return 0; /* gone: the process's end tells */
	for (; r == 0 && w->ooms < now; w->ooms++)
		r = print_event(s, "oom", NULL, err);
	return r;
}

/* Until process 1 has ended. */
static int follow(struct watch *w, const struct state *s, const struct cgroup *cg,
		  struct error *err)
{
	struct pollfd p[] = {{.fd = pidfd_pollable(w->pidfd), .events = POLLIN},
			     {.fd = w->timer_fd, .events = POLLIN},
			     {.fd = w->oom_fd, .events = POLLIN}};
	int r = 0;

	while (r == 0) {
		uint64_t ticks;
		bool ended;

		if (poll(p, ARRAY_SIZE(p), p[0].fd < 0 ? PIDFD_ASK_MS : -1) < 0)
			continue; /* EINTR */
		ended = p[0].fd < 0 ? pidfd_wait(w->pidfd, 0) != 0 : p[0].revents != 0;
		if (p[2].revents)
			r = on_oom(w, s, cg, err);
		if (r == 0 && p[1].revents && read(w->timer_fd, &ticks, sizeof(ticks)) > 0 &&
		    !ended)
			r = print_stats(s, cg, err);
		if (ended)
			return r < 0 || w->oom_fd < 0 ? r : on_oom(w, s, cg, err);
	}
	return r;
}

/* time.ParseDuration: "5s", "1m30s", "100ms", "1.5h". */
static int parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
		     {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double total = 0;

	for (const char *p = text; *p || p == text;) {
		char *end;
		double value = strtod(p, &end);
		size_t n = strspn(p, "0123456789."), unit_len, u = 0;

		if (n == 0 || end != p + n)
			return -EINVAL;
		p += n;
		unit_len = strcspn(p, "0123456789.");
		while (u < ARRAY_SIZE(units) && (strncmp(p, units[u].name, unit_len) != 0 ||
						 units[u].name[unit_len] != '\0'))
			u++;
		if (u == ARRAY_SIZE(units))
			return -EINVAL;
		total += value * units[u].ns;
		p += unit_len;
	}
	if (total >= (double)INT64_MAX)
		return -ERANGE;
	*ret_ns = (int64_t)total;
	return 0;
}

int command_events(const struct options *o, int *ret_code, struct error *err)
{
	const char *text = o->value[OPT_INTERVAL] ? o->value[OPT_INTERVAL] : DEFAULT_INTERVAL;
	struct watch watch = {-EBADF, -EBADF, -EBADF, 0};
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	autostate struct state *s = NULL;
	int64_t interval = 0;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r < 0)
		return r;
	if (strcmp(text, "0") != 0 && text[0] != '-' && parse_duration(text, &interval) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid value \"%s\" for flag -interval: parse error", text);
	if (interval <= 0)
		return error_set(err, ERROR_INVALID, 0, "duration interval must be greater than 0");
	if (state_status(s) == STATE_STOPPED)
		return error_set(err, ERROR_CONFLICT, 0, "container with id %s is not running",
				 s->id);
	r = state_open_cgroup(s, &layout, &cg, err);
	if (r == 0 && options_has(o, OPT_STATS))
		return print_stats(s, cg, err);
	if (r == 0)
		r = watch_init(&watch, s, cg, interval, err);
	if (r == 0)
		r = follow(&watch, s, cg, err);
	watch_done(&watch);
	return r;
}
