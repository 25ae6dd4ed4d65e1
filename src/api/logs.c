/* GET /containers/{}/logs.
 *
 * A worker reads and sends what the log holds.  With follow=1 the request is then parked on the
 * loop, where it costs no thread, until the log's directory changes or the container ends; then a
 * worker goes on where the last one stopped.  The request belongs to whoever runs, never to both.
 */
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/log_format.h"
#include "api/log_reader.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/logging.h"

#define SEND_SIZE ((size_t)64 << 10) /* bytes gathered before they are sent */
#define SEND_MAX  ((size_t)16 << 20) /* bytes; more than the longest line */
#define NS_PER_MS 1000000LL
#define SETTLE_MS 20

struct logs {
	struct http_request *req;
	struct engine *engine;
	char id[65];
	struct log_reader *reader; /* owned */
	struct log_format format;
	bool want[3]; /* by enum log_stream */
	bool has_tty, follow;
	int64_t since_ns, until_ns, tail; /* tail < 0: all */
	char *path;                       /* owned */
	bool is_local;                    /* its format */
	/* Following. */
	int inotify_fd;                      /* owned */
	struct loop_source *source, *timer;  /* owned; timer: at `until` */
	struct loop_source *settle;          /* owned; looks again after a run has ended */
	struct event_subscriber *subscriber; /* owned */
	int64_t died_started_at;             /* ns: which run ended last */
	bool parked, ended; /* loop: nothing more will be written after what is there */
	bool last;          /* the worker's: send what is there, then end */
};

static void logs_free(struct logs *l)
{
	l->subscriber = event_unsubscribe(l->subscriber);
	l->source = loop_remove(l->source);
	l->timer = loop_remove(l->timer);
	l->settle = loop_remove(l->settle);
	fd_close(&l->inotify_fd);
	(void)log_reader_free(l->reader);
	free(l->path);
	free(l);
}

struct find {
	struct api_call *c;
	struct logs *l;
	bool no_log;
};

static bool is_alive(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED ||
	       c->state.status == CONTAINER_RESTARTING;
}

static int find(void *data, struct error *err)
{
	struct find *f = data;
	struct container *c;
	int r = engine_container_get(f->c->engine, f->c->params[0], &c, err);

	if (r < 0)
		return r;
	(void)str_copy(f->l->id, sizeof(f->l->id), c->id);
	f->l->path = logging_path(c, &f->l->is_local);
	f->l->has_tty = c->spec->config.tty;
	f->l->ended = !is_alive(c);
	f->no_log = !f->l->path;
	return 0;
}

static int parse(struct api_call *c, struct logs *l, struct error *err)
{
	const char *tail = api_query(c, "tail"), *since = api_query(c, "since"),
		   *until = api_query(c, "until");
	int r = 0;

	l->want[LOG_STDOUT] = api_query_bool(c, "stdout");
	l->want[LOG_STDERR] = api_query_bool(c, "stderr");
	l->follow = api_query_bool(c, "follow");
	l->format.timestamps = api_query_bool(c, "timestamps");
	l->format.details = api_query_bool(c, "details");
	l->since_ns = INT64_MIN;
	l->until_ns = INT64_MAX;
	if (!l->want[LOG_STDOUT] && !l->want[LOG_STDERR])
		return error_set(err, ERROR_INVALID, 0,
				 "Bad parameters: you must choose at least one stream");
	/* "all", and whatever else is no number, means all. */
	if (str_parse_i64(tail, &l->tail) < 0)
		l->tail = -1;
	if (*since && clock_parse_rfc3339(since, &l->since_ns) < 0)
		r = api_parse_timestamp(since, &l->since_ns, err);
	/* 0 is what clients send for none. */
	if (r == 0 && *until && strcmp(until, "0") != 0 &&
	    clock_parse_rfc3339(until, &l->until_ns) < 0)
		r = api_parse_timestamp(until, &l->until_ns, err);
	return r;
}

static int send_out(struct logs *l, struct strbuf *out)
{
	int r = out->len > 0 ? http_write(l->req, out->s, out->len) : 0;

	strbuf_reset(out);
	return r;
}

/* Worker.  1: more may come; 0: that was all that is asked for; negative: the client is gone. */
static int send_written(struct logs *l)
{
	autostrbuf struct strbuf out = STRBUF_INIT(SEND_MAX);
	bool timed = l->since_ns != INT64_MIN || l->until_ns != INT64_MAX;
	struct log_entry e;

	while (log_reader_next(l->reader, &e) > 0) {
		if (timed) {
			int64_t ns = log_entry_time_ns(&e);

			if (ns > l->until_ns)
				return send_out(l, &out);
			if (ns < l->since_ns)
				continue;
		}
		if (!l->want[e.stream])
			continue;
		log_format_add(&l->format, &e, &out);
		if (out.len >= SEND_SIZE) {
			int r = send_out(l, &out);

			if (r < 0)
				return r;
		}
	}
	int r = send_out(l, &out);

	return r < 0 ? r : 1;
}

static void park(struct http_request *req, void *data);

/* Loop: the sources belong to it, and so does the end. */
static void finish(struct http_request *req, void *data)
{
	logs_free(data);
	(void)http_end(req); /* a client that has gone has gone */
}

static void work(struct http_request *req, void *data)
{
	struct logs *l = data;
	int r = send_written(l);

	http_request_loop(req, r > 0 && l->follow && !l->last ? park : finish, l);
}

/* Loop: hand the request to a worker if it is here. */
static void go_on(struct logs *l)
{
	if (!l->parked)
		return;
	l->parked = false;
	l->last = l->ended;
	loop_set_events(l->source, 0);
	http_request_work(l->req, work, l);
}

static void on_inotify(struct loop_source *s, int fd, uint32_t events, void *data)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	(void)s;
	(void)events;
	/* That something changed is all we need to know. */
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	go_on(data);
}

static void look_again(struct logs *l)
{
	struct container *c;

	if (engine_container_get(l->engine, l->id, &c, NULL) < 0 || !is_alive(c))
		l->ended = true;
	if (l->ended)
		go_on(l);
}

static void on_settle(struct loop_source *s, void *data)
{
	struct logs *l = data;
	struct container *c;

	if (engine_container_get(l->engine, l->id, &c, NULL) == 0 && is_alive(c) &&
	    c->state.started_at == l->died_started_at && c->state.status != CONTAINER_RESTARTING)
		loop_set_timer(s, SETTLE_MS);
	else
		look_again(l);
}

/* The event comes when the run is over, the state when that is on record. */
static void on_die(struct logs *l)
{
	struct container *c;
	const char *policy;

	if (engine_container_get(l->engine, l->id, &c, NULL) < 0)
		return;
	policy = c->spec->host.restart.name;
	if (*policy == '\0' || strcmp(policy, "no") == 0) {
		l->ended = true;
		return;
	}
	/* It may be started again, and then the log goes on. */
	l->died_started_at = c->state.started_at;
	loop_set_timer(l->settle, SETTLE_MS);
}

static void on_event(const struct event *ev, void *data)
{
	struct logs *l = data;

	if (strcmp(ev->type, "container") != 0 || strcmp(ev->id, l->id) != 0)
		return;
	if (strcmp(ev->action, "die") == 0)
		on_die(l);
	look_again(l);
}

static void on_until(struct loop_source *s, void *data)
{
	struct logs *l = data;

	(void)s;
	l->ended = true;
	go_on(l);
}

static void on_close(struct http_request *req, void *data)
{
	(void)req;
	logs_free(data);
}

static int watch(struct logs *l, struct error *err)
{
	struct loop *loop = engine_loop(l->engine);
	int64_t left = l->until_ns - clock_realtime_ns();
	int r = loop_add_fd(loop, l->inotify_fd, EPOLLIN, on_inotify, l, &l->source, err);

	if (r < 0)
		return r;
	if (l->until_ns != INT64_MAX)
		r = loop_add_timer(loop, left > 0 ? (uint64_t)(left / NS_PER_MS + 1) : 0, on_until,
				   l, &l->timer, err);
	if (r < 0)
		return r;
	r = loop_add_timer(loop, 0, on_settle, l, &l->settle, err);
	if (r < 0)
		return r;
	loop_cancel_timer(l->settle);
	http_request_on_close(l->req, on_close, l);
	l->subscriber = event_subscribe(engine_events(l->engine), INT64_MAX, on_event, l);
	return 0;
}

static void park(struct http_request *req, void *data)
{
	struct logs *l = data;
	autoerror struct error err = {0};

	l->parked = true;
	if (!l->source && watch(l, &err) < 0) {
		log_error("follow the log of container '%s': %s", l->id, error_msg(&err));
		logs_free(l);
		http_abort(req);
		return;
	}
	loop_set_events(l->source, EPOLLIN);
	look_again(l);
}

/* Changes of the log show in its directory: writes, and new files after a rotation. */
static int start_inotify(struct logs *l, struct error *err)
{
	autofree char *dir = xstrdup(l->path);
	char *slash = strrchr(dir, '/');

	if (!slash)
		return error_set(err, ERROR_INTERNAL, EINVAL, "follow the log '%s'", l->path);
	*slash = '\0';
	l->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->inotify_fd < 0 ||
	    inotify_add_watch(l->inotify_fd, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "watch the directory '%s'", dir);
	return 0;
}

/* The client of docker and ours copy frames to their outputs one by one: a million lines cost them half
 * a second, five times what we need to send them.  Programs that use docker-py and others are used to a
 * line a frame. */
static bool wants_few_frames(const struct api_call *c)
{
	const char *agent = http_request_header(c->req, "User-Agent");

	return agent &&
	       (str_has_prefix(agent, "Docker-Client/") || str_has_prefix(agent, "vessel"));
}

static int start(struct api_call *c, struct logs *l, struct error *err)
{
	struct find f = {.c = c, .l = l};
	int r = parse(c, l, err);

	if (r == 0)
		r = api_on_loop(c, find, &f, err);
	if (r < 0)
		return r;
	if (f.no_log)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "configured logging driver does not support reading");
	l->format.frames = !l->has_tty;
	l->format.join = wants_few_frames(c);
	l->follow = l->follow && !l->ended;
	/* Before reading: what comes later is seen. */
	if (l->follow)
		r = start_inotify(l, err);
	if (r < 0)
		return r;
	l->reader = log_reader_new(l->path, l->is_local);
	if (l->tail >= 0)
		log_reader_tail(l->reader, (uint64_t)l->tail);
	(void)http_start(l->req, 200,
			 !l->has_tty && c->version >= 142 ? API_TYPE_MULTIPLEXED : API_TYPE_RAW);
	work(l->req, l);
	return 0;
}

int containers_logs(struct api_call *c, struct error *err)
{
	struct logs *l = xnew0(struct logs);
	int r;

	l->req = c->req;
	l->engine = c->engine;
	l->inotify_fd = -EBADF;
	r = start(c, l, err);
	if (r < 0)
		logs_free(l);
	return r;
}
