/* What the engine counts, in Prometheus' text format (version 0.0.4). */
#include "api/system_metrics.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/api.h"
#include "api/api_priv.h"
#include "api/platform.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

/* Prometheus' default buckets, seconds. */
static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

struct histogram {
	uint64_t buckets[ARRAY_SIZE(bounds)], count;
	double sum;
};

/* Which route is which of dockerd's actions. */
static const struct {
	const char *method, *pattern, *action;
} actions[] = {
	{"GET", "/containers/{}/changes", "changes"}, {"POST", "/commit", "commit"},
	{"POST", "/containers/create", "create"},     {"DELETE", "/containers/{}", "delete"},
	{"POST", "/containers/{}/start", "start"},
};

static struct {
	pthread_mutex_t lock;
	struct metrics_call *calls; /* those in progress, newest first */
	uint64_t requests, failed;
	struct histogram actions[ARRAY_SIZE(actions)], all;
} counters = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- counting -------------------------------------------------------------------------------- */

void metrics_begin(struct metrics_call *m, const struct api_route *route,
		   const struct http_request *req)
{
	m->route = route;
	m->prev = NULL;
	m->start_ns = clock_monotonic_ns();
	m->thread = gettid();
	(void)snprintf(m->what, sizeof(m->what), "%s %s", http_request_method(req),
		       http_request_raw_path(req));
	(void)pthread_mutex_lock(&counters.lock);
	m->next = counters.calls;
	if (m->next)
		m->next->prev = m;
	counters.calls = m;
	(void)pthread_mutex_unlock(&counters.lock);
}

static void observe(struct histogram *h, double seconds)
{
	h->count++;
	h->sum += seconds;
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		h->buckets[i] += seconds <= bounds[i];
}

void metrics_end(struct metrics_call *m, bool failed)
{
	double seconds = (double)(clock_monotonic_ns() - m->start_ns) / 1e9;

	(void)pthread_mutex_lock(&counters.lock);
	if (m->prev)
		m->prev->next = m->next;
	else
		counters.calls = m->next;
	if (m->next)
		m->next->prev = m->prev;
	counters.requests++;
	counters.failed += failed;
	observe(&counters.all, seconds);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (str_eq(m->route->method, actions[i].method) &&
		    str_eq(m->route->pattern, actions[i].pattern))
			observe(&counters.actions[i], seconds);
	(void)pthread_mutex_unlock(&counters.lock);
}

void metrics_dump(struct strbuf *out)
{
	int64_t now = clock_monotonic_ns();

	(void)pthread_mutex_lock(&counters.lock);
	for (const struct metrics_call *m = counters.calls; m; m = m->next)
		strbuf_addf(out, "thread %d, for %.3f s: %s\n", (int)m->thread,
			    (double)(now - m->start_ns) / 1e9, m->what);
	(void)pthread_mutex_unlock(&counters.lock);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void head(struct strbuf *out, const char *name, const char *type, const char *help)
{
	strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(struct strbuf *out, const char *name, const char *type, const char *help,
		  double v)
{
	head(out, name, type, help);
	strbuf_addf(out, "%s %.17g\n", name, v);
}

static void add_label(struct strbuf *out, const char *key, const char *text, const char *after)
{
	strbuf_addf(out, "%s=\"", key);
	for (; *text; text++) {
		if (*text == '\n')
			strbuf_adds(out, "\\n");
		else if (*text == '"' || *text == '\\')
			strbuf_addf(out, "\\%c", *text);
		else
			strbuf_addc(out, *text);
	}
	strbuf_addf(out, "\"%s", after);
}

static void write_histogram(struct strbuf *out, const char *name, const char *label,
			    const struct histogram *h)
{
	const char *comma = *label ? "," : "";

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		strbuf_addf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, label, comma, bounds[i],
			    (unsigned long long)h->buckets[i]);
	strbuf_addf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma,
		    (unsigned long long)h->count);
	strbuf_addf(out, "%s_sum%s%s%s %.17g\n", name, *label ? "{" : "", label, *label ? "}" : "",
		    h->sum);
	strbuf_addf(out, "%s_count%s%s%s %llu\n", name, *label ? "{" : "", label, *label ? "}" : "",
		    (unsigned long long)h->count);
}

static void write_requests(struct strbuf *out)
{
	static const char name[] = "engine_daemon_container_actions_seconds";
	char label[64];
	unsigned running = 0;

	head(out, name, "histogram",
	     "The number of seconds it takes to process each container action");
	(void)pthread_mutex_lock(&counters.lock);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		(void)snprintf(label, sizeof(label), "action=\"%s\"", actions[i].action);
		write_histogram(out, name, label, &counters.actions[i]);
	}
	for (const struct metrics_call *m = counters.calls; m; m = m->next)
		running++;
	head(out, "vessel_api_handler_seconds", "histogram",
	     "How long handlers of API requests ran");
	write_histogram(out, "vessel_api_handler_seconds", "", &counters.all);
	value(out, "vessel_api_requests_total", "counter", "API requests handled",
	      (double)counters.requests);
	value(out, "vessel_api_failures_total", "counter", "API requests that ended in an error",
	      (double)counters.failed);
	(void)pthread_mutex_unlock(&counters.lock);
	value(out, "vessel_api_handlers", "gauge", "Handlers of API requests that run now",
	      running);
}

static void write_info(struct engine *e, struct strbuf *out)
{
	autofree char *version = NULL, *os = platform_os_name(&version);
	struct utsname u;

	(void)uname(&u);
	head(out, "engine_daemon_engine_info", "gauge",
	     "The information related to the engine and the OS it is running on");
	strbuf_adds(out, "engine_daemon_engine_info{");
	add_label(out, "architecture", u.machine, ",");
	add_label(out, "commit", "", ",");
	add_label(out, "daemon_id", engine_id(e), ",");
	add_label(out, "graphdriver", "overlay2", ",");
	add_label(out, "kernel", u.release, ",");
	add_label(out, "os", os ? os : "", ",");
	add_label(out, "os_type", "linux", ",");
	add_label(out, "os_version", version ? version : "", ",");
	add_label(out, "version", API_ENGINE_VERSION, "} 1\n");
	value(out, "engine_daemon_engine_cpus_cpus", "gauge",
	      "The number of cpus that the host system of the engine has", get_nprocs());
	value(out, "engine_daemon_engine_memory_bytes", "gauge",
	      "The number of bytes of memory that the host system of the engine has",
	      (double)platform_memory());
}

static void write_engine(struct engine *e, struct strbuf *out)
{
	size_t n, running = 0, paused = 0;
	struct container *const *list = engine_containers(e, &n);
	struct engine_counts c;

	engine_get_counts(e, &c);
	for (size_t i = 0; i < n; i++) {
		running += list[i]->state.status == CONTAINER_RUNNING;
		paused += list[i]->state.status == CONTAINER_PAUSED;
	}
	head(out, "engine_daemon_container_states_containers", "gauge",
	     "The count of containers in various states");
	strbuf_addf(out,
		    "engine_daemon_container_states_containers{state=\"paused\"} %zu\n"
		    "engine_daemon_container_states_containers{state=\"running\"} %zu\n"
		    "engine_daemon_container_states_containers{state=\"stopped\"} %zu\n",
		    paused, running, n - running - paused);
	value(out, "engine_daemon_events_total", "counter", "The number of events logged",
	      (double)c.events);
	value(out, "engine_daemon_events_subscribers_total", "gauge",
	      "The number of current subscribers to events", (double)c.subscribers);
	value(out, "engine_daemon_health_checks_total", "counter",
	      "The total number of health checks", (double)c.health_checks);
	value(out, "engine_daemon_health_checks_failed_total", "counter",
	      "The total number of failed health checks", (double)c.health_failures);
	value(out, "vessel_shims", "gauge", "Supervisors that the engine is connected to",
	      (double)c.shims);
	value(out, "vessel_operations", "gauge", "Operations on containers, waiting ones too",
	      (double)c.operations);
}

static uint64_t statm_pages(unsigned column)
{
	unsigned long long v[2] = {0};
	autofree char *text = NULL;
	size_t len;

	if (file_read(AT_FDCWD, "/proc/self/statm", 256, &text, &len, NULL) < 0 ||
	    sscanf(text, "%llu %llu", &v[0], &v[1]) != 2)
		return 0;
	return v[column];
}

/* As Prometheus' own client libraries tell of their process. */
static void write_process(struct strbuf *out)
{
	struct rusage use = {0};
	struct rlimit files = {0};
	double page = (double)sysconf(_SC_PAGESIZE);

	(void)getrusage(RUSAGE_SELF, &use);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	value(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent",
	      (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		      (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	value(out, "process_resident_memory_bytes", "gauge", "Resident memory size",
	      (double)statm_pages(1) * page);
	value(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size",
	      (double)statm_pages(0) * page);
	value(out, "process_open_fds", "gauge", "Open file descriptors",
	      (double)platform_count_entries("/proc/self/fd"));
	value(out, "process_max_fds", "gauge", "Maximum number of open file descriptors",
	      (double)files.rlim_cur);
	value(out, "vessel_threads", "gauge", "Threads of the engine",
	      (double)platform_count_entries("/proc/self/task"));
	value(out, "vessel_heap_bytes", "gauge", "Memory in use of the allocator's",
	      (double)mallinfo2().uordblks);
}

void metrics_write(struct engine *e, struct strbuf *out)
{
	write_info(e, out);
	write_engine(e, out);
	write_requests(out);
	write_process(out);
}
