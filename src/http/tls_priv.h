/* http/tls_priv.h - what only http/stream.c needs of TLS: one connection's session.
 *
 * By OpenSSL in tls.c and tls_session.c; a program that links tls_none.c instead has no TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct ssl_st;
struct tls;

/* A session over fd (borrowed, non-blocking), in accept or connect state. */
int tls_session(struct tls *t, int fd, struct ssl_st **ret, struct error *err);
struct ssl_st *tls_session_free(struct ssl_st *ssl); /* accepts NULL, returns NULL */

/* Clients, before the handshake: what the server's certificate must say, if the context verifies. */
int tls_session_set_host(const struct tls *t, struct ssl_st *ssl, const char *host,
			 struct error *err);
/* One step: 0 when it is done, or -EAGAIN without filling err. */
int tls_session_handshake(struct ssl_st *ssl, uint32_t *ret_wants, struct error *err);

/* As stream_read() and the like; with -EAGAIN *ret_wants is POLLIN or POLLOUT. */
ssize_t tls_session_read(struct ssl_st *ssl, void *buf, size_t size, uint32_t *ret_wants);
ssize_t tls_session_write(struct ssl_st *ssl, const void *buf, size_t len, uint32_t *ret_wants);
int tls_session_shutdown(struct ssl_st *ssl, uint32_t *ret_wants);
bool tls_session_has_pending(const struct ssl_st *ssl);

bool tls_is_verifying(const struct tls *t);
/* The text of the thread's oldest OpenSSL error; empties the queue. */
const char *tls_error_text(char *buf, size_t size);
