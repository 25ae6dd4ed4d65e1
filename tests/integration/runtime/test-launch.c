/* Process 1 between create and start: it waits, with all descriptors of whoever created it.
 *
 * Root.  The containers have mount and pid namespaces and cgroups of their own, and execute
 * nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "../../unit/base/tmpdir.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "linux/caps.h"
#include "linux/cgroup.h"
#include "linux/sys.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"

#define CGROUP "/vessel-test-launch"
#define SPEC                                                                          \
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{"      \
	"\"user\":{\"uid\":%u,\"gid\":0},\"args\":[\"/program\"],\"cwd\":\"/\","      \
	"\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"]," \
	"\"permitted\":[\"CAP_KILL\"]}},\"linux\":{\"cgroupsPath\":\"" CGROUP "\","   \
	"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}"

static void make_bundle(const struct tmpdir *dir)
{
	assert_int_equal(mkdirat(dir->fd, "rootfs", 0755), 0);
	assert_int_equal(file_write_atomic(dir->fd, "rootfs/program", "", 0, 0755, 0, NULL), 0);
}

static struct runtime_container *create(const struct tmpdir *dir, unsigned uid, int stdin_fd,
					struct arena *arena)
{
	char *text = arena_printf(arena, SPEC, uid);
	struct oci_spec *spec = arena_new0n(arena, struct oci_spec, 1);
	struct runtime_create_args args = {
		.id = "launch", .spec = spec, .bundle_fd = dir->fd, .stdio = {stdin_fd, -1, -1}};
	struct runtime_container *c = NULL;
	autoerror struct error err = {0};

	if (oci_spec_parse(arena, text, strlen(text), spec, &err) < 0 ||
	    runtime_create(&args, &c, &err) < 0)
		fail_msg("%s", error_msg(&err));
	return c;
}

static void remove_cgroup(void)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;

	assert_int_equal(cgroup_layout_detect(&layout, NULL), 0);
	if (cgroup_open(layout, CGROUP, &cg, NULL) == 0)
		assert_int_equal(cgroup_destroy(cg, NULL), 0);
}

/* The creator, whose death is the test: tells of process 1 by pidfd. */
static void run_creator(const struct tmpdir *dir, int sock)
{
	autoarena struct arena *arena = arena_new();
	struct runtime_container *c = create(dir, 0, -1, arena);
	int pidfd = runtime_pidfd(c);

	if (fd_send(sock, "", 1, &pidfd, 1) < 0)
		_exit(1);
	for (;;)
		(void)pause();
}

static void exits_when_its_creator_dies(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoclose int pidfd = -EBADF;
	struct pollfd p = {.events = POLLIN};
	struct sys_clone_args args = {.exit_signal = SIGCHLD};
	size_t n_fds = 1;
	int pair[2];
	pid_t creator;
	char byte;

	(void)state;
	make_bundle(&dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	creator = sys_clone3(&args);
	assert_true(creator >= 0);
	if (creator == 0)
		run_creator(&dir, pair[1]);
	(void)close(pair[1]);
	assert_int_equal(fd_recv(pair[0], &byte, 1, &pidfd, &n_fds), 1);
	assert_int_equal(n_fds, 1);
	assert_int_equal(kill(creator, SIGKILL), 0);
	assert_int_equal(waitpid(creator, NULL, 0), creator);
	p.fd = pidfd;
	assert_int_equal(poll(&p, 1, -1), 1);
	(void)close(pair[0]);
	remove_cgroup();
}

/* As a container that shares the pid namespace would: root, with the same capabilities. */
static int try_to_read_fds(pid_t pid)
{
	const uint64_t kill_cap = (uint64_t)1 << (unsigned)caps_parse("CAP_KILL");
	const struct caps caps = {.effective = kill_cap, .permitted = kill_cap};
	struct sys_clone_args args = {.exit_signal = SIGCHLD};
	pid_t other = sys_clone3(&args);
	int status = -1;

	assert_true(other >= 0);
	if (other == 0) {
		char path[64], target[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
		if (caps_apply(&caps, NULL, NULL) < 0)
			_exit(255);
		_exit(readlink(path, target, sizeof(target)) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	return WEXITSTATUS(status);
}

static void finish(struct runtime_container *c)
{
	pid_t pid = runtime_pid(c);

	assert_int_equal(runtime_delete(c, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)runtime_free(c);
}

static void hides_its_descriptors(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoarena struct arena *arena = arena_new();
	struct runtime_container *c;
	pid_t pid;

	(void)state;
	make_bundle(&dir);
	c = create(&dir, 0, -1, arena);
	pid = runtime_pid(c);
	assert_int_equal(try_to_read_fds(pid), EACCES);
	assert_int_equal(try_to_read_fds(getpid()), EACCES); /* more capabilities than it has */
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	finish(c);
}

static void leaves_the_null_device_to_its_owner(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoarena struct arena *arena = arena_new();
	autoclose int fd = -EBADF;
	struct stat st;

	(void)state;
	make_bundle(&dir);
	assert_int_equal(mknodat(dir.fd, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
	fd = openat(dir.fd, "null", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	finish(create(&dir, 1000, fd, arena));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exits_when_its_creator_dies),
		cmocka_unit_test(hides_its_descriptors),
		cmocka_unit_test(leaves_the_null_device_to_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
