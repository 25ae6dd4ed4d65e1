/* Starting programs from a process with thousands of descriptors.
 *
 * posix_spawn(3) copies the table of descriptors, and execve(2) closes all but a handful of the copies,
 * each with what that takes: 0.7 ms with 4,000.  Here the child shares the table until close_range(2)
 * gives it one of its own, of which all from some number on is never copied.  What it shall
 * have must be below: in slots whose low numbers were taken when there were few.
 */
#include "base/spawn_few.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define UNSHARE (1U << 1) /* CLOSE_RANGE_UNSHARE (Linux 5.9) */

#define SLOTS      8
#define SLOT_FIRST 32 /* above whatever number a child wants */
#define STACK_SIZE 65536

static struct {
	pthread_mutex_t lock; /* of the slots and the stack */
	bool ready;           /* constant after spawn_few_prepare */
	int null_fd;          /* what is in a slot otherwise */
	int slots[SLOTS];
	unsigned limit; /* the number above the last slot */
	char stack[STACK_SIZE] __attribute__((aligned(64)));
} few = {.lock = PTHREAD_MUTEX_INITIALIZER};

void spawn_few_prepare(void)
{
	if (few.ready || syscall(SYS_close_range, UINT_MAX, UINT_MAX, UNSHARE) < 0)
		return;
	few.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < SLOTS; i++) {
		few.slots[i] = fcntl(few.null_fd, F_DUPFD_CLOEXEC, SLOT_FIRST);
		if (few.slots[i] < 0)
			return;
		few.limit = (unsigned)few.slots[i] + 1;
	}
	few.ready = true;
}

bool spawn_few_can(const struct spawn_args *args)
{
	if (!few.ready || args->fd_count + 1 > SLOTS)
		return false;
	for (size_t i = 0; i < args->fd_count; i++)
		if (args->fds[i].child_fd >= SLOT_FIRST)
			return false;
	return true;
}

struct child {
	const struct spawn_args *args;
	char fd_path[32];
	int error; /* set by the child, whose memory is ours */
};

static void reset_signals(void)
{
	sigset_t none;

	/* What is handled is so by the time it could arrive. */
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_descriptors(const struct spawn_args *args)
{
	bool given[STDERR_FILENO + 1] = {false};

	for (size_t i = 0; i < args->fd_count; i++) {
		int child_fd = args->fds[i].child_fd;

		if (dup3(few.slots[i], child_fd, 0) < 0)
			return -errno;
		if (child_fd <= STDERR_FILENO)
			given[child_fd] = true;
	}
	for (int child_fd = 0; child_fd <= STDERR_FILENO; child_fd++)
		if (!given[child_fd] && dup3(few.null_fd, child_fd, 0) < 0)
			return -errno;
	return 0;
}

/* Returns only if it fails. */
static int run_child(void *data)
{
	struct child *c = data;
	const struct spawn_args *a = c->args;
	int r = syscall(SYS_close_range, few.limit, UINT_MAX, UNSHARE) < 0 ? -errno : 0;

	if (r == 0)
		reset_signals();
	if (r == 0 && a->new_session && setsid() < 0)
		r = -errno;
	if (r == 0)
		r = set_descriptors(a);
	if (r == 0) {
		(void)execve(a->path ? a->path : c->fd_path, (char *const *)a->argv,
			     a->envp ? (char *const *)a->envp : environ);
		r = -errno;
	}
	c->error = r;
	_exit(127);
}

static int fill_slots(const struct spawn_args *args, size_t *ret_used)
{
	size_t n = 0;

	for (; n < args->fd_count; n++)
		if (dup3(args->fds[n].fd, few.slots[n], O_CLOEXEC) < 0) {
			*ret_used = n;
			return -errno;
		}
	*ret_used = n;
	if (args->path)
		return 0;
	if (dup3(args->exec_fd, few.slots[n], O_CLOEXEC) < 0)
		return -errno;
	*ret_used = n + 1;
	return few.slots[n];
}

int spawn_few(const struct spawn_args *args, pid_t *ret_pid)
{
	struct child c = {.args = args};
	sigset_t all, old;
	size_t used = 0;
	pid_t pid = -1;
	int r;

	(void)sigfillset(&all);
	(void)pthread_mutex_lock(&few.lock);
	r = fill_slots(args, &used);
	if (r >= 0) {
		/* its own /proc/self: the descriptor is open there until exec */
		(void)snprintf(c.fd_path, sizeof(c.fd_path), "/proc/self/fd/%d", r);
		(void)pthread_sigmask(SIG_SETMASK, &all, &old);
		pid = clone(run_child, few.stack + STACK_SIZE,
			    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &c);
		r = pid < 0 ? -errno : c.error;
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	for (size_t i = 0; i < used; i++)
		(void)dup3(few.null_fd, few.slots[i], O_CLOEXEC);
	(void)pthread_mutex_unlock(&few.lock);
	if (r < 0 && pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	*ret_pid = pid;
	return r;
}
