/* `run` without --detach: a poll loop around one container. */
#include "runtime/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/sys.h"

/* All but those that are about ourselves. */
static void forwarded(sigset_t *set)
{
	static const int own[] = {SIGCHLD, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGABRT,
				  SIGTRAP, SIGPIPE, SIGSTOP, SIGKILL, SIGSYS};

	(void)sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		(void)sigdelset(set, own[i]);
}

void foreground_block_signals(void)
{
	sigset_t set;

	forwarded(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void copy_size(int console_fd)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(console_fd, TIOCSWINSZ, &size);
}

static void on_signal(int signal_fd, int pidfd, int console_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH && console_fd >= 0)
		copy_size(console_fd);
	else
		(void)sys_pidfd_send_signal(pidfd, (int)info.ssi_signo); /* it may have exited */
}

/* One chunk; false at the end.  EIO is a terminal whose other end has closed. */
static bool relay(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && fd_write_full(to, buf, (size_t)n) == 0;
}

enum { WATCH_EXIT, WATCH_SIGNAL, WATCH_CONSOLE, WATCH_STDIN, WATCH_COUNT };

static void loop(int pidfd, int signal_fd, int console_fd)
{
	struct pollfd p[WATCH_COUNT] = {
		[WATCH_EXIT] = {.fd = pidfd, .events = POLLIN},
		[WATCH_SIGNAL] = {.fd = signal_fd, .events = POLLIN},
		[WATCH_CONSOLE] = {.fd = console_fd, .events = POLLIN},
		[WATCH_STDIN] = {.fd = console_fd >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
	};

	/* The exit alone is not the end: output may still be in the terminal. */
	while (p[WATCH_EXIT].fd >= 0) {
		if (poll(p, WATCH_COUNT, -1) < 0)
			continue; /* EINTR */
		if (p[WATCH_SIGNAL].revents)
			on_signal(signal_fd, pidfd, console_fd);
		if (p[WATCH_CONSOLE].revents && !relay(console_fd, STDOUT_FILENO))
			p[WATCH_CONSOLE].fd = -1;
		else if (p[WATCH_CONSOLE].revents)
			continue; /* drain before the exit counts */
		if (p[WATCH_STDIN].revents && !relay(STDIN_FILENO, console_fd))
			p[WATCH_STDIN].fd = -1;
		if (p[WATCH_EXIT].revents)
			p[WATCH_EXIT].fd = -1;
	}
}

int foreground_run(pid_t pid, int pidfd, int console_fd, int *ret_code, struct error *err)
{
	struct termios saved;
	bool raw = console_fd >= 0 && tcgetattr(STDIN_FILENO, &saved) == 0;
	autoclose int signal_fd = -EBADF;
	siginfo_t info = {0};
	sigset_t set;

	forwarded(&set);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a signalfd");
	if (raw) {
		struct termios t = saved;

		cfmakeraw(&t);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t); /* cosmetic */
		copy_size(console_fd);
	}
	loop(pidfd, signal_fd, console_fd);
	if (raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		if (errno != EINTR)
			return error_set(err, ERROR_INTERNAL, errno, "wait for the container");
	*ret_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}
