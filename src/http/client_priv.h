/* http/client_priv.h - what the client's files share: client.c sends, client_response.c reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/client.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/stream.h"

struct http_client {
	bool is_unix;
	char *path;    /* owned; unix */
	char *address; /* owned; tcp: host to connect to */
	uint16_t port;
	struct tls *tls;  /* shared; NULL: plain */
	char *host;       /* owned; Host header */
	char *user_agent; /* owned */
	int timeout_ms;
	int interrupt_fd; /* owned eventfd, readable for ever once interrupted */

	struct stream stream; /* owned; fd < 0: not connected */
	bool is_used;         /* a request went over this connection before */
	char *in;             /* owned; unread bytes are in[in_pos..in_len) */
	size_t in_pos, in_len, in_cap;
	struct http_response *response; /* borrowed; the one under way */
};

struct http_response {
	struct http_client *client; /* borrowed */
	struct arena *arena;        /* owned */
	struct http_head head;
	struct framing framing;
	bool keep_alive;
	bool is_raw; /* may be hijacked: 101, or 200 until close */
};

/* ---- client.c ---- */
void client_disconnect(struct http_client *c);
/* poll(2) that http_client_interrupt ends: revents, -ETIMEDOUT, -ECANCELED or -errno. */
int client_wait(struct http_client *c, int fd, uint32_t events, int timeout_ms);

/* ---- client_response.c ---- */
/* 0 when 100 Continue came, 1 when a final answer is coming, -ETIMEDOUT, or -errno. */
int client_await_continue(struct http_client *c, int timeout_ms);
/* Without waiting: a final answer that is no success has begun, or the connection has ended.  What
 * has come of a success is kept for client_read_head. */
bool client_has_answer(struct http_client *c);
/* The next final response's head. */
int client_read_head(struct http_client *c, bool is_head, struct http_response **ret,
		     struct error *err);
