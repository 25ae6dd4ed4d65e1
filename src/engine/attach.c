/* engine/attach.c - clients that attach to a container or wait for it.
 *
 * Where there is a shim the connection becomes the shim's: it outlives this daemon.  For a container
 * that is not running it is kept here until the next start, or until the client is gone.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"
#include "engine/shim_client.h"

static const char *const condition_names[] = {
	[ENGINE_WAIT_NOT_RUNNING] = "not-running",
	[ENGINE_WAIT_NEXT_EXIT] = "next-exit",
	[ENGINE_WAIT_REMOVED] = "removed",
};

struct held_client *held_client_free(struct held_client *h)
{
	if (h) {
		h->source = loop_remove(h->source);
		fd_close(&h->fd);
		free(h->early);
		free((char *)(uintptr_t)h->attach.detach_keys);
		free(h);
	}
	return NULL;
}

static void on_client_gone(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct held_client *h = data;

	(void)fd;
	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	if (h->sent) { /* a start has hold of it; told again if that fails */
		loop_set_events(s, 0);
		return;
	}
	for (struct held_client **p = &h->container->rt->held; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			(void)held_client_free(h);
			return;
		}
	}
}

void held_client_add(struct container *c, struct held_client *h_take)
{
	struct held_client **p = &c->rt->held;

	while (*p)
		p = &(*p)->next;
	*p = h_take;
	h_take->container = c;
	/* Not EPOLLRDHUP: a client may be done with sending and still want the answer. */
	(void)loop_add_fd(c->rt->engine->args.loop, h_take->fd, EPOLLHUP | EPOLLERR, on_client_gone,
			  h_take, &h_take->source, NULL);
}

void held_client_add_wait(struct container *c, int fd_take, enum engine_wait_condition condition)
{
	struct held_client *h = xnew0(struct held_client);

	h->is_wait = true;
	h->condition = condition;
	h->fd = fd_take;
	held_client_add(c, h);
}

/* An answer of /wait whose head is out: one chunk and the last one (RFC 9112 section 7.1). */
void held_client_answer_wait(int fd, int code)
{
	autostrbuf struct strbuf body = STRBUF_INIT(65536), out = STRBUF_INIT(65536 + 64);
	struct json_writer w;

	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kint(&w, "StatusCode", code);
	jw_object_end(&w);
	strbuf_addc(&body, '\n');
	strbuf_addf(&out, "%zx\r\n%s\r\n0\r\n\r\n", body.len, body.s);
	/* Fits the socket's buffer; who is gone is gone. */
	(void)send(fd, out.s, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- handing over ---------------------------------------------------------------------------- */

static int post_client(struct shim_client *shim, const struct held_client *h,
		       struct shim_pending *ret, struct error *err)
{
	autostrbuf struct strbuf early = STRBUF_INIT(SHIM_MESSAGE_MAX);
	struct shim_request q;

	shim_request_init(&q, shim, h->is_wait ? "wait" : "attach");
	if (h->is_wait) {
		jw_kstring(&q.w, "condition", condition_names[h->condition]);
	} else {
		jw_kbool(&q.w, "stdin", h->attach.in);
		jw_kbool(&q.w, "stdout", h->attach.out);
		jw_kbool(&q.w, "stderr", h->attach.errs);
		jw_kbool(&q.w, "stream", h->attach.stream);
		jw_kbool(&q.w, "logs", h->attach.logs);
		if (!str_empty(h->attach.detach_keys))
			jw_kstring(&q.w, "detach_keys", h->attach.detach_keys);
		if (h->early_len > 0) {
			base64_encode(h->early, h->early_len, &early);
			jw_kstring(&q.w, "early", early.s);
		}
	}
	return shim_request_post(&q, &h->fd, 1, ret, err);
}

static int send_client(struct shim_client *shim, const struct held_client *h, struct error *err)
{
	struct shim_pending p;
	int r = post_client(shim, h, &p, err);

	return r < 0 ? r : shim_pending_wait(shim, &p, SHIM_REQUEST_TIMEOUT_MS, NULL, err);
}

/* Removal is told by the shim only where the shim learns of it: at the end of a --rm container. */
static bool belongs_to_shim(const struct container *c, const struct held_client *h)
{
	return !h->is_wait || h->condition != ENGINE_WAIT_REMOVED || c->spec->host.auto_remove;
}

struct list_call {
	struct container *c;
	struct held_client **v; /* owned */
	size_t n;
};

/* Marked as sent, they stay: the loop does not drop them behind our back. */
static void collect_on_loop(void *data)
{
	struct list_call *call = data;
	size_t cap = 0;

	for (struct held_client *h = call->c->rt->held; h; h = h->next) {
		if (!belongs_to_shim(call->c, h))
			continue;
		h->sent = true;
		xgrow(call->v, call->n, cap);
		call->v[call->n++] = h;
	}
}

int held_clients_post(struct container *c, struct shim_client *shim, struct held_posted *ret,
		      struct error *err)
{
	struct list_call call = {.c = c};
	int r = 0;

	engine_call(c->rt->engine, collect_on_loop, &call);
	ret->v = call.n > 0 ? xnew0n(struct shim_pending, call.n) : NULL;
	ret->n = 0;
	for (size_t i = 0; r >= 0 && i < call.n; i++) {
		autoerror struct error why = {0};

		if (post_client(shim, call.v[i], &ret->v[ret->n], &why) >= 0)
			ret->n++;
		else if (why.errnum == EPIPE) /* the shim's own trouble, not the client's */
			r = error_move(err, &why, -EPIPE);
		else
			log_warn("attach to container '%s': %s", c->id, error_msg(&why));
	}
	free(call.v);
	return r;
}

void held_clients_confirm(const struct container *c, struct shim_client *shim,
			  struct held_posted *posted)
{
	for (size_t i = 0; i < posted->n; i++) {
		autoerror struct error why = {0};

		if (shim_pending_wait(shim, &posted->v[i], SHIM_REQUEST_TIMEOUT_MS, NULL, &why) < 0)
			log_warn("attach to container '%s': %s", c->id, error_msg(&why));
	}
	free(TAKE_PTR(posted->v));
	posted->n = 0;
}

void held_clients_started(struct container *c)
{
	for (struct held_client **p = &c->rt->held, *h; (h = *p);) {
		if (h->sent) {
			*p = h->next;
			(void)held_client_free(h);
		} else {
			p = &h->next;
		}
	}
}

void held_clients_failed(struct container *c)
{
	for (struct held_client **p = &c->rt->held, *h; (h = *p);) {
		h->sent = false;
		/* No exit has come: start's own answer says why, and an error here would be told twice. */
		if (h->is_wait) {
			if (h->source)
				loop_set_events(h->source, EPOLLHUP | EPOLLERR);
			p = &h->next;
			continue;
		}
		*p = h->next;
		(void)held_client_free(h);
	}
}

void held_clients_exited(struct container *c, bool will_restart)
{
	for (struct held_client **p = &c->rt->held, *h; (h = *p);) {
		if (h->is_wait && (h->condition == ENGINE_WAIT_REMOVED ||
				   (h->condition == ENGINE_WAIT_NOT_RUNNING && will_restart))) {
			p = &h->next;
			continue;
		}
		if (h->is_wait)
			held_client_answer_wait(h->fd, c->state.exit_code);
		*p = h->next;
		(void)held_client_free(h);
	}
}

void held_clients_removed(struct container *c)
{
	for (struct held_client *h = TAKE_PTR(c->rt->held), *next; h; h = next) {
		next = h->next;
		if (h->is_wait)
			held_client_answer_wait(h->fd, c->state.exit_code);
		(void)held_client_free(h);
	}
}

/* ---- turns ----------------------------------------------------------------------------------- */

struct engine_turn {
	struct engine *e;
	struct operation op;
	struct container *seen; /* reference: it ran at the check, which took no turn */
	unsigned ends, stops;   /* of the container, then */
};

static int turn_take(struct engine *e, const char *ref, const char *name, struct engine_turn **ret,
		     struct error *err)
{
	struct engine_turn *t = xnew0(struct engine_turn);
	int r = operation_begin(e, ref, name, 0, &t->op, err);

	t->e = e;
	if (r < 0)
		free(t);
	else
		*ret = t;
	return r;
}

/* [loop] Of a container that runs: no turn, for the client must not wait for its head. */
static struct engine_turn *turn_note(struct engine *e, struct container *c)
{
	struct engine_turn *t = xnew0(struct engine_turn);

	t->e = e;
	t->seen = c;
	t->ends = c->rt->ends;
	t->stops = c->rt->stops;
	container_ref(c);
	return t;
}

void engine_turn_end(struct engine_turn *t)
{
	if (!t)
		return;
	operation_end(&t->op);
	operation_release(t->e, t->seen);
	free(t);
}

/* ---- attach ---------------------------------------------------------------------------------- */

struct check_call {
	struct engine *e;
	const char *ref;
	bool tty;
	struct engine_turn *turn; /* of one that runs */
	struct error *err;
	int r;
};

static void attach_check_on_loop(void *data)
{
	struct check_call *call = data;
	struct container *c;

	call->r = engine_container_get(call->e, call->ref, &c, call->err);
	if (call->r < 0)
		return;
	call->tty = c->spec->config.tty;
	if (c->state.status == CONTAINER_PAUSED)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "container %s is paused, unpause the container before attach",
				    call->ref);
	else if (c->state.status == CONTAINER_RESTARTING)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "container %s is restarting, wait until the container is "
				    "running",
				    call->ref);
	else if (container_is_active(c))
		call->turn = turn_note(call->e, c);
}

int engine_attach_check(struct engine *e, const char *ref, struct engine_attach_args *args,
			bool *ret_tty, struct error *err)
{
	struct check_call call = {.e = e, .ref = ref, .err = err};
	int r;

	engine_call(e, attach_check_on_loop, &call);
	if (call.r < 0)
		return call.r;
	args->turn = call.turn;
	r = call.turn ? 0 : turn_take(e, ref, "attach", &args->turn, err);
	if (r >= 0)
		*ret_tty = call.tty;
	return r;
}

struct hold_call {
	struct container *c;
	struct held_client *h;
};

static void hold_attach_on_loop(void *data)
{
	struct hold_call *call = data;

	if (call->h)
		held_client_add(call->c, call->h);
	engine_emit(call->c->rt->engine, call->c, "attach", NULL, 0);
}

static struct held_client *held_client_new(const struct engine_client *client)
{
	struct held_client *h = xnew0(struct held_client);

	h->fd = client->fd;
	h->early = client->early_len > 0 ? xmemdup(client->early, client->early_len) : NULL;
	h->early_len = client->early_len;
	return h;
}

/* To the shim if it runs (1), else 0: to be held. */
static int try_shim(struct engine *e, struct container *c, const struct held_client *h,
		    struct error *err)
{
	autoerror struct error why = {0};
	struct shim_client *shim = NULL;
	int r;

	if (!belongs_to_shim(c, h) || signal_shim(e, c, &shim, NULL) < 0)
		return 0;
	r = send_client(shim, h, &why);
	(void)shim_client_unref(shim);
	if (r >= 0)
		return 1;
	/* It is over this very moment: who cleans up behind it does so after us, and answers. */
	if (why.errnum == EPIPE || why.kind == ERROR_CONFLICT)
		return 0;
	return error_move(err, &why, r);
}

/* Is the run that the client was told of over? [loop, or with the operation] */
static bool is_over(const struct engine_turn *t, const struct held_client *h)
{
	const struct container_runtime *rt = t->seen ? t->seen->rt : NULL;

	if (!rt)
		return false;
	if (!h->is_wait || h->condition == ENGINE_WAIT_NEXT_EXIT)
		return rt->ends != t->ends;
	return h->condition == ENGINE_WAIT_NOT_RUNNING && rt->stops != t->stops;
}

struct late_call {
	const struct engine_turn *turn;
	struct held_client *h;
	bool gone; /* the container is removed */
	bool done;
};

static void answer_late_on_loop(void *data)
{
	struct late_call *call = data;

	if (!call->gone && !is_over(call->turn, call->h))
		return;
	if (call->h->is_wait)
		held_client_answer_wait(call->h->fd, call->turn->seen->rt->exit.code);
	(void)held_client_free(call->h);
	call->done = true;
}

/* The turn of a container that ran at the check.  1: the client is answered, for the run is over. */
static int turn_late(struct engine_turn *t, const char *name, struct held_client *h)
{
	struct late_call call = {.turn = t, .h = h};

	if (!t->seen)
		return 0;
	call.gone = operation_begin_on(t->e, t->seen, name, 0, &t->op, NULL) < 0;
	engine_call(t->e, answer_late_on_loop, &call);
	return call.done;
}

struct same_call {
	const struct engine_turn *turn;
	bool same;
};

static void same_on_loop(void *data)
{
	struct same_call *call = data;

	call->same = call->turn->seen->rt->ends == call->turn->ends;
}

/* A container that ran at the check: to its shim at once, behind no operation, as long as it is the same
 * run.  1: it has the client. */
static int try_seen(const struct engine_turn *t, const struct held_client *h)
{
	struct same_call call = {.turn = t};
	struct shim_client *shim = NULL;
	int r;

	if (!t->seen || !belongs_to_shim(t->seen, h) || signal_shim(t->e, t->seen, &shim, NULL) < 0)
		return 0;
	engine_call(t->e, same_on_loop, &call); /* then the shim is that run's */
	r = call.same ? send_client(shim, h, NULL) : -ESRCH;
	(void)shim_client_unref(shim);
	return r >= 0;
}

int engine_attach(struct engine *e, const char *ref, const struct engine_attach_args *args,
		  struct engine_client *client_take, struct error *err)
{
	struct engine_turn *turn = args->turn;
	struct hold_call call = {0};
	struct held_client *h;
	int r = turn ? 0 : turn_take(e, ref, "attach", &turn, err);

	if (r < 0)
		return r;
	h = held_client_new(client_take);
	h->attach = *args;
	h->attach.turn = NULL;
	h->attach.detach_keys = args->detach_keys ? xstrdup(args->detach_keys) : NULL;
	if (try_seen(turn, h)) {
		client_take->fd = -EBADF;
		engine_call(e, hold_attach_on_loop, &(struct hold_call){.c = turn->seen});
		(void)held_client_free(h);
		engine_turn_end(turn);
		return 0;
	}
	if (turn_late(turn, "attach", h)) {
		client_take->fd = -EBADF;
		engine_turn_end(turn);
		return 0;
	}
	r = try_shim(e, turn->op.container, h, err);
	call.c = turn->op.container;
	if (r < 0) {
		h->fd = -EBADF; /* stays the caller's */
		(void)held_client_free(h);
	} else {
		client_take->fd = -EBADF;
		call.h = r == 0 ? h : NULL;
		engine_call(e, hold_attach_on_loop, &call);
		if (r > 0)
			(void)held_client_free(h);
	}
	engine_turn_end(turn);
	return r < 0 ? r : 0;
}

/* ---- wait ------------------------------------------------------------------------------------ */

struct wait_check {
	struct engine *e;
	const char *ref;
	struct engine_wait_args *wait;
	struct error *err;
	int r;
};

static void wait_check_on_loop(void *data)
{
	struct wait_check *call = data;
	struct container *c;

	call->r = engine_container_get(call->e, call->ref, &c, call->err);
	if (call->r < 0)
		return;
	call->wait->done = call->wait->condition == ENGINE_WAIT_NOT_RUNNING &&
			   !container_is_active(c) && !c->rt->exit_pending &&
			   c->state.status != CONTAINER_RESTARTING;
	call->wait->code = c->state.exit_code;
	if (container_is_active(c))
		call->wait->turn = turn_note(call->e, c);
}

int engine_wait_check(struct engine *e, const char *ref, struct engine_wait_args *wait,
		      struct error *err)
{
	struct wait_check call = {.e = e, .ref = ref, .wait = wait, .err = err};

	engine_call(e, wait_check_on_loop, &call);
	if (call.r < 0 || wait->done || wait->turn)
		return call.r;
	return turn_take(e, ref, "wait", &wait->turn, err);
}

static void hold_wait_on_loop(void *data)
{
	struct hold_call *call = data;
	struct container *c = call->c;

	if (call->h->condition != ENGINE_WAIT_NOT_RUNNING || container_is_active(c) ||
	    c->state.status == CONTAINER_RESTARTING) {
		held_client_add(c, call->h);
		return;
	}
	held_client_answer_wait(call->h->fd, c->state.exit_code);
	(void)held_client_free(call->h);
}

int engine_wait_client(struct engine *e, const char *ref, const struct engine_wait_args *wait,
		       struct engine_client *client_take, struct error *err)
{
	struct engine_turn *turn = wait->turn;
	struct hold_call call = {0};
	struct held_client *h;
	int r = turn ? 0 : turn_take(e, ref, "wait", &turn, err);

	if (r < 0)
		return r;
	h = held_client_new(client_take);
	h->is_wait = true;
	h->condition = wait->condition;
	r = try_seen(turn, h);
	if (r > 0)
		(void)held_client_free(h);
	if (r > 0 || turn_late(turn, "wait", h)) {
		client_take->fd = -EBADF;
		engine_turn_end(turn);
		return 0;
	}
	call.c = turn->op.container;
	call.h = h;
	r = try_shim(e, turn->op.container, h, err);
	if (r < 0) {
		h->fd = -EBADF;
		(void)held_client_free(h);
	} else {
		client_take->fd = -EBADF;
		if (r > 0)
			(void)held_client_free(h);
		else
			engine_call(e, hold_wait_on_loop, &call);
	}
	engine_turn_end(turn);
	return r < 0 ? r : 0;
}
