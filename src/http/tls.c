/* TLS contexts, and a socket BIO that does not raise SIGPIPE. */
#include "http/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "http/tls_priv.h"

struct tls {
	atomic_uint refs;
	SSL_CTX *ctx;    /* owned */
	BIO_METHOD *bio; /* owned */
	bool is_server;
	bool verify;
};

static int fd_of(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static int bio_write(BIO *b, const char *data, int len)
{
	ssize_t n = send(fd_of(b), data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return n < 0 ? -1 : (int)n;
}

static int bio_read(BIO *b, char *data, int size)
{
	ssize_t n = recv(fd_of(b), data, (size_t)size, 0);

	BIO_clear_retry_flags(b);
	if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return n < 0 ? -1 : (int)n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

	if (!m || BIO_meth_set_write(m, bio_write) != 1 || BIO_meth_set_read(m, bio_read) != 1 ||
	    BIO_meth_set_ctrl(m, bio_ctrl) != 1)
		abort();
	return m;
}

const char *tls_error_text(char *buf, size_t size)
{
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	if (reason)
		(void)snprintf(buf, size, "%s", reason);
	else
		(void)snprintf(buf, size, "TLS failure");
	ERR_clear_error();
	return buf;
}

static int fail(struct error *err, const char *what, const char *file)
{
	char text[128];

	return error_set(err, ERROR_INVALID, EINVAL, "%s '%s': %s", what, file,
			 tls_error_text(text, sizeof(text)));
}

static int load_authorities(struct tls *t, const char *ca, struct error *err)
{
	if (!ca) {
		if (SSL_CTX_set_default_verify_paths(t->ctx) != 1)
			return fail(err, "load certificate authorities", "default");
		return 0;
	}
	if (SSL_CTX_load_verify_file(t->ctx, ca) != 1)
		return fail(err, "load certificate authorities", ca);
	if (t->is_server) {
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);

		if (!names)
			return fail(err, "load certificate authorities", ca);
		SSL_CTX_set_client_CA_list(t->ctx, names);
	}
	return 0;
}

static int load_identity(struct tls *t, const struct tls_args *args, struct error *err)
{
	if (!args->cert && !args->key && !t->is_server)
		return 0;
	if (!args->cert || !args->key)
		return error_set(err, ERROR_INVALID, EINVAL,
				 "TLS needs both a certificate and a key");
	if (SSL_CTX_use_certificate_chain_file(t->ctx, args->cert) != 1)
		return fail(err, "load certificate", args->cert);
	if (SSL_CTX_use_PrivateKey_file(t->ctx, args->key, SSL_FILETYPE_PEM) != 1)
		return fail(err, "load key", args->key);
	if (SSL_CTX_check_private_key(t->ctx) != 1)
		return fail(err, "match the certificate with key", args->key);
	return 0;
}

static int new_context(const struct tls_args *args, bool is_server, struct tls **ret,
		       struct error *err)
{
	autotls struct tls *t = xnew0(struct tls);
	int r;

	ERR_clear_error();
	atomic_init(&t->refs, 1);
	t->is_server = is_server;
	t->verify = args->verify;
	t->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "make a TLS context");
	t->bio = bio_method();
	/* Without renegotiation a read never has to write in the middle of a stream, but for key
	 * updates.  Idle connections give their buffers back. */
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	if (is_server) {
		/* A resumed session would skip the check of a client's certificate; connections
		 * here are few and long, so resumption would gain nothing. */
		(void)SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
		(void)SSL_CTX_set_num_tickets(t->ctx, 0);
	}

	r = load_identity(t, args, err);
	if (r < 0)
		return r;
	if (args->verify) {
		if (is_server && !args->ca)
			return error_set(err, ERROR_INVALID, EINVAL,
					 "verifying clients needs a certificate authority");
		r = load_authorities(t, args->ca, err);
		if (r < 0)
			return r;
		SSL_CTX_set_verify(
			t->ctx, SSL_VERIFY_PEER | (is_server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			NULL);
	}
	*ret = TAKE_PTR(t);
	return 0;
}

int tls_new_server(const struct tls_args *args, struct tls **ret, struct error *err)
{
	return new_context(args, true, ret, err);
}

int tls_new_client(const struct tls_args *args, struct tls **ret, struct error *err)
{
	return new_context(args, false, ret, err);
}

struct tls *tls_ref(struct tls *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

struct tls *tls_unref(struct tls *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return NULL;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->bio);
	free(t);
	return NULL;
}

bool tls_is_verifying(const struct tls *t)
{
	return t->verify;
}

int tls_session(struct tls *t, int fd, struct ssl_st **ret, struct error *err)
{
	SSL *ssl = SSL_new(t->ctx);
	BIO *bio = BIO_new(t->bio);

	if (!ssl || !bio) {
		SSL_free(ssl);
		BIO_free(bio);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "make a TLS session");
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	if (t->is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	*ret = ssl;
	return 0;
}
