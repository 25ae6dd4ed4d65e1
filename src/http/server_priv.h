/* http/server_priv.h - what the server's files share.
 *
 * server.c: listeners, and connections handed to and from workers.  conn.c: the life of a
 * connection on the loop.  request.c: what a request says, and its body.  response.c: answers.
 * hijack.c: connections given away.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/pump.h"
#include "http/server.h"
#include "http/stream.h"
#include "http/url.h"

struct loop_source;

enum conn_state {
	CONN_HEAD,    /* idle, or reading a head */
	CONN_BODY,    /* reading a body into the request's buffer */
	CONN_HANDLER, /* the request is with a handler on the loop, or parked */
	CONN_WORKER,  /* the worker owns connection and request */
	CONN_FLUSH,   /* answered; bytes may still be unsent */
	CONN_DRAIN,   /* skipping the rest of a body */
	CONN_LINGER,  /* our end is shut down; reading until the client closes too */
	CONN_CLOSED,  /* to be freed */
	CONN_STATE_COUNT,
};

struct http_server {
	struct loop *loop; /* borrowed */
	struct pool *pool; /* borrowed */
	struct http_server_args args;

	struct listener *listeners; /* owned list */
	struct loop_source *resume; /* owned timer: accept again after EMFILE */
	bool is_paused;             /* no listener accepts */
	bool is_stopping;
	struct conn *conns; /* owned, doubly linked */
	size_t n_conns;
	struct carrier *carriers; /* owned, doubly linked: pumps at work */
	void (*on_stopped)(void *data);
	void *stopped_data;

	/* What workers hand back.  `lock` guards this and each worker connection's stream.fd. */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t n_workers;
	struct conn *finished;        /* by next_finished */
	struct carrier *new_carriers; /* by next */
	int wake_fd;                  /* owned eventfd */
	struct loop_source *wake;     /* owned */
};

struct conn {
	struct http_server *server; /* borrowed */
	struct conn *prev, *next, *next_finished;
	struct stream stream; /* owned; fd < 0 once given away or dead */
	bool is_tls;
	struct loop_source *source; /* owned; NULL while a worker has the connection */
	struct loop_source *timer;  /* owned */
	enum conn_state state;
	struct http_request *req; /* owned */
	struct http_head_scan scan;

	char *in; /* owned; unread bytes are in[in_pos..in_len) */
	size_t in_pos, in_len, in_cap;
	char *out; /* owned; unsent bytes are out[out_pos..out_len) */
	size_t out_pos, out_len, out_cap;

	uint32_t events;      /* as registered */
	int error;            /* first failed write, negative */
	bool is_driving;      /* conn_drive is on the stack */
	bool is_kicked;       /* the timer is set to drive at once */
	bool is_first;        /* no request was read yet */
	bool has_head_bytes;  /* the head timeout runs */
	bool is_submitting;   /* goes to the pool when conn_drive is done */
	bool close_after;     /* no further request on this connection */
	bool linger;          /* input may be left unread at the end */
	bool is_seen;         /* by http_server_stop */
	bool is_hup;          /* the client is gone */
	uint64_t deadline_ms; /* of the state, loop time; 0: none */
	struct framing rest;  /* of the answered request: what CONN_DRAIN skips */
	uint64_t drained;     /* bytes skipped by CONN_DRAIN or CONN_LINGER */
};

struct http_request {
	struct conn *conn; /* borrowed */
	struct arena *arena;
	struct http_head head;
	const char *path; /* decoded */
	struct url_param *params;
	size_t n_params;
	void *user;

	/* body */
	struct framing framing;
	bool must_continue;     /* 100 Continue is awaited */
	struct strbuf buffered; /* owned */
	size_t buffered_pos;
	bool is_buffered;

	/* how it goes on */
	http_handler_fn handler;
	void *handler_data;
	http_handler_fn loop_handler; /* http_request_loop */
	void *loop_data;
	bool to_worker; /* after the body was buffered */
	bool in_worker;
	http_handler_fn on_close;
	void *on_close_data;

	/* answer */
	struct http_header *answer; /* arena */
	size_t n_answer, answer_cap;
	bool is_refused; /* by the server itself: closes */
	bool is_started, is_ended;
	bool is_chunked;
	bool no_body;    /* HEAD, 204, 304 */
	bool has_length; /* http_start_length */
	uint64_t length_left;
};

/* ---- conn.c ---- */
int conn_new(struct http_server *s, int fd_take, struct tls *tls, struct error *err);
void conn_free(struct conn *c);
/* Loop: do what can be done until something must be waited for. */
void conn_drive(struct conn *c);
/* Loop: call conn_drive from the loop's next turn. */
void conn_kick(struct conn *c);
/* Loop: the answer is complete (or the connection given away): free the request, go on. */
void conn_finish_request(struct conn *c);
/* Loop: back from a worker. */
void conn_return(struct conn *c);
/* Loop: give the request to a worker. */
void conn_to_worker(struct conn *c);
/* Owner of the request: send or queue.  0 or negative, which is remembered. */
int conn_write(struct conn *c, struct iovec *iov, size_t n);
size_t conn_unsent(const struct conn *c);
/* Read-ahead, oldest first. */
size_t conn_in(const struct conn *c, const char **ret);
void conn_consume(struct conn *c, size_t n);
/* Loop: wait for these events on the socket. */
void conn_set_events(struct conn *c, uint32_t events);

/* ---- request.c ---- */
struct http_request *request_new(struct conn *c);
struct http_request *request_free(struct http_request *req);
/* 0, or the status to refuse the request with. */
int request_parse(struct http_request *req, const char *head, size_t len, const char **ret_why);
/* Loop: move body bytes from the connection's input to the buffer: 0, or a status (400, 413). */
int request_absorb(struct http_request *req);

/* ---- response.c ---- */
/* Answer by on_error or in plain text, and close. */
void response_refuse(struct http_request *req, int status, const char *why);
/* Send the 100 Continue that is awaited, if any. */
int response_continue(struct http_request *req);
/* Worker: complete whatever the handler left. */
void response_finish(struct http_request *req);
/* The head of the answer: status line (reason NULL: the usual one), the caller's headers, `framing`
 * lines, empty line. */
void response_head(struct http_request *req, int status, const char *reason,
		   const char *content_type, const char *framing, struct strbuf *b);

/* ---- server.c ---- */
void server_add_conn(struct http_server *s, struct conn *c);
void server_remove_conn(struct http_server *s, struct conn *c);
/* Worker: the connection is the loop's again. */
void server_hand_back(struct conn *c);
void server_wake(struct http_server *s);

/* ---- hijack.c ---- */
/* Loop: start the pumps that workers made. */
void carriers_start(struct http_server *s);
void carriers_free(struct http_server *s);
