/* One attached client.
 *
 * Output: what the socket does not take at once waits in a list of chunks.  A client that asked for
 * the log's content first reads it from the files at its own pace while live output goes only to the
 * log; when it has caught up it gets the unfinished lines and is live from that same moment.  All
 * of this happens on one thread, so nothing falls between.
 *
 * Input: read from the socket only while nothing waits for room in stdin.  A peer that has gone
 * altogether may have left input in its socket: that is still delivered.  Where a client's end of input
 * is not the process's, at a terminal and without close_stdin, it is the end of the client's session.
 *
 * The end: shutdown(2) of our side, then we read and drop what the peer still sends until it closes,
 * for closing a socket with unread input would destroy output that is under way (TCP sends RST, a
 * unix socket ECONNRESET).
 */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/error.h"
#include "shim/logfile.h"
#include "shim/scratch.h"
#include "shim/streams_priv.h"

#define REPLAY_BATCH     65536 /* bytes of the log sent, or queued ahead, at a time */
#define REPLAY_TURN      8     /* batches before others get their turn */
#define FLUSH_TIMEOUT_MS 30000 /* without progress, at the end */
#define LINGER_MS        2000

static bool pump_replay(struct client *c);

struct client *client_free(struct client *c)
{
	struct streams *s = c->streams;

	for (struct client **p = &s->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	if (c->stdin_held)
		streams_stdin_ended(s);
	c->src = loop_remove(c->src);
	c->timer = loop_remove(c->timer);
	fd_close(&c->fd);
	strbuf_done(&c->pending);
	while (c->queue) {
		struct chunk *chunk = c->queue;

		c->queue = chunk->next;
		free(chunk);
	}
	c->reader = logfile_reader_free(c->reader);
	free(c);
	streams_client_gone(s);
	return NULL;
}

static void update_events(struct client *c)
{
	uint32_t events =
		EPOLLERR; /* with EPOLLHUP reported always, but only for a non-empty set */

	if (!c->src)
		return;
	if (c->queue || c->state == CLIENT_REPLAY)
		events |= EPOLLOUT;
	if (c->input_open && c->pending.len == 0)
		events |= EPOLLIN;
	loop_set_events(c->src, events);
}

static void set_blocking(struct client *c)
{
	bool blocking = c->blocking;

	if (c->state != CLIENT_LIVE || c->queued <= STREAMS_QUEUE_MAX / 2)
		c->blocking = false;
	else if (c->queued >= STREAMS_QUEUE_MAX)
		c->blocking = true;
	if (blocking != c->blocking)
		streams_update_flow(c->streams);
}

static void drop_queue(struct client *c)
{
	while (c->queue) {
		struct chunk *chunk = c->queue;

		c->queue = chunk->next;
		free(chunk);
	}
	c->queue_end = &c->queue;
	c->queued = c->queue_done = 0;
}

/* Input */

/* The input is delivered to its end. */
static void release_stdin(struct client *c)
{
	if (!c->stdin_held)
		return;
	c->stdin_held = false;
	streams_stdin_ended(c->streams);
}

static void deliver_input(struct client *c, const char *data, size_t len)
{
	size_t n;

	if (!c->stdin_held || len == 0)
		return;
	n = c->pending.len > 0 ? 0 : streams_write_stdin(c->streams, data, len);
	if (n < len) {
		strbuf_add(&c->pending, data + n, len - n);
		streams_wait_stdin(c->streams);
	}
}

/* False when the detach keys have been typed. */
static bool take_input(struct client *c, const void *data, size_t len)
{
	autostrbuf struct strbuf passed = STRBUF_INIT(2 * SCRATCH_SIZE);
	bool detached;

	if (c->detach.count == 0) {
		deliver_input(c, data, len);
		return true;
	}
	detached = detach_filter(&c->detach, data, len, &passed);
	deliver_input(c, passed.s, passed.len);
	return !detached;
}

/* Its input was all that kept it. */
static bool is_over(const struct client *c)
{
	return c->ends_with_input && !c->input_open && !c->stdin_held;
}

static void end_input(struct client *c)
{
	autostrbuf struct strbuf held = STRBUF_INIT(DETACH_KEYS_MAX);

	c->input_open = false;
	detach_flush(&c->detach, &held);
	deliver_input(c, held.s, held.len);
	if (c->pending.len == 0)
		release_stdin(c);
}

/* The peer is gone: no more output; what is left of its input is delivered. */
static void peer_gone(struct client *c)
{
	c->state = CLIENT_GONE;
	c->src = loop_remove(c->src);
	c->timer = loop_remove(c->timer);
	drop_queue(c);
	set_blocking(c);
	if (!c->stdin_held)
		c->input_open = false;
	while (c->input_open && c->pending.len == 0) {
		char *buf = scratch_get(c->streams->scratch);
		ssize_t n = recv(c->fd, buf, SCRATCH_SIZE, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !take_input(c, buf, (size_t)n))
			end_input(c);
	}
	if (c->pending.len == 0)
		client_free(c);
}

void client_deliver_pending(struct client *c)
{
	size_t n = streams_write_stdin(c->streams, c->pending.s, c->pending.len);

	strbuf_drop(&c->pending, n);
	if (c->pending.len > 0)
		return;
	strbuf_done(&c->pending);
	strbuf_init(&c->pending, 2 * SCRATCH_SIZE);
	if (!c->input_open)
		release_stdin(c);
	if (c->state == CLIENT_GONE)
		peer_gone(c);
	else if (is_over(c))
		client_end(c);
	else
		update_events(c);
}

/* Output */

static void enqueue(struct client *c, const struct iovec *iov, int count, size_t skip)
{
	size_t total = 0;
	struct chunk *chunk;
	char *p;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	chunk = xcalloc(1, sizeof(*chunk) + total - skip);
	p = chunk->data;
	for (int i = 0; i < count; i++) {
		size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		memcpy(p, (const char *)iov[i].iov_base + off, iov[i].iov_len - off);
		p += iov[i].iov_len - off;
		skip -= off;
	}
	chunk->len = (size_t)(p - chunk->data);
	*c->queue_end = chunk;
	c->queue_end = &chunk->next;
	c->queued += chunk->len;
}

static ssize_t send_iov(int fd, struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (__typeof__(msg.msg_iovlen))count};
	ssize_t n;

	do
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n < 0 ? -errno : n;
}

static void frame_head(unsigned char head[static STREAMS_FRAME_SIZE], enum stream_kind kind,
		       size_t len)
{
	memset(head, 0, STREAMS_FRAME_SIZE);
	head[0] = (unsigned char)kind;
	for (int i = 0; i < 4; i++)
		head[4 + i] = (unsigned char)(len >> (24 - 8 * i));
}

/* Send or queue one piece of output; false when the peer is gone. */
static bool put_output(struct client *c, enum stream_kind kind, const void *data, size_t len)
{
	unsigned char head[STREAMS_FRAME_SIZE];
	struct iovec iov[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)data, len}};
	struct iovec *first = c->streams->tty ? iov + 1 : iov;
	int count = c->streams->tty ? 1 : 2;
	size_t total = len + (c->streams->tty ? 0 : sizeof(head));
	ssize_t n = 0;

	frame_head(head, kind, len);
	if (!c->queue) {
		n = send_iov(c->fd, first, (size_t)count);
		if (n < 0)
			return false;
	}
	if ((size_t)n < total)
		enqueue(c, first, count, (size_t)n);
	return true;
}

void client_output(struct client *c, enum stream_kind kind, const void *data, size_t len)
{
	if (c->state != CLIENT_LIVE || !c->wants[kind])
		return;
	if (!put_output(c, kind, data, len)) {
		peer_gone(c);
		return;
	}
	set_blocking(c);
	update_events(c);
}

/* Write what waits; false when the peer is gone. */
static bool flush_queue(struct client *c)
{
	while (c->queue) {
		struct chunk *chunk = c->queue;
		struct iovec iov = {chunk->data + c->queue_done, chunk->len - c->queue_done};
		ssize_t n = send_iov(c->fd, &iov, 1);

		if (n < 0)
			return false;
		if (n == 0)
			break;
		c->queued -= (size_t)n;
		c->queue_done += (size_t)n;
		if (c->queue_done < chunk->len)
			continue;
		c->queue = chunk->next;
		c->queue_done = 0;
		if (!c->queue)
			c->queue_end = &c->queue;
		free(chunk);
	}
	return true;
}

static void linger_over(struct loop_source *timer, void *data)
{
	(void)timer;
	client_free(data);
}

static void set_timer(struct client *c, uint64_t ms)
{
	if (c->timer)
		loop_set_timer(c->timer, ms);
	else
		(void)loop_add_timer(c->streams->loop, ms, linger_over, c, &c->timer, NULL);
}

/* All output is out: send the end. */
static void start_linger(struct client *c)
{
	c->state = CLIENT_LINGER;
	c->input_open = true; /* read and dropped */
	(void)shutdown(c->fd, SHUT_WR);
	set_timer(c, LINGER_MS);
	update_events(c);
}

static void start_flush(struct client *c)
{
	c->state = CLIENT_FLUSH;
	c->input_open = false;
	strbuf_reset(&c->pending);
	release_stdin(c);
	set_blocking(c);
	set_timer(c, FLUSH_TIMEOUT_MS);
	if (c->queue)
		update_events(c);
	else
		start_linger(c);
}

void client_end(struct client *c)
{
	c->stream = false;
	if (c->state == CLIENT_REPLAY) {
		if (!pump_replay(c))
			peer_gone(c);
	} else if (c->state == CLIENT_LIVE) {
		start_flush(c);
	} else if (c->state == CLIENT_GONE) {
		client_free(c);
	}
}

/* Caught up with the log: what is not in it yet, then live. */
static bool replay_done(struct client *c)
{
	bool ok = true;

	c->reader = logfile_reader_free(c->reader);
	for (int k = STREAM_STDOUT; k <= STREAM_STDERR && ok; k++) {
		const struct strbuf *rest =
			logfile_unfinished(c->streams->log, (enum stream_kind)k);

		if (c->wants[k] && rest->len > 0)
			ok = put_output(c, (enum stream_kind)k, rest->s, rest->len);
	}
	if (!ok)
		return false;
	if (c->stream) {
		c->state = CLIENT_LIVE;
		update_events(c);
	} else {
		start_flush(c);
	}
	return true;
}

/* Frames of log lines, up to REPLAY_BATCH bytes; false at the log's end. */
static bool replay_batch(struct client *c, struct strbuf *batch)
{
	autostrbuf struct strbuf text = STRBUF_INIT(8 * LOGLINE_MAX);
	enum stream_kind kind;

	while (batch->len < REPLAY_BATCH) {
		strbuf_reset(&text);
		if (logfile_reader_next(c->reader, &kind, &text) == 0)
			return false;
		if (!c->wants[kind] || text.len == 0)
			continue;
		if (!c->streams->tty) {
			unsigned char head[STREAMS_FRAME_SIZE];

			frame_head(head, kind, text.len);
			strbuf_add(batch, head, sizeof(head));
		}
		strbuf_add(batch, text.s, text.len);
	}
	return true;
}

/* Send the log's lines while the peer takes them; false when it is gone. */
static bool pump_replay(struct client *c)
{
	bool more = true;

	for (int i = 0; i < REPLAY_TURN && more && c->queued < REPLAY_BATCH; i++) {
		autostrbuf struct strbuf batch = STRBUF_INIT(REPLAY_BATCH + 16 * LOGLINE_MAX);
		struct iovec iov;

		more = replay_batch(c, &batch);
		iov = (struct iovec){batch.s, batch.len};
		if (batch.len > 0)
			enqueue(c, &iov, 1, 0);
		if (!flush_queue(c))
			return false;
	}
	if (!more)
		return replay_done(c);
	update_events(c);
	return true;
}

/* Events */

/* What the peer sent and nobody will read must not be there at close(2). */
static void drop_input(struct client *c)
{
	char *buf = scratch_get(c->streams->scratch);

	for (int i = 0; i < 16; i++)
		if (recv(c->fd, buf, SCRATCH_SIZE, MSG_DONTWAIT) <= 0)
			break;
}

static void read_input(struct client *c)
{
	char *buf = scratch_get(c->streams->scratch);
	ssize_t n = recv(c->fd, buf, SCRATCH_SIZE, MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			peer_gone(c);
		return;
	}
	if (c->state == CLIENT_LINGER) {
		if (n == 0)
			client_free(c);
		return;
	}
	if (n == 0) {
		end_input(c);
		if (is_over(c))
			client_end(c);
		else
			update_events(c);
	} else if (take_input(c, buf, (size_t)n)) {
		update_events(c);
	} else {
		start_flush(c);
	}
}

static bool continue_output(struct client *c)
{
	if (!flush_queue(c))
		return false;
	if (c->state == CLIENT_REPLAY)
		return pump_replay(c);
	if (c->state == CLIENT_FLUSH) {
		if (!c->queue)
			start_linger(c);
		else
			set_timer(c, FLUSH_TIMEOUT_MS);
	} else {
		set_blocking(c);
	}
	update_events(c);
	return true;
}

static void client_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct client *c = data;

	(void)src;
	(void)fd;
	if (events & (EPOLLERR | EPOLLHUP)) {
		if (c->state == CLIENT_LINGER)
			drop_input(c);
		peer_gone(c);
		return;
	}
	if ((events & EPOLLOUT) && !continue_output(c)) {
		peer_gone(c);
		return;
	}
	if ((events & EPOLLIN) && c->input_open)
		read_input(c);
}

static int client_init(struct client *c, const struct streams_attach_args *args, struct error *err)
{
	struct streams *s = c->streams;
	int r;

	c->fd = args->fd_take;
	c->queue_end = &c->queue;
	strbuf_init(&c->pending, 2 * SCRATCH_SIZE);
	c->wants[STREAM_STDOUT] = args->out;
	c->wants[STREAM_STDERR] = args->err;
	c->stream = args->stream && !s->closing;
	c->input_open = true;
	if (s->tty) {
		r = detach_init(&c->detach, args->detach_keys, err);
		if (r < 0)
			return r;
	}
	if (args->early_len > SCRATCH_SIZE)
		return error_set(err, ERROR_INVALID, 0, "attach: too much early input");
	return loop_add_fd(s->loop, c->fd, EPOLLERR, client_ready, c, &c->src, err);
}

int client_new(struct streams *s, struct streams_attach_args *args, struct error *err)
{
	struct client *c = xnew0(struct client), **end = &s->clients;
	bool detached = false;
	int r;

	c->streams = s;
	while (*end)
		end = &(*end)->next;
	*end = c;
	r = client_init(c, args, err);
	if (r < 0) {
		client_free(c);
		return r;
	}

	if (args->in && args->stream && s->in_fd >= 0) {
		c->stdin_held = true;
		c->ends_with_input = s->tty || !s->close_stdin;
		s->stdin_clients++;
		if (args->early_len > 0)
			detached = !take_input(c, args->early, args->early_len);
	}
	if (detached) {
		start_flush(c);
	} else if (args->logs && s->log) {
		c->reader = logfile_reader_new(s->log);
		c->state = CLIENT_REPLAY;
		if (!pump_replay(c))
			peer_gone(c);
	} else if (c->stream) {
		c->state = CLIENT_LIVE;
		update_events(c);
	} else {
		start_flush(c);
	}
	return 0;
}
