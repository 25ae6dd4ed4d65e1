/* Starting programs with posix_spawn(3).
 *
 * The child's descriptors are set by dup2 in some order, and a dup2 must not overwrite the source
 * of a later one, nor the binary's descriptor.  So every source at or below the highest number
 * wanted in the child is first duplicated above it.
 */
#include "base/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/spawn_few.h"
#include "base/str.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

struct moved_fds {
	int *fds; /* owned, open ones owned too */
	size_t n;
};

static void moved_fds_done(struct moved_fds *m)
{
	for (size_t i = 0; i < m->n; i++)
		fd_close(&m->fds[i]);
	free(m->fds);
}

static int highest_child_fd(const struct spawn_args *args)
{
	int highest = STDERR_FILENO;

	for (size_t i = 0; i < args->fd_count; i++)
		if (args->fds[i].child_fd > highest)
			highest = args->fds[i].child_fd;
	return highest;
}

/* A descriptor for the same file above `highest`: fd itself, or a duplicate that *m owns. */
static int move_above(struct moved_fds *m, int fd, int highest)
{
	int moved;

	if (fd > highest)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, highest + 1);
	if (moved < 0)
		return -errno;
	m->fds[m->n++] = moved;
	return moved;
}

static int plan_fds(const struct spawn_args *args, posix_spawn_file_actions_t *actions,
		    struct moved_fds *moved, int *ret_exec_fd)
{
	int highest = highest_child_fd(args), r = 0;
	bool given[STDERR_FILENO + 1] = {false};

	for (size_t i = 0; r == 0 && i < args->fd_count; i++) {
		int fd = move_above(moved, args->fds[i].fd, highest);

		if (fd < 0)
			return fd;
		if (args->fds[i].child_fd <= STDERR_FILENO)
			given[args->fds[i].child_fd] = true;
		r = -posix_spawn_file_actions_adddup2(actions, fd, args->fds[i].child_fd);
	}
	for (int fd = 0; r == 0 && fd <= STDERR_FILENO; fd++)
		if (!given[fd])
			r = -posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	if (r == 0 && !args->path) {
		r = move_above(moved, args->exec_fd, highest);
		if (r >= 0) {
			*ret_exec_fd = r;
			r = 0;
		}
	}
	return r;
}

static int plan_attributes(posix_spawnattr_t *attr, bool new_session)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (new_session)
		flags |= POSIX_SPAWN_SETSID;
	r = posix_spawnattr_setflags(attr, flags);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	return -r;
}

static int spawn_planned(const struct spawn_args *args, posix_spawn_file_actions_t *actions,
			 posix_spawnattr_t *attr, pid_t *ret_pid)
{
	__attribute__((cleanup(moved_fds_done))) struct moved_fds moved = {
		.fds = xnew0n(int, args->fd_count + 1),
	};
	char *const *envp = args->envp ? (char *const *)args->envp : environ;
	const char *path = args->path;
	char fd_path[32];
	int exec_fd = -EBADF, r;

	r = plan_fds(args, actions, &moved, &exec_fd);
	if (r == 0)
		r = plan_attributes(attr, args->new_session);
	if (r < 0)
		return r;
	if (!path) { /* the child's own /proc/self: the descriptor is open there until exec */
		(void)snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", exec_fd);
		path = fd_path;
	}
	return -posix_spawn(ret_pid, path, actions, attr, (char *const *)args->argv, envp);
}

static void reap(pid_t pid, int *ret_wstatus)
{
	while (waitpid(pid, ret_wstatus, 0) < 0 && errno == EINTR)
		;
}

void spawn_prepare(void)
{
	spawn_few_prepare();
}

static int start(const struct spawn_args *args, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	if (spawn_few_can(args))
		return spawn_few(args, ret_pid);
	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r == 0) {
		r = spawn_planned(args, &actions, &attr, ret_pid);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

int spawn(const struct spawn_args *args, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	const char *name = args->path ? args->path : args->argv[0];
	pid_t pid;
	int r = start(args, &pid);

	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "start program '%s'", name);
	if (ret_pidfd) { /* nobody else reaps it, so the number is still the child's */
		long fd = syscall(SYS_pidfd_open, pid, 0);

		if (fd < 0 && errno == ENOSYS)
			fd = -EBADF;
		else if (fd < 0) {
			r = error_set(err, ERROR_INTERNAL, errno, "open pidfd of '%s'", name);
			(void)kill(pid, SIGKILL);
			reap(pid, NULL);
			return r;
		}
		*ret_pidfd = (int)fd; /* CLOEXEC by birth */
	}
	*ret_pid = pid;
	return 0;
}

static int collect(int fd, struct strbuf *out)
{
	for (;;) {
		/* One byte more than allowed, so that the limit itself is no error. */
		size_t room = out->max - out->len < 4096 ? out->max - out->len : 4096;
		char *p = room > 0 ? strbuf_reserve(out, room) : NULL;
		char extra;
		ssize_t n = read(fd, p ? p : &extra, p ? room : 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (!p)
			return -E2BIG;
		strbuf_advance(out, (size_t)n);
	}
}

int spawn_run(const struct spawn_args *args, size_t max_output, char **ret_output, int *ret_status,
	      struct error *err)
{
	const char *name = args->path ? args->path : args->argv[0];
	autostrbuf struct strbuf out = STRBUF_INIT(max_output);
	autofree struct spawn_fd *fds = xnew0n(struct spawn_fd, args->fd_count + 1);
	autoclose int from = -EBADF, to = -EBADF;
	struct spawn_args with_pipe = *args;
	int pipe_fds[2], wstatus = 0, r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a pipe for '%s'", name);
	from = pipe_fds[0];
	to = pipe_fds[1];
	for (size_t i = 0; i < args->fd_count; i++) {
		assert(args->fds[i].child_fd != STDOUT_FILENO);
		fds[i] = args->fds[i];
	}
	fds[args->fd_count] = (struct spawn_fd){.fd = to, .child_fd = STDOUT_FILENO};
	with_pipe.fds = fds;
	with_pipe.fd_count = args->fd_count + 1;
	r = spawn(&with_pipe, &pid, NULL, err);
	if (r < 0)
		return r;
	fd_close(&to);
	r = collect(from, &out);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	reap(pid, &wstatus);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "read the output of '%s'", name);
	if (ret_output)
		*ret_output = strbuf_take(&out);
	*ret_status = WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
	return 0;
}
