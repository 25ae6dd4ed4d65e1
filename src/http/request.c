/* What a request says, and its body. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/loop.h"
#include "base/mem.h"
#include "http/server_priv.h"

struct http_request *request_new(struct conn *c)
{
	struct http_request *req = xnew0(struct http_request);

	req->conn = c;
	req->arena = arena_new();
	req->head = (struct http_head){.method = "", .path = "", .query = "", .version = 11};
	req->path = "";
	framing_init(&req->framing, FRAMING_NONE, 0);
	strbuf_init(&req->buffered, 0);
	return req;
}

struct http_request *request_free(struct http_request *req)
{
	if (!req)
		return NULL;
	strbuf_done(&req->buffered);
	(void)arena_free(req->arena);
	free(req);
	return NULL;
}

int request_parse(struct http_request *req, const char *head, size_t len, const char **ret_why)
{
	struct http_server *s = req->conn->server;
	char *path;
	int status;

	status = http_head_parse_request(req->arena, head, len, &req->head, ret_why);
	if (s->args.on_headers)
		s->args.on_headers(req, s->args.data);
	if (status)
		return status;

	if (url_decode(req->arena, req->head.path, strlen(req->head.path), false, &path) < 0) {
		*ret_why = "bad escape in the request path";
		return 400;
	}
	req->path = path;
	if (url_parse_query(req->arena, req->head.query, &req->params, &req->n_params) < 0) {
		*ret_why = "bad query";
		return 400;
	}
	if (req->head.chunked)
		framing_init(&req->framing, FRAMING_CHUNKED, 0);
	else if (req->head.content_length > 0)
		framing_init(&req->framing, FRAMING_LENGTH, (uint64_t)req->head.content_length);
	req->must_continue = req->head.expect_continue && !req->framing.is_done;
	return 0;
}

const char *http_request_method(const struct http_request *req)
{
	return req->head.method;
}

const char *http_request_raw_path(const struct http_request *req)
{
	return req->head.path;
}

const char *http_request_path(const struct http_request *req)
{
	return req->path;
}

const char *http_request_raw_query(const struct http_request *req)
{
	return req->head.query;
}

int http_request_version(const struct http_request *req)
{
	return req->head.version;
}

bool http_request_is_tls(const struct http_request *req)
{
	return req->conn->is_tls;
}

bool http_request_wants_upgrade(const struct http_request *req)
{
	return req->head.upgrade_tcp;
}

const char *http_request_content_type(const struct http_request *req)
{
	return http_head_media_type(req->arena, http_head_get(&req->head, "content-type"));
}

bool http_request_has_body(const struct http_request *req)
{
	return req->head.chunked || req->head.content_length > 0;
}

int64_t http_request_content_length(const struct http_request *req)
{
	if (req->head.chunked)
		return -1;
	return req->head.content_length > 0 ? req->head.content_length : 0;
}

const char *http_request_header(const struct http_request *req, const char *name)
{
	return http_head_get(&req->head, name);
}

size_t http_request_header_count(const struct http_request *req)
{
	return req->head.n_headers;
}

void http_request_header_at(const struct http_request *req, size_t i, const char **ret_name,
			    const char **ret_value)
{
	assert(i < req->head.n_headers);
	*ret_name = req->head.headers[i].name;
	*ret_value = req->head.headers[i].value;
}

const char *http_query(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_params; i++)
		if (strcmp(req->params[i].name, name) == 0)
			return req->params[i].value;
	return NULL;
}

size_t http_query_count(const struct http_request *req)
{
	return req->n_params;
}

void http_query_at(const struct http_request *req, size_t i, const char **ret_name,
		   const char **ret_value)
{
	assert(i < req->n_params);
	*ret_name = req->params[i].name;
	*ret_value = req->params[i].value;
}

struct arena *http_request_arena(struct http_request *req)
{
	return req->arena;
}

void http_request_set_data(struct http_request *req, void *data)
{
	req->user = data;
}

void *http_request_data(const struct http_request *req)
{
	return req->user;
}

const char *http_request_peer(struct http_request *req)
{
	struct sockaddr_storage ss = {0};
	const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
	socklen_t len = sizeof(ss);
	char text[INET6_ADDRSTRLEN] = "";

	if (getpeername(req->conn->stream.fd, (struct sockaddr *)&ss, &len) < 0)
		return "unknown";
	if (ss.ss_family == AF_INET && inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
		return arena_printf(req->arena, "%s:%u", text, ntohs(in->sin_port));
	if (ss.ss_family == AF_INET6 && inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
		return arena_printf(req->arena, "[%s]:%u", text, ntohs(in6->sin6_port));
	return "unix";
}

int http_request_peer_cred(struct http_request *req, struct ucred *ret)
{
	socklen_t len = sizeof(*ret), domain_len = sizeof(int);
	int fd = req->conn->stream.fd, domain = 0;
	struct ucred cred;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0)
		return -errno;
	if (domain != AF_UNIX)
		return -EOPNOTSUPP;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret = cred;
	return 0;
}

/* ---- how it goes on -------------------------------------------------------------------------- */

static void go_on(struct http_request *req, http_handler_fn handler, void *data)
{
	assert(!req->in_worker && !req->is_ended);
	req->handler = handler;
	req->handler_data = data;
}

static void start_buffering(struct http_request *req, size_t max_body)
{
	struct conn *c = req->conn;

	assert(!req->is_buffered && !req->is_started);
	req->is_buffered = true;
	strbuf_init(&req->buffered, max_body);
	c->state = CONN_BODY;
	conn_kick(c);
}

void http_request_buffer(struct http_request *req, size_t max_body, http_handler_fn handler,
			 void *data)
{
	go_on(req, handler, data);
	start_buffering(req, max_body);
}

void http_request_work(struct http_request *req, http_handler_fn handler, void *data)
{
	go_on(req, handler, data);
	conn_to_worker(req->conn);
}

void http_request_work_buffered(struct http_request *req, size_t max_body, http_handler_fn handler,
				void *data)
{
	go_on(req, handler, data);
	req->to_worker = true;
	start_buffering(req, max_body);
}

void http_request_loop(struct http_request *req, http_handler_fn handler, void *data)
{
	assert(req->in_worker);
	req->loop_handler = handler;
	req->loop_data = data;
}

void http_request_on_close(struct http_request *req, http_handler_fn fn, void *data)
{
	assert(!req->in_worker);
	req->on_close = fn;
	req->on_close_data = data;
	if (req->conn->stream.fd < 0 || req->conn->error < 0)
		conn_kick(req->conn);
}

int http_request_fd(const struct http_request *req)
{
	return req->conn->stream.fd;
}

/* ---- body ------------------------------------------------------------------------------------ */

int request_absorb(struct http_request *req)
{
	const char *buf;
	size_t len;

	if (req->framing.kind == FRAMING_LENGTH && framing_data(&req->framing) > req->buffered.max)
		return 413;
	while (!req->framing.is_done && (len = conn_in(req->conn, &buf)) > 0) {
		uint64_t data = framing_data(&req->framing);
		ssize_t n;

		if (data > 0) {
			n = data < len ? (ssize_t)data : (ssize_t)len;
			strbuf_add(&req->buffered, buf, (size_t)n);
			if (strbuf_error(&req->buffered) < 0)
				return 413;
			framing_advance(&req->framing, (size_t)n);
		} else {
			n = framing_skip(&req->framing, buf, len);
			if (n < 0)
				return 400;
		}
		conn_consume(req->conn, (size_t)n);
	}
	return 0;
}

const char *http_request_body(const struct http_request *req, size_t *ret_len)
{
	if (ret_len)
		*ret_len = req->buffered.len;
	return req->buffered.s;
}

/* More input for the framing: bytes, or negative. */
static ssize_t body_fill(struct conn *c)
{
	ssize_t n;

	assert(c->in_len == 0);
	if (c->in_cap < (size_t)16 * 1024) {
		c->in_cap = (size_t)16 * 1024;
		c->in = xrealloc(c->in, c->in_cap, 1);
	}
	n = stream_read_wait(&c->stream, c->in, c->in_cap, (int)c->server->args.body_timeout_ms);
	if (n == 0)
		return -ECONNRESET;
	if (n > 0)
		c->in_len = (size_t)n;
	return n;
}

static ssize_t body_data(struct http_request *req, void *buf, size_t size)
{
	struct conn *c = req->conn;
	uint64_t data = framing_data(&req->framing);
	const char *in;
	size_t len = conn_in(c, &in);
	ssize_t n;

	if (size > data)
		size = (size_t)data;
	if (len == 0) {
		n = stream_read_wait(&c->stream, buf, size, (int)c->server->args.body_timeout_ms);
		if (n <= 0)
			return n == 0 ? -ECONNRESET : n;
	} else {
		n = size < len ? (ssize_t)size : (ssize_t)len;
		memcpy(buf, in, (size_t)n);
		conn_consume(c, (size_t)n);
	}
	framing_advance(&req->framing, (size_t)n);
	return n;
}

static ssize_t body_from_buffer(struct http_request *req, void *buf, size_t size)
{
	size_t left = req->buffered.len - req->buffered_pos;

	if (size > left)
		size = left;
	if (size > 0)
		memcpy(buf, req->buffered.s + req->buffered_pos, size);
	req->buffered_pos += size;
	return (ssize_t)size;
}

/* After a failure the stream has no known position any more. */
static ssize_t body_failed(struct conn *c, ssize_t n)
{
	if (n < 0)
		c->close_after = c->linger = true;
	return n == -E2BIG ? -EBADMSG : n;
}

ssize_t http_body_read(struct http_request *req, void *buf, size_t size)
{
	struct conn *c = req->conn;
	const char *in;
	ssize_t n = 0;
	size_t len;

	assert(req->in_worker);
	if (req->is_buffered)
		return body_from_buffer(req, buf, size);
	while (!req->framing.is_done && size > 0) {
		if (framing_data(&req->framing) == 0 && (len = conn_in(c, &in)) > 0) {
			n = framing_skip(&req->framing, in, len);
			if (n >= 0)
				conn_consume(c, (size_t)n);
		} else {
			n = response_continue(req);
			if (n >= 0 && framing_data(&req->framing) > 0)
				return body_failed(c, body_data(req, buf, size));
			if (n >= 0)
				n = body_fill(c);
		}
		if (n < 0)
			return body_failed(c, n);
	}
	return 0;
}

int http_body_skip(struct http_request *req)
{
	struct conn *c = req->conn;
	struct framing end = req->framing;
	char waste[4096];
	const char *in;
	ssize_t n;
	size_t len = conn_in(c, &in);

	assert(req->in_worker);
	if (req->framing.kind == FRAMING_CHUNKED) {
		n = framing_skip(&end, in, len);
		if (n > 0 && end.is_done) {
			conn_consume(c, (size_t)n);
			req->framing = end;
		}
		return n < 0 ? -EBADMSG : 0;
	}
	do
		n = http_body_read(req, waste, sizeof(waste));
	while (n > 0);
	return (int)n;
}
