/* A connected stream socket, with TLS or without. */
#include "http/stream.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
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

static int set_host(struct ssl_st *ssl, const char *host)
{
	struct in6_addr addr;
	bool is_address =
		inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;

	if (is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? 0 : -EINVAL;
	if (SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)
		return -EINVAL;
	return 0;
}

/* Translate the outcome of an SSL call that returned r <= 0. */
static int ssl_result(struct stream *s, int r, uint32_t *ret_wants)
{
	int saved = errno;

	switch (SSL_get_error(s->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*ret_wants = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_wants = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved > 0 ? -saved : -ECONNRESET;
	default:
		/* A peer that closed its socket without close_notify: the framing above knows
		 * whether anything is missing. */
		if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return 0;
		return -EPROTO;
	}
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
	char text[160];
	long verify;
	int r;

	for (;;) {
		int64_t left = (end - clock_monotonic_ns()) / 1000000;

		errno = 0;
		ERR_clear_error();
		r = SSL_do_handshake(s->ssl);
		if (r == 1)
			return 0;
		r = ssl_result(s, r, &wants);
		if (r != -EAGAIN)
			break;
		r = left > 0 ? wait_for(s->fd, wants, (int)left) : -ETIMEDOUT;
		if (r < 0)
			return error_set(err, ERROR_UNAVAILABLE, -r, "TLS handshake");
	}
	verify = SSL_get_verify_result(s->ssl);
	if (verify != X509_V_OK)
		return error_set(err, ERROR_UNAVAILABLE, 0, "TLS handshake: %s",
				 X509_verify_cert_error_string(verify));
	if (r != -EPROTO)
		return error_set(err, ERROR_UNAVAILABLE, r ? -r : ECONNRESET, "TLS handshake");
	return error_set(err, ERROR_UNAVAILABLE, 0, "TLS handshake: %s",
			 tls_error_text(text, sizeof(text)));
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
		if (tls_is_verifying(tls) && set_host(new.ssl, host) < 0)
			r = error_set(err, ERROR_INVALID, EINVAL, "verify host '%s'", host);
		else
			r = handshake(&new, timeout_ms, err);
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
	SSL_free(s->ssl);
	s->ssl = NULL;
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
	size_t got = 0;
	ssize_t n;
	int r;

	if (s->ssl) {
		errno = 0;
		ERR_clear_error();
		r = SSL_read_ex(s->ssl, buf, size, &got);
		return r == 1 ? (ssize_t)got : ssl_result(s, r, &s->read_wants);
	}
	do
		n = recv(s->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	s->read_wants = POLLIN;
	return -errno;
}

static ssize_t tls_write(struct stream *s, const void *buf, size_t len)
{
	size_t put = 0;
	int r;

	if (len == 0)
		return 0;
	errno = 0;
	ERR_clear_error();
	r = SSL_write_ex(s->ssl, buf, len, &put);
	if (r == 1)
		return (ssize_t)put;
	r = ssl_result(s, r, &s->write_wants);
	return r == 0 ? -EPIPE : r;
}

static ssize_t tls_writev(struct stream *s, const struct iovec *iov, size_t n)
{
	char buf[COALESCE_BYTES];
	size_t len = 0;

	if (iov[0].iov_len >= sizeof(buf))
		return tls_write(s, iov[0].iov_base, iov[0].iov_len);
	for (size_t i = 0; i < n && len < sizeof(buf); i++) {
		size_t part = iov[i].iov_len;

		if (part > sizeof(buf) - len)
			part = sizeof(buf) - len;
		if (part > 0)
			memcpy(buf + len, iov[i].iov_base, part);
		len += part;
	}
	return tls_write(s, buf, len);
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
	int r;

	if (!s->ssl)
		return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
	/* Sends close_notify; reading goes on with SSL_read.  Before the handshake there is
	 * nothing to end. */
	if (!SSL_is_init_finished(s->ssl) || (SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN))
		return 0;
	errno = 0;
	ERR_clear_error();
	r = SSL_shutdown(s->ssl);
	return r >= 0 ? 0 : ssl_result(s, r, &s->write_wants);
}

bool stream_has_pending(const struct stream *s)
{
	return s->ssl && SSL_has_pending(s->ssl);
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
