/* What is left to a process that is confined: each in a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/confine.h"
#include "linux/sys.h"

#define LANDLOCK_CREATE 444

static void in_child(int (*fn)(const char *directory))
{
	char directory[] = "/tmp/vessel-confine-XXXXXX";
	struct sys_clone_args args = {.exit_signal = SIGCHLD};
	int status = 0;
	pid_t pid;

	assert_non_null(mkdtemp(directory));
	pid = sys_clone3(&args);
	if (pid == 0)
		_exit(fn(directory));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)file_remove_tree(AT_FDCWD, directory, NULL);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		fail_msg("step %d", WEXITSTATUS(status));
}

/* The number of the first step that is not as it should be. */
static int calls(const char *directory)
{
	static char name[] = "true";
	char *const argv[] = {name, NULL};

	if (confine_calls(0, NULL) < 0)
		return 1;
	if (execve("/bin/true", argv, NULL) == 0 || errno != EPERM)
		return 2;
	if (kill(getppid(), 0) == 0 || errno != EPERM)
		return 3;
	if (syscall(SYS_ptrace, 0, 0, 0, 0) == 0 || errno != EPERM)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
		return 5;
	return access(directory, W_OK) == 0 ? 0 : 6; /* not files */
}

static int executes(const char *directory)
{
	static char name[] = "true";
	char *const argv[] = {name, NULL};

	(void)directory;
	if (confine_calls(CONFINE_MAY_EXECUTE, NULL) < 0 ||
	    confine_files(directory, CONFINE_MAY_EXECUTE, NULL) < 0)
		return 1;
	if (kill(getppid(), 0) == 0)
		return 2;
	(void)execve("/bin/true", argv, NULL);
	return 3;
}

static int make(const char *directory, const char *name)
{
	autofree char *path = xasprintf("%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int files(const char *directory)
{
	autofree char *inside = xasprintf("%s/inside", directory);
	autofree char *moved = xasprintf("%s/moved", inside),
		      *first = xasprintf("%s/first", inside);
	int before = make(directory, "before");

	if (before < 0 || mkdir(inside, 0700) < 0 || confine_calls(0, NULL) < 0 ||
	    confine_files(inside, 0, NULL) < 0)
		return 1;
	if (make(directory, "after") != -EACCES || make(directory, "before") != -EACCES)
		return 2;
	if (make(inside, "first") < 0 || rename(first, moved) < 0 || unlink(moved) < 0)
		return 3;
	if (write(before, "x", 1) != 1) /* what is open stays */
		return 4;
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 0 : 5;
}

static int no_files(const char *directory)
{
	if (confine_calls(0, NULL) < 0 || confine_files(NULL, 0, NULL) < 0)
		return 1;
	return make(directory, "after") == -EACCES ? 0 : 2;
}

static void test_calls(void **state)
{
	(void)state;
	in_child(calls);
	in_child(executes);
}

static void test_files(void **state)
{
	(void)state;
	if (syscall(LANDLOCK_CREATE, NULL, 0, 1) < 0)
		skip(); /* a kernel without Landlock */
	in_child(files);
	in_child(no_files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
