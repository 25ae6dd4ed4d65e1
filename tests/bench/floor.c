/* The floor: the bare kernel calls of a container's start, without any engine around them.
 *
 *   floor ROOTFS N         prints the median microseconds of N rounds of: a cgroup directory for each v1
 *                          controller, clone with new mount, pid, network, uts, ipc namespaces, proc, sysfs,
 *                          tmpfs, devpts, pivot_root, exec of /bin/true, wait, removal
 *   floor ROOTFS N bridge  the same with an overlay on ROOTFS, whose upper directory is made and removed, and a
 *                          veth pair with an address and a route on a bridge, whose end is not waited for
 *   floor ROOTFS N keep    N of the first kind that run `sleep` beside each other, until standard input ends
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/netaddr.h"
#include "linux/netlink_socket.h"
#include "linux/rtnl.h"

#define BRIDGE "floor0"

static const char *const controllers[] = {"memory", "cpu", "cpuset", "pids", "blkio", "devices"};

struct floor {
	const char *rootfs;
	bool bridged, kept;
	struct netlink *nl; /* bridged */
	int bridge;         /* its index */
};

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

/* -- inside ------------------------------------------------------------------------------------ */

static void mount_root(const struct floor *f)
{
	char options[PATH_MAX];

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("propagation");
	(void)snprintf(options, sizeof(options), "lowerdir=rootfs,upperdir=upper,workdir=work");
	if (chdir(f->rootfs) < 0 || (f->bridged && chdir("..") < 0) ||
	    (f->bridged ? mount("overlay", "merged", "overlay", 0, options)
			: mount(".", ".", NULL, MS_BIND, NULL)) < 0 ||
	    chdir(f->bridged ? "merged" : f->rootfs) < 0)
		die("rootfs");
}

static void join_network(int fd)
{
	autonetlink struct netlink *nl = NULL;
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct netaddr_prefix address;
	struct netaddr gateway;
	struct error err = {0};
	char c;

	if (read(fd, &c, 1) != 1 || netlink_open(NETLINK_ROUTE, &nl, &err) < 0 ||
	    netaddr_prefix_parse("10.251.0.2/24", &address) < 0 ||
	    netaddr_parse("10.251.0.1", &gateway) < 0)
		die("network");
	rtnl_add_address(b, (int)if_nametoindex("eth0"), &address);
	rtnl_set_up(b, "eth0");
	rtnl_add_default_route(b, (int)if_nametoindex("eth0"), &gateway);
	if (netlink_batch_run(nl, b, &err) < 0)
		die(error_msg(&err));
}

static void child(const struct floor *f, int fd)
{
	char *const once[] = {(char *)"true", NULL}, *const long_[] = {(char *)"sleep",
								       (char *)"100000", NULL};

	mount_root(f);
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
	if (f->bridged)
		join_network(fd);
	(void)execv(f->kept ? "/bin/sleep" : "/bin/true", f->kept ? long_ : once);
	die("exec");
}

/* -- outside ----------------------------------------------------------------------------------- */

static void cgroups(const char *name, bool remove)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", controllers[i], name);
		(void)(remove ? rmdir(path) : mkdir(path, 0755));
	}
}

/* The overlay's directories stand beside the root file system. */
static void overlay_dirs(const struct floor *f, bool remove)
{
	static const char *const names[] = {"work/work", "upper", "work", "merged"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/../%s", f->rootfs, names[i]);
		if (!remove && i > 0 && mkdir(path, 0755) < 0)
			die("mkdir");
		if (remove && rmdir(path) < 0 && errno != ENOENT)
			die("rmdir");
	}
}

static void make_bridge(struct floor *f)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	struct error err = {0};

	if (netlink_open(NETLINK_ROUTE, &f->nl, &err) < 0)
		die(error_msg(&err));
	rtnl_add_bridge(b, BRIDGE, mac, 1500);
	rtnl_set_up(b, BRIDGE);
	if (netlink_batch_run(f->nl, b, &err) < 0)
		die(error_msg(&err));
	f->bridge = (int)if_nametoindex(BRIDGE);
}

static void join(const struct floor *f, pid_t pid, int fd)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	char path[64], port[IFNAMSIZ];
	struct rtnl_veth veth = {.name = port,
				 .master = f->bridge,
				 .mtu = 1500,
				 .peer_name = "eth0",
				 .peer_mac = mac};
	struct error err = {0};

	/* The one before goes with its namespace, which takes its time. */
	(void)snprintf(port, sizeof(port), "floor%d", (int)pid);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	veth.peer_netns = open(path, O_RDONLY | O_CLOEXEC);
	rtnl_add_veth(b, &veth);
	rtnl_set_up(b, port);
	if (netlink_batch_run(f->nl, b, &err) < 0)
		die(error_msg(&err));
	if (close(veth.peer_netns) < 0 || write(fd, "", 1) != 1)
		die("join");
}

static pid_t start(const struct floor *f, const char *cgroup)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC,
		.exit_signal = SIGCHLD,
	};
	int sync[2];
	long pid;

	cgroups(cgroup, false);
	if (f->bridged)
		overlay_dirs(f, false);
	if (pipe2(sync, O_CLOEXEC) < 0)
		die("pipe");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (pid == 0)
		child(f, sync[0]);
	if (f->bridged)
		join(f, (pid_t)pid, sync[1]);
	(void)close(sync[0]);
	(void)close(sync[1]);
	return (pid_t)pid;
}

static uint64_t round_us(const struct floor *f)
{
	uint64_t begin = now_us();
	int status;

	if (waitpid(start(f, "vessel-floor"), &status, 0) < 0 || status != 0)
		die("wait");
	if (f->bridged)
		overlay_dirs(f, true);
	cgroups("vessel-floor", true);
	return now_us() - begin;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure(const struct floor *f, uint32_t n)
{
	uint64_t *times = xcalloc(n, sizeof(*times));

	for (uint32_t i = 0; i < n; i++)
		times[i] = round_us(f);
	qsort(times, n, sizeof(*times), by_value);
	printf("%llu\n", (unsigned long long)times[n / 2]);
	free(times);
}

static void keep(const struct floor *f, uint32_t n)
{
	pid_t *pids = xcalloc(n, sizeof(*pids));
	char name[64], c;

	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "vessel-floor-%u", i);
		pids[i] = start(f, name);
	}
	printf("%u\n", n);
	(void)fflush(stdout);
	(void)!read(STDIN_FILENO, &c, 1);
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "vessel-floor-%u", i);
		if (kill(pids[i], SIGKILL) < 0 || waitpid(pids[i], NULL, 0) < 0)
			die("end");
		cgroups(name, true);
	}
	free(pids);
}

int main(int argc, char **argv)
{
	struct floor f = {.rootfs = argc > 1 ? argv[1] : "",
			  .bridged = argc > 3 && str_eq(argv[3], "bridge"),
			  .kept = argc > 3 && str_eq(argv[3], "keep")};
	uint32_t n = 0;

	if (argc < 3 || argc > 4 || (argc == 4 && !f.bridged && !f.kept) ||
	    str_parse_u32(argv[2], &n) < 0 || n == 0 || n > 100000) {
		(void)fprintf(stderr, "usage: floor ROOTFS N [bridge|keep]\n");
		return 2;
	}
	if (f.bridged)
		make_bridge(&f);
	if (f.kept)
		keep(&f, n);
	else
		measure(&f, n);
	if (f.bridged)
		(void)netlink_close(f.nl);
	return 0;
}
