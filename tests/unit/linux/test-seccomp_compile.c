/* Compiled filters, judged by the kernel: a child loads one and tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/seccomp_compile.h"
#include "linux/seccomp_priv.h"
#include "linux/seccomp_program.h"
#include "linux/sys.h"

static struct seccomp_program compile(const char *profile)
{
	struct seccomp_program program = {0};
	struct seccomp_header header;
	autofree char *data = NULL;
	struct error err = {0};
	size_t len = 0;

	if (seccomp_compile(profile, strlen(profile), &data, &len, &err) < 0)
		fail_msg("%s", error_msg(&err));
	memcpy(&header, data, sizeof(header));
	assert_int_equal(len, sizeof(header) + header.count * sizeof(uint64_t));
	program.insns = xmemdup(data + sizeof(header), header.count * sizeof(uint64_t));
	program.count = header.count;
	program.flags = header.flags;
	return program;
}

/* Load the program and make the call, then end with its errno.  Between the two nothing else may
 * be called: a filter stops whatever a C library or a sanitizer does on the way out. */
__attribute__((no_sanitize("address", "undefined"), noreturn)) static void attempt_in_child(
	const struct sock_fprog *prog, unsigned flags, long nr, long a, long b)
{
	long r = syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

	if (r == 0)
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog);
	if (r != 0)
		(void)syscall(SYS_exit_group, 255);
	r = syscall(nr, a, b, 0, 0);
	for (;;)
		(void)syscall(SYS_exit_group, r < 0 ? errno : 0);
}

/* What the child got for its system call: its errno, or 256 + the signal. */
static int attempt(struct seccomp_program *program, long nr, long a, long b)
{
	const struct sock_fprog prog = {.len = (unsigned short)program->count,
					.filter = (struct sock_filter *)(void *)program->insns};
	struct sys_clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid = sys_clone3(&args);
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0)
		attempt_in_child(&prog, program->flags, nr, a, b);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define ESSENTIAL "\"exit_group\",\"exit\",\"rt_sigreturn\""

static void default_deny_and_enosys(void **state)
{
	struct seccomp_program p = compile(
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"architectures\":["
		"\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],\"syscalls\":[{"
		"\"names\":[" ESSENTIAL
		",\"getpid\",\"no_such_call\",\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\"}]}");

	(void)state;
	assert_int_equal(attempt(&p, SYS_getpid, 0, 0), 0);
	assert_int_equal(attempt(&p, SYS_getuid, 0, 0), EPERM);
	/* older than the newest that the profile names (openat2, 437): refused as such */
	assert_int_equal(attempt(&p, SYS_pidfd_open, 1, 0), EPERM);
	/* newer: a program may fall back */
	assert_int_equal(attempt(&p, SYS_mount_setattr, 0, 0), ENOSYS);
	assert_int_equal(attempt(&p, 1000, 0, 0), ENOSYS);
	/* an x32 call is libseccomp's business: refused */
	assert_int_equal(attempt(&p, 0x40000000L + 39, 0, 0) == 0, 0);
	seccomp_program_done(&p);
}

static void calls_newer_than_libseccomp(void **state)
{
	struct seccomp_program p =
		compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[" ESSENTIAL
			",\"mseal\",\"fchmodat2\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":["
			"\"statmount\"],"
			"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":71}]}");

	(void)state;
	/* let through: the kernel's own answer to nonsense */
	assert_int_not_equal(attempt(&p, 452, -1, 0), EPERM);
	assert_int_equal(attempt(&p, 457, 0, 0), EPROTO);
	assert_int_equal(attempt(&p, 461, 0, 0), EPERM);
	assert_int_equal(attempt(&p, 469, 0, 0), ENOSYS);
	seccomp_program_done(&p);
}

static void conditions_and_actions(void **state)
{
	struct seccomp_program p = compile(
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		"{\"names\":[\"getpriority\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95,"
		"\"args\":["
		"{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"getsid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":96,\"args\":["
		"{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":8,\"op\":"
		"\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":97,"
		"\"args\":["
		"{\"index\":0,\"value\":240,\"valueTwo\":16,\"op\":\"SCMP_CMP_MASKED_EQ\"}]},"
		"{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}");

	(void)state;
	assert_int_equal(attempt(&p, SYS_getpriority, 5, 0), EOPNOTSUPP);
	assert_int_equal(attempt(&p, SYS_getpriority, 0, 0), 0);
	/* two conditions on one argument: either */
	assert_int_equal(attempt(&p, SYS_getsid, 7, 0), 96);
	assert_int_equal(attempt(&p, SYS_getsid, 8, 0), 96);
	assert_int_equal(attempt(&p, SYS_getsid, 0, 0), 0);
	assert_int_equal(attempt(&p, SYS_personality, 0x15, 0), 97);
	assert_int_equal(attempt(&p, SYS_personality, 0xffffffff, 0), 0);
	assert_int_equal(attempt(&p, SYS_sync, 0, 0), 256 + SIGSYS);
	/* a permissive profile leaves new calls alone */
	assert_int_not_equal(attempt(&p, SYS_mount_setattr, -1, 0), 0);
	seccomp_program_done(&p);
}

/* Flags that the kernel takes only with a listener, and the listener that only some rules need. */
static void flags(void **state)
{
	static const struct {
		const char *profile;
		unsigned flags;
	} cases[] = {
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 1U << 2},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[]}", 0},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\","
		 "\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
		 1U << 1},
		{"{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"flags\":["
		 "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
		 1U << 3 | 1U << 5},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[],\"syscalls\":[{\"names\":["
		 "\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}",
		 1U << 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct seccomp_program p = compile(cases[i].profile);

		assert_int_equal(p.flags, cases[i].flags);
		assert_int_equal(seccomp_program_notifies(&p), (cases[i].flags & 1U << 3) != 0);
		seccomp_program_done(&p);
	}
}

/* Those of other machines add nothing; a name that is none is refused (below). */
static void architectures(void **state)
{
	struct seccomp_program own = compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{"
					     "\"names\":[\"getppid\"],\"action\":"
					     "\"SCMP_ACT_ERRNO\"}]}");
	struct seccomp_program all = compile(
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_SHEB\","
		"\"SCMP_ARCH_PPC\",\"SCMP_ARCH_LOONGARCH64\",\"SCMP_ARCH_M68K\",\"SCMP_ARCH_"
		"S390X\"],"
		"\"syscalls\":[{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ERRNO\"}]}");

	(void)state;
	assert_int_equal(all.count, own.count);
	assert_memory_equal(all.insns, own.insns, own.count * sizeof(uint64_t));
	assert_int_equal(attempt(&all, SYS_getppid, 0, 0), EPERM);
	seccomp_program_done(&own);
	seccomp_program_done(&all);
}

static void refusals(void **state)
{
	static const struct {
		const char *profile, *message;
		enum error_kind kind;
	} cases[] = {
		{"{}", "defaultAction", ERROR_INVALID},
		{"{\"defaultAction\":\"X\"}", "'X'", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}",
		 "SCMP_ARCH_PDP11", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_X\"]}",
		 "flags[0]", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "defaultErrnoRet",
		 ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
		 "defaultErrnoRet", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":"
		 "\"SCMP_ACT_ERRNO\"}]}",
		 "syscalls[0].names", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		 "\"action\":\"SCMP_ACT_TRAP\",\"errnoRet\":1}]}",
		 "syscalls[0]", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		 "\"action\":"
		 "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]"
		 "}",
		 "syscalls[0]", ERROR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		 "\"action\":"
		 "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"==\"}]}]}",
		 "'=='", ERROR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = {0};
		char *data = NULL;
		size_t len = 0;

		assert_true(seccomp_compile(cases[i].profile, strlen(cases[i].profile), &data, &len,
					    &err) < 0);
		assert_int_equal(err.kind, cases[i].kind);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' is not in '%s'", cases[i].message, err.msg);
		error_done(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_deny_and_enosys),
		cmocka_unit_test(calls_newer_than_libseccomp),
		cmocka_unit_test(conditions_and_actions),
		cmocka_unit_test(flags),
		cmocka_unit_test(architectures),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
