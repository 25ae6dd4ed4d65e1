/* base/spawn.h - the one file that starts programs.
 *
 * posix_spawn(3) semantics: nothing of ours runs between fork and exec.  Every fd of ours is
 * CLOEXEC, so the child gets exactly the fds listed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct spawn_fd {
	int fd;       /* borrowed; ours */
	int child_fd; /* number in the child */
};

struct spawn_args {
	const char *path;        /* absolute, or NULL with exec_fd */
	int exec_fd;             /* used when path is NULL: an O_PATH or readable fd of a binary */
	const char *const *argv; /* NULL-terminated */
	const char *const *envp; /* NULL: ours */
	const struct spawn_fd *fds; /* 0, 1, 2 not listed: /dev/null */
	size_t fd_count;
	bool new_session; /* setsid */
};

/* Early in the life of a process that will have thousands of descriptors, while it has one thread: from then on
 * starting a program costs the same with however many (Linux 5.9). */
void spawn_prepare(void);

/* *ret_pidfd may be NULL if not wanted; the caller owns it and reaps the child.  -EBADF where the
 * kernel has no pidfd_open(2) (before Linux 5.3). */
int spawn(const struct spawn_args *args, pid_t *ret_pid, int *ret_pidfd, struct error *err);

/* Spawn, feed nothing, collect stdout (at most max_output bytes, else -E2BIG), wait; *ret_status is
 * the exit code, or 128+signal.  For short-lived helpers in workers. */
int spawn_run(const struct spawn_args *args, size_t max_output, char **ret_output, int *ret_status,
	      struct error *err);
