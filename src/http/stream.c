/* A connected stream socket, with TLS or without. */
#include "http/stream.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "http/tls_priv.h"

/* TLS: parts of a writev that are smaller than this in total go into one record. */
#define COALESCE_BYTES ((size_t)16 * 1024)

static int init(struct stream *s, int fd_take, struct tls *tls, struct error *err)
{
	struct stream new = {.fd = fd_take, .read_wants = POLLIN, .write_wants = POLLOUT};
	int r;

	r = fd_set_nonblock(fd_take, true);
	if (r < 0)
		r = error_set(err, ERROR_INTERNAL, -r, "make a connection non-blocking");
	else if (tls)
		r = tls_session(tls, fd_take, &new.ssl, err);
	if (r < 0) {
		stream_done(&new);
		return r;
	}
	*s = new;
	return 0;
}

int stream_init_server(struct stream *s, int fd_take, struct tls *tls, struct error *err)
{
	return init(s, fd_take, tls, err);
}

static int wait_for(int fd, uint32_t events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = (short)events};
	int r;

	do
		r = poll(&p, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int handshake(struct stream *s, int timeout_ms, struct error *err)
{
	int64_t end = clock_monotonic_ns() + timeout_ms * INT64_C(1000000);
	uint32_t wants = 0;
	int r;

	while ((r = tls_session_handshake(s->ssl, &wants, err)) == -EAGAIN) {
		int64_t left = (end - clock_monotonic_ns()) / 1000000;

		r = left > 0 ? wait_for(s->fd, wants, (int)left) : -ETIMEDOUT;
		if (r < 0)
			return error_set(err, ERROR_UNAVAILABLE, -r, "TLS handshake");
	}
	return r;
}

int stream_init_client(struct stream *s, int fd_take, struct tls *tls, const char *host,
		       int timeout_ms, struct error *err)
{
	struct stream new;
	int r;

	r = init(&new, fd_take, tls, err);
	if (r < 0)
		return r;
	if (tls) {
		r = tls_session_set_host(tls, new.ssl, host, err);
		r = r < 0 ? r : handshake(&new, timeout_ms, err);
		if (r < 0) {
			stream_done(&new);
			return r;
		}
	}
	*s = new;
	return 0;
}

void stream_done(struct stream *s)
{
	s->ssl = tls_session_free(s->ssl);
	fd_close(&s->fd);
}

struct stream stream_take(struct stream *s)
{
	struct stream moved = *s;

	*s = (struct stream){.fd = -EBADF};
	return moved;
}

ssize_t stream_read(struct stream *s, void *buf, size_t size)
{
	ssize_t n;

	if (s->ssl)
		return tls_session_read(s->ssl, buf, size, &s->read_wants);
	do
		n = recv(s->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	s->read_wants = POLLIN;
	return -errno;
}

static ssize_t tls_writev(struct stream *s, const struct iovec *iov, size_t n)
{
	char buf[COALESCE_BYTES];
	size_t len = 0;

	if (iov[0].iov_len >= sizeof(buf))
		return tls_session_write(s->ssl, iov[0].iov_base, iov[0].iov_len, &s->write_wants);
	for (size_t i = 0; i < n && len < sizeof(buf); i++) {
		size_t part = iov[i].iov_len;

		if (part > sizeof(buf) - len)
			part = sizeof(buf) - len;
		if (part > 0)
			memcpy(buf + len, iov[i].iov_base, part);
		len += part;
	}
	return tls_session_write(s->ssl, buf, len, &s->write_wants);
}

ssize_t stream_writev(struct stream *s, const struct iovec *iov, size_t n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t r;

	while (n > 0 && iov->iov_len == 0) {
		iov++;
		n--;
	}
	if (n == 0)
		return 0;
	if (s->ssl)
		return tls_writev(s, iov, n);
	do
		r = sendmsg(s->fd, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return r;
	s->write_wants = POLLOUT;
	return -errno;
}

ssize_t stream_write(struct stream *s, const void *buf, size_t len)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};

	return stream_writev(s, &iov, 1);
}

int stream_shutdown_write(struct stream *s)
{
	if (s->ssl)
		return tls_session_shutdown(s->ssl, &s->write_wants);
	return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
}

bool stream_has_pending(const struct stream *s)
{
	return s->ssl && tls_session_has_pending(s->ssl);
}

ssize_t stream_read_wait(struct stream *s, void *buf, size_t size, int timeout_ms)
{
	ssize_t n;
	int r;

	for (;;) {
		n = stream_read(s, buf, size);
		if (n != -EAGAIN)
			return n;
		r = wait_for(s->fd, s->read_wants, timeout_ms);
		if (r < 0)
			return r;
	}
}

int stream_write_all(struct stream *s, struct iovec *iov, size_t n)
{
	ssize_t done;
	int r;

	while (n > 0) {
		if (iov->iov_len == 0) {
			iov++;
			n--;
			continue;
		}
		done = stream_writev(s, iov, n);
		if (done == -EAGAIN) {
			r = wait_for(s->fd, s->write_wants, -1);
			if (r < 0)
				return r;
			continue;
		}
		if (done < 0)
			return (int)done;
		for (size_t i = 0; i < n && done > 0; i++) {
			size_t part = iov[i].iov_len;

			if (part > (size_t)done)
				part = (size_t)done;
			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			done -= (ssize_t)part;
		}
	}
	return 0;
}
