/* http/stream.h - a connected stream socket, with TLS or without, non-blocking underneath.
 *
 * Never raises SIGPIPE.  Half-close works in both forms: for TLS it is close_notify, after which
 * the other direction goes on (RFC 8446 section 6.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct error;
struct ssl_st;
struct tls;

struct stream {
	int fd;              /* owned, non-blocking */
	struct ssl_st *ssl;  /* owned; NULL: plain */
	uint32_t read_wants; /* after -EAGAIN: POLLIN or POLLOUT, the same bits as epoll's */
	uint32_t write_wants;
};

/* Take a connected socket.  A server context (or NULL): the handshake happens within the first
 * reads. */
int stream_init_server(struct stream *s, int fd_take, struct tls *tls, struct error *err);
/* Likewise for clients; with TLS it blocks for the handshake, at most timeout_ms.  `host` is
 * checked against the certificate if the context verifies. */
int stream_init_client(struct stream *s, int fd_take, struct tls *tls, const char *host,
		       int timeout_ms, struct error *err);
void stream_done(struct stream *s); /* closes; accepts one that was moved out */
struct stream stream_take(struct stream *s);

/* Bytes, 0 at the end, -EAGAIN, or -errno (-EPROTO: TLS failure). */
ssize_t stream_read(struct stream *s, void *buf, size_t size);
ssize_t stream_write(struct stream *s, const void *buf, size_t len);
ssize_t stream_writev(struct stream *s, const struct iovec *iov, size_t n);
/* End our direction: 0, -EAGAIN or -errno. */
int stream_shutdown_write(struct stream *s);
/* Decrypted bytes wait in memory, where poll does not see them. */
bool stream_has_pending(const struct stream *s);

/* Blocking forms; timeout_ms -1 is for ever, per wait. */
ssize_t stream_read_wait(struct stream *s, void *buf, size_t size, int timeout_ms);
int stream_write_all(struct stream *s, struct iovec *iov, size_t n); /* 0 or -errno; changes iov */
