/* Files' contents and attributes, on a thread of their own.
 *
 * A ring of batches: the caller fills the one at `head`, the thread works from `tail` to `head`.  A batch is a
 * buffer of contents and paths and a table of jobs that point into it.
 */
#include "store/unpack_writer.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/tar.h"
#include "store/unpack_priv.h"

#define BATCHES    3
#define BATCH_SIZE (128 * 1024)
#define BATCH_JOBS 64 /* descriptors that are open */
#define STACK_SIZE (128 * 1024)
#define WRITE_MIN  (16 * 1024)

struct batch {
	char *data; /* owned, BATCH_SIZE bytes; NULL until used */
	size_t used, n;
	struct {
		struct unpack_job job; /* fd owned; path in data */
		const char *content;   /* in data */
	} v[BATCH_JOBS];
};

struct unpack_writer {
	struct batch batch[BATCHES];
	unsigned long head; /* batches handed over; written by the caller, under the lock */
	unsigned long tail; /* batches done; written by the thread, under the lock */
	bool threaded, unthreadable, stop;
	int result;         /* of the thread's jobs; under the lock */
	struct error error; /* owned: the first one's; under the lock */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

struct unpack_writer *unpack_writer_new(void)
{
	struct unpack_writer *w = xnew0(struct unpack_writer);

	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->cond, NULL);
	return w;
}

/* ---- jobs ---- */

int unpack_job_finish(const struct unpack_job *job, struct error *err)
{
	const struct timespec times[2] = {job->mtime, job->mtime};

	/* chown clears set-id bits and capabilities: the mode comes after it. */
	if (job->uid != (uid_t)-1 && fchown(job->fd, job->uid, job->gid) < 0)
		return unpack_error(err, errno, job->path, "set its owner");
	if (job->mode != (mode_t)-1 && fchmod(job->fd, job->mode) < 0)
		return unpack_error(err, errno, job->path, "set its mode");
	if (futimens(job->fd, times) < 0)
		return unpack_error(err, errno, job->path, "set its times");
	/* A hint, so that the disk is at work while we are: the commit's syncfs() waits.  Files that are
	 * smaller are many, and have little of the bytes. */
	if (job->size >= WRITE_MIN)
		(void)sync_file_range(job->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int run_job(const struct unpack_job *job, const char *content, struct error *err)
{
	int r = fd_write_full(job->fd, content, job->len);

	if (r < 0)
		return unpack_error(err, -r, job->path, "write");
	return unpack_job_finish(job, err);
}

/* Afterwards all its descriptors are closed, and it is empty. */
static int run_batch(struct batch *b, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (r >= 0)
			r = run_job(&b->v[i].job, b->v[i].content, err);
		fd_close(&b->v[i].job.fd);
	}
	b->n = b->used = 0;
	return r;
}

/* ---- the thread ---- */

static void *write_thread(void *data)
{
	struct unpack_writer *w = data;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		struct error err = {0};
		int r;

		while (w->tail == w->head && !w->stop)
			(void)pthread_cond_wait(&w->cond, &w->lock);
		if (w->stop)
			break;
		(void)pthread_mutex_unlock(&w->lock);
		r = run_batch(&w->batch[w->tail % BATCHES], &err);
		(void)pthread_mutex_lock(&w->lock);
		if (r < 0 && w->result >= 0) {
			w->result = r;
			w->error = err;
		} else {
			error_done(&err);
		}
		w->tail++;
		(void)pthread_cond_signal(&w->cond);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void start_thread(struct unpack_writer *w)
{
	pthread_attr_t attr;
	sigset_t all, old;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)sigfillset(&all); /* signals belong to the loop */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	w->threaded = pthread_create(&w->thread, &attr, write_thread, w) == 0;
	w->unthreadable = !w->threaded;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
}

/* ---- the caller ---- */

static struct batch *current(struct unpack_writer *w)
{
	return &w->batch[w->head % BATCHES];
}

/* The batch at head is full. */
static int hand_over(struct unpack_writer *w, struct error *err)
{
	bool mine = true;
	int r;

	if (!w->threaded && !w->unthreadable)
		start_thread(w);
	(void)pthread_mutex_lock(&w->lock);
	r = w->result;
	if (r < 0)
		r = error_move(err, &w->error, r);
	else if (w->threaded && w->head + 1 - w->tail < BATCHES) {
		w->head++;
		mine = false;
		(void)pthread_cond_signal(&w->cond);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return r < 0 || !mine ? r : run_batch(current(w), err);
}

static int make_room(struct unpack_writer *w, size_t len, struct error *err)
{
	struct batch *b = current(w);
	int r = 0;

	if (b->n == BATCH_JOBS || b->used + len > BATCH_SIZE)
		r = hand_over(w, err);
	b = current(w);
	if (r >= 0 && !b->data)
		b->data = xrealloc(NULL, BATCH_SIZE, 1);
	return r;
}

int unpack_writer_room(struct unpack_writer *w, size_t len, char **ret, struct error *err)
{
	int r = make_room(w, len + TAR_MAX_PATH + 1, err);
	struct batch *b = current(w);

	if (r < 0)
		return r;
	*ret = b->data + b->used;
	return 0;
}

int unpack_writer_put(struct unpack_writer *w, const struct unpack_job *job, struct error *err)
{
	size_t path_len = strlen(job->path) + 1;
	/* A content has its room already, and that of its path. */
	int fd = job->fd, r = job->len > 0 ? 0 : make_room(w, path_len, err);
	struct batch *b = current(w);

	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	assert(path_len <= TAR_MAX_PATH + 1 && b->n < BATCH_JOBS);
	b->v[b->n].job = *job;
	b->v[b->n].content = b->data + b->used;
	b->used += job->len;
	b->v[b->n].job.path = memcpy(b->data + b->used, job->path, path_len);
	b->used += path_len;
	b->n++;
	return 0;
}

int unpack_writer_flush(struct unpack_writer *w, struct error *err)
{
	int r = run_batch(current(w), err);

	(void)pthread_mutex_lock(&w->lock);
	while (w->tail != w->head)
		(void)pthread_cond_wait(&w->cond, &w->lock);
	if (r >= 0 && w->result < 0)
		r = error_move(err, &w->error, w->result);
	(void)pthread_mutex_unlock(&w->lock);
	return r;
}

struct unpack_writer *unpack_writer_free(struct unpack_writer *w)
{
	if (!w)
		return NULL;
	if (w->threaded) {
		(void)pthread_mutex_lock(&w->lock);
		w->stop = true;
		(void)pthread_cond_signal(&w->cond);
		(void)pthread_mutex_unlock(&w->lock);
		(void)pthread_join(w->thread, NULL);
	}
	for (size_t i = 0; i < BATCHES; i++) {
		for (size_t k = 0; k < w->batch[i].n; k++)
			fd_close(&w->batch[i].v[k].job.fd);
		free(w->batch[i].data);
	}
	error_done(&w->error);
	(void)pthread_cond_destroy(&w->cond);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}
