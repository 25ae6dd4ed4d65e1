/* A stream's transformation on a thread of its own.
 *
 * Two rings of chunks under one lock.  The caller fills `in` and empties `out`; the thread the other way
 * round.  Either copies into or out of a chunk without the lock: a chunk has one owner, told by the
 * counters.
 */
#include "store/conveyor.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#define CHUNK_SIZE (128 * 1024)
#define CHUNKS     4 /* in a ring */
#define CHUNKS_MAX (CONVEYOR_MAX_AHEAD / CHUNK_SIZE)
#define STACK_SIZE (256 * 1024)

struct ring {
	char *chunk[CHUNKS_MAX]; /* owned */
	size_t len[CHUNKS_MAX];
	unsigned n;               /* of chunks that are used */
	unsigned long head, tail; /* chunks put and chunks taken, under the lock */
	size_t pos;               /* of the taker in the chunk at tail */
};

struct conveyor {
	const struct stream_reader *source; /* borrowed */
	const struct stream_reader *work;   /* borrowed */
	struct ring in, out;
	bool eof;      /* of source: nothing more comes into `in` */
	bool finished; /* the thread puts nothing more into `out` */
	bool stop, threaded;
	ssize_t result;     /* of the thread's last read: 0 or an error */
	struct error error; /* owned: the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

static bool ring_full(const struct ring *r)
{
	return r->head - r->tail == r->n;
}

static bool ring_empty(const struct ring *r)
{
	return r->head == r->tail;
}

/* The chunk to put into. */
static char *ring_slot(struct ring *r)
{
	char **chunk = &r->chunk[r->head % r->n];

	if (!*chunk)
		*chunk = xrealloc(NULL, CHUNK_SIZE, 1);
	return *chunk;
}

static void ring_done(struct ring *r)
{
	for (unsigned i = 0; i < r->n; i++)
		free(r->chunk[i]);
}

/* Copy from the chunk at tail, which the taker owns; true: it is used up. */
static bool ring_copy(struct ring *r, void *buf, size_t size, size_t *ret)
{
	unsigned long i = r->tail % r->n;
	size_t n = r->len[i] - r->pos;

	n = n < size ? n : size;
	memcpy(buf, r->chunk[i] + r->pos, n);
	r->pos += n;
	*ret = n;
	return r->pos == r->len[i];
}

static void ring_next(struct conveyor *c, struct ring *r)
{
	r->tail++;
	r->pos = 0;
	(void)pthread_cond_signal(&c->cond);
}

struct conveyor *conveyor_new(const struct stream_reader *in)
{
	struct conveyor *c = xnew0(struct conveyor);

	c->source = in;
	c->in.n = c->out.n = CHUNKS;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->cond, NULL);
	return c;
}

void conveyor_set_ahead(struct conveyor *c, size_t bytes)
{
	size_t n = bytes / CHUNK_SIZE;

	c->out.n = n < 1 ? 1 : n > CHUNKS_MAX ? CHUNKS_MAX : (unsigned)n;
}

/* ---- on the thread ---- */

static ssize_t source_read(void *data, void *buf, size_t size, struct error *err)
{
	struct conveyor *c = data;
	bool stop, empty;
	size_t n = 0;

	(void)pthread_mutex_lock(&c->lock);
	while (ring_empty(&c->in) && !c->eof && !c->stop)
		(void)pthread_cond_wait(&c->cond, &c->lock);
	stop = c->stop;
	empty = ring_empty(&c->in);
	(void)pthread_mutex_unlock(&c->lock);
	if (stop)
		return error_set(err, ERROR_INTERNAL, ECANCELED, "read");
	if (empty)
		return 0;
	if (ring_copy(&c->in, buf, size, &n)) {
		(void)pthread_mutex_lock(&c->lock);
		ring_next(c, &c->in);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return (ssize_t)n;
}

struct stream_reader conveyor_source(struct conveyor *c)
{
	return (struct stream_reader){.read = source_read, .data = c};
}

static void *run(void *data)
{
	struct conveyor *c = data;
	ssize_t n = 1;

	while (n > 0) {
		char *chunk;
		bool stop;

		(void)pthread_mutex_lock(&c->lock);
		while (ring_full(&c->out) && !c->stop)
			(void)pthread_cond_wait(&c->cond, &c->lock);
		stop = c->stop;
		(void)pthread_mutex_unlock(&c->lock);
		if (stop)
			break;
		chunk = ring_slot(&c->out);
		n = c->work->read(c->work->data, chunk, CHUNK_SIZE, &c->error);
		(void)pthread_mutex_lock(&c->lock);
		if (n > 0) {
			c->out.len[c->out.head % c->out.n] = (size_t)n;
			c->out.head++;
		} else {
			c->result = n;
			c->finished = true;
		}
		(void)pthread_cond_signal(&c->cond);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* ---- on the caller's ---- */

int conveyor_start(struct conveyor *c, const struct stream_reader *work)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	c->work = work;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)sigfillset(&all); /* signals belong to the loop */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&c->thread, &attr, run, c);
	c->threaded = r == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

/* Read one chunk ahead.  Called and returns with the lock held; not in between. */
static int feed(struct conveyor *c, struct error *err)
{
	char *chunk = ring_slot(&c->in);
	ssize_t n;

	(void)pthread_mutex_unlock(&c->lock);
	n = c->source->read(c->source->data, chunk, CHUNK_SIZE, err);
	(void)pthread_mutex_lock(&c->lock);
	if (n < 0)
		return (int)n;
	if (n == 0) {
		c->eof = true;
	} else {
		c->in.len[c->in.head % c->in.n] = (size_t)n;
		c->in.head++;
	}
	(void)pthread_cond_signal(&c->cond);
	return 0;
}

/* Until something is in `out`, or nothing will be; once more if there is room for input. */
static int wait_output(struct conveyor *c, struct error *err)
{
	for (bool fed = false;; fed = true) {
		bool room = !ring_full(&c->in) && !c->eof && !c->finished;
		int r;

		if ((!ring_empty(&c->out) && (fed || !room)) ||
		    (ring_empty(&c->out) && c->finished))
			return 0;
		if (!room) {
			(void)pthread_cond_wait(&c->cond, &c->lock);
			continue;
		}
		r = feed(c, err);
		if (r < 0)
			return r;
	}
}

ssize_t conveyor_read(struct conveyor *c, void *buf, size_t size, struct error *err)
{
	size_t n = 0;
	bool done;
	int r;

	(void)pthread_mutex_lock(&c->lock);
	r = wait_output(c, err);
	done = ring_empty(&c->out);
	(void)pthread_mutex_unlock(&c->lock);
	if (r < 0)
		return r;
	if (done)
		return c->result < 0 ? error_move(err, &c->error, (int)c->result) : 0;
	if (ring_copy(&c->out, buf, size, &n)) {
		(void)pthread_mutex_lock(&c->lock);
		ring_next(c, &c->out);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return (ssize_t)n;
}

struct conveyor *conveyor_free(struct conveyor *c)
{
	if (!c)
		return NULL;
	if (c->threaded) {
		(void)pthread_mutex_lock(&c->lock);
		c->stop = true;
		(void)pthread_cond_signal(&c->cond);
		(void)pthread_mutex_unlock(&c->lock);
		(void)pthread_join(c->thread, NULL);
	}
	ring_done(&c->in);
	ring_done(&c->out);
	error_done(&c->error);
	(void)pthread_cond_destroy(&c->cond);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}
