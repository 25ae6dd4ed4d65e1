/* linux/clone.h - a process by clone3(2), or by clone(2) where the kernel has only that (before Linux
 * 5.3, or behind a filter that answers ENOSYS).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct error;
struct sys_clone_args;

/* As sys_clone3().  In both processes *ret_left (may be NULL) are the flags that clone(2) could not
 * do and that are the new process's own business: CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP. */
pid_t clone_process(struct sys_clone_args *args, uint64_t *ret_left);
/* Instead of CLONE_INTO_CGROUP: the calling process moves into a cgroup, by its directory. */
int clone_enter_cgroup(int cgroup_fd, struct error *err);
