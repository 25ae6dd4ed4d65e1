/* What feeds a vessel-log. */
#include "shim/logpipe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/logentry.h"
#include "base/loop.h"
#include "base/spawn.h"
#include "shim/protocol.h"

#define READY_TIMEOUT_MS  30000 /* longer than vessel-log takes to give a connection up */
#define AGAIN_MIN_MS      100   /* before it is started again; doubles */
#define AGAIN_MAX_MS      10000
#define STEADY_NS         INT64_C(10000000000) /* one that has lived so long is started at once */
#define CLOSE_TIMEOUT_MS  10000
#define FINISH_TIMEOUT_MS 2000
#define STATUS_MAX        4096

/* Entries that wait. */
struct batch {
	struct batch *next;
	size_t len;
	char data[];
};

struct logpipe {
	struct loop *loop; /* borrowed */
	char *helper;      /* owned */
	int config_fd;     /* owned */
	int fd, peer_fd;   /* owned: our end, and the one that vessel-log has a copy of */
	struct loop_source *src, *timer, *closer;
	pid_t pid;
	int64_t started_ns; /* monotonic */
	uint64_t again_ms;
	struct batch *first, **last;
	size_t queued, limit; /* bytes */
	bool non_blocking, closing;
	bool await, finished;
	uint64_t dropped;
	void (*on_flow)(void *data);
	void *flow_data;
	void (*on_idle)(void *data);
	void *idle_data;
};

static int start(struct logpipe *p, int status_fd, struct error *err)
{
	const char *const argv[] = {"vessel-log", "run", status_fd < 0 ? "again" : NULL, NULL};
	const struct spawn_fd fds[] = {
		{STDERR_FILENO, STDERR_FILENO},
		{p->config_fd, LOGPIPE_CONFIG_FD},
		{p->peer_fd, LOGPIPE_INPUT_FD},
		{status_fd, LOGPIPE_STATUS_FD},
	};
	const struct spawn_args args = {.path = p->helper,
					.exec_fd = -EBADF,
					.argv = argv,
					.fds = fds,
					.fd_count = status_fd < 0 ? 3 : 4};
	int r = spawn(&args, &p->pid, NULL, err);

	p->started_ns = clock_monotonic_ns();
	return r;
}

/* Its only word: a line feed, or what is wrong. */
static int wait_ready(int fd, struct error *err)
{
	int64_t end = clock_monotonic_ns() + READY_TIMEOUT_MS * INT64_C(1000000);
	char text[STATUS_MAX];
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left = (end - clock_monotonic_ns()) / 1000000;
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
			return error_set(err, ERROR_INTERNAL, ETIMEDOUT,
					 "failed to initialize logging driver");
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (text[0] == '\n')
			return 0;
	}
	text[len] = '\0';
	return error_set(err, ERROR_INTERNAL, 0, "failed to initialize logging driver: %s",
			 len > 0 ? text : "vessel-log ended");
}

static int write_config(struct logpipe *p, const struct json *driver, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT((size_t)16 << 20);
	struct json_writer w;

	json_writer_init(&w, &text);
	jw_value(&w, driver);
	p->config_fd = fd_memfd("vessel-log-config", text.s, text.len, err);
	return p->config_fd < 0 ? p->config_fd : 0;
}

int logpipe_open(struct loop *loop, const struct shim_log *log, struct logpipe **ret,
		 struct error *err)
{
	autologpipe struct logpipe *p = xnew0(struct logpipe);
	autoclose int status = -EBADF;
	int pair[2], pipe_fds[2], r;

	p->loop = loop;
	p->helper = xstrdup(log->helper);
	p->config_fd = p->fd = p->peer_fd = -EBADF;
	p->non_blocking = log->non_blocking;
	p->limit = log->buffer_size;
	p->await = log->await;
	p->again_ms = AGAIN_MIN_MS;
	p->last = &p->first;
	r = write_config(p, log->driver, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket pair");
	p->fd = pair[0];
	p->peer_fd = pair[1];
	(void)fd_set_nonblock(p->fd, true);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a pipe");
	status = pipe_fds[0];
	r = start(p, pipe_fds[1], err);
	(void)close(pipe_fds[1]);
	if (r >= 0)
		r = wait_ready(status, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

void logpipe_set_callbacks(struct logpipe *p, void (*on_flow)(void *data), void *flow_data,
			   void (*on_idle)(void *data), void *idle_data)
{
	p->on_flow = on_flow;
	p->flow_data = flow_data;
	p->on_idle = on_idle;
	p->idle_data = idle_data;
}

/* ---- the queue -------------------------------------------------------------------------------- */

/* 1: it is sent; 0: not now. */
static int send_batch(struct logpipe *p, const char *data, size_t len)
{
	ssize_t n;

	do
		n = send(p->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

static void forget_queue(struct logpipe *p)
{
	while (p->first) {
		struct batch *b = p->first;

		p->first = b->next;
		free(b);
	}
	p->last = &p->first;
	p->queued = 0;
}

static void tell_idle(struct logpipe *p)
{
	p->closer = loop_remove(p->closer);
	if (p->on_idle)
		p->on_idle(p->idle_data);
}

static void on_writable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct logpipe *p = data;

	(void)fd;
	(void)events;
	while (p->first && send_batch(p, p->first->data, p->first->len)) {
		struct batch *b = p->first;

		p->queued -= b->len;
		p->first = b->next;
		free(b);
	}
	if (p->first)
		return;
	p->last = &p->first;
	loop_set_events(src, 0);
	if (!p->non_blocking && p->on_flow)
		p->on_flow(p->flow_data);
	if (p->closing)
		tell_idle(p);
}

static void watch(struct logpipe *p)
{
	autoerror struct error err = {0};

	if (p->src)
		loop_set_events(p->src, EPOLLOUT);
	else if (loop_add_fd(p->loop, p->fd, EPOLLOUT, on_writable, p, &p->src, &err) < 0)
		log_error("watch vessel-log: %s", error_msg(&err));
}

static void drop(struct logpipe *p, const char *data, size_t len)
{
	uint64_t before = p->dropped;
	struct logentry e;
	ssize_t n;

	for (; (n = logentry_next(data, len, &e)) > 0; p->dropped++) {
		data += n;
		len -= (size_t)n;
	}
	if (before == 0 && p->dropped > 0)
		log_warn("the log driver is slow: lines are dropped");
}

/* The entries that fit into what is left of the buffer. */
static size_t fitting(const struct logpipe *p, const char *data, size_t len)
{
	size_t room = p->limit > p->queued ? p->limit - p->queued : 0, at = 0;
	struct logentry e;
	ssize_t n;

	if (len <= room)
		return len;
	while ((n = logentry_next(data + at, len - at, &e)) > 0 && at + (size_t)n <= room)
		at += (size_t)n;
	return at;
}

void logpipe_write(struct logpipe *p, const char *data, size_t len)
{
	size_t keep = len;
	bool was_full = logpipe_is_full(p);
	struct batch *b;

	if (!p->first && send_batch(p, data, len))
		return;
	if (p->non_blocking) {
		keep = fitting(p, data, len);
		drop(p, data + keep, len - keep);
		if (keep == 0)
			return;
	}
	b = xcalloc(1, sizeof(*b) + keep);
	b->len = keep;
	memcpy(b->data, data, keep);
	*p->last = b;
	p->last = &b->next;
	p->queued += keep;
	watch(p);
	if (!was_full && logpipe_is_full(p) && p->on_flow)
		p->on_flow(p->flow_data);
}

bool logpipe_is_full(const struct logpipe *p)
{
	return p && !p->non_blocking && p->queued > 0;
}

bool logpipe_is_idle(const struct logpipe *p)
{
	return !p || !p->first;
}

uint64_t logpipe_dropped(const struct logpipe *p)
{
	return p ? p->dropped : 0;
}

pid_t logpipe_pid(const struct logpipe *p)
{
	return p ? p->pid : 0;
}

/* ---- life ------------------------------------------------------------------------------------- */

static void start_again(struct loop_source *timer, void *data)
{
	struct logpipe *p = data;
	autoerror struct error err = {0};

	if (start(p, -EBADF, &err) >= 0)
		return;
	log_error("start vessel-log again: %s", error_msg(&err));
	p->again_ms = p->again_ms * 2 < AGAIN_MAX_MS ? p->again_ms * 2 : AGAIN_MAX_MS;
	loop_set_timer(timer, p->again_ms);
}

static void give_up(struct loop_source *timer, void *data)
{
	struct logpipe *p = data;

	(void)timer;
	for (const struct batch *b = p->first; b; b = b->next)
		drop(p, b->data, b->len);
	forget_queue(p);
	p->src = loop_remove(p->src);
	tell_idle(p);
}

bool logpipe_reaped(struct logpipe *p, pid_t pid, int code)
{
	if (p->pid == 0 || p->pid != pid)
		return false;
	p->pid = 0;
	if (p->finished)
		return true;
	log_warn("vessel-log ended with %d; it is started again", code);
	if (clock_monotonic_ns() - p->started_ns > STEADY_NS)
		p->again_ms = AGAIN_MIN_MS;
	if (p->timer)
		loop_set_timer(p->timer, p->again_ms);
	else
		(void)loop_add_timer(p->loop, p->again_ms, start_again, p, &p->timer, NULL);
	p->again_ms = p->again_ms * 2 < AGAIN_MAX_MS ? p->again_ms * 2 : AGAIN_MAX_MS;
	return true;
}

/* Our copy of its end goes first: then the end of the last other one shows. */
void logpipe_finish(struct logpipe *p)
{
	int64_t end = clock_monotonic_ns() + FINISH_TIMEOUT_MS * INT64_C(1000000), left;
	struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};

	if (!p->await || p->finished)
		return;
	p->finished = true;
	fd_close(&p->peer_fd);
	while ((left = end - clock_monotonic_ns()) > 0) {
		if (p->first && send_batch(p, p->first->data, p->first->len)) {
			struct batch *b = p->first;

			p->queued -= b->len;
			p->first = b->next;
			free(b);
			continue;
		}
		if (!p->first) {
			p->last = &p->first;
			pfd.events = 0; /* its end is told in any case */
			(void)shutdown(p->fd, SHUT_WR);
		}
		if (poll(&pfd, 1, (int)(left / 1000000) + 1) > 0 &&
		    pfd.revents & (POLLHUP | POLLERR))
			break;
	}
	for (const struct batch *b = p->first; b; b = b->next)
		drop(p, b->data, b->len);
	forget_queue(p);
	p->src = loop_remove(p->src);
}

void logpipe_close(struct logpipe *p)
{
	if (p->closing)
		return;
	p->closing = true;
	if (p->first)
		(void)loop_add_timer(p->loop, CLOSE_TIMEOUT_MS, give_up, p, &p->closer, NULL);
}

struct logpipe *logpipe_free(struct logpipe *p)
{
	if (!p)
		return NULL;
	if (p->dropped > 0)
		log_warn("the log driver was slow: %llu lines were dropped",
			 (unsigned long long)p->dropped);
	p->src = loop_remove(p->src);
	p->timer = loop_remove(p->timer);
	p->closer = loop_remove(p->closer);
	forget_queue(p);
	fd_close(&p->fd);
	fd_close(&p->peer_fd);
	fd_close(&p->config_fd);
	free(p->helper);
	free(p);
	return NULL;
}
