/* The life of a connection on the loop.
 *
 * conn_drive runs the step of the connection's state again and again until one has to wait; it is
 * entered from the loop only (socket, timer, hand-back from a worker), so that no handler is ever
 * called from inside a call that another handler makes.  Calls on requests only change the state;
 * outside of conn_drive they "kick" it by a timer that is due at once.
 *
 * While a request is with its handler nothing is read, which is what makes pipelining safe and
 * gives back-pressure.  The socket is then watched edge-triggered for errors alone: EPOLLRDHUP says
 * that the client will send no more, which many do while they wait for an answer; EPOLLHUP and
 * EPOLLERR say that it is gone.
 */
#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/pool.h"
#include "http/server_priv.h"

#define READ_BYTES        ((size_t)16 * 1024)
#define READ_BODY_BYTES   ((size_t)64 * 1024)
#define FLUSH_TIMEOUT_MS  60000 /* without progress, answer complete */
#define DRAIN_TIMEOUT_MS  10000
#define LINGER_TIMEOUT_MS 5000
#define LINGER_MAX        ((uint64_t)256 << 20)

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "stream.h uses poll's bits");

/* Of a step: */
enum { WAIT, GO_ON };

static void on_socket(struct loop_source *s, int fd, uint32_t events, void *data);

/* ---- buffers --------------------------------------------------------------------------------- */

size_t conn_in(const struct conn *c, const char **ret)
{
	*ret = c->in ? c->in + c->in_pos : "";
	return c->in_len - c->in_pos;
}

void conn_consume(struct conn *c, size_t n)
{
	assert(n <= c->in_len - c->in_pos);
	c->in_pos += n;
	if (c->in_pos == c->in_len)
		c->in_pos = c->in_len = 0;
}

/* Read once: bytes, 0 at the end, -EAGAIN, or -errno. */
static ssize_t conn_fill(struct conn *c, size_t room)
{
	ssize_t n;

	if (c->in_pos > 0) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_cap - c->in_len < room) {
		c->in_cap = c->in_len + room;
		c->in = xrealloc(c->in, c->in_cap, 1);
	}
	n = stream_read(&c->stream, c->in + c->in_len, c->in_cap - c->in_len);
	if (n > 0)
		c->in_len += (size_t)n;
	return n;
}

/* An idle connection keeps no memory for buffers. */
static void conn_trim(struct conn *c)
{
	if (c->in_len == 0) {
		free(TAKE_PTR(c->in));
		c->in_cap = 0;
	}
	if (c->out_len == 0) {
		free(TAKE_PTR(c->out));
		c->out_cap = 0;
	}
}

size_t conn_unsent(const struct conn *c)
{
	return c->out_len - c->out_pos;
}

static void queue(struct conn *c, const char *data, size_t len)
{
	if (c->out_pos > 0 && c->out_pos >= c->out_len / 2) {
		memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
		c->out_len -= c->out_pos;
		c->out_pos = 0;
	}
	if (c->out_cap - c->out_len < len) {
		c->out_cap = c->out_len + len > 2 * c->out_cap ? c->out_len + len : 2 * c->out_cap;
		c->out = xrealloc(c->out, c->out_cap, 1);
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

/* Send what is queued: 0 when all is sent, -EAGAIN or -errno. */
static int conn_flush(struct conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = stream_write(&c->stream, c->out + c->out_pos, c->out_len - c->out_pos);

		if (n < 0)
			return (int)n;
		c->out_pos += (size_t)n;
	}
	c->out_pos = c->out_len = 0;
	return 0;
}

static int write_blocking(struct conn *c, struct iovec *iov, size_t n)
{
	struct iovec queued = {.iov_base = c->out + c->out_pos, .iov_len = conn_unsent(c)};
	int r = 0;

	if (queued.iov_len > 0) {
		r = stream_write_all(&c->stream, &queued, 1);
		c->out_pos = c->out_len = 0;
	}
	return r < 0 ? r : stream_write_all(&c->stream, iov, n);
}

/* Send what the socket takes, queue the rest. */
static int write_queued(struct conn *c, struct iovec *iov, size_t n)
{
	size_t skip = 0;
	ssize_t done;

	if (conn_unsent(c) == 0) {
		done = stream_writev(&c->stream, iov, n);
		if (done < 0 && done != -EAGAIN)
			return (int)done;
		skip = done > 0 ? (size_t)done : 0;
	}
	for (size_t i = 0; i < n; i++) {
		size_t part = iov[i].iov_len;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		queue(c, (const char *)iov[i].iov_base + skip, part - skip);
		skip = 0;
	}
	if (conn_unsent(c) > 0 && !c->is_driving)
		conn_set_events(c, EPOLLET | c->stream.write_wants);
	return 0;
}

int conn_write(struct conn *c, struct iovec *iov, size_t n)
{
	int r;

	if (c->error < 0)
		return c->error;
	if (c->stream.fd < 0)
		return -EPIPE;
	r = c->state == CONN_WORKER ? write_blocking(c, iov, n) : write_queued(c, iov, n);
	if (r < 0) {
		c->error = r;
		if (c->state != CONN_WORKER)
			conn_kick(c);
	}
	return r;
}

/* ---- waiting --------------------------------------------------------------------------------- */

void conn_set_events(struct conn *c, uint32_t events)
{
	if (!c->source || c->events == events)
		return;
	c->events = events;
	loop_set_events(c->source, events);
}

static void conn_arm(struct conn *c, uint32_t ms)
{
	c->deadline_ms = loop_now_ms(c->server->loop) + ms;
	if (!c->is_kicked)
		loop_set_timer(c->timer, ms);
}

static void conn_disarm(struct conn *c)
{
	if (c->deadline_ms == 0)
		return;
	c->deadline_ms = 0;
	if (!c->is_kicked)
		loop_cancel_timer(c->timer);
}

void conn_kick(struct conn *c)
{
	if (c->is_driving || c->is_kicked)
		return;
	c->is_kicked = true;
	loop_set_timer(c->timer, 0);
}

static int wait_readable(struct conn *c)
{
	conn_set_events(c, c->stream.read_wants);
	return WAIT;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void enter(struct conn *c, enum conn_state state)
{
	c->state = state;
	conn_disarm(c);
	if (state == CONN_HEAD) {
		const struct http_server_args *args = &c->server->args;

		c->has_head_bytes = false;
		conn_arm(c, c->is_first ? args->head_timeout_ms : args->idle_timeout_ms);
	}
}

static int close_conn(struct conn *c)
{
	if (c->stream.fd >= 0 && c->error == 0)
		(void)stream_shutdown_write(
			&c->stream); /* close_notify; the close follows anyway */
	enter(c, CONN_CLOSED);
	return WAIT;
}

/* Refuse in words, unless the client is not there to read them. */
static int refuse(struct conn *c, int status, const char *why)
{
	const struct http_server_args *args = &c->server->args;

	if (!c->req) {
		c->req = request_new(c);
		if (args->on_headers)
			args->on_headers(c->req, args->data);
	}
	enter(c, CONN_HANDLER);
	response_refuse(c->req, status, why);
	return GO_ON;
}

static int begin_request(struct conn *c, size_t len)
{
	struct http_server *s = c->server;
	size_t start = c->scan.start;
	const char *why = NULL, *head;
	int status;

	c->req = request_new(c);
	(void)conn_in(c, &head);
	status = request_parse(c->req, head + start, len - start, &why);
	conn_consume(c, len);
	c->scan = (struct http_head_scan){0};
	c->is_first = false;
	if (status)
		return refuse(c, status, why);

	enter(c, CONN_HANDLER);
	s->args.on_request(c->req, s->args.data);
	return GO_ON;
}

static int step_head(struct conn *c)
{
	const char *buf;
	size_t len = conn_in(c, &buf);
	ssize_t n;

	if (c->server->is_stopping)
		return close_conn(c);
	n = http_head_scan(&c->scan, buf, len);
	if (n > 0)
		return begin_request(c, (size_t)n);
	if (n < 0)
		return refuse(c, n == -E2BIG ? 431 : 400,
			      n == -E2BIG ? "request head too large" : "bad line ending");
	if (len > 0 && !c->has_head_bytes) {
		c->has_head_bytes = true;
		conn_arm(c, c->server->args.head_timeout_ms);
	}

	n = conn_fill(c, READ_BYTES);
	if (n == -EAGAIN) {
		conn_trim(c);
		return wait_readable(c);
	}
	return n > 0 ? GO_ON : close_conn(c);
}

/* The client is gone while a request is parked. */
static int lose_client(struct conn *c)
{
	struct http_request *req = c->req;
	http_handler_fn on_close = req->on_close;

	c->source = loop_remove(c->source);
	stream_done(&c->stream);
	if (c->error == 0)
		c->error = -EPIPE;
	if (!on_close)
		return WAIT; /* stays valid until answered */
	req->on_close = NULL;
	on_close(req, req->on_close_data);
	if (c->req)
		c->req = request_free(c->req);
	return close_conn(c);
}

static int step_body(struct conn *c)
{
	struct http_request *req = c->req;
	ssize_t n;
	int status, r;

	if (c->stream.fd < 0) /* lost while it was parked, and nobody waits for an answer yet */
		return req->on_close ? lose_client(c) : close_conn(c);
	status = request_absorb(req);
	if (status == 413)
		return refuse(c, status, "request body too large");
	if (status)
		return refuse(c, status, "bad chunk in the request body");
	if (req->framing.is_done) {
		enter(c, CONN_HANDLER);
		if (req->to_worker)
			conn_to_worker(c);
		else
			req->handler(req, req->handler_data);
		return GO_ON;
	}

	r = response_continue(req);
	if (r >= 0)
		r = conn_flush(c);
	if (r < 0 && r != -EAGAIN)
		return close_conn(c);
	n = conn_fill(c, READ_BODY_BYTES);
	if (n == -EAGAIN) {
		conn_arm(c, c->server->args.body_timeout_ms);
		conn_set_events(c,
				c->stream.read_wants | (r == -EAGAIN ? c->stream.write_wants : 0));
		return WAIT;
	}
	if (n == 0)
		return refuse(c, 400, "request body cut off");
	return n > 0 ? GO_ON : close_conn(c);
}

static int step_handler(struct conn *c)
{
	int r = c->error;

	if (r == 0 && !c->is_hup)
		r = conn_flush(c);
	if (c->is_hup || (r < 0 && r != -EAGAIN)) {
		if (r < 0 && c->error == 0)
			c->error = r;
		return lose_client(c);
	}
	conn_set_events(c, EPOLLET | (r == -EAGAIN ? c->stream.write_wants : 0));
	return WAIT;
}

static int step_worker(struct conn *c)
{
	(void)c;
	return WAIT;
}

static int enter_linger(struct conn *c)
{
	if (stream_shutdown_write(&c->stream) < 0 ||
	    (c->is_tls && shutdown(c->stream.fd, SHUT_WR) < 0))
		return close_conn(c);
	enter(c, CONN_LINGER);
	c->drained = 0;
	conn_arm(c, LINGER_TIMEOUT_MS);
	return GO_ON;
}

static int step_flush(struct conn *c)
{
	int r = c->error < 0 ? c->error : conn_flush(c);

	if (r == -EAGAIN) {
		conn_arm(c, FLUSH_TIMEOUT_MS);
		conn_set_events(c, EPOLLET | c->stream.write_wants);
		return WAIT;
	}
	if (r < 0)
		return close_conn(c);
	if (c->close_after)
		return c->linger || c->in_len > 0 ? enter_linger(c) : close_conn(c);
	if (c->rest.is_done) {
		enter(c, CONN_HEAD);
		return GO_ON;
	}
	enter(c, CONN_DRAIN);
	c->drained = 0;
	conn_arm(c, DRAIN_TIMEOUT_MS);
	return GO_ON;
}

static int step_drain(struct conn *c)
{
	const char *buf;
	size_t len;
	ssize_t n;

	while (!c->rest.is_done && (len = conn_in(c, &buf)) > 0) {
		uint64_t data = framing_data(&c->rest);

		if (data > 0) {
			n = data < len ? (ssize_t)data : (ssize_t)len;
			framing_advance(&c->rest, (size_t)n);
		} else {
			n = framing_skip(&c->rest, buf, len);
			if (n < 0)
				return enter_linger(c);
		}
		conn_consume(c, (size_t)n);
		c->drained += (size_t)n;
	}
	if (c->rest.is_done) {
		enter(c, CONN_HEAD);
		return GO_ON;
	}
	if (c->drained > HTTP_DRAIN_MAX)
		return enter_linger(c);
	n = conn_fill(c, READ_BYTES);
	if (n == -EAGAIN)
		return wait_readable(c);
	return n > 0 ? GO_ON : close_conn(c);
}

/* Closing with input unread would reset the connection and may take the answer away from the
 * client (RFC 9112 section 9.6). */
static int step_linger(struct conn *c)
{
	ssize_t n;

	c->in_pos = c->in_len = 0;
	n = conn_fill(c, READ_BODY_BYTES);
	if (n == -EAGAIN)
		return wait_readable(c);
	if (n <= 0 || (c->drained += (uint64_t)n) > LINGER_MAX) {
		enter(c, CONN_CLOSED);
		return WAIT;
	}
	return GO_ON;
}

static int step_closed(struct conn *c)
{
	(void)c;
	return WAIT;
}

static int (*const steps[])(struct conn *c) = {
	[CONN_HEAD] = step_head,     [CONN_BODY] = step_body,     [CONN_HANDLER] = step_handler,
	[CONN_WORKER] = step_worker, [CONN_FLUSH] = step_flush,   [CONN_DRAIN] = step_drain,
	[CONN_LINGER] = step_linger, [CONN_CLOSED] = step_closed,
};
static_assert(ARRAY_SIZE(steps) == CONN_STATE_COUNT, "a step for each state");

static void run_handler(void *data)
{
	struct conn *c = data;
	struct http_request *req = c->req;

	req->handler(req, req->handler_data);
	response_finish(req);
	server_hand_back(c);
}

static void leave_drive(struct conn *c)
{
	c->is_driving = false;
	if (c->is_submitting) {
		c->is_submitting = false;
		pool_submit(c->server->pool, run_handler, c);
	} else if (c->state == CONN_CLOSED) {
		conn_free(c);
	}
}

void conn_drive(struct conn *c)
{
	if (c->is_driving)
		return;
	c->is_driving = true;
	while (steps[c->state](c) == GO_ON)
		;
	leave_drive(c);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_socket(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct conn *c = data;

	(void)s;
	(void)fd;
	if ((events & (EPOLLHUP | EPOLLERR)) && c->state == CONN_HANDLER)
		c->is_hup = true;
	conn_drive(c);
}

static int expire(struct conn *c)
{
	if (c->state == CONN_BODY)
		return refuse(c, 408, "request body timed out");
	if (c->state == CONN_HEAD && c->has_head_bytes)
		return refuse(c, 408, "request head timed out");
	if (c->state == CONN_HANDLER)
		return WAIT;
	enter(c, CONN_CLOSED);
	return WAIT;
}

static void on_timer(struct loop_source *s, void *data)
{
	struct conn *c = data;
	uint64_t now = loop_now_ms(c->server->loop);

	if (c->is_kicked) {
		c->is_kicked = false;
		if (c->deadline_ms > 0)
			loop_set_timer(s, c->deadline_ms > now ? c->deadline_ms - now : 0);
	} else {
		c->deadline_ms = 0;
		c->is_driving = true;
		(void)expire(c);
		c->is_driving = false;
	}
	conn_drive(c);
}

/* ---- requests -------------------------------------------------------------------------------- */

void conn_finish_request(struct conn *c)
{
	struct http_request *req = c->req;

	c->rest = req->framing;
	if (!req->head.keep_alive || c->server->is_stopping)
		c->close_after = true;
	/* A client that was not told to go on may send its body or not: nothing can follow. */
	if (!c->rest.is_done &&
	    (req->must_continue || c->close_after || framing_data(&c->rest) > HTTP_DRAIN_MAX))
		c->close_after = c->linger = true;
	c->req = request_free(req);
	enter(c, CONN_FLUSH);
	if (c->stream.fd < 0)
		enter(c, CONN_CLOSED);
	if (c->is_driving)
		return;

	if (c->state == CONN_CLOSED) {
		conn_free(c);
	} else if (c->error == 0 && conn_unsent(c) == 0 && !c->close_after && c->rest.is_done &&
		   c->in_len == 0 && !stream_has_pending(&c->stream)) {
		enter(c, CONN_HEAD);
		conn_trim(c);
		(void)wait_readable(c);
	} else {
		conn_kick(c);
	}
}

void conn_to_worker(struct conn *c)
{
	struct http_server *s = c->server;

	enter(c, CONN_WORKER);
	if (c->is_kicked) {
		c->is_kicked = false;
		loop_cancel_timer(c->timer);
	}
	c->source = loop_remove(c->source);
	c->req->in_worker = true;
	(void)pthread_mutex_lock(&s->lock);
	s->n_workers++;
	(void)pthread_mutex_unlock(&s->lock);
	if (c->is_driving)
		c->is_submitting = true;
	else
		pool_submit(s->pool, run_handler, c);
}

void conn_return(struct conn *c)
{
	struct http_request *req = c->req;
	http_handler_fn handler = req->loop_handler;
	autoerror struct error err = {0};

	req->in_worker = false;
	req->loop_handler = NULL;
	c->is_driving = true;
	c->state = CONN_HANDLER;
	c->is_hup = c->server->is_stopping;
	c->events = EPOLLET;
	if (c->stream.fd >= 0 && loop_add_fd(c->server->loop, c->stream.fd, EPOLLET, on_socket, c,
					     &c->source, &err) < 0) {
		log_warn("http: %s", error_msg(&err));
		c->error = -EIO;
	}
	if (handler && !req->is_ended)
		handler(req, req->loop_data);
	else
		conn_finish_request(c);
	c->is_driving = false;
	/* The handler may have passed it on to another worker. */
	if (c->is_submitting)
		leave_drive(c);
	else
		conn_drive(c);
}

/* ---- begin and end --------------------------------------------------------------------------- */

int conn_new(struct http_server *s, int fd_take, struct tls *tls, struct error *err)
{
	struct conn *c = xnew0(struct conn);
	int r;

	c->server = s;
	c->is_tls = tls;
	c->is_first = true;
	c->rest.is_done = true;
	c->events = EPOLLIN;
	c->stream.fd = -EBADF;
	server_add_conn(s, c);
	r = stream_init_server(&c->stream, fd_take, tls, err);
	if (r >= 0)
		r = loop_add_fd(s->loop, c->stream.fd, EPOLLIN, on_socket, c, &c->source, err);
	if (r >= 0)
		r = loop_add_timer(s->loop, s->args.head_timeout_ms, on_timer, c, &c->timer, err);
	if (r < 0) {
		conn_free(c);
		return r;
	}
	enter(c, CONN_HEAD);
	conn_drive(c);
	return 0;
}

void conn_free(struct conn *c)
{
	server_remove_conn(c->server, c);
	c->source = loop_remove(c->source);
	c->timer = loop_remove(c->timer);
	c->req = request_free(c->req);
	stream_done(&c->stream);
	free(c->in);
	free(c->out);
	free(c);
}
