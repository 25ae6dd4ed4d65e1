/* GET /containers/{}/stats: once a second, a worker reads the cgroup; in between the request is
 * parked on the loop, where it costs no thread.
 */
#include "api/stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define INTERVAL_MS 1000
/* Between the two samples of a single answer, which docker waits 2 s for: there may be a thousand to
 * answer, and others who want the processors. */
#define SINGLE_MS 500
#define FILE_MAX  ((size_t)1 << 20)

struct stream {
	struct api_call *c; /* lives as long as the request */
	struct http_request *req;
	struct loop *loop;
	char id[65];
	struct loop_source *timer; /* owned; the loop's */
	bool goes_on;              /* stream=1 */
	bool one_shot;             /* no second sample to compare with */
	struct stats_cpu before;
	int64_t before_ns; /* 0: no sample yet */
};

/* How the container is now. */
struct look {
	struct stream *s;
	char name[256];
	char *cgroup; /* owned */
	pid_t pid;    /* 0: it does not run */
	bool is_gone, has_network;
};

static int look(void *data, struct error *err)
{
	struct look *l = data;
	struct engine *e = l->s->c->engine;
	const char *parent = engine_get_args(e)->cgroup_parent;
	struct container *c;
	int r = engine_container_get(e, l->s->id, &c, err);

	if (r < 0) {
		l->is_gone = true;
		return r;
	}
	(void)str_copy(l->name, sizeof(l->name), c->name);
	if (c->state.status != CONTAINER_RUNNING && c->state.status != CONTAINER_PAUSED)
		return 0;
	if (*c->spec->host.cgroup_parent)
		parent = c->spec->host.cgroup_parent;
	l->cgroup = xasprintf("%s%s/%s", *parent == '/' ? "" : "/", parent, c->id);
	l->pid = c->state.pid;
	l->has_network = strcmp(c->spec->host.network_mode, "host") != 0;
	return 0;
}

static int take_sample(const struct look *l, struct stats_sample *ret, struct error *err)
{
	const struct cgroup_layout *layout = engine_cgroups(l->s->c->engine);
	autocgroup struct cgroup *cg = NULL;
	autofree char *proc_stat = NULL;
	char path[64];
	int r = layout ? cgroup_open(layout, l->cgroup, &cg, err)
		       : error_set(err, ERROR_UNAVAILABLE, 0, "there are no cgroups");

	if (r >= 0)
		r = cgroup_stats_read(cg, &ret->cgroup, err);
	if (r < 0)
		return r;
	ret->time_ns = clock_realtime_ns();
	if (file_read(AT_FDCWD, "/proc/stat", FILE_MAX, &proc_stat, NULL, NULL) < 0)
		proc_stat = NULL;
	stats_sample_cpu(ret, proc_stat);
	(void)snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)l->pid);
	if (!l->has_network || file_read(AT_FDCWD, path, FILE_MAX, &ret->net_dev, NULL, NULL) < 0)
		ret->net_dev = NULL;
	return 0;
}

static int send_stats(struct stream *s, const struct look *l, const struct stats_sample *sample)
{
	const struct stats_args args = {
		.id = s->id,
		.name = l->name,
		.sample = sample,
		.before = s->before_ns ? &s->before : NULL,
		.before_ns = s->before_ns,
		.machine_memory = (uint64_t)platform_memory(),
		.cpus = (unsigned)get_nprocs(),
	};
	autojson struct api_json j = {0};

	api_json_init(&j);
	stats_write(&args, &j.w);
	strbuf_addc(&j.out, '\n');
	return http_write(s->req, j.out.s, j.out.len);
}

enum next { NEXT_END, NEXT_WAIT };

static enum next step(struct stream *s)
{
	struct look l = {.s = s};
	struct stats_sample sample = {0};
	enum next next = NEXT_END;
	bool sampled, first = s->before_ns == 0;
	autofree char *cgroup = NULL;

	if (api_on_loop(s->c, look, &l, NULL) < 0)
		return NEXT_END; /* it is gone */
	cgroup = l.cgroup;
	/* It may end in the midst of this: then there is nothing to read. */
	sampled = l.pid != 0 && take_sample(&l, &sample, NULL) >= 0;
	if (!sampled)
		s->before_ns = 0;
	/* A single answer has two samples to compare, unless that is not wanted. */
	if (sampled && first && !s->goes_on && !s->one_shot)
		next = NEXT_WAIT;
	else if (send_stats(s, &l, sampled ? &sample : NULL) >= 0 && s->goes_on)
		next = NEXT_WAIT;
	if (sampled) {
		s->before = sample.cpu;
		s->before_ns = sample.time_ns;
	}
	stats_sample_done(&sample);
	return next;
}

static void stream_free(struct stream *s)
{
	s->timer = loop_remove(s->timer);
	free(s);
}

static void finish(struct http_request *req, void *data)
{
	stream_free(data);
	(void)http_end(req); /* a client that has gone has gone */
}

static void park(struct http_request *req, void *data);

static void work(struct http_request *req, void *data)
{
	http_request_loop(req, step(data) == NEXT_WAIT ? park : finish, data);
}

static void on_timer(struct loop_source *source, void *data)
{
	struct stream *s = data;

	(void)source;
	http_request_work(s->req, work, s);
}

static void on_close(struct http_request *req, void *data)
{
	(void)req;
	stream_free(data);
}

static void park(struct http_request *req, void *data)
{
	struct stream *s = data;
	autoerror struct error err = {0};

	if (s->timer) {
		loop_set_timer(s->timer, INTERVAL_MS);
		return;
	}
	if (loop_add_timer(s->loop, s->goes_on ? INTERVAL_MS : SINGLE_MS, on_timer, s, &s->timer,
			   &err) < 0) {
		log_error("statistics of container '%s': %s", s->id, error_msg(&err));
		finish(req, s);
		return;
	}
	http_request_on_close(req, on_close, s);
}

static int find(void *data, struct error *err)
{
	struct stream *s = data;
	struct container *c;
	int r = engine_container_get(s->c->engine, s->c->params[0], &c, err);

	if (r == 0)
		(void)str_copy(s->id, sizeof(s->id), c->id);
	return r;
}

int containers_stats(struct api_call *c, struct error *err)
{
	struct stream *s = xnew0(struct stream);
	int r;

	s->c = c;
	s->req = c->req;
	s->loop = engine_loop(c->engine);
	s->goes_on = api_query_bool_default(c, "stream", true);
	s->one_shot = c->version >= 141 && api_query_bool(c, "one-shot");
	r = s->goes_on && s->one_shot
		    ? error_set(err, ERROR_INVALID, 0, "cannot have stream=true and one-shot=true")
		    : api_on_loop(c, find, s, err);
	if (r < 0) {
		free(s);
		return r;
	}
	(void)http_start(s->req, 200, API_TYPE_JSON);
	work(s->req, s);
	return 0;
}
