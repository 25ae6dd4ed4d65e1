/* Starting programs: what the child has, and how its end is told. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"

static int run_shell(const char *script, struct spawn_args args, char **ret_output)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	autoerror struct error err = {0};
	int status = -1;

	args.path = "/bin/sh";
	args.argv = argv;
	if (spawn_run(&args, 10000, ret_output, &status, &err) < 0)
		fail_msg("%s", error_msg(&err));
	return status;
}

static void test_status_and_output(void **state)
{
	autofree char *out = NULL, *none = NULL;

	(void)state;
	assert_int_equal(run_shell("echo hello; exit 3", (struct spawn_args){0}, &out), 3);
	assert_string_equal(out, "hello\n");
	assert_int_equal(run_shell("kill -KILL $$", (struct spawn_args){0}, &none), 128 + SIGKILL);
	assert_string_equal(none, "");
	assert_int_equal(run_shell("exit 0", (struct spawn_args){0}, NULL), 0);
}

static void test_environment(void **state)
{
	const char *const envp[] = {"ONLY=this", NULL};
	autofree char *out = NULL, *inherited = NULL;

	(void)state;
	assert_int_equal(run_shell("echo $ONLY-$HIDDEN", (struct spawn_args){.envp = envp}, &out),
			 0);
	assert_string_equal(out, "this-\n");
	(void)setenv("HIDDEN", "seen", 1);
	assert_int_equal(run_shell("echo $HIDDEN", (struct spawn_args){0}, &inherited), 0);
	assert_string_equal(inherited, "seen\n");
	(void)unsetenv("HIDDEN");
}

/* 0 and 2 are /dev/null, 1 is the pipe; `ls` itself opens the directory as 3. */
static void test_descriptors(void **state)
{
	autoclose int low = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	autoclose int extra = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[] = {{.fd = extra, .child_fd = 17}};
	autofree char *out = NULL, *more = NULL;

	(void)state;
	assert_true(low >= 0 && extra >= 0);
	assert_int_equal(run_shell("exec ls /proc/self/fd", (struct spawn_args){0}, &out), 0);
	assert_string_equal(out, "0\n1\n2\n3\n");
	assert_int_equal(run_shell("cd /proc/$$/fd; readlink 0 2 17",
				   (struct spawn_args){.fds = fds, .fd_count = 1}, &more),
			 0);
	assert_string_equal(more, "/dev/null\n/dev/null\n/dev/zero\n");
}

/* Sources and targets are the same numbers, crosswise. */
static void test_colliding_descriptors(void **state)
{
	int a[2], b[2];
	autofree char *out = NULL;

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_equal(write(a[1], "a\n", 2), 2);
	assert_int_equal(write(b[1], "b\n", 2), 2);
	{
		struct spawn_fd fds[] = {
			{.fd = a[0], .child_fd = b[0]},
			{.fd = b[0], .child_fd = a[0]},
			{.fd = a[1], .child_fd = a[1]}, /* keeps its number, loses CLOEXEC */
		};
		autofree char *script = xasprintf(
			"read x <&%d; read y <&%d; echo $x $y; echo z >&%d", a[0], b[0], a[1]);
		char buf[4] = "";

		assert_int_equal(
			run_shell(script, (struct spawn_args){.fds = fds, .fd_count = 3}, &out), 0);
		assert_string_equal(out, "b a\n");
		assert_int_equal(read(a[0], buf, 3), 2);
		assert_string_equal(buf, "z\n");
	}
	for (int i = 0; i < 2; i++) {
		fd_close(&a[i]);
		fd_close(&b[i]);
	}
}

static void test_exec_fd(void **state)
{
	const char *const argv[] = {"sh", "-c", "echo $0 $1; exit 4", "name", "arg", NULL};
	autoclose int fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	/* The binary's own number is wanted for something else in the child. */
	struct spawn_fd fds[] = {{.fd = 0, .child_fd = fd}};
	struct spawn_args args = {.exec_fd = fd, .argv = argv, .fds = fds, .fd_count = 1};
	autoerror struct error err = {0};
	autofree char *out = NULL;
	int status = -1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(spawn_run(&args, 100, &out, &status, &err), 0);
	assert_string_equal(out, "name arg\n");
	assert_int_equal(status, 4);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still ours, and as it was */
}

static void test_signals_are_reset(void **state)
{
	autofree char *out = NULL;
	sigset_t all, old;

	(void)state;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	(void)signal(SIGUSR1, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2",
				   (struct spawn_args){0}, &out),
			 0);
	(void)signal(SIGUSR1, SIG_DFL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	/* glibc's posix_spawn leaves its two private signals, 32 and 33, ignored. */
	assert_int_equal(strncmp(out, "0000000000000000\n", 17), 0);
	assert_int_equal(strtoull(out + 17, NULL, 16) & ~UINT64_C(0x180000000), 0);
}

static void test_session(void **state)
{
	autofree char *own = NULL, *ours = NULL;
	static const char script[] = "[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo leader";

	(void)state;
	(void)run_shell(script, (struct spawn_args){.new_session = true}, &own);
	assert_string_equal(own, "leader\n");
	(void)run_shell(script, (struct spawn_args){0}, &ours);
	assert_string_equal(ours, "");
}

static void test_failures(void **state)
{
	const char *const argv[] = {"yes", NULL};
	struct spawn_args args = {.path = "/no/such/program", .argv = argv};
	autoerror struct error err = {0};
	autofree char *out = NULL;
	int status = -1, pidfd = -7;
	pid_t pid = -7;

	(void)state;
	assert_int_equal(spawn(&args, &pid, &pidfd, &err), -ENOENT);
	assert_string_equal(error_msg(&err),
			    "start program '/no/such/program': No such file or directory");
	assert_int_equal(pid, -7);
	assert_int_equal(pidfd, -7);
	args.path = "/etc/passwd";
	assert_int_equal(spawn_run(&args, 10, &out, &status, &err), -EACCES);
	/* An endless one is killed when it has said too much. */
	args.path = "/usr/bin/yes";
	assert_int_equal(spawn_run(&args, 10, &out, &status, &err), -E2BIG);
	assert_null(out);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD); /* nobody is left behind */
}

static void test_output_limit_is_exact(void **state)
{
	const char *const argv[] = {"printf", "12345", NULL};
	struct spawn_args args = {.path = "/usr/bin/printf", .argv = argv};
	autofree char *out = NULL;
	int status = -1;

	(void)state;
	assert_int_equal(spawn_run(&args, 4, &out, &status, NULL), -E2BIG);
	assert_int_equal(spawn_run(&args, 5, &out, &status, NULL), 0);
	assert_string_equal(out, "12345");
}

/* Whatever we have open, the child's table has room for its own. */
static void test_many_descriptors(void **state)
{
	autofree char *out = NULL;
	int fds[500];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		assert_true(fds[i] >= 0);
	}
	(void)run_shell("exec grep FDSize /proc/self/status", (struct spawn_args){0}, &out);
	assert_string_equal(out, "FDSize:\t64\n");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(&fds[i]);
}

int main(void)
{
	const struct CMUnitTest many[] = {cmocka_unit_test(test_many_descriptors)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_and_output),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_colliding_descriptors),
		cmocka_unit_test(test_exec_fd),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_output_limit_is_exact),
	};

	/* Whatever we were started with is not ours to judge. */
	if (syscall(SYS_close_range, 3, ~0U, 0) < 0)
		return 1;
	if (cmocka_run_group_tests_name("spawn", tests, NULL, NULL) != 0)
		return 1;
	spawn_prepare();
	if (cmocka_run_group_tests_name("spawn, prepared", tests, NULL, NULL) != 0)
		return 1;
	/* Linux 5.9 */
	return syscall(SYS_close_range, ~0U, ~0U, 2) < 0
		       ? 0
		       : cmocka_run_group_tests_name("spawn, with many descriptors", many, NULL,
						     NULL);
}
