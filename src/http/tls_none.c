/* TLS for a program that is linked without it: contexts cannot be made, so there are no sessions. */
#include <stdlib.h>

#include "base/error.h"
#include "http/tls.h"
#include "http/tls_priv.h"

int tls_new_server(const struct tls_args *args, struct tls **ret, struct error *err)
{
	(void)args, (void)ret;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "TLS is not part of this program");
}

int tls_new_client(const struct tls_args *args, struct tls **ret, struct error *err)
{
	return tls_new_server(args, ret, err);
}

struct tls *tls_ref(struct tls *t)
{
	return t;
}

struct tls *tls_unref(struct tls *t)
{
	(void)t;
	return NULL;
}

int tls_session(struct tls *t, int fd, struct ssl_st **ret, struct error *err)
{
	(void)t, (void)fd, (void)ret, (void)err;
	abort(); /* there is no context */
}

struct ssl_st *tls_session_free(struct ssl_st *ssl)
{
	(void)ssl;
	return NULL;
}

int tls_session_set_host(const struct tls *t, struct ssl_st *ssl, const char *host,
			 struct error *err)
{
	(void)t, (void)ssl, (void)host, (void)err;
	abort();
}

int tls_session_handshake(struct ssl_st *ssl, uint32_t *ret_wants, struct error *err)
{
	(void)ssl, (void)ret_wants, (void)err;
	abort();
}

ssize_t tls_session_read(struct ssl_st *ssl, void *buf, size_t size, uint32_t *ret_wants)
{
	(void)ssl, (void)buf, (void)size, (void)ret_wants;
	abort();
}

ssize_t tls_session_write(struct ssl_st *ssl, const void *buf, size_t len, uint32_t *ret_wants)
{
	(void)ssl, (void)buf, (void)len, (void)ret_wants;
	abort();
}

int tls_session_shutdown(struct ssl_st *ssl, uint32_t *ret_wants)
{
	(void)ssl, (void)ret_wants;
	abort();
}

bool tls_session_has_pending(const struct ssl_st *ssl)
{
	(void)ssl;
	abort();
}
