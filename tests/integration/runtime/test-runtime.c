/* The runtime library against the kernel: root, a directory and cgroups of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "box.h"
#include "linux/cgroup.h"
#include "linux/clone.h"
#include "linux/rootless.h"
#include "linux/sys.h"

static struct box_result result;

/* -- running ------------------------------------------------------------------------------- */

static void exit_codes_and_output(void **state)
{
	(void)state;
	box_run(&(struct box){.args = "\"true\""}, &result);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "");
	box_run(&(struct box){.script = "echo out; echo err >&2; exit 7"}, &result);
	assert_int_equal(result.status, 7);
	assert_string_equal(result.out, "out\nerr\n");
	box_run(
		&(struct box){
			.script = "kill -9 $$; sleep 5; exit 3",
			.namespaces =
				"{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"uts\"}"},
		&result);
	assert_int_equal(result.status, 137);
}

static void is_process_1_of_its_own_world(void **state)
{
	(void)state;
	box_run(&(struct box){.script = "echo $$; hostname; ps -o pid | wc -l; ip -o link | wc -l; "
					"ip -o link | grep -c 'lo:.*LOOPBACK,UP'"},
		&result);
	/* wc sees its own ps: header, sh, ps and wc */
	assert_true(str_has_prefix(result.out, "1\nbox\n"));
	assert_true(str_has_suffix(result.out, "1\n"));
}

static void namespaces_are_new(void **state)
{
	static const char *const names[] = {"mnt", "pid", "net", "uts", "ipc", "cgroup", "time"};

	(void)state;
	box_run(
		&(struct box){
			.namespaces =
				"{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{"
				"\"type\":\"uts\"},"
				"{\"type\":\"mount\"},{\"type\":\"cgroup\"},{\"type\":\"time\"}",
			.script = "for n in mnt pid net uts ipc cgroup time; do readlink "
				  "/proc/self/ns/$n; done"},
		&result);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64], ours[64];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		n = readlink(path, ours, sizeof(ours) - 1);
		assert_true(n > 0);
		ours[n] = '\0';
		assert_contains(result.out, names[i]);
		assert_lacks(result.out, ours);
	}
}

static void absent_namespaces_are_shared(void **state)
{
	char ours[64];
	ssize_t n = readlink("/proc/self/ns/net", ours, sizeof(ours) - 1);

	(void)state;
	ours[n] = '\0';
	box_run(&(struct box){.namespaces =
				      "{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":\"mount\"}",
			      .script = "readlink /proc/self/ns/net"},
		&result);
	assert_contains(result.out, ours);
}

static void time_offsets(void **state)
{
	unsigned long uptime;

	(void)state;
	box_run(&(struct box){.namespaces = "{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":"
					    "\"mount\"},{\"type\":\"time\"}",
			      .linux_ = ",\"timeOffsets\":{\"boottime\":{\"secs\":100000000}}",
			      .script = "cat /proc/uptime"},
		&result);
	uptime = strtoul(result.out, NULL, 10);
	assert_true(uptime >= 100000000);
}

/* -- identity ------------------------------------------------------------------------------ */

static void user_groups_umask_home(void **state)
{
	(void)state;
	box_run(&(struct box){.process = ",\"user\":{\"uid\":1000,\"gid\":1001,\"umask\":63,"
					 "\"additionalGids\":[5,6]}",
			      .script = "id -u; id -g; id -G; umask; echo $HOME"},
		&result);
	assert_string_equal(result.out, "1000\n1001\n1001 5 6\n0077\n/\n");
}

static void capabilities_are_exact(void **state)
{
	(void)state;
	box_run(&(struct box){.script = "grep ^Cap /proc/self/status"}, &result);
	assert_string_equal(result.out, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000021\n"
					"CapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n"
					"CapAmb:\t0000000000000000\n");
	/* a user keeps none but the ambient ones */
	box_run(&(struct box){.process = ",\"user\":{\"uid\":1000,\"gid\":1000}",
			      .caps = "{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"permitted\":["
				      "\"CAP_KILL\"],"
				      "\"inheritable\":[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]}",
			      .script = "grep ^Cap /proc/self/status"},
		&result);
	assert_string_equal(result.out, "CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\n"
					"CapEff:\t0000000000000020\nCapBnd:\t0000000000000021\n"
					"CapAmb:\t0000000000000020\n");
	/* what does not exist is only warned about */
	box_run(&(struct box){.caps = "{\"bounding\":[\"CAP_NO_SUCH_THING\"]}",
			      .script = "grep ^CapBnd /proc/self/status"},
		&result);
	assert_contains(result.out, "0000000000000000");
}

static void no_new_privileges(void **state)
{
	(void)state;
	box_run(&(struct box){.process = ",\"noNewPrivileges\":true",
			      .script = "grep NoNewPrivs /proc/self/status"},
		&result);
	assert_string_equal(result.out, "NoNewPrivs:\t1\n");
	box_run(&(struct box){.script = "grep NoNewPrivs /proc/self/status"}, &result);
	assert_string_equal(result.out, "NoNewPrivs:\t0\n");
}

static void rlimits(void **state)
{
	struct error err;

	(void)state;
	box_run(&(struct box){.process = ",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":77,"
					 "\"hard\":99}]",
			      .script = "ulimit -Sn; ulimit -Hn"},
		&result);
	assert_string_equal(result.out, "77\n99\n");
	box_fail(
		&(struct box){
			.process =
				",\"rlimits\":[{\"type\":\"RLIMIT_FOO\",\"soft\":1,\"hard\":1}]"},
		&err);
	assert_contains(err.msg, "RLIMIT_FOO");
	error_done(&err);
}

static void oom_score(void **state)
{
	(void)state;
	box_run(&(struct box){.process = ",\"oomScoreAdj\":333",
			      .script = "cat /proc/self/oom_score_adj"},
		&result);
	assert_string_equal(result.out, "333\n");
}

static const char deny_mkdir[] = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
				 "\"architectures\":[\"SCMP_ARCH_X86_64\"],"
				 "\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":"
				 "\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}";

static void seccomp_filters(void **state)
{
	autofree char *cache = xasprintf("%s/tmp/cache", box_dir);

	(void)state;
	assert_int_equal(mkdir(cache, 0700), 0);
	for (int round = 0; round < 2; round++) { /* compiled, then from the cache */
		box_run(&(struct box){.linux_ = deny_mkdir,
				      .seccomp_cache_dir = cache,
				      .script = "mkdir /tmp/x; touch /tmp/y && echo yes; grep "
						"^Seccomp: /proc/self/status"},
			&result);
		assert_contains(result.out, "No space left on device");
		assert_contains(result.out, "yes\n");
		assert_contains(result.out, "Seccomp:\t2");
	}
	/* and for a user, with no_new_privs */
	box_run(&(struct box){.linux_ = deny_mkdir,
			      .seccomp_cache_dir = cache,
			      .process = ",\"noNewPrivileges\":true,\"user\":{\"uid\":1,\"gid\":1}",
			      .script = "mkdir /tmp/z"},
		&result);
	assert_contains(result.out, "No space left on device");
	/* and without it */
	box_run(&(struct box){.linux_ = deny_mkdir,
			      .seccomp_cache_dir = cache,
			      .process = ",\"user\":{\"uid\":1,\"gid\":1}",
			      .script = "mkdir /tmp/z; grep CapEff /proc/self/status"},
		&result);
	assert_contains(result.out, "No space left on device");
	assert_contains(result.out, "CapEff:\t0000000000000000");
}

static void seccomp_errors_name_the_place(void **state)
{
	struct error err;

	(void)state;
	box_fail(
		&(struct box){
			.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":"
				  "[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_FOO\"}]}"},
		&err);
	assert_contains(err.msg, "syscalls[0]");
	assert_contains(err.msg, "SCMP_ACT_FOO");
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	box_fail(&(struct box){.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}"},
		 &err);
	assert_contains(err.msg, "listenerPath");
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
}

/* -- failures ------------------------------------------------------------------------------ */

static void what_cannot_be_executed(void **state)
{
	static const struct {
		const char *args, *message;
		int code;
	} cases[] = {
		{"\"nope\"", "exec: \"nope\": executable file not found in $PATH", 127},
		{"\"/nope\"", "exec: \"/nope\": stat /nope: no such file or directory", 127},
		{"\"/etc\"", "exec: \"/etc\": is a directory", 126},
		{"\"/etc/passwd\"", "exec: \"/etc/passwd\": permission denied", 126},
		{"\"/etc/garbage\"", "exec: \"/etc/garbage\": exec format error", 126},
	};
	autofree char *passwd = xasprintf("%s/bundle/rootfs/etc/passwd", box_dir);
	autofree char *garbage = xasprintf("%s/bundle/rootfs/etc/garbage", box_dir);

	(void)state;
	assert_int_equal(
		file_write_atomic(AT_FDCWD, passwd, "r:x:0:0::/root:/bin/sh\n", 23, 0644, 0, NULL),
		0);
	assert_int_equal(file_write_atomic(AT_FDCWD, garbage, "\1\2\3\4", 4, 0755, 0, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err;

		box_fail(&(struct box){.args = cases[i].args}, &err);
		assert_string_equal(err.msg, cases[i].message);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_int_equal(runtime_error_exit_code(&err), cases[i].code);
		error_done(&err);
	}
	/* HOME comes from that passwd file */
	box_run(&(struct box){.script = "echo $HOME"}, &result);
	assert_string_equal(result.out, "/root\n");
}

static void cwd_cannot_leave(void **state)
{
	struct error err;

	(void)state;
	for (int fd = 3; fd < 20; fd++) {
		char process[64];

		(void)snprintf(process, sizeof(process), ",\"cwd\":\"/proc/self/fd/%d\"", fd);
		box_fail(&(struct box){.process = process}, &err);
		error_done(&err);
	}
	box_run(&(struct box){.process = ",\"cwd\":\"/made/for/you\"", .script = "pwd"}, &result);
	assert_string_equal(result.out, "/made/for/you\n");
}

static void no_descriptor_leaks(void **state)
{
	int leak = fcntl(STDIN_FILENO, F_DUPFD, 10); /* not CLOEXEC, on purpose */

	(void)state;
	assert_true(leak >= 0);
	box_run(&(struct box){.script = "ls /proc/self/fd"}, &result);
	(void)close(leak);
	/* 3 is ls reading the directory */
	assert_string_equal(result.out, "0\n1\n2\n3\n");
}

/* -- mounts -------------------------------------------------------------------------------- */

static void devices(void **state)
{
	(void)state;
	box_run(&(struct box){.linux_ = ",\"devices\":[{\"path\":\"/dev/sub/"
					"mynull\",\"type\":\"c\",\"major\":1,"
					"\"minor\":3,\"fileMode\":384,\"uid\":7,\"gid\":8}]",
			      .script = "for d in null zero full random urandom tty; do stat -c "
					"'%n %t:%T %a %F' /dev/$d; done; "
					"echo x >/dev/null; readlink /dev/ptmx; readlink /dev/fd; "
					"stat -c '%t:%T %a %u:%g' /dev/sub/mynull"},
		&result);
	assert_string_equal(result.out, "/dev/null 1:3 666 character special file\n"
					"/dev/zero 1:5 666 character special file\n"
					"/dev/full 1:7 666 character special file\n"
					"/dev/random 1:8 666 character special file\n"
					"/dev/urandom 1:9 666 character special file\n"
					"/dev/tty 5:0 666 character special file\n"
					"pts/ptmx\n/proc/self/fd\n1:3 600 7:8\n");
}

static void masked_and_readonly_paths(void **state)
{
	(void)state;
	box_run(
		&(struct box){
			.linux_ = ",\"maskedPaths\":[\"/proc/version\",\"/etc\",\"/proc/fs\",\"/no/"
				  "such\"],"
				  "\"readonlyPaths\":[\"/proc/sys\",\"/tmp\",\"/nor/this\"]",
			.script =
				"cat /proc/version | wc -c; ls /etc | wc -l; ls /proc/fs | wc -l; "
				"touch /etc/x /tmp/x; echo 1 >/proc/sys/kernel/msgmax; ls /tmp "
				">/dev/null && echo read"},
		&result);
	assert_true(str_has_prefix(result.out, "0\n0\n0\n"));
	assert_contains(result.out, "/etc/x: Read-only file system");
	assert_contains(result.out, "/tmp/x: Read-only file system");
	assert_contains(result.out, "can't create /proc/sys/kernel/msgmax: Read-only file system");
	assert_contains(result.out, "read\n");
}

static void readonly_root(void **state)
{
	(void)state;
	box_run(&(struct box){.root = "{\"path\":\"rootfs\",\"readonly\":true}",
			      .mounts = ",{\"destination\":\"/"
					"scratch\",\"type\":\"tmpfs\",\"source\":\"t\",\"options\":"
					"[\"size=1m\"]}",
			      .script = "touch /x; touch /scratch/x && echo fine"},
		&result);
	assert_contains(result.out, "/x: Read-only file system");
	assert_contains(result.out, "fine\n");
}

static void bind_mounts(void **state)
{
	autofree char *file = xasprintf("%s/tmp/file", box_dir);
	autofree char *sub = xasprintf("%s/tmp/tree", box_dir),
		      *deep = xasprintf("%s/tmp/tree/deep", box_dir);
	autofree char *mounts = xasprintf(
		",{\"destination\":\"/etc/config\",\"source\":\"%s\",\"options\":[\"bind\",\"ro\"]}"
		",{\"destination\":\"/a/b/"
		"c\",\"type\":\"bind\",\"source\":\"%s\",\"options\":[\"rbind\",\"rprivate\"]}"
		",{\"destination\":\"/"
		"ro\",\"type\":\"bind\",\"source\":\"%s\",\"options\":[\"rbind\",\"rro\"]}"
		",{\"destination\":\"/relative\",\"type\":\"bind\",\"source\":\"../tmp/"
		"tree\",\"options\":[\"bind\"]}",
		file, sub, sub);

	(void)state;
	assert_int_equal(file_write_atomic(AT_FDCWD, file, "hello\n", 6, 0644, 0, NULL), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	assert_int_equal(mount("t", deep, "tmpfs", 0, NULL), 0);
	{
		struct error err = {0};
		struct box_run r;

		assert_int_equal(
			box_create(
				&(struct box){
					.mounts = mounts,
					.script = "cat /etc/config; echo x >>/etc/config; touch "
						  "/a/b/c/one /a/b/c/deep/two && echo written; "
						  "touch /ro/x; touch /ro/deep/x; ls /ro /ro/deep; "
						  "ls /relative/deep | wc -l"},
				&r, &err),
			0);
		assert_int_equal(umount2(deep, 0), 0); /* the container has its own copy */
		assert_int_equal(box_start(&r, &err), 0);
		box_finish(&r, &result);
	}
	assert_true(str_has_prefix(result.out, "hello\n"));
	assert_contains(result.out, "/etc/config: Read-only file system");
	assert_contains(result.out, "written\n");
	assert_contains(result.out, "/ro/x: Read-only file system");
	assert_contains(result.out, "/ro/deep/x: Read-only file system");
	assert_true(str_has_suffix(result.out, "two\n0\n"));
}

static void mount_options(void **state)
{
	struct error err;

	(void)state;
	box_run(&(struct box){.mounts = ",{\"destination\":\"/"
					"t\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":"
					"[\"noexec\",\"nosuid\",\"nodev\",\"noatime\",\"size=64k\","
					"\"mode=1700\"]}",
			      .script = "grep ' /t ' /proc/self/mountinfo; stat -c %a /t"},
		&result);
	assert_contains(result.out, "nosuid,nodev,noexec,noatime");
	assert_contains(result.out, "size=64k");
	assert_contains(result.out, "1700\n");
	box_fail(&(struct box){.mounts = ",{\"destination\":\"/"
					 "t\",\"type\":\"tmpfs\",\"options\":[\"frobnicate=1\"]}"},
		 &err);
	assert_contains(err.msg, "mount '/t'");
	assert_contains(err.msg, "frobnicate");
	error_done(&err);
	box_fail(&(struct box){.mounts = ",{\"destination\":\"/t\",\"type\":\"bind\",\"source\":\"/"
					 "no/such/thing\"}"},
		 &err);
	assert_contains(err.msg, "/no/such/thing");
	error_done(&err);
}

/* -- tricks -------------------------------------------------------------------------------- */

static char *in_rootfs(const char *name)
{
	return xasprintf("%s/bundle/rootfs/%s", box_dir, name);
}

static void links_stay_inside(void **state)
{
	autofree char *outside = xasprintf("%s/tmp/outside", box_dir);
	autofree char *link = in_rootfs("escape"), *up = in_rootfs("up");
	struct stat st;

	(void)state;
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(symlink("../../../../../../../../..", up), 0);
	/* An absolute link is resolved in the container's root, where the directory does not exist: a
	 * dangling link is refused, not followed. */
	{
		struct error err;

		box_fail(
			&(struct box){
				.mounts = ",{\"destination\":\"/escape/x\",\"type\":\"tmpfs\"}"},
			&err);
		error_done(&err);
	}
	box_run(&(struct box){.mounts = ",{\"destination\":\"/up/inside\",\"type\":\"tmpfs\"}",
			      .script = "grep -c ' /inside ' /proc/self/mountinfo"},
		&result);
	assert_string_equal(result.out, "1\n");
	assert_int_equal(stat(outside, &st), -1);
	assert_int_equal(stat("/inside", &st), -1);
	(void)unlink(link);
	(void)unlink(up);
}

static void dev_and_proc_may_not_be_links(void **state)
{
	autofree char *dev = in_rootfs("dev"), *proc = in_rootfs("proc"), *real = in_rootfs("real");
	autofree char *target = xasprintf("%s/tmp", box_dir);
	struct error err;

	(void)state;
	assert_int_equal(rmdir(proc), 0);
	assert_int_equal(mkdir(real, 0755), 0);
	assert_int_equal(symlink("real", proc), 0);
	box_fail(&(struct box){0}, &err);
	assert_contains(err.msg, "/proc");
	error_done(&err);
	(void)unlink(proc);
	assert_int_equal(mkdir(proc, 0755), 0);

	assert_int_equal(rmdir(dev), 0);
	assert_int_equal(symlink(target, dev), 0);
	box_fail(&(struct box){0}, &err);
	error_done(&err);
	(void)unlink(dev);
	assert_int_equal(mkdir(dev, 0755), 0);
	(void)rmdir(real);
}

static void proc_is_not_mounted_over(void **state)
{
	static const char *const bad[] = {
		",{\"destination\":\"/proc\",\"type\":\"tmpfs\"}",
		",{\"destination\":\"/proc/sys\",\"type\":\"tmpfs\"}",
		",{\"destination\":\"/x/../proc/sys/kernel\",\"type\":\"bind\",\"source\":\"/"
		"tmp\"}",
		",{\"destination\":\"/proc\",\"type\":\"bind\",\"source\":\"/tmp\"}",
		",{\"destination\":\"/sneaky/kernel\",\"type\":\"tmpfs\"}",
	};
	autofree char *sneaky = in_rootfs("sneaky");

	(void)state;
	assert_int_equal(symlink("/proc/sys", sneaky), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err;

		box_fail(&(struct box){.mounts = bad[i]}, &err);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
	(void)unlink(sneaky);
}

/* -- overlay ------------------------------------------------------------------------------- */

#define LAYERS 100

static void overlay_root(void **state)
{
	autofree char *root = xasprintf("%s/bundle/rootfs", box_dir);
	autofree char *upper = xasprintf("%s/tmp/upper", box_dir),
		      *work = xasprintf("%s/tmp/work", box_dir);
	autofree char *written = xasprintf("%s/tmp/upper/written", box_dir);
	autofree char *long_name = xasprintf("%s/tmp/%0200d", box_dir, 1);
	autofree char *long_path = xasprintf("%s/%0200d", long_name, 2);
	const char *lower[LAYERS + 2];
	struct runtime_rootfs rootfs = {.lower = lower, .upper = upper, .work = work};

	(void)state;
	assert_int_equal(mkdir(upper, 0755), 0);
	assert_int_equal(mkdir(work, 0755), 0);
	assert_int_equal(mkdir(long_name, 0755), 0);
	assert_int_equal(mkdir(long_path, 0755), 0); /* longer than fsconfig takes */
	for (size_t i = 0; i < LAYERS; i++) {
		char *layer = xasprintf("%s/tmp/layer%zu", box_dir, i),
		     *file = xasprintf("%s/f%zu", layer, i);

		assert_int_equal(mkdir(layer, 0755), 0);
		assert_int_equal(file_write_atomic(AT_FDCWD, file, "x", 1, 0644, 0, NULL), 0);
		lower[rootfs.lower_count++] = layer;
		free(file);
	}
	lower[rootfs.lower_count++] = long_path;
	lower[rootfs.lower_count++] = root;
	box_run(
		&(struct box){
			.rootfs = &rootfs,
			.script = "ls / | grep -c '^f[0-9]'; echo hi >/written; mount | head -n 1"},
		&result);
	assert_true(str_has_prefix(result.out, "100\noverlay on / type overlay"));
	assert_int_equal(access(written, F_OK), 0);

	/* read-only, of several layers and of one */
	rootfs.upper = rootfs.work = NULL;
	box_run(&(struct box){.rootfs = &rootfs, .script = "touch /x; ls /f99"}, &result);
	assert_contains(result.out, "Read-only file system");
	assert_contains(result.out, "/f99\n");
	rootfs.lower = &lower[LAYERS + 1];
	rootfs.lower_count = 1;
	box_run(&(struct box){.rootfs = &rootfs, .script = "touch /x"}, &result);
	assert_contains(result.out, "Read-only file system");
	for (size_t i = 0; i < LAYERS; i++)
		free((char *)lower[i]);
}

/* -- cgroups ------------------------------------------------------------------------------- */

static void limits_are_set(void **state)
{
	(void)state;
	box_run(&(struct box){.linux_ = ",\"resources\":{\"memory\":{\"limit\":67108864},\"cpu\":{"
					"\"quota\":50000,"
					"\"period\":100000,\"shares\":512,\"cpus\":\"0\"},\"pids\":"
					"{\"limit\":50}}",
			      .script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes "
					"cpu/cpu.cfs_quota_us "
					"cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max; cat "
					"/proc/self/cgroup | grep -vc ':/$'; "
					"touch pids/x"},
		&result);
	assert_true(str_has_prefix(result.out, "67108864\n50000\n512\n0\n50\n0\n"));
	assert_contains(result.out, "Read-only file system");
}

/* What only the unified tree of a hybrid layout has. */
static void limits_of_the_unified_tree(void **state)
{
	(void)state;
	if (access("/sys/fs/cgroup/unified/hugetlb.2MB.max", F_OK) < 0 &&
	    access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) < 0)
		return; /* another layout: limits_are_set has seen all */
	box_run(&(struct box){.linux_ = ",\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2MB\","
					"\"limit\":4194304}]}",
			      .script = "cat /sys/fs/cgroup/unified/hugetlb.2MB.max"},
		&result);
	assert_string_equal(result.out, "4194304\n");
}

/* A crashed engine leaves a cgroup; its limits are not the next container's. */
static void stale_limits_are_dropped(void **state)
{
	static const char dir[] = "/sys/fs/cgroup/pids/vessel-runtime-test/first";
	int fd;

	(void)state;
	assert_int_equal(file_mkdir_p(AT_FDCWD, dir, 0755, NULL), 0);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_value(fd, "pids.max", "3", NULL), 0);
	(void)close(fd);
	box_run(&(struct box){.script = "cat /sys/fs/cgroup/pids/pids.max"}, &result);
	assert_string_equal(result.out, "max\n");
}

static void device_policy(void **state)
{
	(void)state;
	box_run(&(struct box){.linux_ = ",\"resources\":{\"devices\":["
					"{\"allow\":false,\"access\":\"rwm\"},"
					"{\"allow\":true,\"type\":\"c\",\"major\":10,"
					"\"minor\":229,\"access\":\"r\"}]},\"devices\":["
					"{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,"
					"\"minor\":229},"
					"{\"path\":\"/dev/tun\",\"type\":\"c\",\"major\":10,"
					"\"minor\":200}]",
			      .script = "echo a >/dev/null && echo null; "
					"head -c 1 /dev/zero | wc -c; "
					"(true </dev/fuse) && echo read; (true <>/dev/fuse); "
					"(true </dev/tun)"},
		&result);
	assert_contains(result.out, "null\n1\nread\n");
	assert_contains(result.out, "can't create /dev/fuse: Operation not permitted");
	assert_contains(result.out, "can't open /dev/tun: Operation not permitted");
}

static void oom_kills_are_counted(void **state)
{
	struct error err = {0};
	autoclose int watch = -EBADF;
	struct pollfd p = {.events = POLLIN};
	struct box_run r;
	uint64_t count = 0;

	(void)state;
	assert_int_equal(
		box_create(
			&(struct box){.linux_ = ",\"resources\":{\"memory\":{\"limit\":8388608}}",
				      .script = "dd if=/dev/zero of=/dev/null bs=64M count=1; echo "
						"survived; sleep 0"},
			&r, &err),
		0);
	assert_int_equal(runtime_oom_watch(r.c, &watch, &err), 0);
	assert_int_equal(runtime_oom_count(r.c, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(box_start(&r, &err), 0);
	p.fd = watch;
	assert_int_equal(poll(&p, 1, 20000), 1);
	(void)box_read_all(r.out_fd, result.out, sizeof(result.out));
	assert_int_equal(box_wait(runtime_pid(r.c)), 0);
	assert_int_equal(runtime_oom_count(r.c, &count, &err), 0);
	assert_true(count >= 1);
	assert_contains(result.out, "survived");
	assert_int_equal(runtime_delete(r.c, &err), 0);
	r.c = runtime_free(r.c);
	box_done(&r);
}

static void pause_resume_and_stats(void **state)
{
	struct cgroup_stats stats;
	struct error err = {0};
	bool frozen = false;
	struct box_run r;

	(void)state;
	assert_int_equal(box_create(&(struct box){.script = "sleep 100 & wait"}, &r, &err), 0);
	assert_int_equal(box_start(&r, &err), 0);
	assert_int_equal(runtime_pause(r.c, &err), 0);
	assert_int_equal(cgroup_is_frozen(runtime_cgroup(r.c), &frozen, &err), 0);
	assert_true(frozen);
	assert_int_equal(cgroup_stats_read(runtime_cgroup(r.c), &stats, &err), 0);
	assert_true(stats.has_memory && stats.memory_usage > 0);
	assert_true(stats.has_cpu && stats.cpu_usage_ns > 0);
	assert_true(stats.has_pids && stats.pids_current >= 1);
	assert_true(stats.memory_stat_count > 5);
	cgroup_stats_done(&stats);
	assert_int_equal(runtime_resume(r.c, &err), 0);
	assert_int_equal(cgroup_is_frozen(runtime_cgroup(r.c), &frozen, &err), 0);
	assert_false(frozen);
	/* killing what is frozen works too */
	assert_int_equal(runtime_pause(r.c, &err), 0);
	assert_int_equal(runtime_kill(r.c, SIGKILL, false, &err), 0);
	assert_int_equal(box_wait(runtime_pid(r.c)), 137);
	assert_int_equal(runtime_kill(r.c, SIGTERM, false, &err), -EIO);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(err.msg, "container not running");
	error_done(&err);
	assert_int_equal(runtime_delete(r.c, &err), 0);
	r.c = runtime_free(r.c);
	box_done(&r);
}

static void delete_kills_what_is_left(void **state)
{
	struct error err = {0};
	struct box_run r;

	(void)state;
	/* in the host's pid namespace nothing dies with process 1 */
	assert_int_equal(
		box_create(&(struct box){.namespaces = "{\"type\":\"mount\"},{\"type\":\"uts\"}",
					 .script = "sleep 1000 >/dev/null 2>&1 & sleep 1000 "
						   ">/dev/null 2>&1 & exit 3"},
			   &r, &err),
		0);
	assert_int_equal(box_start(&r, &err), 0);
	box_finish(&r, &result);
	assert_int_equal(result.status, 3);
}

static void created_but_never_started(void **state)
{
	struct error err = {0};
	struct box_run r;

	(void)state;
	assert_int_equal(box_create(&(struct box){.script = "echo never"}, &r, &err), 0);
	box_done(&r);
	/* the same name again is free */
	box_run(&(struct box){.script = "echo again"}, &result);
	assert_string_equal(result.out, "again\n");
}

/* -- exec ---------------------------------------------------------------------------------- */

static void read_ns(pid_t pid, const char *name, char ret[static 64])
{
	autofree char *path = xasprintf("/proc/%d/ns/%s", (int)pid, name);
	ssize_t n = readlink(path, ret, 63);

	assert_true(n > 0);
	ret[n] = '\0';
}

static void exec_joins(void **state)
{
	static const char *const kinds[] = {"mnt", "pid", "net", "uts", "ipc", "cgroup"};
	struct error err = {0};
	static char out[8192];
	struct box_run r;

	(void)state;
	assert_int_equal(
		box_create(&(struct box){.linux_ = deny_mkdir, .script = "sleep 100"}, &r, &err),
		0);
	/* not before it runs */
	assert_true(box_exec(&r, "\"true\"", NULL, out, sizeof(out), &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	assert_int_equal(box_start(&r, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		autofree char *args = xasprintf("\"readlink\",\"/proc/self/ns/%s\"", kinds[i]);
		char expected[64];

		assert_int_equal(box_exec(&r, args, NULL, out, sizeof(out), &err), 0);
		read_ns(runtime_pid(r.c), kinds[i], expected);
		assert_contains(out, expected);
	}
	assert_int_equal(box_exec(&r,
				  "\"sh\",\"-c\",\"hostname; ls /proc/self/fd | wc -l; "
				  "cat /proc/self/cgroup | grep -vc ':/$'; "
				  "grep -E '^(Seccomp|CapBnd):' /proc/self/status; exit 9\"",
				  NULL, out, sizeof(out), &err),
			 9);
	assert_string_equal(out, "box\n4\n0\nCapBnd:\t0000000000000020\nSeccomp:\t2\n");
	assert_int_equal(box_exec(&r, "\"id\",\"-u\"", ",\"user\":{\"uid\":12,\"gid\":12}", out,
				  sizeof(out), &err),
			 0);
	assert_string_equal(out, "12\n");
	assert_true(box_exec(&r, "\"nope\"", NULL, out, sizeof(out), &err) < 0);
	assert_int_equal(runtime_error_exit_code(&err), 127);
	error_done(&err);
	/* a terminal of the container's own devpts */
	assert_int_equal(box_exec(&r, "\"sh\",\"-c\",\"tty; stty size\"",
				  ",\"terminal\":true,\"consoleSize\":{\"height\":33,\"width\":77}",
				  out, sizeof(out), &err),
			 0);
	assert_string_equal(out, "/dev/pts/0\r\n33 77\r\n");
	assert_int_equal(runtime_kill(r.c, SIGKILL, false, &err), 0);
	assert_int_equal(box_wait(runtime_pid(r.c)), 137);
	assert_true(box_exec(&r, "\"true\"", NULL, out, sizeof(out), &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	assert_int_equal(runtime_delete(r.c, &err), 0);
	r.c = runtime_free(r.c);
	box_done(&r);
}

static void terminal(void **state)
{
	struct error err = {0};
	static char out[4096];
	struct box_run r;
	int console;

	(void)state;
	assert_int_equal(
		box_create(
			&(struct box){.process = ",\"terminal\":true,\"consoleSize\":{\"height\":"
						 "24,\"width\":80}",
				      .script = "tty; stty size; stat -c '%F' /dev/console; echo "
						"to-console >/dev/console; echo to-tty >/dev/tty"},
			&r, &err),
		0);
	console = runtime_console_take(r.c);
	assert_true(console >= 0);
	assert_true(runtime_console_take(r.c) < 0);
	assert_int_equal(box_start(&r, &err), 0);
	(void)box_read_all(console, out, sizeof(out)); /* ends with EIO */
	(void)close(console);
	box_finish(&r, &result);
	assert_string_equal(
		out, "/dev/pts/0\r\n24 80\r\ncharacter special file\r\nto-console\r\nto-tty\r\n");
}

/* -- namespaces of others ------------------------------------------------------------------ */

static void join_by_path(void **state)
{
	static struct box_result second;
	autofree char *namespaces = NULL, *in_user = NULL;
	struct error err = {0};
	struct box_run r;
	char net[64], pidns[64], user[64];
	pid_t pid;

	(void)state;
	assert_int_equal(
		box_create(&(struct box){.script = "sleep 100",
					 .namespaces = BOX_NAMESPACES ",{\"type\":\"user\"}",
					 .linux_ = BOX_MAPPINGS},
			   &r, &err),
		0);
	assert_int_equal(box_start(&r, &err), 0);
	pid = runtime_pid(r.c);
	read_ns(pid, "net", net);
	read_ns(pid, "pid", pidns);
	read_ns(pid, "user", user);
	/* the name is taken */
	namespaces = xasprintf("{\"type\":\"mount\"},{\"type\":\"uts\"},"
			       "{\"type\":\"network\",\"path\":\"/proc/%d/ns/net\"},"
			       "{\"type\":\"pid\",\"path\":\"/proc/%d/ns/pid\"}",
			       (int)pid, (int)pid);
	box_fail(&(struct box){.namespaces = namespaces, .nested = true}, &err);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	box_run(&(struct box){.namespaces = namespaces,
			      .nested = true,
			      .cgroup = "second",
			      .script = "readlink /proc/self/ns/net; readlink /proc/self/ns/pid; "
					"test $$ -gt 1 && echo child"},
		&second);
	assert_contains(second.out, net);
	assert_contains(second.out, pidns);
	assert_contains(second.out, "child\n");
	/* what is made in a user namespace belongs to it */
	in_user = xasprintf("{\"type\":\"mount\"},{\"type\":\"uts\"},{\"type\":\"pid\"},"
			    "{\"type\":\"user\",\"path\":\"/proc/%d/ns/user\"},"
			    "{\"type\":\"network\",\"path\":\"/proc/%d/ns/net\"}",
			    (int)pid, (int)pid);
	box_run(&(struct box){.namespaces = in_user,
			      .nested = true,
			      .cgroup = "second",
			      .script = "readlink /proc/self/ns/user; readlink /proc/self/ns/net; "
					"echo pid $$; id -u"},
		&second);
	assert_contains(second.out, user);
	assert_contains(second.out, net);
	assert_contains(second.out, "pid 1\n0\n");
	/* exec enters the user namespace too */
	assert_int_equal(box_exec(&r, "\"sh\",\"-c\",\"id -u; readlink /proc/self/ns/user\"", NULL,
				  second.out, sizeof(second.out), &err),
			 0);
	assert_true(str_has_prefix(second.out, "0\n"));
	assert_contains(second.out, user);
	assert_int_equal(
		box_exec(&r, "\"tty\"", ",\"terminal\":true", second.out, sizeof(second.out), &err),
		0);
	assert_string_equal(second.out, "/dev/pts/0\r\n");
	/* a path that is no such namespace */
	box_fail(&(struct box){.namespaces = "{\"type\":\"mount\"},{\"type\":\"uts\"},"
					     "{\"type\":\"network\",\"path\":\"/etc/passwd\"}",
			       .nested = true,
			       .cgroup = "second"},
		 &err);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	assert_int_equal(runtime_kill(r.c, SIGKILL, false, &err), 0);
	box_finish(&r, &result);
}

static struct {
	pid_t pid;
	bool is_netns;
} seen;

static void on_namespaces(void *data, pid_t pid, int netns_fd)
{
	char link[64], target[64] = "";

	(void)data;
	seen.pid = pid;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", netns_fd);
	(void)!readlink(link, target, sizeof(target) - 1);
	seen.is_netns = str_has_prefix(target, "net:[");
}

static void netns_is_handed_over_early(void **state)
{
	(void)state;
	seen.pid = 0;
	box_run(&(struct box){.on_namespaces = on_namespaces}, &result);
	assert_true(seen.pid > 0);
	assert_true(seen.is_netns);
}

static void user_namespace(void **state)
{
	(void)state;
	box_run(
		&(struct box){
			.namespaces =
				"{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{"
				"\"type\":\"uts\"},"
				"{\"type\":\"mount\"},{\"type\":\"cgroup\"},{\"type\":\"user\"}",
			.linux_ = ",\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":"
				  "65536}],"
				  "\"gidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":"
				  "65536}]",
			.script = "id -u; id -g; cat /proc/self/uid_map; echo x >/dev/null && echo "
				  "null; "
				  "mount | grep -c ' /dev/null '; stat -c %u /bin/busybox"},
		&result);
	assert_true(str_has_prefix(result.out, "0\n0\n"));
	assert_contains(result.out, "100000");
	assert_contains(result.out, "null\n");
	/* files of the host's root are nobody's in there */
	assert_true(str_has_suffix(result.out, "65534\n"));
}

/* The layers are the host root's; in the container they are its root's, and so is what it writes. */
static void user_namespace_on_layers(void **state)
{
	autofree char *root = xasprintf("%s/bundle/rootfs", box_dir);
	autofree char *dir = xasprintf("%s/tmp/mapped", box_dir);
	autofree char *upper = xasprintf("%s/upper", dir), *work = xasprintf("%s/work", dir);
	autofree char *other = xasprintf("%s/other", dir), *file = xasprintf("%s/upper/new", dir);
	const char *lower[] = {other, root};
	const struct runtime_rootfs rootfs = {
		.lower = lower, .lower_count = 2, .upper = upper, .work = work};
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(upper, 0755), 0);
	assert_int_equal(mkdir(work, 0755), 0);
	assert_int_equal(mkdir(other, 0755), 0);
	box_run(&(struct box){.namespaces = BOX_NAMESPACES ",{\"type\":\"user\"}",
			      .linux_ = BOX_MAPPINGS,
			      .rootfs = &rootfs,
			      .script =
				      "stat -c %u /bin/busybox; echo x >/new; stat -c %u:%g /new; "
				      "chmod 700 /etc && echo copied"},
		&result);
	assert_string_equal(result.out, "0\n0:0\ncopied\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

#define USER 12345U

/* Everything that he needs is his; he has no privileges. */
static int as_ordinary_user(const struct box *b)
{
	static char out[BOX_OUTPUT_MAX];
	struct error err = {0};
	struct box_run r;

	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
	    setresuid(USER, USER, USER) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return 1;
	rootless_set(ROOTLESS_AUTO);
	if (box_create(b, &r, &err) < 0 || box_start(&r, &err) < 0) {
		print_error("%s\n", error_msg(&err));
		return 2;
	}
	box_read_all(r.out_fd, out, sizeof(out));
	if (box_wait(runtime_pid(r.c)) != 0 || runtime_delete(r.c, &err) < 0 ||
	    strcmp(out, "0\n0:0\nnew\n") != 0) {
		print_error("%s: %s\n", out, error_msg(&err));
		return 3;
	}
	return 0;
}

static void ordinary_user_on_layers(void **state)
{
	struct sys_clone_args args = {.exit_signal = SIGCHLD};
	autofree char *root = xasprintf("%s/bundle/rootfs", box_dir);
	autofree char *dir = xasprintf("%s/tmp/users", box_dir);
	autofree char *upper = xasprintf("%s/upper", dir), *work = xasprintf("%s/work", dir);
	autofree char *other = xasprintf("%s/other", dir), *old = xasprintf("%s/old", other);
	autofree char *below = xasprintf("%s/below", old), *made = xasprintf("%s/old", upper);
	const char *const dirs[] = {dir, upper, work, other, old, below};
	const char *lower[] = {other, root};
	const struct runtime_rootfs rootfs = {
		.lower = lower, .lower_count = 2, .upper = upper, .work = work};
	const struct box b = {
		.namespaces = BOX_NAMESPACES ",{\"type\":\"user\"}",
		.linux_ = ",\"uidMappings\":[{\"containerID\":0,\"hostID\":12345,\"size\":1}],"
			  "\"gidMappings\":[{\"containerID\":0,\"hostID\":12345,\"size\":1}]",
		.rootfs = &rootfs,
		.no_cgroup = true,
		.script = "id -u; touch /new; stat -c %u:%g /new; rm -r /old; mkdir /old; ls /old; "
			  "ls / | grep new"};
	char value[2] = "";
	struct stat st;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		assert_int_equal(mkdir(dirs[i], 0755), 0);
		assert_int_equal(chown(dirs[i], USER, USER), 0);
	}
	pid = clone_process(&args, NULL);
	if (pid == 0)
		_exit(as_ordinary_user(&b));
	assert_int_equal(box_wait(pid), 0);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_uid, USER);
	/* a new directory where an old one was: overlayfs says so in an attribute of its users' */
	assert_int_equal(getxattr(made, "user.overlay.opaque", value, sizeof(value)), 1);
	assert_string_equal(value, "y");
}

static void sysctls(void **state)
{
	struct error err;

	(void)state;
	box_run(&(struct box){.linux_ = ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\",\"kernel."
					"msgmax\":\"12345\"}",
			      .script =
				      "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax"},
		&result);
	assert_string_equal(result.out, "1\n12345\n");
	box_fail(&(struct box){.linux_ = ",\"sysctl\":{\"net.no_such\":\"1\"}"}, &err);
	assert_contains(err.msg, "net.no_such");
	error_done(&err);
}

/* -- hooks and init ------------------------------------------------------------------------ */

static void hooks_run_in_order(void **state)
{
	static const char *const kinds[] = {"prestart",       "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop"};
	autofree char *log = xasprintf("%s/tmp/hooks", box_dir), *text = NULL;
	struct strbuf top = STRBUF_INIT(8192);
	struct box_run r;
	struct error err = {0};

	(void)state;
	strbuf_adds(&top, ",\"hooks\":{");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		strbuf_addf(&top,
			    "%s\"%s\":[{\"path\":\"%s\",\"args\":[\"sh\",\"-c\",\"echo %s $(cat | "
			    "grep -o 'status.:.[a-z]*') >>%s\"]}]",
			    i ? "," : "", kinds[i],
			    strcmp(kinds[i], "startContainer") == 0 ? "/bin/sh" : "/bin/sh",
			    kinds[i], strcmp(kinds[i], "startContainer") == 0 ? "/hooks" : log);
	strbuf_adds(&top, "}");
	assert_int_equal(box_create(&(struct box){.top = top.s, .script = "cat /hooks"}, &r, &err),
			 0);
	if (box_start(&r, &err) < 0)
		fail_msg("start: %s", error_msg(&err));
	box_finish(&r, &result);
	strbuf_done(&top);
	assert_string_equal(result.out, "startContainer status\":\"created\n");
	assert_true(file_read(AT_FDCWD, log, 4096, &text, NULL, NULL) >= 0);
	assert_string_equal(text,
			    "prestart status\":\"creating\ncreateRuntime status\":\"creating\n"
			    "createContainer status\":\"creating\npoststart status\":\"running\n"
			    "poststop status\":\"stopped\n");
	{
		autofree char *left = in_rootfs("hooks");

		(void)unlink(left);
	}
	box_fail(&(struct box){.top = ",\"hooks\":{\"createRuntime\":[{\"path\":\"/bin/false\"}]}"},
		 &err);
	assert_contains(err.msg, "createRuntime hook 0");
	error_done(&err);
	box_fail(&(struct box){.top = ",\"hooks\":{\"prestart\":[{\"path\":\"/bin/"
				      "sleep\",\"args\":[\"sleep\",\"100\"],\"timeout\":1}]}"},
		 &err);
	assert_contains(err.msg, "timed out");
	error_done(&err);
}

static void init_runs_in_front(void **state)
{
	static const char script[] = "#!/bin/sh\necho \"$0 $1\"; shift; \"$@\"; exit $?\n";
	autofree char *init = xasprintf("%s/tmp/init", box_dir);

	(void)state;
	assert_int_equal(file_write_atomic(AT_FDCWD, init, script, strlen(script), 0755, 0, NULL),
			 0);
	box_run(&(struct box){.init_path = init,
			      .script = "test $$ -gt 1 && echo child; touch /sbin/docker-init; "
					"exit 5"},
		&result);
	assert_int_equal(result.status, 5);
	assert_contains(result.out, "/sbin/docker-init --\nchild\n");
	assert_contains(result.out, "/sbin/docker-init: Read-only file system");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_and_output),
		cmocka_unit_test(is_process_1_of_its_own_world),
		cmocka_unit_test(namespaces_are_new),
		cmocka_unit_test(absent_namespaces_are_shared),
		cmocka_unit_test(time_offsets),
		cmocka_unit_test(user_groups_umask_home),
		cmocka_unit_test(capabilities_are_exact),
		cmocka_unit_test(no_new_privileges),
		cmocka_unit_test(rlimits),
		cmocka_unit_test(oom_score),
		cmocka_unit_test(seccomp_filters),
		cmocka_unit_test(seccomp_errors_name_the_place),
		cmocka_unit_test(what_cannot_be_executed),
		cmocka_unit_test(cwd_cannot_leave),
		cmocka_unit_test(no_descriptor_leaks),
		cmocka_unit_test(devices),
		cmocka_unit_test(masked_and_readonly_paths),
		cmocka_unit_test(readonly_root),
		cmocka_unit_test(bind_mounts),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(links_stay_inside),
		cmocka_unit_test(dev_and_proc_may_not_be_links),
		cmocka_unit_test(proc_is_not_mounted_over),
		cmocka_unit_test(overlay_root),
		cmocka_unit_test(limits_are_set),
		cmocka_unit_test(limits_of_the_unified_tree),
		cmocka_unit_test(stale_limits_are_dropped),
		cmocka_unit_test(device_policy),
		cmocka_unit_test(oom_kills_are_counted),
		cmocka_unit_test(pause_resume_and_stats),
		cmocka_unit_test(delete_kills_what_is_left),
		cmocka_unit_test(created_but_never_started),
		cmocka_unit_test(exec_joins),
		cmocka_unit_test(terminal),
		cmocka_unit_test(join_by_path),
		cmocka_unit_test(netns_is_handed_over_early),
		cmocka_unit_test(user_namespace),
		cmocka_unit_test(user_namespace_on_layers),
		cmocka_unit_test(ordinary_user_on_layers),
		cmocka_unit_test(sysctls),
		cmocka_unit_test(hooks_run_in_order),
		cmocka_unit_test(init_runs_in_front),
	};

	return cmocka_run_group_tests_name("runtime", tests, box_setup, box_teardown);
}
