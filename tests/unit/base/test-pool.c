/* The worker pool: every job runs once, no more threads than allowed, signals stay away. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"

struct shared {
	atomic_int ran, inside, most;
	sem_t entered, leave;
	char order[64];
	atomic_bool blocked;
	size_t stack_size;
};

static void count(void *data)
{
	struct shared *s = data;

	atomic_fetch_add(&s->ran, 1);
}

static void test_all_jobs_run(void **state)
{
	struct shared s = {0};
	struct pool *p = pool_new(4);

	(void)state;
	for (int i = 0; i < 10000; i++)
		pool_submit(p, count, &s);
	assert_null(pool_free(p));
	assert_int_equal(atomic_load(&s.ran), 10000);
	assert_null(pool_free(NULL));
	assert_null(pool_free(pool_new(4)));
}

/* Meets the others: each waits until it is let go. */
static void meet(void *data)
{
	struct shared *s = data;
	int now = atomic_fetch_add(&s->inside, 1) + 1, most = atomic_load(&s->most);

	while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now))
		;
	(void)sem_post(&s->entered);
	(void)sem_wait(&s->leave);
	atomic_fetch_sub(&s->inside, 1);
}

static void test_as_many_threads_as_needed_and_allowed(void **state)
{
	struct shared s = {0};
	struct pool *p = pool_new(3);

	(void)state;
	assert_int_equal(sem_init(&s.entered, 0, 0), 0);
	assert_int_equal(sem_init(&s.leave, 0, 0), 0);
	for (int i = 0; i < 10; i++)
		pool_submit(p, meet, &s);
	for (int i = 0; i < 3; i++) /* returns only if three run at once */
		(void)sem_wait(&s.entered);
	assert_int_equal(atomic_load(&s.inside), 3);
	for (int i = 0; i < 10; i++)
		(void)sem_post(&s.leave);
	p = pool_free(p);
	assert_int_equal(atomic_load(&s.most), 3);
	assert_int_equal(atomic_load(&s.inside), 0);
	(void)sem_destroy(&s.entered);
	(void)sem_destroy(&s.leave);
}

static void let_go(void *data)
{
	struct shared *s = data;

	(void)sem_post(&s->leave);
	(void)sem_post(&s->leave);
}

/* The only thread waits for what the second, which is queued, will not bring either. */
static void test_urgent_jobs_pass_the_limit_and_the_queue(void **state)
{
	struct shared s = {0};
	struct pool *p = pool_new(1);

	(void)state;
	assert_int_equal(sem_init(&s.entered, 0, 0), 0);
	assert_int_equal(sem_init(&s.leave, 0, 0), 0);
	pool_submit(p, meet, &s);
	(void)sem_wait(&s.entered);
	pool_submit(p, meet, &s);
	pool_submit_urgent(p, let_go, &s);
	p = pool_free(p); /* returns only if it ran */
	assert_int_equal(atomic_load(&s.inside), 0);
	(void)sem_destroy(&s.entered);
	(void)sem_destroy(&s.leave);
}

struct numbered {
	struct shared *s;
	int number;
};

static void note_order(void *data)
{
	struct numbered *n = data;

	n->s->order[atomic_fetch_add(&n->s->ran, 1)] = (char)('a' + n->number);
}

static void test_one_thread_keeps_the_order(void **state)
{
	struct shared s = {0};
	struct numbered jobs[26];
	struct pool *p = pool_new(1);

	(void)state;
	for (int i = 0; i < 26; i++) {
		jobs[i] = (struct numbered){.s = &s, .number = i};
		pool_submit(p, note_order, &jobs[i]);
	}
	p = pool_free(p);
	assert_string_equal(s.order, "abcdefghijklmnopqrstuvwxyz");
}

/* Submits one after the other while workers are idle or just going to be. */
static void test_idle_workers_are_found(void **state)
{
	struct shared s = {0};
	struct pool *p = pool_new(2);

	(void)state;
	assert_int_equal(sem_init(&s.entered, 0, 0), 0);
	assert_int_equal(sem_init(&s.leave, 0, 1000), 0);
	for (int i = 0; i < 1000; i++) {
		pool_submit(p, meet, &s);
		(void)sem_wait(&s.entered);
	}
	p = pool_free(p);
	assert_true(atomic_load(&s.most) <= 2);
	(void)sem_destroy(&s.entered);
	(void)sem_destroy(&s.leave);
}

static void look_around(void *data)
{
	struct shared *s = data;
	pthread_attr_t attr;
	sigset_t mask;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	atomic_store(&s->blocked,
		     sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1);
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstacksize(&attr, &s->stack_size);
		(void)pthread_attr_destroy(&attr);
	}
}

static void test_workers_are_small_and_deaf(void **state)
{
	struct shared s = {0};
	struct pool *p = pool_new(1);
	sigset_t mask;

	(void)state;
	pool_submit(p, look_around, &s);
	p = pool_free(p);
	assert_true(atomic_load(&s.blocked));
	assert_in_range(s.stack_size, 256 * 1024, 1024 * 1024 - 1); /* sanitizers add theirs */
	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_int_equal(sigismember(&mask, SIGTERM), 0); /* ours is as before */
}

struct chain {
	struct pool *pool;
	atomic_int left;
	sem_t done;
};

static void submit_next(void *data)
{
	struct chain *c = data;

	if (atomic_fetch_sub(&c->left, 1) == 1)
		(void)sem_post(&c->done);
	else
		pool_submit(c->pool, submit_next, c);
}

static void test_jobs_submit_jobs(void **state)
{
	struct chain c = {.pool = pool_new(2), .left = 1000};

	(void)state;
	assert_int_equal(sem_init(&c.done, 0, 0), 0);
	pool_submit(c.pool, submit_next, &c);
	(void)sem_wait(&c.done);
	c.pool = pool_free(c.pool);
	assert_int_equal(atomic_load(&c.left), 0);
	(void)sem_destroy(&c.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_jobs_run),
		cmocka_unit_test(test_as_many_threads_as_needed_and_allowed),
		cmocka_unit_test(test_urgent_jobs_pass_the_limit_and_the_queue),
		cmocka_unit_test(test_one_thread_keeps_the_order),
		cmocka_unit_test(test_idle_workers_are_found),
		cmocka_unit_test(test_workers_are_small_and_deaf),
		cmocka_unit_test(test_jobs_submit_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
