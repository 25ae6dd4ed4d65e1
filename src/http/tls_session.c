/* One TLS connection, by OpenSSL. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include "base/error.h"
#include "http/tls_priv.h"

/* Translate the outcome of an SSL call that returned r <= 0. */
static int ssl_result(SSL *ssl, int r, uint32_t *ret_wants)
{
	int saved = errno;

	switch (SSL_get_error(ssl, r)) {
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

int tls_session_set_host(const struct tls *t, SSL *ssl, const char *host, struct error *err)
{
	struct in6_addr addr;
	bool is_address =
		inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;
	bool set;

	if (!tls_is_verifying(t))
		return 0;
	if (is_address)
		set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	else
		set = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
	return set ? 0 : error_set(err, ERROR_INVALID, EINVAL, "verify host '%s'", host);
}

int tls_session_handshake(SSL *ssl, uint32_t *ret_wants, struct error *err)
{
	char text[160];
	long verify;
	int r;

	errno = 0;
	ERR_clear_error();
	r = SSL_do_handshake(ssl);
	if (r == 1)
		return 0;
	r = ssl_result(ssl, r, ret_wants);
	if (r == -EAGAIN)
		return r;
	verify = SSL_get_verify_result(ssl);
	if (verify != X509_V_OK)
		return error_set(err, ERROR_UNAVAILABLE, 0, "TLS handshake: %s",
				 X509_verify_cert_error_string(verify));
	if (r != -EPROTO)
		return error_set(err, ERROR_UNAVAILABLE, r ? -r : ECONNRESET, "TLS handshake");
	return error_set(err, ERROR_UNAVAILABLE, 0, "TLS handshake: %s",
			 tls_error_text(text, sizeof(text)));
}

ssize_t tls_session_read(SSL *ssl, void *buf, size_t size, uint32_t *ret_wants)
{
	size_t got = 0;
	int r;

	errno = 0;
	ERR_clear_error();
	r = SSL_read_ex(ssl, buf, size, &got);
	return r == 1 ? (ssize_t)got : ssl_result(ssl, r, ret_wants);
}

ssize_t tls_session_write(SSL *ssl, const void *buf, size_t len, uint32_t *ret_wants)
{
	size_t put = 0;
	int r;

	if (len == 0)
		return 0;
	errno = 0;
	ERR_clear_error();
	r = SSL_write_ex(ssl, buf, len, &put);
	if (r == 1)
		return (ssize_t)put;
	r = ssl_result(ssl, r, ret_wants);
	return r == 0 ? -EPIPE : r;
}

int tls_session_shutdown(SSL *ssl, uint32_t *ret_wants)
{
	int r;

	/* Sends close_notify; reading goes on with SSL_read.  Before the handshake there is
	 * nothing to end. */
	if (!SSL_is_init_finished(ssl) || (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN))
		return 0;
	errno = 0;
	ERR_clear_error();
	r = SSL_shutdown(ssl);
	return r >= 0 ? 0 : ssl_result(ssl, r, ret_wants);
}

bool tls_session_has_pending(const SSL *ssl)
{
	return SSL_has_pending(ssl);
}

SSL *tls_session_free(SSL *ssl)
{
	SSL_free(ssl);
	return NULL;
}
