/* A runtime's program, played by a shell: what it is given, and what its failures are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "shim/program.h"

#define NOTHING                        \
	{                              \
		-EBADF, -EBADF, -EBADF \
	}

static char log_path[] = "/tmp/test-program-XXXXXX";

/* The shell's script sees: $0 --root, $1 the root, $2 --log, $3 the log, $6 the command. */
static int run(const char *script, const char *what, int give_up_fd, struct error *err)
{
	const char *const args[] = {"-c", script};
	const char *const argv[] = {what, "last", NULL};
	const struct program p = {"/bin/sh", args, 2, "/the/root", log_path};
	const struct program_call call = {what, argv, NOTHING, give_up_fd};

	return program_run(&p, &call, err);
}

static void test_arguments(void **state)
{
	(void)state;
	assert_int_equal(
		run("test \"$0 $1 $2 $4 $5 $6 $7 $#\" = '--root /the/root --log --log-format "
		    "json state last 7'",
		    "state", 0, NULL),
		0);
}

static void test_failures(void **state)
{
	static const struct {
		const char *script, *what, *message;
		enum error_kind kind;
		int errnum;
	} cases[] = {
		{"echo first >&2; echo 'the cause' >&2; exit 1", "pause", "the cause",
		 ERROR_INTERNAL, 0},
		{"echo '{\"level\":\"error\",\"msg\":\"a\"}' >$3; "
		 "echo '{\"level\":\"error\",\"msg\":\"b\"}' >>$3; "
		 "echo '{\"level\":\"info\",\"msg\":\"c\"}' >>$3; echo not json >>$3; echo d >&2; "
		 "exit 1",
		 "create", "b", ERROR_INTERNAL, 0},
		{"exit 7", "create", "/bin/sh: exit status 7", ERROR_INTERNAL, 0},
		{"kill -9 $$", "create", "/bin/sh: signal: 9", ERROR_INTERNAL, 0},
		{"echo 'exec: x: executable file not found in $PATH' >&2; exit 1", "exec",
		 "exec: x: executable file not found in $PATH", ERROR_INVALID, ENOENT},
		{"echo 'open: Permission denied' >&2; exit 1", "create", "open: Permission denied",
		 ERROR_INVALID, EACCES},
		/* of the other commands that means nothing */
		{"echo 'open: Permission denied' >&2; exit 1", "update", "open: Permission denied",
		 ERROR_INTERNAL, 0},
		{"echo 'container not running' >&2; exit 1", "kill", "container not running",
		 ERROR_CONFLICT, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *expected =
			xasprintf("OCI runtime %s failed: %s", cases[i].what, cases[i].message);
		autoerror struct error err = {0};

		assert_true(run(cases[i].script, cases[i].what, 0, &err) < 0);
		assert_string_equal(error_msg(&err), expected);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_equal(err.errnum, cases[i].errnum);
	}
}

static void test_not_there(void **state)
{
	const char *const argv[] = {"create", NULL};
	const struct program p = {"/no/such/program", NULL, 0, "/r", log_path};
	const struct program_call call = {"create", argv, NOTHING, 0};
	autoerror struct error err = {0};

	(void)state;
	assert_true(program_run(&p, &call, &err) < 0);
	assert_string_equal(error_msg(&err), "OCI runtime create failed: fork/exec "
					     "/no/such/program: no such file or directory");
	assert_int_equal(err.errnum, ENOENT);
}

/* What a program says that makes no container is taken out of the container's pipes. */
static void test_pipes(void **state)
{
	const char *const args[] = {"-c", "echo out; echo cause >&2; exit 1"};
	const char *const argv[] = {"create", NULL};
	const struct program p = {"/bin/sh", args, 2, "/r", log_path};
	int out[2], err_pipe[2];
	autoerror struct error err = {0};
	char byte;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK), 0);
	{
		const struct program_call call = {"create", argv, {-EBADF, out[1], err_pipe[1]}, 0};

		assert_true(program_run(&p, &call, &err) < 0);
	}
	assert_string_equal(error_msg(&err), "OCI runtime create failed: cause");
	assert_int_equal(read(out[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(read(err_pipe[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	for (int i = 0; i < 2; i++) {
		(void)close(out[i]);
		(void)close(err_pipe[i]);
	}
}

static void test_given_up(void **state)
{
	autoerror struct error err = {0};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)close(pair[1]);
	assert_true(run("exec sleep 1000", "create", pair[0], &err) < 0);
	assert_string_equal(error_msg(&err), "OCI runtime create failed: given up");
	(void)close(pair[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_not_there), cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_given_up),
	};
	int fd, r;

	if (argc > 1 && strcmp(argv[1], PROGRAM_WORD) == 0) /* as the shim's program does */
		return program_become(argc, argv);
	fd = mkstemp(log_path);
	if (fd < 0)
		return 1;
	(void)close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(log_path);
	return r;
}
