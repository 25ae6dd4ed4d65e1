/* Certificates for tests: an authority, and what it signs, as PEM files. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

struct cert {
	EVP_PKEY *key;
	X509 *x509;
};

static inline void cert_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Signed by `ca`, or by itself if NULL. */
static inline struct cert cert_new(const struct cert *ca, const char *name, const char *alt_names)
{
	struct cert c = {.key = EVP_EC_gen("P-256"), .x509 = X509_new()};
	X509_NAME *subject = X509_get_subject_name(c.x509);
	static long serial = 1;

	assert_non_null(c.key);
	(void)X509_set_version(c.x509, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial++);
	(void)X509_gmtime_adj(X509_getm_notBefore(c.x509), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(c.x509), 3600);
	(void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
					 -1, -1, 0);
	(void)X509_set_issuer_name(c.x509, X509_get_subject_name(ca ? ca->x509 : c.x509));
	(void)X509_set_pubkey(c.x509, c.key);
	cert_extend(c.x509, ca ? ca->x509 : c.x509, NID_basic_constraints,
		    ca ? "CA:FALSE" : "critical,CA:TRUE");
	if (alt_names)
		cert_extend(c.x509, ca ? ca->x509 : c.x509, NID_subject_alt_name, alt_names);
	assert_true(X509_sign(c.x509, ca ? ca->key : c.key, EVP_sha256()) > 0);
	return c;
}

static inline void cert_write(const struct cert *c, const char *cert_path, const char *key_path)
{
	FILE *f = fopen(cert_path, "we");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, c->x509), 1);
	assert_int_equal(fclose(f), 0);
	f = fopen(key_path, "we");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

static inline void cert_done(struct cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->x509);
}
