/* Blocking HTTP/1.1 client.
 *
 * A reused connection on which the server has said anything (its close, mostly) since the last
 * response is not used again, which leaves only the short moment in which both cross.  While a body
 * is being sent, an answer that arrives ends the sending unless it is a success: servers refuse uploads early,
 * and tell of progress while they read.
 */
#include "http/client.h"

#include <assert.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/str.h"
#include "http/address.h"
#include "http/client_priv.h"
#include "http/tls.h"

#define CONNECT_TIMEOUT_MS  30000
#define CONTINUE_TIMEOUT_MS 1000
#define READ_BYTES          ((size_t)16 * 1024)
#define UPLOAD_BYTES        ((size_t)64 * 1024)
#define REQUEST_HEAD_MAX    ((size_t)1 << 20)

/* ---- connection ------------------------------------------------------------------------------ */

int http_client_new(const struct http_client_args *args, struct http_client **ret,
		    struct error *err)
{
	autohttp_client struct http_client *c = xnew0(struct http_client);
	const struct http_address *a = args->address;

	c->stream.fd = -EBADF;
	c->interrupt_fd = -EBADF;
	if (a->kind == HTTP_ADDRESS_FD)
		return error_set(err, ERROR_INVALID, 0, "'fd://' is not an address to connect to");
	c->is_unix = a->kind == HTTP_ADDRESS_UNIX;
	c->path = a->path ? xstrdup(a->path) : NULL;
	c->address = a->host ? xstrdup(*a->host ? a->host : "localhost") : NULL;
	c->port = a->port;
	c->tls = args->tls ? tls_ref(args->tls) : NULL;
	if (args->host)
		c->host = xstrdup(args->host);
	else if (c->is_unix)
		c->host = xstrdup("localhost");
	else
		c->host = xasprintf(strchr(c->address, ':') ? "[%s]:%u" : "%s:%u", c->address,
				    c->port);
	c->user_agent = xstrdup(args->user_agent ? args->user_agent : "vessel/" VESSEL_VERSION);
	c->timeout_ms =
		args->connect_timeout_ms ? (int)args->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	c->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->interrupt_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make an eventfd");
	if (!http_is_field_value(c->host) || !http_is_field_value(c->user_agent))
		return error_set(err, ERROR_INVALID, EINVAL, "use host '%s'", c->host);
	*ret = TAKE_PTR(c);
	return 0;
}

struct http_client *http_client_free(struct http_client *c)
{
	if (!c)
		return NULL;
	assert(!c->response);
	client_disconnect(c);
	fd_close(&c->interrupt_fd);
	(void)tls_unref(c->tls);
	free(c->path);
	free(c->address);
	free(c->host);
	free(c->user_agent);
	free(c->in);
	free(c);
	return NULL;
}

void http_client_interrupt(struct http_client *c)
{
	/* write(2) is all that a signal handler may do. */
	static const uint64_t one = 1;
	ssize_t n = write(c->interrupt_fd, &one, sizeof(one));

	(void)n; /* the counter is full: it is readable then */
}

int http_client_fd(const struct http_client *c)
{
	return c->stream.fd;
}

void client_disconnect(struct http_client *c)
{
	stream_done(&c->stream);
	c->in_pos = c->in_len = 0;
	c->is_used = false;
}

int client_wait(struct http_client *c, int fd, uint32_t events, int timeout_ms)
{
	struct pollfd p[2] = {
		{.fd = fd, .events = (short)events},
		{.fd = c->interrupt_fd, .events = POLLIN},
	};
	int r;

	do
		r = poll(p, 2, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (p[1].revents)
		return -ECANCELED;
	return r == 0 ? -ETIMEDOUT : p[0].revents;
}

static int connect_unix(struct http_client *c, struct error *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	autoclose int fd = -EBADF;

	if (!str_copy(sun.sun_path, sizeof(sun.sun_path), c->path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "connect to '%s'", c->path);
	/* Blocking while it connects: a full backlog is waited for, not EAGAIN. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "connect to '%s'", c->path);
	return TAKE_FD(fd);
}

static int connect_one(struct http_client *c, const struct addrinfo *ai)
{
	autoclose int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(int);
	int r, errnum = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		r = client_wait(c, fd, POLLOUT, c->timeout_ms);
		if (r < 0)
			return r;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
			return -errno;
		if (errnum != 0)
			return -errnum;
	}
	return TAKE_FD(fd);
}

static int connect_tcp(struct http_client *c, struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int fd = -EHOSTUNREACH, r;
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", c->port);
	r = getaddrinfo(c->address, port, &hints, &list);
	if (r != 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "resolve host '%s': %s", c->address,
				 gai_strerror(r));
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = connect_one(c, ai);
	freeaddrinfo(list);
	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, -fd, "connect to '%s' port %u", c->address,
				 c->port);
	return fd;
}

static int client_connect(struct http_client *c, struct error *err)
{
	int fd;

	if (c->stream.fd >= 0) {
		/* Anything that came since the last response is not for us. */
		if (!client_has_answer(c) && c->in_len == c->in_pos)
			return 0;
		client_disconnect(c);
	}
	fd = c->is_unix ? connect_unix(c, err) : connect_tcp(c, err);
	if (fd < 0)
		return fd;
	return stream_init_client(&c->stream, fd, c->tls, c->address ? c->address : c->host,
				  c->timeout_ms, err);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* What stopped the sending: the server has begun to answer. */
#define ANSWERED 1

/* 0 when all was sent, ANSWERED or -errno.  `watch`: stop when the server speaks. */
static int send_all(struct http_client *c, const void *data, size_t len, bool watch)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n;
		int r;

		if (watch && client_has_answer(c))
			return ANSWERED;
		n = stream_write(&c->stream, p, len);
		if (n == -EAGAIN) {
			r = client_wait(c, c->stream.fd,
					c->stream.write_wants | (watch ? POLLIN : 0), -1);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static bool has_header(const struct http_client_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (strcasecmp(req->headers[i].name, name) == 0)
			return true;
	return false;
}

static void add_framing(const struct http_client_request *req, struct strbuf *b)
{
	if (req->read_body && !req->read_length_known)
		strbuf_adds(b, "Transfer-Encoding: chunked\r\n");
	else if (req->read_body)
		strbuf_addf(b, "Content-Length: %llu\r\n", (unsigned long long)req->read_length);
	else if (req->body_len > 0 ||
		 (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0))
		strbuf_addf(b, "Content-Length: %zu\r\n", req->body_len);
	if (req->expect_continue && (req->read_body || req->body_len > 0))
		strbuf_adds(b, "Expect: 100-continue\r\n");
}

static int build_head(const struct http_client *c, const struct http_client_request *req,
		      struct strbuf *b, struct error *err)
{
	if (!http_is_token(req->method) || !http_is_field_value(req->target) ||
	    strpbrk(req->target, " \t") || *req->target != '/')
		return error_set(err, ERROR_INVALID, EINVAL, "request '%s %s'", req->method,
				 req->target);
	strbuf_addf(b, "%s %s HTTP/1.1\r\n", req->method, req->target);
	if (!has_header(req, "Host"))
		strbuf_addf(b, "Host: %s\r\n", c->host);
	if (!has_header(req, "User-Agent"))
		strbuf_addf(b, "User-Agent: %s\r\n", c->user_agent);
	for (size_t i = 0; i < req->n_headers; i++) {
		const struct http_header *h = &req->headers[i];

		if (!http_is_token(h->name) || !http_is_field_value(h->value))
			return error_set(err, ERROR_INVALID, EINVAL, "use header '%s'", h->name);
		strbuf_addf(b, "%s: %s\r\n", h->name, h->value);
	}
	if (req->content_type)
		strbuf_addf(b, "Content-Type: %s\r\n", req->content_type);
	add_framing(req, b);
	if (req->upgrade)
		strbuf_adds(b, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	strbuf_adds(b, "\r\n");
	if (strbuf_error(b) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "request '%s'", req->method);
	return 0;
}

static int send_chunk(struct http_client *c, const char *data, size_t len, bool chunked)
{
	char size[24];
	int r;

	if (!chunked)
		return send_all(c, data, len, true);
	(void)snprintf(size, sizeof(size), "%zx\r\n", len);
	r = send_all(c, size, strlen(size), true);
	if (r == 0)
		r = send_all(c, data, len, true);
	return r == 0 ? send_all(c, "\r\n", 2, true) : r;
}

/* -ECANCELED with *ret_source set: the callback's own failure. */
static int send_stream(struct http_client *c, const struct http_client_request *req,
		       ssize_t *ret_source)
{
	bool chunked = !req->read_length_known;
	autofree char *buf = xcalloc(1, UPLOAD_BYTES);
	uint64_t left = req->read_length;
	ssize_t n;
	int r;

	for (;;) {
		size_t want = UPLOAD_BYTES;

		if (!chunked && left < want)
			want = (size_t)left;
		n = want > 0 ? req->read_body(req->read_data, buf, want) : 0;
		if (n < 0 || (n == 0 && want > 0 && !chunked)) {
			*ret_source = n < 0 ? n : -EPIPE;
			return -ECANCELED;
		}
		if (n == 0)
			return chunked ? send_all(c, "0\r\n\r\n", 5, true) : 0;
		r = send_chunk(c, buf, (size_t)n, chunked);
		if (r != 0)
			return r;
		left -= chunked ? 0 : (uint64_t)n;
	}
}

/* The whole request; a server that closed its reading side may still have answered. */
static int send_request(struct http_client *c, const struct http_client_request *req,
			bool *ret_is_whole, struct error *err)
{
	autostrbuf struct strbuf head = STRBUF_INIT(REQUEST_HEAD_MAX);
	bool has_body = req->read_body || req->body_len > 0;
	ssize_t source = 0;
	int r;

	r = build_head(c, req, &head, err);
	if (r < 0)
		return r;
	if (has_body && !req->read_body && !req->expect_continue && req->body_len < READ_BYTES) {
		/* small: in one piece */
		strbuf_add(&head, req->body, req->body_len);
		has_body = false;
	}
	r = send_all(c, head.s, head.len, false);
	if (r == 0 && has_body && req->expect_continue) {
		r = client_await_continue(c, CONTINUE_TIMEOUT_MS);
		if (r == -ETIMEDOUT)
			r = 0; /* RFC 9110 section 10.1.1: not for ever */
	}
	if (r == 0 && has_body)
		r = req->read_body ? send_stream(c, req, &source)
				   : send_all(c, req->body, req->body_len, true);
	*ret_is_whole = r == 0;
	if (source < 0)
		return error_set(err, ERROR_INTERNAL, (int)-source, "read the body to send");
	if (r == 0 || r == ANSWERED || r == -EPIPE || r == -ECONNRESET)
		return 0;
	return error_set(err, ERROR_INTERNAL, -r, "send request '%s %s'", req->method, req->target);
}

/* ---- a request ------------------------------------------------------------------------------- */

static bool is_repeatable(const struct http_client_request *req)
{
	return !req->read_body &&
	       (strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0);
}

static int attempt(struct http_client *c, const struct http_client_request *req,
		   struct http_response **ret, bool *ret_retry, struct error *err)
{
	bool was_used, is_whole = false;
	int r;

	r = client_connect(c, err);
	if (r < 0)
		return r;
	was_used = c->is_used;
	c->is_used = true;
	r = send_request(c, req, &is_whole, err);
	if (r >= 0)
		r = client_read_head(c, strcmp(req->method, "HEAD") == 0, ret, err);
	if (r < 0) {
		/* The server closed an idle connection just as we used it. */
		*ret_retry = was_used && c->in_len == 0 && is_repeatable(req) &&
			     (r == -ECONNRESET || r == -EPIPE);
		client_disconnect(c);
		return r;
	}
	c->response = *ret;
	if (!is_whole)
		(*ret)->keep_alive = false;
	return 0;
}

int http_client_send(struct http_client *c, const struct http_client_request *req,
		     struct http_response **ret, struct error *err)
{
	bool retry = false;
	int r;

	assert(!c->response);
	r = attempt(c, req, ret, &retry, err);
	if (r < 0 && retry)
		r = attempt(c, req, ret, &retry, err);
	return r;
}
