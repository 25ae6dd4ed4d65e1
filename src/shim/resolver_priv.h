/* shim/resolver_priv.h - what UDP and TCP have in common. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "shim/dns.h"
#include "shim/resolver.h"
#include "shim/scratch.h"

#define RESOLVER_TRY_MS 2000 /* for one server's answer; then the next is asked */

struct resolver_question;
struct resolver_stream;

struct resolver {
	struct loop *loop;
	struct scratch *scratch;
	int netns_fd, dir_fd, udp_fd, tcp_fd; /* owned */
	uint16_t udp_port, tcp_port;
	struct loop_source *udp_src, *tcp_src;
	struct resolver_question *questions; /* passed on over UDP, newest first */
	unsigned question_count;
	struct resolver_stream *streams;
	unsigned stream_count;
	unsigned turn; /* of equal addresses: whose comes first */
};

struct resolver_server {
	struct sockaddr_storage addr;
	socklen_t len;
	bool from_host; /* asked from the host's namespace */
};

/* resolver.c */

/* What is known of q here, into buf; 0: others are to be asked. */
size_t resolver_answer(struct resolver *r, const struct dns_query *q, void *buf, size_t size);
/* The i-th server for all else; false behind the last. */
bool resolver_server(const struct resolver *r, unsigned i, struct resolver_server *ret);
/* A socket towards it, in the right namespace, connected (or, for SOCK_STREAM, on its way to be). */
int resolver_connect(const struct resolver *r, const struct resolver_server *server, int type);

/* resolver_udp.c */
void resolver_udp_ready(struct loop_source *src, int fd, uint32_t events, void *data);
void resolver_udp_done(struct resolver *r);
/* resolver_tcp.c */
void resolver_tcp_ready(struct loop_source *src, int fd, uint32_t events, void *data);
void resolver_tcp_done(struct resolver *r);
