/* Worker threads, made on demand. */
#include "base/pool.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#define STACK_SIZE     ((size_t)512 * 1024)
#define IDLE_TIMEOUT_S 10
#define KEPT_THREADS   2 /* for when the process table is full */

struct job {
	struct job *next;
	void (*fn)(void *data);
	void *data;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* for idle workers: a job, or the end */
	pthread_cond_t gone; /* for pool_free: a worker has ended */
	struct job *first, **end;
	size_t n_queued;
	unsigned n_threads, n_idle, max_threads;
	bool closing;
};

struct pool *pool_new(unsigned max_threads)
{
	struct pool *p = xnew0(struct pool);
	pthread_condattr_t attr;

	p->max_threads = max_threads;
	p->end = &p->first;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->work, &attr);
	(void)pthread_cond_init(&p->gone, NULL);
	(void)pthread_condattr_destroy(&attr);
	return p;
}

/* Called with the lock held. */
static struct job *take_job(struct pool *p)
{
	struct job *j = p->first;

	if (!j)
		return NULL;
	p->first = j->next;
	if (!p->first)
		p->end = &p->first;
	p->n_queued--;
	return j;
}

/* Called with the lock held, returns with it held; NULL is the worker's end. */
static struct job *wait_for_job(struct pool *p)
{
	struct timespec until;
	struct job *j;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_TIMEOUT_S;
	while (!(j = take_job(p)) && !p->closing && (r == 0 || p->n_threads <= KEPT_THREADS)) {
		p->n_idle++;
		r = p->n_threads <= KEPT_THREADS
			    ? pthread_cond_wait(&p->work, &p->lock)
			    : pthread_cond_timedwait(&p->work, &p->lock, &until);
		p->n_idle--;
	}
	return j;
}

static void *worker(void *data)
{
	struct pool *p = data;
	struct job *j;

	(void)pthread_mutex_lock(&p->lock);
	while ((j = wait_for_job(p)) != NULL) {
		(void)pthread_mutex_unlock(&p->lock);
		j->fn(j->data);
		free(j);
		(void)pthread_mutex_lock(&p->lock);
	}
	p->n_threads--;
	(void)pthread_cond_signal(&p->gone); /* under the lock: *p may be gone right after it */
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool start_worker(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Threads inherit the mask; signals are for the loop's thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, &attr, worker, p);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return r == 0;
}

/* Called with the lock held; the job comes back if there is no thread at all. */
static struct job *find_worker(struct pool *p, unsigned max_threads)
{
	bool enough = p->n_queued <= p->n_idle;

	if (enough)
		(void)pthread_cond_signal(&p->work);
	if ((enough && p->n_threads >= KEPT_THREADS) || p->n_threads >= max_threads)
		return NULL;
	p->n_threads++;
	if (!start_worker(p))
		p->n_threads--;
	return p->n_threads == 0 ? take_job(p) : NULL;
}

static void submit(struct pool *p, void (*fn)(void *data), void *data, bool urgent)
{
	struct job *j = xnew0(struct job);

	j->fn = fn;
	j->data = data;
	(void)pthread_mutex_lock(&p->lock);
	if (urgent) {
		j->next = p->first;
		p->first = j;
		if (!j->next)
			p->end = &j->next;
	} else {
		*p->end = j;
		p->end = &j->next;
	}
	p->n_queued++;
	j = find_worker(p, urgent ? UINT_MAX : p->max_threads);
	(void)pthread_mutex_unlock(&p->lock);
	if (j) {
		j->fn(j->data);
		free(j);
	}
}

void pool_submit(struct pool *p, void (*fn)(void *data), void *data)
{
	submit(p, fn, data, false);
}

void pool_submit_urgent(struct pool *p, void (*fn)(void *data), void *data)
{
	submit(p, fn, data, true);
}

struct pool *pool_free(struct pool *p)
{
	if (!p)
		return NULL;
	(void)pthread_mutex_lock(&p->lock);
	p->closing = true;
	(void)pthread_cond_broadcast(&p->work);
	while (p->n_threads > 0)
		(void)pthread_cond_wait(&p->gone, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_cond_destroy(&p->gone);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}
