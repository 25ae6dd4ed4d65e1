/* logger/peer.h - a connection to whoever collects logs: tcp, TLS, udp, unix stream and datagram.
 *
 * Every wait ends with -ECANCELED when the shim has gone and its time is over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "http/stream.h"
#include "logger/logger.h"

enum peer_kind { PEER_TCP, PEER_TLS, PEER_UDP, PEER_UNIX, PEER_UNIXGRAM };

struct peer {
	struct logger *logger; /* borrowed */
	enum peer_kind kind;
	char *host, *port;    /* owned; of the first three */
	char *path;           /* owned; of the others */
	struct tls *tls;      /* owned reference; PEER_TLS */
	struct stream stream; /* of stream kinds; fd -EBADF: not connected */
	int64_t connected_ns; /* monotonic */
};

/* "scheme://rest"; schemes: tcp, tcp+tls, tls, udp, unix, unixgram.  Nothing is connected. */
int peer_init(struct peer *p, struct logger *l, const char *address, const char *default_port,
	      struct error *err);
void peer_done(struct peer *p);
bool peer_is_stream(const struct peer *p);
bool peer_is_connected(const struct peer *p);
/* At most 10 s; closes first what there is. */
int peer_connect(struct peer *p, struct error *err);
void peer_close(struct peer *p);
/* The other side has closed, or said something that nobody reads. */
bool peer_is_stale(struct peer *p);
/* All of it, or one datagram; timeout_ms -1: for as long as it takes.  The connection is closed on
 * failure. */
int peer_write(struct peer *p, const void *data, size_t len, int timeout_ms, struct error *err);
/* Bytes, at least one; -EPIPE at the end. */
ssize_t peer_read(struct peer *p, void *buf, size_t size, int timeout_ms, struct error *err);

/* poll(2) one descriptor (or none, -1).  1, 0 for the time-out, -ECANCELED. */
int logger_wait(struct logger *l, int fd, short events, int timeout_ms);
