/* Processes by descriptor, on kernels with pidfds and without. */
#include "linux/pidfd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "linux/sys.h"

#define STAND_IN_POLL_MS 5 /* nobody tells of an exit there */

static bool missing; /* pidfd_open(2), found out once; no stand-in is there before */

static bool is_directory(int fd)
{
	struct stat st;

	return missing && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_directory(pid_t pid)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

int pidfd_of(pid_t pid)
{
	int fd;

	if (pid <= 0)
		return -ESRCH;
	if (!missing) {
		fd = sys_pidfd_open(pid, 0);
		if (fd >= 0 || errno != ENOSYS)
			return fd >= 0 ? fd : -errno;
		missing = true;
	}
	return open_directory(pid);
}

/* The number behind either kind of descriptor; -ESRCH once it is reaped. */
static pid_t number_of(int fd)
{
	char path[64], target[64];
	autofree char *text = NULL;
	const char *line;
	long pid = -1;
	ssize_t n;

	if (is_directory(fd)) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		line = strrchr(target, '/');
		pid = line && faccessat(fd, "stat", F_OK, 0) == 0 ? strtol(line + 1, NULL, 10) : -1;
	} else {
		(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		if (file_read(AT_FDCWD, path, 4096, &text, NULL, NULL) >= 0) {
			line = strstr(text, "\nPid:");
			pid = line ? strtol(line + strlen("\nPid:"), NULL, 10) : -1;
		}
	}
	return pid > 0 ? (pid_t)pid : -ESRCH;
}

int pidfd_signal(int fd, int signo)
{
	pid_t pid;

	if (sys_pidfd_send_signal(fd, signo) == 0)
		return 0;
	if (errno != ENOSYS && errno != EBADF)
		return -errno;
	/* Between this look and the signal the number could be another's: such a kernel has no more. */
	pid = number_of(fd);
	if (pid < 0)
		return pid;
	return kill(pid, signo) == 0 ? 0 : -errno;
}

/* By procfs: gone, or a zombie. */
static bool directory_exited(int fd)
{
	autofree char *text = NULL;
	const char *p;

	if (file_read(fd, "stat", 4096, &text, NULL, NULL) < 0)
		return true;
	p = strrchr(text, ')'); /* the name may hold anything */
	return p && p[1] && (p[2] == 'Z' || p[2] == 'X');
}

int pidfd_wait(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	if (is_directory(fd)) {
		for (int left = timeout_ms; !directory_exited(fd); left -= STAND_IN_POLL_MS) {
			if (timeout_ms >= 0 && left <= 0)
				return 0;
			(void)poll(NULL, 0, STAND_IN_POLL_MS);
		}
		return 1;
	}
	while ((r = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
		;
	return r != 0;
}

int pidfd_pollable(int fd)
{
	return is_directory(fd) ? -EBADF : fd;
}

/* One by one; the user namespace first, which gives the right to the others. */
static int join_each(int dir_fd, uint64_t flags)
{
	static const struct {
		uint64_t flag;
		const char *path;
	} kinds[] = {
		{CLONE_NEWUSER, "ns/user"},     {CLONE_NEWIPC, "ns/ipc"},
		{CLONE_NEWUTS, "ns/uts"},       {CLONE_NEWNET, "ns/net"},
		{CLONE_NEWPID, "ns/pid"},       {CLONE_NEWNS, "ns/mnt"},
		{CLONE_NEWCGROUP, "ns/cgroup"}, {CLONE_NEWTIME, "ns/time"},
	};
	int fds[ARRAY_SIZE(kinds)], r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) { /* before any is joined */
		fds[i] = -EBADF;
		if (r == 0 && flags & kinds[i].flag) {
			fds[i] = openat(dir_fd, kinds[i].path, O_RDONLY | O_CLOEXEC);
			r = fds[i] < 0 ? -errno : 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (r == 0 && fds[i] >= 0 && setns(fds[i], (int)kinds[i].flag) < 0)
			r = -errno;
		fd_close(&fds[i]);
	}
	return r == -ENOENT ? -ESRCH : r;
}

int pidfd_join(int fd, uint64_t flags)
{
	autoclose int dir_fd = -EBADF;
	pid_t pid;

	if (setns(fd, (int)flags) == 0)
		return 0;
	if (errno != EINVAL) /* not a descriptor to join by */
		return -errno;
	pid = number_of(fd);
	if (pid < 0)
		return pid;
	dir_fd = open_directory(pid);
	return dir_fd < 0 ? dir_fd : join_each(dir_fd, flags);
}
