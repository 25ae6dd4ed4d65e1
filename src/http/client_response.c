/* The client's reading side: response heads, bodies and hijacked connections. */
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "http/client_priv.h"
#include "http/pump.h"

#define READ_BYTES  ((size_t)16 * 1024)
#define INTERIM_MAX 16                    /* 1xx responses in front of one answer */
#define DRAIN_MAX   ((uint64_t)64 * 1024) /* unread body skipped to keep a connection */

/* Bytes, 0 at the end, or -errno. */
static ssize_t read_some(struct http_client *c, void *buf, size_t size, int timeout_ms)
{
	for (;;) {
		ssize_t n = stream_read(&c->stream, buf, size);
		int r;

		if (n != -EAGAIN)
			return n;
		r = client_wait(c, c->stream.fd, c->stream.read_wants, timeout_ms);
		if (r < 0)
			return r;
	}
}

static ssize_t fill(struct http_client *c, int timeout_ms)
{
	ssize_t n;

	if (c->in_pos == c->in_len)
		c->in_pos = c->in_len = 0;
	if (c->in_pos > 0) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_cap - c->in_len < READ_BYTES) {
		c->in_cap = c->in_len + READ_BYTES;
		c->in = xrealloc(c->in, c->in_cap, 1);
	}
	n = read_some(c, c->in + c->in_len, c->in_cap - c->in_len, timeout_ms);
	if (n > 0)
		c->in_len += (size_t)n;
	return n;
}

/* Have a whole head in the buffer: its length, *ret_start where it begins. */
static ssize_t await_head(struct http_client *c, int timeout_ms, size_t *ret_start)
{
	struct http_head_scan scan = {0};

	for (;;) {
		ssize_t n;

		if (c->in_len > c->in_pos) {
			n = http_head_scan(&scan, c->in + c->in_pos, c->in_len - c->in_pos);
			if (n != 0) {
				*ret_start = scan.start;
				return n;
			}
		}
		n = fill(c, timeout_ms);
		if (n <= 0)
			return n == 0 ? -ECONNRESET : n;
	}
}

static ssize_t next_head(struct http_client *c, int timeout_ms, struct arena *a,
			 struct http_head *ret)
{
	const char *why = NULL;
	size_t start = 0;
	ssize_t n = await_head(c, timeout_ms, &start);

	if (n < 0)
		return n;
	if (http_head_parse_response(a, c->in + c->in_pos + start, (size_t)n - start, ret, &why) <
	    0)
		return -EBADMSG;
	return n;
}

int client_await_continue(struct http_client *c, int timeout_ms)
{
	autoarena struct arena *a = arena_new();
	struct http_head head;
	ssize_t n = next_head(c, timeout_ms, a, &head);

	if (n < 0)
		return (int)n;
	if (head.status != 100)
		return 1;
	c->in_pos += (size_t)n;
	return 0;
}

/* Whether the head that begins in the buffer makes sending on useless: interim ones are skipped, and
 * a success may tell of its progress (images/load) while it still reads. */
static bool has_ending_head(struct http_client *c)
{
	for (;;) {
		struct http_head_scan scan = {0};
		autoarena struct arena *a = arena_new();
		const char *why = NULL;
		struct http_head head;
		ssize_t n;

		if (c->in_len == c->in_pos)
			return false;
		n = http_head_scan(&scan, c->in + c->in_pos, c->in_len - c->in_pos);
		if (n == 0)
			return false;
		if (n < 0 || http_head_parse_response(a, c->in + c->in_pos + scan.start,
						      (size_t)n - scan.start, &head, &why) < 0)
			return true;
		if (head.status >= 200 || head.status == 101)
			return head.status >= 300 || head.status == 101;
		c->in_pos += (size_t)n;
	}
}

bool client_has_answer(struct http_client *c)
{
	ssize_t n;

	/* Over TLS the socket is readable for messages that carry no data, too. */
	if (!stream_has_pending(&c->stream) && client_wait(c, c->stream.fd, POLLIN, 0) < 0)
		return false;
	n = fill(c, 0);
	if (n == -ETIMEDOUT)
		return false;
	return n <= 0 || has_ending_head(c);
}

static void set_framing(struct http_response *r, bool is_head)
{
	int status = r->head.status;

	r->keep_alive = r->head.keep_alive;
	if (status == 101) {
		framing_init(&r->framing, FRAMING_CLOSE, 0);
		r->is_raw = true;
	} else if (is_head || status == 204 || status == 304) {
		framing_init(&r->framing, FRAMING_NONE, 0);
	} else if (r->head.chunked) {
		framing_init(&r->framing, FRAMING_CHUNKED, 0);
	} else if (r->head.content_length >= 0) {
		framing_init(&r->framing, FRAMING_LENGTH, (uint64_t)r->head.content_length);
	} else {
		framing_init(&r->framing, FRAMING_CLOSE, 0);
		r->is_raw = true;
	}
	if (r->framing.kind == FRAMING_CLOSE)
		r->keep_alive = false;
}

static void discard(struct http_response *r)
{
	(void)arena_free(r->arena);
	free(r);
}

int client_read_head(struct http_client *c, bool is_head, struct http_response **ret,
		     struct error *err)
{
	struct http_response *r = xnew0(struct http_response);
	ssize_t n;
	int i = 0;

	r->client = c;
	r->arena = arena_new();
	do {
		n = next_head(c, -1, r->arena, &r->head);
		if (n < 0) {
			discard(r);
			return error_set(err, ERROR_INTERNAL, (int)-n, "read the response");
		}
		c->in_pos += (size_t)n;
	} while (r->head.status < 200 && r->head.status != 101 && ++i < INTERIM_MAX);
	if (i == INTERIM_MAX) {
		discard(r);
		return error_set(err, ERROR_INTERNAL, EBADMSG, "read the response");
	}
	set_framing(r, is_head);
	*ret = r;
	return 0;
}

int http_response_status(const struct http_response *r)
{
	return r->head.status;
}

const char *http_response_reason(const struct http_response *r)
{
	return r->head.reason;
}

const char *http_response_header(const struct http_response *r, const char *name)
{
	return http_head_get(&r->head, name);
}

const char *http_response_content_type(const struct http_response *r)
{
	return http_head_media_type(r->arena, http_head_get(&r->head, "content-type"));
}

/* Bytes of data: from the buffer, else straight from the stream. */
static ssize_t read_data(struct http_response *r, void *buf, size_t size)
{
	struct http_client *c = r->client;
	uint64_t data = framing_data(&r->framing);
	size_t have = c->in_len - c->in_pos;
	ssize_t n;

	if (size > data)
		size = (size_t)data;
	if (have > 0) {
		n = size < have ? (ssize_t)size : (ssize_t)have;
		memcpy(buf, c->in + c->in_pos, (size_t)n);
		c->in_pos += (size_t)n;
	} else {
		n = read_some(c, buf, size, -1);
		if (n == 0 && r->framing.kind == FRAMING_CLOSE)
			r->framing.is_done = true;
		else if (n == 0)
			n = -ECONNRESET;
	}
	if (n > 0)
		framing_advance(&r->framing, (size_t)n);
	return n;
}

static ssize_t read_body(struct http_response *r, void *buf, size_t size)
{
	struct http_client *c = r->client;

	while (!r->framing.is_done && size > 0) {
		ssize_t n;

		if (framing_data(&r->framing) > 0)
			return read_data(r, buf, size);
		if (c->in_len == c->in_pos) {
			n = fill(c, -1);
			if (n <= 0)
				return n == 0 ? -ECONNRESET : n;
		}
		n = framing_skip(&r->framing, c->in + c->in_pos, c->in_len - c->in_pos);
		if (n < 0)
			return n;
		c->in_pos += (size_t)n;
	}
	return 0;
}

ssize_t http_response_read(struct http_response *r, void *buf, size_t size, struct error *err)
{
	ssize_t n = read_body(r, buf, size);

	if (n < 0) {
		r->keep_alive = false;
		return error_set(err, ERROR_INTERNAL, (int)-n, "read the response's body");
	}
	return n;
}

bool http_response_pending(const struct http_response *r)
{
	const struct http_client *c = r->client;

	return r->framing.is_done || c->in_len > c->in_pos || stream_has_pending(&c->stream);
}

int http_response_read_all(struct http_response *r, size_t max, char **ret, size_t *ret_len,
			   struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(max);
	autofree char *buf = xcalloc(1, READ_BYTES);

	for (;;) {
		ssize_t n = http_response_read(r, buf, READ_BYTES, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		strbuf_add(&b, buf, (size_t)n);
		if (strbuf_error(&b) < 0)
			return error_set(err, ERROR_INTERNAL, E2BIG, "read the response's body");
	}
	if (ret_len)
		*ret_len = b.len;
	*ret = strbuf_take(&b);
	return 0;
}

/* Whether the rest of the body is there already, or nearly; skips it then. */
static bool skip_rest(struct http_response *r)
{
	autofree char *buf = NULL;
	uint64_t skipped = 0;
	ssize_t n;

	if (r->framing.is_done)
		return true;
	if (!r->keep_alive || r->framing.kind != FRAMING_LENGTH ||
	    framing_data(&r->framing) > DRAIN_MAX)
		return false;
	buf = xcalloc(1, READ_BYTES);
	while (skipped < DRAIN_MAX && !r->framing.is_done) {
		n = read_body(r, buf, READ_BYTES);
		if (n <= 0)
			break;
		skipped += (uint64_t)n;
	}
	return r->framing.is_done;
}

struct http_response *http_response_free(struct http_response *r)
{
	struct http_client *c;

	if (!r)
		return NULL;
	c = r->client;
	if (!skip_rest(r) || !r->keep_alive)
		client_disconnect(c);
	c->response = NULL;
	discard(r);
	return NULL;
}

/* ---- hijack ---------------------------------------------------------------------------------- */

static void *run_pump(void *data)
{
	struct pump *p = data;
	uint32_t stream_events = 0, pair_events = 0;

	while (pump_step(p, stream_events, pair_events)) {
		/* poll(2) reports POLLHUP always, so a side that hung up is left out once nothing
		 * is wanted of it. */
		struct pollfd fds[2] = {
			{.fd = p->stream.fd, .events = (short)p->stream_wants},
			{.fd = p->pair, .events = (short)p->pair_wants},
		};

		if (p->stream_hup && p->stream_wants == 0)
			fds[0].fd = -1;
		if (p->pair_hup && p->pair_wants == 0)
			fds[1].fd = -1;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		stream_events = (uint16_t)fds[0].revents;
		pair_events = (uint16_t)fds[1].revents;
	}
	pump_done(p);
	free(p);
	return NULL;
}

static int start_pump(struct http_client *c, int *ret_fd, struct error *err)
{
	struct pump *p = xnew0(struct pump);
	size_t len = c->in_len - c->in_pos;
	autoclose int fd = -EBADF;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	r = pump_init(p, &c->stream, len ? c->in + c->in_pos : NULL, len, &fd, err);
	if (r < 0) {
		free(p);
		return r;
	}
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, run_pump, p);
	(void)pthread_attr_destroy(&attr);
	if (r != 0) {
		pump_done(p);
		free(p);
		return error_set(err, ERROR_INTERNAL, r, "start a thread for the connection");
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int http_response_hijack(struct http_response *r, struct http_client_raw *ret, struct error *err)
{
	struct http_client *c = r->client;
	struct http_client_raw raw = {.fd = -EBADF};
	int n;

	if (!r->is_raw)
		return error_set(err, ERROR_INTERNAL, EPROTO,
				 "take over a connection that still speaks HTTP");
	if (c->stream.ssl) {
		n = start_pump(c, &raw.fd, err);
		if (n < 0)
			return n;
	} else {
		raw.len = c->in_len - c->in_pos;
		if (raw.len > 0)
			raw.data = xmemdup(c->in + c->in_pos, raw.len);
		raw.fd = TAKE_FD(c->stream.fd);
	}
	(void)fd_set_nonblock(raw.fd, false); /* fails for no open socket */
	client_disconnect(c);
	framing_init(&r->framing, FRAMING_NONE, 0);
	r->is_raw = r->keep_alive = false;
	*ret = raw;
	return 0;
}
