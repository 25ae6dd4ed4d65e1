/* runtime/launch_priv.h - starting a process with its stages; what create and exec have in common. */
#pragma once

#include <sys/types.h>

#include "runtime/setup_priv.h"

struct launched {
	pid_t pid;
	int pidfd;   /* owned */
	int sync_fd; /* owned */
};

/* clone3 a process that runs the stages.  s->join_fds[USER] and [PID] (or s->target_pidfd's pid
 * namespace) are joined on its behalf.  cgroup_fd: CLONE_INTO_CGROUP, or -EBADF.  Until its
 * execve(2) it is not dumpable; it exits when all copies of ret->sync_fd are closed before GO. */
int launch_clone(struct setup *s, const struct stage *stages, size_t n, int cgroup_fd,
		 struct launched *ret, struct error *err);
/* Kill and reap; accepts a pid of 0. */
void launch_kill(pid_t pid, int pidfd);
/* Fill err with what the process reported before it went away. */
int launch_why_gone(int sync_fd, struct error *err);
/* Send a message; if the process is gone, err says what it reported before. */
int launch_tell(int sync_fd, enum sync_type type, struct error *err);
/* The same with a descriptor, which stays the caller's. */
int launch_give(int sync_fd, enum sync_type type, int fd, struct error *err);
/* Send GO and wait for execve(2). */
int launch_go(int sync_fd, struct error *err);
/* Wait for execve(2) of a process that has been sent GO before it was READY, and has nothing to
 * ask. */
int launch_await_exec(int sync_fd, struct error *err);

int launch_set_oom_score(int proc_fd, pid_t pid, const struct oci_process *p, struct error *err);
/* The path of an open directory, for the state document; malloc'd. */
char *launch_fd_path(int fd);

/* As runtime_create, but process 1 waits for its word to go on a listening socket, and its set-up
 * after that is not this process's business. */
int runtime_create_listening(const struct runtime_create_args *args, int listen_fd,
			     struct runtime_container **ret, struct error *err);
