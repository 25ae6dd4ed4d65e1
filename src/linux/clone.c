/* clone3(2) and what stands in for it. */
#include "linux/clone.h"

#include <errno.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/sys.h"

/* Neither libc's clone() nor fork(): the child goes on here, on a copy of this stack. */
static pid_t old_clone(const struct sys_clone_args *args)
{
	unsigned long flags = (unsigned long)(args->flags | args->exit_signal);
	void *pidfd = (void *)(uintptr_t)args->pidfd; /* CLONE_PIDFD (5.2): where parent_tid is */

#if defined(__s390x__)
	return (pid_t)syscall(SYS_clone, NULL, flags, pidfd, NULL, NULL);
#else /* tls and child_tid, whose order differs, are not used */
	return (pid_t)syscall(SYS_clone, flags, NULL, pidfd, NULL, NULL);
#endif
}

pid_t clone_process(struct sys_clone_args *args, uint64_t *ret_left)
{
	const uint64_t only_clone3 = CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
	static bool missing; /* clone3, found out once */
	struct sys_clone_args old = *args;

	if (ret_left)
		*ret_left = 0;
	if (!missing) {
		pid_t pid = sys_clone3(args);

		if (pid >= 0 || errno != ENOSYS)
			return pid;
		missing = true;
	}
	if (ret_left)
		*ret_left = old.flags & only_clone3;
	old.flags &= ~only_clone3;
	return old_clone(&old);
}

int clone_enter_cgroup(int cgroup_fd, struct error *err)
{
	autoclose int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the cgroup");
	return 0;
}
