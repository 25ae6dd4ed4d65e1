/* http/client.h - blocking HTTP/1.1 client of one server, for the command line and for tests.
 *
 * A client holds at most one connection, opened by the first request and reused while the server
 * keeps it.  One response at a time: free it before the next request.  Not thread-safe, except
 * that another thread may call http_client_interrupt.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"
#include "http/head.h"

struct error;
struct http_address;
struct http_client;
struct http_response;
struct tls;

struct http_client_args {
	const struct http_address *address; /* unix or tcp; copied */
	struct tls *tls;                    /* client context or NULL; a reference is taken */
	const char *host;                   /* Host header; NULL: "localhost", or tcp's host:port */
	const char *user_agent;             /* NULL: "vessel/<version>" */
	uint32_t connect_timeout_ms;        /* 0 means 30,000 */
};

struct http_client_request {
	const char *method; /* "GET" */
	const char *target; /* path and query, percent-encoded, without CR or LF */
	const struct http_header *headers;
	size_t n_headers;
	const char *content_type; /* of the body; NULL sends none */

	/* Either a body in memory ... */
	const void *body;
	size_t body_len;
	/* ... or one that is read until it returns 0 (negative breaks off with that errno). */
	ssize_t (*read_body)(void *data, void *buf, size_t size);
	void *read_data;
	uint64_t read_length; /* with read_length_known: sent as Content-Length, else chunked */
	bool read_length_known;
	/* Ask first (Expect: 100-continue) and wait for the answer, at most a second. */
	bool expect_continue;

	bool upgrade; /* Connection: Upgrade, Upgrade: tcp: then http_response_hijack */
};

/* Makes no connection yet. */
int http_client_new(const struct http_client_args *args, struct http_client **ret,
		    struct error *err);
struct http_client *http_client_free(struct http_client *c); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct http_client, http_client_free);
#define autohttp_client __attribute__((cleanup(http_client_freep_)))

/* Send a request and read the response's head (1xx skipped, except 101).  Any status is a success
 * here.  A server that refuses before it has read the whole body, or that
 * answers while it still reads, is fine.  ERROR_UNAVAILABLE when
 * it cannot be reached, ERROR_INTERNAL when it breaks off. */
int http_client_send(struct http_client *c, const struct http_client_request *req,
		     struct http_response **ret, struct error *err);
/* Any thread or signal handler: a request under way fails, as do all later ones. */
void http_client_interrupt(struct http_client *c);
/* The connection's fd, borrowed, for poll; -EBADF if there is none. */
int http_client_fd(const struct http_client *c);

int http_response_status(const struct http_response *r);
const char *http_response_reason(const struct http_response *r);
const char *http_response_header(const struct http_response *r, const char *name); /* or NULL */
const char *http_response_content_type(const struct http_response *r); /* without parameters */
/* Up to `size` bytes as soon as there are any; 0 at the end of the body, negative when it is cut
 * off.  For TLS and for what is already buffered, poll on http_client_fd is not enough: ask
 * http_response_pending first. */
ssize_t http_response_read(struct http_response *r, void *buf, size_t size, struct error *err);
bool http_response_pending(const struct http_response *r);
/* The rest of the body, NUL-terminated, at most max bytes; owned by the caller. */
int http_response_read_all(struct http_response *r, size_t max, char **ret, size_t *ret_len,
			   struct error *err);
/* Reuses the connection if the body was read to its end, or soon is; else closes it. */
struct http_response *http_response_free(struct http_response *r);
DEFINE_CLEANUP(struct http_response, http_response_free);
#define autohttp_response __attribute__((cleanup(http_response_freep_)))

/* After 101, or 200 without length and chunks: the raw connection, taken from the client. */
struct http_client_raw {
	int fd;     /* owned; blocking.  TLS: one end of a socketpair that a thread pumps; closing
		     * it ends the thread, shutdown(fd, SHUT_WR) sends close_notify */
	void *data; /* owned (free); bytes the server has sent already */
	size_t len;
};
int http_response_hijack(struct http_response *r, struct http_client_raw *ret, struct error *err);
