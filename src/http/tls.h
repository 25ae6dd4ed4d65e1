/* http/tls.h - TLS contexts: TLS 1.2 or newer, certificates from PEM files (OpenSSL 3). */
#pragma once

#include <stdbool.h>

#include "base/mem.h"

struct error;
struct tls;

struct tls_args {
	const char *ca;   /* PEM file; NULL: the system's authorities */
	const char *cert; /* PEM file, chain included; clients: NULL sends none */
	const char *key;  /* PEM file */
	bool verify;      /* server: require client certificates signed by `ca`;
			   * client: check the server's certificate and name */
};

/* Shared, thread-safe once made.  ERROR_INVALID names the file that could not be used. */
int tls_new_server(const struct tls_args *args, struct tls **ret, struct error *err);
int tls_new_client(const struct tls_args *args, struct tls **ret, struct error *err);
struct tls *tls_ref(struct tls *t);
struct tls *tls_unref(struct tls *t); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct tls, tls_unref);
#define autotls __attribute__((cleanup(tls_unrefp_)))
