/* sweep: let one system call of a program, or of the processes that it makes, fail.
 *
 *     sweep -o LOG [-a PID] COMMAND...                        note every call that could be made to fail
 *     sweep -o LOG [-a PID] -p PROCESS -n CALL -e ERRNO COMMAND...  and let that one fail
 *
 * Processes are numbered by birth, 0 is COMMAND; with -a, 1 is PID, a process that is there already.  Calls are
 * numbered per process, from 0: for each, "PROCESS NUMBER-OF-THE-SYSTEM-CALL" is in the log.  A process other than
 * COMMAND is left alone as soon as it executes a program.  The call does not happen, it only returns the error.
 * The log also says "failed ..." when that has come to pass, and "crashed PROCESS SIGNAL".
 *
 * The exit code is COMMAND's (128 and the signal's number, if one killed it), 97 if it hangs, 96 if we fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/spawn.h"

#define MAX_PROCESSES 64
#define MAX_ARGUMENTS 32
#define HANG_S        60
#define EXIT_HANGS    97
#define EXIT_BROKEN   96
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACEEXEC)

#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

struct syscall_info { /* struct ptrace_syscall_info, ptrace(2) */
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t instruction_pointer, stack_pointer, nr, args[6];
};
enum { OP_ENTRY = 1, OP_EXIT = 2 };

/* Calls that do not fail, or not as far as a program can do anything about it. */
static const long never[] = {
	/* the C library ignores or cannot report it, and the descriptor is gone in any case */
	SYS_close,
	/* do not return */
	SYS_exit,
	SYS_exit_group,
	SYS_rt_sigreturn,
	/* have no errors, or none with valid pointers and numbers */
	SYS_getpid,
	SYS_gettid,
	SYS_getppid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_umask,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_set_tid_address,
	SYS_clock_gettime,
	SYS_uname,
#ifdef SYS_arch_prctl
	SYS_arch_prctl,
#endif
	/* small allocations abort by design when there is no memory: base/mem.h */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	/* between threads: the C library repeats it */
	SYS_futex,
	/* of one's own child: only EINTR, which is another kind of test */
	SYS_wait4,
	SYS_waitid,
};

struct process {
	pid_t pid;
	long calls;
	bool started; /* COMMAND: it is executed; the others at once */
	bool gone, failing;
};

static struct process processes[MAX_PROCESSES];
static size_t process_count;
static long want_process = -1, want_call, want_errno;
static bool done;
static FILE *out;

static void broken(const char *what)
{
	(void)fprintf(stderr, "sweep: %s: %s\n", what, strerror(errno));
	exit(EXIT_BROKEN);
}

static struct process *find(pid_t pid)
{
	for (size_t i = 0; i < process_count; i++)
		if (processes[i].pid == pid && !processes[i].gone)
			return &processes[i];
	if (process_count == MAX_PROCESSES)
		broken("too many processes");
	processes[process_count] = (struct process){.pid = pid, .started = process_count > 0};
	return &processes[process_count++];
}

static long index_of(const struct process *p)
{
	return p - processes;
}

static bool may_fail(long nr)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (never[i] == nr)
			return false;
	return true;
}

/* -- registers --------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static void skip_call(pid_t pid)
{
	(void)ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, orig_rax),
		     (void *)-1L);
}

static void set_result(pid_t pid, long result)
{
	(void)ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, rax),
		     (void *)result);
}
#elif defined(__aarch64__)
#define NT_ARM_SYSTEM_CALL_ 0x404
#define NT_PRSTATUS_        1
static void skip_call(pid_t pid)
{
	int nr = -1;
	struct iovec iov = {&nr, sizeof(nr)};

	(void)ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL_, &iov);
}

static void set_result(pid_t pid, long result)
{
	uint64_t regs[34];
	struct iovec iov = {regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS_, &iov) < 0)
		return;
	regs[0] = (uint64_t)result;
	(void)ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS_, &iov);
}
#else
#error "registers of this machine"
#endif

/* -- stops ------------------------------------------------------------------------------------- */

static bool is_watched(const struct process *p)
{
	return !done && (want_process < 0 || want_process == index_of(p));
}

static void resume(const struct process *p, int signo)
{
	(void)ptrace(is_watched(p) ? PTRACE_SYSCALL : PTRACE_CONT, p->pid, NULL,
		     (void *)(intptr_t)signo); /* ESRCH: killed meanwhile */
}

static void at_call(struct process *p)
{
	struct syscall_info info = {0};

	if (ptrace((int)PTRACE_GET_SYSCALL_INFO, p->pid, (void *)sizeof(info), &info) < 0)
		return;
	if (info.op == OP_EXIT && p->failing) {
		set_result(p->pid, -want_errno);
		p->failing = false;
		done = true;
	}
	if (info.op != OP_ENTRY || !p->started || !is_watched(p) || !may_fail((long)info.nr))
		return;
	if (want_process < 0) {
		(void)fprintf(out, "%ld %ld\n", index_of(p), (long)info.nr);
	} else if (p->calls == want_call) {
		skip_call(p->pid);
		p->failing = true;
		(void)fprintf(out, "failed %ld %ld\n", index_of(p), (long)info.nr);
	}
	p->calls++;
}

/* The one that waits to become COMMAND may be seized while it is still being executed itself. */
static bool is_ourselves(pid_t pid)
{
	struct stat own, other;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static void at_stop(struct process *p, int status)
{
	int signo = WSTOPSIG(status), event = status >> 16;
	unsigned long message;

	switch (event) {
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		if (ptrace(PTRACE_GETEVENTMSG, p->pid, NULL, &message) == 0)
			(void)find((pid_t)message);
		resume(p, 0);
		return;
	case PTRACE_EVENT_EXEC:
		p->started = !is_ourselves(p->pid);
		if (index_of(p) == 0) {
			resume(p, 0);
		} else {
			(void)ptrace(PTRACE_DETACH, p->pid, NULL, NULL);
			p->gone = true;
		}
		return;
	case PTRACE_EVENT_STOP:
		if (signo == SIGTRAP)
			resume(p, 0);
		else
			(void)ptrace(PTRACE_LISTEN, p->pid, NULL, NULL);
		return;
	default:
		if (signo == (SIGTRAP | 0x80)) {
			at_call(p);
			signo = 0;
		}
		resume(p, signo);
	}
}

static void at_end(struct process *p, int status)
{
	int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	p->gone = true;
	if (signo && signo != SIGKILL && signo != SIGTERM && signo != SIGPIPE)
		(void)fprintf(out, "crashed %ld %d\n", index_of(p), signo);
}

static int watch(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);
		struct process *p;

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			broken("wait");
		p = find(pid);
		if (WIFSTOPPED(status)) {
			at_stop(p, status);
			continue;
		}
		at_end(p, status);
		if (p == &processes[0])
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/* -- start and end ----------------------------------------------------------------------------- */

static void hang(int signo)
{
	(void)signo;
	for (size_t i = 0; i < process_count; i++)
		if (!processes[i].gone)
			(void)kill(processes[i].pid, SIGKILL);
	_exit(EXIT_HANGS);
}

static void seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(uintptr_t)OPTIONS) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		broken("seize");
	(void)find(pid);
}

#define GATE_FD 3

/* The one that becomes COMMAND: when the gate is closed it has been seized. */
static int wait_and_execute(char **command)
{
	char byte;

	if (read(GATE_FD, &byte, 1) == 0 && close(GATE_FD) == 0)
		(void)execv(command[0], command);
	return EXIT_BROKEN;
}

static void start(char **command, int count)
{
	const char *argv[MAX_ARGUMENTS] = {"sweep", "-w"};
	int gate[2];
	struct spawn_fd fds[] = {{0, 0}, {1, 1}, {2, 2}, {-1, GATE_FD}};
	const struct spawn_args args = {
		.path = "/proc/self/exe", .exec_fd = -1, .argv = argv, .fds = fds, .fd_count = 4};
	pid_t pid;

	if (count + 3 > MAX_ARGUMENTS || pipe2(gate, O_CLOEXEC) < 0)
		broken("pipe");
	memcpy(argv + 2, command, (size_t)count * sizeof(*argv));
	fds[3].fd = gate[0];
	if (spawn(&args, &pid, NULL, NULL) < 0)
		broken("spawn");
	(void)close(gate[0]);
	seize(pid);
	(void)close(gate[1]);
}

int main(int argc, char **argv)
{
	pid_t attach = 0;
	int option, code;

	while ((option = getopt(argc, argv, "+wo:a:p:n:e:")) != -1) {
		long number = option == 'o' || option == 'w' ? 0 : strtol(optarg, NULL, 10);

		if (option == 'o')
			out = fopen(optarg, "we");
		else if (option == 'w')
			return wait_and_execute(argv + optind);
		else if (option == 'a')
			attach = (pid_t)number;
		else if (option == 'p')
			want_process = number;
		else if (option == 'n')
			want_call = number;
		else if (option == 'e')
			want_errno = number;
		else
			return EXIT_BROKEN;
	}
	if (out)
		(void)setvbuf(out, NULL, _IOLBF, 0);
	if (!out || optind >= argc)
		return EXIT_BROKEN;
	(void)signal(SIGALRM, hang);
	(void)alarm(HANG_S);
	start(argv + optind, argc - optind);
	if (attach)
		seize(attach);
	code = watch();
	(void)fclose(out);
	return code; /* who is still there is left alone by our exit */
}
