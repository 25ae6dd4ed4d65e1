/* The floor: the bare kernel calls of a container's start, without any engine around them.
 *
 *   floor ROOTFS N   prints the median microseconds of N rounds of: a cgroup directory for each v1
 *   controller, clone with new mount, pid, network, uts, ipc namespaces, proc, sysfs, tmpfs, devpts,
 *   pivot_root, exec of /bin/true, wait, removal.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const controllers[] = {"memory", "cpu", "cpuset", "pids", "blkio", "devices"};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void child(const char *rootfs)
{
	char *const argv[] = {(char *)"true", NULL};

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(rootfs, rootfs, NULL, MS_BIND, NULL) < 0 || chdir(rootfs) < 0)
		die("rootfs");
	(void)mkdir("proc", 0755);
	(void)mkdir("sys", 0755);
	(void)mkdir("dev", 0755);
	if (mount("proc", "proc", "proc", 0, NULL) < 0 ||
	    mount("sysfs", "sys", "sysfs", MS_RDONLY, NULL) < 0 ||
	    mount("tmpfs", "dev", "tmpfs", 0, "mode=755,size=64k") < 0)
		die("mounts");
	(void)mkdir("dev/pts", 0755);
	if (mount("devpts", "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") < 0)
		die("devpts");
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot_root");
	(void)execv("/bin/true", argv);
	die("exec");
}

static void cgroups(const char *name, int remove)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", controllers[i], name);
		if (remove)
			(void)rmdir(path);
		else
			(void)mkdir(path, 0755);
	}
}

static uint64_t round_us(const char *rootfs)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC,
		.exit_signal = SIGCHLD,
	};
	uint64_t start = now_us();
	int status;
	long pid;

	cgroups("vessel-floor", 0);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (pid == 0)
		child(rootfs);
	if (waitpid((pid_t)pid, &status, 0) < 0 || status != 0)
		die("wait");
	cgroups("vessel-floor", 1);
	return now_us() - start;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	uint32_t n = 0;
	uint64_t *times;

	if (argc != 3 || str_parse_u32(argv[2], &n) < 0 || n == 0 || n > 100000) {
		(void)fprintf(stderr, "usage: floor ROOTFS N\n");
		return 2;
	}
	times = xcalloc(n, sizeof(*times));
	for (uint32_t i = 0; i < n; i++)
		times[i] = round_us(argv[1]);
	qsort(times, n, sizeof(*times), by_value);
	printf("%llu\n", (unsigned long long)times[n / 2]);
	free(times);
	return 0;
}
