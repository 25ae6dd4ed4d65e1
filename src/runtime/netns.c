/* A network namespace made by a thread. */
#include "runtime/netns.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/scheduling.h"
#include "runtime/setup_priv.h"

#define STACK_SIZE ((size_t)128 * 1024)

struct netns_maker {
	pthread_t thread;
	bool own_stack;
	sem_t process; /* posted once sync_fd is known */
	int sync_fd;   /* borrowed; -EBADF: there is no process */
	int fd;        /* the thread's result: owned, or -errno */
};

/* A process that is gone already has said why, on the same socket.  One that is there must not wait
 * for ever for what does not come, nor its creator for it: both see the end of the socket. */
static void hand_over(struct netns_maker *m)
{
	int r = m->fd < 0 ? m->fd : sync_send(m->sync_fd, SYNC_NETNS, m->fd);

	if (r >= 0 || r == -EPIPE || r == -ECONNRESET)
		return;
	fd_close(&m->fd);
	m->fd = r;
	(void)shutdown(m->sync_fd, SHUT_RDWR);
}

/* Mapping a stack, and a guard page before it, costs as much as the thread itself. */
static _Alignas(64) char stack[STACK_SIZE];
static atomic_flag stack_is_used;

static void use_stack(struct netns_maker *m, pthread_attr_t *attr)
{
	m->own_stack = !atomic_flag_test_and_set(&stack_is_used) &&
		       pthread_attr_setstack(attr, stack, sizeof(stack)) == 0;
	if (!m->own_stack)
		(void)pthread_attr_setstacksize(attr, STACK_SIZE);
}

static void maker_free(struct netns_maker *m)
{
	if (m->own_stack)
		atomic_flag_clear(&stack_is_used);
	(void)sem_destroy(&m->process);
	free(m);
}

/* unshare(2) moves the calling thread alone. */
static void *make(void *data)
{
	struct netns_maker *m = data;

	m->fd = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	if (m->fd == 0) {
		m->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		m->fd = m->fd < 0 ? -errno : m->fd;
	}
	while (sem_wait(&m->process) < 0)
		continue; /* EINTR */
	if (m->sync_fd >= 0)
		hand_over(m);
	return NULL;
}

static void move_away(pthread_t thread)
{
	struct scheduling_cpus others;

	if (scheduling_other_cpus(&others))
		(void)pthread_setaffinity_np(thread, sizeof(others.words),
					     (const cpu_set_t *)(const void *)others.words);
}

struct netns_maker *netns_maker_start(void)
{
	struct netns_maker *m = xnew0(struct netns_maker);
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	m->sync_fd = m->fd = -EBADF;
	(void)sem_init(&m->process, 0, 0);
	(void)pthread_attr_init(&attr);
	use_stack(m, &attr);
	(void)sigfillset(&all); /* signals are the caller's */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&m->thread, &attr, make, m);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r == 0) {
		move_away(m->thread);
		return m;
	}
	maker_free(m);
	return NULL;
}

void netns_maker_hand_to(struct netns_maker *m, int sync_fd)
{
	m->sync_fd = sync_fd;
	(void)sem_post(&m->process);
}

int netns_maker_finish(struct netns_maker *m, struct error *err)
{
	int fd;

	(void)sem_post(&m->process); /* nobody to hand it to: the thread must not wait for ever */
	(void)pthread_join(m->thread, NULL);
	fd = m->fd;
	maker_free(m);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, -fd, "make the network namespace");
	return fd;
}
