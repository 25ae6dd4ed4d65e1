/* Answers. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/server_priv.h"

#define ANSWER_HEAD_MAX ((size_t)256 * 1024)

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{101, "Switching Protocols"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Content"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

/* RFC 9110 section 5.6.7, independent of the locale. */
static void add_date(struct strbuf *b)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = (time_t)(clock_realtime_ns() / 1000000000);
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return;
	strbuf_addf(b, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
		    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static char *clean_value(struct arena *a, const char *value)
{
	char *s = arena_strdup(a, value);

	for (char *p = s; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			*p = ' ';
	return s;
}

void http_set_header(struct http_request *req, const char *name, const char *value)
{
	struct arena *a = req->arena;
	size_t i;

	assert(http_is_token(name) && !req->is_started);
	for (i = 0; i < req->n_answer; i++)
		if (strcasecmp(req->answer[i].name, name) == 0)
			break;
	if (i == req->answer_cap) {
		size_t cap = i ? 2 * i : 8;

		req->answer = arena_realloc(a, req->answer, i * sizeof(*req->answer),
					    cap * sizeof(*req->answer));
		req->answer_cap = cap;
	}
	if (i == req->n_answer)
		req->n_answer++;
	req->answer[i] =
		(struct http_header){.name = arena_strdup(a, name), .value = clean_value(a, value)};
}

void response_head(struct http_request *req, int status, const char *reason,
		   const char *content_type, const char *framing, struct strbuf *b)
{
	strbuf_addf(b, "HTTP/1.1 %d %s\r\n", status, reason ? reason : reason_of(status));
	for (size_t i = 0; i < req->n_answer; i++)
		strbuf_addf(b, "%s: %s\r\n", req->answer[i].name, req->answer[i].value);
	add_date(b);
	if (content_type)
		strbuf_addf(b, "Content-Type: %s\r\n", clean_value(req->arena, content_type));
	strbuf_adds(b, framing);
	strbuf_adds(b, "\r\n");
}

/* Whether nothing may follow on the connection; see conn_finish_request. */
static bool must_close(const struct http_request *req)
{
	return !req->head.keep_alive || req->conn->close_after || req->conn->server->is_stopping ||
	       req->must_continue || framing_data(&req->framing) > HTTP_DRAIN_MAX;
}

static const char *connection_line(const struct http_request *req)
{
	if (must_close(req))
		return "Connection: close\r\n";
	return req->head.version < 11 ? "Connection: keep-alive\r\n" : "";
}

static bool is_bodiless(const struct http_request *req, int status)
{
	return strcmp(req->head.method, "HEAD") == 0 || status == 204 || status == 304;
}

static void begin(struct http_request *req, int status)
{
	assert(!req->is_started);
	req->is_started = true;
	req->no_body = is_bodiless(req, status);
}

/* Headers that a caller sets are bounded by the caller; a head past the limit is a bug. */
static int send_head(struct http_request *req, int status, const char *content_type,
		     const char *framing, struct iovec body)
{
	autostrbuf struct strbuf b = STRBUF_INIT(ANSWER_HEAD_MAX);
	struct iovec iov[2];

	response_head(req, status, NULL, content_type, framing, &b);
	assert(strbuf_error(&b) == 0);
	iov[0] = (struct iovec){.iov_base = b.s, .iov_len = b.len};
	iov[1] = body;
	return conn_write(req->conn, iov, body.iov_len > 0 ? 2 : 1);
}

void http_respond(struct http_request *req, int status, const char *content_type, const void *data,
		  size_t len)
{
	struct iovec body = {.iov_base = (void *)data, .iov_len = len};
	char framing[96] = "";

	begin(req, status);
	if (status == 204 || status == 304) {
		content_type = NULL;
		(void)snprintf(framing, sizeof(framing), "%s", connection_line(req));
	} else {
		(void)snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n%s", len,
			       connection_line(req));
	}
	if (req->no_body)
		body.iov_len = 0;
	(void)send_head(req, status, content_type, framing, body); /* conn.c remembers */
	req->is_ended = true;
	if (!req->in_worker)
		conn_finish_request(req->conn);
}

int http_start(struct http_request *req, int status, const char *content_type)
{
	const char *chunked = "";
	char framing[96];

	begin(req, status);
	if (status == 204 || status == 304) {
		content_type = NULL;
	} else if (req->head.version >= 11) {
		req->is_chunked = true;
		chunked = "Transfer-Encoding: chunked\r\n";
	} else {
		req->conn->close_after = true;
	}
	(void)snprintf(framing, sizeof(framing), "%s%s", chunked, connection_line(req));
	return send_head(req, status, content_type, framing, (struct iovec){0});
}

int http_start_length(struct http_request *req, int status, const char *content_type, uint64_t len)
{
	char framing[96];

	begin(req, status);
	req->has_length = true;
	req->length_left = len;
	(void)snprintf(framing, sizeof(framing), "Content-Length: %" PRIu64 "\r\n%s", len,
		       connection_line(req));
	return send_head(req, status, content_type, framing, (struct iovec){0});
}

bool http_is_started(const struct http_request *req)
{
	return req->is_started;
}

/* A client that does not read is dropped before what waits for it fills the memory. */
static int drop_slow(struct conn *c)
{
	c->error = -E2BIG;
	c->out_pos = c->out_len = 0;
	(void)shutdown(c->stream.fd, SHUT_RDWR);
	conn_kick(c);
	return -E2BIG;
}

int http_write(struct http_request *req, const void *data, size_t len)
{
	struct conn *c = req->conn;
	struct iovec iov[3] = {0};
	char size[32];
	int n;

	assert(req->is_started && !req->is_ended);
	if (c->error < 0)
		return c->error;
	if (len == 0 || req->no_body)
		return 0;
	if (req->has_length) {
		assert(len <= req->length_left);
		req->length_left -= len;
	}
	if (!req->in_worker && conn_unsent(c) + len > c->server->args.write_buffer_max)
		return drop_slow(c);

	iov[1] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
	if (req->is_chunked) {
		n = snprintf(size, sizeof(size), "%zx\r\n", len);
		iov[0] = (struct iovec){.iov_base = size, .iov_len = (size_t)n};
		iov[2] = (struct iovec){.iov_base = (void *)"\r\n", .iov_len = 2};
	}
	return conn_write(c, iov, 3);
}

int http_end(struct http_request *req)
{
	struct iovec iov = {.iov_base = (void *)"0\r\n\r\n", .iov_len = 5};
	int r = req->conn->error;

	assert(req->is_started && !req->is_ended);
	if (req->has_length && req->length_left > 0 && !req->no_body)
		req->conn->close_after = true; /* too short: only a close can tell */
	if (req->is_chunked && !req->no_body)
		r = conn_write(req->conn, &iov, 1);
	req->is_ended = true;
	if (!req->in_worker)
		conn_finish_request(req->conn);
	return r;
}

void http_abort(struct http_request *req)
{
	req->is_started = req->is_ended = true;
	req->conn->close_after = true;
	if (!req->in_worker)
		conn_finish_request(req->conn);
}

/* ---- by the server itself -------------------------------------------------------------------- */

void response_refuse(struct http_request *req, int status, const char *why)
{
	const struct http_server_args *args = &req->conn->server->args;

	req->conn->close_after = req->conn->linger = true;
	if (args->on_error) {
		args->on_error(req, status, why, args->data);
		return;
	}
	http_respond(req, status, "text/plain", why, strlen(why));
}

int response_continue(struct http_request *req)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec iov = {.iov_base = (void *)line, .iov_len = sizeof(line) - 1};
	struct conn *c = req->conn;

	if (!req->must_continue)
		return 0;
	req->must_continue = false;
	/* A client that already sends its body needs no word (RFC 9110 section 10.1.1), nor does
	 * one that was answered. */
	if (c->in_len > c->in_pos || req->is_started)
		return 0;
	return conn_write(c, &iov, 1);
}

void response_finish(struct http_request *req)
{
	if (req->loop_handler || req->is_ended)
		return;
	if (!req->is_started)
		response_refuse(req, 500, "the request was not answered");
	else
		(void)http_end(req); /* conn.c remembers a failure */
}
