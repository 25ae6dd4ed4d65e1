/* shim/relay_priv.h - the two kinds of relay. */
#pragma once

#include "base/loop.h"
#include "shim/relay.h"

struct tcp_connection;
struct udp_peer;

struct relay {
	struct loop *loop; /* borrowed */
	int fd;            /* borrowed */
	struct loop_source *src, *timer;
	struct sockaddr_storage to;
	socklen_t to_len;
	struct tcp_connection *connections;
	struct udp_peer *peers;
	unsigned count; /* connections or peers */
};

/* relay_udp.c */
int relay_udp_init(struct relay *r, struct error *err);
void relay_udp_ready(struct relay *r);
void relay_udp_tick(struct relay *r);
void relay_udp_done(struct relay *r);
