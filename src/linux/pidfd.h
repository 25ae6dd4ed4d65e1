/* linux/pidfd.h - a process held by a descriptor that never comes to mean another one.
 *
 * A pidfd; where the kernel has no pidfd_open(2) (before Linux 5.3, or behind a filter) the process's
 * directory of procfs, which poll(2) can do nothing with: hence pidfd_wait().
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct error;

/* The descriptor, or -errno: -ESRCH when there is no such process. */
int pidfd_of(pid_t pid);
/* 0 or -errno. */
int pidfd_signal(int fd, int signo);
/* Wait at most timeout_ms (-1: without end) until it has exited: 1; 0: it has not. */
int pidfd_wait(int fd, int timeout_ms);
/* What poll(2) may wait for together with other things; -EBADF: ask pidfd_wait() now and then. */
int pidfd_pollable(int fd);
#define PIDFD_ASK_MS 50
/* Join those of its namespaces: CLONE_NEW* (setns(2); by pidfd since Linux 5.8).  -errno. */
int pidfd_join(int fd, uint64_t flags);
