/* Connections given away: hijacked, or left to another process behind the head of the answer. */
#include <assert.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "http/server_priv.h"
#include "http/websocket.h"

/* A TLS connection that was given away: the loop pumps between it and a socketpair. */
struct carrier {
	struct http_server *server; /* borrowed */
	struct carrier *prev, *next;
	struct pump pump;
	struct loop_source *stream_source, *pair_source; /* owned */
	uint32_t stream_events, pair_events;             /* as registered */
};

static void carrier_free(struct carrier *k)
{
	if (k->prev)
		k->prev->next = k->next;
	else if (k->server->carriers == k)
		k->server->carriers = k->next;
	if (k->next)
		k->next->prev = k->prev;
	k->stream_source = loop_remove(k->stream_source);
	k->pair_source = loop_remove(k->pair_source);
	pump_done(&k->pump);
	free(k);
}

/* Edge-triggered when there is nothing to wait for: errors are still told, but once. */
static void set_events(struct loop_source *s, uint32_t *events, uint32_t wants)
{
	if (wants == 0)
		wants = EPOLLET;
	if (*events != wants)
		loop_set_events(s, wants);
	*events = wants;
}

static void carrier_step(struct carrier *k, uint32_t stream_events, uint32_t pair_events)
{
	if (!pump_step(&k->pump, stream_events, pair_events)) {
		carrier_free(k);
		return;
	}
	set_events(k->stream_source, &k->stream_events, k->pump.stream_wants);
	set_events(k->pair_source, &k->pair_events, k->pump.pair_wants);
}

static void on_stream(struct loop_source *s, int fd, uint32_t events, void *data)
{
	(void)s;
	(void)fd;
	carrier_step(data, events, 0);
}

static void on_pair(struct loop_source *s, int fd, uint32_t events, void *data)
{
	(void)s;
	(void)fd;
	carrier_step(data, 0, events);
}

void carriers_start(struct http_server *s)
{
	struct carrier *k;

	for (;;) {
		autoerror struct error err = {0};

		(void)pthread_mutex_lock(&s->lock);
		k = s->new_carriers;
		if (k)
			s->new_carriers = k->next;
		(void)pthread_mutex_unlock(&s->lock);
		if (!k)
			return;

		k->next = s->carriers;
		if (k->next)
			k->next->prev = k;
		s->carriers = k;
		k->stream_events = k->pair_events = EPOLLET;
		if (loop_add_fd(s->loop, k->pump.stream.fd, EPOLLET, on_stream, k,
				&k->stream_source, &err) < 0 ||
		    loop_add_fd(s->loop, k->pump.pair, EPOLLET, on_pair, k, &k->pair_source, &err) <
			    0) {
			log_warn("http: %s", error_msg(&err));
			carrier_free(k);
			continue;
		}
		carrier_step(k, 0, 0);
	}
}

void carriers_free(struct http_server *s)
{
	while (s->new_carriers) {
		struct carrier *k = s->new_carriers;

		s->new_carriers = k->next;
		k->next = NULL;
		carrier_free(k);
	}
	while (s->carriers)
		carrier_free(s->carriers);
}

void http_hijacked_done(struct http_hijacked *h)
{
	fd_close(&h->fd);
	free(TAKE_PTR(h->data));
	h->len = 0;
}

static int give_tls(struct conn *c, struct http_hijacked *h, struct error *err)
{
	struct http_server *s = c->server;
	struct carrier *k = xnew0(struct carrier);
	const char *ahead;
	size_t len = conn_in(c, &ahead);
	int r;

	k->server = s;
	(void)pthread_mutex_lock(&s->lock); /* http_server_stop may look at the fd */
	r = pump_init(&k->pump, &c->stream, ahead, len, &h->fd, err);
	if (r >= 0) {
		k->next = s->new_carriers;
		s->new_carriers = k;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (r < 0) {
		free(k);
		return r;
	}
	h->is_tls = true;
	server_wake(s);
	return 0;
}

static void give_plain(struct conn *c, struct http_hijacked *h)
{
	const char *ahead;
	size_t len = conn_in(c, &ahead);

	if (len > 0) {
		h->data = xmemdup(ahead, len);
		h->len = len;
	}
	(void)pthread_mutex_lock(&c->server->lock); /* http_server_stop may look at the fd */
	h->fd = TAKE_FD(c->stream.fd);
	(void)pthread_mutex_unlock(&c->server->lock);
}

/* Send the head, then take connection and read-ahead away. */
static int give_away(struct http_request *req, const struct strbuf *head, struct http_hijacked *h,
		     struct error *err)
{
	struct iovec iov = {.iov_base = head->s, .iov_len = head->len};
	struct conn *c = req->conn;
	int r;

	assert(!req->is_started);
	req->is_started = req->is_ended = true;
	req->must_continue = false;
	c->close_after = true;
	r = conn_write(c, &iov, 1);
	if (r < 0)
		return error_set(err, ERROR_UNAVAILABLE, -r, "answer the client");
	/* Earlier answers are flushed before a request is read, so only a client that does not
	 * read at all gets here. */
	if (conn_unsent(c) > 0)
		return error_set(err, ERROR_UNAVAILABLE, EAGAIN, "answer the client");

	c->source = loop_remove(c->source);
	if (c->is_tls) {
		r = give_tls(c, h, err);
		if (r < 0)
			return r;
	} else {
		give_plain(c, h);
	}
	conn_consume(c, c->in_len - c->in_pos);
	return 0;
}

static int finish(struct http_request *req, int r, struct http_hijacked *h,
		  struct http_hijacked *ret)
{
	if (r >= 0)
		*ret = *h;
	if (!req->in_worker)
		conn_finish_request(req->conn);
	return r;
}

int http_hijack(struct http_request *req, const char *content_type, struct http_hijacked *ret,
		struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(HTTP_HEAD_MAX);
	struct http_hijacked h = {.fd = -EBADF};

	if (!content_type)
		content_type = "application/vnd.docker.raw-stream";
	if (req->head.upgrade_tcp)
		response_head(req, 101, "UPGRADED", content_type,
			      "Connection: Upgrade\r\nUpgrade: tcp\r\n", &b);
	else
		response_head(req, 200, NULL, content_type, "", &b);
	return finish(req, give_away(req, &b, &h, err), &h, ret);
}

bool http_request_wants_websocket(const struct http_request *req, const char **ret_version)
{
	const char *key = http_head_get(&req->head, "sec-websocket-key");
	char unused[WEBSOCKET_ACCEPT_SIZE];

	*ret_version = http_head_get(&req->head, "sec-websocket-version");
	return strcmp(req->head.method, "GET") == 0 && req->head.version >= 11 &&
	       http_head_has_token(&req->head, "connection", "upgrade") &&
	       http_head_has_token(&req->head, "upgrade", "websocket") && key &&
	       websocket_accept(key, unused);
}

int http_hijack_websocket(struct http_request *req, struct http_hijacked *ret, struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(HTTP_HEAD_MAX), lines = STRBUF_INIT(256);
	const char *key = http_head_get(&req->head, "sec-websocket-key");
	struct http_hijacked h = {.fd = -EBADF};
	char text[WEBSOCKET_ACCEPT_SIZE];

	assert(key);
	if (!websocket_accept(key, text))
		return finish(req, error_set(err, ERROR_INVALID, 0, "no websocket key"), &h, ret);
	strbuf_addf(&lines,
		    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n",
		    text);
	response_head(req, 101, NULL, NULL, lines.s, &b);
	return finish(req, give_away(req, &b, &h, err), &h, ret);
}

int http_detach(struct http_request *req, int status, const char *content_type,
		struct http_hijacked *ret, struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(HTTP_HEAD_MAX);
	struct http_hijacked h = {.fd = -EBADF, .chunked = req->head.version >= 11};

	response_head(req, status, NULL, content_type,
		      h.chunked ? "Transfer-Encoding: chunked\r\nConnection: close\r\n"
				: "Connection: close\r\n",
		      &b);
	return finish(req, give_away(req, &b, &h, err), &h, ret);
}
