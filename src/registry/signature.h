/* registry/signature.h - simple signing: what a signature says, and whether a key has made it.
 *
 * The payload is JSON as cosign and others sign it; the signature is over its exact bytes.
 * https://github.com/containers/image/blob/main/docs/containers-signature.5.md
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "oci/image_ref.h"

#define SIGNATURE_PAYLOAD_MAX ((size_t)64 << 10) /* bytes */
#define SIGNATURE_MAX         ((size_t)1 << 10) /* bytes, decoded: RSA's with 8192 bits are as long */
#define SIGNATURE_KEY_MAX     ((size_t)64 << 10) /* bytes of a file */

struct evp_pkey_st; /* OpenSSL's EVP_PKEY; read-only use is thread-safe */

/* The first PUBLIC KEY of a PEM text: ECDSA P-256 and P-384, RSA from 2048 to 8192 bits, Ed25519.
 * ERROR_INVALID for all else. */
int signature_key_parse(const char *pem, size_t len, struct evp_pkey_st **ret, struct error *err);
struct evp_pkey_st *signature_key_free(struct evp_pkey_st *key); /* accepts NULL */

struct signature {
	const void *payload; /* borrowed, as the next */
	size_t payload_len;
	const void *bytes;
	size_t len;
};
/* Has the key's owner signed these bytes?  By SHA-256 (for P-384 also SHA-384); RSA by PKCS #1 v1.5 or PSS. */
bool signature_is_by(const struct signature *s, struct evp_pkey_st *key);

/* What is claimed; in the arena. */
struct signature_claim {
	const char *digest;    /* critical.image.docker-manifest-digest: valid */
	const char *reference; /* critical.identity.docker-reference */
};
/* ERROR_INVALID: this is no payload of simple signing. */
int signature_claim_parse(struct arena *a, const char *payload, size_t len,
			  struct signature_claim *ret, struct error *err);

/* Does the claimed reference stand for `ref`, whose digest is `digest`?  `name`: the repository that it has to
 * name.  A tag is compared if it has one and the image is asked for by tag, a digest if it has one. */
bool signature_claim_fits(const struct signature_claim *claim, const struct image_ref *ref,
			  const char *name, const char *digest);
