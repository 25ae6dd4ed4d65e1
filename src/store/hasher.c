/* SHA-256 on a thread of its own.
 *
 * A ring of chunks: the caller copies into the one at `head`, the thread hashes those from `tail` to
 * `head`.  If no thread can be had, the caller hashes full chunks itself.
 */
#include "store/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#define CHUNK_SIZE (128 * 1024)
#define CHUNKS     4 /* in the ring */
#define CHUNKS_MAX (HASHER_MAX_AHEAD / CHUNK_SIZE)
#define STACK_SIZE (64 * 1024)

struct hasher {
	struct sha256 *sha;      /* owned; the thread's while there are chunks to hash */
	char *chunk[CHUNKS_MAX]; /* owned; NULL until used */
	unsigned n;              /* of chunks that are used */
	size_t fill;             /* bytes in the chunk at head */
	unsigned long head;      /* chunks filled; written by the caller, under the lock */
	unsigned long tail;      /* chunks hashed; written by the thread, under the lock */
	bool threaded, failed, stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

struct hasher *hasher_new(void)
{
	struct hasher *h = xnew0(struct hasher);

	h->sha = sha256_new();
	h->n = CHUNKS;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->cond, NULL);
	return h;
}

void hasher_set_ahead(struct hasher *h, size_t bytes)
{
	size_t n = bytes / CHUNK_SIZE;

	h->n = n < 2 ? 2 : n > CHUNKS_MAX ? CHUNKS_MAX : (unsigned)n;
}

static void *hash_thread(void *data)
{
	struct hasher *h = data;

	(void)pthread_mutex_lock(&h->lock);
	for (;;) {
		while (h->tail == h->head && !h->stop)
			(void)pthread_cond_wait(&h->cond, &h->lock);
		if (h->tail == h->head)
			break;
		(void)pthread_mutex_unlock(&h->lock);
		sha256_update(h->sha, h->chunk[h->tail % h->n], CHUNK_SIZE);
		(void)pthread_mutex_lock(&h->lock);
		h->tail++;
		(void)pthread_cond_signal(&h->cond);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void start_thread(struct hasher *h)
{
	pthread_attr_t attr;
	sigset_t all, old;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)sigfillset(&all); /* signals belong to the loop */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	h->threaded = pthread_create(&h->thread, &attr, hash_thread, h) == 0;
	h->failed = !h->threaded;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
}

/* The chunk at head is full. */
static void push_chunk(struct hasher *h)
{
	if (!h->threaded && !h->failed)
		start_thread(h);
	if (h->failed) {
		sha256_update(h->sha, h->chunk[h->head % h->n], CHUNK_SIZE);
	} else {
		(void)pthread_mutex_lock(&h->lock);
		h->head++;
		(void)pthread_cond_signal(&h->cond);
		while (h->head - h->tail == h->n)
			(void)pthread_cond_wait(&h->cond, &h->lock);
		(void)pthread_mutex_unlock(&h->lock);
	}
	h->fill = 0;
}

void hasher_update(struct hasher *h, const void *p, size_t len)
{
	while (len > 0) {
		char **chunk = &h->chunk[h->head % h->n];
		size_t n = CHUNK_SIZE - h->fill;

		n = n < len ? n : len;
		if (!*chunk)
			*chunk = xrealloc(NULL, CHUNK_SIZE, 1);
		memcpy(*chunk + h->fill, p, n);
		h->fill += n;
		p = (const char *)p + n;
		len -= n;
		if (h->fill == CHUNK_SIZE)
			push_chunk(h);
	}
}

static void stop_thread(struct hasher *h)
{
	if (!h->threaded)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->stop = true;
	(void)pthread_cond_signal(&h->cond);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	h->threaded = false;
}

void hasher_digest(struct hasher *h, char ret[static DIGEST_STRING_SIZE])
{
	stop_thread(h);
	if (h->fill > 0)
		sha256_update(h->sha, h->chunk[h->head % h->n], h->fill);
	h->fill = 0;
	sha256_digest(h->sha, ret);
}

struct hasher *hasher_free(struct hasher *h)
{
	if (!h)
		return NULL;
	stop_thread(h);
	for (unsigned i = 0; i < h->n; i++)
		free(h->chunk[i]);
	(void)sha256_free(h->sha);
	(void)pthread_cond_destroy(&h->cond);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}
