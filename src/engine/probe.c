/* engine/probe.c - probes of a container's health: execs, one after the other, by timers of the loop.
 *
 * A worker only starts a probe.  Its output comes through a socket that the shim holds the other end of;
 * the loop reads it, and its end tells that the probe is over.  Probes have no rows: a daemon that
 * dies forgets the one that runs, and the next one goes on from the status that is stored.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/exec.h"
#include "engine/health.h"
#include "engine/rows.h"
#include "engine/shim_client.h"

#define CONFIG_MAX  ((size_t)1 << 20) /* bytes of a probe's configuration */
#define MESSAGE_MAX (HEALTH_OUTPUT_MAX + 256)
#define READ_SIZE   4096

/* One for a container; everything but `job` belongs to the loop. */
struct prober {
	struct container *c;       /* borrowed: whose it is */
	struct loop_source *next;  /* owned: the time of the next probe */
	struct loop_source *limit; /* owned: of the one that runs */
	struct loop_source *source;
	int fd; /* owned: its output */
	bool on;
	bool busy;      /* a probe is under way */
	bool discarded; /* and its result is not wanted */
	bool timed_out;
	char exec_id[65]; /* "": not there yet */
	int64_t start;    /* ns since 1970 */
	struct health_output output;
};

struct prober *prober_free(struct prober *p)
{
	if (!p)
		return NULL;
	p->next = loop_remove(p->next);
	p->limit = loop_remove(p->limit);
	p->source = loop_remove(p->source);
	fd_close(&p->fd);
	free(p);
	return NULL;
}

static const struct config_healthcheck *check_of(const struct container *c)
{
	return c->spec->config.healthcheck;
}

static void on_next(struct loop_source *s, void *data);

/* Wait for the next probe. */
static void arm(struct prober *p)
{
	struct container *c = p->c;
	struct loop *l = c->rt->engine->args.loop;
	int64_t into_run = clock_realtime_ns() - c->state.started_at;
	uint64_t ms = (uint64_t)health_interval(c->health, check_of(c), into_run) / 1000000;

	if (p->next)
		loop_set_timer(p->next, ms);
	else if (loop_add_timer(l, ms, on_next, p, &p->next, NULL) < 0)
		log_error("health of container '%s': no timer", c->id);
}

/* ---- killing --------------------------------------------------------------------------------- */

struct kill_job {
	struct container *c; /* referenced */
	char exec_id[65];
};

static void kill_done_on_loop(void *data)
{
	struct kill_job *job = data;

	container_unref(job->c);
	free(job);
}

static void run_kill_job(void *data)
{
	struct kill_job *job = data;
	struct engine *e = job->c->rt->engine;
	struct shim_client *shim = NULL;
	struct shim_request q;

	if (signal_shim(e, job->c, &shim, NULL) >= 0) {
		shim_request_init(&q, shim, "exec_kill");
		jw_kstring(&q.w, "id", job->exec_id);
		(void)shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, NULL);
		(void)shim_client_unref(shim);
	}
	engine_call(e, kill_done_on_loop, job);
}

static void kill_probe(struct prober *p)
{
	struct kill_job *job;

	if (p->fd < 0)
		return; /* not started yet: its start comes back to it */
	job = xnew0(struct kill_job);
	job->c = p->c;
	(void)str_copy(job->exec_id, sizeof(job->exec_id), p->exec_id);
	container_ref(p->c);
	engine_work(p->c->rt->engine, run_kill_job, job);
}

static void on_limit(struct loop_source *s, void *data)
{
	struct prober *p = data;

	loop_cancel_timer(s);
	p->timed_out = true;
	kill_probe(p);
}

/* A restart by a user begins the count anew: this one is none. */
struct count_call {
	struct container *c;
	unsigned count;
};

/* ---- the end of a probe ---------------------------------------------------------------------- */

static void count_on_loop(void *data)
{
	const struct count_call *call = data;

	call->c->state.restart_count = call->count;
	rows_post_state(call->c->rt->engine->db, call->c);
}

static void restart_job(void *data)
{
	struct container *c = data;
	struct engine *e = c->rt->engine;
	struct count_call call = {c, c->state.restart_count + 1};
	autoerror struct error err = {0};

	log_warn("container '%s' is unhealthy: it is restarted", c->id);
	if (engine_restart(e, c->id, 0, ENGINE_TIMEOUT_DEFAULT, &err) < 0)
		log_error("restart unhealthy container '%s': %s", c->id, error_msg(&err));
	else
		engine_call(e, count_on_loop, &call);
	engine_call(e, container_unref_on_loop, c);
}

static bool wants_restart(const struct container *c)
{
	return str_eq(json_get_string(c->spec->config.labels, HEALTH_RESTART_LABEL), "true");
}

static void record(struct prober *p, int code, const char *output)
{
	struct container *c = p->c;
	struct engine *e = c->rt->engine;
	struct health *h = c->health;
	int streak = h->failing_streak;
	autostrbuf struct strbuf action = STRBUF_INIT(64);
	struct health_result result = {
		.start = p->start,
		.end = clock_realtime_ns(),
		.exit_code = code,
		.output = xstrdup(output),
	};
	bool changed = health_record(h, check_of(c), p->start - c->state.started_at, &result);

	e->health_checks++;
	e->health_failures += code != 0;
	if (changed || h->failing_streak != streak)
		rows_post_health(e->db, c);
	if (!changed)
		return;
	strbuf_addf(&action, "health_status: %s", health_status_name(h->status));
	engine_emit(e, c, action.s, NULL, 0);
	boot_check(e);
	if (h->status == HEALTH_UNHEALTHY && wants_restart(c)) {
		container_ref(c);
		engine_work(e, restart_job, c);
	}
}

/* error: why it could not be started, or NULL. */
static void finish(struct prober *p, const char *error)
{
	struct container *c = p->c;
	autostrbuf struct strbuf text = STRBUF_INIT(MESSAGE_MAX);
	const char *output = health_output_text(&p->output);
	const struct exec *x;
	int code = -1;

	p->limit = loop_remove(p->limit);
	p->source = loop_remove(p->source);
	fd_close(&p->fd);
	/* The end of the exec was told before the end of its output; so may be that of the container. */
	if (c->rt->shim)
		shim_client_drain(c->rt->shim);
	x = container_exec(c, p->exec_id);
	if (p->timed_out) {
		strbuf_adds(&text, "Health check exceeded timeout (");
		health_format_duration(health_timeout(check_of(c)), &text);
		strbuf_addf(&text, ")%s%s", *output ? ": " : "", output);
	} else if (error) {
		strbuf_adds(&text, error);
	} else {
		strbuf_adds(&text, output);
		code = x && !x->running ? x->exit_code : -1;
	}
	exec_forget(c, p->exec_id);
	p->busy = false;
	if (!p->discarded && p->on)
		record(p, code, text.s ? text.s : "");
	if (p->on)
		arm(p);
}

static void on_output(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct prober *p = data;
	char buf[READ_SIZE];
	ssize_t n = read(fd, buf, sizeof(buf));

	(void)s;
	(void)events;
	if (n > 0)
		health_output_add(&p->output, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		finish(p, NULL);
}

/* ---- the start of a probe -------------------------------------------------------------------- */

struct start_job {
	struct container *c; /* referenced */
	struct strbuf config;
	char exec_id[65];
	int fd; /* owned */
	int r;
	struct error err;
};

static void started_on_loop(void *data)
{
	struct start_job *job = data;
	struct container *c = job->c;
	struct prober *p = c->rt->prober;
	struct loop *l = c->rt->engine->args.loop;

	(void)str_copy(p->exec_id, sizeof(p->exec_id), job->exec_id);
	p->fd = TAKE_FD(job->fd);
	if (job->r >= 0)
		job->r = loop_add_fd(l, p->fd, EPOLLIN, on_output, p, &p->source, &job->err);
	if (job->r >= 0)
		job->r = loop_add_timer(l, (uint64_t)health_timeout(check_of(c)) / 1000000,
					on_limit, p, &p->limit, &job->err);
	if (job->r < 0)
		finish(p, error_msg(&job->err));
	else if (p->discarded)
		kill_probe(p);
	error_done(&job->err);
	strbuf_done(&job->config);
	container_unref(c);
	free(job);
}

static int start_probe(struct start_job *job, struct error *err)
{
	struct engine_client client = {.fd = -EBADF};
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "probe: socketpair");
	job->fd = pair[0];
	client.fd = pair[1];
	r = fd_set_nonblock(job->fd, true);
	if (r < 0)
		r = error_set(err, ERROR_INTERNAL, -r, "probe: socket");
	else
		r = exec_probe(job->c, &job->config, &client, job->exec_id, err);
	fd_close(&client.fd);
	return r;
}

static void run_start_job(void *data)
{
	struct start_job *job = data;

	job->r = start_probe(job, &job->err);
	engine_call(job->c->rt->engine, started_on_loop, job);
}

static void write_command(const struct container_config *config, struct json_writer *w)
{
	const struct json_strings *test = &config->healthcheck->test;

	jw_karray(w, "Cmd");
	if (str_eq(test->v[0], "CMD-SHELL")) {
		for (size_t i = 0; i < config->shell.n; i++)
			jw_string(w, config->shell.v[i]);
		if (config->shell.n == 0) {
			jw_string(w, "/bin/sh");
			jw_string(w, "-c");
		}
	}
	for (size_t i = 1; i < test->n; i++)
		jw_string(w, test->v[i]);
	jw_array_end(w);
}

static void on_next(struct loop_source *s, void *data)
{
	struct prober *p = data;
	struct container *c = p->c;
	struct start_job *job;
	struct json_writer w;

	loop_cancel_timer(s);
	if (p->busy)
		return; /* one from before a pause, still ending: it waits for the next turn then */
	p->busy = true;
	p->discarded = p->timed_out = false;
	p->exec_id[0] = '\0';
	p->start = clock_realtime_ns();
	p->output = (struct health_output){0};
	job = xnew0(struct start_job);
	job->c = c;
	job->fd = -EBADF;
	strbuf_init(&job->config, CONFIG_MAX);
	json_writer_init(&w, &job->config);
	jw_object(&w);
	jw_kbool(&w, "AttachStdout", true);
	jw_kbool(&w, "AttachStderr", true);
	write_command(&c->spec->config, &w);
	jw_object_end(&w);
	container_ref(c);
	engine_work(c->rt->engine, run_start_job, job);
}

/* ---- on and off ------------------------------------------------------------------------------ */

void health_start(struct container *c, bool fresh)
{
	const struct config_healthcheck *check = check_of(c);
	struct container_runtime *rt = c->rt;

	if (!health_is_checked(check)) {
		if (check && check->test.n > 0 && !str_eq(check->test.v[0], "NONE"))
			log_warn("container '%s': unknown healthcheck type '%s'", c->id,
				 check->test.v[0]);
		return;
	}
	if (!c->health || fresh) {
		c->health = c->health ? c->health : health_new();
		health_begin(c->health);
		rows_post_health(rt->engine->db, c);
	}
	if (!rt->prober) {
		rt->prober = xnew0(struct prober);
		rt->prober->c = c;
		rt->prober->fd = -EBADF;
	}
	rt->prober->on = true;
	if (!rt->prober->busy)
		arm(rt->prober);
}

void health_stop(struct container *c, bool ended)
{
	struct prober *p = c->rt->prober;

	/* Docker's word for a container that nobody looks after any more. */
	if (ended && c->health && c->health->status != HEALTH_UNHEALTHY) {
		c->health->status = HEALTH_UNHEALTHY;
		rows_post_health(c->rt->engine->db, c);
	}
	if (!p || !p->on)
		return;
	p->on = false;
	p->next = loop_remove(p->next);
	if (p->busy) {
		p->discarded = true;
		if (!ended)
			kill_probe(p);
	}
}
