/* http/tls_priv.h - what only http/stream.c needs of a TLS context. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct ssl_st;
struct tls;

/* A session over fd (borrowed), in accept or connect state. */
int tls_session(struct tls *t, int fd, struct ssl_st **ret, struct error *err);
bool tls_is_verifying(const struct tls *t);
/* The text of the thread's oldest OpenSSL error; empties the queue. */
const char *tls_error_text(char *buf, size_t size);
