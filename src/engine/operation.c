/* engine/operation.c - one operation at a time on a container. */
#include "engine/operation.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "engine/shim_client.h"

#define SETTLE_MS 2000 /* a kernel that executes a program for longer is not waited for */

struct begin_call {
	struct operation *op;
	const char *ref;
	unsigned flags;
	struct error *err;
	int r;
};

static void enqueue(struct operation *op, unsigned flags)
{
	struct container_runtime *rt = op->container->rt;
	struct operation **p = &rt->ops;

	if (!*p) {
		rt->ops = op;
		(void)sem_post(&op->turn);
		return;
	}
	if ((flags & OPERATION_CANCEL_START) && rt->starting && rt->shim)
		shim_client_cancel(rt->shim);
	/* The first one is in progress: never in front of it. */
	p = &(*p)->next;
	if (!(flags & OPERATION_FIRST))
		while (*p)
			p = &(*p)->next;
	op->next = *p;
	*p = op;
}

static void begin_on_loop(void *data)
{
	struct begin_call *call = data;
	struct operation *op = call->op;

	if (!op->container) {
		call->r = roster_find(op->engine, call->ref, &op->container, call->err);
		if (call->r < 0) {
			op->container = NULL;
			return;
		}
	}
	if (op->container->rt->forgotten) {
		call->r = error_set(call->err, ERROR_NOT_FOUND, 0, "No such container: %s",
				    call->ref ? call->ref : op->container->id);
		op->container = NULL;
		return;
	}
	container_ref(op->container);
	enqueue(op, call->flags);
}

static void drop_on_loop(void *data)
{
	struct operation *op = data;

	container_unref(op->container);
}

static int begin(struct begin_call *call)
{
	struct operation *op = call->op;

	if (sem_init(&op->turn, 0, 0) < 0)
		return error_set(call->err, ERROR_INTERNAL, errno, "make a semaphore");
	engine_call(op->engine, begin_on_loop, call);
	if (call->r < 0) {
		(void)sem_destroy(&op->turn);
		return call->r;
	}
	while (sem_wait(&op->turn) < 0 && errno == EINTR)
		;
	if (op->refused) {
		int r = error_set(call->err, ERROR_NOT_FOUND, 0, "No such container: %s",
				  call->ref ? call->ref : op->container->id);

		engine_call(op->engine, drop_on_loop, op);
		(void)sem_destroy(&op->turn);
		op->container = NULL;
		return r;
	}
	return 0;
}

int operation_begin(struct engine *e, const char *ref, const char *name, unsigned flags,
		    struct operation *op, struct error *err)
{
	struct begin_call call = {.op = op, .ref = ref, .flags = flags, .err = err};

	*op = (struct operation){.engine = e, .name = name};
	return begin(&call);
}

int operation_begin_on(struct engine *e, struct container *c, const char *name, unsigned flags,
		       struct operation *op, struct error *err)
{
	struct begin_call call = {.op = op, .flags = flags, .err = err};

	*op = (struct operation){.engine = e, .container = c, .name = name};
	return begin(&call);
}

static void end_on_loop(void *data)
{
	struct operation *op = data;
	struct container_runtime *rt = op->container->rt;

	assert(rt->ops == op);
	rt->ops = op->next;
	if (rt->ops)
		(void)sem_post(&rt->ops->turn);
	container_unref(op->container);
}

void operation_end(struct operation *op)
{
	if (!op->container)
		return;
	engine_call(op->engine, end_on_loop, op);
	op->container = NULL;
	(void)sem_destroy(&op->turn);
}

void operation_refuse_all(struct container *c)
{
	struct operation *first = c->rt->ops;

	if (!first)
		return;
	/* A refused waiter is off its stack once it is posted. */
	for (struct operation *op = TAKE_PTR(first->next), *next; op; op = next) {
		next = op->next;
		op->refused = true;
		(void)sem_post(&op->turn);
	}
}

struct hold_call {
	struct engine *engine;
	const char *ref;
	struct container *c;
	struct error *err;
	int r;
};

static void hold_on_loop(void *data)
{
	struct hold_call *call = data;

	call->r = roster_find(call->engine, call->ref, &call->c, call->err);
	if (call->r >= 0)
		container_ref(call->c);
}

int operation_hold(struct engine *e, const char *ref, struct container **ret, struct error *err)
{
	struct hold_call call = {.engine = e, .ref = ref, .err = err};

	engine_call(e, hold_on_loop, &call);
	if (call.r >= 0)
		*ret = call.c;
	return call.r;
}

static void release_on_loop(void *data)
{
	container_unref(data);
}

void operation_release(struct engine *e, struct container *c)
{
	if (c)
		engine_call(e, release_on_loop, c);
}

/* ---- a start that is not on record yet ------------------------------------------------------- */

struct settle_call {
	struct engine *e;
	const char *ref;
	struct container *c; /* a reference: there is something to wait for */
	struct exit_waiter w;
};

static void settle_on_loop(void *data)
{
	struct settle_call *call = data;
	struct container *c = NULL;

	if (roster_find(call->e, call->ref, &c, NULL) < 0 || !c->rt->starting || !c->rt->told)
		return;
	container_ref(c);
	call->c = c;
	call->w.next = c->rt->starts;
	c->rt->starts = &call->w;
}

static void unsettle_on_loop(void *data)
{
	struct settle_call *call = data;
	struct exit_waiter **p = &call->c->rt->starts;

	while (*p != &call->w)
		p = &(*p)->next;
	*p = call->w.next;
	container_unref(call->c);
}

void operation_settled(struct container *c)
{
	c->rt->told = false;
	for (struct exit_waiter *w = c->rt->starts; w; w = w->next)
		(void)sem_post(&w->done);
}

void engine_settle(struct engine *e, const char *ref)
{
	struct settle_call call = {.e = e, .ref = ref};
	int64_t end = clock_monotonic_ns() + (int64_t)SETTLE_MS * 1000000;
	const struct timespec ts = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};

	(void)sem_init(&call.w.done, 0, 0);
	engine_call(e, settle_on_loop, &call);
	if (call.c) {
		while (sem_clockwait(&call.w.done, CLOCK_MONOTONIC, &ts) < 0 && errno == EINTR)
			;
		engine_call(e, unsettle_on_loop, &call);
	}
	(void)sem_destroy(&call.w.done);
}
