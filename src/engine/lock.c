/* engine/lock.c - flock(2) that does not wait for ever. */
#include "engine/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"

struct lock_wait { /* shared by who waits and the worker; freed by the second one to leave */
	int fd;    /* owned: another descriptor of the same open file, which has the lock */
	sem_t done;
	atomic_int users;
};

static void leave(struct lock_wait *w)
{
	if (atomic_fetch_sub(&w->users, 1) > 1)
		return;
	(void)sem_destroy(&w->done);
	fd_close(&w->fd);
	free(w);
}

static void lock_job(void *data)
{
	struct lock_wait *w = data;

	while (flock(w->fd, LOCK_EX) < 0 && errno == EINTR)
		;
	(void)sem_post(&w->done);
	leave(w);
}

int lock_within(struct pool *pool, int fd, unsigned seconds)
{
	struct lock_wait *w;
	struct timespec end;
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK && errno != EINTR)
		return -errno;
	w = xnew0(struct lock_wait);
	w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)sem_init(&w->done, 0, 0);
	atomic_init(&w->users, 2);
	pool_submit(pool, lock_job, w);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do
		r = sem_clockwait(&w->done, CLOCK_MONOTONIC, &end);
	while (r < 0 && errno == EINTR);
	leave(w);
	return r < 0 ? -ETIMEDOUT : 0;
}
