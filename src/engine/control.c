/* engine/control.c - kill, stop, restart, pause, unpause and resize. */
#include "engine/control.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/health.h"
#include "engine/operation.h"
#include "engine/rows.h"
#include "engine/shim_client.h"
#include "linux/signals.h"

#define KILL_WAIT_MS      10000 /* for a container that has got SIGKILL */
#define STOP_TIMEOUT_S    10    /* Docker's default */
#define FREEZE_TIMEOUT_MS 30000

struct shim_call {
	struct container *c;
	struct shim_client *shim;
	int signal; /* that is about to be sent; 0: none */
};

static void emit_signal(struct container *c, int signo)
{
	char number[16];
	const struct event_attr attr = {"signal", number};

	(void)snprintf(number, sizeof(number), "%d", signo);
	engine_emit(c->rt->engine, c, "kill", &attr, 1);
}

static void get_shim_on_loop(void *data)
{
	struct shim_call *call = data;
	struct container_runtime *rt = call->c->rt;

	if (rt->shim)
		shim_client_drain(rt->shim);
	if (!rt->shim || rt->exit_pending || !container_is_active(call->c))
		return;
	shim_client_ref(rt->shim);
	call->shim = rt->shim;
	/* Before the end that it may bring: whoever reads events finds the cause first. */
	if (call->signal)
		emit_signal(call->c, call->signal);
}

static int get_shim(struct engine *e, struct container *c, int signo, struct shim_client **ret,
		    struct error *err)
{
	struct shim_call call = {.c = c, .signal = signo};

	engine_call(e, get_shim_on_loop, &call);
	if (!call.shim)
		return error_set(err, ERROR_CONFLICT, 0, "container %s is not running", c->id);
	*ret = call.shim;
	return 0;
}

int signal_shim(struct engine *e, struct container *c, struct shim_client **ret, struct error *err)
{
	return get_shim(e, c, 0, ret, err);
}

struct emit_call {
	struct engine *e;
	struct container *c;
	const char *action;
};

static void emit_on_loop(void *data)
{
	const struct emit_call *call = data;

	engine_emit(call->e, call->c, call->action, NULL, 0);
}

static int send_signal(struct engine *e, struct container *c, int signo, struct error *err)
{
	struct shim_client *shim = NULL;
	struct shim_request q;
	int r = get_shim(e, c, signo, &shim, err);

	if (r < 0)
		return r;
	shim_request_init(&q, shim, "kill");
	jw_kint(&q.w, "signal", signo);
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, err);
	/* A frozen process dies of nothing. */
	if (r >= 0 && signo == SIGKILL && c->state.status == CONTAINER_PAUSED)
		(void)shim_client_simple(shim, "resume", NULL);
	(void)shim_client_unref(shim);
	return r;
}

struct shim_pid_call {
	struct container *c;
	int pidfd;
};

/* While the connection is open the process is there, and its number its own. */
static void open_shim_on_loop(void *data)
{
	struct shim_pid_call *call = data;
	const struct container_runtime *rt = call->c->rt;

	if (rt->shim && !rt->shim_lost && rt->shim_pid > 0)
		call->pidfd = (int)syscall(SYS_pidfd_open, rt->shim_pid, 0);
}

/* A shim that does not do its work any more: without it the container counts as killed, and its
 * cgroup is emptied (engine/exit.c). */
static void kill_shim(struct engine *e, struct container *c)
{
	struct shim_pid_call call = {.c = c, .pidfd = -EBADF};

	engine_call(e, open_shim_on_loop, &call);
	if (call.pidfd < 0)
		return;
	log_warn("container '%s' does not end: its shim is killed", c->id);
	(void)syscall(SYS_pidfd_send_signal, call.pidfd, SIGKILL, NULL, 0);
	fd_close(&call.pidfd);
}

int signal_kill_and_wait(struct engine *e, struct container *c, struct error *err)
{
	autoerror struct error why = {0};
	int r = send_signal(e, c, SIGKILL, &why);

	if (r < 0 && why.kind != ERROR_CONFLICT && why.kind != ERROR_UNAVAILABLE)
		return error_move(err, &why, r);
	if (exit_wait(e, c, KILL_WAIT_MS) == 0)
		return 0;
	kill_shim(e, c);
	if (exit_wait(e, c, KILL_WAIT_MS) == 0)
		return 0;
	return error_set(err, ERROR_UNAVAILABLE, 0,
			 "tried to kill container, but did not receive an exit event");
}

/* ---- kill ------------------------------------------------------------------------------------ */

struct cancel_call {
	struct container *c;
	bool cancelled;
};

static void by_user_on_loop(void *data)
{
	struct container *c = data;

	c->rt->stopped_by_user = true;
	restart_cancel(c);
	if (c->state.status == CONTAINER_RESTARTING) {
		c->state.status = CONTAINER_EXITED;
		rows_post_state(c->rt->engine->db, c);
		held_clients_exited(c, false);
	}
}

static void cancel_start_on_loop(void *data)
{
	struct cancel_call *call = data;
	struct container_runtime *rt = call->c->rt;

	if (rt->starting && rt->shim) {
		shim_client_cancel(rt->shim);
		call->cancelled = true;
	}
}

/* A configured StopSignal counts as the user's wish to stop, as SIGKILL and SIGTERM do. */
static bool ends_container(const struct container *c, int signo)
{
	const char *configured = c->spec->config.stop_signal;

	return signo == SIGKILL || signo == SIGTERM ||
	       (!str_empty(configured) && signal_parse(configured) == signo);
}

int engine_kill(struct engine *e, const char *ref, int signo, struct error *err)
{
	struct cancel_call cancel = {0};
	struct container *c;
	int r;

	engine_settle(e, ref);
	r = operation_hold(e, ref, &c, err);
	if (r < 0)
		return r;
	if (signo == 0)
		signo = SIGKILL;
	cancel.c = c;
	if (signo == SIGKILL)
		engine_call(e, cancel_start_on_loop, &cancel);
	if (!cancel.cancelled) {
		if (ends_container(c, signo))
			engine_call(e, by_user_on_loop, c);
		r = send_signal(e, c, signo, err);
		if (r < 0)
			r = error_wrap(err, r, "cannot kill container: %s", ref);
	}
	/* Docker answers a SIGKILL when the container is dead. */
	if (r >= 0 && signo == SIGKILL && !cancel.cancelled && exit_wait(e, c, KILL_WAIT_MS) < 0)
		r = error_set(err, ERROR_UNAVAILABLE, 0,
			      "cannot kill container: %s: tried to kill container, but did not "
			      "receive an exit event",
			      ref);
	operation_release(e, c);
	return r;
}

/* ---- stop, restart --------------------------------------------------------------------------- */

static int stop_running(struct engine *e, struct container *c, int signo, int timeout_s,
			struct error *err)
{
	const char *configured = c->spec->config.stop_signal;
	autoerror struct error why = {0};
	int r;

	if (signo == 0 && !str_empty(configured))
		signo = signal_parse(configured);
	if (signo <= 0)
		signo = SIGTERM;
	if (timeout_s == ENGINE_TIMEOUT_DEFAULT)
		timeout_s = c->spec->config.stop_timeout ? *c->spec->config.stop_timeout
							 : STOP_TIMEOUT_S;
	r = send_signal(e, c, signo, &why);
	if (r < 0 && why.kind != ERROR_CONFLICT)
		log_warn("stop container '%s': %s", c->id, error_msg(&why));
	if (exit_wait(e, c, timeout_s < 0 ? -1 : (int64_t)timeout_s * 1000) < 0) {
		r = signal_kill_and_wait(e, c, err);
		if (r < 0)
			return error_wrap(err, r, "cannot stop container: %s", c->id);
	}
	return 0;
}

/* Past a start that is under way, so that there is something to stop. */
static int hold_settled(struct engine *e, const char *ref, struct container **ret,
			struct error *err)
{
	struct operation op;
	int r = operation_begin(e, ref, "stop", 0, &op, err);

	if (r < 0)
		return r;
	*ret = op.container;
	operation_end(&op);
	return operation_hold(e, ref, ret, err);
}

int engine_stop(struct engine *e, const char *ref, int signo, int timeout_s, struct error *err)
{
	struct container *c;
	int r = hold_settled(e, ref, &c, err);
	bool restarting;

	if (r < 0)
		return r;
	restarting = c->state.status == CONTAINER_RESTARTING;
	if (!container_is_active(c) && !restarting) {
		operation_release(e, c);
		return error_set(err, ERROR_NOT_MODIFIED, 0, "container is already stopped");
	}
	engine_call(e, by_user_on_loop, c);
	if (!restarting)
		r = stop_running(e, c, signo, timeout_s, err);
	if (r >= 0)
		engine_call(e, emit_on_loop, &(struct emit_call){e, c, "stop"});
	operation_release(e, c);
	return r;
}

struct flag_call {
	struct container *c;
	bool on;
};

static void reset_on_loop(void *data)
{
	restart_reset(data);
}

static void restarting_on_loop(void *data)
{
	const struct flag_call *call = data;

	call->c->rt->restarting = call->on;
}

int engine_restart(struct engine *e, const char *ref, int signo, int timeout_s, struct error *err)
{
	struct container *c;
	struct operation op;
	int r = hold_settled(e, ref, &c, err);

	if (r < 0)
		return r;
	/* A --rm container outlives this stop. */
	engine_call(e, restarting_on_loop, &(struct flag_call){c, true});
	if (container_is_active(c)) {
		engine_call(e, by_user_on_loop, c);
		r = stop_running(e, c, signo, timeout_s, err);
		if (r >= 0)
			engine_call(e, emit_on_loop, &(struct emit_call){e, c, "stop"});
	}
	if (r >= 0)
		r = operation_begin_on(e, c, "restart", 0, &op, err);
	if (r >= 0) {
		engine_call(e, reset_on_loop, c);
		r = start_locked(e, c, err);
		if (r < 0 && err && err->kind == ERROR_NOT_MODIFIED) {
			error_done(err); /* somebody else has started it */
			r = 0;
		}
		operation_end(&op);
	}
	engine_call(e, restarting_on_loop, &(struct flag_call){c, false});
	if (r >= 0)
		engine_call(e, emit_on_loop, &(struct emit_call){e, c, "restart"});
	operation_release(e, c);
	return r;
}

/* ---- pause, unpause -------------------------------------------------------------------------- */

struct pause_call {
	struct engine *e;
	struct container *c;
	bool pause;
};

static void paused_on_loop(void *data)
{
	const struct pause_call *call = data;

	if (!container_is_active(call->c))
		return; /* its end was faster */
	call->c->state.status = call->pause ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	rows_post_state(call->e->db, call->c);
	if (call->pause)
		health_stop(call->c, false);
	else
		health_start(call->c, false);
	engine_emit(call->e, call->c, call->pause ? "pause" : "unpause", NULL, 0);
}

int pause_locked(struct engine *e, struct container *c, bool pause, struct error *err)
{
	struct shim_client *shim = NULL;
	struct shim_request q;
	int r = 0;

	if (pause && c->state.status == CONTAINER_PAUSED)
		r = error_set(err, ERROR_CONFLICT, 0, "Container %s is already paused", c->id);
	else if (!pause && c->state.status != CONTAINER_PAUSED)
		r = error_set(err, ERROR_CONFLICT, 0, "Container %s is not paused", c->id);
	r = r < 0 ? r : signal_shim(e, c, &shim, err);
	if (r >= 0) {
		shim_request_init(&q, shim, pause ? "pause" : "resume");
		r = shim_request_send(&q, NULL, 0, FREEZE_TIMEOUT_MS, NULL, err);
		(void)shim_client_unref(shim);
	}
	if (r >= 0)
		engine_call(e, paused_on_loop, &(struct pause_call){e, c, pause});
	return r;
}

static int set_paused(struct engine *e, const char *ref, bool pause, struct error *err)
{
	struct operation op;
	int r = operation_begin(e, ref, pause ? "pause" : "unpause", 0, &op, err);

	if (r < 0)
		return r;
	r = pause_locked(e, op.container, pause, err);
	operation_end(&op);
	return r;
}

int engine_pause(struct engine *e, const char *ref, struct error *err)
{
	return set_paused(e, ref, true, err);
}

int engine_unpause(struct engine *e, const char *ref, struct error *err)
{
	return set_paused(e, ref, false, err);
}

/* ---- resize ---------------------------------------------------------------------------------- */

struct resize_call {
	struct engine *e;
	struct container *c;
	unsigned rows, cols;
};

static void resized_on_loop(void *data)
{
	const struct resize_call *call = data;
	char height[16], width[16];
	const struct event_attr attrs[] = {{"height", height}, {"width", width}};

	(void)snprintf(height, sizeof(height), "%u", call->rows);
	(void)snprintf(width, sizeof(width), "%u", call->cols);
	engine_emit(call->e, call->c, "resize", attrs, ARRAY_SIZE(attrs));
}

int engine_resize(struct engine *e, const char *ref, unsigned rows, unsigned cols,
		  struct error *err)
{
	struct shim_client *shim = NULL;
	struct shim_request q;
	struct container *c;
	int r = operation_hold(e, ref, &c, err);

	if (r < 0)
		return r;
	r = signal_shim(e, c, &shim, err);
	if (r >= 0) {
		shim_request_init(&q, shim, "resize");
		jw_kuint(&q.w, "h", rows);
		jw_kuint(&q.w, "w", cols);
		r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, err);
		(void)shim_client_unref(shim);
	}
	if (r >= 0)
		engine_call(e, resized_on_loop, &(struct resize_call){e, c, rows, cols});
	operation_release(e, c);
	return r;
}
