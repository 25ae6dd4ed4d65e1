/* vessel-init - process 1 of containers started with --init.
 *
 *     vessel-init [--] command [argument...]
 *
 * Starts the command in a process group of its own, which gets the terminal if there is one; passes
 * every signal on to it; reaps whatever becomes an orphan; ends with the command's exit code, or
 * 128 plus the signal that killed it.  A command that cannot be executed: 127 if it does not exist,
 * else 126.  Allocates nothing.
 *
 * All signals are blocked and taken one by one with sigwaitinfo(2), so no handler runs and none is
 * lost.  The signals of a fault of our own stay as they are.  As process 1 it may be started with all
 * of them blocked, so that those that come before it blocks them are kept for it; the command begins
 * with none blocked then.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNALLED = 128 };

static const int fault_signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

static void complain(const char *what, const char *name)
{
	(void)dprintf(STDERR_FILENO, "vessel-init: %s '%s': %s\n", what, name, strerror(errno));
}

static void __attribute__((noreturn)) run_command(char *const argv[], const sigset_t *mask)
{
	int errnum;

	(void)setpgid(0, 0);
	/* From a background group this raises SIGTTOU, which is still blocked.  No terminal: ENOTTY. */
	(void)tcsetpgrp(STDIN_FILENO, getpgrp());
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(argv[0], argv);
	errnum = errno;
	complain("execute", argv[0]);
	_exit(errnum == ENOENT || errnum == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Reap all that have ended; true when the command is among them. */
static bool reap(pid_t command, int *ret_code)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		ended = true;
		*ret_code =
			WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALLED + WTERMSIG(status);
	}
	return ended;
}

static int supervise(pid_t command, const sigset_t *blocked)
{
	int code = 0;

	for (;;) {
		int signo = sigwaitinfo(blocked, NULL);

		if (signo < 0)
			continue; /* EINTR: stopped and continued */
		if (signo != SIGCHLD)
			(void)kill(command,
				   signo); /* a zombie until we reap it: never a stranger */
		else if (reap(command, &code))
			return code;
	}
}

int main(int argc, char *argv[])
{
	int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
	sigset_t blocked, old;
	pid_t pid;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return dprintf(STDOUT_FILENO, "vessel-init version %s\n", VESSEL_VERSION) < 0;
	if (first >= argc || (first == 1 && argv[1][0] == '-')) {
		(void)dprintf(STDERR_FILENO, "usage: vessel-init [--] command [argument...]\n");
		return EXIT_USAGE;
	}
	/* Elsewhere than as process 1, orphans come to us only on request. */
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		complain("become the reaper of", argv[first]);

	(void)sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(fault_signals) / sizeof(fault_signals[0]); i++)
		(void)sigdelset(&blocked, fault_signals[i]);
	(void)sigprocmask(SIG_SETMASK, &blocked, &old);

	if (getpid() == 1)
		(void)sigemptyset(&old);
	pid = fork();
	if (pid < 0) {
		complain("start", argv[first]);
		return EXIT_USAGE;
	}
	if (pid == 0)
		run_command(argv + first, &old);
	return supervise(pid, &blocked);
}
