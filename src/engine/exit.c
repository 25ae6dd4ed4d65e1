/* engine/exit.c - the end of a container's run, and cleaning up behind it.
 *
 * The shim tells of the exit and waits; it keeps exit.json, the reserved ports and those who wait until
 * it is released.  Each step here may be repeated: a daemon that dies in between does all of them
 * again when it finds the shim (engine/restore.c).
 */
#include "engine/exit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/endpoint.h"
#include "engine/exec.h"
#include "engine/health.h"
#include "engine/operation.h"
#include "engine/resolver.h"
#include "engine/rows.h"
#include "engine/shim_client.h"
#include "engine/volume.h"

#define EXIT_JSON_MAX   65536 /* bytes */
#define SHIM_LOST       "its supervisor was killed, and took it along"
#define UNLINK_DELAY_MS 50

/* ---- what the shim says [loop] ---------------------------------------------------------------- */

void exit_info_parse(const struct json *v, struct exit_info *ret)
{
	*ret = (struct exit_info){
		.code = (int)json_get_int(v, "code"),
		.oom_killed = json_get_bool(v, "oom"),
		.started_at = json_get_int(v, "started_at"),
		.finished_at = json_get_int(v, "finished_at"),
	};
}

static void on_event(struct shim_client *shim, struct shim_message *m, void *data)
{
	struct container *c = data;
	struct exit_info info;

	(void)shim;
	if (str_eq(m->ev, "exit")) {
		exit_info_parse(m->body, &info);
		exit_begin(c, &info);
	} else if (str_eq(m->ev, "exec_exit")) {
		exec_exited(c, json_get_string(m->body, "id"), (int)json_get_int(m->body, "code"));
	} else if (str_eq(m->ev, "waiter") && m->fd_count > 0) {
		held_client_add_wait(c, m->fds[0], ENGINE_WAIT_REMOVED);
		m->fds[0] = -EBADF;
	} else if (str_eq(m->ev, "oom")) {
		engine_emit(c->rt->engine, c, "oom", NULL, 0);
	} else {
		log_debug("container '%s': unknown event '%s' of its shim", c->id, m->ev);
	}
}

static void on_closed(struct shim_client *shim, void *data)
{
	struct container *c = data;
	struct container_runtime *rt = c->rt;
	const struct exit_info killed = {.code = EXIT_SHIM_KILLED,
					 .started_at = c->state.started_at,
					 .finished_at = clock_realtime_ns()};

	(void)shim;
	rt->shim_lost = true;
	if (rt->starting || rt->exit_pending || !container_is_active(c))
		return; /* whoever is at it finds out by himself */
	log_warn("container '%s' has lost its shim", c->id);
	exit_begin(c, &killed);
}

const struct shim_client_events exit_shim_events = {.event = on_event, .closed = on_closed};

static void emit_die(struct container *c, const struct exit_info *info)
{
	char code[16], duration[32];
	const struct event_attr attrs[] = {{"execDuration", duration}, {"exitCode", code}};

	(void)snprintf(code, sizeof(code), "%d", info->code);
	(void)snprintf(duration, sizeof(duration), "%lld",
		       (long long)(info->finished_at - info->started_at) / 1000000000);
	engine_emit(c->rt->engine, c, "die", attrs, ARRAY_SIZE(attrs));
}

static void exit_job(void *data);

void exit_begin(struct container *c, const struct exit_info *info)
{
	struct container_runtime *rt = c->rt;

	rt->exit = *info;
	rt->exit_pending = true;
	if (rt->starting)
		return; /* the start's last step comes back to it */
	health_stop(c, true);
	container_ref(c);
	engine_work(rt->engine, exit_job, c);
}

/* ---- steps [worker, with the operation] ------------------------------------------------------- */

/* A shim that is gone may have left its word on disk. */
static bool read_exit_json(const struct container *c, struct exit_info *info)
{
	struct exit_info found;

	if (exit_json_read(c, &found) < 0 || found.started_at < info->started_at)
		return false;
	*info = found;
	return true;
}

int exit_json_read(const struct container *c, struct exit_info *ret)
{
	autofree char *path = xasprintf("%s/" SHIM_EXIT_NAME, c->state_dir);
	autofree char *text = NULL;
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	size_t len;
	int r = file_read(AT_FDCWD, path, EXIT_JSON_MAX, &text, &len, NULL);

	r = r < 0 ? r : json_parse(a, text, len, &doc, NULL);
	if (r < 0)
		return r;
	*ret = (struct exit_info){
		.code = (int)json_get_int(doc, "ExitCode"),
		.oom_killed = json_get_bool(doc, "OOMKilled"),
		.started_at = json_get_int(doc, "StartedAt"),
		.finished_at = json_get_int(doc, "FinishedAt"),
	};
	return 0;
}

/* Deleting a link costs some 15 ms, nearly all of it waiting for the kernel's RCU: longer than all else
 * that `run --rm` does.  The namespace is dead and the ports are unpublished, so nobody needs to wait
 * for it; the addresses stay leased until it is done.  And once its namespace is gone the kernel deletes
 * the link itself, at less cost: a moment later there is mostly nothing left to do.  A daemon that dies
 * before leaves a link that no row knows, which network_restore deletes. */
struct unlink_job {
	struct unlink_job *next;
	struct engine *e;
	struct network_endpoint **endpoints; /* owned */
	size_t n;
	bool unpublished; /* another container may have the ports by now: not to be touched again */
	char container_id[65];
};

struct take_call {
	struct container *c;
	struct unlink_job *job;
};

static void take_on_loop(void *data)
{
	const struct take_call *call = data;
	struct unlink_job *job = call->job;
	struct container *c = call->c;

	job->endpoints = TAKE_PTR(c->endpoints);
	job->n = c->endpoint_count;
	c->endpoint_count = 0;
	for (size_t i = 0; job->unpublished && i < job->n; i++)
		network_endpoint_set_ports(job->endpoints[i], NULL, 0);
}

static void run_unlink_job(void *data)
{
	struct unlink_job *job = data;

	for (size_t i = 0; i < job->n; i++) {
		autoerror struct error err = {0};

		if (network_endpoint_detach(job->e->network, job->endpoints[i], &err) < 0)
			log_error("detach container '%s' from its network: %s", job->container_id,
				  error_msg(&err));
	}
	endpoints_release(job->e, job->endpoints, job->n);
	for (size_t i = 0; i < job->n; i++) {
		network_endpoint_done(job->endpoints[i]);
		free(job->endpoints[i]);
	}
	free(job->endpoints);
	free(job);
}

static void run_unlink_jobs(void *data)
{
	for (struct unlink_job *job = data, *next; job; job = next) {
		next = job->next;
		run_unlink_job(job);
	}
}

static void unlink_due(struct loop_source *timer, void *data)
{
	struct engine *e = data;

	e->unlink_timer = loop_remove(timer);
	engine_work(e, run_unlink_jobs, TAKE_PTR(e->unlinks));
}

static void unlink_later_on_loop(void *data)
{
	struct unlink_job *job = data;
	struct engine *e = job->e;

	job->next = e->unlinks;
	e->unlinks = job;
	if (!e->unlink_timer && loop_add_timer(e->args.loop, UNLINK_DELAY_MS, unlink_due, e,
					       &e->unlink_timer, NULL) < 0)
		engine_work(e, run_unlink_jobs, TAKE_PTR(e->unlinks));
}

/* An address that was asked for must be free again for the container's next start. */
static bool has_fixed_address(const struct container *c)
{
	const struct container_spec *s = c->spec;

	for (size_t i = 0; i < s->endpoint_count; i++)
		if (!str_empty(s->endpoints[i].ipv4) || !str_empty(s->endpoints[i].ipv6))
			return true;
	return false;
}

/* Take its network away, ports at once; what is left of it goes by unlink_network. */
static struct unlink_job *unpublish_network(struct engine *e, struct container *c)
{
	struct unlink_job *job = xnew0(struct unlink_job);

	job->e = e;
	job->unpublished = true;
	(void)str_copy(job->container_id, sizeof(job->container_id), c->id);
	for (size_t i = 0; i < c->endpoint_count; i++) {
		autoerror struct error err = {0};

		if (network_endpoint_unpublish(e->network, c->endpoints[i], &err) >= 0)
			continue;
		job->unpublished = false;
		log_error("unpublish ports of container '%s': %s", c->id, error_msg(&err));
	}
	crash_point(CRASH_EXIT_UNPUBLISHED);
	engine_call(e, take_on_loop, &(struct take_call){c, job});
	resolver_update_networks(e, job->endpoints, job->n);
	return job;
}

/* Link and addresses, now or soon. */
static void unlink_network(struct engine *e, const struct container *c, struct unlink_job *job,
			   bool direct)
{
	if (direct || job->n == 0 || has_fixed_address(c))
		run_unlink_job(job);
	else
		engine_call(e, unlink_later_on_loop, job);
	crash_point(CRASH_EXIT_UNLINKED);
}

static void clean(struct engine *e, const char *cgroup_parent, const char *id)
{
	bool absolute = cgroup_parent[0] == '/';
	autofree char *path = xasprintf("%s%s/%s", absolute ? "" : "/", cgroup_parent, id);
	autocgroup struct cgroup *cg = NULL;
	autoerror struct error err = {0};

	if (e->cgroups && cgroup_open(e->cgroups, path, &cg, NULL) >= 0 &&
	    cgroup_destroy(cg, &err) < 0)
		log_warn("remove cgroup of container '%s': %s", id, error_msg(&err));
	runtime_dir_remove(e, id);
}

void exit_clean_runtime(struct engine *e, const struct container *c)
{
	const char *own = c->spec->host.cgroup_parent;

	clean(e, str_empty(own) ? e->cgroup_parent : own, c->id);
}

void exit_clean_unknown(struct engine *e, const char *id)
{
	clean(e, e->cgroup_parent, id);
}

/* What follows the exit. */
struct plan {
	bool restart;
	enum row_removal removal;
};

struct exited_call {
	struct container *c;
	const struct exit_info *info;
	const struct unlink_job *ended; /* its network */
	struct plan plan;
	bool lost; /* the shim was killed, and left no word of how it ended */
};

/* The row first, then what everybody sees. */
static int record(struct engine *e, struct container *c, const struct exited_call *call)
{
	const struct exit_info *info = call->info;
	const struct plan *plan = &call->plan;
	autoerror struct error err = {0};
	struct network_endpoint *none[] = {NULL};
	struct row_state row;
	const struct row_update u = {
		.state = &row, .container_id = c->id, .eps = none, .removal = plan->removal};
	int r;

	row_state_of(c, &row);
	row.state.status = plan->restart ? CONTAINER_RESTARTING : CONTAINER_EXITED;
	row.state.pid = 0;
	row.state.exit_code = info->code;
	row.state.oom_killed = info->oom_killed;
	row.state.started_at = info->started_at;
	row.state.finished_at = info->finished_at;
	if (call->lost) {
		free(row.state.error);
		row.state.error = xstrdup(SHIM_LOST);
	}
	row.starting_at = 0;
	r = rows_update(e->db, &u, &err);
	if (r < 0)
		log_error("record exit of container '%s': %s", c->id, error_msg(&err));
	c->rt->unsaved = r < 0;
	row_state_done(&row);
	return r;
}

static void exited_on_loop(void *data)
{
	const struct exited_call *call = data;
	struct container_state *s = &call->c->state;

	s->status = call->plan.restart        ? CONTAINER_RESTARTING
		    : call->c->rt->unreadable ? CONTAINER_DEAD
					      : CONTAINER_EXITED;
	if (call->lost)
		container_set_error(call->c, SHIM_LOST);
	s->pid = 0;
	s->exit_code = call->info->code;
	s->oom_killed = call->info->oom_killed;
	s->started_at = call->info->started_at;
	s->finished_at = call->info->finished_at;
	call->c->rt->starting_at = 0;
	health_stop(call->c, true);
	execs_end(call->c);
	/* Whoever hears of the end and asks must find it: Compose takes a container that still runs for
	 * one that restarts. */
	emit_die(call->c, call->info);
	for (size_t i = 0; i < call->ended->n; i++)
		engine_emit_network(call->ended->e, call->c, call->ended->endpoints[i],
				    "disconnect");
	engine_emit_volumes(call->ended->e, call->c, false);
}

static void due_on_loop(void *data)
{
	struct exited_call *call = data;
	const struct container_runtime *rt = call->c->rt;
	const bool automatic = call->c->spec->host.auto_remove;

	call->plan.restart = restart_is_due(call->c);
	if (rt->removing || (automatic && !call->plan.restart && !rt->restarting))
		call->plan.removal = rt->remove_volumes || automatic ? ROW_REMOVAL_WITH_VOLUMES
								     : ROW_REMOVAL_BEGUN;
}

/* The shim may go; nothing is known of it afterwards. */
static void release_shim(struct container *c, bool removed, bool direct)
{
	struct shim_client *shim = c->rt->shim;
	autoerror struct error err = {0};
	struct shim_request q;
	int r;

	if (!shim || c->rt->shim_lost)
		return;
	shim_request_init(&q, shim, "release");
	jw_kbool(&q.w, "removed", removed);
	r = direct ? shim_request_send_direct(&q, SHIM_REQUEST_TIMEOUT_MS, NULL, &err)
		   : shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, &err);
	if (r < 0 && err.errnum != EPIPE)
		log_warn("release shim of container '%s': %s", c->id, error_msg(&err));
}

static void wake_exit_waiters(struct container *c)
{
	for (struct exit_waiter *w = TAKE_PTR(c->rt->exits), *next; w; w = next) {
		next = w->next;
		w->is_done = true;
		(void)sem_post(&w->done);
	}
}

static void finish_on_loop(void *data)
{
	const struct exited_call *call = data;
	struct container_runtime *rt = call->c->rt;

	if (rt->shim) {
		shim_client_close(rt->shim);
		rt->shim = shim_client_unref(rt->shim);
	}
	rt->exit_pending = false;
	rt->shim_lost = false;
	rt->ends++;
	rt->stops += !call->plan.restart;
	wake_exit_waiters(call->c);
	held_clients_exited(call->c, call->plan.restart);
	if (call->plan.restart)
		restart_schedule(call->c);
	boot_check(rt->engine);
}

void exit_run(struct engine *e, struct container *c, bool direct)
{
	struct exit_info info = c->rt->exit;
	struct exited_call call = {.c = c, .info = &info};
	autoerror struct error err = {0};
	struct unlink_job *ended;
	bool recorded, removed = false;

	crash_point(CRASH_EXIT_RECEIVED);
	if (c->rt->shim_lost) {
		call.lost = !read_exit_json(c, &info) && info.code == EXIT_SHIM_KILLED;
		exit_clean_runtime(e, c);
	}
	call.ended = ended = unpublish_network(e, c);
	c->rt->exit = info;
	engine_call(e, due_on_loop, &call);
	recorded = record(e, c, &call) >= 0;
	engine_call(e, exited_on_loop, &call);
	unlink_network(e, c, ended, direct);
	volumes_unmount(e, c);
	crash_point(CRASH_EXIT_RECORDED);
	if (recorded && call.plan.removal) {
		crash_point(CRASH_REMOVE_BEGIN);
		removed = remove_recorded(e, c, call.plan.removal == ROW_REMOVAL_WITH_VOLUMES,
					  &err) >= 0;
		if (!removed)
			log_error("remove container '%s' after its exit: %s", c->id,
				  error_msg(&err));
	}
	release_shim(c, removed, direct);
	if (removed)
		exit_clean_runtime(e, c);
	crash_point(CRASH_EXIT_RELEASED);
	engine_call(e, finish_on_loop, &call);
}

static void exit_job(void *data)
{
	struct container *c = data;
	struct engine *e = c->rt->engine;
	struct operation op;

	if (operation_begin_on(e, c, "exit", OPERATION_FIRST, &op, NULL) >= 0) {
		exit_run(e, c, false);
		operation_end(&op);
	}
	engine_call(e, container_unref_on_loop, c);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct wait_call {
	struct container *c;
	struct exit_waiter *w;
	bool added;
};

static void add_waiter_on_loop(void *data)
{
	struct wait_call *call = data;
	struct container_runtime *rt = call->c->rt;

	if (rt->shim)
		shim_client_drain(rt->shim);
	if (!container_is_active(call->c) && !rt->exit_pending)
		return;
	call->added = true;
	call->w->next = rt->exits;
	rt->exits = call->w;
}

static void remove_waiter_on_loop(void *data)
{
	struct wait_call *call = data;

	for (struct exit_waiter **p = &call->c->rt->exits; *p; p = &(*p)->next) {
		if (*p == call->w) {
			*p = call->w->next;
			return;
		}
	}
}

int exit_wait(struct engine *e, struct container *c, int64_t timeout_ms)
{
	struct exit_waiter w = {0};
	struct wait_call call = {.c = c, .w = &w};
	int64_t end = clock_monotonic_ns() + timeout_ms * 1000000;
	struct timespec ts = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
	int r;

	(void)sem_init(&w.done, 0, 0);
	engine_call(e, add_waiter_on_loop, &call);
	do
		r = !call.added      ? 0
		    : timeout_ms < 0 ? sem_wait(&w.done)
				     : sem_clockwait(&w.done, CLOCK_MONOTONIC, &ts);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		engine_call(e, remove_waiter_on_loop, &call);
	(void)sem_destroy(&w.done);
	return call.added && !w.is_done ? -ETIMEDOUT : 0;
}
