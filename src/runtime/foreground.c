/* `run` and `exec` without --detach: a poll loop around one process.
 *
 * A terminal is relayed through two small buffers, one a direction, and nothing here ever waits for
 * one side alone: a container that does not read its terminal still gets its signals and may exit.
 */
#include "runtime/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/pidfd.h"
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

/* -- the terminal -------------------------------------------------------------------------- */

/* What has been read and not yet been written. */
struct relay {
	int from, to; /* borrowed; from: -1 at its end */
	size_t start, end;
	char buf[8192];
};

struct terminal {
	int fd; /* borrowed; -EBADF: none */
	struct relay in, out;
	struct termios saved;
	bool is_raw;
};

bool foreground_size(uint16_t *ret_rows, uint16_t *ret_columns)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return false;
	*ret_rows = size.ws_row;
	*ret_columns = size.ws_col;
	return true;
}

static void copy_size(int console_fd)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(console_fd, TIOCSWINSZ, &size);
}

static void terminal_init(struct terminal *t, int console_fd)
{
	t->fd = console_fd;
	t->is_raw = false;
	t->in.from = t->in.to = t->out.from = t->out.to = -1;
	t->in.start = t->in.end = t->out.start = t->out.end = 0;
	if (console_fd < 0)
		return;
	t->in.from = STDIN_FILENO;
	t->in.to = t->out.from = console_fd;
	t->out.to = STDOUT_FILENO;
	(void)fd_set_nonblock(console_fd, true);
	if (tcgetattr(STDIN_FILENO, &t->saved) == 0) {
		struct termios raw = t->saved;

		cfmakeraw(&raw);
		raw.c_oflag |= OPOST;
		t->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
		copy_size(console_fd);
	}
}

static void terminal_done(struct terminal *t)
{
	if (t->is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->saved); /* nobody left to tell */
}

/* EIO: a terminal whose other end has closed. */
static void relay_read(struct relay *r)
{
	ssize_t n = read(r->from, r->buf, sizeof(r->buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		r->from = -1;
	r->start = 0;
	r->end = n > 0 ? (size_t)n : 0;
}

static void relay_write(struct relay *r)
{
	ssize_t n = write(r->to, r->buf + r->start, r->end - r->start);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) { /* nobody will read it */
		r->from = -1;
		r->start = r->end;
		return;
	}
	r->start += (size_t)n;
}

static bool relay_is_full(const struct relay *r)
{
	return r->start < r->end;
}

static void relay_watch(const struct relay *r, struct pollfd *from, struct pollfd *to)
{
	bool full = relay_is_full(r);

	*from = (struct pollfd){.fd = full ? -1 : r->from, .events = POLLIN};
	*to = (struct pollfd){.fd = full ? r->to : -1, .events = POLLOUT};
}

static void relay_run(struct relay *r, const struct pollfd *from, const struct pollfd *to)
{
	if (from->revents)
		relay_read(r);
	else if (to->revents)
		relay_write(r);
}

/* -- the loop ------------------------------------------------------------------------------ */

/* Those that the kernel gave us; the one we stay with is left for the end. */
static void reap_others(pid_t but)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0 ||
		    info.si_pid == but)
			return;
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
}

static void on_signal(int signal_fd, const struct foreground_args *args)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap_others(args->pid);
	else if (info.ssi_signo == SIGWINCH && args->console_fd >= 0)
		copy_size(args->console_fd);
	else
		(void)pidfd_signal(args->pidfd, (int)info.ssi_signo); /* it may have exited */
}

enum {
	WATCH_EXIT,
	WATCH_SIGNAL,
	WATCH_OTHER,
	WATCH_OUT_FROM,
	WATCH_OUT_TO,
	WATCH_IN_FROM,
	WATCH_IN_TO,
	WATCH_COUNT
};

static void loop(const struct foreground_args *args, int signal_fd, struct terminal *t)
{
	struct pollfd p[WATCH_COUNT] = {
		[WATCH_EXIT] = {.fd = pidfd_pollable(args->pidfd), .events = POLLIN},
		[WATCH_SIGNAL] = {.fd = signal_fd, .events = POLLIN},
		[WATCH_OTHER] = {.events = POLLIN},
	};
	bool exited = false;

	for (;;) {
		p[WATCH_OTHER].fd = args->watch_fd ? *args->watch_fd : -1;
		relay_watch(&t->out, &p[WATCH_OUT_FROM], &p[WATCH_OUT_TO]);
		relay_watch(&t->in, &p[WATCH_IN_FROM], &p[WATCH_IN_TO]);
		/* The exit alone is not the end: output may still be in the terminal. */
		if (poll(p, WATCH_COUNT,
			 exited && !relay_is_full(&t->out) ? 0
			 : !exited && p[WATCH_EXIT].fd < 0 ? PIDFD_ASK_MS
							   : -1) < 0)
			continue;           /* EINTR */
		if (p[WATCH_OTHER].revents) /* it may have come just before the exit */
			args->on_watch(args->data);
		if (exited && !p[WATCH_OUT_FROM].revents && !relay_is_full(&t->out))
			return;
		if (p[WATCH_SIGNAL].revents)
			on_signal(signal_fd, args);
		relay_run(&t->out, &p[WATCH_OUT_FROM], &p[WATCH_OUT_TO]);
		relay_run(&t->in, &p[WATCH_IN_FROM], &p[WATCH_IN_TO]);
		exited = exited || (p[WATCH_EXIT].fd < 0 ? pidfd_wait(args->pidfd, 0) != 0
							 : p[WATCH_EXIT].revents != 0);
		if (exited)
			p[WATCH_EXIT].fd = -1;
	}
}

int foreground_run(const struct foreground_args *args, int *ret_code, struct error *err)
{
	autoclose int signal_fd = -EBADF;
	struct terminal terminal;
	siginfo_t info = {0};
	sigset_t set;

	forwarded(&set);
	if (args->reap_others) {
		(void)sigaddset(&set, SIGCHLD);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		reap_others(args->pid); /* what has come before we watched */
	}
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a signalfd");
	terminal_init(&terminal, args->console_fd);
	loop(args, signal_fd, &terminal);
	terminal_done(&terminal);
	while (waitid(P_PID, (id_t)args->pid, &info, WEXITED) < 0)
		if (errno != EINTR)
			return error_set(err, ERROR_INTERNAL, errno, "wait for the container");
	*ret_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}
