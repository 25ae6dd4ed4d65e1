/* One operation at a time: turns, the front of the queue, and what a removal does to those who wait. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"

/* An engine with nothing but a loop and its table; workers are threads of the test. */
struct fixture {
	struct engine e;
	struct container *c;
	pthread_t loop_thread;
	pthread_mutex_t lock;
	char order[16]; /* what was done, in order */
	size_t n;
};

static void *run_loop(void *data)
{
	struct fixture *f = data;

	assert_int_equal(loop_run(f->e.args.loop, NULL), 0);
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = xnew0(struct fixture);

	(void)pthread_mutex_init(&f->lock, NULL);
	f->e.data_root = "/nonexistent";
	f->e.events = event_log_new();
	assert_int_equal(loop_new(&f->e.args.loop, NULL), 0);
	f->c = container_new(&f->e,
			     "0123456789012345678901234567890123456789012345678901234567abcdef");
	free(f->c->name);
	f->c->name = xstrdup("web");
	roster_add(&f->e, f->c);
	f->e.opened = true;
	assert_int_equal(pthread_create(&f->loop_thread, NULL, run_loop, f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_stop(f->e.args.loop);
	(void)pthread_join(f->loop_thread, NULL);
	f->e.opened = false;
	while (f->e.container_count > 0)
		roster_remove(&f->e, f->e.containers[0]);
	(void)loop_free(f->e.args.loop);
	(void)event_log_free(f->e.events);
	free(f->e.containers);
	free(f->e.by_id);
	free(f);
	return 0;
}

static void note(struct fixture *f, char what)
{
	pthread_mutex_lock(&f->lock);
	f->order[f->n++] = what;
	pthread_mutex_unlock(&f->lock);
}

struct worker {
	struct fixture *f;
	char what;
	unsigned flags;
	int r;
	pthread_t thread;
};

static void *work(void *data)
{
	struct worker *w = data;
	struct operation op;

	w->r = operation_begin(&w->f->e, "web", "test", w->flags, &op, NULL);
	if (w->r >= 0) {
		note(w->f, w->what);
		operation_end(&op);
	}
	return NULL;
}

static void count_on_loop(void *data)
{
	struct fixture *f = data;
	size_t n = 0;

	for (const struct operation *op = f->c->rt->ops; op; op = op->next)
		n++;
	f->n = n;
}

/* Start a worker and come back when it stands in the queue. */
static void queue(struct fixture *f, struct worker *w, size_t want)
{
	size_t saved = f->n, n;

	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
	do {
		engine_call(&f->e, count_on_loop, f);
		n = f->n;
	} while (n < want);
	f->n = saved;
}

static void turns_in_order_but_for_the_first(void **state)
{
	struct fixture *f = *state;
	struct worker a = {f, 'a', 0, 0, 0}, b = {f, 'b', 0, 0, 0},
		      x = {f, 'x', OPERATION_FIRST, 0, 0};
	struct operation op;

	assert_int_equal(operation_begin(&f->e, "012345", "test", 0, &op, NULL), 0);
	assert_ptr_equal(op.container, f->c);
	queue(f, &a, 2);
	queue(f, &b, 3);
	queue(f, &x, 4);
	operation_end(&op);
	(void)pthread_join(a.thread, NULL);
	(void)pthread_join(b.thread, NULL);
	(void)pthread_join(x.thread, NULL);
	assert_memory_equal(f->order, "xab", 3);
}

static void remove_on_loop(void *data)
{
	struct fixture *f = data;

	roster_remove(&f->e, f->c);
}

static void removal_refuses_those_who_wait(void **state)
{
	struct fixture *f = *state;
	struct worker a = {f, 'a', 0, 0, 0};
	autoerror struct error err = {0};
	struct operation op, late;

	assert_int_equal(operation_begin(&f->e, "/web", "test", 0, &op, NULL), 0);
	queue(f, &a, 2);
	engine_call(&f->e, remove_on_loop, f);
	(void)pthread_join(a.thread, NULL);
	assert_true(a.r < 0);
	assert_true(operation_begin(&f->e, "web", "test", 0, &late, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(error_msg(&err), "No such container: web");
	operation_end(&op); /* frees it */
}

static void let_go_on_loop(void *data)
{
	struct fixture *f = data;

	f->c->rt->starting = f->c->rt->told = true;
}

static void record_on_loop(void *data)
{
	struct fixture *f = data;

	if (f->c->rt->starts) {
		f->c->rt->starting = false;
		note(f, 'r');
		operation_settled(f->c);
		return;
	}
	loop_post(f->e.args.loop, record_on_loop, f); /* once somebody waits */
}

/* Who asks about a container whose start has been let go waits until that is on record; else not at all. */
static void starts_are_on_record(void **state)
{
	struct fixture *f = *state;

	engine_settle(&f->e, "web");
	engine_settle(&f->e, "nobody");
	engine_call(&f->e, let_go_on_loop, f);
	loop_post(f->e.args.loop, record_on_loop, f);
	engine_settle(&f->e, "web");
	note(f, 's');
	assert_string_equal(f->order, "rs");
	assert_null(f->c->rt->starts);
	engine_settle(&f->e, "web");
}

static void names_and_prefixes(void **state)
{
	struct fixture *f = *state;
	autoerror struct error err = {0};
	struct container *c,
		*other = container_new(
			&f->e, "01234567ffffffffffffffffffffffffffffffffffffffffffffffffffffffff");

	free(other->name);
	other->name = xstrdup("0123456789"); /* a name that is a prefix of an id */
	f->e.opened = false;                 /* the loop idles: this thread may act for it */
	roster_add(&f->e, other);
	assert_int_equal(roster_find(&f->e, "web", &c, NULL), 0);
	assert_ptr_equal(c, f->c);
	assert_int_equal(roster_find(&f->e, "0123456789", &c, NULL), 0);
	assert_ptr_equal(c, other);
	assert_int_equal(roster_find(&f->e, "01234567f", &c, NULL), 0);
	assert_ptr_equal(c, other);
	assert_true(roster_find(&f->e, "01234567", &c, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	assert_true(roster_find(&f->e, "", &c, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	assert_true(roster_reserve_name(&f->e, "web", &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	assert_int_equal(roster_reserve_name(&f->e, "new", NULL), 0);
	assert_true(roster_reserve_name(&f->e, "new", NULL) < 0);
	roster_unreserve_name(&f->e, "new");
	assert_int_equal(roster_reserve_name(&f->e, "new", NULL), 0);
	strv_done(&f->e.reserved_names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(turns_in_order_but_for_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_refuses_those_who_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(starts_are_on_record, setup, teardown),
		cmocka_unit_test_setup_teardown(names_and_prefixes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
