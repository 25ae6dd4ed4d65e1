/* http/server.h - HTTP/1.1 server: parked requests on the loop, blocking handlers on workers, hijack.
 *
 * Life of a request.  When its head has been parsed, on_request is called on the loop's thread.  It
 * looks at the request and either answers at once or picks how the request goes on:
 *
 *   http_request_buffer	the body is read on the loop, then the handler runs on the loop
 *   http_request_work		the handler runs on a worker and reads the body itself, blocking
 *   http_request_work_buffered	the body is read on the loop, then the handler runs on a worker
 *
 * Whoever runs last on the loop may also just keep the request ("parked": wait, events) and answer
 * it later, on the loop's thread.  A loop handler may still pass the request on to a worker by
 * http_request_work, and a worker back to the loop by http_request_loop.
 *
 * Threads.  A request belongs to the loop's thread, or to the worker while its handler runs there;
 * only the owner calls the functions below.  "Loop mode" and "worker mode" name the two.
 *
 * Validity.  In loop mode a request is freed by the call that completes the answer (http_respond,
 * http_end, http_abort, http_hijack and http_detach, whatever they return), or after its on_close
 * callback returned.  In worker mode it is freed after the handler returned, whatever was called; a
 * handler that has not answered gets a 500 sent, a started response is ended.
 *
 * Errors of the connection (bad request line, 408, 413, 431 ...) are answered by the server itself,
 * through on_error if set, and the connection is closed afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/mem.h"
#include "http/head.h"

struct arena;
struct error;
struct loop;
struct pool;
struct tls;
struct http_server;
struct http_request;

#define HTTP_WRITE_BUFFER_MAX ((size_t)16 << 20)     /* loop mode: unsent bytes, default */
#define HTTP_DRAIN_MAX        ((uint64_t)256 * 1024) /* unread body skipped to keep a connection */

typedef void (*http_handler_fn)(struct http_request *req, void *data);

struct http_server_args {
	/* Called for every request, on the loop's thread. */
	http_handler_fn on_request;
	/* Once for each request, before anything else, on the loop's thread: set the headers that
	 * every response has, by http_set_header.  Also for malformed requests, whose method and path
	 * are "".  Optional. */
	http_handler_fn on_headers;
	/* Answer a request that the server refuses itself, with http_respond (which closes the
	 * connection in this case).  Loop or worker thread.  Optional: text/plain otherwise. */
	void (*on_error)(struct http_request *req, int status, const char *msg, void *data);
	void *data; /* borrowed, for the three above */

	/* 0 means the default */
	uint32_t
		head_timeout_ms; /* 30,000: first byte (or connection) to end of the head, TLS too */
	uint32_t idle_timeout_ms; /* 300,000: between requests of a connection */
	uint32_t body_timeout_ms; /* 60,000: without a byte of a body that the server waits for */
	uint32_t max_connections; /* 4,096; more wait in the listener's backlog */
	size_t write_buffer_max;  /* HTTP_WRITE_BUFFER_MAX */
};

/* loop and pool are borrowed and outlive the server. */
int http_server_new(struct loop *loop, struct pool *pool, const struct http_server_args *args,
		    struct http_server **ret, struct error *err);
/* Serve a listening stream socket (see http/listen.h); call once for each.  The fd is taken, on
 * failure too, and made non-blocking.  `tls` is a server context or NULL, shared (a reference is
 * taken). */
int http_server_listen(struct http_server *s, int fd_take, struct tls *tls, struct error *err);
/* Serve one connected stream socket, as if it had been accepted. */
int http_server_accept(struct http_server *s, int fd_take, struct tls *tls, struct error *err);
/* Loop thread.  Stop listening, close idle connections, disconnect the others: reads and writes of
 * worker handlers fail, parked requests get on_close.  `fn` (optional) runs on the loop when the
 * last worker handler has returned. */
void http_server_stop(struct http_server *s, void (*fn)(void *data), void *data);
/* Loop thread, or when the loop no longer runs.  Waits for worker handlers: they must not need the
 * loop then, so call http_server_stop first and run the loop until its fn. */
struct http_server *http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server, http_server_free);
#define autohttp_server __attribute__((cleanup(http_server_freep_)))

/* ---- the request ---------------------------------------------------------------------------- */

/* All strings are borrowed from the request and NUL-terminated. */
const char *http_request_method(const struct http_request *req);   /* "GET" */
const char *http_request_raw_path(const struct http_request *req); /* as sent, without query */
/* Percent-decoded (never holds NUL; an encoded '/' is a '/' here). */
const char *http_request_path(const struct http_request *req);
const char *http_request_raw_query(const struct http_request *req); /* "" if none */
int http_request_version(const struct http_request *req);           /* 10 or 11 */
bool http_request_is_tls(const struct http_request *req);
bool http_request_wants_upgrade(const struct http_request *req); /* Connection: Upgrade, to tcp */
/* Content-Type without parameters, lower case; "" if none. */
const char *http_request_content_type(const struct http_request *req);
/* True if Content-Length > 0 or the body is chunked. */
bool http_request_has_body(const struct http_request *req);
int64_t http_request_content_length(const struct http_request *req); /* -1: chunked, unknown */

/* First value of a header, name in any case; NULL if absent. */
const char *http_request_header(const struct http_request *req, const char *name);
size_t http_request_header_count(const struct http_request *req);
void http_request_header_at(const struct http_request *req, size_t i, const char **ret_name,
			    const char **ret_value);

/* Query parameters, form-decoded ('+' is a space), in order. */
const char *http_query(const struct http_request *req,
		       const char *name); /* first; NULL if absent */
size_t http_query_count(const struct http_request *req);
void http_query_at(const struct http_request *req, size_t i, const char **ret_name,
		   const char **ret_value);

/* Freed with the request. */
struct arena *http_request_arena(struct http_request *req);
void http_request_set_data(struct http_request *req, void *data);
void *http_request_data(const struct http_request *req);

/* "unix" or "192.0.2.1:4711" or "[2001:db8::1]:4711". */
const char *http_request_peer(struct http_request *req);
/* -EOPNOTSUPP unless it came over a unix socket. */
int http_request_peer_cred(struct http_request *req, struct ucred *ret);

/* ---- how it goes on (loop mode, before an answer) ------------------------------------------- */

/* Read the whole body, at most max_body bytes (else 413), then run handler on the loop, which has
 * the bytes by http_request_body.  It runs after the caller has returned to the loop. */
void http_request_buffer(struct http_request *req, size_t max_body, http_handler_fn handler,
			 void *data);
void http_request_work(struct http_request *req, http_handler_fn handler, void *data);
void http_request_work_buffered(struct http_request *req, size_t max_body, http_handler_fn handler,
				void *data);
/* Worker mode: when the running handler returns, run this one on the loop with the request, which
 * may have been started but not ended. */
void http_request_loop(struct http_request *req, http_handler_fn handler, void *data);

/* The buffered body, NUL-terminated behind its last byte; "" and 0 if there is none. */
const char *http_request_body(const struct http_request *req, size_t *ret_len);
/* Worker mode: up to `size` bytes of the body, blocking; 0 at its end.  Negative when it is cut
 * off or badly framed (-ECONNRESET, -EBADMSG, -ETIMEDOUT).  Answers Expect: 100-continue.  After
 * http_request_work_buffered it reads from the buffer. */
ssize_t http_body_read(struct http_request *req, void *buf, size_t size);
/* Worker mode, before http_hijack: pass over a body of a declared length, blocking, and over a chunked
 * one whose end has been read with the head.  A chunked body that goes on is the client's stream. */
int http_body_skip(struct http_request *req);

/* Loop mode, for parked requests (set it once the body is read, if it is wanted): called at most
 * once, on the loop, never from inside another call on this request, when the client is gone.  The request is freed after fn has returned.  Without this callback the
 * request stays valid until answered, into the void.  A client that only shut down its writing
 * side is not gone. */
void http_request_on_close(struct http_request *req, http_handler_fn fn, void *data);
/* Worker mode: borrowed fd to poll beside other things, with events = 0: POLLHUP or POLLERR means
 * that the client is gone.  Do not read from it. */
int http_request_fd(const struct http_request *req);

/* ---- answering ------------------------------------------------------------------------------- */

/* Before the head is sent: replaces a header of that name.  The name must be a token; control
 * characters in the value become spaces.  Content-Type, Content-Length, Transfer-Encoding and
 * Connection are the server's. */
void http_set_header(struct http_request *req, const char *name, const char *value);
/* A whole response; for HEAD, 204 and 304 the body is left out.  content_type may be NULL. */
void http_respond(struct http_request *req, int status, const char *content_type, const void *data,
		  size_t len);
/* Head of a response of unknown length, sent at once.  Chunked; for HTTP/1.0 ended by close. */
int http_start(struct http_request *req, int status, const char *content_type);
/* A response whose length is known but that is written in parts. */
int http_start_length(struct http_request *req, int status, const char *content_type, uint64_t len);
bool http_is_started(const struct http_request *req);
/* 0, or negative when the client is gone (-EPIPE and the like; in loop mode also -E2BIG when the
 * write buffer is full and the connection therefore dropped).  In loop mode never blocks, and after
 * an error the request is still valid: http_end it, or wait for on_close.  In worker mode blocks
 * until the bytes are with the kernel. */
int http_write(struct http_request *req, const void *data, size_t len);
/* Complete a started response.  Negative as for http_write; loop mode: req is freed in any case. */
int http_end(struct http_request *req);
/* Break off a started response so that the client can tell (connection closed without the last
 * chunk).  Loop mode: req is freed. */
void http_abort(struct http_request *req);

/* ---- giving the connection away -------------------------------------------------------------- */

struct http_hijacked {
	int fd;       /* owned; stream socket, O_NONBLOCK set */
	bool chunked; /* http_detach: write chunks and the last one; else plain bytes */
	bool is_tls;  /* fd is one end of a socketpair that the server pumps to the client */
	size_t len;   /* bytes the client sent already behind the request: treat them as read */
	void *data;   /* owned (free), NULL if len is 0 */
};
void http_hijacked_done(struct http_hijacked *h);

/* Answer `101 UPGRADED` if the client asked for an upgrade to tcp, else `200 OK` without length or
 * chunks (Content-Type `content_type` or NULL for application/vnd.docker.raw-stream), and hand out
 * the connection, raw in both directions.  Half-close works both ways, over TLS too.  Body bytes
 * not read before come first.  On failure *ret is untouched and the client gone: loop mode: req is
 * freed as on success. */
int http_hijack(struct http_request *req, const char *content_type, struct http_hijacked *ret,
		struct error *err);
/* The same for a WebSocket (RFC 6455): whether the request is a handshake, but for its version, which is
 * 13 or NULL; and the answer that accepts it, behind which frames are spoken (http/websocket.h). */
bool http_request_wants_websocket(const struct http_request *req, const char **ret_version);
int http_hijack_websocket(struct http_request *req, struct http_hijacked *ret, struct error *err);
/* Send the head of a response of unknown length now, with `Connection: close`, and hand out the
 * connection, so that another process writes the body (in chunks, if ret->chunked) and closes it.
 * ret->data is what came behind the request: ignore it.  Ownership as for http_hijack. */
int http_detach(struct http_request *req, int status, const char *content_type,
		struct http_hijacked *ret, struct error *err);
